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
 *
 * States of one depth are worked off in batches, a batch in chunks, by as many
 * threads as there are. These only read what was seen before the batch; what a
 * chunk found is taken over by one thread, in the order of the chunks. So the
 * result is the same with any number of threads, down to the numbers of the
 * states. (Threads: this is no daemon, and they share gigabytes.)
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore.h"

#define CHUNKS      64
#define CHUNK       256 /* states */
#define THREADS_MAX 16
#define NONE        UINT32_MAX

struct bytes {
	uint8_t *p;
	size_t len, size;
};

/* A state that was not there when the batch began; its text follows. */
struct step {
	uint64_t hash;
	uint32_t from;
	struct action by;
	uint8_t len;
	bool two; /* sites write */
};

struct chunk {
	const uint8_t *p, *end; /* what is to be done */
	uint32_t from;          /* number of the first */
	struct bytes out;       /* steps */
	uint64_t steps;
	uint32_t blocked; /* the state that is, or NONE */
	const char *why;
	bool full;
};

static struct x_set seen;
static struct x_set merged, images; /* of them those that were met */
static uint32_t *from_state;
static struct action *by_action;
static size_t room;
static _Thread_local bool table_full;

static struct {
	const struct x_limits *l;
	struct chunk c[CHUNKS];
	unsigned n;
	atomic_uint next, stop; /* nothing after that chunk is needed */
	bool quit;
	unsigned threads;
	pthread_t thread[THREADS_MAX];
	pthread_barrier_t begin, end;
} crew;

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
}

/* The state as it is merged is among those; nobody else packs meanwhile. */
static bool
image_found(const uint8_t *p, unsigned nsites)
{
	uint8_t out[X_PACKED], perm[X_SITES];
	struct world w;
	bool swapped;
	uint64_t h;

	world_unpack(&w, p, nsites);
	keep_whole(false);
	h = x_hash(out, world_pack(&w, out, perm, &swapped));
	keep_whole(true);
	(void)set_add(&images, h);
	return set_has(&merged, h);
}

size_t
find_compare(void)
{
	set_free(&merged);
	set_free(&images);
	merged = seen;
	memset(&seen, 0, sizeof(seen));
	return merged.n;
}

size_t
find_images(void)
{
	return images.n;
}

static uint8_t *
append(struct bytes *b, size_t n)
{
	if (b->len + n > b->size) {
		b->size = b->size == 0 ? 1U << 16 : 2 * b->size;
		b->p = x_need(realloc(b->p, b->size));
	}
	b->len += n;
	return b->p + b->len - n;
}

/* ------------------------------------------------------ many at a time --- */

/*
 * One state's successors, or (waits) what else may come of it when its waits
 * are not over; false: the search ends here.
 */
static bool
expand(struct chunk *c, const struct world *w, uint32_t from, unsigned waits)
{
	static _Thread_local struct {
		struct step s;
		uint8_t text[X_PACKED];
	} all[X_ACTIONS], *t;
	struct action acts[X_ACTIONS];
	struct world v;
	uint8_t perm[X_SITES], *out;
	unsigned i, n, done = 0;
	bool swapped, two = false;

	n = world_actions(w, acts);
	if (waits != 0)
		n = act_waits(acts, n);
	while (done < n && !two) {
		t = &all[done];
		v = *w;
		world_apply(&v, acts[done]);
		t->s.len = (uint8_t)world_pack(&v, t->text, perm, &swapped);
		t->s.hash = x_hash(t->text, t->s.len);
		set_soon(&seen, t->s.hash);
		t->s.from = from;
		t->s.by = acts[done++];
		t->s.by.waits = waits & (X_WAITS - 1);
		t->s.two = two = world_writers(&v) > 1;
	}
	c->steps += done;
	for (i = 0; i < done; i++) {
		t = &all[i];
		if (set_has(&seen, t->s.hash))
			continue;
		out = append(&c->out, sizeof(t->s) + t->s.len);
		memcpy(out, &t->s, sizeof(t->s));
		memcpy(out + sizeof(t->s), t->text, t->s.len);
	}
	return !two;
}

static bool
expand_all(struct chunk *c, const struct world *w, uint32_t from)
{
	struct world v;
	unsigned waits;

	if (!expand(c, w, from, 0))
		return false;
	for (waits = 1; waits < X_WAITS; waits++) {
		v = *w;
		if (keep_long(&v, waits) && !expand(c, &v, from, waits))
			return false;
	}
	return true;
}

/* False: no chunk after it is needed. */
static bool
work_chunk(struct chunk *c)
{
	struct world w;
	const uint8_t *p;
	uint32_t from = c->from;
	bool good = true;

	c->out.len = 0;
	c->steps = 0;
	c->blocked = NONE;
	table_full = false;
	for (p = c->p; p < c->end && good; p += *p + 1U, from++) {
		world_unpack(&w, p + 1, crew.l->nsites);
		if (crew.l->live && (c->why = live_blocked(&w)) != NULL) {
			c->blocked = from;
			good = false;
		} else
			good = expand_all(c, &w, from);
	}
	c->full = table_full;
	return good;
}

static void
work(void)
{
	unsigned i, stop;

	for (;;) {
		i = atomic_fetch_add(&crew.next, 1);
		if (i >= crew.n || i > atomic_load(&crew.stop))
			return;
		if (work_chunk(&crew.c[i]))
			continue;
		stop = atomic_load(&crew.stop);
		while (i < stop &&
		    !atomic_compare_exchange_weak(&crew.stop, &stop, i))
			;
	}
}

