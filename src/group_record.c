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
 * The promotion record, both ways: as it was read, for the core, and as the
 * core wants it written. Sets and names stay here.
 */

#include <string.h>

#include "group_int.h"

/* -------------------------------------------------------------- as read --- */

/*
 * What is no lease at all proves nothing by running out: the epoch then needs
 * another proof.
 */
static void
terms_in(const struct group *g, const struct m_epoch *m, struct fsm_epoch *e)
{
	struct lease_terms *t = &e->terms;

	if (m->guard == 0)
		return;
	t->epoch = m->epoch;
	t->prev = m->prev;
	t->guard = m->guard;
	t->incarnation = m->incarnation;
	t->lease_ms = m->lease_ms;
	t->fence_ms = m->fence_ms;
	t->n = (uint8_t)m->n_voters;
	t->r = (uint8_t)m->quorum;
	for (unsigned i = 0; i < m->n_voters; i++) {
		t->voter[i] = m->voters[i].id;
		e->voter_site[i] = group_site_or_foreign(g, m->voters[i].site);
	}
	if (lease_terms_valid(t))
		return;
	log_ev(LL_ERROR, "recorded terms of a lease are not valid",
	    KVS("fg", g->fg), KVU("epoch", m->epoch),
	    KVS("error", "a lease without valid terms proves nothing"));
	memset(t, 0, sizeof(*t));
}

static void
fill_record(
    const struct group *g, const struct m_record *m, struct fsm_record *r)
{
	memset(r, 0, sizeof(*r));
	r->version = m->version;
	r->epoch = m->epoch;
	r->active = group_site_or_foreign(g, m->active);
	(void)strlcpy(r->server_uuid, m->server_uuid, sizeof(r->server_uuid));
	r->n = (uint8_t)m->n_unended;
	for (unsigned i = 0; i < m->n_unended; i++) {
		const struct m_epoch *e = &m->unended[i];

		r->unended[i].epoch = e->epoch;
		r->unended[i].site = group_site_or_foreign(g, e->site);
		(void)strlcpy(r->unended[i].proc.pod_uid, e->pod_uid,
		    sizeof(r->unended[i].proc.pod_uid));
		(void)strlcpy(r->unended[i].proc.container_id, e->container_id,
		    sizeof(r->unended[i].proc.container_id));
		(void)strlcpy(r->unended[i].proc.server_uuid, e->server_uuid,
		    sizeof(r->unended[i].proc.server_uuid));
		r->unended[i].proc.start_ms = e->proc_start_ms;
		terms_in(g, e, &r->unended[i]);
	}
	r->last_failover_s = m->last_failover_s;
	r->last_target = group_site_or_foreign(g, m->last_failover_target);
}

void
group_feed_record(struct group *g, const struct m_record *m)
{
	struct fsm_event ev = { .type = E_RECORD };
	static struct fsm_record r;

	fill_record(g, m, &r);
	ev.u.record = &r;
	group_step_rel(g, &ev);
}

void
groups_record(struct groups *gs, const struct m_record *m)
{
	struct group *g = groups_find(gs, m->group);
	static struct fsm_record r;

	if (g == NULL)
		return;
	if (!g->have_rec)
		group_trail_record(g, m);
	group_trail_copies(g, m);
	fill_record(g, m, &r);
	switch (g->have_conf && g->have_rec ? fsm_reading_of(&g->fs, &r) :
					      FSM_READ_TAKE) {
	case FSM_READ_OLD:
		return;
	case FSM_READ_KEEP:
		log_ev(LL_WARN, "record of an older version found",
		    KVS("fg", g->fg), KVU("version", m->version),
		    KVU("was", g->rec.version));
		g->rec.version = m->version;
		break;
	case FSM_READ_TAKE:
		sparse_copy(&g->rec, m, sizeof(*m));
		g->have_rec = true;
		break;
	}
	if (!g->have_conf)
		return;
	group_feed_record(g, m);
	(void)group_feed_slotless(g);
}

