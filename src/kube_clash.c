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
 * "c", and "a" with "b-c". The one whose spec is in force keeps the name; the
 * other one's is invalid. After a start, when none is in force yet, the status
 * says whose site it was.
 */

#include <stdlib.h>
#include <string.h>

#include "kube.h"

struct names { /* all objects of a spec */
	const struct kspec *s;
	struct kobj *o;
	unsigned n;
};

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
	return strcmp(a->ns, b->ns) == 0 &&
	    (begins(a->name, b->name) || begins(b->name, a->name));
}

static void
list(struct names *l, const struct kspec *s)
{
	l->s = s;
	if ((l->o = reallocarray(NULL, KOBJS_MAX, sizeof(*l->o))) == NULL)
		fatal("reallocarray");
	l->n = kobjs(s, l->o);
}

static const char *
plural(const struct kobj *o)
{
#define X(id, prefix, plural, how) plural,
	static const char *const names[] = { KOBJS(X) };
#undef X

	return names[o->kind];
}

/* The first name that both have. */
static bool
shared(const struct names *a, const struct names *b, unsigned *i, unsigned *j)
{
	for (*i = 0; *i < a->n; ++*i)
		for (*j = 0; *j < b->n; ++*j)
			if (strcmp(a->o[*i].name, b->o[*j].name) == 0 &&
			    strcmp(plural(&a->o[*i]), plural(&b->o[*j])) == 0)
				return true;
	return false;
}

/* NULL: it is the group's own. */
static const char *
site_of(const struct names *l, unsigned i)
{
	char name[NAME_LEN + 1];
	const char *site = l->s->sites[l->o[i].site].name;

	return kobj_site_name(l->s->name, site, l->o[i].kind, name) == -1 ?
	    NULL :
	    site;
}

/* Has its status had that site, or any for what is the group's? */
static bool
established(const struct kgroup *g, const char *site)
{
	if (site == NULL)
		return g->nsites_seen > 0;
	for (unsigned i = 0; i < g->nsites_seen; i++)
		if (g->sites_seen[i] == kj_hash(site, strlen(site)))
			return true;
	return false;
}

void
kclash_seen(struct kgroup *g, yyjson_val *obj)
{
	yyjson_val *s;
	size_t i, n;

	g->nsites_seen = 0;
	yyjson_arr_foreach(kj_at(obj, "status", "sites"), i, n, s)
	{
		const char *name = yyjson_get_str(yyjson_obj_get(s, "name"));

		if (name != NULL && g->nsites_seen < SITES_MAX)
			g->sites_seen[g->nsites_seen++] =
			    kj_hash(name, strlen(name));
	}
}

static void
say(const struct kgroup *h, const struct names *l, unsigned i,
    struct kproblems *p)
{
	const struct kobj *o = &l->o[i];
	const char *site = site_of(l, i);

	if (site == NULL)
		kproblem(p, "metadata.name: %s %s is group %s's", plural(o),
		    o->name, h->name);
	else
		kproblem(p,
		    "spec.sites[%u].name: '%s' makes %s %s, which is "
		    "group %s's",
		    o->site, site, plural(o), o->name, h->name);
}

struct kgroup *
kclash_find(
    struct kgroup *g, const struct kspec *s, bool *yields, struct kproblems *p)
{
	struct names mine = { 0 }, theirs = { 0 };
	struct kgroup *h;
	unsigned i, j;

	RB_FOREACH (h, kgroups, &g->k->groups) {
		if (h == g || h->doc == NULL || !related(g, h))
			continue;
		if (mine.o == NULL)
			list(&mine, s);
		list(&theirs, &h->spec);
		if (shared(&mine, &theirs, &i, &j))
			break;
		free(theirs.o);
		theirs.o = NULL;
	}
	if (h != NULL) {
		*yields = established(g, site_of(&mine, i)) &&
		    !established(h, site_of(&theirs, j));
		if (!*yields)
			say(h, &mine, i, p);
	}
	free(mine.o);
	free(theirs.o);
	return h;
}

void
kclash_again(struct kube *k, const char *ns)
{
	struct kgroup *g;

	RB_FOREACH (g, kgroups, &k->groups)
		if (g->clashes && strcmp(g->ns, ns) == 0)
			break;
	if (g != NULL)
		kwatch_relist(k->w_groups);
}
