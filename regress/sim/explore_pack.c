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
 * A state as bytes. Only what can still matter is written: an age that has
 * passed every limit is that limit, an epoch that nobody can act upon is gone,
 * numbers are ranks. Sites and operators have no names: of all orders the
 * smallest text is the state.
 */

#include <string.h>

#include "explore.h"

#define NO 0xff

struct pack {
	uint8_t *p;
	const struct world *w;
	uint8_t rank[X_EPOCHS]; /* of epoch k, NO: gone */
	uint8_t left[X_EPOCHS]; /* the others, by rank */
	uint8_t n;              /* so many */
	const uint8_t *perm;    /* NULL: of what is no site's own, nothing */
};

static void
put(struct pack *k, unsigned v)
{
	*k->p++ = (uint8_t)v;
}

/* In ticks, 0 … cap; never is older than everything. */
static void
put_age(struct pack *k, int64_t now, int64_t t, int cap)
{
	int64_t age = t == LEASE_NEVER ? cap : (now - t) / X_TICK;

	put(k, age > cap ? (unsigned)cap : (unsigned)age);
}

/* Ticks until then, down to -low; FOREVER is NO. */
static void
put_rest(struct pack *k, int64_t now, int64_t t, int low)
{
	int64_t rest;

	if (t == LEASE_FOREVER) {
		put(k, NO);
		return;
	}
	rest = t == LEASE_NEVER ? -low : (t - now) / X_TICK;
	put(k, (unsigned)((rest < -low ? -low : rest) + low));
}

/*
 * The largest epoch up to that number which is left and asks for it: of that
 * site, or with its voter. By rank, counted from 1.
 */
static unsigned
rank(const struct pack *k, uint64_t number, unsigned site, bool voter)
{
	const struct x_epoch *e;
	unsigned i, n = 0;

	if (number == X_LARGE)
		return NO;
	for (i = 0; i < k->w->ne; i++) {
		e = &k->w->e[i];
		if (k->rank[i] == NO || e->number > number)
			continue;
		if (voter ? e->vot[site] == VOT_NOW : e->site == site)
			n = k->rank[i] + 1U > n ? k->rank[i] + 1U : n;
	}
	return n;
}

static unsigned
index_of(const struct pack *k, uint64_t number)
{
	int i = world_epoch(k->w, number);

	return i == -1 ? NO : k->rank[i];
}

/* They stand in the order of their numbers. */
static void
rank_epochs(struct pack *k)
{
	const struct world *w = k->w;
	unsigned i;

	k->n = 0;
	for (i = 0; i < w->ne; i++) {
		k->rank[i] = NO;
		if (!keep_epoch(w, i))
			continue;
		k->left[k->n] = (uint8_t)i;
		k->rank[i] = k->n++;
	}
}

/* ----------------------------------------------------------------- sites - */

/* Of the renewals only the r newest can ever count. */
static int64_t
least_that_counts(const struct lease_hold *h)
{
	int64_t best = LEASE_NEVER;
	int i, j, newer;

	for (i = 0; i < h->t.n; i++) {
		for (newer = 0, j = 0; j < h->t.n; j++)
			if (h->sent_ms[j] >= h->sent_ms[i])
				newer++;
		if (newer >= h->t.r && h->sent_ms[i] > best)
			best = h->sent_ms[i];
	}
	return best;
}

/*
 * Two of three must renew. Whoever renews next will be newer than all: then
 * the newest of the other two counts. So it matters who the newest is, when
 * there is one that is newer than the second, but not who that is.
 */
static void
pack_newest(struct pack *k, const struct x_site *s, const struct lease_hold *h,
    int64_t second, int cap)
{
	const struct x_epoch *e = &k->w->e[world_epoch(k->w, h->t.epoch)];
	int64_t newest = LEASE_NEVER;
	unsigned i, voter, who = NO;
	int v;

	for (v = 0; v < h->t.n; v++)
		if (h->sent_ms[v] > newest)
			newest = h->sent_ms[v];
	put_age(k, s->now, second, cap);
	put_age(k, s->now, newest, cap);
	if (k->perm == NULL || k->p[-1] == k->p[-2])
		return;
	for (i = 0; i <= k->w->nsites; i++) {
		voter = i == k->w->nsites ? X_SITES : k->perm[i];
		v = world_voter_index(e, voter);
		if (v != -1 && h->sent_ms[v] == newest)
			who = i;
	}
	put(k, who);
}

