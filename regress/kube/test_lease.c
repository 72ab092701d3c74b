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
 * The leader's Lease (kube_lease.c) under a simulated clock, with a server
 * that is played: never two that rule, and how long a takeover takes.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <stdio.h>

#include "kube.h"

#define S  INT64_C(1000000000)
#define MS INT64_C(1000000)

/* The API server's side: one object with an optimistic lock. */
struct server {
	bool exists;
	unsigned version;
	char rv[16];
	char holder[NAME_LEN + 1];
	struct klease lease;
};

static bool
write_lease(struct server *s, enum lease_do what, const struct klease *b)
{
	if (what == LD_CREATE ?
		s->exists :
		!s->exists || strcmp(b->resource_version, s->rv) != 0)
		return false;
	s->exists = true;
	s->lease = *b;
	(void)snprintf(s->rv, sizeof(s->rv), "%u", ++s->version);
	(void)strlcpy(s->holder, b->holder, sizeof(s->holder));
	s->lease.holder = s->holder;
	s->lease.resource_version = s->rv;
	return true;
}

/* One turn of a candidate that reaches the server. */
static void
ask(struct lease *l, struct server *s, int64_t now, int64_t wall_us)
{
	struct klease b;
	enum lease_do what = lease_next(l, now, wall_us, &b);

	if (what == LD_GET) {
		lease_seen(l, now, s->exists ? &s->lease : NULL);
		what = lease_next(l, now, wall_us, &b);
	}
	if (what == LD_GET)
		return;
	if (write_lease(s, what, &b))
		lease_written(l, now, &s->lease);
	else
		lease_unsure(l);
}

/* The same, and all groups are read at once. */
static void
turn_records(struct lease *l, struct server *s, int64_t now, bool records)
{
	ask(l, s, now, now / 1000);
	if (lease_begin(l, now))
		lease_listed(l, now, records);
	(void)lease_lead(l, now);
}

static void
turn(struct lease *l, struct server *s, int64_t now, int64_t wall_us)
{
	ask(l, s, now, wall_us);
	if (lease_begin(l, now))
		lease_listed(l, now, false);
	(void)lease_lead(l, now);
}

static bool
rules(const struct lease *l, int64_t now)
{
	return l->leading && lease_valid(l, now);
}

static void
test_lease_takeover(void **state)
{
	struct server s = { 0 };
	struct lease a, b;
	int64_t now = 100 * S;

	(void)state;
	lease_init(&a, "a", 15000, 10000, 2000);
	lease_init(&b, "b", 15000, 10000, 2000);
	turn(&a, &s, now, 5);
	assert_true(lease_valid(&a, now));
	assert_int_equal(lease_deadline(&a), now + 10 * S);
	/* a renews; b looks on, its wall clock is an hour ahead. */
	for (int i = 0; i < 20; i++, now += 2 * S) {
		turn(&a, &s, now, 5 + i);
		turn(&b, &s, now + S, INT64_C(3600000000) + i);
		assert_true(lease_valid(&a, now + S));
		assert_false(lease_valid(&b, now + S));
	}
	/* a falls silent after its renewal at now - 2 s, seen at now - 1 s. */
	for (int64_t t = now; t < now - S + 15 * S; t += S) {
		turn(&b, &s, t, 0);
		assert_false(lease_valid(&b, t));
	}
	assert_false(lease_valid(&a, now - 2 * S + 10 * S));
	turn(&b, &s, now + 14 * S, 0);
	assert_true(lease_valid(&b, now + 14 * S));
	assert_int_equal(s.lease.transitions, 1);
	/* a comes back and finds it taken. */
	turn(&a, &s, now + 15 * S, 0);
	turn(&a, &s, now + 15 * S, 0);
	assert_false(a.held);
	assert_string_equal(a.holder, "b");
}

