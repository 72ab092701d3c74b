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

/* Monotonic time, wall clock text, durations. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "internal.h"

static void
test_monotime(void **state)
{
	struct monotime a = { 1000000 }, b;

	(void)state;
	b = monotime_add_ms(a, 5);
	assert_int_equal(b.ns, 6000000);
	assert_int_equal(monotime_sub_ms(b, a), 5);
	assert_int_equal(monotime_sub_ms(a, b), -5);
	b.ns++;
	assert_int_equal(monotime_sub_ms(b, a), 5);
	assert_int_equal(monotime_sub_ms(a, b), -6);
	assert_int_equal(monotime_cmp(a, b), -1);
	assert_int_equal(monotime_cmp(b, a), 1);
	assert_int_equal(monotime_cmp(a, a), 0);
	/* "Never" stays in the future. */
	b = monotime_add_ms(a, INT64_MAX);
	assert_true(b.ns == INT64_MAX && monotime_cmp(b, a) == 1);
	assert_true(monotime_sub_ms(b, (struct monotime) { -5 }) > 0);
	assert_true(monotime_add_ms(a, INT64_MIN).ns == INT64_MIN);
	a = monotime_now();
	assert_true(monotime_cmp(monotime_now(), a) >= 0);
}

/* Agrees with gmtime(3), in every month and around leap days. */
static void
test_walltime(void **state)
{
	char buf[WALLTIME_LEN], want[WALLTIME_LEN];
	struct tm tm;
	time_t t;
	int64_t s;

	(void)state;
	for (s = 0; s < 8000000000LL; s += 86400 * 3 + 12345) {
		t = (time_t)s;
		gmtime_r(&t, &tm);
		strftime(
		    want, sizeof(want), "%Y-%m-%dT%H:%M:%S.000000042Z", &tm);
		assert_int_equal(walltime_format(s, 42, buf), strlen(want));
		assert_string_equal(buf, want);
	}
	walltime_format(1709164800, 999999999, buf);
	assert_string_equal(buf, "2024-02-29T00:00:00.999999999Z");
	walltime_format(253402300799LL, 0, buf);
	assert_string_equal(buf, "9999-12-31T23:59:59.000000000Z");
	walltime_now(buf);
	assert_int_equal(strlen(buf), 30);
}

static void
test_parse(void **state)
{
	static const struct {
		const char *s;
		int64_t ms;
	} good[] = {
		{ "0", 0 },
		{ "+0", 0 },
		{ "-0", 0 },
		{ "0s", 0 },
		{ "300ms", 300 },
		{ "1m30s", 90000 },
		{ "2h", 7200000 },
		{ "1.5s", 1500 },
		{ ".5s", 500 },
		{ "5.s", 5000 },
		{ "-1.5h", -5400000 },
		{ "+3s", 3000 },
		{ "1h1m1s1ms", 3661001 },
		{ "1500us", 1 },
		{ "1500\xc2\xb5s", 1 },
		{ "2000\xce\xbcs", 2 },
		{ "1ns", 1 },
		{ "-1ns", -1 },
		{ "0.0004s", 1 },
		{ "0.33333333333333333333h", 1200000 - 1 },
		{ "2562047h47m16.854s", INT64_MAX / 1000000 },
	};
	static const char *const bad[] = {
		"",
		"+",
		"-",
		"s",
		".",
		".s",
		"1",
		"1 s",
		" 1s",
		"1s ",
		"1x",
		"1d",
		"--1s",
		"1.2.3s",
		"1e3s",
		"0x1s",
		"1s-1s",
		"1S",
		"3\xc2s",
	};
	static const char *const big[] = {
		"9223372036854775808ns",
		"2562048h",
		"99999999999999999999s",
		"2562047h47m16.855s",
	};
	int64_t ms;
	size_t i;

	(void)state;
	for (i = 0; i < PS_NITEMS(good); i++) {
		ms = 77;
		assert_int_equal(duration_parse(good[i].s, &ms), 0);
		assert_int_equal(ms, good[i].ms);
	}
	for (i = 0; i < PS_NITEMS(bad); i++) {
		assert_int_equal(duration_parse(bad[i], &ms), -1);
		assert_int_equal(errno, EINVAL);
	}
	for (i = 0; i < PS_NITEMS(big); i++) {
		assert_int_equal(duration_parse(big[i], &ms), -1);
		assert_int_equal(errno, ERANGE);
	}
}

static void
test_format(void **state)
{
	static const struct {
		int64_t ms;
		const char *s;
	} v[] = {
		{ 0, "0s" },
		{ 1, "1ms" },
		{ -1, "-1ms" },
		{ 999, "999ms" },
		{ 1000, "1s" },
		{ 1500, "1.5s" },
		{ 1050, "1.05s" },
		{ 1001, "1.001s" },
		{ 59999, "59.999s" },
		{ 60000, "1m0s" },
		{ 90000, "1m30s" },
		{ 7200000, "2h0m0s" },
		{ -5400000, "-1h30m0s" },
		{ 3661001, "1h1m1.001s" },
	};
	char buf[40];
	int64_t ms;
	size_t i;

	(void)state;
	for (i = 0; i < PS_NITEMS(v); i++) {
		assert_int_equal(duration_format(v[i].ms, buf, sizeof(buf)), 0);
		assert_string_equal(buf, v[i].s);
		assert_int_equal(duration_parse(buf, &ms), 0);
		assert_int_equal(ms, v[i].ms);
		assert_int_equal(
		    duration_format(v[i].ms, buf, strlen(v[i].s)), -1);
		assert_int_equal(errno, ERANGE);
	}
	for (i = 0, ms = 1; i < 40; i++, ms = ms * 3 + 1) {
		int64_t back;

		if (ms > INT64_MAX / 1000000)
			break;
		assert_int_equal(duration_format(ms, buf, sizeof(buf)), 0);
		assert_int_equal(duration_parse(buf, &back), 0);
		assert_int_equal(back, ms);
	}
	assert_int_equal(duration_format(INT64_MIN, buf, sizeof(buf)), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_monotime),
		cmocka_unit_test(test_walltime),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_format),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
