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
 * The core's view becomes desired state: status and labels (kube-watcher),
 * the DNS record (dns-writer), what status-server shows, gauges.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group_int.h"

/* How long sidecars may take to be heard of; and all that together. */
#define LOOK_MS     5000
#define LOOK_MAX_MS 30000

#define FNV_BASIS   0xcbf29ce484222325ULL
#define FNV_PRIME   0x100000001b3ULL

static uint64_t
mix(uint64_t h, const void *p, size_t n)
{
	const uint8_t *b = p;

	while (n-- > 0)
		h = (h ^ *b++) * FNV_PRIME;
	return h;
}

uint64_t
group_hash(const void *p, size_t n)
{
	return mix(FNV_BASIS, p, n);
}

static uint64_t
mix_str(uint64_t h, const char *s)
{
	return mix(h, s, strlen(s) + 1);
}

/* Everything that must be told at once, not at the next poll. */
static uint64_t
view_hash(const struct group *g, const struct fsm_view *v)
{
	uint64_t h = FNV_BASIS;

	h = mix(h, &v->active, 1);
	h = mix(h, &v->effective, 1);
	h = mix(h, &v->dns, 1);
	for (unsigned i = 0; i < g->fc.nsites; i++)
		h = mix(h, &v->site[i], sizeof(v->site[i]));
	for (unsigned i = 0; i < v->nconds; i++) {
		h = mix_str(h, v->cond[i].type);
		h = mix_str(h, v->cond[i].reason);
		h = mix_str(h, v->cond[i].message);
		h = mix(h, &v->cond[i].status, sizeof(v->cond[i].status));
	}
	h = mix_str(h, v->alert);
	h = mix(h, &g->rec.version, sizeof(g->rec.version));
	return h;
}

static const char *
name_of(const struct group *g, uint8_t i)
{
	return i < g->fc.nsites ? g->fc.site[i].name : "";
}

static void
fill_site(struct group *g, unsigned i, struct m_site_status *m)
{
	const struct fsm_site_view *v = &g->view.site[i];
	const struct gsite *s = &g->site[i];

	memset(m, 0, sizeof(*m));
	(void)strlcpy(m->group, g->uid, sizeof(m->group));
	m->rev = g->rev;
	(void)strlcpy(m->name, g->fc.site[i].name, sizeof(m->name));
	m->role = g->fc.site[i].role;
	m->state = v->state;
	m->last_seen_ms = s->last_seen_ms;
	m->lag_s = -1;
	if (s->gtid != NULL)
		(void)strlcpy(m->gtid, s->gtid, sizeof(m->gtid));
	if (v->state == SS_READ_ONLY && s->has_repl) {
		m->follower = true;
		m->replicating = v->replicating;
		m->io_running = s->io;
		m->sql_running = s->sql;
		m->lag_s = s->lag_s;
		if (s->source_host != NULL)
			(void)strlcpy(m->source_host, s->source_host,
			    sizeof(m->source_host));
	}
	(void)strlcpy(m->convergence, fsm_convergence_name(v->conv),
	    sizeof(m->convergence));
	(void)strlcpy(m->convergence_reason, fsm_convergence_reason(v->conv),
	    sizeof(m->convergence_reason));
	if (v->diverged)
		(void)strlcpy(
		    m->recovery, "RecoveryBlocked", sizeof(m->recovery));
	else if (v->recovering)
		(void)strlcpy(
		    m->recovery, "RecoveryInProgress", sizeof(m->recovery));
	if (s->divergent != NULL)
		(void)strlcpy(
		    m->divergent_gtid, s->divergent, sizeof(m->divergent_gtid));
	m->divergent_count = s->divergent_n;
}

void
group_condition(struct m_group_status *m, const char *type, bool status,
    const char *reason, const char *message)
{
	struct m_condition *c;

	if (m->n_conditions == CONDS_MAX)
		return;
	c = &m->conditions[m->n_conditions++];
	(void)strlcpy(c->type, type, sizeof(c->type));
	c->status = status;
	(void)strlcpy(c->reason, reason, sizeof(c->reason));
	(void)strlcpy(c->message, message, sizeof(c->message));
}

