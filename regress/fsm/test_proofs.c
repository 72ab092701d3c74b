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

/* What ends an epoch, and what only looks like it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "mk.h"

#ifdef FSM_MUTANTS
uint64_t fsm_mutants[2];
#endif

static struct mk m;

/* a was granted again and answered so, without its flags being read. */
static void
granted_unseen(void)
{
	const struct fsm_act *a;
	struct fsm_event ev = { .type = E_SQL_DONE, .site = 0 };

	mk_group(&m);
	mk_state(&m, 0, SS_READ_ONLY);
	m.s.my_epoch = 5;
	mk_step(&m, NULL);
	a = mk_act(&m, A_SQL, SQL_GRANT);
	assert_non_null(a);
	ev.u.sql.seq = a->seq;
	ev.u.sql.kind = a->kind;
	ev.u.sql.end = SE_DONE;
	ev.u.sql.grant_limit_ms = WALL + FSM_GRANT_TTL_MS;
	m.now += 10;
	mk_step(&m, &ev);
	assert_false(m.s.site[0].grant_open);
}

/*
 * It vanishes before its next probe: what was read before the grant is no
 * proof of a fence, and a second grant that was never sent changes nothing.
 */
static void
test_granted_unseen(void **state)
{
	struct fsm_event ev = { .type = E_SQL_DONE, .site = 0 };
	struct fsm_decision d;

	(void)state;
	granted_unseen();
	assert_int_equal(m.s.step, ST_CONFIRM); /* not granted blindly again */
	m.s.site[0].sql.seq = ev.u.sql.seq = ++m.s.seq;
	m.s.site[0].grant_open = true;
	ev.u.sql.kind = SQL_GRANT;
	ev.u.sql.end = SE_FAILED; /* could not connect */
	mk_step(&m, &ev);
	assert_false(m.s.site[0].grant_open);
	m.s.site[0].state = SS_UNREACHABLE;
	m.s.site[0].fails = 3;
	fsm_decide(&m.c, &m.s, &d);
	assert_int_equal(d.verdict, V_NO_PROOF);
	assert_true(fsm_may_write(&m.s, 0));
	/* a fence that was sent before the grant was answered, and read then */
	m.s.site[0].read_ms = m.s.site[0].granted_ms;
	fsm_decide(&m.c, &m.s, &d);
	assert_int_equal(d.verdict, V_NO_PROOF);
	m.s.site[0].read_ms++;
	fsm_decide(&m.c, &m.s, &d);
	assert_int_equal(d.verdict, V_PROMOTE);
}

/* A grant whose site died with it is over by time: the Lease may go. */
static void
test_quiet_of_the_dead(void **state)
{
	const struct fsm_act *a;
	struct fsm_event ev = { .type = E_SQL_DONE, .site = 0 };

	(void)state;
	mk_group(&m);
	mk_state(&m, 0, SS_READ_ONLY);
	m.s.my_epoch = 5;
	mk_step(&m, NULL);
	a = mk_act(&m, A_SQL, SQL_GRANT);
	assert_non_null(a);
	ev.u.sql.seq = a->seq;
	ev.u.sql.kind = a->kind;
	ev.u.sql.end = SE_UNKNOWN;
	m.now += 10;
	mk_step(&m, &ev);
	assert_false(fsm_quiet(&m.c, &m.s));
	m.s.site[0].state = SS_UNREACHABLE;
	m.s.site[0].fails = 3;
	m.now += 3600000;
	m.s.lease_deadline_ms = m.now + 10000;
	mk_step(&m, NULL);
	assert_true(m.now > fsm_grants_end(&m.s, 0));
	assert_true(fsm_quiet(&m.c, &m.s));
}

/*
 * A Pod that is gone proves nothing: somebody may have forced its object away,
 * or taken its labels. Its words prove what they say, gone or not.
 */
static void
test_gone_is_no_word(void **state)
{
	struct fsm_pod pod;
	struct fsm_event ev = { .type = E_POD, .site = 0, .u.pod = &pod };
	const struct fsm_word word = { .guard = 77, .finished_ms = INT64_MAX };

	(void)state;
	mk_group(&m);
	m.s.rec.unended[0].terms.guard = 77;
	mk_silent(&m, 0);
	m.s.site[0].state = SS_UNREACHABLE;
	pod = *fsm_pod_of(&m.s, 0, m.s.rec.unended[0].proc.pod_uid);
	pod.gone = true;
	mk_step(&m, &ev);
	assert_null(fsm_pod_of(&m.s, 0, pod.pod_uid));
	assert_int_equal(fsm_proof_of(&m.s, 0), P_NONE);
	assert_int_equal(mk_verdict(&m), V_NO_PROOF);
	pod.word[pod.nwords++] = word;
	mk_step(&m, &ev);
	assert_int_equal(fsm_proof_of(&m.s, 0), P_TERMINATED);
}

