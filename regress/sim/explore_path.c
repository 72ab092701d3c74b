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
 * Does the bound hold what it must hold at least? One course of events, whose
 * every state must be among those that were visited: mint and grant, the
 * leader crashes, the lease runs out, another site gets an epoch and a grant,
 * its voter is replaced, its lease runs out, it is granted again.
 */

#include <stdio.h>

#include "explore.h"

enum pick { ANY, SAME, OTHER };

/* ticks: how long it may take until that is possible. */
static const struct {
	enum x_kind kind;
	enum pick pick; /* site of the mint, by that of the newest epoch */
	unsigned ticks;
} course[] = {
	{ K_ACQUIRE, ANY, 0 },
	{ K_MINT, ANY, 0 },
	{ K_RENEW, ANY, 0 },
	{ K_GRANT, ANY, 0 },
	{ K_LAND, ANY, 0 },
	{ K_CRASH, ANY, 0 },
	{ K_ACQUIRE, ANY, 9 },
	{ K_REVOKE, ANY, 0 },
	{ K_PROMISE, ANY, 0 },
	{ K_MINT, OTHER, 19 },
	{ K_RENEW, ANY, 0 },
	{ K_GRANT, ANY, 0 },
	{ K_LAND, ANY, 0 },
	{ K_VOTER_LOST, OTHER, 0 },
	{ K_FENCE, ANY, 9 },
	{ K_MINT, SAME, 9 },
	{ K_RENEW, ANY, 0 },
	{ K_GRANT, ANY, 0 },
	{ K_LAND, ANY, 0 },
};

/* Its mints name all the others. */
static bool
fits(const struct world *w, struct action a, enum pick pick)
{
	unsigned k = w->ne, site = a.kind == K_VOTER_LOST ? a.a : a.b;

	if (a.kind == K_MINT && a.c != ((1U << w->nsites) - 1) - (1U << a.b))
		return false;
	while (k > 0 && !w->e[k - 1].unended)
		k--;
	return pick == ANY || k == 0 ||
	    (site == w->e[k - 1].site) == (pick == SAME);
}

static bool
go(struct world *w, struct action a)
{
	uint8_t buf[X_PACKED], perm[X_SITES];
	unsigned nsites = w->nsites;
	bool swapped;
	size_t n;

	world_apply(w, a);
	n = world_pack(w, buf, perm, &swapped);
	world_unpack(w, buf, nsites);
	return find_has(buf, n);
}

/* That voter has just renewed the epoch that is being taken. */
static bool
asked(const struct world *w, struct action a)
{
	const struct x_epoch *e = &w->e[a.b];
	const struct x_site *s = &w->site[e->site];
	const struct lease_hold *h =
	    s->g.cur.t.epoch == e->number ? &s->g.cur : &s->g.next;

	return h->t.epoch == e->number &&
	    h->sent_ms[world_voter_index(e, a.c)] == s->now;
}

/*
 * One voter after the other, until the guard holds the newest epoch. Sites
 * change their places with each step: what is possible is asked for anew.
 */
static bool
renewed(struct world *w)
{
	struct action a[X_ACTIONS];
	const struct x_epoch *e;
	unsigned i, n, k;

	for (;;) {
		n = world_actions(w, a);
		for (k = w->ne; k > 0 && !w->e[k - 1].unended; k--)
			;
		for (i = 0; i < n && k > 0; i++)
			if (a[i].kind == K_RENEW && a[i].b == k - 1 &&
			    !asked(w, a[i]))
				break;
		if (i == n || k == 0 || !go(w, a[i]))
			return false;
		for (k = w->ne; k > 0 && !w->e[k - 1].unended; k--)
			;
		e = &w->e[k - 1];
		if (k > 0 &&
		    lease_guard_held(
			&w->site[e->site].g, w->site[e->site].now) == e->number)
			return true;
	}
}

static bool
one(struct world *w, enum x_kind kind, enum pick pick, unsigned ticks)
{
	struct action a[X_ACTIONS];
	unsigned i, n;

	if (kind == K_RENEW)
		return renewed(w);
	for (;;) {
		n = world_actions(w, a);
		for (i = 0; i < n; i++)
			if (a[i].kind == kind && fits(w, a[i], pick))
				return go(w, a[i]);
		if (ticks-- == 0 || !go(w, (struct action) { .kind = K_TICK }))
			return false;
	}
}

bool
path_inside(const struct x_limits *l)
{
	struct world w;
	uint8_t buf[X_PACKED], perm[X_SITES];
	bool swapped;
	unsigned i;

	if (l->faults < 2 || l->live)
		return true;
	world_init(&w, l->nsites, l->faults);
	(void)world_pack(&w, buf, perm, &swapped);
	world_unpack(&w, buf, l->nsites);
	for (i = 0; i < sizeof(course) / sizeof(course[0]); i++)
		if (!one(&w, course[i].kind, course[i].pick, course[i].ticks)) {
			printf("step %u of the course is not inside\n", i + 1);
			return false;
		}
	printf("inside: mint, leader crash, expiry, mint for another site, "
	       "voter replaced, expiry, re-grant\n");
	return true;
}
