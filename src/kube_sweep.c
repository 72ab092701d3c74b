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
 * What a site that was taken from the spec leaves behind: its Deployment, and
 * with it its Pod, its Services, the Secret with its key, its ConfigMap. Its
 * volume stays. And ConfigMap mysql-<group>-config of earlier releases.
 *
 * Nothing is touched while the record lists an epoch of that site: its end is
 * proven first (fencing.md section 2). The rest goes when neither Deployment
 * nor Pod is there any more. Only what bears the name that we would give it,
 * and is owned by this very group, is taken for ours.
 */

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube.h"
#include "kube_pods.h"

#define SWEEP_MIN_MS 1000
#define SWEEP_MAX_MS 60000

/* ConfigMaps last: as long as one is there, the rest is looked for. */
static const struct {
	const char *prefix, *plural;
} kinds[] = {
	{ "/apis/apps/v1", "deployments" },
	{ "/api/v1", "services" },
	{ "/api/v1", "secrets" },
	{ "/api/v1", "configmaps" },
};
enum { DEPLOYMENTS, SERVICES, SECRETS, CONFIGMAPS };

static void list_send(struct kgroup *);
static void next_item(struct kgroup *);

void
ksweep_record(struct kgroup *g, const struct m_record *m)
{
	unsigned was = g->nheld;

	g->nheld = 0;
	for (unsigned i = 0; i < m->n_unended && i < UNENDED_MAX; i++)
		g->held[g->nheld++] =
		    kj_hash(m->unended[i].site, strlen(m->unended[i].site));
	if (g->left && g->nheld < was)
		ksweep_kick(g);
}

/* An epoch of it is not proven ended, or may yet be recorded. */
static bool
held(const struct kgroup *g, const char *site)
{
	uint64_t h = kj_hash(site, strlen(site));

	if (g->need_record || !g->record_read || g->put != NULL)
		return true;
	for (unsigned i = 0; i < g->nheld; i++)
		if (g->held[i] == h)
			return true;
	return false;
}

static bool
has_pod(const struct kgroup *g, const char *site)
{
	const struct kpod *p;

	TAILQ_FOREACH (p, &g->pods, link)
		if (strcmp(p->site, site) == 0)
			return true;
	return false;
}

static bool
has_deployment(const struct kgroup *g, const char *site)
{
	uint64_t h = kj_hash(site, strlen(site));

	for (unsigned i = 0; i < g->nsweep_sites; i++)
		if (g->sweep_sites[i] == h)
			return true;
	return false;
}

static bool
may_run(const struct kgroup *g)
{
	return g->left && g->doc != NULL && !g->deleting &&
	    kube_may_write(g->k);
}

/* -------------------------------------------------------------- what is ours */

static bool
owned(const struct kgroup *g, yyjson_val *obj)
{
	yyjson_val *o;
	size_t i, n;

	yyjson_arr_foreach(kj_at(obj, "metadata", "ownerReferences"), i, n, o)
	{
		if (yyjson_equals_str(yyjson_obj_get(o, "uid"), g->uid) &&
		    yyjson_is_true(yyjson_obj_get(o, "controller")))
			return true;
	}
	return false;
}

static bool
is_name(const struct kgroup *g, const char *site, enum kobj_kind kind,
    const char *name)
{
	char want[NAME_LEN + 1];

	return kobj_site_name(g->name, site, kind, want) == 0 &&
	    strcmp(want, name) == 0;
}

static bool
our_name(const struct kgroup *g, const char *site, const char *name)
{
	char key[2 * NAME_LEN + 16];

	switch (g->sweep_kind) {
	case DEPLOYMENTS:
		return is_name(g, site, KO_DEPLOYMENT, name);
	case SERVICES:
		return is_name(g, site, KO_SVC_SITE, name) ||
		    is_name(g, site, KO_SVC_INTERNAL, name);
	case CONFIGMAPS:
		return is_name(g, site, KO_SITE_CONFIG, name);
	default:
		(void)snprintf(
		    key, sizeof(key), "mysql-%s-%s-lease", g->name, site);
		return strcmp(key, name) == 0;
	}
}

/* ------------------------------------------------------------------ deleting */

