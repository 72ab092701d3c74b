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
 * One connection of status-server. Anybody may connect, so each phase of a
 * connection has a total deadline (not one that a byte now and then puts
 * off), and its memory and its share of a turn of the loop are bounded; how
 * many there are is http_listen.c's business.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/tree.h>
#include <sys/uio.h>

#include <netinet/in.h>

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http_conn.h"

#define X(id, name, ...) name,
static const char *const srv_names[] = { HTTP_SERVERS(X) };
static const char *const drop_names[] = { HTTP_DROPS(X) };
#undef X

#define X(id, name, max, ms) ms,
static const int srv_write_ms[] = { HTTP_SERVERS(X) };
#undef X

static void conn_event(evutil_socket_t, short, void *);
static void conn_deadline(evutil_socket_t, short, void *);
static void conn_next(struct http_conn *);

const char *
http_srv_name(enum http_srv s)
{
	return (unsigned)s < SRV_MAX ? srv_names[s] : "";
}

const char *
http_drop_name(enum http_drop d)
{
	return (unsigned)d < DROP_MAX ? drop_names[d] : "";
}

/* ---------------------------------------------------------- connections --- */

static void
conn_phase(struct http_conn *c, enum http_phase phase, int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000L };

	c->phase = phase;
	c->since = monotime_now();
	evtimer_add(c->timer, &tv);
}

static void
conn_free(struct http_conn *c)
{
	struct http_listener *l = c->listener;

	if (c->phase == HP_WRITE)
		l->ops->done(
		    c, c->status, (monotime_now().ns - c->since.ns) / 1000);
	TAILQ_REMOVE(&l->conns, c, entry);
	l->nconns--;
	if (c->peer != NULL)
		http_peer_put(l, c->peer);
	if (c->ev != NULL)
		event_free(c->ev);
	if (c->timer != NULL)
		event_free(c->timer);
	http_body_unref(c->body);
	free(c->buf);
	if (c->fd != -1)
		close(c->fd);
	free(c);
}

void
http_conn_drop(struct http_conn *c, enum http_drop why)
{
	c->listener->ops->dropped(c->listener->srv, why);
	conn_free(c);
}

static void
conn_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct http_conn *c = arg;

	switch (c->phase) {
	case HP_IDLE:
		http_conn_drop(c, DROP_IDLE);
		break;
	case HP_HEAD:
		http_conn_drop(c, DROP_HEAD);
		break;
	case HP_WRITE:
		http_conn_drop(c, DROP_WRITE);
		break;
	case HP_DRAIN:
		conn_free(c);
		break;
	}
}

static void
conn_want(struct http_conn *c, short what)
{
	if (c->what == what)
		return;
	event_del(c->ev);
	event_assign(
	    c->ev, c->listener->base, c->fd, what | EV_PERSIST, conn_event, c);
	event_add(c->ev, NULL);
	c->what = what;
}

/* Call conn_event in the next turn of the loop, after the others. */
static void
conn_again(struct http_conn *c)
{
	static const struct timeval now = { 0, 0 };

	event_del(c->ev);
	event_assign(c->ev, c->listener->base, -1, 0, conn_event, c);
	event_add(c->ev, &now);
	c->what = 0;
}

void
http_conn_new(
    struct http_listener *l, int fd, const struct sockaddr_storage *ss)
{
	struct http_conn *c;

	if ((c = calloc(1, sizeof(*c))) == NULL) {
		close(fd);
		l->ops->dropped(l->srv, DROP_MEMORY);
		return;
	}
	c->listener = l;
	c->fd = fd;
	net_format(ss, c->remote);
	net_in6(ss, &c->addr);
	TAILQ_INSERT_TAIL(&l->conns, c, entry);
	l->nconns++;
	c->phase = HP_HEAD;
	if ((c->peer = http_peer_get(l, &c->addr)) == NULL ||
	    (c->timer = evtimer_new(l->base, conn_deadline, c)) == NULL ||
	    (c->ev = event_new(
		 l->base, fd, EV_READ | EV_PERSIST, conn_event, c)) == NULL) {
		http_conn_drop(c, DROP_MEMORY);
		return;
	}
	event_add(c->ev, NULL);
	c->what = EV_READ;
	conn_phase(c, HP_HEAD, HTTP_HEAD_MS);
}

/* --------------------------------------------------------------- answer --- */

