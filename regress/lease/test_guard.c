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

/* mysqld's parent and its lease: a case for each rule. */

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

static struct lease_guard g;

/* A guard whose first server runs, read-only, seen just now. */
static void
start(void)
{
	lease_guard_init(&g, 77, T);
	assert_int_equal(lease_guard_kill_ms(&g), LEASE_FOREVER);
	lease_guard_started(&g, T);
	lease_guard_local(&g, T, true, T);
}

static void
hold(uint64_t epoch, unsigned n, int64_t at)
{
	struct lease_terms t = terms(epoch, n);
	unsigned i;

	assert_int_equal(lease_guard_offer(&g, &t, at), LO_TAKEN);
	for (i = 0; i < t.r; i++)
		lease_guard_yes(&g, epoch, t.voter[i], at, at);
	assert_int_equal(lease_guard_held(&g, at), epoch);
}

static enum lease_todo
todo(int64_t now)
{
	int64_t wake;

	return lease_guard_todo(&g, now, &wake);
}

static int64_t
wake(int64_t now)
{
	int64_t w;

	(void)lease_guard_todo(&g, now, &w);
	return w;
}

/* ----------------------------------------------------------- the offers - */

static void
t_offer(void **state)
{
	struct lease_terms t = terms(5, 1);

	(void)state;
	lease_guard_init(&g, 77, T);
	assert_int_equal(lease_guard_offer(&g, &t, T), LO_REFUSED);
	assert_int_equal(g.heard, 5);
	start();
	t.guard = 78;
	assert_int_equal(lease_guard_offer(&g, &t, T), LO_REFUSED);
	t = terms(5, 1);
	t.incarnation = 2;
	assert_int_equal(lease_guard_offer(&g, &t, T), LO_REFUSED);
	t = terms(5, 1);
	t.n = 0;
	assert_int_equal(lease_guard_offer(&g, &t, T), LO_REFUSED);
	t = terms(5, 1);
	assert_int_equal(lease_guard_offer(&g, &t, T), LO_TAKEN);
	assert_int_equal(lease_guard_offer(&g, &t, T), LO_KNOWN);
	/* Not held yet: a newer one takes its place, an older one does not. */
	t = terms(7, 1);
	assert_int_equal(lease_guard_offer(&g, &t, T), LO_TAKEN);
	assert_int_equal(g.cur.t.epoch, 7);
	t = terms(6, 1);
	assert_int_equal(lease_guard_offer(&g, &t, T), LO_REFUSED);
	lease_guard_revoke(&g, 8, T);
	t = terms(8, 1);
	assert_int_equal(lease_guard_offer(&g, &t, T), LO_REFUSED);
	t = terms(9, 1);
	assert_int_equal(lease_guard_offer(&g, &t, T), LO_TAKEN);
}

/* Another process holds nothing of what its predecessor held. */
static void
t_process(void **state)
{
	struct lease_terms t = terms(5, 1);

	(void)state;
	start();
	hold(5, 1, T);
	lease_guard_ended(&g, T + 10);
	assert_int_equal(lease_guard_held(&g, T + 10), 0);
	assert_int_equal(lease_guard_kill_ms(&g), LEASE_FOREVER);
	assert_int_equal(lease_guard_offer(&g, &t, T + 20), LO_REFUSED);
	lease_guard_yes(&g, 5, LEASE_OPERATOR, T + 20, T + 20);
	lease_guard_started(&g, T + 30);
	assert_int_equal(g.incarnation, 2);
	assert_int_equal(lease_guard_offer(&g, &t, T + 40), LO_REFUSED);
	lease_guard_yes(&g, 5, LEASE_OPERATOR, T + 40, T + 40);
	assert_int_equal(lease_guard_held(&g, T + 40), 0);
	assert_false(lease_guard_may_ask(&g, T + 40));
}

/* --------------------------------------------------------- the renewals - */

