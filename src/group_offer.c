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
 * What the leader says about epochs: their signed terms to the guard and its
 * voters, again whenever one of them connects anew or another address is
 * theirs; revocations; requests for promises; the yes to a guard's question.
 *
 * All of it ends with the Lease: signatures are made right before they are
 * sent, never kept.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "group_int.h"

bool
groups_leading(const struct groups *gs)
{
	return gs->lease.held && !gs->released &&
	    monotime_now().ns < gs->lease.deadline_ns;
}

const struct m_epoch *
group_epoch(const struct group *g, uint64_t epoch)
{
	for (unsigned i = 0; g->have_rec && i < g->rec.n_unended; i++)
		if (g->rec.unended[i].epoch == epoch)
			return &g->rec.unended[i];
	return NULL;
}

/* ------------------------------------------------------------------- terms - */

static void
fill_authority(
    const struct group *g, const struct m_epoch *e, struct w_authority *a)
{
	memset(a, 0, sizeof(*a));
	(void)strlcpy(a->group, g->fg, sizeof(a->group));
	(void)strlcpy(a->site, e->site, sizeof(a->site));
	(void)strlcpy(a->pod_uid, e->pod_uid, sizeof(a->pod_uid));
	a->epoch = e->epoch;
	a->prev = e->prev;
	a->guard = e->guard;
	a->incarnation = e->incarnation;
	a->lease_ms = e->lease_ms;
	a->fence_ms = e->fence_ms;
	a->check_ms = (uint32_t)g->conf.check_ms;
	a->quorum = e->quorum;
	a->n_voters = e->n_voters;
	for (unsigned i = 0; i < e->n_voters; i++) {
		a->voters[i].id = e->voters[i].id;
		(void)strlcpy(a->voters[i].site, e->voters[i].site,
		    sizeof(a->voters[i].site));
	}
}

/* Where its voters are now; the operator comes by itself. */
static void
fill_addrs(struct group *g, const struct m_epoch *e, struct w_offer *o)
{
	const struct gpod *p;
	struct w_addr *a;

	for (unsigned i = 0; i < e->n_voters; i++) {
		if (e->voters[i].site[0] == '\0' ||
		    (p = group_site_pod(g, e->voters[i].site)) == NULL)
			continue;
		a = &o->addrs[o->n_addrs++];
		a->id = e->voters[i].id;
		(void)strlcpy(a->ip, p->ip, sizeof(a->ip));
		a->port = BR_LINK_PORT;
	}
}

static bool
concerns(const struct m_epoch *e, const char *site)
{
	if (strcmp(e->site, site) == 0)
		return true;
	for (unsigned i = 0; i < e->n_voters; i++)
		if (strcmp(e->voters[i].site, site) == 0)
			return true;
	return false;
}

static bool
make_offer(struct group *g, const struct m_epoch *e, struct w_offer *o)
{
	const struct wire_key *key = parent_key(g->parent);
	static struct w_authority a;

	if (key == NULL || !groups_leading(g->all))
		return false;
	memset(o, 0, sizeof(*o));
	fill_authority(g, e, &a);
	fill_addrs(g, e, o);
	o->n_authority = 1;
	if (wire_sign(W_AUTHORITY, &a, key, &o->authority[0]) == -1) {
		log_ev(LL_ERROR, "authority not signed", KVS("fg", g->fg),
		    KVU("epoch", e->epoch), KVS("error", strerror(errno)));
		return false;
	}
	return true;
}

/* What makes an offer another one, besides its epoch. */
static uint64_t
offer_hash(struct group *g, const struct m_epoch *e)
{
	static struct w_offer o;

	memset(&o, 0, sizeof(o));
	fill_addrs(g, e, &o);
	return group_hash(o.addrs, sizeof(o.addrs)) ^
	    (uint64_t)g->conf.check_ms;
}

/* It is not over for this leader. */
static bool
stands(const struct group *g, uint64_t epoch)
{
	const struct fsm_state *s = &g->fs;

	for (unsigned k = 0; k < s->rec.n; k++)
		if (s->rec.unended[k].epoch == epoch &&
		    (s->ended[k] != P_NONE || s->auth[k].revoked))
			return false;
	return true;
}

/* The epoch on offer, NULL: none. */
static const struct m_epoch *
on_offer(const struct group *g)
{
	if (g->offer.epoch == 0 || !groups_leading(g->all) ||
	    !stands(g, g->offer.epoch))
		return NULL;
	return group_epoch(g, g->offer.epoch);
}

/*
 * The i-th unended epoch, when its terms are to be told: the one on offer, or
 * one of the same process before it. That is in force until the newer one has
 * its quorum, and must not be left with a signature that voters forget, nor
 * with addresses where they are no more. NULL: nobody is to hear of it.
 */
