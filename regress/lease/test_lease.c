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

/* Terms, voters and the leader: a case for each rule (bloodraven-fencing(7)). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "lease.h"

#define L 20000
#define F 1000
#define T 1000000LL /* now, by whoever's clock */

static struct lease_terms
terms(uint64_t epoch, unsigned n)
{
	struct lease_terms t;
	unsigned i;

	memset(&t, 0, sizeof(t));
	t.epoch = epoch;
	t.guard = 77;
	t.incarnation = 1;
	t.lease_ms = L;
	t.fence_ms = F;
	t.n = (uint8_t)n;
	t.r = lease_quorum(t.n);
	for (i = 0; i < n; i++)
		t.voter[i] = i == 0 ? LEASE_OPERATOR : 100 + i;
	return t;
}

/* -------------------------------------------------------------- terms --- */

/* n, how many renew, how many must promise: any two such sets meet. */
static void
t_quorum(void **state)
{
	static const uint8_t r[LEASE_VOTERS_MAX + 1] = { 1, 1, 1, 2, 3, 3, 4, 4,
		5, 5, 6, 6, 7, 7, 8, 8, 9 };
	unsigned n;

	(void)state;
	for (n = 1; n <= LEASE_VOTERS_MAX; n++) {
		assert_int_equal(lease_quorum((uint8_t)n), r[n]);
		assert_true(r[n] + (n - r[n] + 1) > n);
	}
}

static void
t_lengths(void **state)
{
	static const struct {
		uint32_t lease, fence;
		int64_t margin;
	} c[] = { { 3000, 300, 200 }, { 9999, 999, 200 }, { 10000, 1000, 200 },
		{ 10050, 1000, 201 }, { 20000, 1000, 400 },
		{ 60000, 1000, 1200 } };
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		assert_int_equal(lease_fence_ms(c[i].lease), c[i].fence);
		assert_int_equal(lease_margin_ms(c[i].lease), c[i].margin);
	}
}

static void
t_valid(void **state)
{
	struct lease_terms t, good = terms(5, 3);

	(void)state;
	assert_true(lease_terms_valid(&good));
#define BAD(change)                                  \
	do {                                         \
		t = good;                            \
		change;                              \
		assert_false(lease_terms_valid(&t)); \
	} while (0)
	BAD(t.epoch = 0);
	BAD(t.prev = 5);
	BAD(t.guard = 0);
	BAD(t.incarnation = 0);
	BAD(t.lease_ms = 0);
	BAD(t.lease_ms = LEASE_MAX_MS + 1);
	BAD(t.fence_ms = 0);
	BAD(t.fence_ms = t.lease_ms + 1);
	BAD(t.n = 0);
	BAD(t.n = LEASE_VOTERS_MAX + 1);
	BAD(t.r = 1);
	BAD(t.r = 3);
	BAD(t.voter[2] = 0);
	BAD(t.voter[2] = t.voter[1]);
#undef BAD
	t = good;
	t.prev = 4;
	assert_true(lease_terms_valid(&t));
	assert_int_equal(lease_voter_of(&t, LEASE_OPERATOR), 0);
	assert_int_equal(lease_voter_of(&t, 102), 2);
	assert_int_equal(lease_voter_of(&t, 103), -1);
}

/* -------------------------------------------------------------- voters --- */

static void
t_voter_yes(void **state)
{
	struct lease_terms t = terms(5, 3);
	struct lease_voter v;

	(void)state;
	lease_voter_init(&v, 101, true, 4, 4, T);
	assert_true(lease_voter_ask(&v, &t, 77, 1, T + 1));
	assert_int_equal(v.heard, 5);
	/* Another guard, another process, not a voter, spoilt terms. */
	assert_false(lease_voter_ask(&v, &t, 78, 1, T + 1));
	assert_false(lease_voter_ask(&v, &t, 77, 2, T + 1));
	t.r = 1;
	assert_false(lease_voter_ask(&v, &t, 77, 1, T + 1));
	t = terms(5, 3);
	lease_voter_init(&v, 103, true, 0, 0, T);
	assert_false(lease_voter_ask(&v, &t, 77, 1, T + 1));
	/* What it promised before its start it keeps. */
	lease_voter_init(&v, 101, true, 5, 0, T);
	assert_int_equal(v.heard, 5);
	assert_false(lease_voter_ask(&v, &t, 77, 1, T + 1));
	t = terms(6, 3);
	assert_true(lease_voter_ask(&v, &t, 77, 1, T + 1));
}

static void
t_voter_memory(void **state)
{
	struct lease_terms t = terms(5, 3);
	struct lease_voter v;

	(void)state;
	lease_voter_init(&v, 101, false, 0, 0, T);
	assert_false(lease_voter_ask(&v, &t, 77, 1, T + 1));
	assert_int_equal(v.heard, 5);
	/* A promise it may give all the same. */
	assert_int_equal(lease_voter_promise(&v, 3, T + 1), 1);
	lease_voter_told(&v, 9);
	assert_int_equal(v.heard, 9);
	assert_true(lease_voter_ask(&v, &t, 77, 1, T + 2));
}

