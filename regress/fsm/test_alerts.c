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
 * What is told once: the sites that make a group degraded, and that a clone is
 * the first one of a fresh group.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "mk.h"

static struct mk m;

/* So many alerts after as long as it takes for what is to be told. */
static unsigned
told(enum fsm_text text, uint8_t *site)
{
	const struct fsm_act *a;
	int64_t end = m.now + FSM_BLOCKED_SAY_MS + 100;
	unsigned n = 0;
	uint8_t i;

	for (; m.now <= end; m.now += 500) {
		for (i = 0; i < m.c.nsites; i++)
			m.s.site[i].p.sent_ms = m.now - 5;
		m.s.lease_deadline_ms = m.now + 10000;
		mk_step(&m, NULL);
		n += mk_acts(&m, A_LOG, (int)text);
		if ((a = mk_act(&m, A_LOG, (int)text)) != NULL)
			*site = a->site;
	}
	return n;
}

static void
lose(uint8_t i)
{
	mk_state(&m, i, SS_UNREACHABLE);
}

/* Each site that makes the group degraded is told of once; pipelines page. */
static void
test_degraded(void **state)
{
	struct fsm_view v;
	uint8_t site = FSM_NONE;

	(void)state;
	mk_group(&m);
	lose(2);
	assert_int_equal(told(T_DEGRADED, &site), 1);
	assert_int_equal(site, 2);
	assert_int_equal(mk_acts(&m, A_EVENT, T_DEGRADED), 0);
	fsm_view(&m.c, &m.s, &v);
	assert_string_equal(v.alert, "c unreachable while a is primary");
	assert_int_equal(told(T_DEGRADED, &site), 0);
	/* one more */
	lose(1);
	assert_int_equal(told(T_DEGRADED, &site), 1);
	assert_int_equal(site, 1);
	/* one less is no alert, nor an end; lost again it is one again */
	mk_state(&m, 1, SS_READ_ONLY);
	m.s.site[1].fails = 0;
	m.s.site[1].suspect = false;
	assert_int_equal(told(T_DEGRADED, &site), 0);
	lose(1);
	assert_int_equal(told(T_DEGRADED, &site), 1);
	/* it writes, and may not: that is another alert of the same site */
	m.c.site[1].role = ROLE_DR_ONLY;
	mk_state(&m, 1, SS_WRITABLE);
	m.s.site[1].fails = 0;
	m.s.site[1].suspect = false;
	assert_int_equal(told(T_DEGRADED, &site), 1);
	assert_int_equal(site, 1);
	fsm_view(&m.c, &m.s, &v);
	assert_string_equal(
	    v.alert, "writable non-promotable site requires fencing (b)");
	mk_group(&m);
	lose(2);
	assert_int_equal(told(T_DEGRADED, &site), 1);
	mk_state(&m, 2, SS_READ_ONLY);
	m.s.site[2].fails = 0;
	m.s.site[2].suspect = false;
	assert_int_equal(told(T_SITE_RECOVERED, &site), 1);
	assert_int_equal(told(T_DEGRADED, &site), 0);
}

/* Between two primaries nothing is said; of what is missing then, it is. */
static void
test_degraded_by_failover(void **state)
{
	uint8_t site = FSM_NONE;

	(void)state;
	mk_group(&m);
	lose(0);
	mk_word(&m, 0);
	m.s.site[1].sql.seq = 1; /* nobody answers */
	m.s.site[1].sql.until_ms = INT64_MAX;
	assert_int_equal(told(T_DEGRADED, &site), 0);
	assert_int_equal(m.s.verdict, V_PROMOTE);
	mk_state(&m, 1, SS_WRITABLE);
	assert_int_equal(told(T_DEGRADED, &site), 1);
	assert_int_equal(site, 0);
}

static bool
clones(void)
{
	m.s.clone_phase = CL_IDLE;
	m.s.site[1].sql.seq = m.s.site[2].sql.seq = 0;
	m.s.site[1].next_ms[SQL_CLONE] = m.s.site[2].next_ms[SQL_CLONE] = 0;
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_SQL, SQL_CLONE));
	return m.s.boot;
}

/* The first copy of a group that began empty is told from all others. */
static void
test_first_copy(void **state)
{
	uint8_t i;

	(void)state;
	mk_group(&m);
	for (i = 1; i < 3; i++) {
		m.s.site[i].p.has_repl = m.s.site[i].p.user_schemas = false;
		m.s.site[i].p.source = FSM_NONE;
		m.s.rel.empty |= BIT(i);
	}
	m.s.rel.grant_empty = true;
	assert_true(clones());
	m.s.rec.last_failover_s = 1;
	assert_false(clones());
	m.s.rec.last_failover_s = 0;
	m.s.rel.grant_empty = false;
	assert_false(clones());
	m.s.rel.grant_empty = true;
	m.s.rel.record_known = false;
	assert_false(clones());
	m.s.rel.record_known = true;
	assert_true(clones());
	/* the second one */
	m.s.site[1].p.has_repl = true;
	m.s.site[1].p.source = 0;
	assert_false(clones());
}

/* A copy more is wanted most while another site is away. */
static void
test_clone_beside_lost(void **state)
{
	(void)state;
	mk_group(&m);
	m.s.site[1].p.has_repl = m.s.site[1].p.user_schemas = false;
	m.s.site[1].p.source = FSM_NONE;
	m.s.rel.empty |= BIT(1);
	lose(2);
	m.s.site[1].next_ms[SQL_CLONE] = 0;
	mk_step(&m, NULL);
	assert_int_equal(m.s.site[2].state, SS_UNREACHABLE);
	assert_non_null(mk_act(&m, A_SQL, SQL_CLONE));
	assert_int_equal(m.s.clone_to, 1);
	assert_int_equal(m.s.clone_from, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_degraded),
		cmocka_unit_test(test_degraded_by_failover),
		cmocka_unit_test(test_first_copy),
		cmocka_unit_test(test_clone_beside_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
