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
 * The MySQL client against packets written here; regress/guard/run has it
 * against a server.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "myc.h"

static uint8_t buf[MYC_BUF_MIN];
static struct secret password;

static void
fresh(struct myc *c, enum myc_state state)
{
	myc_init(c, buf, sizeof(buf));
	c->state = state;
	c->user = "u";
	c->password = &password;
}

/* A packet behind what is there. */
static void
feed(struct myc *c, uint8_t seq, const void *p, size_t len)
{
	uint8_t head[4] = { (uint8_t)len, (uint8_t)(len >> 8), 0, seq };

	assert_true(c->in_len + 4 + len < c->in_size);
	memcpy(c->in + c->in_len, head, 4);
	memcpy(c->in + c->in_len + 4, p, len);
	c->in_len += 4 + len;
}
#define FEED(c, seq, s) feed(c, seq, s, sizeof(s) - 1)

#define GREETING                  \
	"\x0a"                    \
	"9.7.0\0"                 \
	"\x01\0\0\0"              \
	"abcdefgh\0"              \
	"\xff\xff"                \
	"\xff"                    \
	"\2\0"                    \
	"\xff\xff"                \
	"\x15"                    \
	"\0\0\0\0\0\0\0\0\0\0"    \
	"ijklmnopqrst\0"          \
	"caching_sha2_password\0"
#define OK     "\0\0\0\2\0\0\0"
#define ERR    "\xff\x15\x04#28000Access denied"
#define END_OF "\xfe\0\0\2\0"

static void
test_login(void **state)
{
	/* SHA256("pw") ^ SHA256(SHA256(SHA256("pw")) "abcdefghijklmnopqrst") */
	static const uint8_t want[32] = { 0xad, 0x43, 0x90, 0x90, 0xe1, 0x91,
		0x41, 0x51, 0xd1, 0xa7, 0xf6, 0xbf, 0x7c, 0x21, 0x56, 0x1d,
		0x28, 0x3f, 0x2f, 0xba, 0x52, 0xfe, 0x39, 0xce, 0x9d, 0xcd,
		0x29, 0xd6, 0x87, 0x81, 0x3c, 0x2c };
	struct myc c;

	assert_int_equal(secret_set(&password, "pw", 2), 0);
	fresh(&c, MYC_GREETING);
	FEED(&c, 0, GREETING);
	assert_int_equal(myc_step(&c), MYC_MORE);
	assert_int_equal(c.state, MYC_AUTH);
	assert_int_equal(c.out[3], 1);
	assert_memory_equal(c.out + 4 + 32, "u\0\x20", 3);
	assert_memory_equal(c.out + 4 + 35, want, sizeof(want));
	/* Remembered by the server: no password is sent. */
	c.out_len = 0;
	FEED(&c, 2, "\1\3");
	FEED(&c, 3, OK);
	assert_int_equal(myc_step(&c), MYC_READY);
	assert_int_equal(c.out_len, 0);
	assert_int_equal(c.state, MYC_IDLE);

	/* Not remembered: once. */
	fresh(&c, MYC_AUTH);
	FEED(&c, 0, "\1\4");
	assert_int_equal(myc_step(&c), MYC_MORE);
	assert_memory_equal(c.out, "\3\0\0\1pw\0", 7);
	FEED(&c, 2, "\1\4");
	assert_int_equal(myc_step(&c), MYC_LOST);

	fresh(&c, MYC_AUTH);
	FEED(&c, 0, ERR);
	assert_int_equal(myc_step(&c), MYC_LOST);
	assert_int_equal(c.err, 1045);
	assert_string_equal(c.errtext, "Access denied");

	fresh(&c, MYC_AUTH);
	FEED(&c, 0,
	    "\xfe"
	    "caching_sha2_password\0abcdefghijklmnopqrst\0");
	assert_int_equal(myc_step(&c), MYC_MORE);
	assert_int_equal(c.out_len, 4 + 32);
	assert_memory_equal(c.out + 4, want, sizeof(want));
	FEED(&c, 2,
	    "\xfe"
	    "mysql_clear_password\0");
	assert_int_equal(myc_step(&c), MYC_LOST);
	assert_int_equal(errno, EPROTONOSUPPORT);
	assert_int_equal(c.err, MYC_ERR_PLUGIN);
	assert_true(myc_denied(&c)); /* as of an account that does not exist */
	assert_non_null(strstr(c.errtext, "the account uses "));
}

