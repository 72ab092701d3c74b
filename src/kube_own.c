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
 * What is known of a group's live objects: of each one a hash of what we watch
 * over, never the object. Watches say when one is not as our apply left it.
 */

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube.h"
#include "kube_render.h"

static const struct {
	const char *plural, *prefix;
} kinds[] = {
#define X(id, plural, prefix) { plural, prefix },
	KOWNED(X)
#undef X
};

static uint64_t
own_id(const char *plural, const char *name)
{
	return kj_hash(plural, strlen(plural)) * 31 +
	    kj_hash(name, strlen(name));
}

static struct kown *
find_id(struct kgroup *g, uint64_t id)
{
	for (unsigned i = 0; i < g->nown; i++)
		if (g->own[i].id == id)
			return &g->own[i];
	return NULL;
}

struct kown *
kown_find(struct kgroup *g, const char *plural, const char *name)
{
	return find_id(g, own_id(plural, name));
}

void
kown_spec(struct kgroup *g)
{
	struct kobj *objs;
	struct kown *now, *was;
	unsigned n;

	objs = reallocarray(NULL, KOBJS_MAX, sizeof(*objs));
	now = calloc(KOBJS_MAX, sizeof(*now));
	if (objs == NULL || now == NULL)
		fatal("kown_spec");
	n = kobjs(&g->spec, objs);
	for (unsigned i = 0; i < n; i++) {
		const char *plural = kobj_plural(objs[i].kind);
		uint64_t id = own_id(plural, objs[i].name);

		if ((was = find_id(g, id)) != NULL) {
			now[i] = *was;
			continue;
		}
		now[i].id = id;
		while (strcmp(kinds[now[i].kind].plural, plural) != 0)
			now[i].kind++;
	}
	sparse_copy(g->own, now, sizeof(g->own));
	g->nown = n;
	free(now);
	free(objs);
}

bool
kown_differs(const struct kown *o, uint64_t wanted)
{
	return !o->exists || o->wanted != wanted || o->live != o->applied;
}

/* The controllers' own annotations come and go with each of their steps. */
static uint64_t
annotations(enum kowned kind, yyjson_val *obj)
{
	yyjson_val *anns = kj_at(obj, "metadata", "annotations"), *key;
	yyjson_obj_iter it = yyjson_obj_iter_with(anns);
	uint64_t h = 0;

	if (kind == KW_PVCS)
		return kj_hash_val(yyjson_obj_get(anns, KANN_SERVER_ID));
	while ((key = yyjson_obj_iter_next(&it)) != NULL) {
		const char *s = yyjson_get_str(key);

		if (strncmp(s, "deployment.kubernetes.io/", 25) == 0)
			continue;
		h = h * 31 + kj_hash(s, strlen(s));
		h = h * 31 + kj_hash_val(yyjson_obj_iter_get_val(key));
	}
	return h;
}

uint64_t
kown_content(enum kowned kind, yyjson_val *obj)
{
	yyjson_val *parts[] = {
		kj_at(obj, "metadata", "labels"),
		kj_at(obj, "metadata", "ownerReferences"),
		kind == KW_PVCS ? kj_at(obj, "metadata", "deletionTimestamp") :
				  yyjson_obj_get(obj, "spec"),
		yyjson_obj_get(obj, "data"),
	};
	uint64_t h = annotations(kind, obj);

	for (size_t i = 0; i < PS_NITEMS(parts); i++)
		h = h * 31 + kj_hash_val(parts[i]);
	return h | 1; /* never 0, which is "not known" */
}

void
kown_seen(struct kown *o, yyjson_val *obj)
{
	o->live = kown_content(o->kind, obj);
	if (o->kind == KW_SERVICES)
		o->node_port = (uint16_t)kservice_node_port(obj);
}

void
kown_answered(struct kown *o, yyjson_val *obj, bool applied)
{
	uint64_t was = o->live;

	kown_seen(o, obj);
	if (applied)
		o->applied = o->live;
	if (o->told)
		o->live = was;
	else
		o->exists = true;
}

/* ---------------------------------------------------------------- watches */

static void
on_begin(void *arg)
{
	struct kown_ctx *c = arg;

	c->k->own_mark[c->kind]++;
}

