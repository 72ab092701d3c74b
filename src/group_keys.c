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
 * Keys of the write lease in the parent: who signs, who is believed, and the
 * hands of keys.c, which says what Secret is to be written next. Seeds are
 * drawn here, and remembered, so that a Secret that somebody deletes is made
 * again with the same ones; they leave by KEY_PUT alone.
 */

#include <sys/random.h>

#include <event2/event.h>

#include <stdlib.h>
#include <string.h>

#include "group_int.h"
#include "keys.h"

#define TICK_MS     1000
#define IDLE_MS     10000 /* a group in which nothing is under way */
#define ANSWER_MS   10000 /* then a KEY_PUT counts as lost */
#define WAIT_LOG_MS 600000
/* Rotations are days apart: the gauge of a key's age moves this rarely. */
#define AGE_STEP_S  3600

/* A Secret's seeds beside its ring. */
struct seeds {
	uint8_t b[2][WIRE_KEY_LEN];
	uint64_t base;  /* generation of the Secret as it stands */
	int64_t put_ms; /* a KEY_PUT is not answered yet; 0 */
};

struct gkey_site {
	struct seeds seeds;
	int64_t linked_ms; /* when it was last, or its Pod appeared */
	int64_t m_age;     /* of its key, as last told, and one; 0: never */
};

struct gkeys {
	struct keys_group kg;
	/* kg.n of each: room for the most sites is 12 KB. */
	struct keys_site *site;
	struct gkey_site *more;
	uint64_t request; /* the group's annotation, hash */
	int64_t due_ms;
	int64_t wait_ms; /* since when a next seed waits for Pods; 0 */
};

struct gkeyring {
	struct keys_ring ring; /* the operator's */
	struct seeds seeds;
	struct wire_key key; /* of the first seed */
	uint64_t asked;
	int64_t age_s;
	int64_t m_age; /* as in gkey_site */
	struct event *timer;
};

/* ---------------------------------------------------------------- access --- */

const struct wire_key *
groups_key(const struct groups *gs)
{
	return gs->keyring->ring.n > 0 && gs->keyring->ring.exists ?
	    &gs->keyring->key :
	    NULL;
}

static int
site_index(const struct gkeys *k, const char *name)
{
	for (unsigned i = 0; i < k->kg.n; i++)
		if (strcmp(k->site[i].name, name) == 0)
			return (int)i;
	return -1;
}

const struct wire_pub *
group_keys(const struct group *g, const char *site, size_t *n)
{
	static struct wire_pub pub[WIRE_PUBS_MAX];
	const struct gkeys *k = g->keys;
	int i = k != NULL ? site_index(k, site) : -1;

	*n = 0;
	if (i == -1)
		return NULL;
	*n = keys_accepted(&k->site[i].ring, &k->site[i].listed, pub);
	return pub;
}

static struct gkeys *
gkeys_get(struct group *g)
{
	if (g->keys == NULL && (g->keys = calloc(1, sizeof(*g->keys))) == NULL)
		fatal("keys");
	return g->keys;
}

void
group_keys_free(struct group *g)
{
	struct gkeys *k = g->keys;

	if (k == NULL)
		return;
	freezero(k->site, k->kg.n * sizeof(*k->site));
	freezero(k->more, k->kg.n * sizeof(*k->more));
	freezero(k, sizeof(*k));
	g->keys = NULL;
}

/* One slot more, at the end. What is freed is wiped. */
static int
site_add(struct gkeys *k)
{
	unsigned n = k->kg.n;

	k->site = recallocarray(k->site, n, n + 1, sizeof(*k->site));
	k->more = recallocarray(k->more, n, n + 1, sizeof(*k->more));
	if (k->site == NULL || k->more == NULL)
		fatal("keys");
	k->kg.site = k->site;
	k->kg.n = n + 1;
	return (int)n;
}

