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
 * Listening TCP sockets and addresses as text, for http_listen.c and link.c.
 */

#ifndef NET_H
#define NET_H

#include <sys/socket.h>

#include <netinet/in.h>

/* "[v6]:port" */
#define NET_ADDR_LEN 56

struct net_opts {
	int sndbuf, rcvbuf; /* bytes; 0: the kernel's own */
	int backlog;
};

/*
 * Bind and listen on ":port", "a.b.c.d:port" or "[v6]:port"; port 0 takes
 * any. Non-blocking, TCP_NODELAY; accepted sockets inherit all but the
 * first. ss gets what it is bound to. Returns the socket, or -1 with errno
 * (EINVAL: where is no such text).
 */
int net_listen(
    const char *where, const struct net_opts *, struct sockaddr_storage *ss);
/* "1.2.3.4:5" or "[::1]:5"; an IPv4 address in IPv6 as IPv4; else "". */
void net_format(const struct sockaddr_storage *, char[static NET_ADDR_LEN]);
/* The address alone, IPv4 as ::ffff:a.b.c.d, so that two can be compared. */
void net_in6(const struct sockaddr_storage *, struct in6_addr *);
/* An address without a port. Returns its length, or -1 with EINVAL. */
int net_addr(const char *ip, in_port_t port, struct sockaddr_storage *);

#endif /* NET_H */
