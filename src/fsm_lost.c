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
 * The record was put back (a restored backup, a wiped status), and somebody
 * still speaks of epochs above all that it knows: one of them may be in force.
 * Its terms are lost, so which site holds it is not known unless that guard
 * says so, nor who renews it: the operator, and any core sites but that one.
 * Before anything is granted elsewhere it must be over at each site where it
 * could be.
 *
 * By promises: with the operator and one other core site as voters either of
 * them suffices (r = 1), so with two sites both must have promised, the
 * ordinary rule. With more sites the epoch may have been given to few voters,
 * while the others were away: again one may suffice, and it may be any. So
 * every core site but the holder must have promised, and one that is silent
 * blocks. It is the holder's own voter alone that never counts.
 *
 * The end is that of any lease, by the longest L known: of the record, of the
 * spec, or of what those who promise ever heard of (fsm_longest).
 */

#include <string.h>

#include "fsm_int.h"

/*
 * The last successor of a process was minted when its guard held an epoch that
 * the record did not know, and it has not taken the new one yet.
 */
static bool
successor_of_lost(const struct fsm_state *s)
{
	const struct lease_terms *t, *u;
	unsigned k, m;

	for (k = 0; k < s->rec.n; k++) {
		t = &s->rec.unended[k].terms;
		if (t->prev == 0 || fsm_listed(s, t->prev) != -1 ||
		    (s->ended[k] != P_NONE && s->ended[k] != P_LEASE))
			continue;
		for (m = 0; m < s->rec.n; m++) {
			u = &s->rec.unended[m].terms;
			if (fsm_same_run(u, t) && u->epoch < t->prev &&
			    (s->ended[m] == P_NONE || s->ended[m] == P_LEASE))
				return true;
		}
	}
	return false;
}

/* What a promise must cover to count for that epoch. */
uint64_t
fsm_promise_no(const struct fsm_state *s, const struct fsm_epoch *e)
{
	return e->epoch > s->lost ? e->epoch : s->lost;
}

/* Site j's voter says yes to no lost epoch any more. */
bool
fsm_lost_promised(const struct fsm_state *s, uint8_t j)
{
	const struct fsm_site *t = &s->site[j];

	return t->g.memory != 0 && t->prom_memory == t->g.memory &&
	    t->prom_epoch >= s->lost;
}

/* Whose guard holds the very last of them; all others had ended before it. */
static uint8_t
lost_holder(const struct fsm_conf *c, const struct fsm_state *s)
{
	uint8_t i;

	for (i = 0; i < c->nsites; i++)
		if (s->site[i].g.held == s->lost)
			return i;
	return FSM_NONE;
}

/* The Pod of the process that may hold it, for a human to name. */
const char *
fsm_lost_uid(const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];

	if (t->g.guard != 0)
		return t->g.pod_uid;
	return t->ever ? t->p.pod_uid : t->pod[0].pod_uid;
}

/* Read-only, and nobody who could change that leads. */
static bool
lost_fenced(const struct fsm_state *s, uint8_t h)
{
	const struct fsm_site *t = &s->site[h];
	const struct fsm_guard *g = &t->g;

	if (fsm_answers(s, h) && t->p.read_only && t->p.super_read_only &&
	    fsm_flags_current(s, h) && fsm_grants_past(s, h) &&
	    (g->held != s->lost || fsm_streq(g->pod_uid, t->p.pod_uid)))
		return true;
	if (g->guard == 0 || g->held != 0 || g->revoked < s->lost)
		return false;
	if (!g->running && g->ended >= g->incarnation)
		return true;
	return g->read_only && !g->hung && fsm_read_since_grants(s, h) &&
	    fsm_no_grant_ahead(s, h);
}

/* The container of that guard has ended, by the kubelet's word. */
static bool
guard_terminated(const struct fsm_conf *c, const struct fsm_state *s, uint8_t h)
{
	const struct fsm_guard *g = &s->site[h].g;
	const struct fsm_pod *pod = fsm_pod_of(s, h, g->pod_uid);
	const struct fsm_word *w;
	unsigned k;

	if (pod == NULL || g->guard == 0 || fsm_guard_fresh(c, s, h))
		return false;
	for (k = 0; k < pod->nwords; k++) {
		w = &pod->word[k];
		if (!w->unknown && w->guard == g->guard)
			return true;
	}
	return false;
}

