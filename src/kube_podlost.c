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
 * Pods by what they are, not by what they are called. The watch selects by
 * labels: one that lost them looks deleted though its server runs. Only a read
 * of that name says that the Pod is gone, by its UID; till then it is there,
 * and what the kubelet says of it is told. Labels that are wrong are put back.
 */

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube.h"
#include "kube_pods.h"
#include "kube_render.h"

#define LOST_MIN_MS 200
#define LOST_MAX_MS 5000

/* --------------------------------------------------------------- whose it is */

static bool
has_key_of(const char *secret, const struct kgroup *g, const char *site)
{
	char name[2 * NAME_LEN + 16];

	(void)snprintf(name, sizeof(name), "mysql-%s-%s-lease", g->name, site);
	return strcmp(name, secret) == 0;
}

/* A volume of a Pod can't be changed: whose key it mounts, his it is. */
static struct kgroup *
by_key(struct kube *k, const char *ns, const char *secret, struct m_pod *m)
{
	struct kgroup *g;

	RB_FOREACH (g, kgroups, &k->groups) {
		if (strcmp(g->ns, ns) != 0 || g->doc == NULL)
			continue;
		for (unsigned i = 0; i < g->spec.nsites; i++)
			if (has_key_of(secret, g, g->spec.sites[i].name)) {
				(void)strlcpy(m->site, g->spec.sites[i].name,
				    sizeof(m->site));
				return g;
			}
	}
	return NULL;
}

struct kgroup *
kpod_whose(struct kube *k, yyjson_val *pod, struct m_pod *m, struct kpod **p)
{
	const char *ns = kj_meta(pod, "namespace"), *secret = kpod_keys(pod);
	const char *name, *uid = kj_meta(pod, "uid");
	struct kgroup *g, *other;
	bool labelled;

	RB_FOREACH (g, kgroups, &k->groups)
		if ((*p = kpod_find(g, uid)) != NULL) {
			if (kpod_facts(pod, m) == -1)
				fatalx("a UID and no name");
			(void)strlcpy(m->site, (*p)->site, sizeof(m->site));
			return g;
		}
	labelled = kpod_decode(pod, m, &name) == 0;
	g = labelled ? kgroup_by_name(k, ns, name) : NULL;
	if (secret == NULL || (g != NULL && has_key_of(secret, g, m->site)))
		return g;
	if ((other = by_key(k, ns, secret, m)) != NULL)
		return other;
	if (!labelled)
		m->deleting = false;
	return g;
}

/* -------------------------------------------------------------------- labels */

static yyjson_mut_val *
labels_of(yyjson_mut_doc *d, const struct kgroup *g, const struct kpod *p)
{
	yyjson_mut_val *o = yyjson_mut_obj(d);

	if (o == NULL || !krender_labels(d, o, g->name, p->site))
		fatalx("JSON memory");
	return o;
}

void
kpod_labelled(struct kgroup *g, struct kpod *p, yyjson_val *pod)
{
	yyjson_val *live = kj_at(pod, "metadata", "labels");
	yyjson_mut_doc *d = kj_new();
	yyjson_mut_val *want = labels_of(d, g, p), *key, *val;
	size_t i, n;

	p->stripped = false;
	yyjson_mut_obj_foreach(want, i, n, key, val)
	{
		if (!yyjson_equals_str(
			yyjson_obj_get(live, yyjson_mut_get_str(key)),
			yyjson_mut_get_str(val)))
			p->stripped = true;
	}
	yyjson_mut_doc_free(d);
	if (p->stripped)
		kpodlost_kick(g);
}

/* One request at a time: another one's turn, if this one did not succeed. */
static void
retry(struct kgroup *g, struct kpod *p, const struct kh_resp *r)
{
	TAILQ_REMOVE(&g->pods, p, link);
	TAILQ_INSERT_TAIL(&g->pods, p, link);
	klane_retry(&g->lost, r);
}

static void
put_back_done(void *arg, const struct kh_resp *r)
{
	struct kgroup *g = arg;
	struct kpod *p = g->asked;

	g->lost.req = NULL;
	g->asked = NULL;
	if (p != NULL && r->status == 200) {
		/* Else as it was told, which may be newer. */
		if (p->news == p->look_news)
			p->stripped = p->lost = false;
		log_ev(LL_WARN, "pod's labels put back", KVS("fg", g->fg),
		    KVS("site", p->site), KVS("podName", p->name),
		    KVS("podUID", p->uid));
	} else if (p != NULL && (r->status == 404 || r->status == 409))
		p->lost = true;
	else if (p != NULL) {
		if (!r->refused)
			log_ev(LL_WARN, "pod's labels not put back",
			    KVS("fg", g->fg), KVS("podName", p->name),
			    KVI("status", r->status), KVS("error", r->error));
		retry(g, p, r);
		return;
	}
	klane_ok(&g->lost);
	klane_in(&g->lost, 0);
}

