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
 * What the core decided becomes messages to workers and log records.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group_int.h"

const char *
group_site_name(const struct group *g, uint8_t i)
{
	return i < g->fc.nsites ? g->fc.site[i].name : "";
}

static void
act_sql(struct group *g, const struct fsm_act *a)
{
	static struct m_sql m;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.group, g->uid, sizeof(m.group));
	m.seq = a->seq;
	(void)strlcpy(m.site, group_site_name(g, a->site), sizeof(m.site));
	m.kind = a->kind;
	m.epoch = a->epoch;
	m.valid_until_ns = a->valid_until_ms * 1000000;
	m.timeout_ms = a->timeout_ms;
	(void)strlcpy(m.pod_uid, a->proc.pod_uid, sizeof(m.pod_uid));
	(void)strlcpy(
	    m.server_uuid, a->proc.server_uuid, sizeof(m.server_uuid));
	m.proc_start_ms = a->proc.start_ms;
	m.grant_ttl_ms = a->grant_ttl_ms;
	m.drop_received = a->drop_received;
	if (a->source < g->conf.n_sites) {
		(void)strlcpy(m.source_host, g->conf.sites[a->source].host,
		    sizeof(m.source_host));
		m.source_port = MYSQL_PORT;
		m.source_tls = group_site_tls(g, g->conf.sites[a->source].name);
	}
	log_ev(LL_INFO, "sql action sent", KVS("fg", g->fg),
	    KVS("site", m.site), KVS("kind", sql_kind_name(m.kind)),
	    KVU("seq", m.seq), KVU("epoch", m.epoch),
	    KVS("source", m.source_host));
	group_trail_sent(g, a);
	parent_send(g->parent, PROC_MYSQL, MSG_SQL, &m);
}

static void
act_roll(struct group *g, const struct fsm_act *a)
{
	struct m_roll m;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.group, g->uid, sizeof(m.group));
	m.seq = a->seq;
	m.valid_until_ns = a->valid_until_ms * 1000000;
	(void)strlcpy(m.site, group_site_name(g, a->site), sizeof(m.site));
	(void)snprintf(
	    m.hash, sizeof(m.hash), "%016llx", (unsigned long long)a->hash);
	log_ev(LL_INFO, "template sent", KVS("fg", g->fg), KVS("site", m.site),
	    KVS("hash", m.hash), KVU("seq", m.seq));
	parent_send(g->parent, PROC_KUBE, MSG_ROLL, &m);
}

/* ----------------------------------------------------------------- Pods --- */

static const char *
pod_name(const struct group *g, const char *uid)
{
	const struct gpod *p;

	TAILQ_FOREACH (p, &g->pods, entry)
		if (strcmp(p->f.pod_uid, uid) == 0)
			return p->name;
	return NULL;
}

static void
act_pod(struct group *g, const struct fsm_act *a)
{
	const char *name = pod_name(g, a->proc.pod_uid);
	struct m_pod_delete d;
	struct m_pod_release r;

	if (name == NULL)
		return; /* it went meanwhile */
	log_ev(LL_INFO, a->type == A_POD_DELETE ? "pod delete" : "pod release",
	    KVS("fg", g->fg), KVS("site", group_site_name(g, a->site)),
	    KVS("pod", name), KVS("podUID", a->proc.pod_uid),
	    KVU("seq", a->seq));
	if (a->type == A_POD_DELETE) {
		memset(&d, 0, sizeof(d));
		(void)strlcpy(d.group, g->uid, sizeof(d.group));
		d.seq = a->seq;
		d.valid_until_ns = a->valid_until_ms * 1000000;
		(void)strlcpy(d.pod_name, name, sizeof(d.pod_name));
		(void)strlcpy(d.pod_uid, a->proc.pod_uid, sizeof(d.pod_uid));
		d.grace_s = FSM_POD_GRACE_S;
		parent_send(g->parent, PROC_KUBE, MSG_POD_DELETE, &d);
	} else {
		memset(&r, 0, sizeof(r));
		(void)strlcpy(r.group, g->uid, sizeof(r.group));
		r.seq = a->seq;
		r.valid_until_ns = a->valid_until_ms * 1000000;
		(void)strlcpy(r.pod_name, name, sizeof(r.pod_name));
		(void)strlcpy(r.pod_uid, a->proc.pod_uid, sizeof(r.pod_uid));
		parent_send(g->parent, PROC_KUBE, MSG_POD_RELEASE, &r);
	}
}

const struct gpod *
group_site_pod(const struct group *g, const char *site)
{
	const struct gpod *p, *best = NULL;

	TAILQ_FOREACH (p, &g->pods, entry) {
		if (strcmp(p->site, site) != 0 || p->ip[0] == '\0' || p->f.gone)
			continue;
		if (best == NULL || (best->f.deleting && !p->f.deleting) ||
		    (best->f.deleting == p->f.deleting &&
			p->created_ms >= best->created_ms))
			best = p;
	}
	return best;
}

