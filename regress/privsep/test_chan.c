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

/* Channels: boundaries, full queues, fds, EOF. */

#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "internal.h"

static struct {
	struct chan a, b;
	unsigned frames, ends;
	size_t bytes;
	int err, fd;
	uint8_t last[PS_FRAME_MAX];
	size_t last_len;
	bool close_in_callback;
} t;

static void
on_frame(struct chan *c, const uint8_t *buf, size_t len, int fd, void *arg)
{
	assert_ptr_equal(arg, &t);
	t.frames++;
	t.bytes += len;
	memcpy(t.last, buf, len);
	t.last_len = len;
	if (fd != -1) {
		assert_int_equal(t.fd, -1);
		t.fd = fd;
	}
	if (t.close_in_callback)
		chan_close(c);
}

static void
on_end(struct chan *c, int err, void *arg)
{
	(void)arg;
	t.ends++;
	t.err = err;
	chan_close(c);
}

static int
set_up(void **state)
{
	int sv[2];

	(void)state;
	memset(&t, 0, sizeof(t));
	t.fd = -1;
	if (chan_pair(sv) == -1)
		return (-1);
	chan_init(&t.a);
	chan_init(&t.b);
	chan_open(&t.a, sv[0]);
	chan_open(&t.b, sv[1]);
	t.a.on_frame = t.b.on_frame = on_frame;
	t.a.on_end = t.b.on_end = on_end;
	t.a.arg = t.b.arg = &t;
	return (0);
}

static int
tear_down(void **state)
{
	(void)state;
	chan_close(&t.a);
	chan_close(&t.b);
	if (t.fd != -1)
		close(t.fd);
	return (0);
}

static void
test_boundaries(void **state)
{
	static uint8_t big[PS_FRAME_MAX + 1];

	(void)state;
	memset(big, 'b', sizeof(big));
	assert_int_equal(chan_send(&t.a, (const uint8_t *)"one", 3, -1), 0);
	assert_int_equal(chan_send(&t.a, (const uint8_t *)"two2", 4, -1), 0);
	chan_drain(&t.b, 1);
	assert_int_equal(t.frames, 1);
	assert_int_equal(t.last_len, 3);
	assert_memory_equal(t.last, "one", 3);
	chan_drain(&t.b, 64);
	assert_int_equal(t.frames, 2);
	assert_memory_equal(t.last, "two2", 4);
	assert_int_equal(chan_send(&t.a, big, PS_FRAME_MAX, -1), 0);
	chan_drain(&t.b, 64);
	assert_int_equal(t.last_len, PS_FRAME_MAX);
	assert_memory_equal(t.last, big, PS_FRAME_MAX);
	assert_int_equal(chan_send(&t.a, big, sizeof(big), -1), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(chan_send(&t.a, big, 0, -1), -1);
	assert_int_equal(t.ends, 0);
}

/* A peer that is not ours may send what chan_send() would not. */
static void
test_too_long(void **state)
{
	static uint8_t big[PS_FRAME_MAX + 1];

	(void)state;
	assert_int_equal(send(t.a.fd, big, sizeof(big), 0), sizeof(big));
	chan_drain(&t.b, 64);
	assert_int_equal(t.frames, 0);
	assert_int_equal(t.ends, 1);
	assert_int_equal(t.err, EPROTO);
}

static void
fill(size_t len)
{
	static uint8_t buf[PS_FRAME_MAX];
	unsigned n;

	for (n = 0; n < 100000; n++)
		if (chan_send(&t.a, buf, len, -1) == -1)
			break;
	assert_int_equal(errno, ENOBUFS);
}

static void
test_queue_frames(void **state)
{
	size_t sent;

	(void)state;
	fill(10);
	assert_int_equal(t.a.nframes, CHAN_QFRAMES);
	assert_int_equal(t.a.nbytes, CHAN_QFRAMES * 10);
	/* The reader takes all; nothing is lost, nothing comes twice. */
	while (chan_flush(&t.a) == -1) {
		assert_int_equal(errno, EAGAIN);
		chan_drain(&t.b, 1000);
	}
	chan_drain(&t.b, 100000);
	assert_int_equal(t.a.nframes, 0);
	assert_int_equal(t.a.nbytes, 0);
	sent = t.frames;
	assert_true(sent > CHAN_QFRAMES);
	assert_int_equal(t.bytes, sent * 10);
}

static void
test_queue_bytes(void **state)
{
	(void)state;
	fill(PS_FRAME_MAX);
	assert_int_equal(t.a.nbytes, CHAN_QBYTES);
	assert_int_equal(t.a.nframes, CHAN_QBYTES / PS_FRAME_MAX);
}

static bool
same_file(int a, int b)
{
	char pa[64], pb[64], na[256] = "", nb[256] = "";

	snprintf(pa, sizeof(pa), "/proc/self/fd/%d", a);
	snprintf(pb, sizeof(pb), "/proc/self/fd/%d", b);
	return (readlink(pa, na, sizeof(na) - 1) > 0 &&
	    readlink(pb, nb, sizeof(nb) - 1) > 0 && strcmp(na, nb) == 0);
}

static void
test_fds(void **state)
{
	int p[2], mine;

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_not_equal(mine = dup(p[0]), -1);
	assert_int_equal(chan_send(&t.a, (const uint8_t *)"f", 1, p[0]), 0);
	/* Sent means closed here. */
	assert_int_equal(fcntl(p[0], F_GETFD), -1);
	chan_drain(&t.b, 64);
	assert_int_not_equal(t.fd, -1);
	assert_true(same_file(t.fd, mine));
	assert_int_equal(fcntl(t.fd, F_GETFD), FD_CLOEXEC);
	close(mine);
	/* A failed send closes it too. */
	chan_close(&t.a);
	assert_int_equal(chan_send(&t.a, (const uint8_t *)"f", 1, p[1]), -1);
	assert_int_equal(errno, ENOTCONN);
	assert_int_equal(fcntl(p[1], F_GETFD), -1);
}

static void
test_fd_in_queue(void **state)
{
	int p[2];

	(void)state;
	fill(10);
	chan_drain(&t.b, 1000000);
	while (t.a.nframes >= CHAN_QFRAMES)
		(void)chan_flush(&t.a);
	fill(10);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	/* Full: refused and closed. */
	assert_int_equal(chan_send(&t.a, (const uint8_t *)"f", 1, p[0]), -1);
	assert_int_equal(errno, ENOBUFS);
	assert_int_equal(fcntl(p[0], F_GETFD), -1);
	chan_drain(&t.b, 1);
	(void)chan_flush(&t.a);
	chan_drain(&t.b, 64);
	(void)chan_flush(&t.a);
	assert_true(t.a.nframes > 0 && t.a.nframes < CHAN_QFRAMES);
	assert_int_equal(chan_send(&t.a, (const uint8_t *)"f", 1, p[1]), 0);
	assert_int_not_equal(fcntl(p[1], F_GETFD), -1);
	/* A channel that closes takes its queued fds along. */
	chan_close(&t.a);
	assert_int_equal(fcntl(p[1], F_GETFD), -1);
}

static void
send_two_fds(int sock, int fd)
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(2 * sizeof(int))];
	} u = { .buf = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)"x", 1 };
	struct msghdr mh = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = u.buf,
		.msg_controllen = sizeof(u.buf) };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&mh);
	int fds[2] = { fd, fd };

	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(cm), fds, sizeof(fds));
	assert_int_equal(sendmsg(sock, &mh, 0), 1);
}

