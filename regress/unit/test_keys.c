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
 * Keys made and exchanged in a small world: Secrets, Pods that read theirs
 * when the kubelet gets to it (the guard up to 10 s after the sidecar), and an
 * operator that dies between any two writes. After each step every signature
 * that somebody makes must be accepted by all that live; at the end nothing
 * of the old is left.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "keys.h"

#define SITES        3
#define GUARD_LAG_MS 10000

/* A Secret, and a copy of one. */
struct copy {
	bool exists;
	struct keys_ring ring;
	char trust[KEYS_TRUST_MAX + 1];
};

static struct world {
	struct copy op, secret[SITES];
	struct pod {
		bool running, linked;
		struct copy sidecar, guard; /* as each of them read it */
		int64_t read_ms;            /* the sidecar did */
	} pod[SITES];
	int64_t now_ms;
	uint32_t drawn; /* seeds so far */
	unsigned writes;
	/* the leader's memory */
	struct keys_group g;
	struct keys_site site[SITES];
	struct keys_ring ring; /* the operator's */
	int64_t unlinked_ms[SITES];
	struct keys_want want; /* for the sites, and (op_request) itself */
	uint64_t op_request;
} w;

static const char *const names[SITES] = { "iad", "pdx", "fra" };
static uint64_t rng;

static uint32_t
rnd(uint32_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 32) % n;
}

static struct wire_pub
draw(void)
{
	uint8_t seed[WIRE_KEY_LEN] = { 0 };
	struct wire_key k;

	w.drawn++;
	memcpy(seed, &w.drawn, sizeof(w.drawn));
	wire_key_from_seed(&k, seed);
	return k.pub;
}

/* ---------------------------------------------------------- the operator --- */

static void
told(unsigned i)
{
	static struct wire_trust t;
	const struct copy *c = &w.secret[i];
	struct keys_site *s = &w.site[i];
	char err[256];

	if (c->exists) {
		s->ring = c->ring;
		s->ring.exists = true;
		s->ring.fresh = false;
		s->trust = keys_hash(c->trust, strlen(c->trust));
		assert_int_equal(wire_trust_parse(c->trust, strlen(c->trust),
				     &t, err, sizeof(err)),
		    0);
		keys_read(&w.g, i, &t);
	} else {
		s->ring.exists = false;
		s->trust = 0;
	}
	s->ring.told = true;
}

static void
told_op(void)
{
	if (w.op.exists)
		w.ring = w.op.ring;
	w.ring.exists = w.op.exists;
	w.ring.told = true;
}

/* Another leader: it knows what it reads. */
static void
lead(void)
{
	memset(w.site, 0, sizeof(w.site));
	memset(&w.g, 0, sizeof(w.g));
	memset(&w.ring, 0, sizeof(w.ring));
	w.g.site = w.site;
	w.g.n = SITES;
	for (unsigned i = 0; i < SITES; i++) {
		snprintf(
		    w.site[i].name, sizeof(w.site[i].name), "%s", names[i]);
		w.site[i].wanted = true;
		w.unlinked_ms[i] = w.now_ms;
	}
	told_op();
	for (unsigned i = 0; i < SITES; i++)
		told(i);
}

/* What links and the API say. */
static void
see(void)
{
	for (unsigned i = 0; i < SITES; i++) {
		struct keys_site *s = &w.site[i];
		const struct pod *p = &w.pod[i];

		s->linked = p->running && p->linked;
		if (s->linked) {
			w.unlinked_ms[i] = w.now_ms;
			s->reported = p->sidecar.ring.generation;
		}
		s->live =
		    p->running && w.now_ms - w.unlinked_ms[i] < KEYS_AWAY_MS;
	}
}

static void
write_op(enum keys_do what)
{
	struct keys_want want = w.want;
	struct wire_pub pub = { { 0 } };

	want.request = w.op_request;
	if (what == KEYS_NEW || what == KEYS_ADD)
		pub = draw();
	w.op.ring = w.ring;
	keys_apply(&w.op.ring, what, &pub, &want, 0);
	w.op.exists = true;
	w.writes++;
}

static void
write_site(unsigned i, enum keys_do what)
{
	struct keys_ring was = w.site[i].ring;
	struct wire_pub pub = { { 0 } };
	struct copy *c = &w.secret[i];

	if (what == KEYS_ADD)
		pub = draw();
	keys_apply(&w.site[i].ring, what, &pub, &w.want, w.site[i].reported);
	c->ring = w.site[i].ring;
	assert_true(keys_trust(&w.g, &w.ring, w.now_ms, c->trust,
			sizeof(c->trust)) > 0);
	c->exists = true;
	w.site[i].ring = was;
	w.writes++;
}

