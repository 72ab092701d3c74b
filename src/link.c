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
 * The link: "guard-link" of bloodraven(8), "link" of bloodraven-sidecar(8).
 * Carries frames between processes of different Pods; see link.h.
 *
 * Rights: TCP connections to port 8090 (Landlock, where it exists), accepts
 * connections at two sockets that were bound before the sandbox closed, and
 * its channel. Holds no key and decodes nothing but lengths. Who takes it
 * over can delay, drop and replay what it carries, as the network can: late
 * and forged frames are refused by those who hold keys, and a link that is
 * silent is a renewal that did not come.
 */

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "link.h"
#include "procs.h"

#define LOG_MS 10000 /* strangers that were turned away, at most so often */

static const uint16_t link_ports[] = { BR_LINK_PORT, 0 };

const struct sandbox link_sandbox = {
	.allow = SB_INET | SB_LISTEN,
	.connect_ports = link_ports,
	.max_files = LINK_FILES,
};

struct link_site {
	TAILQ_ENTRY(link_site) entry;
	struct link_group *group;
	struct m_link_site want;
	struct link_conn *conn; /* NULL: waits for its timer */
	struct event *timer;
	int64_t backoff_ms;
};

struct link_group {
	RB_ENTRY(link_group) node;
	char uid[UID_LEN + 1];
	TAILQ_HEAD(, link_site) sites;
};
RB_HEAD(link_groups, link_group);

/* The one link of this process. */
static struct {
	struct ps_worker *w;
	struct link link;
	struct link_groups groups;
	struct event *listen_ev[2]; /* by LK_IN - 1, LK_LOCAL - 1 */
	struct event *log_ev;
	bool log_pending;
} lk;

static int
group_cmp(const struct link_group *a, const struct link_group *b)
{
	return strcmp(a->uid, b->uid);
}

/* libbsd's RB_GENERATE_STATIC needs a macro that it undefines on Linux. */
#define RB_STATIC static __attribute__((__unused__))
RB_GENERATE_INTERNAL(link_groups, link_group, node, group_cmp, RB_STATIC)

/* ----------------------------------------------------------------- telling --- */

static void
tell(uint32_t type, const void *msg)
{
	if (ps_worker_send(lk.w, type, msg, -1) == -1 && errno != ENOTCONN)
		fatal("message %s", msg_name(type));
}

static void
on_up(void *arg, const struct link_conn *c)
{
	struct m_link_up m = {
		.conn = c->id,
		.inbound = c->kind == LK_IN,
		.local = c->kind == LK_LOCAL,
	};

	if (c->site != NULL) {
		strlcpy(m.group, c->site->group->uid, sizeof(m.group));
		strlcpy(m.site, c->site->want.name, sizeof(m.site));
		strlcpy(m.pod_uid, c->site->want.pod_uid, sizeof(m.pod_uid));
	}
	strlcpy(m.peer, c->peer, sizeof(m.peer));
	tell(MSG_LINK_UP, &m);
}

static void
on_rx(void *arg, const struct link_conn *c, const uint8_t *data, size_t len)
{
	static struct m_link_rx m;

	m.conn = c->id;
	m.at_ns = c->read.ns;
	m.frame.len = (uint32_t)len;
	memcpy(m.frame.data, data, len);
	tell(MSG_LINK_RX, &m);
}

static void
on_down(void *arg, const struct link_conn *c, const char *error)
{
	struct m_link_down m = { .conn = c->id };

	strlcpy(m.error, error, sizeof(m.error));
	tell(MSG_LINK_DOWN, &m);
}

static size_t
on_queued(void *arg)
{
	return ps_worker_queued(lk.w);
}

/* ------------------------------------------------------------------- sites --- */

static void
site_wait(struct link_site *s, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000L };

	evtimer_add(s->timer, &tv);
}

/* Doubled up to its bound, and spread, so that many do not come at once. */
static void
site_retry(struct link_site *s)
{
	int64_t ms = s->backoff_ms;

	s->backoff_ms = ms * 2 > LINK_BACKOFF_MAX ? LINK_BACKOFF_MAX : ms * 2;
	site_wait(s, ms + arc4random_uniform((uint32_t)ms / 4 + 1));
}

