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

/* A state from its bytes (explore_pack.c). */

#include <string.h>

#include "explore.h"

#define NO 0xff

struct get {
	const uint8_t *p;
	struct world *w;
};

static unsigned
get(struct get *k)
{
	return *k->p++;
}

/* The oldest age means never as well: nothing asks for the difference. */
static int64_t
get_age(struct get *k)
{
	return X_NOW - (int64_t)get(k) * X_TICK;
}

static int64_t
get_rest(struct get *k, int low)
{
	unsigned v = get(k);

	return v == NO ? LEASE_FOREVER : X_NOW + ((int64_t)v - low) * X_TICK;
}

/* What rank() wrote: a number that is not smaller than so many epochs. */
static uint64_t
get_rank(struct get *k)
{
	unsigned r = get(k);

	return r == NO ? X_LARGE : r * 10;
}

/* Two of three: one is the newest, any other the second. */
static void
get_newest(struct get *k, const struct x_epoch *e, struct lease_hold *h)
{
	int64_t second = get_age(k), newest = get_age(k);
	unsigned i;
	int who = 0;

	if (newest != second) {
		i = get(k);
		who = world_voter_index(e, i == k->w->nsites ? X_SITES : i);
	}
	h->sent_ms[who] = newest;
	h->sent_ms[who == 0 ? 1 : 0] = second;
}

static void
get_each(struct get *k, const struct x_epoch *e, struct lease_hold *h)
{
	unsigned i;
	int v;

	for (i = 0; i <= k->w->nsites; i++) {
		v = world_voter_index(e, i == k->w->nsites ? X_SITES : i);
		if (v != -1)
			h->sent_ms[v] = get_age(k);
	}
}

static void
get_hold(struct get *k, struct lease_hold *h)
{
	unsigned i, n = get(k);

	memset(h, 0, sizeof(*h));
	for (i = 0; i < LEASE_VOTERS_MAX; i++)
		h->sent_ms[i] = LEASE_NEVER;
	if (n == NO)
		return;
	h->t = world_terms(k->w, n);
	if (h->t.r == 1)
		h->sent_ms[0] = get_age(k);
	else if (keep_is_whole())
		get_each(k, &k->w->e[n], h);
	else
		get_newest(k, &k->w->e[n], h);
}

static void
get_guard(struct get *k, struct x_site *s)
{
	struct lease_guard *g = &s->g;
	unsigned f;

	if (!s->alive) {
		lease_guard_ended(g, X_NOW);
		return;
	}
	f = get(k);
	g->running = true;
	g->held = (f & 1) != 0;
	g->read_only = (f & 2) != 0;
	g->late = (f & 4) != 0;
	g->revoked = get_rank(k);
	get_hold(k, &g->cur);
	get_hold(k, &g->next);
	g->local_ms = get_age(k);
	/* How long ago: no grant comes when LEASE_LATE_MS have passed. */
	g->lost_ms = g->held ? LEASE_NEVER : X_NOW;
	g->fence_ms = X_FENCE;
	g->kill_ms = get_rest(k, 0);
	s->killer_ms = keeper_runs(s) ? lease_guard_kill_ms(g) : get_rest(k, 0);
}

static void
get_voter(struct get *k, struct x_site *s, unsigned id)
{
	struct lease_voter *v = &s->v;
	unsigned i, n = 0;

	memset(v, 0, sizeof(*v));
	v->id = id;
	v->informed = get(k) != 0;
	v->promised = get_rank(k);
	v->yes_floor_ms = v->start_ms = X_NOW - x_over() * X_TICK;
	for (i = 0; i < k->w->ne; i++) {
		if (k->w->e[i].vot[id - 10] != VOT_NOW || !k->w->e[i].unended)
			continue;
		v->yes[n].ms = get_age(k);
		v->yes[n].epoch = (i + 1) * 10;
		if (X_NOW - v->yes[n].ms >= x_over() * X_TICK)
			memset(&v->yes[n], 0, sizeof(v->yes[n]));
		else
			n++;
	}
}

static void
get_site(struct get *k, unsigned i)
{
	struct x_site *s = &k->w->site[i];
	unsigned f = get(k);

	s->now = X_NOW;
	s->alive = (f & 1) != 0;
	s->writable = (f & 2) != 0;
	s->hung = (f & 4) != 0;
	s->stopped = (f & 8) != 0;
	s->frozen = (f & 16) != 0;
	s->asleep = (f & 32) != 0;
	s->had = (f & 64) != 0;
	get_guard(k, s);
	get_voter(k, s, 10 + i);
}

