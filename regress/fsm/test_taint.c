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
 * What the core wants of the nodes of a site, by role, state and what it is
 * about to do.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mk.h"

static enum taint_want
wants(const struct mk *m, uint8_t i)
{
	struct fsm_view v;

	fsm_view(&m->c, &m->s, &v);
	return (enum taint_want)v.site[i].taint;
}

/* failover.md section 4, as states. */
static void
test_states(void **state)
{
	static const struct {
		enum br_role role;
		enum site_state state;
		enum taint_want want;
	} t[] = {
		{ ROLE_CANDIDATE, SS_UNKNOWN, TW_KEEP },
		{ ROLE_CANDIDATE, SS_WRITABLE, TW_OFF },
		{ ROLE_CANDIDATE, SS_READ_ONLY, TW_ON },
		{ ROLE_CANDIDATE, SS_UNREACHABLE, TW_ON },
		{ ROLE_DR_ONLY, SS_UNKNOWN, TW_KEEP },
		{ ROLE_DR_ONLY, SS_WRITABLE, TW_ON },
		{ ROLE_DR_ONLY, SS_READ_ONLY, TW_ON },
		{ ROLE_DR_ONLY, SS_UNREACHABLE, TW_ON },
		{ ROLE_READER, SS_UNKNOWN, TW_OFF },
		{ ROLE_READER, SS_WRITABLE, TW_OFF },
		{ ROLE_READER, SS_READ_ONLY, TW_OFF },
		{ ROLE_READER, SS_UNREACHABLE, TW_OFF },
	};
	struct mk m;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		mk_group(&m);
		m.c.site[1].role = (uint8_t)t[i].role;
		m.s.site[1].state = (uint8_t)t[i].state;
		assert_int_equal(wants(&m, 1), t[i].want);
		assert_int_equal(wants(&m, 0), TW_OFF);
	}
}

/*
 * The active site comes back read-only from a restart: its writers are not
 * evicted while it is about to be granted again, and are when that is blocked
 * for longer than a moment, or another one is promoted.
 */
static void
test_returns(void **state)
{
	struct mk m;

	(void)state;
	mk_group(&m);
	m.s.site[0].state = SS_READ_ONLY;
	for (unsigned v = 0; v < V_MAX; v++) {
		bool blocks = fsm_verdict_block(v) != NULL;
		enum taint_want now = v == V_PROMOTE ? TW_ON : TW_KEEP;
		enum taint_want later =
		    blocks || v == V_PROMOTE ? TW_ON : TW_KEEP;

		m.s.blocked_ms = m.s.now_ms;
		assert_int_equal(
		    fsm_taint(&m.c, &m.s, (enum fsm_verdict)v, 0), now);
		/* Any other site than the active one, whatever is decided. */
		assert_int_equal(
		    fsm_taint(&m.c, &m.s, (enum fsm_verdict)v, 1), TW_ON);
		m.s.blocked_ms = m.s.now_ms - FSM_BLOCKED_SAY_MS;
		assert_int_equal(
		    fsm_taint(&m.c, &m.s, (enum fsm_verdict)v, 0), later);
	}
	/* It is lost, or it never was the active one. */
	m.s.site[0].state = SS_UNREACHABLE;
	assert_int_equal(fsm_taint(&m.c, &m.s, V_WAIT_SITES, 0), TW_ON);
	m.s.site[0].state = SS_READ_ONLY;
	m.s.rec_known = false;
	assert_int_equal(fsm_taint(&m.c, &m.s, V_REGRANT, 0), TW_ON);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_returns),
	};

	return cmocka_run_group_tests_name("taint", tests, NULL, NULL);
}
