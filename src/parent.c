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
 * The parent: starts the workers, hands their messages to the groups, keeps
 * the leader's Lease and the files. Decides nothing itself: see fsm.h.
 */

#include <sys/types.h>
#include <sys/wait.h>

#include <event2/event.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "group.h"
#include "metrics.h"
#include "parent.h"
#include "procs.h"

/* Bound tokens rotate at 80 % of an hour; a minute is soon enough. */
#define TOKEN_REREAD_S   60
/* Between the end signal and the end: grants end in 2 s, then the Lease. */
#define QUIESCE_MS       4000
#define SHUTDOWN_MS      2000
#define HANDOVER_LOOK_MS 500

struct parent {
	struct conf conf;
	struct event_base *base;
	struct ps *ps;
	struct groups *groups;
	struct event *token_ev;
	struct event *stop_ev;
	struct event *handover_ev;
	struct event *sigs[3];
	struct monotime stop_at;
	bool stopping;
	bool releasing;
	bool held;
	bool synced;
	bool api_ok;
	struct m_http_state http_state;
	/* for the metrics */
	uint64_t violations[32]; /* by worker */
	uint64_t log_dropped;
};

struct event_base *
parent_base(const struct parent *p)
{
	return p->base;
}

void
parent_send(struct parent *p, unsigned proc, uint32_t type, const void *msg)
{
	/* Before ps_start() has returned, on_ready sends everything anyway. */
	if (p->ps == NULL || ps_send(p->ps, proc, type, msg, -1) == 0)
		return;
	if (errno != ENOTCONN)
		log_ev(LL_ERROR, "message not sent",
		    KVS("worker", procs[proc - 1].title),
		    KVS("type", msg_name(type)), KVS("error", strerror(errno)));
}

const struct wire_key *
parent_key(const struct parent *p)
{
	return groups_key(p->groups);
}

/* ------------------------------------------------------------- workers --- */

static void
send_token(struct parent *p, struct ps *ps)
{
	static struct m_kube_token m;

	if (file_token(&p->conf, &m.token) == -1)
		log_ev(LL_ERROR, "service account token unreadable",
		    KVS("dir", p->conf.sa_dir), KVS("error", strerror(errno)));
	else if (ps_send(ps, PROC_KUBE, MSG_KUBE_TOKEN, &m, -1) == -1 &&
	    errno != ENOTCONN)
		log_warn("token not sent");
	secret_wipe(&m.token);
}

static void
send_kube_conf(struct parent *p, struct ps *ps, unsigned id)
{
	static struct m_kube_conf m;
	const struct conf *c = &p->conf;

	memset(&m, 0, sizeof(m));
	if (file_ca(c, &m) == -1)
		fatal("%s/ca.crt", c->sa_dir);
	(void)strlcpy(m.host, "kubernetes.default.svc", sizeof(m.host));
	(void)strlcpy(m.ip, c->api_host, sizeof(m.ip));
	m.port = c->api_port;
	(void)strlcpy(m.namespace, c->namespace, sizeof(m.namespace));
	(void)strlcpy(m.identity, c->identity, sizeof(m.identity));
	(void)strlcpy(
	    m.watch_namespace, c->watch_namespace, sizeof(m.watch_namespace));
	(void)strlcpy(m.dns_sa, c->dns_sa, sizeof(m.dns_sa));
	(void)strlcpy(m.aux_addr, c->sidecar_aux_addr, sizeof(m.aux_addr));
	(void)strlcpy(m.image, c->image, sizeof(m.image));
	m.lease_ms = c->lease_ms;
	m.renew_ms = c->renew_ms;
	m.retry_ms = c->retry_ms;
	m.leader_elect = c->leader_elect;
	if (ps_send(ps, id, MSG_KUBE_CONF, &m, -1) == -1)
		fatal("configuration of worker %u", id);
}

