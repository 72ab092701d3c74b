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
 * A record that was put back, while epochs that it does not know are in force
 * or may be; and leases that outlive their epoch.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "mk.h"

/* After the last yes of a lost epoch: L + F + margin. */
#define OVER_MS 21400

static struct mk m;

static int
verdict(void)
{
	struct fsm_decision d;

	fsm_decide(&m.c, &m.s, &d);
	return d.verdict;
}

/* a's guard says, or said last, that it holds epoch 6. */
static void
holds_6(uint8_t i)
{
	struct fsm_guard g = m.s.site[i].g;

	g.held = g.heard = 6;
	mk_says(&m, i, &g);
}

static void
lose(uint8_t i)
{
	mk_state(&m, i, SS_UNREACHABLE);
	mk_silent(&m, i);
	m.s.site[1].p.io = m.s.site[2].p.io = IO_CONNECTING;
}

/* a is silent, and nobody heard its guard; the voters know of epoch 6. */
static void
silent(void)
{
	struct fsm_site *t = &m.s.site[0];
	uint8_t i;

	mk_group(&m);
	mk_guarded(&m);
	lose(0);
	memset(&t->g, 0, sizeof(t->g));
	t->g_ms = t->guard_ms = 0;
	for (i = 1; i < 3; i++) {
		m.s.site[i].g.heard = m.s.site[i].g.yes_epoch = 6;
		m.s.site[i].g.yes_age_ms = 100;
	}
	mk_step(&m, NULL);
}

static void
record_written(void)
{
	struct fsm_record put = m.o.put;

	mk_ack(&m, m.s.put.seq, true);
	mk_written(&m, &put);
}

/* In good health a successor covers both; its own fence is not needed. */
static void
test_repaired(void **state)
{
	struct fsm_guard g;

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	holds_6(0);
	assert_int_equal(m.s.ended[0], P_NONE);
	assert_non_null(mk_act(&m, A_LOG, T_LOST));
	assert_null(mk_act(&m, A_REVOKE, -1));
	assert_non_null(mk_act(&m, A_RECORD_PUT, -1));
	assert_int_equal(m.o.put.n, 2);
	assert_int_equal(m.o.put.epoch, 7);
	assert_int_equal(m.o.put.unended[1].terms.prev, 6);
	record_written();
	assert_non_null(mk_act(&m, A_OFFER, -1));
	assert_int_equal(m.s.verdict, V_HEALTHY);
	assert_int_equal(m.s.lost, 7); /* it may hold 6 yet */
	g = m.s.site[0].g;
	g.held = 7;
	mk_says(&m, 0, &g);
	assert_int_equal(m.s.ended[0], P_SUPERSEDED);
	mk_step(&m, NULL);
	assert_int_equal(m.s.lost, 0);
	assert_int_equal(m.s.verdict, V_HEALTHY);
}

/* Lost before that record could be written; its guard can be told. */
static void
test_guard_told(void **state)
{
	const struct fsm_act *a;
	struct fsm_guard g;

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	m.s.put_next_ms = NOW + 60000;
	lose(0);
	m.s.site[0].link_up = true;
	holds_6(0);
	assert_int_equal(m.s.verdict, V_NO_PROOF);
	assert_int_equal(m.s.ended[0], P_NONE);
	a = mk_act(&m, A_REVOKE, -1);
	assert_non_null(a);
	assert_int_equal(a->epoch, 6);
	g = m.s.site[0].g;
	g.held = 0;
	g.revoked = 5; /* that alone says nothing of 6 */
	g.read_only = true;
	m.now += 300;
	mk_says(&m, 0, &g);
	assert_int_equal(m.s.ended[0], P_GUARD_FENCED);
	assert_int_equal(m.s.verdict, V_NO_PROOF);
	g.revoked = 6;
	mk_says(&m, 0, &g);
	assert_int_equal(m.s.verdict, V_PROMOTE);
}

