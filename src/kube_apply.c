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
 * A group's objects: one pass after another through the list that is rendered
 * from its spec, each object written only when it differs from what was
 * applied, or when somebody else changed it. Of live objects only hashes are
 * kept.
 */

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube.h"

/* Passes of this many groups at a time: a start has all of them at once. */
#define PASSES_MAX   8
/* Drift that comes back is restored this often and no more. */
#define DRIFT_MS     500
#define APPLY_MAX_MS 60000

static void pass_step(struct kgroup *);
static void deployments_done(void *, const struct kh_resp *);
static void object_done(void *, const struct kh_resp *);

static uint64_t
own_id(const char *plural, const char *name)
{
	return kj_hash(plural, strlen(plural)) * 31 +
	    kj_hash(name, strlen(name));
}

static struct kown *
own_find(struct kgroup *g, uint64_t id)
{
	for (unsigned i = 0; i < g->nown; i++)
		if (g->own[i].id == id)
			return &g->own[i];
	return NULL;
}

static const char *const plurals[] = {
#define X(id, plural, path) plural,
	KOWNED(X)
#undef X
};

static struct kown *
own_get(struct kgroup *g, const char *plural, const char *name)
{
	uint64_t id = own_id(plural, name);
	struct kown *o = own_find(g, id);

	if (o != NULL || g->nown == KOBJS_MAX)
		return o;
	o = &g->own[g->nown++];
	memset(o, 0, sizeof(*o));
	o->id = id;
	while (strcmp(plurals[o->kind], plural) != 0)
		o->kind++;
	return o;
}

bool
kown_differs(const struct kown *o, uint64_t wanted, bool once)
{
	if (once)
		return !o->exists;
	return !o->exists || o->wanted != wanted || o->live != o->applied;
}

static const char *
plural(const struct kobj *o)
{
#define X(id, prefix, plural, once) plural,
	static const char *const names[] = { KOBJS(X) };
#undef X

	return names[o->kind];
}

/* A version that only moves when somebody changes what we care about. */
static uint64_t
version(yyjson_val *obj)
{
	const char *rv = kj_meta(obj, "resourceVersion");

	return kj_hash(rv, strlen(rv));
}

/* -------------------------------------------------------------------- pass */

static bool
may_run(const struct kgroup *g)
{
	return g->doc != NULL && !g->deleting && g->creds_valid &&
	    kkeys_ready(g) && kube_may_write(g->k);
}

static void
next_waiting(struct kube *k)
{
	struct kgroup *g;

	while (k->applying < PASSES_MAX &&
	    (g = TAILQ_FIRST(&k->waiting)) != NULL) {
		TAILQ_REMOVE(&k->waiting, g, waiting);
		g->apply_queued = false;
		klane_in(&g->apply, 0);
	}
}

static void
pass_end(struct kgroup *g, bool ok, const struct kh_resp *p)
{
	g->apply_running = false;
	g->k->applying--;
	free(g->objs);
	g->objs = NULL;
	if (!ok)
		klane_retry(&g->apply, p);
	else {
		klane_ok(&g->apply);
		if (g->apply.again)
			klane_in(&g->apply, DRIFT_MS);
	}
	next_waiting(g->k);
}

static void
pass_begin(struct kgroup *g)
{
	char path[KH_PATH_MAX], sel[3 * NAME_LEN + 1];
	struct kcall c = { .k = g->k,
		.method = KH_GET,
		.path = path,
		.done = deployments_done,
		.arg = g };

	g->apply.again = g->apply_stale = false;
	g->apply_running = true;
	g->k->applying++;
	(void)kh_escape(sel, sizeof(sel), g->name);
	/* The live server ids, and what already runs. */
	(void)snprintf(path, sizeof(path),
	    "/apis/apps/v1/namespaces/%s/"
	    "deployments?labelSelector=%s%%2Cshipstream.io%%2F"
	    "failover-group%%3D%s",
	    g->ns, OURS, sel);
	g->apply.req = kube_call(&c);
}

static void
on_apply(int fd, short what, void *arg)
{
	struct kgroup *g = arg;

	(void)fd;
	(void)what;
	if (g->apply_running || g->apply_queued || !may_run(g))
		return;
	if (g->k->applying >= PASSES_MAX) {
		g->apply_queued = true;
		TAILQ_INSERT_TAIL(&g->k->waiting, g, waiting);
		return;
	}
	pass_begin(g);
}

