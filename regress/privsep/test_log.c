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

/* Log lines: bound, continuation, escaping, readers that do not read. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "privsep.h"

static int p[2];
static char out[1 << 20];

static int
set_up(void **state)
{
	(void)state;
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) == -1)
		return (-1);
	(void)fcntl(p[1], F_SETPIPE_SZ, 1 << 20);
	log_init("test", LL_INFO, p[1]);
	return (0);
}

static int
tear_down(void **state)
{
	(void)state;
	close(p[0]);
	close(p[1]);
	return (0);
}

static size_t
slurp(void)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(p[0], out + len, sizeof(out) - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	return (len);
}

/* What follows the fields that each record has. */
static const char *
rest(const char *line, const char *level)
{
	char head[64];

	/* {"time":"2026-01-02T03:04:05.123456789Z", */
	assert_memory_equal(line, "{\"time\":\"2", 10);
	assert_memory_equal(line + 38, "Z\",", 3);
	assert_int_equal(line[19], 'T');
	assert_int_equal(line[28], '.');
	snprintf(head, sizeof(head), "\"level\":\"%s\",", level);
	assert_memory_equal(line + 41, head, strlen(head));
	return (line + 41 + strlen(head));
}

static void
test_shape(void **state)
{
	(void)state;
	log_ev(LL_INFO, "siteHealth", KVS("site", "a"), KVI("n", -3),
	    KVU("u", UINT64_MAX), KVB("ok", true), KVB("bad", false),
	    KVMS("gap", 90500), KVS("none", NULL));
	slurp();
	assert_string_equal(rest(out, "INFO"),
	    "\"msg\":\"siteHealth\","
	    "\"proc\":\"test\",\"site\":\"a\",\"n\":-3,"
	    "\"u\":18446744073709551615,\"ok\":true,\"bad\":false,"
	    "\"gap\":\"1m30.5s\",\"none\":null}\n");
	log_ev(LL_ERROR, "empty");
	slurp();
	assert_string_equal(
	    rest(out, "ERROR"), "\"msg\":\"empty\",\"proc\":\"test\"}\n");
}

static void
test_levels(void **state)
{
	(void)state;
	log_ev(LL_DEBUG, "not this");
	assert_int_equal(slurp(), 0);
	log_setlevel(LL_DEBUG);
	log_ev(LL_DEBUG, "but this");
	assert_true(slurp() > 0);
	errno = ENOENT;
	log_warn("file %d", 7);
	assert_int_equal(errno, ENOENT);
	slurp();
	assert_string_equal(rest(out, "WARN"),
	    "\"msg\":\"warning\",\"proc\":\"test\",\"text\":\"file 7\","
	    "\"error\":\"No such file or directory\"}\n");
	log_warnx("plain");
	slurp();
	assert_string_equal(rest(out, "WARN"),
	    "\"msg\":\"warning\",\"proc\":\"test\",\"text\":\"plain\","
	    "\"error\":null}\n");
}

/* In every record, between what all have and its own; too long: left out. */
static void
test_context(void **state)
{
	char big[LOG_CONTEXT_MAX + 1];

	(void)state;
	log_context((const struct kv[]) {
	    KVS("fg", "or\"ders"), KVI("n", 7), { .type = KV_END } });
	log_ev(LL_INFO, "e", KVB("ok", true));
	slurp();
	assert_string_equal(rest(out, "INFO"),
	    "\"msg\":\"e\",\"proc\":\"test\",\"fg\":\"or\\\"ders\",\"n\":7,"
	    "\"ok\":true}\n");
	memset(big, 'x', sizeof(big));
	big[LOG_CONTEXT_MAX] = '\0';
	log_context((const struct kv[]) { KVS("fg", big), { .type = KV_END } });
	log_ev(LL_INFO, "e");
	slurp();
	assert_string_equal(
	    rest(out, "INFO"), "\"msg\":\"e\",\"proc\":\"test\"}\n");
}

static void
expect_escaped(const char *in, const char *want)
{
	char line[256];

	log_ev(LL_INFO, "e", KVS("v", in));
	slurp();
	snprintf(line, sizeof(line),
	    "\"msg\":\"e\",\"proc\":\"test\","
	    "\"v\":\"%s\"}\n",
	    want);
	assert_string_equal(rest(out, "INFO"), line);
}

#define BAD "\xef\xbf\xbd"

static void
test_escaping(void **state)
{
	(void)state;
	expect_escaped("a\"b\\c", "a\\\"b\\\\c");
	expect_escaped("\n\r\t\b\f", "\\n\\r\\t\\b\\f");
	expect_escaped("\x01\x1f\x7f", "\\u0001\\u001f\x7f");
	expect_escaped("\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa6",
	    "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa6");
	expect_escaped("\xff", BAD);
	expect_escaped("\xc3", BAD); /* cut */
	expect_escaped("\xe2\x82", BAD BAD);
	expect_escaped("\xc0\xaf", BAD BAD); /* overlong */
	expect_escaped("\xe0\x80\xaf", BAD BAD BAD);
	expect_escaped("\xed\xa0\x80", BAD BAD BAD); /* surrogate */
	expect_escaped("\xf4\x90\x80\x80", BAD BAD BAD BAD);
	expect_escaped("\xf5x", BAD "x");
}

