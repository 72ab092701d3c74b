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

/* The decision of a group that has no record: adopt what there is, or begin. */

#include "fsm_int.h"

/* Nothing was ever done with it: neither data, nor transactions, nor role. */
bool
fsm_empty_site(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i)
{
	(void)c;
	return !s->site[i].p.has_repl && !s->site[i].p.user_schemas &&
	    fsm_rel_bit(s, s->rel.empty, i);
}

static uint8_t
best_rank(const struct fsm_conf *c)
{
	uint8_t i, best = FSM_NONE;

	for (i = 0; i < c->nsites; i++)
		if (fsm_may_be_active(c, i) &&
		    (best == FSM_NONE || fsm_rank(c, i) < fsm_rank(c, best)))
			best = i;
	return best;
}

/*
 * Site i is a reader, and no server that may have a guard runs there unheard. A
 * spec that was put back with the record may have the primary as a reader. What
 * its guard said before an unknown leader lost its Lease is no news: an offer
 * may have come after that.
 */
static bool
reader_heard(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i,
    int64_t last)
{
	const struct fsm_site *t = &s->site[i];
	const struct fsm_pod *pod;
	unsigned k;

	for (k = 0; k < sizeof(t->pod) / sizeof(t->pod[0]); k++) {
		pod = &t->pod[k];
		/* One that is not started yet is not waited for. */
		if (pod->pod_uid[0] == '\0' || pod->gone ||
		    pod->ctr_state != CTR_RUNNING)
			continue;
		if (t->g.guard == 0 || !fsm_streq(t->g.pod_uid, pod->pod_uid) ||
		    (t->guard_ms <= last && !fsm_guard_fresh(c, s, i)))
			return false;
	}
	return true;
}

/*
 * A voter has renewed a lease that may not have run out: whoever holds it may be
 * where nobody hears it, and no kubelet speaks of it. No voter was heard later
 * than the first of them: the others may have gone on since.
 */
static bool
renewed(const struct fsm_conf *c, const struct fsm_state *s)
{
	const struct fsm_site *t;
	int64_t heard = s->now_ms, yes = INT64_MIN, at;
	uint8_t i;

	for (i = 0; i < c->nsites; i++) {
		t = &s->site[i];
		if (fsm_fresh(c, s, i) && t->g_ms < heard)
			heard = t->g_ms;
		at = t->g_ms - t->g.yes_age_ms;
		if (t->g.yes_epoch != 0 && t->g.yes_age_ms >= 0 && at > yes)
			yes = at;
	}
	return yes != INT64_MIN && heard - yes < fsm_over_in(c, s);
}

/*
 * Nothing proves that nobody writes: neither record nor Lease may be what they
 * were. So no guard may hold a lease, and a leader that nobody knows of has
 * lost its own, with all that it had sent.
 */
static bool
quiet(
    const struct fsm_conf *c, const struct fsm_state *s, struct fsm_decision *d)
{
	int64_t last = s->lease_since_ms + s->lease_len_ms;
	uint8_t i;

	if (last < s->old_grants_ms)
		last = s->old_grants_ms;
	for (i = 0; i < c->nsites; i++)
		if (!FSM_GUARD(G_ADOPT_LEASES,
			(!fsm_core(c, i) && s->site[i].g.held == 0) ||
			    !fsm_guarded(c, s, i) ||
			    (fsm_guard_fresh(c, s, i) &&
				s->site[i].g.held == 0))) {
			fsm_verdict(d, V_WAIT_SITES, i);
			return false;
		}
	for (i = 0; i < c->nsites; i++)
		if (!FSM_GUARD(G_ADOPT_READERS,
			fsm_core(c, i) || !fsm_guarded(c, s, i) ||
			    reader_heard(c, s, i, last))) {
			fsm_verdict(d, V_WAIT_SITES, i);
			return false;
		}
	if (!FSM_GUARD(G_ADOPT_LEASES, !c->strangers)) {
		fsm_verdict(d, V_STRANGERS, FSM_NONE);
		return false;
	}
	if (!FSM_GUARD(G_ADOPT_RENEWED, !renewed(c, s))) {
		fsm_verdict(d, V_WAIT_SITES, FSM_NONE);
		return false;
	}
	if (FSM_GUARD(G_ADOPT_GRANTS,
		s->now_ms >= last + FSM_GRANT_TTL_MS + FSM_GRANT_MARGIN_MS))
		return true;
	fsm_verdict(d, V_WAIT_SITES, FSM_NONE);
	return false;
}

