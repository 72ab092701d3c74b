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
 * The objects of a group (resources.md 1, 5, 7, 10): list, names, common
 * metadata, ConfigMaps, PodDisruptionBudget. Deployments are in
 * kube_render_deploy.c, Pods in kube_render_pod.c, Services in
 * kube_render_svc.c, volumes in kube_render_vol.c. Pure.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube_render.h"

/* ------------------------------------------------------------- helpers -- */

static bool
kbuf_room(struct kbuf *b, size_t n)
{
	size_t size = b->size == 0 ? 1024 : b->size;
	char *p;

	if (b->failed || n >= SIZE_MAX / 4 - b->len) {
		b->failed = true;
		return false;
	}
	while (size - b->len <= n)
		size *= 2;
	if (size != b->size) {
		if ((p = realloc(b->p, size)) == NULL) {
			b->failed = true;
			return false;
		}
		b->p = p;
		b->size = size;
	}
	return true;
}

void
kbuf_add(struct kbuf *b, const char *s)
{
	size_t n = strlen(s);

	if (kbuf_room(b, n)) {
		memcpy(b->p + b->len, s, n + 1);
		b->len += n;
	}
}

void
kbuf_addf(struct kbuf *b, const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n == -1) {
		b->failed = true;
		return;
	}
	kbuf_add(b, s);
	free(s);
}

yyjson_mut_val *
kbuf_take(struct kbuf *b, yyjson_mut_doc *doc)
{
	yyjson_mut_val *v = NULL;

	if (!b->failed)
		v = yyjson_mut_strncpy(doc, b->p == NULL ? "" : b->p, b->len);
	free(b->p);
	memset(b, 0, sizeof(*b));
	return v;
}

/* A copy in the document. Half a character would spoil all of it. */
static yyjson_mut_val *
text_val(yyjson_mut_doc *doc, const char *s)
{
	yyjson_mut_val *v;
	char *copy;

	if (ktext_utf8(s))
		return yyjson_mut_strcpy(doc, s);
	if ((copy = strdup(s)) == NULL)
		return NULL;
	ktext_clean(copy, false);
	v = yyjson_mut_strcpy(doc, copy);
	free(copy);
	return v;
}

bool
kput_str(
    yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, const char *s)
{
	yyjson_mut_val *v;

	if (s == NULL)
		return true;
	v = text_val(doc, s);
	return v != NULL && yyjson_mut_obj_add_val(doc, obj, key, v);
}

