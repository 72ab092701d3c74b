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
 * Another list of sites while the group lives: what is known of a site goes
 * with its name, and nobody is disturbed who is still there.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "mk.h"

static void
identity(uint8_t to[SITES_MAX])
{
	uint8_t i;

	for (i = 0; i < SITES_MAX; i++)
		to[i] = i;
}

/* The configuration's sites in their new places; those that are new stay. */
static void
conf_sites(struct fsm_conf *c, const uint8_t to[SITES_MAX], uint8_t n)
{
	struct fsm_conf was = *c;
	uint8_t i;

	memset(c->site, 0, sizeof(c->site));
	for (i = 0; i < SITES_MAX; i++)
		if (to[i] < SITES_MAX)
			c->site[to[i]] = was.site[i];
	c->nsites = n;
}

static unsigned
disturbances(const struct mk *m)
{
	return mk_acts(m, A_SQL, -1) + mk_acts(m, A_RECORD_PUT, -1) +
	    mk_acts(m, A_EVENT, -1) + mk_acts(m, A_REVOKE, -1) +
	    mk_acts(m, A_POD_DELETE, -1) + mk_acts(m, A_ROLL, -1);
}

/* Every order there and back: nothing is lost, nothing is mixed up. */
static void
test_there_and_back(void **state)
{
	static struct mk m, was;
	uint8_t to[SITES_MAX], back[SITES_MAX], i, j, t;
	uint32_t x = 12345;
	unsigned round;

	(void)state;
	for (round = 0; round < 500; round++) {
		mk_group(&m);
		mk_update(&m);
		m.s.clone_to = 2;
		m.s.clone_from = 0;
		m.s.clone_phase = CL_SETUP;
		m.s.override = 1;
		m.s.override_sent = true;
		m.s.lost_dead = 4;
		m.s.degraded = 1U << 17 | 4;
		m.s.degraded_said = 1U << 18 | 2;
		/* what is answered says nothing, and moves all the same */
		m.s.assert_set = round % 2 == 0;
		m.s.assert_site = round % 4 == 3 ? FSM_NONE : 2;
		m.s.rec.last_target = 1;
		m.s.rel.empty = 2;
		m.s.rel.all_all[1] = 5;
		m.s.rel.exec_all[2] = 3;
		was = m;
		identity(to);
		for (i = SITES_MAX - 1; i > 0; i--) {
			x = x * 1664525 + 1013904223;
			j = (uint8_t)((x >> 16) % (i + 1U));
			t = to[i];
			to[i] = to[j];
			to[j] = t;
		}
		for (i = 0; i < SITES_MAX; i++)
			back[to[i]] = i;
		fsm_sites(&m.s, to, m.now);
		assert_int_equal(m.s.rec.active, to[0]);
		assert_int_equal(m.s.rec.unended[0].site, to[0]);
		assert_int_equal(m.s.rec.unended[0].voter_site[2], to[2]);
		assert_int_equal(m.s.site[to[1]].p.source, to[0]);
		assert_int_equal(
		    m.s.rel.all_all[to[1]], BIT(to[0]) | BIT(to[2]));
		fsm_sites(&m.s, back, m.now);
		assert_memory_equal(&m.s, &was.s, sizeof(m.s));
	}
}

/* The list is turned round: the same group, and nothing is done about it. */
static void
test_reordered(void **state)
{
	static struct mk m;
	static struct fsm_view v;
	uint8_t to[SITES_MAX];

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	identity(to);
	to[0] = 2;
	to[2] = 0;
	fsm_sites(&m.s, to, m.now);
	conf_sites(&m.c, to, 3);
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_HEALTHY);
	assert_int_equal(disturbances(&m), 0);
	fsm_view(&m.c, &m.s, &v);
	assert_int_equal(v.active, 2);
	assert_int_equal(v.dns, 2);
	assert_int_equal(v.site[2].label, RL_PRIMARY);
	assert_string_equal(m.c.site[v.active].name, "a");
	assert_true(v.cond[0].status);
}

/* A fourth one comes, in front: it is observed, the others go on. */
static void
test_added(void **state)
{
	static struct mk m;
	static struct fsm_view v;
	uint8_t to[SITES_MAX], i;

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	for (i = 0; i < SITES_MAX; i++)
		to[i] = i < 3 ? i + 1 : FSM_FOREIGN;
	fsm_sites(&m.s, to, m.now);
	conf_sites(&m.c, to, 4);
	(void)strlcpy(m.c.site[0].name, "d", sizeof(m.c.site[0].name));
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_HEALTHY);
	assert_int_equal(disturbances(&m), 0);
	fsm_view(&m.c, &m.s, &v);
	assert_int_equal(v.active, 1);
	assert_int_equal(v.site[0].state, SS_UNKNOWN);
	assert_int_equal(v.site[1].label, RL_PRIMARY);
	/* not ready: a core site does not follow yet */
	assert_false(v.cond[0].status);
}

