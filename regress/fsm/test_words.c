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

/* Words of people: what they are taken for, and what is said when not. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "mk.h"

#ifdef FSM_MUTANTS
uint64_t fsm_mutants[2];
#endif

static struct mk m;

/* a is lost, and proven to be; b can't apply what it received. */
static void
applier_error(void)
{
	uint8_t i;

	mk_group(&m);
	mk_state(&m, 0, SS_UNREACHABLE);
	mk_word(&m, 0);
	m.s.rel.drained = 0;
	for (i = 1; i < 3; i++) {
		m.s.site[i].receiver_off_ms = NOW - 1000;
		m.s.site[i].p.io = IO_NO;
		m.s.site[i].p.sql = false;
	}
	m.s.site[1].p.sql_errno = 1062;
	m.s.site[1].next_ms[SQL_START_APPLIER] = INT64_MAX;
}

static void
pass(int64_t ms)
{
	m.now += ms;
	m.s.lease_deadline_ms = m.now + 10000;
	mk_step(&m, NULL);
}

static void
word(uint8_t site)
{
	struct fsm_event ev = { .type = E_OVERRIDE, .u.override = site };

	mk_step(&m, &ev);
}

/* Nothing is dropped, and the word is gone; its message has that. */
static void
no_drop(const char *why)
{
	const struct fsm_act *a = mk_act(&m, A_EVENT, T_OVERRIDE_NO);
	char buf[MSGTEXT_LEN + 1];

	assert_non_null(a);
	fsm_message(&m.c, a, buf, sizeof(buf));
	assert_non_null(strstr(buf, why));
	a = mk_act(&m, A_ANNOTATION_DEL, -1);
	assert_non_null(a);
	assert_string_equal(a->key, FSM_ANN_OVERRIDE);
	assert_null(mk_act(&m, A_SQL, SQL_RESET_REPLICA));
	assert_null(mk_act(&m, A_EVENT, T_OVERRIDE));
	assert_int_equal(m.s.override, FSM_NONE);
	assert_int_equal(m.s.asked, FSM_NONE);
}

/* No word is taken for a block that is not there. */
static void
test_override_early(void **state)
{
	(void)state;
	mk_group(&m);
	word(1);
	no_drop("refused: site b: no promotion of it is blocked");
	/* The block that comes later is one. */
	applier_error();
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_APPLIER_ERROR);
	assert_null(mk_act(&m, A_SQL, SQL_RESET_REPLICA));
	/* nor is one of another site */
	word(2);
	no_drop("refused: site c: no promotion of it is blocked");
	mk_group(&m);
	word(0);
	no_drop("refused: site a: it is the active site");
	word(FSM_FOREIGN);
	no_drop("refused: no site has that name");
	word(FSM_NONE);
	assert_null(mk_act(&m, A_EVENT, T_OVERRIDE_NO));
}

/* Site b's applier stopped with an error, and was started again. */
static void
started_again(void)
{
	applier_error();
	mk_step(&m, NULL);
	m.s.site[1].p.sql_errno = 0;
	m.s.site[1].p.sql = true;
	pass(100);
}

/* While the applier is started again, and fails again, it is the same block. */
static void
test_override_retry(void **state)
{
	const struct fsm_act *a;

	(void)state;
	started_again();
	assert_int_equal(m.s.verdict, V_PROMOTE);
	word(1);
	assert_int_equal(m.s.override, 1);
	assert_null(mk_act(&m, A_SQL, SQL_RESET_REPLICA));
	m.s.site[1].p.sql_errno = 1062;
	m.s.site[1].p.sql = false;
	pass(100);
	a = mk_act(&m, A_SQL, SQL_RESET_REPLICA);
	assert_non_null(a);
	assert_true(a->drop_received);
	/* told again by a list, it is the same word */
	word(1);
	assert_int_equal(m.s.override, 1);
	assert_true(m.s.override_sent);
}

