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
 * What a group tells: its metrics, as status-server would print them, and its
 * log, as a reader finds it. That the manuals list all of it is regress/telemetry;
 * here it is that the values come.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "group_int.h"
#include "metrics.h"
#include "orders.h"

#define UID_G "11111111-1111-1111-1111-111111111111"
#define FG    "\"fg\":\"db/orders\""
#define GRP   "{namespace=\"db\",group=\"orders\""

static struct event_base *base;
static struct groups *gs;
static struct group *g;
static struct metrics_reg *reg;
static struct m_event event; /* the last one of each */
static struct m_annotation_del removed;
static FILE *logfile;
static char logged[1 << 18];

/* ------------------------------------------------------- a played parent --- */

void
parent_send(struct parent *p, unsigned proc, uint32_t type, const void *msg)
{
	if (type == MSG_METRIC && proc == PROC_HTTP)
		assert_int_equal(metrics_reg_apply(reg, msg), 0);
	else if (type == MSG_EVENT)
		event = *(const struct m_event *)msg;
	else if (type == MSG_ANNOTATION_DEL)
		removed = *(const struct m_annotation_del *)msg;
}

struct event_base *
parent_base(const struct parent *p)
{
	return base;
}

const struct wire_key *
parent_key(const struct parent *p)
{
	return NULL;
}

/* What was logged since the last call. */
static const char *
log_read(void)
{
	size_t n;

	rewind(logfile);
	n = fread(logged, 1, sizeof(logged) - 1, logfile);
	logged[n] = '\0';
	assert_int_equal(ftruncate(fileno(logfile), 0), 0);
	rewind(logfile);
	return logged;
}

/* Is there a line with all of these? */
static bool
line_with(const char *text, const char *a, const char *b)
{
	char line[8192];
	const char *end;

	for (; (end = strchr(text, '\n')) != NULL; text = end + 1) {
		(void)snprintf(
		    line, sizeof(line), "%.*s", (int)(end - text), text);
		if (strstr(line, a) != NULL && strstr(line, b) != NULL)
			return true;
	}
	return false;
}

#define SAID(msg, fields)                                           \
	assert_true(line_with(logged, "\"msg\":\"" msg "\"", FG) && \
	    line_with(logged, "\"msg\":\"" msg "\"", fields))

/* Is this in /metrics? */
static bool
told(const char *want)
{
	char *text;
	size_t len;
	bool found;

	assert_int_equal(metrics_reg_render(reg, &text, &len), 0);
	found = strstr(text, want) != NULL;
	free(text);
	return found;
}

static void
tell_conf(unsigned sites)
{
	static struct m_group_conf m;

	orders_conf(&m, UID_G, NULL, 0);
	m.n_sites = sites;
	orders_failover(&m);
	for (unsigned i = 0; i < sites; i++) {
		snprintf(m.sites[i].name, sizeof(m.sites[i].name), "s%u", i);
		snprintf(m.sites[i].host, sizeof(m.sites[i].host), "host%u", i);
		m.sites[i].role = i == 2 ? ROLE_READER : ROLE_CANDIDATE;
	}
	groups_conf(gs, &m);
}

static int
setup(void **state)
{
	struct m_lease lease = { .held = true };

	base = event_base_new();
	reg = metrics_reg_new(10000);
	logfile = tmpfile();
	log_init("test", LL_DEBUG, fileno(logfile));
	gs = groups_new(NULL);
	groups_keys_start(gs, 0);
	tell_conf(3);
	g = groups_find(gs, UID_G);
	lease.deadline_ns = monotime_now().ns + 3600LL * 1000000000;
	groups_lease(gs, &lease);
	(void)log_read();
	return base == NULL || reg == NULL || logfile == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	groups_gone(gs, UID_G);
	metrics_reg_free(reg);
	fclose(logfile);
	return 0;
}