static void
test_lease_release(void **state)
{
	struct server s = { 0 };
	struct lease a, b;
	int64_t now = 100 * S;

	(void)state;
	lease_init(&a, "a", 15000, 10000, 2000);
	lease_init(&b, "b", 15000, 10000, 2000);
	turn(&a, &s, now, 1);
	turn(&b, &s, now, 2);
	lease_release(&a);
	assert_false(lease_valid(&a, now));
	turn(&a, &s, now + S, 3);
	assert_false(a.held);
	assert_string_equal(s.holder, "");
	/* Taken at the next look, and never again by the one that left. */
	turn(&b, &s, now + S, 4);
	assert_true(lease_valid(&b, now + S));
	turn(&a, &s, now + 60 * S, 5);
	assert_false(a.held);
	assert_string_equal(s.holder, "b");
}

/* With the defaults: how long until b rules, when a ends at `end`? */
static int64_t
takeover_ms(int64_t offset, uint32_t rnd, bool clean)
{
	struct server s = { 0 };
	struct lease a, b;
	int64_t now = 100 * S, ta = now, tb = now + offset, end;

	lease_init(&a, "a", 5000, 3500, 500);
	lease_init(&b, "b", 5000, 3500, 500);
	end = now + 3 * S + 1;
	while (!rules(&b, now)) {
		now = ta < tb ? ta : tb;
		if (now == ta) {
			if (clean && now > end)
				lease_release(&a);
			turn(&a, &s, now, now / 1000);
			/* Its last renewal is the worst moment to die. */
			ta = now + lease_wait(&a, now, rnd) * MS;
			if (now > end) {
				end = now;
				ta = INT64_MAX;
			}
		} else {
			turn(&b, &s, now, 0);
			tb = now + lease_wait(&b, now, rnd) * MS;
		}
		assert_false(rules(&a, now) && rules(&b, now));
	}
	assert_true(now >= end);
	return (now - end) / MS;
}

/* Besides a few round trips: a look, a write, a list. */
static void
test_lease_defaults(void **state)
{
	(void)state;
	for (int64_t o = 1; o < 600; o += 7)
		for (uint32_t rnd = 0; rnd < 256; rnd += 51) {
			assert_in_range(takeover_ms(o * MS, rnd, true), 0, 300);
			assert_in_range(
			    takeover_ms(o * MS, rnd, false), 5000, 5300);
		}
}

/* A renewal that hangs is made good within the deadline. */
static void
test_lease_hangs(void **state)
{
	struct server s = { 0 };
	struct klease body;
	struct lease a;
	int64_t now = 100 * S, sent = now;

	(void)state;
	lease_init(&a, "a", 5000, 3500, 500);
	turn(&a, &s, now, 1);
	assert_int_equal(lease_wait(&a, now + 20 * MS, 0), 480);
	now += 500 * MS;
	assert_int_equal(lease_next(&a, now, 2, &body), LD_UPDATE);
	now += lease_patience(&a) * MS;
	lease_unsure(&a);
	now += lease_wait(&a, now, 0) * MS;
	assert_int_equal(lease_next(&a, now, 3, &body), LD_GET);
	lease_seen(&a, now, &s.lease);
	assert_int_equal(lease_wait(&a, now, 0), 0);
	turn(&a, &s, now, 4);
	assert_true(now - sent < 3 * S);
	assert_int_equal(lease_deadline(&a), now + 3500 * MS);
}

/* The answer to a renewal that comes after the wish to release is no release. */
static void
test_lease_release_races(void **state)
{
	struct server s = { 0 };
	struct klease body;
	struct lease a;
	int64_t now = 100 * S;

	(void)state;
	lease_init(&a, "a", 15000, 10000, 2000);
	turn(&a, &s, now, 1);
	assert_int_equal(lease_next(&a, now + 2 * S, 2, &body), LD_UPDATE);
	assert_true(write_lease(&s, LD_UPDATE, &body));
	lease_release(&a);
	lease_written(&a, now + 2 * S, &s.lease);
	assert_true(a.held);
	assert_false(lease_valid(&a, now + 2 * S));
	turn(&a, &s, now + 3 * S, 3);
	assert_false(a.held);
	assert_string_equal(s.holder, "");
}