bool
kput_fmt(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
    const char *fmt, ...)
{
	char buf[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	return n >= 0 && (size_t)n < sizeof(buf) &&
	    kput_str(doc, obj, key, buf);
}

bool
kput_copy(
    yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, yyjson_val *v)
{
	yyjson_mut_val *copy;

	if (v == NULL)
		return true;
	copy = yyjson_val_mut_copy(doc, v);
	return copy != NULL && yyjson_mut_obj_add_val(doc, obj, key, copy);
}

/* Replaces: what is put later wins. */
bool
kset_str(
    yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, const char *s)
{
	yyjson_mut_val *k = text_val(doc, key);
	yyjson_mut_val *v = text_val(doc, s);

	return k != NULL && v != NULL && yyjson_mut_obj_put(obj, k, v);
}

bool
krender_labels(yyjson_mut_doc *doc, yyjson_mut_val *labels, const char *group,
    const char *site)
{
	return kset_str(doc, labels, "app.kubernetes.io/name", "mysql") &&
	    kset_str(doc, labels, "app.kubernetes.io/instance", group) &&
	    kset_str(
		doc, labels, "app.kubernetes.io/managed-by", "bloodraven") &&
	    kset_str(doc, labels, KLABEL_GROUP, group) &&
	    (site == NULL || kset_str(doc, labels, KLABEL_SITE, site));
}

bool
krender_within(yyjson_mut_val *want, yyjson_val *have)
{
	yyjson_mut_obj_iter it = yyjson_mut_obj_iter_with(want);
	yyjson_mut_val *key;

	while ((key = yyjson_mut_obj_iter_next(&it)) != NULL)
		if (!yyjson_equals_str(
			yyjson_obj_get(have, yyjson_mut_get_str(key)),
			yyjson_mut_get_str(yyjson_mut_obj_iter_get_val(key))))
			return false;
	return true;
}

bool
krender_owner(yyjson_mut_doc *doc, yyjson_mut_val *meta, const char *name,
    const char *uid, bool controller)
{
	yyjson_mut_val *arr, *o;

	arr = yyjson_mut_obj_add_arr(doc, meta, "ownerReferences");
	if (arr == NULL || (o = yyjson_mut_arr_add_obj(doc, arr)) == NULL)
		return false;
	return kput_str(
		   doc, o, "apiVersion", BR_API_GROUP "/" BR_API_VERSION) &&
	    kput_str(doc, o, "kind", "MysqlFailoverGroup") &&
	    kput_str(doc, o, "name", name) && kput_str(doc, o, "uid", uid) &&
	    (!controller ||
		yyjson_mut_obj_add_bool(doc, o, "controller", true)) &&
	    yyjson_mut_obj_add_bool(doc, o, "blockOwnerDeletion", true);
}

yyjson_mut_val *
krender_object(yyjson_mut_doc *doc, const struct kspec *k, const char *api,
    const char *kind, const char *name, const struct ksite *s)
{
	yyjson_mut_val *obj = yyjson_mut_obj(doc), *meta, *labels;

	if (obj == NULL || !kput_str(doc, obj, "apiVersion", api) ||
	    !kput_str(doc, obj, "kind", kind) ||
	    (meta = yyjson_mut_obj_add_obj(doc, obj, "metadata")) == NULL ||
	    !kput_str(doc, meta, "name", name) ||
	    !kput_str(doc, meta, "namespace", k->ns) ||
	    (labels = yyjson_mut_obj_add_obj(doc, meta, "labels")) == NULL ||
	    !krender_labels(doc, labels, k->name, s == NULL ? NULL : s->name) ||
	    !krender_owner(doc, meta, k->name, k->uid, true))
		return NULL;
	return obj;
}

/* ------------------------------------------------------------- objects -- */

static const struct {
	const char *prefix;
	const char *plural;
	enum kobj_how how;
} kinds[] = {
#define X(id, prefix, plural, how) { prefix, plural, how },
	KOBJS(X)
#undef X
};

const char *
kobj_plural(enum kobj_kind kind)
{
	return kinds[kind].plural;
}

/* "mysql-" group "-" site, and for some kinds a suffix. */
static const char *
site_suffix(enum kobj_kind kind)
{
	switch (kind) {
	case KO_SITE_CONFIG:
		return "-config";
	case KO_PVC:
		return "-data";
	case KO_SVC_INTERNAL:
		return "-internal";
	case KO_SVC_SITE:
	case KO_DEPLOYMENT:
		return "";
	case KO_INIT_USERS:
	case KO_SVC_PRIMARY:
	case KO_SVC_REPLICAS:
	case KO_PDB:
	case KO_MAX:
		break;
	}
	return NULL;
}

static const char *
group_suffix(enum kobj_kind kind)
{
	switch (kind) {
	case KO_INIT_USERS:
		return "-init-users";
	case KO_SVC_PRIMARY:
		return "-primary";
	case KO_SVC_REPLICAS:
		return "-replicas";
	case KO_PDB:
		return "";
	case KO_SITE_CONFIG:
	case KO_PVC:
	case KO_SVC_SITE:
	case KO_SVC_INTERNAL:
	case KO_DEPLOYMENT:
	case KO_MAX:
		break;
	}
	return NULL;
}

int
kobj_site_name(const char *group, const char *site, enum kobj_kind kind,
    char out[static NAME_LEN + 1])
{
	const char *suffix = site_suffix(kind);
	int n;

	if (suffix == NULL) {
		errno = EINVAL;
		return -1;
	}
	n = snprintf(out, NAME_LEN + 1, "mysql-%s-%s%s", group, site, suffix);
	if (n < 0 || n > NAME_LEN) {
		errno = ERANGE;
		return -1;
	}
	return 0;
}

int
kspec_site_named(const struct kspec *k, enum kobj_kind kind, const char *object)
{
	char name[NAME_LEN + 1];

	for (unsigned i = 0; object != NULL && i < k->nsites; i++)
		if (k->sites[i].name != NULL &&
		    kobj_site_name(k->name, k->sites[i].name, kind, name) ==
			0 &&
		    strcmp(object, name) == 0)
			return (int)i;
	return -1;
}

/* krules_render() bounds the lengths. */
static void
object_name(const struct kspec *k, struct kobj *o)
{
	const char *suffix = group_suffix(o->kind);

	if (suffix != NULL)
		snprintf(
		    o->name, sizeof(o->name), "mysql-%s%s", k->name, suffix);
	else
		(void)kobj_site_name(
		    k->name, k->sites[o->site].name, o->kind, o->name);
}

static void
object_paths(const struct kspec *k, struct kobj *o)
{
	const char *prefix = kinds[o->kind].prefix;

	if (o->kind == KO_PDB)
		snprintf(o->collection, sizeof(o->collection),
		    "/apis/%s/namespaces/%s/%s", k->policy_api, k->ns,
		    kinds[o->kind].plural);
	else
		snprintf(o->collection, sizeof(o->collection),
		    "%s/namespaces/%s/%s", prefix, k->ns,
		    kinds[o->kind].plural);
	snprintf(o->path, sizeof(o->path), "%s/%s", o->collection, o->name);
}

unsigned
kobjs(const struct kspec *k, struct kobj out[KOBJS_MAX])
{
	unsigned n = 0;

	for (unsigned kind = 0; kind < KO_MAX; kind++) {
		unsigned sites = group_suffix(kind) != NULL ? 1 : k->nsites;

		if (kind == KO_PDB && k->policy_api == NULL)
			continue;
		for (unsigned i = 0; i < sites && n < KOBJS_MAX; i++) {
			struct kobj *o = &out[n++];

			memset(o, 0, sizeof(*o));
			o->kind = kind;
			o->site = i;
			o->how = kinds[kind].how;
			object_name(k, o);
			object_paths(k, o);
		}
	}
	return n;
}

static yyjson_mut_val *
render_config(yyjson_mut_doc *doc, const struct kspec *k, const struct kobj *o)
{
	const struct ksite *s = &k->sites[o->site];
	yyjson_mut_val *obj, *data, *text;

	obj = krender_object(doc, k, "v1", "ConfigMap", o->name, s);
	if (obj == NULL ||
	    (data = yyjson_mut_obj_add_obj(doc, obj, "data")) == NULL ||
	    (text = krender_mycnf(doc, k, s)) == NULL ||
	    !yyjson_mut_obj_add_val(doc, data, KCONF_KEY, text))
		return NULL;
	return obj;
}

static yyjson_mut_val *
render_init_users(
    yyjson_mut_doc *doc, const struct kspec *k, const struct kobj *o)
{
	yyjson_mut_val *obj, *data;

	obj = krender_object(doc, k, "v1", "ConfigMap", o->name, NULL);
	if (obj == NULL ||
	    (data = yyjson_mut_obj_add_obj(doc, obj, "data")) == NULL ||
	    !kput_str(doc, data, "01-bloodraven-users.sh", kscript_users) ||
	    !kput_str(
		doc, data, "99-bloodraven-read-only.sh", kscript_read_only))
		return NULL;
	return obj;
}

/* An eviction must leave one server of the whole group. */
yyjson_mut_val *
krender_pdb(yyjson_mut_doc *doc, const struct kspec *k, const struct kobj *o)
{
	yyjson_mut_val *obj, *spec, *v;

	obj = krender_object(
	    doc, k, k->policy_api, "PodDisruptionBudget", o->name, NULL);
	if (obj == NULL ||
	    (spec = yyjson_mut_obj_add_obj(doc, obj, "spec")) == NULL ||
	    !yyjson_mut_obj_add_int(doc, spec, "minAvailable", 1) ||
	    (v = yyjson_mut_obj_add_obj(doc, spec, "selector")) == NULL ||
	    (v = yyjson_mut_obj_add_obj(doc, v, "matchLabels")) == NULL ||
	    !kput_str(doc, v, "app.kubernetes.io/name", "mysql") ||
	    !kput_str(doc, v, "app.kubernetes.io/instance", k->name))
		return NULL;
	return obj;
}

yyjson_mut_val *
kobj_render(yyjson_mut_doc *doc, const struct kspec *k, const struct kobj *o)
{
	switch (o->kind) {
	case KO_SITE_CONFIG:
		return render_config(doc, k, o);
	case KO_INIT_USERS:
		return render_init_users(doc, k, o);
	case KO_PVC:
		return krender_pvc(doc, k, o);
	case KO_SVC_SITE:
	case KO_SVC_INTERNAL:
	case KO_SVC_PRIMARY:
	case KO_SVC_REPLICAS:
		return krender_service(doc, k, o);
	case KO_PDB:
		return krender_pdb(doc, k, o);
	case KO_DEPLOYMENT:
		return krender_deployment(doc, k, o->site);
	case KO_MAX:
		break;
	}
	return NULL;
}

/* Where an object of this kind has its selector: one or two steps. */
static const char *const *
selector_path(enum kobj_kind kind)
{
	static const char *const service[] = { "selector", NULL };
	static const char *const pdb[] = { "selector", "matchLabels", NULL };

	switch (kind) {
	case KO_SVC_SITE:
	case KO_SVC_INTERNAL:
	case KO_SVC_PRIMARY:
	case KO_SVC_REPLICAS:
		return service;
	case KO_PDB:
		return pdb;
	case KO_SITE_CONFIG:
	case KO_INIT_USERS:
	case KO_PVC:
	case KO_DEPLOYMENT: /* immutable */
	case KO_MAX:
		break;
	}
	return NULL;
}

yyjson_mut_val *
kobj_strip(yyjson_mut_doc *doc, const struct kspec *k, const struct kobj *o,
    yyjson_val *live)
{
	const char *const *path = selector_path(o->kind);
	yyjson_mut_val *root = yyjson_mut_obj(doc), *out, *want;
	bool change = false;
	yyjson_obj_iter it;
	yyjson_val *key;

	if (path == NULL)
		return NULL;
	want = yyjson_mut_obj_get(kobj_render(doc, k, o), "spec");
	live = yyjson_obj_get(live, "spec");
	out = yyjson_mut_obj_add_obj(doc, root, "spec");
	for (; *path != NULL; path++) {
		want = yyjson_mut_obj_get(want, *path);
		live = yyjson_obj_get(live, *path);
		out = yyjson_mut_obj_add_obj(doc, out, *path);
	}
	if (out == NULL || want == NULL)
		return NULL;
	it = yyjson_obj_iter_with(live);
	while ((key = yyjson_obj_iter_next(&it)) != NULL) {
		const char *name = yyjson_get_str(key);

		if (yyjson_mut_obj_get(want, name) != NULL)
			continue;
		change = true;
		if (!yyjson_mut_obj_add(out, yyjson_mut_strcpy(doc, name),
			yyjson_mut_null(doc)))
			return NULL;
	}
	return change ? root : NULL;
}
