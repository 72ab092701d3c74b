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
 * Secrets with keys of the write lease, as JSON and as messages. Pure: what
 * keys there shall be is decided in keys.c, by the parent.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube_json.h"
#include "kube_render.h"

#define ANN_SINCE   BR_ANN "lease-key-since"
#define ANN_MADE    BR_ANN "lease-key-made"
#define ANN_DONE    BR_ANN "lease-key-request"
#define SEED_DIGITS 64

static void
problem(struct m_keys *m, const char *what)
{
	if (m->problem[0] == '\0')
		(void)strlcpy(m->problem, what, sizeof(m->problem));
}

/* Digits alone; 0 for anything else. */
static uint64_t
number(const char *s)
{
	uint64_t v = 0;

	if (s == NULL || *s == '\0')
		return 0;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9' || v > (UINT64_MAX - 9) / 10)
			return 0;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	return v;
}

static const char *
annotation(yyjson_val *obj, const char *key)
{
	return yyjson_get_str(
	    yyjson_obj_get(kj_at(obj, "metadata", "annotations"), key));
}

/* A member of data, decoded; -1 when it is absent or no base64. */
static int
data(yyjson_val *obj, const char *key, void *buf, size_t size)
{
	yyjson_val *v = kj_at(obj, "data", key);

	if (!yyjson_is_str(v))
		return -1;
	return ktext_base64(yyjson_get_str(v), yyjson_get_len(v), buf, size);
}

static void
read_seeds(yyjson_val *obj, struct m_keys *m)
{
	char buf[2 * SEED_DIGITS + 4];
	const char *second;
	int n = data(obj, "seed", buf, sizeof(buf) - 1);

	buf[n > 0 ? n : 0] = '\0';
	second = strchr(buf, '\n');
	if (second != NULL && *++second == '\0')
		second = NULL;
	if (strcspn(buf, "\n") != SEED_DIGITS ||
	    (second != NULL && strcspn(second, "\n") != SEED_DIGITS))
		problem(m, "seed: not one line of 64 hex digits, or two");
	else {
		(void)secret_set(&m->seed, buf, SEED_DIGITS);
		if (second != NULL)
			(void)secret_set(&m->other, second, SEED_DIGITS);
	}
	explicit_bzero(buf, sizeof(buf));
}

static bool
owned_by(yyjson_val *obj, const char *uid)
{
	yyjson_val *o;
	size_t i, n;

	yyjson_arr_foreach(kj_at(obj, "metadata", "ownerReferences"), i, n,
	    o) if (yyjson_equals_str(yyjson_obj_get(o, "uid"),
		       uid)) return true;
	return false;
}

void
kkeys_decode(yyjson_val *obj, struct m_keys *m)
{
	char buf[32];
	const char *asked;
	int n;

	read_seeds(obj, m);
	n = data(obj, "generation", buf, sizeof(buf) - 1);
	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	if ((m->generation = number(buf)) == 0)
		problem(m, "generation: not a number above 0");
	m->since = number(annotation(obj, ANN_SINCE));
	m->made_s = (int64_t)(number(annotation(obj, ANN_MADE)) & INT64_MAX);
	m->done = number(annotation(obj, ANN_DONE));
	if (m->group[0] == '\0') {
		asked = annotation(obj, BR_ANN "rotate-lease-keys");
		if (asked != NULL && asked[0] != '\0')
			m->asked = kj_hash(asked, strlen(asked));
		return;
	}
	n = data(obj, "trust", m->trust.data, sizeof(m->trust.data));
	if (n == -1)
		problem(m, "trust: absent or too long");
	else
		m->trust.len = (uint32_t)n;
	/* It would go with the group that it names. */
	if (!owned_by(obj, m->group))
		problem(m, "it does not belong to this group");
}

/* ----------------------------------------------------------------- render - */

static bool
put_number(yyjson_mut_doc *d, yyjson_mut_val *o, const char *key, uint64_t v)
{
	char buf[24];

	(void)snprintf(buf, sizeof(buf), "%llu", (unsigned long long)v);
	return kset_str(d, o, key, buf);
}

static bool
render_labels(
    yyjson_mut_doc *d, yyjson_mut_val *meta, const struct kkey_place *at)
{
	yyjson_mut_val *l = yyjson_mut_obj_add_obj(d, meta, "labels");

	if (l == NULL ||
	    !kset_str(d, l, "app.kubernetes.io/managed-by", "bloodraven"))
		return false;
	if (at->group == NULL)
		return kset_str(d, l, "app.kubernetes.io/name", "bloodraven");
	return kset_str(d, l, "app.kubernetes.io/name", "mysql") &&
	    kset_str(d, l, "app.kubernetes.io/instance", at->group) &&
	    kset_str(d, l, KLABEL_GROUP, at->group) &&
	    kset_str(d, l, KLABEL_SITE, at->site) &&
	    kset_str(d, l, KLABEL_KEYS, "site");
}

/* "seed", "generation", "trust", as the API server takes text. */
static bool
render_data(yyjson_mut_doc *d, yyjson_mut_val *root, const struct m_key_put *m)
{
	yyjson_mut_val *o = yyjson_mut_obj_add_obj(d, root, "stringData");
	char seeds[2 * SEED_DIGITS + 3];
	bool ok;

	if (o == NULL || m->seed.len != SEED_DIGITS ||
	    (m->other.len != 0 && m->other.len != SEED_DIGITS))
		return false;
	(void)snprintf(seeds, sizeof(seeds), "%.*s\n%.*s%s", (int)m->seed.len,
	    (const char *)m->seed.data, (int)m->other.len,
	    (const char *)m->other.data, m->other.len != 0 ? "\n" : "");
	ok = kset_str(d, o, "seed", seeds);
	explicit_bzero(seeds, sizeof(seeds));
	return ok && put_number(d, o, "generation", m->generation) &&
	    (m->group[0] == '\0' ||
		yyjson_mut_obj_add_strncpy(
		    d, o, "trust", (const char *)m->trust.data, m->trust.len));
}

yyjson_mut_val *
kkeys_render(
    yyjson_mut_doc *d, const struct kkey_place *at, const struct m_key_put *m)
{
	yyjson_mut_val *root = yyjson_mut_obj(d), *meta, *ann;
	bool anew = at->rv[0] == '\0';

	if (root == NULL || !kput_str(d, root, "apiVersion", "v1") ||
	    !kput_str(d, root, "kind", "Secret") ||
	    (anew && !kput_str(d, root, "type", "Opaque")) ||
	    (meta = yyjson_mut_obj_add_obj(d, root, "metadata")) == NULL ||
	    !kput_str(d, meta, "name", at->name) ||
	    !kput_str(d, meta, "namespace", at->ns) ||
	    /* Another write since then makes this one fail. */
	    (!anew && !kput_str(d, meta, "resourceVersion", at->rv)) ||
	    !render_labels(d, meta, at) ||
	    (ann = yyjson_mut_obj_add_obj(d, meta, "annotations")) == NULL ||
	    !put_number(d, ann, ANN_SINCE, m->since) ||
	    !put_number(d, ann, ANN_MADE, (uint64_t)m->made_s) ||
	    !put_number(d, ann, ANN_DONE, m->done) ||
	    (at->group != NULL &&
		!krender_owner(d, meta, at->group, m->group, true)) ||
	    !render_data(d, root, m))
		return NULL;
	return root;
}
