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
 * The conditions of the group: what is wrong, and where, in words that stay
 * as they are while nothing changes. No seconds, no counts that move: each
 * change is an API write.
 */

#include <stdio.h>
#include <string.h>

#include "fsm_int.h"

void
fsm_add_name(char *list, size_t len, const char *name)
{
	size_t n = strlen(list);

	snprintf(list + n, len - n, "%s%s", n > 0 ? ", " : "", name);
}

static struct fsm_cond *
cond(struct fsm_view *v, const char *type, bool status, const char *reason)
{
	struct fsm_cond *k = &v->cond[v->nconds++];

	k->type = type;
	k->status = status;
	k->reason = reason;
	k->message[0] = '\0';
	return k;
}

/* A clause more: "pdx: the applier is stopped; rep: …". */
static void
clause(struct fsm_cond *k, const char *site, const char *what)
{
	size_t n = strlen(k->message);

	snprintf(k->message + n, sizeof(k->message) - n, "%s%s: %s",
	    n > 0 ? "; " : "", site, what);
}

/* ------------------------------------------------------ Ready, Degraded --- */

/*
 * Whom the decision waits for: the one in its way, or all that are silent.
 * Apart from the others those whose guard says why: a server is made there.
 */
static void
waited_for(const struct fsm_conf *c, const struct fsm_state *s,
    const struct fsm_decision *d, bool initialising, char *names, size_t len)
{
	uint8_t i;

	names[0] = '\0';
	for (i = 0; i < c->nsites && d->verdict == V_WAIT_SITES; i++)
		if ((s->site[i].link_up && s->site[i].g.initialising) ==
			initialising &&
		    (d->site == i ||
			(d->site == FSM_NONE && fsm_core(c, i) &&
			    (s->site[i].state == SS_UNKNOWN ||
				!fsm_answers(s, i)))))
			fsm_add_name(names, len, c->site[i].name);
}

static void
cond_ready(const struct fsm_conf *c, const struct fsm_state *s,
    const struct fsm_decision *d, struct fsm_view *v)
{
	struct fsm_cond *k = cond(v, "Ready", true, "TopologyPolled");
	char names[256], making[256];
	uint8_t i;

	if (v->active == FSM_NONE) {
		k->status = false;
		waited_for(c, s, d, true, making, sizeof(making));
		waited_for(c, s, d, false, names, sizeof(names));
		snprintf(k->message, sizeof(k->message),
		    "no site is confirmed as the writable one%s%s%s%s%s",
		    making[0] != '\0' ? "; first initialisation goes on at " :
					"",
		    making,
		    names[0] != '\0' ? "; server, guard and sidecar of " : "",
		    names, names[0] != '\0' ? " are waited for" : "");
		return;
	}
	for (i = 0; i < c->nsites; i++) {
		if (i == v->active || !fsm_core(c, i) ||
		    (v->site[i].replicating && s->site[i].conv == CV_CONVERGED))
			continue;
		k->status = false;
		clause(k, c->site[i].name,
		    s->site[i].state == SS_UNREACHABLE ?
			"unreachable" :
			"does not replicate from the active site");
	}
	if (k->status)
		snprintf(k->message, sizeof(k->message),
		    "%s is writable, every other core site replicates from it",
		    c->site[v->active].name);
}

#define FSM_REPL_ERRS(X)                                                \
	X(RE_NONE, NULL, "")                                            \
	X(RE_SOURCE, "ReplicationSourceMismatch",                       \
	    "does not replicate from the active site")                  \
	X(RE_IO, "ReplicationBroken", "its receiver is stopped")        \
	X(RE_SQL, "ReplicationBroken", "its applier is stopped")        \
	X(RE_LAG, "ReplicationLagging", "lags more than maxLagSeconds") \
	X(RE_ERROR, "ReplicationError", "replication error")
#define X(id, reason, text) id,
enum repl_err { FSM_REPL_ERRS(X) RE_MAX };
#undef X

static const struct {
	const char *reason, *text;
} repl_errs[] = {
#define X(id, reason, text) { reason, text },
	FSM_REPL_ERRS(X)
#undef X
};

/*
 * What is wrong with a follower's replication; api.md 1.8 has the order, the
 * last one that is true counts. An error tells more than what it stopped.
 */
static enum repl_err
repl_err(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i,
    uint8_t active)
{
	const struct fsm_site *t = &s->site[i];
	enum repl_err e = RE_NONE;

	if (!t->p.has_repl || t->p.source != active || t->conv == CV_BLOCKED)
		e = RE_SOURCE;
	if (t->p.has_repl && t->p.io == IO_NO)
		e = RE_IO;
	if (t->p.has_repl && !t->p.sql)
		e = RE_SQL;
	if (t->p.has_repl && t->p.lag_s > c->max_lag_s)
		e = RE_LAG;
	if (t->p.has_repl && (t->p.io_errno != 0 || t->p.sql_errno != 0))
		e = RE_ERROR;
	return e;
}

static void
repl_clause(struct fsm_cond *k, const char *name, const struct fsm_probe *p,
    enum repl_err e)
{
	char text[128];

