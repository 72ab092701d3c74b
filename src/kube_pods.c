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
 * MySQL Pods: what the API server says of them goes to the parent; their
 * labels, which steer the Services, follow what the parent wants.
 */

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube.h"
#include "kube_pods.h"

#define LABEL_MIN_MS  100
#define LABEL_MAX_MS  2000
#define ORPHAN_MIN_MS 1000
#define ORPHAN_MAX_MS 30000

static void label_done(void *, const struct kh_resp *);

/* ------------------------------------------------------------------ labels */

int
klabel_next(const struct klabel *l, unsigned n)
{
	int primary = -1;

	for (unsigned i = 0; i < n; i++) {
		if (l[i].role == (int)l[i].want_role &&
		    l[i].healthy == (int)l[i].want_healthy)
			continue;
		if (l[i].want_role != RL_PRIMARY)
			return (int)i;
		primary = (int)i;
	}
	if (primary == -1)
		return -1;
	for (unsigned i = 0; i < n; i++)
		if ((int)i != primary && l[i].role == RL_PRIMARY &&
		    l[i].want_role != RL_PRIMARY)
			return -1;
	return primary;
}

static const struct m_site_view *
view_of(const struct kgroup *g, const char *site)
{
	for (uint32_t i = 0; i < g->want->n_sites; i++)
		if (strcmp(g->want->sites[i].name, site) == 0)
			return &g->want->sites[i];
	return NULL;
}

/* Of several Pods of one site the newest that stays is meant. */
static bool
is_current(const struct kgroup *g, const struct kpod *p)
{
	const struct kpod *q;

	TAILQ_FOREACH (q, &g->pods, link) {
		if (q == p || q->lost || strcmp(q->site, p->site) != 0)
			continue;
		if (p->deleting != q->deleting) {
			if (p->deleting)
				return false;
			continue;
		}
		if (q->created_ms > p->created_ms ||
		    (q->created_ms == p->created_ms &&
			strcmp(q->uid, p->uid) > 0))
			return false;
	}
	return true;
}

/* Not where its labels are left alone. */
static bool
wanted(const struct kgroup *g, const struct kpod *p, struct klabel *l)
{
	const struct m_site_view *v = view_of(g, p->site);

	l->role = p->role;
	l->healthy = p->healthy;
	l->want_role = RL_REPLICA;
	l->want_healthy = false;
	if (v == NULL || !is_current(g, p))
		return true;
	l->want_role = v->role_label;
	l->want_healthy = v->healthy;
	return v->role_label != RL_KEEP;
}

struct kh_req *
kpod_patch(struct kgroup *g, const struct kpod *p, yyjson_mut_doc *doc,
    yyjson_mut_val *root, void (*done)(void *, const struct kh_resp *))
{
	char path[KH_PATH_MAX];
	yyjson_mut_val *meta;
	struct kcall c = {
		.k = g->k,
		.method = KH_PATCH,
		.path = path,
		.type = KH_MERGE,
		.may = kgroup_may_write,
		.done = done,
		.arg = g,
	};

	(void)snprintf(path, sizeof(path), "/api/v1/namespaces/%s/pods/%s",
	    g->ns, p->name);
	c.doc = doc;
	c.root = root;
	if ((meta = yyjson_mut_obj_get(root, "metadata")) == NULL)
		fatalx("JSON memory");
	yyjson_mut_obj_add_strcpy(doc, meta, "uid", p->uid);
	return kube_call(&c);
}

static void
label_send(struct kgroup *g, struct kpod *p, const struct klabel *l)
{
	yyjson_mut_doc *doc = kj_new();

	g->labelled = p;
	p->asked_role = (int)l->want_role;
	p->asked_healthy = l->want_healthy;
	p->label_news = p->news;
	g->label.req = kpod_patch(g, p, doc,
	    kpod_labels(doc, l->want_role, l->want_healthy), label_done);
}

static void
on_label(int fd, short what, void *arg)
{
	struct kgroup *g = arg;
	struct klabel l[2 * SITES_MAX];
	struct kpod *pods[2 * SITES_MAX], *p;
	unsigned n = 0;
	int i;

	(void)fd;
	(void)what;
	if (g->label.req != NULL || g->want == NULL || !kube_may_write(g->k))
		return;
	TAILQ_FOREACH (p, &g->pods, link) {
		if (n == PS_NITEMS(pods))
			break;
		if (!p->lost && wanted(g, p, &l[n]))
			pods[n++] = p;
	}
	if ((i = klabel_next(l, n)) != -1)
		label_send(g, pods[i], &l[i]);
}

