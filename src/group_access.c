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
 * Accounts and certificate follow the user's Secrets.
 *
 * mysql-prober does the work and says what it finds at each site
 * (SITE_ACCESS); here is decided what is next. Nothing of it is urgent, all of
 * it can be done twice, and all is asked again after a while: what was broken
 * off is found undone. It is done only in a healthy group, by the leader:
 *
 *	accounts	at the active site; replicas get them by replication,
 *	refresh-source	then at each replica: what it logs in with,
 *	discard		old passwords, an hour later or when somebody says so.
 *
 * A certificate is loaded by the sidecars, once the kubelet has brought the
 * one that is told them to be good (group_link.c): they need no TLS for it, and
 * what else is mounted by then, a worse one, is left alone.
 *
 * Passwords pass through here, unread and wiped.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsm_int.h"
#include "group_int.h"

#define OURS         (UINT64_C(1) << 63) /* of a seq: not the core's */
#define TIMEOUT_MS   15000
#define LOST_MS      (TIMEOUT_MS + 5000) /* no answer: asked again */
#define AGAIN_MS     600000 /* all is looked at, whatever was done */
#define RETRY_MS     2000
#define RETRY_MAX_MS 60000
/* Clients have so long to go over to a new password. */
#define DISCARD_MS   3600000
#define PENDING_MS   10000 /* worth a word in the status */
#define SILENT_MS    60000 /* longer than a server takes to start */

/* One thing that is done again until it is done. */
struct gtask {
	uint64_t seq; /* of what is under way, 0: nothing */
	int64_t sent_ms;
	int64_t due_ms; /* not before */
	int64_t wait_ms;
	uint64_t done; /* hash of what it was done for */
	uint64_t asked;
};

struct gaccess_site {
	SLIST_ENTRY(gaccess_site) entry;
	char name[NAME_LEN + 1];
	char pod_uid[UID_LEN + 1];
	uint64_t creds_gen, tls_gen; /* as it was found */
	int64_t behind_ms;           /* with the certificate since, 0: not */
	char error[128];
	struct gtask source;
};

struct gaccess {
	uint64_t seq;
	uint64_t creds_gen; /* of the last valid ones, 0: none */
	bool tls_wanted;    /* the group has a certificate */
	uint64_t tls_gen;   /* of one that servers may load, 0: none */
	uint8_t tls[32];    /* its files */
	struct gtask accounts;
	bool in_force; /* the accounts are, at the active site */
	bool retained; /* an old password counts there */
	int64_t retained_ms;
	bool discarding;
	char discard[MSGTEXT_LEN + 1]; /* annotation */
	char problem[ERR_LEN + 1];
	bool excess_known;
	char excess[MSGTEXT_LEN + 1]; /* who else could pass the fence */
	int64_t changed_ms;
	SLIST_HEAD(, gaccess_site) sites; /* configured, one other */
	uint64_t told;                    /* hash of the ACCESS, 0: none */
};

static struct gaccess *
access_of(struct group *g)
{
	if (g->access == NULL &&
	    (g->access = calloc(1, sizeof(*g->access))) == NULL)
		fatal("calloc");
	return g->access;
}

void
group_access_free(struct group *g)
{
	struct gaccess_site *s;

	if (g->access == NULL)
		return;
	while ((s = SLIST_FIRST(&g->access->sites)) != NULL) {
		SLIST_REMOVE_HEAD(&g->access->sites, entry);
		free(s);
	}
	free(g->access);
	g->access = NULL;
}

/* Sites by name: their order may change. One that is gone gives its place. */
static struct gaccess_site *
site_of(struct group *g, const char *name)
{
	struct gaccess *a = g->access;
	struct gaccess_site *s, *room = NULL;

	SLIST_FOREACH (s, &a->sites, entry) {
		if (strcmp(s->name, name) == 0)
			return s;
		if (room == NULL && group_site(g, s->name) == -1)
			room = s;
	}
	if (room != NULL)
		SLIST_REMOVE(&a->sites, room, gaccess_site, entry);
	else if ((room = malloc(sizeof(*room))) == NULL)
		fatal("malloc");
	memset(room, 0, sizeof(*room));
	SLIST_INSERT_HEAD(&a->sites, room, entry);
	(void)strlcpy(room->name, name, sizeof(room->name));
	return room;
}

