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

/* Terms of the lease: minted, offered, held; and when others follow them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "mk.h"

static struct mk m;

static int
ask(uint64_t guard, uint32_t incarnation)
{
	struct fsm_event ev = { .type = E_ASK, .site = 0 };
	const struct fsm_act *a;

	ev.u.ask.epoch = 5;
	ev.u.ask.guard = guard;
	ev.u.ask.incarnation = incarnation;
	ev.u.ask.nonce = 77;
	mk_step(&m, &ev);
	if ((a = mk_act(&m, A_RENEW, -1)) == NULL)
		return 0;
	assert_int_equal(a->nonce, 77);
	assert_int_equal(a->epoch, 5);
	return 1;
}

/* The record as the last put left it. */
static void
record_written(void)
{
	struct fsm_record put = m.o.put;

	mk_ack(&m, m.s.put.seq, true);
	mk_written(&m, &put);
}

/* Expect a successor; tell how many voters it has. */
static int
successor(void)
{
	const struct fsm_record *r = &m.o.put;

	if (mk_act(&m, A_RECORD_PUT, -1) == NULL || r->epoch == 5)
		return 0;
	assert_int_equal(r->n, 2); /* the former is not ended yet */
	assert_int_equal(r->unended[1].epoch, 6);
	assert_int_equal(r->unended[1].terms.prev, 5);
	assert_int_equal(r->unended[1].terms.guard, 1000);
	assert_string_equal(r->unended[1].proc.container_id, "ctr-a");
	assert_int_equal(m.o.put_grant, FSM_NONE);
	assert_false(m.o.put_promotion);
	return r->unended[1].terms.n;
}

/* The former goes when the guard says that it holds the new one. */
static void
test_successor(void **state)
{
	struct fsm_guard g;
	struct fsm_view v;

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	mk_silent(&m, 2);
	mk_step(&m, NULL);
	assert_int_equal(successor(), 2);
	record_written();
	assert_int_equal(m.s.verdict, V_HEALTHY);
	assert_non_null(mk_act(&m, A_OFFER, -1));
	assert_int_equal(ask(1000, 1), 1); /* the former still is renewed */
	m.now += 300;
	g = m.s.site[0].g;
	g.held = 6;
	mk_says(&m, 0, &g);
	assert_int_equal(m.s.ended[0], P_SUPERSEDED);
	assert_false(m.s.site[0].quelled);
	assert_int_equal(ask(1000, 1), 0);
	m.now += 10;
	m.s.put_next_ms = 0;
	if (mk_act(&m, A_RECORD_PUT, -1) == NULL)
		mk_step(&m, NULL);
	assert_int_equal(m.s.put.seq != 0, 1);
	assert_int_equal(m.o.put.n == 1 || m.s.put.seq != 0, 1);
	fsm_view(&m.c, &m.s, &v);
	assert_int_equal(v.active, 0);
	assert_int_equal(v.site[0].held, 6);
}

/* Two core sites: the silent one keeps its vote, whoever reads besides. */
static void
test_silent_pair(void **state)
{
	struct fsm_epoch *e = &m.s.rec.unended[0];

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	m.c.site[2].role = ROLE_READER;
	e->terms.n = 2;
	e->terms.r = lease_quorum(2);
	mk_silent(&m, 1);
	mk_step(&m, NULL);
	assert_int_equal(successor(), 0);
	/* but not one that has promised */
	m.s.site[1].g.promised = 5;
	mk_step(&m, NULL);
	assert_int_equal(successor(), 1);
}

/*
 * The newest epoch was never taken, and nobody can renew it any more: the one
 * before it is in force, and is followed all the same. Not one that has ended.
 */
static void
test_successor_lapsed(void **state)
{
	struct fsm_record *r = &m.s.rec;

	(void)state;
	for (unsigned k = 0; k < 4; k++) {
		mk_group(&m);
		mk_guarded(&m);
		r->unended[1] = r->unended[0];
		r->epoch = r->unended[1].epoch = r->unended[1].terms.epoch = 6;
		r->n = 2;
		m.s.ended[1] = P_LEASE;
		m.s.auth[1].revoked = true;
		if (k == 1)
			m.s.ended[0] = P_LEASE;
		else if (k == 2)
			m.s.ended[1] = P_GUARD;
		else if (k == 3)
			m.s.site[0].g.held = 6;
		mk_step(&m, NULL);
		if (k > 0) {
			assert_int_not_equal(m.o.put.epoch, 7);
			continue;
		}
		assert_int_equal(m.s.verdict, V_HEALTHY);
		assert_non_null(mk_act(&m, A_RECORD_PUT, -1));
		assert_int_equal(m.o.put.epoch, 7);
		assert_int_equal(m.o.put.n, 3);
		assert_int_equal(m.o.put.unended[2].terms.prev, 5);
	}
}

