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
 * The guard's voice: its questions go to operators and voters, their answers
 * back to it, its reports to the operators. Nothing is decided here; what the
 * guard relies on is signed by those who say it.
 */

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "sidecar.h"

/* --------------------------------------------------------------- authority --- */

static bool
for_our_guard(const struct sidecar *sc, const struct w_authority *a)
{
	return strcmp(a->site, sc->conf.site) == 0 &&
	    (sc->conf.pod_uid[0] == '\0' ||
		strcmp(a->pod_uid, sc->conf.pod_uid) == 0);
}

/* The two newest of our guard: one in force, and its successor. */
static void
remember(
    struct sidecar *sc, const struct w_signed *s, const struct w_authority *a)
{
	unsigned i = a->epoch >= sc->known[0].a.epoch ? 0 : 1;

	if (i == 0 && a->epoch != sc->known[0].a.epoch)
		sc->known[1] = sc->known[0];
	sc->known[i].s = *s;
	sc->known[i].a = *a;
}

/* NULL with errno: no operator that we know has signed it for this group. */
static const struct w_authority *
authority(struct sidecar *sc, const struct w_signed *s)
{
	static struct w_authority a;
	size_t i;

	/* Our guard shows the same one with each question. */
	for (i = 0; i < PS_NITEMS(sc->known); i++)
		if (sc->known[i].a.epoch != 0 &&
		    memcmp(&sc->known[i].s, s, sizeof(*s)) == 0)
			return &sc->known[i].a;
	if (sc_check(sc, s, "", W_AUTHORITY, &a) == -1)
		return NULL;
	errno = EPERM;
	if (strcmp(a.group, sc->conf.group) != 0 || a.epoch == 0)
		return NULL;
	sc_view(sc, &a);
	if (for_our_guard(sc, &a))
		remember(sc, s, &a);
	return &a;
}

/* ------------------------------------------------------------- to the guard --- */

static void
to_guard(struct sidecar *sc, uint32_t type, const void *msg)
{
	static struct m_link_tx m;
	int n;

	if (sc->guard_conn == 0)
		return;
	n = wire_encode(type, msg, m.frame.data, sizeof(m.frame.data));
	if (n == -1) {
		log_ev(LL_ERROR, "frame not made", KVS("type", wire_name(type)),
		    KVS("error", strerror(errno)));
		return;
	}
	m.conn = sc->guard_conn;
	m.frame.len = (uint32_t)n;
	sc_send(sc, PROC_LINK, MSG_LINK_TX, &m);
}

static void
ask_guard(struct sidecar *sc)
{
	struct w_guard_ask m = { .serial = ++sc->ask_serial };

	to_guard(sc, W_GUARD_ASK, &m);
}

void
sc_guard_up(struct sidecar *sc, uint64_t conn)
{
	static struct w_offer offer;

	if (sc->guard_conn != 0)
		sc_guard_down(sc, sc->guard_conn);
	sc->guard_conn = conn;
	log_ev(LL_INFO, "guard connected");
	ask_guard(sc);
	/* What came while it was away; it says itself what it makes of it. */
	for (size_t i = PS_NITEMS(sc->known); i-- > 0;) {
		if (sc->known[i].a.epoch == 0 ||
		    !for_our_guard(sc, &sc->known[i].a))
			continue;
		offer.n_authority = 1;
		offer.authority[0] = sc->known[i].s;
		to_guard(sc, W_OFFER, &offer);
	}
	sc_changed(sc);
}

void
sc_guard_down(struct sidecar *sc, uint64_t conn)
{
	struct m_link_close m = { .conn = conn };

	(void)strlcpy(m.reason, "guard", sizeof(m.reason));
	sc_send(sc, PROC_LINK, MSG_LINK_CLOSE, &m);
	if (conn != sc->guard_conn)
		return;
	sc->guard_conn = 0;
	sc->have_guard = sc->awaiting = false;
	sc->state.lease_ns = 0;
	log_ev(LL_WARN, "guard is not connected");
	sc_changed(sc);
}

