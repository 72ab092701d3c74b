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
 * Secrets with keys of the write lease: bloodraven-lease-keys beside the
 * operator, and mysql-<group>-<site>-lease of each site. All are watched (by
 * our label; the first by its name) and told as KEYS; the leader's parent says
 * by KEY_PUT what shall be written. A write names the version that was told
 * last: who writes in between makes it fail, and everything is told anew. A
 * standby reads the same and writes nothing.
 */

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube.h"
#include "kube_pods.h"

#define OP_SECRET    "bloodraven-lease-keys"
#define RETRY_MIN_MS 200
#define RETRY_MAX_MS 15000
#define TAKEN_MS     10000 /* looks at another group's: no watch tells its end */
#define NAME_SIZE    (2 * NAME_LEN + 16) /* mysql-<group>-<site>-lease */

struct kkey {
	struct kube *k; /* first: see struct kcall */
	TAILQ_ENTRY(kkey) link;
	struct kgroup *g;     /* NULL: the operator's */
	char name[NAME_SIZE]; /* of the Secret */
	char site[NAME_LEN + 1];
	char rv[RV_LEN + 1]; /* empty: there is none */
	uint64_t generation; /* as it was told last */
	uint64_t writing;    /* that of the write under way */
	uint32_t mark;
	bool told;
	bool news;                /* of a watch, since a request was sent */
	char owner[NAME_LEN + 1]; /* another group's Secret stands there */
	struct m_key_put *put;    /* to be sent */
	struct klane lane;
};

static void on_lane(int, short, void *);

static const char *
ns_of(const struct kkey *e)
{
	return e->g != NULL ? e->g->ns : e->k->conf.namespace;
}

static const char *
fg_of(const struct kkey *e)
{
	return e->g != NULL ? e->g->fg : "";
}

/* -------------------------------------------------------------- entries --- */

static struct kkey *
entry_new(struct kube *k, struct kgroup *g, const char *site)
{
	struct kkey *e;

	if ((e = calloc(1, sizeof(*e))) == NULL)
		fatal("calloc");
	e->k = k;
	e->g = g;
	(void)strlcpy(e->site, site, sizeof(e->site));
	if (g == NULL)
		(void)strlcpy(e->name, OP_SECRET, sizeof(e->name));
	else
		(void)snprintf(e->name, sizeof(e->name), "mysql-%s-%s-lease",
		    g->name, site);
	klane_init(&e->lane, k, on_lane, e, RETRY_MIN_MS, RETRY_MAX_MS);
	return e;
}

static void
put_free(struct kkey *e)
{
	if (e->put != NULL)
		freezero(e->put, sizeof(*e->put));
	e->put = NULL;
}

static void
entry_free(struct kkey *e)
{
	put_free(e);
	klane_free(&e->lane);
	free(e);
}

static struct kkey *
entry_find(struct kgroup *g, const char *site)
{
	struct kkey *e;

	TAILQ_FOREACH (e, &g->keys, link)
		if (strcmp(e->site, site) == 0)
			return e;
	return NULL;
}

static struct kkey *
entry_get(struct kgroup *g, const char *site)
{
	struct kkey *e = entry_find(g, site);

	if (e == NULL) {
		e = entry_new(g->k, g, site);
		TAILQ_INSERT_TAIL(&g->keys, e, link);
	}
	return e;
}

bool
kkeys_ready(const struct kgroup *g)
{
	const struct kkey *e;
	unsigned n = 0;

	TAILQ_FOREACH (e, &g->keys, link)
		if ((e->rv[0] != '\0' || e->owner[0] != '\0') &&
		    kspec_site(&g->spec, e->site) != -1)
			n++;
	return n == g->spec.nsites;
}

const char *
kkeys_owner(const struct kgroup *g, const char *site)
{
	const struct kkey *e;

	TAILQ_FOREACH (e, &g->keys, link)
		if (strcmp(e->site, site) == 0)
			return e->owner[0] != '\0' ? e->owner : NULL;
	return NULL;
}

/* ------------------------------------------------------------- told --- */