/* Seeds that are missing are drawn before a text is made: it has all. */
static void
draw_missing(void)
{
	struct wire_pub pub;

	for (unsigned i = 0; i < SITES; i++)
		if (keys_site_next(&w.g, i, &w.ring, 0, &w.want, w.now_ms) ==
		    KEYS_NEW) {
			pub = draw();
			keys_apply(&w.site[i].ring, KEYS_NEW, &pub, &w.want,
			    w.site[i].reported);
		}
}

/* One write, if any is due; it is not told yet. -1: none; SITES: its own. */
static int
step(void)
{
	char text[KEYS_TRUST_MAX + 1];
	struct keys_want want = w.want;
	enum keys_do what;
	uint64_t trust;
	int n;

	want.request = w.op_request;
	see();
	keys_observe(&w.g, &w.ring, w.now_ms);
	what = keys_op_next(&w.ring, keys_spread(&w.g, w.now_ms), &want);
	if (what != KEYS_LEAVE) {
		write_op(what);
		return SITES;
	}
	draw_missing();
	n = keys_trust(&w.g, &w.ring, w.now_ms, text, sizeof(text));
	assert_true(n >= 0);
	trust = keys_hash(text, (size_t)n);
	for (unsigned i = 0; i < SITES; i++) {
		what =
		    keys_site_next(&w.g, i, &w.ring, trust, &w.want, w.now_ms);
		if (what != KEYS_LEAVE) {
			write_site(i, what);
			return (int)i;
		}
	}
	return -1;
}

static int
step_told(void)
{
	int i = step();

	if (i == SITES)
		told_op();
	else if (i != -1)
		told((unsigned)i);
	return i;
}

/* -------------------------------------------------------------- the Pods --- */

static void
sync_pod(unsigned i)
{
	struct pod *p = &w.pod[i];

	if (!p->running || !w.secret[i].exists ||
	    p->sidecar.ring.generation == w.secret[i].ring.generation)
		return;
	/* The guard has read the one before by now. */
	if (w.now_ms - p->read_ms < GUARD_LAG_MS)
		return;
	p->guard = p->sidecar;
	p->sidecar = w.secret[i];
	p->read_ms = w.now_ms;
}

static void
start_pod(unsigned i)
{
	struct pod *p = &w.pod[i];

	if (p->running || !w.secret[i].exists)
		return;
	p->running = true;
	p->linked = true;
	p->sidecar = p->guard = w.secret[i];
	p->read_ms = w.now_ms - GUARD_LAG_MS;
}

static void
pass_time(int64_t ms)
{
	w.now_ms += ms;
	w.want.now_s = 1700000000 + w.now_ms / 1000;
	for (unsigned i = 0; i < SITES; i++)
		if (w.now_ms - w.pod[i].read_ms >= GUARD_LAG_MS)
			w.pod[i].guard = w.pod[i].sidecar;
}

/* ------------------------------------------------------------ invariants --- */

static bool
has(const struct wire_pub *pub, size_t n, const struct wire_pub *key)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(&pub[i], key, sizeof(*key)) == 0)
			return true;
	return false;
}

/* As wire_trust_parse() would, which proves each key to be one: slowly. */
static bool
believes(const struct copy *c, const char *site, const struct wire_pub *key)
{
	char line[WIRE_HEX_LEN + NAME_LEN + 16], hex[WIRE_HEX_LEN + 1];

	wire_hex(key->b, hex);
	snprintf(line, sizeof(line), "%s%s %s\n",
	    site[0] == '\0' ? "operator" : "site ", site, hex);
	return strstr(c->trust, line) != NULL;
}

static void
check_pod(unsigned i)
{
	const struct copy *mine[] = { &w.pod[i].sidecar, &w.pod[i].guard };
	struct wire_pub acc[WIRE_PUBS_MAX];
	size_t n;

	n = keys_accepted(&w.site[i].ring, &w.site[i].listed, acc);
	for (int k = 0; k < 2; k++) {
		const struct wire_pub *key = &mine[k]->ring.pub[0];

		assert_true(has(acc, n, key));
		assert_true(believes(mine[k], "", &w.ring.pub[0]));
		for (unsigned q = 0; q < SITES; q++) {
			/* No voter of its own site: it need not believe itself. */
			if (!w.pod[q].running || q == i)
				continue;
			assert_true(believes(&w.pod[q].sidecar, names[i], key));
			assert_true(believes(&w.pod[q].guard, names[i], key));
		}
	}
}