/* The r-th newest counts, from its sending. */
static void
t_quorum_counts(void **state)
{
	struct lease_terms t = terms(5, 5);

	(void)state;
	start();
	assert_int_equal(lease_guard_offer(&g, &t, T), LO_TAKEN);
	lease_guard_yes(&g, 5, LEASE_OPERATOR, T + 10, T + 500);
	lease_guard_yes(&g, 5, LEASE_OPERATOR, T + 20, T + 500);
	lease_guard_yes(&g, 5, 101, T + 30, T + 500);
	lease_guard_yes(&g, 5, 999, T + 30, T + 500);
	lease_guard_yes(&g, 6, 102, T + 30, T + 500);
	lease_guard_yes(&g, 5, 102, T + 501, T + 500); /* from the future */
	assert_int_equal(lease_guard_held(&g, T + 500), 0);
	lease_guard_yes(&g, 5, 102, T, T + 500);
	assert_int_equal(lease_guard_held(&g, T + 500), 5);
	assert_int_equal(lease_guard_deadline(&g), T + L);
	lease_guard_yes(&g, 5, 103, T + 25, T + 600);
	assert_int_equal(lease_guard_deadline(&g), T + 20 + L);
	/* An older answer changes nothing. */
	lease_guard_yes(&g, 5, 103, T + 5, T + 600);
	assert_int_equal(lease_guard_deadline(&g), T + 20 + L);
}

static void
t_answer_late(void **state)
{
	struct lease_terms t = terms(5, 1);

	(void)state;
	start();
	assert_int_equal(lease_guard_offer(&g, &t, T), LO_TAKEN);
	lease_guard_yes(&g, 5, LEASE_OPERATOR, T, T + L);
	assert_int_equal(lease_guard_held(&g, T + L), 0);
	lease_guard_yes(&g, 5, LEASE_OPERATOR, T + 1, T + L);
	assert_int_equal(lease_guard_held(&g, T + L), 5);
	assert_int_equal(lease_guard_held(&g, T + L + 1), 0);
	/* What comes at the deadline finds the epoch revoked. */
	lease_guard_yes(&g, 5, LEASE_OPERATOR, T + L, T + L + 1);
	assert_int_equal(g.revoked, 5);
	assert_int_equal(lease_guard_held(&g, T + L + 1), 0);
	assert_int_equal(lease_guard_deadline(&g), LEASE_NEVER);
	assert_int_equal(lease_guard_offer(&g, &t, T + L + 2), LO_REFUSED);
}

static void
t_hung(void **state)
{
	(void)state;
	start();
	assert_false(lease_guard_may_ask(&g, T)); /* nothing was offered */
	hold(5, 1, T);
	assert_true(lease_guard_may_ask(&g, T + L - 1));
	assert_false(lease_guard_may_ask(&g, T + L));
	lease_guard_local(&g, T + 100, true, T + 200);
	assert_true(lease_guard_may_ask(&g, T + L));
	/* Started, but it has not answered yet. */
	lease_guard_started(&g, T);
	assert_false(lease_guard_may_ask(&g, T));
}

/* -------------------------------------------------------- the successor - */

static void
t_successor(void **state)
{
	struct lease_terms t = terms(6, 2);

	(void)state;
	start();
	hold(5, 1, T);
	assert_int_equal(lease_guard_offer(&g, &t, T + 100), LO_TAKEN);
	/* Until it has its quorum the old one is in force, and renewed. */
	assert_int_equal(lease_guard_held(&g, T + 100), 5);
	lease_guard_yes(&g, 5, LEASE_OPERATOR, T + 200, T + 200);
	assert_int_equal(lease_guard_deadline(&g), T + 200 + L);
	assert_int_equal(lease_guard_offer(&g, &t, T + 200), LO_KNOWN);
	lease_guard_yes(&g, 6, 101, T + 150, T + 300);
	assert_int_equal(lease_guard_held(&g, T + 300), 6);
	assert_int_equal(lease_guard_deadline(&g), T + 150 + L);
	assert_int_equal(todo(T + 300), LG_NOTHING);
	/* The old one is gone: no offer, no answer brings it back. */
	lease_guard_yes(&g, 5, LEASE_OPERATOR, T + 400, T + 400);
	assert_int_equal(lease_guard_deadline(&g), T + 150 + L);
	t = terms(5, 1);
	assert_int_equal(lease_guard_offer(&g, &t, T + 400), LO_REFUSED);
}

