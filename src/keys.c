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

/* See keys.h. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "keys.h"

uint64_t
keys_hash(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t h = 14695981039346656037ULL; /* FNV-1a; 0 means none */

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 1099511628211ULL;
	return h != 0 ? h : 1;
}

static bool
same(const struct wire_pub *a, const struct wire_pub *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static bool
in_ring(const struct keys_ring *r, const struct wire_pub *pub)
{
	for (uint8_t i = 0; i < r->n; i++)
		if (same(&r->pub[i], pub))
			return true;
	return false;
}

static bool
settled(const struct keys_since *s, uint64_t of, int64_t now_ms)
{
	return s->ms != 0 && s->of == of && now_ms - s->ms >= KEYS_SETTLE_MS;
}

/* ------------------------------------------------------------- observing --- */

static void
unlist(struct keys_listed *l, unsigned by)
{
	uint8_t n = 0;

	for (uint8_t i = 0; i < l->n; i++) {
		l->key[i].by &= (uint16_t)~(1u << by);
		if (l->key[i].by != 0)
			l->key[n++] = l->key[i];
	}
	l->n = n;
}

static void
list(struct keys_listed *l, unsigned by, const struct wire_pub *pub)
{
	uint8_t i;

	for (i = 0; i < l->n && !same(&l->key[i].pub, pub); i++)
		continue;
	if (i == WIRE_PUBS_MAX)
		return; /* more than we ever list: somebody else's writing */
	if (i == l->n) {
		l->key[i].pub = *pub;
		l->key[i].by = 0;
		l->n++;
	}
	l->key[i].by |= (uint16_t)(1u << by);
}

void
keys_read(struct keys_group *g, unsigned i, const struct wire_trust *t)
{
	const struct wire_pub *pub;
	size_t n;

	unlist(&g->op, i);
	for (uint32_t k = 0; k < t->n_operator; k++)
		list(&g->op, i, &t->operator[k]);
	for (unsigned s = 0; s < g->n; s++) {
		unlist(&g->site[s].listed, i);
		pub = wire_trust_find(t, g->site[s].name, &n);
		for (size_t k = 0; k < n; k++)
			list(&g->site[s].listed, i, &pub[k]);
	}
}

static void
mark(struct keys_since *s, bool is, uint64_t of, int64_t now_ms)
{
	if (!is)
		s->ms = 0;
	else if (s->ms == 0 || s->of != of)
		s->ms = now_ms;
	s->of = of;
}

static bool
has_read(const struct keys_site *s, uint64_t generation)
{
	return !s->live || s->reported >= generation;
}

static bool
told(const struct keys_group *g, const struct keys_ring *op)
{
	if (!op->told || op->n == 0)
		return false;
	for (unsigned i = 0; i < g->n; i++)
		if (g->site[i].wanted && !g->site[i].ring.told)
			return false;
	return true;
}

void
keys_observe(struct keys_group *g, const struct keys_ring *op, int64_t now_ms)
{
	bool linked = true, spread = told(g, op);
	char text[KEYS_TRUST_MAX + 1];
	struct keys_site *s;
	uint64_t trust = 0;
	int n;

	/* First what the text depends on. */
	for (unsigned i = 0; i < g->n; i++) {
		s = &g->site[i];
		mark(&s->used, s->ring.exists && has_read(s, s->ring.since),
		    s->ring.since, now_ms);
		if (s->wanted && s->live && !s->linked)
			linked = false;
	}
	mark(&g->linked, linked, op->since, now_ms);
	if ((n = keys_trust(g, op, now_ms, text, sizeof(text))) != -1)
		trust = keys_hash(text, (size_t)n);
	for (unsigned i = 0; i < g->n; i++) {
		s = &g->site[i];
		if (!s->wanted)
			continue;
		/* Lost, and its Pod goes on with what it has: the others. */
		if (!s->ring.exists)
			spread &= s->live;
		else
			spread &= s->trust == trust &&
			    has_read(s, s->ring.generation);
	}
	mark(&g->spread, spread, trust, now_ms);
}

static bool
others_spread(const struct keys_group *g, int64_t now_ms)
{
	return settled(&g->spread, g->spread.of, now_ms);
}

bool
keys_spread(const struct keys_group *g, int64_t now_ms)
{
	for (unsigned i = 0; i < g->n; i++)
		if (g->site[i].wanted && !g->site[i].ring.exists)
			return false;
	return others_spread(g, now_ms);
}

/* ----------------------------------------------------------------- trust --- */

/* Bits of all sites whose Secrets are there. */
static uint16_t
all(const struct keys_group *g)
{
	uint16_t bits = 0;

	for (unsigned i = 0; i < g->n; i++)
		if (g->site[i].wanted && g->site[i].ring.exists)
			bits |= (uint16_t)(1u << i);
	return bits;
}

/*
 * The keys of one name, in an order that depends on nothing else. A key that
 * is no ring's stays while `kept`, and while all list it: what one Secret has
 * dropped is being dropped, by whoever led before.
 */
static size_t
wanted(const struct keys_ring *r, const struct keys_listed *l, bool kept,
    uint16_t by, struct wire_pub out[static WIRE_PUBS_MAX])
{
	struct wire_pub t;
	size_t n = 0;

	for (; n < r->n; n++)
		out[n] = r->pub[n];
	for (uint8_t i = 0; kept && i < l->n && n < WIRE_PUBS_MAX; i++)
		if (!in_ring(r, &l->key[i].pub) && (l->key[i].by & by) == by)
			out[n++] = l->key[i].pub;
	for (size_t i = 1; i < n; i++)
		for (size_t k = i;
		    k > 0 && memcmp(&out[k - 1], &out[k], sizeof(t)) > 0; k--) {
			t = out[k];
			out[k] = out[k - 1];
			out[k - 1] = t;
		}
	return n;
}

struct text {
	char *p;
	size_t left;
	bool full;
};

static void
add_lines(struct text *t, const char *who, const char *name,
    const struct wire_pub *pub, size_t n)
{
	char hex[WIRE_HEX_LEN + 1];
	int len;

	for (size_t i = 0; i < n; i++) {
		wire_hex(pub[i].b, hex);
		len = snprintf(t->p, t->left, "%s%s%s %s\n", who,
		    name[0] != '\0' ? " " : "", name, hex);
		if (len < 0 || (size_t)len >= t->left) {
			t->full = true;
			return;
		}
		t->p += len;
		t->left -= (size_t)len;
	}
}

/* The wanted site whose name comes next after `after`; NULL: no more. */
static const struct keys_site *
next_by_name(const struct keys_group *g, const char *after)
{
	const struct keys_site *best = NULL, *s;

	for (unsigned i = 0; i < g->n; i++) {
		s = &g->site[i];
		if (s->wanted && strcmp(s->name, after) > 0 &&
		    (best == NULL || strcmp(s->name, best->name) < 0))
			best = s;
	}
	return best;
}

int
keys_trust(const struct keys_group *g, const struct keys_ring *op,
    int64_t now_ms, char *buf, size_t size)
{
	struct text t = { buf, size, false };
	struct wire_pub pub[WIRE_PUBS_MAX];
	const struct keys_site *s = NULL;
	uint16_t by = all(g);
	size_t n;

	n = wanted(
	    op, &g->op, !settled(&g->linked, op->since, now_ms), by, pub);
	add_lines(&t, "operator", "", pub, n);
	while ((s = next_by_name(g, s != NULL ? s->name : "")) != NULL) {
		n = wanted(&s->ring, &s->listed,
		    !settled(&s->used, s->ring.since, now_ms), by, pub);
		add_lines(&t, "site", s->name, pub, n);
	}
	if (t.full) {
		errno = ERANGE;
		return -1;
	}
	return (int)(t.p - buf);
}

/* -------------------------------------------------------------- planning --- */

static bool
rotation_due(const struct keys_ring *r, const struct keys_want *w)
{
	if (w->request != 0 && w->request != r->done)
		return true;
	return w->age_s > 0 && r->made_s != 0 &&
	    w->now_s - r->made_s >= w->age_s;
}

/* One signer of a group after the other: one key more is listed at a time. */
static bool
rotates(const struct keys_group *g)
{
	for (unsigned i = 0; i < g->n; i++)
		if (g->site[i].wanted &&
		    (g->site[i].ring.n == 2 ||
			g->site[i].listed.n > g->site[i].ring.n))
			return true;
	return false;
}

bool
keys_quiet(const struct keys_group *g, int64_t now_ms)
{
	return keys_spread(g, now_ms) && !rotates(g);
}

enum keys_do
keys_site_next(const struct keys_group *g, unsigned i,
    const struct keys_ring *op, uint64_t trust, const struct keys_want *w,
    int64_t now_ms)
{
	const struct keys_site *s = &g->site[i];
	const struct keys_ring *r = &s->ring;

	/* Without all of them the text would forget somebody. */
	if (!s->wanted || r->taken || !told(g, op))
		return KEYS_LEAVE;
	if (r->n == 0)
		return KEYS_NEW;
	/* Its seed is lost. A Pod that still has it goes on with it until all
	   others know the new one; one that starts needs any. */
	if (!r->exists)
		return r->fresh && s->live && !others_spread(g, now_ms) ?
		    KEYS_LEAVE :
		    KEYS_KEEP;
	/* A number that the Pod knows with other contents; another trust. */
	if (r->generation < s->reported || s->trust != trust)
		return KEYS_KEEP;
	if (r->n == 2)
		return keys_spread(g, now_ms) ? KEYS_SWITCH : KEYS_LEAVE;
	if (op->n == 1 && !rotates(g) && rotation_due(r, w) &&
	    keys_spread(g, now_ms))
		return KEYS_ADD;
	return KEYS_LEAVE;
}

enum keys_do
keys_op_next(const struct keys_ring *op, bool spread, const struct keys_want *w)
{
	if (!op->told)
		return KEYS_LEAVE;
	if (op->n == 0)
		return KEYS_NEW;
	if (!op->exists)
		return KEYS_KEEP;
	if (op->n == 2)
		return spread ? KEYS_SWITCH : KEYS_LEAVE;
	return rotation_due(op, w) ? KEYS_ADD : KEYS_LEAVE;
}

uint64_t
keys_generation(const struct keys_ring *r, uint64_t reported, int64_t now_s)
{
	uint64_t g = r->generation;

	if (g < reported)
		g = reported;
	g++;
	/* Numbers of a Secret that was lost, and of a Pod that is silent. */
	return now_s > 0 && (uint64_t)now_s > g ? (uint64_t)now_s : g;
}

void
keys_apply(struct keys_ring *r, enum keys_do what, const struct wire_pub *drawn,
    const struct keys_want *w, uint64_t reported)
{
	r->generation = keys_generation(r, reported, w->now_s);
	switch (what) {
	case KEYS_LEAVE:
	case KEYS_KEEP:
		return;
	case KEYS_NEW:
		r->pub[0] = *drawn;
		r->n = 1;
		r->fresh = true;
		r->done = w->request;
		break;
	case KEYS_ADD:
		r->pub[1] = *drawn;
		r->n = 2;
		r->done = w->request;
		return;
	case KEYS_SWITCH:
		r->pub[0] = r->pub[1];
		r->n = 1;
		break;
	}
	r->since = r->generation;
	r->made_s = w->now_s;
}

size_t
keys_accepted(const struct keys_ring *r, const struct keys_listed *l,
    struct wire_pub out[static WIRE_PUBS_MAX])
{
	return wanted(r, l, true, 0, out);
}
