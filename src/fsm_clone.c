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
 * Filling an empty site from the active one: one clone at a time, one golden
 * table. Fresh groups are filled the same way, once their first primary is
 * granted.
 */

#include <string.h>

#include "fsm_int.h"

#define I CL_IGNORE
#define B CL_BUG

/* Rows: phase now; columns: C_START .. C_DONOR_LOST. */
static const unsigned next_phase[CL_MAX][C_MAX] = {
	[CL_IDLE] = { CL_CLONING, I, I, I, I, I, I },
	[CL_CLONING] = { B, CL_RESTART, CL_FAILED, I, B, I, I },
	[CL_RESTART] = { B, I, I, CL_SETUP, B, CL_FAILED, CL_FAILED },
	[CL_SETUP] = { B, I, I, I, CL_DONE, CL_FAILED, CL_FAILED },
	[CL_DONE] = { CL_CLONING, I, I, I, I, I, I },
	[CL_FAILED] = { CL_CLONING, I, I, I, I, I, I },
};

#undef I
#undef B

unsigned
fsm_clone_next(enum fsm_clone_phase phase, enum fsm_clone_ev ev)
{
	return next_phase[phase][ev];
}

static void
advance(struct fsm_ctx *x, enum fsm_clone_ev ev)
{
	struct fsm_state *s = x->s;
	struct fsm_site *t;
	unsigned to = fsm_clone_next(s->clone_phase, ev);
	int64_t wait = FSM_CLONE_BACKOFF_MS;
	unsigned k;

	if (to >= CL_MAX)
		return;
	s->clone_phase = (uint8_t)to;
	s->clone_ms = x->now;
	fsm_tell(x, to == CL_FAILED ? T_CLONE_FAILED : T_CLONE, s->clone_to);
	if (s->clone_to >= x->c->nsites)
		return;
	t = &s->site[s->clone_to];
	if (to == CL_DONE) {
		t->clone_fails = 0;
		fsm_count(x, FM_CLONES, s->clone_to);
	}
	if (to != CL_FAILED)
		return;
	for (k = 0; k < t->clone_fails && wait < FSM_CLONE_BACKOFF_MAX_MS; k++)
		wait *= 2;
	if (wait > FSM_CLONE_BACKOFF_MAX_MS)
		wait = FSM_CLONE_BACKOFF_MAX_MS;
	if (t->clone_fails < UINT8_MAX)
		t->clone_fails++;
	t->clone_next_ms = x->now + wait;
}

/* How SQL_CLONE ended. Losing the connection is how a good one ends. */
void
fsm_clone_sql(struct fsm_ctx *x, uint8_t i, enum sql_end end)
{
	if (i != x->s->clone_to)
		return;
	advance(x, end == SE_DONE || end == SE_UNKNOWN ? C_COPIED : C_REFUSED);
	x->s->site[i].stopped_ms = 0;
}

/*
 * Empty: no channel, and either no transaction at all, or none that it shares
 * with the active site and no schema of a user.
 */
static bool
cloneable(const struct fsm_ctx *x, uint8_t i, uint8_t a)
{
	const struct fsm_state *s = x->s;
	const struct fsm_site *t = &s->site[i];

	if (!fsm_known(s, i) || !fsm_known(s, a))
		return false;
	return FSM_GUARD(G_CLONE_EMPTY,
	    !t->p.has_repl && !t->p.user_schemas &&
		((s->rel.empty & BIT(i)) != 0 ||
		    (s->rel.shares[i] & BIT(a)) == 0));
}

/* Candidates first, then dr-only, then readers, each in declared order. */
static uint8_t
recipient(const struct fsm_ctx *x, uint8_t a)
{
	const struct fsm_site *t;
	uint8_t i, role;

	for (role = ROLE_CANDIDATE; role < ROLE_MAX; role++)
		for (i = 0; i < x->c->nsites; i++) {
			t = &x->s->site[i];
			if (i == a || x->c->site[i].role != role ||
			    t->state != SS_READ_ONLY || !fsm_answers(x->s, i) ||
			    t->recovering || t->sql.seq != 0 ||
			    x->now < t->clone_next_ms)
				continue;
			if (cloneable(x, i, a))
				return i;
		}
	return FSM_NONE;
}

