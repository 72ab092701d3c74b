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
 * The sidecar's parent: starts the workers, keeps keys and account current,
 * and hands messages to those that know what to do: sidecar_link.c (who is at
 * the other end), sidecar_voter.c (other sites' guards), sidecar_guard.c (its
 * own). Opens nothing but the files of its directories; no sockets.
 */

#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "metrics.h"
#include "sidecar.h"

#define SHUTDOWN_MS 5000 /* http drains (sidecar.md section 1) */

int64_t
sc_now_ms(void)
{
	return monotime_now().ns / 1000000;
}

int64_t
sc_check_ms(const struct sidecar *sc)
{
	return sc->view_check_ms != 0 ? sc->view_check_ms : sc->conf.check_ms;
}

static const char *
title_of(unsigned id)
{
	for (size_t i = 0; i < sc_procs_conf.nprocs; i++)
		if (sc_procs_conf.procs[i].id == id)
			return sc_procs_conf.procs[i].title;
	return "?";
}

bool
sc_send(struct sidecar *sc, unsigned proc, uint32_t type, const void *msg)
{
	/* Before ps_start() has returned, on_ready sends everything anyway. */
	if (sc->ps == NULL)
		return false;
	if (ps_send(sc->ps, proc, type, msg, -1) == 0)
		return true;
	if (errno != ENOTCONN)
		log_ev(LL_ERROR, "message not sent",
		    KVS("worker", title_of(proc)), KVS("type", msg_name(type)),
		    KVS("error", strerror(errno)));
	return false;
}

static void
set_timer(struct event *ev, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000L };

	evtimer_add(ev, &tv);
}

void
sc_state_send(struct sidecar *sc)
{
	struct m_sc_state *m = &sc->state;
	const struct sc_conn *c;

	m->voter = sc->voter.id != 0;
	m->guard = sc->guard_conn != 0;
	m->operators = m->peers = 0;
	TAILQ_FOREACH (c, &sc->conns, entry) {
		m->operators += c->trusted && c->operator;
		m->peers += c->trusted && !c->operator;
	}
	m->promised = sc->durable.promised;
	m->heard = sc->voter.heard;
	m->held = sc->guard_conn != 0 ? sc->said.held : 0;
	m->fences = sc->said.fences;
	m->fence_failures = sc->said.fence_failures;
	m->kills = sc->said.kills;
	sc_send(sc, PROC_HTTP, MSG_SC_STATE, m);
}

/* At the end of this turn of the loop: several changes make one report. */
void
sc_changed(struct sidecar *sc)
{
	sc->dirty = true;
	set_timer(sc->report, 0);
}

/* -------------------------------------------------------------------- keys --- */

void
sc_keys_read(struct sidecar *sc, bool at_start)
{
	static struct wire_keys new;
	char err[ERR_LEN + 1];

	sc->keys_ms = sc_now_ms();
	if (wire_keys_read(sc->conf.keys_dir, &new, err, sizeof(err)) == -1) {
		log_ev(sc->have_keys ? LL_WARN : LL_ERROR,
		    "keys of the write lease are not readable",
		    KVS("dir", sc->conf.keys_dir), KVS("error", err),
		    KVB("oldOnesStay", sc->have_keys));
		return;
	}
	if (!sc->have_keys || new.generation != sc->keys.generation)
		log_ev(LL_INFO, "keys of the write lease read",
		    KVU("generation", new.generation),
		    KVU("count", new.trust.n_sites));
	if (!at_start && memcmp(&new, &sc->keys, sizeof(new)) != 0)
		sc_changed(sc);
	sc->keys = new;
	sc->have_keys = true;
	explicit_bzero(&new, sizeof(new));
}

bool
sc_keys_again(struct sidecar *sc)
{
	if (errno != EACCES || sc_now_ms() - sc->keys_ms < SC_KEYS_MIN_MS)
		return false;
	sc_keys_read(sc, false);
	return true;
}

int
sc_check(struct sidecar *sc, const struct w_signed *s, const char *site,
    uint32_t type, void *out)
{
	const struct wire_pub *pub;
	size_t n;

	do {
		pub = wire_trust_find(&sc->keys.trust, site, &n);
		if (wire_check(s, pub, n, type, out) == 0)
			return 0;
	} while (sc_keys_again(sc));
	return -1;
}

