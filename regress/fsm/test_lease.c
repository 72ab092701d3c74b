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

/* The write lease: who renews, who is asked to stop, and when it is over. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "mk.h"

static struct mk m;

/* a is silent for everybody. */
static void
silent(void)
{
	mk_group(&m);
	mk_guarded(&m);
	mk_state(&m, 0, SS_UNREACHABLE);
	mk_silent(&m, 0);
	m.s.site[1].p.io = m.s.site[2].p.io = IO_CONNECTING;
}

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

static void
link_event(uint8_t i, bool up)
{
	struct fsm_event ev = { .type = E_LINK, .site = i, .u.link_up = up };

	mk_step(&m, &ev);
}

/* Silence becomes a proof: promises, then the lease's length. */
static void
test_silence(void **state)
{
	const struct fsm_act *a;
	int64_t over;

	(void)state;
	silent();
	assert_int_equal(mk_verdict(&m), V_NO_PROOF);
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_LOG, T_REVOKING));
	assert_int_equal(mk_acts(&m, A_PROMISE_ASK, -1), 2);
	assert_null(mk_act(&m, A_REVOKE, -1)); /* nobody would hear it */
	assert_int_equal(fsm_lease_wake(&m.s), LEASE_FOREVER);
	mk_promise(&m, 1, 101, 5, 3000);
	over = NOW - 3000 + 20000 + 1000 + 400;
	assert_int_equal(fsm_lease_wake(&m.s), over);
	/* b has promised: only c is asked again, as long as it is needed */
	mk_pass(&m, 800);
	assert_null(mk_act(&m, A_PROMISE_ASK, -1));
	mk_pass(&m, over - m.now - 400);
	assert_int_equal(mk_verdict(&m), V_NO_PROOF);
	m.now = over;
	m.s.lease_deadline_ms = over + 10000;
	mk_guard(&m, 1);
	mk_guard(&m, 2);
	mk_step(&m, NULL);
	a = mk_act(&m, A_LOG, T_EPOCH_ENDED);
	assert_non_null(a);
	assert_int_equal(a->proof, P_LEASE);
	assert_int_equal(mk_verdict(&m), V_PROMOTE);
	assert_int_equal(m.s.step, ST_STOP_RECEIVER);
}

/* Nobody but a leader that has not revoked says yes, and to no other guard. */
static void
test_ask(void **state)
{
	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	assert_int_equal(ask(1000, 1), 1);
	assert_int_equal(m.s.auth[0].yes_ms, NOW);
	assert_int_equal(ask(1001, 1), 0);
	assert_int_equal(ask(1000, 2), 0);
	m.s.lease_held = false;
	assert_int_equal(ask(1000, 1), 0);
	m.s.lease_held = true;
	m.s.lease_deadline_ms = NOW; /* it has run out */
	assert_int_equal(ask(1000, 1), 0);
	/* not once the revocation has begun, though it is heard again */
	silent();
	mk_step(&m, NULL);
	assert_true(m.s.auth[0].revoked);
	link_event(0, true);
	assert_int_equal(ask(1000, 1), 0);
}

/* The own yes, and that of the leader before, are as good as any. */
static void
test_own_yes(void **state)
{
	(void)state;
	silent();
	m.s.auth[0].yes_ms = NOW - 1000;
	mk_step(&m, NULL);
	mk_promise(&m, 1, 101, 5, 9000);
	assert_int_equal(m.s.auth[0].newest_ms, NOW - 1000);
	silent();
	m.s.quiet_ms = NOW - 2000;
	mk_step(&m, NULL);
	mk_promise(&m, 2, 102, 5, 9000);
	assert_int_equal(m.s.auth[0].newest_ms, NOW - 2000);
	/* a new term begins anew */
	mk_lease(&m, false);
	assert_false(m.s.auth[0].revoked);
	assert_int_equal(m.s.auth[0].promised, 0);
}

