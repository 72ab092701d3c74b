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

/* Sites (guard, mysqld, voter) and time. */

#include <string.h>

#include "explore.h"

static unsigned lease_ticks = 2;

void
x_lease_set(unsigned ticks)
{
	lease_ticks = ticks;
}

int64_t
x_lease(void)
{
	return lease_ticks;
}

uint32_t
x_lease_ms(void)
{
	return lease_ticks * X_TICK;
}

int64_t
x_over(void)
{
	return lease_ticks + (X_FENCE + X_MARGIN) / X_TICK;
}

/* 0 … sites - 1: a site's machine; then the operators'. */
int64_t *
world_clock(struct world *w, unsigned p)
{
	return p < w->nsites ? &w->site[p].now : &w->op[p - w->nsites].now;
}

int
world_epoch(const struct world *w, uint64_t number)
{
	unsigned i;

	for (i = 0; number != 0 && i < w->ne; i++)
		if (w->e[i].number == number)
			return (int)i;
	return -1;
}

/* Place among the voters; X_SITES: the operator, always the first. */
int
world_voter_index(const struct x_epoch *e, unsigned voter)
{
	unsigned i;
	int k = 0;

	if (voter == X_SITES)
		return 0;
	if (e->vot[voter] == VOT_NONE)
		return -1;
	for (i = 0; i <= voter; i++)
		if (e->vot[i] != VOT_NONE)
			k++;
	return k;
}

struct lease_terms
world_terms(const struct world *w, unsigned k)
{
	const struct x_epoch *e = &w->e[k];
	const struct lease_guard *g = &w->site[e->site].g;
	struct lease_terms t;
	unsigned i;

	memset(&t, 0, sizeof(t));
	t.epoch = e->number;
	t.guard = g->id;
	t.incarnation = e->live ? g->incarnation : g->incarnation - 1;
	t.lease_ms = x_lease_ms();
	t.fence_ms = X_FENCE;
	t.voter[t.n++] = LEASE_OPERATOR;
	for (i = 0; i < w->nsites; i++) {
		if (e->vot[i] == VOT_NOW)
			t.voter[t.n++] = w->site[i].v.id;
		else if (e->vot[i] == VOT_LOST)
			t.voter[t.n++] = 50 + i;
	}
	t.r = lease_quorum(t.n);
	return t;
}

void
world_init(struct world *w, unsigned nsites, unsigned faults)
{
	unsigned i;

	memset(w, 0, sizeof(*w));
	w->nsites = (uint8_t)nsites;
	w->faults = (uint8_t)faults;
	for (i = 0; i < nsites; i++) {
		w->site[i].now = X_NOW;
		w->site[i].alive = true;
		lease_guard_init(&w->site[i].g, 100 + i, X_NOW);
		w->site[i].g.incarnation = 4;
		lease_guard_started(&w->site[i].g, X_NOW);
		lease_guard_local(&w->site[i].g, X_NOW, true, X_NOW);
		lease_voter_init(&w->site[i].v, 10 + i, true, 0, 0, X_NOW);
		site_settle(w, i);
	}
	for (i = 0; i < X_OPS; i++) {
		w->op[i].now = X_NOW;
		w->op[i].seen = X_NOW - X_ACQUIRE;
		w->op[i].mine = -1;
		w->op[i].old_end = w->op[i].own_end = LEASE_NEVER;
	}
}

unsigned
world_writers(const struct world *w)
{
	unsigned i, n = 0;

	for (i = 0; i < w->nsites; i++)
		if (w->site[i].alive && w->site[i].writable &&
		    !w->site[i].frozen)
			n++;
	return n;
}

bool
keeper_runs(const struct x_site *s)
{
	return !s->stopped && !s->frozen;
}

/* ------------------------------------------------------------- processes - */

static void
site_start(struct world *w, unsigned i)
{
	struct x_site *s = &w->site[i];
	unsigned k;

	for (k = 0; k < w->ne; k++)
		if (w->e[k].site == i)
			w->e[k].live = false;
	lease_guard_started(&s->g, s->now);
	s->alive = true;
	s->had = true;
	s->writable = weak(W_RESTART);
	lease_guard_local(&s->g, s->now, !s->writable, s->now);
}

