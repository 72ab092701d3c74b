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

/* Which events are possible in a state. */

#include <stdlib.h>

#include "explore.h"

struct list {
	struct action *a;
	unsigned n;
};

static bool no_stalls, no_late, all_vote;

/* Without clocks that run wrong, and what hangs, is stopped or frozen. */
void
act_no_stalls(bool b)
{
	no_stalls = b;
}

/*
 * Every mint names all the others, or (two sites) none, and a successor comes
 * only where a voter is missing.
 */
void
act_all_vote(bool b)
{
	all_vote = b;
}

static void
add(struct list *l, enum x_kind kind, unsigned a, unsigned b, unsigned c)
{
	if (l->n == X_ACTIONS)
		abort(); /* a bound that leaves out events is none */
	l->a[l->n++] = (struct action) { (uint8_t)kind, 0, (uint8_t)a,
		(uint8_t)b, (uint8_t)c };
}

/* ------------------------------------------------------------ the leader - */

/* The newest epoch of that site's process has no other voter anyway. */
static bool
alone(const struct world *w, unsigned s)
{
	unsigned k = w->ne, i;

	while (k > 0 && (w->e[k - 1].site != s || !w->e[k - 1].unended))
		k--;
	for (i = 0; k > 0 && i < w->nsites; i++)
		if (w->e[k - 1].vot[i] != VOT_NONE)
			return false;
	return k > 0;
}

/*
 * Voters that a mint may name: any of the others, also when they are well: the
 * leader may hear a voter that the guard doesn't reach, and leave it out.
 */
static bool
may_name(const struct world *w, unsigned o, unsigned s, unsigned sub)
{
	unsigned others = ((1U << w->nsites) - 1) & ~(1U << s);

	if ((sub & ~others) != 0)
		return false;
	if (!all_vote)
		return op_needs_mint(w, o, s, sub);
	return op_needs_mint(w, o, s, others) &&
	    (sub == others || (w->nsites == 2 && !alone(w, s)));
}

static void
mints(const struct world *w, struct list *l, enum x_kind kind, unsigned o)
{
	unsigned s, sub, named[1U << X_SITES], n, i;

	for (s = 0; s < w->nsites; s++) {
		for (n = sub = 0; sub < 1U << w->nsites; sub++)
			if (may_name(w, o, s, sub))
				named[n++] = sub;
		if (n == 0 || !op_may_mint(w, o, s, kind == K_MINT_FENCE) ||
		    (kind == K_MINT_FENCE && op_may_mint(w, o, s, false)))
			continue;
		for (i = 0; i < n; i++)
			add(l, kind, o, s, named[i]);
	}
}

/* Those that it may mint, with the write left under way. */
static void
mints_left(struct list *l, enum x_kind kind, unsigned o)
{
	unsigned i, n = l->n;

	for (i = 0; i < n; i++)
		if (l->a[i].kind == K_MINT && l->a[i].a == o)
			add(l, kind, o, l->a[i].b, l->a[i].c);
}

static void
grants(const struct world *w, struct list *l, unsigned o)
{
	const struct x_op *p = &w->op[o];
	const struct x_epoch *e;
	const struct x_site *s;
	unsigned i;

	if (p->mine == -1)
		return;
	e = &w->e[p->mine];
	s = &w->site[e->site];
	if (!e->live || !s->alive || s->writable || s->frozen)
		return;
	if (!weak(W_EARLY) &&
	    (p->saw == LEASE_NEVER || p->now - p->saw > X_REPORT))
		return;
	for (i = 0; i < X_GRANTS; i++)
		if (w->grant[i].on && w->grant[i].op == (int)o)
			return;
	add(l, K_GRANT, o, e->site, 0);
}

/* c: with a yes of so long ago and a tick (keep_yes_at); 0: with none. */
static void
promises(const struct world *w, struct list *l, unsigned o, unsigned s)
{
	unsigned c;

	add(l, K_PROMISE, o, s, 0);
	for (c = 1; keep_yes_unknown(w, s) && c <= x_over(); c++)
		add(l, K_PROMISE, o, s, c);
}

