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

/* What the outside shall see: a pure function of the state. */

#include <stdio.h>
#include <string.h>

#include "fsm_int.h"

struct tally {
	unsigned core, writable, read_only, unreachable, unknown;
	unsigned stray; /* writable, not promotable */
	uint32_t who; /* of a degraded group: strays << 16, unreachable ones */
	char wnames[256], unames[256], snames[256];
};

static void
tally(const struct fsm_conf *c, const struct fsm_state *s, struct tally *t)
{
	const char *name;
	uint8_t i;

	memset(t, 0, sizeof(*t));
	for (i = 0; i < c->nsites; i++) {
		name = c->site[i].name;
		if (!fsm_promotable(c, i) && s->site[i].state == SS_WRITABLE) {
			t->stray++;
			t->who |= (uint32_t)BIT(i) << 16;
			fsm_add_name(t->snames, sizeof(t->snames), name);
		}
		if (!fsm_core(c, i))
			continue;
		t->core++;
		switch ((enum site_state)s->site[i].state) {
		case SS_UNKNOWN:
		case SS_MAX:
			t->unknown++;
			break;
		case SS_WRITABLE:
			if (!fsm_promotable(c, i))
				break;
			t->writable++;
			fsm_add_name(t->wnames, sizeof(t->wnames), name);
			break;
		case SS_READ_ONLY:
			t->read_only++;
			break;
		case SS_UNREACHABLE:
			t->unreachable++;
			t->who |= BIT(i);
			fsm_add_name(t->unames, sizeof(t->unames), name);
			break;
		}
	}
}

static enum fsm_matrix
matrix(
    const struct fsm_conf *c, const struct fsm_state *s, const struct tally *t)
{
	if (t->stray > 0)
		return MX_DEGRADED;
	if (t->unreachable == t->core)
		return fsm_unborn(c, s) ? MX_STARTING : MX_TOTAL_LOSS;
	if (t->writable > 1)
		return MX_SPLIT_BRAIN;
	if (t->unknown > 0)
		return MX_STARTING;
	if (t->writable == 0)
		return s->verdict == V_PROMOTE || s->verdict == V_REGRANT ?
		    MX_DEGRADED :
		    MX_NO_PRIMARY;
	return t->unreachable > 0 ? MX_DEGRADED : MX_HEALTHY;
}

/*
 * A degraded group has an alert when a site is missing beside its primary, or
 * is writable and may not be. Between two primaries it has none, nor is that
 * told as an end of what there was.
 */
static bool
alerting(enum fsm_matrix m, const struct tally *t)
{
	return m == MX_DEGRADED && (t->stray > 0 || t->writable == 1);
}

static uint8_t
lowest(uint32_t who)
{
	uint8_t i;

	for (i = 0; i < SITES_MAX; i++)
		if (((who | who >> 16) & BIT(i)) != 0)
			return i;
	return FSM_NONE;
}

/* Another site than those that were told of is told of, too. */
static void
degraded_say(struct fsm_ctx *x, const struct tally *t)
{
	uint32_t more = t->who & ~x->s->degraded_said;

	x->s->degraded_said = t->who;
	if (more != 0)
		fsm_tell(x, T_DEGRADED, lowest(more));
}

/* The Events and alerts of the matrix, once per change that lasts. */
void
fsm_matrix_say(struct fsm_ctx *x)
{
	struct tally t;
	enum fsm_matrix m;
	uint32_t who;

	tally(x->c, x->s, &t);
	m = matrix(x->c, x->s, &t);
	who = alerting(m, &t) ? t.who : 0;
	if (x->s->matrix != m || x->s->degraded != who) {
		x->s->matrix = (uint8_t)m;
		x->s->degraded = who;
		x->s->matrix_ms = x->now;
	}
	/* What is being observed anew is neither better nor worse. */
	if ((x->s->matrix_said == m && x->s->degraded_said == who) ||
	    m == MX_STARTING || (m == MX_DEGRADED && who == 0) ||
	    !fsm_can_act(x) || x->now - x->s->matrix_ms < FSM_BLOCKED_SAY_MS)
		return;
	x->s->matrix_said = (uint8_t)m;
	if (m == MX_DEGRADED) {
		degraded_say(x, &t);
		return;
	}
	x->s->degraded_said = 0;
	switch (m) {
	case MX_SPLIT_BRAIN:
		fsm_tell(x, T_SPLIT_BRAIN, FSM_NONE);
		break;
	case MX_NO_PRIMARY:
		fsm_tell(x, T_NO_PRIMARY, FSM_NONE);
		break;
	case MX_TOTAL_LOSS:
		fsm_tell(x, T_TOTAL_LOSS, FSM_NONE);
		break;
	case MX_HEALTHY:
		fsm_tell(x, T_SITE_RECOVERED, FSM_NONE);
		break;
	case MX_DEGRADED:
	case MX_STARTING:
		break;
	}
}