/* It goes with its block: somebody repaired the applier. */
static void
test_override_over(void **state)
{
	const struct fsm_act *a;

	(void)state;
	started_again();
	word(1);
	/* It may fail again later: what it drains is the same still. */
	pass(FSM_APPLIER_MS);
	assert_int_equal(m.s.override, 1);
	mk_state(&m, 1, SS_UNREACHABLE);
	pass(FSM_APPLIER_MS);
	no_drop("refused: site b: ApplierError does not block it any more");
	/* It has applied all: the reset drops nothing, and nothing is said. */
	applier_error();
	mk_step(&m, NULL);
	word(1);
	a = mk_act(&m, A_SQL, SQL_RESET_REPLICA);
	assert_true(a->drop_received);
	mk_answer(&m, 1, a, SE_REFUSED, true);
	m.s.rel.drained = 2;
	pass(FSM_RETRY_MS);
	a = mk_act(&m, A_SQL, SQL_RESET_REPLICA);
	assert_non_null(a);
	assert_false(a->drop_received);
	mk_answer(&m, 1, a, SE_DONE, true);
	no_drop("nothing was dropped");
}

/* A new leader takes a word that waits for it, once it sees the block. */
static void
test_override_leader(void **state)
{
	(void)state;
	applier_error();
	mk_step(&m, NULL);
	word(1);
	assert_int_equal(m.s.override, 1);
	mk_lease(&m, false);
	m.now += FSM_APPLIER_MS;
	m.s.site[1].sql.seq = 0;
	m.s.synced = false;
	mk_lease(&m, true);
	assert_int_equal(m.s.verdict, V_STARTING);
	assert_int_equal(m.s.override, FSM_NONE);
	assert_int_equal(m.s.asked, 1);
	assert_null(mk_act(&m, A_EVENT, T_OVERRIDE_NO));
	m.s.synced = true;
	pass(100);
	assert_int_equal(m.s.override, 1);
	/* but not for ever */
	applier_error();
	m.s.synced = false;
	m.s.lease_since_ms = m.now;
	word(1);
	pass(FSM_OVERRIDE_MS - 1);
	assert_int_equal(m.s.asked, 1);
	pass(1);
	no_drop("no promotion of it is blocked");
	/* and not in a group that is well */
	mk_group(&m);
	m.s.lease_since_ms = m.now;
	word(1);
	no_drop("no promotion of it is blocked");
}

/* The operator that took the word died before it could say what it did. */
static void
test_override_before(void **state)
{
	const struct fsm_act *a;
	char buf[MSGTEXT_LEN + 1];

	(void)state;
	for (int how = 0; how < 5; how++) {
		applier_error();
		mk_lease(&m, false);
		word(1);
		m.s.site[1].p.has_repl = how == 1;
		m.s.site[1].p.sql_errno = 0;
		m.now += 1000;
		if (how == 2 || how == 3) {
			m.s.rec.active = m.s.rec.last_target = 1;
			m.s.rec.last_failover_s =
			    (WALL + m.now - NOW) / 1000 - (how == 2 ? 5 : 3600);
		}
		mk_lease(&m, true);
		m.s.rec_known = true;
		if (how == 4) { /* a word of this term is no older one */
			m.s.asked = FSM_NONE;
			pass(100);
			word(1);
		}
		a = mk_act(&m, A_EVENT, T_OVERRIDE_MAYBE);
		assert_int_equal(a != NULL, how == 0 || how == 2);
		if (a == NULL)
			continue;
		assert_null(mk_act(&m, A_EVENT, T_OVERRIDE_NO));
		fsm_message(&m.c, a, buf, sizeof(buf));
		assert_non_null(strstr(buf, "may have been dropped"));
		assert_non_null(strstr(buf, "site b"));
		assert_non_null(mk_act(&m, A_ANNOTATION_DEL, -1));
		assert_int_equal(m.s.asked, FSM_NONE);
	}
}

