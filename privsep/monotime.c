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
#include <time.h>

#include "internal.h"

#define NS_PER_MS 1000000LL
#define NS_PER_S  1000000000LL

struct monotime
monotime_now(void)
{
	struct timespec ts;

	/* Cannot fail: the clock exists since Linux 2.6.39. */
	(void)clock_gettime(CLOCK_BOOTTIME, &ts);
	return ((struct monotime) { ts.tv_sec * NS_PER_S + ts.tv_nsec });
}

/* Saturates, so that a deadline of "never" does not turn into the past. */
struct monotime
monotime_add_ms(struct monotime t, int64_t ms)
{
	int64_t ns;

	if (__builtin_mul_overflow(ms, NS_PER_MS, &ns) ||
	    __builtin_add_overflow(t.ns, ns, &ns))
		ns = ms < 0 ? INT64_MIN : INT64_MAX;
	return ((struct monotime) { ns });
}

int64_t
monotime_sub_ms(struct monotime a, struct monotime b)
{
	int64_t ns, ms;

	if (__builtin_sub_overflow(a.ns, b.ns, &ns))
		ns = a.ns < b.ns ? INT64_MIN : INT64_MAX;
	ms = ns / NS_PER_MS;
	if (ns % NS_PER_MS < 0)
		ms--;
	return (ms);
}

int
monotime_cmp(struct monotime a, struct monotime b)
{
	return ((a.ns > b.ns) - (a.ns < b.ns));
}

static char *
put_num(char *p, unsigned v, int digits)
{
	int i;

	for (i = digits - 1; i >= 0; i--, v /= 10)
		p[i] = (char)('0' + v % 10);
	return (p + digits);
}

/*
 * gmtime(3) takes a lock and may read files; this may run in a signal
 * handler. Days to civil date after H. Hinnant, "chrono-Compatible Low-Level
 * Date Algorithms".
 */
size_t
walltime_format(int64_t sec, long nsec, char buf[static WALLTIME_LEN])
{
	int64_t z, era;
	unsigned doe, yoe, doy, mp, y, rem;
	char *p = buf;

	if (sec < 0 || sec > 253402300799LL)
		sec = 0;
	z = sec / 86400 + 719468;
	rem = (unsigned)(sec % 86400);
	era = z / 146097;
	doe = (unsigned)(z - era * 146097);
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	y = yoe + (unsigned)era * 400 + (mp >= 10);

	p = put_num(p, y, 4);
	*p++ = '-';
	p = put_num(p, mp < 10 ? mp + 3 : mp - 9, 2);
	*p++ = '-';
	p = put_num(p, doy - (153 * mp + 2) / 5 + 1, 2);
	*p++ = 'T';
	p = put_num(p, rem / 3600, 2);
	*p++ = ':';
	p = put_num(p, rem / 60 % 60, 2);
	*p++ = ':';
	p = put_num(p, rem % 60, 2);
	*p++ = '.';
	p = put_num(p, (unsigned)nsec, 9);
	*p++ = 'Z';
	*p = '\0';
	return ((size_t)(p - buf));
}

void
walltime_now(char buf[static WALLTIME_LEN])
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	walltime_format(ts.tv_sec, ts.tv_nsec, buf);
}
