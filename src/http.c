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
 * status-server: metrics, probes and the status API, inbound only.
 *
 * Rights: accepts connections at three sockets that were bound before the
 * sandbox closed, and its channel; opens nothing, connects to nothing. Holds
 * no secret: site names, GTID sets and figures. Who takes it over can lie to
 * scrapers, probes and sidecars, and can report nothing to the parent, which
 * takes no message from it.
 */

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"
#include "metrics.h"
#include "procs.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

#define CT_TEXT    "text/plain; charset=utf-8"
#define CT_JSON    "application/json"
#define CT_METRICS "text/plain; version=0.0.4; charset=utf-8"

/*
 * Address space: what the binary and its libraries map, HTTP_BODIES answers
 * of the largest operator, every connection with a full header.
 */
#ifdef __SANITIZE_ADDRESS__
#define HTTP_AS_MAX 0 /* the sanitizer maps terabytes */
#else
#define HTTP_AS_MAX (UINT64_C(768) << 20)
#endif

const struct sandbox http_sandbox = {
	.allow = SB_LISTEN,
	.max_as = HTTP_AS_MAX,
	/* all connections at their cap, three listeners, the loop's own */
	.max_files =
	    HTTP_METRICS_CONNS + HTTP_PROBE_CONNS + HTTP_AUX_CONNS + 64,
};

#define HANDLERS(X)                                                       \
	X(H_NOTFOUND, "notfound", NULL, 0, answer_notfound)               \
	X(H_HEALTHZ, "healthz", "/healthz", ON_PROBE | ON_AUX, answer_ok) \
	X(H_READYZ, "readyz", "/readyz", ON_PROBE | ON_AUX, answer_ok)    \
	X(H_METRICS, "metrics", "/metrics", ON_METRICS, answer_metrics)   \
	X(H_STATUS, "status", "/status", ON_AUX, answer_status)           \
	X(H_ACTIVE, "active-site", "/active-site", ON_AUX, answer_active)
#define ON_METRICS (1u << SRV_METRICS)
#define ON_PROBE   (1u << SRV_PROBE)
#define ON_AUX     (1u << SRV_AUX)

#define X(id, ...) id,
enum handler { HANDLERS(X) H_MAX };
#undef X

/* An answer that is rendered now and then, and shared until the next time. */
struct shared {
	struct http_body *body;
	struct monotime made;
	unsigned alive;
};

/* The one status-server of this process. */
static struct {
	struct metrics_reg *reg;
	struct metric_sink sink;
	struct http_state *state;
	struct http_listener *listeners[SRV_MAX];
	struct shared metrics, status;
	struct http_body *ok, *notfound, *broken;
	uint64_t log_dropped;
	struct monotime log_second;
	unsigned log_lines;
	uint64_t log_suppressed;
} hs;

static void
apply_metric(void *arg, const struct m_metric *m)
{
	metrics_reg_apply(hs.reg, m);
}

/* --------------------------------------------------------------- answers --- */

/* Is what was rendered before good enough? See HTTP_BODY_MS, HTTP_BODIES. */
static bool
shared_fresh(const struct shared *sh, bool dirty)
{
	if (sh->body == NULL)
		return false;
	return !dirty || sh->alive >= HTTP_BODIES ||
	    monotime_sub_ms(monotime_now(), sh->made) < HTTP_BODY_MS;
}

static bool
shared_set(struct shared *sh, char *text, size_t len)
{
	struct http_body *body;

	if ((body = http_body_new(text, len, &sh->alive)) == NULL)
		return false;
	http_body_unref(sh->body);
	sh->body = body;
	sh->made = monotime_now();
	return true;
}

static void
reply_shared(
    struct http_conn *c, const char *ctype, const struct shared *sh, bool ok)
{
	if (ok)
		http_reply(c, 200, ctype, sh->body);
	else
		http_reply(c, 500, CT_TEXT, hs.broken);
}

