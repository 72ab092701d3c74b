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
 * Links to the sidecars of a group, from the parent's side: guard-link
 * (link.c) carries frames, here is who sits at the other end. A connection
 * begins with W_HELLO each way; then we prove ourselves by a signed
 * W_OPERATOR, and the first frame that opens with its site's keys proves the
 * other side. Standby operators do the same and say nothing else.
 *
 * What the frames mean is in group_voice.c; what we send in group_offer.c.
 */

#include <sys/random.h>

#include <event2/event.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group_int.h"

#define PROVE_MS      5000 /* then a stranger is let go */
#define TICK_MS       250
/* The channel to guard-link holds a few hundred frames: in portions. */
#define FRAMES_MAX    96
#define FRAMES_GAP_MS 20
/* We ourselves did not run: what came meanwhile is not read yet. */
#define STALL_MS      1000

static int
glink_cmp(const struct glink *a, const struct glink *b)
{
	return a->conn < b->conn ? -1 : a->conn > b->conn;
}

/* libbsd's RB_GENERATE_STATIC needs a macro that it undefines on Linux. */
#define RB_STATIC static __attribute__((__unused__))
RB_GENERATE_INTERNAL(glink_tree, glink, node, glink_cmp, RB_STATIC)

static struct glink *
link_find(struct groups *gs, uint64_t conn)
{
	struct glink key = { .conn = conn };

	return RB_FIND(glink_tree, &gs->links, &key);
}

struct gvoice *
gvoice_find(struct group *g, const char *site)
{
	struct gvoice *v;

	TAILQ_FOREACH (v, &g->voices, entry)
		if (strcmp(v->site, site) == 0)
			return v;
	return NULL;
}

static struct gvoice *
voice_get(struct group *g, const char *site)
{
	struct gvoice *v = gvoice_find(g, site);

	if (v != NULL)
		return v;
	if ((v = calloc(1, sizeof(*v))) == NULL)
		fatal("voice");
	(void)strlcpy(v->site, site, sizeof(v->site));
	TAILQ_INSERT_TAIL(&g->voices, v, entry);
	return v;
}

/* ----------------------------------------------------------------- sending - */

/* The frame is in m, n bytes or -1. */
static bool
tx(struct glink *l, struct m_link_tx *m, int n)
{
	if (n == -1) {
		log_ev(LL_ERROR, "frame not sent", KVS("fg", l->group->fg),
		    KVS("site", l->site), KVS("error", strerror(errno)));
		return false;
	}
	m->conn = l->conn;
	m->frame.len = (uint32_t)n;
	l->group->all->room--;
	parent_send(l->group->parent, PROC_LINK, MSG_LINK_TX, m);
	return true;
}

bool
glink_send(struct glink *l, uint32_t type, const void *msg)
{
	const struct wire_key *key = parent_key(l->group->parent);
	static struct m_link_tx m;

	if (key == NULL || !l->wire.heard)
		return false;
	return tx(l, &m,
	    wire_seal(
		&l->wire, key, type, msg, m.frame.data, sizeof(m.frame.data)));
}

static void
say_hello(struct glink *l)
{
	static struct m_link_tx m;
	static struct w_hello h;

	memset(&h, 0, sizeof(h));
	h.version = WIRE_VERSION;
	h.operator= true;
	(void)strlcpy(h.group, l->group->fg, sizeof(h.group));
	/* A later link of this process replaces the one before. */
	(void)strlcpy(h.pod_uid, l->group->all->self, sizeof(h.pod_uid));
	h.id = LEASE_OPERATOR;
	h.nonce.len = WIRE_NONCE_LEN;
	if (getrandom(h.nonce.data, WIRE_NONCE_LEN, 0) != WIRE_NONCE_LEN)
		fatal("getrandom");
	(void)tx(l, &m,
	    wire_hello(&l->wire, &h, m.frame.data, sizeof(m.frame.data)));
}

/*
 * A standby names no certificate: its Secret may be older than the leader's.
 * And nobody does to a sidecar that has none mounted: it may be of a build that
 * does not know the field, and would end the link.
 */
