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
 * Routes, counting, logging: see http_app.h.
 */

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "http_app.h"

#define CT_METRICS "text/plain; version=0.0.4; charset=utf-8"

/* The one of this process. */
static struct {
	const struct http_app *app;
	struct metrics_reg *reg;
	struct metric_sink sink;
	struct http_listener *listeners[SRV_MAX];
	struct http_shared metrics;
	struct http_body *ok, *notfound, *broken, *method;
	uint64_t log_dropped;
	struct monotime log_second;
	unsigned log_lines;
	uint64_t log_suppressed;
} ha;

static void
apply_metric(void *arg, const struct m_metric *m)
{
	metrics_reg_apply(ha.reg, m);
}

const struct metric_sink *
http_app_sink(void)
{
	return &ha.sink;
}

void
http_app_metric(const struct m_metric *m)
{
	/* Refusals are counted in the registry. */
	metrics_reg_apply(ha.reg, m);
}

/* --------------------------------------------------------------- answers --- */

bool
http_shared_fresh(const struct http_shared *sh, bool dirty)
{
	if (sh->body == NULL)
		return false;
	return !dirty || sh->alive.n >= HTTP_BODIES ||
	    monotime_sub_ms(monotime_now(), sh->made) < HTTP_BODY_MS;
}

bool
http_shared_set(struct http_shared *sh, char *text, size_t len)
{
	struct http_body *body;

	if ((body = http_body_new(text, len, &sh->alive)) == NULL)
		return false;
	http_body_unref(sh->body);
	sh->body = body;
	sh->made = monotime_now();
	return true;
}

void
http_reply_shared(struct http_conn *c, const char *ctype,
    const struct http_shared *sh, bool ok)
{
	if (ok)
		http_reply(c, 200, ctype, sh->body);
	else
		http_reply(c, 500, HTTP_CT_TEXT, ha.broken);
}

void
http_reply_text(
    struct http_conn *c, int status, const char *ctype, char *text, size_t len)
{
	struct http_body *body = NULL;

	if (text != NULL)
		body = http_body_new(text, len, NULL);
	if (body == NULL)
		http_reply(c, 500, HTTP_CT_TEXT, ha.broken);
	else
		http_reply(c, status, ctype, body);
	http_body_unref(body);
}

static void
own_gauges(void)
{
	unsigned i;

	for (i = 0; i < SRV_MAX; i++)
		if (ha.listeners[i] != NULL)
			metric_set(&ha.sink, M_HTTP_CONNECTIONS,
			    http_nconns(ha.listeners[i]), ML(http_srv_name(i)));
	metric_log_dropped(&ha.sink, ha.app->worker, &ha.log_dropped);
	if (ha.app->fresh != NULL)
		ha.app->fresh();
}

void
http_answer_metrics(struct http_conn *c, const struct http_req *req)
{
	bool ok = true;
	char *text;
	size_t len;

	if (!http_shared_fresh(&ha.metrics, true)) {
		own_gauges();
		ok = metrics_reg_render(ha.reg, &text, &len) == 0 &&
		    http_shared_set(&ha.metrics, text, len);
	}
	http_reply_shared(c, CT_METRICS, &ha.metrics, ok);
}

void
http_reply_literal(
    struct http_conn *c, int status, const char *ctype, const char *text)
{
	http_reply_text(c, status, ctype, strdup(text), strlen(text));
}

void
http_reply_bare(struct http_conn *c, int status)
{
	http_reply(c, status, HTTP_CT_TEXT, NULL);
}

void
http_answer_ok(struct http_conn *c, const struct http_req *req)
{
	http_reply(c, 200, HTTP_CT_TEXT, ha.ok);
}

void
http_answer_notfound(struct http_conn *c, const struct http_req *req)
{
	http_reply(c, 404, HTTP_CT_TEXT, ha.notfound);
}

/* --------------------------------------------------- requests, counted --- */

/* Names that are not of RFC 9110 and 5789 could be anything. */
static const char *
method_label(const char *method)
{
	static const char *const known[] = { "GET", "HEAD", "POST", "PUT",
		"DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH" };
	unsigned i;

	for (i = 0; i < PS_NITEMS(known); i++)
		if (strcmp(method, known[i]) == 0)
			return known[i];
	return "OTHER";
}

/* Of a path that no route has. */
static const char *
handler_name(const struct http_note *note)
{
	return note->handler < ha.app->nroutes ?
	    ha.app->routes[note->handler].name :
	    "notfound";
}