/* A promise of an older epoch, of a reader, of nobody's: nothing. */
static void
test_promises(void **state)
{
	(void)state;
	silent();
	mk_step(&m, NULL);
	mk_promise(&m, 1, 101, 4, 3000);
	mk_promise(&m, 1, 999, 5, 3000);
	mk_promise(&m, 1, LEASE_OPERATOR, 5, 3000);
	mk_promise(&m, 1, 102, 5, 3000);
	assert_int_equal(m.s.auth[0].promised, 1);
}

/* A server that hangs: its guard is told, kills it, and says so. */
static void
test_hung(void **state)
{
	const struct fsm_act *a;
	struct fsm_guard g;

	(void)state;
	silent();
	m.s.site[1].p.io = m.s.site[2].p.io = IO_YES;
	link_event(0, true);
	assert_int_equal(m.s.verdict, V_OBSERVER_ISOLATED);
	g = m.s.site[0].g;
	g.hung = true;
	mk_says(&m, 0, &g);
	assert_int_equal(mk_verdict(&m), V_NO_PROOF);
	a = mk_act(&m, A_REVOKE, -1);
	assert_non_null(a);
	assert_int_equal(a->site, 0);
	assert_int_equal(a->epoch, 5);
	assert_null(mk_act(&m, A_POD_DELETE, -1));
	g.running = g.hung = false;
	g.held = 0;
	g.revoked = 5;
	g.ended = 1;
	m.now += 1000;
	mk_guard(&m, 1);
	mk_guard(&m, 2);
	mk_says(&m, 0, &g);
	a = mk_act(&m, A_LOG, T_EPOCH_ENDED);
	assert_non_null(a);
	assert_int_equal(a->proof, P_GUARD);
	assert_int_equal(mk_verdict(&m), V_PROMOTE);
}

/*
 * The -primary Service leaves a server that answers nobody before the other one
 * is promoted, but never one that merely this operator does not hear.
 */
static void
test_leaves_service(void **state)
{
	static struct fsm_view v;
	struct fsm_guard g;

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	mk_step(&m, NULL);
	g = m.s.site[0].g;
	g.hung = true;
	mk_says(&m, 0, &g);
	m.s.site[0].fails = (m.c.failure_threshold - 1) / 2;
	fsm_view(&m.c, &m.s, &v);
	assert_int_equal(v.site[0].label, RL_PRIMARY);
	m.s.site[0].fails++;
	fsm_view(&m.c, &m.s, &v);
	assert_int_equal(v.site[0].label, RL_REPLICA);
	assert_false(v.site[0].healthy); /* no reader is sent there either */
	m.s.site[0].g.hung = false;
	fsm_view(&m.c, &m.s, &v);
	assert_int_equal(v.site[0].label, RL_PRIMARY);
	m.s.rec.n = 0; /* nobody may write there any more */
	fsm_view(&m.c, &m.s, &v);
	assert_int_equal(v.site[0].label, RL_REPLICA);
	silent();
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_NO_PROOF);
	fsm_view(&m.c, &m.s, &v);
	assert_int_equal(v.site[0].label, RL_REPLICA);
	m.s.site[1].p.io = m.s.site[2].p.io = IO_YES;
	link_event(0, true);
	assert_int_equal(m.s.verdict, V_OBSERVER_ISOLATED);
	fsm_view(&m.c, &m.s, &v);
	assert_int_equal(v.site[0].label, RL_PRIMARY);
}

