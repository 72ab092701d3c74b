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
 * The lease machine's ears and mouth: statements are checked here before the
 * machine hears of them, and what it knows is signed and reported.
 */

#include <sys/random.h>
#include <sys/statvfs.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "guard.h"

void
guard_keys_turn(struct guard *g, int64_t now)
{
	static char last[256];
	char err[256];
	uint64_t old = g->keys.generation;

	if (now < g->keys_ms)
		return;
	g->keys_ms = now + (g->have_keys ? GUARD_KEYS_MS : GUARD_BEAT_MS);
	if (wire_keys_read(GUARD_KEYS_DIR, &g->keys, err, sizeof(err)) == -1) {
		/* Said once: it is read again and again. */
		if (strcmp(err, last) != 0)
			log_ev(LL_WARN, "keysUnreadable", KVS("error", err),
			    KVB("haveOlder", g->have_keys));
		snprintf(last, sizeof(last), "%s", err);
		return;
	}
	last[0] = '\0';
	if (!g->have_keys || g->keys.generation != old)
		log_ev(
		    LL_INFO, "keysRead", KVU("generation", g->keys.generation));
	g->have_keys = true;
}

/* It may have been signed with a key that we have not read yet. */
static void
refused(struct guard *g, const char *what, int64_t now)
{
	if (g->refused_ms + GUARD_REFUSED_MS > now)
		return;
	g->refused_ms = now;
	log_ev(LL_WARN, "statementRefused", KVS("what", what),
	    KVS("error", strerror(errno)));
	g->keys_ms = now;
	guard_keys_turn(g, now);
}

/* By a key of the operator (site: ""), or of a site. -1: counted, logged. */
static int
check(struct guard *g, const struct w_signed *s, const char *site,
    uint32_t type, void *out, int64_t now)
{
	const struct wire_pub *pub;
	size_t n;

	for (int i = 0; i < 2; i++) {
		pub = wire_trust_find(&g->keys.trust, site, &n);
		if (g->have_keys && pub != NULL &&
		    wire_check(s, pub, n, type, out) == 0)
			return 0;
		if (!g->have_keys || pub == NULL)
			errno = ENOKEY;
		if (i == 0)
			refused(g, wire_name(type), now);
	}
	return -1;
}

/* --------------------------------------------------------------- offers --- */

static struct guard_offer *
offer_of(struct guard *g, uint64_t epoch)
{
	for (unsigned i = 0; i < PS_NITEMS(g->offer); i++)
		if (epoch != 0 && g->offer[i].a.epoch == epoch)
			return &g->offer[i];
	return NULL;
}

/* A place that neither the epoch in force nor its successor needs. */
static struct guard_offer *
offer_place(struct guard *g, uint64_t epoch)
{
	for (unsigned i = 0; i < PS_NITEMS(g->offer); i++) {
		uint64_t e = g->offer[i].a.epoch;

		if (e == epoch || e == 0 ||
		    (e != g->lease.cur.t.epoch && e != g->lease.next.t.epoch))
			return &g->offer[i];
	}
	return NULL;
}

static bool
is_for_us(const struct guard *g, const struct w_authority *a)
{
	return strcmp(a->group, g->group) == 0 &&
	    strcmp(a->site, g->site) == 0 &&
	    strcmp(a->pod_uid, g->pod_uid) == 0 && a->guard == g->lease.id;
}

/*
 * The same terms: signed with the operator's next key, before voters forget
 * the one before, or to be asked for in another rhythm.
 */
static void
said_again(struct guard *g, const struct w_signed *raw,
    const struct w_authority *a, const struct lease_terms *t)
{
	struct guard_offer *o = offer_of(g, a->epoch);
	struct lease_terms was;

	if (o == NULL || wire_terms(&o->a, &was) == -1 ||
	    memcmp(&was, t, sizeof(was)) != 0)
		return;
	if (o->a.check_ms != a->check_ms)
		g->ask_ms = guard_now();
	o->a = *a;
	o->raw = *raw;
}

static void
on_offer(struct guard *g, const struct w_signed *raw, int64_t now)
{
	static struct w_authority a;
	struct guard_offer *o;
	struct lease_terms t;
	enum lease_offer r;

	if (check(g, raw, "", W_AUTHORITY, &a, now) == -1)
		return;
	if (!is_for_us(g, &a) || wire_terms(&a, &t) == -1) {
		log_ev(LL_WARN, "authorityIgnored", KVU("epoch", a.epoch),
		    KVS("reason", "it is for another process"));
		return;
	}
	r = lease_guard_offer(&g->lease, &t, now);
	if (r == LO_REFUSED)
		log_ev(LL_WARN, "authorityRefused", KVU("epoch", a.epoch),
		    KVU("incarnation", a.incarnation),
		    KVU("revoked", g->lease.revoked));
	if (r == LO_KNOWN)
		said_again(g, raw, &a, &t);
	if (r != LO_TAKEN || (o = offer_place(g, a.epoch)) == NULL)
		return;
	o->a = a;
	o->raw = *raw;
	g->ask_ms = now;
	log_ev(LL_INFO, "authorityTaken", KVU("epoch", a.epoch),
	    KVU("prev", a.prev), KVU("incarnation", a.incarnation),
	    KVMS("lease", a.lease_ms), KVMS("check", a.check_ms),
	    KVU("voters", a.n_voters), KVU("quorum", a.quorum));
}