static void
say_waits(struct kgroup *g, const char *site)
{
	if (g->sweep_said)
		return;
	g->sweep_said = true;
	log_ev(LL_INFO, "removed site waits", KVS("fg", g->fg),
	    KVS("site", site),
	    KVS("reason", "an epoch of it is not proven ended"));
}

/* Has everything been asked for? Else: again later, or when something ends. */
static void
sweep_end(struct kgroup *g, bool ok, const struct kh_resp *p)
{
	yyjson_doc_free(g->swept);
	g->swept = NULL;
	if (!ok || g->sweep_waits) {
		klane_retry(&g->sweep, p);
		return;
	}
	klane_ok(&g->sweep);
	g->left = g->sweep_said = false;
	if (g->sweep.again)
		ksweep_kick(g);
}

static void
deleted(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	yyjson_val *v = yyjson_arr_get(
	    yyjson_obj_get(yyjson_doc_get_root(g->swept), "items"), g->sweep_i);

	g->sweep.req = NULL;
	if (p->status != 200 && p->status != 202 && p->status != 404 &&
	    p->status != 409) {
		log_ev(LL_WARN, "leftover of removed site not deleted",
		    KVS("fg", g->fg), KVS("kind", kinds[g->sweep_kind].plural),
		    KVS("name", kj_meta(v, "name")), KVI("status", p->status),
		    KVS("error", p->error));
		sweep_end(g, false, p);
		return;
	}
	log_ev(LL_INFO, "leftover of removed site deleted", KVS("fg", g->fg),
	    KVS("kind", kinds[g->sweep_kind].plural),
	    KVS("name", kj_meta(v, "name")));
	g->sweep_i++;
	next_item(g);
}

static void
delete_send(struct kgroup *g, const char *prefix, const char *plural,
    const char *name, const char *uid, kh_done_fn *done)
{
	char path[KH_PATH_MAX];
	yyjson_mut_val *pre;
	struct kcall c = {
		.k = g->k,
		.method = KH_DELETE,
		.path = path,
		.type = KH_JSON,
		.may = kgroup_may_write,
		.done = done,
		.arg = g,
	};

	(void)snprintf(path, sizeof(path), "%s/namespaces/%s/%s/%s", prefix,
	    g->ns, plural, name);
	c.doc = kj_new();
	c.root = yyjson_mut_obj(c.doc);
	yyjson_mut_obj_add_str(c.doc, c.root, "apiVersion", "v1");
	yyjson_mut_obj_add_str(c.doc, c.root, "kind", "DeleteOptions");
	yyjson_mut_obj_add_str(
	    c.doc, c.root, "propagationPolicy", "Background");
	pre = yyjson_mut_obj_add_obj(c.doc, c.root, "preconditions");
	yyjson_mut_obj_add_strcpy(c.doc, pre, "uid", uid);
	g->sweep.req = kube_call(&c);
}

static void
say_removed(struct kgroup *g, const char *site)
{
	char msg[MSGTEXT_LEN + 1];

	(void)snprintf(msg, sizeof(msg),
	    "site %s is no longer in the spec: its Deployment, Services, key "
	    "and configuration go; its volume mysql-%s-%s-data stays",
	    site, g->name, site);
	kevent_emit(g, false, "SiteRemoved", msg);
}

/* True when its deletion is on its way. */
static bool
item(struct kgroup *g, yyjson_val *v)
{
	const char *name = kj_meta(v, "name");
	const char *site = yyjson_get_str(
	    yyjson_obj_get(kj_at(v, "metadata", "labels"), KLABEL_SITE));

	if (site == NULL || strlen(site) > NAME_LEN ||
	    kspec_site(&g->spec, site) != -1 || !owned(g, v) ||
	    !our_name(g, site, name))
		return false;
	if (g->sweep_kind == DEPLOYMENTS) {
		/* The rest waits for its Pod. */
		g->sweep_waits = true;
		if (g->nsweep_sites < SITES_MAX)
			g->sweep_sites[g->nsweep_sites++] =
			    kj_hash(site, strlen(site));
		if (held(g, site)) {
			say_waits(g, site);
			return false;
		}
		if (kj_meta(v, "deletionTimestamp")[0] != '\0')
			return false;
		say_removed(g, site);
	} else if (has_deployment(g, site) || has_pod(g, site) ||
	    held(g, site)) {
		g->sweep_waits = true;
		return false;
	}
	delete_send(g, kinds[g->sweep_kind].prefix, kinds[g->sweep_kind].plural,
	    name, kj_meta(v, "uid"), deleted);
	return true;
}

