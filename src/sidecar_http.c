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
 * http: the sidecar's endpoints (sidecar.md section 3), inbound only.
 *
 * Rights: accepts connections at one socket that was bound before the sandbox
 * closed, and its channel; opens nothing, connects to nothing. Holds no
 * secret: GTID sets, flags and figures. Who takes it over can lie to probes
 * and readers; the operator decides nothing by these endpoints, and the
 * parent takes no message from it.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_app.h"
#include "json.h"
#include "sidecar.h"

/* An answer of mysqld counts for a round, its deadline, and some slack. */
#define MYSQL_FRESH_MS 4000
#define JSON_MAX       (6 * (GTID_LEN + 4096)) /* each byte as \u00xx */

#ifdef __SANITIZE_ADDRESS__
#define SC_AS_MAX 0 /* the sanitizer maps terabytes */
#else
#define SC_AS_MAX (UINT64_C(128) << 20)
#endif

const struct sandbox sc_http_sandbox = {
	.allow = SB_LISTEN,
	.max_as = SC_AS_MAX,
	.max_files = HTTP_SIDECAR_CONNS + 32,
};

/* The one http of this process. */
static struct {
	struct m_sc_state state;
	struct m_sc_mysql mysql;
	struct m_sc_state counted; /* what the counters contain */
} sh;

static bool
mysql_fresh(void)
{
	const struct monotime asked = { sh.mysql.asked_ns };

	return sh.mysql.asked_ns != 0 &&
	    monotime_sub_ms(monotime_now(), asked) < MYSQL_FRESH_MS;
}

static void
reply_json(struct http_conn *c, int status, struct json *j)
{
	char *text;
	size_t len;

	json_obj_end(j);
	if (json_finish(j, &text, &len) == -1)
		text = NULL;
	http_reply_text(c, status, HTTP_CT_JSON, text, len);
}

/* --------------------------------------------------------------- answers --- */

static void
answer_health(struct http_conn *c, const struct http_req *req)
{
	/*
	 * As mysqladmin ping has it: who denies access is up. A password that
	 * is being changed must not take its clients away from a server.
	 */
	if (mysql_fresh() && (sh.mysql.ok || sh.mysql.denied))
		http_answer_ok(c, req);
	else
		http_reply_literal(c, 503, HTTP_CT_TEXT, "mysql unreachable");
}

static void
answer_ping(struct http_conn *c, const struct http_req *req)
{
	http_reply_literal(c, 200, HTTP_CT_TEXT, "pong");
}

static void
status_json(struct json *j)
{
	const struct m_sc_mysql *m = &sh.mysql;

	json_kstr(j, "role", m->read_only ? "replica" : "primary");
	json_kbool(j, "read_only", m->read_only);
	json_kbool(j, "super_read_only", m->super_read_only);
	json_kstr(j, "gtid_executed", m->gtid);
	json_ki64(j, "server_id", m->server_id);
	json_kbool(j, "replica_io_running", m->io);
	json_kbool(j, "replica_sql_running", m->sql);
	json_key(j, "seconds_behind_source");
	if (m->lag_s < 0)
		json_null(j);
	else
		json_i64(j, m->lag_s);
	json_ki64(j, "uptime", m->uptime_s);
	json_kbool(j, "self_fenced", sh.state.self_fenced);
}

static void
answer_status(struct http_conn *c, const struct http_req *req)
{
	bool ok = mysql_fresh() && sh.mysql.ok;
	struct json j;

	json_init(&j, JSON_MAX);
	json_obj(&j);
	if (ok)
		status_json(&j);
	else
		json_kstr(&j, "error",
		    sh.mysql.error[0] != '\0' ? sh.mysql.error :
						"no answer of mysqld");
	reply_json(c, ok ? 200 : 503, &j);
}

/* The epoch orders views; observedAt is for people (sidecar.md 12.2). */
static void
answer_active(struct http_conn *c, const struct http_req *req)
{
	const struct m_sc_state *m = &sh.state;
	struct json j;

	if (m->view_epoch == 0) {
		http_reply(c, 204, HTTP_CT_JSON, NULL);
		return;
	}
	json_init(&j, JSON_MAX);
	json_obj(&j);
	json_kstr(&j, "activeSite", m->view_site);
	json_ktime_ms(&j, "observedAt", m->view_ms);
	json_key(&j, "epoch");
	json_u64(&j, m->view_epoch);
	reply_json(c, 200, &j);
}

/* Neither is built: what their variables ask for was told at the start. */
static void
answer_disabled(struct http_conn *c, const struct http_req *req)
{
	http_reply_literal(c, 200, HTTP_CT_JSON, "{\"enabled\":false}");
}

#define HERE (1u << SRV_SIDECAR)