/* Fenced, and said so; not before a grant of ours can be ahead no more. */
static void
test_guard_fenced(void **state)
{
	struct fsm_guard g;

	(void)state;
	silent();
	link_event(0, true);
	m.s.site[0].granted_ms = NOW - 100;
	g = m.s.site[0].g;
	g.held = 0;
	g.revoked = 5;
	g.read_age_ms = 0;
	m.now = NOW + 101; /* the margin of their clocks is 200 ms */
	mk_says(&m, 0, &g);
	assert_int_equal(m.s.ended[0], P_NONE);
	g.read_only = true;
	g.read_age_ms = -1; /* not read in its life */
	mk_says(&m, 0, &g);
	assert_int_equal(m.s.ended[0], P_NONE);
	g.read_age_ms = 1;
	mk_says(&m, 0, &g);
	assert_int_equal(m.s.ended[0], P_NONE);
	/* time alone makes no older reading better */
	m.now += 60000;
	m.s.lease_deadline_ms = m.now + 10000;
	mk_step(&m, NULL);
	assert_int_equal(m.s.ended[0], P_NONE);
	m.now = NOW + 101;
	m.s.lease_deadline_ms = m.now + 10000;
	g.read_age_ms = 0;
	mk_guard(&m, 1);
	mk_guard(&m, 2);
	mk_says(&m, 0, &g);
	/* its word may be older than it knows: by then it has fenced again */
	assert_int_equal(m.s.ended[0], P_NONE);
	m.now = lease_auth_late_ms(NOW - 100, 20000, 1000);
	mk_guard(&m, 1);
	mk_guard(&m, 2);
	mk_says(&m, 0, &g);
	assert_int_equal(m.s.ended[0], P_GUARD_FENCED);
	assert_int_equal(mk_verdict(&m), V_PROMOTE);
}

/* A grant under way when the lease is over: its limit is waited for. */
static void
test_grant_in_flight(void **state)
{
	int64_t valid;

	(void)state;
	silent();
	m.s.auth[0].newest_ms = NOW - 60000;
	m.s.auth[0].promised = 3;
	assert_int_equal(fsm_lease_proof(&m.s, 0), P_LEASE);
	m.s.site[0].grant_open = true;
	valid = m.s.site[0].grant_valid_ms = NOW + 1000;
	assert_int_equal(fsm_lease_proof(&m.s, 0), P_NONE);
	m.s.now_ms = valid + FSM_GRANT_TTL_MS + FSM_GRANT_MARGIN_MS +
	    LEASE_LOOK_MS + 1000 + 399;
	assert_int_equal(fsm_lease_proof(&m.s, 0), P_NONE);
	m.s.now_ms++;
	assert_int_equal(fsm_lease_proof(&m.s, 0), P_LEASE);
	/* those of the leader before us, which nobody here knows of */
	silent();
	m.s.auth[0].newest_ms = NOW - 60000;
	m.s.auth[0].promised = 3;
	m.s.old_grants_ms = NOW - 4000;
	assert_int_equal(fsm_lease_proof(&m.s, 0), P_NONE);
	m.s.old_grants_ms = NOW - 5400;
	assert_int_equal(fsm_lease_proof(&m.s, 0), P_LEASE);
	/* the longest lease of all counts */
	m.s.rec.unended[1] = m.s.rec.unended[0];
	m.s.rec.unended[1].epoch = m.s.rec.unended[1].terms.epoch = 4;
	m.s.rec.unended[1].terms.lease_ms = 60000;
	m.s.rec.n = 2;
	assert_int_equal(fsm_lease_proof(&m.s, 0), P_NONE);
}

/* A writer that nobody guards is left alone; one that is fenced is not. */
static void
test_unguarded(void **state)
{
	(void)state;
	mk_group(&m);
	m.c.require_guard = true;
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_HEALTHY);
	mk_state(&m, 0, SS_READ_ONLY);
	assert_int_equal(mk_verdict(&m), V_NO_LEASE);
	/* no lease, so silence proves nothing */
	mk_group(&m);
	mk_state(&m, 0, SS_UNREACHABLE);
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_NO_PROOF);
	assert_null(mk_act(&m, A_PROMISE_ASK, -1));
	assert_false(m.s.auth[0].revoked);
}

