/*
 * Copyright (c) 2026 The Bloodraven authors
 *
 * Permission to use, copy, modify, and distribute this software for any
 * purpose with or without fee is hereby granted, provided that the above
 * copyright notice and this permission notice appear in all copies.
 *
 * THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES
 * WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF
 * MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR
 * ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES
 * WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
 * ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF
 * OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
 */

/*
 * The voter: other sites' guards ask whether their epoch may go on, and the
 * operator asks never to say yes again. The rules are lease_voter.c's; here
 * is what they need: signatures, and a memory that is on disk before anybody
 * hears of it.
 */

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sidecar.h"

/* ------------------------------------------------------------------ memory --- */

void
sc_memory(struct sidecar *sc, const struct m_sc_memory *m, int fd)
{
	if (fd != -1) {
		if (sc->memory_fd != -1)
			fatalx("a second promise file");
		sc->memory_fd = fd;
	}
	if (m->id == 0) {
		if (m->problem[0] != '\0')
			log_ev(LL_ERROR,
			    "no promise file: this site is no voter",
			    KVS("dir", sc->conf.data_dir),
			    KVS("error", m->problem));
		return;
	}
	/* memory was respawned: what we know is newer. */
	if (sc->voter.id != 0) {
		if (sc->voter.id != m->id)
			fatalx("the promise file is another's now");
		return;
	}
	lease_voter_init(
	    &sc->voter, m->id, !m->fresh, m->promised, m->heard, sc_now_ms());
	sc_lease(sc, m->lease_ms);
	/*
	 * It renews nothing that it may have promised, but that it has promised
	 * is said when it is on disk again: sc_on_ready() asks for that.
	 */
	log_ev(LL_INFO,
	    m->fresh ? "a new voter, without memory" :
		       "a voter with its memory",
	    KVU("id", m->id), KVU("promised", m->promised),
	    KVU("heard", m->heard));
	sc_peers_note(sc, m->note.data, m->note.len);
}

void
sc_memory_put(struct sidecar *sc, bool again)
{
	const struct m_sc_durable *d = &sc->durable;
	struct m_sc_put m = { .promised = sc->voter.promised,
		.heard = sc->voter.heard,
		.lease_ms = sc->lease_ms };

	if (sc->voter.id == 0 ||
	    (m.promised == d->promised && m.heard == d->heard &&
		m.lease_ms == d->lease_ms))
		return;
	if (!again && m.promised == sc->put.promised &&
	    m.heard == sc->put.heard && m.lease_ms == sc->put.lease_ms)
		return;
	sc->put = m;
	sc_send(sc, PROC_MEMORY, MSG_SC_PUT, &m);
}

void
sc_lease(struct sidecar *sc, uint32_t lease_ms)
{
	if (lease_ms > sc->lease_ms && lease_ms <= LEASE_MAX_MS)
		sc->lease_ms = lease_ms;
}

static void
answer_promise(struct sidecar *sc, uint64_t conn, uint64_t epoch)
{
	struct sc_conn *c = sc_conn_find(sc, conn);
	struct w_promise m = { .epoch = epoch, .id = sc->voter.id };

	if (c == NULL || !c->trusted)
		return;
	m.age_ms = lease_voter_promise(&sc->voter, epoch, sc_now_ms());
	m.lease_ms = sc->lease_ms;
	log_ev(LL_INFO, "promised", KVU("epoch", epoch), KVI("ageMs", m.age_ms),
	    KVU("id", m.id));
	sc_seal(sc, c, W_PROMISE, &m);
}

void
sc_durable(struct sidecar *sc, const struct m_sc_durable *m)
{
	struct timeval tv = { SC_RETRY_MS / 1000, 0 };
	unsigned i, left = 0;

	if (m->error[0] != '\0') {
		log_ev(LL_ERROR, "promise file not written",
		    KVS("error", m->error));
		evtimer_add(sc->retry, &tv);
	}
	if (m->promised > sc->durable.promised)
		sc->durable.promised = m->promised;
	if (m->heard > sc->durable.heard)
		sc->durable.heard = m->heard;
	if (m->lease_ms > sc->durable.lease_ms)
		sc->durable.lease_ms = m->lease_ms;
	for (i = 0; i < sc->npending; i++) {
		if (sc->pending[i].epoch > sc->durable.promised) {
			sc->pending[left++] = sc->pending[i];
			continue;
		}
		answer_promise(sc, sc->pending[i].conn, sc->pending[i].epoch);
	}
	sc->npending = left;
	sc_changed(sc);
}

