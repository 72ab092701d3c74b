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
 * Operators, the record, and what they send to MySQL. An operator here is
 * anything that keeps the rules: it does whatever they allow, at any time.
 */

#include <string.h>

#include "explore.h"

/* No grant lands after that, the leader's or one of an earlier leader. */
int64_t
op_grants_end(const struct x_op *p)
{
	return p->old_end > p->own_end ? p->old_end : p->own_end;
}

bool
op_acquires(const struct world *w, unsigned o)
{
	const struct x_op *p = &w->op[o];
	unsigned i;

	for (i = 0; i < X_OPS; i++)
		if (w->op[i].leads && !w->op[i].cut)
			return false;
	return !p->cut && !p->leads &&
	    (p->own || p->now - p->seen >= X_ACQUIRE);
}

/* ------------------------------------------------------------ the record - */

static void
insert(struct world *w, unsigned s, unsigned sub)
{
	struct x_epoch *e = &w->e[w->ne];
	unsigned i;

	memset(e, 0, sizeof(*e));
	e->number = w->ne == 0 ? 10 : w->e[w->ne - 1].number + 10;
	/* What guards and voters report. */
	for (i = 0; i < w->nsites && !weak(W_BACKWARDS); i++)
		while (e->number <= w->site[i].g.revoked ||
		    e->number <= w->site[i].v.promised)
			e->number += 10;
	e->site = (uint8_t)s;
	e->live = e->unended = true;
	for (i = 0; i < w->nsites; i++)
		if ((sub & 1U << i) != 0)
			e->vot[i] = VOT_NOW;
	w->ne++;
}

static void
write_record(struct world *w, unsigned keep, unsigned s, unsigned sub)
{
	unsigned k;

	for (k = 0; k < w->ne; k++)
		w->e[k].unended = (keep & 1U << k) != 0;
	insert(w, s, sub);
	w->norecord = false;
	if (!weak(W_NO_CAS))
		w->put.on = false;
}

static void
mint(struct world *w, unsigned o, unsigned s, unsigned sub, bool sql)
{
	struct x_op *p = &w->op[o];
	unsigned i, keep = op_keeps(w, o, s, sql);

	for (i = 0; sql && i < w->nsites; i++)
		if (i != s && !w->site[i].hung && !w->site[i].frozen)
			w->site[i].writable = false;
	write_record(w, keep, s, sub);
	for (i = 0; i < X_OPS; i++)
		w->op[i].stale = i != o && w->op[i].leads;
	p->mine = (int)w->ne - 1;
	p->saw = LEASE_NEVER;
	lease_auth_init(&p->auth[p->mine]);
	p->since[p->mine] = LEASE_NEVER;
}

/* Its write is under way when the leader is cut off or dies. */
static void
leave_put(struct world *w, unsigned o, unsigned s, unsigned sub)
{
	w->put.on = true;
	w->put.site = (uint8_t)s;
	w->put.sub = (uint8_t)sub;
	w->put.keep = (uint8_t)op_keeps(w, o, s, false);
	/* Once it is sent no older epoch is granted, whatever becomes of it. */
	if (!weak(W_UNSURE))
		w->op[o].mine = -1;
}

static void
land_put(struct world *w)
{
	unsigned o;

	w->put.on = false;
	if (w->ne == X_EPOCHS)
		return;
	write_record(w, w->put.keep, w->put.site, w->put.sub);
	w->put.on = false;
	if (!w->site[w->put.site].alive)
		w->e[w->ne - 1].live = false;
	for (o = 0; o < X_OPS; o++) {
		lease_auth_init(&w->op[o].auth[w->ne - 1]);
		w->op[o].since[w->ne - 1] = LEASE_NEVER;
	}
}

/* -------------------------------------------------------------- the Lease */

static void
forget(struct x_op *p)
{
	unsigned k;

	p->leads = p->stale = false;
	p->mine = -1;
	p->saw = LEASE_NEVER;
	p->until = 0;
	p->old_end = p->own_end = LEASE_NEVER;
	for (k = 0; k < X_EPOCHS; k++) {
		lease_auth_init(&p->auth[k]);
		p->since[k] = LEASE_NEVER;
	}
}

/*
 * It leads no more, and is well at once: a crash that lasts, or a cut, could
 * only keep it from leading again.
 */
static void
depose(struct world *w, unsigned o, bool clean)
{
	unsigned i;

	forget(&w->op[o]);
	w->op[o].cut = false;
	for (i = 0; i < X_GRANTS; i++)
		if (w->grant[i].op == (int)o)
			w->grant[i].op = -1;
	if (!clean)
		return;
	w->clean = true;
	for (i = 0; i < X_OPS; i++)
		w->op[i].seen = w->op[i].now - X_ACQUIRE;
}