/* The guard counts runs that begin within the tolerance of a start. */
static void
test_restart_at_once(void **state)
{
	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	assert_true(fsm_is_newest(&m.s, 0));
	m.s.site[0].g.incarnation = 2;
	assert_false(fsm_is_newest(&m.s, 0));
	m.s.site[0].g.ended = 1;
	assert_int_equal(fsm_proof_of(&m.s, 0), P_GUARD);
	/* the kubelet's news of the container come later or never */
	mk_group(&m);
	mk_guarded(&m);
	snprintf(m.s.site[0].pod[0].container_id, CID_LEN + 1, "ctr-new");
	assert_true(fsm_is_newest(&m.s, 0));
}

/* A human's word is refused while its guard or its lease speaks against it. */
static void
test_assert(void **state)
{
	struct fsm_event ev = { .type = E_ASSERT_DEAD };
	unsigned k;

	(void)state;
	for (k = 0; k < 3; k++) {
		silent();
		m.s.site[0].seen_ms = NOW - FSM_ASSERT_QUIET_MS - 1;
		m.s.site[0].fail_since_ms = NOW - FSM_ASSERT_QUIET_MS;
		if (k != 0)
			m.s.site[0].guard_ms = NOW - FSM_ASSERT_QUIET_MS;
		m.s.site[1].g.yes_epoch = 5;
		m.s.site[1].g.yes_age_ms = k == 1 ? 59000 : 70000;
		ev.u.assert_dead.site = 0;
		ev.u.assert_dead.epoch = 5;
		snprintf(ev.u.assert_dead.pod_uid, UID_LEN + 1, "pod-a");
		mk_step(&m, &ev);
		assert_int_equal(m.s.ended[0], k < 2 ? P_NONE : P_ASSERTED);
		assert_non_null(mk_act(
		    &m, A_EVENT, k < 2 ? T_ASSERT_REFUSED : T_ASSERT_OK));
	}
}

/* A term begins; nobody has acted since then. */
static void
term(int64_t quiet, bool first)
{
	struct fsm_event ev = { .type = E_LEASE };

	ev.u.lease.held = true;
	ev.u.lease.deadline_ms = m.now + 10000;
	ev.u.lease.quiet_ms = quiet;
	ev.u.lease.first = first;
	mk_step(&m, &ev);
	mk_ack(&m, m.s.put.seq, true);
}

/*
 * The leader before us acted for less than its Lease: its last yes and its last
 * grant were before that, by what the Lease said. Nothing is known of it: they
 * may have been until we lead.
 */
static void
test_quiet(void **state)
{
	const struct {
		int64_t quiet; /* before now; as it was told */
		bool first;
		int64_t is; /* before now; as it counts */
	} c[] = { { 1300, false, 1300 }, { 0, false, 0 }, { -5, false, 0 },
		{ 1300, true, 0 } };
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		silent();
		m.s.lease_held = false;
		m.s.old_grants_ms = 0;
		m.s.own_end_ms = 0;
		term(i == 1 ? 0 : m.now - c[i].quiet, c[i].first);
		assert_int_equal(m.s.lease_since_ms, NOW);
		assert_int_equal(m.s.quiet_ms, NOW - c[i].is);
		assert_int_equal(m.s.old_grants_ms, NOW - c[i].is);
		assert_true(m.s.auth[0].revoked);
		assert_int_equal(m.s.auth[0].newest_ms, NOW - c[i].is);
	}
	/* What it has said itself since then counts. */
	silent();
	m.s.lease_held = false;
	m.s.own_end_ms = NOW - 700;
	term(NOW - 1300, false);
	assert_int_equal(m.s.auth[0].newest_ms, NOW - 700);
	/* A renewal that came late begins another term of the same Lease. */
	m.now = m.s.lease_deadline_ms + 50;
	term(NOW - 1300, false);
	assert_int_equal(m.s.quiet_ms, m.now - 50);
	/* No grant of before is later than a probe that begins after it. */
	assert_int_equal(m.s.old_grants_ms, m.now - 50);
}