/*
 * A site may have more Pods than are kept: never is one forgotten that an epoch,
 * the last probe or a guard speaks of, and one that is told is known then.
 */
static void
test_more_pods(void **state)
{
	struct fsm_pod pod = { .ctr_state = CTR_RUNNING };
	struct fsm_site *t = &m.s.site[0];
	unsigned n;

	(void)state;
	mk_group(&m);
	assert_non_null(fsm_pod_of(&m.s, 0, "pod-a"));
	(void)snprintf(t->g.pod_uid, sizeof(t->g.pod_uid), "guarded");
	(void)snprintf(pod.pod_uid, sizeof(pod.pod_uid), "guarded");
	mk_pod(&m, 0, &pod);
	for (n = 0; n < 8; n++) {
		(void)snprintf(pod.pod_uid, sizeof(pod.pod_uid), "old-%u", n);
		pod.deleting = n % 2 == 1;
		mk_pod(&m, 0, &pod);
		assert_non_null(fsm_pod_of(&m.s, 0, pod.pod_uid));
		assert_non_null(fsm_pod_of(&m.s, 0, "pod-a"));
		assert_non_null(fsm_pod_of(&m.s, 0, "guarded"));
		t->pod[n % FSM_SITE_PODS].deleting = true;
	}
	/* the epoch is the last to be given away */
	m.s.rec.unended[0].proc.pod_uid[0] = 'x';
	(void)snprintf(t->p.pod_uid, sizeof(t->p.pod_uid), "probed");
	(void)snprintf(pod.pod_uid, sizeof(pod.pod_uid), "probed");
	mk_pod(&m, 0, &pod);
	(void)snprintf(pod.pod_uid, sizeof(pod.pod_uid), "new");
	mk_pod(&m, 0, &pod);
	assert_null(fsm_pod_of(&m.s, 0, "pod-a"));
	assert_non_null(fsm_pod_of(&m.s, 0, "probed"));
	assert_non_null(fsm_pod_of(&m.s, 0, "guarded"));
}

/*
 * The Lease is lost and got again at once: a grant that is under way may
 * still be carried out, whatever its site shows meanwhile.
 */
static void
test_lease_flap(void **state)
{
	const struct fsm_act *a;
	struct fsm_probe p;
	struct fsm_event ev = { .type = E_PROBE, .site = 0, .u.probe = &p };
	int64_t valid;

	(void)state;
	mk_group(&m);
	mk_state(&m, 0, SS_READ_ONLY);
	m.s.my_epoch = 5;
	mk_step(&m, NULL);
	a = mk_act(&m, A_SQL, SQL_GRANT);
	assert_non_null(a);
	valid = a->valid_until_ms;
	mk_lease(&m, false);
	m.now += 100;
	mk_lease(&m, true);
	assert_false(fsm_quiet(&m.c, &m.s));
	p = m.s.site[0].p;
	for (; m.now < valid + FSM_GRANT_TTL_MS + FSM_GRANT_MARGIN_MS;
	    m.now += 500) {
		p.sent_ms = m.now - 1;
		p.clock_ms = WALL + m.now - NOW;
		mk_step(&m, &ev);
		assert_int_equal(fsm_proof_of(&m.s, 0), P_NONE);
		mk_lease(&m, true);
	}
	for (valid = m.now + 3000; m.now < valid; m.now += 500) {
		p.sent_ms = m.now - 1;
		p.clock_ms = WALL + m.now - NOW;
		m.s.site[0].sql.seq = 1; /* no further grant */
		m.s.site[0].sql.until_ms = INT64_MAX;
		mk_step(&m, &ev);
	}
	assert_int_equal(fsm_proof_of(&m.s, 0), P_FENCED);
}