static const struct m_epoch *
to_tell(const struct group *g, unsigned i)
{
	const struct m_epoch *e = on_offer(g), *o = &g->rec.unended[i];

	if (e == NULL || o->epoch > e->epoch || o->guard != e->guard ||
	    o->incarnation != e->incarnation || strcmp(o->site, e->site) != 0 ||
	    strcmp(o->pod_uid, e->pod_uid) != 0 || !stands(g, o->epoch))
		return NULL;
	return o;
}

/* To the guard's sidecar and to each voter's that is linked; how many. */
static unsigned
offer_one(struct group *g, const struct m_epoch *e)
{
	static struct w_offer o;
	struct gvoice *v;
	unsigned n = 0;

	if (!make_offer(g, e, &o))
		return 0;
	TAILQ_FOREACH (v, &g->voices, entry)
		if (v->link != NULL && concerns(e, v->site) &&
		    glink_send(v->link, W_OFFER, &o))
			n++;
	return n;
}

static uint64_t
hash_all(struct group *g)
{
	const struct m_epoch *e;
	uint64_t h = 0;

	for (unsigned i = 0; i < g->rec.n_unended; i++)
		if ((e = to_tell(g, i)) != NULL)
			h = h * 31 + offer_hash(g, e);
	return h;
}

static void
offer_all(struct group *g)
{
	const struct m_epoch *e = on_offer(g), *o;
	unsigned n = 0, epochs = 0;
	uint64_t h;

	g->offer.due = e != NULL && !glinks_room(g->all);
	if (e == NULL || g->offer.due || parent_key(g->parent) == NULL)
		return;
	for (unsigned i = 0; i < g->rec.n_unended; i++)
		if ((o = to_tell(g, i)) != NULL) {
			n += offer_one(g, o);
			epochs++;
		}
	/* The core repeats it; what is the same is not news. */
	h = hash_all(g);
	if (g->offer.hash == h && g->offer.sent_to == n + 1)
		return;
	g->offer.hash = h;
	g->offer.sent_to = n + 1;
	log_ev(LL_INFO, "epoch offered", KVS("fg", g->fg), KVS("site", e->site),
	    KVU("epoch", e->epoch), KVU("prev", e->prev),
	    KVU("guard", e->guard), KVU("incarnation", e->incarnation),
	    KVU("voters", e->n_voters), KVU("quorum", e->quorum),
	    KVMS("lease", e->lease_ms), KVU("epochs", epochs),
	    KVU("frames", n));
}

void
act_offer(struct group *g, const struct fsm_act *a)
{
	if (g->offer.epoch != a->epoch)
		g->offer = (struct goffer) { .epoch = a->epoch };
	offer_all(g);
}

/* Somebody moved, or guards shall ask in another rhythm. */
void
group_offer_refresh(struct group *g)
{
	if (on_offer(g) != NULL && g->offer.hash != hash_all(g))
		offer_all(g);
}

/* With another key of ours all is said again. */
void
group_offer_again(struct group *g)
{
	offer_all(g);
}

/* Those that had to wait, as far as there is room now. */
void
groups_offer_due(struct groups *gs)
{
	struct group *g;

	TAILQ_FOREACH (g, &gs->list, entry)
		if (g->offer.due)
			offer_all(g);
}

/* A sidecar that is linked anew may have forgotten everything. */
void
glink_offer(struct glink *l)
{
	struct group *g = l->group;
	const struct m_epoch *e;
	static struct w_offer o;

	if (on_offer(g) == NULL)
		return;
	if (!glinks_room(g->all)) {
		g->offer.due = true;
		return;
	}
	for (unsigned i = 0; i < g->rec.n_unended; i++)
		if ((e = to_tell(g, i)) != NULL && concerns(e, l->site) &&
		    make_offer(g, e, &o))
			(void)glink_send(l, W_OFFER, &o);
}

/* -------------------------------------------------------------- revocation - */

static void
revoke(struct group *g, struct gvoice *v, const char *site, uint64_t epoch)
{
	const struct wire_key *key = parent_key(g->parent);
	static struct w_revocation m;
	struct w_revoke r;
	bool sent = false;

	memset(&r, 0, sizeof(r));
	(void)strlcpy(r.group, g->fg, sizeof(r.group));
	r.epoch = epoch;
	memset(&m, 0, sizeof(m));
	m.n_revoke = 1;
	if (key != NULL && v != NULL && v->link != NULL &&
	    wire_sign(W_REVOKE, &r, key, &m.revoke[0]) == 0)
		sent = glink_send(v->link, W_REVOCATION, &m);
	if (g->said_revoke == (epoch << 1 | sent))
		return;
	g->said_revoke = epoch << 1 | sent;
	log_ev(LL_INFO, "revocation sent", KVS("fg", g->fg), KVS("site", site),
	    KVU("epoch", epoch), KVB("sent", sent));
}

