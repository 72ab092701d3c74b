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
 * Another list of sites while the group lives. What is known of a site goes
 * with its name; its numbers everywhere else are brought up to it here.
 */

#include <stdlib.h>
#include <string.h>

#include "group_int.h"

bool
group_same_sites(const struct group *g, const struct m_group_conf *m)
{
	if (m->n_sites != g->fc.nsites)
		return false;
	for (unsigned i = 0; i < m->n_sites; i++)
		if (strcmp(m->sites[i].name, g->fc.site[i].name) != 0)
			return false;
	return true;
}

void
gsite_clear(struct gsite *s)
{
	free(s->gtid);
	free(s->retrieved);
	free(s->source_host);
	free(s->divergent);
	free(s->repl_error);
	memset(s, 0, sizeof(*s));
	s->lag_s = -1;
	s->m_state = s->m_conv = s->m_io = s->m_sql = -2;
	s->m_lag = s->m_divergent = -2;
}

/* Where each site of now is in m; series of those that are not are dropped. */
static void
find(struct group *g, const struct m_group_conf *m, uint8_t to[SITES_MAX])
{
	unsigned k;

	memset(to, FSM_FOREIGN, SITES_MAX);
	for (unsigned i = 0; i < g->fc.nsites; i++) {
		for (k = 0; k < m->n_sites; k++)
			if (strcmp(m->sites[k].name, g->fc.site[i].name) == 0)
				break;
		if (k < m->n_sites)
			to[i] = (uint8_t)k;
		else
			group_site_gauges_del(g, g->fc.site[i].name);
	}
}

static void
move(struct group *g, const uint8_t to[SITES_MAX])
{
	struct gsite was[SITES_MAX];

	memcpy(was, g->site, sizeof(was));
	memset(g->site, 0, sizeof(was));
	for (unsigned i = 0; i < SITES_MAX; i++)
		gsite_clear(&g->site[i]);
	for (unsigned i = 0; i < SITES_MAX; i++)
		if (to[i] < SITES_MAX)
			g->site[to[i]] = was[i];
		else
			gsite_clear(&was[i]);
	if (g->trail.old < SITES_MAX)
		g->trail.old = to[g->trail.old];
	if (g->trail.confirm < SITES_MAX)
		g->trail.confirm = to[g->trail.confirm];
}

/* A role is part of some series' names. */
void
group_roles(struct group *g, const struct m_group_conf *m)
{
	for (unsigned i = 0; i < m->n_sites && i < g->fc.nsites; i++)
		if (m->sites[i].role != g->fc.site[i].role)
			group_role_gauges_del(g, i);
}

/* m is not the configuration in force yet, but will be. */
void
group_resite(struct group *g, const struct m_group_conf *m)
{
	uint8_t to[SITES_MAX];

	log_ev(LL_INFO, "config changed, restarting topology manager",
	    KVS("fg", g->fg));
	find(g, m, to);
	move(g, to);
	fsm_sites(&g->fs, to, mono_ms());
	group_new_conf(g, m);
	group_trim(g);
}

/* What names sites that the core did not know may be of use to it now. */
void
group_resited(struct group *g)
{
	struct fsm_event ev = { .type = E_CONF };
	struct gpod *p;

	if (g->have_rec)
		group_feed_record(g, &g->rec);
	TAILQ_FOREACH (p, &g->pods, entry)
		group_feed_pod(g, p);
	gvoices_feed(g);
	group_feed_requests(g);
	group_step_rel(g, &ev);
	/* By index in what was told last: not the same any more. */
	group_publish(g, NULL, true);
}
