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
 * The newest template of a site's Deployment, when the core says so (ROLL):
 * it restarts that site. Which sites differ is told to the core (ROLLOUT).
 * What belongs to a template, its ConfigMap, is held back with it: a Pod that
 * is made anew for another reason gets what its hash says.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube.h"

/* One ROLL that was not answered yet. */
struct kroll {
	TAILQ_ENTRY(kroll) link;
	struct m_roll msg;
	bool config;  /* its ConfigMap is written */
	bool looked;  /* at what is written next */
	bool unknown; /* the Deployment may be, too */
	bool told;    /* of the Deployment by the watch, since it was sent */
};

static void roll_step(struct kgroup *);

/* ------------------------------------------------------------ what differs */

static int
site_of(const struct kgroup *g, yyjson_val *deployment)
{
	return kspec_site_named(
	    &g->spec, KO_DEPLOYMENT, kj_meta(deployment, "name"));
}

static bool
differs(const struct krollout *r)
{
	return r->have[0] != '\0' && r->want[0] != '\0' &&
	    strcmp(r->have, r->want) != 0;
}

/* Which sites' Deployments are not what would be rendered now? */
static void
say_drift(struct kgroup *g)
{
	char drift[MSGTEXT_LEN + 1] = "";

	for (unsigned i = 0; i < g->spec.nsites; i++) {
		if (!differs(&g->rollout[i]))
			continue;
		if (drift[0] != '\0')
			(void)strlcat(drift, ", ", sizeof(drift));
		(void)strlcat(drift, g->spec.sites[i].name, sizeof(drift));
	}
	if (strcmp(drift, g->drift) == 0)
		return;
	(void)strlcpy(g->drift, drift, sizeof(g->drift));
	log_ev(LL_INFO, "Deployments differ from spec", KVS("fg", g->fg),
	    KVS("sites", drift));
	g->status_dirty = true;
	kstatus_kick(g);
}

static void
tell(struct kgroup *g)
{
	static struct m_rollout m;
	uint64_t h;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.group, g->uid, sizeof(m.group));
	m.n_sites = g->spec.nsites;
	for (unsigned i = 0; i < g->spec.nsites; i++) {
		struct m_rollout_site *s = &m.sites[i];

		(void)strlcpy(s->name, g->spec.sites[i].name, sizeof(s->name));
		(void)strlcpy(s->want, g->rollout[i].want, sizeof(s->want));
		(void)strlcpy(s->have, g->rollout[i].have, sizeof(s->have));
	}
	h = kj_hash(&m, sizeof(m));
	if (h == g->rollout_told)
		return;
	g->rollout_told = h;
	kube_tell(g->k, MSG_ROLLOUT, &m);
	say_drift(g);
}

/* A quorum read of all Deployments; server ids are known from it. */
void
kroll_listed(struct kgroup *g, yyjson_val *items)
{
	size_t i, n;
	yyjson_val *d;
	int s;

	memset(g->rollout, 0, sizeof(g->rollout));
	for (unsigned k = 0; k < g->spec.nsites; k++)
		if (kspec_hash(&g->spec, k, g->rollout[k].want) == -1)
			fatalx("JSON memory");
	yyjson_arr_foreach(items, i, n, d)
	{
		if ((s = site_of(g, d)) != -1)
			(void)strlcpy(g->rollout[s].have, kobj_live_hash(d),
			    sizeof(g->rollout[s].have));
	}
	tell(g);
}

static void
seen(struct kgroup *g, yyjson_val *deployment)
{
	struct krollout *r;
	int s;

	if (g->doc == NULL || (s = site_of(g, deployment)) == -1)
		return;
	r = &g->rollout[s];
	/* Before the first list nothing is known of the others. */
	if (r->want[0] == '\0')
		return;
	(void)strlcpy(r->have, kobj_live_hash(deployment), sizeof(r->have));
	tell(g);
}

/* A watch brought it. That it is gone a list says, and a read. */
void
kroll_seen(struct kgroup *g, yyjson_val *deployment)
{
	struct kroll *r = TAILQ_FIRST(&g->rolls);
	char name[NAME_LEN + 1];

	if (r != NULL &&
	    kobj_site_name(g->name, r->msg.site, KO_DEPLOYMENT, name) == 0 &&
	    strcmp(name, kj_meta(deployment, "name")) == 0)
		r->told = true;
	seen(g, deployment);
}

/* The sites are others, or in another order: what was seen has no place. */
void
kroll_spec(struct kgroup *g)
{
	memset(g->rollout, 0, sizeof(g->rollout));
}

/* Its site runs from another template yet. */
bool
kroll_holds(const struct kgroup *g, const struct kobj *o)
{
	return o->kind == KO_SITE_CONFIG && differs(&g->rollout[o->site]);
}

/* ----------------------------------------------------------------- a ROLL */

