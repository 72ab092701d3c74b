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
 * What operators see of primaries: a standby tells it, a leader hears of it,
 * and hands over when it alone is blind (handover.c).
 */

#include <stdio.h>
#include <string.h>

#include "group_int.h"

/* The core's and the wire's have the same fields, in both directions. */
#define SIGHT_COPY(to, from)                                                \
	do {                                                                \
		(void)strlcpy(                                              \
		    (to)->pod_uid, (from)->pod_uid, sizeof((to)->pod_uid)); \
		(void)strlcpy((to)->server_uuid, (from)->server_uuid,       \
		    sizeof((to)->server_uuid));                             \
		(to)->start_ms = (from)->start_ms;                          \
		(to)->age_ms = (from)->age_ms;                              \
	} while (0)

void
group_sight_tell(const struct group *g, struct w_operator *o)
{
	struct fsm_sight f;

	if (o->leader || !g->have_conf ||
	    !fsm_sight(&g->fc, &g->fs, mono_ms(), &f))
		return;
	o->n_sight = 1;
	SIGHT_COPY(&o->sight[0], &f);
}

void
group_sight_hear(struct fsm_sight *f, const struct w_report *r)
{
	const struct w_sight *w = &r->sight[0];

	memset(f, 0, sizeof(*f));
	if (r->n_sight == 1 && wire_sight_ok(w))
		SIGHT_COPY(f, w);
}

/* ------------------------------------------------------------ a hand-over - */

static bool
seen_by_other(const struct group *g)
{
	return g->have_conf && fsm_sees(&g->fc, &g->fs) == FSM_SEES_OTHER;
}

static void
add(struct handover_sees *n, const struct group *g)
{
	int64_t lost = g->fc.failure_threshold * g->fc.poll_ms;

	switch (fsm_sees(&g->fc, &g->fs)) {
	case FSM_SEES_OTHER:
		n->other++;
		if (n->lost_ms < lost)
			n->lost_ms = lost;
		break;
	case FSM_SEES_MINE:
		n->mine++;
		break;
	case FSM_SEES_BUSY:
		n->busy++;
		break;
	case FSM_SEES_BOTH:
	case FSM_SEES_NONE:
		break;
	}
}

/* To each group that it is for, while this operator may still write. */
static void
say(struct groups *gs, int64_t blind_ms)
{
	char text[MSGTEXT_LEN + 1];
	struct group *g;

	TAILQ_FOREACH (g, &gs->list, entry) {
		if (!seen_by_other(g))
			continue;
		(void)snprintf(text, sizeof(text),
		    "operator %s leads and does not reach the primary, site "
		    "%s, which another operator reaches: it hands over",
		    gs->lease.holder, group_site_name(g, g->fs.rec.active));
		log_ev(LL_WARN, "handing over", KVS("fg", g->fg),
		    KVS("site", group_site_name(g, g->fs.rec.active)),
		    KVMS("blind", blind_ms));
		group_event(g, true, "LeaderHandsOver", text);
	}
}

bool
groups_hand_over(struct groups *gs, bool may)
{
	struct handover *h = &gs->handover;
	bool leads = may && groups_leading(gs);
	int64_t now = mono_ms();
	struct handover_sees n = { 0 };
	struct group *g;

	if (leads)
		TAILQ_FOREACH (g, &gs->list, entry)
			if (g->have_conf)
				add(&n, g);
	switch (handover_look(h, &n, leads, now)) {
	case HANDOVER_STAY:
		return false;
	case HANDOVER_SAY:
		say(gs, now - h->since_ms);
		return false;
	case HANDOVER_GO:
		break;
	}
	group_count_handover(gs);
	h->term = gs->lease.term;
	h->leave_ms = handover_term(h, now);
	return true;
}

bool
groups_lease_news(struct groups *gs, const struct m_lease *m)
{
	return handover_answered(&gs->handover, m->held, m->term);
}

bool
groups_give_up(struct groups *gs)
{
	const struct handover *h = &gs->handover;
	struct m_lease_release m = { h->term, h->leave_ms };

	if (h->term == 0)
		return false;
	parent_send(gs->parent, PROC_KUBE, MSG_LEASE_RELEASE, &m);
	return true;
}
