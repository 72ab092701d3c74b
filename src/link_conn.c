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

bool
link_strange(const struct link_conn *c)
{
	return c->kind == LK_IN && !c->trusted;
}

static void
conn_free(struct link_conn *c)
{
	struct link *l = c->link;

	RB_REMOVE(link_tree, &l->conns, c);
	if (link_strange(c)) {
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

void
link_failed(struct link_conn *c)
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

void
link_want(struct link_conn *c)
{
	short what = EV_PERSIST;

	if (c->connecting || c->wlen > 0)
		what |= EV_WRITE;
	if (!c->connecting && !c->paused)
		what |= EV_READ;
	event_del(c->ev);
	event_assign(c->ev, c->link->base, c->fd, what, link_conn_event, c);
	if (what != EV_PERSIST)
		event_add(c->ev, NULL);
}

void
link_pause(struct link_conn *c, int64_t ms)
{
	c->paused = true;
	if (c->since.ns == 0)
		c->since = monotime_now();
	link_want(c);
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
	if ((c->ev = event_new(l->base, fd, 0, link_conn_event, c)) == NULL ||
	    (c->timer = evtimer_new(l->base, conn_deadline, c)) == NULL ||
	    (c->pause = evtimer_new(l->base, link_conn_resume, c)) == NULL)
		fatalx("event_new");
	RB_INSERT(link_tree, &l->conns, c);
	return c;
}

void
link_up(struct link_conn *c)
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
	link_want(c);
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
	link_up(c);
	link_want(c);
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
	link_want(c);
	return c;
}

void
link_connected(struct link_conn *c)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) == -1 ||
	    err != 0) {
		if (err != 0)
			errno = err;
		link_failed(c);
		return;
	}
	c->connecting = false;
	set_timer(c->timer, LINK_PROVE_MS);
	link_want(c);
	link_up(c);
}
