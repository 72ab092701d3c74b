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
 * Every guard decides something: one state for each in which the core does
 * the safe thing, and with just that guard switched off does another. Built
 * with FSM_MUTANTS.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "guards.h"

uint64_t fsm_mutants[2];

static int
verdict(struct mk *m)
{
	struct fsm_decision d;

	fsm_decide(&m->c, &m->s, &d);
	return d.verdict;
}

static int
step(struct mk *m)
{
	struct fsm_decision d;

	fsm_decide(&m->c, &m->s, &d);
	return d.step;
}

static int
count(struct mk *m, enum fsm_act_type type, int kind)
{
	mk_step(m, NULL);
	return mk_acts(m, type, kind) > 0;
}

static void
lost(struct mk *m)
{
	mk_state(m, 0, SS_UNREACHABLE);
}

static void
lost_and_proven(struct mk *m)
{
	lost(m);
	mk_word(m, 0);
}

static void
read_only(struct mk *m)
{
	mk_state(m, 0, SS_READ_ONLY);
}

/* The last channel of site b is gone, it only lacks the grant. */
static void
prepared(struct mk *m)
{
	m->s.site[1].p.has_repl = false;
	m->s.site[1].p.io = IO_NO;
	m->s.site[1].p.sql = false;
}

static void
word_with(struct mk *m, const char *ctr, bool unknown, int64_t finished)
{
	struct fsm_pod p = m->s.site[0].pod[0];

	p.nwords = 1;
	snprintf(
	    p.word[0].container_id, sizeof(p.word[0].container_id), "%s", ctr);
	p.word[0].unknown = unknown;
	p.word[0].started_ms = p.started_ms;
	p.word[0].finished_ms = finished;
	mk_pod(m, 0, &p);
}

#define SAFE_WORD ((WALL - 6000) / 1000 * 1000)

static int
g_lease(struct mk *m)
{
	read_only(m);
	m->s.lease_deadline_ms = NOW + FSM_LEASE_MIN_MS - 1;
	return count(m, A_RECORD_PUT, -1);
}

static int
g_record_fresh(struct mk *m)
{
	m->s.rec_known = false;
	return verdict(m);
}

static int
g_promotable(struct mk *m)
{
	lost_and_proven(m);
	mk_state(m, 1, SS_UNREACHABLE);
	m->c.site[2].role = ROLE_DR_ONLY;
	return verdict(m);
}

static int
g_proof(struct mk *m)
{
	lost(m);
	return verdict(m);
}

static int
g_lost_is_active(struct mk *m)
{
	return verdict(m);
}

static int
g_threshold(struct mk *m)
{
	struct fsm_probe p = {
		.ok = false, .err = PE_REFUSED, .sent_ms = NOW + 1400
	};
	struct fsm_event ev = { .type = E_PROBE, .site = 0, .u.probe = &p };

	mk_step(m, &ev);
	return m->s.site[0].state;
}

static int
g_fence_process(struct mk *m)
{
	lost(m);
	mk_fenced(m, 0);
	/* what was fenced is the Pod that came after it */
	snprintf(
	    m->s.site[0].p.pod_uid, sizeof(m->s.site[0].p.pod_uid), "pod-new");
	return verdict(m);
}

static int
g_fence_own_grants(struct mk *m)
{
	lost(m);
	mk_fenced(m, 0);
	m->s.site[0].grant_open = true;
	return verdict(m);
}

/* Granted and answered; what is known of the flags is older. */
static int
g_read_after_grant(struct mk *m)
{
	lost(m);
	mk_fenced(m, 0);
	m->s.site[0].granted_ms = m->s.site[0].read_ms;
	return verdict(m);
}

static int
g_fence_old_grants(struct mk *m)
{
	lost(m);
	mk_fenced(m, 0);
	m->s.site[0].lead_clock_ms = m->s.site[0].p.clock_ms - 1000;
	return verdict(m);
}

static int
g_word_container(struct mk *m)
{
	lost(m);
	word_with(m, "ctr-before", false, SAFE_WORD);
	return verdict(m);
}

static int
g_word_reason(struct mk *m)
{
	lost(m);
	word_with(m, "ctr-a", true, SAFE_WORD);
	return verdict(m);
}

static int
g_word_start(struct mk *m)
{
	lost(m);
	m->s.site[0].p.clock_ms = START;
	word_with(m, "ctr-a", false, START / 1000 * 1000);
	return verdict(m);
}

static int
g_word_seen(struct mk *m)
{
	lost(m);
	word_with(m, "ctr-a", false, SAFE_WORD - 5000);
	return verdict(m);
}

static int
g_successor(struct mk *m)
{
	lost(m);
	m->s.site[0].p.start_ms += FSM_START_TOL_MS - 1;
	return verdict(m);
}

/* What a standby saw of an earlier process is no news about a later one. */
static int
g_successor_later(struct mk *m)
{
	lost(m);
	m->s.site[0].p.start_ms -= 3600000;
	m->s.lease_since_ms = m->s.site[0].p.sent_ms;
	return verdict(m);
}

