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
 * The group decision: one pure function of everything known now. Nothing is
 * remembered of earlier decisions, so whatever was refused is decided anew
 * with every observation.
 */

#include <string.h>

#include "fsm_int.h"

void
fsm_verdict(struct fsm_decision *d, enum fsm_verdict v, uint8_t site)
{
	d->verdict = (uint8_t)v;
	d->site = site;
}

/* -------------------------------------------------- towards one grant ---- */

/*
 * The next step towards a grant to site i, from what was last observed. What
 * was received is applied before the channel goes.
 */
enum fsm_step
fsm_prepare(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];
	const struct fsm_epoch *e;
	bool minted;
	int k = fsm_newest(s);

	if (!FSM_GUARD(G_NO_CHANNEL, !t->p.has_repl)) {
		if (!FSM_GUARD(G_DRAIN_FRESH,
			t->receiver_off_ms != 0 &&
			    t->p.sent_ms > t->receiver_off_ms &&
			    t->p.io == IO_NO))
			return ST_STOP_RECEIVER;
		if (!FSM_GUARD(G_DRAINED,
			fsm_rel_bit(s, s->rel.drained, i) ||
			    (s->override == i && t->p.sql_errno != 0)))
			return ST_DRAIN;
		return ST_RESET;
	}
	minted = s->my_epoch != 0 && s->rec.epoch == s->my_epoch &&
	    s->rec.active == i && !s->my_granted &&
	    FSM_GUARD(G_MINT_LAST, !s->my_later) &&
	    (k == -1 || s->ended[k] == P_NONE);
	if (!FSM_GUARD(G_MINT_FIRST, minted) ||
	    !FSM_GUARD(G_GRANT_PROCESS, fsm_is_newest(s, i)))
		return ST_MINT;
	e = k == -1 ? NULL : &s->rec.unended[k];
	if (e != NULL && fsm_guarded(c, s, i) &&
	    !FSM_GUARD(G_GUARD_HELD, fsm_lease_held(s, i, e)))
		return fsm_lease_usable(c, s, k) ? ST_LEASE : ST_MINT;
	return fsm_flags_current(s, i) ? ST_GRANT : ST_CONFIRM;
}

/* May a further epoch be recorded: those that ended make room. */
static bool
record_full(const struct fsm_state *s)
{
	unsigned k, n = 0;

	for (k = 0; k < s->rec.n; k++)
		if (fsm_proof_of(s, k) == P_NONE)
			n++;
	return n >= UNENDED_MAX;
}

/*
 * Site i is the choice. What still stands between it and the grant is the
 * same for every way that leads here.
 */
void
fsm_choose(const struct fsm_conf *c, const struct fsm_state *s,
    struct fsm_decision *d, enum fsm_verdict why, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];
	uint8_t j;
	int k;

	if ((k = fsm_unproven(s, i)) != -1) {
		fsm_verdict(d, V_NO_PROOF, s->rec.unended[k].site);
		d->site2 = i;
		d->epoch = s->rec.unended[k].epoch;
		return;
	}
	for (j = 0; j < c->nsites; j++)
		if (!FSM_GUARD(
			G_NO_STRAY_LEASE, !fsm_lost_in_way(c, s, j, i))) {
			fsm_verdict(d, V_NO_PROOF, j);
			d->site2 = i;
			d->epoch = s->lost;
			return;
		}
	for (j = 0; j < c->nsites; j++)
		if (!FSM_GUARD(G_NO_OTHER_WRITER,
			j == i || !fsm_may_write(s, j) || fsm_gated(s, j))) {
			fsm_verdict(d, V_FENCING, j);
			return;
		}
	/* What is adopted writes already: nothing is granted. */
	if (why != V_ADOPT && fsm_guarded(c, s, i) &&
	    !FSM_GUARD(G_GUARD_NEEDED, fsm_guard_ok(c, s, i))) {
		fsm_verdict(d, V_NO_LEASE, i);
		return;
	}
	fsm_verdict(d, why, i);
	d->step = (uint8_t)fsm_prepare(c, s, i);
	if (d->step == ST_LEASE && s->lease_wait_ms != 0 &&
	    s->now_ms - s->lease_wait_ms > FSM_LEASE_WAIT_MS)
		d->verdict = V_NO_LEASE;
	if (d->step == ST_MINT && record_full(s))
		d->verdict = V_RECORD_FULL;
	/* STOP waits for the receiver, which may wait for a full disk. */
	if (d->step == ST_STOP_RECEIVER && t->stop_ms != 0 &&
	    s->now_ms - t->stop_ms > FSM_STOP_MS)
		d->verdict = V_STOP_TIMEOUT;
	if (d->step != ST_DRAIN)
		return;
	if (t->p.sql_errno != 0)
		d->verdict = V_APPLIER_ERROR;
	else if (t->drain_ms != 0 && s->now_ms - t->drain_ms > FSM_DRAIN_MS)
		d->verdict = V_DRAIN_TIMEOUT;
}