static void *
worker(void *arg)
{
	(void)arg;
	for (;;) {
		(void)pthread_barrier_wait(&crew.begin);
		if (crew.quit)
			return NULL;
		work();
		(void)pthread_barrier_wait(&crew.end);
	}
}

static void
crew_start(const struct x_limits *l)
{
	unsigned i;

	crew.l = l;
	crew.quit = false;
	crew.threads = l->threads < 1 ? 1 :
	    l->threads > THREADS_MAX  ? THREADS_MAX :
					l->threads;
	(void)pthread_barrier_init(&crew.begin, NULL, crew.threads);
	(void)pthread_barrier_init(&crew.end, NULL, crew.threads);
	for (i = 1; i < crew.threads; i++)
		if (pthread_create(&crew.thread[i], NULL, worker, NULL) != 0)
			abort();
}

static void
crew_stop(void)
{
	unsigned i;

	crew.quit = true;
	(void)pthread_barrier_wait(&crew.begin);
	for (i = 1; i < crew.threads; i++)
		(void)pthread_join(crew.thread[i], NULL);
	(void)pthread_barrier_destroy(&crew.begin);
	(void)pthread_barrier_destroy(&crew.end);
	for (i = 0; i < CHUNKS; i++) {
		free(crew.c[i].out.p);
		memset(&crew.c[i].out, 0, sizeof(crew.c[i].out));
	}
}

/* A few are done sooner than others are woken up. */
static void
crew_work(void)
{
	bool alone = crew.n < 2;

	atomic_store(&crew.next, 0);
	atomic_store(&crew.stop, CHUNKS);
	if (!alone)
		(void)pthread_barrier_wait(&crew.begin);
	work();
	if (!alone)
		(void)pthread_barrier_wait(&crew.end);
}

/* --------------------------------------------------- one after the other - */

/* What a chunk found; false: the search ends here. */
static bool
take_over(struct chunk *c, struct bytes *next, struct x_found *f)
{
	struct step s;
	const uint8_t *p, *end = c->out.p + c->out.len;
	uint8_t *to;

	f->steps += c->steps;
	f->full = f->full || c->full;
	for (p = c->out.p; p < end; p += sizeof(s) + s.len) {
		memcpy(&s, p, sizeof(s));
		if (!remember(s.hash, s.from, s.by))
			continue;
		f->kinds[s.by.kind]++;
		f->last = (uint32_t)(seen.n - 1);
		f->states = seen.n;
		f->end = s.two              ? E_TWO :
		    seen.n > crew.l->states ? E_FULL :
					      E_ALL;
		if (crew.l->images &&
		    !image_found(p + sizeof(s), crew.l->nsites))
			f->end = E_LOST;
		if (f->end != E_ALL)
			return false;
		to = append(next, s.len + 1U);
		to[0] = s.len;
		memcpy(to + 1, p + sizeof(s), s.len);
	}
	if (c->blocked == NONE)
		return true;
	f->end = E_BLOCKED;
	f->last = c->blocked;
	f->states = c->blocked + 1ULL;
	f->why = c->why;
	return false;
}

/* From there so many chunks, as far as there is something. */
static const uint8_t *
batch(const uint8_t *p, const uint8_t *end, uint32_t *from)
{
	struct chunk *c;
	unsigned i;

	for (crew.n = 0; crew.n < CHUNKS && p < end; crew.n++) {
		c = &crew.c[crew.n];
		c->p = p;
		c->from = *from;
		for (i = 0; i < CHUNK && p < end; i++, (*from)++)
			p += *p + 1U;
		c->end = p;
	}
	return p;
}

/* All states of one depth, the first of which has that number. */
static void
level(const struct bytes *now, uint32_t from, struct bytes *next,
    struct x_found *f)
{
	const uint8_t *p = now->p, *end = now->p + now->len;
	unsigned i;

	while (p < end && f->end == E_ALL) {
		p = batch(p, end, &from);
		crew_work();
		for (i = 0; i < crew.n; i++)
			if (!take_over(&crew.c[i], next, f))
				break;
	}
}

struct x_found
find(const struct x_limits *l)
{
	struct x_found f;
	struct bytes now = { NULL, 0, 0 }, next = { NULL, 0, 0 }, t;
	struct world w;
	uint8_t out[X_PACKED], perm[X_SITES], *to;
	uint32_t from = 0;
	size_t n;
	bool swapped;

	memset(&f, 0, sizeof(f));
	find_free();
	live_free();
	keep_all(l->live);
	act_no_late(l->live);
	world_init(&w, l->nsites, l->faults);
	n = world_pack(&w, out, perm, &swapped);
	(void)remember(x_hash(out, n), 0, (struct action) { 0 });
	f.states = 1;
	if (l->images && !image_found(out, l->nsites))
		f.end = E_LOST;
	to = append(&next, n + 1);
	to[0] = (uint8_t)n;
	memcpy(to + 1, out, n);
	crew_start(l);
	while (next.len > 0 && f.end == E_ALL) {
		t = now, now = next, next = t;
		next.len = 0;
		if (seen.n - from > f.width)
			f.width = seen.n - from;
		n = seen.n;
		if (l->progress)
			fprintf(stderr, "depth %u: %zu states, %zu in all%s\n",
			    f.depth, seen.n - from, seen.n,
			    f.full ? " (EPOCH TABLE FULL)" : "");
		level(&now, from, &next, &f);
		from = (uint32_t)n;
		if (f.end != E_BLOCKED && (next.len > 0 || f.end != E_ALL))
			f.depth++;
	}
	crew_stop();
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