static void
ask_promise(struct group *g, struct gvoice *v, uint64_t epoch)
{
	struct w_promise_ask m = { .epoch = epoch };

	if (!glink_send(v->link, W_PROMISE_ASK, &m) || v->said_ask == epoch)
		return;
	v->said_ask = epoch;
	log_ev(LL_INFO, "promise asked for", KVS("fg", g->fg),
	    KVS("site", v->site), KVU("epoch", epoch));
}

/*
 * When many groups lose their primary at once (a zone, a network), guard-link
 * gets what it can take, and the rest in the order in which it came: FRAMES_MAX
 * frames each FRAMES_GAP_MS (group_link.c). A frame so goes out no later than
 * 20 ms for each 96 that were there before it: 0.43 s for the last of 1024
 * groups of two sites. The core repeats, and waits for no answer to go on.
 */
static void
wait_for_room(
    struct groups *gs, struct gvoice *v, uint64_t *due, uint64_t epoch)
{
	if (*due < epoch)
		*due = epoch;
	if (v->waits)
		return;
	v->waits = true;
	TAILQ_INSERT_TAIL(&gs->waits, v, wait);
}

void
gvoice_forget(struct groups *gs, struct gvoice *v)
{
	if (v->waits)
		TAILQ_REMOVE(&gs->waits, v, wait);
	v->waits = false;
	v->revoke_due = v->promise_due = 0;
}

/* Its link may have gone meanwhile, or the Lease. */
static void
said_late(struct gvoice *v, uint64_t revoked, uint64_t promise)
{
	struct group *g;

	if (v->link == NULL)
		return;
	g = v->link->group;
	if (!groups_leading(g->all))
		return;
	if (revoked != 0)
		revoke(g, v, v->site, revoked);
	if (promise != 0)
		ask_promise(g, v, promise);
}

void
groups_revoke_due(struct groups *gs)
{
	struct gvoice *v;
	uint64_t revoked, promise;

	while ((v = TAILQ_FIRST(&gs->waits)) != NULL && glinks_room(gs)) {
		revoked = v->revoke_due;
		promise = v->promise_due;
		gvoice_forget(gs, v);
		said_late(v, revoked, promise);
	}
}

void
act_revoke(struct group *g, const struct fsm_act *a)
{
	const char *site;
	struct gvoice *v;

	if (a->site >= g->fc.nsites || parent_key(g->parent) == NULL ||
	    !groups_leading(g->all))
		return;
	if (a->site == g->fs.rec.active && g->offer.epoch <= a->epoch)
		g->offer.epoch = 0;
	site = g->fc.site[a->site].name;
	v = gvoice_find(g, site);
	if (v != NULL && v->link != NULL && !glinks_room(g->all))
		wait_for_room(g->all, v, &v->revoke_due, a->epoch);
	else
		revoke(g, v, site, a->epoch);
}

void
act_promise_ask(struct group *g, const struct fsm_act *a)
{
	struct gvoice *v;

	if (a->site >= g->fc.nsites || !groups_leading(g->all))
		return;
	v = gvoice_find(g, g->fc.site[a->site].name);
	if (v == NULL || v->link == NULL)
		return;
	if (!glinks_room(g->all))
		wait_for_room(g->all, v, &v->promise_due, a->epoch);
	else
		ask_promise(g, v, a->epoch);
}

/* --------------------------------------------------------------------- yes - */

/* Only ever within the step of the question (gvoice_frame). */
void
act_renew(struct group *g, const struct fsm_act *a)
{
	const struct wire_key *key = parent_key(g->parent);
	struct gasked *q = &g->asked;
	static struct w_yes y;
	struct w_renewal r;

	if (q->link == NULL || a->nonce != q->nonce || a->epoch != q->epoch ||
	    key == NULL || !groups_leading(g->all))
		return;
	memset(&r, 0, sizeof(r));
	(void)strlcpy(r.group, g->fg, sizeof(r.group));
	r.epoch = q->epoch;
	r.guard = q->guard;
	r.incarnation = q->incarnation;
	r.nonce = q->nonce;
	r.voter = LEASE_OPERATOR;
	memset(&y, 0, sizeof(y));
	y.voter = LEASE_OPERATOR;
	y.n_renewal = 1;
	if (wire_sign(W_RENEWAL, &r, key, &y.renewal[0]) == 0)
		q->yes = glink_send(q->link, W_YES, &y);
}
