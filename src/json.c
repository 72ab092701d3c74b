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
 * Writing JSON into memory with a bound: see json.h.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

#define JSON_FIRST 512 /* first allocation, then doubled */

static void
json_fail(struct json *j, int error)
{
	if (j->error == 0)
		j->error = error;
}

void
json_init(struct json *j, size_t limit)
{
	memset(j, 0, sizeof(*j));
	j->limit = limit;
}

void
json_init_fixed(struct json *j, char *buf, size_t size)
{
	memset(j, 0, sizeof(*j));
	j->buf = buf;
	j->size = size;
	j->limit = size == 0 ? 0 : size - 1;
	j->fixed = true;
}

void
json_free(struct json *j)
{
	if (!j->fixed)
		free(j->buf);
	j->buf = NULL;
	j->len = j->size = 0;
}

/* Room for n more bytes and a NUL. */
static int
json_room(struct json *j, size_t n)
{
	size_t size;
	char *buf;

	if (j->error != 0)
		return -1;
	if (n > j->limit - j->len) {
		json_fail(j, ENOBUFS);
		return -1;
	}
	if (j->len + n < j->size)
		return 0;
	if (j->fixed) {
		json_fail(j, ENOBUFS);
		return -1;
	}
	size = j->size == 0 ? JSON_FIRST : j->size;
	while (size <= j->len + n)
		size *= 2;
	if ((buf = realloc(j->buf, size)) == NULL) {
		json_fail(j, ENOMEM);
		return -1;
	}
	j->buf = buf;
	j->size = size;
	return 0;
}

static void
json_put(struct json *j, const char *s, size_t n)
{
	if (json_room(j, n) == -1)
		return;
	memcpy(j->buf + j->len, s, n);
	j->len += n;
}

/* Before a value: the comma, and a key where one is due. */
static void
json_value(struct json *j)
{
	if (j->depth > 0 && j->open[j->depth - 1] == '{') {
		if (!j->keyed)
			json_fail(j, EINVAL);
		j->keyed = false;
		return;
	}
	if (j->some[j->depth]) {
		if (j->depth == 0)
			json_fail(j, EINVAL);
		json_put(j, ",", 1);
	}
	j->some[j->depth] = true;
}

static void
json_open(struct json *j, char c)
{
	json_value(j);
	if (j->depth == JSON_DEPTH) {
		json_fail(j, EINVAL);
		return;
	}
	json_put(j, &c, 1);
	j->open[j->depth++] = c;
	j->some[j->depth] = false;
}

static void
json_close(struct json *j, char open, char close)
{
	if (j->depth == 0 || j->open[j->depth - 1] != open || j->keyed) {
		json_fail(j, EINVAL);
		return;
	}
	j->depth--;
	json_put(j, &close, 1);
}

void
json_obj(struct json *j)
{
	json_open(j, '{');
}

void
json_obj_end(struct json *j)
{
	json_close(j, '{', '}');
}

void
json_arr(struct json *j)
{
	json_open(j, '[');
}

void
json_arr_end(struct json *j)
{
	json_close(j, '[', ']');
}

/*
 * The length of the UTF-8 sequence at s (RFC 3629: no surrogates, no
 * overlong forms, nothing above U+10FFFF), 0 when there is none.
 */
