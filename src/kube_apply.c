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

static void deployments_done(void *, const struct kh_resp *);

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

void
kapply_end(struct kgroup *g, const struct kh_resp *p)
{
	/* What it went through before is as it was. */
	if (g->refused_now[0] != '\0' && !g->apply_stale)
		krefused_end(g);
	pass_end(g, false, p);
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
	g->apply_generation = g->adopted;
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
	if (kclash_busy(g)) {
		klane_in(&g->apply, DRIFT_MS);
		return;
	}
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
		kown_seen(o, v);
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

/* The steps of one object begin. */
static void
another(struct kgroup *g)
{
	g->apply_looked = g->apply_cleared = false;
	g->apply_stripped = g->apply_adopted = false;
}

/* What is there may not even be looked at. */
static void
list_refused(struct kgroup *g, const char *plural, const struct kh_resp *p)
{
	char why[ERR_LEN + 1];

	if (p->refused || !kh_lasts(p->status))
		return;
	kh_why(p, why);
	log_ev(LL_WARN, "object could not be applied", KVS("fg", g->fg),
	    KVS("kind", plural), KVS("name", ""), KVI("status", p->status),
	    KVS("error", why));
	krefused_begin(g);
	krefused_add(g, plural, "", why, &g->list_refused_ms);
	krefused_end(g);
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
	another(g);
	kclash_begin(g);
	krefused_begin(g);
	kapply_step(g);
}

static void
volumes_listed(struct kgroup *g, const struct kh_resp *p)
{
	if (p->status != 200)
		list_refused(g, "persistentvolumeclaims", p);
	if (p->status != 200 || !may_run(g)) {
		pass_end(g, p->status == 200, p);
		return;
	}
	if (g->apply_generation != g->adopted) {
		pass_end(g, true, p);
		klane_in(&g->apply, 0);
		return;
	}
	g->apply_stale = false; /* what made it so is in the spec */
	g->apply_failed = false;
	kspec_server_ids(&g->spec, items(g->deps), items(g->vols));
	look(g);
	kroll_listed(g, items(g->deps));
	find_legacy(g);
	kvol_fix(g, volumes_fixed);
}

static void
deployments_known(struct kgroup *g, const struct kh_resp *p)
{
	if (p->status == 200) {
		kvol_list(g, volumes_listed);
		return;
	}
	list_refused(g, "deployments", p);
	pass_end(g, false, p);
}

static void
deployments_done(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;

	g->apply.req = NULL;
	if (p->status == 200 && (g->deps = kj_read(p->body, p->len)) != NULL)
		knamed_add(g, KO_DEPLOYMENT, &g->deps, deployments_known);
	else {
		list_refused(g, "deployments", p);
		pass_end(g, false, p);
	}
}

/* Go on to the next object that differs; the pass ends when there is none. */
void
kapply_step(struct kgroup *g)
{
	for (; g->apply_i < g->apply_n; g->apply_i++) {
		/* Another spec, or no Lease: this pass is over. */
		if (g->apply_stale || !may_run(g))
			break;
		if (kobject_step(g, &g->objs[g->apply_i]))
			return;
	}
	if (g->apply_i == g->apply_n && !g->apply_stale) {
		kclash_end(g);
		krefused_end(g);
	}
	pass_end(g, !g->apply_failed, NULL);
}

void
kapply_next(struct kgroup *g)
{
	g->apply_i++;
	another(g);
	kapply_step(g);
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
