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
 * The session and its socket; what packets say is in myc_packet.c.
 */

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "myc_int.h"

void
myc_init(struct myc *c, uint8_t *buf, size_t size)
{
	memset(c, 0, sizeof(*c));
	c->fd = -1;
	c->in = buf;
	c->in_size = size;
	c->deadline_ms = INT64_MAX;
}

void
myc_close(struct myc *c)
{
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
	c->state = MYC_CLOSED;
	c->in_len = c->in_used = 0;
	c->saved_at = NULL;
	c->deadline_ms = INT64_MAX;
	c->user = NULL;
	c->password = NULL;
	explicit_bzero(c->out, sizeof(c->out));
	c->out_len = c->out_off = 0;
}

enum myc_event
myc_lost(struct myc *c, const char *why)
{
	int saved = errno;

	if (why != NULL) {
		c->err = 0;
		snprintf(c->errtext, sizeof(c->errtext), "%s", why);
	}
	myc_close(c);
	errno = saved;
	return MYC_LOST;
}

int
myc_connect(struct myc *c, const char *path, const char *user,
    const struct secret *password, int64_t now_ms, int64_t deadline_ms)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int n;

	myc_close(c);
	c->err = 0;
	c->errtext[0] = '\0';
	n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	if (n < 0 || (size_t)n >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		goto fail;
	}
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* A Unix socket connects at once, or, with a full queue, not at all. */
	if (c->fd == -1 ||
	    connect(c->fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		goto fail;
	c->state = MYC_GREETING;
	c->seq = 0;
	c->full_auth = false;
	c->user = user;
	c->password = password;
	c->sent_ms = now_ms;
	c->deadline_ms = deadline_ms;
	return 0;
fail:
	(void)myc_lost(c, strerror(errno));
	return -1;
}

int
myc_query(struct myc *c, const char *sql, int64_t now_ms, int64_t deadline_ms)
{
	size_t len = strlen(sql);

	if (c->state != MYC_IDLE) {
		errno = EBUSY;
		return -1;
	}
	if (len > MYC_QUERY_MAX) {
		errno = ERANGE;
		return -1;
	}
	myc_consume(c);
	c->seq = 0;
	c->err = 0;
	c->errtext[0] = '\0';
	c->ncols = 0;
	myc_put_query(c, sql, len);
	c->state = MYC_SENT;
	c->sent_ms = now_ms;
	c->deadline_ms = deadline_ms;
	return 0;
}

/* 0: all is sent, or nothing more can be now. */
static int
flush_out(struct myc *c)
{
	ssize_t n;

	while (c->out_off < c->out_len) {
		n = send(c->fd, c->out + c->out_off, c->out_len - c->out_off,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return errno == EAGAIN ? 0 : -1;
		c->out_off += (size_t)n;
	}
	/* It may have been the password. */
	if (c->state == MYC_AUTH)
		explicit_bzero(c->out, c->out_len);
	c->out_len = c->out_off = 0;
	return 0;
}

/* 1: something came; 0: nothing now; -1: EPIPE is the end. */
static int
fill_in(struct myc *c)
{
	ssize_t n;

	if (c->in_len + 1 >= c->in_size)
		return 0; /* never: a step makes room or closes */
	do {
		n = recv(c->fd, c->in + c->in_len, c->in_size - 1 - c->in_len,
		    MSG_DONTWAIT);
	} while (n == -1 && errno == EINTR);
	if (n > 0) {
		c->in_len += (size_t)n;
		return 1;
	}
	if (n == -1 && errno == EAGAIN)
		return 0;
	if (n == 0)
		errno = EPIPE;
	return -1;
}

enum myc_event
myc_io(struct myc *c, int64_t now_ms)
{
	enum myc_event ev;
	int n;

	if (c->state == MYC_CLOSED)
		return MYC_MORE;
	for (;;) {
		if ((ev = myc_step(c)) != MYC_MORE)
			return ev;
		/* A server that refuses says so and closes: read first. */
		n = fill_in(c);
		if (n == -1)
			return myc_lost(c,
			    errno == EPIPE ? "connection closed" :
					     strerror(errno));
		if (n == 0)
			break;
	}
	if (flush_out(c) == -1)
		return myc_lost(c, strerror(errno));
	if (now_ms >= c->deadline_ms) {
		errno = ETIMEDOUT;
		return myc_lost(c, "no answer in time");
	}
	return MYC_MORE;
}

bool
myc_denied(const struct myc *c)
{
	return c->err == MYC_ERR_DENIED || c->err == MYC_ERR_PLUGIN;
}

int
myc_fd(const struct myc *c)
{
	return c->fd;
}

short
myc_events(const struct myc *c)
{
	if (c->state == MYC_CLOSED)
		return 0;
	return (short)(c->out_off < c->out_len ? POLLIN | POLLOUT : POLLIN);
}

int64_t
myc_deadline_ms(const struct myc *c)
{
	return c->deadline_ms;
}

bool
myc_busy(const struct myc *c)
{
	return c->state != MYC_CLOSED && c->state != MYC_IDLE;
}