/* Its slot; one of a site that is no more is used again. -1: none is free. */
static int
site_get(struct gkeys *k, const char *name)
{
	static const struct wire_trust nobody;
	int i = site_index(k, name);

	if (i != -1)
		return i;
	if (k->kg.n < SITES_MAX)
		i = site_add(k);
	else
		for (i = SITES_MAX - 1; i >= 0 && k->site[i].wanted; i--)
			continue;
	if (i == -1)
		return -1;
	keys_read(&k->kg, (unsigned)i, &nobody);
	memset(&k->site[i], 0, sizeof(k->site[i]));
	explicit_bzero(&k->more[i], sizeof(k->more[i]));
	(void)strlcpy(k->site[i].name, name, sizeof(k->site[i].name));
	return i;
}

/* ------------------------------------------------------------------ told --- */

static bool
parse_seed(const struct secret *s, uint8_t seed[static WIRE_KEY_LEN],
    struct wire_pub *pub)
{
	struct wire_key key;

	if (wire_seed_parse((const char *)s->data, s->len, seed) == -1)
		return false;
	wire_key_from_seed(&key, seed);
	*pub = key.pub;
	explicit_bzero(&key, sizeof(key));
	return true;
}

/* What the Secret says; of one that is gone or spoilt what is remembered. */
static void
ring_told(struct keys_ring *r, struct seeds *s, const struct m_keys *m)
{
	uint8_t seed[2][WIRE_KEY_LEN];
	struct wire_pub pub[2];
	uint8_t n = 0;

	if (m->seed.len > 0 && parse_seed(&m->seed, seed[0], &pub[0])) {
		n = 1;
		if (m->other.len > 0 && parse_seed(&m->other, seed[1], &pub[1]))
			n = 2;
	}
	s->base = m->generation;
	s->put_ms = 0;
	r->told = true;
	r->taken = m->taken;
	r->exists = m->generation != 0 && m->problem[0] == '\0' && n > 0;
	if (n > 0) {
		memcpy(s->b, seed, sizeof(s->b));
		memcpy(r->pub, pub, sizeof(r->pub));
		r->n = n;
		r->fresh = false;
		r->since = m->since;
		r->made_s = m->made_s;
		r->done = m->done;
	}
	if (m->generation > r->generation || r->exists)
		r->generation = m->generation;
	explicit_bzero(seed, sizeof(seed));
}

static void
trust_told(struct gkeys *k, unsigned i, const struct m_keys *m)
{
	static struct wire_trust t;
	const char *text = (const char *)m->trust.data;
	char err[ERR_LEN + 1];

	k->site[i].trust = 0;
	if (wire_trust_parse(text, m->trust.len, &t, err, sizeof(err)) == -1)
		memset(&t, 0, sizeof(t));
	else
		k->site[i].trust = keys_hash(text, m->trust.len);
	keys_read(&k->kg, i, &t);
}

static void
arm(struct groups *gs, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	evtimer_add(gs->keyring->timer, &tv);
}

/* Another key signs now: what was signed before is told again. */
static void
op_told(struct groups *gs, const struct m_keys *m)
{
	struct gkeyring *kr = gs->keyring;
	struct wire_pub was = kr->key.pub;
	struct group *g;

	ring_told(&kr->ring, &kr->seeds, m);
	kr->asked = m->asked;
	if (kr->ring.n == 0)
		return;
	wire_key_from_seed(&kr->key, kr->seeds.b[0]);
	if (memcmp(&was, &kr->key.pub, sizeof(was)) == 0)
		return;
	log_ev(LL_INFO, "operator's key", KVU("generation", m->generation));
	TAILQ_FOREACH (g, &gs->list, entry)
		group_offer_again(g);
}

void
groups_keys(struct groups *gs, struct m_keys *m)
{
	struct group *g;
	struct gkeys *k;
	int i;

	if (m->group[0] == '\0')
		op_told(gs, m);
	else if ((g = groups_find(gs, m->group)) != NULL) {
		k = gkeys_get(g);
		if ((i = site_get(k, m->site)) != -1) {
			ring_told(&k->site[i].ring, &k->more[i].seeds, m);
			if (m->generation != 0)
				trust_told(k, (unsigned)i, m);
			k->due_ms = 0;
			if (g->have_conf)
				group_send_links(g, false);
		}
	}
	secret_wipe(&m->seed);
	secret_wipe(&m->other);
	arm(gs, 0);
}