/* The account, when it is in files: they change without us. */
static int
send_account(struct sidecar *sc, struct ps *ps)
{
	static struct m_sc_mysql_conf m;
	const char *name;
	int rc = 0;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.path, sc->conf.mysql_sock, sizeof(m.path));
	if (sc->conf.creds_dir[0] != '\0') {
		if (sc_creds_read(&sc->conf, &m, &name) == -1) {
			log_ev(LL_ERROR, "account is not readable",
			    KVS("dir", sc->conf.creds_dir), KVS("file", name),
			    KVS("error", strerror(errno)));
			rc = -1;
		}
	} else {
		(void)strlcpy(m.user, sc->conf.user, sizeof(m.user));
		m.password = sc->conf.password;
	}
	if (rc == 0 &&
	    ps_send(ps, PROC_MYSQL, MSG_SC_MYSQL_CONF, &m, -1) == -1 &&
	    errno != ENOTCONN)
		log_warn("account not sent");
	secret_wipe(&m.password);
	return rc;
}

static void
keys_cb(evutil_socket_t fd, short what, void *arg)
{
	struct sidecar *sc = arg;

	if (sc->conf.identity)
		sc_keys_read(sc, false);
	if (sc->conf.creds_dir[0] != '\0')
		(void)send_account(sc, sc->ps);
}

/* ----------------------------------------------------------------- workers --- */

static void
setup_link(struct sidecar *sc, struct ps *ps)
{
	struct m_link_conf m;

	memset(&m, 0, sizeof(m));
	if (sc->conf.identity) {
		(void)strlcpy(m.listen, sc->conf.link, sizeof(m.listen));
		(void)snprintf(
		    m.path, sizeof(m.path), "%s/guard.sock", sc->conf.run_dir);
	}
	if (ps_send(ps, PROC_LINK, MSG_LINK_CONF, &m, -1) == -1)
		fatal("configuration of link");
}

static void
setup_memory(struct sidecar *sc, struct ps *ps)
{
	struct m_sc_memory_conf m;
	int fd = -1;

	memset(&m, 0, sizeof(m));
	if (sc->conf.identity) {
		(void)strlcpy(m.dir, sc->conf.data_dir, sizeof(m.dir));
		(void)snprintf(m.owner, sizeof(m.owner), "%s/%s",
		    sc->conf.group, sc->conf.site);
	}
	/* A duplicate: this one keeps the lock whatever becomes of memory. */
	if (sc->memory_fd != -1 && (fd = dup(sc->memory_fd)) == -1)
		fatal("dup");
	m.have_fd = fd != -1;
	if (ps_send(ps, PROC_MEMORY, MSG_SC_MEMORY_CONF, &m, fd) == -1)
		fatal("configuration of memory");
}

void
sc_on_setup(struct ps *ps, unsigned id, void *arg)
{
	struct sidecar *sc = arg;
	struct m_http_conf h;

	switch (id) {
	case PROC_LINK:
		setup_link(sc, ps);
		break;
	case PROC_MEMORY:
		setup_memory(sc, ps);
		break;
	case PROC_MYSQL:
		if (send_account(sc, ps) == -1 && sc->ps == NULL)
			fatalx("no account");
		break;
	case PROC_HTTP:
		memset(&h, 0, sizeof(h));
		(void)strlcpy(h.aux_addr, sc->conf.listen, sizeof(h.aux_addr));
		if (ps_send(ps, id, MSG_HTTP_CONF, &h, -1) == -1)
			fatal("configuration of http");
		break;
	}
}

/* ------------------------------------------------------------- of workers --- */

static void
to_http(void *arg, const struct m_metric *m)
{
	sc_send(arg, PROC_HTTP, MSG_METRIC, m);
}

static void
count_worker(struct sidecar *sc, enum metric id, unsigned worker, uint64_t n)
{
	struct metric_sink sink = { to_http, sc };

	(void)metric_add(&sink, id, (int64_t)n, ML(title_of(worker)));
}

/* The counts are ours: http forgets when it is respawned. */
static void
count_workers(struct sidecar *sc)
{
	for (size_t i = 0; i < sc_procs_conf.nprocs; i++) {
		unsigned id = sc_procs_conf.procs[i].id;

		count_worker(
		    sc, M_WORKER_RESTARTS, id, ps_restarts(sc->ps, id));
		count_worker(sc, M_SANDBOX_VIOLATIONS, id, sc->violations[id]);
	}
}