/* --------------------------------------------------------- candidates ---- */

/* A dr-only site and a reader never get a grant, by no path. */
bool
fsm_may_be_active(const struct fsm_conf *c, uint8_t i)
{
	return FSM_GUARD(G_PROMOTABLE, fsm_promotable(c, i));
}

/* Whether site i takes part in the choice of a new active site. */
static bool
eligible(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i)
{
	return fsm_may_be_active(c, i) && s->site[i].state == SS_READ_ONLY &&
	    !fsm_recipient(s, i) && !s->site[i].diverged;
}

/* Of two that have the same: one that can be granted, then as preferred. */
static bool
better(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i,
    uint8_t than)
{
	bool ok = !fsm_guarded(c, s, i) || fsm_guard_ok(c, s, i);
	bool than_ok = !fsm_guarded(c, s, than) || fsm_guard_ok(c, s, than);

	if (ok != than_ok)
		return ok;
	return fsm_rank(c, i) < fsm_rank(c, than);
}

/*
 * Choose among the eligible sites by received and executed: the one that has
 * everything that any of them has; by preference among equals. A site that
 * has failed probes but is not lost yet still counts by what it had.
 */
static uint8_t
pick(const struct fsm_conf *c, const struct fsm_state *s, uint8_t except,
    struct fsm_decision *d)
{
	uint8_t i, j, best = FSM_NONE;
	unsigned n = 0, waiting = 0, apart = 0;

	for (i = 0; i < c->nsites; i++) {
		if (fsm_promotable(c, i) && s->site[i].diverged)
			apart++;
		/* One that restarts for its update may have what others lack. */
		if (fsm_promotable(c, i) &&
		    (s->site[i].state == SS_UNKNOWN ||
			(i != except && eligible(c, s, i) &&
			    fsm_leaving(s, i))))
			waiting++;
		if (i == except || !eligible(c, s, i))
			continue;
		n++;
		if (!fsm_known(s, i)) {
			fsm_verdict(d, V_GTID_UNKNOWN, i);
			return FSM_NONE;
		}
		for (j = 0; j < c->nsites; j++)
			if (j != except && eligible(c, s, j) &&
			    !FSM_GUARD(G_SUPERSET, fsm_all_contains(s, i, j)))
				break;
		if (j == c->nsites &&
		    (best == FSM_NONE || better(c, s, i, best)))
			best = i;
	}
	if (waiting > 0)
		fsm_verdict(d, V_WAIT_SITES, FSM_NONE);
	else if (n == 0)
		fsm_verdict(
		    d, apart > 0 ? V_DIVERGENCE : V_NO_CANDIDATE, FSM_NONE);
	else if (best == FSM_NONE)
		fsm_verdict(d, V_DIVERGENCE, FSM_NONE);
	else if (!fsm_answers(s, best) || s->site[best].p.offline_mode)
		fsm_verdict(d, V_WAIT_SITES, best);
	else
		return best;
	return FSM_NONE;
}

/*
 * An empty site may only take over in a group in which nothing was ever
 * written: it follows the lost one, and the record knows of no transaction.
 * That it did is remembered when its channel is taken away for the promotion;
 * a leader that comes between does not know, and leaves it to the lost one.
 */
static bool
has_data(const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];

	if (!fsm_rel_bit(s, s->rel.empty, i))
		return true;
	return s->rel.record_known && s->rel.grant_empty &&
	    fsm_rel_bit(s, s->rel.has_seen, i) &&
	    (t->p.has_repl || t->reset_epoch == s->rec.epoch);
}

/*
 * The recorded active site may not be it any more by the spec: unlike a lost
 * one it can usually be asked, so nothing that it is known to have may go.
 * While it answers it is fenced, read once more, and the choice catches up.
 */
static bool
inherits(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i,
    struct fsm_decision *d)
{
	uint8_t a = s->rec.active;
	const struct fsm_site *t;