static void
own_gauges(void)
{
	unsigned i;

	for (i = 0; i < SRV_MAX; i++)
		if (hs.listeners[i] != NULL)
			metric_set(&hs.sink, M_HTTP_CONNECTIONS,
			    http_nconns(hs.listeners[i]), ML(http_srv_name(i)));
	metric_log_dropped(&hs.sink, "status-server", &hs.log_dropped);
}

static void
answer_metrics(struct http_conn *c, const struct http_req *req)
{
	bool ok = true;
	char *text;
	size_t len;

	if (!shared_fresh(&hs.metrics, true)) {
		own_gauges();
		ok = metrics_reg_render(hs.reg, &text, &len) == 0 &&
		    shared_set(&hs.metrics, text, len);
	}
	reply_shared(c, CT_METRICS, &hs.metrics, ok);
}

static void
answer_status(struct http_conn *c, const struct http_req *req)
{
	bool ok = true;
	char *text;
	size_t len;

	if (!shared_fresh(&hs.status, http_state_dirty(hs.state, false))) {
		ok = http_state_render(hs.state, &text, &len) == 0 &&
		    shared_set(&hs.status, text, len);
		if (ok)
			http_state_dirty(hs.state, true);
	}
	reply_shared(c, CT_JSON, &hs.status, ok);
}

static void
answer_active(struct http_conn *c, const struct http_req *req)
{
	struct http_body *body = NULL;
	int status;
	char *text;
	size_t len;

	if (http_state_active(hs.state, req->query, &status, &text, &len) == 0)
		body = http_body_new(text, len, NULL);
	if (body == NULL)
		http_reply(c, 500, CT_TEXT, hs.broken);
	else
		http_reply(c, status, CT_JSON, body);
	http_body_unref(body);
}

static void
answer_ok(struct http_conn *c, const struct http_req *req)
{
	http_reply(c, 200, CT_TEXT, hs.ok);
}

static void
answer_notfound(struct http_conn *c, const struct http_req *req)
{
	http_reply(c, 404, CT_TEXT, hs.notfound);
}

static const struct {
	const char *name, *path;
	unsigned servers;
	void (*answer)(struct http_conn *, const struct http_req *);
} handlers[] = {
#define X(id, name, path, servers, answer) { name, path, servers, answer },
	HANDLERS(X)
#undef X
};

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

static void
handle(struct http_conn *c, const struct http_req *req)
{
	struct http_note *note = http_conn_note(c);
	unsigned i, server = 1u << http_conn_srv(c);

	note->handler = H_NOTFOUND;
	for (i = 0; i < H_MAX; i++)
		if ((handlers[i].servers & server) != 0 &&
		    strcmp(handlers[i].path, req->path) == 0)
			note->handler = i;
	strlcpy(note->method, req->method, sizeof(note->method));
	strlcpy(note->path, req->path, sizeof(note->path));
	handlers[note->handler].answer(c, req);
}

static bool
may_log(void)
{
	struct monotime now = monotime_now();

	if (monotime_sub_ms(now, hs.log_second) >= 1000) {
		hs.log_second = now;
		hs.log_lines = 0;
	}
	if (hs.log_lines >= HTTP_LOG_RATE) {
		hs.log_suppressed++;
		return false;
	}
	hs.log_lines++;
	return true;
}

static void
log_request(
    struct http_conn *c, const struct http_note *note, int status, int64_t us)
{
	if (!may_log())
		return;
	log_ev(LL_INFO, "aux http", KVS("method", note->method),
	    KVS("path", note->path),
	    KVS("handler", handlers[note->handler].name), KVI("status", status),
	    KVI("duration_ms", us / 1000), KVS("remote", http_conn_remote(c)),
	    KVU("suppressed", hs.log_suppressed));
	hs.log_suppressed = 0;
}