/* One record or counter as the core tells it. */
static void
tell(enum fsm_text text, uint8_t site, uint8_t site2, uint8_t verdict)
{
	static struct fsm_out out;

	memset(&out, 0, sizeof(out));
	out.n = 1;
	out.act[0].type = A_LOG;
	out.act[0].text = (uint8_t)text;
	out.act[0].site = site;
	out.act[0].site2 = site2;
	out.act[0].verdict = verdict;
	out.act[0].epoch = 7;
	out.act[0].proof = P_TERMINATED;
	group_act(g, &out);
}

/* That a person's word was refused. */
static void
tell_why(enum fsm_text text, uint8_t site, enum fsm_why why, int64_t ago)
{
	struct fsm_act a = {
		.text = (uint8_t)text, .site = site, .why = (uint8_t)why
	};

	a.ago_ms = ago;
	group_log(g, &a);
}

static void
answer(uint8_t site, enum sql_kind kind, enum sql_end end, uint32_t count)
{
	static struct m_sql_done m;

	memset(&m, 0, sizeof(m));
	strlcpy(m.group, UID_G, sizeof(m.group));
	strlcpy(m.site, g->fc.site[site].name, sizeof(m.site));
	m.kind = kind;
	m.end = end;
	m.count = count;
	strlcpy(m.error, "because", sizeof(m.error));
	group_trail_answer(g, site, &m);
}

/* --------------------------------------------------------------- metrics --- */

static void
test_counters_begin(void **state)
{
	group_gauges(g, true);
	assert_true(told(
	    "\nbloodraven_failovers_total" GRP ",target_site=\"s0\"} 0\n"));
	assert_true(told(
	    "\nbloodraven_failovers_total" GRP ",target_site=\"s1\"} 0\n"));
	assert_false(
	    told("bloodraven_failovers_total" GRP ",target_site=\"s2\""));
	assert_true(
	    told("\nbloodraven_self_fences_total" GRP ",site=\"s2\"} 0\n"));
	assert_true(
	    told("\nbloodraven_site_updates_total" GRP ",site=\"s2\"} 0\n"));
	assert_true(told(
	    "\nbloodraven_site_update_failures_total" GRP ",site=\"s0\"} 0\n"));
}

static void
test_counters_of_the_core(void **state)
{
	static struct fsm_out out;

	memset(&out, 0, sizeof(out));
	for (uint8_t i = 0; i < FM_MAX; i++) {
		out.act[i].type = A_METRIC;
		out.act[i].metric = i;
		out.act[i].site = 1;
	}
	out.n = FM_MAX;
	group_act(g, &out);
	assert_true(told("_failovers_total" GRP ",target_site=\"s1\"} 1\n"));
	assert_true(told("_primary_reassert_total" GRP ",site=\"s1\"} 1\n"));
	assert_true(told("_fences_total" GRP ",site=\"s1\"} 1\n"));
	assert_true(told("_clones_total" GRP ",site=\"s1\"} 1\n"));
	assert_true(told(
	    "_split_brain_auto_resolve_total" GRP ",prefer_site=\"s1\"} 1\n"));
	assert_true(told("_site_updates_total" GRP ",site=\"s1\"} 1\n"));
	assert_true(
	    told("_site_update_failures_total" GRP ",site=\"s1\"} 1\n"));
}

static void
lose_active(void)
{
	g->fs.rec.active = 0;
	g->fs.verdict = V_PROMOTE;
	g->fs.site[0].state = SS_UNREACHABLE;
	g->fs.step = ST_MINT;
	group_measure_step(g);
	assert_true(g->lost_ms != 0);
	g->lost_ms -= 1700;
	g->step_ms -= 150;
	tell(T_EPOCH_ENDED, 0, FSM_NONE, V_PROMOTE);
	g->fs.step = ST_GRANT;
	group_measure_step(g);
	tell(T_FAILOVER, 1, 0, V_PROMOTE);
}