bool
group_site_tls(const struct group *g, const char *site)
{
	const struct gpod *p = group_site_pod(g, site);

	return p != NULL && p->tls;
}

void
group_send_probe(struct group *g, bool force)
{
	static struct m_probe_group m;
	const struct gpod *p;
	uint64_t h;

	if (!g->have_conf && !g->gone)
		return;
	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.group, g->uid, sizeof(m.group));
	if (g->gone) {
		m.gone = true;
		parent_send(g->parent, PROC_MYSQL, MSG_PROBE_GROUP, &m);
		return;
	}
	(void)strlcpy(m.fg, g->fg, sizeof(m.fg));
	m.poll_ms = g->conf.poll_ms;
	m.deadline_ms = m.poll_ms < 1000 ? m.poll_ms : 1000;
	m.n_sites = g->conf.n_sites;
	for (unsigned i = 0; i < m.n_sites; i++) {
		struct m_probe_site *s = &m.sites[i];

		(void)strlcpy(s->name, g->conf.sites[i].name, sizeof(s->name));
		(void)strlcpy(
		    s->host, g->conf.sites[i].tls_name, sizeof(s->host));
		(void)strlcpy(
		    s->internal, g->conf.sites[i].host, sizeof(s->internal));
		s->port = MYSQL_PORT;
		if ((p = group_site_pod(g, s->name)) == NULL)
			continue;
		s->tls = p->tls;
		(void)strlcpy(s->ip, p->ip, sizeof(s->ip));
		(void)strlcpy(s->pod_uid, p->f.pod_uid, sizeof(s->pod_uid));
	}
	h = group_hash(&m, sizeof(m));
	if (!force && h == g->probe_hash)
		return;
	g->probe_hash = h;
	parent_send(g->parent, PROC_MYSQL, MSG_PROBE_GROUP, &m);
}

static void
act_probe_now(struct group *g, const struct fsm_act *a)
{
	struct m_probe_now m;

	if (g->probe_hash == 0)
		return;
	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.group, g->uid, sizeof(m.group));
	(void)strlcpy(m.site, group_site_name(g, a->site), sizeof(m.site));
	parent_send(g->parent, PROC_MYSQL, MSG_PROBE_NOW, &m);
}

/* ---------------------------------------------------------------- Events --- */

void
group_event(
    struct group *g, bool warning, const char *reason, const char *message)
{
	struct m_event m;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.group, g->uid, sizeof(m.group));
	m.warning = warning;
	(void)strlcpy(m.reason, reason, sizeof(m.reason));
	(void)strlcpy(m.message, message, sizeof(m.message));
	parent_send(g->parent, PROC_KUBE, MSG_EVENT, &m);
}

static void
act_event(struct group *g, const struct fsm_act *a)
{
	char text[MSGTEXT_LEN + 1];

	fsm_message(&g->fc, a, text, sizeof(text));
	group_event(
	    g, fsm_text_warning(a->text), fsm_text_reason(a->text), text);
}

static void
act_annotation_del(struct group *g, const struct fsm_act *a)
{
	struct m_annotation_del m;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.group, g->uid, sizeof(m.group));
	(void)strlcpy(m.key, a->key, sizeof(m.key));
	(void)strlcpy(m.value,
	    strcmp(a->key, FSM_ANN_ASSERT_DEAD) == 0 ? g->assert_dead :
						       g->override,
	    sizeof(m.value));
	parent_send(g->parent, PROC_KUBE, MSG_ANNOTATION_DEL, &m);
}

void
group_act(struct group *g, const struct fsm_out *out)
{
	for (unsigned i = 0; i < out->n; i++) {
		const struct fsm_act *a = &out->act[i];

		switch ((enum fsm_act_type)a->type) {
		case A_SQL:
			act_sql(g, a);
			break;
		case A_RECORD_PUT:
			act_record_put(g, a, out);
			break;
		case A_POD_DELETE:
		case A_POD_RELEASE:
			act_pod(g, a);
			break;
		case A_EVENT:
			act_event(g, a);
			break;
		case A_LOG:
			group_measure(g, a);
			group_log(g, a);
			group_trail(g, a);
			break;
		case A_ANNOTATION_DEL:
			act_annotation_del(g, a);
			break;
		case A_METRIC:
			group_count(g, fsm_metric_name(a->metric),
			    group_site_name(g, a->site));
			break;
		case A_PROBE_NOW:
			act_probe_now(g, a);
			break;
		case A_OFFER:
			act_offer(g, a);
			break;
		case A_REVOKE:
			act_revoke(g, a);
			break;
		case A_PROMISE_ASK:
			act_promise_ask(g, a);
			break;
		case A_RENEW:
			act_renew(g, a);
			break;
		case A_ROLL:
			act_roll(g, a);
			break;
		case A_MAX:
			break;
		}
	}
}