void
sc_on_ready(struct ps *ps, unsigned id, void *arg)
{
	struct sidecar *sc = arg;

	sc->ps = ps;
	if (id == PROC_HTTP)
		count_workers(sc);
	else if (ps_restarts(ps, id) > 0)
		count_worker(sc, M_WORKER_RESTARTS, id, 1);
	switch (id) {
	case PROC_LINK:
		sc->link_up = true;
		sc_peers_send(sc);
		break;
	case PROC_MEMORY:
		sc_memory_put(sc, true);
		break;
	case PROC_HTTP:
		sc_state_send(sc);
		sc_send(sc, PROC_HTTP, MSG_SC_MYSQL, &sc->mysql);
		break;
	}
}

void
sc_on_death(struct ps *ps, unsigned id, int wstatus, void *arg)
{
	struct sidecar *sc = arg;

	if (sandbox_violated(wstatus)) {
		sc->violations[id]++;
		count_worker(sc, M_SANDBOX_VIOLATIONS, id, 1);
	}
	log_ev(LL_ERROR, "worker died", KVS("worker", title_of(id)),
	    KVS("error", "it is started again"),
	    KVI("signal", WIFSIGNALED(wstatus) ? WTERMSIG(wstatus) : 0),
	    KVI("exitCode", WIFEXITED(wstatus) ? WEXITSTATUS(wstatus) : -1));
	if (id == PROC_LINK)
		sc_link_lost(sc);
	if (id == PROC_MYSQL) {
		memset(&sc->mysql, 0, sizeof(sc->mysql));
		(void)strlcpy(
		    sc->mysql.error, "not asked yet", sizeof(sc->mysql.error));
		sc_send(sc, PROC_HTTP, MSG_SC_MYSQL, &sc->mysql);
		sc_tls_lost(sc);
	}
}

/* ---------------------------------------------------------------- messages --- */

static void
on_mysql(struct sidecar *sc, const struct m_sc_mysql *m)
{
	if (m->ok != sc->mysql.ok) {
		log_ev(m->ok ? LL_INFO : LL_WARN,
		    m->ok ? "mysqld answers" : "mysqld does not answer",
		    KVS("error", m->error));
		sc_changed(sc);
	}
	sc->mysql = *m;
	sc_send(sc, PROC_HTTP, MSG_SC_MYSQL, m);
	sc_tls_look(sc);
}

void
sc_dispatch(
    struct ps *ps, unsigned from, uint32_t type, void *msg, int fd, void *arg)
{
	struct sidecar *sc = arg;
	const struct m_link_down *down = msg;

	if (fd != -1 && type != MSG_SC_MEMORY)
		fatalx("unexpected descriptor from worker %u", from);
	switch (type) {
	case MSG_LINK_UP:
		sc_link_up(sc, msg);
		break;
	case MSG_LINK_DOWN:
		sc_link_down(sc, down->conn, down->error);
		break;
	case MSG_LINK_RX:
		sc_link_rx(sc, msg);
		break;
	case MSG_SC_MEMORY:
		sc_memory(sc, msg, fd);
		break;
	case MSG_SC_DURABLE:
		sc_durable(sc, msg);
		break;
	case MSG_SC_MYSQL:
		on_mysql(sc, msg);
		break;
	case MSG_SC_TLS_SAYS:
		sc_tls_says(sc, msg);
		break;
	default:
		fatalx("message %u from worker %u", type, from);
	}
}

/* ------------------------------------------------------------------ timers --- */

static void
beat_cb(evutil_socket_t fd, short what, void *arg)
{
	struct sidecar *sc = arg;

	sc_link_beat(sc);
	sc_guard_beat(sc);
	sc_tls_look(sc);
	set_timer(sc->beat, BR_LINK_BEAT_MS(sc_check_ms(sc)));
	sc_state_send(sc);
}

static void
report_cb(evutil_socket_t fd, short what, void *arg)
{
	struct sidecar *sc = arg;

	sc->dirty = sc->awaiting = false;
	sc_report_all(sc);
	sc_state_send(sc);
}

static void
retry_cb(evutil_socket_t fd, short what, void *arg)
{
	sc_memory_put(arg, true);
}

static void
signal_cb(evutil_socket_t sig, short what, void *arg)
{
	struct sidecar *sc = arg;

	log_ev(LL_INFO, "received signal, shutting down", KVI("signal", sig));
	event_base_loopbreak(sc->base);
}