void
kapply_kick(struct kgroup *g)
{
	if (g->apply_running)
		g->apply.again = true;
	else if (!g->apply_queued && may_run(g) &&
	    !evtimer_pending(g->apply.timer, NULL))
		klane_in(
		    &g->apply, g->apply.backoff.cur_ms == 0 ? 0 : DRIFT_MS);
}

/* ------------------------------------------------------------- Deployments */

static void
deployments_done(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	yyjson_val *items, *d;
	yyjson_doc *doc;
	struct kown *o;
	size_t i, n;

	g->apply.req = NULL;
	if (p->status != 200 || (doc = kj_read(p->body, p->len)) == NULL) {
		pass_end(g, false, p);
		return;
	}
	items = yyjson_obj_get(yyjson_doc_get_root(doc), "items");
	/* The newest spec: what changed it before this line is in it. */
	g->apply_stale = false;
	kspec_server_ids(&g->spec, items);
	yyjson_arr_foreach(items, i, n, d)
	{
		o = own_get(g, "deployments", kj_meta(d, "name"));
		if (o != NULL)
			o->exists = true;
	}
	kroll_listed(g, items);
	yyjson_doc_free(doc);
	g->objs = reallocarray(NULL, KOBJS_MAX, sizeof(*g->objs));
	if (g->objs == NULL)
		fatal("reallocarray");
	g->apply_n = kobjs(&g->spec, g->objs);
	g->apply_i = 0;
	g->apply_failed = false;
	pass_step(g);
}

/* ----------------------------------------------------------------- objects */

static void
object_send(struct kgroup *g, const struct kobj *o, yyjson_mut_doc *doc,
    yyjson_mut_val *root)
{
	char path[KH_PATH_MAX];
	struct kcall c = {
		.k = g->k,
		.path = path,
		.doc = doc,
		.root = root,
		.may = kgroup_may_write,
		.done = object_done,
		.arg = g,
	};

	if (o->once) {
		c.method = KH_POST;
		c.type = KH_JSON;
		(void)strlcpy(path, o->collection, sizeof(path));
	} else {
		c.method = KH_PATCH;
		c.type = KH_APPLY;
		(void)snprintf(path, sizeof(path),
		    "%s?fieldManager=" BR_FIELD_MANAGER "&force=true", o->path);
	}
	g->apply.req = kube_call(&c);
}

/* Go on to the next object that differs; the pass ends when there is none. */
static void
pass_step(struct kgroup *g)
{
	yyjson_mut_doc *doc;
	yyjson_mut_val *root;
	struct kown *own;
	struct kobj *o;
	uint64_t wanted;
	size_t len;
	char *text;

	for (; g->apply_i < g->apply_n; g->apply_i++) {
		/* Another spec, or no Lease: this pass is over. */
		if (g->apply_stale || !may_run(g))
			break;
		o = &g->objs[g->apply_i];
		own = own_get(g, plural(o), o->name);
		if (own != NULL && own->exists && kroll_holds(g, o))
			continue;
		if (own == NULL || (o->once && own->exists))
			continue;
		doc = kj_new();
		if ((root = kobj_render(doc, &g->spec, o)) == NULL)
			fatalx("JSON memory");
		text = kj_write(root, &len);
		wanted = kj_hash(text, len);
		kj_free(text, len);
		if (!kown_differs(own, wanted, o->once)) {
			yyjson_mut_doc_free(doc);
			continue;
		}
		own->wanted = wanted;
		object_send(g, o, doc, root);
		return;
	}
	pass_end(g, !g->apply_failed, NULL);
}

void
kapply_spec(struct kgroup *g)
{
	g->apply_stale = true;
	kapply_kick(g);
}

static void
object_written(struct kown *own, const struct kh_resp *p)
{
	yyjson_doc *d;

	own->exists = true;
	if (p->status == 409 || (d = kj_read(p->body, p->len)) == NULL)
		return;
	own->applied = own->live = version(yyjson_doc_get_root(d));
	yyjson_doc_free(d);
}