static const uint8_t *
certificate(const struct glink *l)
{
	const struct gpod *p = group_site_pod(l->group, l->site);

	if (!groups_leading(l->group->all) || p == NULL || !p->tls_loads ||
	    strcmp(p->f.pod_uid, l->pod_uid) != 0)
		return NULL;
	return group_access_tls(l->group);
}

static void
fill_operator(const struct glink *l, struct w_operator *o)
{
	const struct group *g = l->group;
	const uint8_t *tls = certificate(l);

	memset(o, 0, sizeof(*o));
	o->leader = groups_leading(g->all);
	if (tls != NULL) {
		o->tls.len = sizeof(o->tls.data);
		memcpy(o->tls.data, tls, sizeof(o->tls.data));
	}
	if (g->view.effective < g->fc.nsites)
		(void)strlcpy(o->active, g->fc.site[g->view.effective].name,
		    sizeof(o->active));
	group_sight_tell(g, o);
}

/* Whether it says something else; that time goes on is no news. */
static uint64_t
operator_hash(const struct w_operator *said)
{
	struct w_operator o = *said;

	o.sight[0].age_ms = 0;
	return group_hash(&o, sizeof(o));
}

/* What a sidecar is told each beat; the proof of who we are. */
static void
say_operator(struct glink *l)
{
	struct w_operator o;

	fill_operator(l, &o);
	if (!glink_send(l, W_OPERATOR, &o))
		return;
	l->beat_ms = mono_ms();
	l->said = operator_hash(&o);
}

/* ------------------------------------------------------------- connections - */

static void
tell_link(struct glink *l, bool up)
{
	struct group *g = l->group;
	struct fsm_event ev = { .type = E_LINK };
	int i = group_site(g, l->site);

	log_ev(up ? LL_INFO : LL_WARN, up ? "link up" : "link down",
	    KVS("fg", g->fg), KVS("site", l->site), KVS("podUID", l->pod_uid),
	    KVS("peer", l->peer), KVS("error", l->why));
	if (!g->have_conf || i == -1)
		return;
	group_link_gauge(g, l->site, up);
	ev.site = (uint8_t)i;
	ev.u.link_up = up;
	group_step(g, &ev);
}

/* It is gone, or will be; l is freed. */
static void
link_lost(struct glink *l, const char *why)
{
	struct groups *gs = l->group->all;
	struct gvoice *v = gvoice_find(l->group, l->site);

	(void)strlcpy(l->why, why, sizeof(l->why));
	RB_REMOVE(glink_tree, &gs->links, l);
	if (l->group->asked.link == l)
		l->group->asked.link = NULL;
	if (v != NULL && v->link == l) {
		v->link = NULL;
		tell_link(l, false);
	} else if (!l->trusted && why[0] != '\0')
		log_ev(LL_DEBUG, "link not made", KVS("fg", l->group->fg),
		    KVS("site", l->site), KVS("peer", l->peer),
		    KVS("error", why));
	free(l);
}

void
glink_close(struct glink *l, const char *why)
{
	struct m_link_close m;

	memset(&m, 0, sizeof(m));
	m.conn = l->conn;
	(void)strlcpy(m.reason, why, sizeof(m.reason));
	parent_send(l->group->parent, PROC_LINK, MSG_LINK_CLOSE, &m);
	link_lost(l, why);
}

/*
 * Somebody who can't be whom we wanted: anybody can be at an address that
 * was a Pod's, so this is said, not so often.
 */
static void
refuse(struct glink *l, const char *why)
{
	struct group *g = l->group;
	int64_t now = mono_ms();

	if (now - g->refused_ms >= 10000 || g->refused_ms == 0) {
		g->refused_ms = now;
		log_ev(LL_WARN, "link refused", KVS("fg", g->fg),
		    KVS("site", l->site), KVS("peer", l->peer),
		    KVS("error", why));
	}
	glink_close(l, why);
}

