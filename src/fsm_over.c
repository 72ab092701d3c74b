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
 * When a lease is over, by the word of its guard or by time; what the leader
 * says yes to, and what it was promised. The arithmetic is lease_auth's.
 */

#include <string.h>

#include "fsm_int.h"

/*
 * The largest L and F of all unended epochs. Of lost ones the voters know the
 * longest that they may have renewed.
 */
void
fsm_longest(const struct fsm_state *s, uint32_t *lease, uint32_t *fence)
{
	const struct lease_terms *t;
	unsigned k;
	uint8_t i;

	*lease = *fence = 0;
	for (k = 0; k < s->rec.n; k++) {
		t = &s->rec.unended[k].terms;
		if (t->guard == 0)
			continue;
		if (t->lease_ms > *lease)
			*lease = t->lease_ms;
		if (t->fence_ms > *fence)
			*fence = t->fence_ms;
	}
	for (i = 0; s->lost != 0 && i < SITES_MAX; i++)
		if (s->site[i].prom_lease_ms > *lease)
			*lease = s->site[i].prom_lease_ms;
	if (*fence < lease_fence_ms(*lease))
		*fence = lease_fence_ms(*lease);
}

/* So long after the last yes to it is any lease over, by the longest L known. */
int64_t
fsm_over_in(const struct fsm_conf *c, const struct fsm_state *s)
{
	uint32_t lease, fence;

	fsm_longest(s, &lease, &fence);
	if (lease < c->lease_ms)
		lease = c->lease_ms;
	if (fence < lease_fence_ms(lease))
		fence = lease_fence_ms(lease);
	return (int64_t)lease + fence + lease_margin_ms(lease);
}

/*
 * No grant can have made the process writable after its lease was lost: its
 * guard has seen the last one, and has fenced.
 */
bool
fsm_no_grant_ahead(const struct fsm_state *s, uint8_t i)
{
	uint32_t lease, fence;

	fsm_longest(s, &lease, &fence);
	return FSM_GUARD(G_LEASE_GRANTS,
	    s->lease_held &&
		s->now_ms >=
		    lease_auth_late_ms(fsm_grants_end(s, i), lease, fence));
}

/*
 * Site i's guard read the flags after the last grant that can have changed
 * them: what it says of them holds for good. What it said may have been under
 * way for longer than it knows, so no grant may be ahead, either.
 */
bool
fsm_read_since_grants(const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];

	return FSM_GUARD(G_GUARD_READ,
	    s->lease_held &&
		lease_auth_read_after(
		    fsm_grants_end(s, i), t->g.read_age_ms, t->guard_ms));
}

/*
 * A guard holds one epoch at a time, so a later one ends an earlier one of the
 * same process. Not one that the record does not know: nothing would be in the
 * way of another site then.
 */
static bool
superseded(const struct fsm_state *s, const struct fsm_epoch *e)
{
	const struct fsm_guard *g = &s->site[e->site].g;
	int k = fsm_listed(s, g->held);

	return g->held > e->epoch &&
	    FSM_GUARD(G_SUPERSEDED, fsm_same_guard(&e->terms, g)) &&
	    FSM_GUARD(G_SUPERSEDED_LISTED, k != -1 && s->ended[k] == P_NONE);
}

static enum fsm_proof
guard_word(const struct fsm_state *s, const struct fsm_epoch *e)
{
	const struct fsm_guard *g = &s->site[e->site].g;
	const struct lease_terms *t = &e->terms;

	if (g->guard == 0)
		return P_NONE;
	if (FSM_GUARD(G_GUARD_WORD, g->guard == t->guard)) {
		if (g->ended >= t->incarnation)
			return P_GUARD;
		if (g->incarnation == t->incarnation &&
		    g->revoked >= e->epoch && g->read_only && !g->hung &&
		    fsm_read_since_grants(s, e->site) &&
		    fsm_no_grant_ahead(s, e->site))
			return P_GUARD_FENCED;
	}
	return superseded(s, e) ? P_SUPERSEDED : P_NONE;
}