void
parent_on_setup(struct ps *ps, unsigned id, void *arg)
{
	struct parent *p = arg;
	struct m_http_conf h;
	struct m_link_conf l;

	switch (id) {
	case PROC_KUBE:
		send_kube_conf(p, ps, id);
		send_token(p, ps);
		break;
	case PROC_DNS:
		send_kube_conf(p, ps, id);
		break;
	case PROC_HTTP:
		memset(&h, 0, sizeof(h));
		(void)strlcpy(h.metrics_addr, p->conf.metrics_addr,
		    sizeof(h.metrics_addr));
		(void)strlcpy(
		    h.probe_addr, p->conf.probe_addr, sizeof(h.probe_addr));
		(void)strlcpy(h.aux_addr, p->conf.aux_addr, sizeof(h.aux_addr));
		(void)strlcpy(
		    h.ws_origins, p->conf.ws_origins, sizeof(h.ws_origins));
		h.ws_max = p->conf.ws_max;
		if (ps_send(ps, id, MSG_HTTP_CONF, &h, -1) == -1)
			fatal("configuration of status-server");
		break;
	case PROC_LINK:
		/* Connects only: nobody has business with the operator. */
		memset(&l, 0, sizeof(l));
		if (ps_send(ps, id, MSG_LINK_CONF, &l, -1) == -1)
			fatal("configuration of guard-link");
		break;
	}
}

static void
sink_send(void *arg, const struct m_metric *m)
{
	parent_send(arg, PROC_HTTP, MSG_METRIC, m);
}

static void
send_http_state(struct parent *p)
{
	struct metric_sink sink = { sink_send, p };

	(void)metric_log_dropped(&sink, "parent", &p->log_dropped);

	/* Warm once, warm for good: the API server's absence changes nothing. */
	p->http_state.ready |= p->synced;
	p->http_state.leader = p->held;
	parent_send(p, PROC_HTTP, MSG_HTTP_STATE, &p->http_state);
}

/* The counts are ours: status-server forgets when it is respawned. */
static void
tell_counts(struct parent *p)
{
	struct metric_sink sink = { sink_send, p };

	for (size_t i = 0; i < procs_conf.nprocs; i++) {
		const char *title = procs[i].title;

		(void)metric_add(&sink, M_WORKER_RESTARTS,
		    (int64_t)ps_restarts(p->ps, procs[i].id), ML(title));
		(void)metric_add(&sink, M_SANDBOX_VIOLATIONS,
		    (int64_t)p->violations[i], ML(title));
		/* guard-link may send no metrics: its log alone says so. */
		if (procs[i].id != PROC_LINK)
			(void)metric_add(&sink, M_LOG_DROPPED, 0, ML(title));
	}
	p->log_dropped = 0;
}

void
parent_on_ready(struct ps *ps, unsigned id, void *arg)
{
	struct parent *p = arg;
	struct metric_sink sink = { sink_send, p };
	struct m_creds_ask ask;

	p->ps = ps;
	log_ev(LL_INFO, "worker ready", KVS("worker", procs[id - 1].title));
	if (id == PROC_HTTP) {
		(void)metric_set(&sink, M_BUILD_INFO, 1, ML(PACKAGE_VERSION));
		send_http_state(p);
	}
	if (id == PROC_HTTP)
		tell_counts(p);
	else if (ps_restarts(ps, id) > 0)
		(void)metric_add(
		    &sink, M_WORKER_RESTARTS, 1, ML(procs[id - 1].title));
	if (id == PROC_DNS) {
		memset(&ask, 0, sizeof(ask));
		parent_send(p, PROC_KUBE, MSG_CREDS_ASK, &ask);
	}
	groups_resend(p->groups, id);
}