static void
assert_dead(struct mk *m, uint64_t epoch)
{
	m->s.assert_set = true;
	m->s.assert_site = 0;
	m->s.assert_epoch = epoch;
	snprintf(m->s.assert_uid, sizeof(m->s.assert_uid), "pod-a");
	m->s.site[1].p.io = m->s.site[2].p.io = IO_CONNECTING;
	m->s.site[0].seen_ms = NOW - FSM_ASSERT_QUIET_MS - 1;
	m->s.site[0].fail_since_ms = NOW - FSM_ASSERT_QUIET_MS;
}

static int
g_assert_current(struct mk *m)
{
	lost(m);
	assert_dead(m, 4);
	mk_step(m, NULL);
	return m->s.ended[0];
}

static int
g_assert_quiet(struct mk *m)
{
	lost(m);
	assert_dead(m, 5);
	m->s.site[1].p.io = IO_YES;
	mk_step(m, NULL);
	return m->s.ended[0];
}

static int
g_superset(struct mk *m)
{
	lost_and_proven(m);
	mk_sets(m, 1, 2);
	return verdict(m);
}

/* Demoted by the spec and fenced since its sets were read. */
static int
g_inherit_fenced(struct mk *m)
{
	m->c.site[0].role = ROLE_DR_ONLY;
	read_only(m);
	m->s.site[0].read_ms = m->s.site[0].flags_ms = NOW - 100;
	return verdict(m);
}

static int
g_drained(struct mk *m)
{
	lost_and_proven(m);
	m->s.site[1].receiver_off_ms = NOW - 1000;
	m->s.site[1].p.io = IO_NO;
	m->s.rel.drained = 0;
	return step(m);
}

static int
g_drain_fresh(struct mk *m)
{
	lost_and_proven(m);
	m->s.site[1].receiver_off_ms = NOW - 100;
	m->s.site[1].p.io = IO_NO;
	return step(m);
}

static int
g_no_channel(struct mk *m)
{
	lost_and_proven(m);
	return step(m);
}

static int
g_mint_first(struct mk *m)
{
	read_only(m);
	return step(m);
}

static int
g_grant_process(struct mk *m)
{
	read_only(m);
	m->s.my_epoch = 5;
	m->s.site[0].p.start_ms += 60000;
	return step(m);
}

static int
g_no_other_writer(struct mk *m)
{
	lost_and_proven(m);
	mk_state(m, 2, SS_UNREACHABLE);
	m->s.site[2].p.read_only = false;
	return verdict(m);
}

static int
g_regrant_data(struct mk *m)
{
	read_only(m);
	m->s.rel.has_seen = 6;
	return verdict(m);
}

static int
g_regrant_self(struct mk *m)
{
	read_only(m);
	snprintf(m->s.rec.server_uuid, sizeof(m->s.rec.server_uuid), "other");
	return verdict(m);
}

static int
g_cooldown(struct mk *m)
{
	lost_and_proven(m);
	m->s.rec.last_failover_s = WALL / 1000 - 100;
	return verdict(m);
}

static void
no_record(struct mk *m)
{
	memset(&m->s.rec, 0, sizeof(m->s.rec));
	m->s.rec.active = FSM_NONE;
	read_only(m);
}

static int
g_fresh(struct mk *m)
{
	no_record(m);
	return verdict(m);
}

static int
g_adopt_all(struct mk *m)
{
	no_record(m);
	mk_state(m, 2, SS_UNKNOWN);
	return verdict(m);
}

static int
g_clone_empty(struct mk *m)
{
	prepared(m);
	return count(m, A_SQL, SQL_CLONE);
}

static int
g_clone_donor(struct mk *m)
{
	prepared(m);
	m->s.site[1].p.user_schemas = false;
	m->s.rel.empty = 2;
	m->s.site[0].suspect = true;
	m->s.site[0].fails = 1;
	return count(m, A_SQL, SQL_CLONE);
}

static int
g_rejoin_contained(struct mk *m)
{
	prepared(m);
	m->s.rel.exec_all[0] &= (uint16_t)~2;
	m->s.site[1].settled = true; /* no client of it is left */
	return count(m, A_SQL, SQL_SET_SOURCE);
}

static int
g_pod_delete_lost(struct mk *m)
{
	struct fsm_site *t = &m->s.site[1];

	lost_and_proven(m);
	m->s.rec.unended[1] = m->s.rec.unended[0];
	m->s.rec.unended[1].epoch = 4;
	m->s.rec.unended[1].site = 1;
	snprintf(m->s.rec.unended[1].proc.pod_uid,
	    sizeof(m->s.rec.unended[1].proc.pod_uid), "pod-old");
	m->s.rec.n = 2;
	t->pod[1] = t->pod[0];
	snprintf(t->pod[1].pod_uid, sizeof(t->pod[1].pod_uid), "pod-old");
	t->pod[1].kubelet_ms = NOW - 3000;
	t->fail_since_ms = NOW - 6000;
	return count(m, A_POD_DELETE, -1);
}

