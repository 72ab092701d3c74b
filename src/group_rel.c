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
 * Relations of GTID sets for the core. A set that was never read, does not
 * parse or is too large is "not known" and proves nothing.
 */

#include <stdlib.h>
#include <string.h>

#include "group_int.h"
#include "gtid.h"

/*
 * Scratch, reused by every group: the parent is single-threaded, and only
 * the pages that a set really fills are ever touched.
 */
static struct gtid_set exec_set[SITES_MAX], all_set[SITES_MAX];
static struct gtid_set recv_set, grant_set, seen_set;

/* Parse what is known of site i. Returns false when it is not known. */
static bool
parse_site(struct group *g, unsigned i, struct fsm_rel *rel)
{
	const struct gsite *s = &g->site[i];

	if (s->gtid == NULL || gtid_parse(&exec_set[i], s->gtid) == -1 ||
	    gtid_parse(&recv_set, s->retrieved == NULL ? "" : s->retrieved) ==
		-1 ||
	    gtid_union(&all_set[i], &exec_set[i], &recv_set) == -1)
		return false;
	if (gtid_contains(&exec_set[i], &recv_set))
		rel->drained |= (uint16_t)(1u << i);
	return true;
}

static void
relate_record(struct group *g, struct fsm_rel *rel)
{
	int active;

	if (!g->have_rec ||
	    gtid_parse(&grant_set, g->rec.promotion_gtid) == -1 ||
	    gtid_parse(&seen_set, g->rec.seen_gtid) == -1)
		return;
	rel->record_known = true;
	rel->grant_empty = gtid_empty(&grant_set);
	for (unsigned i = 0; i < g->fc.nsites; i++) {
		if ((rel->known & (1u << i)) == 0)
			continue;
		if (gtid_contains(&exec_set[i], &grant_set))
			rel->has_grant |= (uint16_t)(1u << i);
		if (gtid_contains(&exec_set[i], &seen_set))
			rel->has_seen |= (uint16_t)(1u << i);
	}
	active = group_site(g, g->rec.active);
	if (active != -1 && (rel->known & (1u << active)) != 0)
		rel->seen_stale = gtid_contains(&exec_set[active], &seen_set) &&
		    !gtid_equal(&exec_set[active], &seen_set);
}

void
group_relations(struct group *g, struct fsm_rel *rel)
{
	memset(rel, 0, sizeof(*rel));
	for (unsigned i = 0; i < g->fc.nsites; i++) {
		if (!parse_site(g, i, rel))
			continue;
		rel->known |= (uint16_t)(1u << i);
		if (gtid_empty(&all_set[i]))
			rel->empty |= (uint16_t)(1u << i);
	}
	for (unsigned i = 0; i < g->fc.nsites; i++) {
		if ((rel->known & (1u << i)) == 0)
			continue;
		for (unsigned j = 0; j < g->fc.nsites; j++) {
			if ((rel->known & (1u << j)) == 0)
				continue;
			if (gtid_contains(&all_set[i], &all_set[j]))
				rel->all_all[i] |= (uint16_t)(1u << j);
			if (gtid_contains(&exec_set[i], &all_set[j]))
				rel->exec_all[i] |= (uint16_t)(1u << j);
			if (gtid_shares_uuid(&all_set[i], &all_set[j]))
				rel->shares[i] |= (uint16_t)(1u << j);
		}
	}
	relate_record(g, rel);
}

void
group_divergence(struct group *g, unsigned i, unsigned active)
{
	struct gsite *s = &g->site[i];
	static char text[GTID_LEN + 1];
	static struct gtid_set diff;

	free(s->divergent);
	s->divergent = NULL;
	s->divergent_n = 0;
	if (s->gtid == NULL || g->site[active].gtid == NULL ||
	    gtid_parse(&exec_set[i], s->gtid) == -1 ||
	    gtid_parse(&exec_set[active], g->site[active].gtid) == -1 ||
	    gtid_subtract(&diff, &exec_set[i], &exec_set[active]) == -1 ||
	    gtid_print(&diff, text, sizeof(text)) == -1)
		return;
	s->divergent_n = gtid_count(&diff);
	if (s->divergent_n > 0 && (s->divergent = strdup(text)) == NULL)
		fatal("divergent set");
}