/* Nobody hears it: promises of 6, and then its lease. */
static void
test_promised(void **state)
{
	const struct fsm_act *a;
	int64_t over;

	(void)state;
	silent();
	assert_int_equal(m.s.verdict, V_NO_PROOF);
	a = mk_act(&m, A_PROMISE_ASK, -1);
	assert_non_null(a);
	assert_int_equal(a->epoch, 6);
	mk_promise(&m, 1, 101, 5, 9000);
	mk_promise(&m, 2, 102, 5, 9000);
	assert_int_equal(m.s.auth[0].promised, 1);
	mk_pass(&m, OVER_MS);
	assert_int_equal(m.s.verdict, V_NO_PROOF);
	mk_promise(&m, 1, 101, 6, 100);
	mk_promise(&m, 2, 102, 6, 300);
	over = m.now - 100 + OVER_MS;
	mk_pass(&m, over - m.now - 400);
	assert_int_equal(m.s.verdict, V_NO_PROOF);
	mk_pass(&m, 400);
	assert_int_equal(m.s.ended[0], P_LEASE);
	assert_int_equal(m.s.verdict, V_PROMOTE);
	/* the next epoch is above, so that the promises block nobody */
	mk_ack(&m, m.s.put.seq, false);
	m.s.site[1].p.has_repl = false;
	m.now += FSM_RETRY_MS;
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_RECORD_PUT, -1));
	assert_int_equal(m.o.put.epoch, 7);
}

/* The lost epoch's lease was longer than any that the record and spec know. */
static void
test_longer(void **state)
{
	(void)state;
	silent();
	mk_promise(&m, 1, 101, 6, 100);
	m.voter_lease_ms = 60000;
	mk_promise(&m, 2, 102, 6, 300);
	mk_pass(&m, OVER_MS);
	assert_int_equal(m.s.verdict, V_NO_PROOF);
	mk_pass(&m, 60000 + 1000 + 1200 - 100 - OVER_MS - 400);
	assert_int_equal(m.s.verdict, V_NO_PROOF);
	mk_pass(&m, 400);
	assert_int_equal(m.s.verdict, V_PROMOTE);
}

/* It was learned late: what was promised before is not enough. */
static void
test_learned_late(void **state)
{
	struct fsm_guard g;

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	lose(0);
	mk_step(&m, NULL);
	mk_promise(&m, 1, 101, 5, 3000);
	mk_promise(&m, 2, 102, 5, 3000);
	assert_int_equal(
	    lease_auth_missing(&m.s.auth[0], &m.s.rec.unended[0].terms), 0);
	mk_pass(&m, OVER_MS);
	assert_int_equal(m.s.verdict, V_PROMOTE);
	g = m.s.site[1].g;
	g.heard = 6;
	mk_says(&m, 1, &g);
	assert_int_equal(m.s.verdict, V_NO_PROOF);
	assert_int_equal(mk_acts(&m, A_PROMISE_ASK, -1), 2);
}

/* c is silent too: with the operator it may be all the voters of 6. */
static void
test_voter_silent(void **state)
{
	struct fsm_view v;
	struct fsm_decision d;
	unsigned k;

	(void)state;
	silent();
	mk_silent(&m, 2);
	mk_promise(&m, 1, 101, 6, 100);
	mk_pass(&m, OVER_MS);
	assert_int_equal(m.s.ended[0], P_LEASE); /* that of 5 */
	fsm_decide(&m.c, &m.s, &d);
	assert_int_equal(d.verdict, V_NO_PROOF);
	assert_int_equal(d.site, 0);
	assert_int_equal(d.epoch, 6);
	fsm_view(&m.c, &m.s, &v);
	for (k = 0; k < v.nconds; k++)
		if (strcmp(v.cond[k].type, "PromotionBlocked") == 0)
			break;
	assert_string_equal(v.cond[k].reason, "NoProof");
	assert_non_null(strstr(v.cond[k].message, "no promise yet from c"));
	assert_non_null(strstr(v.cond[k].message, "assert-dead=a/pod-a/6"));
	m.s.site[2].link_up = true;
	mk_step(&m, NULL);
	assert_int_equal(mk_acts(&m, A_PROMISE_ASK, -1), 1);
	mk_promise(&m, 2, 102, 6, 60000);
	assert_int_equal(m.s.verdict, V_PROMOTE);
}