	if (a >= c->nsites || fsm_promotable(c, a))
		return true;
	t = &s->site[a];
	if (t->state == SS_UNKNOWN ||
	    (t->state != SS_UNREACHABLE &&
		!FSM_GUARD(G_INHERIT_FENCED,
		    fsm_answers(s, a) && !fsm_may_write(s, a) &&
			t->p.sent_ms > t->flags_ms)))
		fsm_verdict(d, V_WAIT_SITES, a);
	else if (!t->ever || FSM_GUARD(G_SUPERSET, fsm_all_contains(s, i, a)))
		return true;
	else if (!fsm_known(s, a))
		fsm_verdict(d, V_GTID_UNKNOWN, a);
	else if (!fsm_all_contains(s, a, i))
		fsm_verdict(d, V_DIVERGENCE, i);
	else if (t->state == SS_UNREACHABLE)
		fsm_verdict(d, V_DATA_MISSING, i);
	else
		fsm_verdict(d, V_WAIT_SITES, i);
	return false;
}

/* The active site is lost: another one shall be promoted. */
static void
decide_lost(const struct fsm_conf *c, const struct fsm_state *s,
    struct fsm_decision *d, uint8_t active)
{
	struct fsm_witness seen;
	unsigned core = 0, lost = 0;
	uint8_t i, best;

	for (i = 0; i < c->nsites; i++)
		if (fsm_core(c, i)) {
			core++;
			lost += s->site[i].state == SS_UNREACHABLE;
		}
	if (lost == core) {
		fsm_verdict(d, V_TOTAL_LOSS, FSM_NONE);
		return;
	}
	if (active < c->nsites) {
		fsm_witnesses(c, s, active, &seen);
		if (!FSM_GUARD(G_ISOLATED, !fsm_isolated(&seen))) {
			fsm_verdict(d, V_OBSERVER_ISOLATED, active);
			return;
		}
		if (!FSM_GUARD(G_THRESHOLD, s->site[active].owed == 0) ||
		    fsm_may_return(c, s, active)) {
			fsm_verdict(d, V_WAIT_THRESHOLD, active);
			return;
		}
	}
	if ((best = pick(c, s, active, d)) == FSM_NONE ||
	    !inherits(c, s, best, d))
		return;
	if (!FSM_GUARD(G_COOLDOWN, !fsm_cooldown(c, s)))
		fsm_verdict(d, V_COOLDOWN, best);
	else if (!FSM_GUARD(G_REGRANT_DATA, has_data(s, best)))
		fsm_verdict(d, V_DATA_MISSING, best);
	else
		fsm_choose(c, s, d, V_PROMOTE, best);
}

/* ------------------------------------------ the active site, read-only --- */

/*
 * Another site has everything that is known to have been written, and the
 * active one, though its own data is as recorded, has not: nothing can be
 * lost by granting the other one.
 */
static bool
ahead_of(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i,
    uint8_t active)
{
	return eligible(c, s, i) && fsm_all_contains(s, i, active) &&
	    fsm_rel_bit(s, s->rel.has_grant, i) &&
	    fsm_rel_bit(s, s->rel.has_seen, i);
}

/*
 * Site j was read after the active one was and replicates from it: what it
 * has more may be what the active one wrote in between.
 */
static bool
skewed(const struct fsm_state *s, uint8_t j, uint8_t a)
{
	const struct fsm_site *t = &s->site[j];

	return t->p.has_repl && t->p.source == a && t->p.io != IO_NO &&
	    s->site[a].p.sent_ms <= t->seen_ms;
}

/* The volume is the one that the record speaks of, and it is not older. */
static bool
data_intact(const struct fsm_state *s, uint8_t a)
{
	if (!FSM_GUARD(G_REGRANT_SELF,
		s->rec.server_uuid[0] == '\0' ||
		    fsm_streq(s->rec.server_uuid, s->site[a].p.server_uuid)))
		return false;
	return FSM_GUARD(G_REGRANT_DATA,
	    fsm_rel_bit(s, s->rel.has_grant, a) &&
		fsm_rel_bit(s, s->rel.has_seen, a));
}

/* Its sidecar has been away for longer than a restart of it takes. */
static bool
no_guard(const struct fsm_conf *c, const struct fsm_state *s, uint8_t a)
{
	int64_t since = s->site[a].guard_ms;

	if (!fsm_guarded(c, s, a) || fsm_guard_ok(c, s, a))
		return false;
	if (since < s->lease_since_ms)
		since = s->lease_since_ms;
	return s->now_ms - since >=
	    c->failure_threshold * c->poll_ms + FSM_LEASE_WAIT_MS;
}

/*
 * The active site can't be given a lease. Another one that can, and lacks
 * nothing, takes its place.
 */
static bool
replace(const struct fsm_conf *c, const struct fsm_state *s,
    struct fsm_decision *d, uint8_t a)
{
	uint8_t j, best = FSM_NONE;

