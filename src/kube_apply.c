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
 * applied, or when somebody else changed it (kube_own.c).
 *
 *	Deployments are listed	what runs, and under which server ids
 *	volumes are listed	the ids of sites that have no Deployment
 *	volumes' metadata	is put right (kube_volume.c)
 *	objects, one by one	what a Pod mounts comes first
 *
 * What one object is refused for keeps no other from being put right, but no
 * Deployment is made before what its Pod mounts is there.
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

static const char *
plural(const struct kobj *o)
{
#define X(id, prefix, plural, how) plural,
	static const char *const names[] = { KOBJS(X) };
#undef X

	return names[o->kind];
}

static struct kown *
own_of(struct kgroup *g, const struct kobj *o)
{
	return kown_find(g, plural(o), o->name);
}

static yyjson_val *
items(yyjson_doc *list)
{
	return yyjson_obj_get(yyjson_doc_get_root(list), "items");
}

/* -------------------------------------------------------------------- pass */

static bool
may_run(const struct kgroup *g)
{
	return g->doc != NULL && !g->deleting && g->creds_valid &&
	    kaccess_ready(g) && kkeys_ready(g) && kube_may_write(g->k);
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
pass_free(struct kgroup *g)
{
	kvol_end(g);
	yyjson_doc_free(g->deps);
	g->deps = NULL;
	free(g->objs);
	g->objs = NULL;
}

static void
pass_end(struct kgroup *g, bool ok, const struct kh_resp *p)
{
	g->apply_running = false;
	g->k->applying--;
	pass_free(g);
	if (!ok)
		klane_retry(&g->apply, p);
	else {
		klane_ok(&g->apply);
		if (g->apply.again)
			klane_in(&g->apply, DRIFT_MS);
	}
	if (g->deleting)
		kgroup_finalizer(g); /* it waited for the volumes */
	else if (g->left)
		ksweep_kick(g);
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

void
kapply_again(struct kgroup *g)
{
	g->apply_stale = true;
	if (g->apply_running)
		g->apply.again = true;
	else if (!g->apply_queued && may_run(g))
		klane_in(&g->apply, 0);
}

void
kapply_spec(struct kgroup *g)
{
	kown_spec(g);
	g->apply_stale = true;
	kapply_kick(g);
}

/* ----------------------------------------------------------- what is there */

static yyjson_val *
by_name(yyjson_doc *list, const char *name)
{
	yyjson_val *d;
	size_t i, n;

	yyjson_arr_foreach(items(list), i, n, d)
	{
		if (strcmp(kj_meta(d, "name"), name) == 0)
			return d;
	}
	return NULL;
}

/* ConfigMap mysql-<group>-config of earlier releases: is it still mounted? */
static void
find_legacy(struct kgroup *g)
{
	char name[2 * NAME_LEN];
	size_t i, n, j, m;
	yyjson_val *d, *v, *e;

	(void)snprintf(name, sizeof(name), "mysql-%s-config", g->name);
	g->legacy_used = yyjson_arr_size(items(g->deps)) < g->spec.nsites;
	yyjson_arr_foreach(items(g->deps), i, n, d)
	{
		v = yyjson_obj_get(
		    kj_at(yyjson_obj_get(d, "spec"), "template", "spec"),
		    "volumes");
		yyjson_arr_foreach(v, j, m, e)
		{
			if (yyjson_equals_str(
				kj_at(e, "configMap", "name"), name))
				g->legacy_used = true;
		}
	}
}

/* Both lists are quorum reads, and newer than what a watch told. */
static void
look(struct kgroup *g)
{
	struct kown *o;
	yyjson_val *v;
	size_t i, n;

	for (i = 0; i < g->nown; i++)
		if (g->own[i].kind == KW_DEPLOYMENTS ||
		    g->own[i].kind == KW_PVCS)
			g->own[i].exists = g->own[i].going = false;
	yyjson_arr_foreach(items(g->deps), i, n, v)
	{
		o = kown_find(g, "deployments", kj_meta(v, "name"));
		if (o == NULL)
			continue;
		o->exists = true;
		kown_seen(o, v, false);
	}
	yyjson_arr_foreach(items(g->vols), i, n, v)
	{
		o = kown_find(g, "persistentvolumeclaims", kj_meta(v, "name"));
		if (o == NULL)
			continue;
		o->exists = true;
		o->going = kvol_going(v, g->uid);
	}
}

static void
volumes_fixed(struct kgroup *g, const struct kh_resp *p)
{
	if (p->status != 200)
		g->apply_failed = true;
	g->objs = reallocarray(NULL, KOBJS_MAX, sizeof(*g->objs));
	if (g->objs == NULL)
		fatal("reallocarray");
	g->apply_n = kobjs(&g->spec, g->objs);
	g->apply_i = 0;
	g->apply_cleared = false;
	pass_step(g);
}

static void
volumes_listed(struct kgroup *g, const struct kh_resp *p)
{
	if (p->status != 200 || !may_run(g)) {
		pass_end(g, p->status == 200, p);
		return;
	}
	/* The newest spec: what changed it before this line is in it. */
	g->apply_stale = false;
	g->apply_failed = false;
	kspec_server_ids(&g->spec, items(g->deps), items(g->vols));
	look(g);
	kroll_listed(g, items(g->deps));
	find_legacy(g);
	kvol_fix(g, volumes_fixed);
}

static void
deployments_done(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;

	g->apply.req = NULL;
	if (p->status != 200 || (g->deps = kj_read(p->body, p->len)) == NULL) {
		pass_end(g, false, p);
		return;
	}
	kvol_list(g, volumes_listed);
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

/* What a roll waits for may have been scaled down meanwhile. */
static yyjson_mut_val *
scale_up(yyjson_mut_doc *doc, yyjson_val *live)
{
	yyjson_mut_val *root, *spec;
	yyjson_val *n = kj_at(live, "spec", "replicas");

	if (yyjson_is_int(n) && yyjson_get_sint(n) == 1)
		return NULL;
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

static void scaled(void *, const struct kh_resp *);
static void service_got(void *, const struct kh_resp *);

/*
 * A Service whose port was allocated, or was asked for and is no more: which
 * it is must be known, or the API server would choose another one.
 */
static bool
ask_port(struct kgroup *g, const struct kobj *o, const struct kown *own)
{
	const struct ksvc *s = &g->spec.sites[o->site].svc;
	const char *type = s->type != NULL ? s->type : g->spec.svc.type;
	struct kcall c = { .k = g->k,
		.method = KH_GET,
		.path = o->path,
		.done = service_got,
		.arg = g };

	if (o->kind != KO_SVC_SITE || own->live != 0 || s->node_port != 0 ||
	    type == NULL || strcmp(type, "ClusterIP") == 0)
		return false;
	g->apply.req = kube_call(&c);
	return true;
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
static bool
object_step(struct kgroup *g, const struct kobj *o)
{
	struct kown *own = own_of(g, o);
	yyjson_val *live = NULL;
	yyjson_mut_doc *doc;
	yyjson_mut_val *root;
	size_t len;
	char *text;

	if (own == NULL || (o->how == KA_CREATE && own->exists) ||
	    kroll_holds(g, o, own))
		return false;
	if (o->how == KA_ROLL && (live = by_name(g->deps, o->name)) == NULL &&
	    !can_mount(g, o)) {
		g->apply_failed = true;
		return false;
	}
	if (ask_port(g, o, own))
		return true;
	doc = kj_new();
	if (live != NULL && must_roll(g, o, live)) {
		if ((root = scale_up(doc, live)) != NULL) {
			object_patch(g, o, doc, root, scaled);
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
	own->wanted = kj_hash(text, len);
	kj_free(text, len);
	object_send(g, o, doc, root);
	return true;
}

/* Go on to the next object that differs; the pass ends when there is none. */
static void
pass_step(struct kgroup *g)
{
	for (; g->apply_i < g->apply_n; g->apply_i++) {
		/* Another spec, or no Lease: this pass is over. */
		if (g->apply_stale || !may_run(g))
			break;
		if (object_step(g, &g->objs[g->apply_i]))
			return;
	}
	pass_end(g, !g->apply_failed, NULL);
}

static void
object_next(struct kgroup *g)
{
	g->apply_i++;
	g->apply_cleared = false;
	pass_step(g);
}

static void
object_written(struct kgroup *g, struct kown *own, const struct kobj *o,
    const struct kh_resp *p)
{
	yyjson_doc *d;

	log_ev(LL_INFO, "object applied", KVS("fg", g->fg),
	    KVS("kind", plural(o)), KVS("name", o->name),
	    KVI("status", p->status));
	own->exists = true;
	if ((d = kj_read(p->body, p->len)) == NULL)
		return;
	kown_seen(own, yyjson_doc_get_root(d), true);
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

/* Will the same be refused again, and this object alone? */
static bool
definite(const struct kh_resp *p)
{
	return p->status >= 400 && p->status < 500 && p->status != 401 &&
	    p->status != 408 && p->status != 429;
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
		object_next(g);
	else
		pass_end(g, false, p->refused ? NULL : p);
}

static void
service_got(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	const struct kobj *o = &g->objs[g->apply_i];
	struct kown *own = own_of(g, o);
	yyjson_doc *d;

	g->apply.req = NULL;
	if (p->status != 200 && p->status != 404) {
		object_failed(g, o, p);
		return;
	}
	if (own != NULL) {
		own->live = 1; /* looked for */
		if (p->status == 200 &&
		    (d = kj_read(p->body, p->len)) != NULL) {
			kown_seen(own, yyjson_doc_get_root(d), false);
			yyjson_doc_free(d);
		}
	}
	pass_step(g);
}

static void
scaled(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	const struct kobj *o = &g->objs[g->apply_i];

	g->apply.req = NULL;
	if (p->status != 200) {
		object_failed(g, o, p);
		return;
	}
	log_ev(LL_INFO, "Deployment scaled up again", KVS("fg", g->fg),
	    KVS("name", o->name));
	object_next(g);
}

/* A PVC that was there without our labels. */
static void
adopted(struct kgroup *g, const struct kh_resp *p)
{
	const struct kobj *o = &g->objs[g->apply_i];
	struct kown *own = own_of(g, o);

	if (p->status != 200) {
		object_failed(g, o, p);
		return;
	}
	if (own != NULL)
		own->exists = true;
	object_next(g);
}

/* Applied once more after what stood in its way is gone. */
static void
cleared(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;

	g->apply.req = NULL;
	if (p->status == 200)
		pass_step(g);
	else
		object_failed(g, &g->objs[g->apply_i], p);
}

static bool
clear_service(struct kgroup *g, const struct kobj *o)
{
	yyjson_mut_doc *doc;
	struct kown *own = own_of(g, o);

	if (strcmp(plural(o), "services") != 0 || g->apply_cleared ||
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
	struct kown *own = own_of(g, o);

	g->apply.req = NULL;
	if (own != NULL && (p->status == 200 || p->status == 201)) {
		object_written(g, own, o, p);
		object_next(g);
	} else if (p->status == 409 && o->how == KA_CREATE)
		kvol_adopt(g, o->name, adopted);
	else if (p->status != 422 || g->apply_stale || !clear_service(g, o))
		object_failed(g, o, p);
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
	pass_free(g);
}