static size_t
utf8_len(const unsigned char *s, size_t n)
{
	unsigned char lo = 0x80, hi = 0xbf;
	size_t i, len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (s[0] == 0xe0)
		lo = 0xa0;
	else if (s[0] == 0xed)
		hi = 0x9f;
	else if (s[0] == 0xf0)
		lo = 0x90;
	else if (s[0] == 0xf4)
		hi = 0x8f;
	if (len > n || s[1] < lo || s[1] > hi)
		return 0;
	for (i = 2; i < len; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return len;
}

static void
json_escaped(struct json *j, unsigned char c)
{
	static const char short_in[] = "\"\\\b\f\n\r\t";
	static const char short_out[] = "\"\\bfnrt";
	const char *p;
	char esc[8];

	if (c != '\0' && (p = strchr(short_in, c)) != NULL)
		snprintf(esc, sizeof(esc), "\\%c", short_out[p - short_in]);
	else
		snprintf(esc, sizeof(esc), "\\u%04x", c);
	json_put(j, esc, strlen(esc));
}

static void
json_quoted(struct json *j, const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t i, len, run = 0;

	json_put(j, "\"", 1);
	for (i = 0; i < n; i += len) {
		len = utf8_len(s + i, n - i);
		if (len != 0 && s[i] >= 0x20 && s[i] != '"' && s[i] != '\\')
			continue;
		json_put(j, text + run, i - run);
		if (len == 0) {
			json_put(j, "\xef\xbf\xbd", 3);
			len = 1;
		} else
			json_escaped(j, s[i]);
		run = i + len;
	}
	if (run < n)
		json_put(j, text + run, n - run);
	json_put(j, "\"", 1);
}

void
json_key(struct json *j, const char *key)
{
	if (j->depth == 0 || j->open[j->depth - 1] != '{' || j->keyed) {
		json_fail(j, EINVAL);
		return;
	}
	if (j->some[j->depth])
		json_put(j, ",", 1);
	j->some[j->depth] = true;
	json_quoted(j, key, strlen(key));
	json_put(j, ":", 1);
	j->keyed = true;
}

void
json_strn(struct json *j, const char *s, size_t n)
{
	json_value(j);
	json_quoted(j, s, n);
}

void
json_str(struct json *j, const char *s)
{
	if (s == NULL)
		json_null(j);
	else
		json_strn(j, s, strlen(s));
}

static void
json_word(struct json *j, const char *s)
{
	json_value(j);
	json_put(j, s, strlen(s));
}

void
json_i64(struct json *j, int64_t v)
{
	char num[24];

	snprintf(num, sizeof(num), "%" PRId64, v);
	json_word(j, num);
}

void
json_u64(struct json *j, uint64_t v)
{
	char num[24];

	snprintf(num, sizeof(num), "%" PRIu64, v);
	json_word(j, num);
}

void
json_bool(struct json *j, bool v)
{
	json_word(j, v ? "true" : "false");
}

void
json_null(struct json *j)
{
	json_word(j, "null");
}

void
json_time_ms(struct json *j, int64_t ms)
{
	char text[RFC3339_LEN];

	if (rfc3339_ms(ms, text) == -1) {
		json_fail(j, EINVAL);
		return;
	}
	json_str(j, text);
}

void
json_raw_pairs(struct json *j, const char *text, size_t len)
{
	if (j->depth == 0 || j->open[j->depth - 1] != '{' || j->keyed) {
		json_fail(j, EINVAL);
		return;
	}
	if (len == 0)
		return;
	if (j->some[j->depth])
		json_put(j, ",", 1);
	j->some[j->depth] = true;
	json_put(j, text, len);
}

void
json_kstr(struct json *j, const char *key, const char *v)
{
	json_key(j, key);
	json_str(j, v);
}

void
json_ki64(struct json *j, const char *key, int64_t v)
{
	json_key(j, key);
	json_i64(j, v);
}

void
json_kbool(struct json *j, const char *key, bool v)
{
	json_key(j, key);
	json_bool(j, v);
}

void
json_ktime_ms(struct json *j, const char *key, int64_t ms)
{
	json_key(j, key);
	json_time_ms(j, ms);
}

int
json_finish(struct json *j, char **text, size_t *len)
{
	if (j->depth != 0 || j->keyed || !j->some[0])
		json_fail(j, EINVAL);
	if (j->error != 0) {
		json_free(j);
		errno = j->error;
		return -1;
	}
	j->buf[j->len] = '\0';
	if (len != NULL)
		*len = j->len;
	if (text != NULL)
		*text = j->buf;
	else if (!j->fixed)
		free(j->buf);
	j->buf = NULL;
	return 0;
}

/* The civil date of a day counted from 1970-01-01 (proleptic Gregorian). */
static void
civil(int64_t day, int *y, int *m, int *d)
{
	int64_t era, doe, yoe, doy, mp;

	day += 719468; /* from 0000-03-01 */
	era = (day >= 0 ? day : day - 146096) / 146097;
	doe = day - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153; /* months from March */
	*d = (int)(doy - (153 * mp + 2) / 5 + 1);
	*m = (int)(mp < 10 ? mp + 3 : mp - 9);
	*y = (int)(yoe + era * 400 + (*m <= 2 ? 1 : 0));
}

int
rfc3339_ms(int64_t ms, char text[static RFC3339_LEN])
{
	int64_t day, rest;
	int y, m, d, n, frac;

	/* 0001-01-01 and 9999-12-31T23:59:59.999 */
	if (ms < INT64_C(-62135596800000) || ms > INT64_C(253402300799999)) {
		errno = ERANGE;
		return -1;
	}
	day = ms / 86400000;
	rest = ms % 86400000;
	if (rest < 0) {
		rest += 86400000;
		day--;
	}
	civil(day, &y, &m, &d);
	n = snprintf(text, RFC3339_LEN, "%04d-%02d-%02dT%02d:%02d:%02d", y, m,
	    d, (int)(rest / 3600000), (int)(rest / 60000 % 60),
	    (int)(rest / 1000 % 60));
	frac = (int)(rest % 1000);
	if (frac != 0) {
		n += snprintf(text + n, RFC3339_LEN - (size_t)n, ".%03d", frac);
		while (text[n - 1] == '0')
			n--;
	}
	snprintf(text + n, RFC3339_LEN - (size_t)n, "Z");
	return 0;
}
