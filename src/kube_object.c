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
 * One object of a pass (kube_apply.c): is it as wanted, and if not, what is
 * sent, and what follows from the answer.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube.h"
#include "kube_render.h"

static void object_done(void *, const struct kh_resp *);
static void
object_failed(struct kgroup *, const struct kobj *, const struct kh_resp *);

static struct kown *
own_of(struct kgroup *g, const struct kobj *o)
{
	return kown_find(g, kobj_plural(o->kind), o->name);
}

static yyjson_val *
by_name(yyjson_doc *list, const char *name)
{
	yyjson_val *d;
	size_t i, n;

	yyjson_arr_foreach(
	    yyjson_obj_get(yyjson_doc_get_root(list), "items"), i, n, d)
	{
		if (strcmp(kj_meta(d, "name"), name) == 0)
			return d;
	}
	return NULL;
}

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

	if (o->how == KA_CREATE) {
		c.method = KH_POST;
		c.type = KH_JSON;
		(void)snprintf(path, sizeof(path),
		    "%s?fieldManager=" BR_FIELD_MANAGER, o->collection);
	} else {
		c.method = KH_PATCH;
		c.type = KH_APPLY;
		(void)snprintf(path, sizeof(path),
		    "%s?fieldManager=" BR_FIELD_MANAGER "&force=true", o->path);
	}
	g->apply.req = kube_call(&c);
}

/* A merge patch of the object at hand. */
static void
object_patch(struct kgroup *g, const struct kobj *o, yyjson_mut_doc *doc,
    yyjson_mut_val *root, kh_done_fn *done)
{
	struct kown *own = own_of(g, o);
	char path[KH_PATH_MAX];
	struct kcall c = {
		.k = g->k,
		.method = KH_PATCH,
		.path = path,
		.type = KH_MERGE,
		.doc = doc,
		.root = root,
		.may = kgroup_may_write,
		.done = done,
		.arg = g,
	};

	if (own != NULL)
		own->told = false;
	(void)snprintf(
	    path, sizeof(path), "%s?fieldManager=" BR_FIELD_MANAGER, o->path);
	g->apply.req = kube_call(&c);
}

/* Is what the Pod of a new Deployment mounts there, and does it stay? */
static bool
can_mount(struct kgroup *g, const struct kobj *dep)
{
	const struct kown *own;

	for (unsigned i = 0; i < g->apply_n; i++) {
		const struct kobj *o = &g->objs[i];

		if (o->kind != KO_INIT_USERS &&
		    ((o->kind != KO_SITE_CONFIG && o->kind != KO_PVC) ||
			o->site != dep->site))
			continue;
		own = own_of(g, o);
		if (own == NULL || !own->exists || own->going)
			return false;
	}
	return true;
}

/* A merge patch with the labels that a live object lacks; NULL: none. */
static yyjson_mut_val *
labels_back(struct kgroup *g, const struct kobj *o, yyjson_mut_doc *doc,
    yyjson_val *live)
{
	yyjson_mut_val *root = yyjson_mut_obj(doc), *meta, *labels;

	meta = yyjson_mut_obj_add_obj(doc, root, "metadata");
	labels = yyjson_mut_obj_add_obj(doc, meta, "labels");
	if (labels == NULL ||
	    !krender_labels(doc, labels, g->name, g->spec.sites[o->site].name))
		fatalx("JSON memory");
	return krender_within(labels, kj_at(live, "metadata", "labels")) ?
	    NULL :
	    root;
}

/* What a roll waits for may have been scaled down meanwhile, too. */
static yyjson_mut_val *
mend(struct kgroup *g, const struct kobj *o, yyjson_mut_doc *doc,
    yyjson_val *live)
{
	yyjson_mut_val *root = labels_back(g, o, doc, live), *spec;
	yyjson_val *n = kj_at(live, "spec", "replicas");

	if (yyjson_is_int(n) && yyjson_get_sint(n) == 1)
		return root;
	if (root == NULL)
		root = yyjson_mut_obj(doc);
	if ((spec = yyjson_mut_obj_add_obj(doc, root, "spec")) == NULL ||
	    !yyjson_mut_obj_add_int(doc, spec, "replicas", 1))
		fatalx("JSON memory");
	return root;
}

/* Must it wait for the core's word? */
static bool
must_roll(struct kgroup *g, const struct kobj *o, yyjson_val *live)
{
	char hash[KHASH_LEN + 1];

	if (kspec_hash(&g->spec, o->site, hash) == -1)
		fatalx("JSON memory");
	return strcmp(kobj_live_hash(live), hash) != 0;
}

