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
 * Bytes of the link's connections: frames in, frames out, and who may pass
 * how many to the parent.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "link.h"

/* ---------------------------------------------------------------- sending --- */

/* Returns what is left, or -1. */
static ssize_t
try_send(struct link_conn *c, const uint8_t *p, size_t len)
{
	ssize_t n = 0;

	if (len > 0)
		n = send(c->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n == -1 && errno != EAGAIN && errno != EINTR)
		return -1;
	return (ssize_t)len - (n > 0 ? n : 0);
}

static bool
keep(struct link_conn *c, const uint8_t *p, size_t len)
{
	uint8_t *buf;

	if (len > LINK_TX_MAX - c->wlen)
		return false;
	if (len > c->wsize - c->wlen) {
		if ((buf = realloc(c->wbuf, c->wlen + len)) == NULL)
			fatal("realloc");
		c->wbuf = buf;
		c->wsize = c->wlen + len;
	}
	memcpy(c->wbuf + c->wlen, p, len);
	c->wlen += len;
	return true;
}

/* Afterwards c may be gone. */
void
link_send(struct link_conn *c, const uint8_t *data, size_t len)
{
	uint8_t buf[LINK_HEAD + LINK_FRAME_MAX];
	ssize_t left;

	if (len == 0 || len > LINK_FRAME_MAX || c->connecting)
		return;
	buf[0] = (uint8_t)(len >> 8);
	buf[1] = (uint8_t)len;
	memcpy(buf + LINK_HEAD, data, len);
	len += LINK_HEAD;
	left = (ssize_t)len;
	if (c->wlen == 0 && (left = try_send(c, buf, len)) == -1) {
		link_failed(c);
		return;
	}
	if (left > 0 && !keep(c, buf + len - (size_t)left, (size_t)left)) {
		link_close(c, "does not read");
		return;
	}
	if (left > 0)
		link_want(c);
}

static int
conn_flush(struct link_conn *c)
{
	ssize_t left = try_send(c, c->wbuf, c->wlen);

	if (left == -1) {
		link_failed(c);
		return -1;
	}
	memmove(c->wbuf, c->wbuf + c->wlen - (size_t)left, (size_t)left);
	c->wlen = (size_t)left;
	if (left == 0) {
		free(c->wbuf);
		c->wbuf = NULL;
		c->wsize = 0;
		link_want(c);
	}
	return 0;
}

/* -------------------------------------------------------------- receiving --- */

/* May one more frame go to the parent now? Else it is paused, 0: for good. */
static bool
may_pass(struct link_conn *c)
{
	struct link *l = c->link;
	struct monotime now = monotime_now();
	size_t queued = l->ops->queued(l->arg);
	struct link_rate *r = link_strange(c) ? &l->strange : &c->rate;

	if (!c->trusted && c->frames >= LINK_PROVE_FRAMES) {
		link_pause(c, 0);
		return false;
	}
	if (queued >= (link_strange(c) ? LINK_QUEUE_STRANGE : LINK_QUEUE_ALL)) {
		link_pause(c, LINK_PAUSE_MS);
		return false;
	}
	if (!link_rate_take(r, now)) {
		link_pause(c, link_rate_wait(r, now));
		return false;
	}
	if (!c->trusted)
		c->frames++;
	return true;
}

static void
pass(struct link_conn *c, const uint8_t *frame, size_t len)
{
	if (!c->told)
		link_up(c);
	c->link->ops->rx(c->link->arg, c, frame, len);
}

/* Keep what is not consumed yet. */
static void
stash(struct link_conn *c, const uint8_t *p, size_t len)
{
	uint8_t *buf = NULL;

	if (len > 0) {
		if ((buf = malloc(len)) == NULL)
			fatal("malloc");
		memcpy(buf, p, len);
	}
	free(c->rbuf);
	c->rbuf = buf;
	c->rlen = len;
}

/* Whole frames of buf, a turn's share of them; what is left is kept. */
static int
consume(struct link_conn *c, const uint8_t *buf, size_t have)
{
	size_t len, off = 0;
	unsigned turn = 0;
	int rc;

	while ((rc = link_frame(buf + off, have - off, &len)) == 1) {
		if (turn++ == LINK_TURN) {
			link_pause(c, 1);
			break;
		}
		if (!may_pass(c))
			break;
		pass(c, buf + off + LINK_HEAD, len);
		off += LINK_HEAD + len;
	}
	if (rc == -1) {
		link_close(c, "not a frame");
		return -1;
	}
	stash(c, buf + off, have - off);
	return 0;
}

static void
conn_read(struct link_conn *c)
{
	/* rbuf never holds two frames' worth: a paused one is not read. */
	static uint8_t buf[2 * (LINK_HEAD + LINK_FRAME_MAX)];
	ssize_t n;

	memcpy(buf, c->rbuf != NULL ? c->rbuf : buf, c->rlen);
	n = read(c->fd, buf + c->rlen, sizeof(buf) - c->rlen);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == -1) {
		link_failed(c);
		return;
	}
	if (n == 0) {
		link_close(c, "closed by the peer");
		return;
	}
	/* What was let wait may have come at once: it is as old as the wait. */
	c->read = c->since.ns != 0 ? c->since : monotime_now();
	c->since.ns = 0;
	(void)consume(c, buf, c->rlen + (size_t)n);
}

void
link_conn_resume(evutil_socket_t fd, short what, void *arg)
{
	static uint8_t buf[2 * (LINK_HEAD + LINK_FRAME_MAX)];
	struct link_conn *c = arg;
	size_t have = c->rlen;

	c->paused = false;
	if (have > 0)
		memcpy(buf, c->rbuf, have);
	if (consume(c, buf, have) == 0 && !c->paused)
		link_want(c);
}

void
link_conn_event(evutil_socket_t fd, short what, void *arg)
{
	struct link_conn *c = arg;

	if (c->connecting) {
		link_connected(c);
		return;
	}
	if ((what & EV_WRITE) != 0 && conn_flush(c) == -1)
		return;
	if ((what & EV_READ) != 0)
		conn_read(c);
}