static void
fill_group(struct group *g, const struct fsm_view *v, struct m_group_status *m)
{
	memset(m, 0, sizeof(*m));
	(void)strlcpy(m->group, g->uid, sizeof(m->group));
	(void)strlcpy(m->ns, g->conf.ns, sizeof(m->ns));
	(void)strlcpy(m->name, g->conf.name, sizeof(m->name));
	m->rev = g->rev;
	(void)strlcpy(
	    m->active_site, name_of(g, v->active), sizeof(m->active_site));
	(void)strlcpy(m->effective_site, name_of(g, v->effective),
	    sizeof(m->effective_site));
	(void)strlcpy(m->alert, v->alert, sizeof(m->alert));
	m->poll_time_ms = g->polled_ms;
	m->last_failover_s = g->rec.last_failover_s;
	(void)strlcpy(m->last_failover_target, g->rec.last_failover_target,
	    sizeof(m->last_failover_target));
	(void)strlcpy(m->promotion_gtid, g->rec.promotion_gtid,
	    sizeof(m->promotion_gtid));
	(void)strlcpy(
	    m->update_phase, v->update_phase, sizeof(m->update_phase));
	(void)strlcpy(m->summary, v->summary, sizeof(m->summary));
	m->n_sites = g->fc.nsites;
	for (unsigned i = 0; i < g->fc.nsites; i++) {
		(void)strlcpy(m->sites[i].name, g->fc.site[i].name,
		    sizeof(m->sites[i].name));
		m->sites[i].state = v->site[i].state;
		m->sites[i].role_label = v->site[i].label;
		m->sites[i].healthy = v->site[i].healthy;
		m->sites[i].taint = v->site[i].taint;
	}
	for (unsigned i = 0; i < v->nconds; i++)
		group_condition(m, v->cond[i].type, v->cond[i].status,
		    v->cond[i].reason, v->cond[i].message);
	group_notes(g, m);
}

static void
send_dns(struct group *g)
{
	struct m_dns_want m;
	uint8_t i = g->view.dns;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.group, g->uid, sizeof(m.group));
	(void)strlcpy(m.ns, g->conf.ns, sizeof(m.ns));
	(void)strlcpy(m.name, g->conf.name, sizeof(m.name));
	(void)strlcpy(m.hostname, g->conf.dns_hostname, sizeof(m.hostname));
	m.ttl = g->conf.dns_ttl;
	m.write = g->all->lease.held && !g->all->quiesce && !g->deleting;
	m.gone = g->deleting;
	if (i < g->fc.nsites) {
		(void)strlcpy(m.site, name_of(g, i), sizeof(m.site));
		(void)strlcpy(
		    m.target, g->conf.sites[i].lb_ip, sizeof(m.target));
	}
	/* A deadline that moved a little is not worth a message. */
	m.valid_until_ns = m.write ? g->all->lease.deadline_ns : 0;
	if (m.valid_until_ns - g->dns.valid_until_ns >= 0 &&
	    m.valid_until_ns - g->dns.valid_until_ns < LEASE_NEWS_NS &&
	    m.write == g->dns.write)
		m.valid_until_ns = g->dns.valid_until_ns;
	if (memcmp(&m, &g->dns, sizeof(m)) == 0)
		return;
	g->dns = m;
	parent_send(g->parent, PROC_DNS, MSG_DNS_WANT, &m);
}

/* ----------------------------------------------------- an operator begins - */

/* Its first answers are in: what is written of it now will last. */
static bool
looked_at(const struct group *g, const struct fsm_view *v, uint8_t i)
{
	const struct fsm_site *s = &g->fs.site[i];

	switch ((enum site_state)v->site[i].state) {
	case SS_UNKNOWN:
		return false;
	case SS_READ_ONLY:
		/* Replication is believed when it was seen twice. */
		return s->g_ms != 0 && s->repl_streak != 1;
	case SS_WRITABLE:
		return s->g_ms != 0;
	case SS_UNREACHABLE:
	case SS_MAX:
		break;
	}
	return true;
}

/*
 * What an earlier operator wrote of a group is nearer to the truth than what
 * one knows that has just begun: labels and status stay as they are until all
 * sites and their sidecars were looked at, and no longer than it takes to find
 * out that one of them is not there. What is done to a group is told at once.
 */
