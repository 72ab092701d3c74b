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
 * The JSON writer: shape, escapes, bounds, time.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

static void
expect(struct json *j, const char *want)
{
	char *text;
	size_t len;

	assert_int_equal(json_finish(j, &text, &len), 0);
	assert_string_equal(text, want);
	assert_int_equal(len, strlen(want));
	free(text);
}

static void
expect_error(struct json *j, int error)
{
	assert_int_equal(json_finish(j, NULL, NULL), -1);
	assert_int_equal(errno, error);
}

static void
shapes(void **state)
{
	struct json j;

	json_init(&j, 1024);
	json_obj(&j);
	json_kstr(&j, "a", "x");
	json_key(&j, "list");
	json_arr(&j);
	json_i64(&j, INT64_MIN);
	json_u64(&j, UINT64_MAX);
	json_bool(&j, true);
	json_null(&j);
	json_obj(&j);
	json_obj_end(&j);
	json_arr(&j);
	json_arr_end(&j);
	json_arr_end(&j);
	json_raw_pairs(&j, "\"b\":1", 5);
	json_kbool(&j, "c", false);
	json_kstr(&j, "d", NULL);
	json_obj_end(&j);
	expect(&j,
	    "{\"a\":\"x\",\"list\":[-9223372036854775808,"
	    "18446744073709551615,true,null,{},[]],\"b\":1,\"c\":false,"
	    "\"d\":null}");
}

static void
one_string(const char *in, size_t len, const char *want)
{
	struct json j;

	json_init(&j, 1024);
	json_strn(&j, in, len);
	expect(&j, want);
}

static void
escapes(void **state)
{
	one_string("\"\\\b\f\n\r\t/", 8, "\"\\\"\\\\\\b\\f\\n\\r\\t/\"");
	one_string("\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\"");
	one_string("", 0, "\"\"");
	/* 2, 3 and 4 bytes stay as they are */
	one_string("\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa6", 9,
	    "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa6\"");
}

#define BAD "\xef\xbf\xbd"

static void
invalid_utf8(void **state)
{
	one_string("a\xff"
		   "b",
	    3, "\"a" BAD "b\"");
	/* overlong, surrogate, beyond U+10FFFF, cut, stray */
	one_string("\xc0\xaf", 2, "\"" BAD BAD "\"");
	one_string("\xe0\x80\xaf", 3, "\"" BAD BAD BAD "\"");
	one_string("\xed\xa0\x80", 3, "\"" BAD BAD BAD "\"");
	one_string("\xf4\x90\x80\x80", 4, "\"" BAD BAD BAD BAD "\"");
	one_string("\xe2\x82", 2, "\"" BAD BAD "\"");
	one_string("\x80z", 2, "\"" BAD "z\"");
}

/* What a bound cuts is an error, wherever it falls. */
static void
bounds(void **state)
{
	const char *want = "{\"k\":[\"v\\n\",12]}";
	struct json j;
	char buf[64];
	size_t size;

	for (size = 0; size <= strlen(want) + 1; size++) {
		json_init_fixed(&j, buf, size);
		memset(buf, 'X', sizeof(buf));
		json_obj(&j);
		json_key(&j, "k");
		json_arr(&j);
		json_str(&j, "v\n");
		json_i64(&j, 12);
		json_arr_end(&j);
		json_obj_end(&j);
		if (size <= strlen(want))
			expect_error(&j, ENOBUFS);
		else {
			assert_int_equal(json_finish(&j, NULL, NULL), 0);
			assert_string_equal(buf, want);
		}
		assert_int_equal(buf[size], 'X');
	}
}

static void
grows_to_its_limit(void **state)
{
	struct json j;
	char *text;
	size_t len, i;

	json_init(&j, 100000);
	json_arr(&j);
	for (i = 0; i < 49999; i++)
		json_i64(&j, 7);
	json_arr_end(&j);
	assert_int_equal(json_finish(&j, &text, &len), 0);
	assert_int_equal(len, 2 + 49999 + 49998);
	free(text);
	json_init(&j, 100);
	json_arr(&j);
	for (i = 0; i < 1000; i++)
		json_i64(&j, 7);
	json_arr_end(&j);
	expect_error(&j, ENOBUFS);
}

static void
misuse(void **state)
{
	struct json j;
	int i;

	json_init(&j, 100);
	expect_error(&j, EINVAL); /* nothing */
	json_init(&j, 100);
	json_obj(&j);
	expect_error(&j, EINVAL); /* open */
	json_init(&j, 100);
	json_obj(&j);
	json_str(&j, "no key");
	json_obj_end(&j);
	expect_error(&j, EINVAL);
	json_init(&j, 100);
	json_obj(&j);
	json_key(&j, "no value");
	json_obj_end(&j);
	expect_error(&j, EINVAL);
	json_init(&j, 100);
	json_arr(&j);
	json_obj_end(&j);
	expect_error(&j, EINVAL);
	json_init(&j, 100);
	json_i64(&j, 1);
	json_i64(&j, 2); /* two documents */
	expect_error(&j, EINVAL);
	json_init(&j, 100);
	for (i = 0; i < JSON_DEPTH + 1; i++)
		json_arr(&j);
	expect_error(&j, EINVAL);
}

static void
times(void **state)
{
	static const struct {
		int64_t ms;
		const char *want;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00Z" },
		{ -1, "1969-12-31T23:59:59.999Z" },
		{ 951782400000, "2000-02-29T00:00:00Z" },
		{ 951868799000, "2000-02-29T23:59:59Z" },
		{ 951868800500, "2000-03-01T00:00:00.5Z" },
		{ 1767225599010, "2025-12-31T23:59:59.01Z" },
		{ 4107542400000, "2100-03-01T00:00:00Z" },
		{ -62135596800000, "0001-01-01T00:00:00Z" },
		{ 253402300799999, "9999-12-31T23:59:59.999Z" },
	};
	char text[RFC3339_LEN];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(rfc3339_ms(rows[i].ms, text), 0);
		assert_string_equal(text, rows[i].want);
	}
	assert_int_equal(rfc3339_ms(253402300800000, text), -1);
	assert_int_equal(rfc3339_ms(INT64_MIN, text), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes),
		cmocka_unit_test(escapes),
		cmocka_unit_test(invalid_utf8),
		cmocka_unit_test(bounds),
		cmocka_unit_test(grows_to_its_limit),
		cmocka_unit_test(misuse),
		cmocka_unit_test(times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