/* Two core sites: the ordinary rule, the other one's promise suffices. */
static void
test_two_sites(void **state)
{
	(void)state;
	silent();
	m.c.nsites = 2;
	m.s.rec.unended[0].terms.n = 2;
	m.s.rec.unended[0].terms.r = 1;
	mk_promise(&m, 1, 101, 6, 100);
	mk_pass(&m, OVER_MS);
	assert_int_equal(m.s.verdict, V_PROMOTE);
}

static void
assert_dead(uint64_t epoch)
{
	struct fsm_event ev = { .type = E_ASSERT_DEAD };

	ev.u.assert_dead.site = 0;
	ev.u.assert_dead.epoch = epoch;
	snprintf(ev.u.assert_dead.pod_uid, UID_LEN + 1, "pod-a");
	mk_step(&m, &ev);
}

/* Its node dies with the guard's last word: no block for ever. */
static void
test_dead(void **state)
{
	unsigned k;

	(void)state;
	for (k = 0; k < 4; k++) {
		mk_group(&m);
		mk_guarded(&m);
		m.s.put_next_ms = NOW + 600000;
		holds_6(0);
		lose(0);
		m.s.site[0].seen_ms = m.s.site[0].guard_ms =
		    NOW - FSM_ASSERT_QUIET_MS - 1;
		m.s.site[0].fail_since_ms = NOW - FSM_ASSERT_QUIET_MS;
		mk_silent(&m, 2);
		mk_step(&m, NULL);
		assert_int_equal(m.s.verdict, V_NO_PROOF);
		if (k == 0) {
			m.s.site[0].fail_since_ms = NOW - 6000;
			mk_word(&m, 0);
			mk_step(&m, NULL);
		} else if (k == 1) {
			assert_dead(5);
		} else if (k == 2) {
			/* the record does not even know that process */
			m.s.rec.unended[0].terms.guard = 999;
			m.s.ended[0] = P_ASSERTED;
			mk_step(&m, NULL);
			assert_int_equal(m.s.verdict, V_NO_PROOF);
			assert_dead(6);
			assert_non_null(mk_act(&m, A_EVENT, T_ASSERT_OK));
		} else {
			m.s.rec.unended[0].terms.guard = 999;
			m.s.rec.unended[0].proc.container_id[0] = '\0';
			m.s.ended[0] = P_ASSERTED;
			mk_word(&m, 0);
			mk_step(&m, NULL);
		}
		mk_step(&m, NULL);
		assert_int_equal(m.s.verdict, V_PROMOTE);
	}
	/* a voter has renewed it within the minute: refused */
	mk_group(&m);
	mk_guarded(&m);
	m.s.put_next_ms = NOW + 600000;
	holds_6(0);
	lose(0);
	m.s.site[0].seen_ms = m.s.site[0].guard_ms =
	    NOW - FSM_ASSERT_QUIET_MS - 1;
	m.s.site[0].fail_since_ms = NOW - FSM_ASSERT_QUIET_MS;
	m.s.site[1].g.yes_epoch = 6;
	m.s.site[1].g.yes_age_ms = 50000;
	assert_dead(6);
	assert_non_null(mk_act(&m, A_EVENT, T_ASSERT_REFUSED));
}

/* 6 is of b, which nobody sees: a, read-only, waits until it is over. */
static void
test_regrant(void **state)
{
	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	mk_state(&m, 0, SS_READ_ONLY);
	m.s.site[0].g.read_only = true;
	m.s.site[0].g.held = 0;
	m.s.site[0].g.heard = m.s.site[0].g.yes_epoch = 6;
	m.s.site[0].g.yes_age_ms = 100;
	mk_state(&m, 1, SS_UNREACHABLE);
	m.s.site[1].ever = false;
	mk_silent(&m, 1);
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_NO_PROOF);
	assert_int_equal(m.s.subject, 1);
	assert_int_equal(mk_acts(&m, A_PROMISE_ASK, -1), 2);
	assert_null(mk_act(&m, A_RECORD_PUT, -1));
	mk_promise(&m, 0, 100, 6, 100);
	mk_promise(&m, 2, 102, 6, 100);
	mk_pass(&m, OVER_MS - 400);
	assert_int_equal(m.s.verdict, V_NO_PROOF);
	mk_pass(&m, 400);
	assert_int_equal(m.s.verdict, V_REGRANT);
	/* had it held 6 itself, nobody else could */
	mk_group(&m);
	mk_guarded(&m);
	mk_state(&m, 0, SS_READ_ONLY);
	m.s.site[0].g.read_only = true;
	mk_state(&m, 1, SS_UNREACHABLE);
	mk_silent(&m, 1);
	holds_6(0);
	assert_int_equal(m.s.verdict, V_REGRANT);
}

