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
 * What workers told about one group becomes an event of the core.
 */

#include <stdlib.h>
#include <string.h>

#include "group_int.h"

uint8_t
group_site_or_foreign(const struct group *g, const char *name)
{
	int i = group_site(g, name);

	if (name[0] == '\0')
		return FSM_NONE;
	return i == -1 ? FSM_FOREIGN : (uint8_t)i;
}

/* The core does not keep all Pods of its site. */
static bool
slotless(const struct group *g, const struct gpod *p)
{
	const struct gpod *q;
	unsigned n = 0;

	if (group_site(g, p->site) == -1)
		return true;
	TAILQ_FOREACH (q, &g->pods, entry)
		n += strcmp(q->site, p->site) == 0;
	return n > FSM_SITE_PODS;
}

/*
 * Of sites that are no more, or have more Pods than the core keeps: an epoch of
 * theirs may be unended, and they may wait to be let go.
 */
bool
group_feed_slotless(struct group *g)
{
	struct gpod *p;
	bool any = false;

	TAILQ_FOREACH (p, &g->pods, entry)
		if (slotless(g, p)) {
			any = true;
			group_feed_pod(g, p);
		}
	return any;
}

/* ------------------------------------------------------------------ Pods --- */

/* It may lack the label by which it is listed: POD says what became of it. */
static void
ask_pod(const struct group *g, const struct gpod *p)
{
	struct m_pod_check m;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.group, g->uid, sizeof(m.group));
	(void)strlcpy(m.site, p->site, sizeof(m.site));
	(void)strlcpy(m.pod_uid, p->f.pod_uid, sizeof(m.pod_uid));
	(void)strlcpy(m.pod_name, p->name, sizeof(m.pod_name));
	parent_send(g->parent, PROC_KUBE, MSG_POD_CHECK, &m);
}

bool
group_ask_pods(struct group *g)
{
	struct gpod *p;
	bool any = false;

	TAILQ_FOREACH (p, &g->pods, entry)
		if (!p->told) {
			any = true;
			ask_pod(g, p);
		}
	return any;
}

void
group_feed_pod(struct group *g, const struct gpod *p)
{
	struct fsm_event ev = { .type = E_POD };

	/* Also of sites that are no more: an epoch of theirs may be unended. */
	ev.site = group_site_or_foreign(g, p->site);
	ev.u.pod = &p->f;
	group_step(g, &ev);
}

static struct gpod *
find_pod(struct group *g, const char *uid)
{
	struct gpod *p;

	TAILQ_FOREACH (p, &g->pods, entry)
		if (strcmp(p->f.pod_uid, uid) == 0)
			return p;
	return NULL;
}

/* Fill the core's view of a Pod; says whether the kubelet changed it. */
static bool
fill_pod(struct fsm_pod *f, const struct m_pod *m)
{
	struct fsm_pod old = *f;

	memset(f, 0, sizeof(*f));
	f->kubelet_ms = old.kubelet_ms;
	(void)strlcpy(f->pod_uid, m->pod_uid, sizeof(f->pod_uid));
	f->deleting = m->deleting;
	f->finalizer = m->finalizer;
	f->ready = m->ready;
	f->ctr_state = (uint8_t)m->ctr_state;
	(void)strlcpy(
	    f->container_id, m->container_id, sizeof(f->container_id));
	f->started_ms = m->started_ms;
	f->hash = strtoull(m->hash, NULL, 16);
	f->nwords = (uint8_t)m->n_words;
	for (unsigned i = 0; i < m->n_words; i++) {
		(void)strlcpy(f->word[i].container_id, m->words[i].container_id,
		    sizeof(f->word[i].container_id));
		f->word[i].unknown =
		    strcmp(m->words[i].reason, "ContainerStatusUnknown") == 0;
		f->word[i].started_ms = m->words[i].started_ms;
		f->word[i].finished_ms = m->words[i].finished_ms;
		f->word[i].guard = m->words[i].guard;
	}
	/* Not `ready`: the node controller takes that away by itself. */
	return old.pod_uid[0] != '\0' &&
	    (old.ctr_state != f->ctr_state || old.started_ms != f->started_ms ||
		old.nwords != f->nwords ||
		strcmp(old.container_id, f->container_id) != 0 ||
		memcmp(old.word, f->word, sizeof(f->word)) != 0);
}

