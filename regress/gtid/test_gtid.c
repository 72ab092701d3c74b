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

/* GTID sets against a model that counts single transactions. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gtid.h"

#define U1 "3e11fa47-71ca-11e1-9e33-c80aa9429562"
#define U2 "4e11fa47-71ca-11e1-9e33-c80aa9429562"
#define U3 "5e11fa47-71ca-11e1-9e33-c80aa9429562"

static const struct {
	const char *in;
	const char *out; /* NULL: see err */
	int err;
} parse_cases[] = {
	{ "", "", 0 },
	{ " \n\t", "", 0 },
	{ ",", "", 0 },
	{ U1 ":1", U1 ":1", 0 },
	{ U1 ":1-5", U1 ":1-5", 0 },
	{ U1 ":1-5:6-9", U1 ":1-9", 0 },
	{ U1 ":6-9:1-5", U1 ":1-9", 0 },
	{ U1 ":1-5:7", U1 ":1-5:7", 0 },
	{ U1 ":7:1-5:3-8", U1 ":1-8", 0 },
	{ U1 ":2:4:6:1-9", U1 ":1-9", 0 },
	{ U2 ":1,\n" U1 ":2", U1 ":2," U2 ":1", 0 },
	{ "3E11FA47-71CA-11E1-9E33-C80AA9429562:1-3", U1 ":1-3", 0 },
	{ " " U1 " : 1 - 3 : 5 , " U2 ":1 ", U1 ":1-3:5," U2 ":1", 0 },
	{ U1 ":1-3," U1 ":4-5", U1 ":1-5", 0 },
	{ U1 ":Tag_1:1-9", U1 ":tag_1:1-9", 0 },
	{ U1 ":1-2:b:1:a:3-4:9", U1 ":1-2:a:3-4:9:b:1", 0 },
	{ U1 ":a:1," U1 ":5", U1 ":5:a:1", 0 },
	{ U1 ":9223372036854775806", U1 ":9223372036854775806", 0 },
	{ U1 ":9223372036854775807", NULL, EBADMSG },
	{ U1 ":99999999999999999999", NULL, EBADMSG },
	{ U1 ":0", NULL, EBADMSG },
	{ U1 ":5-4", NULL, EBADMSG },
	{ U1 ":", NULL, EBADMSG },
	{ U1, NULL, EBADMSG },
	{ U1 ":tag", NULL, EBADMSG },
	{ U1 ":1:tag", NULL, EBADMSG },
	{ U1 ":1:tag:", NULL, EBADMSG },
	{ U1 ":1-", NULL, EBADMSG },
	{ U1 ":1 2", NULL, EBADMSG },
	{ U1 ":1x", NULL, EBADMSG },
	{ U1 ":1;" U2 ":1", NULL, EBADMSG },
	{ "x", NULL, EBADMSG },
	{ "3e11fa47", NULL, EBADMSG },
	{ "3e11fa4771ca-11e1-9e33-c80aa94295622:1", NULL, EBADMSG },
	{ U1 ":a234567890123456789012345678901b:1",
	    U1 ":a234567890123456789012345678901b:1", 0 },
	{ U1 ":a2345678901234567890123456789012b:1", NULL, EBADMSG },
};

static void
test_parse(void **state)
{
	static struct gtid_set s;
	char buf[512];
	size_t i;
	int ret;

	(void)state;
	for (i = 0; i < sizeof(parse_cases) / sizeof(parse_cases[0]); i++) {
		ret = gtid_parse(&s, parse_cases[i].in);
		if (parse_cases[i].out == NULL) {
			assert_int_equal(ret, -1);
			assert_int_equal(errno, parse_cases[i].err);
			continue;
		}
		assert_int_equal(ret, 0);
		assert_int_equal(gtid_print(&s, buf, sizeof(buf)), 0);
		assert_string_equal(buf, parse_cases[i].out);
	}
}

static void
test_capacity(void **state)
{
	static struct gtid_set s, one, d;
	static char text[65536], out[65536];
	size_t n;
	int i;

	(void)state;
	n = (size_t)snprintf(text, sizeof(text), U1);
	for (i = 0; i < GTID_IVALS_MAX; i++)
		n += (size_t)snprintf(
		    text + n, sizeof(text) - n, ":%d", 2 * i + 1);
	assert_int_equal(gtid_parse(&s, text), 0);
	assert_int_equal(gtid_count(&s), GTID_IVALS_MAX);
	assert_int_equal(gtid_print(&s, out, sizeof(out)), 0);
	assert_string_equal(out, text);
	assert_int_equal(gtid_print(&s, out, 100), -1);
	assert_int_equal(errno, ERANGE);
	/* a full set still takes what joins its intervals ... */
	assert_int_equal(gtid_parse(&one, U1 ":2"), 0);
	assert_int_equal(gtid_union(&d, &s, &one), 0);
	/* ... but nothing apart from them, whatever the UUID */
	assert_int_equal(gtid_parse(&one, U2 ":2"), 0);
	assert_int_equal(gtid_union(&d, &s, &one), -1);
	assert_int_equal(errno, ERANGE);
	snprintf(text + n, sizeof(text) - n, ":%d", 2 * i + 1);
	assert_int_equal(gtid_parse(&s, text), -1);
	assert_int_equal(errno, ERANGE);
	for (i = 0, n = 0; i <= GTID_SIDS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
		    "%08x-71ca-11e1-9e33-c80aa9429562:1,", i);
	assert_int_equal(gtid_parse(&s, text), -1);
	assert_int_equal(errno, ERANGE);
}

