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
 * Text forms of Kubernetes: names, quantities, times, base64. Pure.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "kube_schema.h"

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_lower_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z');
}

static bool
is_alnum(char c)
{
	return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

/* [a-z0-9]([-a-z0-9]*[a-z0-9])?, at most 63. */
static bool
dns_label_n(const char *s, size_t n)
{
	if (n == 0 || n > NS_LEN || s[0] == '-' || s[n - 1] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_lower_alnum(s[i]) && s[i] != '-')
			return false;
	return true;
}

bool
ktext_dns_label(const char *s)
{
	return dns_label_n(s, strlen(s));
}

bool
ktext_dns_subdomain(const char *s)
{
	if (strlen(s) > NAME_LEN)
		return false;
	for (;;) {
		size_t n = strcspn(s, ".");

		if (!dns_label_n(s, n))
			return false;
		if (s[n] == '\0')
			return true;
		s += n + 1;
	}
}

/* What both halves of a label are made of. */
static bool
qualified_name(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > 63 || !is_alnum(s[0]) || !is_alnum(s[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_alnum(s[i]) && strchr("-_.", s[i]) == NULL)
			return false;
	return true;
}

/* The empty value is one, too. */
bool
ktext_label_value(const char *s)
{
	return *s == '\0' || qualified_name(s);
}

bool
ktext_label_key(const char *s)
{
	const char *slash = strchr(s, '/');
	char prefix[NAME_LEN + 1];

	if (slash == NULL)
		return qualified_name(s);
	if ((size_t)(slash - s) >= sizeof(prefix))
		return false;
	memcpy(prefix, s, (size_t)(slash - s));
	prefix[slash - s] = '\0';
	return ktext_dns_subdomain(prefix) && qualified_name(slash + 1);
}

/* Letters of both cases, '_' and a final dot are in use, too. */
bool
ktext_hostname(const char *s)
{
	size_t n;

	if (strlen(s) > HOST_LEN)
		return false;
	do {
		n = strcspn(s, ".");
		if (n == 0 || n > NS_LEN || s[0] == '-' || s[n - 1] == '-')
			return false;
		for (size_t i = 0; i < n; i++)
			if (!is_alnum(s[i]) && s[i] != '-' && s[i] != '_')
				return false;
		s += n + (s[n] == '.');
	} while (*s != '\0');
	return true;
}

bool
ktext_ip(const char *s)
{
	struct in6_addr a;

	return inet_pton(AF_INET, s, &a) == 1 ||
	    inet_pton(AF_INET6, s, &a) == 1;
}

/* [+-]digits[.digits](suffix | e|E exponent); k8s.io/apimachinery resource */
static bool
quantity_text(const char *s, bool positive)
{
	static const char *const suffixes[] = { "", "n", "u", "m", "k", "M",
		"G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei" };
	bool nonzero = false;
	unsigned digits = 0;

	if (*s == '-' && positive)
		return false;
	if (*s == '+' || *s == '-')
		s++;
	for (; is_digit(*s); s++, digits++)
		nonzero |= *s != '0';
	if (*s == '.')
		for (s++; is_digit(*s); s++, digits++)
			nonzero |= *s != '0';
	if (digits == 0 || (positive && !nonzero))
		return false;
	for (size_t i = 0; i < PS_NITEMS(suffixes); i++)
		if (strcmp(s, suffixes[i]) == 0)
			return true;
	if (*s != 'e' && *s != 'E')
		return false;
	s++;
	if (*s == '+' || *s == '-')
		s++;
	for (digits = 0; is_digit(*s); s++)
		digits++;
	return digits > 0 && digits <= 3 && *s == '\0';
}

bool
ktext_quantity(yyjson_val *v, bool positive)
{
	if (yyjson_is_uint(v))
		return !positive || yyjson_get_uint(v) > 0;
	if (yyjson_is_num(v))
		return !positive || yyjson_get_num(v) > 0;
	return yyjson_is_str(v) &&
	    strlen(yyjson_get_str(v)) == yyjson_get_len(v) &&
	    quantity_text(yyjson_get_str(v), positive);
}

static int
base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int
ktext_base64(const char *s, size_t len, uint8_t *out, size_t size)
{
	uint32_t acc = 0;
	size_t n = 0, pad = 0;

	if (len % 4 != 0)
		goto bad;
	while (pad < 2 && len > 0 && s[len - 1] == '=') {
		len--;
		pad++;
	}
	for (size_t i = 0; i < len; i++) {
		int d = base64_digit(s[i]);

		if (d == -1)
			goto bad;
		acc = (acc << 6 | (uint32_t)d) & 0xffffff;
		/* Each digit but the first of four completes a byte. */
		if (i % 4 == 0)
			continue;
		if (n >= size) {
			errno = ERANGE;
			return -1;
		}
		out[n++] = (uint8_t)(acc >> (6 - 2 * (i % 4)));
	}
	return (int)n;
bad:
	errno = EBADMSG;
	return -1;
}

/* Bytes of the UTF-8 sequence at s, 0 when there is none. */
static size_t
utf8_len(const unsigned char *s)
{
	uint32_t c = s[0], min;
	size_t n;

	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c <= 0xdf) {
		n = 2;
		c &= 0x1f;
		min = 0x80;
	} else if (c >= 0xe0 && c <= 0xef) {
		n = 3;
		c &= 0x0f;
		min = 0x800;
	} else if (c >= 0xf0 && c <= 0xf4) {
		n = 4;
		c &= 0x07;
		min = 0x10000;
	} else
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3fu);
	}
	return c < min || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 0 : n;
}