static void
object_refused(struct kgroup *g, const struct kobj *o, const struct kh_resp *p)
{
	char msg[MSGTEXT_LEN + 1], why[ERR_LEN + 1];
	yyjson_doc *d = kj_read(p->body, p->len);
	const char *s = NULL;

	if (d != NULL)
		s = yyjson_get_str(
		    yyjson_obj_get(yyjson_doc_get_root(d), "message"));
	(void)strlcpy(why,
	    s != NULL            ? s :
		p->error != NULL ? p->error :
				   "",
	    sizeof(why));
	yyjson_doc_free(d);
	log_ev(LL_WARN, "object could not be applied", KVS("fg", g->fg),
	    KVS("kind", plural(o)), KVS("name", o->name),
	    KVI("status", p->status), KVS("error", why));
	if (p->status < 400 || p->status >= 500 || p->status == 429)
		return;
	(void)snprintf(
	    msg, sizeof(msg), "%s %s: %.600s", plural(o), o->name, why);
	kevent_emit(g, true, "ApplyFailed", msg);
}

static void
object_done(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	struct kobj *o = &g->objs[g->apply_i];
	struct kown *own = own_find(g, own_id(plural(o), o->name));
	bool ok = p->status == 200 || p->status == 201 ||
	    (p->status == 409 && o->once);

	g->apply.req = NULL;
	if (p->refused) {
		g->apply_failed = true;
		if (own != NULL)
			own->wanted = 0;
		pass_end(g, false, NULL);
		return;
	}
	if (ok) {
		log_ev(LL_INFO, "object applied", KVS("fg", g->fg),
		    KVS("kind", plural(o)), KVS("name", o->name),
		    KVI("status", p->status));
		object_written(own, p);
	} else {
		own->wanted = 0;
		g->apply_failed = true;
		object_refused(g, o, p);
		/*
		 * What a Pod mounts comes first: nothing later may be made
		 * when something earlier is missing.
		 */
		pass_end(g, false, p);
		return;
	}
	g->apply_i++;
	pass_step(g);
}

void
kapply_init(struct kgroup *g)
{
	klane_init(&g->apply, g->k, on_apply, g, 500, APPLY_MAX_MS);
}

void
kapply_free(struct kgroup *g)
{
	if (g->apply_queued)
		TAILQ_REMOVE(&g->k->waiting, g, waiting);
	klane_free(&g->apply);
	if (g->apply_running) {
		g->k->applying--;
		next_waiting(g->k);
	}
	free(g->objs);
}

/* ---------------------------------------------------------------- watches */

static void
on_begin(void *arg)
{
	struct kown_ctx *c = arg;

	c->k->own_mark[c->kind]++;
}

static void
on_object(void *arg, yyjson_val *obj, bool deleted)
{
	struct kown_ctx *c = arg;
	const char *name = kj_meta(obj, "name");
	const char *group = yyjson_get_str(
	    yyjson_obj_get(kj_at(obj, "metadata", "labels"), KLABEL_GROUP));
	struct kgroup *g = group == NULL ?
	    NULL :
	    kgroup_by_name(c->k, kj_meta(obj, "namespace"), group);
	struct kown *o;

	if (g == NULL || (o = own_get(g, plurals[c->kind], name)) == NULL)
		return;
	if (c->kind == KW_DEPLOYMENTS)
		kroll_seen(g, obj, deleted);
	o->mark = c->k->own_mark[c->kind];
	o->live = version(obj);
	/* A list at start finds what a predecessor applied. */
	if (deleted || !o->exists || o->live != o->applied) {
		o->exists = !deleted;
		if (c->kind != KW_DEPLOYMENTS && c->kind != KW_PVCS)
			kapply_kick(g);
		else if (deleted)
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

void
kowned_start(struct kube *k)
{
	static const char *const paths[] = {
#define X(id, plural, path) path,
		KOWNED(X)
#undef X
	};
	char path[KH_PATH_MAX];
	const char *ns = k->conf.watch_namespace;

	for (int i = 0; i < KW_MAX; i++) {
		struct kwatch_conf c = {
			.name = plurals[i],
			.path = path,
			.query = "labelSelector=" OURS
				 "%2Cshipstream.io%2Ffailover-group",
			.limit = 100,
			.begin = on_begin,
			.object = on_object,
			.listed = on_listed,
			.arg = &k->octx[i],
		};

		k->octx[i].k = k;
		k->octx[i].kind = (enum kowned)i;
		if (ns[0] == '\0')
			(void)strlcpy(path, paths[i], sizeof(path));
		else
			(void)snprintf(path, sizeof(path),
			    "%.*s/namespaces/"
			    "%s/%s",
			    (int)(strrchr(paths[i], '/') - paths[i]), paths[i],
			    ns, plurals[i]);
		k->w_owned[i] = kwatch_new(k->kh, k->base, &c);
	}
}