static const struct http_route routes[] = {
	{ "health", "/health", HERE, answer_health },
	/* Does not ask MySQL: a hung mysqld is no reason to end its voice. */
	{ "livez", "/livez", HERE, http_answer_ok },
	{ "status", "/status", HERE, answer_status },
	{ "peer-ping", "/peer/ping", HERE, answer_ping },
	{ "peer-active-site", "/peer/active-site", HERE, answer_active },
	{ "archiver-status", "/archiver/status", HERE, answer_disabled },
	{ "keyring-status", "/keyring/status", HERE, answer_disabled },
	{ "metrics", "/metrics", HERE, http_answer_metrics },
};

/* --------------------------------------------------------------- metrics --- */

static void
count(
    enum metric id, uint64_t now, uint64_t *counted, const char *const *labels)
{
	/* A counter of the guard's begins anew when the guard does. */
	if (now < *counted)
		*counted = 0;
	(void)metric_add(
	    http_app_sink(), id, (int64_t)(now - *counted), labels);
	*counted = now;
}

static void
count_state(void)
{
	const struct m_sc_state *m = &sh.state;
	struct m_sc_state *o = &sh.counted;
	uint64_t u;

	count(M_SC_ASKS, m->asks, &o->asks, ML());
	count(M_SC_RENEWALS, m->renewals, &o->renewals, ML());
	count(M_SC_VOTES, m->yes, &o->yes, ML("yes"));
	count(M_SC_VOTES, m->no, &o->no, ML("no"));
	count(M_SC_REFUSED, m->bad_frames, &o->bad_frames, ML());
	u = o->fences;
	count(M_SC_FENCES, m->fences, &u, ML());
	u = o->fence_failures;
	count(M_SC_FENCE_FAILURES, m->fence_failures, &u, ML());
	u = o->kills;
	count(M_SC_KILLS, m->kills, &u, ML());
	o->fences = m->fences;
	o->fence_failures = m->fence_failures;
	o->kills = m->kills;
}

static void
gauge(enum metric id, int64_t value)
{
	(void)metric_set(http_app_sink(), id, value, ML());
}

/* Nothing is said of what was never heard. */
static void
age(enum metric id, int64_t since_ns)
{
	if (since_ns != 0)
		(void)metric_set_us(http_app_sink(), id,
		    (monotime_now().ns - since_ns) / 1000, ML());
}

static void
fresh(void)
{
	const struct m_sc_state *m = &sh.state;
	int64_t left = m->lease_ns == 0 ? 0 : m->lease_ns - monotime_now().ns;

	age(M_SC_OPERATOR_AGE, m->operator_ns);
	age(M_SC_LEADER_AGE, m->leader_ns);
	age(M_SC_PEER_AGE, m->peer_ns);
	age(M_SC_VIEW_AGE, m->view_ns);
	(void)metric_set_us(
	    http_app_sink(), M_SC_LEASE_LEFT, left > 0 ? left / 1000 : 0, ML());
	gauge(M_SC_MYSQL_UP, mysql_fresh() && sh.mysql.ok);
}

static void
got_state(const struct m_sc_state *m)
{
	const struct metric_sink *sink = http_app_sink();

	sh.state = *m;
	count_state();
	gauge(M_SC_SELF_FENCED, m->self_fenced);
	gauge(M_SC_GUARD, m->guard);
	gauge(M_SC_VIEW_EPOCH, (int64_t)m->view_epoch);
	gauge(M_SC_PROMISED, (int64_t)m->promised);
	gauge(M_SC_TLS_PENDING, m->tls_pending);
	(void)metric_set(sink, M_SC_LINKS, m->operators, ML("operator"));
	(void)metric_set(sink, M_SC_LINKS, m->peers, ML("sidecar"));
}

/* ---------------------------------------------------------------- worker --- */

static const struct http_app app = {
	.worker = "http",
	.event = "http request",
	.counted = HERE,
	.get_only = HERE,
	.routes = routes,
	.nroutes = PS_NITEMS(routes),
	.fresh = fresh,
};

int
sc_http_setup(struct ps_worker *w)
{
	static struct m_http_conf conf;

	if (ps_worker_recv(w, MSG_HTTP_CONF, &conf, NULL) == -1) {
		log_warn("no configuration");
		return -1;
	}
	if (http_app_init(&app) == -1) {
		log_warn("cannot start");
		return -1;
	}
	(void)metric_set(http_app_sink(), M_BUILD_INFO, 1, ML(PACKAGE_VERSION));
	return http_app_listen(ps_base(w), SRV_SIDECAR, conf.aux_addr,
	    "starting sidecar HTTP server");
}

void
sc_http_dispatch(struct ps_worker *w, uint32_t type, void *msg, int fd)
{
	if (fd != -1)
		fatalx("unexpected descriptor with message %u", type);
	switch (type) {
	case MSG_SC_STATE:
		got_state(msg);
		break;
	case MSG_SC_MYSQL:
		sh.mysql = *(const struct m_sc_mysql *)msg;
		break;
	case MSG_METRIC:
		http_app_metric(msg);
		break;
	default:
		fatalx("unexpected message %u", type);
	}
}