static void
test_count(void **state)
{
	static struct gtid_set s;

	(void)state;
	assert_int_equal(gtid_parse(&s, U1 ":1-10:21-30:t:1," U2 ":5"), 0);
	assert_int_equal(gtid_count(&s), 22);
	assert_int_equal(
	    gtid_parse(
		&s, U1 ":1-9223372036854775806," U2 ":1-9223372036854775806"),
	    0);
	assert_true(gtid_count(&s) == INT64_MAX);
}

/* The model: 3 UUIDs, with and without tag, transactions 1..GNOS. */
#define SLOTS 6
#define GNOS  24

struct model {
	bool has[SLOTS][GNOS + 1];
};

static const char *const slot_text[SLOTS] = { U1 ":", U1 ":t:", U2 ":",
	U2 ":a:", U2 ":b:", U3 ":" };

static uint64_t rng;

static uint32_t
rnd(uint32_t n)
{
	rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(rng >> 33) % n;
}

static void
model_random(struct model *m, char *text, size_t len)
{
	size_t n = 0;
	uint32_t i, k, a, b, g;

	memset(m, 0, sizeof(*m));
	*text = '\0';
	for (i = rnd(10); i > 0; i--) {
		k = rnd(SLOTS);
		a = 1 + rnd(GNOS);
		b = a + rnd(6);
		if (b > GNOS)
			b = GNOS;
		for (g = a; g <= b; g++)
			m->has[k][g] = true;
		n += (size_t)snprintf(text + n, len - n,
		    a == b ? "%s%s%u" : "%s%s%u-%u", n > 0 ? ",\n" : "",
		    slot_text[k], a, b);
	}
}

static void
model_check(const struct model *m, const struct gtid_set *s)
{
	static struct gtid_set t;
	char text[128], buf[8192];
	int k, g;
	int64_t n = 0;

	for (k = 0; k < SLOTS; k++)
		for (g = 1; g <= GNOS; g++) {
			snprintf(text, sizeof(text), "%s%d", slot_text[k], g);
			assert_int_equal(gtid_parse(&t, text), 0);
			assert_int_equal(gtid_contains(s, &t), m->has[k][g]);
			n += m->has[k][g];
		}
	assert_int_equal(gtid_count(s), n);
	assert_int_equal(gtid_empty(s), n == 0);
	/* what is printed is read back as the same set */
	assert_int_equal(gtid_print(s, buf, sizeof(buf)), 0);
	assert_int_equal(gtid_parse(&t, buf), 0);
	assert_true(gtid_equal(s, &t));
}

static void
one_round(void)
{
	static struct gtid_set a, b, u, d, t;
	struct model ma, mb, mu, md;
	char ta[4096], tb[4096];
	bool contains = true, equal = true;
	int k, g;

	model_random(&ma, ta, sizeof(ta));
	model_random(&mb, tb, sizeof(tb));
	if (rnd(4) == 0)
		strlcat(
		    ta, tb[0] != '\0' && ta[0] != '\0' ? "," : "", sizeof(ta));
	assert_int_equal(gtid_parse(&a, ta), 0);
	assert_int_equal(gtid_parse(&b, tb), 0);
	for (k = 0; k < SLOTS; k++)
		for (g = 0; g <= GNOS; g++) {
			mu.has[k][g] = ma.has[k][g] || mb.has[k][g];
			md.has[k][g] = ma.has[k][g] && !mb.has[k][g];
			contains &= ma.has[k][g] || !mb.has[k][g];
			equal &= ma.has[k][g] == mb.has[k][g];
		}
	model_check(&ma, &a);
	assert_int_equal(gtid_union(&u, &a, &b), 0);
	model_check(&mu, &u);
	assert_int_equal(gtid_subtract(&d, &a, &b), 0);
	model_check(&md, &d);
	assert_int_equal(gtid_contains(&a, &b), contains);
	assert_int_equal(gtid_equal(&a, &b), equal);
	assert_true(gtid_contains(&u, &a) && gtid_contains(&u, &b));
	assert_int_equal(gtid_union(&t, &b, &d), 0);
	assert_true(gtid_equal(&t, &u));
}

static void
test_model(void **state)
{
	int i;

	(void)state;
	rng = 20261126;
	for (i = 0; i < 2000; i++)
		one_round();
}

static void
test_shares(void **state)
{
	static struct gtid_set a, b;

	(void)state;
	assert_int_equal(gtid_parse(&a, U1 ":1," U3 ":t:5"), 0);
	assert_int_equal(gtid_parse(&b, U3 ":9"), 0);
	assert_true(gtid_shares_uuid(&a, &b));
	assert_int_equal(gtid_parse(&b, U2 ":1"), 0);
	assert_false(gtid_shares_uuid(&a, &b));
	assert_int_equal(gtid_parse(&b, ""), 0);
	assert_false(gtid_shares_uuid(&a, &b));
	assert_true(gtid_contains(&a, &b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_capacity),
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_shares),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
