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
 * What the containers of a MySQL Pod are put together from. Pure.
 */

#include <string.h>

#include "kube_render.h"

/* mysql's in the official image; all of our containers share files. */
#define MYSQL_ID 999

bool
kpart_mount(const struct kbuild *b, yyjson_mut_val *mounts, const char *name,
    const char *path, bool ro)
{
	yyjson_mut_val *m = yyjson_mut_arr_add_obj(b->doc, mounts);

	return m != NULL && kput_str(b->doc, m, "name", name) &&
	    kput_str(b->doc, m, "mountPath", path) &&
	    (!ro || yyjson_mut_obj_add_bool(b->doc, m, "readOnly", true));
}

bool
kpart_env(const struct kbuild *b, yyjson_mut_val *env, const char *name,
    const char *value)
{
	yyjson_mut_val *e = yyjson_mut_arr_add_obj(b->doc, env);

	return e != NULL && kput_str(b->doc, e, "name", name) &&
	    kput_str(b->doc, e, "value", value);
}

bool
kpart_env_field(const struct kbuild *b, yyjson_mut_val *env, const char *name,
    const char *field)
{
	yyjson_mut_val *e = yyjson_mut_arr_add_obj(b->doc, env), *v;

	return e != NULL && kput_str(b->doc, e, "name", name) &&
	    (v = yyjson_mut_obj_add_obj(b->doc, e, "valueFrom")) != NULL &&
	    (v = yyjson_mut_obj_add_obj(b->doc, v, "fieldRef")) != NULL &&
	    kput_str(b->doc, v, "fieldPath", field);
}

bool
kpart_env_secret(const struct kbuild *b, yyjson_mut_val *env, const char *name,
    const char *secret, const char *key, bool optional)
{
	yyjson_mut_val *e = yyjson_mut_arr_add_obj(b->doc, env), *v;

	return e != NULL && kput_str(b->doc, e, "name", name) &&
	    (v = yyjson_mut_obj_add_obj(b->doc, e, "valueFrom")) != NULL &&
	    (v = yyjson_mut_obj_add_obj(b->doc, v, "secretKeyRef")) != NULL &&
	    kput_str(b->doc, v, "name", secret) &&
	    kput_str(b->doc, v, "key", key) &&
	    (!optional || yyjson_mut_obj_add_bool(b->doc, v, "optional", true));
}

bool
kpart_port(
    const struct kbuild *b, yyjson_mut_val *ports, const char *name, int port)
{
	yyjson_mut_val *p = yyjson_mut_arr_add_obj(b->doc, ports);

	return p != NULL && kput_str(b->doc, p, "name", name) &&
	    yyjson_mut_obj_add_int(b->doc, p, "containerPort", port) &&
	    kput_str(b->doc, p, "protocol", "TCP");
}

bool
kpart_argv(const struct kbuild *b, yyjson_mut_val *obj, const char *member,
    const char *const *argv)
{
	yyjson_mut_val *a = yyjson_mut_obj_add_arr(b->doc, obj, member);

	for (; a != NULL && *argv != NULL; argv++)
		if (!yyjson_mut_arr_add_strcpy(b->doc, a, *argv))
			return false;
	return a != NULL;
}

/* ----------------------------------------------------- securityContext -- */

/* null is what Go clients send for "unset". */
static bool
says(yyjson_val *context, const char *key)
{
	yyjson_val *v = yyjson_obj_get(context, key);

	return v != NULL && !yyjson_is_null(v);
}

/* A copy of the user's in obj.securityContext, which may be empty. */
static yyjson_mut_val *
context_of(const struct kbuild *b, yyjson_mut_val *obj, yyjson_val *user)
{
	yyjson_mut_val *c;

	c = user == NULL ? yyjson_mut_obj(b->doc) :
			   yyjson_val_mut_copy(b->doc, user);
	if (c == NULL ||
	    !yyjson_mut_obj_add_val(b->doc, obj, "securityContext", c))
		return NULL;
	return c;
}

/* Replaces a null, which would otherwise stand before it. */
static bool
put(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
    yyjson_mut_val *v)
{
	yyjson_mut_val *k = yyjson_mut_str(doc, key);

	return k != NULL && v != NULL && yyjson_mut_obj_put(obj, k, v);
}

static bool
put_int(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, int v)
{
	return put(doc, obj, key, yyjson_mut_int(doc, v));
}

/* What a program of ours never needs. */
static bool
put_hardening(const struct kbuild *b, yyjson_mut_val *c)
{
	yyjson_val *pod = b->k->pod_security, *user = b->k->ctr_security;
	yyjson_mut_val *v;

	if (!says(user, "allowPrivilegeEscalation") &&
	    !put(b->doc, c, "allowPrivilegeEscalation",
		yyjson_mut_false(b->doc)))
		return false;
	if (!says(user, "capabilities")) {
		static const char *const all[] = { "ALL", NULL };

		v = yyjson_mut_obj(b->doc);
		if (v == NULL || !kpart_argv(b, v, "drop", all) ||
		    !put(b->doc, c, "capabilities", v))
			return false;
	}
	if (!says(user, "seccompProfile") && !says(pod, "seccompProfile")) {
		v = yyjson_mut_obj(b->doc);
		if (v == NULL ||
		    !kput_str(b->doc, v, "type", "RuntimeDefault") ||
		    !put(b->doc, c, "seccompProfile", v))
			return false;
	}
	return true;
}

/*
 * runAs* go to our containers and not to the Pod: extraContainers keep the
 * user of their own image.
 */
bool
kpart_security(const struct kbuild *b, yyjson_mut_val *ctr, bool ours)
{
	static const char *const ids[] = { "runAsUser", "runAsGroup" };
	yyjson_val *pod = b->k->pod_security, *user = b->k->ctr_security;
	yyjson_mut_val *c = context_of(b, ctr, user);

	if (c == NULL)
		return false;
	for (size_t i = 0; i < PS_NITEMS(ids); i++)
		if (!says(user, ids[i]) && !says(pod, ids[i]) &&
		    !put_int(b->doc, c, ids[i], MYSQL_ID))
			return false;
	return !ours || put_hardening(b, c);
}

/*
 * The volumes belong to the group that our containers are in; else a data
 * volume that its provisioner left to root would need a root to start from.
 */
bool
kpart_pod_security(const struct kbuild *b, yyjson_mut_val *spec)
{
	yyjson_val *user = b->k->pod_security;
	yyjson_mut_val *c = context_of(b, spec, user);

	if (c == NULL ||
	    (!says(user, "fsGroup") &&
		!put_int(b->doc, c, "fsGroup", MYSQL_ID)))
		return false;
	/* All files of a large volume at each start would take minutes. */
	return says(user, "fsGroupChangePolicy") ||
	    put(b->doc, c, "fsGroupChangePolicy",
		yyjson_mut_str(b->doc, "OnRootMismatch"));
}
