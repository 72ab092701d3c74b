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
uint64_t fsm_mutants;
#endif

static struct mk m;

static void
answer_sql(uint8_t site, const struct fsm_act *a, enum sql_end end, bool ro)
{
	const struct fsm_probe *p = &m.s.site[site].p;
	struct fsm_event ev = { .type = E_SQL_DONE, .site = site };

	ev.u.sql.seq = a->seq;
	ev.u.sql.kind = a->kind;
	ev.u.sql.end = (uint8_t)end;
	memcpy(ev.u.sql.pod_uid, p->pod_uid, sizeof(ev.u.sql.pod_uid));
	memcpy(
	    ev.u.sql.server_uuid, p->server_uuid, sizeof(ev.u.sql.server_uuid));
	ev.u.sql.start_ms = p->start_ms;
	ev.u.sql.clock_ms = WALL + m.now - NOW;
	ev.u.sql.flags_read = end == SE_DONE;
	ev.u.sql.read_only = ev.u.sql.super_read_only = ro;
	mk_step(&m, &ev);
}

static void
probe_again(uint8_t site)
{
	struct fsm_probe p = m.s.site[site].p;
	struct fsm_event ev = { .type = E_PROBE, .site = site, .u.probe = &p };

	m.now += 10;
	p.sent_ms = m.now - 5;
	mk_step(&m, &ev);
}

static void
record_written(const struct fsm_record *put)
{
	struct fsm_record r = *put;
	struct fsm_event ev = { .type = E_RECORD, .u.record = &r };

	r.version++;
	mk_step(&m, &ev);
}

static void
ack(uint64_t seq, bool ok)
{
	struct fsm_event ev = { .type = E_ACK };

	ev.u.ack.seq = seq;
	ev.u.ack.ok = ok;
	mk_step(&m, &ev);
}

static void
lease(bool held)
{
	struct fsm_event ev = { .type = E_LEASE };

	ev.u.lease.held = held;
	ev.u.lease.deadline_ms = held ? m.now + 10000 : 0;
	mk_step(&m, &ev);
}

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
	answer_sql(1, a, SE_DONE, true);
	fsm_view(&m.c, &m.s, &v);
	m.now = v.wake_ms; /* looked at again, but surely later */
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_PROBE_NOW, -1));
	m.s.put.seq = 0;
	m.s.put_next_ms = 0;
	m.s.site[1].p.io = IO_NO;
	probe_again(1);
	a = mk_act(&m, A_SQL, SQL_RESET_REPLICA);
	assert_non_null(a);
	assert_false(a->drop_received);
	m.s.put.seq = 0;
	m.s.put_next_ms = 0;
	answer_sql(1, a, SE_DONE, true);
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
	ack(seq, true);
	assert_null(mk_act(&m, A_SQL, SQL_GRANT));
	record_written(&put);
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
	answer_sql(1, a, SE_DONE, false);
	assert_non_null(mk_act(&m, A_EVENT, T_FAILOVER));
	assert_non_null(mk_act(&m, A_DNS_WANT, -1));
	fsm_view(&m.c, &m.s, &v);
	assert_int_equal(v.active, 1);
}

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
	lease(false);
	m.now += 100;
	lease(true);
	assert_false(fsm_quiet(&m.c, &m.s));
	p = m.s.site[0].p;
	for (; m.now < valid + FSM_GRANT_TTL_MS + FSM_GRANT_MARGIN_MS;
	    m.now += 500) {
		p.sent_ms = m.now - 1;
		p.clock_ms = WALL + m.now - NOW;
		mk_step(&m, &ev);
		assert_int_equal(fsm_proof_of(&m.s, 0), P_NONE);
		lease(true);
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
	answer_sql(1, a, SE_DONE, true);
	for (; m.now < NOW + 1900; m.now += 100) {
		mk_step(&m, NULL);
		assert_null(mk_act(&m, A_SQL, SQL_STOP_REPLICA));
	}
	m.s.site[1].p.io = IO_NO;
	m.s.site[1].p.sql = false;
	probe_again(0);
	probe_again(1);
	assert_non_null(mk_act(&m, A_SQL, SQL_SET_SOURCE));
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
	assert_int_equal(fsm_prepare(&m.s, 1), ST_STOP_RECEIVER);
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
	ack(a->seq, false);
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
	record_written(&put);
	assert_non_null(mk_act(&m, A_SQL, SQL_GRANT));
}