static void
roll_end(struct kgroup *g, const struct kh_resp *p, const char *error)
{
	struct kroll *r = TAILQ_FIRST(&g->rolls);
	struct kh_resp resp = { 0 };

	if (p != NULL)
		resp = *p;
	resp.sent = error != NULL && r->unknown;
	if (resp.sent)
		resp.status = 0;
	log_ev(error == NULL ? LL_INFO : LL_WARN,
	    error == NULL ? "template applied" : "template not applied",
	    KVS("fg", g->fg), KVS("site", r->msg.site),
	    KVS("hash", r->msg.hash), KVU("seq", r->msg.seq),
	    KVI("status", resp.status), KVS("error", error));
	kube_ack(g->k, g->uid, r->msg.seq, &resp, error);
	TAILQ_REMOVE(&g->rolls, r, link);
	free(r);
	klane_ok(&g->roll);
	klane_in(&g->roll, 0);
}

static bool
roll_may(void *arg)
{
	struct kgroup *g = arg;
	struct kroll *r = TAILQ_FIRST(&g->rolls);

	return r != NULL && kube_may_write(g->k) &&
	    monotime_now().ns < r->msg.valid_until_ns;
}

static void
say_refused(struct kgroup *g, const struct kroll *r, const struct kh_resp *p,
    char why[static ERR_LEN + 1])
{
	char msg[MSGTEXT_LEN + 1], name[NAME_LEN + 1] = "";
	int64_t never = 0;
	struct kown *own;

	kh_why(p, why);
	if (why[0] == '\0')
		(void)strlcpy(why, "refused", ERR_LEN + 1);
	(void)snprintf(msg, sizeof(msg), "site %s: %s: %.600s", r->msg.site,
	    r->config ? "Deployment" : "ConfigMap", why);
	(void)kobj_site_name(g->name, r->msg.site,
	    r->config ? KO_DEPLOYMENT : KO_SITE_CONFIG, name);
	own = kown_find(g, r->config ? "deployments" : "configmaps", name);
	krefused_say(g, msg, own == NULL ? &never : &own->refused_ms);
}

static void
roll_done(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	struct kroll *r = TAILQ_FIRST(&g->rolls);
	char why[ERR_LEN + 1];
	yyjson_doc *d;

	g->roll.req = NULL;
	if (p->status == 200 || p->status == 201) {
		if (!r->config) {
			r->config = true;
			r->looked = false;
			roll_step(g);
			return;
		}
		/* What was told may be newer; of what is older more is told. */
		if (!r->told && (d = kj_read(p->body, p->len)) != NULL) {
			seen(g, yyjson_doc_get_root(d));
			yyjson_doc_free(d);
		}
		roll_end(g, p, NULL);
		return;
	}
	if (p->refused) {
		roll_end(g, NULL, "the leader's deadline has passed");
		return;
	}
	if (kh_definite(p->status)) {
		say_refused(g, r, p, why);
		roll_end(g, p, why);
		return;
	}
	r->unknown = r->unknown || (r->config && (p->sent || p->status >= 500));
	klane_retry(&g->roll, p);
}

static bool
roll_object(
    struct kgroup *g, unsigned site, enum kobj_kind kind, struct kobj *out)
{
	struct kobj *objs = reallocarray(NULL, KOBJS_MAX, sizeof(*objs));
	unsigned n, i;

	if (objs == NULL)
		fatal("reallocarray");
	n = kobjs(&g->spec, objs);
	for (i = 0; i < n; i++)
		if (objs[i].kind == kind && objs[i].site == site)
			break;
	if (i < n)
		*out = objs[i];
	free(objs);
	return i < n;
}

/*
 * What the reference set is ours now, or this server does not let it be so:
 * then it stays, and the next template tries again.
 */
static void
taken(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	struct kroll *r = TAILQ_FIRST(&g->rolls);
	char why[ERR_LEN + 1], name[NAME_LEN + 1] = "";

	g->roll.req = NULL;
	if (p->refused) {
		roll_end(g, NULL, "the leader's deadline has passed");
		return;
	}
	if (p->status != 200 && !kh_definite(p->status)) {
		/* 409: somebody changed it meanwhile. */
		r->looked = false;
		klane_retry(&g->roll, p);
		return;
	}
	(void)kobj_site_name(g->name, r->msg.site, KO_DEPLOYMENT, name);
	if (p->status == 200)
		kadopt_said(g, "deployments", name);
	else if (p->status != 404) { /* gone is as good */
		say_refused(g, r, p, why);
		log_ev(LL_WARN, "fields not taken over", KVS("fg", g->fg),
		    KVS("kind", "deployments"), KVS("name", name),
		    KVI("status", p->status), KVS("error", why));
	}
	roll_step(g);
}