	for (j = 0; j < c->nsites; j++)
		if (j != a && ahead_of(c, s, j, a) && fsm_answers(s, j) &&
		    fsm_guard_ok(c, s, j) && !fsm_leaving(s, j) &&
		    (best == FSM_NONE || fsm_rank(c, j) < fsm_rank(c, best)))
			best = j;
	if (best == FSM_NONE)
		return false;
	if (!FSM_GUARD(G_COOLDOWN, !fsm_cooldown(c, s)))
		fsm_verdict(d, V_COOLDOWN, best);
	else
		fsm_choose(c, s, d, V_PROMOTE, best);
	return true;
}

static void
decide_regrant(const struct fsm_conf *c, const struct fsm_state *s,
    struct fsm_decision *d, uint8_t a)
{
	uint8_t j, best;

	if (!fsm_answers(s, a) || s->site[a].p.offline_mode) {
		fsm_verdict(d, V_WAIT_THRESHOLD, a);
		return;
	}
	if (!fsm_known(s, a) || !s->rel.record_known) {
		fsm_verdict(d, V_GTID_UNKNOWN, a);
		return;
	}
	if (!data_intact(s, a)) {
		fsm_verdict(d, V_DATA_MISSING, a);
		return;
	}
	for (j = 0; j < c->nsites; j++) {
		if (j == a || !fsm_promotable(c, j) || fsm_recipient(s, j) ||
		    s->site[j].diverged || s->site[j].state == SS_UNREACHABLE)
			continue;
		if (s->site[j].state == SS_UNKNOWN) {
			fsm_verdict(d, V_WAIT_SITES, j);
			return;
		}
		if (!fsm_known(s, j)) {
			fsm_verdict(d, V_GTID_UNKNOWN, j);
			return;
		}
		if (FSM_GUARD(G_SUPERSET, fsm_all_contains(s, a, j)))
			continue;
		if (skewed(s, j, a)) {
			fsm_verdict(d, V_WAIT_SITES, a);
			return;
		}
		if (!ahead_of(c, s, j, a)) {
			fsm_verdict(d, V_DIVERGENCE, j);
			return;
		}
		if ((best = pick(c, s, FSM_NONE, d)) == FSM_NONE)
			return;
		if (!FSM_GUARD(G_COOLDOWN, !fsm_cooldown(c, s)))
			fsm_verdict(d, V_COOLDOWN, best);
		else
			fsm_choose(c, s, d, V_PROMOTE, best);
		return;
	}
	if (!no_guard(c, s, a) || !replace(c, s, d, a))
		fsm_choose(c, s, d, V_REGRANT, a);
}

static void
decide_active(const struct fsm_conf *c, const struct fsm_state *s,
    struct fsm_decision *d, uint8_t a)
{
	const struct fsm_site *t = &s->site[a];
	uint8_t j;

	if (t->state == SS_UNKNOWN) {
		fsm_verdict(d, V_STARTING, a);
		return;
	}
	if (FSM_GUARD(G_LOST_IS_ACTIVE, t->state == SS_UNREACHABLE)) {
		decide_lost(c, s, d, a);
		return;
	}
	if (t->p.read_only) {
		decide_regrant(c, s, d, a);
		return;
	}
	if (!fsm_answers(s, a)) {
		fsm_verdict(d, V_WAIT_THRESHOLD, a);
		return;
	}
	if (!fsm_is_newest(s, a)) {
		fsm_verdict(d, V_FENCING, a);
		return;
	}
	for (j = 0; j < c->nsites; j++)
		if (j != a && fsm_may_write(s, j)) {
			fsm_verdict(d,
			    fsm_promotable(c, j) ? V_SPLIT_BRAIN : V_FENCING,
			    j);
			return;
		}
	fsm_verdict(d, V_HEALTHY, a);
}

void
fsm_decide(
    const struct fsm_conf *c, const struct fsm_state *s, struct fsm_decision *d)
{
	memset(d, 0, sizeof(*d));
	d->site = d->site2 = FSM_NONE;
	if (c->deleting)
		fsm_verdict(d, V_DELETING, FSM_NONE);
	else if (!FSM_GUARD(G_RECORD_FRESH, s->rec_known && s->synced))
		fsm_verdict(d, V_STARTING, FSM_NONE);
	else if (s->put_ok && s->put_epoch != 0 && s->put_why != V_HEALTHY &&
	    s->rec.version <= s->put_base && s->now_ms < s->put_next_ms)
		fsm_verdict(d, V_WAIT_RECORD, FSM_NONE);
	else if (s->rec.active == FSM_NONE)
		fsm_decide_new(c, s, d);
	else if (s->rec.active >= c->nsites ||
	    !fsm_promotable(c, s->rec.active))
		decide_lost(c, s, d, FSM_NONE);
	else
		decide_active(c, s, d, s->rec.active);
}