/* A receiver that can't reach its source is stopped before the proof. */
static void
test_stop_early(void **state)
{
	int64_t over;
	int io;

	(void)state;
	for (io = IO_NO; io <= IO_YES; io++) {
		silent();
		mk_step(&m, NULL);
		m.s.site[1].p.io = (uint8_t)io;
		mk_promise(&m, 1, 101, 5, 3000);
		over = fsm_lease_wake(&m.s);
		m.now = over - FSM_STOP_EARLY_MS - 1;
		m.s.lease_deadline_ms = over + 10000;
		mk_guard(&m, 1);
		mk_guard(&m, 2);
		mk_step(&m, NULL);
		assert_int_equal(mk_verdict(&m), V_NO_PROOF);
		assert_null(mk_act(&m, A_SQL, SQL_STOP_RECEIVER));
		m.now++;
		mk_step(&m, NULL);
		assert_int_equal(mk_verdict(&m), V_NO_PROOF);
		assert_int_equal(
		    mk_acts(&m, A_SQL, SQL_STOP_RECEIVER), io == IO_CONNECTING);
		assert_int_equal(mk_acts(&m, A_SQL, -1), io == IO_CONNECTING);
	}
}

/* Something else in the way has no such end: the receiver is left alone. */
static void
test_no_early_stop(void **state)
{
	struct fsm_epoch *e;
	int64_t over;
	int how;

	(void)state;
	for (how = 0; how < 2; how++) {
		silent();
		mk_step(&m, NULL);
		m.s.site[1].p.io = IO_CONNECTING;
		mk_promise(&m, 1, 101, 5, 3000);
		over = fsm_lease_wake(&m.s);
		if (how == 1) {
			/* Another voter's promise is missing. */
			e = &m.s.rec.unended[m.s.rec.n];
			*e = m.s.rec.unended[0];
			m.s.auth[m.s.rec.n] = m.s.auth[0];
			m.s.auth[m.s.rec.n++].promised = 1; /* the leader's */
			e->epoch--;
			e->terms.epoch--;
			e->terms.guard++;
		}
		m.now = over - FSM_STOP_EARLY_MS;
		m.s.lease_deadline_ms = over + 10000;
		mk_guard(&m, 1);
		mk_guard(&m, 2);
		mk_step(&m, NULL);
		assert_int_equal(mk_verdict(&m), V_NO_PROOF);
		assert_int_equal(
		    mk_acts(&m, A_SQL, SQL_STOP_RECEIVER), how == 0);
	}
}

/* Other numbers: guards have not asked by them yet, and nobody is muted. */
static void
test_other_interval(void **state)
{
	struct fsm_event ev = { .type = E_CONF };

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	m.s.offered_ms = 1;
	mk_step(&m, &ev);
	assert_int_equal(m.s.offered_ms, m.now);
}

/*
 * What a leader before us asked for may be done late: nobody goes down beside
 * it. A group that is made under this leader had none before.
 */
static void
test_first_minute(void **state)
{
	struct fsm_event ev = { .type = E_LEASE };
	unsigned first;

	(void)state;
	for (first = 0; first < 3; first++) {
		mk_group(&m);
		mk_update(&m);
		m.s.lease_held = false;
		m.s.had_term = first == 2;
		ev.u.lease.held = true;
		ev.u.lease.deadline_ms = m.now + 3600000;
		ev.u.lease.first = first > 0;
		mk_step(&m, &ev);
		assert_int_equal(m.s.old_rolls_ms,
		    m.now + (first == 1 ? 0 : FSM_PUT_LIFE_MS));
	}
	mk_group(&m);
	mk_update(&m);
	m.s.site[2].want = 7;
	m.s.old_rolls_ms = m.now + 1;
	mk_step(&m, NULL);
	assert_null(mk_act(&m, A_ROLL, -1));
	m.s.old_rolls_ms = m.now;
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_ROLL, -1));
}