/* Of a site that is configured no more, or of an earlier release. */
static void
not_ours_now(struct kgroup *g, enum kowned kind, yyjson_val *obj, bool deleted)
{
	char legacy[2 * NAME_LEN];
	const char *site = yyjson_get_str(
	    yyjson_obj_get(kj_at(obj, "metadata", "labels"), KLABEL_SITE));

	if (g->doc == NULL)
		return;
	(void)snprintf(legacy, sizeof(legacy), "mysql-%s-config", g->name);
	if (kind == KW_CONFIGMAPS && site == NULL &&
	    strcmp(kj_meta(obj, "name"), legacy) == 0) {
		(void)strlcpy(g->legacy_uid, deleted ? "" : kj_meta(obj, "uid"),
		    sizeof(g->legacy_uid));
		ksweep_kick(g);
	}
	if (kind != KW_PVCS && site != NULL && kspec_site(&g->spec, site) == -1)
		ksweep_kick(g);
}

/* That its label names, or, when that one has none, one that has such a one. */
static struct kgroup *
whose(struct kown_ctx *c, yyjson_val *obj, struct kown **o)
{
	const char *ns = kj_meta(obj, "namespace");
	const char *plural = kinds[c->kind].plural,
		   *name = kj_meta(obj, "name");
	const char *label = yyjson_get_str(
	    yyjson_obj_get(kj_at(obj, "metadata", "labels"), KLABEL_GROUP));
	struct kgroup *g, *labelled;

	labelled = label == NULL ? NULL : kgroup_by_name(c->k, ns, label);
	*o = labelled == NULL ? NULL : kown_find(labelled, plural, name);
	if (*o != NULL)
		return labelled;
	RB_FOREACH (g, kgroups, &c->k->groups)
		if (strcmp(g->ns, ns) == 0 &&
		    (*o = kown_find(g, plural, name)) != NULL)
			return g;
	return labelled;
}

static void
on_object(void *arg, yyjson_val *obj, bool deleted)
{
	struct kown_ctx *c = arg;
	struct kown *o;
	struct kgroup *g = whose(c, obj, &o);

	if (g == NULL)
		return;
	if (o == NULL) {
		not_ours_now(g, c->kind, obj, deleted);
		return;
	}
	o->mark = c->k->own_mark[c->kind];
	if (c->kind == KW_DEPLOYMENTS && !deleted)
		kroll_seen(g, obj);
	kown_seen(o, obj);
	o->told = true;
	/* A list at start finds what a predecessor applied. */
	if (deleted || !o->exists || o->live != o->applied) {
		o->exists = !deleted;
		kapply_kick(g);
	}
}

/* What an earlier list had and this one has not was deleted meanwhile. */
static void
on_listed(void *arg)
{
	struct kown_ctx *c = arg;
	struct kgroup *g;
	struct kown *o;

	RB_FOREACH (g, kgroups, &c->k->groups)
		for (unsigned i = 0; i < g->nown; i++) {
			o = &g->own[i];
			if (o->kind != c->kind || !o->exists ||
			    o->mark == c->k->own_mark[c->kind])
				continue;
			o->exists = false;
			kapply_kick(g);
		}
	kube_check_synced(c->k);
}

static void
start(struct kube *k, enum kowned kind, const char *prefix)
{
	char path[KH_PATH_MAX];
	struct kwatch_conf c = {
		.name = kinds[kind].plural,
		.path = path,
		.query =
		    "labelSelector=" OURS "%2Cshipstream.io%2Ffailover-group",
		.limit = 100,
		.begin = on_begin,
		.object = on_object,
		.listed = on_listed,
		.arg = &k->octx[kind],
	};

	k->octx[kind].k = k;
	k->octx[kind].kind = kind;
	kh_collection(
	    path, prefix, k->conf.watch_namespace, kinds[kind].plural);
	k->w_owned[kind] = kwatch_new(k->kh, k->base, &c);
}

void
kowned_start(struct kube *k)
{
	for (unsigned i = 0; i < KW_MAX; i++)
		if (kinds[i].prefix != NULL)
			start(k, i, kinds[i].prefix);
	kowned_policy(k);
}

void
kowned_policy(struct kube *k)
{
	char prefix[64];
	struct kgroup *g;

	if (k->policy_api == NULL)
		return;
	RB_FOREACH (g, kgroups, &k->groups) {
		if (g->doc == NULL)
			continue;
		g->spec.policy_api = k->policy_api;
		kown_spec(g);
		kapply_again(g);
	}
	if (k->w_pods == NULL)
		return; /* kowned_start() is to come */
	if (k->w_owned[KW_PDBS] != NULL)
		kwatch_free(k->w_owned[KW_PDBS]);
	(void)snprintf(prefix, sizeof(prefix), "/apis/%s", k->policy_api);
	start(k, KW_PDBS, prefix);
}
