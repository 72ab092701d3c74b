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
 * Another list of sites while the group lives: what is known of a site goes
 * with its name, so that one that is added, removed or moved is no reason to
 * observe the others anew. Until then nothing would be known of any of them,
 * and the primary's label, DNS and the lease's voters would follow.
 */

#include <string.h>

#include "fsm_int.h"

/* Where that site is now; what is no index stays what it is. */
static uint8_t
moved(const uint8_t to[static SITES_MAX], uint8_t i)
{
	return i < SITES_MAX ? to[i] : i;
}

/* The same where a site that is no more is none. */
static uint8_t
moved_or_none(const uint8_t to[static SITES_MAX], uint8_t i)
{
	i = moved(to, i);
	return i < SITES_MAX ? i : FSM_NONE;
}

static uint16_t
moved_bits(const uint8_t to[static SITES_MAX], uint16_t bits)
{
	uint16_t now = 0;
	uint8_t i;

	for (i = 0; i < SITES_MAX; i++)
		if ((bits & BIT(i)) != 0 && to[i] < SITES_MAX)
			now |= BIT(to[i]);
	return now;
}

static void
move_rows(const uint8_t to[static SITES_MAX], uint16_t row[static SITES_MAX])
{
	uint16_t was[SITES_MAX];
	uint8_t i;

	memcpy(was, row, sizeof(was));
	memset(row, 0, sizeof(was));
	for (i = 0; i < SITES_MAX; i++)
		if (to[i] < SITES_MAX)
			row[to[i]] = moved_bits(to, was[i]);
}

/* Two sets in one, as fsm_view.c keeps them. */
static uint32_t
moved_halves(const uint8_t to[static SITES_MAX], uint32_t bits)
{
	return (uint32_t)moved_bits(to, bits >> 16) << 16 |
	    moved_bits(to, bits & 0xffff);
}

static void
move_rel(const uint8_t to[static SITES_MAX], struct fsm_rel *r)
{
	r->known = moved_bits(to, r->known);
	r->empty = moved_bits(to, r->empty);
	r->drained = moved_bits(to, r->drained);
	r->has_grant = moved_bits(to, r->has_grant);
	r->has_seen = moved_bits(to, r->has_seen);
	move_rows(to, r->all_all);
	move_rows(to, r->exec_all);
	move_rows(to, r->shares);
}

static void
move_record(const uint8_t to[static SITES_MAX], struct fsm_record *r)
{
	struct fsm_epoch *e;
	unsigned k, m;

	r->active = moved(to, r->active);
	r->last_target = moved(to, r->last_target);
	for (k = 0; k < r->n; k++) {
		e = &r->unended[k];
		e->site = moved(to, e->site);
		for (m = 0; m < e->terms.n; m++)
			e->voter_site[m] = moved(to, e->voter_site[m]);
	}
}

/* A grant that is open there is waited for, though nobody looks any more. */
static void
leave(struct fsm_state *s, const struct fsm_site *t, int64_t now)
{
	bool sent =
	    t->grant_open || (t->sql.seq != 0 && t->sql.kind == SQL_GRANT);
	int64_t end = now + FSM_SQL_TIMEOUT_MS + FSM_ACK_GRACE_MS;

	if (sent && end > s->old_grants_ms)
		s->old_grants_ms = end;
}

static void
move_sites(const uint8_t to[static SITES_MAX], struct fsm_state *s, int64_t now)
{
	static struct fsm_site was[SITES_MAX]; /* large */
	uint8_t i;

	memcpy(was, s->site, sizeof(was));
	memset(s->site, 0, sizeof(was));
	for (i = 0; i < SITES_MAX; i++)
		s->site[i].p.source = FSM_NONE;
	for (i = 0; i < SITES_MAX; i++) {
		if (to[i] >= SITES_MAX) {
			leave(s, &was[i], now);
			continue;
		}
		s->site[to[i]] = was[i];
		s->site[to[i]].p.source = moved(to, was[i].p.source);
	}
}

/*
 * Site i of the former list is to[i] of the new one, FSM_FOREIGN when it is
 * not in it. The caller tells the record, the Pods and the requests again:
 * they may name sites that came back.
 */
void
fsm_sites(struct fsm_state *s, const uint8_t to[static SITES_MAX], int64_t now)
{
	move_sites(to, s, now);
	move_record(to, &s->rec);
	move_rel(to, &s->rel);
	s->subject = moved_or_none(to, s->subject);
	s->assert_site = moved(to, s->assert_site);
	s->lost_dead = moved_bits(to, s->lost_dead);
	s->degraded = moved_halves(to, s->degraded);
	s->degraded_said = moved_halves(to, s->degraded_said);
	if (moved_or_none(to, s->override) == FSM_NONE)
		s->override_sent = false;
	s->override = moved_or_none(to, s->override);
	s->asked = moved(to, s->asked);
	s->applier = moved_or_none(to, s->applier);
	/* A clone whose recipient is no more is no clone. */
	s->clone_from = moved(to, s->clone_from);
	s->clone_to = moved_or_none(to, s->clone_to);
	if (s->clone_to == FSM_NONE) {
		s->clone_from = FSM_NONE;
		s->clone_phase = CL_IDLE;
	}
}
