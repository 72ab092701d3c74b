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
 * Weak points of the reference (regress/sim/INVARIANTS.md, "Weak points") that
 * no other test is about.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "mk.h"

static struct mk m;

/* a is lost and proven dead; b is next. */
static void
lose_active(void)
{
	mk_group(&m);
	mk_state(&m, 0, SS_UNREACHABLE);
	mk_word(&m, 0);
}

static void
later(int64_t ms)
{
	uint8_t i;

	m.now += ms;
	m.s.lease_deadline_ms = m.now + 10000;
	m.s.seen_put_ms = m.now;
	m.s.put.seq = 0;
	for (i = 0; i < m.c.nsites; i++)
		if (m.s.site[i].state != SS_UNREACHABLE)
			mk_probe(&m, i);
}

/* That site was asked for it, and has not answered. */
static bool
asked(uint8_t i, enum sql_kind kind)
{
	return m.s.site[i].sql.seq != 0 && m.s.site[i].sql.kind == kind;
}

static void
refuse(uint8_t i)
{
	struct fsm_act a = { .seq = m.s.site[i].sql.seq,
		.kind = m.s.site[i].sql.kind };

	mk_answer(&m, i, &a, SE_FAILED, true);
}

/* A step that fails is tried again, though no site changes its state. */
static void
test_tried_again(void **state)
{
	unsigned i;

	(void)state;
	lose_active();
	mk_step(&m, NULL);
	for (i = 0; i < 3; i++) {
		assert_true(asked(1, SQL_STOP_RECEIVER));
		refuse(1);
		if (!asked(1, SQL_STOP_RECEIVER))
			later(FSM_REPAIR_RETRY_MS);
	}
}

/* Nothing waits for an answer of the old primary, or of a third site. */
static void
test_others_hang(void **state)
{
	(void)state;
	lose_active();
	m.s.site[0].fence.seq = 77;
	m.s.site[0].fence.kind = SQL_FENCE;
	m.s.site[2].sql.seq = 78;
	m.s.site[2].sql.kind = SQL_SET_SOURCE;
	m.s.site[0].fence.sent_ms = m.s.site[2].sql.sent_ms = NOW;
	m.s.site[0].fence.until_ms = m.s.site[2].sql.until_ms = NOW + 60000;
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_SQL, SQL_STOP_RECEIVER));
	assert_int_equal(mk_act(&m, A_SQL, SQL_STOP_RECEIVER)->site, 1);
}

static void
empty_site(uint8_t i)
{
	m.s.site[i].p.has_repl = m.s.site[i].p.user_schemas = false;
	m.s.site[i].p.io = IO_NO;
	m.s.site[i].p.sql = false;
	m.s.site[i].p.source = FSM_NONE;
	m.s.rel.empty = (uint16_t)(1U << i);
}

/* CLONE makes its recipient writable: it is not fenced for that. */
static void
test_recipient(void **state)
{
	(void)state;
	mk_group(&m);
	mk_state(&m, 2, SS_WRITABLE);
	m.s.site[2].p.offline_mode = true;
	m.s.site[2].sql.seq = 77;
	m.s.site[2].sql.kind = SQL_CLONE;
	m.s.site[2].sql.sent_ms = NOW;
	m.s.site[2].sql.until_ms = NOW + 60000;
	m.s.clone_phase = CL_CLONING;
	m.s.clone_from = 0;
	m.s.clone_to = 2;
	m.s.clone_ms = NOW;
	mk_step(&m, NULL);
	assert_null(mk_act(&m, A_SQL, SQL_FENCE));
	/* Nobody's recipient, or one that lets clients in, is. */
	m.s.clone_phase = CL_SETUP;
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_SQL, SQL_FENCE));
	m.s.site[2].fence.seq = 0;
	m.s.site[2].next_ms[SQL_FENCE] = 0;
	m.s.clone_phase = CL_CLONING;
	m.s.site[2].p.offline_mode = false;
	mk_step(&m, NULL);
	assert_non_null(mk_act(&m, A_SQL, SQL_FENCE));
}

/* The pause after a clone that fails doubles, up to a limit. */
static void
test_clone_pause(void **state)
{
	int64_t wait = FSM_CLONE_BACKOFF_MS;
	unsigned i;

	(void)state;
	mk_group(&m);
	empty_site(2);
	mk_step(&m, NULL);
	for (i = 0; i < 9; i++) {
		assert_true(asked(2, SQL_CLONE));
		refuse(2);
		assert_int_equal(m.s.clone_phase, CL_FAILED);
		assert_int_equal(m.s.site[2].clone_next_ms, m.now + wait);
		later(wait - 1000);
		assert_false(asked(2, SQL_CLONE));
		later(1000);
		wait = wait * 2 < FSM_CLONE_BACKOFF_MAX_MS ?
		    wait * 2 :
		    FSM_CLONE_BACKOFF_MAX_MS;
	}
	assert_int_equal(wait, FSM_CLONE_BACKOFF_MAX_MS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tried_again),
		cmocka_unit_test(test_others_hang),
		cmocka_unit_test(test_recipient),
		cmocka_unit_test(test_clone_pause),
	};

	return cmocka_run_group_tests_name("weak", tests, NULL, NULL);
}
