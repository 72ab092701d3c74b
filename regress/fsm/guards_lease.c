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

/* Guards of the write lease: see test_guards.c. */

#include <stdio.h>
#include <string.h>

#include "guards.h"

static int
verdict(struct mk *m)
{
	struct fsm_decision d;

	fsm_decide(&m->c, &m->s, &d);
	return d.verdict;
}

static int
step(struct mk *m)
{
	struct fsm_decision d;

	fsm_decide(&m->c, &m->s, &d);
	return d.step;
}

/* a is silent for everybody. */
static void
lost(struct mk *m)
{
	mk_guarded(m);
	mk_state(m, 0, SS_UNREACHABLE);
	mk_silent(m, 0);
	m->s.site[1].p.io = m->s.site[2].p.io = IO_CONNECTING;
}

static void
lost_and_proven(struct mk *m)
{
	lost(m);
	mk_word(m, 0);
}

static void
read_only(struct mk *m)
{
	mk_guarded(m);
	mk_state(m, 0, SS_READ_ONLY);
	m->s.site[0].g.read_only = true;
}

static const struct fsm_epoch *
minted(struct mk *m)
{
	static const struct fsm_epoch none;

	mk_step(m, NULL);
	if (mk_act(m, A_RECORD_PUT, -1) == NULL)
		return &none;
	return &m->o.put.unended[m->o.put.n - 1];
}

static int
g_needed(struct mk *m)
{
	lost_and_proven(m);
	m->s.site[1].g.guard = m->s.site[2].g.guard = 0;
	return verdict(m);
}

static int
g_fresh(struct mk *m)
{
	lost_and_proven(m);
	mk_silent(m, 1);
	mk_silent(m, 2);
	return verdict(m);
}

static int
g_match(struct mk *m)
{
	lost_and_proven(m);
	m->s.site[1].g.start_ms -= 60000;
	m->s.site[2].g.running = false;
	return verdict(m);
}

static int
g_held(struct mk *m)
{
	read_only(m);
	m->s.my_epoch = 5;
	m->s.site[0].g.held = 0;
	return step(m);
}

/* Another guard has waited for the end of its own server. */
static int
g_word(struct mk *m)
{
	lost(m);
	m->s.site[0].g.guard = 9999;
	m->s.site[0].g.ended = 1;
	return verdict(m);
}

static int
g_superseded(struct mk *m)
{
	lost(m);
	m->s.site[0].g.guard = 9999;
	m->s.site[0].g.held = 7;
	m->s.rec.unended[1] = m->s.rec.unended[0];
	m->s.rec.unended[1].epoch = m->s.rec.unended[1].terms.epoch = 7;
	m->s.rec.unended[1].terms.guard = 9999;
	m->s.rec.n = 2;
	return fsm_proof_of(&m->s, 0);
}

/* The record was put back: it knows of no epoch 6. */
static int
g_superseded_listed(struct mk *m)
{
	lost(m);
	m->s.site[0].g.held = 6;
	return fsm_proof_of(&m->s, 0);
}

static int
g_lease_grants(struct mk *m)
{
	lost(m);
	m->s.auth[0].promised = 7;
	m->s.auth[0].newest_ms = NOW - 100000;
	m->s.site[0].grant_open = true;
	m->s.site[0].grant_valid_ms = NOW + 5000;
	return verdict(m);
}

/* It says that it is read-only; a grant may have come after that reading. */
static int
g_guard_read(struct mk *m)
{
	lost(m);
	m->s.site[0].g.held = 0;
	m->s.site[0].g.revoked = 5;
	m->s.site[0].g.read_only = true;
	m->s.site[0].g.read_age_ms = 5000;
	m->s.site[0].granted_ms = NOW - 3000;
	return verdict(m);
}

static int
g_voters_fresh(struct mk *m)
{
	read_only(m);
	mk_silent(m, 1);
	return minted(m)->terms.n;
}

static int
g_voter_once(struct mk *m)
{
	read_only(m);
	m->s.site[2].g.memory = m->s.site[1].g.memory;
	return minted(m)->terms.n;
}