static void
revocations(const struct world *w, struct list *l, unsigned o, unsigned s)
{
	const struct lease_guard *g = &w->site[s].g;
	const struct lease_auth *a;
	struct lease_terms t;
	bool begin = false, guard = false, asked[X_SITES] = { false };
	unsigned k, i;

	for (k = 0; k < w->ne; k++) {
		if (!w->e[k].unended || !w->e[k].live || w->e[k].site != s)
			continue;
		a = &w->op[o].auth[k];
		begin = begin || !a->revoked;
		guard = guard || (a->revoked && g->revoked < w->e[k].number);
		t = world_terms(w, k);
		if (!a->revoked || lease_auth_missing(a, &t) == 0)
			continue;
		for (i = 0; i < w->nsites; i++)
			if (w->e[k].vot[i] == VOT_NOW && !w->site[i].frozen &&
			    (a->promised &
				1U << world_voter_index(&w->e[k], i)) == 0)
				asked[i] = true;
	}
	for (k = 0; w->norecord && k < w->ne; k++)
		guard = guard ||
		    (w->e[k].site == s && w->e[k].live &&
			g->revoked < w->e[k].number);
	if (begin)
		add(l, K_REVOKE, o, s, 0);
	if (guard && keeper_runs(&w->site[s]))
		add(l, K_REVOKE_GUARD, o, s, 0);
	for (i = 0; i < w->nsites; i++)
		if (asked[i])
			promises(w, l, o, i);
}

static void
leader(const struct world *w, struct list *l, unsigned o)
{
	const struct x_op *p = &w->op[o];
	unsigned i;

	if (op_acquires(w, o))
		add(l, K_ACQUIRE, o, 0, 0);
	if (p->cut)
		add(l, K_HEAL_CUT, o, 0, 0);
	if (!p->leads)
		return;
	mints(w, l, K_MINT, o);
	mints(w, l, K_MINT_FENCE, o);
	grants(w, l, o);
	for (i = 0; i < w->nsites; i++) {
		revocations(w, l, o, i);
		if (w->site[i].writable && !w->site[i].hung &&
		    !w->site[i].frozen)
			add(l, K_SQL_FENCE, o, i, 0);
	}
}

/* ------------------------------------------------------------- the sites - */

/*
 * A question that waits before the voter is not modelled: the guard could ask
 * anew then, and the answer would count from later. An answer that waits can
 * matter only for an epoch that is not in force: else it could as well have
 * come at once.
 */
static void
renewals(const struct world *w, struct list *l, unsigned i)
{
	const struct x_site *s = &w->site[i];
	const struct lease_guard *g = &s->g;
	const struct x_epoch *e;
	unsigned k, v, voter;
	bool known;

	if (!s->alive || s->g.local_ms == LEASE_NEVER ||
	    (s->now - s->g.local_ms >= x_lease_ms() && !weak(W_HUNG)))
		return;
	for (k = 0; k < w->ne; k++) {
		e = &w->e[k];
		known =
		    e->number == g->cur.t.epoch || e->number == g->next.t.epoch;
		if (e->site != i || !e->live ||
		    (!known &&
			(e->number <= g->revoked ||
			    e->number < g->cur.t.epoch ||
			    e->number < g->next.t.epoch)))
			continue;
		for (v = 0; v <= w->nsites; v++) {
			voter = v == w->nsites ? X_SITES : v;
			if (world_voter_index(e, voter) == -1 ||
			    (v < w->nsites && e->vot[v] != VOT_NOW))
				continue;
			add(l, K_RENEW, i, k, voter);
			if (!no_late && !w->late.on &&
			    (weak(W_RECEIPT) || !g->held ||
				e->number != g->cur.t.epoch))
				add(l, K_RENEW_LATE, i, k, voter);
		}
	}
}

static void
site(const struct world *w, struct list *l, unsigned i)
{
	const struct x_site *s = &w->site[i];
	struct lease_guard g = s->g;
	int64_t wake;

	if (s->hung || s->stopped || s->frozen)
		add(l, K_HEAL_SITE, i, 0, 0);
	if (!keeper_runs(s))
		return;
	renewals(w, l, i);
	if (s->alive && !s->hung &&
	    lease_guard_todo(&g, s->now, &wake) == LG_FENCE)
		add(l, K_FENCE, i, 0, 0);
}

/* ---------------------------------------------------------------- faults - */

static void
op_faults(const struct world *w, struct list *l, unsigned o)
{
	const struct x_op *p = &w->op[o];

	if (!p->leads)
		return;
	add(l, K_CRASH, o, 0, 0);
	if (p->cut)
		return;
	add(l, K_CUT, o, 0, 0);
	add(l, K_RELEASE, o, 0, 0);
	if (w->put.on)
		return;
	mints_left(l, K_CRASH_PUT, o);
	mints_left(l, K_CUT_PUT, o);
}

