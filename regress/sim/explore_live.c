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
 * A blocked group gets a primary when its faults end. From a state three
 * things are tried, with a leader that does what the manual says and a network
 * that delivers, until a primary is granted:
 *
 *  - every fault ends;
 *  - every fault ends, but one site is heard of by nobody, for ever (it goes
 *    on by itself); not when voters that would have to promise have lost their
 *    memory: that needs the site, or a person;
 *  - every fault ends, but one site's mysqld hangs; its guard reaches its
 *    voters, not the operator. While voters renew, the observer is the one
 *    that may be cut off, and does nothing (ObserverIsolated).
 */

#include <pthread.h>

#include "explore.h"

#define PARTS      64
#define LIVE_TICKS 40
#define ALL_WELL   X_SITES

struct run {
	struct world w;
	bool hangs;   /* the odd site hangs; else it is silent */
	unsigned odd; /* ALL_WELL: none */
	unsigned target;
};

/* By parts, so that threads seldom wait for each other. */
static struct {
	pthread_mutex_t lock;
	struct x_set set;
} good[PARTS] = { [0 ... PARTS - 1] = { .lock = PTHREAD_MUTEX_INITIALIZER } };

static void
act(struct run *r, enum x_kind kind, unsigned a, unsigned b, unsigned c)
{
	world_apply(&r->w,
	    (struct action) {
		(uint8_t)kind, 0, (uint8_t)a, (uint8_t)b, (uint8_t)c });
}

static bool
reached(const struct run *r, unsigned i)
{
	return i != r->odd;
}

static void
heal(struct run *r)
{
	unsigned i;

	for (i = 0; i < X_OPS; i++)
		if (r->w.op[i].cut)
			act(r, K_HEAL_CUT, i, 0, 0);
	for (i = 0; i < r->w.nsites; i++) {
		if (reached(r, i) || r->hangs)
			act(r, K_HEAL_SITE, i, 0, 0);
		if (!reached(r, i) && r->hangs)
			r->w.site[i].hung = true;
		if (!reached(r, i))
			r->w.silent |= (uint8_t)(1U << i);
	}
}

/* Do those promise that must, if the odd site never answers? */
static bool
can_be_proven(const struct run *r)
{
	const struct x_epoch *e;
	unsigned k, i;

	if (r->odd == ALL_WELL)
		return true;
	if (r->w.norecord)
		return false;
	for (k = 0; k < r->w.ne; k++) {
		struct lease_terms t = world_terms(&r->w, k);
		unsigned n = 1;

		e = &r->w.e[k];
		for (i = 0; i < r->w.nsites; i++)
			if (e->vot[i] == VOT_NOW && i != r->odd)
				n++;
		if (e->unended && e->live && e->site == r->odd &&
		    n < t.n - t.r + 1U)
			return false;
	}
	return true;
}

/* Where the newest epoch is, if it is well; else the first that is. */
static unsigned
choose(const struct run *r)
{
	const struct world *w = &r->w;
	unsigned k, i;

	for (k = w->ne; k > 0; k--)
		if (w->e[k - 1].unended && w->e[k - 1].live &&
		    reached(r, w->e[k - 1].site))
			return w->e[k - 1].site;
	for (i = 0; i < w->nsites; i++)
		if (reached(r, i))
			return i;
	return 0;
}

/* Voters renewed the odd site lately: it may be well, and we cut off. */
static bool
isolated(const struct run *r)
{
	const struct world *w = &r->w;
	const struct lease_voter *v;
	unsigned i, j;
	int k;

	if (!r->hangs)
		return false;
	for (i = 0; i < w->nsites; i++) {
		v = &w->site[i].v;
		for (j = 0; j < LEASE_YES_MAX; j++) {
			k = world_epoch(w, v->yes[j].epoch);
			if (k != -1 && w->e[k].site == r->odd && w->e[k].live &&
			    w->site[i].now - v->yes[j].ms <= 2 * X_TICK)
				return true;
		}
	}
	return false;
}

/* A guard asks all its voters that it reaches. */
static void
ask(struct run *r, unsigned i)
{
	struct world *w = &r->w;
	const struct x_site *s = &w->site[i];
	unsigned k, v;

	if (!keeper_runs(s) || (!reached(r, i) && !r->hangs))
		return;
	for (k = 0; k < w->ne; k++) {
		if (w->e[k].site != i || !w->e[k].live ||
		    w->e[k].number <= s->g.revoked ||
		    (!lease_guard_may_ask(&s->g, s->now) && s->hung &&
			!weak(W_HUNG)))
			continue;
		for (v = 0; v < w->nsites; v++)
			if (w->e[k].vot[v] == VOT_NOW && reached(r, v))
				act(r, K_RENEW, i, k, v);
		if (reached(r, i))
			act(r, K_RENEW, i, k, X_SITES);
	}
}

static void
fence_due(struct run *r)
{
	const struct x_site *s;
	struct lease_guard g;
	int64_t wake;
	unsigned i;

	for (i = 0; i < r->w.nsites; i++) {
		s = &r->w.site[i];
		g = s->g;
		if (keeper_runs(s) && s->alive && !s->hung &&
		    lease_guard_todo(&g, s->now, &wake) == LG_FENCE)
			act(r, K_FENCE, i, 0, 0);
	}
}

static void
revoke_all(struct run *r, unsigned o, unsigned s)
{
	unsigned i;

	act(r, K_REVOKE, o, s, 0);
	if (reached(r, s) && keeper_runs(&r->w.site[s]))
		act(r, K_REVOKE_GUARD, o, s, 0);
	for (i = 0; i < r->w.nsites; i++)
		if (reached(r, i))
			act(r, K_PROMISE, o, i, 0);
}

