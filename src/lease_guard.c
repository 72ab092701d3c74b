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
 * mysqld's parent: holds the lease of one epoch for one process.
 *
 * Every function first lets a lease that has run out end, so that no order of
 * calls can revive it: an answer that comes after the deadline finds the epoch
 * revoked.
 */

#include <string.h>

#include "lease.h"

static int64_t
plus(int64_t a, int64_t b)
{
	return a == LEASE_NEVER || a == LEASE_FOREVER ? a : a + b;
}

static uint64_t
larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void
hold_clear(struct lease_hold *h)
{
	int i;

	memset(h, 0, sizeof(*h));
	for (i = 0; i < LEASE_VOTERS_MAX; i++)
		h->sent_ms[i] = LEASE_NEVER;
}

/* The r-th newest renewal + L; LEASE_NEVER: fewer than r renewed. */
static int64_t
hold_end(const struct lease_hold *h)
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
	return plus(best, h->t.lease_ms);
}

/* The lease in force ended at `at`: that epoch is over for ever. */
static void
lose(struct lease_guard *g, int64_t at)
{
	g->held = false;
	g->lost_ms = at;
	g->late = true;
	g->kill_ms = at + g->fence_ms;
	g->revoked = larger(g->revoked, g->cur.t.epoch);
	g->cur = g->next; /* may still come to hold, if it is not revoked */
	hold_clear(&g->next);
	if (g->cur.t.epoch <= g->revoked)
		hold_clear(&g->cur);
}

static void
expire(struct lease_guard *g, int64_t now)
{
	int64_t end = lease_guard_deadline(g);

	if (g->held && now >= end)
		lose(g, end);
}

static void
take(struct lease_guard *g)
{
	g->held = true;
	g->fence_ms = g->cur.t.fence_ms;
	g->lost_ms = LEASE_NEVER;
	g->late = false;
	g->kill_ms = LEASE_FOREVER;
}

static void
forget(struct lease_guard *g, int64_t now)
{
	hold_clear(&g->cur);
	hold_clear(&g->next);
	g->held = false;
	g->local_ms = LEASE_NEVER;
	g->read_only = false;
	g->lost_ms = now;
	g->late = false;
	g->fence_ms = LEASE_FENCE_MAX_MS;
	g->kill_ms = LEASE_FOREVER;
}

void
lease_guard_init(struct lease_guard *g, uint64_t id, int64_t now)
{
	memset(g, 0, sizeof(*g));
	g->id = id;
	forget(g, now);
}

void
lease_guard_started(struct lease_guard *g, int64_t now)
{
	forget(g, now);
	g->incarnation++;
	g->running = true;
	/* One that was sent to the server before may meet this one. */
	g->late = g->incarnation > 1;
}

void
lease_guard_ended(struct lease_guard *g, int64_t now)
{
	forget(g, now);
	g->running = false;
}

enum lease_offer
lease_guard_offer(
    struct lease_guard *g, const struct lease_terms *t, int64_t now)
{
	struct lease_hold *h;

	expire(g, now);
	if (!lease_terms_valid(t))
		return LO_REFUSED;
	g->heard = larger(g->heard, t->epoch);
	if (!g->running || t->guard != g->id ||
	    t->incarnation != g->incarnation)
		return LO_REFUSED;
	if (t->epoch == g->cur.t.epoch || t->epoch == g->next.t.epoch)
		return LO_KNOWN;
	/*
	 * A newer epoch of this very process is its successor whatever `prev`
	 * says: the leader may not know how far an earlier one had come.
	 */
	if (t->epoch <= g->revoked || t->epoch < g->cur.t.epoch ||
	    t->epoch < g->next.t.epoch)
		return LO_REFUSED;
	h = g->held ? &g->next : &g->cur;
	hold_clear(h);
	h->t = *t;
	return LO_TAKEN;
}