void
sc_promise_ask(
    struct sidecar *sc, struct sc_conn *c, const struct w_promise_ask *m)
{
	if (sc->voter.id == 0)
		return;
	/* From here on nobody gets a yes to it; the answer waits for disk. */
	(void)lease_voter_promise(&sc->voter, m->epoch, sc_now_ms());
	if (m->epoch <= sc->durable.promised) {
		answer_promise(sc, c->conn, m->epoch);
		return;
	}
	sc_memory_put(sc, false);
	for (unsigned i = 0; i < sc->npending; i++)
		if (sc->pending[i].conn == c->conn &&
		    sc->pending[i].epoch == m->epoch)
			return;
	/* It is asked again each 500 ms: the oldest can go. */
	if (sc->npending == SC_PENDING)
		memmove(&sc->pending[0], &sc->pending[1],
		    --sc->npending * sizeof(sc->pending[0]));
	sc->pending[sc->npending].conn = c->conn;
	sc->pending[sc->npending++].epoch = m->epoch;
}

/* ------------------------------------------------------------------- view --- */

/*
 * What /peer/active-site says. Epochs order it: no clock of another Pod is
 * compared with ours, and nobody but the operator can sign a newer one.
 */
void
sc_view(struct sidecar *sc, const struct w_authority *a)
{
	struct m_sc_state *m = &sc->state;
	struct timespec ts;

	if (a->epoch <= m->view_epoch)
		return;
	if (strcmp(m->view_site, a->site) != 0)
		log_ev(LL_INFO, "adopted newer view of the active site",
		    KVS("activeSite", a->site), KVU("epoch", a->epoch),
		    KVS("before", m->view_site));
	m->view_epoch = a->epoch;
	sc->view_check_ms = a->check_ms;
	(void)strlcpy(m->view_site, a->site, sizeof(m->view_site));
	m->view_ns = monotime_now().ns;
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	m->view_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---------------------------------------------------------------- questions --- */

static void
say_yes(struct sidecar *sc, struct sc_conn *c, const struct w_ask *ask)
{
	static struct w_yes m;
	struct w_renewal r = { .epoch = ask->epoch,
		.guard = ask->guard,
		.incarnation = ask->incarnation,
		.nonce = ask->nonce,
		.voter = sc->voter.id };

	(void)strlcpy(r.group, sc->conf.group, sizeof(r.group));
	m.voter = sc->voter.id;
	m.n_renewal = 1;
	if (wire_sign(W_RENEWAL, &r, &sc->keys.key, &m.renewal[0]) == -1) {
		log_warn("renewal not signed");
		return;
	}
	sc->state.yes++;
	sc->yes_epoch = ask->epoch;
	sc->yes_ms = sc_now_ms();
	sc_seal(sc, c, W_YES, &m);
}

/* Signed by the operator, of this group, of that peer's site? */
static bool
good_authority(struct sidecar *sc, const struct sc_conn *c,
    const struct w_ask *ask, struct w_authority *a)
{
	return sc_check(sc, &ask->authority[0], "", W_AUTHORITY, a) == 0 &&
	    strcmp(a->group, sc->conf.group) == 0 &&
	    strcmp(a->site, c->site) == 0 && a->epoch == ask->epoch;
}

bool
sc_ask(struct sidecar *sc, struct sc_conn *c, const struct w_ask *ask)
{
	static struct w_authority a;
	struct lease_terms t;
	bool yes;

	errno = EBADMSG;
	if (ask->n_authority != 1)
		return false;
	/* A refusal is silence: the guard needs a quorum, not a reason. */
	if (!good_authority(sc, c, ask, &a) || wire_terms(&a, &t) == -1) {
		sc->state.no++;
		return true;
	}
	sc_view(sc, &a);
	sc_lease(sc, t.lease_ms);
	/*
	 * A lease that is longer than any before waits for the disk: should the
	 * record be restored from before it, nobody else knows how long it is.
	 */
	yes = sc->voter.id != 0 &&
	    lease_voter_ask(
		&sc->voter, &t, ask->guard, ask->incarnation, sc_now_ms()) &&
	    t.lease_ms <= sc->durable.lease_ms;
	sc_memory_put(sc, false);
	if (yes)
		say_yes(sc, c, ask);
	else
		sc->state.no++;
	return true;
}