/* ---------------------------------------------------------------- tasks --- */

/* Is it to be done now, for what this hash stands for? */
static bool
due(struct gtask *t, uint64_t what, int64_t now)
{
	if (t->seq != 0 && now - t->sent_ms < LOST_MS)
		return false;
	t->seq = 0;
	if (t->asked != what) {
		t->asked = what;
		t->due_ms = t->wait_ms = 0;
	}
	if (now < t->due_ms)
		return false;
	return true;
}

static bool
is_done(const struct gtask *t, uint64_t what)
{
	return t->done == what;
}

static void
begin(struct group *g, struct gtask *t, struct m_sql *m, int64_t now)
{
	t->seq = m->seq = OURS | ++g->access->seq;
	t->sent_ms = now;
	log_ev(LL_INFO, "sql upkeep sent", KVS("fg", g->fg),
	    KVS("site", m->site), KVS("kind", sql_kind_name(m->kind)),
	    KVU("seq", m->seq), KVB("discard", m->discard));
	parent_send(g->parent, PROC_MYSQL, MSG_SQL, m);
}

static void
finish(struct gtask *t, bool ok, int64_t now)
{
	t->seq = 0;
	t->done = ok ? t->asked : 0;
	if (ok) {
		t->wait_ms = 0;
		t->due_ms = now + AGAIN_MS;
		return;
	}
	t->wait_ms = t->wait_ms == 0 ? RETRY_MS : t->wait_ms * 2;
	if (t->wait_ms > RETRY_MAX_MS)
		t->wait_ms = RETRY_MAX_MS;
	t->due_ms = now + t->wait_ms;
}

static struct m_sql *
request(struct group *g, uint8_t i, unsigned kind)
{
	const struct fsm_probe *p = &g->fs.site[i].p;
	static struct m_sql m;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.group, g->uid, sizeof(m.group));
	(void)strlcpy(m.site, g->fc.site[i].name, sizeof(m.site));
	m.kind = kind;
	m.valid_until_ns = g->all->lease.deadline_ns;
	m.timeout_ms = TIMEOUT_MS;
	(void)strlcpy(m.pod_uid, p->pod_uid, sizeof(m.pod_uid));
	(void)strlcpy(m.server_uuid, p->server_uuid, sizeof(m.server_uuid));
	m.proc_start_ms = p->start_ms;
	return &m;
}

/* ----------------------------------------------------------- what is next --- */

/* Of what a task stands or falls with. */
static uint64_t
hash_of(const struct group *g, uint8_t i, uint64_t x, uint64_t y)
{
	const struct fsm_probe *p = &g->fs.site[i].p;
	struct {
		uint64_t x, y;
		char pod_uid[UID_LEN + 1];
		char server_uuid[UID_LEN + 1];
	} what;

	memset(&what, 0, sizeof(what));
	what.x = x;
	what.y = y;
	(void)strlcpy(what.pod_uid, p->pod_uid, sizeof(what.pod_uid));
	(void)strlcpy(
	    what.server_uuid, p->server_uuid, sizeof(what.server_uuid));
	return group_hash(&what, sizeof(what)) | 1;
}

static void
turn_accounts(struct group *g, uint8_t active, int64_t now)
{
	struct gaccess *a = g->access;
	uint64_t what = hash_of(g, active, a->creds_gen, 0);
	struct m_sql *m;
	bool discard;

	a->in_force = is_done(&a->accounts, what);
	if (!a->retained)
		a->retained_ms = now;
	discard = a->in_force && a->retained &&
	    (a->discard[0] != '\0' || now - a->retained_ms >= DISCARD_MS);
	if (!due(&a->accounts, what, now) && !(discard && !a->discarding))
		return;
	if (a->accounts.seq != 0)
		return;
	m = request(g, active, SQL_ACCOUNTS);
	m->discard = a->discarding = discard;
	begin(g, &a->accounts, m, now);
}

