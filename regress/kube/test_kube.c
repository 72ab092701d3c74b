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
 * kube-watcher's pure parts: splitting lists and watches, the Lease under a
 * simulated clock, the order of labels, when a record is ours, back-off.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "kube.h"
#include "kube_split.h"

/* ------------------------------------------------------------------- split */

struct got {
	char text[16][64];
	int n, stop_at;
};

static int
item(void *arg, char *text, size_t len)
{
	struct got *g = arg;

	assert_int_equal(strlen(text), len);
	assert_true(g->n < 16);
	assert_true(strlcpy(g->text[g->n++], text, 64) < 64);
	return g->n == g->stop_at ? -1 : 0;
}

/* However the bytes are cut, the same objects come out. */
static void
split_at(bool list, const char *in, size_t cut, struct got *g, char *frame,
    size_t size)
{
	struct split s;
	size_t len = strlen(in), flen;
	char *f;

	memset(g, 0, sizeof(*g));
	split_init(&s, list, 64, item, g);
	for (size_t i = 0; i < len; i += cut)
		assert_int_equal(
		    split_feed(&s, in + i, i + cut > len ? len - i : cut), 0);
	if (list) {
		assert_non_null(f = split_frame(&s, &flen));
		assert_true(strlcpy(frame, f, size) < size);
		assert_int_equal(strlen(f), flen);
	}
	split_free(&s);
}

static void
test_split_watch(void **state)
{
	static const char in[] = "{\"a\":{\"b\":[1,2]}}\n{\"s\":\"}\\\"{\"}\n"
				 "{}\r\n {\"u\":\"\\\\\"}";
	struct got g;

	(void)state;
	for (size_t cut = 1; cut < sizeof(in); cut++) {
		split_at(false, in, cut, &g, NULL, 0);
		assert_int_equal(g.n, 4);
		assert_string_equal(g.text[0], "{\"a\":{\"b\":[1,2]}}");
		assert_string_equal(g.text[1], "{\"s\":\"}\\\"{\"}");
		assert_string_equal(g.text[2], "{}");
		assert_string_equal(g.text[3], "{\"u\":\"\\\\\"}");
	}
}

static void
test_split_list(void **state)
{
	static const char typed[] =
	    "{\"kind\":\"PodList\",\"metadata\":"
	    "{\"resourceVersion\":\"7\",\"continue\":\"x\"},\"items\":"
	    "[{\"n\":1,\"items\":[{}]},{\"n\":2}]}\n";
	static const char sorted[] =
	    "{\"items\": [ {\"n\":1,\"items\":[{}]} ,\n"
	    "{\"n\":2} ], \"metadata\":{\"resourceVersion\":\"7\"}}";
	char frame[256];
	struct got g;

	(void)state;
	for (size_t cut = 1; cut < sizeof(typed); cut++) {
		split_at(true, typed, cut, &g, frame, sizeof(frame));
		assert_int_equal(g.n, 2);
		assert_string_equal(g.text[0], "{\"n\":1,\"items\":[{}]}");
		assert_string_equal(g.text[1], "{\"n\":2}");
		assert_string_equal(frame,
		    "{\"kind\":\"PodList\",\"metadata\":"
		    "{\"resourceVersion\":\"7\",\"continue\":\"x\"},"
		    "\"items\":[]}");
	}
	for (size_t cut = 1; cut < sizeof(sorted); cut++) {
		split_at(true, sorted, cut, &g, frame, sizeof(frame));
		assert_int_equal(g.n, 2);
		assert_string_equal(frame,
		    "{\"items\": [], "
		    "\"metadata\":{\"resourceVersion\":\"7\"}}");
	}
	split_at(true, "{\"items\":[],\"metadata\":{}}", 3, &g, frame,
	    sizeof(frame));
	assert_int_equal(g.n, 0);
	split_at(true, "{\"metadata\":{},\"items\":null}", 3, &g, frame,
	    sizeof(frame));
	assert_int_equal(g.n, 0);
	assert_string_equal(frame, "{\"metadata\":{},\"items\":null}");
}

static int
feed(bool list, const char *in, int stop_at)
{
	struct got g = { .stop_at = stop_at };
	struct split s;
	size_t len;
	int r;

	split_init(&s, list, 16, item, &g);
	r = split_feed(&s, in, strlen(in));
	if (r == 0 && list && split_frame(&s, &len) == NULL)
		r = -1;
	split_free(&s);
	return r;
}