/* The same, voter by voter (keep_whole). */
static void
pack_each(struct pack *k, const struct x_site *s, const struct lease_hold *h,
    int64_t least, int cap)
{
	const struct x_epoch *e = &k->w->e[world_epoch(k->w, h->t.epoch)];
	unsigned i, voter;
	int v;

	for (i = 0; k->perm != NULL && i <= k->w->nsites; i++) {
		voter = i == k->w->nsites ? X_SITES : k->perm[i];
		v = world_voter_index(e, voter);
		if (v != -1)
			put_age(k, s->now,
			    h->sent_ms[v] < least ? LEASE_NEVER : h->sent_ms[v],
			    cap);
	}
}

static void
pack_hold(struct pack *k, const struct x_site *s, const struct lease_hold *h)
{
	int cap = (int)x_lease();
	unsigned n = index_of(k, h->t.epoch);
	int64_t least = least_that_counts(h);

	put(k, n);
	if (n == NO)
		return;
	if (!keeper_runs(s))
		cap += X_FENCE / X_TICK;
	if (h->t.r == 1)
		put_age(k, s->now, least, cap);
	else if (keep_is_whole())
		pack_each(k, s, h, least, cap);
	else
		pack_newest(k, s, h, least, cap);
}

static void
pack_guard(struct pack *k, const struct x_site *s, unsigned i)
{
	const struct lease_guard *g = &s->g;
	bool held, late = g->late && (s->writable || keep_grant_comes(k->w, i));
	bool read_only = g->read_only || !keep_reading(k->w, i);

	held = g->held && index_of(k, g->cur.t.epoch) != NO;
	put(k, (unsigned)(held | read_only << 1 | late << 2));
	put(k, rank(k, g->revoked, i, false));
	/* Without what it held, the successor is what it may come to hold. */
	if (index_of(k, g->cur.t.epoch) == NO) {
		pack_hold(k, s, &g->next);
		put(k, NO);
	} else {
		pack_hold(k, s, &g->cur);
		pack_hold(k, s, &g->next);
	}
	put_age(k, s->now, g->local_ms, 2);
	/* Read-only it is not killed, unless it can't be seen to be. */
	put_rest(k, s->now,
	    keeper_runs(s) && !s->hung && !s->writable &&
		    !keep_grant_sent(k->w, i) ?
		LEASE_FOREVER :
		g->kill_ms,
	    0);
	if (!keeper_runs(s))
		put_rest(k, s->now, s->killer_ms, 0);
}

/*
 * A voter's yes matters while the epoch is unended, and when it is newer than
 * what the leader, who is always among those that promise, counts anyway.
 */
static void
pack_voter(struct pack *k, const struct x_site *s, unsigned site)
{
	const struct world *w = k->w;
	const struct lease_voter *v = &s->v;
	int64_t newest;
	unsigned i, j, r;
	bool all = weak(W_PREDECESSOR) || weak(W_FEW) || weak(W_DEPOSED);

	put(k, v->informed);
	put(k, rank(k, v->promised, site, true));
	for (r = 0; r < k->n; r++) {
		i = k->left[r];
		if (w->e[i].vot[site] != VOT_NOW || !w->e[i].unended)
			continue;
		newest = v->yes_floor_ms;
		for (j = 0; j < LEASE_YES_MAX; j++)
			if (v->yes[j].epoch == w->e[i].number)
				newest = v->yes[j].ms;
		if (!all && newest != LEASE_NEVER &&
		    s->now - newest >= keep_leader_age(w, i))
			newest = LEASE_NEVER;
		if (!keep_waits(w, i))
			newest = LEASE_NEVER;
		put_age(k, s->now, newest, (int)x_over());
	}
}

static void
pack_site(struct pack *k, unsigned i)
{
	const struct x_site *s = &k->w->site[i];

	put(k,
	    (unsigned)(s->alive | s->writable << 1 | s->hung << 2 |
		s->stopped << 3 | s->frozen << 4 | s->asleep << 5 |
		(s->had && weak(W_WORD)) << 6));
	if (s->alive)
		pack_guard(k, s, i);
	pack_voter(k, s, i);
}

static void
pack_epoch(struct pack *k, unsigned i)
{
	const struct x_epoch *e = &k->w->e[i];
	unsigned s;

	for (s = 0; s < k->w->nsites; s++)
		if (k->perm[s] == e->site)
			put(k,
			    s | (unsigned)e->live << 4 |
				(unsigned)e->unended << 5 |
				(unsigned)e->dead << 6);
	for (s = 0; s < k->w->nsites; s++)
		put(k, e->vot[k->perm[s]]);
}

/* ------------------------------------------------------------- operators - */