/* Lost while its guard has not taken the successor of a lost epoch yet. */
static void
test_successor_of_lost(void **state)
{
	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	holds_6(0);
	record_written();
	assert_int_equal(m.s.rec.epoch, 7);
	lose(0);
	mk_silent(&m, 2);
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_NO_PROOF);
	mk_promise(&m, 1, 101, 7, 100);
	mk_pass(&m, OVER_MS);
	assert_int_equal(m.s.ended[1], P_LEASE);
	assert_int_equal(m.s.verdict, V_NO_PROOF);
	mk_promise(&m, 2, 102, 7, 60000);
	assert_int_equal(m.s.verdict, V_PROMOTE);
}

/* Proven by a fence and dropped; its voters go on saying yes. */
static void
test_dropped(void **state)
{
	const struct fsm_act *a;

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	mk_step(&m, NULL);
	assert_null(mk_act(&m, A_REVOKE, -1));
	m.s.site[2].g.held = 3;
	mk_step(&m, NULL);
	a = mk_act(&m, A_REVOKE, -1);
	assert_non_null(a);
	assert_int_equal(a->site, 2);
	assert_int_equal(a->epoch, 3);
	assert_int_equal(m.s.verdict, V_HEALTHY);
	/* the active process gets a successor, and no fence */
	m.s.site[2].g.held = 0;
	m.s.site[0].g.held = 4;
	m.now += FSM_LINK_RETRY_MS;
	mk_step(&m, NULL);
	assert_null(mk_act(&m, A_REVOKE, -1));
}

/* The number that it holds is another one's by now. */
static void
test_number_twice(void **state)
{
	const struct fsm_act *a;

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	m.s.site[1].g.held = m.s.rec.epoch;
	assert_int_not_equal(m.s.site[1].g.guard, m.s.site[0].g.guard);
	mk_step(&m, NULL);
	a = mk_act(&m, A_REVOKE, -1);
	assert_non_null(a);
	assert_int_equal(a->site, 1);
	assert_int_equal(a->epoch, m.s.rec.epoch);
	assert_int_equal(mk_acts(&m, A_REVOKE, -1), 1);
	assert_int_equal(m.s.verdict, V_HEALTHY);
}

/* What people read of it: condition type, and what is in its message. */
static void
says(const char *type, const char *what)
{
	static struct fsm_view v;
	unsigned k;

	fsm_view(&m.c, &m.s, &v);
	for (k = 0; k < v.nconds && strcmp(v.cond[k].type, type) != 0;)
		k++;
	assert_true(k < v.nconds);
	if (strstr(v.cond[k].message, what) == NULL)
		fail_msg("%s: %s", type, v.cond[k].message);
}

/* And in the Event and the log record that say it when it lasts. */
static void
tells(enum fsm_text text, const char *what)
{
	char buf[MSGTEXT_LEN + 1];
	unsigned k, n = 0;

	m.s.blocked = verdict();
	m.s.blocked_ms = m.now - FSM_BLOCKED_SAY_MS;
	m.s.blocked_said = false;
	mk_step(&m, NULL);
	for (k = 0; k < m.o.n; k++) {
		if ((m.o.act[k].type != A_EVENT && m.o.act[k].type != A_LOG) ||
		    m.o.act[k].text != text)
			continue;
		n++;
		fsm_message(&m.c, &m.o.act[k], buf, sizeof(buf));
		if (strstr(buf, what) == NULL)
			fail_msg("%s", buf);
	}
	assert_int_equal(n, 2);
}