static void
site_faults(const struct world *w, struct list *l, unsigned i)
{
	const struct x_site *s = &w->site[i];

	if (s->frozen)
		return;
	add(l, K_VOTER, i, 0, 0);
	add(l, K_VOTER_LOST, i, 0, 0);
	if (s->stopped)
		return;
	if (s->alive)
		add(l, K_DB, i, 0, 0);
	add(l, K_POD, i, 0, 0);
	if (no_stalls)
		return;
	add(l, K_STOP, i, 0, 0);
	add(l, K_FREEZE, i, 0, 0);
	if (s->alive && !s->hung)
		add(l, K_HANG, i, 0, 0);
	if (weak(W_BOTH))
		add(l, K_BOTH, i, 0, 0);
	if (weak(W_VM))
		add(l, K_VM, i, 0, 0);
}

static void
faults(const struct world *w, struct list *l)
{
	unsigned i;
	bool any = false;

	for (i = 0; !w->skewed && !no_stalls && i < w->nsites + 0U + X_OPS;
	    i++) {
		add(l, K_TICK_SLOW, i, 0, 0);
		add(l, K_TICK_FAST, i, 0, 0);
	}
	for (i = 0; i < X_OPS; i++)
		op_faults(w, l, i);
	for (i = 0; i < w->nsites; i++)
		site_faults(w, l, i);
	for (i = 0; i < w->ne; i++)
		any = any || w->e[i].unended;
	if (any)
		add(l, K_RECORD, 0, 0, 0);
}

/* Without answers that arrive late: enough to see whether a group heals. */
void
act_no_late(bool b)
{
	no_late = b;
}

unsigned
world_actions(const struct world *w, struct action *a)
{
	struct list l = { a, 0 };
	unsigned i;

	for (i = 0; i < X_OPS; i++)
		leader(w, &l, i);
	for (i = 0; i < w->nsites; i++)
		site(w, &l, i);
	for (i = 0; i < X_GRANTS; i++)
		if (w->grant[i].on && !w->site[w->grant[i].site].frozen)
			add(&l, K_LAND, w->grant[i].site, i, 0);
	if (w->late.on)
		add(&l, K_DELIVER, w->late.site, 0, 0);
	if (w->put.on && w->ne == X_EPOCHS)
		find_table_full();
	if (w->put.on && w->ne < X_EPOCHS)
		add(&l, K_LAND_PUT, 0, 0, 0);
	add(&l, K_TICK, 0, 0, 0);
	if (w->faults > 0)
		faults(w, &l);
	return l.n;
}

void
world_apply(struct world *w, struct action a)
{
	if (a.kind >= K_CRASH || a.kind == K_TICK_SLOW || a.kind == K_TICK_FAST)
		w->faults--;
	switch ((enum x_kind)a.kind) {
	case K_TICK:
	case K_TICK_SLOW:
	case K_TICK_FAST:
		world_tick(w, a);
		break;
	case K_RENEW:
	case K_RENEW_LATE:
	case K_DELIVER:
	case K_FENCE:
	case K_HEAL_SITE:
	case K_DB:
	case K_POD:
	case K_HANG:
	case K_STOP:
	case K_FREEZE:
	case K_BOTH:
	case K_VM:
		site_apply(w, a);
		break;
	case K_VOTER:
	case K_VOTER_LOST:
		if (weak(W_DEAD_VOTER))
			op_saw_dead(w, a.a);
		site_apply(w, a);
		break;
	case K_ACQUIRE:
	case K_MINT:
	case K_MINT_FENCE:
	case K_LAND_PUT:
	case K_GRANT:
	case K_LAND:
	case K_SQL_FENCE:
	case K_REVOKE:
	case K_PROMISE:
	case K_REVOKE_GUARD:
	case K_HEAL_CUT:
	case K_CRASH:
	case K_CRASH_PUT:
	case K_CUT:
	case K_CUT_PUT:
	case K_RELEASE:
	case K_RECORD:
		op_apply(w, a);
		break;
	case K_MAX:
		break;
	}
	op_learn(w);
	keep_mark(w);
}

/* Of those the ones that depend on how long a leader has waited. */
unsigned
act_waits(struct action *a, unsigned n)
{
	unsigned i, left = 0;

	for (i = 0; i < n; i++)
		if (a[i].kind == K_MINT || a[i].kind == K_MINT_FENCE ||
		    a[i].kind == K_CRASH_PUT || a[i].kind == K_CUT_PUT ||
		    a[i].kind == K_GRANT)
			a[left++] = a[i];
	return left;
}