static void
on_lost(void *arg, struct link_site *s)
{
	s->conn = NULL;
	site_retry(s);
}

static void
site_connect(struct link_site *s)
{
	if (s->want.ip[0] == '\0' || s->want.port == 0)
		return;
	s->conn = link_connect(&lk.link, s, s->want.ip, s->want.port);
	if (s->conn == NULL)
		site_retry(s);
}

static void
site_timer(evutil_socket_t fd, short what, void *arg)
{
	site_connect(arg);
}

static void
site_free(struct link_site *s)
{
	struct link_conn *c = s->conn;

	if (c != NULL) {
		c->site = NULL;
		link_close(c, "no longer wanted");
	}
	TAILQ_REMOVE(&s->group->sites, s, entry);
	event_free(s->timer);
	free(s);
}

static void
site_new(struct link_group *g, const struct m_link_site *want)
{
	struct link_site *s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		fatal("calloc");
	s->group = g;
	s->want = *want;
	s->backoff_ms = LINK_BACKOFF_MIN;
	s->timer = evtimer_new(lk.link.base, site_timer, s);
	if (s->timer == NULL)
		fatalx("evtimer_new");
	TAILQ_INSERT_TAIL(&g->sites, s, entry);
	site_wait(s, 0);
}

static bool
same_site(const struct m_link_site *a, const struct m_link_site *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->ip, b->ip) == 0 &&
	    a->port == b->port && strcmp(a->pod_uid, b->pod_uid) == 0;
}

static struct link_group *
group_get(const char *uid, bool make)
{
	struct link_group key, *g;

	strlcpy(key.uid, uid, sizeof(key.uid));
	if ((g = RB_FIND(link_groups, &lk.groups, &key)) != NULL || !make)
		return g;
	if ((g = calloc(1, sizeof(*g))) == NULL)
		fatal("calloc");
	strlcpy(g->uid, uid, sizeof(g->uid));
	TAILQ_INIT(&g->sites);
	RB_INSERT(link_groups, &lk.groups, g);
	return g;
}

/* Those that stay keep their connection: others may not disturb it. */
static void
got_sites(const struct m_link_sites *m)
{
	struct link_group *g = group_get(m->group, !m->gone);
	uint32_t n = m->gone ? 0 : m->n_sites, i;
	bool have[SITES_MAX] = { false };
	struct link_site *s, *next;

	if (g == NULL)
		return;
	for (s = TAILQ_FIRST(&g->sites); s != NULL; s = next) {
		next = TAILQ_NEXT(s, entry);
		for (i = 0; i < n; i++)
			if (!have[i] && same_site(&s->want, &m->sites[i]))
				break;
		if (i < n)
			have[i] = true;
		else
			site_free(s);
	}
	for (i = 0; i < n; i++)
		if (!have[i])
			site_new(g, &m->sites[i]);
	if (m->gone) {
		RB_REMOVE(link_groups, &lk.groups, g);
		free(g);
	}
}

/* ---------------------------------------------------------------- messages --- */

static void
got_trust(struct link_conn *c)
{
	if (c->site != NULL)
		c->site->backoff_ms = LINK_BACKOFF_MIN;
	link_trust(c);
}

void
link_dispatch(struct ps_worker *w, uint32_t type, void *msg, int fd)
{
	const struct m_link_tx *tx = msg;
	const struct m_link_trust *trust = msg;
	const struct m_link_close *end = msg;
	struct link_conn *c;

	if (fd != -1)
		fatalx("unexpected descriptor with message %u", type);
	/* A connection may have ended while the message was on its way. */
	switch (type) {
	case MSG_LINK_SITES:
		got_sites(msg);
		break;
	case MSG_LINK_TX:
		if ((c = link_find(&lk.link, tx->conn)) != NULL)
			link_send(c, tx->frame.data, tx->frame.len);
		break;
	case MSG_LINK_TRUST:
		if ((c = link_find(&lk.link, trust->conn)) != NULL)
			got_trust(c);
		break;
	case MSG_LINK_CLOSE:
		if ((c = link_find(&lk.link, end->conn)) != NULL) {
			log_ev(LL_INFO, "link closed", KVS("peer", c->peer),
			    KVS("reason", end->reason));
			link_close(c, NULL);
		}
		break;
	default:
		fatalx("unexpected message %u", type);
	}
}