static void
a_stranger(void)
{
	m.c.strangers = true;
	(void)snprintf(m.c.stranger, sizeof(m.c.stranger),
	    "Pod mysql-orders-fra-x (site fra)");
}

/* No record: nothing is adopted while a guard may hold a lease. */
static void
test_no_record(void **state)
{
	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	memset(&m.s.rec, 0, sizeof(m.s.rec));
	m.s.rec.active = FSM_NONE;
	mk_state(&m, 0, SS_READ_ONLY);
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_WAIT_SITES);
	assert_int_equal(m.s.subject, 0);
	/* it is read-only: its lease is of no use any more */
	assert_non_null(mk_act(&m, A_REVOKE, -1));
	m.s.site[0].g.held = 0;
	mk_silent(&m, 2);
	assert_int_equal(verdict(), V_WAIT_SITES);
	says("Ready", "server, guard and sidecar of c are waited for");
	m.s.site[2].link_up = true;
	assert_int_equal(verdict(), V_ADOPT_GRANT);
	/* nor while a Pod of a site that is no more may */
	a_stranger();
	assert_int_equal(verdict(), V_STRANGERS);
	says("PromotionBlocked", "Pod mysql-orders-fra-x (site fra) of a site");
	says("PromotionBlocked", "delete the Pod");
	tells(T_BLOCKED, "Pod mysql-orders-fra-x (site fra) of a site");
	m.c.strangers = false;
	assert_int_equal(verdict(), V_ADOPT_GRANT);
	/* the Lease may be gone as well, and somebody still thinks it leads */
	m.s.lease_len_ms = 10000;
	m.s.lease_since_ms = NOW - 12999;
	assert_int_equal(verdict(), V_WAIT_SITES);
	m.s.lease_since_ms--;
	assert_int_equal(verdict(), V_ADOPT_GRANT);
}

/* No record, nobody writes, and the spec has c as a reader. */
static void
no_record_reader(void)
{
	mk_group(&m);
	mk_guarded(&m);
	memset(&m.s.rec, 0, sizeof(m.s.rec));
	m.s.rec.active = FSM_NONE;
	mk_state(&m, 0, SS_READ_ONLY);
	m.s.site[0].g.held = 0;
	m.c.site[2].role = ROLE_READER;
}

/* It may have been the primary when the lost record was written. */
static void
test_no_record_reader(void **state)
{
	struct fsm_site *t = &m.s.site[2];
	struct fsm_guard says;

	(void)state;
	no_record_reader();
	says = t->g;
	assert_int_equal(verdict(), V_ADOPT_GRANT);
	/* nobody hears it, and its server runs */
	mk_silent(&m, 2);
	mk_state(&m, 2, SS_UNREACHABLE);
	t->ever = false;
	memset(&t->g, 0, sizeof(t->g));
	t->g_ms = t->guard_ms = 0;
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_WAIT_SITES);
	assert_int_equal(m.s.subject, 2);
	/* its Pod is not started yet, has ended, is gone */
	t->pod[0].ctr_state = CTR_WAITING;
	assert_int_equal(verdict(), V_ADOPT_GRANT);
	t->pod[0].ctr_state = CTR_TERMINATED;
	assert_int_equal(verdict(), V_ADOPT_GRANT);
	t->pod[0].ctr_state = CTR_RUNNING;
	t->pod[0].gone = true;
	assert_int_equal(verdict(), V_ADOPT_GRANT);
	t->pod[0].gone = false;
	/* its sidecar speaks, for itself */
	t->link_up = true;
	says.guard = 0;
	mk_says(&m, 2, &says);
	assert_int_equal(m.s.verdict, V_WAIT_SITES);
	says.guard = 1002;
	mk_says(&m, 2, &says);
	assert_int_equal(m.s.verdict, V_ADOPT_GRANT);
	/* what was heard once is enough, in that Pod, */
	mk_silent(&m, 2);
	assert_int_equal(verdict(), V_ADOPT_GRANT);
	snprintf(t->pod[1].pod_uid, UID_LEN + 1, "pod-c2");
	t->pod[1].ctr_state = CTR_RUNNING;
	assert_int_equal(verdict(), V_WAIT_SITES);
	t->pod[1].pod_uid[0] = '\0';
	/* unless an unknown leader may have sent an offer after it */
	m.s.lease_since_ms = t->guard_ms - 10000;
	m.s.lease_len_ms = 10000;
	m.now += 5000;
	m.s.site[0].guard_ms = m.s.site[0].g_ms = m.now - 100;
	m.s.site[1].guard_ms = m.s.site[1].g_ms = m.now - 100;
	m.s.lease_deadline_ms = m.now + 10000;
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_WAIT_SITES);
	assert_int_equal(m.s.subject, 2);
	m.s.lease_since_ms--;
	assert_int_equal(verdict(), V_ADOPT_GRANT);
}