/* The same when another process of the site answered in between. */
static void
test_grant_forgotten(void **state)
{
	struct fsm_probe p, other;
	struct fsm_event ev = { .type = E_PROBE, .site = 0, .u.probe = &p };

	(void)state;
	mk_group(&m);
	mk_state(&m, 0, SS_READ_ONLY);
	m.s.site[0].grant_open = true;
	m.s.site[0].grant_valid_ms = NOW + 5000;
	p = other = m.s.site[0].p;
	snprintf(other.pod_uid, sizeof(other.pod_uid), "pod-z");
	ev.u.probe = &other;
	other.sent_ms = ++m.now;
	mk_step(&m, &ev);
	assert_false(fsm_quiet(&m.c, &m.s));
	ev.u.probe = &p;
	p.sent_ms = ++m.now;
	mk_step(&m, &ev);
	assert_int_equal(m.s.site[0].lead_clock_ms, 0);
	m.now = p.sent_ms = NOW + 5001;
	mk_step(&m, &ev);
	assert_int_not_equal(m.s.site[0].lead_clock_ms, 0);
}

/* Without leader election the Lease has no end, but what is sent has. */
static void
test_endless_lease(void **state)
{
	struct fsm_probe p;
	struct fsm_event ev = { .type = E_PROBE, .site = 0, .u.probe = &p };

	(void)state;
	mk_group(&m);
	m.s.lease_deadline_ms = INT64_MAX / 1000000;
	mk_state(&m, 0, SS_READ_ONLY);
	m.s.my_epoch = 5;
	mk_step(&m, NULL);
	assert_true(m.s.site[0].grant_open);
	p = m.s.site[0].p;
	m.now += FSM_SQL_TIMEOUT_MS + FSM_ACK_GRACE_MS + 10;
	m.s.my_epoch = 0; /* no further grant */
	m.s.put.seq = 9;
	m.s.put.until_ms = INT64_MAX;
	for (; m.now < NOW + 20000; m.now += 1000) {
		p.sent_ms = m.now - 1;
		p.clock_ms = WALL + m.now - NOW;
		mk_step(&m, &ev);
	}
	assert_false(m.s.site[0].grant_open);
}

/* A probe that began in the millisecond of another reading is older. */
static void
test_same_millisecond(void **state)
{
	struct fsm_probe p;
	struct fsm_event ev = { .type = E_PROBE, .site = 1, .u.probe = &p };

	(void)state;
	mk_group(&m);
	m.s.site[1].flags_ms = NOW;
	p = m.s.site[1].p;
	p.sent_ms = NOW;
	p.read_only = p.super_read_only = false;
	mk_step(&m, &ev);
	assert_true(m.s.site[1].p.read_only);
	p.sent_ms = NOW + 1;
	mk_step(&m, &ev);
	assert_false(m.s.site[1].p.read_only);
	m.s.site[1].p.read_only = true;
	/* nor is it a reading after the Lease was got or the receiver off */
	m.s.site[1].lead_clock_ms = 0;
	m.s.old_grants_ms = p.sent_ms = NOW + 2;
	mk_step(&m, &ev);
	assert_int_equal(m.s.site[1].lead_clock_ms, 0);
	mk_group(&m);
	m.s.site[1].receiver_off_ms = m.s.site[1].p.sent_ms;
	m.s.site[1].p.io = IO_NO;
	assert_int_equal(fsm_prepare(&m.c, &m.s, 1), ST_STOP_RECEIVER);
}

static int
verdict(void)
{
	struct fsm_decision d;

	fsm_decide(&m.c, &m.s, &d);
	return d.verdict;
}

static void
demoted(int sets, enum site_state st)
{
	mk_group(&m);
	m.c.site[0].role = ROLE_DR_ONLY;
	mk_state(&m, 0, st);
	mk_sets(&m, 0, sets);
}

/* The spec takes the active site its role: what it has is not given up. */
static void
test_demoted(void **state)
{
	(void)state;
	demoted(1, SS_WRITABLE);
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_SQL, SQL_FENCE));
	assert_int_equal(m.s.verdict, V_WAIT_SITES);
	demoted(1, SS_READ_ONLY);
	assert_int_equal(verdict(), V_WAIT_SITES);
	demoted(2, SS_READ_ONLY);
	assert_int_equal(verdict(), V_DIVERGENCE);
	demoted(0, SS_READ_ONLY);
	assert_int_equal(verdict(), V_PROMOTE);
	/* seen once and silent now: only a human can say that it is lost */
	demoted(1, SS_UNREACHABLE);
	mk_word(&m, 0);
	assert_int_equal(verdict(), V_DATA_MISSING);
	demoted(0, SS_UNREACHABLE);
	mk_word(&m, 0);
	assert_int_equal(verdict(), V_PROMOTE);
	/* a new state knows nothing of it yet */
	demoted(1, SS_UNKNOWN);
	m.s.rel.known &= (uint16_t)~1;
	mk_word(&m, 0);
	assert_int_equal(verdict(), V_WAIT_SITES);
}