void
parent_on_death(struct ps *ps, unsigned id, int wstatus, void *arg)
{
	struct parent *p = arg;
	struct metric_sink sink = { sink_send, p };

	if (sandbox_violated(wstatus)) {
		p->violations[id - 1]++;
		(void)metric_add(
		    &sink, M_SANDBOX_VIOLATIONS, 1, ML(procs[id - 1].title));
	}
	log_ev(LL_ERROR, "worker died", KVS("worker", procs[id - 1].title),
	    KVI("signal", WIFSIGNALED(wstatus) ? WTERMSIG(wstatus) : 0),
	    KVI("exitCode", WIFEXITED(wstatus) ? WEXITSTATUS(wstatus) : -1),
	    KVS("error", "worker died: no observation until it is back"));
	if (id == PROC_KUBE) {
		/* Its renewals ended with it; the deadline stands as it is. */
		p->synced = false;
		groups_synced(p->groups, false);
		groups_kube_died(p->groups);
	}
	if (id == PROC_LINK)
		groups_link_died(p->groups);
}

/* ------------------------------------------------------------- messages --- */

static void
take_lease(struct parent *p, const struct m_lease *m)
{
	if (m->held != p->held)
		log_ev(LL_INFO,
		    m->held ? "leadership acquired" : "leadership lost",
		    KVS("holder", m->holder),
		    KVU("transitions", m->transitions));
	p->held = m->held;
	p->http_state.leader_until_ns = m->deadline_ns;
	groups_lease(p->groups, m);
	if (!m->held && p->releasing)
		event_base_loopbreak(p->base);
	send_http_state(p);
}

static void
on_lease(struct parent *p, const struct m_lease *m)
{
	if (groups_lease_news(p->groups, m))
		take_lease(p, m);
}

static void
on_synced(struct parent *p, const struct m_synced *m)
{
	if (m->api_ok != p->api_ok)
		log_ev(m->api_ok ? LL_INFO : LL_WARN,
		    m->api_ok ? "API server answers" :
				"API server does not answer");
	p->synced = m->synced;
	p->api_ok = m->api_ok;
	groups_synced(p->groups, m->synced);
	send_http_state(p);
}

static void
on_dns_token(struct parent *p, struct m_dns_token *m)
{
	static struct m_kube_token t;

	if (secret_set(&t.token, m->token.data, m->token.len) == 0)
		parent_send(p, PROC_DNS, MSG_KUBE_TOKEN, &t);
	secret_wipe(&t.token);
	secret_wipe(&m->token);
}

/* Its token was refused: the file may hold a newer one. */
static void
on_token_ask(struct parent *p, unsigned from)
{
	struct m_creds_ask ask;

	if (from == PROC_KUBE) {
		send_token(p, p->ps);
		return;
	}
	memset(&ask, 0, sizeof(ask));
	parent_send(p, PROC_KUBE, MSG_CREDS_ASK, &ask);
}

/*
 * Long, and one switch: each message is named in it once, so that the compiler
 * finds a new one that nobody takes. Parts of it would need all names again.
 */
void
parent_dispatch(
    struct ps *ps, unsigned from, uint32_t type, void *msg, int fd, void *arg)
{
	struct parent *p = arg;

