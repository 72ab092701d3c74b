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
 * The trail of a failover in the words of the reference (observability.md
 * section 3): pipelines match on these texts and fields, so they are as they
 * are, beside our own records (group_log.c). Read off what the core does; it
 * decides nothing here.
 */

#include <string.h>
#include <time.h>

#include "group_int.h"

void
group_trail_reset(struct group *g)
{
	struct gtrail *t = &g->trail;

	memset(t, 0, sizeof(*t));
	t->old = t->confirm = FSM_NONE;
}

static const char *
name(const struct group *g, uint8_t i)
{
	return i < g->fc.nsites ? g->fc.site[i].name : NULL;
}

static const char *
gtid(const struct group *g, uint8_t i)
{
	return i < g->fc.nsites ? g->site[i].gtid : NULL;
}

static const char *
host(const struct group *g, uint8_t i)
{
	return i < g->conf.n_sites ? g->conf.sites[i].host : NULL;
}

/* Why a site is cloned over. */
static const char *
clone_why(const struct group *g)
{
	return g->fs.boot ? "fresh-deploy" : "auto-clone";
}

/* ------------------------------------------------------ what was decided --- */

/* Seconds of Unix time as the reference prints a time; "": never. */
static const char *
when(int64_t s, char buf[static WALLTIME_LEN])
{
	time_t t = (time_t)s;
	struct tm tm;

	buf[0] = '\0';
	if (s > 0 && gmtime_r(&t, &tm) != NULL)
		(void)strftime(buf, WALLTIME_LEN, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return buf;
}

static void
promoting(struct group *g, const struct fsm_act *a)
{
	g->trail.old = a->site2;
	g->trail.draining = false;
}

static void
fencing(struct group *g, const struct fsm_act *a)
{
	if (a->site == g->trail.old && g->fs.rec.active != a->site)
		log_ev(LL_INFO,
		    "fencing returning old primary (split brain after "
		    "failover)",
		    KVS("fg", g->fg), KVS("site", name(g, a->site)));
	else if (a->verdict == V_SPLIT_BRAIN && g->fs.rec.active == FSM_NONE)
		log_ev(LL_WARN,
		    "split-brain auto-resolve: fencing non-preferred site per "
		    "spec.splitBrainPolicy.sitePriorities",
		    KVS("fg", g->fg), KVS("winner", name(g, a->site2)),
		    KVS("fencedSite", name(g, a->site)));
}

static void
alert(struct group *g)
{
	static struct fsm_view v;

	fsm_view(&g->fc, &g->fs, &v);
	log_ev(LL_WARN, "ALERT", KVS("fg", g->fg), KVS("message", v.alert));
}

static void
blocked(struct group *g, const struct fsm_act *a)
{
	char buf[WALLTIME_LEN];

	if (a->verdict == V_COOLDOWN)
		log_ev(LL_INFO, "failover blocked by anti-flap cooldown",
		    KVS("fg", g->fg),
		    KVS("lastFailover", when(g->fs.rec.last_failover_s, buf)),
		    KVMS("cooldown", g->fc.cooldown_ms));
	else if (a->verdict == V_DATA_MISSING)
		log_ev(LL_WARN,
		    "primary re-assert refused: target no longer contains the "
		    "recorded promotion GTID set (wiped or restored since "
		    "promotion?)",
		    KVS("fg", g->fg), KVS("site", name(g, a->site)),
		    KVS("promotionGtid", g->rec.promotion_gtid),
		    KVS("targetGtid", gtid(g, a->site)));
}

static void
decided(struct group *g, const struct fsm_act *a)
{
	if (a->verdict != V_REGRANT || g->trail.verdict == V_REGRANT ||
	    !g->all->lease.held)
		return;
	log_ev(LL_WARN,
	    "re-asserting fenced promoted primary: no site is writable and "
	    "the last failover target is GTID-complete; restoring writability",
	    KVS("fg", g->fg), KVS("site", name(g, a->site)));
}

static void
recovered(struct group *g, uint8_t i)
{
	uint8_t active = g->fs.rec.active;

	if (i != g->trail.old) {
		log_ev(LL_INFO, "replication source convergence complete",
		    KVS("fg", g->fg), KVS("site", name(g, i)),
		    KVS("source", host(g, active)));
		return;
	}
	g->trail.old = FSM_NONE;
	log_ev(LL_INFO, "old primary recovery complete", KVS("fg", g->fg),
	    KVS("site", name(g, i)), KVS("source", host(g, active)));
	log_ev(LL_INFO, "recovery state cleared (site is now replicating)",
	    KVS("fg", g->fg), KVS("site", name(g, i)));
}

static void
diverged(struct group *g, uint8_t i)
{
	uint8_t active = g->fs.rec.active;

	log_ev(LL_WARN, "replication source convergence blocked",
	    KVS("fg", g->fg), KVS("site", name(g, i)),
	    KVS("activeSite", name(g, active)),
	    KVS("stage",
		i < g->fc.nsites && g->fs.site[i].stopped_ms != 0 ?
		    "post-stop-gtid" :
		    "pre-stop-gtid"),
	    KVS("followerGtid", gtid(g, i)),
	    KVS("activeGtid", gtid(g, active)));
}

static void
clone_phase(struct group *g)
{
	uint8_t from = g->fs.clone_from, to = g->fs.clone_to;

	switch ((enum fsm_clone_phase)g->fs.clone_phase) {
	case CL_CLONING:
		log_ev(LL_INFO, "starting bootstrap", KVS("fg", g->fg),
		    KVS("source", clone_why(g)), KVS("donor", name(g, from)),
		    KVS("recipient", name(g, to)),
		    KVS("donorHost", host(g, from)));
		log_ev(LL_INFO, "cloning from primary", KVS("fg", g->fg),
		    KVS("donor", name(g, from)));
		break;
	case CL_RESTART:
		log_ev(LL_INFO, "clone completed successfully",
		    KVS("fg", g->fg), KVS("replica", name(g, to)));
		break;
	case CL_SETUP:
		log_ev(LL_INFO, "setting up replication", KVS("fg", g->fg),
		    KVS("source", host(g, from)));
		break;
	case CL_DONE:
		log_ev(LL_INFO, "replication started successfully",
		    KVS("fg", g->fg), KVS("source", host(g, from)));
		log_ev(LL_INFO, "bootstrap completed successfully",
		    KVS("fg", g->fg), KVS("source", clone_why(g)));
		break;
	case CL_FAILED:
		log_ev(LL_ERROR, "bootstrap failed", KVS("fg", g->fg),
		    KVS("source", clone_why(g)),
		    KVS("error",
			g->trail.clone_error[0] != '\0' ?
			    g->trail.clone_error :
			    "the recipient did not come back, or the donor "
			    "was lost"));
		break;
	case CL_IDLE:
	case CL_MAX:
		break;
	}
}

void
group_trail(struct group *g, const struct fsm_act *a)
{
	switch (a->text) { /* most texts leave no trail here */
	case T_DECISION:
		decided(g, a);
		g->trail.verdict = a->verdict;
		break;
	case T_PROMOTING:
		promoting(g, a);
		break;
	case T_FAILOVER:
		g->trail.confirm = a->site;
		g->trail.dns_due = true;
		break;
	case T_FENCING:
		fencing(g, a);
		break;
	case T_BLOCKED:
		blocked(g, a);
		break;
	case T_SPLIT_BRAIN:
	case T_NO_PRIMARY:
	case T_TOTAL_LOSS:
	case T_DEGRADED:
		alert(g);
		break;
	case T_RECOVERED:
		recovered(g, a->site);
		break;
	case T_DIVERGED:
		diverged(g, a->site);
		break;
	case T_CLONE:
	case T_CLONE_FAILED:
		clone_phase(g);
		break;
	}
}

/* -------------------------------------------------- statements of MySQL --- */

void
group_trail_sent(struct group *g, const struct fsm_act *a)
{
	uint8_t i = a->site, active = g->fs.rec.active;

	if (a->kind != SQL_SET_SOURCE || i >= g->fc.nsites ||
	    g->fs.clone_phase == CL_SETUP)
		return;
	if (i == g->trail.old) {
		log_ev(LL_INFO, "initiating old primary recovery",
		    KVS("fg", g->fg), KVS("oldPrimary", name(g, i)),
		    KVS("newPrimary", name(g, active)));
		log_ev(LL_INFO,
		    "no GTID divergence, auto-recovering old primary as "
		    "replica",
		    KVS("fg", g->fg), KVS("site", name(g, i)));
		return;
	}
	log_ev(LL_INFO, "replication source convergence started",
	    KVS("fg", g->fg), KVS("site", name(g, i)),
	    KVS("activeSite", name(g, active)),
	    KVS("currentSource", g->site[i].source_host),
	    KVS("expectedSource", host(g, a->source)));
}

/* The old primary before another site is promoted, or when it returns. */
static void
fence_ended(struct group *g, uint8_t i, const struct m_sql_done *m)
{
	bool old = i == g->fs.rec.active;

	if (!old && i != g->trail.old)
		return;
	if (m->end == SE_DONE)
		log_ev(LL_INFO, "fenced old primary with super_read_only=ON",
		    KVS("fg", g->fg), KVS("site", m->site));
	else if (old)
		log_ev(LL_WARN,
		    "failed to fence old primary (may be unreachable)",
		    KVS("fg", g->fg), KVS("site", m->site),
		    KVS("error", m->error));
	else
		log_ev(LL_ERROR, "failed to fence returning old primary",
		    KVS("fg", g->fg), KVS("site", m->site),
		    KVS("error", m->error));
}

static void
evict_ended(struct group *g, uint8_t i, const struct m_sql_done *m)
{
	bool old = i == g->fs.rec.active;

	if (m->end != SE_DONE && old)
		log_ev(LL_WARN, "failed to kill app connections on old primary",
		    KVS("fg", g->fg), KVS("site", m->site),
		    KVS("error", m->error));
	else if (m->end != SE_DONE)
		log_ev(LL_WARN,
		    "post-fence application connection drain retry failed",
		    KVS("fg", g->fg), KVS("site", m->site),
		    KVS("error", m->error));
	else if (m->count == 0)
		log_ev(LL_INFO,
		    "post-fence application connection drain complete",
		    KVS("fg", g->fg), KVS("site", m->site));
	else if (old)
		log_ev(LL_INFO, "killed app connections on old primary",
		    KVS("fg", g->fg), KVS("site", m->site),
		    KVU("count", m->count));
	else
		log_ev(LL_INFO, "post-fence application connections evicted",
		    KVS("fg", g->fg), KVS("site", m->site),
		    KVU("count", m->count));
}

static void
repair_failed(struct group *g, uint8_t i, const struct m_sql_done *m)
{
	const char *stage = m->kind == SQL_STOP_REPLICA ? "stop" :
	    m->kind == SQL_SET_SOURCE                   ? "change-source" :
							  "start";

	if (i == g->trail.old)
		log_ev(LL_ERROR, "old primary recovery failed",
		    KVS("fg", g->fg), KVS("site", m->site),
		    KVS("error", m->error));
	else
		log_ev(LL_ERROR, "replication source convergence failed",
		    KVS("fg", g->fg), KVS("site", m->site),
		    KVS("activeSite", name(g, g->fs.rec.active)),
		    KVS("stage", stage), KVS("error", m->error));
}

static void
promotion_failed(struct group *g, const struct m_sql_done *m)
{
	if (g->fs.verdict != V_PROMOTE)
		return;
	if (m->kind == SQL_GRANT && m->end == SE_UNKNOWN)
		log_ev(LL_ERROR,
		    "promotion succeeded but writable confirmation failed; DNS "
		    "not flipped",
		    KVS("fg", g->fg), KVS("site", m->site),
		    KVS("error", m->error));
	else
		log_ev(LL_ERROR, "failover failed", KVS("fg", g->fg),
		    KVS("site", m->site), KVS("kind", sql_kind_name(m->kind)),
		    KVS("error", m->error));
}

static void
clone_ended(struct group *g, const struct m_sql_done *m)
{
	(void)strlcpy(
	    g->trail.clone_error, m->error, sizeof(g->trail.clone_error));
	if (m->end == SE_UNKNOWN)
		log_ev(LL_INFO,
		    "clone returned expected connection drop, waiting for "
		    "restart",
		    KVS("fg", g->fg), KVS("site", m->site),
		    KVS("error", m->error));
}

void
group_trail_answer(struct group *g, uint8_t i, const struct m_sql_done *m)
{
	switch ((enum sql_kind)m->kind) {
	case SQL_FENCE:
		fence_ended(g, i, m);
		break;
	case SQL_EVICT:
		evict_ended(g, i, m);
		break;
	case SQL_CLONE:
		clone_ended(g, m);
		break;
	case SQL_SET_SOURCE:
	case SQL_START_REPLICA:
	case SQL_STOP_REPLICA:
		if (m->end != SE_DONE)
			repair_failed(g, i, m);
		break;
	case SQL_GRANT:
	case SQL_STOP_RECEIVER:
	case SQL_START_APPLIER:
	case SQL_RESET_REPLICA:
		if (m->end != SE_DONE)
			promotion_failed(g, m);
		break;
	case SQL_RESET_PERSIST:
	case SQL_ACCOUNTS:
	case SQL_REFRESH_SOURCE:
	case SQL_MAX:
		break;
	}
}

/* --------------------------------------------------------- what was seen --- */

/* After each step of the core. */
void
group_trail_step(struct group *g)
{
	struct gtrail *t = &g->trail;
	bool draining = g->fs.step == ST_DRAIN;

	if (t->draining && !draining && g->fs.verdict == V_PROMOTE)
		log_ev(LL_INFO, "relay log drain complete", KVS("fg", g->fg),
		    KVS("site", name(g, g->fs.subject)));
	t->draining = draining;
}

void
group_trail_probe(struct group *g, uint8_t i, const struct m_probe *m)
{
	if (!m->ok || m->read_only || i != g->trail.confirm)
		return;
	g->trail.confirm = FSM_NONE;
	log_ev(LL_INFO, "promotion confirmed: site is writable",
	    KVS("fg", g->fg), KVS("site", m->site));
}

void
group_trail_dns(struct group *g, const struct m_dns_state *m)
{
	struct gtrail *t = &g->trail;

	if (m->ok) {
		t->dns_due = t->dns_failing = false;
		return;
	}
	if (m->error[0] == '\0')
		return;
	if (t->dns_due)
		log_ev(LL_ERROR, "DNS flip failed after successful promotion",
		    KVS("fg", g->fg), KVS("site", m->site),
		    KVS("error", m->error));
	else if (t->dns_failing)
		log_ev(LL_DEBUG, "DNS reconcile still failing",
		    KVS("fg", g->fg), KVS("site", m->site),
		    KVS("target", g->dns.target),
		    KVS("hostname", g->conf.dns_hostname),
		    KVS("error", m->error));
	if (!t->dns_failing)
		log_ev(LL_WARN, "DNS reconcile failed", KVS("fg", g->fg),
		    KVS("site", m->site), KVS("target", g->dns.target),
		    KVS("hostname", g->conf.dns_hostname),
		    KVS("error", m->error));
	t->dns_due = false;
	t->dns_failing = true;
}

/* Copies of the last failover that can't be used: once each. */
void
group_trail_copies(struct group *g, const struct m_record *m)
{
	struct gtrail *t = &g->trail;

	if (m->bad_annotations[0] != '\0' &&
	    strcmp(m->bad_annotations, t->bad_annotations) != 0)
		log_ev(LL_ERROR,
		    "out-of-band anti-flap annotation unreadable; falling back "
		    "to CR status",
		    KVS("fg", g->fg), KVS("error", m->bad_annotations));
	if (m->bad_status[0] != '\0' &&
	    strcmp(m->bad_status, t->bad_status) != 0)
		log_ev(LL_ERROR,
		    "CR status anti-flap state unreadable; ignoring unsafe "
		    "copy",
		    KVS("fg", g->fg), KVS("error", m->bad_status));
	(void)strlcpy(
	    t->bad_annotations, m->bad_annotations, sizeof(t->bad_annotations));
	(void)strlcpy(t->bad_status, m->bad_status, sizeof(t->bad_status));
}

/* The anti-flap state of an operator that was here before us. */
void
group_trail_record(struct group *g, const struct m_record *m)
{
	const char *target = m->last_failover_target;
	char buf[WALLTIME_LEN], status[WALLTIME_LEN];

	if (target[0] == '\0')
		return;
	(void)when(m->last_failover_s, buf);
	(void)when(m->status_failover_s, status);
	if (m->from_annotations) {
		log_ev(LL_WARN,
		    "restored lastFailoverTarget from out-of-band annotations",
		    KVS("fg", g->fg), KVS("target", target),
		    KVS("statusTarget", m->status_target));
		log_ev(LL_WARN,
		    "restored lastFailover from out-of-band annotations",
		    KVS("fg", g->fg), KVS("lastFailover", buf),
		    KVS("statusLastFailover", status));
		return;
	}
	log_ev(LL_INFO, "restored lastFailoverTarget from CR status",
	    KVS("fg", g->fg), KVS("target", target));
	log_ev(LL_INFO, "restored lastFailover from CR status",
	    KVS("fg", g->fg), KVS("lastFailover", buf));
}