/* Its last state goes to the core once more: it may hold a word. */
static void
pod_gone(struct group *g, struct gpod *p)
{
	p->f.gone = true;
	if (g->have_conf)
		group_feed_pod(g, p);
	TAILQ_REMOVE(&g->pods, p, entry);
	free(p);
	if (g->have_conf)
		group_send_pods(g, false);
}

void
groups_pod(struct groups *gs, const struct m_pod *m)
{
	struct group *g = groups_find(gs, m->group);
	struct gpod *p;

	if (g == NULL)
		return;
	p = find_pod(g, m->pod_uid);
	if (m->gone) {
		if (p != NULL)
			pod_gone(g, p);
		return;
	}
	if (p == NULL) {
		if ((p = calloc(1, sizeof(*p))) == NULL)
			fatal("pod");
		TAILQ_INSERT_TAIL(&g->pods, p, entry);
	}
	p->told = true;
	(void)strlcpy(p->site, m->site, sizeof(p->site));
	(void)strlcpy(p->name, m->pod_name, sizeof(p->name));
	(void)strlcpy(p->ip, m->ip, sizeof(p->ip));
	p->created_ms = m->created_ms;
	p->tls = m->tls;
	p->tls_loads = m->tls_loads;
	group_notes_pod(p, m);
	if (fill_pod(&p->f, m))
		p->f.kubelet_ms = mono_ms();
	if (!g->have_conf)
		return;
	group_feed_pod(g, p);
	group_send_pods(g, false);
}

/* ------------------------------------------------------------ the others --- */

/* Texts of 16 hexadecimal digits; empty: 0. */
void
groups_rollout(struct groups *gs, const struct m_rollout *m)
{
	struct group *g = groups_find(gs, m->group);
	struct fsm_event ev = { .type = E_ROLLOUT };
	int i;

	if (g == NULL || !g->have_conf)
		return;
	for (unsigned k = 0; k < m->n_sites; k++) {
		if ((i = group_site(g, m->sites[k].name)) == -1)
			continue;
		ev.site = (uint8_t)i;
		ev.u.rollout.want = strtoull(m->sites[k].want, NULL, 16);
		ev.u.rollout.have = strtoull(m->sites[k].have, NULL, 16);
		group_step(g, &ev);
	}
}

/* <site>/<podUID>/<epoch>; anything else is said to be malformed. */
static void
parse_assert(const struct group *g, const char *v, struct fsm_event *ev)
{
	char buf[MSGTEXT_LEN + 1], *p = buf, *site, *uid;
	const char *err = NULL;

	ev->type = E_ASSERT_DEAD;
	ev->u.assert_dead.site = FSM_NONE;
	ev->u.assert_dead.gone = v[0] == '\0';
	(void)strlcpy(buf, v, sizeof(buf));
	site = strsep(&p, "/");
	uid = strsep(&p, "/");
	if (uid == NULL || p == NULL)
		return;
	ev->u.assert_dead.site = group_site_or_foreign(g, site);
	if (strlcpy(ev->u.assert_dead.pod_uid, uid,
		sizeof(ev->u.assert_dead.pod_uid)) > UID_LEN)
		ev->u.assert_dead.pod_uid[0] = '\0';
	ev->u.assert_dead.epoch = (uint64_t)strtonum(p, 1, INT64_MAX, &err);
	if (err != NULL)
		ev->u.assert_dead.epoch = 0;
}

static void
feed_assert(struct group *g)
{
	struct fsm_event ev;

	memset(&ev, 0, sizeof(ev));
	parse_assert(g, g->assert_dead, &ev);
	group_step(g, &ev);
}

static void
feed_override(struct group *g)
{
	struct fsm_event ev = { .type = E_OVERRIDE };

	ev.u.override = g->override[0] == '\0' ?
	    FSM_NONE :
	    group_site_or_foreign(g, g->override);
	group_step(g, &ev);
}

/* A core that was begun anew has to hear them again. */
void
group_feed_requests(struct group *g)
{
	if (g->assert_dead[0] != '\0')
		feed_assert(g);
	if (g->override[0] != '\0')
		feed_override(g);
}

/*
 * Requests that a later release acts on are refused aloud, not ignored, in the
 * reference's words; an empty one, too (api.md 1.9).
 */