/* ------------------------------------------------------------ to be put --- */

static void
terms_out(const struct group *g, struct m_epoch *m, const struct fsm_epoch *e)
{
	const struct lease_terms *t = &e->terms;

	if (t->guard == 0)
		return;
	m->prev = t->prev;
	m->guard = t->guard;
	m->incarnation = t->incarnation;
	m->lease_ms = t->lease_ms;
	m->fence_ms = t->fence_ms;
	m->quorum = t->r;
	m->n_voters = t->n;
	for (unsigned i = 0; i < t->n && i < LEASE_VOTERS_MAX; i++) {
		m->voters[i].id = t->voter[i];
		(void)strlcpy(m->voters[i].site,
		    group_site_name(g, e->voter_site[i]),
		    sizeof(m->voters[i].site));
	}
}

static void
epoch_out(const struct group *g, struct m_epoch *m, const struct fsm_epoch *e)
{
	/* What was written stays as it was, also of sites that are no more. */
	for (unsigned i = 0; i < g->rec.n_unended; i++)
		if (g->rec.unended[i].epoch == e->epoch) {
			*m = g->rec.unended[i];
			return;
		}
	memset(m, 0, sizeof(*m));
	m->epoch = e->epoch;
	(void)strlcpy(m->site, group_site_name(g, e->site), sizeof(m->site));
	(void)strlcpy(m->pod_uid, e->proc.pod_uid, sizeof(m->pod_uid));
	(void)strlcpy(
	    m->container_id, e->proc.container_id, sizeof(m->container_id));
	(void)strlcpy(
	    m->server_uuid, e->proc.server_uuid, sizeof(m->server_uuid));
	m->proc_start_ms = e->proc.start_ms;
	terms_out(g, m, e);
}

static const char *
set_of(const struct group *g, uint8_t site, const char *before)
{
	if (site < g->fc.nsites && g->site[site].gtid != NULL)
		return g->site[site].gtid;
	return before;
}

void
act_record_put(
    struct group *g, const struct fsm_act *a, const struct fsm_out *out)
{
	static struct m_record_put m;
	const struct fsm_record *r = &out->put;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.group, g->uid, sizeof(m.group));
	m.seq = a->seq;
	m.valid_until_ns = a->valid_until_ms * 1000000;
	m.base_version = r->version;
	m.epoch = r->epoch;
	(void)strlcpy(m.active,
	    r->active == FSM_FOREIGN ? g->rec.active :
				       group_site_name(g, r->active),
	    sizeof(m.active));
	(void)strlcpy(m.server_uuid, r->server_uuid, sizeof(m.server_uuid));
	m.n_unended = r->n;
	for (unsigned i = 0; i < r->n; i++)
		epoch_out(g, &m.unended[i], &r->unended[i]);
	m.last_failover_s = r->last_failover_s;
	(void)strlcpy(m.last_failover_target,
	    r->last_target == FSM_FOREIGN ? g->rec.last_failover_target :
					    group_site_name(g, r->last_target),
	    sizeof(m.last_failover_target));
	(void)strlcpy(m.promotion_gtid,
	    set_of(g, out->put_grant, g->rec.promotion_gtid),
	    sizeof(m.promotion_gtid));
	(void)strlcpy(m.seen_gtid, set_of(g, out->put_seen, g->rec.seen_gtid),
	    sizeof(m.seen_gtid));
	m.promotion = out->put_promotion;
	log_ev(LL_INFO, "record write", KVS("fg", g->fg), KVU("seq", m.seq),
	    KVU("baseVersion", m.base_version), KVU("epoch", m.epoch),
	    KVS("activeSite", m.active), KVU("unendedEpochs", m.n_unended),
	    KVB("promotion", m.promotion));
	parent_send(g->parent, PROC_KUBE, MSG_RECORD_PUT, &m);
}