static void mended(void *, const struct kh_resp *);
static void live_got(void *, const struct kh_resp *);

static void
ask_live(struct kgroup *g, const struct kobj *o)
{
	struct kown *own = own_of(g, o);
	struct kcall c = { .k = g->k,
		.method = KH_GET,
		.path = o->path,
		.done = live_got,
		.arg = g };

	if (own != NULL)
		own->told = false;
	g->apply.req = kube_call(&c);
}

/*
 * A Service whose port was allocated, or was asked for and is no more: which
 * it is must be known, or the API server would choose another one.
 */
static bool
ask_port(struct kgroup *g, const struct kobj *o, const struct kown *own)
{
	const struct ksvc *s = &g->spec.sites[o->site].svc;
	const char *type = s->type != NULL ? s->type : g->spec.svc.type;

	if (o->kind != KO_SVC_SITE || own->live != 0 || s->node_port != 0 ||
	    type == NULL || strcmp(type, "ClusterIP") == 0)
		return false;
	ask_live(g, o);
	return true;
}

/* Another group's: nothing of it is written, and it is looked at again. */
static void
clashes(struct kgroup *g, const struct kobj *o, const char *owner)
{
	struct kown *own = own_of(g, o);

	if (own != NULL)
		own->wanted = 0;
	g->apply_failed = true;
	kclash_found(g, o, owner);
}

/* A new Deployment: can its Pod have what it mounts, as ours? */
static bool
can_be_made(struct kgroup *g, const struct kobj *o)
{
	const char *owner = kkeys_owner(g, g->spec.sites[o->site].name);

	if (owner != NULL)
		clashes(g, o, owner);
	else if (can_mount(g, o))
		return true;
	g->apply_failed = true;
	return false;
}

/* What of the live object stays, although the spec does not say it. */
static void
keep(const struct kobj *o, const struct kown *own, yyjson_mut_doc *doc,
    yyjson_mut_val *root, yyjson_val *live)
{
	if ((live != NULL && !kobj_keep(doc, root, live)) ||
	    (o->kind == KO_SVC_SITE &&
		!kservice_keep(doc, root, own->node_port)))
		fatalx("JSON memory");
}

/* One object: true when a request is on its way. */
bool
kobject_step(struct kgroup *g, const struct kobj *o)
{
	struct kown *own = own_of(g, o);
	yyjson_val *live = NULL;
	yyjson_mut_doc *doc;
	yyjson_mut_val *root;
	size_t len;
	char *text;

	if (own == NULL || (o->how == KA_CREATE && own->exists))
		return false;
	/* Its site runs from another template yet: it stays, if it is there. */
	if (kroll_holds(g, o) && !g->apply_looked) {
		if (own->exists && own->live == own->applied)
			return false;
		ask_live(g, o);
		return true;
	}
	if (o->how == KA_ROLL && (live = by_name(g->deps, o->name)) == NULL &&
	    !can_be_made(g, o))
		return false;
	if (ask_port(g, o, own))
		return true;
	doc = kj_new();
	if (live != NULL && must_roll(g, o, live)) {
		if ((root = mend(g, o, doc, live)) != NULL) {
			object_patch(g, o, doc, root, mended);
			return true;
		}
		yyjson_mut_doc_free(doc);
		return false;
	}
	if ((root = kobj_render(doc, &g->spec, o)) == NULL)
		fatalx("JSON memory");
	keep(o, own, doc, root, live);
	text = kj_write(root, &len);
	if (!kown_differs(own, kj_hash(text, len))) {
		kj_free(text, len);
		yyjson_mut_doc_free(doc);
		return false;
	}
	if (!g->apply_looked && kclash_near(g)) {
		kj_free(text, len);
		yyjson_mut_doc_free(doc);
		ask_live(g, o);
		return true;
	}
	own->wanted = kj_hash(text, len);
	own->told = false;
	kj_free(text, len);
	object_send(g, o, doc, root);
	return true;
}

static void
object_written(struct kgroup *, const struct kobj *, const struct kh_resp *);

/* Somebody changed the object meanwhile: no failure, it is met again later. */
static void
not_yet(struct kgroup *g, const struct kobj *o)
{
	struct kown *own = own_of(g, o);

	if (own != NULL)
		own->wanted = 0;
	g->apply_failed = true;
	kapply_next(g);
}

