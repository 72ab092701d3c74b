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

/* Sequences of events, and what must come out of each. */

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

/* The whole way from a proven loss to the grant, in its order. */
static void
test_failover(void **state)
{
	struct fsm_record put;
	const struct fsm_act *a;
	struct fsm_view v;
	uint64_t seq;

	(void)state;
	mk_group(&m);
	mk_state(&m, 0, SS_UNREACHABLE);
	mk_word(&m, 0);
	mk_step(&m, NULL);
	a = mk_act(&m, A_SQL, SQL_STOP_RECEIVER);
	assert_non_null(a);
	assert_int_equal(a->site, 1);
	assert_false(m.o.put_promotion);
	fsm_view(&m.c, &m.s, &v);
	assert_int_equal(v.site[0].label, RL_REPLICA);
	assert_int_equal(v.site[1].label, RL_REPLICA);
	mk_answer(&m, 1, a, SE_DONE, true);
	fsm_view(&m.c, &m.s, &v);
	m.now = v.wake_ms; /* looked at again, but surely later */
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_PROBE_NOW, -1));
	m.s.put.seq = 0;
	m.s.put_next_ms = 0;
	m.s.site[1].p.io = IO_NO;
	mk_probe(&m, 1);
	a = mk_act(&m, A_SQL, SQL_RESET_REPLICA);
	assert_non_null(a);
	assert_false(a->drop_received);
	m.s.put.seq = 0;
	m.s.put_next_ms = 0;
	mk_answer(&m, 1, a, SE_DONE, true);
	a = mk_act(&m, A_RECORD_PUT, -1);
	assert_non_null(a);
	put = m.o.put;
	seq = a->seq;
	assert_true(m.o.put_promotion);
	assert_int_equal(put.version, 7);
	assert_int_equal(put.epoch, 6);
	assert_int_equal(put.active, 1);
	assert_int_equal(put.n, 1); /* the ended epoch is gone */
	assert_string_equal(put.unended[0].proc.container_id, "ctr-b");
	assert_int_equal(put.last_failover_s, WALL / 1000);
	assert_int_equal(m.o.put_grant, 1);
	/* nothing is granted before the record is known to be written */
	assert_null(mk_act(&m, A_SQL, SQL_GRANT));
	mk_ack(&m, seq, true);
	assert_null(mk_act(&m, A_SQL, SQL_GRANT));
	mk_written(&m, &put);
	a = mk_act(&m, A_SQL, SQL_GRANT);
	assert_non_null(a);
	assert_int_equal(a->epoch, 6);
	assert_int_equal(a->grant_ttl_ms, FSM_GRANT_TTL_MS);
	assert_string_equal(a->proc.pod_uid, "pod-b");
	fsm_view(&m.c, &m.s, &v);
	assert_int_equal(v.site[1].label, RL_PRIMARY);
	assert_int_equal(v.site[0].label, RL_REPLICA);
	assert_int_equal(v.active, FSM_NONE);
	assert_int_equal(v.effective, 1);
	mk_answer(&m, 1, a, SE_DONE, false);
	assert_non_null(mk_act(&m, A_EVENT, T_FAILOVER));
	fsm_view(&m.c, &m.s, &v);
	assert_int_equal(v.active, 1);
}

/* A statement is not sent again on what was read before it was done. */
static void
test_repair_stale(void **state)
{
	const struct fsm_act *a;

	(void)state;
	mk_group(&m);
	m.s.site[1].p.source = 2;
	mk_step(&m, NULL);
	a = mk_act(&m, A_SQL, SQL_STOP_REPLICA);
	assert_non_null(a);
	mk_answer(&m, 1, a, SE_DONE, true);
	for (; m.now < NOW + 1900; m.now += 100) {
		mk_step(&m, NULL);
		assert_null(mk_act(&m, A_SQL, SQL_STOP_REPLICA));
	}
	m.s.site[1].p.io = IO_NO;
	m.s.site[1].p.sql = false;
	mk_probe(&m, 0);
	mk_probe(&m, 1);
	assert_non_null(mk_act(&m, A_SQL, SQL_SET_SOURCE));
}