/* mysqld ends: what was under way to it goes with its sessions. */
static void
site_dies(struct world *w, unsigned s)
{
	unsigned i;

	w->site[s].alive = w->site[s].writable = false;
	w->site[s].hung = false;
	for (i = 0; i < X_GRANTS; i++)
		if (w->grant[i].site == s && !weak(W_GRANT_SITE))
			w->grant[i].on = false;
}

/*
 * The keeper does what is due at once: kills, waits, starts again, and tells
 * the killer until when it need not kill.
 */
void
site_settle(struct world *w, unsigned i)
{
	struct x_site *s = &w->site[i];
	int64_t wake;

	if (!keeper_runs(s))
		return;
	if (lease_guard_todo(&s->g, s->now, &wake) == LG_KILL &&
	    !weak(W_NO_KILL))
		site_dies(w, i);
	if (!s->alive) {
		lease_guard_ended(&s->g, s->now);
		site_start(w, i);
	}
	s->killer_ms = lease_guard_kill_ms(&s->g);
}

static void
site_look(struct world *w, unsigned i)
{
	struct x_site *s = &w->site[i];

	if (keeper_runs(s) && s->alive && s->g.running && !s->hung)
		lease_guard_local(&s->g, s->now, !s->writable, s->now);
	site_settle(w, i);
}

/* Container and guard start anew: another guard, which remembers nothing. */
static void
site_pod(struct world *w, unsigned i)
{
	struct x_site *s = &w->site[i];
	uint32_t inc = s->g.incarnation;

	site_dies(w, i);
	lease_guard_init(&s->g, s->g.id, s->now);
	s->g.incarnation = inc;
	site_settle(w, i);
}

static void
voter_restart(struct world *w, unsigned i, bool lost)
{
	struct lease_voter *v = &w->site[i].v;
	uint64_t promised = weak(W_PROMISE) ? 0 : v->promised;
	unsigned k;

	if (!lost) {
		lease_voter_init(
		    v, v->id, true, promised, promised, w->site[i].now);
		return;
	}
	/* A name that remembers nothing, or another voter. */
	lease_voter_init(v, v->id, weak(W_AMNESIA), 0, 0, w->site[i].now);
	for (k = 0; k < w->ne && !weak(W_AMNESIA); k++)
		if (w->e[k].vot[i] == VOT_NOW)
			w->e[k].vot[i] = VOT_LOST;
}

/* ---------------------------------------------------------------- leases - */

static bool
op_says_yes(struct world *w, unsigned k, const struct lease_terms *t)
{
	unsigned o;

	for (o = 0; o < X_OPS; o++) {
		struct x_op *p = &w->op[o];

		/* The program did not, either, to what it took for ended. */
		if ((p->over & 1U << k) != 0)
			continue;
		if (p->leads && w->e[k].unended &&
		    lease_auth_ask(&p->auth[k], t, t->guard, t->incarnation,
			weak(W_DEPOSED) ? LEASE_FOREVER : p->until, p->now))
			return true;
		if (weak(W_STANDBY))
			return true;
	}
	return false;
}

static bool
voter_says_yes(struct world *w, unsigned k, unsigned voter)
{
	struct lease_terms t = world_terms(w, k);
	struct x_site *s;
	uint64_t promised;
	bool yes;

	if (voter == X_SITES)
		return op_says_yes(w, k, &t);
	s = &w->site[voter];
	if (s->frozen || w->e[k].vot[voter] != VOT_NOW)
		return false;
	promised = s->v.promised;
	if (weak(W_PEER))
		s->v.promised = 0;
	yes = lease_voter_ask(&s->v, &t, t.guard, t.incarnation, s->now);
	s->v.promised = promised;
	return yes;
}

static void
guard_yes(struct world *w, unsigned k, unsigned voter, int64_t sent)
{
	struct x_site *s = &w->site[w->e[k].site];
	struct lease_terms t = world_terms(w, k);
	int i = world_voter_index(&w->e[k], voter);

	if (i == -1)
		return;
	lease_guard_yes(&s->g, t.epoch, t.voter[i], sent, s->now);
	if (weak(W_ONE_YES) && t.n == 3)
		lease_guard_yes(
		    &s->g, t.epoch, t.voter[(i + 1) % 3], sent, s->now);
	site_settle(w, w->e[k].site);
}