/*
 * So long it acts. (With that weakness as long as nobody else can take the
 * Lease, which would do, if it did not say less.)
 */
int64_t
op_until(const struct x_op *p)
{
	return p->now + (weak(W_ACTS) ? X_ACQUIRE : X_LEAD);
}

/*
 * Its predecessor has not acted since then: it renewed the Lease before that
 * was seen, and said how long it acts. Nobody says that of a Lease that was
 * given up, nor of the own one.
 */
static int64_t
quiet(const struct world *w, const struct x_op *p)
{
	int64_t at = p->seen + X_QUIET - (weak(W_QUIET) ? X_MISSED : 0);

	if (w->clean || p->now - p->seen < X_ACQUIRE || at > p->now)
		return p->now;
	return at;
}

static void
acquire(struct world *w, unsigned o)
{
	struct x_op *p = &w->op[o];
	int64_t since = quiet(w, p);
	struct x_epoch *e;
	unsigned i;

	forget(p);
	p->leads = true;
	for (i = 0; i < w->ne && !weak(W_PREDECESSOR); i++)
		p->since[i] = since;
	p->until = op_until(p);
	for (i = 0; i < X_OPS; i++) {
		w->op[i].seen = w->op[i].now;
		w->op[i].own = i == o;
	}
	if (!weak(W_OLD_GRANTS) && !(weak(W_RELEASE) && w->clean))
		p->old_end = since + X_TTL + X_MARGIN;
	w->clean = false;
	for (i = 0; i < w->ne; i++) {
		e = &w->e[i];
		if (weak(W_ABANDONED) && !w->site[e->site].g.held)
			e->unended = false;
	}
	/*
	 * Its first act is a write of the record: what its predecessor sent
	 * can't land any more.
	 */
	if (!weak(W_UNWRITTEN) && !weak(W_NO_CAS))
		w->put.on = false;
}

/* -------------------------------------------------------------- the grant */

static void
grant(struct world *w, unsigned o, unsigned s)
{
	struct x_op *p = &w->op[o];
	unsigned i;

	for (i = 0; i < X_GRANTS && w->grant[i].on; i++)
		;
	if (i == X_GRANTS)
		return;
	w->grant[i].on = true;
	w->grant[i].site = (uint8_t)s;
	w->grant[i].op = (int)o;
	w->grant[i].limit = w->site[s].now + X_TTL;
	p->own_end = p->now + X_TTL + X_MARGIN;
}

/* It is answered at once: later would only make the leader wait longer. */
static void
land(struct world *w, unsigned i)
{
	struct x_grant *g = &w->grant[i];

	g->on = false;
	if (w->site[g->site].alive)
		w->site[g->site].writable = true;
	if (g->op != -1)
		w->op[g->op].own_end = w->op[g->op].now;
}

/* ---------------------------------------------------------- revocation --- */

/* With this weakness that is the promise of a voter. */
static void
left_out(struct world *w, struct x_op *p, unsigned k)
{
	struct lease_terms t = world_terms(w, k);
	unsigned i, n = w->ne - 1;

	while (!w->e[n].unended || w->e[n].site != w->e[k].site)
		n--;
	for (i = 0; i < w->nsites; i++)
		if (w->e[k].vot[i] == VOT_NOW && w->e[n].vot[i] == VOT_NONE)
			lease_auth_promise(
			    &p->auth[k], &t, w->site[i].v.id, 0, p->now);
}

/* All epochs of that site's process: one alone would help nobody. */
static void
revoke(struct world *w, unsigned o, unsigned s)
{
	struct x_op *p = &w->op[o];
	struct lease_terms t;
	unsigned k;

	for (k = 0; k < w->ne; k++) {
		if (!w->e[k].unended || w->e[k].site != s)
			continue;
		t = world_terms(w, k);
		if (weak(W_ANEW)) {
			lease_auth_init(&p->auth[k]);
			p->since[k] = p->now;
		}
		lease_auth_revoke(&p->auth[k], &t, p->since[k], p->now);
		if (weak(W_FEW) && t.n > 1)
			lease_auth_promise(&p->auth[k], &t, t.voter[t.n - 1],
			    x_over() * X_TICK, p->now);
		if (weak(W_LEFT_OUT))
			left_out(w, p, k);
	}
}

/* The older first: each one's age is then its own. */
static void
promise(struct world *w, unsigned o, unsigned s, unsigned yes)
{
	struct x_op *p = &w->op[o];
	struct lease_terms t;
	unsigned k;
	int64_t age;

	if (yes > 0)
		keep_yes_at(w, s, (yes - 1) * X_TICK);
	for (k = 0; k < w->ne; k++) {
		if (!w->e[k].unended || !p->auth[k].revoked ||
		    w->e[k].vot[s] != VOT_NOW)
			continue;
		t = world_terms(w, k);
		age =
		    lease_voter_promise(&w->site[s].v, t.epoch, w->site[s].now);
		lease_auth_promise(
		    &p->auth[k], &t, w->site[s].v.id, age, p->now);
	}
}

