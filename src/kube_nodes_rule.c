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
 * Whose wish counts on a node, and its list of taints with that wish. Pure.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube_nodes.h"
#include "kube_render.h"

#define TAINT_VALUE  "true"
#define TAINT_EFFECT "NoExecute"

/* ------------------------------------------------------------------ labels */

size_t
knode_labels(yyjson_val *labels, bool (*asked)(void *, const char *), void *arg,
    char **text)
{
	yyjson_obj_iter it = yyjson_obj_iter_with(labels);
	yyjson_val *key, *val;
	size_t len = 0, k, v;
	char *p = NULL, *q;

	while ((key = yyjson_obj_iter_next(&it)) != NULL) {
		val = yyjson_obj_iter_get_val(key);
		if (!yyjson_is_str(val) || !asked(arg, yyjson_get_str(key)))
			continue;
		k = strlen(yyjson_get_str(key)) + 1;
		v = strlen(yyjson_get_str(val)) + 1;
		if ((q = realloc(p, len + k + v)) == NULL)
			fatal("realloc");
		p = q;
		memcpy(p + len, yyjson_get_str(key), k);
		memcpy(p + len + k, yyjson_get_str(val), v);
		len += k + v;
	}
	*text = p;
	return len;
}

static const char *
label(const char *text, size_t len, const char *key)
{
	const char *p = text, *v;

	while (p != NULL && p < text + len) {
		v = p + strlen(p) + 1;
		if (strcmp(p, key) == 0)
			return v;
		p = v + strlen(v) + 1;
	}
	return NULL;
}

bool
knode_matches(yyjson_val *selector, const char *text, size_t len)
{
	yyjson_obj_iter it = yyjson_obj_iter_with(selector);
	yyjson_val *key;
	const char *v;
	bool any = false;

	while ((key = yyjson_obj_iter_next(&it)) != NULL) {
		v = label(text, len, yyjson_get_str(key));
		if (v == NULL ||
		    !yyjson_equals_str(yyjson_obj_iter_get_val(key), v))
			return false;
		any = true;
	}
	return any;
}

/* ------------------------------------------------------------------ wishes */

enum ktaint
ktaint_site(
    const struct ksite *s, enum taint_want want, const char *text, size_t len)
{
	if (s->role == ROLE_READER ||
	    !knode_matches(s->taint_selector, text, len))
		return KTN_NONE;
	switch (want) {
	case TW_ON:
		return KTN_ON;
	case TW_OFF:
		return KTN_OFF;
	case TW_KEEP:
	case TW_MAX:
		break;
	}
	return KTN_KEEP;
}

bool
ktaint_differs(enum ktaint want, enum ktaint_have have)
{
	switch (want) {
	case KTN_NONE:
	case KTN_OFF:
		return have != KTH_ABSENT;
	case KTN_ON:
		return have != KTH_EXACT;
	case KTN_KEEP:
		break;
	}
	return false;
}

/* ------------------------------------------------------------------ taints */

void
ktaint_key(const char *group, char out[static KTAINT_KEY_LEN + 1])
{
	(void)snprintf(out, KTAINT_KEY_LEN + 1, KTAINT_PREFIX "%s", group);
}

static const char *
member(yyjson_val *taint, const char *name)
{
	const char *s = yyjson_get_str(yyjson_obj_get(taint, name));

	return s == NULL ? "" : s;
}

enum ktaint_have
ktaint_have(yyjson_val *taints, const char *key)
{
	enum ktaint_have have = KTH_ABSENT;
	yyjson_val *t;
	size_t i, n;

	yyjson_arr_foreach(taints, i, n, t)
	{
		if (strcmp(member(t, "key"), key) != 0)
			continue;
		/* One key may stand there once for each effect. */
		have = have == KTH_ABSENT &&
			strcmp(member(t, "value"), TAINT_VALUE) == 0 &&
			strcmp(member(t, "effect"), TAINT_EFFECT) == 0 ?
		    KTH_EXACT :
		    KTH_OTHER;
	}
	return have;
}

yyjson_mut_val *
ktaint_list(yyjson_mut_doc *d, yyjson_val *taints,
    const struct ktaint_change *c, unsigned nc)
{
	yyjson_mut_val *list = yyjson_mut_arr(d), *v;
	yyjson_val *t;
	size_t i, n;
	unsigned k;

	yyjson_arr_foreach(taints, i, n, t)
	{
		for (k = 0; k < nc; k++)
			if (strcmp(member(t, "key"), c[k].key) == 0)
				break;
		if (k == nc &&
		    !yyjson_mut_arr_append(list, yyjson_val_mut_copy(d, t)))
			return NULL;
	}
	for (k = 0; k < nc; k++) {
		if (!c[k].on)
			continue;
		v = yyjson_mut_arr_add_obj(d, list);
		if (!yyjson_mut_obj_add_strcpy(d, v, "key", c[k].key) ||
		    !yyjson_mut_obj_add_str(d, v, "value", TAINT_VALUE) ||
		    !yyjson_mut_obj_add_str(d, v, "effect", TAINT_EFFECT))
			return NULL;
	}
	return list;
}

/* --------------------------------------------------------------- selectors */

/* How many selectors have the key; *same: with this value, too. */
static bool
in_all(yyjson_val *const *sel, size_t n, const char *key, yyjson_val *value,
    bool *same)
{
	yyjson_val *v;

	*same = true;
	for (size_t i = 0; i < n; i++) {
		if ((v = yyjson_obj_get(sel[i], key)) == NULL)
			return false;
		if (!yyjson_equals(v, value))
			*same = false;
	}
	return true;
}

int
ktaint_common(yyjson_val *const *sel, size_t n, char *out, size_t size)
{
	yyjson_obj_iter it;
	yyjson_val *key, *val;
	const char *best = NULL;
	bool same;

	it = yyjson_obj_iter_with(n == 0 ? NULL : sel[0]);
	while ((key = yyjson_obj_iter_next(&it)) != NULL) {
		val = yyjson_obj_iter_get_val(key);
		if (!in_all(sel, n, yyjson_get_str(key), val, &same))
			continue;
		if (same)
			return (size_t)snprintf(out, size, "%s=%s",
				   yyjson_get_str(key),
				   yyjson_get_str(val)) < size ?
			    0 :
			    -1;
		best = yyjson_get_str(key);
	}
	if (best == NULL || strlcpy(out, best, size) >= size) {
		errno = ENOENT;
		return -1;
	}
	return 0;
}
