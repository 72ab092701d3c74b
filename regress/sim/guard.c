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
 * mysqld's parent: the loop around lease_guard, as src/guard*.c has it. Its
 * clock runs a little faster or slower than the others.
 */

#include <stdio.h>
#include <string.h>

#include "sim.h"

#define LOOK_MS 500 /* the flags are read so often */
#define HUNG_MS 1000

int64_t
boot_clock(int i)
{
	return 1000000LL * (i + 1) + w->now + w->now * w->site[i].rate / 1000;
}

uint64_t
random_id(void)
{
	return (uint64_t)rnd(0xffffffff) << 32 | rnd(0xffffffff) | 2;
}

/* Neither stopped nor frozen: the keeper runs. */
static bool
runs(const struct guard *g)
{
	return g->there && !g->stopped && !g->frozen;
}

void
guard_start(int i)
{
	struct guard *g = &w->site[i].guard;

	memset(g, 0, sizeof(*g));
	g->there = true;
	lease_guard_init(&g->l, random_id(), boot_clock(i));
}

void
guard_started(int i)
{
	struct guard *g = &w->site[i].guard;

	lease_guard_started(&g->l, boot_clock(i));
	g->beat_at = 0;
}

void
guard_ended(int i)
{
	struct guard *g = &w->site[i].guard;

	lease_guard_ended(&g->l, boot_clock(i));
	g->ended = g->l.incarnation;
	g->ends[2] = g->ends[1];
	g->ends[1] = g->ends[0];
	g->ends[0] = w->now;
	g->beat_at = 0;
	if (runs(g) && w->site[i].car.up)
		car_report(i);
}

/*
 * Often enough for one answer to be lost, more often when the last round brought
 * no quorum (guard_lease_ask).
 */
static int64_t
interval(const struct guard *g, int64_t now)
{
	int64_t ms = w->c.check_ms, lease = g->l.cur.t.lease_ms;
	int64_t end = lease_guard_deadline(&g->l);

	if (g->l.cur.t.epoch != 0 && ms > lease / 2)
		ms = lease / 2;
	return end == LEASE_NEVER || now - (end - lease) > ms ? ms / 5 : ms;
}

/* The lease and its voters, all in parallel, with one nonce. */
static void
ask(int i)
{
	struct guard *g = &w->site[i].guard;
	int64_t now = boot_clock(i);

	g->ask_at = now + interval(g, now);
	if (!lease_guard_may_ask(&g->l, now))
		return;
	g->sent[++g->round % ROUNDS] = now;
	ask_voters(i, &g->l.cur, g->round);
	ask_voters(i, &g->l.next, g->round);
}

void
guard_offer(int i, const struct lease_terms *t)
{
	struct guard *g = &w->site[i].guard;

	if (!runs(g))
		return;
	if (lease_guard_offer(&g->l, t, boot_clock(i)) == LO_TAKEN)
		ask(i);
}

void
guard_yes(int i, uint64_t epoch, uint64_t nonce, uint64_t voter)
{
	struct guard *g = &w->site[i].guard;
	uint64_t was = g->l.held ? g->l.cur.t.epoch : 0;

	if (!runs(g) || nonce > g->round || nonce + ROUNDS <= g->round)
		return;
	lease_guard_yes(
	    &g->l, epoch, voter, g->sent[nonce % ROUNDS], boot_clock(i));
	if (!g->l.held || g->l.cur.t.epoch == was)
		return;
	trace("%s: guard holds epoch %llu", w->c.site[i].name,
	    (unsigned long long)g->l.cur.t.epoch);
	w->leases++;
	car_report(i);
}

/* A look at the flags over the local socket. */
static void
look(int i)
{
	struct site *s = &w->site[i];
	int64_t now = boot_clock(i);

	s->guard.look_at = now + LOOK_MS;
	if (proc_answers(i))
		lease_guard_local(&s->guard.l, now, s->p.ro && s->p.sro, now);
}

static void
fence(int i)
{
	struct site *s = &w->site[i];

	if (!proc_answers(i) || s->stuck)
		return;
	if (!s->p.ro)
		trace("%s: guard fences", w->c.site[i].name);
	s->p.ro = s->p.sro = true;
	s->p.rogue = false;
	look(i);
}

static void
act(int i)
{
	struct guard *g = &w->site[i].guard;
	int64_t wake;

	switch (lease_guard_todo(&g->l, boot_clock(i), &wake)) {
	case LG_NOTHING:
		break;
	case LG_FENCE:
		fence(i);
		if (lease_guard_todo(&g->l, boot_clock(i), &wake) != LG_KILL)
			break;
		/* FALLTHROUGH */
	case LG_KILL:
		w->kills++;
		proc_die(i, "guard kills");
		break;
	}
}

/* What is due now, at the latest. */
void
guard_run(int i)
{
	struct site *s = &w->site[i];
	struct guard *g = &s->guard;
	int64_t now = boot_clock(i);

	if (!g->there || g->frozen)
		return;
	if (g->stopped) { /* the killer knows what it was told last */
		if (s->p.alive && now >= lease_guard_kill_ms(&g->l)) {
			w->kills++;
			proc_die(i, "killer kills");
		}
		return;
	}
	act(i);
	if (now >= g->look_at) {
		look(i);
		act(i);
	}
	if (g->there && now >= g->ask_at)
		ask(i);
}

void
guard_look_all(void)
{
	int i;

	for (i = 0; i < w->nsites; i++)
		guard_run(i);
}

/* Its word, as it goes to the sidecar; false when it is silent. */
void
guard_says(int i, struct fsm_guard *f)
{
	struct site *s = &w->site[i];
	struct lease_guard *l = &s->guard.l;
	int64_t now = boot_clock(i);

	if (!runs(&s->guard))
		return;
	f->guard = l->id;
	f->incarnation = l->incarnation;
	f->running = l->running;
	f->ended = s->guard.ended;
	f->hung = l->running && w->now - s->p.start >= HUNG_MS &&
	    (l->local_ms == LEASE_NEVER || now - l->local_ms >= HUNG_MS);
	f->read_only = l->running && l->read_only;
	f->read_age_ms = l->local_ms == LEASE_NEVER ? -1 : now - l->local_ms;
	f->server_uuid[0] = '\0';
	f->start_ms = 0;
	if (l->running && l->local_ms != LEASE_NEVER) {
		uuid_text(s->v.uuid, f->server_uuid);
		f->start_ms = measured_start(i);
	}
	f->held = lease_guard_held(l, now);
	f->revoked = l->revoked;
	if (l->heard > f->heard)
		f->heard = l->heard;
}