static void
check(void)
{
	for (unsigned i = 0; i < SITES; i++)
		if (w.pod[i].running)
			check_pod(i);
}

static void
check_end(void)
{
	assert_int_equal(w.op.ring.n, 1);
	assert_int_equal(w.op.ring.done, w.op_request);
	for (unsigned i = 0; i < SITES; i++) {
		struct wire_trust t;
		char err[256];
		const char *text = w.secret[i].trust;

		assert_int_equal(w.secret[i].ring.n, 1);
		assert_int_equal(w.secret[i].ring.done, w.want.request);
		assert_string_equal(text, w.secret[0].trust);
		assert_int_equal(
		    wire_trust_parse(text, strlen(text), &t, err, sizeof(err)),
		    0);
		assert_int_equal(t.n_operator, 1);
		assert_int_equal(t.n_sites, SITES);
		for (unsigned s = 0; s < SITES; s++)
			assert_int_equal(t.sites[s].n, 1);
	}
}

/* ----------------------------------------------------------------- tests --- */

static void
world(void)
{
	memset(&w, 0, sizeof(w));
	pass_time(1000);
	lead();
	while (step_told() != -1)
		continue;
	for (unsigned i = 0; i < SITES; i++)
		start_pod(i);
	check();
	check_end();
}

/* Time passes, Pods read, the leader writes, until nothing is left to do. */
static void
finish(void)
{
	int quiet = 0;

	for (int n = 0; quiet < 30; n++) {
		assert_true(n < 2000);
		pass_time(5000);
		check();
		quiet = step_told() == -1 ? quiet + 1 : 0;
		check();
		for (unsigned i = 0; i < SITES; i++) {
			sync_pod(i);
			check();
		}
	}
}

static void
test_made(void **state)
{
	world();
	/* One write each: the text has all of them from the first one on. */
	assert_int_equal(w.writes, 1 + SITES);
	w.writes = 0;
	finish();
	assert_int_equal(w.writes, 0);
}

static void
test_rotate(void **state)
{
	struct wire_pub was = w.op.ring.pub[0];

	world();
	was = w.op.ring.pub[0];
	w.op_request = 5;
	finish();
	check_end();
	assert_memory_not_equal(&was, &w.op.ring.pub[0], sizeof(was));
	was = w.secret[1].ring.pub[0];
	w.want.request = 6;
	finish();
	check_end();
	assert_memory_not_equal(&was, &w.secret[1].ring.pub[0], sizeof(was));
	/* The same request is not followed twice. */
	w.writes = 0;
	finish();
	assert_int_equal(w.writes, 0);
}

static void
test_age(void **state)
{
	world();
	w.want.age_s = 90 * 86400;
	finish();
	w.writes = 0;
	pass_time(80LL * 86400 * 1000);
	finish();
	assert_int_equal(w.writes, 0);
	pass_time(11LL * 86400 * 1000);
	finish();
	check_end();
	/* Four rings, each: add, switch, and twice the trust of the others. */
	assert_true(w.writes >= 4 * (2 + 2 * (SITES - 1)));
}

/*
 * Rotate all; the leader dies right after its k-th write, before or after it
 * could learn of its success, and once more after the m-th.
 */
static void
rotate_with_deaths(unsigned k, unsigned m, bool learn)
{
	int quiet = 0, i;

	world();
	w.op_request = 5;
	w.want.request = 6;
	w.writes = 0;
	for (int n = 0; quiet < 30; n++) {
		assert_true(n < 4000);
		pass_time(5000);
		i = step();
		quiet = i == -1 ? quiet + 1 : 0;
		if (i != -1 && (w.writes == k || w.writes == m)) {
			if (learn)
				check();
			lead();
		} else if (i == SITES)
			told_op();
		else if (i != -1)
			told((unsigned)i);
		check();
		for (unsigned p = 0; p < SITES; p++) {
			sync_pod(p);
			check();
		}
	}
	check_end();
}

static void
test_deaths(void **state)
{
	unsigned total;

	rotate_with_deaths(0, 0, false);
	total = w.writes;
	assert_true(total >= 4 * (2 + 2 * (SITES - 1)));
	for (unsigned k = 1; k <= total; k++)
		for (unsigned m = k; m <= total; m += 7)
			rotate_with_deaths(k, m, true);
}