/* Another group's is none of this one's (kube_clash.c). */
static yyjson_val *
ours(struct kkey *e, yyjson_val *obj)
{
	const char *owner =
	    obj == NULL || e->g == NULL ? NULL : kclash_owner(obj, e->g->name);
	bool was = e->owner[0] != '\0';

	(void)strlcpy(e->owner, owner != NULL ? owner : "", sizeof(e->owner));
	if (owner != NULL && !was) {
		log_ev(LL_WARN, "lease key Secret is another group's",
		    KVS("fg", fg_of(e)), KVS("secret", e->name),
		    KVS("group", owner));
		kapply_kick(e->g);
	}
	return owner != NULL ? NULL : obj;
}

/* Neither the spec nor a Pod has that site any more. */
static bool
removed(const struct kkey *e)
{
	const struct kpod *p;

	if (e->g == NULL || e->g->doc == NULL ||
	    kspec_site(&e->g->spec, e->site) != -1)
		return false;
	TAILQ_FOREACH (p, &e->g->pods, link)
		if (strcmp(p->site, e->site) == 0)
			return false;
	return true;
}

/* obj NULL: there is none. */
static void
tell(struct kkey *e, yyjson_val *obj)
{
	static struct m_keys m;
	bool was = e->rv[0] != '\0', taken = e->owner[0] != '\0';

	memset(&m, 0, sizeof(m));
	if (e->g != NULL)
		(void)strlcpy(m.group, e->g->uid, sizeof(m.group));
	(void)strlcpy(m.site, e->site, sizeof(m.site));
	e->rv[0] = '\0';
	obj = ours(e, obj);
	m.taken = e->owner[0] != '\0';
	if (m.taken && !removed(e))
		klane_in(&e->lane, TAKEN_MS);
	if (m.taken && taken && e->told)
		return; /* as before */
	if (obj != NULL) {
		kkeys_decode(obj, &m);
		(void)strlcpy(
		    e->rv, kj_meta(obj, "resourceVersion"), sizeof(e->rv));
		if (m.problem[0] != '\0')
			log_ev(LL_WARN,
			    "lease key Secret is not as we write it",
			    KVS("fg", fg_of(e)), KVS("secret", e->name),
			    KVS("problem", m.problem));
	}
	e->generation = m.generation;
	e->told = true;
	kube_tell(e->k, MSG_KEYS, &m);
	explicit_bzero(&m, sizeof(m));
	if (!was && obj != NULL && e->g != NULL)
		kapply_kick(e->g);
}

static void
seen(struct kkey *e, yyjson_val *obj)
{
	e->news = true;
	if (!e->told || strcmp(e->rv, kj_meta(obj, "resourceVersion")) != 0)
		tell(e, obj);
}

/* Nobody shall make a removed site's anew; told when the site comes back. */
static void
absent(struct kkey *e)
{
	e->news = true;
	if (removed(e)) {
		e->rv[0] = '\0';
		e->told = false;
	} else if (!e->told || e->rv[0] != '\0')
		tell(e, NULL);
}

/* ------------------------------------------------------------- requests --- */

static void
next(struct kkey *e)
{
	if (e->lane.again || e->put != NULL)
		klane_in(&e->lane, 0);
	e->lane.again = false;
}

/*
 * obj was answered, NULL: there is none. When a watch told of another version
 * meanwhile, which may be newer, it is read again.
 */
static void
answered(struct kkey *e, yyjson_val *obj)
{
	const char *rv = obj == NULL ? "" : kj_meta(obj, "resourceVersion");

	if (e->news && strcmp(e->rv, rv) != 0)
		e->lane.again = true;
	else if (obj == NULL && removed(e))
		absent(e);
	else
		tell(e, obj);
	klane_ok(&e->lane);
	next(e);
}

static void
got(void *arg, const struct kh_resp *p)
{
	struct kkey *e = arg;
	yyjson_doc *d = NULL;

	e->lane.req = NULL;
	if (p->status == 200 && (d = kj_read(p->body, p->len)) != NULL)
		answered(e, yyjson_doc_get_root(d));
	else if (p->status == 404)
		answered(e, NULL);
	else
		klane_retry(&e->lane, p);
	yyjson_doc_free(d);
}