/* Applies are forced: a conflict is never about whose a field is. */
static void
write_failed(struct kgroup *g, const struct kobj *o, const struct kh_resp *p)
{
	if (p->status != 409) {
		object_failed(g, o, p);
		return;
	}
	log_ev(LL_INFO, "object not applied yet", KVS("fg", g->fg),
	    KVS("kind", kobj_plural(o->kind)), KVS("name", o->name),
	    KVI("status", p->status));
	not_yet(g, o);
}

/* What stood beside ours in a selector is out of it. */
static void
stripped(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	const struct kobj *o = &g->objs[g->apply_i];

	g->apply.req = NULL;
	if (p->status == 200)
		object_written(g, o, p);
	else
		write_failed(g, o, p);
}

/*
 * The reference's fields are ours: applied again, those not rendered go. When
 * somebody changed the object meanwhile it is met again later.
 */
static void
adopted_fields(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	const struct kobj *o = &g->objs[g->apply_i];
	struct kown *own = own_of(g, o);

	g->apply.req = NULL;
	if (own != NULL)
		own->wanted = 0;
	if (p->status == 409 || p->status == 404) {
		log_ev(LL_INFO, "fields not taken over yet", KVS("fg", g->fg),
		    KVS("kind", kobj_plural(o->kind)), KVS("name", o->name),
		    KVI("status", p->status));
		not_yet(g, o);
		return;
	}
	if (p->status != 200) {
		object_failed(g, o, p);
		return;
	}
	kadopt_said(g, kobj_plural(o->kind), o->name);
	kapply_step(g);
}

/*
 * What the reference owns of an object that was just applied, once: whoever
 * puts it there again is met again. A pass that is over leaves it to the next.
 * Volumes are made and patched by us as by it; of Deployments see kube_roll.c.
 */
static yyjson_mut_val *
to_adopt(struct kgroup *g, const struct kobj *o, struct kown *own,
    yyjson_mut_doc *m, yyjson_val *live)
{
	yyjson_mut_val *patch;

	if (o->how != KA_APPLY || g->apply_adopted ||
	    (patch = kadopt_patch(m, live)) == NULL)
		return NULL;
	if (g->apply_stale) {
		own->wanted = 0;
		return NULL;
	}
	g->apply_adopted = true;
	return patch;
}

/* What was told meanwhile, and is something else, is met again. */
static void
written(struct kgroup *g, struct kown *own, yyjson_val *obj)
{
	kown_answered(own, obj, true);
	if (!own->exists || own->live != own->applied)
		kapply_kick(g);
}

static void
object_written(struct kgroup *g, const struct kobj *o, const struct kh_resp *p)
{
	struct kown *own = own_of(g, o);
	yyjson_doc *d = kj_read(p->body, p->len);
	yyjson_mut_doc *m = kj_new();
	yyjson_mut_val *patch = NULL;
	kh_done_fn *done = stripped;

	log_ev(LL_INFO, "object applied", KVS("fg", g->fg),
	    KVS("kind", kobj_plural(o->kind)), KVS("name", o->name),
	    KVI("status", p->status));
	if (own != NULL && d != NULL) {
		written(g, own, yyjson_doc_get_root(d));
		patch = to_adopt(g, o, own, m, yyjson_doc_get_root(d));
		if (patch != NULL)
			done = adopted_fields;
		else if (!g->apply_stale && !g->apply_stripped &&
		    (patch = kobj_strip(
			 m, &g->spec, o, yyjson_doc_get_root(d))) != NULL)
			g->apply_stripped = true;
	}
	yyjson_doc_free(d);
	if (patch != NULL) {
		object_patch(g, o, m, patch, done);
		return;
	}
	yyjson_mut_doc_free(m);
	kapply_next(g);
}

/*
 * A field of the user's of another type than Kubernetes has it: versions before
 * 1.22 answer an apply with 500 for that.
 */
static bool
mistyped(const struct kh_resp *p)
{
	return p->status == 500 && p->body != NULL &&
	    strstr(p->body, "failed to create typed patch object") != NULL;
}

/*
 * Is it about this object alone, and for this pass the last word? So is a
 * conflict: the next pass begins with looking again.
 */
static bool
definite(const struct kh_resp *p)
{
	return kh_definite(p->status) || p->status == 409 || mistyped(p);
}

static void
object_refused(struct kgroup *g, const struct kobj *o, const struct kh_resp *p)
{
	struct kown *own = own_of(g, o);
	char why[ERR_LEN + 1];

	kh_why(p, why);
	log_ev(LL_WARN, "object could not be applied", KVS("fg", g->fg),
	    KVS("kind", kobj_plural(o->kind)), KVS("name", o->name),
	    KVI("status", p->status), KVS("error", why));
	if (own != NULL && kh_lasts(p->status))
		krefused_add(
		    g, kobj_plural(o->kind), o->name, why, &own->refused_ms);
}