static void
test_successor_causes(void **state)
{
	(void)state;
	/* nothing has changed */
	mk_group(&m);
	mk_guarded(&m);
	mk_step(&m, NULL);
	assert_null(mk_act(&m, A_RECORD_PUT, -1));
	/* L was changed in the spec */
	m.c.lease_ms = 3000;
	mk_step(&m, NULL);
	assert_int_equal(successor(), 3);
	/* a voter has promised */
	mk_group(&m);
	mk_guarded(&m);
	m.s.site[1].g.promised = 5;
	mk_step(&m, NULL);
	assert_int_equal(successor(), 3);
	/* its own revocation had begun, then it was seen again */
	mk_group(&m);
	mk_guarded(&m);
	m.s.auth[0].revoked = true;
	mk_step(&m, NULL);
	assert_int_equal(successor(), 3);
	/* a voter that has just come is waited for */
	mk_group(&m);
	mk_guarded(&m);
	m.s.site[1].g.memory = 555;
	m.s.rec.unended[0].terms.n = 2;
	m.s.rec.unended[0].terms.r = 1;
	m.s.rec.unended[0].terms.voter[1] = 102;
	m.s.rec.unended[0].voter_site[1] = 2;
	m.s.site[1].voter_ms = NOW - FSM_SUCC_MS + 1;
	mk_step(&m, NULL);
	assert_null(mk_act(&m, A_RECORD_PUT, -1));
	m.s.site[1].voter_ms--;
	mk_step(&m, NULL);
	assert_int_equal(successor(), 3);
	/* but not while its guard is silent, or holds nothing */
	mk_group(&m);
	mk_guarded(&m);
	m.c.lease_ms = 3000;
	m.s.site[0].g.held = 0;
	mk_step(&m, NULL);
	assert_null(mk_act(&m, A_RECORD_PUT, -1));
}

/* Granted again: record, offer, the guard's word, and only then the grant. */
static void
test_grant_order(void **state)
{
	const struct fsm_act *a;
	struct fsm_guard g;

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	mk_state(&m, 0, SS_READ_ONLY);
	m.s.site[0].g.held = 0;
	m.s.site[0].g.revoked = 5;
	m.s.site[0].g.read_only = true;
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_REGRANT);
	assert_non_null(mk_act(&m, A_RECORD_PUT, -1));
	assert_null(mk_act(&m, A_OFFER, -1));
	record_written();
	a = mk_act(&m, A_OFFER, -1);
	assert_non_null(a);
	assert_int_equal(a->epoch, 6);
	assert_int_equal(m.s.step, ST_LEASE);
	assert_null(mk_act(&m, A_SQL, SQL_GRANT));
	mk_pass(&m, 800);
	assert_null(mk_act(&m, A_SQL, SQL_GRANT));
	g = m.s.site[0].g;
	g.held = 6;
	mk_says(&m, 0, &g);
	a = mk_act(&m, A_SQL, SQL_GRANT);
	assert_non_null(a);
	assert_int_equal(a->epoch, 6);
}

/* A guard that gets no lease is reported, and tried with another epoch. */
static void
test_no_lease(void **state)
{
	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	mk_state(&m, 0, SS_READ_ONLY);
	m.s.site[0].g.held = 0;
	m.s.my_epoch = 5;
	mk_step(&m, NULL);
	assert_int_equal(m.s.step, ST_LEASE);
	mk_pass(&m, FSM_LEASE_WAIT_MS + 800);
	assert_int_equal(m.s.verdict, V_NO_LEASE);
	assert_int_equal(m.s.step, ST_LEASE);
	/* two of three voters are gone: that one can't be got any more */
	mk_silent(&m, 1);
	mk_silent(&m, 2);
	mk_step(&m, NULL);
	assert_int_equal(m.s.step, ST_MINT);
	assert_int_equal(m.o.put.unended[m.o.put.n - 1].terms.n, 1);
}

static const struct fsm_cond *
cond_of(const struct fsm_view *v, const char *type)
{
	unsigned k;

	for (k = 0; k < v->nconds; k++)
		if (strcmp(v->cond[k].type, type) == 0)
			return &v->cond[k];
	return NULL;
}