/* Two fds in one frame: a violation, and no fd stays behind. */
static void
test_two_fds(void **state)
{
	int before, after;

	(void)state;
	before = dup(0);
	close(before);
	send_two_fds(t.a.fd, 2);
	chan_drain(&t.b, 64);
	assert_int_equal(t.frames, 0);
	assert_int_equal(t.err, EPROTO);
	/* on_end closed b's own fd, so the lowest free one is at most that. */
	after = dup(0);
	close(after);
	assert_true(after <= before);
	assert_int_equal(fcntl(before, F_GETFD), -1);
	assert_int_equal(fcntl(before + 1, F_GETFD), -1);
}

static void
test_eof(void **state)
{
	(void)state;
	/* b leaves unread frames behind: a sees ECONNRESET before the end. */
	assert_int_equal(chan_send(&t.a, (const uint8_t *)"x", 1, -1), 0);
	assert_int_equal(chan_send(&t.b, (const uint8_t *)"bye", 3, -1), 0);
	chan_close(&t.b);
	chan_drain(&t.a, 64);
	assert_int_equal(t.frames, 1);
	assert_memory_equal(t.last, "bye", 3);
	assert_int_equal(t.ends, 1);
	assert_int_equal(t.err, 0);
}

static void
test_write_to_dead(void **state)
{
	(void)state;
	chan_close(&t.b);
	assert_int_equal(chan_send(&t.a, (const uint8_t *)"x", 1, -1), -1);
	assert_int_equal(errno, ENOTCONN);
	chan_drain(&t.a, 64);
	assert_int_equal(t.ends, 1);
}

static void
test_close_in_callback(void **state)
{
	(void)state;
	t.close_in_callback = true;
	assert_int_equal(chan_send(&t.a, (const uint8_t *)"x", 1, -1), 0);
	assert_int_equal(chan_send(&t.a, (const uint8_t *)"y", 1, -1), 0);
	chan_drain(&t.b, 64);
	assert_int_equal(t.frames, 1);
	assert_int_equal(t.ends, 0);
}

/* By libevent: the queue empties itself as the reader reads. */
static void
test_event_loop(void **state)
{
	struct event_base *base = event_base_new();
	size_t queued;

	(void)state;
	assert_int_equal(chan_attach(&t.a, base), 0);
	fill(1000);
	queued = t.a.nframes;
	assert_int_equal(queued, CHAN_QFRAMES);
	assert_int_equal(chan_attach(&t.b, base), 0);
	while (t.a.nframes > 0)
		assert_int_not_equal(event_base_loop(base, EVLOOP_ONCE), -1);
	chan_close(&t.a);
	while (t.ends == 0)
		assert_int_not_equal(event_base_loop(base, EVLOOP_ONCE), -1);
	assert_true(t.frames > queued);
	assert_int_equal(t.bytes, t.frames * 1000);
	event_base_free(base);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_boundaries),
		T(test_too_long),
		T(test_queue_frames),
		T(test_queue_bytes),
		T(test_fds),
		T(test_fd_in_queue),
		T(test_two_fds),
		T(test_eof),
		T(test_write_to_dead),
		T(test_close_in_callback),
		T(test_event_loop),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