static void
register_events(struct sidecar *sc)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGHUP };
	struct timeval tv = { SC_KEYS_MS / 1000, 0 };

	for (size_t i = 0; i < PS_NITEMS(sigs); i++) {
		sc->sigs[i] = evsignal_new(sc->base, sigs[i], signal_cb, sc);
		if (sc->sigs[i] == NULL ||
		    evsignal_add(sc->sigs[i], NULL) == -1)
			fatal("signal events");
	}
	if (event_add(sc->keys_ev, &tv) == -1)
		fatal("timers");
	set_timer(sc->beat, 0);
}

static void
init(struct sidecar *sc)
{
	struct event_config *cfg;

	/* Milliseconds matter here, and the default clock is coarse. */
	if ((cfg = event_config_new()) == NULL ||
	    event_config_set_flag(cfg, EVENT_BASE_FLAG_PRECISE_TIMER) == -1 ||
	    (sc->base = event_base_new_with_config(cfg)) == NULL)
		fatalx("event_base_new");
	event_config_free(cfg);
	TAILQ_INIT(&sc->conns);
	sc->memory_fd = -1;
	(void)strlcpy(
	    sc->mysql.error, "not asked yet", sizeof(sc->mysql.error));
	if ((sc->beat = evtimer_new(sc->base, beat_cb, sc)) == NULL ||
	    (sc->report = evtimer_new(sc->base, report_cb, sc)) == NULL ||
	    (sc->retry = evtimer_new(sc->base, retry_cb, sc)) == NULL ||
	    (sc->keys_ev = event_new(sc->base, -1, EV_PERSIST, keys_cb, sc)) ==
		NULL)
		fatal("timers");
}

/* Each record of the sidecar says whose it is. */
static void
name_log(const struct sc_conf *c, char ns[static NS_LEN + 1])
{
	size_t n = strcspn(c->group, "/");
	const char *name = c->group[n] == '/' ? c->group + n + 1 : "";

	(void)snprintf(ns, NS_LEN + 1, "%.*s", (int)n, c->group);
	log_context((const struct kv[]) {
	    KVS("fg", name), KVS("pod", c->pod_name), { .type = KV_END } });
}

int
sc_run(const struct sc_conf *c)
{
	static const unsigned order[] = { PROC_HTTP, PROC_MYSQL, PROC_LINK,
		PROC_MEMORY, 0 };
	static struct sidecar sc;
	struct ps_conf pc = sc_procs_conf;
	const char *readdirs[4];
	char ns[NS_LEN + 1];
	unsigned n = 0;

	sc.conf = *c;
	name_log(c, ns);
	log_ev(LL_INFO, "sidecar starting", KVS("release", PACKAGE_VERSION),
	    KVS("namespace", ns), KVS("site", sc.conf.site),
	    KVS("podUID", sc.conf.pod_uid), KVS("listenAddr", sc.conf.listen),
	    KVS("linkAddr", sc.conf.link),
	    KVS("peerAddresses", getenv("PEER_ADDRESSES")),
	    KVS("bloodravenAddress", getenv("BLOODRAVEN_ADDRESS")),
	    KVMS("leaseTimeout", sc.conf.lease_ms),
	    KVMS("peerCheckInterval", sc.conf.check_ms));
	sc_conf_log(&sc.conf);
	if (wire_init() == -1)
		fatal("libsodium");
	init(&sc);
	pc.level = c->level;
	pc.arg = &sc;
	/* The launcher is forked in there, before any key is read. */
	sc.ps = ps_start(&pc, sc.base);
	if (sc.conf.identity) {
		sc_keys_read(&sc, true);
		readdirs[n++] = sc.conf.keys_dir;
	}
	if (sc.conf.creds_dir[0] != '\0')
		readdirs[n++] = sc.conf.creds_dir;
	if (sc.conf.tls_dir[0] != '\0')
		readdirs[n++] = sc.conf.tls_dir;
	readdirs[n] = NULL;
	register_events(&sc);
	ps_sandbox_parent(sc.ps, readdirs);
	event_base_dispatch(sc.base);
	ps_shutdown(sc.ps, order, SHUTDOWN_MS);
	explicit_bzero(&sc.keys, sizeof(sc.keys));
	log_ev(LL_INFO, "sidecar stopped");
	return 0;
}