/* A successor that was abandoned is replaced; its end is not the old one's. */
static void
t_successor_replaced(void **state)
{
	struct lease_terms t = terms(6, 2);

	(void)state;
	start();
	hold(5, 1, T);
	assert_int_equal(lease_guard_offer(&g, &t, T), LO_TAKEN);
	t = terms(8, 2);
	assert_int_equal(lease_guard_offer(&g, &t, T), LO_TAKEN);
	t = terms(7, 2);
	assert_int_equal(lease_guard_offer(&g, &t, T), LO_REFUSED);
	lease_guard_yes(&g, 6, 101, T + 1, T + 1);
	assert_int_equal(lease_guard_held(&g, T + 1), 5);
	assert_int_equal(g.next.t.epoch, 8);
	/* The old one runs out: the successor may still come to hold. */
	assert_int_equal(todo(T + L), LG_FENCE);
	assert_int_equal(g.cur.t.epoch, 8);
	assert_int_equal(g.revoked, 5);
	lease_guard_yes(&g, 8, 101, T + L, T + L);
	assert_int_equal(lease_guard_held(&g, T + L), 8);
	assert_int_equal(todo(T + L + F), LG_NOTHING);
}

/* -------------------------------------------------------------- the end - */

static void
t_expiry(void **state)
{
	(void)state;
	start();
	hold(5, 1, T);
	assert_int_equal(todo(T + L - 1), LG_NOTHING);
	assert_int_equal(wake(T + L - 1), T + L);
	assert_int_equal(lease_guard_kill_ms(&g), T + L + F);
	assert_int_equal(todo(T + L), LG_FENCE);
	assert_int_equal(wake(T + L), T + L + F);
	assert_int_equal(g.lost_ms, T + L);
	assert_int_equal(todo(T + L + F - 1), LG_FENCE);
	assert_int_equal(todo(T + L + F), LG_KILL);
	/* Noticed late, it is late: nothing is counted from the noticing. */
	start();
	hold(5, 1, T);
	assert_int_equal(todo(T + L + F + 5000), LG_KILL);
}

static void
t_fenced(void **state)
{
	(void)state;
	start();
	hold(5, 1, T);
	assert_int_equal(todo(T + L), LG_FENCE);
	/* A query that was sent before the end says nothing about after it. */
	lease_guard_local(&g, T + L - 1, true, T + L + 1);
	assert_int_equal(todo(T + L + 1), LG_FENCE);
	lease_guard_local(&g, T + L + 2, false, T + L + 3);
	assert_int_equal(todo(T + L + 3), LG_FENCE);
	lease_guard_local(&g, T + L + 4, true, T + L + 9);
	assert_int_equal(todo(T + L + 9), LG_NOTHING);
	/* A grant may still come: unseen, it must not last. */
	assert_int_equal(
	    lease_guard_kill_ms(&g), T + L + 4 + LEASE_LOOK_MS + F);
	assert_int_equal(todo(T + L + 4 + LEASE_LOOK_MS + F), LG_KILL);
	/* Until none can come any more. */
	lease_guard_local(
	    &g, T + L + LEASE_LATE_MS - 1, true, T + L + LEASE_LATE_MS);
	assert_true(lease_guard_kill_ms(&g) != LEASE_FOREVER);
	lease_guard_local(
	    &g, T + L + LEASE_LATE_MS, true, T + L + LEASE_LATE_MS);
	assert_int_equal(lease_guard_kill_ms(&g), LEASE_FOREVER);
	assert_int_equal(todo(T + 100 * L), LG_NOTHING);
}