/* Every core site answers and is read-only: fresh, or one has everything. */
static void
adopt_read_only(
    const struct fsm_conf *c, const struct fsm_state *s, struct fsm_decision *d)
{
	uint8_t i, j, best = FSM_NONE;
	bool fresh = true, all_empty = true;

	if (!quiet(c, s, d))
		return;
	for (i = 0; i < c->nsites; i++) {
		if (!fsm_core(c, i))
			continue;
		if (!fsm_known(s, i)) {
			fsm_verdict(d, V_GTID_UNKNOWN, i);
			return;
		}
		fresh = fresh && fsm_empty_site(c, s, i);
		all_empty = all_empty && fsm_rel_bit(s, s->rel.empty, i);
	}
	if (FSM_GUARD(G_FRESH, fresh)) {
		fsm_choose(c, s, d, V_BOOTSTRAP, best_rank(c));
		return;
	}
	for (i = 0; i < c->nsites; i++) {
		if (!fsm_may_be_active(c, i) || !fsm_answers(s, i))
			continue;
		for (j = 0; j < c->nsites; j++)
			if (fsm_core(c, j) &&
			    !FSM_GUARD(G_SUPERSET, fsm_all_contains(s, i, j)))
				break;
		if (j == c->nsites &&
		    (best == FSM_NONE || fsm_rank(c, i) < fsm_rank(c, best)))
			best = i;
	}
	if (all_empty)
		fsm_verdict(d, V_DATA_MISSING, FSM_NONE);
	else if (best == FSM_NONE)
		fsm_verdict(d, V_DIVERGENCE, FSM_NONE);
	else
		fsm_choose(c, s, d, V_ADOPT_GRANT, best);
}

/* No authority is recorded: adopt what there is, or begin. */
void
fsm_decide_new(
    const struct fsm_conf *c, const struct fsm_state *s, struct fsm_decision *d)
{
	uint8_t i, writer = FSM_NONE;
	unsigned writers = 0, lost = 0, core = 0;
	bool unsettled = false;

	for (i = 0; i < c->nsites; i++) {
		if (!fsm_core(c, i))
			continue;
		core++;
		if (s->site[i].state == SS_UNREACHABLE)
			lost++;
		else if (s->site[i].state == SS_UNKNOWN || !fsm_answers(s, i))
			unsettled = true;
		if (fsm_promotable(c, i) && fsm_may_write(s, i)) {
			writers++;
			if (writer == FSM_NONE ||
			    fsm_rank(c, i) < fsm_rank(c, writer))
				writer = i;
			if (s->site[i].state != SS_WRITABLE)
				unsettled = true;
		}
	}
	if (writers > 1)
		fsm_verdict(d, V_SPLIT_BRAIN,
		    fsm_rank(c, writer) < SITES_MAX ? writer : FSM_NONE);
	else if (lost == core && !fsm_unborn(c, s))
		fsm_verdict(d, V_TOTAL_LOSS, FSM_NONE);
	else if (!FSM_GUARD(G_ADOPT_ALL, !unsettled))
		fsm_verdict(d, V_WAIT_SITES, FSM_NONE);
	else if (writers == 1)
		fsm_choose(c, s, d, V_ADOPT, writer);
	else if (!FSM_GUARD(G_ADOPT_ALL, lost == 0))
		fsm_verdict(d, V_WAIT_SITES, FSM_NONE);
	else
		adopt_read_only(c, s, d);
}
