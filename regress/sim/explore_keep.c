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
 * What of a state can still matter. Less is more here: what is left out can't
 * change what the sites may do, or could only hold operators back. The search
 * for groups that stay blocked needs the latter, and keeps it (keep_all).
 */

#include <string.h>

#include "explore.h"

static bool all, whole;

void
keep_all(bool b)
{
	all = b;
}

void
keep_whole(bool b)
{
	whole = b;
}

bool
keep_is_whole(void)
{
	return whole;
}

bool
keep_grant_sent(const struct world *w, unsigned i)
{
	unsigned k;

	for (k = 0; k < X_GRANTS; k++)
		if (w->grant[k].on && w->grant[k].site == i)
			return true;
	return false;
}

static bool
keep_may_write(const struct world *w, unsigned i)
{
	return w->site[i].writable || keep_grant_sent(w, i);
}

/* A grant is under way to it, or may be sent yet. */
bool
keep_grant_comes(const struct world *w, unsigned i)
{
	const struct x_op *p;
	unsigned k;

	for (k = 0; k < X_OPS; k++) {
		p = &w->op[k];
		if (p->leads && p->mine != -1 && w->e[p->mine].site == i &&
		    w->e[p->mine].live &&
		    (weak(W_EARLY) ||
			(p->saw != LEASE_NEVER && p->now - p->saw <= X_REPORT)))
			return true;
	}
	return keep_grant_sent(w, i);
}

bool
keep_someones(const struct world *w, unsigned i)
{
	unsigned k;

	for (k = 0; k < X_OPS; k++)
		if (w->op[k].leads && w->op[k].mine == (int)i)
			return true;
	return false;
}

/*
 * Could a guard still get the lease of an epoch that is in no record? The
 * leader says no; of the others those that have not promised.
 */
static bool
renewable(const struct world *w, unsigned i)
{
	const struct x_epoch *e = &w->e[i];
	unsigned s, n = 1, yes = 0;

	for (s = 0; s < w->nsites; s++) {
		if (e->vot[s] == VOT_NONE)
			continue;
		n++;
		if (e->vot[s] == VOT_NOW && w->site[s].v.promised < e->number)
			yes++;
	}
	return yes >= lease_quorum((uint8_t)n) || weak_promises();
}

/*
 * May that epoch still let its site write? Not when its process has ended. And
 * not when its server is read-only, no grant is under way to it, and no leader
 * has minted it: nobody will grant it then. Such an epoch could only keep
 * others from being minted until it is proven ended, which it is: without it
 * more is possible, not less. (The search for groups that stay blocked needs
 * it all the same: all.)
 */
bool
keep_epoch(const struct world *w, unsigned i)
{
	const struct x_epoch *e = &w->e[i];
	const struct x_site *s = &w->site[e->site];
	const struct lease_guard *g = &s->g;

	if (!e->live || (!s->alive && (w->silent & 1U << e->site) == 0))
		return false;
	if (all)
		return e->unended || w->norecord ||
		    (w->put.on && (w->put.keep & 1U << i) != 0) ||
		    e->number == g->cur.t.epoch;
	if (!keep_may_write(w, e->site))
		return keep_someones(w, i);
	/* The guard holds a later one: it never comes back to this. */
	if (g->held && e->number < g->cur.t.epoch)
		return false;
	if (e->unended || (w->put.on && (w->put.keep & 1U << i) != 0))
		return true;
	if (e->number == g->cur.t.epoch || e->number == g->next.t.epoch)
		return true;
	return e->number > g->revoked && e->number > g->cur.t.epoch &&
	    e->number > g->next.t.epoch && renewable(w, i);
}

/*
 * How long ago is what the leader counts for that epoch anyway? Nobody leads:
 * whoever does next counts from what it saw of the Lease, or from later.
 */
int64_t
keep_leader_age(const struct world *w, unsigned e)
{
	const struct x_op *p;
	int64_t age = LEASE_NEVER, t;
	unsigned o;

	for (o = 0; o < X_OPS; o++) {
		p = &w->op[o];
		if (p->leads) {
			t = p->auth[e].revoked ? p->auth[e].newest_ms :
			    p->auth[e].yes_ms > p->since[e] ?
						 p->auth[e].yes_ms :
						 p->since[e];
			return t == LEASE_NEVER ? LEASE_FOREVER : p->now - t;
		}
		t = p->now - p->seen - X_QUIET + (weak(W_QUIET) ? X_MISSED : 0);
		if (t > age)
			age = t;
	}
	return age;
}

/*
 * Nobody will write by an epoch again that no leader has minted, once its
 * server is read-only and no grant is under way: if the server is granted
 * later, then by a later epoch.
 */
