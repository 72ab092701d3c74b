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
 * The write lease of the active process: which guard can be given it, its
 * terms, who votes, and when other terms are needed.
 */

#include <string.h>

#include "fsm_int.h"

/* ------------------------------------------------------ what is known ---- */

static bool
just_now(const struct fsm_conf *c, const struct fsm_state *s, int64_t heard)
{
	int64_t most = c->lease_ms / 3;

	/* One report may be late. */
	if (most < 2 * BR_LINK_BEAT_MS(c->check_ms))
		most = 2 * BR_LINK_BEAT_MS(c->check_ms);
	return heard != 0 && s->now_ms - heard < most;
}

/* Site i's sidecar was heard just now. */
bool
fsm_fresh(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i)
{
	return s->site[i].link_up && just_now(c, s, s->site[i].g_ms);
}

/* No sidecar was heard just now. */
bool
fsm_deaf(const struct fsm_conf *c, const struct fsm_state *s)
{
	uint8_t i;

	for (i = 0; i < c->nsites; i++)
		if (fsm_fresh(c, s, i))
			return false;
	return true;
}

/* Its guard, too. */
bool
fsm_guard_fresh(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i)
{
	return fsm_fresh(c, s, i) && s->site[i].g.guard != 0 &&
	    just_now(c, s, s->site[i].guard_ms);
}

/* The server of site i has, or must have, a guard. */
bool
fsm_guarded(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];
	const struct fsm_epoch *e;
	unsigned k;

	if (c->require_guard)
		return true;
	if (t->g.guard != 0 && fsm_streq(t->g.pod_uid, t->p.pod_uid))
		return true;
	for (k = 0; k < s->rec.n; k++) {
		e = &s->rec.unended[k];
		if (e->site == i && e->terms.guard != 0 &&
		    fsm_same_process(&e->proc, &t->p))
			return true;
	}
	return false;
}

/* The guard's server is the process that the last probe speaks of. */
bool
fsm_guard_matches(const struct fsm_site *t)
{
	struct fsm_proc proc;

	memset(&proc, 0, sizeof(proc));
	memcpy(proc.pod_uid, t->g.pod_uid, sizeof(proc.pod_uid));
	memcpy(proc.server_uuid, t->g.server_uuid, sizeof(proc.server_uuid));
	proc.start_ms = t->g.start_ms;
	return t->ever && t->g.running && !t->g.initialising &&
	    fsm_same_process(&proc, &t->p);
}

/* Site i's guard can be given the lease of the process that was probed. */
bool
fsm_guard_ok(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i)
{
	return s->site[i].g.guard != 0 &&
	    FSM_GUARD(G_GUARD_FRESH, fsm_guard_fresh(c, s, i)) &&
	    FSM_GUARD(G_GUARD_MATCH, fsm_guard_matches(&s->site[i]));
}

bool
fsm_same_guard(const struct lease_terms *t, const struct fsm_guard *g)
{
	return t->guard != 0 && g->guard == t->guard &&
	    g->incarnation == t->incarnation;
}

/* Of one server that one guard has started. */
bool
fsm_same_run(const struct lease_terms *a, const struct lease_terms *b)
{
	return a->guard == b->guard && a->incarnation == b->incarnation;
}

/* Site i's guard is the one of that epoch, and holds it. */
bool
fsm_lease_held(const struct fsm_state *s, uint8_t i, const struct fsm_epoch *e)
{
	return fsm_same_guard(&e->terms, &s->site[i].g) &&
	    s->site[i].g.held == e->epoch;
}

/*
 * A guard holds an epoch that the record does not list, or gives to another one:
 * it was put back, or that one was proven ended by a fence, and its voters go on
 * saying yes. The guard is told that it is over; whether it is, fsm_lost_in_way
 * knows.
 */
bool
fsm_stray_lease(const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];
	int k = fsm_newest(s), m = fsm_listed(s, t->g.held);

	if (t->g.held == 0 ||
	    (m != -1 && s->rec.unended[m].terms.guard == t->g.guard))
		return false;
	/* A successor ends it without a fence. */
	return i != s->rec.active || k == -1 || s->ended[k] != P_NONE ||
	    !fsm_same_guard(&s->rec.unended[k].terms, &t->g);
}

/* -------------------------------------------------------------- terms ---- */

/* One memory, told by two sites, is a copy of a volume: no voter. */
static bool
twice(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i)
{
	uint8_t j;

	for (j = 0; j < c->nsites; j++)
		if (j != i && s->site[j].g.memory == s->site[i].g.memory)
			return true;
	return false;
}

static bool
muted(const struct fsm_state *s, uint8_t i)
{
	return s->site[i].mute_ms != 0 &&
	    s->now_ms - s->site[i].mute_ms < FSM_MUTE_MS;
}

