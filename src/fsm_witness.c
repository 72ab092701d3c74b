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
 * Witnesses: what guards and sidecars say unasked, and whether this operator
 * is alone in not seeing the active site (bloodraven-fencing(7)).
 */

#include <stdio.h>
#include <string.h>

#include "fsm_int.h"

/* -------------------------------------------------------- observations --- */

/* The guard's server is, or was, what the last good probe speaks of. */
static bool
speaks_of(const struct fsm_site *t, const struct fsm_guard *g)
{
	if (!t->ever || g->guard == 0 || g->initialising ||
	    !fsm_streq(g->pod_uid, t->p.pod_uid))
		return false;
	/* A later one has its own start. */
	return !g->running || g->start_ms == 0 ||
	    g->start_ms - t->p.start_ms < FSM_START_TOL_MS;
}

/* What is new in that report, for the log; and what is looked at at once. */
static void
news(struct fsm_ctx *x, uint8_t i, const struct fsm_guard *was)
{
	struct fsm_site *t = &x->s->site[i];
	const struct fsm_guard *g = &t->g;
	bool same =
	    was->guard == g->guard && was->incarnation == g->incarnation;

	if (was->guard == g->guard && was->ended < g->ended)
		fsm_tell(x, T_GUARD_ENDED, i);
	if (g->hung && !(same && was->hung))
		fsm_tell(x, T_GUARD_HUNG, i);
	if (g->disk_full && !was->disk_full)
		fsm_tell(x, T_DISK_FULL, i);
	if (same && was->held != 0 && g->held == 0 && g->running)
		fsm_tell(x, T_GUARD_FENCED, i);
	if (same && was->running == g->running && was->hung == g->hung &&
	    was->read_only == g->read_only)
		return;
	t->extra_ms = x->now;
	fsm_probe_now(x, i, FSM_DRAIN_POLL_MS);
}

/* The guard is silent: what it said last in this Pod still holds. */
static void
keep_word(struct fsm_guard *g, const struct fsm_guard *was)
{
	struct fsm_guard car = *g;

	*g = *was;
	g->memory = car.memory;
	g->promised = car.promised;
	g->heard = car.heard > was->heard ? car.heard : was->heard;
	g->yes_epoch = car.yes_epoch;
	g->yes_age_ms = car.yes_age_ms;
	g->sight = car.sight;
}

/*
 * A report. Its age counts from when it came to this operator, not from now: a
 * parent that stood still would take what a guard said before that for news,
 * and grant by it. That the server has ended or hangs is taken like a failed probe:
 * nobody has to wait for the next one.
 */
void
fsm_witness_guard(struct fsm_ctx *x, uint8_t i, const struct fsm_guard *g)
{
	struct fsm_site *t = &x->s->site[i];
	struct fsm_guard was = t->g;

	if (fsm_deaf(x->c, x->s))
		x->s->hearing_ms = x->now;
	if (!fsm_fresh(x->c, x->s, i))
		t->voter_ms = x->now;
	t->g = *g;
	t->g.late_ms = 0;
	t->g_ms = x->now - g->late_ms;
	if (g->guard != 0)
		t->guard_ms = t->g_ms;
	else if (fsm_streq(was.pod_uid, g->pod_uid))
		keep_word(&t->g, &was);
	if (was.memory != g->memory || !fsm_streq(was.pod_uid, g->pod_uid))
		x->s->offer_next_ms = x->now; /* its address may be new */
	if (was.memory != g->memory)
		t->voter_ms = x->now;
	if (g->guard == 0)
		return;
	news(x, i, &was);
	if (speaks_of(t, g) && (!g->running || g->hung))
		fsm_health_word(x, i);
}

void
fsm_witness_link(struct fsm_ctx *x, uint8_t i, bool up)
{
	struct fsm_site *t = &x->s->site[i];

	if (up && !t->link_up) {
		x->s->offer_next_ms = x->now;
		t->revoke_next_ms = t->promise_next_ms = x->now;
	}
	if (!up)
		t->voter_ms = 0;
	t->link_up = up;
}

/* ------------------------------------------------------ the decision ----- */

#define X(id, name) name,
static const char *const w_replicas[] = { FSM_W_REPLICAS(X) };
static const char *const w_guards[] = { FSM_W_GUARDS(X) };
#undef X

const char *
fsm_witness_name(const struct fsm_witness *w, char *buf, size_t len)
{
	snprintf(buf, len, "replica %s, standby %s, guard %s, %s",
	    w_replicas[w->replica], w->standby ? "sees it" : "none",
	    w_guards[w->guard], w->renewed ? "renewed" : "not renewed");
	return buf;
}

/*
 * This operator's probes of the active site fail. Somebody else sees it over
 * the network: a replica receives from it, or another operator's probe of it was
 * answered. And its guard says that it is well, or, when that is silent here, a
 * voter has renewed it just now. Both are needed: who sees it notices its end
 * late, and a guard renews as long as its server answers it, also when nobody
 * else reaches that.
 */