static void
mint(struct run *r, unsigned o)
{
	struct world *w = &r->w;
	unsigned i, sub = 0;

	for (i = 0; i < w->nsites; i++)
		if (i != r->target && reached(r, i))
			sub |= 1U << i;
	if (!op_needs_mint(w, o, r->target, sub))
		return;
	if (op_may_mint(w, o, r->target, false))
		act(r, K_MINT, o, r->target, sub);
	else if (op_may_mint(w, o, r->target, true))
		act(r, K_MINT_FENCE, o, r->target, sub);
	else /* too many of its own: it is fenced, and granted anew */
		revoke_all(r, o, r->target);
}

static void
grant(struct run *r, unsigned o)
{
	struct world *w = &r->w;
	const struct x_op *p = &w->op[o];
	unsigned i;

	if (p->mine == -1 || w->e[p->mine].site != r->target ||
	    p->saw != p->now || w->site[r->target].writable)
		return;
	act(r, K_GRANT, o, r->target, 0);
	for (i = 0; i < X_GRANTS; i++)
		if (w->grant[i].on && w->grant[i].site == r->target)
			act(r, K_LAND, r->target, i, 0);
}

static void
lead(struct run *r, unsigned o)
{
	struct world *w = &r->w;
	unsigned i;

	if (isolated(r))
		return;
	r->target = choose(r);
	for (i = 0; i < w->nsites; i++)
		if (i != r->target || w->norecord)
			revoke_all(r, o, i);
	fence_due(r);
	mint(r, o);
	ask(r, r->target);
	grant(r, o);
}

/* What is under way arrives, or never; then the operators, then a tick. */
static void
step(struct run *r)
{
	struct world *w = &r->w;
	unsigned i;

	if (w->late.on)
		act(r, K_DELIVER, w->late.site, 0, 0);
	for (i = 0; i < X_GRANTS; i++)
		if (w->grant[i].on && reached(r, w->grant[i].site))
			act(r, K_LAND, w->grant[i].site, i, 0);
	if (w->put.on && w->ne < X_EPOCHS)
		act(r, K_LAND_PUT, 0, 0, 0);
	for (i = 0; i < X_OPS; i++)
		if (op_acquires(w, i))
			act(r, K_ACQUIRE, i, 0, 0);
	for (i = 0; i < w->nsites; i++)
		ask(r, i);
	fence_due(r);
	for (i = 0; i < X_OPS; i++)
		if (w->op[i].leads && !w->op[i].cut)
			lead(r, i);
}

/* Somebody well writes, with the lease of the record's newest epoch. */
static bool
done(const struct run *r)
{
	const struct world *w = &r->w;
	const struct x_site *s;
	unsigned k;

	for (k = w->ne; k > 0; k--) {
		if (!w->e[k - 1].unended)
			continue;
		s = &w->site[w->e[k - 1].site];
		return reached(r, w->e[k - 1].site) && w->e[k - 1].live &&
		    s->alive && s->writable && keeper_runs(s) &&
		    lease_guard_held(&s->g, s->now) == w->e[k - 1].number;
	}
	return false;
}

/* The state by its canonical text, which it then is: the odd site moves. */
static uint64_t
key(struct run *r)
{
	uint8_t buf[X_PACKED + 2], perm[X_SITES];
	unsigned i, nsites = r->w.nsites;
	bool swapped;
	size_t n;

	r->w.faults = 0;
	n = world_pack(&r->w, buf, perm, &swapped);
	world_unpack(&r->w, buf, nsites);
	r->w.run = true;
	for (i = 0; i < nsites && perm[i] != r->odd; i++)
		;
	if (i < nsites) {
		r->odd = i;
		r->w.silent = (uint8_t)(1U << i);
	}
	buf[n++] = (uint8_t)i;
	buf[n++] = r->hangs;
	return x_hash(buf, n);
}

static bool
is_good(uint64_t h)
{
	unsigned i = h >> 58;
	bool b;

	(void)pthread_mutex_lock(&good[i].lock);
	b = set_has(&good[i].set, h);
	(void)pthread_mutex_unlock(&good[i].lock);
	return b;
}

static void
add_good(uint64_t h)
{
	unsigned i = h >> 58;

	(void)pthread_mutex_lock(&good[i].lock);
	(void)set_add(&good[i].set, h);
	(void)pthread_mutex_unlock(&good[i].lock);
}

/* Names of sites and operators are none here: one state, one result. */
static bool
tried(struct run *r)
{
	uint64_t was[LIVE_TICKS];
	unsigned t, i;

	r->w.run = true;
	heal(r);
	if (!can_be_proven(r))
		return true;
	for (t = 0; t < LIVE_TICKS; t++) {
		was[t] = key(r);
		if (is_good(was[t]))
			break;
		step(r);
		if (done(r))
			break;
		act(r, K_TICK, 0, 0, 0);
	}
	if (t == LIVE_TICKS)
		return false;
	for (i = 0; i <= t; i++)
		add_good(was[i]);
	return true;
}

const char *
live_blocked(const struct world *w)
{
	struct world late = *w;
	struct run r, q;
	unsigned m;

	(void)keep_long(&late, X_WAITS - 1);
	for (m = 0; m <= 2U * w->nsites; m++) {
		r.w = *w;
		q.w = late;
		q.odd = r.odd = m == 0 ? ALL_WELL : (m - 1) / 2;
		q.hangs = r.hangs = m > 0 && m % 2 == 0;
		if (tried(&r) && tried(&q))
			continue;
		return m == 0 ? "every fault ends" :
		    r.hangs   ? "all is well but one mysqld, which hangs" :
				"all is well but one site, which is silent";
	}
	return NULL;
}

void
live_free(void)
{
	unsigned i;

	for (i = 0; i < PARTS; i++)
		set_free(&good[i].set);
}