static int
g_epoch_above(struct mk *m)
{
	read_only(m);
	m->s.site[1].g.promised = 9;
	return (int)minted(m)->epoch;
}

/* Granted again; nothing proves yet that the former epoch is over. */
static int
g_keep_unended(struct mk *m)
{
	read_only(m);
	m->s.site[0].lead_clock_ms = m->s.site[0].p.clock_ms;
	(void)minted(m);
	return m->o.put.n;
}

static int
ask(struct mk *m, uint8_t i, uint64_t epoch)
{
	struct fsm_event ev = { .type = E_ASK, .site = i };

	ev.u.ask.epoch = epoch;
	ev.u.ask.guard = m->s.site[i].g.guard;
	ev.u.ask.incarnation = m->s.site[i].g.incarnation;
	mk_step(m, &ev);
	return mk_acts(m, A_RENEW, -1) > 0;
}

/* An epoch that was minted for b and abandoned. */
static int
g_yes_active(struct mk *m)
{
	struct fsm_epoch *e = &m->s.rec.unended[1];

	mk_guarded(m);
	*e = m->s.rec.unended[0];
	e->epoch = e->terms.epoch = 4;
	e->site = 1;
	e->terms.guard = 1001;
	e->terms.voter[1] = 100;
	e->voter_site[1] = 0;
	memcpy(
	    e->proc.pod_uid, m->s.site[1].p.pod_uid, sizeof(e->proc.pod_uid));
	memcpy(e->proc.server_uuid, m->s.site[1].p.server_uuid,
	    sizeof(e->proc.server_uuid));
	m->s.rec.n = 2;
	/* a fence is no proof yet */
	m->s.site[1].lead_clock_ms = m->s.site[1].p.clock_ms;
	return ask(m, 1, 4);
}

static int
g_yes_ended(struct mk *m)
{
	mk_guarded(m);
	m->s.ended[0] = P_ASSERTED;
	return ask(m, 0, 5);
}

static int
g_promise_site(struct mk *m)
{
	lost(m);
	mk_promise(m, 2, 101, 5, 0);
	return (m->s.auth[0].promised & 2) != 0;
}

static int
g_revoke_needed(struct mk *m)
{
	mk_guarded(m);
	mk_step(m, NULL);
	return mk_acts(m, A_REVOKE, -1) > 0;
}

static int
g_no_stray_lease(struct mk *m)
{
	lost_and_proven(m);
	m->s.site[2].g.held = 9;
	m->s.site[2].p.read_only = m->s.site[2].p.super_read_only = false;
	m->s.site[2].quelled = true;
	mk_step(m, NULL);
	return verdict(m);
}

static int
g_promise_lost(struct mk *m)
{
	lost(m);
	m->s.site[1].g.yes_epoch = 6;
	mk_step(m, NULL);
	mk_promise(m, 1, 101, 5, 0);
	return (m->s.auth[0].promised & 2) != 0;
}

/* Some process may be renewed by c alone. */
static int
g_lost_voters(struct mk *m)
{
	lost_and_proven(m);
	m->s.site[1].g.heard = 6;
	mk_step(m, NULL);
	m->s.site[1].prom_epoch = 6;
	m->s.site[1].prom_memory = 101;
	m->s.site[1].prom_ms = NOW - 60000;
	return verdict(m);
}

/* Its epoch is superseded, but by none that is listed. */
static int
g_gated_open(struct mk *m)
{
	lost(m);
	m->s.ended[0] = P_SUPERSEDED;
	return verdict(m);
}

/* Somebody speaks of an epoch that the record has not: it may be its. */
static int
g_record_whole(struct mk *m)
{
	lost(m);
	m->s.rec.n = 0;
	m->s.site[0].p.read_only = false;
	m->s.lost = 9;
	return fsm_may_write(&m->s, 0);
}

/* Its Lease outlasts the guard's word. */
static int
g_grant_report(struct mk *m)
{
	const struct fsm_act *a;

	read_only(m);
	m->s.my_epoch = 5;
	mk_step(m, NULL);
	a = mk_act(m, A_SQL, SQL_GRANT);
	return a == NULL ||
	    a->valid_until_ms > m->s.site[0].guard_ms + FSM_GRANT_REPORT_MS;
}

