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

#include <string.h>

#include "log_json.h"

#define ESC_MAX 6 /* \u001f */

void
lbuf_raw(struct lbuf *b, const char *s, size_t len)
{
	if (b->over || len > b->max - b->len) {
		b->over = true;
		return;
	}
	memcpy(b->buf + b->len, s, len);
	b->len += len;
}

void
lbuf_lit(struct lbuf *b, const char *s)
{
	lbuf_raw(b, s, strlen(s));
}

/* Length of the UTF-8 sequence at s, 0 when it is not one (RFC 3629). */
static size_t
utf8_len(const unsigned char *s, size_t left)
{
	unsigned char lo = 0x80, hi = 0xbf;
	size_t n, i;

	if (s[0] < 0x80)
		return (1);
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return (0);
	/* No overlong forms, no surrogates, nothing above U+10FFFF. */
	if (s[0] == 0xe0)
		lo = 0xa0;
	else if (s[0] == 0xed)
		hi = 0x9f;
	else if (s[0] == 0xf0)
		lo = 0x90;
	else if (s[0] == 0xf4)
		hi = 0x8f;
	if (left < n || s[1] < lo || s[1] > hi)
		return (0);
	for (i = 2; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return (0);
	return (n);
}

/* Escape what stands at s; *used tells how many bytes that were. */
static size_t
escape_one(const char *s, size_t left, char out[ESC_MAX], size_t *used)
{
	static const char hex[] = "0123456789abcdef";
	static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
	const char *p;
	unsigned char c = (unsigned char)*s;
	size_t n;

	*used = 1;
	if (c != '\0' && (p = strchr(from, c)) != NULL) {
		out[0] = '\\';
		out[1] = to[p - from];
		return (2);
	}
	if (c < 0x20) {
		memcpy(out, "\\u00", 4);
		out[4] = hex[c >> 4];
		out[5] = hex[c & 0xf];
		return (6);
	}
	if ((n = utf8_len((const unsigned char *)s, left)) == 0) {
		memcpy(out, "\xef\xbf\xbd", 3);
		return (3);
	}
	memcpy(out, s, n);
	*used = n;
	return (n);
}

void
lbuf_str(struct lbuf *b, const char *s, size_t len)
{
	char out[ESC_MAX];
	size_t i, used;

	lbuf_raw(b, "\"", 1);
	for (i = 0; i < len && !b->over; i += used)
		lbuf_raw(b, out, escape_one(s + i, len - i, out, &used));
	lbuf_raw(b, "\"", 1);
}

void
lbuf_key(struct lbuf *b, const char *key)
{
	lbuf_raw(b, ",", 1);
	lbuf_str(b, key, strlen(key));
	lbuf_raw(b, ":", 1);
}

size_t
json_escaped_len(const char *s, size_t len)
{
	char out[ESC_MAX];
	size_t i, used, n = 0;

	for (i = 0; i < len; i += used)
		n += escape_one(s + i, len - i, out, &used);
	return (n);
}

size_t
json_fit(const char *s, size_t len, size_t max)
{
	char out[ESC_MAX];
	size_t i, used, n;

	for (i = 0; i < len; i += used, max -= n) {
		n = escape_one(s + i, len - i, out, &used);
		if (n > max)
			break;
	}
	return (i);
}