static void
test_condition(void **state)
{
	const struct fsm_cond *k;
	struct fsm_view v;

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	fsm_view(&m.c, &m.s, &v);
	k = cond_of(&v, "WriteLease");
	assert_non_null(k);
	assert_true(k->status);
	assert_string_equal(k->message,
	    "site a, epoch 5: 2 of operator, b, c renew it for 20.0 s");
	m.s.rec.unended[0].terms.n = m.s.rec.unended[0].terms.r = 1;
	fsm_view(&m.c, &m.s, &v);
	k = cond_of(&v, "WriteLease");
	assert_false(k->status);
	assert_string_equal(k->reason, "OperatorOnlyVoter");
	mk_group(&m);
	fsm_view(&m.c, &m.s, &v);
	assert_string_equal(cond_of(&v, "WriteLease")->reason, "NoGuard");
}

/* b answers us, but the active guard does not reach it: it is left out. */
static void
test_mute(void **state)
{
	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	m.s.offered_ms = NOW - 60000;
	m.s.auth[0].yes_ms = NOW - 4000;
	m.s.site[2].g.yes_epoch = 5;
	m.s.site[2].g.yes_age_ms = 4000;
	m.s.site[1].g.yes_epoch = 5;
	m.s.site[1].g.yes_age_ms = 10400;
	mk_step(&m, NULL);
	assert_null(mk_act(&m, A_RECORD_PUT, -1));
	m.s.site[1].g.yes_age_ms = 10401;
	mk_step(&m, NULL);
	assert_int_equal(successor(), 2);
	assert_int_equal(m.o.put.unended[1].terms.voter[1], 102);
	/* reading the record anew is no new offer */
	assert_int_equal(m.s.offered, 5);
	mk_ack(&m, m.s.put.seq, false);
	m.s.put_maybe = false;
	mk_read(&m, &m.s.rec);
	assert_int_equal(m.s.offered, 5);
	/* a guard that does not ask at all says nothing of its voters */
	mk_group(&m);
	mk_guarded(&m);
	m.s.offered_ms = NOW - 60000;
	m.s.auth[0].yes_ms = NOW - 10501;
	mk_step(&m, NULL);
	assert_null(mk_act(&m, A_RECORD_PUT, -1));
}

/* Fenced, and its sidecar does not come back: b lacks nothing. */
static void
test_replaced(void **state)
{
	struct fsm_decision d;

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	mk_state(&m, 0, SS_READ_ONLY);
	mk_silent(&m, 0);
	m.s.site[0].guard_ms = NOW - 10000;
	fsm_decide(&m.c, &m.s, &d);
	assert_int_equal(d.verdict, V_NO_LEASE);
	m.s.site[0].guard_ms = NOW - 11000;
	fsm_decide(&m.c, &m.s, &d);
	assert_int_equal(d.verdict, V_PROMOTE);
	assert_int_equal(d.site, 1);
	mk_sets(&m, 0, 1); /* it has what the others lack */
	fsm_decide(&m.c, &m.s, &d);
	assert_int_equal(d.verdict, V_NO_LEASE);
}

/* Another leader ended the epoch of a silent writer: it is no writer now. */
static void
test_ended_elsewhere(void **state)
{
	struct fsm_record r;

	(void)state;
	mk_group(&m);
	mk_state(&m, 2, SS_WRITABLE);
	m.s.site[2].fails = 3;
	m.s.site[2].suspect = true;
	m.s.site[2].state = SS_UNREACHABLE;
	m.s.rec.n = 2;
	m.s.rec.unended[1] = m.s.rec.unended[0];
	m.s.rec.unended[1].epoch = 4;
	m.s.rec.unended[1].site = 2;
	memcpy(m.s.rec.unended[1].proc.pod_uid, m.s.site[2].p.pod_uid,
	    UID_LEN + 1);
	memcpy(m.s.rec.unended[1].proc.server_uuid, m.s.site[2].p.server_uuid,
	    UID_LEN + 1);
	assert_true(fsm_may_write(&m.s, 2));
	r = m.s.rec;
	r.version++;
	r.n = 1;
	mk_read(&m, &r);
	assert_false(fsm_may_write(&m.s, 2));
	assert_int_equal(m.s.verdict, V_HEALTHY);
	/* the active one goes on, though its former epoch is superseded */
	mk_group(&m);
	m.s.rec.n = 2;
	m.s.rec.unended[1] = m.s.rec.unended[0];
	m.s.rec.unended[1].epoch = m.s.rec.epoch = 6;
	m.s.site[0].suspect = true;
	r = m.s.rec;
	r.version++;
	r.n = 1;
	r.unended[0] = r.unended[1];
	mk_read(&m, &r);
	assert_false(m.s.site[0].quelled);
}

