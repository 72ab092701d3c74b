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
 * What concerns all groups: leadership, workers that died or came back, the
 * operator's end.
 */

#include <event2/event.h>

#include <stdlib.h>
#include <string.h>

#include "group_int.h"

/* A worker's queue holds 256 frames (ps_send): so many groups, then others. */
#define RESEND_MAX    24
#define RESEND_GAP_MS 20

/* A deadline that moved a little is not worth a step of every group. */
static bool
little_news(const struct m_lease *was, const struct m_lease *m)
{
	int64_t d = m->deadline_ns - was->deadline_ns;

	return was->held && m->held && d >= 0 && d < LEASE_NEWS_NS &&
	    monotime_now().ns < was->deadline_ns;
}

void
groups_lease(struct groups *gs, const struct m_lease *m)
{
	bool same = m->held && monotime_now().ns < gs->lease.deadline_ns;
	struct group *g;

	gs->lease = *m;
	if (!same)
		TAILQ_FOREACH (g, &gs->list, entry)
			g->first = false;
	if (little_news(&gs->told_lease, m))
		return;
	gs->told_lease = *m;
	TAILQ_FOREACH (g, &gs->list, entry) {
		if (g->have_conf)
			group_feed_lease(g);
		/* Also one that never was valid may be deleted. */
		group_release(g);
	}
	glinks_beat(gs);
}

/*
 * A group that a new kube-watcher did not tell although it has listed all is
 * gone; of a Pod that is no proof.
 */
static void
sweep(struct groups *gs)
{
	struct group *g, *gnext;

	TAILQ_FOREACH_SAFE (g, &gs->list, entry, gnext) {
		if (!g->told) {
			groups_gone(gs, g->uid);
			continue;
		}
		g->pods_ms = 0;
		group_look_after(g);
	}
}

void
groups_kube_died(struct groups *gs)
{
	struct group *g;
	struct gpod *p;

	gs->handover.term = 0; /* whoever was asked is no more */
	TAILQ_FOREACH (g, &gs->list, entry) {
		g->told = false;
		TAILQ_FOREACH (p, &g->pods, entry)
			p->told = false;
	}
}

/*
 * What a kube-watcher that died was asked and did not answer may have been
 * done. Its successor has told what there is: it need not be waited for until
 * nobody would answer any more.
 */
static void
unanswered(struct group *g)
{
	struct fsm_event ev = { .type = E_ACK };
	const struct fsm_req *r[2 + 2 * SITES_MAX] = { &g->fs.put,
		&g->fs.foreign_req };
	size_t n = 2;

	for (uint8_t i = 0; i < g->fc.nsites; i++) {
		r[n++] = &g->fs.site[i].pod_req;
		r[n++] = &g->fs.site[i].roll;
	}
	ev.u.ack.unknown = true;
	for (size_t k = 0; k < n; k++)
		if ((ev.u.ack.seq = r[k]->seq) != 0)
			group_step(g, &ev);
}

/* What it was asked and did not answer may have been done. */
static void
prober_died(struct group *g)
{
	struct fsm_event ev = { .type = E_SQL_DONE };

	ev.u.sql.end = SE_UNKNOWN;
	for (uint8_t i = 0; i < g->fc.nsites; i++) {
		const struct fsm_req *r[] = { &g->fs.site[i].sql,
			&g->fs.site[i].fence };

		for (size_t k = 0; k < PS_NITEMS(r); k++) {
			if (r[k]->seq == 0)
				continue;
			ev.site = i;
			ev.u.sql.seq = r[k]->seq;
			ev.u.sql.kind = r[k]->kind;
			group_step(g, &ev);
		}
	}
}

void
groups_synced(struct groups *gs, bool synced)
{
	struct group *g;

	if (gs->synced == synced)
		return;
	gs->synced = synced;
	if (synced)
		sweep(gs);
	TAILQ_FOREACH (g, &gs->list, entry) {
		if (synced)
			unanswered(g);
		group_feed_synced(g);
	}
}

/* A worker that was started again knows nothing: all of this group to it. */
static void
resend(struct group *g, unsigned proc)
{
	struct m_creds_ask ask;

	if (proc == PROC_MYSQL) {
		group_send_probe(g, true);
		/*
		 * Not at its death: what is decided anew must find it. What was
		 * decided since is refused by it, or taken for unknown here.
		 */
		if (g->have_conf)
			prober_died(g);
		group_access_forget(g);
		memset(&ask, 0, sizeof(ask));
		(void)strlcpy(ask.group, g->uid, sizeof(ask.group));
		parent_send(g->parent, PROC_KUBE, MSG_CREDS_ASK, &ask);
	} else if (proc == PROC_LINK) {
		group_send_links(g, true);
	} else {
		g->dns.group[0] = '\0';
		group_publish(g, NULL, true);
		if (proc == PROC_KUBE) {
			group_access_forget(g);
			g->released = false;
			group_release(g);
		}
	}
}

static void resend_some(struct groups *);

static void
resend_cb(evutil_socket_t fd, short what, void *arg)
{
	struct groups *gs = arg;

	gs->resending = false;
	resend_some(gs);
}

static void
resend_some(struct groups *gs)
{
	struct timeval tv = { 0, RESEND_GAP_MS * 1000 };
	struct group *g;
	unsigned n = 0, proc;

	TAILQ_FOREACH (g, &gs->list, entry) {
		if (g->resend == 0)
			continue;
		if (n++ == RESEND_MAX)
			break;
		for (proc = 1; proc < 32; proc++)
			if (g->resend & 1u << proc)
				resend(g, proc);
		g->resend = 0;
	}
	if (g == NULL)
		return;
	if (event_base_once(parent_base(gs->parent), -1, EV_TIMEOUT, resend_cb,
		gs, &tv) == -1)
		fatalx("event_base_once");
	gs->resending = true;
}

void
groups_resend(struct groups *gs, unsigned proc)
{
	struct group *g;

	TAILQ_FOREACH (g, &gs->list, entry)
		g->resend |= 1u << proc;
	if (!gs->resending)
		resend_some(gs);
}

struct groups *
groups_new(struct parent *p)
{
	struct groups *gs;

	if ((gs = calloc(1, sizeof(*gs))) == NULL)
		return NULL;
	gs->parent = p;
	TAILQ_INIT(&gs->list);
	TAILQ_INIT(&gs->waits);
	glinks_start(gs);
	return gs;
}

bool
groups_quiesce(struct groups *gs)
{
	struct fsm_event ev = { .type = E_CONF };
	struct group *g;
	bool quiet = true;

	if (!gs->quiesce) {
		gs->quiesce = true;
		TAILQ_FOREACH (g, &gs->list, entry) {
			group_fill_conf(g);
			group_step(g, &ev);
		}
	}
	TAILQ_FOREACH (g, &gs->list, entry)
		if (g->have_conf && !fsm_quiet(&g->fc, &g->fs))
			quiet = false;
	/* What follows is the end of the Lease: yes is said to nobody now. */
	if (quiet)
		gs->released = true;
	return quiet;
}