/* Anything, in any order. */
static void
random_step(void)
{
	unsigned i = rnd(SITES);

	switch (rnd(12)) {
	case 0:
		lead();
		break;
	case 1:
		w.pod[i].running = false;
		break;
	case 2:
		start_pod(i);
		break;
	case 3:
		w.pod[i].linked = false;
		break;
	case 4:
		w.pod[i].linked = w.pod[i].running;
		break;
	case 5:
		if (rnd(20) == 0)
			w.op_request++;
		break;
	case 6:
		if (rnd(20) == 0)
			w.want.request++;
		break;
	case 7:
		/* By a person, while the leader remembers it. */
		if (rnd(10) == 0) {
			memset(&w.secret[i], 0, sizeof(w.secret[i]));
			told(i);
		} else if (rnd(10) == 0) {
			memset(&w.op, 0, sizeof(w.op));
			told_op();
		}
		while (!w.op.exists || !w.secret[i].exists)
			assert_int_not_equal(step_told(), -1);
		break;
	default:
		sync_pod(i);
		break;
	}
}

static void
test_random(void **state)
{
	for (uint64_t seed = 1; seed <= 24; seed++) {
		rng = seed * 0x9e3779b97f4a7c15ULL;
		world();
		for (int n = 0; n < 1500; n++) {
			random_step();
			check();
			(void)step_told();
			check();
			pass_time(rnd(4) == 0 ? 10000 : 1000);
			check();
		}
		for (unsigned i = 0; i < SITES; i++) {
			start_pod(i);
			w.pod[i].linked = true;
		}
		finish();
		check_end();
	}
}

/* A Pod that is away, or alive and cut off for long, keeps nobody waiting. */
static void
test_away(void **state)
{
	world();
	w.pod[2].running = false;
	w.op_request = 5;
	w.want.request = 6;
	finish();
	check_end();
	start_pod(2);
	check();
	world();
	w.pod[1].linked = false;
	w.op_request = 5;
	w.writes = 0;
	for (int n = 0; n < 100; n++) {
		pass_time(5000);
		(void)step_told();
		sync_pod(0);
		sync_pod(2);
	}
	/* Both are accepted while it lasts. */
	assert_int_equal(w.op.ring.n, 2);
	for (int n = 0; n < 200; n++) {
		pass_time(5000);
		(void)step_told();
		sync_pod(0);
		sync_pod(1);
		sync_pod(2);
		check();
	}
	check_end();
	assert_int_equal(w.op.ring.done, 5);
}

/* A linked Pod whose kubelet does not bring the Secret: nothing is switched. */
static void
test_stuck(void **state)
{
	struct wire_pub was;

	world();
	was = w.op.ring.pub[0];
	w.op_request = 5;
	for (int n = 0; n < 1000; n++) {
		pass_time(5000);
		(void)step_told();
		sync_pod(0);
		sync_pod(2);
		check();
	}
	assert_int_equal(w.op.ring.n, 2);
	assert_memory_equal(&was, &w.op.ring.pub[0], sizeof(was));
	finish();
	check_end();
}

/* A site's Secret is deleted and the leader that knew its seed is gone. */
static void
test_lost(void **state)
{
	struct wire_pub was;

	world();
	finish();
	was = w.secret[1].ring.pub[0];
	memset(&w.secret[1], 0, sizeof(w.secret[1]));
	lead();
	/* It still signs with what it has, and everybody accepts it. */
	check();
	finish();
	check_end();
	assert_memory_not_equal(&was, &w.secret[1].ring.pub[0], sizeof(was));
	assert_int_equal(
	    w.pod[1].sidecar.ring.generation, w.secret[1].ring.generation);
}

/* A number that the Pod has read with other contents is never used again. */
static void
test_generation(void **state)
{
	struct keys_ring r = { .generation = 7 };

	assert_int_equal(keys_generation(&r, 0, 0), 8);
	assert_int_equal(keys_generation(&r, 20, 0), 21);
	assert_int_equal(keys_generation(&r, 20, 1000), 1000);
	world();
	w.pod[0].sidecar.ring.generation += 1000000;
	w.pod[0].guard.ring.generation += 1000000;
	assert_int_equal(step_told(), 0);
	assert_true(
	    w.secret[0].ring.generation > w.pod[0].sidecar.ring.generation);
	assert_int_equal(step_told(), -1);
}

/* Nothing is written before all is known. */
static void
test_not_told(void **state)
{
	world();
	lead();
	w.op_request = 1;
	w.want.request = 1;
	w.site[2].ring.told = false;
	finish();
	assert_int_equal(w.secret[0].ring.done, 0);
	w.ring.told = false;
	w.site[0].trust = 1;
	assert_int_equal(step(), -1);
	lead();
	w.ring.told = false;
	w.ring.n = 0;
	assert_int_equal(step(), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made),
		cmocka_unit_test(test_rotate),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_away),
		cmocka_unit_test(test_stuck),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_generation),
		cmocka_unit_test(test_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