/* More removed sites than are remembered: the rest at the next run. */
static bool
full(const struct kgroup *g)
{
	return g->sweep_kind != DEPLOYMENTS && g->nsweep_sites == SITES_MAX;
}

static void
legacy_done(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;

	/* That it is gone the watch says. */
	g->sweep.req = NULL;
	log_ev(LL_INFO, "ConfigMap of an earlier release deleted",
	    KVS("fg", g->fg), KVI("status", p->status));
	sweep_end(
	    g, p->status == 200 || p->status == 404 || p->status == 409, p);
}

static void
legacy(struct kgroup *g)
{
	char name[2 * NAME_LEN];

	if (g->legacy_uid[0] == '\0' || g->legacy_used) {
		sweep_end(g, true, NULL);
		return;
	}
	(void)snprintf(name, sizeof(name), "mysql-%s-config", g->name);
	delete_send(
	    g, "/api/v1", "configmaps", name, g->legacy_uid, legacy_done);
}

static void
next_item(struct kgroup *g)
{
	yyjson_val *v,
	    *items = yyjson_obj_get(yyjson_doc_get_root(g->swept), "items");

	for (; (v = yyjson_arr_get(items, g->sweep_i)) != NULL; g->sweep_i++) {
		if (!may_run(g) || full(g)) {
			sweep_end(g, false, NULL);
			return;
		}
		if (item(g, v))
			return;
	}
	if (++g->sweep_kind < PS_NITEMS(kinds))
		list_send(g);
	else
		legacy(g);
}

static void
listed(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;

	g->sweep.req = NULL;
	yyjson_doc_free(g->swept);
	g->swept = p->status == 200 ? kj_read(p->body, p->len) : NULL;
	if (g->swept == NULL) {
		sweep_end(g, false, p);
		return;
	}
	g->sweep_i = 0;
	next_item(g);
}

/* What is labelled with this group and a site, but none of the spec's. */
static void
list_send(struct kgroup *g)
{
	char path[KH_PATH_MAX], esc[3 * NAME_LEN + 1];
	size_t n;
	struct kcall c = { .k = g->k,
		.method = KH_GET,
		.path = path,
		.done = listed,
		.arg = g };

	(void)kh_escape(esc, sizeof(esc), g->name);
	(void)snprintf(path, sizeof(path),
	    "%s/namespaces/%s/%s?labelSelector=%s%%2Cshipstream.io%%2Ffailover-group%%3D%s%%2C"
	    "shipstream.io%%2Fsite%%2Cshipstream.io%%2Fsite%%20notin%%20%%28",
	    kinds[g->sweep_kind].prefix, g->ns, kinds[g->sweep_kind].plural,
	    OURS, esc);
	for (unsigned i = 0; i < g->spec.nsites; i++) {
		n = strlen(path);
		(void)snprintf(path + n, sizeof(path) - n, "%s%s",
		    i > 0 ? "%2C" : "", g->spec.sites[i].name);
	}
	if (strlcat(path, "%29", sizeof(path)) >= sizeof(path))
		fatalx("site names are longer than krules_render() lets in");
	g->sweep.req = kube_call(&c);
}

static void
on_sweep(int fd, short what, void *arg)
{
	struct kgroup *g = arg;

	(void)fd;
	(void)what;
	if (g->sweep.req != NULL) {
		g->sweep.again = true;
		return;
	}
	/* Not beside a pass: what it found out is used here. */
	if (!may_run(g) || g->apply_running || g->apply_queued)
		return;
	g->sweep.again = g->sweep_waits = false;
	g->sweep_kind = DEPLOYMENTS;
	g->nsweep_sites = 0;
	list_send(g);
}

void
ksweep_kick(struct kgroup *g)
{
	g->left = true;
	if (g->sweep.req != NULL)
		g->sweep.again = true;
	else
		klane_in(&g->sweep, 0);
}

void
ksweep_init(struct kgroup *g)
{
	klane_init(&g->sweep, g->k, on_sweep, g, SWEEP_MIN_MS, SWEEP_MAX_MS);
}

void
ksweep_free(struct kgroup *g)
{
	klane_free(&g->sweep);
	yyjson_doc_free(g->swept);
}