static bool
may_vote(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i)
{
	return fsm_core(c, i) && !muted(s, i) &&
	    s->site[i].g.memory > LEASE_OPERATOR &&
	    FSM_GUARD(G_VOTERS_FRESH, fsm_fresh(c, s, i)) &&
	    FSM_GUARD(G_VOTER_ONCE, !twice(c, s, i));
}

static uint64_t
above(uint64_t top, uint64_t seen)
{
	return seen < FSM_EPOCH_MAX && seen > top ? seen : top;
}

/* The largest epoch that the record, a guard or a voter has heard of. */
uint64_t
fsm_heard_of(const struct fsm_conf *c, const struct fsm_state *s)
{
	const struct fsm_guard *g;
	uint64_t top = s->rec.epoch;
	uint8_t i;

	for (i = 0; i < c->nsites; i++) {
		g = &s->site[i].g;
		top = above(top, g->heard);
		top = above(top, g->promised);
		top = above(top, g->yes_epoch);
		top = above(top, g->held);
		top = above(top, g->revoked);
	}
	return top;
}

static uint64_t
next_epoch(const struct fsm_conf *c, const struct fsm_state *s)
{
	uint64_t top = above(fsm_heard_of(c, s), s->lost);

	return (FSM_GUARD(G_EPOCH_ABOVE, top == s->rec.epoch) ? s->rec.epoch :
								top) +
	    1;
}

/*
 * A new epoch of site i: its number and, with a guard, its lease. The leader
 * votes, and every core site's sidecar that answers now, but the own one.
 */
bool
fsm_lease_terms(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i,
    struct fsm_epoch *e)
{
	const struct fsm_guard *g = &s->site[i].g;
	struct lease_terms *t = &e->terms;
	uint8_t j;

	memset(t, 0, sizeof(*t));
	memset(e->voter_site, FSM_NONE, sizeof(e->voter_site));
	e->epoch = next_epoch(c, s);
	if (!fsm_guarded(c, s, i))
		return true;
	if (!fsm_guard_ok(c, s, i))
		return false;
	t->epoch = e->epoch;
	t->prev = g->held < e->epoch ? g->held : 0;
	t->guard = g->guard;
	t->incarnation = g->incarnation;
	t->lease_ms = c->lease_ms;
	t->fence_ms = lease_fence_ms(c->lease_ms);
	t->voter[t->n++] = LEASE_OPERATOR;
	for (j = 0; j < c->nsites && t->n < LEASE_VOTERS_MAX; j++) {
		if (j == i || !may_vote(c, s, j))
			continue;
		e->voter_site[t->n] = j;
		t->voter[t->n++] = s->site[j].g.memory;
	}
	t->r = lease_quorum(t->n);
	return lease_terms_valid(t);
}

/* That voter of e is there, and would say yes. */
static bool
votes(const struct fsm_conf *c, const struct fsm_state *s,
    const struct fsm_epoch *e, unsigned m)
{
	const struct fsm_site *t;
	uint8_t j = e->voter_site[m];

	if (e->terms.voter[m] == LEASE_OPERATOR)
		return true;
	if (j >= c->nsites)
		return false;
	t = &s->site[j];
	return t->g.memory == e->terms.voter[m] && fsm_fresh(c, s, j) &&
	    t->g.promised < e->epoch && !muted(s, j);
}

/* The guard of that epoch can still get its lease. */
bool
fsm_lease_usable(const struct fsm_conf *c, const struct fsm_state *s, int k)
{
	const struct fsm_epoch *e = &s->rec.unended[k];
	const struct fsm_guard *g = &s->site[e->site].g;
	unsigned m, n = 0;

	if (!fsm_same_guard(&e->terms, g) || g->revoked >= e->epoch ||
	    s->auth[k].revoked)
		return false;
	for (m = 0; m < e->terms.n; m++)
		n += votes(c, s, e, m);
	return n >= e->terms.r;
}

/*
 * Of two core sites the other one is the only candidate: an epoch without its
 * vote would gain nothing, and the leader may be the next to fall silent.
 */
static bool
merely_silent(const struct fsm_conf *c, const struct fsm_state *s,
    const struct fsm_epoch *e, unsigned m)
{
	unsigned cores = 0;
	uint8_t i, j = e->voter_site[m];

	for (i = 0; i < c->nsites; i++)
		cores += fsm_core(c, i);
	return cores == 2 && j < c->nsites && fsm_core(c, j) &&
	    s->site[j].g.promised < e->epoch &&
	    (s->site[j].g.memory == 0 ||
		s->site[j].g.memory == e->terms.voter[m]);
}

/*
 * This leader began to hear sidecars just now, and a voter of e is not among
 * them yet: nobody is left out for that. It may be deaf again soon, and then
 * the others renew.
 */
static bool
still_listening(const struct fsm_conf *c, const struct fsm_state *s,
    const struct fsm_epoch *e)
{
	unsigned m;
	uint8_t j;

	if (!just_now(c, s, s->hearing_ms))
		return false;
	for (m = 0; m < e->terms.n; m++) {
		j = e->voter_site[m];
		if (j < c->nsites && !fsm_fresh(c, s, j))
			return true;
	}
	return false;
}

