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

/* Clients of a server that could be written to, and readers of others. */

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

/* Another process of the same Pod answers. */
static void
restart(uint8_t i)
{
	struct fsm_probe p = m.s.site[i].p;
	struct fsm_event ev = { .type = E_PROBE, .site = i, .u.probe = &p };

	m.now += 10;
	p.sent_ms = m.now - 5;
	p.start_ms += 60000;
	mk_step(&m, &ev);
}

/* One answered pass that ended n sessions; false: none was asked for. */
static bool
evicted(uint8_t i, uint32_t n)
{
	struct fsm_event ev = { .type = E_SQL_DONE, .site = i };

	m.s.lease_deadline_ms = m.now + 10000;
	mk_step(&m, NULL);
	if (m.s.site[i].sql.seq == 0 || m.s.site[i].sql.kind != SQL_EVICT)
		return false;
	ev.u.sql.seq = m.s.site[i].sql.seq;
	ev.u.sql.kind = SQL_EVICT;
	ev.u.sql.end = SE_DONE;
	ev.u.sql.count = n;
	mk_step(&m, &ev);
	return true;
}

/* Clients of what was fenced come back and back: it has an end. */
static void
test_evict_end(void **state)
{
	int64_t since;

	(void)state;
	mk_group(&m);
	mk_state(&m, 2, SS_WRITABLE);
	mk_step(&m, NULL);
	mk_answer(&m, 2, mk_act(&m, A_SQL, SQL_FENCE), SE_DONE, true);
	since = m.now;
	while (evicted(2, 1)) {
		assert_true(m.now - since <= m.c.drain_ms);
		if (m.now - since < m.c.drain_ms)
			assert_null(mk_act(&m, A_LOG, T_EVICT_LATE));
		else
			assert_non_null(mk_act(&m, A_LOG, T_EVICT_LATE));
		m.now += FSM_RETRY_MS;
	}
	assert_int_equal(m.now - since, m.c.drain_ms + FSM_RETRY_MS);
	assert_null(mk_act(&m, A_LOG, T_EVICT_LATE));
	/* Fenced again, it begins anew; nobody left is another end. */
	m.s.site[2].p.read_only = false;
	m.s.site[2].state = SS_WRITABLE;
	mk_step(&m, NULL);
	mk_answer(&m, 2, mk_act(&m, A_SQL, SQL_FENCE), SE_DONE, true);
	assert_true(evicted(2, 0));
	assert_null(mk_act(&m, A_LOG, T_EVICT_LATE));
	m.now += FSM_RETRY_MS;
	assert_false(evicted(2, 0));
}

/* A restart has ended all sessions: who comes then is a reader. */
static void
test_evict_restart(void **state)
{
	(void)state;
	mk_group(&m);
	mk_state(&m, 2, SS_WRITABLE);
	mk_step(&m, NULL);
	mk_answer(&m, 2, mk_act(&m, A_SQL, SQL_FENCE), SE_DONE, true);
	assert_true(evicted(2, 1));
	restart(2);
	m.now += FSM_RETRY_MS;
	assert_false(evicted(2, 1));
	/* super_read_only alone was missing: nobody could write */
	m.s.site[2].p.super_read_only = false;
	m.now += FSM_RETRY_MS;
	mk_step(&m, NULL);
	mk_answer(&m, 2, mk_act(&m, A_SQL, SQL_FENCE), SE_DONE, true);
	assert_false(evicted(2, 1));
}

/* b is active, and its epoch the only one; a is read-only. */
static void
moved_to_b(void)
{
	struct fsm_epoch *e = &m.s.rec.unended[0];
	uint8_t i;

	mk_group(&m);
	m.s.rec.active = e->site = 1;
	memcpy(m.s.rec.server_uuid, "uuid-b", sizeof("uuid-b"));
	memcpy(e->proc.server_uuid, "uuid-b", sizeof("uuid-b"));
	memcpy(e->proc.pod_uid, "pod-b", sizeof("pod-b"));
	memcpy(e->proc.container_id, "ctr-b", sizeof("ctr-b"));
	mk_state(&m, 0, SS_READ_ONLY);
	mk_state(&m, 1, SS_WRITABLE);
	for (i = 0; i < 3; i++) {
		m.s.site[i].p.has_repl = m.s.site[i].p.sql = i != 1;
		m.s.site[i].p.io = i != 1 ? IO_YES : IO_NO;
		m.s.site[i].p.source = i != 1 ? 1 : FSM_NONE;
	}
}