void
keep_mark(struct world *w)
{
	unsigned i;

	for (i = 0; all && i < w->ne; i++)
		if (!keep_someones(w, i) && !keep_may_write(w, w->e[i].site))
			w->e[i].dead = true;
}

/*
 * How long a leader has still to wait for the lease of such an epoch decides
 * only whether its next mint comes later, or leaves that epoch in the record.
 * States that differ in nothing else are merged: with what a mint makes of both
 * (keep_long), and each run of explore_live begins without the wait and with
 * the longest one, and has those that come up itself.
 */
bool
keep_waits(const struct world *w, unsigned e)
{
	return !all || whole || w->run || !w->e[e].dead;
}

/* Nor whether its guard has read a server since that was fenced by SQL. */
bool
keep_reading(const struct world *w, unsigned i)
{
	const struct x_site *s = &w->site[i];

	return !all || whole || w->run || keep_may_write(w, i) || s->hung ||
	    !keeper_runs(s);
}

/*
 * When no grant may come any more matters, likewise, while somebody may write:
 * else none is under way, and one that is sent counts from then.
 */
bool
keep_grants_end(const struct world *w)
{
	unsigned i;

	for (i = 0; i < w->nsites; i++)
		if (keep_may_write(w, i))
			return true;
	return w->run || (all && whole);
}

/* But, in the search for groups that stay blocked, what lies ahead of it. */
bool
keep_old_end(void)
{
	return all && !whole;
}

/* Would the answer under way change anything? */
bool
keep_late(const struct world *w)
{
	const struct x_site *s = &w->site[w->late.site];
	uint64_t epoch = w->e[w->late.epoch].number;

	if (weak(W_RECEIPT))
		return true;
	if (s->now - w->late.sent >= x_lease_ms())
		return false;
	return epoch == s->g.next.t.epoch ||
	    (epoch == s->g.cur.t.epoch && !s->g.held);
}

static bool
voter_waits(const struct world *w, unsigned site, unsigned k)
{
	return w->e[k].vot[site] == VOT_NOW && w->e[k].unended &&
	    !keep_waits(w, k);
}

static void
said_yes(struct world *w, unsigned site, unsigned k, int64_t age)
{
	struct lease_voter *v = &w->site[site].v;
	unsigned n;

	for (n = 0; v->yes[n].epoch != 0 && v->yes[n].epoch != w->e[k].number;
	    n++)
		;
	v->yes[n].epoch = w->e[k].number;
	v->yes[n].ms = w->site[site].now - age;
}

static void
just_renewed(struct world *w, unsigned k)
{
	struct x_op *p;
	unsigned i;

	for (i = 0; i < X_OPS; i++) {
		p = &w->op[i];
		if (p->leads)
			p->auth[k].yes_ms = p->auth[k].newest_ms = p->now;
	}
	for (i = 0; i < w->nsites; i++)
		if (voter_waits(w, i, k))
			said_yes(w, i, k, 0);
}

/*
 * With its promise never to renew a later epoch a voter says when it said yes
 * last, be it to a dead one. True: the state does not say when that was.
 */
bool
keep_yes_unknown(const struct world *w, unsigned site)
{
	unsigned k;

	for (k = 0; k < w->ne; k++)
		if (voter_waits(w, site, k))
			return true;
	return false;
}

/* Say it. */
void
keep_yes_at(struct world *w, unsigned site, int64_t age)
{
	unsigned k;

	for (k = 0; k < w->ne; k++)
		if (voter_waits(w, site, k))
			said_yes(w, site, k, age);
}

/*
 * Of what a merged state stands for that with these waits, as long as they can
 * be. Bit 0: the oldest such epoch has just been renewed, bit 1: all others;
 * both: and the last grant was just sent, and no guard has read since.
 * False: it is that state already.
 */
bool
keep_long(struct world *w, unsigned waits)
{
	struct world was = *w;
	unsigned i, k, oldest = w->ne;

	for (k = w->ne; k > 0; k--)
		if (w->e[k - 1].unended && !keep_waits(w, k - 1))
			oldest = k - 1;
	for (k = oldest; k < w->ne; k++)
		if (w->e[k].unended && !keep_waits(w, k) &&
		    (waits & (k == oldest ? 1 : 2)) != 0)
			just_renewed(w, k);
	if (waits == 3) {
		for (i = 0; i < X_OPS; i++)
			if (w->op[i].leads && !keep_grants_end(w))
				w->op[i].own_end =
				    w->op[i].now + X_TTL + X_MARGIN;
		for (i = 0; i < w->nsites; i++)
			if (!keep_reading(w, i))
				w->site[i].g.read_only = false;
	}
	return memcmp(&was, w, sizeof(was)) != 0;
}