static void
test_durations(void **state)
{
	lose_active();
	assert_true(told("_failover_duration_seconds_bucket" GRP
			 ",target_site=\"s1\",le=\"1\"} 0\n"));
	assert_true(told("_failover_duration_seconds_bucket" GRP
			 ",target_site=\"s1\",le=\"2\"} 1\n"));
	assert_true(told(
	    "_failover_duration_seconds_count" GRP ",target_site=\"s1\"} 1\n"));
	assert_true(told("_failover_step_duration_seconds_count" GRP
			 ",step=\"write record\"} 1\n"));
	assert_true(told("_failover_step_duration_seconds_bucket" GRP
			 ",step=\"write record\",le=\"0.1\"} 0\n"));
	assert_true(told("_proof_wait_seconds_count" GRP
			 ",proof=\"kubelet: terminated\"} 1\n"));
	tell(T_GUARD_FENCED, 0, FSM_NONE, V_PROMOTE);
	assert_true(told("_self_fences_total" GRP ",site=\"s0\"} 1\n"));
}

/* It sees the same, and is not the one that does it. */
static void
test_standby(void **state)
{
	gs->lease.held = false;
	lose_active();
	tell(T_GUARD_FENCED, 0, FSM_NONE, V_PROMOTE);
	assert_false(told("_failover_duration_seconds"));
	assert_false(told("_failover_step_duration_seconds"));
	assert_false(told("_proof_wait_seconds"));
	assert_false(told("_self_fences_total" GRP ",site=\"s0\"} 1\n"));
}

static void
leads(bool held)
{
	struct m_lease m = { .held = held };

	m.deadline_ns = held ? monotime_now().ns + 3600LL * 1000000000 : 0;
	groups_lease(gs, &m);
}

/*
 * Dashboards count sites and their threads over all series: they are those of
 * one operator, and come and go with the Lease.
 */
static void
test_one_tells(void **state)
{
	static const char *const of_leader[] = { "\nbloodraven_site_state{",
		"\nbloodraven_divergent_transactions{", "\nbloodraven_epoch{",
		"\nbloodraven_unended_epochs{",
		"\nbloodraven_promotion_blocked{",
		"\nbloodraven_replication_lag_seconds{",
		"\nbloodraven_replication_running{",
		"\nbloodraven_replication_source_state{" };

	group_link_gauge(g, "s1", true);
	g->view.site[1].follower = true;
	g->view.site[1].conv = CV_PENDING;
	group_gauges(g, true);
	for (size_t i = 0; i < PS_NITEMS(of_leader); i++)
		assert_true(told(of_leader[i]));
	leads(false);
	for (size_t i = 0; i < PS_NITEMS(of_leader); i++)
		assert_false(told(of_leader[i]));
	group_transition(g, "s0", SS_READ_ONLY, SS_WRITABLE);
	group_gauges(g, true);
	assert_false(told("_site_state{"));
	assert_false(told("_state_transitions_total{"));
	/* what was counted stays, and its own links are its own */
	assert_true(told("_failovers_total" GRP ",target_site=\"s1\"} 0\n"));
	assert_true(told("_link_up" GRP ",site=\"s1\"}"));
	leads(true);
	for (size_t i = 0; i < 5; i++)
		assert_true(told(of_leader[i]));
}

static void
test_probe_and_state(void **state)
{
	static struct m_probe m;

	strlcpy(m.group, UID_G, sizeof(m.group));
	strlcpy(m.site, "s0", sizeof(m.site));
	m.latency_us = 4000;
	groups_probe(gs, &m);
	assert_true(told("_poll_latency_seconds_bucket" GRP
			 ",site=\"s0\",le=\"0.005\"} 1\n"));
	group_transition(g, "s0", SS_WRITABLE, SS_UNREACHABLE);
	assert_true(told(
	    "_state_transitions_total" GRP ",site=\"s0\",from=\"writable\","
	    "to=\"unreachable\"} 1\n"));
	group_dns_flipped(g, "s1");
	assert_true(told("_dns_flips_total" GRP ",site=\"s1\"} 1\n"));
	group_count_renewal(g, "s1", false);
	assert_true(told(
	    "_lease_renewals_total" GRP ",site=\"s1\",answer=\"no\"} 1\n"));
	group_link_gauge(g, "s1", true);
	assert_true(told("_link_up" GRP ",site=\"s1\"} 1\n"));
}

