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

/* Plans: when which fault strikes and heals, of scenarios and of chance. */

#include <string.h>

#include "sim.h"

static int
site_of(int line)
{
	const struct script *l = &w->plan[line];
	int i;

	if (l->site == S_ACTIVE)
		return api_active();
	if (l->site == S_OTHER) {
		for (i = 0; i == api_active(); i++)
			;
		return i;
	}
	if (l->site == S_SUBJECT) {
		i = w->api.holder == -1 ? FSM_NONE :
					  w->op[w->api.holder].s.subject;
		return i < w->nsites ? i : api_active();
	}
	return l->site % w->nsites;
}

static void
expect(const struct script *l)
{
	const struct op *o = &w->op[w->api.holder == -1 ? 0 : w->api.holder];
	const char *got;

	if (l->fault == F_CHECK_ACTIVE)
		got = o->view.active < w->nsites ?
		    w->c.site[o->view.active].name :
		    "-";
	else
		got = fsm_verdict_block(o->view.verdict);
	if (got == NULL)
		got = "-";
	if (strcmp(got, l->want) != 0)
		fail("at %d s: expected %s, got %s (%s)", l->at, l->want, got,
		    fsm_verdict_name(o->view.verdict));
}

static int
op_struck(const struct script *l)
{
	int leader = w->api.holder == -1 ? 0 : w->api.holder;

	if (l->site == S_STANDBY)
		return (leader + 1) % OPS;
	return l->site == S_LEADER ? leader : l->site % OPS;
}

/* Line n strikes, n + 100 heals. */
void
strike(int n)
{
	int line = n % 100;
	bool on = n < 100;
	const struct script *l = &w->plan[line];

	if (on) {
		w->active_at[line] = site_of(line);
		w->op_at[line] = op_struck(l);
	}
	trace("--- %s %s %s", fault_name(l->fault),
	    w->c.site[w->active_at[line]].name, on ? "begins" : "ends");
	if (l->fault != F_CHECK_ACTIVE && l->fault != F_CHECK_BLOCK)
		fault_acts(l, w->active_at[line], on);
	else if (on)
		expect(l);
}

void
heal_all(void)
{
	int n;

	trace("--- everything is healed");
	for (n = 0; n < w->nplan; n++)
		if (w->plan[n].dur > 0)
			strike(n + 100);
	if (w->sc == NULL)
		spec_whole();
	w->healed_at = w->now;
}

/*
 * Where no kubelet's word counts, only a human can say what is dead, when
 * somebody asks.
 */
void
human(void)
{
	const struct op *o;

	if (!w->unknown_word || w->api.holder == -1)
		return;
	o = &w->op[w->api.holder];
	if (o->s.verdict == V_NO_PROOF && o->s.subject < w->nsites)
		assert_dead(o->s.subject, false);
}

/* Whom it strikes: often who matters most. */
static uint8_t
any_site(unsigned fault)
{
	switch (fault) {
	case F_OP_CRASH:
	case F_OP_CUT_API:
	case F_OP_ISOLATE:
	case F_OP_FREEZE:
		return rnd(4) > 0 ? S_LEADER : (uint8_t)rnd(OPS);
	case F_ASSERT:
	case F_LIE:
	case F_OVERRIDE:
		return rnd(4) > 0 ? S_SUBJECT : (uint8_t)rnd(16);
	default:
		return rnd(3) > 0 ? S_ACTIVE : (uint8_t)rnd(16);
	}
}

/* What belongs together: each begun, or a word given, while others last. */
static const uint8_t themes[][14] = {
	{ F_OPS_DOWN, F_OPS_DOWN, F_REC_OLD, F_REC_WIPE, F_BACKUP, F_RECREATE,
	    F_ISOLATE, F_HOLD, F_POWER, F_MEM_LOST, F_LEASE_MS, F_OP_CRASH,
	    F_REMOVE, F_KILL_CTR },
	{ F_LEASE_GONE, F_LEASE_EMPTIED, F_LEASE_SHORT, F_OP_CUT_API,
	    F_OP_ISOLATE, F_OP_FREEZE, F_OP_CRASH, F_ISOLATE, F_LOSSY,
	    F_CUT_LEADER, F_FENCE, F_API_DOWN, F_STALL, F_HOLD },
	{ F_BAD, F_BAD, F_SLOW, F_HOLD, F_HOLD, F_OVERRIDE, F_OVERRIDE,
	    F_OP_CRASH, F_STALL, F_CUT_REPL, F_LOSSY, F_OP_FREEZE, F_POWER,
	    F_FENCE },
	{ F_ISOLATE, F_ISOLATE, F_POWER, F_LIE, F_LIE, F_ASSERT, F_CUT_OP,
	    F_CUT_SQL, F_CUT_PEERS, F_CUT_LINK, F_OP_CRASH, F_CUT_REPL,
	    F_CONFUSED, F_STUCK },
	{ F_REMOVE, F_REMOVE, F_DEMOTE, F_DEMOTE, F_LEASE_MS, F_UPDATE, F_HOLD,
	    F_ISOLATE, F_BACKUP, F_REC_OLD, F_CUT_PEERS, F_POD_DELETE, F_POWER,
	    F_OP_CRASH },
};

/*
 * A wipe of everything proves nothing. Nor does a record that is put back where
 * servers have no guards: nobody else could know of what it lacks.
 */
static unsigned
any_fault(unsigned theme)
{
	unsigned all = sizeof(themes) / sizeof(themes[0]), f;

	f = theme < all ? themes[theme][rnd(sizeof(themes[0]))] :
			  F_KILL + rnd(F_CHECK_ACTIVE - F_KILL);
	switch (f) {
	case F_REC_OLD:
	case F_REC_WIPE:
		return w->bare ? F_KILL : f;
	case F_WIPE:
	case F_ROLLBACK:
		return rnd(3) > 0 ? F_KILL : f;
	default:
		return f;
	}
}

/* Of three plans one has a theme, and its faults within seconds. */
void
plan_random(void)
{
	unsigned theme = rnd(3 * sizeof(themes) / sizeof(themes[0]));
	bool meet = theme < sizeof(themes) / sizeof(themes[0]);
	struct script *l;
	int n, at = 2;

	w->nplan = (meet ? 4 : 2) + (int)rnd(7);
	for (n = 0; n < w->nplan; n++) {
		l = &w->plan[n];
		l->fault = (uint8_t)any_fault(theme);
		at += (int)rnd(meet ? 6 : 30);
		l->at = at;
		/* Who gives a word has looked for a while. */
		if (meet &&
		    (l->fault == F_ASSERT || l->fault == F_LIE ||
			l->fault == F_OVERRIDE))
			l->at += (int)rnd(90);
		l->dur = 1 + (int)rnd(rnd(3) == 0 ? 120 : 30);
		l->site = any_site(l->fault);
	}
}
