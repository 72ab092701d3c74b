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
 * mysql-prober: every connection to MySQL, and the passwords for them.
 *
 * May: open TCP connections to the addresses that the parent names. May not:
 * open files, resolve names, listen, execute, or talk to anything but the
 * parent and MySQL. It decides nothing: it reports what servers say
 * (mysql_probe.c) and carries out what it is told (mysql_sql.c), after
 * checking once more that it still may. All of its state comes from
 * PROBE_GROUP and CREDS; a restarted prober is told again.
 */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "mysql_int.h"
#include "procs.h"

/* Sites of one group start their probes this far apart. */
#define STAGGER_MS  20
#define POLL_MIN_MS 50

const struct sandbox mysql_sandbox = {
	.allow = SB_INET,
	/* The port is a field of the API: a site may have any. */
	.connect_ports = NULL,
	.max_as = 512 * 1024 * 1024,
	/* A held-open connection and an action or two for each site. */
	.max_files = 8192,
};

static int group_cmp(const struct mgroup *, const struct mgroup *);

RB_HEAD(mgroups, mgroup);
RB_PROTOTYPE(mgroups, mgroup, entry, group_cmp)

static struct {
	struct ps_worker *worker;
	struct mgroups groups;
	unsigned ngroups;
} me = { .groups = RB_INITIALIZER(&me.groups) };

static int
group_cmp(const struct mgroup *a, const struct mgroup *b)
{
	return strcmp(a->uid, b->uid);
}

RB_GENERATE(mgroups, mgroup, entry, group_cmp)

struct event_base *
mysql_base(void)
{
	return ps_base(me.worker);
}

void
mysql_send(uint32_t type, const void *msg)
{
	if (ps_worker_send(me.worker, type, msg, -1) == -1)
		fatal("%s to the parent", msg_name(type));
}

void
mysql_arm(struct event *ev, int64_t ms)
{
	struct timeval tv;

	if (ms < 0)
		ms = 0;
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	/* From now, not from the turn of the loop: no deadline is cut. */
	(void)event_base_update_cache_time(mysql_base());
	if (event_add(ev, &tv) == -1)
		fatalx("event_add");
}

int
mysql_copy_set(char *dst, size_t size, const char *src)
{
	size_t n = 0;

	for (; src != NULL && *src != '\0'; src++) {
		if (isspace((unsigned char)*src))
			continue;
		if (n + 1 >= size) {
			dst[0] = '\0';
			errno = ERANGE;
			return -1;
		}
		dst[n++] = *src;
	}
	dst[n] = '\0';
	return 0;
}

int64_t
mysql_num(const char *s)
{
	char *end;
	long long v;

	if (s == NULL || *s == '\0')
		return 0;
	errno = 0;
	v = strtoll(s, &end, 10);
	/* A microsecond count may come as "1795694643136288.000000". */
	if (errno != 0 || (*end != '\0' && *end != '.'))
		return 0;
	return v;
}

char *
mysql_copy(const char *s)
{
	char *d = strdup(s);

	if (d == NULL)
		fatal("strdup");
	return d;
}

static struct mgroup *
group_find(const char *uid)
{
	struct mgroup key;

	(void)strlcpy(key.uid, uid, sizeof(key.uid));
	return RB_FIND(mgroups, &me.groups, &key);
}

/* --------------------------------------------------------------- groups --- */

static void
site_set_target(struct msite *s, const struct m_probe_site *m)
{
	free(s->host);
	free(s->internal);
	free(s->ip);
	s->host = mysql_copy(m->host);
	s->internal = mysql_copy(m->internal);
	s->ip = mysql_copy(m->ip);
	s->port = m->port;
	s->tls = m->tls;
	(void)strlcpy(s->pod_uid, m->pod_uid, sizeof(s->pod_uid));
}

static bool
site_same(const struct msite *s, const struct m_probe_site *m)
{
	return strcmp(s->host, m->host) == 0 && strcmp(s->ip, m->ip) == 0 &&
	    strcmp(s->internal, m->internal) == 0 && s->port == m->port &&
	    s->tls == m->tls && strcmp(s->pod_uid, m->pod_uid) == 0;
}