static void
test_gauges(void **state)
{
	g->view.site[0].state = SS_WRITABLE;
	g->view.site[1].state = SS_READ_ONLY;
	g->view.site[1].conv = CV_BLOCKED;
	g->view.site[1].follower = true;
	g->view.verdict = V_NO_PROOF;
	g->site[1].has_repl = g->site[1].io = true;
	g->site[1].lag_s = 12;
	g->site[1].divergent_n = 5;
	g->rec.epoch = 9;
	g->rec.n_unended = 2;
	group_gauges(g, true);
#define ROLE ",role=\"primary-candidate\""
	assert_true(told(
	    "_site_state" GRP ",site=\"s0\"" ROLE ",state=\"writable\"} 1\n"));
	assert_true(told(
	    "_site_state" GRP ",site=\"s0\"" ROLE ",state=\"read-only\"} 0\n"));
	assert_true(
	    told("_replication_lag_seconds" GRP ",site=\"s1\"" ROLE "} 12\n"));
	assert_true(told("_replication_running" GRP ",site=\"s1\"" ROLE
			 ",thread=\"io\"} 1\n"));
	assert_true(told("_replication_running" GRP ",site=\"s1\"" ROLE
			 ",thread=\"sql\"} 0\n"));
	assert_true(told("_replication_source_state" GRP
			 ",site=\"s1\",state=\"blocked\"} 1\n"));
	assert_true(told("_divergent_transactions" GRP ",site=\"s1\"} 5\n"));
	assert_true(told("_promotion_blocked" GRP ",reason=\"NoProof\"} 1\n"));
	assert_true(told("_epoch" GRP "} 9\n"));
	assert_true(told("_unended_epochs" GRP "} 2\n"));
	/* its channel is gone */
	g->site[1].has_repl = g->site[1].io = false;
	g->site[1].lag_s = -1;
	group_gauges(g, false);
	assert_true(
	    told("_replication_lag_seconds" GRP ",site=\"s1\"" ROLE "} -1\n"));
	assert_true(told("_replication_running" GRP ",site=\"s1\"" ROLE
			 ",thread=\"io\"} 0\n"));
	/* promoted: it follows nobody */
	g->view.site[1].state = SS_WRITABLE;
	g->view.site[1].follower = false;
	group_gauges(g, false);
	assert_false(told("_replication_lag_seconds" GRP ",site=\"s1\""));
}

/* ---------------------------------------------------------------- Events --- */

/* What this release does not act on is answered, and taken off. */
static void
test_later_requests(void **state)
{
	static const struct {
		const char *key, *reason;
	} later[] = {
		{ BR_ANN "planned-failover", "PlannedFailoverRejected" },
		{ BR_ANN "reclone-site", "RecloneRejected" },
		{ BR_ANN "dragonfly-snapshot-upgrade",
		    "DragonflyUpgradeRejected" },
		{ BR_ANN "rotate-keyring", "KeyringRotationRefused" },
	};
	static struct m_annotation m;

	strlcpy(m.group, UID_G, sizeof(m.group));
	for (size_t i = 0; i < 2 * PS_NITEMS(later); i++) {
		strlcpy(m.key, later[i / 2].key, sizeof(m.key));
		strlcpy(m.value, i % 2 == 0 ? "s1" : "", sizeof(m.value));
		memset(&event, 0, sizeof(event));
		memset(&removed, 0, sizeof(removed));
		leads(false);
		groups_annotation(gs, &m);
		assert_string_equal(removed.key, "");
		leads(true);
		memset(&event, 0, sizeof(event));
		groups_annotation(gs, &m);
		assert_string_equal(event.reason, later[i / 2].reason);
		assert_true(event.warning);
		assert_string_equal(removed.key, m.key);
		assert_string_equal(removed.value, m.value);
	}
}