/*
 * The guard is offered the epoch no earlier than somebody renews it: before
 * that it could only keep others out.
 */
static void
renew(struct world *w, unsigned k, unsigned voter, bool late)
{
	struct x_site *s = &w->site[w->e[k].site];
	struct lease_terms t = world_terms(w, k);

	(void)lease_guard_offer(&s->g, &t, s->now);
	if (!voter_says_yes(w, k, voter))
		return;
	if (!late) {
		guard_yes(w, k, voter, s->now);
		return;
	}
	w->late.on = true;
	w->late.site = w->e[k].site;
	w->late.epoch = (uint8_t)k;
	w->late.voter = (uint8_t)voter;
	w->late.sent = s->now;
}

static void
deliver(struct world *w)
{
	w->late.on = false;
	if (keeper_runs(&w->site[w->late.site]))
		guard_yes(w, w->late.epoch, w->late.voter,
		    weak(W_RECEIPT) ? w->site[w->late.site].now : w->late.sent);
}

static void
fence(struct world *w, unsigned i)
{
	struct x_site *s = &w->site[i];

	s->writable = false;
	lease_guard_local(&s->g, s->now, true, s->now);
	site_settle(w, i);
}

void
site_apply(struct world *w, struct action a)
{
	struct x_site *s = &w->site[a.a];

	switch (a.kind) {
	case K_RENEW:
	case K_RENEW_LATE:
		renew(w, a.b, a.c, a.kind == K_RENEW_LATE);
		break;
	case K_DELIVER:
		deliver(w);
		break;
	case K_FENCE:
		fence(w, a.a);
		break;
	case K_HEAL_SITE:
		s->hung = s->stopped = s->frozen = s->asleep = false;
		site_look(w, a.a);
		break;
	case K_DB:
		site_dies(w, a.a);
		site_settle(w, a.a);
		break;
	case K_POD:
		site_pod(w, a.a);
		break;
	case K_VOTER:
	case K_VOTER_LOST:
		voter_restart(w, a.a, a.kind == K_VOTER_LOST);
		break;
	case K_HANG:
		s->hung = true;
		break;
	case K_STOP:
		s->stopped = true;
		break;
	case K_BOTH:
		s->stopped = true;
		s->killer_ms = LEASE_FOREVER;
		break;
	case K_VM:
		s->asleep = true;
		s->frozen = true;
		break;
	case K_FREEZE:
		s->frozen = true;
		break;
	default:
		break;
	}
}

/* ------------------------------------------------------------------ time - */

static void
tick_site(struct world *w, unsigned i)
{
	struct x_site *s = &w->site[i];
	unsigned k;

	for (k = 0; k < X_GRANTS; k++)
		if (w->grant[k].site == i && s->now >= w->grant[k].limit &&
		    !weak(W_NO_LIMIT))
			w->grant[k].on = false;
	if (s->frozen)
		return;
	/* The killer has nothing but this time. */
	if (s->stopped && s->alive && s->now >= s->killer_ms &&
	    !weak(W_KILLER) && !weak(W_NO_KILL))
		site_dies(w, i);
	site_look(w, i);
}

static void
tick_op(struct world *w, unsigned o)
{
	struct x_op *p = &w->op[o];
	unsigned i;

	if (!p->leads)
		return;
	if (!p->cut) {
		p->until = op_until(p);
		for (i = 0; i < X_OPS; i++)
			w->op[i].seen = w->op[i].now;
		return;
	}
	if (p->now < p->until || weak(W_DEPOSED))
		return;
	op_runs_out(w, o);
}

void
world_tick(struct world *w, struct action a)
{
	unsigned p;

	for (p = 0; p < w->nsites + 0U + X_OPS; p++)
		if (p >= w->nsites || !w->site[p].asleep)
			*world_clock(w, p) += X_TICK;
	if (a.kind == K_TICK_SLOW)
		*world_clock(w, a.a) -= X_TICK;
	if (a.kind == K_TICK_FAST)
		*world_clock(w, a.a) += X_TICK;
	w->skewed = w->skewed || a.kind != K_TICK;
	for (p = 0; p < w->nsites; p++)
		tick_site(w, p);
	for (p = 0; p < X_OPS; p++)
		tick_op(w, p);
}
