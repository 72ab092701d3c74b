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
 * What the status-server of bloodraven(8) and the http worker of
 * bloodraven-sidecar(8) have in common: routes, counting, logging, /metrics.
 */

#ifndef HTTP_APP_H
#define HTTP_APP_H

#include "http.h"
#include "metrics.h"

#define HTTP_CT_TEXT "text/plain; charset=utf-8"
#define HTTP_CT_JSON "application/json"

struct http_route {
	const char *name; /* label of metrics; never a URL */
	const char *path;
	unsigned servers; /* bits of enum http_srv */
	void (*answer)(struct http_conn *, const struct http_req *);
};

struct http_app {
	const char *worker; /* label of metrics */
	const char *event;  /* of a request's log line */
	unsigned counted;   /* servers whose requests are counted and logged */
	bool log_ok;        /* also those that were answered well */
	unsigned get_only;  /* servers that answer 405 to all but GET, HEAD */
	const struct http_route *routes;
	size_t nroutes;
	/* Before /metrics is rendered: set what changes by itself. May be NULL. */
	void (*fresh)(void);
	/* As in http_ops; NULL when no answer upgrades. */
	void (*upgraded)(int fd, const char *remote);
};

/* Once. The struct is borrowed for good. -1 with ENOMEM. */
int http_app_init(const struct http_app *);
/* As http_listen(); logs msg and the address, or what is wrong. */
int http_app_listen(
    struct event_base *, enum http_srv, const char *where, const char *msg);
/* Into the registry of this process. */
const struct metric_sink *http_app_sink(void);
void http_app_metric(const struct m_metric *);

/* --------------------------------------------------------------- answers --- */

/* An answer that is rendered now and then, and shared until the next time. */
struct http_shared {
	struct http_body *body;
	struct monotime made;
	struct http_alive alive;
};

/* Is what was rendered before good enough? See HTTP_BODY_MS, HTTP_BODIES. */
bool http_shared_fresh(const struct http_shared *, bool dirty);
/* Takes text. */
bool http_shared_set(struct http_shared *, char *text, size_t len);
/* ok false: 500. */
void http_reply_shared(
    struct http_conn *, const char *ctype, const struct http_shared *, bool ok);
/* Takes text; NULL: 500. */
void http_reply_text(
    struct http_conn *, int status, const char *ctype, char *text, size_t len);
void http_reply_literal(
    struct http_conn *, int status, const char *ctype, const char *text);
/* Without a body that would say more. */
void http_reply_bare(struct http_conn *, int status);
/* 200 "ok", 404, and the registry. */
void http_answer_ok(struct http_conn *, const struct http_req *);
void http_answer_notfound(struct http_conn *, const struct http_req *);
void http_answer_metrics(struct http_conn *, const struct http_req *);

#endif /* HTTP_APP_H */