/* ------------------------------------------------------------------- log --- */

static void
test_trail_of_a_failover(void **state)
{
	static struct m_probe p = { .ok = true };

	g->fs.rec.active = 0;
	strlcpy(g->rec.promotion_gtid, "u:1-5", sizeof(g->rec.promotion_gtid));
	answer(0, SQL_FENCE, SE_DONE, 0);
	answer(0, SQL_FENCE, SE_UNKNOWN, 0);
	answer(0, SQL_EVICT, SE_DONE, 3);
	tell(T_PROMOTING, 1, 0, V_PROMOTE);
	g->fs.verdict = V_PROMOTE;
	g->fs.subject = 1;
	g->fs.step = ST_DRAIN;
	group_trail_step(g);
	g->fs.step = ST_GRANT;
	group_trail_step(g);
	answer(1, SQL_RESET_REPLICA, SE_FAILED, 0);
	answer(1, SQL_GRANT, SE_UNKNOWN, 0);
	g->fs.rec.active = 1;
	tell(T_FAILOVER, 1, 0, V_PROMOTE);
	strlcpy(p.site, "s1", sizeof(p.site));
	group_trail_probe(g, 1, &p);
	(void)log_read();
	SAID("fenced old primary with super_read_only=ON", "\"INFO\"");
	SAID("failed to fence old primary (may be unreachable)",
	    "\"error\":\"because\"");
	SAID("killed app connections on old primary", "\"count\":3");
	SAID("initiating failover",
	    "\"candidate\":\"s1\",\"oldPrimary\":\"s0\"");
	SAID("initiating failover", "\"level\":\"INFO\"");
	SAID("relay log drain complete", "\"site\":\"s1\"");
	SAID("failover failed", "\"level\":\"ERROR\"");
	SAID("promotion succeeded but writable confirmation failed; DNS not "
	     "flipped",
	    "\"site\":\"s1\"");
	SAID("failover complete",
	    "\"promotedSite\":\"s1\",\"promotionGtid\":\"u:1-5\"");
	SAID("promotion confirmed: site is writable", "\"site\":\"s1\"");
	/* once */
	group_trail_probe(g, 1, &p);
	assert_string_equal(log_read(), "");
}

