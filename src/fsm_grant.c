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

/* Grants that were sent and may still take effect. */

#include <string.h>

#include "fsm_int.h"

static void
sent(struct fsm_site *t, int64_t valid_until)
{
	t->grant_open = true;
	t->grant_valid_ms = valid_until;
	t->grant_limit_ms = t->grant_past_ms = 0;
}

/*
 * The prober's limit on the server's clock is no later than valid_until_ms, so
 * a grant that rests on a guard's word is dead before that guard's killer,
 * which is armed for LEASE_LATE_MS after the lease is lost, stands down. The
 * word may have been under way for as long as a silent link is kept.
 */
_Static_assert(
    BR_LINK_DEAD_MS(LEASE_MAX_MS) + FSM_GRANT_REPORT_MS + FSM_GRANT_MARGIN_MS <
	LEASE_LATE_MS,
    "a grant may come when nothing is armed");

void
fsm_grant(struct fsm_ctx *x, uint8_t i)
{
	struct fsm_state *s = x->s;
	struct fsm_act *a;
	int64_t left, until = INT64_MAX;

	if (!fsm_answers(s, i) || !fsm_minting_ok(x->c, s, i))
		return;
	if (fsm_guarded(x->c, s, i))
		until = s->site[i].guard_ms + FSM_GRANT_REPORT_MS;
	/* Its next report is not far. */
	if (!FSM_GUARD(G_GRANT_REPORT, until - x->now >= FSM_LEASE_MIN_MS))
		return;
	if ((a = fsm_sql(x, i, SQL_GRANT, FSM_SQL_TIMEOUT_MS)) == NULL)
		return;
	if (!FSM_GUARD(G_GRANT_REPORT, a->valid_until_ms <= until))
		a->valid_until_ms = until;
	left = a->valid_until_ms - x->now;
	a->grant_ttl_ms = left < FSM_GRANT_TTL_MS ? left : FSM_GRANT_TTL_MS;
	sent(&s->site[i], a->valid_until_ms);
}

/* Nothing of it is ahead any more; what it did is read from now on. */
static void
settle(struct fsm_ctx *x, struct fsm_site *t)
{
	t->grant_open = false;
	t->granted_ms = x->now;
}

/*
 * The prober told how a grant ended; without an answer, its limit counts. One
 * that ended without a limit was not sent.
 */
void
fsm_grant_answer(struct fsm_ctx *x, uint8_t i, enum sql_end end, int64_t limit)
{
	struct fsm_site *t = &x->s->site[i];

	if (end == SE_UNKNOWN) {
		if (limit > t->grant_limit_ms)
			t->grant_limit_ms = limit;
	} else if (end == SE_DONE || limit != 0) {
		settle(x, t);
	} else {
		t->grant_open = false;
	}
}

/*
 * Another process is looked at from now on: should the one before it be seen
 * again, its open grant is as one of an earlier leader.
 */
void
fsm_grant_forget(struct fsm_ctx *x, uint8_t i)
{
	struct fsm_site *t = &x->s->site[i];

	if (t->grant_open && t->grant_valid_ms > x->s->old_grants_ms)
		x->s->old_grants_ms = t->grant_valid_ms;
	t->grant_open = false;
	t->grant_limit_ms = t->grant_past_ms = 0;
	t->lead_clock_ms = 0;
	t->reset_epoch = 0;
}

/*
 * A good probe moves the server's clock. A grant of which nothing is known
 * was sent before its deadline, so its limit is no later than the first
 * reading after that deadline plus a grant's life. A statement that began
 * before the clock was past the limit gets the margin by our own clock: the
 * server's may have been set ahead.
 */
void
fsm_grant_probe(struct fsm_ctx *x, uint8_t i)
{
	struct fsm_site *t = &x->s->site[i];

	if (x->s->lease_held && t->lead_clock_ms == 0 &&
	    t->p.sent_ms > x->s->old_grants_ms) {
		t->lead_clock_ms = t->p.clock_ms;
		t->lead_read_ms = t->p.sent_ms;
	}
	if (!t->grant_open)
		return;
	if (t->grant_limit_ms == 0 && t->p.sent_ms > t->grant_valid_ms)
		t->grant_limit_ms = t->p.clock_ms + FSM_GRANT_TTL_MS;
	if (t->grant_limit_ms == 0 || t->p.clock_ms < t->grant_limit_ms)
		t->grant_past_ms = 0;
	else if (t->grant_past_ms == 0)
		t->grant_past_ms = t->p.sent_ms;
	if (t->grant_past_ms != 0 &&
	    t->p.clock_ms >= t->grant_limit_ms + FSM_GRANT_MARGIN_MS &&
	    t->p.sent_ms - t->grant_past_ms >= FSM_GRANT_MARGIN_MS)
		settle(x, t);
}

/*
 * No grant that was ever sent to site i takes effect after that (monotonic):
 * those of earlier leaders and to earlier processes, and our own.
 */
int64_t
fsm_grants_end(const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = i < SITES_MAX ? &s->site[i] : NULL;
	int64_t life = FSM_GRANT_TTL_MS + FSM_GRANT_MARGIN_MS;
	int64_t own, old = s->old_grants_ms + life;

	if (t == NULL)
		return old;
	own = t->grant_open ? t->grant_valid_ms + life : t->granted_ms;
	return own > old ? own : old;
}
