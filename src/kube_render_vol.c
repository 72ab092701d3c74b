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
 * Data volumes (resources.md 7 and 14). A PVC is made once, outlives what uses
 * it, and carries what must outlive a Deployment: the server id. It belongs to
 * the group, for the garbage collector, only where the spec says that data
 * shall go with it. Pure.
 */

#include <stdio.h>
#include <string.h>

#include "kube_render.h"

static bool
add_id(yyjson_mut_doc *doc, yyjson_mut_val *meta, const struct ksite *s)
{
	yyjson_mut_val *ann;
	char id[16];

	snprintf(id, sizeof(id), "%u", s->server_id);
	ann = yyjson_mut_obj_add_obj(doc, meta, "annotations");
	return ann != NULL && kset_str(doc, ann, KANN_SERVER_ID, id);
}

yyjson_mut_val *
krender_pvc(yyjson_mut_doc *doc, const struct kspec *k, const struct kobj *o)
{
	const struct ksite *s = &k->sites[o->site];
	yyjson_mut_val *obj, *meta, *spec, *modes, *res, *req;

	obj = krender_object(doc, k, "v1", "PersistentVolumeClaim", o->name, s);
	if (obj == NULL ||
	    (meta = yyjson_mut_obj_get(obj, "metadata")) == NULL ||
	    !add_id(doc, meta, s) ||
	    (spec = yyjson_mut_obj_add_obj(doc, obj, "spec")) == NULL ||
	    (modes = yyjson_mut_obj_add_arr(doc, spec, "accessModes")) ==
		NULL ||
	    !yyjson_mut_arr_add_str(doc, modes, "ReadWriteOnce") ||
	    !kput_str(doc, spec, "storageClassName", s->storage_class) ||
	    (res = yyjson_mut_obj_add_obj(doc, spec, "resources")) == NULL ||
	    (req = yyjson_mut_obj_add_obj(doc, res, "requests")) == NULL ||
	    !kput_copy(doc, req, "storage", s->storage_size))
		return NULL;
	if (!k->delete_data)
		yyjson_mut_obj_remove_key(meta, "ownerReferences");
	return obj;
}

/* --------------------------------------------------- what is there already */

static bool
has_text(yyjson_val *map, const char *key, const char *value)
{
	return yyjson_equals_str(yyjson_obj_get(map, key), value);
}

/* The labels and the id that the volume of a configured site shall have. */
static bool
add_wanted(yyjson_mut_doc *doc, yyjson_mut_val *meta, const struct kvol *v,
    const struct ksite *s)
{
	yyjson_mut_val *labels;

	labels = yyjson_mut_obj_add_obj(doc, meta, "labels");
	return labels != NULL &&
	    krender_labels(doc, labels, v->spec->name, s->name) &&
	    add_id(doc, meta, s);
}

static bool
owned(yyjson_val *owners, const char *uid)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(owners);
	yyjson_val *o;

	while ((o = yyjson_arr_iter_next(&it)) != NULL)
		if (has_text(o, "uid", uid))
			return true;
	return false;
}

/* The list with our reference or without; the others' stay. */
static bool
add_owners(yyjson_mut_doc *doc, yyjson_mut_val *meta, const struct kvol *v,
    yyjson_val *owners)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(owners);
	yyjson_mut_val *list, *copy;
	yyjson_val *o;

	if (v->own) {
		if (!krender_owner(doc, meta, v->group, v->uid, true))
			return false;
	} else if (yyjson_mut_obj_add_arr(doc, meta, "ownerReferences") == NULL)
		return false;
	list = yyjson_mut_obj_get(meta, "ownerReferences");
	while ((o = yyjson_arr_iter_next(&it)) != NULL) {
		if (has_text(o, "uid", v->uid))
			continue;
		copy = yyjson_val_mut_copy(doc, o);
		if (copy == NULL || !yyjson_mut_arr_append(list, copy))
			return false;
	}
	return true;
}

bool
kvol_going(yyjson_val *pvc, const char *uid)
{
	yyjson_val *live = yyjson_obj_get(pvc, "metadata"), *o;
	yyjson_arr_iter it =
	    yyjson_arr_iter_with(yyjson_obj_get(live, "ownerReferences"));

	while ((o = yyjson_arr_iter_next(&it)) != NULL)
		if (has_text(o, "kind", "MysqlFailoverGroup") &&
		    !has_text(o, "uid", uid))
			return true;
	return yyjson_is_str(yyjson_obj_get(live, "deletionTimestamp"));
}

yyjson_mut_val *
kvol_patch(yyjson_mut_doc *doc, const struct kvol *v, yyjson_val *pvc)
{
	yyjson_val *live = yyjson_obj_get(pvc, "metadata");
	yyjson_val *owners = yyjson_obj_get(live, "ownerReferences");
	yyjson_mut_val *root = yyjson_mut_obj(doc), *meta;
	bool change = false, mine = owned(owners, v->uid);
	int i = -1;

	if (v->spec != NULL)
		i = kspec_site_named(v->spec, KO_PVC,
		    yyjson_get_str(yyjson_obj_get(live, "name")));
	meta = yyjson_mut_obj_add_obj(doc, root, "metadata");
	if (meta == NULL ||
	    !kput_copy(doc, meta, "resourceVersion",
		yyjson_obj_get(live, "resourceVersion")))
		return NULL;
	if (i != -1) {
		if (!add_wanted(doc, meta, v, &v->spec->sites[i]))
			return NULL;
		change = !krender_within(yyjson_mut_obj_get(meta, "labels"),
			     yyjson_obj_get(live, "labels")) ||
		    !krender_within(yyjson_mut_obj_get(meta, "annotations"),
			yyjson_obj_get(live, "annotations"));
	}
	if (v->own ? !mine && v->adopt : mine) {
		change = true;
		if (!add_owners(doc, meta, v, owners))
			return NULL;
	}
	return change ? root : NULL;
}