/* A renewal whose answer is lost moves nothing; what is found counts. */
static void
test_lease_unsure(void **state)
{
	struct server s = { 0 };
	struct klease body;
	struct lease a;
	int64_t now = 100 * S;

	(void)state;
	lease_init(&a, "a", 15000, 10000, 2000);
	turn(&a, &s, now, 1);
	assert_int_equal(lease_next(&a, now + 2 * S, 2, &body), LD_UPDATE);
	assert_true(write_lease(&s, LD_UPDATE, &body));
	lease_unsure(&a);
	assert_int_equal(lease_deadline(&a), now + 10 * S);
	assert_true(lease_valid(&a, now + 3 * S));
	assert_int_equal(lease_next(&a, now + 3 * S, 3, &body), LD_GET);
	/* A read is no renewal: the deadline stays. */
	lease_seen(&a, now + 3 * S, &s.lease);
	assert_int_equal(lease_deadline(&a), now + 10 * S);
	turn(&a, &s, now + 4 * S, 4);
	assert_int_equal(lease_deadline(&a), now + 14 * S);
	/* Deleted by hand: made again. */
	s.exists = false;
	turn(&a, &s, now + 5 * S, 5);
	turn(&a, &s, now + 5 * S, 5);
	assert_true(s.exists);
	assert_true(lease_valid(&a, now + 5 * S));
}

/* b takes the Lease of a, which fell silent; a says how long it acts, or not. */
static void
test_lease_quiet(void **state)
{
	(void)state;
	for (int how = 0; how < 6; how++) {
		struct server s = { 0 };
		struct lease a, b;
		int64_t now = 100 * S, margin = 200 * MS;

		lease_init(&a, "a", 5000, 3500, 500);
		lease_init(&b, "b", 5000, how == 5 ? 1000 : 3500, 500);
		turn(&a, &s, now, 1);
		assert_int_equal(a.quiet_ns, 0);
		turn(&b, &s, now + 100 * MS, 0);
		/* Renewed, and a does not know. */
		turn(&a, &s, now + 500 * MS, 2);
		turn(&b, &s, now + 600 * MS, 0);
		assert_int_equal(s.lease.acts_ms, 3500);
		if (how == 1)
			s.lease.acts_ms = 0; /* a release that does not */
		if (how == 2)
			s.lease.acts_ms = 100; /* somebody else's hand */
		if (how == 1 || how == 2)
			turn(&b, &s, now + 700 * MS, 0);
		if (how == 3) {
			lease_release(&a);
			turn(&a, &s, now + 700 * MS, 3);
			assert_int_equal(s.lease.acts_ms, 0);
		}
		if (how == 4) {
			/* A renewal that b did not see: it must look again. */
			turn(&a, &s, now + S, 4);
			turn(&b, &s, now + 5600 * MS, 0);
			assert_false(b.held);
			turn(&b, &s, now + 5600 * MS, 0);
			turn(&b, &s, now + 10600 * MS, 0);
			assert_true(rules(&b, now + 10600 * MS));
			assert_int_equal(lease_quiet(&b),
			    now + 5600 * MS + 3500 * MS + margin);
			continue;
		}
		if (how == 3)
			turn(&b, &s, now + 800 * MS, 0);
		turn(&b, &s, now + 5600 * MS, 0);
		assert_true(rules(&b, now + 5600 * MS));
		assert_int_equal(lease_quiet(&b),
		    how >= 1 && how <= 3 ? 0 :
					   now + 600 * MS + 3500 * MS + margin);
		if (how != 0)
			continue;
		/* The same while it renews; not once its own term ended. */
		turn(&b, &s, now + 6 * S, 0);
		assert_true(lease_quiet(&b) != 0);
		assert_false(lease_begin(&b, now + 20 * S));
		turn(&b, &s, now + 20 * S, 0);
		assert_true(rules(&b, now + 20 * S));
		assert_int_equal(lease_quiet(&b), 0);
	}
}

/*
 * Somebody frees the Lease of a leader that is cut off, or makes it shorter: it
 * acts until its deadline all the same, and nobody else leads before that.
 */