/* ------------------------------------------------------------------- start --- */

/* A flood is told in one line now and then. */
static void
log_refused(evutil_socket_t fd, short what, void *arg)
{
	lk.log_pending = false;
	log_ev(LL_WARN, "strangers turned away at the link",
	    KVU("refused", lk.link.refused), KVU("gaveWay", lk.link.evicted));
	lk.link.refused = lk.link.evicted = 0;
}

static void
listener_event(evutil_socket_t lfd, short what, void *arg)
{
	const enum link_kind kind = *(const enum link_kind *)arg;
	const struct timeval tv = { LOG_MS / 1000, 0 };
	struct sockaddr_storage ss;
	socklen_t len;
	int fd, i;

	for (i = 0; i < LINK_ACCEPTS; i++) {
		len = sizeof(ss);
		memset(&ss, 0, sizeof(ss));
		fd = accept4(lfd, (struct sockaddr *)&ss, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd != -1)
			link_accepted(&lk.link, kind, fd, &ss);
		else if (errno == EAGAIN || errno == EMFILE ||
		    errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			break;
	}
	if (!lk.log_pending && lk.link.refused + lk.link.evicted > 0) {
		lk.log_pending = true;
		evtimer_add(lk.log_ev, &tv);
	}
}

static int
add_listener(enum link_kind kind, int fd)
{
	static const enum link_kind kinds[] = { LK_IN, LK_LOCAL };
	struct event **ev = &lk.listen_ev[kind - 1];

	*ev = event_new(lk.link.base, fd, EV_READ | EV_PERSIST, listener_event,
	    (void *)(uintptr_t)&kinds[kind - 1]);
	return *ev == NULL ? -1 : event_add(*ev, NULL);
}

static int
listen_tcp(const char *where)
{
	static const struct net_opts opts = { LINK_SNDBUF, LINK_RCVBUF,
		LINK_BACKLOG };
	struct sockaddr_storage ss;
	char addr[NET_ADDR_LEN];
	int fd;

	if (*where == '\0')
		return 0;
	if ((fd = net_listen(where, &opts, &ss)) == -1 ||
	    link_options(fd) == -1 || add_listener(LK_IN, fd) == -1) {
		log_ev(LL_ERROR, "cannot listen", KVS("addr", where),
		    KVS("error", strerror(errno)));
		return -1;
	}
	net_format(&ss, addr);
	log_ev(LL_INFO, "listening for links", KVS("addr", addr));
	return 0;
}

/*
 * The guard may run as another user of the Pod's group (fsGroup). What stands
 * at the path is a dead one's: the lock of the promise file says that no
 * other sidecar of this Pod runs.
 */
static int
listen_local(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	if (*path == '\0')
		return 0;
	if (strlcpy(sun.sun_path, path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		goto fail;
	}
	if (unlink(path) == -1 && errno != ENOENT)
		goto fail;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    chmod(path, 0660) == -1 || listen(fd, LINK_LOCALS) == -1 ||
	    add_listener(LK_LOCAL, fd) == -1)
		goto fail;
	return 0;
fail:
	log_ev(LL_ERROR, "cannot listen", KVS("addr", path),
	    KVS("error", strerror(errno)));
	return -1;
}

static const struct link_ops ops = { on_up, on_rx, on_down, on_lost,
	on_queued };

int
link_setup(struct ps_worker *w)
{
	struct m_link_conf conf;

	lk.w = w;
	RB_INIT(&lk.groups);
	link_init(&lk.link, ps_base(w), &ops, NULL);
	lk.log_ev = evtimer_new(ps_base(w), log_refused, NULL);
	if (lk.log_ev == NULL) {
		errno = ENOMEM;
		return -1;
	}
	if (ps_worker_recv(w, MSG_LINK_CONF, &conf, NULL) == -1) {
		log_warn("no configuration");
		return -1;
	}
	if (listen_tcp(conf.listen) == -1 || listen_local(conf.path) == -1)
		return -1;
	return 0;
}