static void
done(struct http_conn *c, int status, int64_t us)
{
	const struct http_note *note = http_conn_note(c);
	const char *server = http_srv_name(http_conn_srv(c));
	const char *method = method_label(note->method);
	char class[] = "0xx";

	/* Of the others the reference counts none; refused ones are dropped */
	if (http_conn_srv(c) != SRV_AUX || note->method[0] == '\0')
		return;
	class[0] = (char)('0' + status / 100);
	metric_add(&hs.sink, M_HTTP_REQUESTS, 1,
	    ML(server, handlers[note->handler].name, method, class));
	metric_observe_us(&hs.sink, M_HTTP_DURATION, us,
	    ML(server, handlers[note->handler].name, method));
	log_request(c, note, status, us);
}

static void
dropped(enum http_srv srv, enum http_drop why)
{
	metric_add(&hs.sink, M_HTTP_DROPPED, 1,
	    ML(http_srv_name(srv), http_drop_name(why)));
}

static const struct http_ops ops = { handle, done, dropped };

/* ---------------------------------------------------------------- worker --- */

static struct http_body *
fixed_body(const char *text)
{
	char *copy = strdup(text);

	return copy == NULL ? NULL : http_body_new(copy, strlen(text), NULL);
}

static int
start_state(void)
{
	hs.sink.send = apply_metric;
	if ((hs.reg = metrics_reg_new(METRIC_SERIES_MAX)) == NULL ||
	    (hs.state = http_state_new(&hs.sink)) == NULL ||
	    (hs.ok = fixed_body("ok")) == NULL ||
	    (hs.notfound = fixed_body("404 page not found\n")) == NULL ||
	    (hs.broken = fixed_body("internal server error\n")) == NULL)
		return -1;
	metric_set(&hs.sink, M_BUILD_INFO, 1, ML(PACKAGE_VERSION));
	metric_set(&hs.sink, M_LEADER, 0, ML());
	metric_set(&hs.sink, M_WS_CLIENTS, 0, ML());
	return 0;
}

static int
start_server(struct event_base *base, enum http_srv srv, const char *where)
{
	static const char *const msgs[] = {
		[SRV_METRICS] = "starting metrics HTTP server",
		[SRV_PROBE] = "starting probe HTTP server",
		[SRV_AUX] = "starting auxiliary HTTP server",
	};
	char addr[HTTP_ADDR_LEN];

	if (http_listen(base, srv, where, &ops, &hs.listeners[srv], addr) ==
	    -1) {
		log_ev(LL_ERROR, "cannot listen",
		    KVS("server", http_srv_name(srv)), KVS("addr", where),
		    KVS("error", strerror(errno)));
		return -1;
	}
	if (hs.listeners[srv] != NULL)
		log_ev(LL_INFO, msgs[srv], KVS("addr", addr));
	return 0;
}

int
http_setup(struct ps_worker *w)
{
	struct m_http_conf conf;
	struct event_base *base = ps_base(w);

	if (ps_worker_recv(w, MSG_HTTP_CONF, &conf, NULL) == -1) {
		log_warn("no configuration");
		return -1;
	}
	if (start_state() == -1) {
		log_warn("cannot start");
		return -1;
	}
	if (start_server(base, SRV_METRICS, conf.metrics_addr) == -1 ||
	    start_server(base, SRV_PROBE, conf.probe_addr) == -1 ||
	    start_server(base, SRV_AUX, conf.aux_addr) == -1)
		return -1;
	return 0;
}

static void
got_state(const struct m_http_state *m)
{
	http_state_leader(hs.state, m);
	metric_set(&hs.sink, M_LEADER, m->leader ? 1 : 0, ML());
}

void
http_dispatch(struct ps_worker *w, uint32_t type, void *msg, int fd)
{
	int rc = 0;

	switch (type) {
	case MSG_HTTP_STATE:
		got_state(msg);
		break;
	case MSG_SITE_STATUS:
		rc = http_state_site(hs.state, msg);
		break;
	case MSG_GROUP_STATUS:
		rc = http_state_group(hs.state, msg);
		break;
	case MSG_METRIC:
		/* Refusals are counted in the registry. */
		metrics_reg_apply(hs.reg, msg);
		break;
	default:
		fatalx("unexpected message %u", (unsigned)type);
	}
	if (rc == -1)
		log_warn("status of a group was not taken");
}
