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

/* What must hold: regress/sim/INVARIANTS.md says why in this form. */

#include <stdio.h>
#include <string.h>

#include "sim.h"

/* An unended epoch is for the server that runs there, and has a lease. */
static bool
recorded_guard(int i)
{
	const struct lease_guard *l = &w->site[i].guard.l;
	const struct lease_terms *t;
	int k;

	for (k = 0; k < w->api.rec.n; k++) {
		t = &w->api.rec.unended[k].terms;
		if (t->guard == l->id && t->incarnation == l->incarnation &&
		    lease_terms_valid(t))
			return true;
	}
	return false;
}

/*
 * Another order of the sites, and the former one again: whatever the state,
 * nothing of it may be lost or mixed up.
 */
void
check_sites(int k)
{
	static struct fsm_state s;
	uint8_t to[SITES_MAX], back[SITES_MAX], i, j, t;

	for (i = 0; i < SITES_MAX; i++)
		to[i] = i;
	for (i = SITES_MAX - 1; i > 0; i--) {
		j = (uint8_t)rnd(i + 1U);
		t = to[i];
		to[i] = to[j];
		to[j] = t;
	}
	for (i = 0; i < SITES_MAX; i++)
		back[to[i]] = i;
	s = w->op[k].s;
	fsm_sites(&s, to, op_clock(&w->op[k]));
	fsm_sites(&s, back, op_clock(&w->op[k]));
	if (memcmp(&s, &w->op[k].s, sizeof(s)) != 0)
		fail("sites in another order and back: another state");
}

/*
 * What site i received and has not executed is dropped: by a human's word, which
 * is used once.
 */
void
check_drop(int i, bool asked)
{
	if (!asked || (w->may_drop & 1U << i) == 0)
		fail("%s: received transactions dropped", w->c.site[i].name);
	w->may_drop &= (uint16_t)~(1U << i);
}

/*
 * The record is what leaders write: nobody has put an older one back since that
 * was sent, or since it was written last.
 */
bool
by_record(const struct ev *q)
{
	return q->script == w->api.by_hand && !w->api.behind;
}

/*
 * A grant took effect at a site, which was a candidate by the spec that its
 * leader knew.
 */
void
check_grant(const struct ev *q)
{
	int i = q->site;
	uint64_t epoch = q->act.epoch;
	struct site *s = &w->site[i];
	const struct op *o = &w->op[w->api.holder];
	int j;

	for (j = 0; j < w->nsites; j++)
		if (j != i && w->site[j].p.rogue && o->s.site[j].ever &&
		    !o->s.site[j].p.read_only && !o->s.site[j].quelled &&
		    w->now - w->site[j].rogue_at > 6000)
			fail("grant to %s while %s was seen writable",
			    w->c.site[i].name, w->c.site[j].name);
	if (!q->promotable)
		fail("grant to %s, which is not promotable", w->c.site[i].name);
	if (s->v.has_repl)
		fail("grant to %s, which has a replication channel",
		    w->c.site[i].name);
	if (!gs_contains(&s->v.e, &w->api.grant))
		fail("grant to %s, which lacks the grant-time set",
		    w->c.site[i].name);
	if (by_record(q) && w->api.rec.active != i)
		fail("grant to %s, which is not recorded", w->c.site[i].name);
	if (w->bare)
		return;
	if (by_record(q) && !recorded_guard(i))
		fail("grant to %s, whose guard is not recorded",
		    w->c.site[i].name);
	/* it may have lost it since the grant was sent */
	if (s->guard.l.revoked < epoch &&
	    lease_guard_held(&s->guard.l, boot_clock(i)) < epoch)
		fail("grant to %s, whose guard never held epoch %llu",
		    w->c.site[i].name, (unsigned long long)epoch);
}

/* The record says that site i is promoted. */
void
check_promotion(int i)
{
	w->promotions++;
	if (w->last_promotion != 0 &&
	    w->now - w->last_promotion + 1000 < w->c.cooldown_ms)
		fail("promotions %lld ms apart",
		    (long long)(w->now - w->last_promotion));
	w->last_promotion = w->now;
	if (gs_empty(&w->site[i].v.e) && !gs_empty(&w->acked))
		fail("promotion of empty %s", w->c.site[i].name);
}

/*
 * Operator k writes that site i is promoted. What it has read of other
 * candidates, received or executed, is on it.
 */
void
check_choice(int k, int i)
{
	const struct op *o = &w->op[k];
	struct gset all;
	int j;

	for (j = 0; j < w->nsites; j++) {
		if (j == i || j >= o->c.nsites ||
		    o->c.site[j].role != ROLE_CANDIDATE || !o->known[j] ||
		    o->s.site[j].state != SS_READ_ONLY ||
		    o->s.site[j].fails > 0 || o->s.site[j].diverged ||
		    o->s.clone_to == j)
			continue;
		gs_union(&all, &o->e[j], &o->r[j]);
		if (!gs_contains(&w->site[i].v.e, &all))
			fail("%s promoted without what %s has",
			    w->c.site[i].name, w->c.site[j].name);
	}
}