/*
 * The labels are as asked for, unless the watch told of others meanwhile. Which
 * of both is newer nobody knows: they are written once more, and before another
 * Pod becomes the primary.
 */
static void
labels_set(struct kpod *p)
{
	if (p->news == p->label_news) {
		p->role = p->asked_role;
		p->healthy = p->asked_healthy;
	} else if (p->role != p->asked_role || p->healthy != p->asked_healthy)
		p->role = -1;
}

static void
label_done(void *arg, const struct kh_resp *r)
{
	struct kgroup *g = arg;
	struct kpod *p = g->labelled;

	g->label.req = NULL;
	g->labelled = NULL;
	if (r->status == 200 && p != NULL) {
		log_ev(LL_INFO, "pod labels set", KVS("fg", g->fg),
		    KVS("site", p->site), KVS("podName", p->name),
		    KVS("role", role_label_name((unsigned)p->asked_role)),
		    KVB("healthy", p->asked_healthy));
		labels_set(p);
	}
	/* Gone or another Pod: the watch will say so. */
	if (r->status == 200)
		klane_ok(&g->label);
	if (r->status == 200)
		klane_in(&g->label, 0);
	else if (!r->refused)
		klane_retry(&g->label, r);
}

void
kpods_kick(struct kgroup *g)
{
	if (g->label.req == NULL && g->label.backoff.cur_ms == 0)
		klane_in(&g->label, 0);
}

/* ------------------------------------------------------------------- facts */

struct kpod *
kpod_find(struct kgroup *g, const char *uid)
{
	struct kpod *p;

	TAILQ_FOREACH (p, &g->pods, link)
		if (strcmp(p->uid, uid) == 0)
			return p;
	return NULL;
}

static void
pod_remove(struct kgroup *g, struct kpod *p)
{
	if (g->labelled == p)
		g->labelled = NULL;
	if (g->asked == p)
		g->asked = NULL;
	TAILQ_REMOVE(&g->pods, p, link);
	free(p);
	if (g->left)
		ksweep_kick(g);
}

static void
pod_tell(struct kgroup *g, struct kpod *p, struct m_pod *m)
{
	uint64_t h;

	(void)strlcpy(m->group, g->uid, sizeof(m->group));
	h = kj_hash(m, sizeof(*m));
	if (p != NULL && p->told == h)
		return;
	if (p != NULL)
		p->told = h;
	kube_tell(g->k, MSG_POD, m);
}

static void
live_labels(struct kpod *p, yyjson_val *obj)
{
	yyjson_val *labels = kj_at(obj, "metadata", "labels");
	const char *s = yyjson_get_str(yyjson_obj_get(labels, KLABEL_ROLE));

	p->role = -1;
	for (unsigned i = 0; s != NULL && i < RL_KEEP; i++)
		if (strcmp(s, role_label_name(i)) == 0)
			p->role = (int)i;
	s = yyjson_get_str(yyjson_obj_get(labels, KLABEL_HEALTHY));
	p->healthy = s == NULL    ? -1 :
	    strcmp(s, "yes") == 0 ? 1 :
	    strcmp(s, "no") == 0  ? 0 :
				    -1;
}

struct kpod *
kpod_new(struct kgroup *g, const struct m_pod *m)
{
	struct kpod *p;

	if ((p = calloc(1, sizeof(*p))) == NULL)
		fatal("calloc");
	(void)strlcpy(p->uid, m->pod_uid, sizeof(p->uid));
	(void)strlcpy(p->name, m->pod_name, sizeof(p->name));
	(void)strlcpy(p->site, m->site, sizeof(p->site));
	p->role = p->healthy = -1;
	TAILQ_INSERT_TAIL(&g->pods, p, link);
	return p;
}

void
kpod_update(struct kgroup *g, struct kpod *p, yyjson_val *obj, struct m_pod *m)
{
	p->created_ms = m->created_ms;
	p->deleting = m->deleting;
	live_labels(p, obj);
	pod_tell(g, p, m);
	kpodfix_seen(g, p, obj, m);
	kpod_labelled(g, p, obj);
	kpods_kick(g);
}