static const struct {
	const char *key, *reason;
} later[] = {
	{ BR_ANN "planned-failover", "PlannedFailoverRejected" },
	{ BR_ANN "reclone-site", "RecloneRejected" },
	{ BR_ANN "dragonfly-snapshot-upgrade", "DragonflyUpgradeRejected" },
	{ BR_ANN "rotate-keyring", "KeyringRotationRefused" },
};

static void
refuse(struct group *g, const struct m_annotation *m, const char *reason)
{
	struct m_annotation_del d;
	char text[MSGTEXT_LEN + 1];

	if (!g->all->lease.held)
		return;
	(void)snprintf(text, sizeof(text),
	    "annotation %s: this release does not act on it", m->key);
	group_event(g, true, reason, text);
	memset(&d, 0, sizeof(d));
	(void)strlcpy(d.group, g->uid, sizeof(d.group));
	(void)strlcpy(d.key, m->key, sizeof(d.key));
	(void)strlcpy(d.value, m->value, sizeof(d.value));
	parent_send(g->parent, PROC_KUBE, MSG_ANNOTATION_DEL, &d);
}

void
groups_annotation(struct groups *gs, const struct m_annotation *m)
{
	struct group *g = groups_find(gs, m->group);

	if (g == NULL || !g->have_conf)
		return;
	if (strcmp(m->key, FSM_ANN_ASSERT_DEAD) == 0) {
		sparse_copy(g->assert_dead, m->value, sizeof(g->assert_dead));
		feed_assert(g);
	} else if (strcmp(m->key, FSM_ANN_OVERRIDE) == 0) {
		sparse_copy(g->override, m->value, sizeof(g->override));
		feed_override(g);
	} else if (strcmp(m->key, BR_ANN "rotate-lease-keys") == 0) {
		group_keys_rotate(g, m->value);
	} else if (strcmp(m->key, BR_ANN "discard-old-passwords") == 0) {
		group_access_discard(g, m->value);
	} else {
		for (size_t i = 0; i < PS_NITEMS(later); i++)
			if (strcmp(m->key, later[i].key) == 0)
				refuse(g, m, later[i].reason);
	}
}

void
groups_ack(struct groups *gs, const struct m_ack *m)
{
	struct group *g = groups_find(gs, m->group);
	struct fsm_event ev = { .type = E_ACK };

	if (g == NULL)
		return;
	if (!m->ok)
		log_ev(LL_WARN, "request refused", KVS("fg", g->fg),
		    KVU("seq", m->seq), KVU("code", m->code),
		    KVB("unknown", m->unknown), KVS("error", m->error));
	ev.u.ack.seq = m->seq;
	ev.u.ack.ok = m->ok;
	ev.u.ack.unknown = m->unknown;
	group_step(g, &ev);
}

static void
set_text(char **dst, const char *text)
{
	if (*dst != NULL && strcmp(*dst, text) == 0)
		return;
	free(*dst);
	if ((*dst = strdup(text)) == NULL)
		fatal("text");
}

static uint8_t
source_of(const struct group *g, const char *host)
{
	size_t n = strlen(host);

	if (n == 0)
		return FSM_NONE;
	if (host[n - 1] == '.')
		n--;
	for (unsigned i = 0; i < g->conf.n_sites; i++)
		if (strlen(g->conf.sites[i].host) == n &&
		    strncasecmp(g->conf.sites[i].host, host, n) == 0)
			return (uint8_t)i;
	return FSM_FOREIGN;
}

static void
fill_probe(const struct group *g, const struct m_probe *m, struct fsm_probe *p)
{
	memset(p, 0, sizeof(*p));
	p->ok = m->ok;
	p->err = (uint8_t)m->err;
	p->sent_ms = m->sent_ns / 1000000;
	(void)strlcpy(p->pod_uid, m->pod_uid, sizeof(p->pod_uid));
	(void)strlcpy(p->server_uuid, m->server_uuid, sizeof(p->server_uuid));
	p->start_ms = m->proc_start_ms;
	p->clock_ms = m->server_clock_us / 1000;
	p->read_only = m->read_only;
	p->super_read_only = m->super_read_only;
	p->persisted_ro = m->persisted_ro;
	p->offline_mode = m->offline_mode;
	p->user_schemas = m->user_schemas;
	p->has_repl = m->has_repl;
	p->io = (uint8_t)m->io;
	p->sql = m->sql;
	p->lag_s = m->lag_s;
	p->source = m->has_repl ? source_of(g, m->source_host) : FSM_NONE;
	p->io_errno = m->io_errno;
	p->sql_errno = m->sql_errno;
}