/* A new group: whom it waits for is making its server. */
static void
test_no_record_making(void **state)
{
	struct fsm_site *t = &m.s.site[2];

	(void)state;
	no_record_reader();
	m.c.site[2].role = m.c.site[1].role;
	assert_int_equal(verdict(), V_ADOPT_GRANT);
	mk_state(&m, 2, SS_UNREACHABLE);
	t->ever = false;
	t->g.incarnation = 1;
	t->g.initialising = true;
	mk_says(&m, 2, &t->g);
	assert_int_equal(m.s.verdict, V_WAIT_SITES);
	says("Ready", "; first initialisation goes on at c");
	/* what its guard said last is no news */
	t->link_up = false;
	assert_int_equal(verdict(), V_WAIT_SITES);
	says("Ready", "; server, guard and sidecar of c are waited for");
}

/* Voters say that they renew; whose lease it is, nobody says. */
static void
test_no_record_renewed(void **state)
{
	struct fsm_site *t = &m.s.site[1];

	(void)state;
	no_record_reader();
	mk_silent(&m, 2);
	m.s.site[2].pod[0].gone = true;
	assert_int_equal(verdict(), V_ADOPT_GRANT);
	/* 20 s, a tenth of it at most 1 s, and 2 % */
	t->g.yes_epoch = 6;
	t->g.yes_age_ms = 21399;
	assert_int_equal(verdict(), V_WAIT_SITES);
	t->g.yes_age_ms++;
	assert_int_equal(verdict(), V_ADOPT_GRANT);
	/* a voter that was heard before it may have gone on since */
	m.s.site[0].g_ms--;
	assert_int_equal(verdict(), V_WAIT_SITES);
	t->g.yes_age_ms++;
	assert_int_equal(verdict(), V_ADOPT_GRANT);
	/* the spec may have another length by now */
	m.c.lease_ms = 40000;
	assert_int_equal(verdict(), V_WAIT_SITES);
	m.c.lease_ms = 20000;
	/* that of a voter that is silent now counts from when it spoke */
	m.s.site[2].g.yes_epoch = 6;
	m.s.site[2].g.yes_age_ms = 0;
	m.s.site[2].g_ms = m.s.site[0].g_ms - 21399;
	assert_int_equal(verdict(), V_WAIT_SITES);
	m.s.site[2].g_ms--;
	assert_int_equal(verdict(), V_ADOPT_GRANT);
}

/* A grant rests on a report, and is dead soon after it. */
static void
test_grant_dies(void **state)
{
	const struct fsm_act *a;
	int64_t until;

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	mk_state(&m, 0, SS_READ_ONLY);
	m.s.site[0].g.read_only = true;
	m.s.my_epoch = 5;
	until = m.s.site[0].guard_ms + FSM_GRANT_REPORT_MS;
	m.now = m.s.site[0].guard_ms + 1000;
	mk_step(&m, NULL);
	a = mk_act(&m, A_SQL, SQL_GRANT);
	assert_non_null(a);
	assert_int_equal(a->valid_until_ms, until);
	assert_int_equal(a->grant_ttl_ms, 1000);
	assert_int_equal(fsm_grants_end(&m.s, 0),
	    until + FSM_GRANT_TTL_MS + FSM_GRANT_MARGIN_MS);
	/* too old: the next report is waited for */
	mk_group(&m);
	mk_guarded(&m);
	mk_state(&m, 0, SS_READ_ONLY);
	m.s.site[0].g.read_only = true;
	m.s.my_epoch = 5;
	m.now = until - FSM_LEASE_MIN_MS + 1;
	mk_step(&m, NULL);
	assert_int_equal(m.s.step, ST_GRANT);
	assert_null(mk_act(&m, A_SQL, SQL_GRANT));
	mk_says(&m, 0, &m.s.site[0].g);
	assert_non_null(mk_act(&m, A_SQL, SQL_GRANT));
}

