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
 * Groups of one namespace whose objects would bear one name: "a-b" with site
 * "c", and "a" with "b-c". Whose the live object is keeps it. Our applies all
 * have one field manager: one of them would take the other group's object, so
 * that it is looked at first. Their passes are never under way at one time.
 */

#include <stdio.h>
#include <string.h>

#include "kube.h"
#include "kube_render.h"

static bool
begins(const char *s, const char *with)
{
	size_t n = strlen(with);

	return strncmp(s, with, n) == 0 && s[n] == '-';
}

/* Only then can any two of their names be equal. */
static bool
related(const struct kgroup *a, const struct kgroup *b)
{
	return a != b && strcmp(a->ns, b->ns) == 0 &&
	    (begins(a->name, b->name) || begins(b->name, a->name));
}

bool
kclash_near(const struct kgroup *g)
{
	struct kgroup *h;

	RB_FOREACH (h, kgroups, &g->k->groups)
		if (related(g, h))
			return true;
	return false;
}

bool
kclash_busy(const struct kgroup *g)
{
	struct kgroup *h;

	RB_FOREACH (h, kgroups, &g->k->groups)
		if (related(g, h) && h->apply_running)
			return true;
	return false;
}

const char *
kclash_owner(yyjson_val *obj, const char *group)
{
	const char *label = yyjson_get_str(
	    yyjson_obj_get(kj_at(obj, "metadata", "labels"), KLABEL_GROUP));
	yyjson_val *o;
	size_t i, n;

	yyjson_arr_foreach(kj_at(obj, "metadata", "ownerReferences"), i, n, o)
	{
		const char *name = yyjson_get_str(yyjson_obj_get(o, "name"));

		if (name != NULL &&
		    yyjson_equals_str(
			yyjson_obj_get(o, "kind"), "MysqlFailoverGroup"))
			return strcmp(name, group) == 0 ? NULL : name;
	}
	return label == NULL || strcmp(label, group) == 0 ? NULL : label;
}

/* ----------------------------------------------------------------- telling */

void
kclash_begin(struct kgroup *g)
{
	/* Its page is not to be written for nothing. */
	if (g->clash_now[0] != '\0')
		g->clash_now[0] = '\0';
}

/* The first object of a site speaks for all of them. */
void
kclash_found(struct kgroup *g, const struct kobj *o, const char *owner)
{
	char name[NAME_LEN + 1], field[64] = "metadata.name:";
	const char *site = g->spec.sites[o->site].name;
	char text[MSGTEXT_LEN + 1];

	/* Else it is the group's own. */
	if (kobj_site_name(g->name, site, o->kind, name) == 0)
		(void)snprintf(
		    field, sizeof(field), "spec.sites[%u].name:", o->site);
	if (strstr(g->clash_now, field) != NULL)
		return;
	(void)snprintf(text, sizeof(text), "%s%s %s %s is group %s's",
	    g->clash_now[0] != '\0' ? "; " : "", field, kobj_plural(o->kind),
	    o->name, owner);
	(void)strlcat(g->clash_now, text, sizeof(g->clash_now));
}

void
kclash_end(struct kgroup *g)
{
	bool first = !g->clash_known;

	g->clash_generation = g->adopted;
	if (!first && strcmp(g->clash, g->clash_now) == 0)
		return;
	g->clash_known = true;
	sparse_copy(g->clash, g->clash_now, sizeof(g->clash));
	g->status_dirty = true;
	kstatus_kick(g);
	if (g->clash[0] == '\0') {
		if (!first)
			log_ev(LL_INFO, "names are free", KVS("fg", g->fg));
		return;
	}
	log_ev(LL_WARN, "names are another group's", KVS("fg", g->fg),
	    KVS("problem", g->clash));
	kevent_emit(g, true, "NamesTaken", g->clash);
}