static void
test_rows(void **state)
{
	struct myc c;

	fresh(&c, MYC_IDLE);
	assert_int_equal(myc_query(&c, "SELECT 1", 5, 10), 0);
	assert_memory_equal(c.out, "\x09\0\0\0\3SELECT 1", 13);
	assert_int_equal(myc_query(&c, "SELECT 1", 5, 10), -1);
	assert_int_equal(errno, EBUSY);
	assert_true(myc_busy(&c));
	assert_int_equal(myc_deadline_ms(&c), 10);
	FEED(&c, 1, "\3");
	for (uint8_t i = 2; i < 5; i++)
		FEED(&c, i, "\3def-whatever");
	FEED(&c, 5, END_OF);
	FEED(&c, 6,
	    "\1"
	    "1"
	    "\xfb"
	    "\2"
	    "ab");
	FEED(&c, 7,
	    "\0"
	    "\3"
	    "xyz"
	    "\0");
	FEED(&c, 8, END_OF);
	assert_int_equal(myc_step(&c), MYC_ROW);
	assert_int_equal(c.ncols, 3);
	assert_string_equal(c.col[0], "1");
	assert_null(c.col[1]);
	assert_string_equal(c.col[2], "ab");
	assert_int_equal(myc_step(&c), MYC_ROW);
	assert_string_equal(c.col[0], "");
	assert_string_equal(c.col[1], "xyz");
	assert_string_equal(c.col[2], "");
	assert_int_equal(c.len[1], 3);
	assert_int_equal(myc_step(&c), MYC_DONE);
	assert_int_equal(c.err, 0);
	assert_false(myc_busy(&c));

	assert_int_equal(myc_query(&c, "SET x=1", 5, 10), 0);
	FEED(&c, 1, OK);
	assert_int_equal(myc_step(&c), MYC_DONE);
	assert_int_equal(c.ncols, 0);
	assert_int_equal(myc_query(&c, "SET x=1", 5, 10), 0);
	FEED(&c, 1, ERR);
	assert_int_equal(myc_step(&c), MYC_DONE);
	assert_int_equal(c.err, 1045);
}

/* What must close. */
static void
test_bad(void **state)
{
	static const struct {
		enum myc_state state;
		const char *p;
		size_t len;
	} t[] = {
#define T(s, p) { s, p, sizeof(p) - 1 }
		T(MYC_GREETING, "\x09old"),
		T(MYC_GREETING,
		    "\x0a"
		    "9.7.0"),
		T(MYC_AUTH, ""),
		T(MYC_AUTH, "\1\5"),
		T(MYC_AUTH, "\2"),
		T(MYC_SENT, ""),
		T(MYC_SENT, "\xfb/etc/passwd"),
		T(MYC_SENT, "\xff"),
		T(MYC_SENT, "\xfa"), /* columns */
		T(MYC_SENT, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff"),
		T(MYC_COLUMNS, "\1x"), /* columns are past */
		T(MYC_ROWS, "\2a"),
		T(MYC_ROWS,
		    "\1"
		    "ab"),
		T(MYC_ROWS, "\xfd\xff\xff\xff"),
		T(MYC_ROWS, ""),
		T(MYC_IDLE, "\0"),
#undef T
	};
	struct myc c;

	for (size_t i = 0; i < PS_NITEMS(t); i++) {
		fresh(&c, t[i].state);
		c.ncols = 1;
		feed(&c, 0, t[i].p, t[i].len);
		assert_int_equal(myc_step(&c), MYC_LOST);
		assert_int_equal(c.state, MYC_CLOSED);
		assert_string_not_equal(c.errtext, "");
	}
	/* A wrong number; one that never fits. */
	fresh(&c, MYC_SENT);
	FEED(&c, 3, OK);
	assert_int_equal(myc_step(&c), MYC_LOST);
	fresh(&c, MYC_SENT);
	memcpy(c.in, "\xff\xff\xff\0", 4);
	c.in_len = 4;
	assert_int_equal(myc_step(&c), MYC_LOST);
	assert_int_equal(errno, EMSGSIZE);
}

/* Byte by byte it is the same as at once. */
static void
test_bytes(void **state)
{
	static const uint8_t all[] = "\1\0\0\1\1"
				     "\2\0\0\2xx"
				     "\5\0\0\3\xfe\0\0\2\0"
				     "\4\0\0\4\3abc"
				     "\5\0\0\5\xfe\0\0\2\0";
	struct myc c;
	enum myc_event ev;
	unsigned rows = 0;
	size_t i;

	fresh(&c, MYC_SENT);
	c.seq = 1;
	for (i = 0; i < sizeof(all) - 1; i++) {
		c.in[c.in_len++] = all[i];
		while ((ev = myc_step(&c)) == MYC_ROW) {
			assert_string_equal(c.col[0], "abc");
			rows++;
		}
		if (ev != MYC_MORE)
			break;
	}
	assert_int_equal(ev, MYC_DONE);
	assert_int_equal(i, sizeof(all) - 2);
	assert_int_equal(rows, 1);
}

static void
test_limits(void **state)
{
	static char sql[MYC_QUERY_MAX + 2];
	struct myc c;

	memset(sql, 'x', sizeof(sql) - 1);
	fresh(&c, MYC_IDLE);
	assert_int_equal(myc_query(&c, sql, 0, 1), -1);
	assert_int_equal(errno, ERANGE);
	sql[MYC_QUERY_MAX] = '\0';
	assert_int_equal(myc_query(&c, sql, 0, 1), 0);
	fresh(&c, MYC_CLOSED);
	assert_int_equal(
	    myc_connect(&c, "/nonexistent/sock", "u", &password, 0, 1), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(myc_fd(&c), -1);
	assert_int_equal(myc_io(&c, 5), MYC_MORE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests_name("myc", tests, NULL, NULL);
}
