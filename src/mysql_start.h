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

#ifndef MYSQL_START_H
#define MYSQL_START_H

#include <stdint.h>

/*
 * When a server process began (Unix ms, by its own clock), from its clock and
 * its status variable Uptime, both of one statement. -1: no such number.
 *
 * mysqld notes the second of its start once, and its Uptime is the statement's
 * time less that (sql/mysqld.cc, show_starttime): both are readings of the wall
 * clock, so whatever is done to that clock the difference is what was noted.
 * A clock that is set back beyond the start makes it negative, and it is
 * printed as if it had no sign.
 */
int64_t mysql_start_ms(int64_t clock_us, const char *uptime);

#endif /* MYSQL_START_H */
