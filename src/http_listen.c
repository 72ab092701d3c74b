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
 * Listening sockets of status-server. All that is set on a socket is set
 * here, before the sandbox closes: accepted ones inherit it.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http_conn.h"

void
http_addr_format(
    const struct sockaddr_storage *ss, char text[static HTTP_ADDR_LEN])
{
	const struct sockaddr_in *sin = (const void *)ss;
	const struct sockaddr_in6 *sin6 = (const void *)ss;
	char ip[INET6_ADDRSTRLEN] = "";

	text[0] = '\0';
	if (ss->ss_family == AF_INET) {
		inet_ntop(AF_INET, &sin->sin_addr, ip, sizeof(ip));
		snprintf(text, HTTP_ADDR_LEN, "%s:%u", ip,
		    (unsigned)ntohs(sin->sin_port));
	} else if (ss->ss_family == AF_INET6 &&
	    IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
		inet_ntop(
		    AF_INET, &sin6->sin6_addr.s6_addr[12], ip, sizeof(ip));
		snprintf(text, HTTP_ADDR_LEN, "%s:%u", ip,
		    (unsigned)ntohs(sin6->sin6_port));
	} else if (ss->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &sin6->sin6_addr, ip, sizeof(ip));
		snprintf(text, HTTP_ADDR_LEN, "[%s]:%u", ip,
		    (unsigned)ntohs(sin6->sin6_port));
	}
}

/* Returns the length of the address, or -1 with EINVAL. */
static int
parse_addr(const char *where, struct sockaddr_storage *ss)
{
	struct sockaddr_in *sin = (void *)ss;
	struct sockaddr_in6 *sin6 = (void *)ss;
	char host[HOST_LEN + 1];
	const char *colon, *errstr;
	in_port_t port;
	size_t n;

	memset(ss, 0, sizeof(*ss));
	if ((colon = strrchr(where, ':')) == NULL)
		goto bad;
	port = (in_port_t)strtonum(colon + 1, 0, 65535, &errstr);
	n = (size_t)(colon - where);
	if (errstr != NULL || n >= sizeof(host))
		goto bad;
	memcpy(host, where, n);
	host[n] = '\0';
	if (inet_pton(AF_INET, host, &sin->sin_addr) == 1) {
		sin->sin_family = AF_INET;
		sin->sin_port = htons(port);
		return sizeof(*sin);
	}
	sin6->sin6_family = AF_INET6;
	sin6->sin6_port = htons(port);
	sin6->sin6_addr = in6addr_any;
	if (n == 0)
		return sizeof(*sin6);
	if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		if (inet_pton(AF_INET6, host + 1, &sin6->sin6_addr) == 1)
			return sizeof(*sin6);
	}
bad:
	errno = EINVAL;
	return -1;
}

static int
set_options(int fd, int family)
{
	const int on = 1, off = 0, snd = HTTP_SNDBUF, rcv = HTTP_RCVBUF;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &snd, sizeof(snd)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcv, sizeof(rcv)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1)
		return -1;
	/* ":8080" means both families, whatever the node's default is. */
	if (family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == -1)
		return -1;
	return 0;
}

static int
open_socket(struct sockaddr_storage *ss, socklen_t len)
{
	int fd, saved;

	fd = socket(
	    ss->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (set_options(fd, ss->ss_family) == -1 ||
	    bind(fd, (struct sockaddr *)ss, len) == -1 ||
	    listen(fd, HTTP_BACKLOG) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/* A kernel without IPv6 still has ":port". */
static int
open_any(const char *where, struct sockaddr_storage *ss, socklen_t len)
{
	struct sockaddr_in *sin = (void *)ss;
	in_port_t port = ((struct sockaddr_in6 *)ss)->sin6_port;
	int fd;

	fd = open_socket(ss, len);
	if (fd == -1 && where[0] == ':' &&
	    (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
		memset(ss, 0, sizeof(*ss));
		sin->sin_family = AF_INET;
		sin->sin_port = port;
		fd = open_socket(ss, sizeof(*sin));
	}
	return fd;
}

static void
listener_event(evutil_socket_t fd, short what, void *arg)
{
	http_accept(arg);
}

int
http_listen(struct event_base *base, enum http_srv srv, const char *where,
    const struct http_ops *ops, struct http_listener **out,
    char addr[static HTTP_ADDR_LEN])
{
	struct sockaddr_storage ss;
	struct http_listener *l;
	socklen_t len;
	int n;

	*out = NULL;
	addr[0] = '\0';
	if (*where == '\0' || strcmp(where, "0") == 0)
		return 0;
	if ((n = parse_addr(where, &ss)) == -1 ||
	    (l = calloc(1, sizeof(*l))) == NULL)
		return -1;
	TAILQ_INIT(&l->conns);
	RB_INIT(&l->peers);
	l->base = base;
	l->srv = srv;
	l->ops = ops;
	len = sizeof(ss);
	if ((l->fd = open_any(where, &ss, (socklen_t)n)) == -1 ||
	    getsockname(l->fd, (struct sockaddr *)&ss, &len) == -1 ||
	    (l->ev = event_new(base, l->fd, EV_READ | EV_PERSIST,
		 listener_event, l)) == NULL ||
	    event_add(l->ev, NULL) == -1) {
		n = errno;
		if (l->ev != NULL)
			event_free(l->ev);
		if (l->fd != -1)
			close(l->fd);
		free(l);
		errno = n;
		return -1;
	}
	http_addr_format(&ss, addr);
	*out = l;
	return 0;
}
