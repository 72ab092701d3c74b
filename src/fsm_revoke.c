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
 * What the leader sends to guards and voters: offers of the newest epoch, and
 * the revocation of those that are in the way of a grant.
 */

#include <string.h>

#include "fsm_int.h"

/* Epochs in the way, the largest one for each site to be told of. */
struct ways {
	uint64_t guard[SITES_MAX]; /* revoke it there */
	uint64_t voter[SITES_MAX]; /* a promise is asked for */
};

static void
larger(uint64_t *v, uint64_t epoch)
{
	if (*v < epoch)
		*v = epoch;
}

/* Not proven ended, and not of the process that shall get the grant. */
static bool
in_the_way(const struct fsm_ctx *x, unsigned k)
{
	const struct fsm_epoch *e = &x->s->rec.unended[k];
	uint8_t to = x->d.site2;

	if (e->terms.guard == 0 || fsm_proof_of(x->s, k) != P_NONE)
		return false;
	return to >= x->c->nsites || e->site != to ||
	    !fsm_same_process(&e->proc, &x->s->site[to].p);
}

static void
revoke(struct fsm_ctx *x, unsigned k, struct ways *w)
{
	struct fsm_state *s = x->s;
	const struct fsm_epoch *e = &s->rec.unended[k];
	const struct fsm_guard *g;
	uint64_t no = fsm_promise_no(s, e);
	unsigned m;
	uint8_t j;

	if (!s->auth[k].revoked) {
		lease_auth_revoke(&s->auth[k], &e->terms, s->quiet_ms, x->now);
		fsm_tell_epoch(x, T_REVOKING, e->site, e->epoch, P_NONE);
	}
	if (e->site < x->c->nsites) {
		g = &s->site[e->site].g;
		if (g->guard == e->terms.guard && g->revoked < no)
			larger(&w->guard[e->site], no);
	}
	if (lease_auth_missing(&s->auth[k], &e->terms) == 0)
		return;
	for (m = 0; m < e->terms.n; m++) {
		j = e->voter_site[m];
		if (j < x->c->nsites && (s->auth[k].promised & 1U << m) == 0)
			larger(&w->voter[j], no);
	}
}

/* Epochs that the record does not know: whoever may hold or renew them. */
static void
revoke_lost(const struct fsm_ctx *x, struct ways *w)
{
	const struct fsm_state *s = x->s;
	uint8_t h, j;

	for (h = 0; h < x->c->nsites; h++) {
		if (!fsm_lost_in_way(x->c, s, h, x->d.site2))
			continue;
		if (s->site[h].g.guard != 0 && s->site[h].g.revoked < s->lost)
			larger(&w->guard[h], s->lost);
		for (j = 0; j < x->c->nsites; j++)
			if (j != h && !fsm_lost_promised(s, j))
				larger(&w->voter[j], s->lost);
	}
}

static void
send(struct fsm_ctx *x, enum fsm_act_type type, uint8_t i, uint64_t epoch,
    int64_t *next)
{
	struct fsm_act *a;

	if (epoch == 0 || !x->s->site[i].link_up || x->now < *next ||
	    (a = fsm_emit(x, type, i)) == NULL)
		return;
	a->epoch = epoch;
	*next = x->now + FSM_LINK_RETRY_MS;
}

/*
 * The epochs that lack a proof are revoked: this leader says no more yes, their
 * guards are told, their voters promise. Never before a proof is missing, so
 * never before the active site was found lost.
 */
static void
revoke_all(struct fsm_ctx *x)
{
	struct fsm_state *s = x->s;
	struct fsm_site *t;
	struct ways w;
	unsigned k;
	uint8_t i;

	memset(&w, 0, sizeof(w));
	if (FSM_GUARD(G_REVOKE_NEEDED, x->d.verdict == V_NO_PROOF)) {
		for (k = 0; k < s->rec.n; k++)
			if (in_the_way(x, k))
				revoke(x, k, &w);
		revoke_lost(x, &w);
	}
	for (i = 0; i < x->c->nsites; i++) {
		t = &s->site[i];
		if (s->rec.active != FSM_NONE ?
			fsm_stray_lease(s, i) :
			x->d.verdict == V_WAIT_SITES && t->g.held != 0 &&
			    fsm_answers(s, i) && t->p.read_only)
			larger(&w.guard[i], t->g.held);
		send(x, A_REVOKE, i, w.guard[i], &t->revoke_next_ms);
		send(x, A_PROMISE_ASK, i, w.voter[i], &t->promise_next_ms);
	}
}

/* The newest epoch, to its guard until that holds it, and now and then. */
static void
offer(struct fsm_ctx *x)
{
	struct fsm_state *s = x->s;
	const struct fsm_epoch *e;
	struct fsm_act *a;
	uint8_t i = s->rec.active;
	int k = fsm_newest(s);

	if (i >= x->c->nsites || k == -1 || s->ended[k] != P_NONE ||
	    s->auth[k].revoked)
		return;
	e = &s->rec.unended[k];
	if (e->terms.guard == 0 || s->site[i].g.guard != e->terms.guard ||
	    s->site[i].g.incarnation != e->terms.incarnation ||
	    s->site[i].g.revoked >= e->epoch)
		return;
	if (s->offered == e->epoch && x->now < s->offer_next_ms)
		return;
	if ((a = fsm_emit(x, A_OFFER, i)) == NULL)
		return;
	if (s->offered != e->epoch)
		s->offered_ms = x->now;
	a->epoch = s->offered = e->epoch;
	s->offer_next_ms = x->now +
	    (fsm_lease_held(s, i, e) ? FSM_OFFER_AGAIN_MS : FSM_LINK_RETRY_MS);
}

void
fsm_revoke(struct fsm_ctx *x)
{
	struct fsm_state *s = x->s;

	if (x->d.step != ST_LEASE)
		s->lease_wait_ms = 0;
	else if (s->lease_wait_ms == 0)
		s->lease_wait_ms = x->now;
	if (x->c->deleting || !s->rec_known || !s->synced || !fsm_can_act(x) ||
	    !fsm_term_written(s))
		return;
	revoke_all(x);
	offer(x);
}