/* A conflict or an answer that is lost: nothing granted, put again. */
static void
test_put_refused(void **state)
{
	const struct fsm_act *a;

	(void)state;
	mk_group(&m);
	mk_state(&m, 0, SS_READ_ONLY);
	mk_step(&m, NULL);
	a = mk_act(&m, A_RECORD_PUT, -1);
	assert_non_null(a);
	assert_false(m.o.put_promotion);
	mk_ack(&m, a->seq, false);
	assert_null(mk_act(&m, A_SQL, SQL_GRANT));
	assert_null(mk_act(&m, A_RECORD_PUT, -1)); /* spaced */
	m.s.put_next_ms = NOW;
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_RECORD_PUT, -1));
}

/* An unanswered put is recognised in the record that is read. */
static void
test_put_recognised(void **state)
{
	struct fsm_record put;

	(void)state;
	mk_group(&m);
	mk_state(&m, 0, SS_READ_ONLY);
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_RECORD_PUT, -1));
	put = m.o.put;
	mk_written(&m, &put);
	assert_non_null(mk_act(&m, A_SQL, SQL_GRANT));
}

/*
 * A put may be written although nobody said so: no Pod is released on what is
 * known, and the next put settles it.
 */
static void
test_put_unknown(void **state)
{
	struct fsm_event ev = { .type = E_ACK };

	(void)state;
	mk_group(&m);
	m.s.site[1].pod[0].deleting = true;
	m.s.put.seq = m.s.put_epoch = 6;
	m.s.put.until_ms = INT64_MAX;
	m.s.put_base = 7;
	m.s.put_maybe = true;
	ev.u.ack.seq = 6;
	ev.u.ack.unknown = true;
	mk_step(&m, &ev);
	assert_null(mk_act(&m, A_POD_RELEASE, -1));
	mk_lease(&m, false);
	mk_lease(&m, true);
	assert_null(mk_act(&m, A_POD_RELEASE, -1));
	m.now += FSM_RETRY_MS;
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_RECORD_PUT, -1));
	assert_int_equal(m.o.put.epoch, 5);
	assert_int_equal(m.o.put.n, 1);
	assert_null(mk_act(&m, A_POD_RELEASE, -1));
	mk_ack(&m, m.s.put.seq, true);
	assert_non_null(mk_act(&m, A_POD_RELEASE, -1));
	/* the group is deleted: no further put will come */
	mk_group(&m);
	m.c.deleting = true;
	m.s.site[1].pod[0].deleting = true;
	m.s.put_maybe = true;
	m.s.put_next_ms = NOW;
	m.s.lease_deadline_ms = INT64_MAX / 1000000;
	mk_step(&m, NULL);
	assert_null(mk_act(&m, A_POD_RELEASE, -1));
	m.now += FSM_PUT_LIFE_MS;
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_POD_RELEASE, -1));
}

/* The record goes back in time: what is known is written again. */
static void
test_record_back(void **state)
{
	struct fsm_record r, old;

	(void)state;
	mk_group(&m);
	memset(&old, 0, sizeof(old));
	old.active = old.last_target = FSM_NONE;
	mk_read(&m, &old); /* may be a read that was slow */
	assert_int_equal(m.s.rec.version, 7);
	mk_state(&m, 0, SS_READ_ONLY);
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_RECORD_PUT, -1));
	mk_ack(&m, m.s.put.seq, false);
	mk_read(&m, &old);
	mk_read(&m, &old); /* heard of twice */
	assert_int_equal(m.s.rec.version, 0);
	assert_int_equal(m.s.rec.active, 0);
	assert_int_equal(m.s.rec.n, 1);
	assert_int_not_equal(m.s.verdict, V_BOOTSTRAP);
	assert_int_not_equal(m.s.verdict, V_ADOPT_GRANT);
	m.now += FSM_RETRY_MS;
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_RECORD_PUT, -1));
	assert_int_equal(m.o.put.version, 0);
	assert_int_equal(m.o.put.active, 0);
	assert_int_equal(m.o.put.n, 1);
	/* one of a later epoch is another history: nothing of ours has ended */
	mk_group(&m);
	r = m.s.rec;
	r.version = 3;
	r.epoch = r.unended[0].epoch = 9;
	r.active = r.unended[0].site = 1;
	m.s.put_refused = true;
	mk_read(&m, &r);
	assert_int_equal(m.s.rec.active, 1);
	assert_int_equal(m.s.rec.n, 2);
}

