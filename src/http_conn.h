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
 * What http_conn.c, http_listen.c and http_reply.c share.
 */

#ifndef HTTP_CONN_H
#define HTTP_CONN_H

#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/tree.h>

#include <netinet/in.h>

#include "http.h"
#include "net.h"

struct event;

/* IDLE: between requests. DRAIN: refused, the client may read why. */
enum http_phase { HP_HEAD, HP_WRITE, HP_IDLE, HP_DRAIN };

/* One address and its connections to one port. */
struct http_peer {
	RB_ENTRY(http_peer) entry;
	struct in6_addr addr;
	unsigned nconns;
};
RB_HEAD(http_peers, http_peer);

struct http_conn {
	TAILQ_ENTRY(http_conn) entry;
	struct http_listener *listener;
	struct http_peer *peer;
	int fd; /* -1: handed over */
	struct event *ev;
	struct event *timer;
	enum http_phase phase;
	struct monotime since; /* the phase began */
	bool keep, no_body, refused;
	bool pipelined; /* buf holds more, a turn later */
	short what;     /* ev waits for */

	char *buf; /* request */
	size_t len, size, scan;
	unsigned state; /* of http_head_end */

	int status; /* answer: http_reply.c */
	char head[512];
	size_t headlen, bodylen, off;
	struct http_body *body;

	struct in6_addr addr;
	char remote[HTTP_ADDR_LEN];
	struct http_note note;
};

struct http_listener {
	struct event_base *base;
	struct event *ev;
	int fd;
	enum http_srv srv;
	const struct http_ops *ops;
	TAILQ_HEAD(, http_conn) conns;
	unsigned nconns;
	struct http_peers peers;
};

/* Takes fd. */
void
http_conn_new(struct http_listener *, int fd, const struct sockaddr_storage *);
void http_conn_drop(struct http_conn *, enum http_drop);
/* NULL with ENOMEM. */
struct http_peer *
http_peer_get(struct http_listener *, const struct in6_addr *);
void http_peer_put(struct http_listener *, struct http_peer *);

#endif /* HTTP_CONN_H */
