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
 * Data volumes. They outlive Deployments, sites and, unless spec.deletionPolicy
 * says Delete, the group: only then does the group own them, so that the
 * garbage collector takes them with it. What is there is listed by a quorum
 * read, since nothing else may decide about data.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube.h"

static void fix_next(struct kgroup *);

static const struct kh_resp fine = { .status = 200, .body = "" };

void
kvol_end(struct kgroup *g)
{
	if (g->vol_req != NULL)
		kh_cancel(g->vol_req);
	g->vol_req = NULL;
	g->vol_done = NULL;
	knamed_end(g);
	yyjson_doc_free(g->vols);
	g->vols = NULL;
}

static void
answer(struct kgroup *g, const struct kh_resp *p)
{
	kvol_fn *done = g->vol_done;

	g->vol_done = NULL;
	done(g, p);
}

static void
listed(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	struct kh_resp bad = *p;

	g->vol_req = NULL;
	yyjson_doc_free(g->vols);
	g->vols = p->status == 200 ? kj_read(p->body, p->len) : NULL;
	if (g->vols != NULL) {
		knamed_add(g, KO_PVC, &g->vols, answer);
		return;
	}
	if (p->status == 200)
		bad.status = 0;
	answer(g, &bad);
}

void
kvol_list(struct kgroup *g, kvol_fn *done)
{
	char path[KH_PATH_MAX], sel[3 * NAME_LEN + 1];
	struct kcall c = { .k = g->k,
		.method = KH_GET,
		.path = path,
		.done = listed,
		.arg = g };

	kvol_end(g);
	g->vol_done = done;
	(void)kh_escape(sel, sizeof(sel), g->name);
	(void)snprintf(path, sizeof(path),
	    "/api/v1/namespaces/%s/persistentvolumeclaims?labelSelector=%s"
	    "%%2Cshipstream.io%%2Ffailover-group%%3D%s",
	    g->ns, OURS, sel);
	g->vol_req = kube_call(&c);
}

/* ------------------------------------------------------------------ fixing */

static void
refused(struct kgroup *g, const char *name, const struct kh_resp *p)
{
	log_ev(LL_WARN, "volume's metadata not written", KVS("fg", g->fg),
	    KVS("name", name), KVI("status", p->status),
	    KVS("error", p->error));
	g->vol_failed = true;
}

static void
fixed(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	yyjson_val *v = yyjson_arr_get(
	    yyjson_obj_get(yyjson_doc_get_root(g->vols), "items"), g->vol_i);
	const char *name = kj_meta(v, "name");
	struct kown *own = kown_find(g, "persistentvolumeclaims", name);
	yyjson_doc *d;

	g->vol_req = NULL;
	if (p->status == 200 && (d = kj_read(p->body, p->len)) != NULL) {
		log_ev(LL_INFO, "volume's metadata written", KVS("fg", g->fg),
		    KVS("name", name));
		if (own != NULL)
			kown_answered(own, yyjson_doc_get_root(d), true);
		yyjson_doc_free(d);
	} else if (p->status != 404) /* gone is as good */
		refused(g, name, p);
	g->vol_i++;
	fix_next(g);
}

static bool
patch(struct kgroup *g, yyjson_val *pvc)
{
	struct kvol v = {
		.spec = g->deleting ? NULL : &g->spec,
		.group = g->name,
		.uid = g->uid,
		.own = g->deleting ? g->delete_data : g->spec.delete_data,
		.adopt = !g->orphan,
	};
	struct kown *own =
	    kown_find(g, "persistentvolumeclaims", kj_meta(pvc, "name"));
	char path[KH_PATH_MAX];
	struct kcall c = {
		.k = g->k,
		.method = KH_PATCH,
		.path = path,
		.type = KH_MERGE,
		.may = kgroup_may_write,
		.done = fixed,
		.arg = g,
	};

	c.doc = kj_new();
	if ((c.root = kvol_patch(c.doc, &v, pvc)) == NULL) {
		yyjson_mut_doc_free(c.doc);
		return false;
	}
	(void)snprintf(path, sizeof(path),
	    "/api/v1/namespaces/%s/persistentvolumeclaims/%s?fieldManager=" BR_FIELD_MANAGER,
	    g->ns, kj_meta(pvc, "name"));
	if (own != NULL)
		own->told = false;
	g->vol_req = kube_call(&c);
	return true;
}

static void
fix_next(struct kgroup *g)
{
	yyjson_val *items =
	    yyjson_obj_get(yyjson_doc_get_root(g->vols), "items");
	struct kh_resp bad = { .status = 500, .body = "" };
	yyjson_val *v;
	struct kown *own;

	for (; (v = yyjson_arr_get(items, g->vol_i)) != NULL; g->vol_i++) {
		if (patch(g, v))
			return;
		own =
		    kown_find(g, "persistentvolumeclaims", kj_meta(v, "name"));
		if (own != NULL)
			kown_answered(own, v, true);
	}
	answer(g, g->vol_failed ? &bad : &fine);
}

void
kvol_fix(struct kgroup *g, kvol_fn *done)
{
	g->vol_done = done;
	g->vol_i = 0;
	g->vol_failed = false;
	fix_next(g);
}