/*
 * A primary of somebody else's is adopted: from first to last clients are
 * steered to it, by the labels that are there and then by ours.
 */
static void
test_view_adopted(void **state)
{
	struct fsm_record put;
	struct fsm_view v;
	uint64_t seq;
	uint8_t i;

	(void)state;
	mk_group(&m);
	memset(&m.s.rec, 0, sizeof(m.s.rec));
	m.s.rec.active = m.s.rec.last_target = FSM_NONE;
	m.s.rec_known = false;
	fsm_view(&m.c, &m.s, &v);
	for (i = 0; i < 3; i++)
		assert_int_equal(v.site[i].label, RL_KEEP);
	m.s.rec_known = true;
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_ADOPT);
	assert_non_null(mk_act(&m, A_RECORD_PUT, -1));
	put = m.o.put;
	seq = mk_act(&m, A_RECORD_PUT, -1)->seq;
	fsm_view(&m.c, &m.s, &v);
	for (i = 0; i < 3; i++)
		assert_int_equal(v.site[i].label, RL_KEEP);
	mk_ack(&m, seq, true);
	fsm_view(&m.c, &m.s, &v);
	assert_int_not_equal(v.site[0].label, RL_REPLICA);
	mk_written(&m, &put);
	fsm_view(&m.c, &m.s, &v);
	assert_int_equal(v.site[0].label, RL_PRIMARY);
	assert_int_equal(v.site[1].label, RL_REPLICA);
	assert_int_equal(v.site[2].label, RL_REPLICA);
}

/* Answers that nobody waits for change nothing. */
static void
test_stale_answers(void **state)
{
	static struct fsm_state before;
	struct fsm_event ev = { .type = E_SQL_DONE, .site = 1 };

	(void)state;
	mk_group(&m);
	mk_step(&m, NULL);
	before = m.s;
	ev.u.sql.seq = 999;
	ev.u.sql.kind = SQL_GRANT;
	mk_step(&m, &ev);
	assert_int_equal(m.o.n, 0);
	assert_memory_equal(&before, &m.s, sizeof(before));
	mk_ack(&m, 998, true);
	assert_memory_equal(&before, &m.s, sizeof(before));
}

/* A standby observes and decides, but sends nothing. */
static void
test_standby(void **state)
{
	unsigned k;

	(void)state;
	mk_group(&m);
	m.s.lease_held = false;
	mk_state(&m, 0, SS_UNREACHABLE);
	mk_word(&m, 0);
	mk_step(&m, NULL);
	for (k = 0; k < m.o.n; k++)
		assert_true(
		    m.o.act[k].type == A_LOG || m.o.act[k].type == A_PROBE_NOW);
	assert_int_equal(m.s.verdict, V_PROMOTE);
}

/* A Pod is kept until its epoch has left the record. */
static void
test_finalizer(void **state)
{
	struct fsm_record put;

	(void)state;
	mk_group(&m);
	mk_state(&m, 0, SS_UNREACHABLE);
	m.s.site[0].pod[0].deleting = true;
	mk_step(&m, NULL);
	assert_null(mk_act(&m, A_POD_RELEASE, -1));
	mk_word(&m, 0);
	m.s.site[0].pod[0].deleting = true;
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_RECORD_PUT, -1));
	assert_null(mk_act(&m, A_POD_RELEASE, -1));
	put = m.o.put;
	assert_int_equal(put.n, 0);
	mk_ack(&m, m.s.put.seq, true);
	mk_written(&m, &put);
	assert_non_null(mk_act(&m, A_POD_RELEASE, -1));
}

/* The kubelet's word is brought about once, and only if it can speak. */
static void
test_pod_delete(void **state)
{
	(void)state;
	mk_group(&m);
	mk_state(&m, 0, SS_UNREACHABLE);
	mk_step(&m, NULL);
	assert_null(mk_act(&m, A_POD_DELETE, -1));
	m.s.site[0].pod[0].kubelet_ms = NOW - 3000;
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_POD_DELETE, -1));
	mk_ack(&m, m.s.site[0].pod_req.seq, true);
	mk_step(&m, NULL);
	assert_null(mk_act(&m, A_POD_DELETE, -1));
}