/* Something has changed since the newest epoch was minted. */
static bool
terms_off(const struct fsm_conf *c, const struct fsm_state *s, int k)
{
	const struct fsm_epoch *e = &s->rec.unended[k];
	unsigned m;
	uint8_t j;

	if (s->auth[k].revoked || e->terms.lease_ms != c->lease_ms ||
	    s->site[e->site].g.held > e->epoch || s->lost > e->epoch)
		return true;
	for (m = 0; m < e->terms.n; m++)
		if (!votes(c, s, e, m) && !merely_silent(c, s, e, m))
			return true;
	for (j = 0; j < c->nsites; j++)
		if (j != e->site && may_vote(c, s, j) &&
		    s->site[j].voter_ms != 0 &&
		    s->now_ms - s->site[j].voter_ms >= FSM_SUCC_MS &&
		    lease_voter_of(&e->terms, s->site[j].g.memory) == -1)
			return true;
	return false;
}

/*
 * The newest epoch k, or one before it of the same process: all voters that
 * could renew the newest may have promised, and its guard never have taken it.
 */
static bool
in_force(const struct fsm_state *s, int k)
{
	int held = fsm_listed(s, s->site[s->rec.active].g.held);

	if (s->ended[k] != P_LEASE)
		return s->ended[k] == P_NONE;
	return held != -1 && fsm_proof_of(s, (unsigned)held) == P_NONE &&
	    fsm_same_run(&s->rec.unended[held].terms, &s->rec.unended[k].terms);
}

/*
 * The active process needs another epoch: its guard takes it without a fence.
 * While it is not seen by us, but by others, its lease is kept up like this.
 */
bool
fsm_lease_successor(const struct fsm_ctx *x)
{
	const struct fsm_state *s = x->s;
	const struct fsm_site *t;
	uint8_t a = s->rec.active;
	int k = fsm_newest(s);

	if (x->d.verdict != V_HEALTHY && x->d.verdict != V_SPLIT_BRAIN &&
	    x->d.verdict != V_FENCING && x->d.verdict != V_OBSERVER_ISOLATED)
		return false;
	if (a >= x->c->nsites || k == -1 || !in_force(s, k) ||
	    s->rec.n >= UNENDED_MAX / 2 || x->now < s->succ_next_ms ||
	    !fsm_is_newest(s, a) || !fsm_guard_ok(x->c, s, a))
		return false;
	t = &s->site[a];
	return fsm_same_guard(&s->rec.unended[k].terms, &t->g) &&
	    t->g.held != 0 && !t->g.hung && !t->p.read_only &&
	    !still_listening(x->c, s, &s->rec.unended[k]) &&
	    terms_off(x->c, s, k);
}

/* ------------------------------------------------- who can be reached ---- */

/* Site j has renewed an epoch of that process within ms. */
bool
fsm_lease_renewed(const struct fsm_conf *c, const struct fsm_state *s,
    uint8_t j, const struct fsm_epoch *e, int64_t ms)
{
	const struct fsm_site *t = &s->site[j];
	const struct lease_terms *u;
	unsigned k;

	if (!fsm_fresh(c, s, j) || t->g.yes_age_ms < 0 ||
	    t->g.yes_age_ms + (s->now_ms - t->g_ms) > ms)
		return false;
	for (k = 0; k < s->rec.n; k++) {
		u = &s->rec.unended[k].terms;
		if (u->epoch == t->g.yes_epoch && fsm_same_run(u, &e->terms))
			return true;
	}
	return false;
}

/*
 * Voters that we hear, but that the active guard does not reach, though it
 * reaches us: an epoch with them may not have its quorum. They are left out
 * for a while.
 */
void
fsm_lease_mute(struct fsm_ctx *x)
{
	struct fsm_state *s = x->s;
	const struct fsm_epoch *e;
	int64_t most = 2 * (int64_t)x->c->check_ms + FSM_SEEN_YES_MS;
	int k = fsm_newest(s);
	unsigned m;
	uint8_t j;

	if (most > 2 * (int64_t)x->c->lease_ms / 3)
		most = 2 * (int64_t)x->c->lease_ms / 3;
	if (k == -1 || s->rec.unended[k].terms.guard == 0 ||
	    s->offered != s->rec.epoch || x->now - s->offered_ms < most ||
	    s->auth[k].yes_ms < x->now - most)
		return;
	e = &s->rec.unended[k];
	/* The leader alone suffices, and it may be the next to go. */
	if (e->terms.n <= 2)
		return;
	for (m = 0; m < e->terms.n; m++) {
		j = e->voter_site[m];
		if (j >= x->c->nsites || !fsm_fresh(x->c, s, j) ||
		    x->now - s->site[j].voter_ms < most)
			continue;
		s->site[j].mute_ms =
		    fsm_lease_renewed(x->c, s, j, e, most) ? 0 : x->now;
	}
}