bool
lease_guard_may_ask(const struct lease_guard *g, int64_t now)
{
	return g->running && g->cur.t.epoch != 0 &&
	    g->local_ms != LEASE_NEVER &&
	    now - g->local_ms < (int64_t)g->cur.t.lease_ms;
}

static void
hold_yes(struct lease_hold *h, uint64_t epoch, uint64_t voter, int64_t sent_ms)
{
	int i;

	if (epoch == 0 || h->t.epoch != epoch)
		return;
	i = lease_voter_of(&h->t, voter);
	if (i != -1 && sent_ms > h->sent_ms[i])
		h->sent_ms[i] = sent_ms;
}

void
lease_guard_yes(struct lease_guard *g, uint64_t epoch, uint64_t voter,
    int64_t sent_ms, int64_t now)
{
	expire(g, now);
	if (!g->running || sent_ms > now)
		return;
	hold_yes(&g->cur, epoch, voter, sent_ms);
	hold_yes(&g->next, epoch, voter, sent_ms);
	if (!g->held && hold_end(&g->cur) > now)
		take(g);
	if (g->held && hold_end(&g->next) > now) {
		g->cur = g->next;
		hold_clear(&g->next);
		take(g);
	}
}

void
lease_guard_revoke(struct lease_guard *g, uint64_t epoch, int64_t now)
{
	expire(g, now);
	g->heard = larger(g->heard, epoch);
	g->revoked = larger(g->revoked, epoch);
	if (g->next.t.epoch <= g->revoked)
		hold_clear(&g->next);
	if (g->cur.t.epoch == 0 || g->cur.t.epoch > g->revoked)
		return;
	if (g->held)
		lose(g, now);
	else
		hold_clear(&g->cur);
}

void
lease_guard_local(
    struct lease_guard *g, int64_t sent_ms, bool read_only, int64_t now)
{
	int64_t kill;

	expire(g, now);
	if (!g->running || sent_ms > now || sent_ms < g->local_ms)
		return;
	/* By the reading before: it may come after a long sleep. */
	kill = lease_guard_kill_ms(g);
	g->local_ms = sent_ms;
	g->read_only = read_only;
	if (g->held)
		return;
	if (!read_only) {
		/* A late grant, or somebody's hand. */
		g->kill_ms = kill;
		if (kill > sent_ms + g->fence_ms)
			g->kill_ms = sent_ms + g->fence_ms;
	} else if (sent_ms >= g->lost_ms) {
		g->kill_ms = LEASE_FOREVER;
		if (sent_ms - g->lost_ms >= LEASE_LATE_MS)
			g->late = false;
	}
}

int64_t
lease_guard_deadline(const struct lease_guard *g)
{
	return g->held ? hold_end(&g->cur) : LEASE_NEVER;
}

uint64_t
lease_guard_held(const struct lease_guard *g, int64_t now)
{
	return g->held && now < lease_guard_deadline(g) ? g->cur.t.epoch : 0;
}

enum lease_todo
lease_guard_todo(struct lease_guard *g, int64_t now, int64_t *wake)
{
	expire(g, now);
	*wake = lease_guard_kill_ms(g);
	if (!g->running)
		return LG_NOTHING;
	if (now >= *wake)
		return LG_KILL;
	if (g->held) {
		*wake = lease_guard_deadline(g);
		return LG_NOTHING;
	}
	return g->kill_ms != LEASE_FOREVER ? LG_FENCE : LG_NOTHING;
}

int64_t
lease_guard_kill_ms(const struct lease_guard *g)
{
	if (!g->running)
		return LEASE_FOREVER;
	if (g->held)
		return lease_guard_deadline(g) + g->fence_ms;
	if (g->kill_ms != LEASE_FOREVER || !g->late)
		return g->kill_ms;
	/* It takes no sessions yet: its silence is no sign. */
	if (g->local_ms == LEASE_NEVER)
		return LEASE_FOREVER;
	/* Fenced, but a grant may still come: unseen, it must not last. */
	return g->local_ms + LEASE_LOOK_MS + g->fence_ms;
}