void
groups_link_up(struct groups *gs, const struct m_link_up *m)
{
	struct group *g = groups_find(gs, m->group);
	struct m_link_close c;
	struct glink *l;

	if (g == NULL || m->inbound || m->local ||
	    link_find(gs, m->conn) != NULL) {
		memset(&c, 0, sizeof(c));
		c.conn = m->conn;
		(void)strlcpy(c.reason, "no such group", sizeof(c.reason));
		parent_send(gs->parent, PROC_LINK, MSG_LINK_CLOSE, &c);
		return;
	}
	if ((l = calloc(1, sizeof(*l))) == NULL)
		fatal("link");
	l->conn = m->conn;
	l->group = g;
	(void)strlcpy(l->site, m->site, sizeof(l->site));
	(void)strlcpy(l->pod_uid, m->pod_uid, sizeof(l->pod_uid));
	(void)strlcpy(l->peer, m->peer, sizeof(l->peer));
	l->heard_ms = mono_ms();
	RB_INSERT(glink_tree, &gs->links, l);
	say_hello(l);
}

void
groups_link_down(struct groups *gs, const struct m_link_down *m)
{
	struct glink *l = link_find(gs, m->conn);

	if (l != NULL)
		link_lost(l, m->error[0] != '\0' ? m->error : "closed");
}

void
groups_link_died(struct groups *gs)
{
	struct glink *l;

	while ((l = RB_MIN(glink_tree, &gs->links)) != NULL)
		link_lost(l, "guard-link died");
}

void
glink_group_gone(struct group *g)
{
	struct glink *l, *next;
	struct gvoice *v;

	RB_FOREACH_SAFE (l, glink_tree, &g->all->links, next)
		if (l->group == g) {
			RB_REMOVE(glink_tree, &g->all->links, l);
			free(l);
		}
	while ((v = TAILQ_FIRST(&g->voices)) != NULL) {
		TAILQ_REMOVE(&g->voices, v, entry);
		gvoice_forget(g->all, v);
		free(v);
	}
}

/* ------------------------------------------------------------------ frames - */

static void
on_hello(struct glink *l, const struct m_link_rx *m)
{
	static struct w_hello h;

	if (wire_heard(&l->wire, m->frame.data, m->frame.len, &h) == -1)
		refuse(l, "not a hello");
	else if (h.operator|| strcmp(h.group, l->group->fg) != 0 ||
	    strcmp(h.site, l->site) != 0 || strcmp(h.pod_uid, l->pod_uid) != 0)
		refuse(l, "another Pod than expected");
	else
		say_operator(l);
}

static void
trust(struct glink *l)
{
	struct m_link_trust t = { .conn = l->conn };
	struct gvoice *v = voice_get(l->group, l->site);
	struct glink *old = v->link;

	l->trusted = true;
	parent_send(l->group->parent, PROC_LINK, MSG_LINK_TRUST, &t);
	v->link = l;
	/* Another Pod of the site, or its end was not told yet. */
	if (old != NULL)
		glink_close(old, "replaced");
	tell_link(l, true);
}

/* Never later than now: nobody is believed what makes a word younger. */
static int64_t
came_ms(const struct m_link_rx *m)
{
	int64_t now = mono_ms(), at = m->at_ns / 1000000;

	return at > 0 && at < now ? at : now;
}

void
groups_link_rx(struct groups *gs, const struct m_link_rx *m)
{
	struct glink *l = link_find(gs, m->conn);
	static union wire_any any;
	const struct wire_pub *pub;
	uint32_t type;
	size_t n = 0;
	bool first;

	if (l == NULL)
		return; /* closed meanwhile */
	if (!l->wire.heard) {
		on_hello(l, m);
		return;
	}
	pub = group_keys(l->group, l->site, &n);
	if (pub == NULL || n == 0) {
		refuse(l, "no key of this site is known");
		return;
	}
	if (wire_open(&l->wire, pub, n, m->frame.data, m->frame.len, &type,
		&any) == -1) {
		refuse(
		    l, errno == EACCES ? "bad signature" : "malformed frame");
		return;
	}
	l->heard_ms = mono_ms();
	first = !l->trusted;
	if (first)
		trust(l);
	if (!gvoice_frame(l, type, &any, came_ms(m)))
		glink_close(l, "unexpected frame");
	else if (first)
		glink_offer(l);
}

/* ---------------------------------------------------------------- the beat - */

static void
beat(struct glink *l, int64_t now)
{
	struct w_operator o;

	if (!l->wire.heard)
		return;
	fill_operator(l, &o);
	if (now - l->beat_ms >= BR_LINK_BEAT_MS(l->group->conf.check_ms) ||
	    l->said != operator_hash(&o))
		say_operator(l);
}

