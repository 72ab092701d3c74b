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

/* Chance, sets, the queue of what happens, and one run after the other. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define QUEUE     4096
#define READY_MS  180000 /* a group is ready by then */
#define SETTLE_MS 150000 /* after healing, besides the cooldown */
#define HUMAN_MS  100000
#define UPDATE_MS 1200000

struct world *w;

unsigned scenario_seeds = 4;
bool want_trace;

static struct ev pool[QUEUE];
static struct fsm_record recs[QUEUE]; /* of the event in that slot */
static int heap[QUEUE], nheap, spare[QUEUE], nspare;

/* --------------------------------------------------------------- chance -- */

uint32_t
rnd(uint32_t n)
{
	w->rng = w->rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return n == 0 ? 0 : (uint32_t)(w->rng >> 33) % n;
}

bool
chance(int percent)
{
	return rnd(100) < (uint32_t)percent;
}

void
fail(const char *fmt, ...)
{
	va_list ap;

	if (w->fail[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(w->fail, sizeof(w->fail), fmt, ap);
	va_end(ap);
	trace("VIOLATION: %s", w->fail);
}

void
trace(const char *fmt, ...)
{
	va_list ap;

	if (!w->trace)
		return;
	printf("%9.3f ", (double)w->now / 1000);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* ----------------------------------------------------------------- sets -- */

bool
gs_contains(const struct gset *a, const struct gset *b)
{
	int u;

	for (u = 0; u < UUIDS; u++)
		if (a->n[u] < b->n[u])
			return false;
	return true;
}

void
gs_union(struct gset *d, const struct gset *a, const struct gset *b)
{
	int u;

	for (u = 0; u < UUIDS; u++)
		d->n[u] = a->n[u] > b->n[u] ? a->n[u] : b->n[u];
}

bool
gs_empty(const struct gset *a)
{
	static const struct gset none;

	return memcmp(a, &none, sizeof(none)) == 0;
}

bool
gs_equal(const struct gset *a, const struct gset *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

void
uuid_text(int u, char *buf)
{
	snprintf(
	    buf, UID_LEN + 1, "%08x-0000-0000-0000-000000000000", (unsigned)u);
}

void
gs_text(const struct gset *g, char *buf, size_t len)
{
	char uuid[UID_LEN + 1];
	size_t n = 0;
	int u;

	buf[0] = '\0';
	for (u = 0; u < w->uuids; u++) {
		if (g->n[u] == 0)
			continue;
		uuid_text(u, uuid);
		n += (size_t)snprintf(buf + n, len - n, "%s%s:1-%u",
		    n > 0 ? ",\n" : "", uuid, g->n[u]);
	}
}

/* ---------------------------------------------------------------- queue -- */

static bool
before(int a, int b)
{
	if (pool[a].t != pool[b].t)
		return pool[a].t < pool[b].t;
	return pool[a].order < pool[b].order;
}

void
push(struct ev *e, int64_t delay)
{
	int slot, i, up;

	if (nspare == 0)
		abort();
	slot = spare[--nspare];
	e->t = w->now + (delay < 0 ? 0 : delay);
	e->order = w->order++;
	pool[slot] = *e;
	if (e->rec != NULL) {
		recs[slot] = *e->rec;
		pool[slot].rec = &recs[slot];
	}
	for (i = nheap++; i > 0; i = up) {
		up = (i - 1) / 2;
		if (!before(slot, heap[up]))
			break;
		heap[i] = heap[up];
	}
	heap[i] = slot;
}

/* The next one; its slot is the caller's to give back. */
static int
pop(void)
{
	int slot = heap[0], last, i, kid;

	last = heap[--nheap];
	for (i = 0; (kid = 2 * i + 1) < nheap; i = kid) {
		if (kid + 1 < nheap && before(heap[kid + 1], heap[kid]))
			kid++;
		if (!before(heap[kid], last))
			break;
		heap[i] = heap[kid];
	}
	heap[i] = last;
	return slot;
}

/* ------------------------------------------------------------------ run -- */

static void
again(uint8_t kind, uint8_t op, unsigned script, int64_t delay)
{
	struct ev e;

	memset(&e, 0, sizeof(e));
	e.kind = kind;
	e.op = op;
	e.script = script;
	push(&e, delay);
}

static void
dispatch(const struct ev *e)
{
	switch ((enum ev_kind)e->kind) {
	case K_PROBE_AT:
		probe_at(e);
		break;
	case K_SQL_AT:
		sql_at(e);
		break;
	case K_GRANT_AT:
		grant_at(e);
		break;
	case K_PUT_AT:
		put_at(e);
		break;
	case K_POD_AT:
		pod_at(e);
		break;
	case K_ROLL_AT:
		roll_at(e);
		break;
	case K_WORD_AT:
		word_at(e);
		break;
	case K_LEASE:
		elect_at(e);
		break;
	case K_WORLD:
		world_tick();
		again(K_WORLD, 0, 0, 100);
		break;
	case K_SCRIPT:
		strike((int)e->script);
		break;
	case K_MSG_CAR:
		msg_car(e);
		break;
	case K_PROBE:
	case K_PROBE_IN:
	case K_SQL_IN:
	case K_ACK_IN:
	case K_REC_IN:
	case K_POD_IN:
	case K_ROLLOUT_IN:
	case K_CONF_IN:
	case K_WORDS_IN:
	case K_LOST_IN:
	case K_MSG_OP:
	case K_WAKE:
		op_in(e);
		break;
	}
}

static void
run_until(int64_t t)
{
	int slot;

	while (nheap > 0 && w->fail[0] == '\0' && pool[heap[0]].t <= t) {
		slot = pop();
		w->now = pool[slot].t;
		dispatch(&pool[slot]);
		spare[nspare++] = slot;
	}
	if (w->fail[0] == '\0')
		w->now = t;
}

static bool
ready(void)
{
	const struct op *o;

	if (w->api.holder == -1)
		return false;
	o = &w->op[w->api.holder];
	return o->view.nconds > 0 && o->view.cond[0].status;
}

static void
configure(uint64_t seed)
{
	static const char *const names[] = { "iad", "pdx", "fra", "sin" };
	struct fsm_conf *c = &w->c;
	int i;

	w->rng = seed * 2654435761U + 12345;
	w->spec = 1;
	w->api.words.override = FSM_NONE;
	w->nsites = w->sc != NULL ? w->sc->nsites :
	    rnd(3) == 0           ? 3 :
				    2 + (rnd(8) == 0) * 2;
	c->nsites = (uint8_t)w->nsites;
	c->failure_threshold = 3;
	c->recovery_threshold = 2;
	c->poll_ms = 2000;
	c->cooldown_ms = 30000;
	c->drain_ms = 5000;
	c->clone_ms = 60000;
	c->max_lag_s = 30;
	c->reader_max_lag_s = 30;
	c->creds = true;
	w->bare = w->sc != NULL ? (w->sc->how & H_BARE) != 0 : rnd(5) == 0;
	c->require_guard = !w->bare;
	c->lease_ms = 20000;
	c->check_ms = 5000;
	w->sc_lease[0] = 5000;
	w->sc_lease[1] = 3500;
	w->sc_lease[2] = 500;
	c->recreate =
	    w->sc != NULL ? (w->sc->how & H_RECREATE) != 0 : rnd(4) == 0;
	if (w->sc != NULL ? (w->sc->how & H_FAST) != 0 : rnd(4) == 0) {
		c->lease_ms = 3000;
		c->check_ms = 1000;
		c->poll_ms = 500;
	}
	for (i = 0; i < w->nsites; i++) {
		snprintf(
		    c->site[i].name, sizeof(c->site[i].name), "%s", names[i]);
		if (w->sc != NULL)
			c->site[i].role = w->sc->role[i];
		else if (i >= 2)
			c->site[i].role = (uint8_t)rnd(ROLE_MAX);
	}
	/* Any candidate may be the first one. */
	if (w->sc == NULL && rnd(2) == 0) {
		c->npri = 1;
		c->pri[0] = (uint8_t)rnd((uint32_t)w->nsites);
	}
	w->whole = *c;
}

static void
begin(void)
{
	int i;

	nheap = nspare = 0;
	for (i = 0; i < QUEUE; i++)
		spare[nspare++] = QUEUE - 1 - i;
	world_init();
	again(K_WORLD, 0, 0, 0);
	for (i = 0; i < OPS; i++)
		op_start(i);
	while (w->now < READY_MS && w->fail[0] == '\0' && !ready())
		run_until(w->now + 1000);
	if (!ready())
		fail("the group did not become ready: %s",
		    fsm_verdict_name(w->op[0].view.verdict));
	w->ready_at = w->now;
	backup();
	if (w->sc != NULL && (w->sc->how & H_STEADY) != 0) {
		w->steady = api_active();
		w->steady_proc = w->site[w->steady].p.id;
	}
	trace("--- ready");
}

static void
play(void)
{
	const struct script *l;
	int64_t end = 0;
	int n;

	for (n = 0; n < w->nplan; n++) {
		l = &w->plan[n];
		again(K_SCRIPT, 0, (unsigned)n, l->at * 1000LL);
		if (l->dur > 0)
			again(K_SCRIPT, 0, (unsigned)n + 100,
			    (l->at + l->dur) * 1000LL);
		if (l->at + l->dur > end)
			end = l->at + l->dur;
	}
	if (w->sc != NULL && w->sc->secs > end)
		end = w->sc->secs;
	run_until(w->ready_at + end * 1000);
	if (w->fail[0] == '\0')
		heal_all();
	run_until(w->now + HUMAN_MS);
	for (n = 0; n < (w->c.cooldown_ms + SETTLE_MS - HUMAN_MS) / 5000; n++) {
		human();
		run_until(w->now + 5000);
	}
	/* Updates are in no hurry: one follower after the other. */
	for (n = 0; w->spec > 1 && n < UPDATE_MS / 1000 && !deploy_done(); n++)
		run_until(w->now + 1000);
	if (w->fail[0] == '\0')
		check_end();
}

/* One run; true when nothing was violated. */
static bool
run(uint64_t seed, const struct scenario *sc)
{
	static struct world world;
	int n;

	memset(&world, 0, sizeof(world));
	w = &world;
	w->trace = want_trace;
	w->sc = sc;
	configure(seed);
	begin();
	if (sc != NULL)
		for (n = 0; n < 12 && sc->line[n].at != 0; n++)
			w->plan[w->nplan++] = sc->line[n];
	else
		plan_random();
	if (w->fail[0] == '\0')
		play();
	return w->fail[0] == '\0';
}

static int
report(uint64_t seed, const struct scenario *sc)
{
	printf("FAIL %s%sseed %llu: %s\n  again: sim %s%s%s--seed %llu "
	       "--trace\n",
	    sc != NULL ? sc->name : "", sc != NULL ? " " : "",
	    (unsigned long long)seed, w->fail, sc != NULL ? "--scenario " : "",
	    sc != NULL ? sc->name : "", sc != NULL ? " " : "",
	    (unsigned long long)seed);
	return 1;
}

int
campaign(uint64_t from, uint64_t to, const struct scenario *only,
    bool random_only, bool stop)
{
	unsigned long runs = 0, promotions = 0, grants = 0, clones = 0;
	unsigned long ended[P_MAX] = { 0 };
	const struct scenario *sc;
	uint64_t seed;
	int i, failed = 0;

	for (i = 0; (sc = scenario_at(i)) != NULL && !random_only; i++) {
		if (only != NULL && only != sc)
			continue;
		for (seed = only != NULL ? from : 1;
		    seed <= (only != NULL ? to : scenario_seeds); seed++) {
			runs++;
			if (!run(seed, sc))
				failed += report(seed, sc);
			if (failed > 0 && stop)
				return failed;
		}
	}
	for (seed = from; seed <= to && only == NULL; seed++) {
		runs++;
		if (!run(seed, NULL))
			failed += report(seed, NULL);
		promotions += w->promotions;
		grants += w->grants;
		clones += w->clones;
		for (i = 0; i < P_MAX; i++)
			ended[i] += w->ended[i];
		if (failed > 0 && stop)
			return failed;
	}
	printf("{\"sim\":\"end\",\"runs\":%lu,\"failed\":%d,"
	       "\"randomPromotions\":%lu,\"randomGrants\":%lu,"
	       "\"randomClones\":%lu,\"randomEnded\":{\"lease\":%lu,"
	       "\"guard\":%lu,\"guardFenced\":%lu,\"superseded\":%lu,"
	       "\"terminated\":%lu}}\n",
	    runs, failed, promotions, grants, clones, ended[P_LEASE],
	    ended[P_GUARD], ended[P_GUARD_FENCED], ended[P_SUPERSEDED],
	    ended[P_TERMINATED]);
	return failed;
}