static void
test_lease_by_hand(void **state)
{
	(void)state;
	for (int how = 0; how < 7; how++) {
		struct server s = { 0 };
		struct lease a, b;
		int64_t now = 100 * S, t, deadline;

		lease_init(&a, "a", 5000, 3500, 500);
		lease_init(&b, "b", 5000, 3500, 500);
		turn(&a, &s, now, 1);
		turn(&a, &s, now + 500 * MS, 2);
		turn(&b, &s, now + 600 * MS, 0);
		deadline = lease_deadline(&a);
		if (how == 6) /* or writes another one's name */
			(void)strlcpy(s.holder, "b", sizeof(s.holder));
		else if (how == 0 || how >= 3)
			s.holder[0] = '\0';
		if (how == 1)
			s.lease.duration_s = 0;
		if (how == 2)
			s.lease.duration_s = 1;
		if (how == 3)
			lease_init(&b, "b", 5000, 3500, 500);
		if (how == 4) /* twice */
			turn(&b, &s, now + 650 * MS, 0);
		if (how == 5) {
			/* Its holder takes it back at once. */
			turn(&a, &s, now + 700 * MS, 3);
			assert_true(rules(&a, now + 700 * MS));
			turn(&a, &s, now + 800 * MS, 4);
			assert_string_equal(s.holder, "a");
			continue;
		}
		for (t = now + 700 * MS; !rules(&b, t); t += 50 * MS) {
			turn(&b, &s, t, 0);
			assert_true(t < now + 6 * S);
		}
		assert_true(t >= deadline);
		assert_true(lease_quiet(&b) <= t);
		assert_true(lease_quiet(&b) == 0 || lease_quiet(&b) > deadline);
	}
}

/* Who only made the Lease says nothing: one before it may act yet. */
static void
test_lease_quiet_made(void **state)
{
	struct server s = { 0 };
	struct lease a, b;
	int64_t now = 100 * S;

	(void)state;
	lease_init(&a, "a", 5000, 3500, 500);
	lease_init(&b, "b", 5000, 3500, 500);
	turn_records(&a, &s, now, true);
	assert_string_equal(s.holder, "a~");
	assert_int_equal(s.lease.acts_ms, 0);
	turn_records(&b, &s, now + 100 * MS, true);
	turn_records(&b, &s, now + 5100 * MS, true);
	assert_true(rules(&b, now + 5100 * MS));
	assert_int_equal(lease_quiet(&b), 0);
	assert_int_equal(s.lease.acts_ms, 3500);
}

/* The holder is cut off, its Lease is deleted, others come: nobody rules
 * before the holder's own deadline. */
static void
test_lease_deleted(void **state)
{
	(void)state;
	/* Knows the holder, also one of longer times; never saw one; saw it
	 * released. */
	for (int how = 0; how < 4; how++) {
		struct server s = { 0 };
		struct lease a, b, c;
		int64_t now = 100 * S, t, acts = how == 3 ? 50 : 10;

		lease_init(&a, "a", (acts + 5) * 1000, acts * 1000, 2000);
		lease_init(&b, "b", 15000, 10000, 2000);
		if (how == 2) {
			lease_init(&c, "c", 15000, 10000, 2000);
			turn_records(&c, &s, now, false);
			lease_release(&c);
			turn_records(&c, &s, now, true);
			turn_records(&b, &s, now, true);
			lease_init(&b, "b", 15000, 10000, 2000);
			lease_seen(&b, now, &s.lease);
			/* The released one is taken by a. */
			s.lease.holder = "";
			s.lease.duration_s = 1;
			s.lease.acts_ms = 0;
		}
		turn_records(&a, &s, now, false);
		turn_records(&a, &s, now + 2 * S, true);
		assert_true(rules(&a, now + 2 * S));
		if (how == 0 || how == 3)
			turn_records(&b, &s, now + 2 * S, true);
		s.exists = false;
		for (t = now + 3 * S; t < now + (2 + acts) * S; t += S / 4) {
			turn_records(&b, &s, t, true);
			assert_true(rules(&a, t));
			assert_false(rules(&b, t));
		}
		/* Created early all the same: a comes back and is out. */
		assert_true(s.exists);
		assert_true(b.held);
		for (; t < now + 90 * S && !rules(&b, t); t += S / 4)
			turn_records(&b, &s, t, true);
		assert_true(rules(&b, t));
		assert_true(t <= now + 3 * S + (11 + acts) * S);
	}
}