bool
fsm_isolated(const struct fsm_witness *w)
{
	if (w->replica != WR_SEES && !w->standby)
		return false;
	switch (w->guard) {
	case WG_OK:
		return true;
	case WG_SILENT:
		return w->renewed;
	case WG_HUNG:
	case WG_ENDED:
	case WG_FENCED:
	case WG_MAX:
		break;
	}
	return false;
}

static enum fsm_w_replica
replicas(const struct fsm_conf *c, const struct fsm_state *s, uint8_t a)
{
	const struct fsm_site *t;
	enum fsm_w_replica r = WR_NONE;
	uint8_t j;

	for (j = 0; j < c->nsites; j++) {
		t = &s->site[j];
		if (j == a || !fsm_answers(s, j) || !t->p.has_repl ||
		    t->p.source != a ||
		    t->p.sent_ms <= s->site[a].fail_since_ms)
			continue;
		if (t->p.io == IO_YES)
			return WR_SEES;
		r = WR_BLIND;
	}
	return r;
}

/* Two polls and the way here, of two beats, with what may be late. */
static int64_t
sight_life(const struct fsm_conf *c)
{
	return 2 * (c->poll_ms + BR_LINK_BEAT_MS(c->check_ms)) +
	    FSM_SEEN_YES_MS;
}

bool
fsm_sight(const struct fsm_conf *c, const struct fsm_state *s, int64_t now,
    struct fsm_sight *w)
{
	const struct fsm_site *t;
	uint8_t a = s->rec.active;

	memset(w, 0, sizeof(*w));
	if (s->lease_held || a >= c->nsites || !fsm_answers(s, a))
		return false;
	t = &s->site[a];
	if (t->p.read_only || now - t->p.sent_ms >= sight_life(c))
		return false;
	memcpy(w->pod_uid, t->p.pod_uid, sizeof(w->pod_uid));
	memcpy(w->server_uuid, t->p.server_uuid, sizeof(w->server_uuid));
	w->start_ms = t->p.start_ms;
	w->age_ms = now - t->p.sent_ms;
	return true;
}

/*
 * The word that was told at site j is about that process; at: when it was seen.
 * An age has lost what it was under way: that makes it younger than it is, so
 * it holds up a failover, by no more than its life.
 */
bool
fsm_sight_of(const struct fsm_state *s, uint8_t j, const struct fsm_epoch *e,
    int64_t *at)
{
	const struct fsm_sight *w = &s->site[j].g.sight;
	struct fsm_probe p;

	*at = s->site[j].g_ms - w->age_ms;
	if (w->pod_uid[0] == '\0')
		return false;
	memcpy(p.pod_uid, w->pod_uid, sizeof(p.pod_uid));
	memcpy(p.server_uuid, w->server_uuid, sizeof(p.server_uuid));
	p.start_ms = w->start_ms;
	return fsm_same_process(&e->proc, &p);
}

/* Another operator's probe of that process was answered, since ours fail. */
static bool
standby_sees(const struct fsm_conf *c, const struct fsm_state *s, uint8_t a,
    const struct fsm_epoch *e)
{
	int64_t seen;
	uint8_t j;

	for (j = 0; j < c->nsites; j++)
		if (fsm_sight_of(s, j, e, &seen) &&
		    seen > s->site[a].fail_since_ms &&
		    s->now_ms - seen < sight_life(c))
			return true;
	return false;
}

static enum fsm_w_guard
guard_says(const struct fsm_conf *c, const struct fsm_state *s, uint8_t a,
    const struct fsm_epoch *e)
{
	const struct fsm_guard *g = &s->site[a].g;

	/* The kubelet's word is about the guard itself. */
	if (s->ended[e - s->rec.unended] == P_TERMINATED)
		return WG_ENDED;
	if (!fsm_guard_fresh(c, s, a))
		return WG_SILENT;
	if (g->guard != e->terms.guard || !g->running ||
	    g->incarnation != e->terms.incarnation)
		return WG_ENDED;
	if (g->hung)
		return WG_HUNG;
	return g->held == 0 ? WG_FENCED : WG_OK;
}

/*
 * Voters of the epoch that could say whether they renew it, but are not heard
 * themselves: not heard is not "no". Nothing is lost by waiting for them, since
 * a proof needs their promises.
 */
static bool
unheard(const struct fsm_conf *c, const struct fsm_state *s,
    const struct fsm_epoch *e)
{
	unsigned m, voters = 0;
	uint8_t j;

	for (m = 0; m < e->terms.n; m++) {
		j = e->voter_site[m];
		if (j >= c->nsites)
			continue;
		voters++;
		if (fsm_fresh(c, s, j))
			return false;
	}
	return voters != 0;
}

