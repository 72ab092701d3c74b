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
 * Breadth first over all states: what is found is found by a shortest path. A
 * state is remembered by 64 bits of a hash, with who led to it and how.
 */

#include <stdlib.h>
#include <string.h>

#include "explore.h"

struct queue {
	uint8_t *p;
	size_t len, size;
};

static struct x_set seen;
static uint32_t *from_state;
static struct action *by_action;
static size_t room;
static bool table_full;

/* True: it was not there. */
static bool
remember(uint64_t h, uint32_t from, struct action by)
{
	if (!set_add(&seen, h))
		return false;
	if (seen.n > room) {
		room = room == 0 ? 1U << 20 : 2 * room;
		from_state =
		    x_need(reallocarray(from_state, room, sizeof(*from_state)));
		by_action =
		    x_need(reallocarray(by_action, room, sizeof(*by_action)));
	}
	from_state[seen.n - 1] = from;
	by_action[seen.n - 1] = by;
	return true;
}

bool
find_has(const uint8_t *p, size_t n)
{
	return set_has(&seen, x_hash(p, n));
}

void
find_table_full(void)
{
	table_full = true;
}

void
find_free(void)
{
	set_free(&seen);
	free(from_state);
	free(by_action);
	from_state = NULL;
	by_action = NULL;
	room = 0;
	table_full = false;
}

static void
push(struct queue *q, const uint8_t *p, size_t n)
{
	if (q->len + n + 1 > q->size) {
		q->size = q->size == 0 ? 1U << 20 : 2 * q->size;
		q->p = x_need(realloc(q->p, q->size));
	}
	q->p[q->len++] = (uint8_t)n;
	memcpy(q->p + q->len, p, n);
	q->len += n;
}

/* One state's successors; false: the search ends here. */
static bool
expand(const struct x_limits *l, const uint8_t *buf, uint32_t from,
    struct queue *next, struct x_found *f)
{
	static struct action acts[X_ACTIONS];
	struct world w, v;
	uint8_t out[X_PACKED], perm[X_SITES];
	unsigned i, n;
	size_t len;
	bool swapped;

	world_unpack(&w, buf, l->nsites);
	n = world_actions(&w, acts);
	for (i = 0; i < n; i++) {
		v = w;
		world_apply(&v, acts[i]);
		f->steps++;
		len = world_pack(&v, out, perm, &swapped);
		if (!remember(x_hash(out, len), from, acts[i]))
			continue;
		f->kinds[acts[i].kind]++;
		f->last = (uint32_t)(seen.n - 1);
		f->end = world_writers(&v) > 1  ? E_TWO :
		    l->live && !world_heals(&v) ? E_BLOCKED :
		    seen.n > l->states          ? E_FULL :
						  E_ALL;
		if (f->end != E_ALL)
			return false;
		push(next, out, len);
	}
	return true;
}

struct x_found
find(const struct x_limits *l)
{
	struct x_found f;
	struct queue now = { NULL, 0, 0 }, next = { NULL, 0, 0 }, t;
	struct world w;
	uint8_t out[X_PACKED], perm[X_SITES];
	uint32_t from = 0;
	size_t at, n;
	bool swapped;

	memset(&f, 0, sizeof(f));
	find_free();
	live_free();
	keep_all(l->live);
	act_no_late(l->live);
	world_init(&w, l->nsites, l->faults);
	n = world_pack(&w, out, perm, &swapped);
	(void)remember(x_hash(out, n), 0, (struct action) { 0 });
	push(&next, out, n);
	while (next.len > 0 && f.end == E_ALL) {
		t = now, now = next, next = t;
		next.len = 0;
		if (seen.n - from > f.width)
			f.width = seen.n - from;
		for (at = 0; at < now.len && f.end == E_ALL;
		    at += now.p[at] + 1U)
			(void)expand(l, now.p + at + 1, from++, &next, &f);
		if (next.len > 0 || f.end != E_ALL)
			f.depth++;
	}
	f.states = seen.n;
	f.full = table_full;
	free(now.p);
	free(next.p);
	return f;
}

unsigned
find_path(uint32_t state, struct action *a, unsigned max)
{
	unsigned n = 0, i;
	uint32_t s;

	for (s = state; s != 0; s = from_state[s])
		n++;
	for (s = state, i = n; s != 0; s = from_state[s])
		if (--i < max)
			a[i] = by_action[s];
	return n < max ? n : max;
}