/* A healthy holder makes it again before anybody else, and rules on. */
static void
test_lease_deleted_healthy(void **state)
{
	struct server s = { 0 };
	struct lease a, b;
	int64_t now = 100 * S;

	(void)state;
	lease_init(&a, "a", 15000, 10000, 2000);
	lease_init(&b, "b", 15000, 10000, 2000);
	turn_records(&a, &s, now, false);
	turn_records(&b, &s, now, true);
	s.exists = false;
	for (int64_t t = now + S / 2; t < now + 2 * S; t += S / 4) {
		turn_records(&b, &s, t, true);
		assert_false(s.exists);
	}
	/* Its renewal is refused: it looks, and makes it. */
	turn_records(&a, &s, now + 2 * S, true);
	turn_records(&a, &s, now + 2 * S, true);
	assert_true(s.exists);
	assert_true(rules(&a, now + 11 * S));
	turn_records(&b, &s, now + 3 * S, true);
	assert_false(b.held);
	/* After its own deadline it is like anybody else. */
	s.exists = false;
	turn_records(&a, &s, now + 13 * S, true);
	turn_records(&a, &s, now + 13 * S, true);
	assert_true(s.exists);
	assert_false(rules(&a, now + 13 * S));
	turn_records(&a, &s, now + 28 * S, true);
	assert_true(rules(&a, now + 28 * S));
}

/* Fresh: at once without records; while it waits it releases nothing. */
static void
test_lease_fresh(void **state)
{
	struct server s = { 0 };
	struct lease a, b;
	int64_t now = 100 * S;

	(void)state;
	lease_init(&a, "a", 15000, 10000, 2000);
	turn_records(&a, &s, now, false);
	assert_true(rules(&a, now));
	s.exists = false;
	lease_init(&a, "a2", 15000, 10000, 2000);
	turn_records(&a, &s, now, true);
	assert_true(a.held);
	assert_false(rules(&a, now));
	turn_records(&a, &s, now + 8 * S, true);
	/* The renewal that it waits for is sent when the guard ends. */
	assert_in_range(lease_wait(&a, now + 14 * S, 0), 1000, 1001);
	/* A process that was begun anew under the same name waits, too. */
	assert_string_equal(s.holder, "a2~");
	lease_init(&b, "a2", 15000, 10000, 2000);
	for (int64_t t = now + 8 * S; t < now + 23 * S; t += S) {
		turn_records(&b, &s, t, true);
		assert_false(rules(&b, t));
	}
	lease_release(&a);
	assert_false(a.held);
	turn_records(&a, &s, now + 9 * S, true);
	assert_string_equal(s.holder, "a2~");
	lease_init(&b, "b", 15000, 10000, 2000);
	for (int64_t t = now + 9 * S; t < now + 24 * S; t += S) {
		turn_records(&b, &s, t, true);
		assert_false(rules(&b, t));
	}
	turn_records(&b, &s, now + 24 * S, true);
	assert_true(rules(&b, now + 24 * S));
}

/* Each acquisition reads the groups again; an earlier list counts nothing. */
static void
test_lease_relists(void **state)
{
	struct server s = { 0 };
	struct lease a, b;
	int64_t now = 100 * S;

	(void)state;
	lease_init(&a, "a", 3000, 2000, 400);
	lease_init(&b, "b", 3000, 2000, 400);
	ask(&a, &s, now, 0);
	assert_true(lease_begin(&a, now));
	assert_false(lease_begin(&a, now)); /* once */
	assert_false(lease_lead(&a, now));
	/* The list is slow: lost, led by b, given back, taken again. */
	turn(&b, &s, now, 0);
	turn(&b, &s, now + 4 * S, 0);
	assert_true(rules(&b, now + 4 * S));
	ask(&a, &s, now + 4 * S, 0);
	assert_false(lease_begin(&a, now + 4 * S));
	lease_listed(&a, now + 4 * S, true); /* the old one, at last */
	lease_release(&b);
	turn(&b, &s, now + 5 * S, 0);
	ask(&a, &s, now + 5 * S, 0);
	assert_true(lease_valid(&a, now + 5 * S));
	assert_true(lease_begin(&a, now + 5 * S));
	assert_false(lease_lead(&a, now + 5 * S));
	lease_listed(&a, now + 5 * S, true);
	assert_true(lease_lead(&a, now + 5 * S));
	assert_false(lease_lead(&a, now + 5 * S));
}