/* The process that holds it at site h is proven to have ended. */
static bool
lost_ended(const struct fsm_conf *c, const struct fsm_state *s, uint8_t h)
{
	const struct fsm_guard *g = &s->site[h].g;
	unsigned k;

	if (s->lost_dead & BIT(h))
		return true;
	if (g->held != s->lost)
		return false;
	for (k = 0; k < s->rec.n; k++)
		if (fsm_same_guard(&s->rec.unended[k].terms, g) &&
		    (s->ended[k] == P_TERMINATED || s->ended[k] == P_ASSERTED ||
			s->ended[k] == P_SUCCEEDED))
			return true;
	return guard_terminated(c, s, h);
}

/* No epoch that the record does not know is in force at site h. */
static bool
lost_over(const struct fsm_conf *c, const struct fsm_state *s, uint8_t h)
{
	/* Ours goes to recorded ones, and this may have been one. */
	int64_t newest =
	    s->yes_ms > s->lease_since_ms ? s->yes_ms : s->lease_since_ms;
	uint8_t j;

	if (lost_fenced(s, h) || lost_ended(c, s, h))
		return true;
	/* Nobody asks those for a promise. */
	if (!FSM_GUARD(G_LOST_STRANGERS, !c->strangers))
		return false;
	for (j = 0; j < c->nsites; j++) {
		/* A reader may have been a voter. */
		if (j == h)
			continue;
		if (!fsm_lost_promised(s, j)) {
			if (!FSM_GUARD(G_LOST_VOTERS, false))
				return false;
			continue;
		}
		if (s->site[j].prom_ms > newest)
			newest = s->site[j].prom_ms;
	}
	return s->now_ms >= newest + fsm_over_in(c, s) &&
	    fsm_no_grant_ahead(s, h);
}

/* One may be in force at site h, which is in the way of a grant to site to. */
bool
fsm_lost_in_way(
    const struct fsm_conf *c, const struct fsm_state *s, uint8_t h, uint8_t to)
{
	const struct fsm_site *t = &s->site[h];
	uint8_t holder;

	if (s->lost == 0)
		return false;
	/*
	 * A backup of the group has its old spec, too: a site that holds it may
	 * be a reader now, or be configured no more.
	 */
	holder = lost_holder(c, s);
	if (holder == FSM_NONE ? h == to : h != holder)
		return false;
	if (holder == FSM_NONE && !FSM_GUARD(G_LOST_STRANGERS, !c->strangers))
		return true;
	/* Its own process goes on with a successor. */
	if (h == to && fsm_streq(t->g.pod_uid, t->p.pod_uid))
		return false;
	return !lost_over(c, s, h);
}

/* It was seen writable last, and is over: as with a recorded one. */
static void
quell_holder(struct fsm_ctx *x)
{
	struct fsm_state *s = x->s;
	struct fsm_site *t;
	uint8_t h;

	if (s->lost == 0 || (h = lost_holder(x->c, s)) == FSM_NONE)
		return;
	t = &s->site[h];
	if (t->state == SS_UNREACHABLE &&
	    fsm_streq(t->g.pod_uid, t->p.pod_uid) && lost_over(x->c, s, h))
		t->quelled = true;
}

/* Promises of less than what is known to be lost count no more. */
void
fsm_lost_look(struct fsm_ctx *x)
{
	struct fsm_state *s = x->s;
	uint64_t top = fsm_heard_of(x->c, s);
	unsigned k;
	int m;

	if (top < s->lost)
		top = s->lost;
	if (!s->rec_known || s->rec.active == FSM_NONE)
		top = 0;
	else if (top <= s->rec.epoch)
		top = successor_of_lost(s) ? s->rec.epoch : 0;
	if (top == s->lost) {
		quell_holder(x);
		return;
	}
	s->lost_dead = 0;
	if (top > s->lost)
		for (k = 0; k < s->rec.n; k++) {
			m = lease_voter_of(
			    &s->rec.unended[k].terms, LEASE_OPERATOR);
			s->auth[k].promised &= m == -1 ? 0 : 1U << m;
		}
	s->lost = top;
	if (top > s->rec.epoch && fsm_can_act(x))
		fsm_tell_epoch(x, T_LOST, FSM_NONE, top, P_NONE);
}
