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
 * The link: framing, rates, and who gives way to whom, on real sockets.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link.h"

static struct event_base *base;
static struct link lk;
static unsigned nup, nrx, ndown;
static size_t queue;
static uint64_t last_up, last_down;

static struct monotime
at(int64_t ms)
{
	return (struct monotime) { ms * 1000000 };
}

/* ---------------------------------------------------------------- framing --- */

static void
test_frame(void **state)
{
	static uint8_t buf[LINK_HEAD + LINK_FRAME_MAX + 1];
	size_t len, have;

	buf[0] = LINK_FRAME_MAX >> 8;
	buf[1] = LINK_FRAME_MAX & 0xff;
	for (have = 0; have < LINK_HEAD + LINK_FRAME_MAX; have++)
		assert_int_equal(link_frame(buf, have, &len), 0);
	assert_int_equal(link_frame(buf, have, &len), 1);
	assert_int_equal(len, LINK_FRAME_MAX);
	assert_int_equal(link_frame(buf, have + 1, &len), 1);
	buf[1]++;
	assert_int_equal(link_frame(buf, have, &len), -1);
	assert_int_equal(errno, EBADMSG);
	buf[0] = buf[1] = 0;
	assert_int_equal(link_frame(buf, 2, &len), -1);
}

/* ------------------------------------------------------------------ rates --- */

static void
test_rate(void **state)
{
	struct link_rate r;
	unsigned n;

	link_rate_init(&r, 4, 10, at(0));
	for (n = 0; link_rate_take(&r, at(0)); n++)
		;
	assert_int_equal(n, 4);
	assert_in_range(link_rate_wait(&r, at(0)), 99, 101);
	assert_false(link_rate_take(&r, at(99)));
	assert_true(link_rate_take(&r, at(100)));
	/* A long silence fills the burst, and no more. */
	for (n = 0; link_rate_take(&r, at(INT64_C(1) << 40)); n++)
		;
	assert_int_equal(n, 4);
	/* Time that seems to go back costs nothing and gives nothing. */
	assert_false(link_rate_take(&r, at(0)));
}

static void
test_sources(void **state)
{
	static struct link_sources s;
	struct in6_addr a = { 0 }, b = { 0 };
	unsigned i, n;

	memset(&s, 0, sizeof(s));
	b.s6_addr[0] = 1;
	for (n = 0; link_source_take(&s, &a, at(0)); n++)
		;
	assert_int_equal(n, LINK_SOURCE_BURST);
	/* Another one is not held for it. */
	assert_true(link_source_take(&s, &b, at(1)));
	/* More than are remembered: bounded, and the oldest is forgotten. */
	for (i = 0; i < 4 * LINK_SOURCES; i++) {
		struct in6_addr c = { 0 };

		c.s6_addr[0] = 2;
		memcpy(&c.s6_addr[8], &i, sizeof(i));
		assert_true(link_source_take(&s, &c, at(10 + (int)i)));
	}
	assert_int_equal(s.n, LINK_SOURCES);
}

/* ------------------------------------------------------------ connections --- */

static struct monotime newest; /* as which a frame was passed on */

static void
on_up(void *arg, const struct link_conn *c)
{
	nup++;
	last_up = c->id;
}

static void
on_rx(void *arg, const struct link_conn *c, const uint8_t *p, size_t len)
{
	nrx++;
	if (monotime_cmp(newest, c->read) < 0)
		newest = c->read;
}

static void
on_down(void *arg, const struct link_conn *c, const char *error)
{
	ndown++;
	last_down = c->id;
}

static void
on_lost(void *arg, struct link_site *s)
{
}

static size_t
on_queued(void *arg)
{
	return queue;
}

static const struct link_ops ops = { on_up, on_rx, on_down, on_lost,
	on_queued };