	if (e != RE_ERROR) {
		clause(k, name, repl_errs[e].text);
		return;
	}
	snprintf(text, sizeof(text), "%s: error %u",
	    p->sql_errno != 0 ? "its applier stopped" :
				"its receiver can't reach the source",
	    p->sql_errno != 0 ? p->sql_errno : p->io_errno);
	clause(k, name, text);
}

/* Followers' replication, while the topology itself is healthy. */
static void
degraded_repl(const struct fsm_conf *c, const struct fsm_state *s,
    const struct fsm_view *v, struct fsm_cond *k)
{
	enum repl_err e;
	uint8_t i;

	for (i = 0; i < c->nsites && v->active != FSM_NONE; i++) {
		if (i == v->active || !fsm_core(c, i) ||
		    s->site[i].state != SS_READ_ONLY || fsm_recipient(s, i) ||
		    (e = repl_err(c, s, i, v->active)) == RE_NONE)
			continue;
		k->status = true;
		k->reason = repl_errs[e].reason;
		repl_clause(k, c->site[i].name, &s->site[i].p, e);
	}
}

static void
cond_degraded(const struct fsm_conf *c, const struct fsm_state *s,
    struct fsm_view *v, enum fsm_matrix m)
{
	static const char *const names[] = {
		[MX_HEALTHY] = "Healthy",
		[MX_DEGRADED] = "Degraded",
		[MX_SPLIT_BRAIN] = "SplitBrain",
		[MX_NO_PRIMARY] = "NoPrimary",
		[MX_TOTAL_LOSS] = "TotalLoss",
		[MX_STARTING] = "Starting",
	};
	struct fsm_cond *k =
	    cond(v, "Degraded", m != MX_HEALTHY && m != MX_STARTING, names[m]);

	memcpy(k->message, v->alert, sizeof(k->message));
	if (m == MX_HEALTHY)
		degraded_repl(c, s, v, k);
}

/* ------------------------------------------------------------- the rest --- */

static void
cond_blocked(const struct fsm_conf *c, const struct fsm_state *s,
    const struct fsm_decision *d, struct fsm_view *v)
{
	const char *block = fsm_verdict_block(d->verdict);
	struct fsm_cond *k = cond(v, "PromotionBlocked", block != NULL,
	    block != NULL ? block : "NotBlocked");

	if (block != NULL)
		fsm_block_message(c, s, d, k->message, sizeof(k->message));
}

static void
cond_recovery(
    const struct fsm_conf *c, const struct fsm_state *s, struct fsm_view *v)
{
	struct fsm_cond *k =
	    cond(v, "RecoveryPending", false, "NoRecoveryPending");
	uint8_t i;

	for (i = 0; i < c->nsites; i++) {
		if (s->site[i].diverged) {
			k->status = true;
			k->reason = "DivergentTransactions";
			clause(k, c->site[i].name,
			    "kept fenced, it has transactions that the active "
			    "site lacks (status.sites[].divergentGtid)");
		} else if (s->site[i].recovering) {
			if (!k->status)
				k->reason = "RecoveryInProgress";
			k->status = true;
			clause(k, c->site[i].name, "rejoins as a replica");
		}
	}
}

static void
cond_bootstrapping(
    const struct fsm_conf *c, const struct fsm_state *s, struct fsm_view *v)
{
	const char *phase = fsm_clone_phase_name(s->clone_phase);
	struct fsm_cond *k;

	if (s->clone_phase == CL_IDLE) {
		cond(v, "Bootstrapping", false, "NotBootstrapping");
		return;
	}
	k = cond(v, "Bootstrapping", s->clone_phase != CL_DONE, phase);
	if (s->clone_to < c->nsites && s->clone_from < c->nsites)
		snprintf(k->message, sizeof(k->message), "%s: %s from %s: %s",
		    s->boot ? "Bootstrap" : "Auto-clone",
		    c->site[s->clone_to].name, c->site[s->clone_from].name,
		    phase);
}

/* "operator, pdx": who renews that epoch. */
static void
voter_names(
    const struct fsm_conf *c, const struct fsm_epoch *e, char *buf, size_t len)
{
	unsigned m;

	buf[0] = '\0';
	for (m = 0; m < e->terms.n; m++)
		fsm_add_name(buf, len,
		    e->terms.voter[m] == LEASE_OPERATOR ?
			"operator" :
			e->voter_site[m] < c->nsites ?
			c->site[e->voter_site[m]].name :
			"removed");
}

/*
 * The lease of the newest epoch. That only the operator renews is a fault
 * before the operator goes.
 */