static void
put_back(struct kgroup *g, struct kpod *p)
{
	yyjson_mut_doc *d = kj_new();
	yyjson_mut_val *root = yyjson_mut_obj(d);

	yyjson_mut_obj_add_val(d, yyjson_mut_obj_add_obj(d, root, "metadata"),
	    "labels", labels_of(d, g, p));
	g->asked = p;
	p->look_news = p->news;
	g->lost.req = kpod_patch(g, p, d, root, put_back_done);
}

static bool
may_put_back(const struct kgroup *g, const struct kpod *p)
{
	return p->stripped && !g->deleting && kube_may_write(g->k);
}

/* ------------------------------------------------------------- is it gone? */

/* It is there. Who may not label it looks again: no watch says when it goes. */
static void
is_there(struct kgroup *g, struct kpod *p, yyjson_val *obj, struct m_pod *m)
{
	(void)strlcpy(m->site, p->site, sizeof(m->site));
	kpod_update(g, p, obj, m);
	if (!p->stripped) {
		p->lost = false;
		klane_in(&g->lost, 0);
	} else if (may_put_back(g, p))
		put_back(g, p);
	else
		retry(g, p, NULL);
}

static void
looked(void *arg, const struct kh_resp *r)
{
	static struct m_pod m;
	struct kgroup *g = arg;
	struct kpod *p = g->asked;
	yyjson_doc *d = NULL;
	bool read;

	g->lost.req = NULL;
	g->asked = NULL;
	if (p == NULL) {
		klane_in(&g->lost, 0);
		return;
	}
	if (r->status == 200)
		d = kj_read(r->body, r->len);
	read = d != NULL && kpod_facts(yyjson_doc_get_root(d), &m) == 0;
	if (r->status == 404 || (read && strcmp(m.pod_uid, p->uid) != 0)) {
		kpod_gone(g, p);
		klane_ok(&g->lost);
		klane_in(&g->lost, 0);
	} else if (read && p->news != p->look_news)
		klane_in(&g->lost, 0); /* what was told may be newer */
	else if (read)
		is_there(g, p, yyjson_doc_get_root(d), &m);
	else
		retry(g, p, r);
	yyjson_doc_free(d);
}

/* Not from the API server's cache: an old state is none. */
static void
look(struct kgroup *g, struct kpod *p)
{
	char path[KH_PATH_MAX];
	struct kcall c = { .k = g->k,
		.method = KH_GET,
		.path = path,
		.done = looked,
		.arg = g };

	(void)snprintf(path, sizeof(path), "/api/v1/namespaces/%s/pods/%s",
	    g->ns, p->name);
	g->asked = p;
	p->look_news = p->news;
	g->lost.req = kube_call(&c);
}

static void
on_lost(int fd, short what, void *arg)
{
	struct kgroup *g = arg;
	struct kpod *p;

	(void)fd;
	(void)what;
	if (g->lost.req != NULL)
		return;
	/* By the list, not what is lost first: nothing starves behind it. */
	TAILQ_FOREACH (p, &g->pods, link) {
		if (p->lost)
			look(g, p);
		else if (may_put_back(g, p))
			put_back(g, p);
		else
			continue;
		return;
	}
	klane_ok(&g->lost);
}

void
kpod_lost(struct kgroup *g, struct kpod *p)
{
	p->lost = true;
	kpodlost_kick(g);
}

void
kpod_check(struct kgroup *g, const struct m_pod_check *c)
{
	static struct m_pod m;

	if (kpod_find(g, c->pod_uid) != NULL)
		return;
	(void)strlcpy(m.pod_uid, c->pod_uid, sizeof(m.pod_uid));
	(void)strlcpy(m.pod_name, c->pod_name, sizeof(m.pod_name));
	(void)strlcpy(m.site, c->site, sizeof(m.site));
	kpod_lost(g, kpod_new(g, &m));
}

void
kpodlost_init(struct kgroup *g)
{
	klane_init(&g->lost, g->k, on_lost, g, LOST_MIN_MS, LOST_MAX_MS);
}

void
kpodlost_free(struct kgroup *g)
{
	klane_free(&g->lost);
}

/* What waits for its back-off goes on waiting. */
void
kpodlost_kick(struct kgroup *g)
{
	if (g->lost.req == NULL && !evtimer_pending(g->lost.timer, NULL))
		klane_in(&g->lost, 0);
}