/* The reference's three: nobody has a guard, and what is seen is good. */
static void
bare_group(void)
{
	uint8_t i;

	mk_group(&m);
	mk_update(&m);
	m.c.require_guard = true;
	memset(&m.s.rec.unended[0].terms, 0, sizeof(struct lease_terms));
	for (i = 0; i < 3; i++) {
		memset(&m.s.site[i].g, 0, sizeof(m.s.site[i].g));
		m.s.site[i].link_up = false;
		m.s.site[i].guard_ms = m.s.site[i].g_ms = 0;
		m.s.site[i].want = 7;
	}
}

static int
rolled_site(void)
{
	mk_step(&m, NULL);
	assert_true(mk_acts(&m, A_ROLL, -1) <= 1);
	return mk_acts(&m, A_ROLL, -1) == 0 ? -1 : mk_act(&m, A_ROLL, -1)->site;
}

/* Site i has the new template; mute: its guard isn't heard. */
static void
renewed(uint8_t i, bool mute)
{
	struct fsm_site *t = &m.s.site[i];

	t->have = t->pod[0].hash = 7;
	if (!mute)
		mk_guard(&m, i);
}

/*
 * A switch: followers without a guard don't wait for each other's; the data is
 * kept all the same, and so is the only one that could be promoted.
 */
static void
test_update_bare(void **state)
{
	(void)state;
	bare_group();
	assert_int_equal(rolled_site(), 1);
	/* Then the next one, when that one has its guard. */
	bare_group();
	renewed(1, true);
	assert_int_equal(rolled_site(), -1);
	bare_group();
	renewed(1, false);
	assert_int_equal(rolled_site(), 2);
	/* The spec changes meanwhile: not b, which alone may be promoted. */
	bare_group();
	renewed(1, false);
	m.s.site[1].want = 8;
	m.s.site[2].want = 8;
	assert_int_equal(rolled_site(), 2);
	/* Whoever has no guard must be a copy none the less. */
	bare_group();
	m.s.site[2].p.lag_s = FSM_UPDATE_LAG_S;
	m.s.site[1].repl_streak = 2;
	assert_int_equal(rolled_site(), 2);
	bare_group();
	m.s.site[1].p.lag_s = m.s.site[2].p.lag_s = FSM_UPDATE_LAG_S;
	assert_int_equal(rolled_site(), -1);
	/* A guard that was heard of and is silent is no missing one. */
	mk_group(&m);
	mk_update(&m);
	m.c.require_guard = true;
	mk_silent(&m, 1);
	m.s.site[1].want = m.s.site[2].want = 7;
	m.s.site[1].guard_ms = m.s.site[1].g_ms = m.now - 60000;
	assert_int_equal(rolled_site(), 1);
	m.s.site[1].want = 6;
	memset(&m.s.site[1].roll, 0, sizeof(m.s.site[1].roll));
	m.s.site[1].roll_hash = 0;
	assert_int_equal(rolled_site(), -1);
}

/*
 * What a leader proved by its own silence to an epoch binds nobody who leads
 * after it: the other one may have renewed that epoch meanwhile. A word about
 * the process stays.
 */
static void
test_proof_of_a_term(void **state)
{
	unsigned k;

	(void)state;
	for (k = 0; k < 2; k++) {
		silent();
		mk_step(&m, NULL);
		mk_promise(&m, 1, 101, 5, 60000);
		assert_int_equal(m.s.ended[0], P_LEASE);
		assert_true(m.s.site[0].quelled);
		if (k == 1)
			mk_word(&m, 0);
		mk_lease(&m, false);
		m.now += 30000;
		mk_lease(&m, true);
		assert_int_equal(m.s.ended[0], k == 1 ? P_TERMINATED : P_NONE);
		assert_int_equal(m.s.site[0].quelled, k == 1);
	}
}

/*
 * A leader's first act is a write of the record: before it nobody gets a yes,
 * a revocation, a question or an offer. A put that is refused is none.
 */
