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
 * WebSockets of status-server: /ws/status (sidecar.md section 9.1).
 */

#ifndef HTTP_WS_H
#define HTTP_WS_H

#include "http.h"

/* -------------------------------------------------------------- limits --- */

/*
 * They are counted apart from the connections of http.h, and no flood of those
 * displaces them. How many there are at most says br.h: WS_CLIENTS_MAX.
 */
#define HTTP_WS_PING_MS    54000
#define HTTP_WS_PONG_MS    60000 /* without an answer to a ping */
#define HTTP_WS_WRITE_MS   5000  /* for one message */
#define HTTP_WS_CLOSE_MS   1000  /* for the client's answer to our Close */
#define HTTP_WS_SWEEP_MS   1000  /* how often these are looked at */
#define HTTP_WS_IN_MAX     4096  /* a message of the client, which is ignored */
/* A client has nothing to tell but Pong: more frames between pings end it. */
#define HTTP_WS_FRAMES     1000
/*
 * One client's share of a turn of the loop. What is read may be pings of six
 * bytes, each to be answered: reading stops while more answers than these
 * wait. What is written is JSON.
 */
#define HTTP_WS_READ       128
#define HTTP_WS_ANSWERS    4
#define HTTP_WS_WRITE      65536
#define HTTP_WS_MESSAGES   8
/* Of messages, new and old, that slow clients hold; the others wait then. */
#define HTTP_WS_BYTES      (64 * 1024 * 1024)

/* ----------------------------------------------------- http_handshake.c --- */

#define HTTP_WS_ACCEPT_LEN 28 /* base64 of a SHA-1 */

/*
 * May this request become a WebSocket (RFC 6455 section 4.2)? Returns 101
 * with the value of Sec-WebSocket-Accept, or 400, 403 (origin) or 426.
 * origins is a comma list; "" or one that has "*" is any, and none.
 */
int http_handshake(const struct http_req *, const char *origins,
    char accept[static HTTP_WS_ACCEPT_LEN + 1]);

/* ---------------------------------------------------------- http_ws.c --- */

struct http_ws_conf {
	struct event_base *base;
	struct http_state *state;
	const struct metric_sink *sink;
	unsigned max; /* clients; 0: WS_CLIENTS_MAX */
	char origins[ORIGINS_LEN + 1];
};

/* Once. The struct is copied. -1 with ENOMEM. */
int http_ws_init(const struct http_ws_conf *);
/* As http_handshake(), or 429: there is no room. */
int http_ws_ask(
    const struct http_req *, char accept[static HTTP_WS_ACCEPT_LEN + 1]);
/* Takes a connected socket on which 101 was answered. */
void http_ws_adopt(int fd, const char *remote);
/* The state changed: every client will hear it. */
void http_ws_news(void);

#endif /* HTTP_WS_H */