/* Returns 1 when all is written, 0 when not yet, -1 with errno. */
static int
conn_write(struct http_conn *c)
{
	struct iovec iov[2] = { { NULL, 0 }, { NULL, 0 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	size_t boff = c->off > c->headlen ? c->off - c->headlen : 0;
	ssize_t n;

	if (c->off < c->headlen) {
		iov[0].iov_base = c->head + c->off;
		iov[0].iov_len = c->headlen - c->off;
	}
	if (c->bodylen > boff) {
		iov[1].iov_base = c->body->data + boff;
		iov[1].iov_len = c->bodylen - boff;
	}
	/* sendmsg: the channel needs it as well, and it can't raise SIGPIPE */
	n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	c->off += (size_t)n;
	return c->off == c->headlen + c->bodylen ? 1 : 0;
}

/* The socket belongs to another protocol now (http_ws.c). */
static void
conn_hand_over(struct http_conn *c)
{
	const struct http_ops *ops = c->listener->ops;
	char remote[HTTP_ADDR_LEN];
	int fd = c->fd;

	strlcpy(remote, c->remote, sizeof(remote));
	c->fd = -1;
	conn_free(c);
	ops->upgraded(fd, remote);
}

/* The answer is out: the next request, or the end. */
static void
conn_written(struct http_conn *c)
{
	c->listener->ops->done(
	    c, c->status, (monotime_now().ns - c->since.ns) / 1000);
	c->phase = HP_IDLE; /* it is told: conn_free shall not */
	http_body_unref(c->body);
	c->body = NULL;
	if (c->status == 101)
		conn_hand_over(c);
	else if (c->refused) {
		/*
		 * Closing with unread bytes sends RST, which may overtake the
		 * answer: read on a little.
		 */
		conn_phase(c, HP_DRAIN, HTTP_DRAIN_MS);
		conn_want(c, EV_READ);
	} else if (!c->keep)
		conn_free(c);
	else
		conn_next(c);
}

static void
conn_try_write(struct http_conn *c)
{
	switch (conn_write(c)) {
	case 1:
		conn_written(c);
		break;
	case 0:
		conn_want(c, EV_WRITE);
		break;
	default:
		conn_free(c);
		break;
	}
}

/* -------------------------------------------------------------- request --- */

/* Refuse what is no request of ours, and hang up after the answer. */
static void
conn_refuse(struct http_conn *c, int status)
{
	c->listener->ops->dropped(c->listener->srv, DROP_BAD);
	c->keep = c->no_body = false;
	c->refused = true;
	memset(&c->note, 0, sizeof(c->note));
	free(c->buf);
	c->buf = NULL;
	c->len = c->size = 0;
	conn_phase(c, HP_WRITE, srv_write_ms[c->listener->srv]);
	http_reply(c, status, "text/plain; charset=utf-8", NULL);
	conn_try_write(c);
}

static void
conn_request(struct http_conn *c, size_t headlen)
{
	struct http_req req;

	if (http_parse(c->buf, headlen, &req) == -1) {
		/* What it may not do says more than that it has a body. */
		if (req.status == 413 && c->listener->srv == SRV_SIDECAR &&
		    !req.head && strcmp(req.method, "GET") != 0)
			req.status = 405;
		conn_refuse(c, req.status);
		return;
	}
	c->keep = req.keep;
	c->no_body = req.head;
	memset(&c->note, 0, sizeof(c->note));
	req.more = c->len > headlen;
	conn_phase(c, HP_WRITE, srv_write_ms[c->listener->srv]);
	c->listener->ops->handle(c, &req);
	/* What was pipelined behind it waits for its turn. */
	c->len -= headlen;
	memmove(c->buf, c->buf + headlen, c->len);
	c->scan = 0;
	c->state = 0;
	conn_try_write(c);
}

/* Between two requests; one a turn, so that others are heard as well. */
static void
conn_next(struct http_conn *c)
{
	if (c->len > 0) {
		conn_phase(c, HP_HEAD, HTTP_HEAD_MS);
		c->pipelined = true;
		conn_again(c);
		return;
	}
	free(c->buf);
	c->buf = NULL;
	c->size = 0;
	conn_phase(c, HP_IDLE, HTTP_IDLE_MS);
	conn_want(c, EV_READ);
}

static bool
conn_grow(struct http_conn *c)
{
	size_t size = c->size == 0 ? HTTP_HEAD_FIRST : c->size * 2;
	char *buf;

	if (c->len < c->size)
		return true;
	if ((buf = realloc(c->buf, size)) == NULL)
		return false;
	c->buf = buf;
	c->size = size;
	return true;
}

/* Look for a whole request in what was read. */
static void
conn_parse(struct http_conn *c)
{
	size_t headlen;

	headlen = http_head_end(c->buf, c->len, &c->scan, &c->state);
	if (headlen > 0)
		conn_request(c, headlen);
	else if (c->len >= HTTP_HEAD_MAX)
		conn_refuse(c, 431);
}

static void
conn_read(struct http_conn *c)
{
	ssize_t n;

	if (!conn_grow(c)) {
		http_conn_drop(c, DROP_MEMORY);
		return;
	}
	n = read(c->fd, c->buf + c->len, c->size - c->len);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_free(c);
		return;
	}
	c->len += (size_t)n;
	if (c->phase == HP_IDLE)
		conn_phase(c, HP_HEAD, HTTP_HEAD_MS);
	conn_parse(c);
}

static void
conn_discard(struct http_conn *c)
{
	char junk[4096];
	ssize_t n;

	n = read(c->fd, junk, sizeof(junk));
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		conn_free(c);
}

static void
conn_event(evutil_socket_t fd, short what, void *arg)
{
	struct http_conn *c = arg;

	switch (c->phase) {
	case HP_IDLE:
	case HP_HEAD:
		if (!c->pipelined) {
			conn_read(c);
			break;
		}
		c->pipelined = false;
		conn_want(c, EV_READ);
		conn_parse(c);
		break;
	case HP_WRITE:
		conn_try_write(c);
		break;
	case HP_DRAIN:
		conn_discard(c);
		break;
	}
}

/* ------------------------------------------------------------- questions --- */

enum http_srv
http_conn_srv(const struct http_conn *c)
{
	return c->listener->srv;
}

const char *
http_conn_remote(const struct http_conn *c)
{
	return c->remote;
}

struct http_note *
http_conn_note(struct http_conn *c)
{
	return &c->note;
}
