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
 * Finalizers: of groups, which their parent lets go, and of other objects.
 */

#include <stdlib.h>
#include <string.h>

#include "kube.h"

#define FIN_TRIES 8

static void fin_get(struct kfin *);

static bool
fin_may(void *arg)
{
	struct kfin *f = arg;

	return kube_may_write(f->k) &&
	    (f->valid_until_ns == 0 || monotime_now().ns < f->valid_until_ns);
}

static void
fin_end(struct kfin *f, const struct kh_resp *p)
{
	f->done(f->arg, p);
	free(f);
}

static void
fin_patched(void *arg, const struct kh_resp *p)
{
	struct kfin *f = arg;

	/* Somebody changed the object in between. */
	if (p->status == 409 && f->tries++ < FIN_TRIES)
		fin_get(f);
	else
		fin_end(f, p);
}

/* The list as it shall be; NULL when the object is that way already. */
static yyjson_mut_val *
fin_list(struct kfin *f, yyjson_mut_doc *d, yyjson_val *obj)
{
	yyjson_val *have = kj_at(obj, "metadata", "finalizers"), *v;
	yyjson_mut_val *list = yyjson_mut_arr(d);
	bool found = false;
	size_t i, n;

	yyjson_arr_foreach(have, i, n, v)
	{
		if (yyjson_equals_str(v, f->finalizer)) {
			found = true;
			if (!f->want)
				continue;
		}
		yyjson_mut_arr_append(list, yyjson_val_mut_copy(d, v));
	}
	if (found == f->want)
		return NULL;
	if (f->want)
		yyjson_mut_arr_add_str(d, list, f->finalizer);
	return list;
}

static void
fin_patch(struct kfin *f, yyjson_val *obj)
{
	yyjson_mut_doc *d = kj_new();
	yyjson_mut_val *root = yyjson_mut_obj(d), *meta, *list;
	struct kh_resp ok = { .status = 200, .body = "" };
	struct kcall c = {
		.k = f->k,
		.method = KH_PATCH,
		.path = f->path,
		.type = KH_MERGE,
		.doc = d,
		.root = root,
		.may = fin_may,
		.done = fin_patched,
		.arg = f,
	};

	if ((list = fin_list(f, d, obj)) == NULL) {
		yyjson_mut_doc_free(d);
		fin_end(f, &ok);
		return;
	}
	meta = yyjson_mut_obj_add_obj(d, root, "metadata");
	yyjson_mut_obj_add_strcpy(d, meta, "uid", f->uid);
	yyjson_mut_obj_add_strcpy(
	    d, meta, "resourceVersion", kj_meta(obj, "resourceVersion"));
	yyjson_mut_obj_add_val(d, meta, "finalizers", list);
	(void)kube_call(&c);
}

static void
fin_got(void *arg, const struct kh_resp *p)
{
	struct kfin *f = arg;
	struct kh_resp conflict = { .status = 409, .body = "" };
	yyjson_doc *d;
	yyjson_val *obj;

	if (p->status != 200 || (d = kj_read(p->body, p->len)) == NULL) {
		fin_end(f, p);
		return;
	}
	obj = yyjson_doc_get_root(d);
	/*
	 * Never off an object that stays: it would stand there unprotected. On
	 * one that goes the API server takes none.
	 */
	if (strcmp(kj_meta(obj, "uid"), f->uid) != 0 ||
	    f->want == (kj_meta(obj, "deletionTimestamp")[0] != '\0'))
		fin_end(f, &conflict);
	else
		fin_patch(f, obj);
	yyjson_doc_free(d);
}

static void
fin_get(struct kfin *f)
{
	struct kcall c = { .k = f->k,
		.method = KH_GET,
		.path = f->path,
		.may = fin_may,
		.done = fin_got,
		.arg = f };

	(void)kube_call(&c);
}

void
kfin_run(const struct kfin *f)
{
	struct kfin *c;

	if ((c = malloc(sizeof(*c))) == NULL)
		fatal("malloc");
	*c = *f;
	fin_get(c);
}

/* The group may be gone when the answer comes: its name is what remains. */
struct gfin {
	struct kube *k;
	char uid[UID_LEN + 1];
};

static void
gfin_done(void *arg, const struct kh_resp *p)
{
	struct gfin *f = arg;
	struct kgroup *g = kgroup_by_uid(f->k, f->uid);

	free(f);
	if (g == NULL)
		return;
	g->fin_running = false;
	if (p->status == 200)
		klane_ok(&g->fin);
	if (p->status != 200 && p->status != 404 && !p->refused)
		klane_retry(&g->fin, p);
	else if (g->fin.again)
		klane_in(&g->fin, 0);
}

static void
volumes_settled(struct kgroup *g, const struct kh_resp *p)
{
	kvol_end(g);
	if (p->status == 200) {
		g->vol_settled = true;
		klane_in(&g->fin, 0);
	} else
		klane_retry(&g->fin, p);
}

static void
volumes_found(struct kgroup *g, const struct kh_resp *p)
{
	if (p->status == 200)
		kvol_fix(g, volumes_settled);
	else
		volumes_settled(g, p);
}

/*
 * May a group that is being deleted go? When the parent said that nothing is
 * outstanding, when its volumes belong to it only if they shall go with it,
 * and when its taints are lifted. What does not hold yet comes back here.
 */
static bool
may_go(struct kgroup *g)
{
	if (!g->release)
		return false;
	if (!g->fin_said) {
		g->fin_said = true;
		kevent_emit(g, false, "GracefulShutdown",
		    g->delete_data ?
			"the group is being deleted, its data volumes too" :
			"the group is being deleted, its data volumes stay");
	}
	if (!g->vol_settled) {
		/* A pass that was under way ends first. */
		if (!g->apply_running && g->vol_done == NULL)
			kvol_list(g, volumes_found);
		return false;
	}
	return knodes_lifted(g);
}

static void
on_fin(int fd, short what, void *arg)
{
	struct kgroup *g = arg;
	struct kfin f = {
		.k = g->k, .finalizer = BR_FINALIZER, .done = gfin_done
	};
	struct gfin *a;

	(void)fd;
	(void)what;
	if (g->fin_running) {
		g->fin.again = true;
		return;
	}
	g->fin.again = false;
	if (!kube_may_write(g->k))
		return;
	f.want = !g->deleting;
	if (g->deleting ? !may_go(g) : !g->valid)
		return;
	if ((a = calloc(1, sizeof(*a))) == NULL)
		fatal("calloc");
	a->k = g->k;
	(void)strlcpy(a->uid, g->uid, sizeof(a->uid));
	kgroup_path(g, "", f.path);
	(void)strlcpy(f.uid, g->uid, sizeof(f.uid));
	f.arg = a;
	g->fin_running = true;
	if (g->deleting)
		log_ev(LL_INFO, "group released", KVS("fg", g->fg));
	kfin_run(&f);
}

void
kgroup_finalizer(struct kgroup *g)
{
	klane_in(&g->fin, 0);
}

void
kfin_init(struct kgroup *g)
{
	klane_init(&g->fin, g->k, on_fin, g, 200, 5000);
}

void
kfin_free(struct kgroup *g)
{
	klane_free(&g->fin);
}