static void
alert(const struct fsm_conf *c, const struct fsm_view *v, enum fsm_matrix m,
    const struct tally *t, char *buf, size_t len)
{
	buf[0] = '\0';
	if (t->stray > 0)
		snprintf(buf, len,
		    "writable non-promotable site requires "
		    "fencing (%s)",
		    t->snames);
	else if (m == MX_TOTAL_LOSS)
		snprintf(buf, len, "TOTAL LOSS: all sites are unreachable");
	else if (m == MX_SPLIT_BRAIN)
		snprintf(buf, len, "SPLIT BRAIN: %u sites are writable (%s)",
		    t->writable, t->wnames);
	else if (m == MX_NO_PRIMARY)
		snprintf(buf, len, "NO PRIMARY: %s",
		    t->read_only == 2 && t->unreachable == 0 ?
			"both sites are read-only" :
			"no writable site available");
	else if (m == MX_DEGRADED && t->writable == 1)
		snprintf(buf, len, "%s unreachable while %s is primary",
		    t->unames,
		    v->active < c->nsites ? c->site[v->active].name :
					    t->wnames);
}

/* ------------------------------------------------------------ one site --- */

static bool
replicating(const struct fsm_state *s, uint8_t i)
{
	return s->site[i].repl_streak >= 2;
}

static bool
healthy(const struct fsm_conf *c, const struct fsm_state *s, uint8_t active,
    uint8_t i)
{
	const struct fsm_site *t = &s->site[i];

	if (fsm_core(c, i))
		return t->state == SS_WRITABLE || t->state == SS_READ_ONLY;
	return active != FSM_NONE && t->state == SS_READ_ONLY &&
	    t->conv == CV_CONVERGED && replicating(s, i) &&
	    t->p.source == active && t->p.lag_s >= 0 &&
	    t->p.lag_s <= c->reader_max_lag_s;
}

/*
 * What should replicate and has no channel is a follower that does not: it is
 * shown as one. A clone's recipient is to have none.
 */
static bool
follower(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];
	bool other = s->rec_known && s->rec.active < c->nsites &&
	    s->rec.active != i && !fsm_recipient(s, i);

	return t->state == SS_READ_ONLY && (t->p.has_repl || other);
}

/* Steadier than fsm_fresh: what is shown shall not flicker. */
static bool
heard_lately(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i)
{
	int64_t most = c->lease_ms > 5000 ? c->lease_ms : 5000;

	return s->site[i].g_ms != 0 && s->now_ms - s->site[i].g_ms < most;
}

bool
fsm_guard_lately(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i)
{
	int64_t most = c->lease_ms > 5000 ? c->lease_ms : 5000;

	return s->site[i].g.guard != 0 && s->site[i].guard_ms != 0 &&
	    s->now_ms - s->site[i].guard_ms < most;
}

/*
 * Whether clients of the group's Service are to be sent to the active site. It
 * leaves once its failover is decided, and when it is known to answer nobody
 * and half of the threshold has passed, not when the other one is promoted:
 * controllers that see two changes of a Service within some hundred ms may
 * publish the second one a second later, and that one ends the outage. An
 * operator that merely hears nothing takes nobody away from a server that may
 * be well.
 */
static bool
serves(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];
	struct fsm_witness w;
	int k = fsm_newest(s);

	if (t->state != SS_WRITABLE &&
	    (s->verdict == V_NO_PROOF || s->verdict == V_PROMOTE))
		return false;
	if (t->fails == 0 || 2 * t->fails < c->failure_threshold)
		return true;
	fsm_witnesses(c, s, i, &w);
	return k != -1 && s->rec.unended[k].site == i && w.guard != WG_ENDED &&
	    w.guard != WG_HUNG;
}

/*
 * Moves when the record is written, not when polls confirm it. As long as
 * nobody is recorded, or the record wasn't read, Pods keep their labels: those
 * of a group that is about to be adopted steer clients to its primary.
 */