static void
on_revoke(struct guard *g, const struct w_signed *raw, int64_t now)
{
	struct w_revoke r;
	uint64_t held = lease_guard_held(&g->lease, now);

	if (check(g, raw, "", W_REVOKE, &r, now) == -1 ||
	    strcmp(r.group, g->group) != 0)
		return;
	if (r.epoch > g->lease.revoked)
		log_ev(LL_WARN, "revoked", KVU("epoch", r.epoch),
		    KVU("held", held));
	if (r.epoch > g->told_revoked)
		g->told_revoked = r.epoch;
	lease_guard_revoke(&g->lease, r.epoch, now);
	g->say = true;
}

/* ------------------------------------------------------------- renewals --- */

/* Which site's key signs for that voter. NULL: it is none of the epoch's. */
static const char *
voter_site(const struct guard_offer *o, uint64_t id)
{
	for (uint32_t i = 0; i < o->a.n_voters; i++)
		if (o->a.voters[i].id == id)
			return id == LEASE_OPERATOR ? "" : o->a.voters[i].site;
	return NULL;
}

static void
on_yes(struct guard *g, const struct w_yes *y, int64_t now)
{
	struct w_renewal r;
	const struct guard_offer *o;
	const char *site;
	int64_t sent;

	/* Who it claims to be decides which keys are tried. */
	for (unsigned i = 0; i < PS_NITEMS(g->offer); i++) {
		o = &g->offer[i];
		if (o->a.epoch == 0 ||
		    (site = voter_site(o, y->voter)) == NULL ||
		    (site[0] == '\0' && y->voter != LEASE_OPERATOR))
			continue;
		if (check(g, &y->renewal[0], site, W_RENEWAL, &r, now) == -1)
			return;
		if (r.epoch != o->a.epoch)
			continue;
		sent = guard_nonce_find(&g->nonces, r.nonce, r.epoch);
		if (strcmp(r.group, g->group) != 0 || r.voter != y->voter ||
		    r.guard != g->lease.id ||
		    r.incarnation != g->lease.incarnation ||
		    sent == LEASE_NEVER)
			return;
		lease_guard_yes(&g->lease, r.epoch, r.voter, sent, now);
		return;
	}
}

static void
ask_for(struct guard *g, uint64_t epoch, int64_t now)
{
	static struct w_ask q;
	const struct guard_offer *o = offer_of(g, epoch);

	if (o == NULL)
		return;
	memset(&q, 0, sizeof(q));
	if (getrandom(&q.nonce, sizeof(q.nonce), GRND_NONBLOCK) !=
	    sizeof(q.nonce))
		return;
	q.epoch = epoch;
	q.guard = g->lease.id;
	q.incarnation = g->lease.incarnation;
	q.n_authority = 1;
	q.authority[0] = o->raw;
	guard_nonce_add(&g->nonces, q.nonce, epoch, now);
	guard_link_send(&g->link, W_ASK, &q);
}

/* The last round brought no quorum: a link was just made anew, say. */
static bool
unanswered(const struct guard *g, uint32_t check_ms, int64_t now)
{
	int64_t end = lease_guard_deadline(&g->lease);

	return end == LEASE_NEVER ||
	    now - (end - g->lease.cur.t.lease_ms) > (int64_t)check_ms;
}

void
guard_lease_ask(struct guard *g, int64_t now)
{
	const struct guard_offer *o;
	uint32_t check_ms = GUARD_BEAT_MS;

	if (g->given_up || g->init || now < g->ask_ms || g->link.fd == -1 ||
	    !lease_guard_may_ask(&g->lease, now))
		return;
	if ((o = offer_of(g, g->lease.cur.t.epoch)) != NULL)
		check_ms = o->a.check_ms;
	if (check_ms < GUARD_CHECK_MIN)
		check_ms = GUARD_CHECK_MIN;
	/* Often enough for one answer to be lost. */
	if (check_ms > g->lease.cur.t.lease_ms / 2)
		check_ms = g->lease.cur.t.lease_ms / 2;
	g->ask_ms = now + check_ms;
	if (unanswered(g, check_ms, now))
		g->ask_ms = now + check_ms / GUARD_ASK_AGAIN;
	ask_for(g, g->lease.cur.t.epoch, now);
	ask_for(g, g->lease.next.t.epoch, now);
}

/* -------------------------------------------------------------- reports --- */

void
guard_lease_log(struct guard *g, int64_t now)
{
	uint64_t held = lease_guard_held(&g->lease, now);

	if (held != 0 && !g->was_held)
		log_ev(LL_INFO, "leaseHeld", KVU("epoch", held),
		    KVI("leftMs", lease_guard_deadline(&g->lease) - now));
	if (held == 0 && g->was_held)
		log_ev(LL_WARN, "leaseLost", KVU("revoked", g->lease.revoked),
		    KVI("lateMs", now - g->lease.lost_ms),
		    KVB("sidecar", g->link.fd != -1));
	g->was_held = held != 0;
	if (held != 0)
		g->last_hold = g->lease.cur;
}

