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
 * Annotations of groups that were dealt with are removed, if they still ask for
 * the same.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube.h"

/* "/" in a key is "~1" in a JSON pointer, "~" is "~0". */
static void
pointer(const char *key, char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, "/metadata/annotations/");

	for (; *key != '\0' && n + 3 < size; key++) {
		if (*key == '/' || *key == '~') {
			out[n++] = '~';
			out[n++] = *key == '/' ? '1' : '0';
		} else
			out[n++] = *key;
	}
	out[n] = '\0';
}

static void
anndel_free(struct kgroup *g, struct kanndel *a)
{
	TAILQ_REMOVE(&g->anndels, a, link);
	free(a);
}

/*
 * Tried until it is gone or has another value (422: the test failed). What a
 * new leader finds is told to its parent, which asks for it again.
 */
static void
anndel_done(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	struct kanndel *a = TAILQ_FIRST(&g->anndels);

	g->anndel.req = NULL;
	if (p->status == 200 || p->status == 422 || p->status == 404 ||
	    p->refused) {
		if (!g->anndel.again)
			anndel_free(g, a);
		klane_ok(&g->anndel);
		klane_in(&g->anndel, 0);
		return;
	}
	log_ev(LL_WARN, "annotation not removed", KVS("fg", g->fg),
	    KVS("key", a->msg.key), KVI("status", p->status),
	    KVS("error", p->error));
	klane_retry(&g->anndel, p);
}

static void
anndel_send(struct kgroup *g, const struct m_annotation_del *m)
{
	char path[KH_PATH_MAX], ptr[2 * NAME_LEN + 32];
	yyjson_mut_val *op;
	struct kcall c = {
		.k = g->k,
		.method = KH_PATCH,
		.path = path,
		.type = KH_JSONPATCH,
		.may = kgroup_may_write,
		.done = anndel_done,
		.arg = g,
	};

	kgroup_path(g, "", path);
	pointer(m->key, ptr, sizeof(ptr));
	c.doc = kj_new();
	c.root = yyjson_mut_arr(c.doc);
	op = yyjson_mut_arr_add_obj(c.doc, c.root);
	yyjson_mut_obj_add_str(c.doc, op, "op", "test");
	yyjson_mut_obj_add_strcpy(c.doc, op, "path", "/metadata/uid");
	yyjson_mut_obj_add_strcpy(c.doc, op, "value", g->uid);
	op = yyjson_mut_arr_add_obj(c.doc, c.root);
	yyjson_mut_obj_add_str(c.doc, op, "op", "test");
	yyjson_mut_obj_add_strcpy(c.doc, op, "path", ptr);
	yyjson_mut_obj_add_strcpy(c.doc, op, "value", m->value);
	op = yyjson_mut_arr_add_obj(c.doc, c.root);
	yyjson_mut_obj_add_str(c.doc, op, "op", "remove");
	yyjson_mut_obj_add_strcpy(c.doc, op, "path", ptr);
	g->anndel.req = kube_call(&c);
}

static void
on_anndel(int fd, short what, void *arg)
{
	struct kgroup *g = arg;
	struct kanndel *a = TAILQ_FIRST(&g->anndels);

	(void)fd;
	(void)what;
	g->anndel.again = false;
	if (g->anndel.req == NULL && a != NULL)
		anndel_send(g, &a->msg);
}

void
kannotation_del(struct kgroup *g, const struct m_annotation_del *m)
{
	struct kanndel *a;
	unsigned n = 0;

	TAILQ_FOREACH (a, &g->anndels, link) {
		if (memcmp(&a->msg, m, sizeof(*m)) == 0) {
			/* Set again, perhaps, since it was taken off. */
			g->anndel.again |= n == 0 && g->anndel.req != NULL;
			return;
		}
		n++;
	}
	if (n >= KANNS_MAX)
		return; /* of a group, no more are told than this */
	if ((a = malloc(sizeof(*a))) == NULL)
		fatal("malloc");
	a->msg = *m;
	TAILQ_INSERT_TAIL(&g->anndels, a, link);
	if (n == 0)
		klane_in(&g->anndel, 0);
}

void
kannotation_init(struct kgroup *g)
{
	klane_init(&g->anndel, g->k, on_anndel, g, 200, 30000);
	TAILQ_INIT(&g->anndels);
}

void
kannotation_free(struct kgroup *g)
{
	struct kanndel *a;

	klane_free(&g->anndel);
	while ((a = TAILQ_FIRST(&g->anndels)) != NULL)
		anndel_free(g, a);
}