/* Whoever is writable without authority is fenced, then thrown out. */
static void
test_fence(void **state)
{
	const struct fsm_act *a;

	(void)state;
	mk_group(&m);
	mk_state(&m, 2, SS_WRITABLE);
	mk_step(&m, NULL);
	a = mk_act(&m, A_SQL, SQL_FENCE);
	assert_non_null(a);
	assert_int_equal(a->site, 2);
	assert_int_equal(mk_acts(&m, A_SQL, SQL_FENCE), 1);
	mk_answer(&m, 2, a, SE_DONE, true);
	assert_non_null(mk_act(&m, A_SQL, SQL_EVICT));
	assert_int_equal(m.s.site[2].state, SS_READ_ONLY);
}

/* An applier error blocks; a human may give up what was not applied. */
static void
test_override(void **state)
{
	struct fsm_event ev = { .type = E_OVERRIDE, .u.override = 1 };
	const struct fsm_act *a;
	struct fsm_view v;

	(void)state;
	mk_group(&m);
	mk_state(&m, 0, SS_UNREACHABLE);
	mk_word(&m, 0);
	m.s.rel.drained = 0;
	m.s.site[1].receiver_off_ms = NOW - 1000;
	m.s.site[1].p.io = IO_NO;
	m.s.site[1].p.sql = false;
	m.s.site[1].p.sql_errno = 1062;
	mk_step(&m, NULL);
	fsm_view(&m.c, &m.s, &v);
	assert_string_equal(fsm_verdict_block(v.verdict), "ApplierError");
	assert_null(mk_act(&m, A_SQL, SQL_RESET_REPLICA));
	m.s.site[1].sql.seq = 0;
	mk_step(&m, &ev);
	a = mk_act(&m, A_SQL, SQL_RESET_REPLICA);
	assert_non_null(a);
	assert_true(a->drop_received);
	/* nothing is said to be dropped before it is */
	assert_null(mk_act(&m, A_ANNOTATION_DEL, -1));
	assert_null(mk_act(&m, A_EVENT, T_OVERRIDE));
	mk_answer(&m, 1, a, SE_FAILED, true);
	assert_null(mk_act(&m, A_EVENT, T_OVERRIDE));
	assert_int_equal(m.s.override, 1);
	m.now += FSM_RETRY_MS;
	mk_step(&m, NULL);
	a = mk_act(&m, A_SQL, SQL_RESET_REPLICA);
	assert_non_null(a);
	mk_answer(&m, 1, a, SE_DONE, true);
	assert_non_null(mk_act(&m, A_EVENT, T_OVERRIDE));
	assert_non_null(mk_act(&m, A_ANNOTATION_DEL, -1));
	assert_int_equal(m.s.override, FSM_NONE);
}

/* What people read when a proof is missing. */
static void
test_view_no_proof(void **state)
{
	struct fsm_view v;
	unsigned k;
	bool found = false;

	(void)state;
	mk_group(&m);
	mk_state(&m, 0, SS_UNREACHABLE);
	mk_step(&m, NULL);
	fsm_view(&m.c, &m.s, &v);
	for (k = 0; k < v.nconds; k++)
		if (strcmp(v.cond[k].type, "PromotionBlocked") == 0) {
			found = true;
			assert_true(v.cond[k].status);
			assert_string_equal(v.cond[k].reason, "NoProof");
			assert_non_null(
			    strstr(v.cond[k].message, "assert-dead=a/pod-a/5"));
		}
	assert_true(found);
	assert_string_equal(v.alert,
	    "NO PRIMARY: no writable site "
	    "available");
	assert_true(v.wake_ms > NOW);
}

/* The Event of a missing proof has what a human may copy, the log too. */
static void
test_text(void **state)
{
	struct fsm_act a;
	char buf[MSGTEXT_LEN + 1];
	unsigned t;

	(void)state;
	mk_group(&m);
	mk_state(&m, 0, SS_UNREACHABLE);
	mk_step(&m, NULL);
	m.now += FSM_BLOCKED_SAY_MS;
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_EVENT, T_NO_PROOF));
	fsm_message(&m.c, mk_act(&m, A_EVENT, T_NO_PROOF), buf, sizeof(buf));
	assert_non_null(strstr(buf, "assert-dead=a/pod-a/5"));
	fsm_message(&m.c, mk_act(&m, A_LOG, T_NO_PROOF), buf, sizeof(buf));
	assert_non_null(strstr(buf, "assert-dead=a/pod-a/5"));
	assert_string_equal(fsm_text_msg(T_PROMOTING), "initiating failover");
	/* nobody reads of a site that is none */
	memset(&a, 0, sizeof(a));
	a.site = FSM_NONE;
	for (t = 0; t < T_MAX; t++) {
		a.text = (uint8_t)t;
		a.verdict = V_DIVERGENCE;
		fsm_message(&m.c, &a, buf, sizeof(buf));
		assert_null(strstr(buf, "site -"));
		assert_true(buf[0] != '\0' && buf[strlen(buf) - 1] != ' ');
	}
}