/*
 * The spec was put back with the record. Whoever holds the lost epoch, or
 * renews it, may be at a site that it doesn't have.
 */
static void
test_strangers(void **state)
{
	(void)state;
	silent();
	a_stranger();
	mk_promise(&m, 1, 101, 6, 0);
	mk_promise(&m, 2, 102, 6, 0);
	mk_pass(&m, 60000);
	assert_int_equal(m.s.verdict, V_NO_PROOF);
	says("PromotionBlocked", "Pod mysql-orders-fra-x (site fra) of a site");
	says("PromotionBlocked", "take off its finalizer");
	tells(T_NO_PROOF, "Pod mysql-orders-fra-x (site fra) of a site");
	m.c.strangers = false;
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_PROMOTE);
}

/* Or whoever renews it is a reader now: it is asked like all others. */
static void
test_now_reading_voter(void **state)
{
	(void)state;
	silent();
	m.c.site[2].role = ROLE_READER;
	m.now += FSM_LINK_RETRY_MS;
	mk_step(&m, NULL);
	assert_int_equal(mk_acts(&m, A_PROMISE_ASK, -1), 2);
	mk_promise(&m, 1, 101, 6, 0);
	mk_pass(&m, 60000);
	assert_int_equal(m.s.verdict, V_NO_PROOF);
	mk_promise(&m, 2, 102, 6, 0);
	mk_pass(&m, 30000);
	assert_int_not_equal(m.s.verdict, V_NO_PROOF);
}

/* Or at one that is a reader in it, and is silent: then it is waited for. */
static void
test_now_reader(void **state)
{
	struct fsm_epoch *e = &m.s.rec.unended[0];

	(void)state;
	silent();
	m.c.site[0].role = ROLE_READER;
	m.s.site[0].ever = false;
	m.s.rec.active = e->site = 1;
	snprintf(m.s.rec.server_uuid, UID_LEN + 1, "uuid-b");
	snprintf(e->proc.server_uuid, UID_LEN + 1, "uuid-b");
	snprintf(e->proc.pod_uid, UID_LEN + 1, "pod-b");
	e->terms.guard = 1001;
	e->terms.n = 2;
	e->terms.r = 1;
	e->terms.voter[1] = 102;
	e->voter_site[1] = 2;
	lease_auth_init(&m.s.auth[0]);
	m.now += FSM_LINK_RETRY_MS;
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_NO_PROOF);
	assert_int_equal(m.s.subject, 0);
	assert_int_equal(mk_acts(&m, A_PROMISE_ASK, -1), 2);
	mk_promise(&m, 1, 101, 6, 0);
	mk_promise(&m, 2, 102, 6, 0);
	mk_pass(&m, 10000);
	assert_int_equal(m.s.verdict, V_NO_PROOF);
	mk_pass(&m, 20000);
	assert_int_not_equal(m.s.verdict, V_NO_PROOF);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_now_reader),
		cmocka_unit_test(test_now_reading_voter),
		cmocka_unit_test(test_repaired),
		cmocka_unit_test(test_guard_told),
		cmocka_unit_test(test_promised),
		cmocka_unit_test(test_longer),
		cmocka_unit_test(test_learned_late),
		cmocka_unit_test(test_voter_silent),
		cmocka_unit_test(test_two_sites),
		cmocka_unit_test(test_dead),
		cmocka_unit_test(test_regrant),
		cmocka_unit_test(test_successor_of_lost),
		cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_no_record),
		cmocka_unit_test(test_no_record_reader),
		cmocka_unit_test(test_no_record_making),
		cmocka_unit_test(test_no_record_renewed),
		cmocka_unit_test(test_number_twice),
		cmocka_unit_test(test_grant_dies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