static void
record_read(const struct fsm_record *r)
{
	struct fsm_event ev = { .type = E_RECORD, .u.record = r };

	mk_step(&m, &ev);
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
	lease(false);
	lease(true);
	assert_null(mk_act(&m, A_POD_RELEASE, -1));
	m.now += FSM_RETRY_MS;
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_RECORD_PUT, -1));
	assert_int_equal(m.o.put.epoch, 5);
	assert_int_equal(m.o.put.n, 1);
	assert_null(mk_act(&m, A_POD_RELEASE, -1));
	ack(m.s.put.seq, true);
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
	record_read(&old); /* may be a read that was slow */
	assert_int_equal(m.s.rec.version, 7);
	mk_state(&m, 0, SS_READ_ONLY);
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_RECORD_PUT, -1));
	ack(m.s.put.seq, false);
	record_read(&old);
	record_read(&old); /* heard of twice */
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
	record_read(&r);
	assert_int_equal(m.s.rec.active, 1);
	assert_int_equal(m.s.rec.n, 2);
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
	ack(998, true);
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
	ack(a->seq, true);
	foreign_pod("pod-f", true);
	assert_int_equal(m.s.ended[0], P_TERMINATED);
	assert_null(mk_act(&m, A_POD_RELEASE, -1));
	assert_non_null(mk_act(&m, A_RECORD_PUT, -1));
	put = m.o.put;
	assert_int_equal(put.n, 0);
	ack(m.s.put.seq, true);
	record_written(&put);
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
	ack(m.s.put.seq, true);
	record_written(&put);
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
	ack(m.s.site[0].pod_req.seq, true);
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
	answer_sql(2, a, SE_DONE, true);
	assert_non_null(mk_act(&m, A_SQL, SQL_EVICT));
	assert_int_equal(m.s.site[2].state, SS_READ_ONLY);
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
	answer_sql(0, a, SE_DONE, true);
	assert_int_equal(m.s.verdict, V_PROMOTE);
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
	answer_sql(1, a, SE_FAILED, true);
	assert_null(mk_act(&m, A_EVENT, T_OVERRIDE));
	assert_int_equal(m.s.override, 1);
	m.now += FSM_RETRY_MS;
	mk_step(&m, NULL);
	a = mk_act(&m, A_SQL, SQL_RESET_REPLICA);
	assert_non_null(a);
	answer_sql(1, a, SE_DONE, true);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failover),
		cmocka_unit_test(test_granted_unseen),
		cmocka_unit_test(test_lease_flap),
		cmocka_unit_test(test_grant_forgotten),
		cmocka_unit_test(test_endless_lease),
		cmocka_unit_test(test_repair_stale),
		cmocka_unit_test(test_same_millisecond),
		cmocka_unit_test(test_demoted),
		cmocka_unit_test(test_put_refused),
		cmocka_unit_test(test_put_recognised),
		cmocka_unit_test(test_put_unknown),
		cmocka_unit_test(test_record_back),
		cmocka_unit_test(test_stale_answers),
		cmocka_unit_test(test_standby),
		cmocka_unit_test(test_assert_dead),
		cmocka_unit_test(test_assert_unwatched),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_finalizer),
		cmocka_unit_test(test_pod_delete),
		cmocka_unit_test(test_fence),
		cmocka_unit_test(test_half_fenced),
		cmocka_unit_test(test_override),
		cmocka_unit_test(test_view_no_proof),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_unborn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