	switch ((enum msg_type)type) {
	case MSG_LEASE:
		on_lease(p, msg);
		break;
	case MSG_SYNCED:
		on_synced(p, msg);
		break;
	case MSG_GROUP_CONF:
		groups_conf(p->groups, msg);
		break;
	case MSG_GROUP_GONE:
		groups_gone(p->groups, ((struct m_group_gone *)msg)->group);
		break;
	case MSG_RECORD:
		groups_record(p->groups, msg);
		break;
	case MSG_POD:
		groups_pod(p->groups, msg);
		break;
	case MSG_ACCOUNT:
		groups_account(p->groups, msg);
		break;
	case MSG_CREDS:
		groups_creds(p->groups, msg);
		break;
	case MSG_TLS:
		groups_tls(p->groups, msg);
		break;
	case MSG_TLS_STATE:
		groups_tls_state(p->groups, msg);
		break;
	case MSG_SITE_ACCESS:
		groups_site_access(p->groups, msg);
		break;
	case MSG_DNS_TOKEN:
		on_dns_token(p, msg);
		break;
	case MSG_ROLLOUT:
		groups_rollout(p->groups, msg);
		break;
	case MSG_ANNOTATION:
		groups_annotation(p->groups, msg);
		break;
	case MSG_ACK:
		groups_ack(p->groups, msg);
		break;
	case MSG_PROBE:
		groups_probe(p->groups, msg);
		break;
	case MSG_CONN_LOST:
		groups_conn_lost(p->groups, msg);
		break;
	case MSG_SQL_DONE:
		groups_sql_done(p->groups, msg);
		break;
	case MSG_DNS_STATE:
		groups_dns_state(p->groups, msg);
		break;
	case MSG_LINK_UP:
		groups_link_up(p->groups, msg);
		break;
	case MSG_LINK_DOWN:
		groups_link_down(p->groups, msg);
		break;
	case MSG_LINK_RX:
		groups_link_rx(p->groups, msg);
		break;
	case MSG_KEYS:
		groups_keys(p->groups, msg);
		break;
	case MSG_TOKEN_ASK:
		on_token_ask(p, from);
		break;
	case MSG_METRIC:
		parent_send(p, PROC_HTTP, MSG_METRIC, msg);
		break;
	case MSG_BEFORE_FIRST:
	case MSG_KUBE_CONF:
	case MSG_KUBE_TOKEN:
	case MSG_SITE_STATUS:
	case MSG_GROUP_STATUS:
	case MSG_RECORD_PUT:
	case MSG_POD_DELETE:
	case MSG_POD_CHECK:
	case MSG_POD_RELEASE:
	case MSG_ROLL:
	case MSG_EVENT:
	case MSG_ANNOTATION_DEL:
	case MSG_GROUP_RELEASE:
	case MSG_LEASE_RELEASE:
	case MSG_CREDS_ASK:
	case MSG_ACCESS:
	case MSG_PROBE_GROUP:
	case MSG_SQL:
	case MSG_PROBE_NOW:
	case MSG_DNS_WANT:
	case MSG_HTTP_CONF:
	case MSG_HTTP_STATE:
	case MSG_LINK_CONF:
	case MSG_LINK_SITES:
	case MSG_LINK_TX:
	case MSG_LINK_TRUST:
	case MSG_LINK_CLOSE:
	case MSG_KEY_PUT:
	/* of bloodraven-sidecar(8) */
	case MSG_SC_MEMORY_CONF:
	case MSG_SC_MEMORY:
	case MSG_SC_PUT:
	case MSG_SC_DURABLE:
	case MSG_SC_NOTE:
	case MSG_SC_MYSQL_CONF:
	case MSG_SC_TLS:
	case MSG_SC_TLS_SAYS:
	case MSG_SC_MYSQL:
	case MSG_SC_STATE:
	case MSG_AFTER_LAST:
		/* libprivsep checked the direction already */
		fatalx("message %u from worker %u", type, from);
	}
}

/* -------------------------------------------------------------- the end --- */

/*
 * Staged: no new grants; when none is outstanding give the Lease up, so that
 * a successor need not wait for it; then end the workers.
 */
static void
stop_step(struct parent *p)
{
	struct timeval tv = { 0, 50 * 1000 };
	struct m_lease_release m = { .leave_ms = 0 };

	if (monotime_sub_ms(monotime_now(), p->stop_at) >= QUIESCE_MS) {
		log_ev(LL_WARN, "ending without releasing the Lease");
		event_base_loopbreak(p->base);
		return;
	}
	if (!p->releasing && groups_quiesce(p->groups)) {
		p->releasing = true;
		if (!p->held && !groups_give_up(p->groups)) {
			event_base_loopbreak(p->base);
			return;
		}
	}
	/* Until LEASE answers: the last one may not have got there. */
	if (p->releasing)
		parent_send(p, PROC_KUBE, MSG_LEASE_RELEASE, &m);
	evtimer_add(p->stop_ev, &tv);
}