static void
get_op(struct get *k, unsigned o)
{
	struct x_op *p = &k->w->op[o];
	unsigned f = get(k), i, m, s;
	int v;

	p->now = X_NOW;
	p->leads = (f & 1) != 0;
	p->cut = (f & 2) != 0;
	p->stale = (f & 4) != 0;
	p->own = (f & 8) != 0;
	p->saw = LEASE_NEVER;
	p->seen = get_age(k);
	p->over = weak(W_TERM_PROOF) ? (uint8_t)get(k) : 0;
	p->mine = -1;
	p->old_end = p->own_end = LEASE_NEVER;
	for (i = 0; i < X_EPOCHS; i++) {
		lease_auth_init(&p->auth[i]);
		p->since[i] = LEASE_NEVER;
	}
	p->until = X_NOW;
	if (!p->leads)
		return;
	p->until = get_rest(k, 0);
	p->seen = p->until - (op_until(p) - p->now);
	p->own_end = get_rest(k, 3);
	p->old_end = get_rest(k, 3);
	m = get(k);
	p->mine = m == NO ? -1 : (int)m;
	if (m != NO)
		p->saw = get_age(k);
	for (i = 0; i < k->w->ne; i++) {
		struct lease_auth *a = &p->auth[i];

		if (!k->w->e[i].unended)
			continue;
		m = get(k);
		a->revoked = (m & 1U << 6) != 0;
		for (s = 0; s <= k->w->nsites; s++) {
			v = world_voter_index(
			    &k->w->e[i], s == k->w->nsites ? X_SITES : s);
			if (v != -1 &&
			    ((m & 1U << s) != 0 || (m & X_ENOUGH) == X_ENOUGH))
				a->promised |= (uint16_t)(1U << v);
		}
		/* Also what stood in since[]: the later of the two. */
		a->yes_ms = a->newest_ms = get_age(k);
	}
}

static void
get_flight(struct get *k)
{
	struct world *w = k->w;
	unsigned i, n = get(k), e;

	for (i = 0; i < n; i++) {
		w->grant[i].on = true;
		w->grant[i].site = (uint8_t)get(k);
		e = get(k);
		w->grant[i].op = e == NO ? -1 : (int)e;
		w->grant[i].limit = get_rest(k, 0);
	}
	e = get(k);
	if (e != NO) {
		w->late.on = true;
		w->late.epoch = (uint8_t)e;
		w->late.site = (uint8_t)get(k);
		w->late.voter = (uint8_t)get(k);
		w->late.sent = get_age(k);
	}
	w->put.on = get(k) != 0;
	if (w->put.on) {
		w->put.site = (uint8_t)get(k);
		w->put.sub = (uint8_t)get(k);
		w->put.keep = (uint8_t)get(k);
	}
}

void
world_unpack(struct world *w, const uint8_t *buf, unsigned nsites)
{
	struct get k = { buf, w };
	unsigned i, s, f;

	memset(w, 0, sizeof(*w));
	w->nsites = (uint8_t)nsites;
	w->faults = (uint8_t)get(&k);
	f = get(&k);
	w->norecord = (f & 1) != 0;
	w->clean = (f & 2) != 0;
	w->skewed = (f & 4) != 0;
	w->ne = (uint8_t)get(&k);
	for (i = 0; i < nsites; i++) {
		w->site[i].g.id = 100 + i;
		w->site[i].g.incarnation = 5;
		w->site[i].v.id = 10 + i;
	}
	for (i = 0; i < w->ne; i++) {
		f = get(&k);
		w->e[i].number = (i + 1) * 10;
		w->e[i].site = f & 15;
		w->e[i].live = (f & 16) != 0;
		w->e[i].unended = (f & 32) != 0;
		w->e[i].dead = (f & 64) != 0;
		for (s = 0; s < nsites; s++)
			w->e[i].vot[s] = (uint8_t)get(&k);
	}
	for (i = 0; i < X_OPS; i++)
		get_op(&k, i);
	for (i = 0; i < nsites; i++)
		get_site(&k, i);
	get_flight(&k);
}