void
kpod_gone(struct kgroup *g, struct kpod *p)
{
	static struct m_pod m;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.site, p->site, sizeof(m.site));
	(void)strlcpy(m.pod_uid, p->uid, sizeof(m.pod_uid));
	(void)strlcpy(m.pod_name, p->name, sizeof(m.pod_name));
	m.gone = true;
	pod_tell(g, NULL, &m);
	pod_remove(g, p);
	kpods_kick(g);
}

static void
orphan_done(void *arg, const struct kh_resp *p)
{
	struct kube *k = arg;

	if (p->status == 200 || p->status == 404 || p->refused) {
		klane_ok(&k->orphans);
		return;
	}
	log_ev(LL_WARN, "pod of no group not released",
	    KVI("status", p->status), KVS("error", p->error));
	klane_retry(&k->orphans, p);
}

/* Whoever could not be let go is found again by a list. */
static void
on_orphans(int fd, short what, void *arg)
{
	struct kube *k = arg;

	(void)fd;
	(void)what;
	if (k->w_pods != NULL && kube_may_write(k))
		kwatch_relist(k->w_pods);
}

/*
 * A Pod that is going away, whose group is no more: no epoch is recorded
 * that it could hold, and nobody else would let it go. All groups were listed
 * before the first Pod; beyond GROUPS_MAX one may exist that we do not know. A
 * group of another installation may be that of any Pod in its namespace: we do
 * not know its Pods.
 */
static void
orphan_release(struct kube *k, yyjson_val *obj, const struct m_pod *m)
{
	struct kfin f = {
		.k = k,
		.finalizer = BR_POD_FINALIZER,
		.want = false,
		.done = orphan_done,
		.arg = k,
	};

	if (!kube_may_write(k) || k->ngroups >= GROUPS_MAX ||
	    kforeign_in(k, kj_meta(obj, "namespace")))
		return;
	(void)snprintf(f.path, sizeof(f.path), "/api/v1/namespaces/%s/pods/%s",
	    kj_meta(obj, "namespace"), m->pod_name);
	(void)strlcpy(f.uid, m->pod_uid, sizeof(f.uid));
	log_ev(LL_INFO, "releasing pod of no group",
	    KVS("namespace", kj_meta(obj, "namespace")),
	    KVS("podName", m->pod_name), KVS("podUID", m->pod_uid));
	kfin_run(&f);
}

static void
on_object(void *arg, yyjson_val *obj, bool deleted)
{
	static struct m_pod m;
	struct kube *k = arg;
	struct kgroup *g;
	struct kpod *p;

	g = kpod_whose(k, obj, &m, &p);
	if (g == NULL) {
		if (!deleted && m.deleting && m.finalizer)
			orphan_release(k, obj, &m);
		return;
	}
	if (p == NULL && deleted)
		return;
	if (p == NULL)
		p = kpod_new(g, &m);
	p->mark = k->pod_mark;
	p->news++;
	/* Its last state may hold the word that a container ended. */
	kpod_update(g, p, obj, &m);
	/* Gone, or without the labels by which it is watched. */
	if (deleted)
		kpod_lost(g, p);
}

static void
on_begin(void *arg)
{
	((struct kube *)arg)->pod_mark++;
}

static void
on_listed(void *arg)
{
	struct kube *k = arg;
	struct kgroup *g;
	struct kpod *p;

	RB_FOREACH (g, kgroups, &k->groups)
		TAILQ_FOREACH (p, &g->pods, link)
			if (p->mark != k->pod_mark)
				kpod_lost(g, p);
	kube_check_synced(k);
}

void
kpods_start(struct kube *k)
{
	char path[KH_PATH_MAX];
	struct kwatch_conf c = {
		.name = "pods",
		.path = path,
		.query =
		    "labelSelector=" OURS "%2Cshipstream.io%2Ffailover-group",
		.limit = 100,
		.begin = on_begin,
		.object = on_object,
		.listed = on_listed,
		.arg = k,
	};

	kh_collection(path, "/api/v1", k->conf.watch_namespace, "pods");
	klane_init(&k->orphans, k, on_orphans, k, ORPHAN_MIN_MS, ORPHAN_MAX_MS);
	k->w_pods = kwatch_new(k->kh, k->base, &c);
}