struct msite *
mysql_site(const struct mgroup *g, const char *name)
{
	struct msite *s;

	TAILQ_FOREACH (s, &g->sites, entry)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

static struct msite *
site_new(struct mgroup *g, const struct m_probe_site *m)
{
	struct msite *s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		fatal("calloc");
	s->group = g;
	s->name = mysql_copy(m->name);
	TAILQ_INIT(&s->actions);
	site_set_target(s, m);
	TAILQ_INSERT_TAIL(&g->sites, s, entry);
	return s;
}

static void
site_free(struct msite *s, const char *why)
{
	maction_cancel(s, why);
	mprobe_free(s);
	mfresh_free(s);
	TAILQ_REMOVE(&s->group->sites, s, entry);
	free(s->name);
	free(s->host);
	free(s->internal);
	free(s->ip);
	free(s);
}

static void
group_free(struct mgroup *g)
{
	struct msite *s;

	while ((s = TAILQ_FIRST(&g->sites)) != NULL)
		site_free(s, "the group is gone");
	mcreds_clear(&g->creds);
	mtls_free(g);
	RB_REMOVE(mgroups, &me.groups, g);
	me.ngroups--;
	free(g->fg);
	free(g);
}

/* NULL when there are too many. */
static struct mgroup *
group_get(const char *uid)
{
	struct mgroup *g;

	if ((g = group_find(uid)) != NULL)
		return g;
	if (me.ngroups >= GROUPS_MAX)
		return NULL;
	if ((g = calloc(1, sizeof(*g))) == NULL)
		fatal("calloc");
	(void)strlcpy(g->uid, uid, sizeof(g->uid));
	g->fg = mysql_copy("");
	TAILQ_INIT(&g->sites);
	(void)RB_INSERT(mgroups, &me.groups, g);
	me.ngroups++;
	return g;
}

static void
site_apply(
    struct mgroup *g, const struct m_probe_site *m, unsigned i, unsigned n)
{
	struct msite *s = mysql_site(g, m->name);

	if (s == NULL) {
		s = site_new(g, m);
		mprobe_init(s, i * STAGGER_MS, g->poll_ms * i / n);
		mfresh_init(s);
	} else if (!site_same(s, m)) {
		/* Another process, or another way to it. */
		maction_cancel(s, "the site's address or Pod changed");
		site_set_target(s, m);
		mprobe_reset(s);
		mfresh_kick(s, true);
	}
	s->keep = true;
}

static void
beyond_capacity(const struct m_probe_group *m)
{
	static struct m_probe p;
	unsigned i;

	log_ev(LL_ERROR, "group refused", KVS("fg", m->fg),
	    KVS("error", "more groups than the prober can hold"),
	    KVU("limit", GROUPS_MAX));
	for (i = 0; i < m->n_sites; i++) {
		memset(&p, 0, sizeof(p));
		(void)strlcpy(p.group, m->group, sizeof(p.group));
		(void)strlcpy(p.site, m->sites[i].name, sizeof(p.site));
		(void)strlcpy(
		    p.pod_uid, m->sites[i].pod_uid, sizeof(p.pod_uid));
		p.err = PE_TOO_BIG;
		p.lag_s = -1;
		p.sent_ns = monotime_now().ns;
		(void)strlcpy(p.error, "more groups than the prober can hold",
		    sizeof(p.error));
		mysql_send(MSG_PROBE, &p);
	}
}

static void
on_probe_group(const struct m_probe_group *m)
{
	struct mgroup *g;
	struct msite *s, *next;
	bool pace;
	unsigned i;

	if (m->gone) {
		if ((g = group_find(m->group)) != NULL)
			group_free(g);
		return;
	}
	if ((g = group_get(m->group)) == NULL) {
		beyond_capacity(m);
		return;
	}
	free(g->fg);
	g->fg = mysql_copy(m->fg);
	pace = g->poll_ms != m->poll_ms;
	g->poll_ms = m->poll_ms < POLL_MIN_MS ? POLL_MIN_MS : m->poll_ms;
	g->deadline_ms = m->deadline_ms;
	if (g->deadline_ms <= 0 || g->deadline_ms > g->poll_ms)
		g->deadline_ms = g->poll_ms;
	TAILQ_FOREACH (s, &g->sites, entry) {
		s->keep = false;
		if (pace)
			mprobe_reset(s);
	}
	for (i = 0; i < m->n_sites; i++)
		site_apply(g, &m->sites[i], i, m->n_sites);
	TAILQ_FOREACH_SAFE (s, &g->sites, entry, next)
		if (!s->keep)
			site_free(s, "the site is gone");
	mtls_names(g);
}

/* Both, and ACCOUNT, may come before the group itself does. */
static void
on_creds(const struct m_creds *m)
{
	struct mgroup *g;
	struct msite *s;
	bool was;

	if ((g = group_get(m->group)) == NULL)
		return;
	was = g->creds.known && g->creds.valid;
	mcreds_set(g, m);
	TAILQ_FOREACH (s, &g->sites, entry) {
		if (!was)
			mprobe_reset(s);
		mfresh_kick(s, false);
	}
}

static void
on_account(const struct m_account *m)
{
	struct mgroup *g;

	if ((g = group_get(m->group)) != NULL)
		mcreds_account(g, m);
}

/* Connections that stand are as good as before. */
static void
on_tls(const struct m_tls *m)
{
	struct mgroup *g;
	struct msite *s;
	bool trusted;
	size_t n;

	if ((g = group_get(m->group)) == NULL)
		return;
	trusted = mtls_trust(g, &n) != NULL;
	mtls_set(g, m);
	TAILQ_FOREACH (s, &g->sites, entry) {
		if (!trusted && s->tls)
			mprobe_reset(s);
		mfresh_kick(s, false);
	}
}

static void
on_sql(const struct m_sql *m)
{
	struct mgroup *g;
	struct msite *s;

	if ((g = group_find(m->group)) == NULL) {
		maction_refuse(m, "unknown group");
		return;
	}
	if ((s = mysql_site(g, m->site)) == NULL) {
		maction_refuse(m, "unknown site");
		return;
	}
	maction_request(s, m);
}

static void
on_probe_now(const struct m_probe_now *m)
{
	struct mgroup *g = group_find(m->group);
	struct msite *s = g == NULL ? NULL : mysql_site(g, m->site);

	if (s != NULL)
		mprobe_now(s);
}

/* --------------------------------------------------------------- worker --- */

int
mysql_setup(struct ps_worker *w)
{
	me.worker = w;
	if (mconn_setup() == -1) {
		log_warnx("libmysqlclient does not start");
		return -1;
	}
	maddr_close();
	return 0;
}

void
mysql_dispatch(struct ps_worker *w, uint32_t type, void *msg, int fd)
{
	(void)w;
	if (fd != -1)
		fatalx("a descriptor came with %s", msg_name(type));
	switch (type) {
	case MSG_PROBE_GROUP:
		on_probe_group(msg);
		break;
	case MSG_ACCOUNT:
		on_account(msg);
		break;
	case MSG_CREDS:
		on_creds(msg);
		break;
	case MSG_TLS:
		on_tls(msg);
		break;
	case MSG_SQL:
		on_sql(msg);
		break;
	case MSG_PROBE_NOW:
		on_probe_now(msg);
		break;
	default:
		fatalx("unexpected message %u", type);
	}
}