static void
object_failed(struct kgroup *g, const struct kobj *o, const struct kh_resp *p)
{
	struct kown *own = own_of(g, o);

	if (own != NULL)
		own->wanted = 0;
	g->apply_failed = true;
	if (!p->refused)
		object_refused(g, o, p);
	/* Another version of that API may be served meanwhile. */
	if (o->kind == KO_PDB && p->status == 404)
		kdiscovery_again(g->k);
	if (definite(p))
		kapply_next(g);
	else
		kapply_end(g, p->refused ? NULL : p);
}

/* What is held back with its template gets its labels, and nothing else. */
static void
held(struct kgroup *g, const struct kobj *o, struct kown *own, yyjson_val *live)
{
	yyjson_mut_doc *doc = kj_new();
	yyjson_mut_val *patch = labels_back(g, o, doc, live);

	kown_answered(own, live, true);
	own->wanted = 0; /* when it may be applied it is */
	if (patch != NULL)
		object_patch(g, o, doc, patch, mended);
	else {
		yyjson_mut_doc_free(doc);
		kapply_next(g);
	}
}

static void
met(struct kgroup *g, const struct kobj *o, struct kown *own, yyjson_val *live)
{
	const char *owner = kclash_owner(live, g->name);

	if (owner != NULL) {
		clashes(g, o, owner);
		kapply_next(g);
	} else if (own != NULL && kroll_holds(g, o))
		held(g, o, own, live);
	else {
		if (own != NULL)
			kown_answered(own, live, false);
		kapply_step(g);
	}
}

static void
live_got(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	const struct kobj *o = &g->objs[g->apply_i];
	struct kown *own = own_of(g, o);
	yyjson_doc *d = NULL;

	g->apply.req = NULL;
	if ((p->status != 200 && p->status != 404) ||
	    (p->status == 200 && (d = kj_read(p->body, p->len)) == NULL)) {
		object_failed(g, o, p);
		return;
	}
	g->apply_looked = true;
	if (own != NULL && !own->told)
		own->live = 1; /* looked for */
	if (d != NULL)
		met(g, o, own, yyjson_doc_get_root(d));
	else
		kapply_step(g);
	yyjson_doc_free(d);
}

static void
mended(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	const struct kobj *o = &g->objs[g->apply_i];
	struct kown *own = own_of(g, o);
	yyjson_doc *d;

	g->apply.req = NULL;
	if (p->status != 200) {
		write_failed(g, o, p);
		return;
	}
	log_ev(LL_INFO, "object mended", KVS("fg", g->fg),
	    KVS("kind", kobj_plural(o->kind)), KVS("name", o->name));
	if (own != NULL && (d = kj_read(p->body, p->len)) != NULL) {
		written(g, own, yyjson_doc_get_root(d));
		own->wanted = 0;
		yyjson_doc_free(d);
	}
	kapply_next(g);
}

/* A claim of that name which this pass found to be none of ours. */
static void
is_others(struct kgroup *g, const struct kobj *o)
{
	struct kh_resp p = { .status = 409,
		.body = "",
		.error = "it belongs to another group" };

	object_failed(g, o, &p);
}

/* Applied once more after what stood in its way is gone. */
static void
cleared(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;

	g->apply.req = NULL;
	if (p->status == 200)
		kapply_step(g);
	else
		write_failed(g, &g->objs[g->apply_i], p);
}

static bool
clear_service(struct kgroup *g, const struct kobj *o)
{
	yyjson_mut_doc *doc;
	struct kown *own = own_of(g, o);

	if (strcmp(kobj_plural(o->kind), "services") != 0 || g->apply_cleared ||
	    own == NULL || !own->exists)
		return false;
	g->apply_cleared = true;
	own->wanted = 0;
	doc = kj_new();
	object_patch(g, o, doc, kservice_clear(doc, &g->spec, o), cleared);
	return true;
}

static void
object_done(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	const struct kobj *o = &g->objs[g->apply_i];

	g->apply.req = NULL;
	if (p->status == 200 || p->status == 201)
		object_written(g, o, p);
	else if (p->status == 409 && o->how == KA_CREATE)
		is_others(g, o);
	else if (p->status != 422 || g->apply_stale || !clear_service(g, o))
		write_failed(g, o, p);
}
