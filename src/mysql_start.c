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

/* A process told from another one by its start: prober and guard. */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "mysql_start.h"

int64_t
mysql_start_ms(int64_t clock_us, const char *uptime)
{
	char *end;
	int64_t s, now = clock_us / 1000000;

	if (uptime == NULL || !isdigit((unsigned char)*uptime))
		return -1;
	errno = 0;
	s = (int64_t)strtoull(uptime, &end, 10);
	if (errno != 0 || *end != '\0' || s > now || s < -now)
		return -1;
	return clock_us / 1000 - s * 1000;
}