static void
test_trail_of_a_return(void **state)
{
	struct fsm_act sql = {
		.type = A_SQL, .kind = SQL_SET_SOURCE, .site = 0, .source = 1
	};

	g->fs.rec.active = 0;
	tell(T_PROMOTING, 1, 0, V_PROMOTE);
	g->fs.rec.active = 1;
	tell(T_FENCING, 0, FSM_NONE, V_HEALTHY);
	answer(0, SQL_FENCE, SE_FAILED, 0);
	answer(0, SQL_EVICT, SE_DONE, 2);
	answer(0, SQL_EVICT, SE_DONE, 0);
	group_trail_sent(g, &sql);
	answer(0, SQL_SET_SOURCE, SE_FAILED, 0);
	g->fc.drain_ms = 30000;
	tell(T_EVICT_LATE, 0, FSM_NONE, V_HEALTHY);
	tell_why(T_OVERRIDE_NO, 0, Y_NOT_BLOCKED, 0);
	tell_why(T_ASSERT_REFUSED, 0, Y_KUBELET, 12345);
	tell(T_RECOVERED, 0, FSM_NONE, V_HEALTHY);
	/* from here on it is a follower as any other */
	group_trail_sent(g, &sql);
	answer(0, SQL_STOP_REPLICA, SE_FAILED, 0);
	tell(T_DIVERGED, 0, FSM_NONE, V_HEALTHY);
	tell(T_RECOVERED, 0, FSM_NONE, V_HEALTHY);
	(void)log_read();
	SAID("fencing returning old primary (split brain after failover)",
	    "\"site\":\"s0\"");
	SAID("failed to fence returning old primary", "\"level\":\"ERROR\"");
	SAID("post-fence application connections evicted", "\"count\":2");
	SAID("post-fence application connection drain complete",
	    "\"site\":\"s0\"");
	SAID("post-fence application connection drain timed out",
	    "\"level\":\"WARN\"");
	SAID("post-fence application connection drain timed out",
	    "\"site\":\"s0\",\"timeout\":\"30s\"");
	SAID("override-applier-error refused",
	    "\"site\":\"s0\",\"reason\":\"no promotion of it");
	SAID("assert-dead refused",
	    "\"reason\":\"its kubelet said that it runs 12 s ago\"");
	SAID("initiating old primary recovery",
	    "\"oldPrimary\":\"s0\",\"newPrimary\":\"s1\"");
	SAID("old primary recovery failed", "\"error\":\"because\"");
	SAID("old primary recovery complete", "\"source\":\"host1\"");
	SAID("replication source convergence started",
	    "\"expectedSource\":\"host1\"");
	SAID("replication source convergence failed", "\"stage\":\"stop\"");
	SAID("replication source convergence blocked",
	    "\"stage\":\"pre-stop-gtid\"");
	SAID("divergence detected", "\"divergentTransactions\":0");
	SAID("replication source convergence complete", "\"source\":\"host1\"");
}

/* The first copy of a fresh group is told from all others. */
static void
test_trail_of_clones(void **state)
{
	g->fs.clone_from = 0;
	g->fs.clone_to = 1;
	g->fs.boot = true;
	g->fs.clone_phase = CL_CLONING;
	tell(T_CLONE, 1, FSM_NONE, V_HEALTHY);
	g->fs.clone_phase = CL_DONE;
	tell(T_CLONE, 1, FSM_NONE, V_HEALTHY);
	(void)log_read();
	SAID("starting bootstrap", "\"source\":\"fresh-deploy\"");
	SAID("bootstrap completed successfully", "\"source\":\"fresh-deploy\"");
	g->fs.boot = false;
	g->fs.clone_phase = CL_CLONING;
	tell(T_CLONE, 1, FSM_NONE, V_HEALTHY);
	g->fs.clone_phase = CL_FAILED;
	tell(T_CLONE_FAILED, 1, FSM_NONE, V_HEALTHY);
	(void)log_read();
	SAID("starting bootstrap", "\"source\":\"auto-clone\"");
	SAID("bootstrap failed", "\"source\":\"auto-clone\"");
}

/* The two copies of the last failover: which one counts, and bad ones once. */
static void
test_trail_of_copies(void **state)
{
	static struct m_record m;

	strlcpy(m.last_failover_target, "s1", sizeof(m.last_failover_target));
	m.last_failover_s = 1793703601;
	m.from_annotations = true;
	strlcpy(m.status_target, "s0", sizeof(m.status_target));
	m.status_failover_s = 1793703600;
	group_trail_record(g, &m);
	(void)log_read();
	SAID("restored lastFailoverTarget from out-of-band annotations",
	    "\"target\":\"s1\",\"statusTarget\":\"s0\"");
	SAID("restored lastFailover from out-of-band annotations",
	    "\"lastFailover\":\"2026-11-03T11:00:01Z\","
	    "\"statusLastFailover\":\"2026-11-03T11:00:00Z\"");
	strlcpy(m.bad_annotations, "why", sizeof(m.bad_annotations));
	strlcpy(m.bad_status, "so", sizeof(m.bad_status));
	group_trail_copies(g, &m);
	(void)log_read();
	SAID("out-of-band anti-flap annotation unreadable; falling back to CR "
	     "status",
	    "\"error\":\"why\"");
	SAID("CR status anti-flap state unreadable; ignoring unsafe copy",
	    "\"level\":\"ERROR\"");
	group_trail_copies(g, &m);
	assert_string_equal(log_read(), "");
}