/* What guard and lease say about unended epoch k. */
enum fsm_proof
fsm_lease_proof(const struct fsm_state *s, unsigned k)
{
	const struct fsm_epoch *e = &s->rec.unended[k];
	enum fsm_proof p = P_NONE;
	uint32_t lease, fence;

	if (e->terms.guard == 0)
		return P_NONE;
	if (e->site < SITES_MAX)
		p = guard_word(s, e);
	if (p != P_NONE)
		return p;
	fsm_longest(s, &lease, &fence);
	if (s->now_ms <
	    lease_auth_over_ms(&s->auth[k], &e->terms, lease, fence))
		return P_NONE;
	return fsm_no_grant_ahead(s, e->site) ? P_LEASE : P_NONE;
}

/* When the lease of unended epoch k is over, once revoked; LEASE_FOREVER. */
static int64_t
over_ms(const struct fsm_state *s, unsigned k)
{
	const struct fsm_epoch *e = &s->rec.unended[k];
	int64_t at, late;
	uint32_t lease, fence;

	if (e->terms.guard == 0 || !s->auth[k].revoked)
		return LEASE_FOREVER;
	fsm_longest(s, &lease, &fence);
	at = lease_auth_over_ms(&s->auth[k], &e->terms, lease, fence);
	late = lease_auth_late_ms(fsm_grants_end(s, e->site), lease, fence);
	return at < late ? late : at;
}

/* When the next lease that is being revoked is over; LEASE_FOREVER. */
int64_t
fsm_lease_wake(const struct fsm_state *s)
{
	int64_t at, first = LEASE_FOREVER;
	unsigned k;

	for (k = 0; k < s->rec.n; k++) {
		if (s->ended[k] != P_NONE)
			continue;
		at = over_ms(s, k);
		if (at > s->now_ms && at < first)
			first = at;
	}
	return first;
}

/* When nothing is in site i's way but what ends by time; LEASE_FOREVER. */
static int64_t
way_free_ms(const struct fsm_ctx *x, uint8_t i)
{
	const struct fsm_state *s = x->s;
	int64_t at, last = 0;
	unsigned k;
	uint8_t j;

	for (j = 0; j < x->c->nsites; j++)
		if (fsm_lost_in_way(x->c, s, j, i))
			return LEASE_FOREVER;
	for (k = 0; k < s->rec.n; k++) {
		if (fsm_proof_of(s, k) != P_NONE)
			continue;
		at = over_ms(s, k);
		if (at > last)
			last = at;
	}
	return last;
}

/*
 * Site i will be promoted when the lease of its source has run out, and that is
 * near. A receiver that tries to reach a source which is silent takes two
 * seconds to stop (MySQL: it is woken at once, and looks after that), so it is
 * told before. No earlier, nor when more is in the way than time: it may reach
 * its source yet. One that receives is not told, nor anything else done before
 * the proof.
 */
void
fsm_stop_early(struct fsm_ctx *x, uint8_t i)
{
	const struct fsm_state *s = x->s;
	const struct fsm_probe *p;

	if (i >= x->c->nsites || !fsm_answers(s, i))
		return;
	p = &s->site[i].p;
	if (p->read_only && p->has_repl && p->io == IO_CONNECTING &&
	    p->source == s->rec.active && x->d.site == s->rec.active &&
	    way_free_ms(x, i) - x->now <= FSM_STOP_EARLY_MS)
		(void)fsm_sql(x, i, SQL_STOP_RECEIVER, FSM_SQL_TIMEOUT_MS);
}

/* What has been proven stays proven, and who falls silent is noticed. */
void
fsm_lease_look(struct fsm_ctx *x)
{
	struct fsm_state *s = x->s;
	enum fsm_proof p;
	unsigned k;
	uint8_t i;

	fsm_lease_mute(x);
	fsm_lost_look(x);
	for (i = 0; i < x->c->nsites; i++)
		if (!fsm_fresh(x->c, s, i))
			s->site[i].voter_ms = 0;
	for (k = 0; k < s->rec.n; k++)
		if ((p = fsm_lease_proof(s, k)) != P_NONE)
			fsm_end_epoch(x, k, p);
}