/*
 * Who leads now has taken the others for silent since a moment: what they said
 * and sent was before that.
 */
void
check_quiet(int k)
{
	const struct op *o = &w->op[k];
	int64_t quiet = op_world(o, o->s.quiet_ms);
	int64_t grants = op_world(o, o->s.old_grants_ms);
	int j;

	for (j = 0; j < OPS; j++)
		if (j != k && w->op[j].yes_at > quiet)
			fail("op%d said yes at %lld, op%d takes it for silent "
			     "since %lld",
			    j, (long long)w->op[j].yes_at, k, (long long)quiet);
		else if (j != k && w->op[j].grant_at > grants)
			fail("op%d sent a grant after op%d takes it for silent",
			    j, k);
}

/* Operator k says yes to a guard. */
void
check_yes(int k)
{
	int j;

	w->op[k].yes_at = w->now;
	for (j = 0; j < OPS; j++)
		if (j != k && w->op[j].holds &&
		    op_clock(&w->op[j]) < w->op[j].lease_until)
			fail("op%d says yes while op%d leads", k, j);
}

static bool
may_end_blocked(const char *block)
{
	if (block == NULL)
		return false;
	if (w->sc != NULL && w->sc->end != NULL)
		return strcmp(w->sc->end, block) == 0;
	if (strcmp(block, "DataMissing") == 0)
		return w->wiped;
	return strcmp(block, "Divergence") == 0;
}

/* Acknowledged writes are on the primary, reported, or on a lost volume. */
static void
account(const struct op *o, int a)
{
	int u, i;

	for (u = 0; u < w->uuids; u++) {
		if (w->acked.n[u] <= w->site[a].v.e.n[u] ||
		    w->acked.n[u] <= w->gone.n[u])
			continue;
		for (i = 0; i < w->nsites; i++)
			if (w->site[i].v.e.n[u] >= w->acked.n[u] &&
			    o->s.site[i].diverged)
				break;
		if (i == w->nsites)
			fail("acknowledged writes of server %d are nowhere: "
			     "%d, primary has %d",
			    u, w->acked.n[u], w->site[a].v.e.n[u]);
	}
}

static void
followers(const struct op *o, int a)
{
	const struct site *s;
	int i;

	for (i = 0; i < w->nsites; i++) {
		s = &w->site[i];
		if (i == a)
			continue;
		if (!s->p.ro)
			fail("%s is writable beside the primary",
			    w->c.site[i].name);
		if (o->s.site[i].diverged)
			continue;
		if (!s->v.has_repl || s->v.source != a || !s->p.io || !s->p.sql)
			fail("%s does not replicate from %s at the end "
			     "(%s, clone %s)",
			    w->c.site[i].name, w->c.site[a].name,
			    fsm_convergence_reason(o->s.site[i].conv),
			    fsm_clone_phase_name(o->s.clone_phase));
	}
}

/* One that is diverged stops an update, and so does what a human must lift. */
static void
updates(const struct op *o)
{
	int i;

	if (w->spec == 1 || deploy_done())
		return;
	for (i = 0; i < w->nsites; i++)
		if (o->s.site[i].diverged)
			return;
	for (i = 0; i < w->nsites; i++)
		trace("%s: template %llu, want %llu: %s", w->c.site[i].name,
		    (unsigned long long)w->site[i].dep,
		    (unsigned long long)deploy_want(i),
		    fsm_roll_name(o->view.site[i].roll));
	fail("the update did not end: %s", o->view.cond[5].message);
}

/* Everything is healed and the times have passed. */
void
check_end(void)
{
	const struct op *o;
	const char *block;
	int i, a = -1, n = 0;

	if (w->api.holder == -1) {
		fail("no leader at the end");
		return;
	}
	o = &w->op[w->api.holder];
	block = fsm_verdict_block(o->view.verdict);
	if (may_end_blocked(block))
		return;
	for (i = 0; i < w->nsites; i++)
		if (w->site[i].p.alive && !w->site[i].p.ro) {
			n++;
			a = i;
		}
	if (n != 1) {
		fail("%d writable sites at the end: %s %s", n,
		    fsm_verdict_name(o->view.verdict),
		    fsm_step_name(o->s.step));
		return;
	}
	if (w->api.rec.active != a || o->view.active != a || o->view.dns != a ||
	    o->view.site[a].label != RL_PRIMARY)
		fail("%s is writable, the record says %s", w->c.site[a].name,
		    w->api.rec.active < w->nsites ?
			w->c.site[w->api.rec.active].name :
			"-");
	account(o, a);
	followers(o, a);
	updates(o);
}
