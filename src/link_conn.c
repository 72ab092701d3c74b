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
 * Connections of the link. Anybody may connect, so strangers are bounded in
 * number, time, frames and new connections of one address. When they are too
 * many, the oldest of the busiest address gives way, so that a flood
 * displaces itself; those that were trusted are never displaced.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "link.h"

static void conn_event(evutil_socket_t, short, void *);
static void conn_resume(evutil_socket_t, short, void *);
static void conn_deadline(evutil_socket_t, short, void *);

static int
conn_cmp(const struct link_conn *a, const struct link_conn *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

/* libbsd's RB_GENERATE_STATIC needs a macro that it undefines on Linux. */
#define RB_STATIC static __attribute__((__unused__))
RB_GENERATE_INTERNAL(link_tree, link_conn, node, conn_cmp, RB_STATIC)

void
link_init(struct link *l, struct event_base *base, const struct link_ops *ops,
    void *arg)
{
	memset(l, 0, sizeof(*l));
	l->base = base;
	l->ops = ops;
	l->arg = arg;
	RB_INIT(&l->conns);
	TAILQ_INIT(&l->strangers);
	link_rate_init(
	    &l->strange, LINK_STRANGE_BURST, LINK_STRANGE_RATE, monotime_now());
}

struct link_conn *
link_find(struct link *l, uint64_t id)
{
	struct link_conn key = { .id = id };

	return RB_FIND(link_tree, &l->conns, &key);
}

/* ------------------------------------------------------------------- end --- */

static bool
strange(const struct link_conn *c)
{
	return c->kind == LK_IN && !c->trusted;
}

static void
conn_free(struct link_conn *c)
{
	struct link *l = c->link;

	RB_REMOVE(link_tree, &l->conns, c);
	if (strange(c)) {
		TAILQ_REMOVE(&l->strangers, c, entry);
		l->nstrangers--;
	} else if (c->kind == LK_IN)
		l->ntrusted--;
	else if (c->kind == LK_LOCAL)
		l->nlocal--;
	if (c->ev != NULL)
		event_free(c->ev);
	if (c->timer != NULL)
		event_free(c->timer);
	if (c->pause != NULL)
		event_free(c->pause);
	if (c->fd != -1)
		close(c->fd);
	free(c->rbuf);
	free(c->wbuf);
	free(c);
}

void
link_close(struct link_conn *c, const char *error)
{
	struct link *l = c->link;
	struct link_site *site = c->site;

	if (c->told && error != NULL)
		l->ops->down(l->arg, c, error);
	conn_free(c);
	if (site != NULL)
		l->ops->lost(l->arg, site);
}

void
link_free(struct link *l)
{
	struct link_conn *c;

	while ((c = RB_MIN(link_tree, &l->conns)) != NULL)
		conn_free(c);
}

static void
conn_failed(struct link_conn *c)
{
	link_close(c, strerror(errno));
}

/* ----------------------------------------------------------------- events --- */

static void
set_timer(struct event *timer, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000L };

	event_add(timer, &tv);
}

static void
conn_want(struct link_conn *c)
{
	short what = EV_PERSIST;

	if (c->connecting || c->wlen > 0)
		what |= EV_WRITE;
	if (!c->connecting && !c->paused)
		what |= EV_READ;
	event_del(c->ev);
	event_assign(c->ev, c->link->base, c->fd, what, conn_event, c);
	if (what != EV_PERSIST)
		event_add(c->ev, NULL);
}

/* Read no more for a while; 0: until it is trusted, or its time is over. */
static void
conn_pause(struct link_conn *c, int64_t ms)
{
	c->paused = true;
	conn_want(c);
	if (ms > 0)
		set_timer(c->pause, ms);
}

static void
conn_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct link_conn *c = arg;

	link_close(c,
	    c->connecting ? "connect: deadline passed" :
			    "did not prove itself in time");
}

static struct link_conn *
conn_new(struct link *l, enum link_kind kind, int fd)
{
	struct link_conn *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		fatal("calloc");
	c->link = l;
	c->id = ++l->last_id;
	c->kind = kind;
	c->fd = fd;
	c->trusted = kind == LK_LOCAL;
	link_rate_init(
	    &c->rate, LINK_PEER_BURST, LINK_PEER_RATE, monotime_now());
	if ((c->ev = event_new(l->base, fd, 0, conn_event, c)) == NULL ||
	    (c->timer = evtimer_new(l->base, conn_deadline, c)) == NULL ||
	    (c->pause = evtimer_new(l->base, conn_resume, c)) == NULL)
		fatalx("event_new");
	RB_INSERT(link_tree, &l->conns, c);
	return c;
}

static void
conn_up(struct link_conn *c)
{
	c->told = true;
	c->link->ops->up(c->link->arg, c);
}

/* ---------------------------------------------------------------- inbound --- */

/* Strangers of that one's address. */
static unsigned
crowd(const struct link *l, const struct link_conn *c)
{
	const struct link_conn *o;
	unsigned n = 0;

	TAILQ_FOREACH (o, &l->strangers, entry)
		n += memcmp(&o->src, &c->src, sizeof(o->src)) == 0;
	return n;
}

static void
evict_stranger(struct link *l)
{
	struct link_conn *c, *victim = NULL;
	unsigned n, most = 0;

	/* Oldest first: of equally busy ones it stays. */
	TAILQ_FOREACH (c, &l->strangers, entry)
		if ((n = crowd(l, c)) > most) {
			most = n;
			victim = c;
		}
	if (victim == NULL)
		return;
	l->evicted++;
	link_close(victim, "gave way to another stranger");
}