static void
pack_auth(struct pack *k, const struct x_op *p, unsigned i)
{
	const struct lease_auth *a = &p->auth[i];
	const struct x_epoch *e = &k->w->e[i];
	struct lease_terms t = world_terms(k->w, i);
	unsigned s, voter, m = 0;
	int64_t newest;
	int v;

	/* When they are enough, nobody asks whose they were. */
	if (a->revoked && lease_auth_missing(a, &t) == 0 && !keep_is_whole())
		m = X_ENOUGH;
	for (s = 0; m != X_ENOUGH && s <= k->w->nsites; s++) {
		voter = s == k->w->nsites ? X_SITES : k->perm[s];
		v = world_voter_index(e, voter);
		if (v != -1 && (a->promised & 1U << v) != 0)
			m |= 1U << s;
	}
	put(k, m | (unsigned)a->revoked << 6);
	/* Of its own yes and its predecessors' only the later counts. */
	newest = a->revoked         ? a->newest_ms :
	    a->yes_ms > p->since[i] ? a->yes_ms :
				      p->since[i];
	if (!keep_waits(k->w, i))
		newest = LEASE_NEVER;
	put_age(k, p->now, newest, (int)x_over());
}

/* Of a set of epochs those that are left, by rank. */
static unsigned
ranks(const struct pack *k, unsigned mask)
{
	unsigned i, m = 0;

	for (i = 0; i < k->w->ne; i++)
		if (k->rank[i] != NO && (mask & 1U << i) != 0)
			m |= 1U << k->rank[i];
	return m;
}

/*
 * Of two only the later counts. Its own is the one that changes, but never to
 * what has passed; what lies ahead of the other is what counts when its own
 * grant was answered.
 */
static void
pack_grants_end(struct pack *k, const struct x_op *p)
{
	int64_t own = p->own_end, old = p->old_end;

	if (own <= old)
		own = LEASE_NEVER;
	if (old <= p->now && !keep_is_whole()) {
		own = op_grants_end(p);
		old = LEASE_NEVER;
	}
	if (!keep_grants_end(k->w)) {
		own = LEASE_NEVER;
		if (!keep_old_end())
			old = LEASE_NEVER;
	}
	put_rest(k, p->now, own, 3);
	put_rest(k, p->now, old, 3);
}

static void
pack_op(struct pack *k, unsigned o)
{
	const struct x_op *p = &k->w->op[o];
	unsigned i, m;

	put(k,
	    (unsigned)(p->leads | p->cut << 1 | p->stale << 2 | p->own << 3));
	/* Who takes the Lease counts from there; a leader's is in until. */
	put_age(k, p->now, p->leads ? LEASE_NEVER : p->seen,
	    X_QUIET / X_TICK + (int)x_over());
	if (weak(W_TERM_PROOF))
		put(k, ranks(k, p->over));
	if (!p->leads)
		return;
	put_rest(k, p->now, p->until, 0);
	pack_grants_end(k, p);
	m = p->mine == -1 ? NO : k->rank[p->mine];
	put(k, m);
	if (m != NO)
		put_age(k, p->now, p->saw, X_REPORT / X_TICK + 1);
	for (i = 0; i < k->n; i++)
		if (k->w->e[k->left[i]].unended)
			pack_auth(k, p, k->left[i]);
}

/* ----------------------------------------------------------- the network - */

static unsigned
place(const struct pack *k, unsigned site)
{
	unsigned i;

	for (i = 0; i < k->w->nsites; i++)
		if (k->perm[i] == site)
			return i;
	return X_SITES;
}

static void
pack_grants(struct pack *k, bool swapped)
{
	const struct x_grant *g;
	uint8_t b[X_GRANTS][3];
	unsigned i, n = 0;

	for (i = 0; i < X_GRANTS; i++) {
		g = &k->w->grant[i];
		if (!g->on)
			continue;
		b[n][0] = (uint8_t)place(k, g->site);
		b[n][1] = (uint8_t)(g->op == -1 ?
			NO :
			(unsigned)g->op ^ (unsigned)swapped);
		b[n][2] = (uint8_t)(g->limit < k->w->site[g->site].now ?
			0 :
			(g->limit - k->w->site[g->site].now) / X_TICK);
		n++;
	}
	put(k, n);
	if (n == 2 && memcmp(b[0], b[1], 3) > 0) {
		memcpy(k->p, b[1], 3);
		memcpy(k->p + 3, b[0], 3);
	} else
		memcpy(k->p, b, 3 * n);
	k->p += 3 * n;
}

static unsigned
mirror(const struct pack *k, unsigned mask)
{
	unsigned i, m = 0;

	for (i = 0; i < k->w->nsites; i++)
		if ((mask & 1U << k->perm[i]) != 0)
			m |= 1U << i;
	return m;
}

static bool
late_left(const struct pack *k)
{
	return k->w->late.on && k->rank[k->w->late.epoch] != NO &&
	    keep_late(k->w);
}

