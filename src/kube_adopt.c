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
 * render. Its entries in managedFields become ours after an object's first
 * apply, which is then repeated. A Deployment's only in a ROLL, just before the
 * template that takes those fields away: they are in its template, too, and
 * that restarts a site. Nobody else's entry is touched; merge patches of our
 * own leave one like the reference's.
 */

#include <string.h>

#include "kube.h"

/* From the User-Agent of a program /bloodraven. */
#define REFERENCE "bloodraven"

static bool
is_entry(yyjson_val *e, const char *manager, const char *operation)
{
	const char *sub = yyjson_get_str(yyjson_obj_get(e, "subresource"));

	return yyjson_equals_str(yyjson_obj_get(e, "manager"), manager) &&
	    yyjson_equals_str(yyjson_obj_get(e, "operation"), operation) &&
	    (sub == NULL || sub[0] == '\0');
}

static yyjson_val *
version_of(yyjson_val *e)
{
	return yyjson_obj_get(e, "apiVersion");
}

/* Of another version the names may mean something else. */
static bool
is_theirs(yyjson_val *e, yyjson_val *base)
{
	return is_entry(e, REFERENCE, "Update") &&
	    yyjson_equals(version_of(base), version_of(e));
}

/* Our Apply entry, or the last one of the reference's; NULL: nothing to do. */
static yyjson_val *
base_of(yyjson_val *list)
{
	yyjson_val *e, *ours = NULL, *last = NULL;
	size_t i, n;

	yyjson_arr_foreach(list, i, n, e)
	{
		if (is_entry(e, BR_FIELD_MANAGER, "Apply"))
			ours = e;
		else if (is_entry(e, REFERENCE, "Update"))
			last = e;
	}
	if (ours == NULL)
		return last;
	yyjson_arr_foreach(list, i, n, e)
	{
		if (is_theirs(e, ours))
			return ours;
	}
	return NULL;
}

/* What an entry without any has is nothing. */
static yyjson_mut_val *
fields_of(yyjson_mut_doc *doc, yyjson_val *e)
{
	yyjson_val *f = yyjson_obj_get(e, "fieldsV1");

	return yyjson_is_obj(f) ? yyjson_val_mut_copy(doc, f) :
				  yyjson_mut_obj(doc);
}

/* That entry, with the fields of all of the reference's. */
static yyjson_mut_val *
union_of(yyjson_mut_doc *doc, yyjson_val *list, yyjson_val *base)
{
	yyjson_mut_val *out = yyjson_val_mut_copy(doc, base), *fields;
	yyjson_val *e;
	size_t i, n;

	fields = fields_of(doc, base);
	yyjson_arr_foreach(list, i, n, e)
	{
		/* Objects in objects, no null: a merge is their union. */
		if (e != base && is_theirs(e, base))
			fields = yyjson_mut_merge_patch(
			    doc, fields, fields_of(doc, e));
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
		else if (is_theirs(e, base))
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
	log_ev(LL_INFO, "fields taken over", KVS("fg", g->fg),
	    KVS("kind", plural), KVS("name", name));
}