static void
new_stranger(struct link *l, int fd, const struct sockaddr_storage *ss)
{
	struct link_conn *c;
	struct in6_addr src;

	net_in6(ss, &src);
	if (!link_source_take(&l->sources, &src, monotime_now())) {
		l->refused++;
		close(fd);
		return;
	}
	if (l->nstrangers >= LINK_STRANGERS)
		evict_stranger(l);
	c = conn_new(l, LK_IN, fd);
	c->src = src;
	net_format(ss, c->peer);
	TAILQ_INSERT_TAIL(&l->strangers, c, entry);
	l->nstrangers++;
	set_timer(c->timer, LINK_PROVE_MS);
	conn_want(c);
}

void
link_accepted(struct link *l, enum link_kind kind, int fd,
    const struct sockaddr_storage *ss)
{
	struct link_conn *c;

	if (kind == LK_IN) {
		new_stranger(l, fd, ss);
		return;
	}
	if (l->nlocal >= LINK_LOCALS) {
		close(fd);
		return;
	}
	c = conn_new(l, LK_LOCAL, fd);
	l->nlocal++;
	strlcpy(c->peer, "guard", sizeof(c->peer));
	conn_up(c);
	conn_want(c);
}

void
link_trust(struct link_conn *c)
{
	struct link *l = c->link;

	if (c->trusted)
		return;
	if (c->kind == LK_IN) {
		if (l->ntrusted >= LINK_TRUSTED) {
			link_close(c, "too many trusted peers");
			return;
		}
		TAILQ_REMOVE(&l->strangers, c, entry);
		l->nstrangers--;
		l->ntrusted++;
	}
	c->trusted = true;
	event_del(c->timer);
	/* What it sent meanwhile waits in rbuf and in the socket. */
	if (c->paused)
		set_timer(c->pause, 0);
}

/* --------------------------------------------------------------- outbound --- */

int
link_options(int fd)
{
	const int on = 1, user = LINK_USER_MS, snd = LINK_SNDBUF, idle = 2,
		  intvl = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &snd, sizeof(snd)) == -1 ||
	    setsockopt(
		fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user, sizeof(user)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == -1 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle)) ==
		-1 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &intvl, sizeof(intvl)) ==
		-1)
		return -1;
	/*
	 * A few small frames a second: without it the kernel doubles its
	 * patience with each loss, and a lossy minute looks like an outage.
	 */
	return setsockopt(
	    fd, IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, &on, sizeof(on));
}

struct link_conn *
link_connect(
    struct link *l, struct link_site *site, const char *ip, uint32_t port)
{
	struct sockaddr_storage ss;
	struct link_conn *c;
	int fd, len, saved;

	if ((len = net_addr(ip, (in_port_t)port, &ss)) == -1)
		return NULL;
	fd =
	    socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return NULL;
	if (link_options(fd) == -1 ||
	    (connect(fd, (struct sockaddr *)&ss, (socklen_t)len) == -1 &&
		errno != EINPROGRESS)) {
		saved = errno;
		close(fd);
		errno = saved;
		return NULL;
	}
	c = conn_new(l, LK_OUT, fd);
	c->site = site;
	c->connecting = true;
	net_format(&ss, c->peer);
	set_timer(c->timer, LINK_CONNECT_MS);
	conn_want(c);
	return c;
}

static void
connected(struct link_conn *c)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) == -1 ||
	    err != 0) {
		if (err != 0)
			errno = err;
		conn_failed(c);
		return;
	}
	c->connecting = false;
	set_timer(c->timer, LINK_PROVE_MS);
	conn_want(c);
	conn_up(c);
}

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
		conn_failed(c);
		return;
	}
	if (left > 0 && !keep(c, buf + len - (size_t)left, (size_t)left)) {
		link_close(c, "does not read");
		return;
	}
	if (left > 0)
		conn_want(c);
}

static int
conn_flush(struct link_conn *c)
{
	ssize_t left = try_send(c, c->wbuf, c->wlen);

	if (left == -1) {
		conn_failed(c);
		return -1;
	}
	memmove(c->wbuf, c->wbuf + c->wlen - (size_t)left, (size_t)left);
	c->wlen = (size_t)left;
	if (left == 0) {
		free(c->wbuf);
		c->wbuf = NULL;
		c->wsize = 0;
		conn_want(c);
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
	struct link_rate *r = strange(c) ? &l->strange : &c->rate;

	if (!c->trusted && c->frames >= LINK_PROVE_FRAMES) {
		conn_pause(c, 0);
		return false;
	}
	if (queued >= (strange(c) ? LINK_QUEUE_STRANGE : LINK_QUEUE_ALL)) {
		conn_pause(c, LINK_PAUSE_MS);
		return false;
	}
	if (!link_rate_take(r, now)) {
		conn_pause(c, link_rate_wait(r, now));
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
		conn_up(c);
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
			conn_pause(c, 1);
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
		conn_failed(c);
		return;
	}
	if (n == 0) {
		link_close(c, "closed by the peer");
		return;
	}
	(void)consume(c, buf, c->rlen + (size_t)n);
}

static void
conn_resume(evutil_socket_t fd, short what, void *arg)
{
	static uint8_t buf[2 * (LINK_HEAD + LINK_FRAME_MAX)];
	struct link_conn *c = arg;
	size_t have = c->rlen;

	c->paused = false;
	if (have > 0)
		memcpy(buf, c->rbuf, have);
	if (consume(c, buf, have) == 0 && !c->paused)
		conn_want(c);
}

static void
conn_event(evutil_socket_t fd, short what, void *arg)
{
	struct link_conn *c = arg;

	if (c->connecting) {
		connected(c);
		return;
	}
	if ((what & EV_WRITE) != 0 && conn_flush(c) == -1)
		return;
	if ((what & EV_READ) != 0)
		conn_read(c);
}