bool
ktext_utf8(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n;

	for (; *p != '\0'; p += n)
		if ((n = utf8_len(p)) == 0)
			return false;
	return true;
}

void
ktext_clean(char *s, bool controls)
{
	size_t n;

	for (; *s != '\0'; s += n) {
		n = utf8_len((unsigned char *)s);
		if (n == 0 ||
		    (controls && n == 1 &&
			((unsigned char)*s < ' ' || *s == 0x7f))) {
			*s = '?';
			n = 1;
		}
	}
}

void
ktext_hex(const uint8_t *p, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++) {
		*out++ = "0123456789abcdef"[p[i] >> 4];
		*out++ = "0123456789abcdef"[p[i] & 15];
	}
	*out = '\0';
}

/* ---------------------------------------------------------------- time -- */

static int
number(const char **s, unsigned digits, int lo, int hi, int *out)
{
	int v = 0;

	for (unsigned i = 0; i < digits; i++) {
		if (!is_digit((*s)[i]))
			return -1;
		v = v * 10 + ((*s)[i] - '0');
	}
	*s += digits;
	*out = v;
	return v < lo || v > hi ? -1 : 0;
}

static int
expect(const char **s, const char *set)
{
	if (**s == '\0' || strchr(set, **s) == NULL)
		return -1;
	(*s)++;
	return 0;
}

/* Fraction of a second, in µs; more than six digits are cut. */
static int
fraction(const char **s, int64_t *us)
{
	int64_t unit = 100000;

	*us = 0;
	if (**s != '.')
		return 0;
	if (!is_digit(*++*s))
		return -1;
	for (; is_digit(**s); (*s)++, unit /= 10)
		*us += (**s - '0') * unit;
	return 0;
}

/* Minutes east of UTC. */
static int
zone(const char **s, int *minutes)
{
	int sign, h, m;

	*minutes = 0;
	if (expect(s, "Zz") == 0)
		return 0;
	sign = **s == '-' ? -1 : 1;
	if (expect(s, "+-") == -1 || number(s, 2, 0, 23, &h) == -1 ||
	    expect(s, ":") == -1 || number(s, 2, 0, 59, &m) == -1)
		return -1;
	*minutes = sign * (h * 60 + m);
	return 0;
}

int
ktime_parse(const char *s, int64_t *us)
{
	struct tm tm, back;
	time_t t;
	int64_t frac;
	int east;

	memset(&tm, 0, sizeof(tm));
	if (number(&s, 4, 1, 9999, &tm.tm_year) == -1 ||
	    expect(&s, "-") == -1 || number(&s, 2, 1, 12, &tm.tm_mon) == -1 ||
	    expect(&s, "-") == -1 || number(&s, 2, 1, 31, &tm.tm_mday) == -1 ||
	    expect(&s, "Tt") == -1 || number(&s, 2, 0, 23, &tm.tm_hour) == -1 ||
	    expect(&s, ":") == -1 || number(&s, 2, 0, 59, &tm.tm_min) == -1 ||
	    expect(&s, ":") == -1 || number(&s, 2, 0, 60, &tm.tm_sec) == -1 ||
	    fraction(&s, &frac) == -1 || zone(&s, &east) == -1 || *s != '\0')
		goto bad;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	back = tm;
	t = timegm(&back);
	/* 31 February was normalised into March. */
	if (back.tm_mday != tm.tm_mday && tm.tm_sec != 60)
		goto bad;
	*us = ((int64_t)t - east * 60) * 1000000 + frac;
	return 0;
bad:
	errno = EBADMSG;
	return -1;
}

static void
format(int64_t us, bool micro, char out[static KTIME_LEN])
{
	int64_t s = us / 1000000, frac = us % 1000000;
	time_t t;
	struct tm tm;
	size_t n;

	if (frac < 0) {
		frac += 1000000;
		s--;
	}
	/* Years of four digits: what the API server takes. */
	if (s < -30610224000 || s > 253402300799)
		s = frac = 0;
	t = (time_t)s;
	gmtime_r(&t, &tm);
	n = strftime(out, KTIME_LEN, "%Y-%m-%dT%H:%M:%S", &tm);
	if (n == 0)
		out[0] = '\0';
	else if (micro)
		snprintf(out + n, KTIME_LEN - n, ".%06dZ", (int)frac);
	else
		strlcpy(out + n, "Z", KTIME_LEN - n);
}

void
ktime_s(int64_t ms, char out[static KTIME_LEN])
{
	/* Beyond what fits: the epoch, as format() does. */
	format(ms > INT64_MAX / 1000 || ms < INT64_MIN / 1000 ? 0 : ms * 1000,
	    false, out);
}

void
ktime_us(int64_t us, char out[static KTIME_LEN])
{
	format(us, true, out);
}