/* A new group whose Pods do not run yet has lost nothing. */
static void
test_unborn(void **state)
{
	struct fsm_view v;
	uint8_t i;

	(void)state;
	mk_group(&m);
	memset(&m.s.rec, 0, sizeof(m.s.rec));
	m.s.rec.active = FSM_NONE;
	for (i = 0; i < 3; i++) {
		mk_state(&m, i, SS_UNREACHABLE);
		m.s.site[i].ever = false;
	}
	m.s.rel.known = 0;
	fsm_view(&m.c, &m.s, &v);
	assert_int_equal(v.verdict, V_WAIT_SITES);
	assert_string_equal(v.alert, "");
	m.s.site[1].ever = true;
	fsm_view(&m.c, &m.s, &v);
	assert_int_equal(v.verdict, V_TOTAL_LOSS);
}

/* The candidate's receiver waits for its full disk: STOP hangs, and is told. */
static void
test_stop_hangs(void **state)
{
	struct fsm_act stop;
	char text[MSGTEXT_LEN + 1];
	struct fsm_decision d;

	(void)state;
	mk_group(&m);
	mk_state(&m, 0, SS_UNREACHABLE);
	mk_word(&m, 0);
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_SQL, SQL_STOP_RECEIVER));
	stop = *mk_act(&m, A_SQL, SQL_STOP_RECEIVER);
	assert_int_equal(m.s.verdict, V_PROMOTE);
	m.now += FSM_STOP_MS;
	mk_answer(&m, 1, &stop, SE_UNKNOWN, true);
	assert_int_equal(m.s.verdict, V_PROMOTE);
	m.now += FSM_RETRY_MS;
	m.s.lease_deadline_ms = m.now + 10000;
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_STOP_TIMEOUT);
	assert_string_equal(fsm_verdict_block(m.s.verdict), "ReceiverHangs");
	/* It is asked again. */
	assert_true(m.s.site[1].sql.seq > stop.seq);
	assert_int_equal(m.s.site[1].sql.kind, SQL_STOP_RECEIVER);
	m.s.site[1].g.disk_full = true;
	fsm_decide(&m.c, &m.s, &d);
	fsm_block_message(&m.c, &m.s, &d, text, sizeof(text));
	assert_non_null(strstr(text, "its disk is full"));
	m.now += FSM_BLOCKED_SAY_MS;
	m.s.lease_deadline_ms = m.now + 10000;
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_EVENT, T_BLOCKED));
	assert_non_null(mk_act(&m, A_LOG, T_BLOCKED));
	/* At last: the promotion goes on. */
	stop.seq = m.s.site[1].sql.seq;
	mk_answer(&m, 1, &stop, SE_DONE, true);
	m.s.site[1].p.io = IO_NO;
	mk_probe(&m, 1);
	assert_int_equal(m.s.verdict, V_PROMOTE);
	assert_non_null(mk_act(&m, A_SQL, SQL_RESET_REPLICA));
	assert_int_equal(m.s.site[1].stop_ms, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failover),
		cmocka_unit_test(test_repair_stale),
		cmocka_unit_test(test_put_refused),
		cmocka_unit_test(test_put_recognised),
		cmocka_unit_test(test_put_unknown),
		cmocka_unit_test(test_record_back),
		cmocka_unit_test(test_stale_answers),
		cmocka_unit_test(test_standby),
		cmocka_unit_test(test_finalizer),
		cmocka_unit_test(test_pod_delete),
		cmocka_unit_test(test_fence),
		cmocka_unit_test(test_override),
		cmocka_unit_test(test_view_no_proof),
		cmocka_unit_test(test_view_adopted),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_unborn),
		cmocka_unit_test(test_stop_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
