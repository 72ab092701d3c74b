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
 * Listening sockets. All that is set on a socket is set here, before the
 * sandbox closes: accepted ones inherit it.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "br.h"
#include "net.h"

void
net_format(const struct sockaddr_storage *ss, char text[static NET_ADDR_LEN])
{
	const struct sockaddr_in *sin = (const void *)ss;
	const struct sockaddr_in6 *sin6 = (const void *)ss;
	char ip[INET6_ADDRSTRLEN] = "";

	text[0] = '\0';
	if (ss->ss_family == AF_INET) {
		inet_ntop(AF_INET, &sin->sin_addr, ip, sizeof(ip));
		snprintf(text, NET_ADDR_LEN, "%s:%u", ip,
		    (unsigned)ntohs(sin->sin_port));
	} else if (ss->ss_family == AF_INET6 &&
	    IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
		inet_ntop(
		    AF_INET, &sin6->sin6_addr.s6_addr[12], ip, sizeof(ip));
		snprintf(text, NET_ADDR_LEN, "%s:%u", ip,
		    (unsigned)ntohs(sin6->sin6_port));
	} else if (ss->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &sin6->sin6_addr, ip, sizeof(ip));
		snprintf(text, NET_ADDR_LEN, "[%s]:%u", ip,
		    (unsigned)ntohs(sin6->sin6_port));
	}
}

void
net_in6(const struct sockaddr_storage *ss, struct in6_addr *addr)
{
	const struct sockaddr_in *sin = (const void *)ss;
	const struct sockaddr_in6 *sin6 = (const void *)ss;

	memset(addr, 0, sizeof(*addr));
	if (ss->ss_family == AF_INET6)
		*addr = sin6->sin6_addr;
	else if (ss->ss_family == AF_INET) {
		addr->s6_addr[10] = addr->s6_addr[11] = 0xff;
		memcpy(
		    &addr->s6_addr[12], &sin->sin_addr, sizeof(sin->sin_addr));
	}
}

int
net_addr(const char *ip, in_port_t port, struct sockaddr_storage *ss)
{
	struct sockaddr_in *sin = (void *)ss;
	struct sockaddr_in6 *sin6 = (void *)ss;

	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, ip, &sin->sin_addr) == 1) {
		sin->sin_family = AF_INET;
		sin->sin_port = htons(port);
		return sizeof(*sin);
	}
	if (inet_pton(AF_INET6, ip, &sin6->sin6_addr) == 1) {
		sin6->sin6_family = AF_INET6;
		sin6->sin6_port = htons(port);
		return sizeof(*sin6);
	}
	errno = EINVAL;
	return -1;
}

/* Returns the length of the address, or -1 with EINVAL. */
static int
parse_where(const char *where, struct sockaddr_storage *ss)
{
	char host[HOST_LEN + 1];
	const char *colon, *errstr, *ip = host;
	in_port_t port;
	size_t n;

	if ((colon = strrchr(where, ':')) == NULL)
		goto bad;
	port = (in_port_t)strtonum(colon + 1, 0, 65535, &errstr);
	n = (size_t)(colon - where);
	if (errstr != NULL || n >= sizeof(host))
		goto bad;
	memcpy(host, where, n);
	host[n] = '\0';
	if (n == 0)
		return net_addr("::", port, ss);
	if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		ip = host + 1;
	} else if (strchr(host, ':') != NULL)
		goto bad;
	return net_addr(ip, port, ss);
bad:
	errno = EINVAL;
	return -1;
}

static int
set_options(int fd, int family, const struct net_opts *o)
{
	const int on = 1, off = 0;

	if ((o->sndbuf != 0 &&
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &o->sndbuf,
		    sizeof(o->sndbuf)) == -1) ||
	    (o->rcvbuf != 0 &&
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &o->rcvbuf,
		    sizeof(o->rcvbuf)) == -1) ||
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
open_socket(
    struct sockaddr_storage *ss, socklen_t len, const struct net_opts *o)
{
	int fd, saved;

	fd = socket(
	    ss->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (set_options(fd, ss->ss_family, o) == -1 ||
	    bind(fd, (struct sockaddr *)ss, len) == -1 ||
	    listen(fd, o->backlog) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

int
net_listen(
    const char *where, const struct net_opts *o, struct sockaddr_storage *ss)
{
	in_port_t port;
	socklen_t len;
	int fd, n, saved;

	if ((n = parse_where(where, ss)) == -1)
		return -1;
	fd = open_socket(ss, (socklen_t)n, o);
	/* A kernel without IPv6 still has ":port". */
	if (fd == -1 && where[0] == ':' &&
	    (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
		port = ntohs(((struct sockaddr_in6 *)ss)->sin6_port);
		n = net_addr("0.0.0.0", port, ss);
		fd = open_socket(ss, (socklen_t)n, o);
	}
	if (fd == -1)
		return -1;
	len = sizeof(*ss);
	if (getsockname(fd, (struct sockaddr *)ss, &len) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}