/* Which account and which TLS a replica shall use at its source. */
static void
turn_source(struct group *g, uint8_t i, uint8_t active, int64_t now)
{
	struct gaccess_site *s = site_of(g, g->fc.site[i].name);
	const struct fsm_probe *p = &g->fs.site[i].p;
	bool tls = group_site_tls(g, g->fc.site[active].name);
	struct m_sql *m;
	uint64_t what;

	if (!g->access->in_force || !p->has_repl || p->source != active ||
	    p->io == IO_NO || !p->sql || g->fs.site[i].sql.seq != 0)
		return;
	what = hash_of(g, i, g->access->creds_gen ^ g->access->tls_gen << 1,
	    (uint64_t)active << 1 | tls);
	if (!due(&s->source, what, now))
		return;
	m = request(g, i, SQL_REFRESH_SOURCE);
	(void)strlcpy(
	    m->source_host, g->conf.sites[active].host, sizeof(m->source_host));
	m->source_port = MYSQL_PORT;
	m->source_tls = tls;
	m->timeout_ms = 5000;
	begin(g, &s->source, m, now);
}

/* ------------------------------------------------------------------ told --- */

static void
add_name(char *list, size_t size, const char *name, const char *why)
{
	if (list[0] != '\0')
		(void)strlcat(list, ", ", size);
	(void)strlcat(list, name, size);
	if (why[0] == '\0')
		return;
	(void)strlcat(list, " (", size);
	(void)strlcat(list, why, size);
	(void)strlcat(list, ")", size);
}

/* "what: list", or nothing. */
static void
say(char *out, size_t size, const char *what, const char *list)
{
	if (list[0] == '\0')
		return;
	(void)strlcpy(out, what, size);
	(void)strlcat(out, list, size);
}

/*
 * A site that shows another certificate, or none. One that starts is given its
 * time; one that answers nobody for longer may have come up with a bad one.
 */
static void
behind(struct group *g, uint8_t i, const struct gpod *p, int64_t now,
    char *list, size_t size)
{
	struct gaccess_site *s = site_of(g, g->fc.site[i].name);
	bool answers = fsm_answers(&g->fs, i);
	const char *why = "";

	if (g->access->tls_gen == 0)
		return;
	if (s->behind_ms == 0)
		s->behind_ms = now;
	if (!answers && now - s->behind_ms < SILENT_MS)
		return;
	if (!p->tls_loads)
		why = "its Pod is of an older make, that loads none: restart "
		      "it";
	else if (!answers)
		why = "does not answer";
	add_name(list, size, s->name, why);
}

/*
 * In force means at each site, in its present Pod: a site that can't be asked
 * may still have only what was before.
 */
static void
sum_up(struct group *g, struct m_access *m, int64_t now)
{
	char creds[MSGTEXT_LEN + 1] = "", tls[MSGTEXT_LEN + 1] = "";
	struct gaccess *a = g->access;

	m->creds_gen = a->creds_gen;
	m->tls_gen = a->tls_gen;
	m->creds_applied = a->creds_gen != 0 && a->in_force;
	m->tls_applied = a->tls_gen != 0;
	(void)strlcpy(m->creds_problem, a->problem, sizeof(m->creds_problem));
	m->excess_known = a->excess_known;
	(void)strlcpy(m->excess, a->excess, sizeof(m->excess));
	for (uint8_t i = 0; i < g->fc.nsites; i++) {
		struct gaccess_site *s = site_of(g, g->fc.site[i].name);
		const struct gpod *p = group_site_pod(g, s->name);
		bool same = p != NULL && strcmp(p->f.pod_uid, s->pod_uid) == 0;

		if (!same || s->creds_gen != a->creds_gen) {
			m->creds_applied = false;
			add_name(creds, sizeof(creds), s->name,
			    same ? s->error : "");
		}
		/* One that is not there starts with the newest. */
		if (p == NULL || !p->tls ||
		    (same && s->tls_gen == a->tls_gen)) {
			s->behind_ms = 0;
			continue;
		}
		m->tls_applied = false;
		behind(g, i, p, now, tls, sizeof(tls));
	}
	say(m->creds_pending, sizeof(m->creds_pending),
	    "sites that do not take the newest password yet: ", creds);
	say(m->tls_pending, sizeof(m->tls_pending),
	    "sites that do not show the newest certificate yet: ", tls);
}