static void
t_voter_promise(void **state)
{
	struct lease_terms t5 = terms(5, 3), t6 = terms(6, 3);
	struct lease_voter v;

	(void)state;
	lease_voter_init(&v, 101, true, 0, 0, T - 50000);
	assert_true(lease_voter_ask(&v, &t5, 77, 1, T - 3000));
	assert_true(lease_voter_ask(&v, &t6, 77, 1, T - 1000));
	/* Each age is that of the newest yes up to that epoch. */
	assert_int_equal(lease_voter_promise(&v, 5, T), 3000);
	assert_false(lease_voter_ask(&v, &t5, 77, 1, T));
	assert_true(lease_voter_ask(&v, &t6, 77, 1, T));
	assert_int_equal(lease_voter_promise(&v, 6, T + 10), 10);
	assert_false(lease_voter_ask(&v, &t6, 77, 1, T + 10));
	/* Asked again, and for less: nothing becomes possible again. */
	assert_int_equal(lease_voter_promise(&v, 5, T + 20), 3020);
	assert_int_equal(v.promised, 6);
	/* Of one it never renewed: since its start. */
	assert_int_equal(lease_voter_promise(&v, 4, T), 50000);
	/* After a restart it does not know: at most since its start. */
	lease_voter_init(&v, 101, true, 6, 6, T + 100);
	assert_int_equal(lease_voter_promise(&v, 6, T + 107), 7);
}

/* What has no place any more makes the age smaller, never larger. */
static void
t_voter_many(void **state)
{
	struct lease_voter v;
	struct lease_terms t;
	unsigned i;

	(void)state;
	lease_voter_init(&v, 101, true, 0, 0, T - 90000);
	for (i = 1; i <= LEASE_YES_MAX + 2; i++) {
		t = terms(i, 3);
		assert_true(lease_voter_ask(&v, &t, 77, 1, T - 1000 + i));
	}
	assert_int_equal(v.yes_floor_ms, T - 1000 + 2);
	assert_int_equal(lease_voter_promise(&v, 1, T), 1000 - 2);
	assert_int_equal(lease_voter_promise(&v, 4, T), 1000 - 4);
	assert_int_equal(
	    lease_voter_promise(&v, 99, T), 1000 - (LEASE_YES_MAX + 2));
}

/* ---------------------------------------------------------- the leader --- */

static void
t_auth_yes(void **state)
{
	struct lease_terms t = terms(5, 3);
	struct lease_auth a;

	(void)state;
	lease_auth_init(&a);
	assert_true(lease_auth_ask(&a, &t, 77, 1, T + 1, T));
	assert_int_equal(a.yes_ms, T);
	/* At its own deadline it leads no more. */
	assert_false(lease_auth_ask(&a, &t, 77, 1, T + 1, T + 1));
	assert_false(lease_auth_ask(&a, &t, 78, 1, T + 9, T + 1));
	assert_false(lease_auth_ask(&a, &t, 77, 2, T + 9, T + 1));
	assert_int_equal(a.yes_ms, T);
	lease_auth_revoke(&a, &t, T - 500, T + 2);
	assert_false(lease_auth_ask(&a, &t, 77, 1, T + 9, T + 3));
	/* Not a voter of it. */
	t.voter[0] = 100;
	lease_auth_init(&a);
	assert_false(lease_auth_ask(&a, &t, 77, 1, T + 1, T));
}

/* N - r + 1 promises, by N; and none of them counts twice. */
static void
t_auth_missing(void **state)
{
	struct lease_terms t;
	struct lease_auth a;
	unsigned n, i;

	(void)state;
	for (n = 1; n <= LEASE_VOTERS_MAX; n++) {
		t = terms(5, n);
		lease_auth_init(&a);
		assert_int_equal(lease_auth_missing(&a, &t),
		    n - lease_quorum((uint8_t)n) + 1);
		lease_auth_revoke(&a, &t, T, T);
		lease_auth_revoke(&a, &t, T, T);
		for (i = 1; lease_auth_missing(&a, &t) > 0; i++) {
			assert_int_equal(
			    lease_auth_over_ms(&a, &t, L, F), LEASE_FOREVER);
			lease_auth_promise(&a, &t, 100 + i, 0, T);
			lease_auth_promise(&a, &t, 100 + i, 0, T);
			lease_auth_promise(&a, &t, LEASE_OPERATOR, 0, T);
			lease_auth_promise(&a, &t, 999, 0, T);
		}
		assert_int_equal(i, n - lease_quorum((uint8_t)n) + 1);
	}
}