static void
cond_lease(
    const struct fsm_conf *c, const struct fsm_state *s, struct fsm_view *v)
{
	const struct fsm_epoch *e;
	uint8_t a = s->rec.active;
	char names[128];
	const char *why;
	struct fsm_cond *k;
	int n = fsm_newest(s);

	if (!s->rec_known || a >= c->nsites || n == -1) {
		cond(v, "WriteLease", false, "NoEpoch");
		return;
	}
	e = &s->rec.unended[n];
	if (e->terms.guard == 0) {
		k = cond(v, "WriteLease", false, "NoGuard");
		snprintf(k->message, sizeof(k->message),
		    "site %s writes without a guard: until it has one, its "
		    "silence proves nothing",
		    c->site[a].name);
		return;
	}
	why = !fsm_guard_lately(c, s, a) ? "GuardSilent" :
	    !fsm_lease_held(s, a, e)     ? "NotHeld" :
	    e->terms.n == 1              ? "OperatorOnlyVoter" :
					   "Held";
	k = cond(v, "WriteLease", strcmp(why, "Held") == 0, why);
	voter_names(c, e, names, sizeof(names));
	snprintf(k->message, sizeof(k->message),
	    "site %s, epoch %llu: %u of %s renew it for %u.%u s%s",
	    c->site[a].name, (unsigned long long)e->epoch, e->terms.r, names,
	    e->terms.lease_ms / 1000, e->terms.lease_ms % 1000 / 100,
	    e->terms.n > 1 ?
		"" :
		"; without the operator its writes stop after that");
}

/* ------------------------------------------------------------- Updating --- */

/* How many sites an update does this at. */
static unsigned
rolls(const struct fsm_conf *c, const struct fsm_view *v, enum fsm_roll_step r)
{
	unsigned n = 0;
	uint8_t i;

	for (i = 0; i < c->nsites; i++)
		n += v->site[i].roll == r;
	return n;
}

/*
 * True while something is being restarted, or an update has stopped for a
 * fault. What merely waits is told by reason and message, and not in
 * updatePhase: nothing runs that a planned failover would have to wait for.
 */
static void
cond_updating(
    const struct fsm_conf *c, const struct fsm_state *s, struct fsm_view *v)
{
	struct fsm_cond *k = cond(v, "Updating", true, "NotUpdating");
	char text[256];
	uint8_t i;

	v->update_phase = "";
	if (rolls(c, v, RO_LEAVING) + rolls(c, v, RO_ROLL) > 0)
		v->update_phase = k->reason = "UpdateReplica";
	else if (rolls(c, v, RO_AWAIT) > 0)
		v->update_phase = k->reason = "WaitReplica";
	else if (rolls(c, v, RO_FAILED) + rolls(c, v, RO_REFUSED) > 0)
		k->reason = "Failed";
	else {
		k->status = false;
		if (rolls(c, v, RO_CURRENT) + rolls(c, v, RO_ACTIVE) <
		    c->nsites)
			k->reason = "Waiting";
		else if (rolls(c, v, RO_ACTIVE) > 0)
			k->reason = "WaitingForFailover";
	}
	for (i = 0; i < c->nsites; i++) {
		if (v->site[i].roll == RO_CURRENT)
			continue;
		snprintf(
		    text, sizeof(text), "%s", fsm_roll_name(v->site[i].roll));
		if (v->site[i].roll == RO_OTHERS)
			fsm_update_others(c, s, i, text, sizeof(text));
		clause(k, c->site[i].name, text);
	}
}

/* ------------------------------------------------------------- in short --- */

static const struct fsm_cond *
find(const struct fsm_view *v, const char *type)
{
	unsigned k;

	for (k = 0; k < v->nconds; k++)
		if (fsm_streq(v->cond[k].type, type))
			return &v->cond[k];
	return NULL;
}

/*
 * What somebody who is paged wants to read first: why nothing is promoted,
 * what is broken, what is under way; else that all is well.
 */
static void
summary(struct fsm_view *v)
{
	/* Divergence is more than that its site does not replicate. */
	static const char *const order[] = { "PromotionBlocked",
		"RecoveryPending", "Degraded", "Bootstrapping", "Updating" };
	const struct fsm_cond *k, *ready = find(v, "Ready");
	const struct fsm_cond *lease = find(v, "WriteLease");
	size_t n;

	for (n = 0; n < sizeof(order) / sizeof(order[0]); n++) {
		k = find(v, order[n]);
		if (k != NULL && k->status &&
		    (n != 1 || fsm_streq(k->reason, "DivergentTransactions")))
			break;
	}
	if (n == sizeof(order) / sizeof(order[0])) {
		k = ready;
		if (ready->status && lease != NULL && !lease->status)
			k = lease;
	}
	if (k == ready)
		snprintf(v->summary, sizeof(v->summary), "%s", k->message);
	else
		snprintf(v->summary, sizeof(v->summary), "%s%s%.900s",
		    k->reason, k->message[0] == '\0' ? "" : ": ", k->message);
}

void
fsm_conditions(const struct fsm_conf *c, const struct fsm_state *s,
    const struct fsm_decision *d, struct fsm_view *v, enum fsm_matrix m)
{
	cond_ready(c, s, d, v);
	cond_degraded(c, s, v, m);
	cond_blocked(c, s, d, v);
	cond_recovery(c, s, v);
	cond_bootstrapping(c, s, v);
	cond_updating(c, s, v);
	cond_lease(c, s, v);
	summary(v);
}