/* What lasts a moment only is not worth a write of the status. */
static void
tell(struct group *g, int64_t now)
{
	struct gaccess *a = g->access;
	struct m_access m;
	uint64_t h;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.group, g->uid, sizeof(m.group));
	sum_up(g, &m, now);
	if (now - a->changed_ms < PENDING_MS)
		m.creds_pending[0] = m.tls_pending[0] = '\0';
	if ((h = group_hash(&m, sizeof(m))) == a->told)
		return;
	a->told = h;
	parent_send(g->parent, PROC_KUBE, MSG_ACCESS, &m);
}

const uint8_t *
group_access_tls(const struct group *g)
{
	return g->access != NULL && g->access->tls_gen != 0 ? g->access->tls :
							      NULL;
}

void
group_access_turn(struct group *g)
{
	int64_t now = mono_ms();
	uint8_t active, i;

	if (g->access == NULL || !groups_leading(g->all) || g->deleting)
		return;
	active = g->view.active;
	if (g->view.verdict == V_HEALTHY && active < g->fc.nsites &&
	    g->access->creds_gen != 0 && fsm_answers(&g->fs, active) &&
	    !g->fs.site[active].p.read_only) {
		turn_accounts(g, active, now);
		for (i = 0; i < g->fc.nsites; i++)
			if (i != active && fsm_answers(&g->fs, i))
				turn_source(g, i, active, now);
	}
	tell(g, now);
}

/* --------------------------------------------------------------- answers --- */

/* What can't be looked up now may be as it was. */
static void
excess_told(struct group *g, const struct m_sql_done *m)
{
	struct gaccess *a = g->access;

	if (!m->excess_known) {
		if (m->excess[0] != '\0')
			log_ev(LL_WARN, "privileges not looked through",
			    KVS("fg", g->fg), KVS("site", m->site),
			    KVS("error", m->excess));
		return;
	}
	if (m->excess[0] != '\0' && strcmp(m->excess, a->excess) != 0)
		log_ev(LL_WARN, "accounts could pass the fence",
		    KVS("fg", g->fg), KVS("site", m->site),
		    KVS("accounts", m->excess));
	a->excess_known = true;
	(void)strlcpy(a->excess, m->excess, sizeof(a->excess));
}

static void
accounts_done(struct group *g, const struct m_sql_done *m, int64_t now)
{
	struct gaccess *a = g->access;
	struct m_annotation_del d;

	finish(&a->accounts, m->end == SE_DONE, now);
	/* Nothing was found out: nothing is wrong with the accounts. */
	if (m->end == SE_DONE || m->end == SE_FAILED)
		(void)strlcpy(a->problem, m->end == SE_DONE ? "" : m->error,
		    sizeof(a->problem));
	if (m->end == SE_DONE)
		a->retained = m->retained;
	excess_told(g, m);
	if (m->end == SE_DONE && m->count > 0)
		log_ev(LL_INFO, "accounts reconciled", KVS("fg", g->fg),
		    KVS("site", m->site), KVU("statements", m->count),
		    KVB("oldPasswords", m->retained));
	if (a->discarding && m->end == SE_DONE && a->discard[0] != '\0') {
		memset(&d, 0, sizeof(d));
		(void)strlcpy(d.group, g->uid, sizeof(d.group));
		(void)strlcpy(
		    d.key, BR_ANN "discard-old-passwords", sizeof(d.key));
		(void)strlcpy(d.value, a->discard, sizeof(d.value));
		parent_send(g->parent, PROC_KUBE, MSG_ANNOTATION_DEL, &d);
		a->discard[0] = '\0';
	}
	a->discarding = false;
}

