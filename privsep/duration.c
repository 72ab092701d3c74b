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

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

#define NS_PER_MS 1000000ULL
#define NS_MAX    ((uint64_t)INT64_MAX) /* as Go's time.Duration */

static const struct unit {
	const char *name;
	uint64_t ns;
} units[] = {
	/* Longest match first: "ms" before "m". */
	{ "ns", 1 },
	{ "us", 1000 },
	{ "\xc2\xb5s", 1000 }, /* U+00B5 micro sign */
	{ "\xce\xbcs", 1000 }, /* U+03BC Greek mu */
	{ "ms", NS_PER_MS },
	{ "s", 1000 * NS_PER_MS },
	{ "m", 60 * 1000 * NS_PER_MS },
	{ "h", 3600 * 1000 * NS_PER_MS },
};

static bool
is_digit(char c)
{
	return (c >= '0' && c <= '9');
}

/* A run of digits. Returns -1 with ERANGE. */
static int
parse_digits(const char **sp, uint64_t *v, unsigned *n)
{
	const char *s = *sp;

	*v = 0;
	for (*n = 0; is_digit(*s); s++, ++*n) {
		if (__builtin_mul_overflow(*v, 10ULL, v) ||
		    __builtin_add_overflow(*v, (uint64_t)(*s - '0'), v)) {
			errno = ERANGE;
			return (-1);
		}
	}
	*sp = s;
	return (0);
}

/* What follows the point, in nanoseconds of the unit; excess digits end. */
static uint64_t
frac_ns(const char *s, unsigned n, uint64_t unit)
{
	uint64_t ns = 0, scale = unit;
	unsigned i;

	/* unit is at most 3.6e12 and scale shrinks: no overflow. */
	for (i = 0; i < n && scale >= 10; i++) {
		ns += (uint64_t)(s[i] - '0') * scale / 10;
		scale /= 10;
	}
	return (ns);
}

static const struct unit *
parse_unit(const char **sp)
{
	size_t i, len;

	for (i = 0; i < PS_NITEMS(units); i++) {
		len = strlen(units[i].name);
		if (strncmp(*sp, units[i].name, len) == 0) {
			*sp += len;
			return (&units[i]);
		}
	}
	errno = EINVAL;
	return (NULL);
}

/* One number with its unit, added to *total. */
static int
parse_part(const char **sp, uint64_t *total)
{
	const struct unit *u;
	const char *s = *sp, *frac = NULL;
	uint64_t v;
	unsigned n, nfrac = 0;

	if (parse_digits(&s, &v, &n) == -1)
		return (-1);
	if (*s == '.') {
		frac = ++s;
		while (is_digit(*s))
			s++;
		nfrac = (unsigned)(s - frac);
	}
	if (n == 0 && nfrac == 0) {
		errno = EINVAL;
		return (-1);
	}
	if ((u = parse_unit(&s)) == NULL)
		return (-1);
	if (__builtin_mul_overflow(v, u->ns, &v) ||
	    __builtin_add_overflow(v, frac_ns(frac, nfrac, u->ns), &v) ||
	    __builtin_add_overflow(*total, v, total) || *total > NS_MAX) {
		errno = ERANGE;
		return (-1);
	}
	*sp = s;
	return (0);
}

int
duration_parse(const char *s, int64_t *ms)
{
	uint64_t total = 0;
	bool neg = false;

	if (*s == '+' || *s == '-')
		neg = *s++ == '-';
	if (strcmp(s, "0") == 0) {
		*ms = 0;
		return (0);
	}
	if (*s == '\0') {
		errno = EINVAL;
		return (-1);
	}
	while (*s != '\0') {
		if (parse_part(&s, &total) == -1)
			return (-1);
	}
	/* Zero often means "off": what is not zero must not become it. */
	if (total > 0 && total < NS_PER_MS)
		total = NS_PER_MS;
	*ms = (int64_t)(total / NS_PER_MS);
	if (neg)
		*ms = -*ms;
	return (0);
}

/* As Go's Duration.String(): 300ms, 1.5s, 1m30s, 2h0m0s, 0s. */
int
duration_format(int64_t ms, char *buf, size_t size)
{
	uint64_t v = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;
	uint64_t h = v / 3600000, m = v / 60000 % 60, s = v / 1000 % 60;
	const char *sign = ms < 0 ? "-" : "";
	char frac[8] = "";
	size_t len;
	int n;

	if (v > 0 && v < 1000) {
		n = snprintf(buf, size, "%s%" PRIu64 "ms", sign, v);
		goto out;
	}
	if (v % 1000 != 0) {
		snprintf(frac, sizeof(frac), ".%03u", (unsigned)(v % 1000));
		for (len = strlen(frac); frac[len - 1] == '0'; len--)
			frac[len - 1] = '\0';
	}
	if (h > 0)
		n = snprintf(buf, size,
		    "%s%" PRIu64 "h%" PRIu64 "m%" PRIu64 "%ss", sign, h, m, s,
		    frac);
	else if (m > 0)
		n = snprintf(buf, size, "%s%" PRIu64 "m%" PRIu64 "%ss", sign, m,
		    s, frac);
	else
		n = snprintf(buf, size, "%s%" PRIu64 "%ss", sign, s, frac);
out:
	if (n < 0 || (size_t)n >= size) {
		errno = ERANGE;
		return (-1);
	}
	return (0);
}