static void
assert_dead(uint64_t epoch, const char *uid)
{
	struct fsm_event ev = { .type = E_ASSERT_DEAD };

	ev.u.assert_dead.site = 0;
	ev.u.assert_dead.epoch = epoch;
	snprintf(ev.u.assert_dead.pod_uid, sizeof(ev.u.assert_dead.pod_uid),
	    "%s", uid);
	mk_step(&m, &ev);
}

static void
silent_primary(void)
{
	mk_group(&m);
	mk_state(&m, 0, SS_UNREACHABLE);
	m.s.site[0].seen_ms = NOW - FSM_ASSERT_QUIET_MS - 1;
	m.s.site[0].fail_since_ms = NOW - FSM_ASSERT_QUIET_MS;
	m.s.site[1].p.io = m.s.site[2].p.io = IO_CONNECTING;
}

static void
test_assert_dead(void **state)
{
	(void)state;
	silent_primary();
	assert_dead(5, "pod-a");
	assert_non_null(mk_act(&m, A_EVENT, T_ASSERT_OK));
	assert_non_null(mk_act(&m, A_ANNOTATION_DEL, -1));
	assert_int_equal(m.s.ended[0], P_ASSERTED);
	assert_non_null(mk_act(&m, A_SQL, SQL_STOP_RECEIVER));

	silent_primary();
	assert_dead(4, "pod-a");
	assert_non_null(mk_act(&m, A_EVENT, T_ASSERT_REFUSED));
	assert_int_equal(m.s.ended[0], P_NONE);

	silent_primary();
	assert_dead(5, "pod-x");
	assert_non_null(mk_act(&m, A_EVENT, T_ASSERT_REFUSED));

	/* a replica sees it */
	silent_primary();
	m.s.site[2].p.io = IO_YES;
	assert_dead(5, "pod-a");
	assert_non_null(mk_act(&m, A_EVENT, T_ASSERT_REFUSED));

	/* its kubelet spoke of the running container */
	silent_primary();
	m.s.site[0].pod[0].kubelet_ms = NOW - 1000;
	assert_dead(5, "pod-a");
	assert_non_null(mk_act(&m, A_EVENT, T_ASSERT_REFUSED));

	/* we have not watched for long enough: neither yes nor no */
	silent_primary();
	m.s.start_ms = NOW - 10000;
	assert_dead(5, "pod-a");
	assert_null(mk_act(&m, A_ANNOTATION_DEL, -1));
	assert_true(m.s.assert_set);
}

/* That nobody saw it counts only when somebody looked. */
static void
test_assert_unwatched(void **state)
{
	(void)state;
	/* no probe since */
	silent_primary();
	m.s.site[0].counted_ms = NOW - FSM_ASSERT_QUIET_MS - 1;
	assert_dead(5, "pod-a");
	assert_null(mk_act(&m, A_ANNOTATION_DEL, -1));
	assert_int_equal(m.s.ended[0], P_NONE);
	/* not for long enough */
	silent_primary();
	m.s.site[0].fail_since_ms = NOW - 30000;
	assert_dead(5, "pod-a");
	assert_null(mk_act(&m, A_ANNOTATION_DEL, -1));
	/* a server there refuses our password */
	silent_primary();
	m.s.site[0].heard_ms = NOW - 2000;
	assert_dead(5, "pod-a");
	assert_non_null(mk_act(&m, A_EVENT, T_ASSERT_REFUSED));
	/* another process answers in its place */
	silent_primary();
	mk_state(&m, 0, SS_READ_ONLY);
	m.s.site[0].fails = 0;
	m.s.site[0].suspect = false;
	snprintf(m.s.site[0].p.pod_uid, sizeof(m.s.site[0].p.pod_uid), "pod-z");
	assert_dead(5, "pod-a");
	assert_non_null(mk_act(&m, A_EVENT, T_ASSERT_OK));
}