void
groups_probe(struct groups *gs, const struct m_probe *m)
{
	struct group *g = groups_find(gs, m->group);
	struct fsm_event ev = { .type = E_PROBE };
	struct fsm_probe p;
	struct gsite *s;
	int i;

	if (g == NULL || !g->have_conf || (i = group_site(g, m->site)) == -1)
		return;
	s = &g->site[i];
	g->polled_ms = wall_ms();
	if (m->ok) {
		set_text(&s->gtid, m->gtid);
		set_text(&s->retrieved, m->retrieved);
		set_text(&s->source_host, m->source_host);
		s->last_seen_ms = wall_ms();
		s->lag_s = m->lag_s;
		s->has_repl = m->has_repl;
		s->io = m->io == IO_YES;
		s->sql = m->sql;
		group_notes_probe(s, m);
	}
	group_observe_probe(g, m->site, m->latency_us);
	group_trail_probe(g, (uint8_t)i, m);
	fill_probe(g, m, &p);
	ev.site = (uint8_t)i;
	ev.u.probe = &p;
	group_step_rel(g, &ev);
}

void
groups_conn_lost(struct groups *gs, const struct m_conn_lost *m)
{
	struct group *g = groups_find(gs, m->group);
	struct fsm_event ev = { .type = E_CONN_LOST };
	int i;

	if (g == NULL || !g->have_conf || (i = group_site(g, m->site)) == -1)
		return;
	log_ev(LL_INFO, "connection lost", KVS("fg", g->fg),
	    KVS("site", m->site), KVS("error", m->error));
	ev.site = (uint8_t)i;
	group_step(g, &ev);
}

void
groups_sql_done(struct groups *gs, const struct m_sql_done *m)
{
	struct group *g = groups_find(gs, m->group);
	struct fsm_event ev = { .type = E_SQL_DONE };
	int i;

	if (g == NULL || !g->have_conf || (i = group_site(g, m->site)) == -1)
		return;
	log_ev(m->end == SE_DONE ? LL_INFO : LL_WARN, "sql action",
	    KVS("fg", g->fg), KVS("site", m->site),
	    KVS("kind", sql_kind_name(m->kind)),
	    KVS("end", sql_end_name(m->end)), KVU("seq", m->seq),
	    KVU("mysqlErrno", m->mysql_errno), KVU("count", m->count),
	    KVS("error", m->error));
	if (m->gtid[0] != '\0')
		set_text(&g->site[i].gtid, m->gtid);
	/* Not the core's. */
	if (group_access_done(g, m))
		return;
	group_trail_answer(g, (uint8_t)i, m);
	ev.site = (uint8_t)i;
	ev.u.sql.seq = m->seq;
	ev.u.sql.kind = (uint8_t)m->kind;
	ev.u.sql.end = (uint8_t)m->end;
	ev.u.sql.mysql_errno = m->mysql_errno;
	(void)strlcpy(ev.u.sql.pod_uid, m->pod_uid, sizeof(ev.u.sql.pod_uid));
	(void)strlcpy(
	    ev.u.sql.server_uuid, m->server_uuid, sizeof(ev.u.sql.server_uuid));
	ev.u.sql.start_ms = m->proc_start_ms;
	ev.u.sql.clock_ms = m->server_clock_us / 1000;
	ev.u.sql.grant_limit_ms = m->grant_limit_us / 1000;
	ev.u.sql.flags_read = m->flags_read;
	ev.u.sql.read_only = m->read_only;
	ev.u.sql.super_read_only = m->super_read_only;
	ev.u.sql.count = m->count;
	group_step_rel(g, &ev);
}

void
groups_dns_state(struct groups *gs, const struct m_dns_state *m)
{
	struct group *g = groups_find(gs, m->group);

	if (g == NULL)
		return;
	if (m->flipped) {
		log_ev(LL_INFO, "DNS reconciled to active site",
		    KVS("fg", g->fg), KVS("site", m->site),
		    KVS("target", m->live),
		    KVS("hostname", g->conf.dns_hostname));
		group_dns_flipped(g, m->site);
	}
	group_trail_dns(g, m);
	group_notes_dns(g, m);
}