void
group_keys_rotate(struct group *g, const char *token)
{
	struct gkeys *k = gkeys_get(g);

	k->request = token[0] != '\0' ? keys_hash(token, strlen(token)) : 0;
	k->due_ms = 0;
	arm(g->all, 0);
}

/* --------------------------------------------------------------- looking --- */

static bool
holds_epoch(const struct group *g, const char *site)
{
	for (unsigned i = 0; g->have_rec && i < g->rec.n_unended; i++)
		if (strcmp(g->rec.unended[i].site, site) == 0)
			return true;
	return false;
}

/* What API, links and reports say of a site's Pods now. */
static void
look_site(struct group *g, unsigned i, int64_t now)
{
	struct gkeys *k = g->keys;
	struct keys_site *s = &k->site[i];
	const struct gvoice *v = gvoice_find(g, s->name);
	const struct gpod *p;
	bool pod = false, runs = false;

	TAILQ_FOREACH (p, &g->pods, entry)
		if (strcmp(p->site, s->name) == 0 && !p->f.gone) {
			pod = true;
			runs |= p->ip[0] != '\0';
		}
	s->linked = runs && v != NULL && v->link != NULL;
	if (s->linked || !runs || k->more[i].linked_ms == 0)
		k->more[i].linked_ms = now;
	if (s->linked)
		s->reported = v->keys;
	/*
	 * One that holds an epoch shows what the operator signed to peers that
	 * it may reach while we can't: nothing is taken from it.
	 */
	s->live = runs &&
	    (now - k->more[i].linked_ms < KEYS_AWAY_MS ||
		holds_epoch(g, s->name));
	s->wanted = pod || group_site(g, s->name) != -1;
}

static void
look(struct group *g, int64_t now)
{
	struct gkeys *k = gkeys_get(g);
	const struct gpod *p;

	for (unsigned i = 0; i < g->fc.nsites; i++)
		(void)site_get(k, g->fc.site[i].name);
	TAILQ_FOREACH (p, &g->pods, entry)
		(void)site_get(k, p->site);
	for (unsigned i = 0; i < k->kg.n; i++)
		look_site(g, i, now);
	keys_observe(&k->kg, &g->all->keyring->ring, now);
}

/* Whose Pods keep a next seed waiting, so that somebody looks after them. */
static void
log_waiting(struct group *g, int64_t now)
{
	struct gkeys *k = g->keys;
	bool waits = g->all->keyring->ring.n == 2;

	for (unsigned i = 0; i < k->kg.n; i++)
		waits |= k->site[i].wanted && k->site[i].ring.n == 2;
	if (!waits || k->wait_ms == 0 || keys_spread(&k->kg, now)) {
		k->wait_ms = waits ? now : 0;
		return;
	}
	if (now - k->wait_ms < WAIT_LOG_MS)
		return;
	k->wait_ms = now;
	for (unsigned i = 0; i < k->kg.n; i++) {
		const struct keys_site *s = &k->site[i];

		if (s->wanted && s->live && s->reported < s->ring.generation)
			log_ev(LL_WARN, "lease key rotation waits for a Pod",
			    KVS("fg", g->fg), KVS("site", s->name),
			    KVB("linked", s->linked),
			    KVU("generation", s->ring.generation),
			    KVU("reported", s->reported));
	}
}

/* ------------------------------------------------------------------- age --- */

static void
tell_age(struct groups *gs, struct group *g, const char *site,
    const struct keys_ring *r, int64_t *last)
{
	int64_t age = wall_ms() / 1000 - r->made_s;

	if (!r->exists || r->made_s == 0)
		return;
	age = age > 0 ? age - age % AGE_STEP_S : 0;
	if (*last == age + 1)
		return;
	*last = age + 1;
	groups_key_age(gs, g, site, age);
}

static void
tell_ages(struct group *g)
{
	struct gkeys *k = g->keys;

	for (unsigned i = 0; i < k->kg.n; i++)
		if (k->site[i].wanted)
			tell_age(g->all, g, k->site[i].name, &k->site[i].ring,
			    &k->more[i].m_age);
}

void
group_keys_forget(struct group *g)
{
	g->all->keyring->m_age = 0;
	for (unsigned i = 0; g->keys != NULL && i < g->keys->kg.n; i++)
		g->keys->more[i].m_age = 0;
}