void
sc_yes(struct sidecar *sc, const struct w_yes *m)
{
	sc->state.renewals++;
	to_guard(sc, W_YES, m);
}

bool
sc_offer(struct sidecar *sc, const struct w_offer *m)
{
	const struct w_authority *a;
	bool changed;

	errno = EBADMSG;
	if (m->n_authority != 1 ||
	    (a = authority(sc, &m->authority[0])) == NULL)
		return false;
	if (sc->voter.id != 0) {
		lease_voter_told(&sc->voter, a->epoch);
		sc_lease(sc, a->lease_ms);
		sc_memory_put(sc, false);
	}
	if (!for_our_guard(sc, a))
		return true;
	/* Both: addresses are taken for voters that are known. */
	changed = sc_peers_want(sc, a);
	changed |= sc_peers_addrs(sc, m);
	if (changed) {
		sc_peers_send(sc);
		sc_peers_remember(sc);
	}
	to_guard(sc, W_OFFER, m);
	return true;
}

bool
sc_revocation(struct sidecar *sc, const struct w_revocation *m)
{
	static struct w_revoke r;

	errno = EBADMSG;
	if (m->n_revoke != 1)
		return false;
	if (sc_check(sc, &m->revoke[0], "", W_REVOKE, &r) == -1)
		return false;
	errno = EPERM;
	if (strcmp(r.group, sc->conf.group) != 0)
		return false;
	if (r.epoch > sc->revoked_seen)
		sc->revoked_seen = r.epoch;
	to_guard(sc, W_REVOCATION, m);
	return true;
}

/* ----------------------------------------------------------- from the guard --- */

static bool
is_voter(const struct w_authority *a, const char *site)
{
	for (uint32_t i = 0; i < a->n_voters; i++)
		if (strcmp(a->voters[i].site, site) == 0)
			return true;
	return false;
}

/* To every operator (only the leader answers) and every voter, at once. */
static bool
fan_out(struct sidecar *sc, const struct w_ask *m)
{
	const struct w_authority *a;
	struct sc_conn *c, *next;

	errno = EBADMSG;
	if (m->n_authority != 1)
		return false;
	sc->state.asks++;
	a = authority(sc, &m->authority[0]);
	if (a != NULL && sc_peers_want(sc, a))
		sc_peers_send(sc);
	for (c = TAILQ_FIRST(&sc->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->trusted &&
		    (c->operator||(
			!c->inbound && a != NULL && is_voter(a, c->site))))
			sc_seal(sc, c, W_ASK, m);
	}
	return true;
}

/*
 * sidecar.md 3, self_fenced: the guard lost its lease under a server that runs,
 * and nobody told it to give it up; until it holds one again, or another server
 * runs.
 */
static void
judge_fence(struct sidecar *sc, const struct w_guard *g)
{
	const struct w_guard *old = &sc->said;
	bool same =
	    old->guard == g->guard && old->incarnation == g->incarnation;

	/* Pipelines that read this container look for the prefix. */
	if (same && old->held != 0 && g->held == 0 && g->running &&
	    sc->revoked_seen < old->held) {
		sc->state.self_fenced = true;
		log_ev(LL_ERROR,
		    "SELF-FENCING: the guard lost its write lease, setting "
		    "super_read_only=ON",
		    KVU("epoch", old->held), KVU("incarnation", g->incarnation),
		    KVS("error", "too few voters renewed it in time"));
	}
	if (sc->state.self_fenced && (!same || g->held != 0)) {
		sc->state.self_fenced = false;
		log_ev(LL_INFO,
		    g->held != 0 ?
			"fencing: MySQL is writable after prior self-fence; "
			"rearming monitor" :
			"rearmed",
		    KVU("epoch", g->held), KVU("incarnation", g->incarnation));
	}
}