/* Writable without a lease: a late grant, or somebody's hand. */
static void
t_writable(void **state)
{
	int64_t t = T + 60000;

	(void)state;
	start();
	lease_guard_local(&g, t, false, t + 10);
	assert_int_equal(todo(t + 10), LG_FENCE);
	assert_int_equal(lease_guard_kill_ms(&g), t + LEASE_FENCE_MAX_MS);
	/* Seen again, the time is not counted anew. */
	lease_guard_local(&g, t + 500, false, t + 510);
	assert_int_equal(lease_guard_kill_ms(&g), t + LEASE_FENCE_MAX_MS);
	lease_guard_local(&g, t + 600, true, t + 610);
	assert_int_equal(todo(t + 610), LG_NOTHING);
	assert_int_equal(lease_guard_kill_ms(&g), LEASE_FOREVER);
}

/* A Pod that slept reads its flags first: the kill is due all the same. */
static void
t_slept(void **state)
{
	int64_t t = T + L, late;

	(void)state;
	start();
	hold(5, 1, T);
	assert_int_equal(todo(t), LG_FENCE);
	lease_guard_local(&g, t, true, t);
	late = t + LEASE_LOOK_MS + F;
	lease_guard_local(&g, late + 100, false, late + 100);
	assert_int_equal(lease_guard_kill_ms(&g), late);
	assert_int_equal(todo(late + 100), LG_KILL);
}

static void
t_revoke(void **state)
{
	struct lease_terms t = terms(6, 1);

	(void)state;
	start();
	hold(5, 1, T);
	lease_guard_revoke(&g, 4, T + 1);
	assert_int_equal(lease_guard_held(&g, T + 1), 5);
	assert_int_equal(lease_guard_offer(&g, &t, T + 1), LO_TAKEN);
	lease_guard_revoke(&g, 5, T + 100);
	assert_int_equal(lease_guard_held(&g, T + 100), 0);
	assert_int_equal(g.revoked, 5);
	assert_int_equal(lease_guard_kill_ms(&g), T + 100 + F);
	assert_int_equal(g.cur.t.epoch, 6);
	lease_guard_revoke(&g, 6, T + 200);
	assert_int_equal(g.cur.t.epoch, 0);
	/* Again: the kill does not move. */
	lease_guard_revoke(&g, 6, T + 300);
	assert_int_equal(lease_guard_kill_ms(&g), T + 100 + F);
	/* Both at once. */
	start();
	hold(5, 1, T);
	assert_int_equal(lease_guard_offer(&g, &t, T + 1), LO_TAKEN);
	lease_guard_revoke(&g, 6, T + 2);
	assert_int_equal(g.cur.t.epoch, 0);
	assert_int_equal(g.next.t.epoch, 0);
	assert_int_equal(todo(T + 2), LG_FENCE);
	/* A restart of the server forgets no revocation. */
	lease_guard_ended(&g, T + 3);
	lease_guard_started(&g, T + 4);
	t.incarnation = 2;
	assert_int_equal(lease_guard_offer(&g, &t, T + 5), LO_REFUSED);
	t.epoch = 7;
	assert_int_equal(lease_guard_offer(&g, &t, T + 5), LO_TAKEN);
}

/* The F of what it held, not of what it was offered since. */
static void
t_fence_length(void **state)
{
	struct lease_terms t = terms(6, 1);

	(void)state;
	start();
	hold(5, 1, T);
	t.fence_ms = 300;
	assert_int_equal(lease_guard_offer(&g, &t, T), LO_TAKEN);
	assert_int_equal(lease_guard_kill_ms(&g), T + L + F);
	lease_guard_yes(&g, 6, LEASE_OPERATOR, T + 1, T + 1);
	assert_int_equal(lease_guard_kill_ms(&g), T + 1 + L + 300);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_offer),
		cmocka_unit_test(t_process),
		cmocka_unit_test(t_quorum_counts),
		cmocka_unit_test(t_answer_late),
		cmocka_unit_test(t_hung),
		cmocka_unit_test(t_successor),
		cmocka_unit_test(t_successor_replaced),
		cmocka_unit_test(t_expiry),
		cmocka_unit_test(t_fenced),
		cmocka_unit_test(t_writable),
		cmocka_unit_test(t_slept),
		cmocka_unit_test(t_revoke),
		cmocka_unit_test(t_fence_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