/* --------------------------------------------------------------- writing --- */

static void
hex_secret(struct secret *out, const uint8_t seed[static WIRE_KEY_LEN])
{
	char hex[WIRE_HEX_LEN + 1];

	wire_hex(seed, hex);
	(void)secret_set(out, hex, WIRE_HEX_LEN);
	explicit_bzero(hex, sizeof(hex));
}

static void
draw(uint8_t seed[static WIRE_KEY_LEN], struct wire_pub *pub)
{
	struct wire_key key;

	if (getrandom(seed, WIRE_KEY_LEN, 0) != WIRE_KEY_LEN)
		fatal("getrandom");
	wire_key_from_seed(&key, seed);
	*pub = key.pub;
	explicit_bzero(&key, sizeof(key));
}

static const char *
verb(enum keys_do what)
{
	switch (what) {
	case KEYS_LEAVE:
	case KEYS_KEEP:
		return "kept";
	case KEYS_NEW:
		return "made";
	case KEYS_ADD:
		return "next one made";
	case KEYS_SWITCH:
		return "next one signs";
	}
	return "";
}

/*
 * Fill in the message for a ring as it shall be: *next, and the seeds in m.
 * What is remembered changes when the answer says so, except for a first seed:
 * all "trust" texts shall have it from the beginning.
 */
static void
prepare(struct m_key_put *m, struct keys_ring *next, struct seeds *s,
    enum keys_do what, const struct keys_want *w, uint64_t reported)
{
	uint8_t seed[WIRE_KEY_LEN];
	struct wire_pub pub = { { 0 } };

	if (what == KEYS_NEW || what == KEYS_ADD)
		draw(seed, &pub);
	keys_apply(next, what, &pub, w, reported);
	if (what == KEYS_NEW)
		memcpy(s->b[0], seed, sizeof(seed));
	hex_secret(&m->seed, s->b[what == KEYS_SWITCH ? 1 : 0]);
	if (next->n == 2)
		hex_secret(&m->other, what == KEYS_ADD ? seed : s->b[1]);
	explicit_bzero(seed, sizeof(seed));
	m->base = s->base;
	m->generation = next->generation;
	m->since = next->since;
	m->made_s = next->made_s;
	m->done = next->done;
}

static void
put(struct groups *gs, struct m_key_put *m, struct seeds *s, const char *fg,
    enum keys_do what, int64_t now)
{
	log_ev(LL_INFO, "lease key", KVS("fg", fg),
	    KVS("site", m->group[0] != '\0' ? m->site : "(operator)"),
	    KVS("key", verb(what)), KVU("generation", m->generation));
	s->put_ms = now;
	parent_send(gs->parent, PROC_KUBE, MSG_KEY_PUT, m);
	secret_wipe(&m->seed);
	secret_wipe(&m->other);
}

static bool
pending(const struct seeds *s, int64_t now)
{
	return s->put_ms != 0 && now - s->put_ms < ANSWER_MS;
}

static void
op_step(struct groups *gs, bool spread, const struct keys_want *w, int64_t now)
{
	static struct m_key_put m;
	struct gkeyring *kr = gs->keyring;
	struct keys_ring next = kr->ring;
	enum keys_do what = keys_op_next(&kr->ring, spread, w);

	if (what == KEYS_LEAVE || pending(&kr->seeds, now))
		return;
	memset(&m, 0, sizeof(m));
	prepare(&m, &next, &kr->seeds, what, w, 0);
	put(gs, &m, &kr->seeds, "", what, now);
}

/* First seeds that are missing: before a text is made, so that it has all. */
static void
draw_missing(struct group *g, const struct keys_want *w, int64_t now)
{
	const struct keys_ring *op = &g->all->keyring->ring;
	struct gkeys *k = g->keys;
	struct wire_pub pub;

	for (unsigned i = 0; i < k->kg.n; i++)
		if (keys_site_next(&k->kg, i, op, 0, w, now) == KEYS_NEW) {
			draw(k->more[i].seeds.b[0], &pub);
			keys_apply(&k->site[i].ring, KEYS_NEW, &pub, w,
			    k->site[i].reported);
		}
}