/* All that is due now. */
static void
turn(void)
{
	for (int i = 0; i < 8; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

/* For what is not due at once; alarm(2) ends what never comes. */
#define UNTIL(cond)                                             \
	while (!(cond)) {                                       \
		struct timeval tick = { 0, 2000 };              \
		event_base_loopexit(base, &tick);               \
		event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY); \
	}

/* A stranger of that address: our end of its connection. */
static int
stranger(unsigned char addr)
{
	struct sockaddr_storage ss;
	char ip[32];
	int sv[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	snprintf(ip, sizeof(ip), "10.0.0.%u", addr);
	net_addr(ip, 1, &ss);
	link_accepted(&lk, LK_IN, sv[0], &ss);
	return sv[1];
}

static void
send_frame(int fd, const char *text)
{
	uint8_t buf[64] = { 0, (uint8_t)strlen(text) };

	memcpy(buf + 2, text, strlen(text));
	assert_int_equal(write(fd, buf, 2 + strlen(text)), 2 + strlen(text));
}

static bool
hung_up(int fd)
{
	char c;

	return read(fd, &c, 1) == 0;
}

static int
set_up(void **state)
{
	alarm(20);
	base = event_base_new();
	link_init(&lk, base, &ops, NULL);
	nup = nrx = ndown = 0;
	queue = 0;
	return 0;
}

static int
tear_down(void **state)
{
	link_free(&lk);
	event_base_free(base);
	return 0;
}

static void
test_stranger(void **state)
{
	int fd = stranger(1);

	turn();
	assert_int_equal(nup, 0); /* who only connects is not told */
	send_frame(fd, "hello");
	turn();
	assert_int_equal(nup, 1);
	assert_int_equal(nrx, 1);
	/* A few frames, then none until it is trusted. */
	for (int i = 0; i < 10; i++)
		send_frame(fd, "more");
	turn();
	assert_int_equal(nrx, LINK_PROVE_FRAMES);
	link_trust(link_find(&lk, last_up));
	UNTIL(nrx == 11); /* nothing was lost on the way */
	assert_int_equal(lk.nstrangers, 0);
	assert_int_equal(lk.ntrusted, 1);
	close(fd);
	UNTIL(ndown == 1);
	assert_int_equal(lk.ntrusted, 0);
}

static void
test_bytes(void **state)
{
	static const char two[] = "\0\3abc\0\1x";
	int fd = stranger(1);

	/* A byte at a time. */
	for (size_t i = 0; i < sizeof(two) - 1; i++) {
		assert_int_equal(write(fd, &two[i], 1), 1);
		turn();
	}
	assert_int_equal(nrx, 2);
	assert_int_equal(write(fd, "\xff\xff", 2), 2);
	turn();
	assert_int_equal(ndown, 1);
	assert_true(hung_up(fd));
	close(fd);
}

static void
test_eviction(void **state)
{
	int good, many[LINK_STRANGERS + 40];
	unsigned i, n = 0;

	good = stranger(200);
	/* Eight of an address at once: several addresses fill the table. */
	for (i = 0; i < PS_NITEMS(many); i++)
		many[n++] =
		    stranger((unsigned char)(1 + i / LINK_SOURCE_BURST));
	assert_int_equal(lk.nstrangers, LINK_STRANGERS);
	turn();
	/* The crowd displaced itself: who came alone is still there. */
	assert_false(hung_up(good));
	send_frame(good, "hello");
	turn();
	link_trust(link_find(&lk, last_up));
	for (i = 0; i < 40; i++)
		close(stranger((unsigned char)(50 + i / LINK_SOURCE_BURST)));
	assert_false(hung_up(good));
	/* One address beyond its rate: refused before it costs anything. */
	i = (unsigned)lk.refused;
	for (n = 0; n < 20; n++)
		close(stranger(100));
	assert_int_equal(lk.refused - i, 20 - LINK_SOURCE_BURST);
	close(good);
}

static void
test_backpressure(void **state)
{
	int a = stranger(1), b;
	struct link_conn *c;
	struct monotime full;

	send_frame(a, "hello");
	turn();
	link_trust(c = link_find(&lk, last_up));
	b = stranger(2);
	/* The parent is behind: strangers wait first, then all. */
	queue = LINK_QUEUE_STRANGE;
	send_frame(b, "hello");
	send_frame(a, "x");
	turn();
	assert_int_equal(nrx, 2);
	queue = LINK_QUEUE_ALL;
	send_frame(a, "y");
	turn();
	assert_int_equal(nrx, 2);
	/* What waited is as old as the wait, at least: here and unread. */
	full = monotime_now();
	(void)usleep(30000);
	send_frame(a, "z");
	queue = 0;
	UNTIL(nrx == 5);
	assert_true(newest.ns != 0 && monotime_cmp(newest, full) <= 0);
	send_frame(a, "of now");
	UNTIL(nrx == 6);
	assert_true(monotime_cmp(newest, full) > 0);
	(void)c;
	close(a);
	close(b);
}

/* Who does not read is closed, and holds little memory until then. */
static void
test_slow_reader(void **state)
{
	static uint8_t frame[LINK_FRAME_MAX];
	struct link_conn *c;
	int fd = stranger(1), i;
	uint64_t id;

	send_frame(fd, "hello");
	turn();
	id = last_up;
	link_trust(link_find(&lk, id));
	for (i = 0; i < 1000 && (c = link_find(&lk, id)) != NULL; i++) {
		assert_true(c->wlen <= LINK_TX_MAX);
		link_send(c, frame, sizeof(frame));
	}
	assert_true(i < 1000);
	assert_int_equal(ndown, 1);
	close(fd);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_sources),
		TEST(test_stranger),
		TEST(test_bytes),
		TEST(test_eviction),
		TEST(test_backpressure),
		TEST(test_slow_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