static void
stop_cb(evutil_socket_t fd, short what, void *arg)
{
	stop_step(arg);
}

static void
signal_cb(evutil_socket_t sig, short what, void *arg)
{
	struct parent *p = arg;

	if (p->stopping)
		return;
	p->stopping = true;
	p->stop_at = monotime_now();
	log_ev(LL_INFO, "received signal, shutting down", KVI("signal", sig));
	stop_step(p);
}

static void
token_cb(evutil_socket_t fd, short what, void *arg)
{
	struct parent *p = arg;

	send_token(p, p->ps);
}

/*
 * As if the Lease was lost, at a moment when nothing is under way; only then
 * it is given to who takes it.
 */
static void
hand_over(struct parent *p)
{
	struct m_lease lost = { .held = false };

	if (p->stopping)
		return;
	if (groups_hand_over(
		p->groups, p->conf.leader_elect && p->held && p->synced))
		take_lease(p, &lost);
	(void)groups_give_up(p->groups);
}

static void
handover_cb(evutil_socket_t fd, short what, void *arg)
{
	hand_over(arg);
}

static void
register_events(struct parent *p)
{
	struct timeval look = { 0, HANDOVER_LOOK_MS * 1000 };
	static const int sigs[] = { SIGTERM, SIGINT, SIGHUP };
	struct timeval tv = { TOKEN_REREAD_S, 0 };

	for (size_t i = 0; i < PS_NITEMS(sigs); i++) {
		p->sigs[i] = evsignal_new(p->base, sigs[i], signal_cb, p);
		if (p->sigs[i] == NULL || evsignal_add(p->sigs[i], NULL) == -1)
			fatal("signal events");
	}
	p->stop_ev = evtimer_new(p->base, stop_cb, p);
	p->token_ev = event_new(p->base, -1, EV_PERSIST, token_cb, p);
	p->handover_ev = event_new(p->base, -1, EV_PERSIST, handover_cb, p);
	if (p->handover_ev == NULL || event_add(p->handover_ev, &look) == -1 ||
	    p->stop_ev == NULL || p->token_ev == NULL ||
	    event_add(p->token_ev, &tv) == -1)
		fatal("timers");
}

int
parent_run(const struct conf *c)
{
	static const unsigned order[] = { PROC_HTTP, PROC_LINK, PROC_DNS,
		PROC_MYSQL, PROC_KUBE, 0 };
	static struct parent p;
	struct ps_conf pc = procs_conf;
	const char *readdirs[2];

	p.conf = *c;
	if (file_namespace(&p.conf) == -1)
		fatal("%s/namespace", p.conf.sa_dir);
	if ((p.base = event_base_new()) == NULL)
		fatal("event_base_new");
	if ((p.groups = groups_new(&p)) == NULL)
		fatal("groups");
	groups_keys_start(p.groups, c->key_age_ms / 1000);
	pc.level = c->level;
	pc.arg = &p;
	log_ev(LL_INFO, "starting bloodraven manager",
	    KVS("release", PACKAGE_VERSION), KVS("identity", p.conf.identity),
	    KVS("namespace", p.conf.namespace));
#ifdef UNSAFE_GRANTS
	log_ev(LL_WARN, "TEST BUILD: the proof gate is off");
#endif
	p.ps = ps_start(&pc, p.base);
	register_events(&p);
	readdirs[0] = p.conf.sa_dir;
	readdirs[1] = NULL;
	ps_sandbox_parent(p.ps, readdirs);
	event_base_dispatch(p.base);
	ps_shutdown(p.ps, order, SHUTDOWN_MS);
	groups_keys_stop(p.groups);
	log_ev(LL_INFO, "bloodraven manager stopped");
	return 0;
}
