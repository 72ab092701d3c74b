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

/* A server whose wall clock is stepped is the same process as before. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "mysql_start.h"
#include "tests.h"

static void
step_to(int fd, long off)
{
	assert_int_equal(pwrite(fd, &off, sizeof(off), 0), sizeof(off));
}

/* The clock jumps by that much, and the start stays where it was. */
static void
step(int fd, long off, int64_t start)
{
	struct m_probe *p;
	struct m_sql *s;
	int64_t was;

	p = h_probe(port_a, true);
	was = p->server_clock_us - monotime_now().ns / 1000;
	step_to(fd, off);
	h_clear();
	h_run_ms(1200);
	h_clear();
	p = h_probe(port_a, true);
	printf("    by %ld s: clock moved by %lld ms, start by %lld ms\n", off,
	    (long long)(p->server_clock_us - monotime_now().ns / 1000 - was) /
		1000,
	    (long long)(p->proc_start_ms - start));
	assert_true(llabs(p->proc_start_ms - start) < 1000);
	/* What is meant for that process is done there. */
	s = h_request(port_a, SQL_FENCE);
	memcpy(s->server_uuid, p->server_uuid, sizeof(s->server_uuid));
	s->proc_start_ms = start;
	assert_int_equal(h_sql(s)->end, SE_DONE);
}

void
t_clock_steps(void **state)
{
	char path[] = "/tmp/bloodraven-clock.XXXXXX";
	int fd = mkstemp(path);
	int64_t start;

	(void)state;
	assert_true(fd != -1);
	step_to(fd, 0);
	assert_int_equal(setenv("CLOCKSTEP", path, 1), 0);
	assert_int_equal(
	    setenv("MYSQLD_PRELOAD", getenv("PROBER_CLOCKSTEP"), 1), 0);
	h_lab("restart %s", SRV_A);
	unsetenv("MYSQLD_PRELOAD");
	h_group(GROUP, 200, 200, false, NULL, port_a, 0);
	start = h_probe(port_a, true)->proc_start_ms;
	step(fd, 3, start);
	step(fd, -3, start);
	step(fd, 3600, start);
	step(fd, -3600, start); /* before the start: Uptime is negative */
	step(fd, 0, start);
	h_group_gone(GROUP);
	h_lab("restart %s", SRV_A);
	close(fd);
	unlink(path);
}

void
t_start_text(void **state)
{
	int64_t now = 1800000000LL * 1000000 + 250000;

	(void)state;
	assert_int_equal(mysql_start_ms(now, "0"), 1800000000250LL);
	assert_int_equal(mysql_start_ms(now, "7"), 1799999993250LL);
	assert_int_equal(
	    mysql_start_ms(now, "18446744073709548016"), 1800003600250LL);
	assert_int_equal(mysql_start_ms(now, "18446744073709551616"), -1);
	assert_int_equal(mysql_start_ms(now, "9223372036854775807"), -1);
	assert_int_equal(mysql_start_ms(now, "1800000001"), -1);
	assert_int_equal(mysql_start_ms(now, ""), -1);
	assert_int_equal(mysql_start_ms(now, "-1"), -1);
	assert_int_equal(mysql_start_ms(now, "3.5"), -1);
	assert_int_equal(mysql_start_ms(now, NULL), -1);
}