static void
test_split_refuses(void **state)
{
	static const struct {
		bool list;
		const char *in;
		int error;
	} bad[] = {
		{ false, "<html>", EBADMSG },
		{ false, "]", EBADMSG },
		{ false, "[{}]", EBADMSG },
		{ false, "{\"a\":\"0123456789abcdef\"}", ERANGE },
		{ true, "{\"items\":[{\"a\":\"0123456789abcdef\"}]}", ERANGE },
		{ true, "{\"items\":[{\"a\":1}", EBADMSG }, /* cut */
		{ true, "{\"items\":[[1]]}", EBADMSG },
		{ true, "{\"items\":[]}}", EBADMSG },
		{ true, "", EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < PS_NITEMS(bad); i++) {
		errno = 0;
		assert_int_equal(feed(bad[i].list, bad[i].in, 0), -1);
		assert_int_equal(errno, bad[i].error);
	}
	errno = 0;
	assert_int_equal(feed(false, "{}{}{}", 2), -1);
	assert_int_equal(errno, ECANCELED);
}

/* ------------------------------------------------------------------- Lease */

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

/* The holder is cut off, its Lease is deleted, others come: nobody rules
 * before the holder's own deadline. */
static void
test_lease_deleted(void **state)
{
	(void)state;
	/* Knows the holder; never saw one; saw it released. */
	for (int how = 0; how < 3; how++) {
		struct server s = { 0 };
		struct lease a, b, c;
		int64_t now = 100 * S, t;

		lease_init(&a, "a", 15000, 10000, 2000);
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
		}
		turn_records(&a, &s, now, false);
		turn_records(&a, &s, now + 2 * S, true);
		assert_true(rules(&a, now + 2 * S));
		if (how == 0)
			turn_records(&b, &s, now + 2 * S, true);
		s.exists = false;
		for (t = now + 3 * S; t < now + 12 * S; t += S / 4) {
			turn_records(&b, &s, t, true);
			assert_true(rules(&a, t));
			assert_false(rules(&b, t));
		}
		/* Created early all the same: a comes back and is out. */
		assert_true(s.exists);
		assert_true(b.held);
		for (; t < now + 60 * S && !rules(&b, t); t += S / 4)
			turn_records(&b, &s, t, true);
		assert_true(rules(&b, t));
		assert_true(t <= now + 3 * S + 21 * S);
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

/*
 * Two candidates, random delays, loss of answers, restarts and deletions of
 * the Lease: never do both rule at one moment.
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

/* ------------------------------------------------------------------ labels */

#define P RL_PRIMARY
#define R RL_REPLICA
#define F RL_FENCED

static void
test_labels(void **state)
{
	static const struct {
		struct klabel l[3];
		int next;
	} t[] = {
		/* want role, healthy; live role, healthy */
		{ { { P, 1, P, 1 }, { R, 1, R, 1 }, { R, 1, R, 1 } }, -1 },
		{ { { P, 1, R, 0 }, { R, 1, R, 1 }, { R, 1, R, 1 } }, 0 },
		/* The old primary first, wherever it stands. */
		{ { { P, 1, R, 1 }, { R, 0, P, 1 }, { R, 1, R, 1 } }, 1 },
		{ { { R, 0, P, 1 }, { P, 1, R, 1 }, { R, 1, R, 1 } }, 0 },
		{ { { P, 1, R, 1 }, { R, 1, R, 0 }, { R, 1, R, 1 } }, 1 },
		/* Fenced counts as not primary. */
		{ { { F, 1, P, 1 }, { R, 1, R, 1 }, { R, 1, R, 1 } }, 0 },
		/* A Pod without labels of ours. */
		{ { { R, 0, -1, -1 }, { P, 1, P, 1 }, { R, 1, R, 1 } }, 0 },
	};

	(void)state;
	for (size_t i = 0; i < PS_NITEMS(t); i++)
		assert_int_equal(klabel_next(t[i].l, 3), t[i].next);
	assert_int_equal(klabel_next(NULL, 0), -1);
}

/* From any labels to any wanted ones, never two primaries on the way. */
static void
test_labels_never_two(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 4 * 4 * 4 * 4; c++) {
		struct klabel l[3];
		unsigned primaries, steps = 0;
		int i;

		for (unsigned k = 0; k < 3; k++) {
			unsigned live = c >> (2 * k) & 3;

			l[k] = (struct klabel) { k == c >> 6 ? P : R, true,
				live == 3 ? -1 : (int)live, 0 };
		}
		primaries =
		    (l[0].role == P) + (l[1].role == P) + (l[2].role == P);
		while ((i = klabel_next(l, 3)) != -1) {
			unsigned now;

			l[i].role = (int)l[i].want_role;
			l[i].healthy = l[i].want_healthy;
			now = (l[0].role == P) + (l[1].role == P) +
			    (l[2].role == P);
			assert_true(now <= 1 || now <= primaries);
			assert_true(now <= primaries || now == 1);
			primaries = now;
			assert_true(++steps <= 3);
		}
		for (unsigned k = 0; k < 3; k++)
			assert_int_equal(l[k].role, l[k].want_role);
	}
}

/* ------------------------------------------------------------- record, own */

static void
test_record_is(void **state)
{
	static struct m_record_put p;
	static struct m_record r;

	(void)state;
	p.base_version = 4;
	p.epoch = r.epoch = 9;
	r.version = 5;
	(void)strlcpy(p.active, "iad", sizeof(p.active));
	(void)strlcpy(r.active, "iad", sizeof(r.active));
	p.n_unended = r.n_unended = 1;
	p.unended[0].epoch = r.unended[0].epoch = 9;
	assert_true(krecord_is(&r, &p));
	assert_int_equal(krecord_step(&r, &p), KR_DONE);
	r.active[0] = 'X'; /* somebody else's */
	assert_int_equal(krecord_step(&r, &p), KR_CONFLICT);
	r.version = 4;
	assert_int_equal(krecord_step(&r, &p), KR_SEND);
	r.active[0] = 'i';
	r.version = 6;
	assert_false(krecord_is(&r, &p));
	r.version = 5;
	r.unended[0].proc_start_ms = 1;
	assert_false(krecord_is(&r, &p));
	r.unended[0].proc_start_ms = 0;
	(void)strlcpy(r.seen_gtid, "x", sizeof(r.seen_gtid));
	assert_false(krecord_is(&r, &p));
}

static void
test_own_differs(void **state)
{
	struct kown o = {
		.exists = true, .wanted = 1, .applied = 2, .live = 2
	};

	(void)state;
	assert_false(kown_differs(&o, 1, false));
	assert_true(kown_differs(&o, 3, false));
	o.live = 7;
	assert_true(kown_differs(&o, 1, false));
	/* What is only created is never written again. */
	assert_false(kown_differs(&o, 3, true));
	o.exists = false;
	assert_true(kown_differs(&o, 1, true));
	assert_true(kown_differs(&o, 1, false));
}

static void
test_backoff(void **state)
{
	struct backoff b = { 100, 1000, 0 };
	static const int64_t most[] = { 100, 200, 400, 800, 1000, 1000 };

	(void)state;
	for (size_t i = 0; i < PS_NITEMS(most); i++) {
		uint32_t rnd = (uint32_t)i * 51;
		int64_t ms = backoff_next(&b, rnd);

		assert_true(ms <= most[i] && ms >= most[i] * 3 / 4);
	}
	backoff_reset(&b);
	assert_int_equal(backoff_next(&b, 0), 100);
}

static void
test_escape(void **state)
{
	char out[16];

	(void)state;
	assert_int_equal(kh_escape(out, sizeof(out), "a=b,c/~"), 0);
	assert_string_equal(out, "a%3Db%2Cc%2F~");
	errno = 0;
	assert_int_equal(kh_escape(out, sizeof(out), "======"), -1);
	assert_int_equal(errno, ERANGE);
}

static void
test_resource(void **state)
{
	static const char *const t[][2] = {
		{ "/api/v1/namespaces/db/pods/a?b=/c", "pods" },
		{ "/api/v1/pods?limit=1", "pods" },
		{ "/apis/apps/v1/namespaces/db/deployments", "deployments" },
		{ "/apis/shipstream.io/v1alpha1/mysqlfailovergroups?x",
		    "mysqlfailovergroups" },
		{ "/apis", "apis" },
		{ "/version", "version" },
	};
	char out[KH_RESOURCE_LEN + 1];

	(void)state;
	for (size_t i = 0; i < PS_NITEMS(t); i++) {
		kh_resource(t[i][0], out);
		assert_string_equal(out, t[i][1]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split_watch),
		cmocka_unit_test(test_split_list),
		cmocka_unit_test(test_split_refuses),
		cmocka_unit_test(test_lease_takeover),
		cmocka_unit_test(test_lease_release),
		cmocka_unit_test(test_lease_release_races),
		cmocka_unit_test(test_lease_unsure),
		cmocka_unit_test(test_lease_deleted),
		cmocka_unit_test(test_lease_deleted_healthy),
		cmocka_unit_test(test_lease_fresh),
		cmocka_unit_test(test_lease_relists),
		cmocka_unit_test(test_lease_random),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_labels_never_two),
		cmocka_unit_test(test_record_is),
		cmocka_unit_test(test_own_differs),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_resource),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