static void
t_auth_over(void **state)
{
	struct lease_terms t = terms(5, 2);
	struct lease_auth a;

	(void)state;
	/* Its own yes, and the other's, by the age that it gave. */
	lease_auth_init(&a);
	assert_true(lease_auth_ask(&a, &t, 77, 1, T + 9, T - 4000));
	lease_auth_revoke(&a, &t, T - 60000, T);
	lease_auth_promise(&a, &t, 101, 5000, T + 100);
	assert_int_equal(
	    lease_auth_over_ms(&a, &t, L, F), T - 4000 + L + F + 400);
	/* The predecessor may have renewed until this one began to lead. */
	lease_auth_init(&a);
	lease_auth_revoke(&a, &t, T - 1000, T);
	lease_auth_promise(&a, &t, 101, 3000, T + 100);
	assert_int_equal(
	    lease_auth_over_ms(&a, &t, L, F), T - 1000 + L + F + 400);
	/* The largest L and F of all unended epochs. */
	assert_int_equal(lease_auth_over_ms(&a, &t, 60000, 5000),
	    T - 1000 + 60000 + 5000 + 1200);
	assert_int_equal(
	    lease_auth_over_ms(&a, &t, 3000, 300), T - 1000 + L + F + 400);
	/* A promise that came late says when it came, at most. */
	lease_auth_init(&a);
	lease_auth_revoke(&a, &t, T - 60000, T);
	lease_auth_promise(&a, &t, 101, -5, T + 100);
	assert_int_equal(
	    lease_auth_over_ms(&a, &t, L, F), T + 100 + L + F + 400);
}

/* Promises that are not needed any more move nothing. */
static void
t_auth_enough(void **state)
{
	struct lease_terms t = terms(5, 3);
	struct lease_auth a;
	int64_t over;

	(void)state;
	lease_auth_init(&a);
	lease_auth_revoke(&a, &t, T - 9000, T);
	lease_auth_promise(&a, &t, 101, 8000, T);
	assert_int_equal(lease_auth_missing(&a, &t), 0);
	over = lease_auth_over_ms(&a, &t, L, F);
	lease_auth_promise(&a, &t, 102, 0, T);
	lease_auth_promise(&a, &t, 101, 0, T);
	assert_int_equal(lease_auth_over_ms(&a, &t, L, F), over);
}

static void
t_auth_nothing(void **state)
{
	struct lease_terms t = terms(5, 1), none;
	struct lease_auth a;

	(void)state;
	/* Without terms nothing is ever over. */
	memset(&none, 0, sizeof(none));
	lease_auth_init(&a);
	lease_auth_revoke(&a, &none, T, T);
	assert_true(lease_auth_missing(&a, &none) > 0);
	assert_int_equal(lease_auth_over_ms(&a, &none, L, F), LEASE_FOREVER);
	/* Nobody ever said yes: it is over. */
	lease_auth_init(&a);
	lease_auth_revoke(&a, &t, LEASE_NEVER, T);
	assert_int_equal(lease_auth_over_ms(&a, &t, L, F), LEASE_NEVER);
	/* Nobody leads from the future. */
	lease_auth_init(&a);
	lease_auth_revoke(&a, &t, T + 5000, T);
	assert_int_equal(lease_auth_over_ms(&a, &t, L, F), T + L + F + 400);
}

static void
t_auth_late(void **state)
{
	(void)state;
	assert_int_equal(
	    lease_auth_late_ms(T, L, F), T + LEASE_LOOK_MS + F + 400);
	assert_int_equal(lease_auth_late_ms(LEASE_NEVER, L, F), LEASE_NEVER);
	assert_int_equal(
	    lease_auth_late_ms(LEASE_FOREVER, L, F), LEASE_FOREVER);
}

/* By the margin for the age, at least 0.2 s; a reading that never was is none. */
static void
t_read_after(void **state)
{
	(void)state;
	assert_true(lease_auth_read_after(T, 500, T + 701));
	assert_false(lease_auth_read_after(T, 500, T + 700));
	assert_true(lease_auth_read_after(T, 50000, T + 51001));
	assert_false(lease_auth_read_after(T, 50000, T + 51000));
	assert_false(lease_auth_read_after(T, -1, T + 90000));
	assert_false(lease_auth_read_after(LEASE_NEVER, -1, T));
	assert_true(lease_auth_read_after(LEASE_NEVER, 0, T));
	assert_false(lease_auth_read_after(LEASE_FOREVER, 0, T));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_quorum),
		cmocka_unit_test(t_lengths),
		cmocka_unit_test(t_valid),
		cmocka_unit_test(t_voter_yes),
		cmocka_unit_test(t_voter_memory),
		cmocka_unit_test(t_voter_promise),
		cmocka_unit_test(t_voter_many),
		cmocka_unit_test(t_auth_yes),
		cmocka_unit_test(t_auth_missing),
		cmocka_unit_test(t_auth_over),
		cmocka_unit_test(t_auth_enough),
		cmocka_unit_test(t_auth_nothing),
		cmocka_unit_test(t_auth_late),
		cmocka_unit_test(t_read_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