/* What is known of the active site beside the own probes. */
void
fsm_witnesses(const struct fsm_conf *c, const struct fsm_state *s, uint8_t a,
    struct fsm_witness *w)
{
	const struct fsm_epoch *e;
	int64_t lately = 2 * (int64_t)c->check_ms + FSM_SEEN_YES_MS;
	int k = fsm_newest(s);
	uint8_t j;

	w->replica = replicas(c, s, a);
	w->standby = false;
	w->guard = WG_SILENT;
	w->renewed = false;
	if (k == -1)
		return;
	e = &s->rec.unended[k];
	if (e->terms.guard == 0 || e->site != a)
		return;
	w->standby = standby_sees(c, s, a, e);
	w->guard = guard_says(c, s, a, e);
	w->renewed = unheard(c, s, e);
	for (j = 0; j < c->nsites; j++)
		if (j != a && fsm_lease_renewed(c, s, j, e, lately))
			w->renewed = true;
}

/* ------------------------------------------------------- a hand-over ----- */

/* Something was asked for that is not answered yet, or is about to be. */
static bool
under_way(const struct fsm_conf *c, const struct fsm_state *s)
{
	const struct fsm_site *t;
	unsigned k;
	uint8_t i;

	if (!fsm_quiet(c, s) || s->put.seq != 0 || s->foreign_req.seq != 0 ||
	    s->clone_phase == CL_CLONING || s->clone_phase == CL_RESTART ||
	    s->clone_phase == CL_SETUP)
		return true;
	/* What this term has proven, or is about to, the next one would not. */
	if (fsm_lease_wake(s) != LEASE_FOREVER)
		return true;
	for (k = 0; k < s->rec.n; k++)
		if (s->ended[k] == P_LEASE)
			return true;
	for (i = 0; i < c->nsites; i++) {
		t = &s->site[i];
		if (t->sql.seq != 0 || t->fence.seq != 0 ||
		    t->pod_req.seq != 0 || t->roll.seq != 0)
			return true;
	}
	switch ((enum fsm_verdict)s->verdict) {
	case V_WAIT_RECORD:
	case V_BOOTSTRAP:
	case V_ADOPT:
	case V_ADOPT_GRANT:
	case V_REGRANT:
	case V_PROMOTE:
		return true;
	case V_STARTING:
	case V_DELETING:
	case V_HEALTHY:
	case V_SPLIT_BRAIN:
	case V_TOTAL_LOSS:
	case V_WAIT_SITES:
	case V_WAIT_THRESHOLD:
	case V_NO_CANDIDATE:
	case V_COOLDOWN:
	case V_NO_PROOF:
	case V_DIVERGENCE:
	case V_GTID_UNKNOWN:
	case V_DATA_MISSING:
	case V_APPLIER_ERROR:
	case V_DRAIN_TIMEOUT:
	case V_FENCING:
	case V_STRANGERS:
	case V_RECORD_FULL:
	case V_OBSERVER_ISOLATED:
	case V_NO_LEASE:
	case V_STOP_TIMEOUT:
	case V_MAX:
		break;
	}
	return false;
}

/*
 * Does the active site's lease last while nobody leads for a moment? Voters on
 * other sites renew it just now, or it is long.
 */
static bool
lease_lasts(const struct fsm_conf *c, const struct fsm_state *s,
    const struct fsm_epoch *e)
{
	unsigned m, yes = 0;
	uint8_t j;

	if (e->terms.guard == 0 ||
	    (int64_t)e->terms.lease_ms - 2 * (int64_t)c->check_ms >=
		FSM_LEADERLESS_MS)
		return true;
	for (m = 0; m < e->terms.n; m++) {
		j = e->voter_site[m];
		if (j < c->nsites &&
		    fsm_lease_renewed(
			c, s, j, e, 2 * (int64_t)c->check_ms + FSM_SEEN_YES_MS))
			yes++;
	}
	return yes >= e->terms.r;
}

enum fsm_sees
fsm_sees(const struct fsm_conf *c, const struct fsm_state *s)
{
	const struct fsm_epoch *e;
	uint8_t a = s->rec.active;
	int k = fsm_newest(s);
	bool mine, other;

	if (under_way(c, s))
		return FSM_SEES_BUSY;
	if (a >= c->nsites)
		return FSM_SEES_NONE;
	mine = fsm_answers(s, a);
	if (k == -1 || s->rec.unended[k].site != a)
		return mine ? FSM_SEES_MINE : FSM_SEES_NONE;
	e = &s->rec.unended[k];
	if (!lease_lasts(c, s, e))
		return FSM_SEES_BUSY;
	other = standby_sees(c, s, a, e);
	if (mine)
		return other ? FSM_SEES_BOTH : FSM_SEES_MINE;
	return other && s->verdict == V_OBSERVER_ISOLATED ? FSM_SEES_OTHER :
							    FSM_SEES_NONE;
}