/* ----------------------------------------------------- what was said ----- */

/*
 * It was proven by what this leader said yes to, and would say no more: others
 * who lead meanwhile are not bound by that.
 */
static void
forget_proof(struct fsm_state *s, unsigned k)
{
	const struct fsm_epoch *e = &s->rec.unended[k];

	s->ended[k] = P_NONE;
	if (e->site < SITES_MAX &&
	    fsm_same_process(&e->proc, &s->site[e->site].p))
		s->site[e->site].quelled = false;
}

/* A new term: what the leader itself said is another's from here on. */
void
fsm_lease_term(struct fsm_state *s)
{
	unsigned k;

	for (k = 0; k < UNENDED_MAX; k++)
		lease_auth_init(&s->auth[k]);
	for (k = 0; k < s->rec.n; k++)
		if (!FSM_GUARD(G_TERM_PROOF, s->ended[k] != P_LEASE))
			forget_proof(s, k);
	s->offered = 0;
	s->lease_wait_ms = 0;
}

/* A guard asks whether its epoch goes on. */
void
fsm_lease_ask(struct fsm_ctx *x, uint8_t i, const struct fsm_event *ev)
{
	struct fsm_state *s = x->s;
	const struct fsm_epoch *e;
	struct fsm_act *a;
	int k, n = fsm_newest(s);

	for (k = 0; k < s->rec.n; k++)
		if (s->rec.unended[k].epoch == ev->u.ask.epoch)
			break;
	if (k == s->rec.n || !s->rec_known || !s->lease_held ||
	    !fsm_term_written(s))
		return;
	e = &s->rec.unended[k];
	if (!FSM_GUARD(G_YES_ACTIVE,
		n != -1 && s->rec.active == i && e->site == i &&
		    fsm_same_run(&e->terms, &s->rec.unended[n].terms)) ||
	    !FSM_GUARD(G_YES_ENDED, s->ended[k] == P_NONE))
		return;
	if (!lease_auth_ask(&s->auth[k], &e->terms, ev->u.ask.guard,
		ev->u.ask.incarnation, s->lease_deadline_ms, x->now) ||
	    (a = fsm_emit(x, A_RENEW, i)) == NULL)
		return;
	a->epoch = e->epoch;
	a->nonce = ev->u.ask.nonce;
}

/* A sidecar promised; its own memory is all that it speaks for. */
void
fsm_lease_promise(struct fsm_ctx *x, uint8_t i, const struct fsm_event *ev)
{
	struct fsm_state *s = x->s;
	const struct fsm_epoch *e;
	struct fsm_site *t = &s->site[i];
	unsigned k;
	int m;

	fsm_lost_look(x);
	if (ev->u.promise.voter == t->g.memory &&
	    (ev->u.promise.epoch > t->prom_epoch ||
		t->prom_memory != t->g.memory)) {
		t->prom_epoch = ev->u.promise.epoch;
		t->prom_memory = t->g.memory;
		t->prom_ms = x->now -
		    (ev->u.promise.age_ms > 0 ? ev->u.promise.age_ms : 0);
		if (ev->u.promise.lease_ms > t->prom_lease_ms)
			t->prom_lease_ms = ev->u.promise.lease_ms;
	}
	for (k = 0; k < s->rec.n; k++) {
		e = &s->rec.unended[k];
		m = lease_voter_of(&e->terms, ev->u.promise.voter);
		if (m == -1 || ev->u.promise.epoch < e->epoch ||
		    !FSM_GUARD(G_PROMISE_LOST,
			ev->u.promise.epoch >= fsm_promise_no(s, e)) ||
		    !FSM_GUARD(G_PROMISE_SITE, e->voter_site[m] == i))
			continue;
		lease_auth_promise(&s->auth[k], &e->terms, ev->u.promise.voter,
		    ev->u.promise.age_ms, x->now);
	}
}