/* A primary that its guard fenced is back while another site is active. */
static void
test_evict_former(void **state)
{
	unsigned n = 0;

	(void)state;
	/* This operator saw it writable. */
	moved_to_b();
	m.c.creds = false; /* nothing else is sent there */
	mk_state(&m, 0, SS_WRITABLE);
	m.s.rec.active = 0;
	mk_step(&m, NULL);
	m.s.rec.active = 1;
	mk_state(&m, 0, SS_READ_ONLY);
	m.s.site[0].p.has_repl = m.s.site[0].p.sql = false;
	m.s.site[0].p.io = IO_NO;
	m.s.site[0].p.source = FSM_NONE;
	while (evicted(0, 1)) {
		m.now += FSM_RETRY_MS;
		assert_true(++n < 40);
	}
	assert_int_equal(n, 31);
	assert_null(mk_act(&m, A_SQL, SQL_EVICT));
	/* One that did not: a primary has no channel. */
	fsm_evict_forget(&m.s.site[0]);
	assert_true(evicted(0, 0));
	m.now += FSM_RETRY_MS;
	assert_false(evicted(0, 0));
	/* But not what is to be filled, and not without an active site. */
	fsm_evict_forget(&m.s.site[0]);
	m.s.site[0].p.user_schemas = false;
	m.s.rel.empty = 1;
	assert_false(evicted(0, 0));
	fsm_evict_forget(&m.s.site[0]);
	m.s.site[0].p.user_schemas = true;
	mk_state(&m, 1, SS_UNREACHABLE);
	assert_false(evicted(0, 0));
}

/* Readers of a replica stay: seen anew, restarted, or by a new leader. */
static void
test_evict_readers(void **state)
{
	uint8_t i;

	(void)state;
	moved_to_b();
	for (i = 0; i < 3; i++)
		assert_false(evicted(i, 1));
	for (i = 0; i < 3; i++)
		assert_int_equal(m.s.site[i].settled, i != 1);
	restart(2);
	assert_false(evicted(2, 1));
	mk_lease(&m, false);
	/* what was to be done long ago is another leader's */
	m.s.site[2].evict_ms = m.now;
	m.now += 600000;
	mk_lease(&m, true);
	for (i = 0; i < 3; i++)
		assert_false(evicted(i, 1));
}

/* a is back with a history of its own, and no channel. */
static void
diverged(void)
{
	moved_to_b();
	m.c.creds = false;
	m.s.site[0].p.has_repl = m.s.site[0].p.sql = false;
	m.s.site[0].p.io = IO_NO;
	m.s.site[0].p.source = FSM_NONE;
	m.s.site[0].diverged = true;
}

static void
other_term(int64_t ms)
{
	mk_lease(&m, false);
	m.now += ms;
	mk_lease(&m, true);
	m.s.rec_known = true;
}

/* Once for each time that it was fenced, not once for each leader. */
static void
test_evict_terms(void **state)
{
	struct fsm_record r;
	int64_t enough;

	(void)state;
	diverged();
	assert_true(evicted(0, 0));
	other_term(5000);
	assert_false(evicted(0, 1));
	/* not done when the term ended */
	diverged();
	assert_true(evicted(0, 1));
	other_term(5000);
	assert_true(evicted(0, 1));
	/* a standby that saw a leader have the time for it */
	enough = m.c.drain_ms + 2 * m.c.poll_ms;
	diverged();
	mk_lease(&m, false);
	m.s.site[0].ro_ms = m.now;
	m.s.rec_ms = m.now + enough;
	m.now += enough;
	other_term(FSM_RETRY_MS);
	assert_false(evicted(0, 1));
	/* or did not */
	diverged();
	mk_lease(&m, false);
	m.s.site[0].ro_ms = m.now;
	m.s.rec_ms = m.now + enough - 1;
	m.now += enough;
	other_term(FSM_RETRY_MS);
	assert_true(evicted(0, 1));
	/* it could be written to meanwhile, as the record has it, or a probe */
	diverged();
	assert_true(evicted(0, 0));
	mk_lease(&m, false);
	r = m.s.rec;
	r.version++;
	r.active = 0;
	mk_read(&m, &r);
	r.version++;
	r.active = 1;
	mk_read(&m, &r);
	other_term(FSM_RETRY_MS);
	assert_true(evicted(0, 1));
	diverged();
	assert_true(evicted(0, 0));
	mk_lease(&m, false);
	m.s.site[0].p.read_only = false;
	mk_probe(&m, 0);
	m.s.site[0].p.read_only = true;
	mk_probe(&m, 0);
	assert_int_equal(m.s.site[0].ro_ms, m.now);
	mk_state(&m, 0, SS_READ_ONLY);
	other_term(FSM_RETRY_MS);
	assert_true(evicted(0, 1));
}

/* A persisted flag is told to be removed when it is. */
static void
test_persisted(void **state)
{
	const struct fsm_act *a;

	(void)state;
	mk_group(&m);
	m.s.site[2].p.persisted_ro = true;
	mk_step(&m, NULL);
	a = mk_act(&m, A_SQL, SQL_RESET_PERSIST);
	assert_non_null(a);
	assert_null(mk_act(&m, A_EVENT, T_PERSISTED));
	mk_answer(&m, 2, a, SE_FAILED, true);
	assert_null(mk_act(&m, A_EVENT, T_PERSISTED));
	m.now += FSM_REPAIR_RETRY_MS;
	m.s.lease_deadline_ms = m.now + 10000;
	mk_step(&m, NULL);
	a = mk_act(&m, A_SQL, SQL_RESET_PERSIST);
	assert_non_null(a);
	mk_answer(&m, 2, a, SE_DONE, true);
	assert_non_null(mk_act(&m, A_EVENT, T_PERSISTED));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_evict_end),
		cmocka_unit_test(test_evict_restart),
		cmocka_unit_test(test_evict_former),
		cmocka_unit_test(test_evict_readers),
		cmocka_unit_test(test_evict_terms),
		cmocka_unit_test(test_persisted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