/* Each line within the bound and whole; returns how many. */
static unsigned
check_lines(void)
{
	char *line = out, *nl;
	unsigned n = 0;

	for (; *line != '\0'; line = nl + 1, n++) {
		assert_non_null(nl = strchr(line, '\n'));
		assert_true(nl + 1 - line <= 4096);
		assert_int_equal(line[0], '{');
		assert_int_equal(nl[-1], '}');
	}
	return (n);
}

/* Joins the data of the continuation records; nothing in it is escaped. */
static void
join(char *to)
{
	const char *s = out, *end;

	*to = '\0';
	while ((s = strstr(s, "\"data\":\"")) != NULL) {
		s += 8;
		assert_non_null(end = strchr(s, '"'));
		strncat(to, s, (size_t)(end - s));
	}
}

static void
test_continuation(void **state)
{
	static char gtid[20001], joined[30000], small[] = "small value";
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(gtid) - 1; i++)
		gtid[i] = "0123456789abcdef-:,"[i * 7 % 19];
	log_ev(LL_INFO, "fenced", KVS("site", small), KVS("gtid", gtid),
	    KVI("last", 1));
	slurp();
	assert_int_equal(check_lines(), 1 + 6);
	assert_non_null(strstr(out, "\"site\":\"small value\""));
	assert_non_null(strstr(out, "\"gtid\":{\"digest\":\""));
	assert_non_null(strstr(out, "\",\"len\":20000},\"last\":1}\n"));
	assert_non_null(strstr(out, "\"msg\":\"cont\""));
	assert_non_null(strstr(out, "\"part\":1,\"parts\":6,"));
	assert_non_null(strstr(out, "\"part\":6,\"parts\":6,"));
	join(joined);
	assert_string_equal(joined, gtid);
}

/* Around the bound, with escapes of every width. */
static void
test_bound(void **state)
{
	static char v[5000];
	size_t len;

	(void)state;
	for (len = 3700; len < 4200; len++) {
		memset(v, 'x', len);
		v[len] = '\0';
		log_ev(LL_INFO, "b", KVS("v", v));
		slurp();
		assert_in_range(check_lines(), 1, 3);
	}
	for (len = 600; len < 720; len++) {
		memset(v, len % 2 ? '\x01' : '\xff', len);
		v[len] = '\0';
		log_ev(LL_INFO, "b", KVS("v", v), KVS("w", v));
		slurp();
		assert_in_range(check_lines(), 1, 7);
	}
	memset(v, '\x02', 4500);
	v[4500] = '\0';
	log_ev(LL_INFO, v);
	slurp();
	assert_int_equal(check_lines(), 1);
}

static void
test_many_pairs(void **state)
{
	static char v[200];
	struct kv kv[101];
	size_t i;

	(void)state;
	memset(v, 'y', sizeof(v) - 1);
	for (i = 0; i < 100; i++)
		kv[i] = (struct kv)KVS(v, v);
	kv[100].type = KV_END;
	log_kv(LL_INFO, "many", kv);
	slurp();
	assert_true(check_lines() >= 1);
	assert_non_null(strstr(out, "\"truncated\":true"));
}

/* A reader that stalls: nothing blocks, and the loss is reported. */
static void
test_stalled_reader(void **state)
{
	uint64_t before = log_dropped(), lost;
	char want[64];
	int i;

	(void)state;
	(void)fcntl(p[1], F_SETPIPE_SZ, 4096);
	for (i = 0; i < 500; i++)
		log_ev(LL_INFO, "flood", KVI("i", i));
	lost = log_dropped() - before;
	assert_in_range(lost, 1, 499);
	slurp();
	assert_int_equal(check_lines(), 500 - lost);
	log_ev(LL_INFO, "after");
	log_ev(LL_INFO, "later");
	slurp();
	assert_int_equal(check_lines(), 2);
	snprintf(want, sizeof(want), "\"proc\":\"test\",\"droppedLines\":%u}\n",
	    (unsigned)lost);
	assert_non_null(strstr(out, want));
	assert_null(strstr(strstr(out, "later"), "droppedLines"));
	assert_int_equal(log_dropped() - before, lost);
}

/* A closed reader must not end us by SIGPIPE in a process that ignores it. */
static void
test_closed_reader(void **state)
{
	uint64_t before = log_dropped();

	(void)state;
	close(p[0]);
	log_ev(LL_INFO, "nobody");
	assert_int_equal(log_dropped(), before + 1);
	close(p[1]);
	assert_int_equal(set_up(NULL), 0);
	log_ev(LL_INFO, "again");
	slurp();
	assert_non_null(strstr(out, "\"droppedLines\":1}"));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_shape),
		T(test_levels),
		T(test_context),
		T(test_escaping),
		T(test_continuation),
		T(test_bound),
		T(test_many_pairs),
		T(test_stalled_reader),
		T(test_closed_reader),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