static void
take_over(struct kgroup *g, const char *name, yyjson_mut_doc *doc,
    yyjson_mut_val *patch)
{
	char path[KH_PATH_MAX];
	struct kcall c = {
		.k = g->k,
		.method = KH_PATCH,
		.path = path,
		.type = KH_MERGE,
		.doc = doc,
		.root = patch,
		.may = roll_may,
		.done = taken,
		.arg = g,
	};

	(void)snprintf(path, sizeof(path),
	    "/apis/apps/v1/namespaces/%s/deployments/"
	    "%s?fieldManager=" BR_FIELD_MANAGER,
	    g->ns, name);
	g->roll.req = kube_call(&c);
}

/* Whose is it? What the reference set goes with another template alone. */
static void
found(struct kgroup *g, struct kroll *r, yyjson_val *live)
{
	const char *owner = kclash_owner(live, g->name);
	yyjson_mut_doc *doc;
	yyjson_mut_val *patch;
	char why[ERR_LEN + 1];

	r->looked = true;
	if (owner != NULL) {
		(void)snprintf(why, sizeof(why), "%s is group %s's",
		    kj_meta(live, "name"), owner);
		roll_end(g, NULL, why);
		return;
	}
	doc = kj_new();
	if (r->config && strcmp(kobj_live_hash(live), r->msg.hash) != 0 &&
	    (patch = kadopt_patch(doc, live)) != NULL) {
		take_over(g, kj_meta(live, "name"), doc, patch);
		return;
	}
	yyjson_mut_doc_free(doc);
	roll_step(g);
}

static void
looked(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	struct kroll *r = TAILQ_FIRST(&g->rolls);
	yyjson_doc *d = NULL;

	g->roll.req = NULL;
	if (p->status == 404) {
		r->looked = true;
		roll_step(g);
	} else if (p->status != 200 || (d = kj_read(p->body, p->len)) == NULL)
		klane_retry(&g->roll, p);
	else
		found(g, r, yyjson_doc_get_root(d));
	yyjson_doc_free(d);
}

static void
look(struct kgroup *g, const char *path)
{
	struct kcall c = { .k = g->k,
		.method = KH_GET,
		.path = path,
		.done = looked,
		.arg = g };

	g->roll.req = kube_call(&c);
}

/*
 * The first in the queue: its ConfigMap, then its Deployment; the latter, and
 * what may be another group's, is looked at before.
 */
static void
roll_step(struct kgroup *g)
{
	struct kroll *r = TAILQ_FIRST(&g->rolls);
	char path[KH_PATH_MAX], hash[KHASH_LEN + 1];
	struct kobj o;
	struct kcall c = {
		.k = g->k,
		.method = KH_PATCH,
		.path = path,
		.type = KH_APPLY,
		.may = roll_may,
		.done = roll_done,
		.arg = g,
	};
	int site;

	if (r == NULL)
		return;
	site = g->doc == NULL ? -1 : kspec_site(&g->spec, r->msg.site);
	if (!roll_may(g)) {
		roll_end(g, NULL, "the leader's deadline has passed");
		return;
	}
	if (g->deleting || site == -1 ||
	    kspec_hash(&g->spec, (unsigned)site, hash) == -1 ||
	    strcmp(hash, r->msg.hash) != 0 ||
	    !roll_object(g, (unsigned)site,
		r->config ? KO_DEPLOYMENT : KO_SITE_CONFIG, &o)) {
		roll_end(g, NULL, "the spec gives another template now");
		return;
	}
	if (!r->looked && (r->config || kclash_near(g))) {
		look(g, o.path);
		return;
	}
	(void)snprintf(path, sizeof(path),
	    "%s?fieldManager=" BR_FIELD_MANAGER "&force=true", o.path);
	c.doc = kj_new();
	if ((c.root = kobj_render(c.doc, &g->spec, &o)) == NULL)
		fatalx("JSON memory");
	r->told = false;
	g->roll.req = kube_call(&c);
}

static void
on_roll(int fd, short what, void *arg)
{
	struct kgroup *g = arg;

	(void)fd;
	(void)what;
	if (g->roll.req == NULL)
		roll_step(g);
}

void
kroll_put(struct kgroup *g, const struct m_roll *m)
{
	struct kroll *r = calloc(1, sizeof(*r));

	if (r == NULL)
		fatal("calloc");
	r->msg = *m;
	TAILQ_INSERT_TAIL(&g->rolls, r, link);
	if (g->roll.req == NULL && TAILQ_FIRST(&g->rolls) == r)
		klane_in(&g->roll, 0);
}

void
kroll_init(struct kgroup *g)
{
	TAILQ_INIT(&g->rolls);
	klane_init(&g->roll, g->k, on_roll, g, 200, 2000);
}

void
kroll_free(struct kgroup *g)
{
	struct kroll *r;

	klane_free(&g->roll);
	while ((r = TAILQ_FIRST(&g->rolls)) != NULL) {
		TAILQ_REMOVE(&g->rolls, r, link);
		free(r);
	}
}