/* A follower goes: its vote is replaced, its Pod's finalizer let go. */
static void
test_removed(void **state)
{
	static struct mk m;
	static struct fsm_view v;
	uint8_t to[SITES_MAX];

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	identity(to);
	to[1] = FSM_FOREIGN;
	to[2] = 1;
	fsm_sites(&m.s, to, m.now);
	conf_sites(&m.c, to, 2);
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_HEALTHY);
	assert_int_equal(mk_acts(&m, A_SQL, -1), 0);
	/* a successor without the voter that is no more, no fence */
	assert_int_equal(mk_acts(&m, A_RECORD_PUT, -1), 1);
	assert_int_equal(m.o.put.active, 0);
	assert_int_equal(m.o.put.unended[m.o.put.n - 1].voter_site[1], 1);
	fsm_view(&m.c, &m.s, &v);
	assert_int_equal(v.active, 0);
	assert_string_equal(m.c.site[1].name, "c");
	assert_int_equal(v.site[1].conv, CV_CONVERGED);
}

/* The active site is taken off the list: no grant before its end is proven. */
static void
test_active_removed(void **state)
{
	static struct mk m;
	uint8_t to[SITES_MAX];

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	identity(to);
	to[0] = FSM_FOREIGN;
	to[1] = 0;
	to[2] = 1;
	fsm_sites(&m.s, to, m.now);
	conf_sites(&m.c, to, 2);
	mk_step(&m, NULL);
	assert_int_equal(m.s.rec.active, FSM_FOREIGN);
	assert_int_equal(m.s.verdict, V_NO_PROOF);
	assert_int_equal(mk_acts(&m, A_RECORD_PUT, -1), 0);
	assert_int_equal(mk_acts(&m, A_SQL, SQL_GRANT), 0);
}

/* A grant to a site that goes may still take effect: the Lease waits. */
static void
test_grant_open(void **state)
{
	static struct mk m;
	uint8_t to[SITES_MAX];

	(void)state;
	mk_group(&m);
	m.s.site[1].grant_open = true;
	identity(to);
	to[1] = FSM_FOREIGN;
	to[2] = 1;
	fsm_sites(&m.s, to, m.now);
	conf_sites(&m.c, to, 2);
	assert_false(fsm_quiet(&m.c, &m.s));
	m.s.now_ms += FSM_SQL_TIMEOUT_MS + FSM_ACK_GRACE_MS;
	assert_true(fsm_quiet(&m.c, &m.s));
}

/* The recipient of a clone, and its donor. */
static void
test_clone_parties(void **state)
{
	static struct mk m;
	uint8_t to[SITES_MAX];

	(void)state;
	mk_group(&m);
	m.s.clone_to = 2;
	m.s.clone_from = 0;
	m.s.clone_phase = CL_CLONING;
	identity(to);
	to[2] = FSM_FOREIGN;
	fsm_sites(&m.s, to, m.now);
	conf_sites(&m.c, to, 2);
	assert_int_equal(m.s.clone_phase, CL_IDLE);
	mk_step(&m, NULL);
	mk_group(&m);
	m.s.clone_to = 2;
	m.s.clone_from = 1;
	m.s.clone_phase = CL_RESTART;
	m.s.clone_ms = m.now;
	identity(to);
	to[1] = FSM_FOREIGN;
	to[2] = 1;
	fsm_sites(&m.s, to, m.now);
	conf_sites(&m.c, to, 2);
	mk_step(&m, NULL);
	assert_int_equal(m.s.clone_phase, CL_FAILED);
}

/* Roles: another one counts at once, and takes nothing that is known away. */
static void
test_roles(void **state)
{
	static struct mk m;
	static struct fsm_view v;

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	m.c.site[2].role = ROLE_READER;
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_HEALTHY);
	fsm_view(&m.c, &m.s, &v);
	assert_true(v.site[2].healthy);
	/* a reader that is lost is no fault of the group */
	mk_state(&m, 2, SS_UNREACHABLE);
	mk_step(&m, NULL);
	fsm_view(&m.c, &m.s, &v);
	assert_true(v.cond[0].status);
	assert_false(v.cond[1].status);
	/* dr-only: it counts for the group, and is never promoted */
	m.c.site[2].role = ROLE_DR_ONLY;
	fsm_view(&m.c, &m.s, &v);
	assert_false(v.cond[0].status);
	assert_true(v.cond[1].status);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_reordered),
		cmocka_unit_test(test_added),
		cmocka_unit_test(test_removed),
		cmocka_unit_test(test_active_removed),
		cmocka_unit_test(test_grant_open),
		cmocka_unit_test(test_clone_parties),
		cmocka_unit_test(test_roles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
