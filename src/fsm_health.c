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
 * Health of one site: what its probes say, debounced (failover.md section 4).
 * Each site by itself; a second fault is seen as soon as the first one.
 */

#include <string.h>

#include "fsm_int.h"

enum site_state
fsm_health_next(enum site_state now, enum fsm_health_ev ev)
{
	switch (ev) {
	case H_FAIL:
	case H_WRITABLE:
		return now;
	case H_FAIL_MAX:
		return SS_UNREACHABLE;
	case H_READ_ONLY:
		return SS_READ_ONLY;
	case H_WRITABLE_MAX:
		return SS_WRITABLE;
	case H_MAX:
		break;
	}
	return now;
}

void
fsm_health_set(struct fsm_ctx *x, uint8_t i, enum site_state to)
{
	struct fsm_site *t = &x->s->site[i];

	if (t->state == to)
		return;
	t->state = (uint8_t)to;
	fsm_tell(x, T_SITE_STATE, i);
}

/*
 * Streaks are of scheduled probes: of those that came closer together (asked
 * for between the scheduled ones) one is counted.
 */
static bool
counts(const struct fsm_ctx *x, struct fsm_site *t, const struct fsm_probe *p)
{
	if (t->counted_ms != 0 &&
	    p->sent_ms - t->counted_ms < x->c->poll_ms / 10 * 9)
		return false;
	t->counted_ms = p->sent_ms;
	return true;
}

/* While site i's probe was under way this operator reached another site. */
static bool
sighted(const struct fsm_ctx *x, uint8_t i, const struct fsm_probe *p)
{
	const struct fsm_site *t;
	uint8_t j;

	for (j = 0; j < x->c->nsites; j++) {
		t = &x->s->site[j];
		if (j != i && fsm_answers(x->s, j) &&
		    p->sent_ms - t->p.sent_ms < x->c->poll_ms / 2 * 3)
			return true;
	}
	return false;
}

/*
 * What is missed while nobody answers says more about this operator than about
 * the site. When it sees again, and others are heard first, the site is not
 * lost before it has missed as many probes as it takes.
 */
static void
owe(struct fsm_ctx *x, uint8_t i, const struct fsm_probe *p)
{
	struct fsm_site *t = &x->s->site[i];
	uint8_t j;

	if (!sighted(x, i, p))
		t->owed += t->owed < x->c->failure_threshold;
	else if (t->owed > 0 && t->fails > x->c->failure_threshold)
		t->owed--;
	for (j = 0; j < x->c->nsites; j++)
		if (x->s->site[j].state != SS_UNREACHABLE)
			return;
	for (j = 0; j < x->c->nsites; j++)
		x->s->site[j].owed = x->c->failure_threshold;
}

static void
failed(struct fsm_ctx *x, uint8_t i, const struct fsm_probe *p)
{
	struct fsm_site *t = &x->s->site[i];
	enum fsm_health_ev ev;

	t->wstreak = 0;
	t->repl_streak = 0;
	if (t->fails == 0 && !t->suspect)
		t->fail_since_ms = p->sent_ms;
	t->suspect = true;
	if (p->err == PE_AUTH || p->err == PE_SERVER || p->err == PE_TOO_BIG)
		t->heard_ms = x->now;
	if (!counts(x, t, p))
		return;
	t->fails++;
	ev = FSM_GUARD(G_THRESHOLD, t->fails >= x->c->failure_threshold) ?
	    H_FAIL_MAX :
	    H_FAIL;
	fsm_health_set(x, i, fsm_health_next(t->state, ev));
	owe(x, i, p);
}

/*
 * Its guard says that it has ended or hangs: as good as a probe that fails
 * now, and a reason to probe at once.
 */
void
fsm_health_word(struct fsm_ctx *x, uint8_t i)
{
	struct fsm_probe p = { .err = PE_TIMEOUT, .sent_ms = x->now };

	if (x->s->site[i].state != SS_UNREACHABLE)
		x->s->site[i].extra_ms = x->now;
	failed(x, i, &p);
}