static void
refused(struct kkey *e, const struct kh_resp *p)
{
	char text[MSGTEXT_LEN + 1];

	log_ev(LL_WARN, "lease key not written", KVS("fg", fg_of(e)),
	    KVS("secret", e->name), KVI("status", p->status),
	    KVS("error", p->error));
	if (e->g == NULL || !kh_definite(p->status))
		return;
	(void)snprintf(text, sizeof(text),
	    "Secret %s with keys of the write lease was refused (status %ld)",
	    e->name, p->status);
	kevent_emit(e->g, true, "LeaseKeysNotWritten", text);
}

static void
written(void *arg, const struct kh_resp *p)
{
	struct kkey *e = arg;
	yyjson_doc *d = NULL;

	e->lane.req = NULL;
	if ((p->status == 200 || p->status == 201) &&
	    (d = kj_read(p->body, p->len)) != NULL) {
		log_ev(LL_INFO, "lease key written", KVS("fg", fg_of(e)),
		    KVS("secret", e->name), KVU("generation", e->writing));
		answered(e, yyjson_doc_get_root(d));
		yyjson_doc_free(d);
		return;
	}
	if (p->refused)
		return; /* somebody else leads */
	/* What stands there now is read and told; the parent decides anew. */
	if (p->status == 409) {
		klane_in(&e->lane, 0);
		return;
	}
	refused(e, p);
	klane_retry(&e->lane, p);
}

static bool
may_write(void *arg)
{
	return kube_may_write(((struct kkey *)arg)->k);
}

static void
read_send(struct kkey *e)
{
	char path[KH_PATH_MAX];
	struct kcall c = {
		.k = e->k, .method = KH_GET, .path = path, .done = got, .arg = e
	};

	(void)snprintf(path, sizeof(path), "/api/v1/namespaces/%s/secrets/%s",
	    ns_of(e), e->name);
	e->news = false;
	e->lane.req = kube_call(&c);
}

static void
write_send(struct kkey *e)
{
	struct kkey_place at = { .ns = ns_of(e),
		.name = e->name,
		.group = e->g != NULL ? e->g->name : NULL,
		.site = e->site,
		.rv = e->rv };
	bool anew = e->rv[0] == '\0';
	char path[KH_PATH_MAX];
	struct kcall c = { .k = e->k,
		.method = anew ? KH_POST : KH_PATCH,
		.path = path,
		.type = anew ? KH_JSON : KH_MERGE,
		.patient = true,
		.may = may_write,
		.done = written,
		.arg = e };

	(void)snprintf(path, sizeof(path), "/api/v1/namespaces/%s/secrets%s%s",
	    ns_of(e), anew ? "" : "/", anew ? "" : e->name);
	c.doc = kj_new();
	if ((c.root = kkeys_render(c.doc, &at, e->put)) == NULL)
		fatalx("unusable message KEY_PUT");
	e->news = false;
	e->writing = e->put->generation;
	e->lane.req = kube_call(&c);
	put_free(e);
}

static void
on_lane(int fd, short what, void *arg)
{
	struct kkey *e = arg;

	(void)fd;
	(void)what;
	if (e->lane.req != NULL) {
		e->lane.again = true;
		return;
	}
	/* It was decided on something that is no more. */
	if (e->put != NULL &&
	    (!kube_may_write(e->k) || e->put->base != e->generation ||
		e->owner[0] != '\0'))
		put_free(e);
	if (e->put != NULL)
		write_send(e);
	else
		read_send(e);
}

void
kkeys_put(struct kube *k, const struct m_key_put *m)
{
	struct kgroup *g = NULL;
	struct kkey *e = k->op_key;

	if (m->group[0] != '\0') {
		if ((g = kgroup_by_uid(k, m->group)) == NULL)
			return;
		e = entry_get(g, m->site);
	}
	put_free(e);
	if ((e->put = malloc(sizeof(*e->put))) == NULL)
		fatal("malloc");
	*e->put = *m;
	klane_in(&e->lane, 0);
}

/* -------------------------------------------------------------- watches --- */

static void
on_begin(void *arg)
{
	struct kube *k = arg;

	k->key_mark++;
}