static void
no_record(struct mk *m)
{
	read_only(m);
	memset(&m->s.rec, 0, sizeof(m->s.rec));
	m->s.rec.active = FSM_NONE;
	m->s.site[0].g.held = 0;
}

static int
g_adopt_leases(struct mk *m)
{
	no_record(m);
	m->s.site[1].g.held = 3;
	return verdict(m);
}

static int
g_adopt_readers(struct mk *m)
{
	no_record(m);
	m->c.require_guard = true;
	m->c.site[2].role = ROLE_READER;
	memset(&m->s.site[2].g, 0, sizeof(m->s.site[2].g));
	return verdict(m);
}

static int
g_adopt_renewed(struct mk *m)
{
	no_record(m);
	m->s.site[1].g.yes_epoch = 6;
	m->s.site[1].g.yes_age_ms = 100;
	return verdict(m);
}

static int
g_adopt_grants(struct mk *m)
{
	no_record(m);
	m->s.lease_since_ms = NOW - 8000;
	m->s.lease_len_ms = 10000;
	return verdict(m);
}

static int
g_isolated(struct mk *m)
{
	mk_guarded(m);
	mk_state(m, 0, SS_UNREACHABLE);
	return verdict(m);
}

/* c's, b's or a's Deployment differs; everybody is well, or was just now. */
static int
rolled(struct mk *m, uint8_t i)
{
	mk_update(m);
	m->s.site[i].want = 7;
	mk_step(m, NULL);
	return mk_act(m, A_ROLL, -1) != NULL;
}

static int
g_update_active(struct mk *m)
{
	return rolled(m, 0);
}

static int
g_update_one(struct mk *m)
{
	mk_update(m);
	m->s.site[1].p.lag_s = FSM_UPDATE_LAG_S;
	m->s.site[2].want = 7;
	mk_step(m, NULL);
	return mk_act(m, A_ROLL, -1) != NULL;
}

/* Of three voters two renew, c is one of them, and b does not answer it. */
static int
g_update_voters(struct mk *m)
{
	mk_update(m);
	m->s.site[1].g.yes_age_ms = 60000;
	m->s.site[2].want = 7;
	mk_step(m, NULL);
	return mk_act(m, A_ROLL, -1) != NULL;
}

/* The container of an earlier guard has ended, after a's start, it is said. */
static int
g_word_guard(struct mk *m)
{
	lost(m);
	m->s.site[0].g.guard = 999;
	mk_word(m, 0);
	return verdict(m);
}

/* It tells another start; its guard says that it is the same process. */
static int
g_successor_guard(struct mk *m)
{
	lost(m);
	m->s.site[0].p.start_ms += 3600000;
	return verdict(m);
}

/* It led until a second ago, and has the Lease again. */
static int
g_quiet_own(struct mk *m)
{
	struct fsm_event ev = { .type = E_LEASE };

	mk_guarded(m);
	mk_lease(m, false);
	mk_lease(m, true);
	m->now = m->s.lease_deadline_ms + 1000;
	ev.u.lease.held = true;
	ev.u.lease.deadline_ms = m->now + 10000;
	ev.u.lease.quiet_ms = m->now - 5000;
	mk_step(m, &ev);
	return m->s.quiet_ms == m->now - 1000;
}

/* Another leader may have said yes to it since it was proven. */
static int
g_term_proof(struct mk *m)
{
	lost(m);
	m->s.ended[0] = P_LEASE;
	m->s.site[0].quelled = true;
	mk_lease(m, false);
	mk_lease(m, true);
	return verdict(m);
}

/* What an earlier leader has written may land yet. */
static int
g_term_written(struct mk *m)
{
	mk_guarded(m);
	mk_lease(m, false);
	mk_lease(m, true);
	return ask(m, 0, 5);
}

/* Nobody said yes to the successor, and to what it succeeds all do. */
static int
g_newest_kept(struct mk *m)
{
	struct fsm_epoch *e = &m->s.rec.unended[1];

	lost(m);
	*e = m->s.rec.unended[0];
	m->s.rec.epoch = e->epoch = e->terms.epoch = 6;
	m->s.rec.n = 2;
	m->s.ended[1] = P_LEASE;
	mk_step(m, NULL);
	return mk_acts(m, A_RECORD_PUT, -1) > 0;
}