static bool
got_says(struct sidecar *sc, const struct w_guard_says *m)
{
	static struct w_guard g;
	const struct wire_pub *pub;
	size_t n;

	errno = EBADMSG;
	if (m->n_guard != 1)
		return false;
	sc->guard = m->guard[0];
	sc->have_guard = true;
	/* The operator judges it; here it only feeds the endpoints. */
	pub = wire_trust_find(&sc->keys.trust, sc->conf.site, &n);
	if (wire_check(&sc->guard, &sc->keys.key.pub, 1, W_GUARD, &g) == 0 ||
	    (n > 0 && wire_check(&sc->guard, pub, n, W_GUARD, &g) == 0)) {
		judge_fence(sc, &g);
		sc->said = g;
		sc->state.lease_ns = g.held == 0 ?
		    0 :
		    monotime_add_ms(monotime_now(), g.left_ms).ns;
	}
	sc_changed(sc);
	return true;
}

bool
sc_guard_rx(struct sidecar *sc, const uint8_t *p, size_t len)
{
	static union wire_any any;
	uint32_t type;

	if (wire_decode(p, len, &type, &any) == -1)
		return false;
	errno = EPROTO;
	if (type == W_ASK)
		return fan_out(sc, &any.w_ask);
	if (type == W_GUARD_SAYS)
		return got_says(sc, &any.w_guard_says);
	return false;
}

/* ----------------------------------------------------------------- reports --- */

/*
 * The newest word of another operator than that one about the active site. An
 * operator has one link; a word ends with it, and with the next beat.
 */
static void
add_sight(
    const struct sidecar *sc, const struct sc_conn *to, struct w_report *m)
{
	int64_t age, now = sc_now_ms();
	const struct sc_conn *c;
	struct w_sight w;

	m->n_sight = 0;
	memset(m->sight, 0, sizeof(m->sight));
	TAILQ_FOREACH (c, &sc->conns, entry) {
		if (!to->operator|| !c->trusted || !c->operator|| c->leader ||
			strcmp(c->pod_uid, to->pod_uid) == 0 ||
		    !wire_sight_ok(&c->sight))
			continue;
		age = now - c->sight_ms;
		w = c->sight;
		w.age_ms += age;
		if (!wire_sight_ok(&w) ||
		    (m->n_sight == 1 && m->sight[0].age_ms <= w.age_ms))
			continue;
		m->n_sight = 1;
		m->sight[0] = w;
	}
}

static struct w_report *
report(const struct sidecar *sc)
{
	static struct w_report m;

	memset(&m, 0, sizeof(m));
	m.id = sc->voter.id;
	m.promised = sc->durable.promised;
	m.heard = sc->voter.heard;
	m.informed = sc->voter.informed;
	m.yes_epoch = sc->yes_epoch;
	m.yes_age_ms = sc->yes_epoch == 0 ? -1 : sc_now_ms() - sc->yes_ms;
	m.keys = sc->keys.generation;
	m.mysql_ok = sc->mysql.ok;
	m.have_guard = sc->have_guard;
	if (sc->have_guard) {
		m.n_guard = 1;
		m.guard[0] = sc->guard;
	}
	return &m;
}

void
sc_report_to(struct sidecar *sc, struct sc_conn *c)
{
	struct w_report *m = report(sc);

	add_sight(sc, c, m);
	sc_seal(sc, c, W_REPORT, m);
}

void
sc_report_all(struct sidecar *sc)
{
	struct w_report *m = report(sc);
	struct sc_conn *c, *next;

	for (c = TAILQ_FIRST(&sc->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (!c->trusted)
			continue;
		add_sight(sc, c, m);
		sc_seal(sc, c, W_REPORT, m);
	}
}

/* The guard is asked first, so that the report is of now; but not for ever. */
void
sc_guard_beat(struct sidecar *sc)
{
	struct timeval tv = { 0, SC_REPORT_MS * 1000L };

	sc_peers_drop(sc);
	if (sc->guard_conn == 0) {
		sc_changed(sc);
		return;
	}
	sc->awaiting = true;
	ask_guard(sc);
	if (!sc->dirty)
		evtimer_add(sc->report, &tv);
}
