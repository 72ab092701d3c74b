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
	w->healed_at = w->now;
}

/* Where no kubelet's word counts, only a human can say what is dead. */
void
human(void)
{
	int i;

	for (i = 0; w->unknown_word && i < w->nsites; i++)
		assert_dead(i);
}

void
plan_random(void)
{
	struct script *l;
	int n, at = 2;

	w->nplan = 2 + (int)rnd(7);
	for (n = 0; n < w->nplan; n++) {
		l = &w->plan[n];
		l->fault = (uint8_t)(F_KILL + rnd(F_CHECK_ACTIVE - F_KILL));
		at += (int)rnd(30);
		l->at = at;
		l->dur = 1 + (int)rnd(rnd(3) == 0 ? 90 : 25);
		l->site = rnd(3) > 0 ? S_ACTIVE : (uint8_t)rnd(16);
		if (l->fault == F_OP_CRASH || l->fault == F_OP_CUT_API ||
		    l->fault == F_OP_ISOLATE || l->fault == F_OP_FREEZE)
			l->site = rnd(4) > 0 ? S_LEADER : (uint8_t)rnd(OPS);
		/* a wipe of everything proves nothing */
		if ((l->fault == F_WIPE || l->fault == F_ROLLBACK) &&
		    rnd(3) > 0)
			l->fault = F_KILL;
	}
}