/* The site of an unended epoch was taken from the spec. */
static void
foreign(void)
{
	mk_group(&m);
	m.s.rec.active = m.s.rec.unended[0].site = FSM_FOREIGN;
	snprintf(m.s.rec.unended[0].proc.pod_uid, UID_LEN + 1, "pod-f");
	mk_state(&m, 0, SS_READ_ONLY);
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_NO_PROOF);
}

static void
foreign_pod(const char *uid, bool ended)
{
	struct fsm_pod p = m.s.site[0].pod[0];
	struct fsm_event ev = { .type = E_POD, .site = FSM_FOREIGN };

	snprintf(p.pod_uid, sizeof(p.pod_uid), "%s", uid);
	p.deleting = true;
	p.kubelet_ms = m.now - 1000;
	if (ended) {
		p.nwords = 1;
		memcpy(p.word[0].container_id, p.container_id,
		    sizeof(p.word[0].container_id));
		p.word[0].started_ms = p.started_ms;
		p.word[0].finished_ms = WALL - 6000;
		p.ctr_state = CTR_TERMINATED;
	}
	ev.u.pod = &p;
	mk_step(&m, &ev);
}

static void
test_foreign(void **state)
{
	struct fsm_event ev = { .type = E_ASSERT_DEAD };
	struct fsm_record put;
	const struct fsm_act *a;

	(void)state;
	foreign();
	foreign_pod("pod-f", false);
	assert_null(mk_act(&m, A_POD_RELEASE, -1));
	foreign_pod("pod-g", true);
	assert_int_equal(m.s.ended[0], P_NONE);
	a = mk_act(&m, A_POD_RELEASE, -1); /* no epoch of its own */
	assert_non_null(a);
	assert_int_equal(a->site, FSM_FOREIGN);
	assert_string_equal(a->proc.pod_uid, "pod-g");
	mk_ack(&m, a->seq, true);
	foreign_pod("pod-f", true);
	assert_int_equal(m.s.ended[0], P_TERMINATED);
	assert_null(mk_act(&m, A_POD_RELEASE, -1));
	assert_non_null(mk_act(&m, A_RECORD_PUT, -1));
	put = m.o.put;
	assert_int_equal(put.n, 0);
	mk_ack(&m, m.s.put.seq, true);
	mk_written(&m, &put);
	m.s.put_maybe = false; /* the promotion's put is answered */
	foreign_pod("pod-f", true);
	assert_non_null(mk_act(&m, A_POD_RELEASE, -1));

	foreign();
	ev.u.assert_dead.site = FSM_FOREIGN;
	ev.u.assert_dead.epoch = 5;
	snprintf(ev.u.assert_dead.pod_uid, UID_LEN + 1, "pod-f");
	m.s.foreign_ms = NOW - 2000;
	mk_step(&m, &ev);
	assert_non_null(mk_act(&m, A_EVENT, T_ASSERT_REFUSED));
	m.s.foreign_ms = 0;
	mk_step(&m, &ev);
	assert_non_null(mk_act(&m, A_EVENT, T_ASSERT_OK));
}

/* The active site shall follow another one, but is only half fenced. */
static void
test_half_fenced(void **state)
{
	const struct fsm_act *a;

	(void)state;
	mk_group(&m);
	mk_state(&m, 0, SS_READ_ONLY);
	m.s.site[0].p.super_read_only = false;
	mk_sets(&m, 1, 1);
	m.s.site[1].seen_ms = m.s.site[0].p.sent_ms - 1;
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_NO_PROOF);
	a = mk_act(&m, A_SQL, SQL_FENCE);
	assert_non_null(a);
	assert_int_equal(a->site, 0);
	mk_answer(&m, 0, a, SE_DONE, true);
	assert_int_equal(m.s.verdict, V_PROMOTE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_granted_unseen),
		cmocka_unit_test(test_quiet_of_the_dead),
		cmocka_unit_test(test_gone_is_no_word),
		cmocka_unit_test(test_more_pods),
		cmocka_unit_test(test_lease_flap),
		cmocka_unit_test(test_grant_forgotten),
		cmocka_unit_test(test_endless_lease),
		cmocka_unit_test(test_same_millisecond),
		cmocka_unit_test(test_demoted),
		cmocka_unit_test(test_assert_dead),
		cmocka_unit_test(test_assert_unwatched),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_half_fenced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