static void
revoke_guard(struct world *w, unsigned o, unsigned s)
{
	unsigned k;

	for (k = 0; k < w->ne; k++)
		if (w->e[k].site == s &&
		    (w->norecord ||
			(w->e[k].unended && w->op[o].auth[k].revoked)))
			lease_guard_revoke(
			    &w->site[s].g, w->e[k].number, w->site[s].now);
	site_settle(w, s);
}

/* A sidecar is seen dead: with this weakness that is its promise. */
void
op_saw_dead(struct world *w, unsigned s)
{
	struct lease_terms t;
	unsigned o, k;

	for (o = 0; o < X_OPS; o++)
		for (k = 0; k < w->ne; k++) {
			t = world_terms(w, k);
			if (w->op[o].leads && w->op[o].auth[k].revoked)
				lease_auth_promise(&w->op[o].auth[k], &t,
				    w->site[s].v.id, 0, w->op[o].now);
		}
}

/* With all that any operator remembers of it. */
static void
lose_record(struct world *w)
{
	unsigned i;

	for (i = 0; i < w->ne; i++)
		w->e[i].unended = false;
	w->norecord = true;
	w->put.on = false;
	/* With this weakness all that there was is larger than what comes. */
	for (i = 0; i < w->nsites && weak(W_BACKWARDS); i++) {
		if (w->site[i].g.revoked != 0)
			w->site[i].g.revoked = X_LARGE;
		if (w->site[i].v.promised != 0)
			w->site[i].v.promised = X_LARGE;
	}
	for (i = 0; i < X_OPS; i++) {
		w->op[i].over = 0;
		depose(w, i, false);
	}
}

/* Its deadline has passed: it says no, and what it knew matters no more. */
void
op_runs_out(struct world *w, unsigned o)
{
	depose(w, o, false);
}

void
op_apply(struct world *w, struct action a)
{
	struct x_op *p = &w->op[a.a];

	switch (a.kind) {
	case K_ACQUIRE:
		acquire(w, a.a);
		break;
	case K_MINT:
	case K_MINT_FENCE:
		mint(w, a.a, a.b, a.c, a.kind == K_MINT_FENCE);
		break;
	case K_LAND_PUT:
		land_put(w);
		break;
	case K_GRANT:
		grant(w, a.a, a.b);
		break;
	case K_LAND:
		land(w, a.b);
		break;
	case K_SQL_FENCE:
		w->site[a.b].writable = false;
		break;
	case K_REVOKE:
		revoke(w, a.a, a.b);
		break;
	case K_PROMISE:
		promise(w, a.a, a.b, a.c);
		break;
	case K_REVOKE_GUARD:
		revoke_guard(w, a.a, a.b);
		break;
	case K_HEAL_CUT:
		p->cut = false;
		break;
	case K_CRASH_PUT:
		leave_put(w, a.a, a.b, a.c);
		/* FALLTHROUGH */
	case K_CRASH:
		depose(w, a.a, false);
		p->over = 0;
		break;
	case K_CUT_PUT:
		leave_put(w, a.a, a.b, a.c);
		/* FALLTHROUGH */
	case K_CUT:
		p->cut = true;
		break;
	case K_RELEASE:
		depose(w, a.a, a.b == 0);
		break;
	case K_RECORD:
		lose_record(w);
		break;
	default:
		break;
	}
}

/* A voter that remembers nothing hears from whoever leads: as soon as it can. */
static void
tell(struct world *w, unsigned o)
{
	unsigned i;

	for (i = 0; w->op[o].leads && i < w->nsites; i++)
		if (!w->site[i].frozen)
			lease_voter_told(&w->site[i].v, 0);
}

/*
 * The leader learns at once that its guard holds the lease, and tells new
 * voters at once that it leads: later would only allow less. What it learned
 * may be old when it acts.
 */
void
op_learn(struct world *w)
{
	const struct x_site *s;
	struct x_op *p;
	unsigned o;

	for (o = 0; o < X_OPS; o++) {
		p = &w->op[o];
		tell(w, o);
		if (weak(W_TERM_PROOF))
			op_notes(w, o);
		if (p->mine == -1)
			continue;
		s = &w->site[w->e[p->mine].site];
		if (w->e[p->mine].live && keeper_runs(s) &&
		    lease_guard_held(&s->g, s->now) == w->e[p->mine].number)
			p->saw = p->now;
	}
}
