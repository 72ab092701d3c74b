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
 * Who may connect. The number of connections to a port is bounded: beyond it
 * the longest waiting connection of the busiest address gives way, so that a
 * flood displaces itself first.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/tree.h>

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http_conn.h"

#define X(id, name, max, ms) max,
static const unsigned srv_max[] = { HTTP_SERVERS(X) };
#undef X

/* ---------------------------------------------------------------- peers --- */

static int
peer_cmp(const struct http_peer *a, const struct http_peer *b)
{
	return memcmp(&a->addr, &b->addr, sizeof(a->addr));
}

/* libbsd's RB_GENERATE_STATIC needs a macro that it undefines on Linux. */
#define RB_STATIC static __attribute__((__unused__))
RB_GENERATE_INTERNAL(http_peers, http_peer, entry, peer_cmp, RB_STATIC)

struct http_peer *
http_peer_get(struct http_listener *l, const struct in6_addr *addr)
{
	struct http_peer key = { .addr = *addr }, *p;

	if ((p = RB_FIND(http_peers, &l->peers, &key)) == NULL) {
		if ((p = calloc(1, sizeof(*p))) == NULL)
			return NULL;
		p->addr = *addr;
		RB_INSERT(http_peers, &l->peers, p);
	}
	p->nconns++;
	return p;
}

void
http_peer_put(struct http_listener *l, struct http_peer *p)
{
	if (--p->nconns > 0)
		return;
	RB_REMOVE(http_peers, &l->peers, p);
	free(p);
}

/* --------------------------------------------------------------- accept --- */

/* Worse ones go first: see the head of this file. */
static bool
gives_way_before(const struct http_conn *a, const struct http_conn *b)
{
	if (a->peer->nconns != b->peer->nconns)
		return a->peer->nconns > b->peer->nconns;
	if ((a->phase == HP_WRITE) != (b->phase == HP_WRITE))
		return b->phase == HP_WRITE;
	return monotime_cmp(a->since, b->since) < 0;
}

static void
evict_one(struct http_listener *l)
{
	struct http_conn *c, *victim = NULL;

	TAILQ_FOREACH (c, &l->conns, entry)
		if (victim == NULL || gives_way_before(c, victim))
			victim = c;
	if (victim != NULL)
		http_conn_drop(victim, DROP_CAP);
}

static void
admit(struct http_listener *l, int fd, const struct sockaddr_storage *ss)
{
	if (l->nconns >= srv_max[l->srv])
		evict_one(l);
	http_conn_new(l, fd, ss);
}

static void
take_all(struct http_listener *l)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int fd, i, why;

	for (i = 0; i < HTTP_ACCEPTS; i++) {
		len = sizeof(ss);
		memset(&ss, 0, sizeof(ss));
		fd = accept4(l->fd, (struct sockaddr *)&ss, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd != -1) {
			admit(l, fd, &ss);
			continue;
		}
		why = errno;
		if (why == EMFILE || why == ENFILE || why == ENOBUFS ||
		    why == ENOMEM) {
			evict_one(l);
			return;
		}
		if (why == EAGAIN)
			return;
		/* A client that left again, or a network error: the next. */
	}
}

/* ---------------------------------------------------------------- listen --- */

static void
listener_event(evutil_socket_t fd, short what, void *arg)
{
	take_all(arg);
}

int
http_listen(struct event_base *base, enum http_srv srv, const char *where,
    const struct http_ops *ops, struct http_listener **out,
    char addr[static HTTP_ADDR_LEN])
{
	static const struct net_opts opts = { HTTP_SNDBUF, HTTP_RCVBUF,
		HTTP_BACKLOG };
	struct sockaddr_storage ss;
	struct http_listener *l;
	int saved;

	*out = NULL;
	addr[0] = '\0';
	if (*where == '\0' || strcmp(where, "0") == 0)
		return 0;
	if ((l = calloc(1, sizeof(*l))) == NULL)
		return -1;
	TAILQ_INIT(&l->conns);
	RB_INIT(&l->peers);
	l->base = base;
	l->srv = srv;
	l->ops = ops;
	if ((l->fd = net_listen(where, &opts, &ss)) == -1 ||
	    (l->ev = event_new(base, l->fd, EV_READ | EV_PERSIST,
		 listener_event, l)) == NULL ||
	    event_add(l->ev, NULL) == -1) {
		saved = errno;
		if (l->ev != NULL)
			event_free(l->ev);
		if (l->fd != -1)
			close(l->fd);
		free(l);
		errno = saved;
		return -1;
	}
	net_format(&ss, addr);
	*out = l;
	return 0;
}

unsigned
http_nconns(const struct http_listener *l)
{
	return l == NULL ? 0 : l->nconns;
}
