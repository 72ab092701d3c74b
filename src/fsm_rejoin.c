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
 * Followers: each shall replicate directly from the active site. A site that
 * has what the active one lacks is left as it is and reported.
 */

#include <string.h>

#include "fsm_int.h"

/*
 * What a follower needs. No channel is changed unless the active site has
 * everything that the follower executed or received, looked at before and
 * again after its threads were stopped.
 */
enum fsm_repair
fsm_repair_next(const struct fsm_follower *f)
{
	if (f->channel && f->right_source && f->threads)
		return R_OK;
	if (!f->contained)
		return f->fresh ? R_BLOCKED : R_WAIT;
	if (!f->channel)
		return R_SET_SOURCE;
	if (f->right_source)
		return R_START;
	return f->stopped ? R_SET_SOURCE : R_STOP;
}

static void
observe(const struct fsm_ctx *x, uint8_t i, uint8_t a, struct fsm_follower *f)
{
	const struct fsm_state *s = x->s;
	const struct fsm_site *t = &s->site[i];

	memset(f, 0, sizeof(*f));
	f->channel = t->p.has_repl;
	f->right_source = t->p.has_repl && t->p.source == a;
	f->threads = t->p.io != IO_NO && t->p.sql;
	f->stopped = t->p.io == IO_NO && !t->p.sql && t->stopped_ms != 0 &&
	    t->p.sent_ms > t->stopped_ms;
	f->contained = FSM_GUARD(G_REJOIN_CONTAINED,
	    fsm_known(s, i) && fsm_known(s, a) &&
		(s->rel.exec_all[a] & BIT(i)) != 0);
	/* The active site was read after the follower was. */
	f->fresh = fsm_known(s, i) && fsm_known(s, a) &&
	    s->site[a].p.sent_ms > t->seen_ms;
}

static void
converged(struct fsm_ctx *x, uint8_t i)
{
	struct fsm_site *t = &x->s->site[i];

	t->conv = CV_CONVERGED;
	t->stopped_ms = 0;
	t->receiver_off_ms = 0;
	t->diverged = false;
	if (!t->recovering)
		return;
	t->recovering = false;
	fsm_tell(x, T_RECOVERED, i);
}

static void
blocked(struct fsm_ctx *x, uint8_t i)
{
	struct fsm_site *t = &x->s->site[i];

	t->conv = CV_BLOCKED;
	t->recovering = false;
	if (t->diverged)
		return;
	t->diverged = true;
	fsm_tell(x, T_DIVERGED, i);
}

static void
mutate(struct fsm_ctx *x, uint8_t i, uint8_t a, enum sql_kind kind)
{
	struct fsm_site *t = &x->s->site[i];
	struct fsm_act *act;

	if (t->conv != CV_MUTATION_FAILED)
		t->conv = CV_PENDING;
	t->diverged = false;
	if (fsm_stale(x->s, i) || x->now < t->repair_ms || !x->c->creds ||
	    (act = fsm_sql(x, i, kind, FSM_SQL_TIMEOUT_MS)) == NULL)
		return;
	if (kind == SQL_SET_SOURCE) {
		act->source = a;
		t->recovering = true;
	}
	t->receiver_off_ms = 0;
}

static void
follower(struct fsm_ctx *x, uint8_t i, uint8_t a)
{
	struct fsm_follower f;
	struct fsm_site *t = &x->s->site[i];

	if (!fsm_answers(x->s, i)) {
		t->conv = CV_PROBE_FAILED;
		return;
	}
	if (t->state != SS_READ_ONLY || !t->p.read_only ||
	    fsm_recipient(x->s, i) || t->p.offline_mode ||
	    fsm_empty_site(x->c, x->s, i))
		return;
	observe(x, i, a, &f);
	switch (fsm_repair_next(&f)) {
	case R_OK:
		converged(x, i);
		break;
	case R_BLOCKED:
		blocked(x, i);
		break;
	case R_START:
		mutate(x, i, a, SQL_START_REPLICA);
		break;
	case R_STOP:
		mutate(x, i, a, SQL_STOP_REPLICA);
		break;
	case R_SET_SOURCE:
		mutate(x, i, a, SQL_SET_SOURCE);
		break;
	case R_WAIT:
	case R_NOTHING:
	case R_MAX:
		break;
	}
}

/* A statement was answered; a failure is tried again after a while. */
void
fsm_rejoin_sql(
    struct fsm_ctx *x, uint8_t i, enum sql_kind kind, enum sql_end end)
{
	struct fsm_site *t = &x->s->site[i];

	if (kind != SQL_SET_SOURCE && kind != SQL_START_REPLICA &&
	    kind != SQL_STOP_REPLICA)
		return;
	if (end == SE_DONE) {
		if (kind == SQL_STOP_REPLICA)
			t->stopped_ms = x->now;
		/* What it did is seen by the next probes. */
		t->repair_ms = kind == SQL_START_REPLICA ?
		    x->now + FSM_REPAIR_RETRY_MS :
		    0;
		return;
	}
	t->conv = CV_MUTATION_FAILED;
	t->repair_ms = x->now + FSM_REPAIR_RETRY_MS;
}

void
fsm_rejoin(struct fsm_ctx *x)
{
	uint8_t a = fsm_active(x->c, x->s), i;

	if (x->d.verdict != V_HEALTHY || a == FSM_NONE ||
	    !fsm_answers(x->s, a) || !fsm_can_act(x))
		return;
	for (i = 0; i < x->c->nsites; i++)
		if (i != a)
			follower(x, i, a);
		else
			x->s->site[i].diverged = x->s->site[i].recovering =
			    false;
}