static int
make_trust(struct group *g, struct m_key_put *m, int64_t now)
{
	int n = keys_trust(&g->keys->kg, &g->all->keyring->ring, now,
	    (char *)m->trust.data, sizeof(m->trust.data));

	m->trust.len = n != -1 ? (uint32_t)n : 0;
	return n;
}

static void
site_put(struct group *g, unsigned i, enum keys_do what,
    const struct keys_want *w, int64_t now)
{
	static struct m_key_put m;
	struct gkeys *k = g->keys;
	struct keys_ring was = k->site[i].ring;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.group, g->uid, sizeof(m.group));
	(void)strlcpy(m.site, k->site[i].name, sizeof(m.site));
	prepare(&m, &k->site[i].ring, &k->more[i].seeds, what, w,
	    k->site[i].reported);
	/* The text has the next key already; what is remembered not yet. */
	if (make_trust(g, &m, now) != -1)
		put(g->all, &m, &k->more[i].seeds, g->fg, what, now);
	k->site[i].ring = was;
	secret_wipe(&m.seed);
	secret_wipe(&m.other);
}

static void
group_key_step(struct group *g, int64_t age_s, int64_t now)
{
	static struct m_key_put m;
	struct gkeys *k = g->keys;
	const struct keys_ring *op = &g->all->keyring->ring;
	struct keys_want w = { k->request, age_s, wall_ms() / 1000 };
	enum keys_do what;
	uint64_t trust;
	int n;

	draw_missing(g, &w, now);
	if ((n = make_trust(g, &m, now)) == -1) {
		log_ev(LL_ERROR, "too many keys to list", KVS("fg", g->fg),
		    KVS("error", "no room in the Secret"));
		return;
	}
	trust = keys_hash(m.trust.data, (size_t)n);
	for (unsigned i = 0; i < k->kg.n; i++) {
		what = keys_site_next(&k->kg, i, op, trust, &w, now);
		if (what == KEYS_LEAVE || pending(&k->more[i].seeds, now))
			continue;
		site_put(g, i, what, &w, now);
		if (what == KEYS_ADD || what == KEYS_SWITCH)
			break; /* the others' texts are others now */
	}
	log_waiting(g, now);
}

static void
tick(struct groups *gs, int64_t now)
{
	struct gkeyring *kr = gs->keyring;
	struct keys_want w = { kr->asked, kr->age_s, wall_ms() / 1000 };
	bool spread = true, lead = groups_leading(gs);
	struct group *g;

	TAILQ_FOREACH (g, &gs->list, entry) {
		if (!g->have_conf || g->deleting)
			continue;
		if (g->keys == NULL || now >= g->keys->due_ms ||
		    kr->ring.n == 2) {
			look(g, now);
			tell_ages(g);
			g->keys->due_ms = now + IDLE_MS;
			if (lead)
				group_key_step(g, kr->age_s, now);
			if (!keys_quiet(&g->keys->kg, now))
				g->keys->due_ms = now;
		}
		spread &= keys_spread(&g->keys->kg, now);
	}
	tell_age(gs, NULL, "", &kr->ring, &kr->m_age);
	if (lead && gs->synced)
		op_step(gs, spread, &w, now);
}

static void
tick_cb(evutil_socket_t fd, short what, void *arg)
{
	struct groups *gs = arg;

	tick(gs, mono_ms());
	arm(gs, TICK_MS);
}

void
groups_keys_start(struct groups *gs, int64_t age_s)
{
	struct gkeyring *kr;

	if (wire_init() == -1)
		fatal("libsodium");
	if ((kr = calloc(1, sizeof(*kr))) == NULL ||
	    (kr->timer = evtimer_new(parent_base(gs->parent), tick_cb, gs)) ==
		NULL)
		fatal("keys");
	kr->age_s = age_s;
	gs->keyring = kr;
	arm(gs, TICK_MS);
}

/* At the end: no seed stays in memory. */
void
groups_keys_stop(struct groups *gs)
{
	struct group *g;

	TAILQ_FOREACH (g, &gs->list, entry)
		group_keys_free(g);
	event_free(gs->keyring->timer);
	freezero(gs->keyring, sizeof(*gs->keyring));
	gs->keyring = NULL;
}