/* The node of a site long lost is back: its server may have more. */
static void
test_may_return(void **state)
{
	struct fsm_decision d;

	(void)state;
	mk_group(&m);
	mk_state(&m, 0, SS_UNREACHABLE);
	m.s.site[0].fail_since_ms = NOW - 60000;
	mk_word(&m, 0);
	fsm_decide(&m.c, &m.s, &d);
	assert_int_equal(d.verdict, V_WAIT_THRESHOLD);
	m.s.now_ms += 6000;
	fsm_decide(&m.c, &m.s, &d);
	assert_int_equal(d.verdict, V_PROMOTE);
	/* its Pod is being deleted: it is gone for good */
	mk_group(&m);
	mk_state(&m, 0, SS_UNREACHABLE);
	m.s.site[0].fail_since_ms = NOW - 60000;
	m.s.site[0].pod[0].deleting = true;
	mk_word(&m, 0);
	fsm_decide(&m.c, &m.s, &d);
	assert_int_equal(d.verdict, V_PROMOTE);
}

/* Its guard says so: only when it was silent, too, it is back. */
static void
test_guard_returns(void **state)
{
	struct fsm_guard g;
	int since;

	(void)state;
	for (since = 5000; since <= 70000; since += 65000) {
		mk_group(&m);
		mk_guarded(&m);
		mk_state(&m, 0, SS_UNREACHABLE);
		m.s.site[0].fail_since_ms = NOW - 60000;
		m.s.site[0].voter_ms = NOW - since;
		m.s.site[1].p.io = m.s.site[2].p.io = IO_CONNECTING;
		g = m.s.site[0].g;
		g.held = 0;
		g.revoked = 5;
		g.read_only = true;
		g.read_age_ms = 0;
		mk_says(&m, 0, &g);
		assert_int_equal(m.s.ended[0], P_GUARD_FENCED);
		assert_int_equal(mk_verdict(&m),
		    since < 60000 ? V_WAIT_THRESHOLD : V_PROMOTE);
		m.s.site[0].word_ms -= 6000;
		assert_int_equal(mk_verdict(&m), V_PROMOTE);
	}
}

/*
 * Nothing was ever written in the group. That b follows the lost one is what
 * lets it take over, and is not forgotten when its channel is taken away.
 */
static void
test_nothing_written(void **state)
{
	const struct fsm_act *a;

	(void)state;
	mk_group(&m);
	mk_state(&m, 0, SS_UNREACHABLE);
	mk_word(&m, 0);
	m.s.rel.empty = 7;
	m.s.rel.grant_empty = true;
	m.s.site[1].receiver_off_ms = NOW - 1000;
	m.s.site[1].p.io = IO_NO;
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_PROMOTE);
	a = mk_act(&m, A_SQL, SQL_RESET_REPLICA);
	assert_non_null(a);
	mk_answer(&m, 1, a, SE_DONE, true);
	assert_false(m.s.site[1].p.has_repl);
	assert_int_equal(m.s.verdict, V_PROMOTE);
	assert_int_equal(m.s.step, ST_MINT);
	/* one that follows nobody may have lost its volume: it is not touched */
	m.s.site[1].reset_epoch = 0;
	m.now += FSM_RETRY_MS;
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_DATA_MISSING);
	assert_null(mk_act(&m, A_SQL, -1));
}

/* A refused release of a removed site's Pod is not repeated at once. */
static void
test_foreign_refused(void **state)
{
	struct fsm_pod p;
	struct fsm_event ev = { .type = E_POD, .site = FSM_FOREIGN };
	const struct fsm_act *a;

	(void)state;
	mk_group(&m);
	p = m.s.site[1].pod[0];
	snprintf(p.pod_uid, sizeof(p.pod_uid), "pod-f");
	p.deleting = true;
	ev.u.pod = &p;
	mk_step(&m, &ev);
	a = mk_act(&m, A_POD_RELEASE, -1);
	assert_non_null(a);
	mk_ack(&m, a->seq, false);
	mk_step(&m, &ev);
	assert_null(mk_act(&m, A_POD_RELEASE, -1));
	m.now += FSM_POD_RETRY_MS;
	mk_step(&m, &ev);
	assert_non_null(mk_act(&m, A_POD_RELEASE, -1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_successor),
		cmocka_unit_test(test_successor_causes),
		cmocka_unit_test(test_successor_lapsed),
		cmocka_unit_test(test_silent_pair),
		cmocka_unit_test(test_grant_order),
		cmocka_unit_test(test_no_lease),
		cmocka_unit_test(test_condition),
		cmocka_unit_test(test_mute),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_ended_elsewhere),
		cmocka_unit_test(test_may_return),
		cmocka_unit_test(test_guard_returns),
		cmocka_unit_test(test_nothing_written),
		cmocka_unit_test(test_foreign_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