static uint8_t
label(const struct fsm_conf *c, const struct fsm_state *s, bool lost, uint8_t i)
{
	if (!s->rec_known || s->rec.active == FSM_NONE)
		return RL_KEEP;
	return s->rec.active == i && !lost && fsm_promotable(c, i) ?
	    RL_PRIMARY :
	    RL_REPLICA;
}

static void
view_site(const struct fsm_conf *c, const struct fsm_state *s,
    const struct fsm_decision *d, struct fsm_view *v, uint8_t i)
{
	struct fsm_site_view *w = &v->site[i];
	bool active = s->rec_known && s->rec.active == i;
	bool lost = active && !serves(c, s, i);

	w->state = s->site[i].state;
	w->label = label(c, s, lost, i);
	w->healthy = !lost && healthy(c, s, v->active, i);
	w->taint = (uint8_t)fsm_taint(c, s, (enum fsm_verdict)v->verdict, i);
	w->replicating = replicating(s, i);
	w->follower = follower(c, s, i);
	w->conv = s->site[i].conv;
	w->guard = fsm_guard_lately(c, s, i);
	w->voter =
	    s->site[i].g.memory > LEASE_OPERATOR && heard_lately(c, s, i);
	w->disk_full = w->guard && s->site[i].g.disk_full;
	w->held = w->guard ? s->site[i].g.held : 0;
	w->diverged = s->site[i].diverged;
	w->recovering = s->site[i].recovering;
	w->roll = (uint8_t)fsm_roll_of(c, s, d, i);
}

/* ------------------------------------------------------------ wake-up --- */

/*
 * When the group is looked at again without an event. All spacings and
 * deadlines are met to the second, draining and lost connections closer.
 */
static int64_t
wake(const struct fsm_conf *c, const struct fsm_state *s,
    const struct fsm_view *v)
{
	int64_t wait = FSM_RETRY_MS;
	uint8_t i;

	if (v->verdict == V_HEALTHY && s->clone_phase != CL_CLONING &&
	    c->poll_ms > wait)
		wait = c->poll_ms;
	for (i = 0; i < c->nsites; i++)
		if (s->site[i].suspect && s->site[i].state != SS_UNREACHABLE)
			wait = FSM_SUSPECT_POLL_MS;
	if (s->step == ST_DRAIN || s->step == ST_STOP_RECEIVER ||
	    s->step == ST_LEASE)
		wait = FSM_DRAIN_POLL_MS;
	if (s->verdict == V_NO_PROOF && wait > FSM_LINK_RETRY_MS)
		wait = FSM_LINK_RETRY_MS;
	if (fsm_lease_wake(s) - s->now_ms < wait)
		wait = fsm_lease_wake(s) - s->now_ms;
	for (i = 0; i < c->nsites; i++)
		if (fsm_answers(s, i) && fsm_stale(s, i) &&
		    s->site[i].extra_ms - s->now_ms < wait)
			wait = s->site[i].extra_ms > s->now_ms ?
			    s->site[i].extra_ms - s->now_ms :
			    1;
	return s->now_ms + wait;
}

/* Served as the active site a little earlier than it is confirmed. */
static uint8_t
effective(const struct fsm_conf *c, const struct fsm_state *s)
{
	uint8_t a = s->rec.active, i;

	if (s->my_epoch == 0 || s->rec.epoch != s->my_epoch ||
	    s->promoted_ms == 0 || s->now_ms - s->promoted_ms > 30000 ||
	    a >= c->nsites || !fsm_promotable(c, a))
		return FSM_NONE;
	for (i = 0; i < c->nsites; i++)
		if (i != a && s->site[i].state == SS_WRITABLE)
			return FSM_NONE;
	return a;
}

void
fsm_view(
    const struct fsm_conf *c, const struct fsm_state *s, struct fsm_view *v)
{
	struct fsm_decision d;
	struct tally t;
	enum fsm_matrix m;
	uint8_t i;

	memset(v, 0, sizeof(*v));
	fsm_decide(c, s, &d);
	tally(c, s, &t);
	m = matrix(c, s, &t);
	v->verdict = d.verdict;
	v->active = v->dns = fsm_active(c, s);
	v->effective = v->active != FSM_NONE ? v->active : effective(c, s);
	v->clone_phase = s->clone_phase;
	v->wake_ms = wake(c, s, v);
	for (i = 0; i < c->nsites; i++)
		view_site(c, s, &d, v, i);
	alert(c, v, m, &t, v->alert, sizeof(v->alert));
	fsm_conditions(c, s, &d, v, m);
}