bool
group_access_done(struct group *g, const struct m_sql_done *m)
{
	int64_t now = mono_ms();
	struct gaccess_site *s;

	if ((m->seq & OURS) == 0)
		return false;
	if (g->access == NULL)
		return true;
	s = site_of(g, m->site);
	if (m->seq == g->access->accounts.seq)
		accounts_done(g, m, now);
	else if (m->seq == s->source.seq)
		finish(&s->source, m->end == SE_DONE, now);
	group_access_turn(g);
	return true;
}

void
group_access_discard(struct group *g, const char *value)
{
	(void)strlcpy(access_of(g)->discard, value, sizeof(g->access->discard));
	group_access_turn(g);
}

/* ---------------------------------------------------------------- Secrets --- */

void
groups_account(struct groups *gs, struct m_account *m)
{
	if (groups_find(gs, m->group) != NULL)
		parent_send(gs->parent, PROC_MYSQL, MSG_ACCOUNT, m);
	secret_wipe(&m->password);
}

static void
creds_told(struct group *g, const struct m_creds *m)
{
	struct fsm_event ev = { .type = E_CONF };
	struct gaccess *a = access_of(g);

	if (!m->valid)
		log_ev(LL_WARN, "credentials unusable", KVS("fg", g->fg),
		    KVS("error", m->problem));
	else if (m->gen != a->creds_gen) {
		a->creds_gen = m->gen;
		a->changed_ms = mono_ms();
	}
	g->creds = m->valid && m->repl_user[0] != '\0';
	if (!g->have_conf)
		return;
	group_fill_conf(g);
	group_step(g, &ev);
}

void
groups_creds(struct groups *gs, struct m_creds *m)
{
	struct group *g = groups_find(gs, m->group);

	if (g != NULL) {
		parent_send(gs->parent, PROC_MYSQL, MSG_CREDS, m);
		creds_told(g, m);
	}
	secret_wipe(&m->password);
	secret_wipe(&m->repl_password);
	secret_wipe(&m->prev_password);
	secret_wipe(&m->root_password);
}

void
groups_tls(struct groups *gs, struct m_tls *m)
{
	struct group *g = groups_find(gs, m->group);

	if (g != NULL) {
		parent_send(gs->parent, PROC_MYSQL, MSG_TLS, m);
		access_of(g)->tls_wanted = m->wanted;
		if (!m->wanted)
			g->access->tls_gen = 0;
	}
	secret_wipe(&m->key);
}

void
groups_tls_state(struct groups *gs, const struct m_tls_state *m)
{
	struct group *g = groups_find(gs, m->group);
	struct gaccess *a;

	if (g == NULL)
		return;
	a = access_of(g);
	/* It may have been under way when spec.tls was removed. */
	if (m->ok && a->tls_wanted && m->gen != a->tls_gen) {
		a->tls_gen = m->digest.len == sizeof(a->tls) ? m->gen : 0;
		memcpy(a->tls, m->digest.data, sizeof(a->tls));
		a->changed_ms = mono_ms();
	}
	parent_send(gs->parent, PROC_KUBE, MSG_TLS_STATE, m);
	group_access_turn(g);
}

void
groups_site_access(struct groups *gs, const struct m_site_access *m)
{
	struct group *g = groups_find(gs, m->group);
	struct gaccess_site *s;

	if (g == NULL || group_site(g, m->site) == -1)
		return;
	(void)access_of(g);
	s = site_of(g, m->site);
	(void)strlcpy(s->pod_uid, m->pod_uid, sizeof(s->pod_uid));
	s->creds_gen = m->creds_gen;
	s->tls_gen = m->tls_gen;
	(void)strlcpy(s->error, m->error, sizeof(s->error));
	log_ev(LL_INFO, "site access", KVS("fg", g->fg), KVS("site", m->site),
	    KVB("newestAccount", m->creds_gen == g->access->creds_gen),
	    KVB("newestCertificate", m->tls_gen == g->access->tls_gen),
	    KVS("error", m->error));
	group_access_turn(g);
}

void
group_access_forget(struct group *g)
{
	struct gaccess *a = g->access;
	struct gaccess_site *s;

	if (a == NULL)
		return;
	a->accounts.seq = 0;
	a->discarding = false;
	SLIST_FOREACH (s, &a->sites, entry)
		s->source.seq = 0;
	a->told = 0;
}
