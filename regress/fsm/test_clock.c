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
 * Wall clocks that are stepped, by an hour and by three seconds, ahead and
 * back: nothing is fenced or promoted for that, and nothing proven.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "mk.h"

static const int64_t steps[] = { 3600000, -3600000, 3000, -3000 };
#define NSTEPS (sizeof(steps) / sizeof(steps[0]))

static struct mk m;

static int
verdict(void)
{
	struct fsm_decision d;

	fsm_decide(&m.c, &m.s, &d);
	return d.verdict;
}

/* A probe of site i, whose clock is off by that much. */
static void
probe(uint8_t i, int64_t start, int64_t off)
{
	struct fsm_probe p = m.s.site[i].p;
	struct fsm_event ev = { .type = E_PROBE, .site = i, .u.probe = &p };

	m.now += 10;
	p.sent_ms = m.now - 5;
	p.start_ms = start;
	p.clock_ms = WALL + m.now - NOW + off;
	mk_step(&m, &ev);
}

/* Nothing that stops writes, and nothing that could let another site write. */
static void
undisturbed(void)
{
	assert_int_equal(verdict(), V_HEALTHY);
	assert_null(mk_act(&m, A_SQL, -1));
	assert_null(mk_act(&m, A_REVOKE, -1));
	assert_null(mk_act(&m, A_PROMISE_ASK, -1));
	assert_null(mk_act(&m, A_RECORD_PUT, -1));
	assert_int_equal(fsm_proof_of(&m.s, 0), P_NONE);
	assert_true(fsm_is_newest(&m.s, 0));
}

static void
test_node(void **state)
{
	unsigned k;

	(void)state;
	for (k = 0; k < NSTEPS; k++) {
		mk_group(&m);
		mk_guarded(&m);
		probe(0, START, 0);
		undisturbed();
		probe(0, START, steps[k]);
		undisturbed();
		mk_pass(&m, 4000);
		probe(0, START, steps[k]);
		undisturbed();
	}
}

static void
test_operator(void **state)
{
	struct fsm_event tick = { .type = E_TICK };
	unsigned k;

	(void)state;
	for (k = 0; k < NSTEPS; k++) {
		mk_group(&m);
		mk_guarded(&m);
		m.s.rec.last_failover_s = WALL / 1000 - 60;
		fsm_step(&m.c, &m.s, &tick, m.now, WALL + steps[k], &m.o);
		undisturbed();
	}
}

/* Should a server ever tell another start of the same run: guards know. */
static void
test_start_shifted(void **state)
{
	unsigned k;

	(void)state;
	for (k = 0; k < NSTEPS; k++) {
		mk_group(&m);
		mk_guarded(&m);
		mk_pass(&m, 400);
		probe(0, START + steps[k], steps[k]);
		m.s.site[0].g.start_ms = START + steps[k];
		m.s.site[0].guard_ms = m.now;
		assert_int_equal(fsm_proof_of(&m.s, 0), P_NONE);
		assert_int_equal(fsm_unproven(&m.s, 1), 0);
		/* Another guard in that Pod, and it speaks of what answered. */
		m.s.site[0].g.guard = 2000;
		assert_int_equal(fsm_proof_of(&m.s, 0), P_SUCCEEDED);
		/* Not when either was heard before this leader led. */
		m.s.lease_since_ms = m.now;
		assert_int_equal(fsm_proof_of(&m.s, 0), P_NONE);
	}
}

/* Without a guard: another process, whichever start is the later one. */
static void
test_successor(void **state)
{
	unsigned k;

	(void)state;
	for (k = 0; k < NSTEPS; k++) {
		mk_group(&m);
		probe(0, START + steps[k], steps[k]);
		assert_int_equal(fsm_proof_of(&m.s, 0), P_SUCCEEDED);
		m.s.lease_since_ms = m.now;
		assert_int_equal(fsm_proof_of(&m.s, 0), P_NONE);
	}
}

/* The clock was stepped in the life of the container, by that much. */
static void
word(uint64_t guard, int64_t step)
{
	struct fsm_pod p = m.s.site[0].pod[0];

	p.nwords = 1;
	memcpy(p.word[0].container_id, p.container_id,
	    sizeof(p.word[0].container_id));
	p.word[0].started_ms = p.started_ms;
	p.word[0].finished_ms = WALL - 6000 + step;
	p.word[0].guard = guard;
	p.ctr_state = CTR_TERMINATED;
	mk_pod(&m, 0, &p);
}

static void
test_word(void **state)
{
	unsigned k;

	(void)state;
	for (k = 0; k < NSTEPS; k++) {
		mk_group(&m);
		mk_guarded(&m);
		mk_state(&m, 0, SS_UNREACHABLE);
		mk_silent(&m, 0);
		word(0, steps[k]);
		assert_int_equal(fsm_proof_of(&m.s, 0), P_NONE);
		word(2000, steps[k]);
		assert_int_equal(fsm_proof_of(&m.s, 0), P_NONE);
		word(1000, steps[k]);
		assert_int_equal(fsm_proof_of(&m.s, 0), P_TERMINATED);

		/* Without a guard the end may seem to be before the start. */
		mk_group(&m);
		mk_state(&m, 0, SS_UNREACHABLE);
		m.s.site[0].p.clock_ms += steps[k];
		word(0, steps[k]);
		assert_int_equal(fsm_proof_of(&m.s, 0),
		    WALL - 6000 + steps[k] > START ? P_TERMINATED : P_NONE);
	}
}

/*
 * A clock that is set ahead is past a grant's limit, but a statement that had
 * begun may still be at work.
 */
static void
test_grants_past(void **state)
{
	(void)state;
	mk_group(&m);
	mk_fenced(&m, 0);
	m.s.site[0].lead_clock_ms = 0;
	m.s.old_grants_ms = m.now;
	m.now += 10;
	probe(0, START, 0);
	probe(0, START, 3600000);
	assert_false(fsm_grants_past(&m.s, 0));
	m.now += FSM_GRANT_MARGIN_MS;
	probe(0, START, 3600000);
	assert_true(fsm_grants_past(&m.s, 0));
	/* Set back, it has all of the way to go again. */
	probe(0, START, -3600000);
	assert_false(fsm_grants_past(&m.s, 0));
}

static void
test_own_grant(void **state)
{
	struct fsm_site *t = &m.s.site[0];

	(void)state;
	mk_group(&m);
	t->grant_open = true;
	t->grant_valid_ms = m.now;
	t->grant_limit_ms = WALL + 1000;
	probe(0, START, 3600000);
	assert_true(t->grant_open);
	m.now += FSM_GRANT_MARGIN_MS - 20;
	probe(0, START, 3600000);
	assert_true(t->grant_open);
	probe(0, START, -3600000);
	m.now += 2 * FSM_GRANT_MARGIN_MS;
	probe(0, START, 3600000);
	assert_true(t->grant_open);
	m.now += FSM_GRANT_MARGIN_MS;
	probe(0, START, 3600000);
	assert_false(t->grant_open);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_node),
		cmocka_unit_test(test_operator),
		cmocka_unit_test(test_start_shifted),
		cmocka_unit_test(test_successor),
		cmocka_unit_test(test_word),
		cmocka_unit_test(test_grants_past),
		cmocka_unit_test(test_own_grant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