static void
handle(struct http_conn *c, const struct http_req *req)
{
	const struct http_app *app = ha.app;
	struct http_note *note = http_conn_note(c);
	unsigned i, server = 1u << http_conn_srv(c);

	note->handler = (unsigned)app->nroutes;
	for (i = 0; i < app->nroutes; i++)
		if ((app->routes[i].servers & server) != 0 &&
		    strcmp(app->routes[i].path, req->path) == 0)
			note->handler = i;
	strlcpy(note->method, req->method, sizeof(note->method));
	strlcpy(note->path, req->path, sizeof(note->path));
	if (note->handler == app->nroutes)
		http_answer_notfound(c, req);
	else if ((app->get_only & server) != 0 && !req->head &&
	    strcmp(req->method, "GET") != 0)
		http_reply(c, 405, HTTP_CT_TEXT, ha.method);
	else
		app->routes[note->handler].answer(c, req);
}

static bool
may_log(void)
{
	struct monotime now = monotime_now();

	if (monotime_sub_ms(now, ha.log_second) >= 1000) {
		ha.log_second = now;
		ha.log_lines = 0;
	}
	if (ha.log_lines >= HTTP_LOG_RATE) {
		ha.log_suppressed++;
		return false;
	}
	ha.log_lines++;
	return true;
}

static void
log_request(
    struct http_conn *c, const struct http_note *note, int status, int64_t us)
{
	if ((status < 400 && !ha.app->log_ok) || !may_log())
		return;
	log_ev(LL_INFO, ha.app->event, KVS("method", note->method),
	    KVS("path", note->path), KVS("handler", handler_name(note)),
	    KVI("status", status), KVI("duration_ms", us / 1000),
	    KVS("remote", http_conn_remote(c)),
	    KVU("suppressed", ha.log_suppressed));
	ha.log_suppressed = 0;
}

static void
done(struct http_conn *c, int status, int64_t us)
{
	const struct http_note *note = http_conn_note(c);
	const char *server = http_srv_name(http_conn_srv(c));
	const char *method = method_label(note->method);
	char class[] = "0xx";

	/* Of the others the reference counts none; refused ones are dropped */
	if ((ha.app->counted & 1u << http_conn_srv(c)) == 0 ||
	    note->method[0] == '\0')
		return;
	class[0] = (char)('0' + status / 100);
	metric_add(&ha.sink, M_HTTP_REQUESTS, 1,
	    ML(server, handler_name(note), method, class));
	/* A WebSocket has just begun. */
	if (status != 101)
		metric_observe_us(&ha.sink, M_HTTP_DURATION, us,
		    ML(server, handler_name(note), method));
	log_request(c, note, status, us);
}

static void
dropped(enum http_srv srv, enum http_drop why)
{
	metric_add(&ha.sink, M_HTTP_DROPPED, 1,
	    ML(http_srv_name(srv), http_drop_name(why)));
}

static void
upgraded(int fd, const char *remote)
{
	ha.app->upgraded(fd, remote);
}

static const struct http_ops ops = { handle, done, dropped, upgraded };

/* ----------------------------------------------------------------- start --- */

static struct http_body *
fixed_body(const char *text)
{
	char *copy = strdup(text);

	return copy == NULL ? NULL : http_body_new(copy, strlen(text), NULL);
}

int
http_app_init(const struct http_app *app)
{
	ha.app = app;
	ha.sink.send = apply_metric;
	if ((ha.reg = metrics_reg_new(METRIC_SERIES_MAX)) == NULL ||
	    (ha.ok = fixed_body("ok")) == NULL ||
	    (ha.notfound = fixed_body("404 page not found\n")) == NULL ||
	    (ha.method = fixed_body("method not allowed\n")) == NULL ||
	    (ha.broken = fixed_body("internal server error\n")) == NULL)
		return -1;
	return 0;
}

int
http_app_listen(struct event_base *base, enum http_srv srv, const char *where,
    const char *msg)
{
	char addr[HTTP_ADDR_LEN];

	if (http_listen(base, srv, where, &ops, &ha.listeners[srv], addr) ==
	    -1) {
		log_ev(LL_ERROR, "cannot listen",
		    KVS("server", http_srv_name(srv)), KVS("addr", where),
		    KVS("error", strerror(errno)));
		return -1;
	}
	if (ha.listeners[srv] != NULL)
		log_ev(LL_INFO, msg, KVS("addr", addr));
	return 0;
}
