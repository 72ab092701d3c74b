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
 * Listening sockets of status-server.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http_conn.h"

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