static int
g_pod_release(struct mk *m)
{
	m->s.site[0].pod[0].deleting = true;
	return count(m, A_POD_RELEASE, -1);
}

static int
g_unknown_sets(struct mk *m)
{
	read_only(m);
	m->s.rel.known &= (uint16_t)~2;
	return verdict(m);
}

static const struct guard_case cases[] = {
	{ G_LEASE, g_lease, 0 },
	{ G_RECORD_FRESH, g_record_fresh, V_STARTING },
	{ G_PROMOTABLE, g_promotable, V_NO_CANDIDATE },
	{ G_PROOF, g_proof, V_NO_PROOF },
	{ G_LOST_IS_ACTIVE, g_lost_is_active, V_HEALTHY },
	{ G_THRESHOLD, g_threshold, SS_WRITABLE },
	{ G_FENCE_PROCESS, g_fence_process, V_NO_PROOF },
	{ G_FENCE_OWN_GRANTS, g_fence_own_grants, V_NO_PROOF },
	{ G_FENCE_OLD_GRANTS, g_fence_old_grants, V_NO_PROOF },
	{ G_READ_AFTER_GRANT, g_read_after_grant, V_NO_PROOF },
	{ G_WORD_CONTAINER, g_word_container, V_NO_PROOF },
	{ G_WORD_REASON, g_word_reason, V_NO_PROOF },
	{ G_WORD_START, g_word_start, V_NO_PROOF },
	{ G_ASSERT_CURRENT, g_assert_current, P_NONE },
	{ G_WORD_SEEN, g_word_seen, V_NO_PROOF },
	{ G_SUCCESSOR, g_successor, V_NO_PROOF },
	{ G_SUCCESSOR_LATER, g_successor_later, V_NO_PROOF },
	{ G_ASSERT_QUIET, g_assert_quiet, P_NONE },
	{ G_SUPERSET, g_superset, V_DIVERGENCE },
	{ G_INHERIT_FENCED, g_inherit_fenced, V_WAIT_SITES },
	{ G_DRAINED, g_drained, ST_DRAIN },
	{ G_DRAIN_FRESH, g_drain_fresh, ST_STOP_RECEIVER },
	{ G_NO_CHANNEL, g_no_channel, ST_STOP_RECEIVER },
	{ G_MINT_FIRST, g_mint_first, ST_MINT },
	{ G_GRANT_PROCESS, g_grant_process, ST_MINT },
	{ G_NO_OTHER_WRITER, g_no_other_writer, V_FENCING },
	{ G_REGRANT_DATA, g_regrant_data, V_DATA_MISSING },
	{ G_REGRANT_SELF, g_regrant_self, V_DATA_MISSING },
	{ G_COOLDOWN, g_cooldown, V_COOLDOWN },
	{ G_FRESH, g_fresh, V_ADOPT_GRANT },
	{ G_ADOPT_ALL, g_adopt_all, V_WAIT_SITES },
	{ G_CLONE_EMPTY, g_clone_empty, 0 },
	{ G_CLONE_DONOR, g_clone_donor, 0 },
	{ G_REJOIN_CONTAINED, g_rejoin_contained, 0 },
	{ G_POD_DELETE_LOST, g_pod_delete_lost, 0 },
	{ G_POD_RELEASE, g_pod_release, 0 },
	{ G_UNKNOWN_SETS, g_unknown_sets, V_GTID_UNKNOWN },
};

static void
check(enum fsm_guard_id guard, int (*ask)(struct mk *), int safe)
{
	static struct mk group;
	int got;

	memset(fsm_mutants, 0, sizeof(fsm_mutants));
	mk_group(&group);
	got = ask(&group);
	if (got != safe)
		fail_msg("%s: %d, not %d", fsm_guard_name(guard), got, safe);
	fsm_mutants[guard / 64] = 1ULL << guard % 64;
	mk_group(&group);
	got = ask(&group);
	if (got == safe)
		fail_msg("%s decides nothing", fsm_guard_name(guard));
	memset(fsm_mutants, 0, sizeof(fsm_mutants));
}

static void
test_guards(void **state)
{
	bool seen[G_MAX] = { false };
	unsigned k;

	(void)state;
	assert_true(G_MAX <= 8 * sizeof(fsm_mutants));
	for (k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		seen[cases[k].guard] = true;
		check(cases[k].guard, cases[k].ask, cases[k].safe);
	}
	for (k = 0; k < lease_ncases; k++) {
		seen[lease_cases[k].guard] = true;
		check(lease_cases[k].guard, lease_cases[k].ask,
		    lease_cases[k].safe);
	}
	for (k = 0; k < G_MAX; k++)
		if (!seen[k])
			fail_msg("%s has no case", fsm_guard_name(k));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