/* Another process than before: what was learnt about the old one is void. */
static void
new_process(struct fsm_ctx *x, uint8_t i)
{
	struct fsm_site *t = &x->s->site[i];

	fsm_grant_forget(x, i);
	t->receiver_off_ms = 0;
	t->stop_ms = 0;
	t->drain_ms = 0;
	t->stopped_ms = 0;
	t->repl_streak = 0;
	fsm_evict_forget(t);
}

static bool
process_changed(const struct fsm_site *t, const struct fsm_probe *p)
{
	struct fsm_proc was;

	memset(&was, 0, sizeof(was));
	memcpy(was.pod_uid, t->p.pod_uid, sizeof(was.pod_uid));
	memcpy(was.server_uuid, t->p.server_uuid, sizeof(was.server_uuid));
	was.start_ms = t->p.start_ms;
	return t->ever && !fsm_same_process(&was, p);
}

static enum fsm_health_ev
writable_event(struct fsm_ctx *x, uint8_t i)
{
	struct fsm_site *t = &x->s->site[i];

	/* What is recorded as the writer is expected to be one. */
	if (!fsm_promotable(x->c, i) || t->state == SS_WRITABLE ||
	    (x->s->rec_known && fsm_is_newest(x->s, i)))
		return H_WRITABLE_MAX;
	if (counts(x, t, &t->p) || t->wstreak == 0)
		t->wstreak++;
	return t->wstreak >= x->c->recovery_threshold ? H_WRITABLE_MAX :
							H_WRITABLE;
}

void
fsm_health_probe(struct fsm_ctx *x, uint8_t i, const struct fsm_probe *p)
{
	struct fsm_site *t = &x->s->site[i];
	enum fsm_health_ev ev = H_READ_ONLY;

	/* An answer that is older than what we have. */
	if (t->ever &&
	    (p->sent_ms < t->p.sent_ms || (p->ok && p->sent_ms <= t->flags_ms)))
		return;
	if (!p->ok) {
		failed(x, i, p);
		return;
	}
	if (process_changed(t, p))
		new_process(x, i);
	t->p = *p;
	t->read_ms = p->sent_ms;
	t->ever = true;
	t->fails = t->owed = 0;
	t->suspect = false;
	t->quelled = false;
	t->seen_ms = x->now;
	fsm_grant_probe(x, i);
	if (!p->read_only) {
		fsm_evict_forget(t);
		ev = writable_event(x, i);
	} else {
		if (t->ro_ms == 0)
			t->ro_ms = x->now;
		t->wstreak = 0;
		counts(x, t, p);
	}
	if (p->read_only && p->has_repl && p->io == IO_YES && p->sql &&
	    p->source < x->c->nsites) {
		if (t->repl_streak < 2)
			t->repl_streak++;
	} else {
		t->repl_streak = 0;
	}
	fsm_health_set(x, i, fsm_health_next(t->state, ev));
}

/*
 * The held-open connection broke. That is no failed probe, but until the next
 * good one nothing is decided on what this site said before.
 */
void
fsm_health_lost(struct fsm_ctx *x, uint8_t i)
{
	struct fsm_site *t = &x->s->site[i];

	if (!t->suspect)
		t->fail_since_ms = x->now;
	t->suspect = true;
	t->extra_ms = x->now;
}

/*
 * A restarted server is found soon, not at the next scheduled probe, and so is
 * what an action did.
 */
void
fsm_health_extra(struct fsm_ctx *x)
{
	uint8_t i;

	for (i = 0; i < x->c->nsites; i++)
		if (fsm_answers(x->s, i) && fsm_stale(x->s, i))
			fsm_probe_now(x, i, FSM_DRAIN_POLL_MS);
		else if (x->s->site[i].suspect &&
		    x->s->site[i].state != SS_UNREACHABLE)
			fsm_probe_now(x, i, FSM_SUSPECT_POLL_MS);
}