/* Pipelines page on it. */
static void
test_trail_of_alerts(void **state)
{
	g->fs.rec_known = true;
	g->fs.site[0].state = SS_WRITABLE;
	g->fs.site[1].state = SS_UNREACHABLE;
	tell(T_DEGRADED, 1, FSM_NONE, V_HEALTHY);
	(void)log_read();
	SAID("ALERT", "\"message\":\"s1 unreachable while s0 is primary\"");
	SAID("ALERT", "\"level\":\"WARN\"");
	SAID("the group is degraded", "\"site\":\"s1\"");
}

static void
test_trail_of_dns(void **state)
{
	static struct m_dns_state m;

	strlcpy(m.site, "s1", sizeof(m.site));
	strlcpy(m.error, "denied", sizeof(m.error));
	g->trail.dns_due = true;
	group_trail_dns(g, &m);
	group_trail_dns(g, &m);
	(void)log_read();
	SAID("DNS flip failed after successful promotion",
	    "\"level\":\"ERROR\"");
	SAID("DNS reconcile failed", "\"hostname\":\"db.example.com\"");
	SAID("DNS reconcile still failing", "\"level\":\"DEBUG\"");
	m.ok = true;
	group_trail_dns(g, &m);
	assert_string_equal(log_read(), "");
}

/* One who reads the log alone has every input, of 16 sites as well. */
static void
test_inputs_of_many_sites(void **state)
{
	char want[64], *line, *next;
	static char joined[1 << 16];
	const char *p;

	tell_conf(SITES_MAX);
	g->fs.rec.n = UNENDED_MAX;
	for (unsigned i = 0; i < UNENDED_MAX; i++) {
		g->fs.rec.unended[i].epoch = 100 + i;
		g->fs.rec.unended[i].site = (uint8_t)i;
		g->fs.site[i].g_ms = 1;
	}
	(void)log_read();
	tell(T_DECISION, 1, 0, V_NO_PROOF);
	(void)log_read();
	SAID("group decision", "\"verdict\":\"no proof\"");
	assert_null(strstr(logged, "truncated"));
	joined[0] = '\0';
	for (line = logged; *line != '\0'; line = next) {
		next = strchr(line, '\n') + 1;
		assert_true(next - line <= 4096);
		/* a value had room in the record itself, or comes after it */
		if ((p = strstr(line, "\"data\":\"")) != NULL && p < next)
			(void)snprintf(joined + strlen(joined),
			    sizeof(joined) - strlen(joined), "%.*s",
			    (int)(next - p - 11), p + 8);
		else
			(void)snprintf(joined + strlen(joined),
			    sizeof(joined) - strlen(joined), "%.*s",
			    (int)(next - line), line);
	}
	for (unsigned i = 0; i < SITES_MAX; i++) {
		snprintf(want, sizeof(want), "s%u {", i);
		assert_non_null(strstr(joined, want));
		snprintf(want, sizeof(want), "%u {s%u ", 100 + i, i);
		assert_non_null(strstr(joined, want));
	}
	/* site, guard: each once */
	p = strstr(joined, "s15 {");
	assert_non_null(p);
	assert_non_null(strstr(p + 1, "s15 {"));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_counters_begin),
		T(test_counters_of_the_core),
		T(test_durations),
		T(test_standby),
		T(test_one_tells),
		T(test_probe_and_state),
		T(test_gauges),
		T(test_later_requests),
		T(test_trail_of_a_failover),
		T(test_trail_of_a_return),
		T(test_trail_of_clones),
		T(test_trail_of_alerts),
		T(test_trail_of_copies),
		T(test_trail_of_dns),
		T(test_inputs_of_many_sites),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
