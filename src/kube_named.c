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
 * What a list by labels does not have may be there without them, also since a
 * time when nobody looked. Before a site's Deployment or volume counts as absent
 * its name is read: a Deployment that is there gets no newer template without
 * the core's word, and a volume keeps its server id. What is found joins the
 * list, so that its labels are put back like any others; another group's is
 * none of ours.
 */

#include <stdio.h>
#include <string.h>

#include "kube.h"

static const struct {
	const char *prefix, *plural;
} kinds[] = {
#define X(id, prefix, plural, how) { prefix, plural },
	KOBJS(X)
#undef X
};

static void found(void *, const struct kh_resp *);

static yyjson_val *
items(yyjson_doc *list)
{
	return yyjson_obj_get(yyjson_doc_get_root(list), "items");
}

static bool
has(yyjson_doc *list, const char *name)
{
	yyjson_val *v;
	size_t i, n;

	yyjson_arr_foreach(items(list), i, n, v)
	{
		if (strcmp(kj_meta(v, "name"), name) == 0)
			return true;
	}
	return false;
}

static void
end(struct kgroup *g, const struct kh_resp *p)
{
	kvol_fn *done = g->named_done;

	g->named_done = NULL;
	done(g, p);
}

static void
next(struct kgroup *g)
{
	static const struct kh_resp fine = { .status = 200, .body = "" };
	char path[KH_PATH_MAX], name[NAME_LEN + 1];
	struct kcall c = { .k = g->k,
		.method = KH_GET,
		.path = path,
		.done = found,
		.arg = g };

	for (; g->named_site < g->spec.nsites; g->named_site++) {
		if (kobj_site_name(g->name, g->spec.sites[g->named_site].name,
			g->named_kind, name) == -1 ||
		    has(*g->named_list, name))
			continue;
		(void)snprintf(path, sizeof(path), "%s/namespaces/%s/%s/%s",
		    kinds[g->named_kind].prefix, g->ns,
		    kinds[g->named_kind].plural, name);
		g->named_req = kube_call(&c);
		return;
	}
	end(g, &fine);
}

static void
found(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	struct kh_resp bad = *p;
	yyjson_doc *d = NULL;

	g->named_req = NULL;
	if (p->status == 200 && (d = kj_read(p->body, p->len)) == NULL)
		bad.status = 0;
	if (bad.status != 200 && bad.status != 404) {
		end(g, &bad);
		return;
	}
	if (d != NULL &&
	    kclash_owner(yyjson_doc_get_root(d), g->name) == NULL) {
		log_ev(LL_WARN, "object without its labels", KVS("fg", g->fg),
		    KVS("kind", kinds[g->named_kind].plural),
		    KVS("name", kj_meta(yyjson_doc_get_root(d), "name")));
		*g->named_list =
		    kj_append(*g->named_list, yyjson_doc_get_root(d));
	}
	yyjson_doc_free(d);
	g->named_site++;
	next(g);
}

void
knamed_add(
    struct kgroup *g, enum kobj_kind kind, yyjson_doc **list, kvol_fn *done)
{
	g->named_kind = kind;
	g->named_list = list;
	g->named_site = 0;
	g->named_done = done;
	next(g);
}

void
knamed_end(struct kgroup *g)
{
	if (g->named_req != NULL)
		kh_cancel(g->named_req);
	g->named_req = NULL;
	g->named_done = NULL;
}