static void
pack_flight(struct pack *k)
{
	const struct world *w = k->w;
	int64_t now = w->site[w->late.site].now;
	bool late = late_left(k);

	put(k, late ? k->rank[w->late.epoch] : NO);
	if (late) {
		put(k, place(k, w->late.site));
		put(k,
		    w->late.voter == X_SITES ? X_SITES :
					       place(k, w->late.voter));
		put_age(k, now, w->late.sent, (int)x_lease());
	}
	put(k, w->put.on);
	if (!w->put.on)
		return;
	put(k, place(k, w->put.site));
	put(k, mirror(k, w->put.sub));
	put(k, ranks(k, w->put.keep));
}

static size_t
pack_as(struct pack *k, uint8_t *buf, bool swapped)
{
	const struct world *w = k->w;
	unsigned i;

	k->p = buf;
	put(k, w->faults);
	put(k, (unsigned)(w->norecord | w->clean << 1 | w->skewed << 2));
	put(k, k->n);
	for (i = 0; i < k->n; i++)
		pack_epoch(k, k->left[i]);
	for (i = 0; i < X_OPS; i++)
		pack_op(k, i ^ (unsigned)swapped);
	for (i = 0; i < w->nsites; i++)
		pack_site(k, k->perm[i]);
	pack_grants(k, swapped);
	pack_flight(k);
	return (size_t)(k->p - buf);
}

/* One leads at most: the leader comes first, else the better of them. */
static bool
second_first(const struct world *w)
{
	const struct x_op *a = &w->op[0], *b = &w->op[1];

	if (a->leads != b->leads)
		return b->leads;
	if (a->cut != b->cut)
		return a->cut;
	if (a->own != b->own)
		return b->own;
	return b->now - b->seen > a->now - a->seen;
}

/* What tells sites apart at a glance. */
static uint64_t
site_key(const struct pack *k, unsigned i)
{
	const struct world *w = k->w;
	const struct x_site *s = &w->site[i];
	unsigned e, n = 0, key = 0;

	for (e = 0; e < w->ne; e++) {
		if (k->rank[e] == NO)
			continue;
		if (w->e[e].site == i)
			n++;
		key += w->e[e].vot[i] << 2 * k->rank[e];
		key += (unsigned)keep_someones(w, e)
		    << (w->e[e].site == i ? 12 : 13);
	}
	key |= n << 14 | (unsigned)s->alive << 18 |
	    (unsigned)s->writable << 19 | (unsigned)s->hung << 20 |
	    (unsigned)s->stopped << 21 | (unsigned)s->frozen << 22 |
	    (unsigned)s->v.informed << 23 |
	    (unsigned)keep_grant_sent(w, i) << 24 |
	    (unsigned)(late_left(k) && w->late.site == i) << 25 |
	    (unsigned)(w->put.on && w->put.site == i) << 26;
	return key;
}

/*
 * What tells sites apart, so that few orders are left to try: nothing of it
 * changes with the order.
 */
static void
site_keys(struct pack *k, uint64_t *key)
{
	uint8_t buf[X_PACKED];
	unsigned i, n = k->w->nsites;
	bool same[X_SITES];

	for (i = 0; i < n; i++)
		key[i] = site_key(k, i);
	for (i = 0; i < n; i++)
		same[i] = key[i] == key[(i + 1) % n] ||
		    key[i] == key[(i + n - 1) % n];
	for (i = 0; i < n; i++) {
		if (!same[i])
			continue;
		k->perm = NULL;
		k->p = buf;
		pack_site(k, i);
		key[i] |= x_hash(buf, (size_t)(k->p - buf)) << 32;
	}
}

static bool
in_order(const uint64_t *key, const uint8_t *perm, unsigned n)
{
	unsigned i;

	for (i = 1; i < n; i++)
		if (key[perm[i - 1]] < key[perm[i]])
			return false;
	return true;
}

size_t
world_pack(struct world *w, uint8_t *out, uint8_t *perm, bool *swapped)
{
	static const uint8_t orders[6][X_SITES] = { { 0, 1, 2 }, { 1, 0, 2 },
		{ 0, 2, 1 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
	struct pack k = { .w = w };
	uint8_t buf[X_PACKED];
	uint64_t key[X_SITES];
	unsigned i;
	size_t n, best = 0;

	rank_epochs(&k);
	site_keys(&k, key);
	*swapped = second_first(w);
	for (i = 0; i < (w->nsites == 2 ? 2 : 6); i++) {
		if (!in_order(key, orders[i], w->nsites))
			continue;
		k.perm = orders[i];
		n = pack_as(&k, buf, *swapped);
		if (best != 0 && memcmp(buf, out, n < best ? n : best) >= 0)
			continue;
		memcpy(out, buf, n);
		best = n;
		memcpy(perm, orders[i], X_SITES);
	}
	return best;
}