/* NULL: it may stay. */
static const char *
silent(const struct glink *l, int64_t now)
{
	int64_t quiet = now - l->heard_ms;

	if (l->trusted && quiet > BR_LINK_DEAD_MS(l->group->conf.check_ms))
		return "silent";
	if (!l->trusted && quiet > PROVE_MS)
		return "did not prove itself";
	return NULL;
}

static void
arm(struct groups *gs, int64_t ms)
{
	struct timeval tv = { 0, ms * 1000 };

	evtimer_add(gs->link_timer, &tv);
}

static void
tick(struct groups *gs, int64_t now)
{
	struct glink *l, *next;
	bool stalled = now - gs->tick_ms > STALL_MS;

	gs->tick_ms = now;
	gs->room = FRAMES_MAX;
	gs->hurry = false;
	/*
	 * What ends a lease first, then a site that waits for one; a beat can
	 * be late.
	 */
	groups_revoke_due(gs);
	groups_offer_due(gs);
	RB_FOREACH_SAFE (l, glink_tree, &gs->links, next) {
		const char *why = stalled ? NULL : silent(l, now);

		if (why != NULL)
			glink_close(l, why);
		else if (gs->room > 0)
			beat(l, now);
	}
	if (gs->room <= 0)
		gs->hurry = true;
	arm(gs, gs->hurry ? FRAMES_GAP_MS : TICK_MS);
}

static void
tick_cb(evutil_socket_t fd, short what, void *arg)
{
	tick(arg, mono_ms());
}

bool
glinks_room(struct groups *gs)
{
	if (gs->room > 0)
		return true;
	/* Once: a timer that is set anew and anew never comes. */
	if (!gs->hurry)
		arm(gs, FRAMES_GAP_MS);
	gs->hurry = true;
	return false;
}

void
glinks_start(struct groups *gs)
{
	uint64_t r[2];

	if (getrandom(r, sizeof(r), 0) != sizeof(r))
		fatal("getrandom");
	(void)snprintf(gs->self, sizeof(gs->self), "%016llx%016llx",
	    (unsigned long long)r[0], (unsigned long long)r[1]);
	RB_INIT(&gs->links);
	gs->room = FRAMES_MAX;
	gs->tick_ms = mono_ms();
	gs->link_timer = evtimer_new(parent_base(gs->parent), tick_cb, gs);
	if (gs->link_timer == NULL)
		fatal("link timer");
	arm(gs, TICK_MS);
}

void
glinks_beat(struct groups *gs)
{
	gs->hurry = true;
	arm(gs, 0);
}

/* ------------------------------------------------------------ whom to link - */

/*
 * Every site that has a Pod, also one that is configured no more; not before
 * there is a key by which to know it.
 */
static void
add_site(struct group *g, const char *site, struct m_link_sites *m)
{
	const struct gpod *p = group_site_pod(g, site);
	struct m_link_site *s;
	size_t n = 0;

	(void)group_keys(g, site, &n);
	if (p == NULL || n == 0 || m->n_sites == SITES_MAX)
		return;
	for (unsigned i = 0; i < m->n_sites; i++)
		if (strcmp(m->sites[i].name, site) == 0)
			return;
	s = &m->sites[m->n_sites++];
	(void)strlcpy(s->name, site, sizeof(s->name));
	(void)strlcpy(s->ip, p->ip, sizeof(s->ip));
	s->port = BR_LINK_PORT;
	(void)strlcpy(s->pod_uid, p->f.pod_uid, sizeof(s->pod_uid));
}

void
group_send_links(struct group *g, bool force)
{
	static struct m_link_sites m;
	const struct gpod *p;
	uint64_t h;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.group, g->uid, sizeof(m.group));
	m.gone = g->gone;
	for (unsigned i = 0; i < g->fc.nsites && !m.gone; i++)
		add_site(g, g->fc.site[i].name, &m);
	TAILQ_FOREACH (p, &g->pods, entry)
		if (!m.gone)
			add_site(g, p->site, &m);
	h = group_hash(&m, sizeof(m));
	if (!force && h == g->links_hash)
		return;
	g->links_hash = h;
	parent_send(g->parent, PROC_LINK, MSG_LINK_SITES, &m);
}