/* How long until somebody rules, when a hands over; others: is b there? */
static int64_t
handed_ms(int64_t offset, bool others, int *who)
{
	struct server s = { 0 };
	struct lease l[2];
	int64_t now = 100 * S, at[2] = { now, now + offset };
	int64_t since = now + 3 * S + 1;
	int i;

	lease_init(&l[0], "a", 5000, 3500, 500);
	lease_init(&l[1], "b", 5000, 3500, 500);
	for (;;) {
		i = at[0] <= at[1] || !others ? 0 : 1;
		now = at[i];
		if (i == 0 && now > since && !l[0].handing &&
		    l[0].leave_ns == 0) {
			since = now;
			lease_hand_over(&l[0], now + 60 * S);
			(void)lease_begin(&l[0], now);
			assert_false(rules(&l[0], now));
		}
		turn(&l[i], &s, now, now / 1000);
		at[i] = now + lease_wait(&l[i], now, 0) * MS;
		assert_false(rules(&l[0], now) && rules(&l[1], now));
		if (now >= since && since > 103 * S + 1)
			for (*who = 0; *who < 2; (*who)++)
				if (rules(&l[*who], now))
					return (now - since) / MS;
	}
}

/* To whoever is there, at once; to nobody it comes back, and it is no ping-pong. */
static void
test_lease_hand_over(void **state)
{
	int who;

	(void)state;
	for (int64_t o = 1; o < 600; o += 7) {
		assert_in_range(handed_ms(o * MS, true, &who), 0, 300);
		assert_int_equal(who, 1);
	}
	assert_in_range(handed_ms(1, false, &who), LEASE_LEFT_MS, 5600);
	assert_int_equal(who, 0);
}

/* What was handed over and what is left to others, step by step. */
static void
test_lease_left(void **state)
{
	struct server s = { 0 };
	struct klease body;
	struct lease a, b;
	int64_t now = 100 * S;

	(void)state;
	lease_init(&a, "a", 5000, 3500, 500);
	lease_init(&b, "b", 5000, 3500, 500);
	turn(&a, &s, now, 1);
	turn(&b, &s, now, 1);
	/* The answer to a renewal that was under way is no hand-over. */
	assert_int_equal(lease_next(&a, now, 2, &body), LD_UPDATE);
	assert_true(write_lease(&s, LD_UPDATE, &body));
	lease_hand_over(&a, now + 60 * S);
	assert_false(lease_begin(&a, now));
	lease_written(&a, now, &s.lease);
	assert_true(a.handing);
	assert_false(lease_valid(&a, now));
	turn(&a, &s, now + S, 3);
	assert_false(a.handing || a.releasing || a.held);
	assert_string_equal(s.holder, "");
	turn(&b, &s, now + S, 4);
	assert_true(rules(&b, now + S));
	assert_int_equal(b.quiet_ns, 0);
	/* b ends in order: a waits for a third one, and then takes it. */
	lease_release(&b);
	turn(&b, &s, now + 2 * S, 5);
	turn(&a, &s, now + 3 * S, 6);
	turn(&a, &s, now + 7 * S, 6);
	assert_false(a.held);
	turn(&a, &s, now + 8 * S, 6);
	assert_true(rules(&a, now + 8 * S));
	/* It leads again: made anew at once when somebody deletes it. */
	s.exists = false;
	turn(&a, &s, now + 9 * S, 7);
	turn(&a, &s, now + 9 * S, 7);
	assert_true(s.exists && rules(&a, now + 9 * S));
	/* One that falls silent is followed as ever. */
	lease_init(&b, "b2", 5000, 3500, 500);
	turn(&b, &s, now + 9 * S, 8);
	lease_hand_over(&a, now + 69 * S);
	(void)lease_begin(&a, now + 9 * S);
	turn(&a, &s, now + 9 * S, 9);
	turn(&b, &s, now + 10 * S, 9);
	assert_true(rules(&b, now + 10 * S));
	turn(&a, &s, now + 10 * S, 9);
	turn(&a, &s, now + 14 * S, 9);
	assert_false(a.held);
	turn(&a, &s, now + 15 * S, 9);
	assert_true(rules(&a, now + 15 * S));
	/* Deleted while it was being given up. */
	lease_hand_over(&a, now + 75 * S);
	(void)lease_begin(&a, now + 15 * S);
	s.exists = false;
	lease_unsure(&a);
	turn(&a, &s, now + 15 * S, 10);
	assert_false(a.handing || a.held || s.exists);
	turn(&a, &s, now + 19 * S, 10);
	assert_false(s.exists);
	turn(&a, &s, now + 20 * S, 10);
	assert_true(s.exists);
}