static void
says(uint8_t site, const char *uid, uint64_t epoch, const char *why)
{
	struct fsm_event ev = { .type = E_ASSERT_DEAD };
	const struct fsm_act *a;
	char buf[MSGTEXT_LEN + 1];

	ev.u.assert_dead.site = site;
	ev.u.assert_dead.epoch = epoch;
	memcpy(ev.u.assert_dead.pod_uid, uid, strlen(uid) + 1);
	mk_step(&m, &ev);
	a = mk_act(&m, A_EVENT, T_ASSERT_REFUSED);
	assert_non_null(a);
	fsm_message(&m.c, a, buf, sizeof(buf));
	assert_string_equal(buf, why);
	a = mk_act(&m, A_LOG, T_ASSERT_REFUSED);
	assert_non_null(a);
	assert_non_null(strstr(why, fsm_why(a, buf, sizeof(buf))));
	assert_true(buf[0] != '\0');
	assert_non_null(mk_act(&m, A_ANNOTATION_DEL, -1));
}

#define REFUSED "assert-dead refused: epoch 5, site a: "

/* Each refusal says why. */
static void
test_assert_why(void **state)
{
	struct fsm_site *a = &m.s.site[0], *b = &m.s.site[1];

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	mk_state(&m, 0, SS_UNREACHABLE);
	mk_silent(&m, 0);
	a->fail_since_ms = a->seen_ms = a->g_ms = a->guard_ms = NOW - 90000;
	b->p.io = m.s.site[2].p.io = IO_CONNECTING;
	says(FSM_NONE, "", 0,
	    "assert-dead refused: it is not SITE/POD_UID/EPOCH");
	says(0, "pod-a", 0,
	    "assert-dead refused: site a: it is not SITE/POD_UID/EPOCH");
	says(0, "pod-a", 4,
	    "assert-dead refused: epoch 4, site a: that site has no such "
	    "unended epoch");
	says(1, "pod-b", 5,
	    "assert-dead refused: epoch 5, site b: that site has no such "
	    "unended epoch");
	says(0, "pod-x", 5, REFUSED "that epoch is of another Pod UID");
	a->seen_ms = m.now - 59000;
	says(0, "pod-a", 5, REFUSED "it answered a probe 59 s ago");
	a->seen_ms = m.now - 90000;
	a->pod[0].kubelet_ms = m.now - 12000;
	says(0, "pod-a", 5, REFUSED "its kubelet said that it runs 12 s ago");
	a->pod[0].kubelet_ms = 0;
	a->guard_ms = m.now - 20000;
	says(0, "pod-a", 5, REFUSED "its guard said that it runs 20 s ago");
	a->guard_ms = m.now - 90000;
	b->g.yes_epoch = 5;
	b->g.yes_age_ms = 30000;
	b->g_ms = m.now;
	says(0, "pod-a", 5, REFUSED "a voter renewed its lease 30 s ago");
	b->g.yes_age_ms = -1;
	b->p.io = IO_YES;
	b->seen_ms = m.now - 1000;
	says(0, "pod-a", 5, REFUSED "a replica was connected to it 1 s ago");
	b->p.io = IO_CONNECTING;
	/* another operator's probe, told at b's sidecar */
	memcpy(b->g.sight.pod_uid, m.s.rec.unended[0].proc.pod_uid,
	    sizeof(b->g.sight.pod_uid));
	memcpy(b->g.sight.server_uuid, m.s.rec.unended[0].proc.server_uuid,
	    sizeof(b->g.sight.server_uuid));
	b->g.sight.start_ms = m.s.rec.unended[0].proc.start_ms;
	b->g.sight.age_ms = 300;
	b->g_ms = m.now;
	says(0, "pod-a", 5, REFUSED "it answered a probe 0 s ago");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_override_early),
		cmocka_unit_test(test_override_retry),
		cmocka_unit_test(test_override_over),
		cmocka_unit_test(test_override_leader),
		cmocka_unit_test(test_override_before),
		cmocka_unit_test(test_assert_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
