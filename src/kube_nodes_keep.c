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
 * What is kept of nodes, and what the groups together want of each.
 */

#include <stdlib.h>
#include <string.h>

#include "kube_nodes.h"
#include "kube_render.h"

#define RETRY_MIN_MS 500
#define RETRY_MAX_MS 60000

static int
knode_cmp(const struct knode *a, const struct knode *b)
{
	return strcmp(a->name, b->name);
}

RB_GENERATE(knode_tree, knode, entry, knode_cmp)

/* ------------------------------------------------------------------ groups */

static int
by_name(const void *a, const void *b)
{
	const struct kgroup *g = ((const struct knamed *)a)->g;
	const struct kgroup *h = ((const struct knamed *)b)->g;
	int r = strcmp(g->name, h->name);

	return r != 0 ? r : strcmp(g->ns, h->ns);
}

static int
by_hash(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t
knodes_hash(const char *key)
{
	return kj_hash(key, strlen(key));
}

uint64_t
knodes_key(const char *group)
{
	char key[KTAINT_KEY_LEN + 1];

	ktaint_key(group, key);
	return knodes_hash(key);
}

static void
add_asked(struct knodes *kn, size_t *room, yyjson_val *selector)
{
	yyjson_obj_iter it = yyjson_obj_iter_with(selector);
	yyjson_val *key;

	while ((key = yyjson_obj_iter_next(&it)) != NULL) {
		if (kn->nasked == *room) {
			*room = *room * 2 + 16;
			kn->asked =
			    reallocarray(kn->asked, *room, sizeof(*kn->asked));
			if (kn->asked == NULL)
				fatal("reallocarray");
		}
		kn->asked[kn->nasked++] = knodes_hash(yyjson_get_str(key));
	}
}

bool
knodes_chooses(const struct ksite *s)
{
	return s->role != ROLE_READER && yyjson_obj_size(s->taint_selector) > 0;
}

/* Groups by name, and the keys that their sites ask nodes for. */
void
knodes_refresh(struct knodes *kn)
{
	struct kgroup *g;
	size_t room = 0;

	if (!kn->stale)
		return;
	kn->stale = false;
	kn->order = recallocarray(
	    kn->order, kn->norder, kn->k->ngroups + 1, sizeof(*kn->order));
	if (kn->order == NULL)
		fatal("recallocarray");
	free(kn->asked);
	kn->asked = NULL;
	kn->norder = 0;
	kn->nasked = 0;
	RB_FOREACH (g, kgroups, &kn->k->groups) {
		kn->order[kn->norder].g = g;
		kn->order[kn->norder++].key = knodes_key(g->name);
		for (unsigned i = 0; g->doc != NULL && i < g->spec.nsites; i++)
			if (knodes_chooses(&g->spec.sites[i]))
				add_asked(
				    kn, &room, g->spec.sites[i].taint_selector);
	}
	qsort(kn->order, kn->norder, sizeof(*kn->order), by_name);
	if (kn->nasked > 0)
		qsort(kn->asked, kn->nasked, sizeof(*kn->asked), by_hash);
}

static bool
is_asked(void *arg, const char *key)
{
	struct knodes *kn = arg;
	uint64_t h = knodes_hash(key);

	return kn->nasked > 0 &&
	    bsearch(&h, kn->asked, kn->nasked, sizeof(h), by_hash) != NULL;
}

static enum taint_want
view_taint(const struct kgroup *g, const char *site)
{
	for (uint32_t i = 0; g->want != NULL && i < g->want->n_sites; i++)
		if (strcmp(g->want->sites[i].name, site) == 0)
			return (enum taint_want)g->want->sites[i].taint;
	return TW_KEEP;
}

/* What this group wants of the node, and the site that it is for. */
static enum ktaint
group_wants(const struct kgroup *g, const struct knode *n, const char **site)
{
	enum ktaint best = KTN_NONE, w;

	if (g->deleting)
		return KTN_NONE;
	/* Never understood: neither are the taints that it left. */
	if (g->doc == NULL)
		return KTN_KEEP;
	for (unsigned i = 0; i < g->spec.nsites; i++) {
		const struct ksite *s = &g->spec.sites[i];

		w = ktaint_site(
		    s, view_taint(g, s->name), n->labels, n->nlabels);
		if (w > best) {
			best = w;
			*site = s->name;
		}
	}
	return best;
}

/* ------------------------------------------------------------- decisions */

enum ktaint_have
knode_has(const struct knode *n, uint64_t key)
{
	for (unsigned i = 0; i < n->ntaints; i++)
		if (n->taints[i].key == key)
			return n->taints[i].have;
	return KTH_ABSENT;
}

static void
add_change(struct ktaint_change **changes, unsigned *n, bool on, const char *ns,
    const char *group, const char *site)
{
	struct ktaint_change *c;

	*changes =
	    recallocarray(*changes, *n, (size_t)*n + 1, sizeof(**changes));
	if (*changes == NULL)
		fatal("recallocarray");
	c = &(*changes)[(*n)++];
	ktaint_key(group, c->key);
	c->on = on;
	(void)strlcpy(c->ns, ns, sizeof(c->ns));
	(void)strlcpy(c->group, group, sizeof(c->group));
	(void)strlcpy(c->site, site == NULL ? "" : site, sizeof(c->site));
}

/* The first group that has this key, or norder. */
unsigned
knodes_first(const struct knodes *kn, uint64_t key)
{
	unsigned i;

	for (i = 0; i < kn->norder && kn->order[i].key != key; i++)
		;
	return i;
}

/*
 * The groups order[*at..] of one name, together: is something due for their
 * key? *at moves past them.
 */
bool
knodes_decide_name(struct knodes *kn, unsigned *at, const struct knode *n,
    struct ktaint_change **changes, unsigned *nc)
{
	const struct knamed *first = &kn->order[*at];
	const struct kgroup *who = first->g;
	const char *site = NULL, *s = NULL;
	enum ktaint want = KTN_NONE, w;

	for (; *at < kn->norder && kn->order[*at].key == first->key; (*at)++) {
		w = group_wants(kn->order[*at].g, n, &s);
		if (w > want) {
			want = w;
			who = kn->order[*at].g;
			site = s;
		}
	}
	if (!ktaint_differs(want, knode_has(n, first->key)))
		return false;
	if (changes != NULL)
		add_change(
		    changes, nc, want == KTN_ON, who->ns, who->name, site);
	return true;
}

bool
knodes_decide(struct knodes *kn, const struct knode *n,
    struct ktaint_change **changes, unsigned *nc)
{
	struct kretired *r;
	bool due = false;

	knodes_refresh(kn);
	for (unsigned i = 0; i < kn->norder;)
		due |= knodes_decide_name(kn, &i, n, changes, nc);
	TAILQ_FOREACH (r, &kn->retired, entry) {
		if (knode_has(n, r->key) == KTH_ABSENT ||
		    knodes_first(kn, r->key) != kn->norder)
			continue;
		due = true;
		if (changes != NULL)
			add_change(changes, nc, false, r->ns, r->name, NULL);
	}
	return due;
}

/* -------------------------------------------------------------- nodes kept */

struct knode *
knodes_find(struct knodes *kn, const char *name)
{
	struct knode key = { .name = (char *)(uintptr_t)name };

	return RB_FIND(knode_tree, &kn->tree, &key);
}

void
knodes_forget(struct knodes *kn, struct knode *n)
{
	n->gone = true;
	if (n->req != NULL)
		return; /* when it is answered */
	RB_REMOVE(knode_tree, &kn->tree, n);
	if (n->queued)
		TAILQ_REMOVE(&kn->work, n, queue);
	free(n->name);
	free(n->labels);
	free(n->taints);
	free(n->changes);
	free(n);
}

struct knode *
knodes_add(struct knodes *kn, const char *name)
{
	struct knode *n;

	if ((n = calloc(1, sizeof(*n))) == NULL ||
	    (n->name = strdup(name)) == NULL)
		fatal("calloc");
	n->k = kn->k;
	n->backoff.min_ms = RETRY_MIN_MS;
	n->backoff.max_ms = RETRY_MAX_MS;
	RB_INSERT(knode_tree, &kn->tree, n);
	return n;
}

/* Those of its taints that may be ours, by the prefix of their keys. */
static void
take_taints(struct knode *n, yyjson_val *taints)
{
	const char *key;
	yyjson_val *t;
	size_t i, max;

	free(n->taints);
	n->taints = NULL;
	n->ntaints = 0;
	yyjson_arr_foreach(taints, i, max, t)
	{
		key = yyjson_get_str(yyjson_obj_get(t, "key"));
		if (key == NULL ||
		    strncmp(key, KTAINT_PREFIX, strlen(KTAINT_PREFIX)) != 0 ||
		    knode_has(n, knodes_hash(key)) != KTH_ABSENT)
			continue;
		n->taints = recallocarray(n->taints, n->ntaints,
		    (size_t)n->ntaints + 1, sizeof(*n->taints));
		if (n->taints == NULL)
			fatal("recallocarray");
		n->taints[n->ntaints].key = knodes_hash(key);
		n->taints[n->ntaints++].have = ktaint_have(taints, key);
	}
}

/* Does a site choose it, or has it a taint of a group that we know? */
static bool
is_ours(struct knodes *kn, const struct knode *n)
{
	const char *site;
	struct kretired *r;

	if (n->ntaints == 0 && n->nlabels == 0)
		return false;
	for (unsigned i = 0; i < kn->norder; i++) {
		const struct kgroup *g = kn->order[i].g;

		if (knode_has(n, kn->order[i].key) != KTH_ABSENT ||
		    (g->doc != NULL && group_wants(g, n, &site) != KTN_NONE))
			return true;
	}
	TAILQ_FOREACH (r, &kn->retired, entry)
		if (knode_has(n, r->key) != KTH_ABSENT)
			return true;
	return false;
}

bool
knodes_update(struct knodes *kn, struct knode *n, yyjson_val *obj)
{
	knodes_refresh(kn);
	free(n->labels);
	n->nlabels = knode_labels(
	    kj_at(obj, "metadata", "labels"), is_asked, kn, &n->labels);
	take_taints(n, kj_at(obj, "spec", "taints"));
	n->mark = kn->mark;
	if (is_ours(kn, n))
		return true;
	knodes_forget(kn, n);
	return false;
}