void
kpods_init(struct kgroup *g)
{
	TAILQ_INIT(&g->pods);
	klane_init(&g->label, g->k, on_label, g, LABEL_MIN_MS, LABEL_MAX_MS);
	kpodlost_init(g);
}

void
kpods_free(struct kgroup *g)
{
	struct kpod *p;

	klane_free(&g->label);
	kpodlost_free(g);
	while ((p = TAILQ_FIRST(&g->pods)) != NULL)
		pod_remove(g, p);
}

/* ----------------------------------------------------------------- actions */

/* One action of the parent, answered by ACK whatever becomes of the group. */
struct act {
	struct kube *k;
	char group[UID_LEN + 1];
	uint64_t seq;
	int64_t valid_until_ns;
};

static struct act *
act_new(struct kube *k, const char *group, uint64_t seq, int64_t until)
{
	struct act *a;

	if ((a = calloc(1, sizeof(*a))) == NULL)
		fatal("calloc");
	a->k = k;
	a->seq = seq;
	a->valid_until_ns = until;
	(void)strlcpy(a->group, group, sizeof(a->group));
	return a;
}

static bool
act_may(void *arg)
{
	struct act *a = arg;

	return kube_may_write(a->k) && monotime_now().ns < a->valid_until_ns;
}

static void
act_done(void *arg, const struct kh_resp *p)
{
	struct act *a = arg;
	const char *error = NULL;
	yyjson_doc *d = NULL;

	if (p->refused)
		error = "the leader's deadline has passed";
	else if (p->status == 0)
		error = p->error;
	else if (p->status < 200 || p->status > 299) {
		d = kj_read(p->body, p->len);
		error = yyjson_get_str(
		    yyjson_obj_get(yyjson_doc_get_root(d), "message"));
		if (error == NULL)
			error = "refused by the API server";
	}
	kube_ack(a->k, a->group, a->seq, p, error);
	yyjson_doc_free(d);
	free(a);
}

void
kpod_delete(struct kube *k, const struct m_pod_delete *m)
{
	struct kgroup *g = kgroup_by_uid(k, m->group);
	char path[KH_PATH_MAX];
	yyjson_mut_val *pre;
	struct kcall c = {
		.k = k,
		.method = KH_DELETE,
		.path = path,
		.type = KH_JSON,
		.may = act_may,
		.done = act_done,
	};

	(void)snprintf(path, sizeof(path), "/api/v1/namespaces/%s/pods/%s",
	    g->ns, m->pod_name);
	c.doc = kj_new();
	c.root = yyjson_mut_obj(c.doc);
	yyjson_mut_obj_add_str(c.doc, c.root, "apiVersion", "v1");
	yyjson_mut_obj_add_str(c.doc, c.root, "kind", "DeleteOptions");
	/* 0 would take the object away without the kubelet's word. */
	yyjson_mut_obj_add_sint(c.doc, c.root, "gracePeriodSeconds",
	    m->grace_s < 1 ? 1 : m->grace_s);
	pre = yyjson_mut_obj_add_obj(c.doc, c.root, "preconditions");
	yyjson_mut_obj_add_strcpy(c.doc, pre, "uid", m->pod_uid);
	c.arg = act_new(k, m->group, m->seq, m->valid_until_ns);
	log_ev(LL_INFO, "deleting pod", KVS("fg", g->fg),
	    KVS("podName", m->pod_name), KVS("podUID", m->pod_uid),
	    KVI("graceSeconds", m->grace_s));
	(void)kube_call(&c);
}

void
kpod_release(struct kube *k, const struct m_pod_release *m)
{
	struct kgroup *g = kgroup_by_uid(k, m->group);
	struct kfin f = {
		.k = k,
		.finalizer = BR_POD_FINALIZER,
		.want = false,
		.valid_until_ns = m->valid_until_ns,
		.done = act_done,
	};

	(void)snprintf(f.path, sizeof(f.path), "/api/v1/namespaces/%s/pods/%s",
	    g->ns, m->pod_name);
	(void)strlcpy(f.uid, m->pod_uid, sizeof(f.uid));
	f.arg = act_new(k, m->group, m->seq, m->valid_until_ns);
	log_ev(LL_INFO, "releasing pod", KVS("fg", g->fg),
	    KVS("podName", m->pod_name), KVS("podUID", m->pod_uid));
	kfin_run(&f);
}
