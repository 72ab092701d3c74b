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
 * Objects that the reference made. It creates and updates, under its program's
 * name: an apply of ours would never take away what it set and we do not
 * render. Its entries in managedFields become ours before a Deployment gets a
 * template of ours, and after any other object's first apply, which is then
 * repeated. Nobody else's entry is touched; merge patches of our own leave one
 * like the reference's.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube.h"

/* From the User-Agent of a program /bloodraven. */
#define REFERENCE "bloodraven"

static void next_deployment(struct kgroup *);

static bool
is_entry(yyjson_val *e, const char *manager, const char *operation)
{
	const char *sub = yyjson_get_str(yyjson_obj_get(e, "subresource"));

	return yyjson_equals_str(yyjson_obj_get(e, "manager"), manager) &&
	    yyjson_equals_str(yyjson_obj_get(e, "operation"), operation) &&
	    (sub == NULL || sub[0] == '\0');
}

/* Our Apply entry, or the last one of the reference's; NULL: none of those. */
static yyjson_val *
base_of(yyjson_val *list)
{
	yyjson_val *e, *ours = NULL, *theirs = NULL;
	size_t i, n;

	yyjson_arr_foreach(list, i, n, e)
	{
		if (is_entry(e, BR_FIELD_MANAGER, "Apply"))
			ours = e;
		else if (is_entry(e, REFERENCE, "Update"))
			theirs = e;
	}
	return theirs == NULL || ours == NULL ? theirs : ours;
}

/* That entry, with the fields of all of the reference's. */
static yyjson_mut_val *
union_of(yyjson_mut_doc *doc, yyjson_val *list, yyjson_val *base)
{
	yyjson_val *version = yyjson_obj_get(base, "apiVersion"), *e;
	yyjson_mut_val *out = yyjson_val_mut_copy(doc, base), *fields, *more;
	size_t i, n;

	fields = yyjson_val_mut_copy(doc, yyjson_obj_get(base, "fieldsV1"));
	yyjson_arr_foreach(list, i, n, e)
	{
		/* Of another version the names may mean something else. */
		if (e == base || !is_entry(e, REFERENCE, "Update") ||
		    !yyjson_equals(version, yyjson_obj_get(e, "apiVersion")))
			continue;
		/* Objects in objects, no null: a merge is their union. */
		more = yyjson_val_mut_copy(doc, yyjson_obj_get(e, "fieldsV1"));
		fields = yyjson_mut_merge_patch(doc, fields, more);
	}
	if (out == NULL || fields == NULL ||
	    !yyjson_mut_obj_put(out, yyjson_mut_str(doc, "operation"),
		yyjson_mut_str(doc, "Apply")) ||
	    !yyjson_mut_obj_put(out, yyjson_mut_str(doc, "manager"),
		yyjson_mut_str(doc, BR_FIELD_MANAGER)) ||
	    !yyjson_mut_obj_put(out, yyjson_mut_str(doc, "fieldsV1"), fields))
		return NULL;
	return out;
}

yyjson_mut_val *
kadopt_patch(yyjson_mut_doc *doc, yyjson_val *live)
{
	yyjson_val *list = kj_at(live, "metadata", "managedFields"), *e;
	yyjson_val *base = base_of(list);
	yyjson_mut_val *root, *meta, *out, *v;
	size_t i, n;

	if (base == NULL)
		return NULL;
	root = yyjson_mut_obj(doc);
	meta = yyjson_mut_obj_add_obj(doc, root, "metadata");
	if (meta == NULL ||
	    !yyjson_mut_obj_add_strcpy(doc, meta, "resourceVersion",
		kj_meta(live, "resourceVersion")) ||
	    (out = yyjson_mut_obj_add_arr(doc, meta, "managedFields")) == NULL)
		fatalx("JSON memory");
	yyjson_arr_foreach(list, i, n, e)
	{
		if (e == base)
			v = union_of(doc, list, base);
		else if (is_entry(e, REFERENCE, "Update"))
			continue;
		else
			v = yyjson_val_mut_copy(doc, e);
		if (!yyjson_mut_arr_append(out, v))
			fatalx("JSON memory");
	}
	return root;
}

void
kadopt_said(const struct kgroup *g, const char *plural, const char *name)
{
	log_ev(LL_INFO, "fields taken over from the reference",
	    KVS("fg", g->fg), KVS("kind", plural), KVS("name", name));
}

/* ------------------------------------------------------------- Deployments */

static yyjson_val *
deployment(const struct kgroup *g)
{
	return yyjson_arr_get(
	    yyjson_obj_get(yyjson_doc_get_root(g->deps), "items"), g->adopt_i);
}

static void
patched(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	const char *name = kj_meta(deployment(g), "name");

	g->apply.req = NULL;
	if (p->status == 200)
		kadopt_said(g, "deployments", name);
	else if (p->status != 404) { /* gone is as good */
		if (!p->refused)
			log_ev(LL_WARN, "fields not taken over",
			    KVS("fg", g->fg), KVS("kind", "deployments"),
			    KVS("name", name), KVI("status", p->status),
			    KVS("error", p->error));
		kapply_end(g, p->refused ? NULL : p);
		return;
	}
	g->adopt_i++;
	next_deployment(g);
}

static void
next_deployment(struct kgroup *g)
{
	char path[KH_PATH_MAX];
	struct kcall c = {
		.k = g->k,
		.method = KH_PATCH,
		.path = path,
		.type = KH_MERGE,
		.may = kgroup_may_write,
		.done = patched,
		.arg = g,
	};
	yyjson_val *d;

	for (; (d = deployment(g)) != NULL; g->adopt_i++) {
		const char *name = kj_meta(d, "name");

		if (kown_find(g, "deployments", name) == NULL)
			continue;
		c.doc = kj_new();
		if ((c.root = kadopt_patch(c.doc, d)) == NULL) {
			yyjson_mut_doc_free(c.doc);
			continue;
		}
		(void)snprintf(path, sizeof(path),
		    "/apis/apps/v1/namespaces/%s/deployments/"
		    "%s?fieldManager=" BR_FIELD_MANAGER,
		    g->ns, name);
		g->apply.req = kube_call(&c);
		return;
	}
	kapply_adopted(g);
}

void
kadopt_deployments(struct kgroup *g)
{
	g->adopt_i = 0;
	next_deployment(g);
}