static bool
looked(struct group *g, const struct fsm_view *v)
{
	int64_t most =
	    (int64_t)(g->fc.failure_threshold + g->fc.recovery_threshold) *
		g->conf.poll_ms +
	    LOOK_MS;
	uint8_t i;

	if (g->begun_ms == 0)
		g->begun_ms = mono_ms();
	if (most > LOOK_MAX_MS)
		most = LOOK_MAX_MS;
	if (mono_ms() - g->begun_ms >= most || g->deleting ||
	    (v->verdict != V_STARTING && v->verdict != V_HEALTHY))
		return true;
	if (!g->fs.rec_known)
		return false;
	if (g->fs.rec.active == FSM_NONE)
		return true;
	for (i = 0; i < g->fc.nsites; i++)
		if (!looked_at(g, v, i))
			return false;
	return true;
}

static void
send_status(struct group *g, const struct fsm_view *v)
{
	static struct m_site_status s;
	static struct m_group_status m;

	g->rev++;
	for (unsigned i = 0; i < g->fc.nsites; i++) {
		fill_site(g, i, &s);
		if (g->looked)
			parent_send(g->parent, PROC_KUBE, MSG_SITE_STATUS, &s);
		parent_send(g->parent, PROC_HTTP, MSG_SITE_STATUS, &s);
	}
	fill_group(g, v, &m);
	if (g->looked)
		parent_send(g->parent, PROC_KUBE, MSG_GROUP_STATUS, &m);
	parent_send(g->parent, PROC_HTTP, MSG_GROUP_STATUS, &m);
}

static void
send_gone(struct group *g)
{
	static struct m_group_status m;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.group, g->uid, sizeof(m.group));
	(void)strlcpy(m.ns, g->conf.ns, sizeof(m.ns));
	(void)strlcpy(m.name, g->conf.name, sizeof(m.name));
	m.gone = true;
	parent_send(g->parent, PROC_HTTP, MSG_GROUP_STATUS, &m);
	send_dns(g);
}

/* Whose set a diverged site is measured against. */
static uint8_t
authority(const struct group *g)
{
	int i;

	if (g->view.active < g->fc.nsites)
		return g->view.active;
	i = group_site(g, g->rec.active);
	return i == -1 ? FSM_NONE : (uint8_t)i;
}

/* When it is found, and again whenever there are more or fewer. */
static void
say_divergence(struct group *g, unsigned i, uint8_t active)
{
	struct gsite *s = &g->site[i];
	char text[MSGTEXT_LEN + 1];

	if (s->divergent_said == s->divergent_n + 1 ||
	    (s->divergent_said != 0 &&
		mono_ms() - s->divergent_ms < FSM_REPAIR_RETRY_MS) ||
	    !groups_leading(g->all))
		return;
	s->divergent_said = s->divergent_n + 1;
	s->divergent_ms = mono_ms();
	(void)snprintf(text, sizeof(text),
	    "site %s has %lld transactions that %s lacks: %.700s",
	    g->fc.site[i].name, (long long)s->divergent_n,
	    g->fc.site[active].name, s->divergent != NULL ? s->divergent : "-");
	group_event(g, true, "DataLossDetected", text);
}

static void
diverged(struct group *g)
{
	uint8_t a = authority(g);

	for (unsigned i = 0; i < g->fc.nsites; i++) {
		struct gsite *s = &g->site[i];

		if (a < g->fc.nsites && i != a && g->view.site[i].diverged) {
			group_divergence(g, i, a);
			say_divergence(g, i, a);
		} else if (!g->view.site[i].diverged) {
			free(s->divergent);
			s->divergent = NULL;
			s->divergent_n = s->divergent_said = 0;
		}
	}
}

void
group_publish(struct group *g, const struct fsm_view *v, bool force)
{
	static struct fsm_view now;
	uint64_t h;

	if (!g->have_conf)
		return;
	if (g->gone) {
		send_gone(g);
		return;
	}
	send_dns(g);
	if (v == NULL) {
		fsm_view(&g->fc, &g->fs, &now);
		v = &now;
	}
	if (!g->looked && looked(g, v))
		force = g->looked = true;
	h = view_hash(g, v);
	if (!force && h == g->published_hash &&
	    g->telling == groups_leading(g->all) &&
	    mono_ms() - g->published_ms < g->conf.poll_ms)
		return;
	diverged(g);
	g->published_hash = h;
	g->published_ms = mono_ms();
	send_status(g, v);
	group_gauges(g, force);
}
