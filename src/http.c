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

#include <event2/event.h>
#include <string.h>

#include "http_app.h"
#include "http_ws.h"
#include "procs.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

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
	.max_files = HTTP_METRICS_CONNS + HTTP_PROBE_CONNS + HTTP_AUX_CONNS +
	    WS_CLIENTS_MAX + 64,
};

#define ON_METRICS (1u << SRV_METRICS)
#define ON_PROBE   (1u << SRV_PROBE)
#define ON_AUX     (1u << SRV_AUX)

/* The one status-server of this process. */
static struct {
	struct http_state *state;
	struct http_shared status;
	uint64_t status_version; /* http_state's when it was made */
	bool ready;
	struct event *lease_end;
} hs;

/* --------------------------------------------------------------- answers --- */

static void
answer_status(struct http_conn *c, const struct http_req *req)
{
	uint64_t version = http_state_version(hs.state);
	bool ok = true;
	char *text;
	size_t len;

	if (!http_shared_fresh(&hs.status, version != hs.status_version)) {
		ok = http_state_render(hs.state, &text, &len) == 0 &&
		    http_shared_set(&hs.status, text, len);
		if (ok)
			hs.status_version = version;
	}
	http_reply_shared(c, HTTP_CT_JSON, &hs.status, ok);
}

static void
answer_active(struct http_conn *c, const struct http_req *req)
{
	char *text;
	size_t len;
	int status;

	if (http_state_active(hs.state, req->query, &status, &text, &len) == -1)
		text = NULL;
	http_reply_text(c, status, HTTP_CT_JSON, text, len);
}

static void
answer_ws(struct http_conn *c, const struct http_req *req)
{
	char accept[HTTP_WS_ACCEPT_LEN + 1];
	int status = http_ws_ask(req, accept);

	if (status == 101)
		http_reply_upgrade(c, accept);
	else
		http_reply_bare(c, status);
}

/*
 * The kubelet's question: does it know the groups? A standby, too, is ready
 * then. On the auxiliary port it is unconditional (sidecar.md section 9).
 */
static void
answer_ready(struct http_conn *c, const struct http_req *req)
{
	if (hs.ready || http_conn_srv(c) == SRV_AUX)
		http_answer_ok(c, req);
	else
		http_reply_literal(
		    c, 503, HTTP_CT_TEXT, "groups are not listed yet\n");
}

static const struct http_route routes[] = {
	{ "healthz", "/healthz", ON_PROBE | ON_AUX, http_answer_ok },
	{ "readyz", "/readyz", ON_PROBE | ON_AUX, answer_ready },
	{ "metrics", "/metrics", ON_METRICS, http_answer_metrics },
	{ "status", "/status", ON_AUX, answer_status },
	{ "active-site", "/active-site", ON_AUX, answer_active },
	{ "ws-status", "/ws/status", ON_AUX, answer_ws },
};

static const struct http_app app = {
	.worker = "status-server",
	.event = "aux http",
	.counted = ON_AUX,
	.log_ok = true,
	.routes = routes,
	.nroutes = PS_NITEMS(routes),
	.upgraded = http_ws_adopt,
};

/* ---------------------------------------------------------------- worker --- */

static void
lead(bool leader)
{
	if (http_state_operator(hs.state, hs.ready, leader))
		http_ws_news();
	metric_set(http_app_sink(), M_LEADER, leader, ML());
}

/* A parent that hangs, or has lost kube-watcher, takes nothing back. */
static void
lease_ended(evutil_socket_t fd, short what, void *arg)
{
	lead(false);
}

static int
start_state(struct event_base *base, const struct m_http_conf *conf)
{
	const struct metric_sink *sink = http_app_sink();
	struct http_ws_conf ws = { .base = base, .sink = sink };

	if (http_app_init(&app) == -1 ||
	    (hs.state = http_state_new(sink)) == NULL)
		return -1;
	if ((hs.lease_end = evtimer_new(base, lease_ended, NULL)) == NULL)
		return -1;
	ws.state = hs.state;
	ws.max = conf->ws_max;
	strlcpy(ws.origins, conf->ws_origins, sizeof(ws.origins));
	if (http_ws_init(&ws) == -1)
		return -1;
	metric_set(sink, M_BUILD_INFO, 1, ML(PACKAGE_VERSION));
	metric_set(sink, M_LEADER, 0, ML());
	return 0;
}

int
http_setup(struct ps_worker *w)
{
	static struct m_http_conf conf;
	struct event_base *base = ps_base(w);

	if (ps_worker_recv(w, MSG_HTTP_CONF, &conf, NULL) == -1) {
		log_warn("no configuration");
		return -1;
	}
	if (start_state(base, &conf) == -1) {
		log_warn("cannot start");
		return -1;
	}
	if (http_app_listen(base, SRV_METRICS, conf.metrics_addr,
		"starting metrics HTTP server") == -1 ||
	    http_app_listen(base, SRV_PROBE, conf.probe_addr,
		"starting probe HTTP server") == -1 ||
	    http_app_listen(base, SRV_AUX, conf.aux_addr,
		"starting auxiliary HTTP server") == -1)
		return -1;
	return 0;
}

static void
got_state(const struct m_http_state *m)
{
	const struct monotime until = { m->leader_until_ns };
	int64_t ms = monotime_sub_ms(until, monotime_now());
	struct timeval tv = { ms / 1000, ms % 1000 * 1000L };
	bool leader = m->leader && ms > 0;

	hs.ready = m->ready;
	evtimer_del(hs.lease_end);
	/* Without leader election it has no end. */
	if (leader && m->leader_until_ns != INT64_MAX)
		evtimer_add(hs.lease_end, &tv);
	lead(leader);
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
		http_ws_news();
		break;
	case MSG_METRIC:
		http_app_metric(msg);
		break;
	default:
		fatalx("unexpected message %u", (unsigned)type);
	}
	if (rc == -1)
		log_warn("status of a group was not taken");
}