/*
 * The first copy of a group that began empty: nobody follows, and authority
 * was first given to a site without a transaction. Seen, not remembered: a
 * leader that takes over says the same.
 */
static bool
first_copy(const struct fsm_ctx *x)
{
	const struct fsm_state *s = x->s;
	uint8_t i;

	for (i = 0; i < x->c->nsites; i++)
		if (s->site[i].p.has_repl)
			return false;
	return s->rel.record_known && s->rel.grant_empty &&
	    s->rec.last_failover_s == 0;
}

/*
 * The donor is the recorded active site, and its authority stands: a site that
 * is away can hold nothing that another copy of it would lose, and while it is
 * away a copy more is wanted most.
 */
static void
start(struct fsm_ctx *x, uint8_t a)
{
	struct fsm_state *s = x->s;
	struct fsm_act *act;
	uint8_t to;

	if (!FSM_GUARD(G_CLONE_DONOR,
		a != FSM_NONE && fsm_answers(s, a) &&
		    x->d.verdict == V_HEALTHY) ||
	    a >= x->c->nsites || !x->c->creds ||
	    (to = recipient(x, a)) == FSM_NONE ||
	    (act = fsm_sql(x, to, SQL_CLONE, x->c->clone_ms)) == NULL)
		return;
	act->source = a;
	s->clone_to = to;
	s->clone_from = a;
	s->boot = first_copy(x);
	advance(x, C_START);
}

/* The recipient answers again, with the donor's data. */
static void
await_restart(struct fsm_ctx *x, uint8_t a)
{
	struct fsm_state *s = x->s;
	uint8_t i = s->clone_to;

	if (a != s->clone_from && s->rec.active != s->clone_from)
		advance(x, C_DONOR_LOST);
	else if (x->now - s->clone_ms > FSM_RESTART_MS)
		advance(x, C_TIMEOUT);
	else if (s->site[i].p.sent_ms > s->clone_ms && fsm_answers(s, i) &&
	    !s->site[i].p.offline_mode && s->site[i].p.read_only &&
	    a == s->clone_from)
		advance(x, C_BACK);
}

static void
set_up(struct fsm_ctx *x, uint8_t a)
{
	struct fsm_state *s = x->s;
	struct fsm_act *act;
	uint8_t i = s->clone_to;

	if (s->site[i].p.has_repl && s->site[i].p.source == s->clone_from) {
		advance(x, C_SET);
		return;
	}
	if (s->rec.active != s->clone_from) {
		advance(x, C_DONOR_LOST);
		return;
	}
	if (x->now - s->clone_ms > FSM_REPAIR_RETRY_MS) {
		advance(x, C_TIMEOUT);
		return;
	}
	if (fsm_stale(s, i) || a != s->clone_from ||
	    x->d.verdict != V_HEALTHY || !fsm_answers(s, a) ||
	    !fsm_answers(s, i) || !s->site[i].p.read_only || !fsm_known(s, i) ||
	    !fsm_known(s, a) ||
	    !FSM_GUARD(G_REJOIN_CONTAINED, (s->rel.exec_all[a] & BIT(i)) != 0))
		return;
	if ((act = fsm_sql(x, i, SQL_SET_SOURCE, FSM_SQL_TIMEOUT_MS)) != NULL)
		act->source = a;
}

void
fsm_clone(struct fsm_ctx *x)
{
	uint8_t a = fsm_active(x->c, x->s);

	if (x->c->deleting || !fsm_can_act(x))
		return;
	switch ((enum fsm_clone_phase)x->s->clone_phase) {
	case CL_IDLE:
	case CL_DONE:
	case CL_FAILED:
		start(x, a);
		break;
	case CL_CLONING:
		/* The term began anew: its answer will not come. */
		if (x->s->site[x->s->clone_to].sql.seq == 0)
			advance(x, C_COPIED);
		break;
	case CL_RESTART:
		await_restart(x, a);
		break;
	case CL_SETUP:
		set_up(x, a);
		break;
	case CL_MAX:
		break;
	}
}