static bool
disk_is_full(void)
{
	struct statvfs v;

	if (statvfs(GUARD_DATA_DIR, &v) == -1)
		return false;
	return v.f_bavail * v.f_frsize < GUARD_DISK_MIN ||
	    (v.f_files != 0 && v.f_favail == 0);
}

static void
fill(struct guard *g, struct w_guard *r, int64_t now)
{
	const struct lease_guard *l = &g->lease;

	memset(r, 0, sizeof(*r));
	snprintf(r->group, sizeof(r->group), "%s", g->group);
	snprintf(r->site, sizeof(r->site), "%s", g->site);
	snprintf(r->pod_uid, sizeof(r->pod_uid), "%s", g->pod_uid);
	r->guard = l->id;
	r->incarnation = l->incarnation;
	r->running = l->running;
	r->ended = g->ended;
	r->exit_code = g->ended_code;
	r->initialising = g->init;
	r->hung = guard_sql_hung(&g->sql, now);
	r->read_only = l->running && g->sql.seen.both;
	if (g->sql.known) {
		snprintf(r->server_uuid, sizeof(r->server_uuid), "%s",
		    g->sql.seen.server_uuid);
		r->start_ms = g->sql.seen.start_ms;
	}
	r->held = lease_guard_held(l, now);
	r->revoked = l->revoked;
	r->heard = l->heard;
	r->disk_full = g->disk_full;
	r->killer = g->killer_ok;
	r->fences = g->fences;
	r->fence_failures = g->fence_failures;
	r->kills = g->kills;
}

/*
 * A server that goes, or is being cloned over, answers nobody; that is no
 * alarm. Only for a clone is super_read_only alone cleared (mysql_clone.c).
 */
static void
log_hung(const struct guard *g, bool hung)
{
	const struct guard_sql *s = &g->sql;
	const char *why = "";

	if (!hung) {
		log_ev(LL_INFO, "serverAnswers");
		return;
	}
	if (g->stop_sent)
		why = "stopping";
	else if (s->leaving || guard_sql_closed(s))
		why = "shutting down";
	else if (s->seen.read_only && !s->seen.both)
		why = "cloning";
	log_ev(why[0] != '\0' ? LL_WARN : LL_ERROR, "serverHung",
	    KVS("while", why), KVS("error", "no answer for a second"));
}

void
guard_lease_report(struct guard *g, int64_t now)
{
	static struct w_guard r;
	static struct w_guard_says says;
	bool full;

	if (now >= g->disk_ms) {
		g->disk_ms = now + GUARD_DISK_MS;
		full = disk_is_full();
		if (full != g->disk_full)
			log_ev(full ? LL_ERROR : LL_INFO,
			    full ? "diskFull" : "diskFree",
			    KVS("error",
				full ? "less than 1 MiB is left" : NULL));
		g->disk_full = full;
	}
	fill(g, &r, now);
	if (r.hung != g->said.hung && r.running)
		log_hung(g, r.hung);
	if (memcmp(&r, &g->said, sizeof(r)) == 0 && !g->say && now < g->say_ms)
		return;
	g->said = r;
	g->say = false;
	g->say_ms = now + GUARD_BEAT_MS;
	if (!g->have_keys || g->link.fd == -1)
		return;
	r.serial = ++g->serial;
	r.left_ms = r.held != 0 ? lease_guard_deadline(&g->lease) - now : 0;
	/* Its growing is no news. */
	r.read_age_ms =
	    g->sql.sent_ms == LEASE_NEVER ? -1 : guard_now() - g->sql.sent_ms;
	memset(&says, 0, sizeof(says));
	says.n_guard = 1;
	if (wire_sign(W_GUARD, &r, &g->keys.key, &says.guard[0]) == -1) {
		log_warn("signing a report");
		return;
	}
	guard_link_send(&g->link, W_GUARD_SAYS, &says);
}

void
guard_lease_frame(
    struct guard *g, uint32_t type, const union wire_any *m, int64_t now)
{
	switch ((enum wire_type)type) {
	case W_OFFER:
		if (m->w_offer.n_authority == 1)
			on_offer(g, &m->w_offer.authority[0], now);
		break;
	case W_REVOCATION:
		if (m->w_revocation.n_revoke == 1)
			on_revoke(g, &m->w_revocation.revoke[0], now);
		break;
	case W_YES:
		if (m->w_yes.n_renewal == 1)
			on_yes(g, &m->w_yes, now);
		break;
	case W_GUARD_ASK:
		g->say = true;
		break;
	case WIRE_BEFORE_FIRST:
	case W_AUTHORITY:
	case W_REVOKE:
	case W_RENEWAL:
	case W_GUARD:
	case W_HELLO:
	case W_OPERATOR:
	case W_PROMISE_ASK:
	case W_PROMISE:
	case W_ASK:
	case W_REPORT:
	case W_GUARD_SAYS:
	case WIRE_AFTER_LAST:
		guard_link_close(&g->link, "unexpected frame", now);
		break;
	}
}