/* Only what bears the name that follows from its labels: see entry_new(). */
static void
on_object(void *arg, yyjson_val *obj, bool deleted)
{
	struct kube *k = arg;
	yyjson_val *labels = kj_at(obj, "metadata", "labels");
	const char *group =
		       yyjson_get_str(yyjson_obj_get(labels, KLABEL_GROUP)),
		   *site = yyjson_get_str(yyjson_obj_get(labels, KLABEL_SITE));
	char name[NAME_SIZE];
	struct kgroup *g;
	struct kkey *e;

	if (group == NULL || site == NULL ||
	    (g = kgroup_by_name(k, kj_meta(obj, "namespace"), group)) == NULL)
		return;
	(void)snprintf(name, sizeof(name), "mysql-%s-%s-lease", group, site);
	if (strcmp(name, kj_meta(obj, "name")) != 0)
		return;
	e = entry_get(g, site);
	e->mark = k->key_mark;
	if (deleted)
		absent(e);
	else
		seen(e, obj);
}

static void
on_listed(void *arg)
{
	struct kube *k = arg;
	struct kgroup *g;
	struct kkey *e;

	RB_FOREACH (g, kgroups, &k->groups) {
		for (unsigned i = 0; i < g->spec.nsites; i++)
			(void)entry_get(g, g->spec.sites[i].name);
		TAILQ_FOREACH (e, &g->keys, link)
			if (e->mark != k->key_mark)
				absent(e);
	}
}

static void
on_op_begin(void *arg)
{
	struct kube *k = arg;

	k->op_key_mark++;
}

static void
on_op_object(void *arg, yyjson_val *obj, bool deleted)
{
	struct kube *k = arg;

	k->op_key->mark = k->op_key_mark;
	if (deleted)
		absent(k->op_key);
	else
		seen(k->op_key, obj);
}

static void
on_op_listed(void *arg)
{
	struct kube *k = arg;

	if (k->op_key->mark != k->op_key_mark)
		absent(k->op_key);
}

/* Sites that a new spec brings; their Secrets may be there from before. */
void
kkeys_spec(struct kgroup *g)
{
	if (g->k->w_keys == NULL || !kwatch_synced(g->k->w_keys))
		return; /* the first list has them */
	for (unsigned i = 0; i < g->spec.nsites; i++) {
		struct kkey *e = entry_get(g, g->spec.sites[i].name);

		if (!e->told || e->owner[0] != '\0')
			klane_in(&e->lane, 0);
	}
}

void
kkeys_init(struct kgroup *g)
{
	TAILQ_INIT(&g->keys);
}

void
kkeys_free(struct kgroup *g)
{
	struct kkey *e;

	while ((e = TAILQ_FIRST(&g->keys)) != NULL) {
		TAILQ_REMOVE(&g->keys, e, link);
		entry_free(e);
	}
}

/* A new leader writes on what it has read now. */
void
kkeys_lead(struct kube *k)
{
	if (k->w_keys != NULL)
		kwatch_relist(k->w_keys);
	if (k->w_op_key != NULL)
		kwatch_relist(k->w_op_key);
}

void
kkeys_start(struct kube *k)
{
	char path[KH_PATH_MAX];
	struct kwatch_conf c = {
		.name = "secrets",
		.path = path,
		.query = "labelSelector=" OURS "%2Cshipstream.io%2Flease-key",
		.limit = 100,
		.begin = on_begin,
		.object = on_object,
		.listed = on_listed,
		.arg = k,
	};

	kh_collection(path, "/api/v1", k->conf.watch_namespace, "secrets");
	k->w_keys = kwatch_new(k->kh, k->base, &c);
	k->op_key = entry_new(k, NULL, "");
	kh_collection(path, "/api/v1", k->conf.namespace, "secrets");
	c.query = "fieldSelector=metadata.name%3D" OP_SECRET;
	c.limit = 1;
	c.begin = on_op_begin;
	c.object = on_op_object;
	c.listed = on_op_listed;
	k->w_op_key = kwatch_new(k->kh, k->base, &c);
}

void
kkeys_stop(struct kube *k)
{
	if (k->w_keys != NULL)
		kwatch_free(k->w_keys);
	if (k->w_op_key != NULL)
		kwatch_free(k->w_op_key);
	if (k->op_key != NULL)
		entry_free(k->op_key);
}