static void
test_term_is_written(void **state)
{
	struct fsm_event ask = { .type = E_ASK, .site = 0 };
	unsigned k;

	(void)state;
	ask.u.ask.epoch = 5;
	ask.u.ask.guard = 1000;
	ask.u.ask.incarnation = 1;
	for (k = 0; k < 2; k++) {
		if (k == 0) {
			mk_group(&m);
			mk_guarded(&m);
		} else {
			silent();
		}
		mk_lease(&m, false);
		mk_lease(&m, true);
		assert_non_null(mk_act(&m, A_RECORD_PUT, -1));
		assert_int_equal(m.s.put_epoch, 0);
		assert_int_equal(m.o.put.n, 1);
		assert_null(mk_act(&m, A_REVOKE, -1));
		assert_null(mk_act(&m, A_PROMISE_ASK, -1));
		assert_null(mk_act(&m, A_OFFER, -1));
		assert_false(m.s.auth[0].revoked);
		mk_step(&m, &ask);
		assert_null(mk_act(&m, A_RENEW, -1));
		mk_ack(&m, m.s.put.seq, false);
		mk_step(&m, &ask);
		assert_null(mk_act(&m, A_RENEW, -1));
		m.now += FSM_RETRY_MS;
		mk_step(&m, NULL);
		assert_non_null(mk_act(&m, A_RECORD_PUT, -1));
		mk_ack(&m, m.s.put.seq, true);
		assert_int_equal(m.s.auth[0].revoked, k == 1);
		mk_step(&m, &ask);
		if (k == 0)
			assert_non_null(mk_act(&m, A_RENEW, -1));
		else
			assert_null(mk_act(&m, A_RENEW, -1));
	}
}

/*
 * Once a mint is sent the epoch before it gets no grant, whatever becomes of
 * the put: it may land later, and not list that one any more.
 */
static void
test_mint_under_way(void **state)
{
	struct fsm_guard g;
	unsigned k;

	(void)state;
	for (k = 0; k < 3; k++) {
		mk_group(&m);
		mk_guarded(&m);
		m.s.my_epoch = 5;
		m.s.my_why = V_REGRANT;
		mk_state(&m, 0, SS_UNREACHABLE);
		m.s.site[0].p.read_only = m.s.site[0].p.super_read_only = true;
		m.s.site[0].g.read_only = true;
		m.s.site[1].p.io = m.s.site[2].p.io = IO_NO;
		m.s.site[1].p.has_repl = false;
		mk_step(&m, NULL);
		assert_non_null(mk_act(&m, A_RECORD_PUT, -1));
		assert_int_equal(m.s.put_epoch, 6);
		if (k == 1)
			mk_ack(&m, m.s.put.seq, false);
		g = m.s.site[0].g;
		g.held = 5;
		m.now += 10;
		mk_says(&m, 0, &g);
		mk_probe(&m, 0);
		assert_false(m.s.site[0].grant_open);
		if (k != 2)
			continue;
		/* without that mint it would have had it */
		m.s.my_later = false;
		m.now += 10;
		mk_says(&m, 0, &g);
		mk_probe(&m, 0);
		assert_true(m.s.site[0].grant_open);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_update_bare),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_ask),
		cmocka_unit_test(test_own_yes),
		cmocka_unit_test(test_promises),
		cmocka_unit_test(test_hung),
		cmocka_unit_test(test_leaves_service),
		cmocka_unit_test(test_guard_fenced),
		cmocka_unit_test(test_grant_in_flight),
		cmocka_unit_test(test_unguarded),
		cmocka_unit_test(test_restart_at_once),
		cmocka_unit_test(test_assert),
		cmocka_unit_test(test_quiet),
		cmocka_unit_test(test_mint_under_way),
		cmocka_unit_test(test_proof_of_a_term),
		cmocka_unit_test(test_term_is_written),
		cmocka_unit_test(test_stop_early),
		cmocka_unit_test(test_no_early_stop),
		cmocka_unit_test(test_other_interval),
		cmocka_unit_test(test_first_minute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
