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

/* Proofs that an epoch has ended, and what may be minted with them. */

#include "explore.h"

/* Its guard's word gets through. */
static bool
heard(const struct world *w, unsigned s)
{
	return keeper_runs(&w->site[s]) && (w->silent & 1U << s) == 0;
}

/*
 * No grant can have made a server writable that has no lease: its guard has
 * seen the last one, and fenced.
 */
static bool
no_grant_ahead(const struct x_op *p)
{
	int64_t late = op_grants_end(p);

	if (late == LEASE_NEVER || weak(W_LATE))
		return late <= p->now;
	late = lease_auth_late_ms(late, x_lease_ms(), X_FENCE);
	if (weak(W_MARGIN))
		late -= lease_margin_ms(x_lease_ms());
	return late <= p->now;
}

static bool
lease_over(const struct world *w, unsigned o, unsigned k)
{
	const struct x_op *p = &w->op[o];
	struct lease_terms t = world_terms(w, k);
	int64_t over =
	    lease_auth_over_ms(&p->auth[k], &t, x_lease_ms(), X_FENCE);

	if (over == LEASE_FOREVER)
		return false;
	if (weak(W_MARGIN) && over != LEASE_NEVER)
		over -= lease_margin_ms(x_lease_ms());
	return over <= p->now && no_grant_ahead(p);
}

/* With this weakness the leader remembers that, also when it leads again. */
void
op_notes(struct world *w, unsigned o)
{
	struct x_op *p = &w->op[o];
	unsigned k;

	for (k = 0; k < w->ne; k++)
		if (p->leads && w->e[k].unended && lease_over(w, o, k))
			p->over |= (uint8_t)(1U << k);
}

/*
 * Both flags ON, by a reading that was sent when no grant could come any more;
 * the margin of two clocks is rounded up to a tick.
 */
static bool
seen_fenced(const struct x_op *p, const struct x_site *s)
{
	int64_t age = weak(W_OLD_READING) ? 0 : s->now - s->g.local_ms;

	if (!s->g.read_only || s->g.local_ms == LEASE_NEVER)
		return false;
	return weak(W_WORD_EARLY) ||
	    lease_auth_read_after(op_grants_end(p), age, p->now - X_TICK);
}

/* The guard's word: it holds no lease of that epoch, and it read read-only. */
static bool
guard_fenced(const struct world *w, unsigned o, unsigned k)
{
	const struct x_site *s = &w->site[w->e[k].site];

	return heard(w, w->e[k].site) && s->g.revoked >= w->e[k].number &&
	    seen_fenced(&w->op[o], s);
}

/* Fenced by SQL and read again, with no grant that could still come. */
static bool
sql_fenced(const struct world *w, unsigned o, unsigned s)
{
	const struct x_site *t = &w->site[s];

	return !t->hung && !t->frozen && (w->silent & 1U << s) == 0 &&
	    (op_grants_end(&w->op[o]) <= w->op[o].now || weak(W_FENCE_RACE));
}

static bool
proven(const struct world *w, unsigned o, unsigned k, bool sql)
{
	const struct x_epoch *e = &w->e[k];
	const struct x_site *s = &w->site[e->site];

	/* Who waited for it says so, or the kubelet. */
	if (!e->live || (!s->alive && (w->silent & 1U << e->site) == 0))
		return true;
	if (weak(W_WORD) && s->had)
		return true;
	if (weak(W_SILENCE))
		return w->op[o].auth[k].revoked;
	if (weak(W_TERM_PROOF) && (w->op[o].over & 1U << k) != 0)
		return true;
	if (sql && sql_fenced(w, o, e->site))
		return true;
	if (heard(w, e->site) && lease_guard_held(&s->g, s->now) > e->number)
		return true;
	return lease_over(w, o, k) || guard_fenced(w, o, k);
}

/*
 * With the record lost every site is seen without a lease and read-only, also
 * the one to be granted: what its guard may hold has terms that nobody knows.
 */
static bool
all_seen(const struct world *w, unsigned o)
{
	const struct x_site *s;
	unsigned i;

	for (i = 0; i < w->nsites; i++) {
		s = &w->site[i];
		if (!heard(w, i))
			return false;
		if (s->alive && (s->g.held || !seen_fenced(&w->op[o], s)))
			return false;
	}
	return true;
}

static bool
own_process(const struct world *w, unsigned k, unsigned s)
{
	return w->e[k].site == s && w->e[k].live && w->site[s].alive;
}

/* Which epochs the record says are unended after the mint. */
unsigned
op_keeps(const struct world *w, unsigned o, unsigned s, bool sql)
{
	unsigned k, keep = 0;
	bool own;

	for (k = 0; k < w->ne; k++) {
		own = own_process(w, k, s);
		if (!w->e[k].unended || proven(w, o, k, sql && !own))
			continue;
		if (weak(W_DROPPED) && own)
			continue;
		keep |= 1U << k;
	}
	return keep;
}

static unsigned
bits(unsigned m)
{
	unsigned n = 0;

	for (; m != 0; m &= m - 1)
		n++;
	return n;
}

bool
op_may_mint(const struct world *w, unsigned o, unsigned s, bool sql)
{
	const struct x_op *p = &w->op[o];
	unsigned k;

	if (!p->leads || p->cut || p->stale || !w->site[s].alive)
		return false;
	if (w->ne == X_EPOCHS) {
		find_table_full();
		return false;
	}
	if (w->norecord && !all_seen(w, o))
		return false;
	for (k = 0; k < w->ne; k++)
		if (w->e[k].unended && !own_process(w, k, s) &&
		    !proven(w, o, k, sql))
			return false;
	return bits(op_keeps(w, o, s, sql)) < X_UNENDED;
}

/*
 * An epoch with those voters would change something: this leader has minted
 * none, or the newest one can't be held, or has others.
 */
bool
op_needs_mint(const struct world *w, unsigned o, unsigned s, unsigned sub)
{
	const struct x_epoch *e;
	const struct x_site *t = &w->site[s];
	unsigned i;
	bool in;
	int k = (int)w->ne - 1;

	while (k >= 0 && !w->e[k].unended)
		k--;
	if (k < 0 || !own_process(w, (unsigned)k, s))
		return true;
	e = &w->e[k];
	if (w->op[o].mine != k && !t->writable)
		return true;
	if (w->op[o].auth[k].revoked || t->g.revoked >= e->number)
		return true;
	for (i = 0; i < w->nsites; i++) {
		in = (sub & 1U << i) != 0;
		if (i != s &&
		    (e->vot[i] != (in ? VOT_NOW : VOT_NONE) ||
			(in && w->site[i].v.promised >= e->number)))
			return true;
	}
	return false;
}