/*
 * Two candidates, random delays, loss of answers, restarts, hand-overs and
 * deletions of the Lease: never do both rule at one moment.
 */
static void
test_lease_random(void **state)
{
	unsigned deleted = 0;

	(void)state;
	for (unsigned seed = 1; seed <= 300; seed++) {
		struct server s = { 0 };
		struct lease l[2];
		unsigned changes = 0;
		char id[NAME_LEN];
		int last = -1;

		srandom(seed);
		lease_init(&l[0], "a", 3000, 2000, 400);
		lease_init(&l[1], "b", 3000, 2000, 400);
		for (int64_t now = S; now < 60 * S; now += 50 * MS) {
			int i = (int)(random() % 2);
			struct klease b;
			enum lease_do what;

			assert_false(rules(&l[0], now) && rules(&l[1], now));
			if (seed % 2 == 0 && random() % 200 == 0)
				s.exists = false;
			if (random() % 8 != 0)
				continue;
			if (random() % 40 == 0) {
				/* Most of them under the same name again. */
				(void)snprintf(id, sizeof(id), "%d-%lld", i,
				    seed % 4 == 0 ? (long long)now : 0);
				lease_init(&l[i], id, 3000, 2000, 400);
			}
			if (random() % 60 == 0 && rules(&l[i], now)) {
				lease_hand_over(&l[i], now + 6 * S);
				(void)lease_begin(&l[i], now);
			}
			/* Unreachable for a while, now and then. */
			if ((now / (5 * S)) % 3 == i && random() % 10 != 0)
				continue;
			what = lease_next(&l[i], now, now / 1000, &b);
			if (what == LD_GET) {
				lease_seen(
				    &l[i], now, s.exists ? &s.lease : NULL);
			} else if (!write_lease(&s, what, &b) ||
			    random() % 5 == 0)
				lease_unsure(&l[i]);
			else
				lease_written(&l[i], now, &s.lease);
			if (lease_begin(&l[i], now) || random() % 4 == 0)
				lease_listed(&l[i], now, true);
			(void)lease_lead(&l[i], now);
			for (int k = 0; k < 2; k++)
				if (rules(&l[k], now) && k != last) {
					last = k;
					changes++;
				}
		}
		assert_true(changes > 0 || seed % 2 == 0);
		deleted += seed % 2 == 0 ? changes : 0;
	}
	assert_true(deleted > 150);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lease_takeover),
		cmocka_unit_test(test_lease_release),
		cmocka_unit_test(test_lease_defaults),
		cmocka_unit_test(test_lease_hangs),
		cmocka_unit_test(test_lease_release_races),
		cmocka_unit_test(test_lease_unsure),
		cmocka_unit_test(test_lease_quiet),
		cmocka_unit_test(test_lease_quiet_made),
		cmocka_unit_test(test_lease_by_hand),
		cmocka_unit_test(test_lease_deleted),
		cmocka_unit_test(test_lease_deleted_healthy),
		cmocka_unit_test(test_lease_fresh),
		cmocka_unit_test(test_lease_relists),
		cmocka_unit_test(test_lease_hand_over),
		cmocka_unit_test(test_lease_left),
		cmocka_unit_test(test_lease_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