/* Its next mint is under way, and may end what this one would grant. */
static int
g_mint_last(struct mk *m)
{
	read_only(m);
	m->s.my_epoch = 5;
	m->s.my_later = true;
	return step(m);
}

/* All voters promised, but those of a site that was removed. */
static int
g_lost_strangers(struct mk *m)
{
	uint8_t i;

	lost_and_proven(m);
	m->s.site[1].g.heard = 6;
	mk_step(m, NULL);
	for (i = 1; i < 3; i++) {
		m->s.site[i].prom_epoch = 6;
		m->s.site[i].prom_memory = 100U + i;
		m->s.site[i].prom_ms = NOW - 60000;
	}
	m->c.strangers = true;
	return verdict(m);
}

const struct guard_case lease_cases[] = {
	{ G_MINT_LAST, g_mint_last, ST_MINT },
	{ G_LOST_STRANGERS, g_lost_strangers, V_NO_PROOF },
	{ G_TERM_PROOF, g_term_proof, V_NO_PROOF },
	{ G_TERM_WRITTEN, g_term_written, 0 },
	{ G_NEWEST_KEPT, g_newest_kept, 0 },
	{ G_UPDATE_ACTIVE, g_update_active, 0 },
	{ G_UPDATE_ONE, g_update_one, 0 },
	{ G_UPDATE_VOTERS, g_update_voters, 0 },
	{ G_WORD_GUARD, g_word_guard, V_NO_PROOF },
	{ G_SUCCESSOR_GUARD, g_successor_guard, V_NO_PROOF },
	{ G_GUARD_NEEDED, g_needed, V_NO_LEASE },
	{ G_GUARD_FRESH, g_fresh, V_NO_LEASE },
	{ G_GUARD_MATCH, g_match, V_NO_LEASE },
	{ G_GUARD_HELD, g_held, ST_LEASE },
	{ G_GUARD_WORD, g_word, V_NO_PROOF },
	{ G_SUPERSEDED, g_superseded, P_NONE },
	{ G_LEASE_GRANTS, g_lease_grants, V_NO_PROOF },
	{ G_VOTERS_FRESH, g_voters_fresh, 2 },
	{ G_VOTER_ONCE, g_voter_once, 1 },
	{ G_EPOCH_ABOVE, g_epoch_above, 10 },
	{ G_KEEP_UNENDED, g_keep_unended, 2 },
	{ G_YES_ACTIVE, g_yes_active, 0 },
	{ G_YES_ENDED, g_yes_ended, 0 },
	{ G_QUIET_OWN, g_quiet_own, 1 },
	{ G_PROMISE_SITE, g_promise_site, 0 },
	{ G_REVOKE_NEEDED, g_revoke_needed, 0 },
	{ G_NO_STRAY_LEASE, g_no_stray_lease, V_NO_PROOF },
	{ G_SUPERSEDED_LISTED, g_superseded_listed, P_NONE },
	{ G_PROMISE_LOST, g_promise_lost, 0 },
	{ G_LOST_VOTERS, g_lost_voters, V_NO_PROOF },
	{ G_GATED_OPEN, g_gated_open, V_FENCING },
	{ G_RECORD_WHOLE, g_record_whole, true },
	{ G_GUARD_READ, g_guard_read, V_NO_PROOF },
	{ G_GRANT_REPORT, g_grant_report, 0 },
	{ G_ADOPT_LEASES, g_adopt_leases, V_WAIT_SITES },
	{ G_ADOPT_READERS, g_adopt_readers, V_WAIT_SITES },
	{ G_ADOPT_RENEWED, g_adopt_renewed, V_WAIT_SITES },
	{ G_ADOPT_GRANTS, g_adopt_grants, V_WAIT_SITES },
	{ G_ISOLATED, g_isolated, V_OBSERVER_ISOLATED },
};
const unsigned lease_ncases = sizeof(lease_cases) / sizeof(lease_cases[0]);
