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
 * Small errands of kube-watcher: finalizers, annotations that were dealt
 * with, dns-writer's token, and what this API server knows.
 */

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube.h"

/* -------------------------------------------------------------- finalizers */

#define FIN_TRIES 8

static void fin_get(struct kfin *);

static bool
fin_may(void *arg)
{
	struct kfin *f = arg;

	return kube_may_write(f->k) &&
	    (f->valid_until_ns == 0 || monotime_now().ns < f->valid_until_ns);
}

static void
fin_end(struct kfin *f, const struct kh_resp *p)
{
	f->done(f->arg, p);
	free(f);
}

static void
fin_patched(void *arg, const struct kh_resp *p)
{
	struct kfin *f = arg;

	/* Somebody changed the object in between. */
	if (p->status == 409 && f->tries++ < FIN_TRIES)
		fin_get(f);
	else
		fin_end(f, p);
}

/* The list as it shall be; NULL when the object is that way already. */
static yyjson_mut_val *
fin_list(struct kfin *f, yyjson_mut_doc *d, yyjson_val *obj)
{
	yyjson_val *have = kj_at(obj, "metadata", "finalizers"), *v;
	yyjson_mut_val *list = yyjson_mut_arr(d);
	bool found = false;
	size_t i, n;

	yyjson_arr_foreach(have, i, n, v)
	{
		if (yyjson_equals_str(v, f->finalizer)) {
			found = true;
			if (!f->want)
				continue;
		}
		yyjson_mut_arr_append(list, yyjson_val_mut_copy(d, v));
	}
	if (found == f->want)
		return NULL;
	if (f->want)
		yyjson_mut_arr_add_str(d, list, f->finalizer);
	return list;
}

static void
fin_patch(struct kfin *f, yyjson_val *obj)
{
	yyjson_mut_doc *d = kj_new();
	yyjson_mut_val *root = yyjson_mut_obj(d), *meta, *list;
	struct kh_resp ok = { .status = 200, .body = "" };
	struct kcall c = {
		.k = f->k,
		.method = KH_PATCH,
		.path = f->path,
		.type = KH_MERGE,
		.doc = d,
		.root = root,
		.may = fin_may,
		.done = fin_patched,
		.arg = f,
	};

	if ((list = fin_list(f, d, obj)) == NULL) {
		yyjson_mut_doc_free(d);
		fin_end(f, &ok);
		return;
	}
	meta = yyjson_mut_obj_add_obj(d, root, "metadata");
	yyjson_mut_obj_add_strcpy(d, meta, "uid", f->uid);
	yyjson_mut_obj_add_strcpy(
	    d, meta, "resourceVersion", kj_meta(obj, "resourceVersion"));
	yyjson_mut_obj_add_val(d, meta, "finalizers", list);
	(void)kube_call(&c);
}

static void
fin_got(void *arg, const struct kh_resp *p)
{
	struct kfin *f = arg;
	struct kh_resp conflict = { .status = 409, .body = "" };
	yyjson_doc *d;
	yyjson_val *obj;

	if (p->status != 200 || (d = kj_read(p->body, p->len)) == NULL) {
		fin_end(f, p);
		return;
	}
	obj = yyjson_doc_get_root(d);
	/* Never off an object that stays: it would stand there unprotected. */
	if (strcmp(kj_meta(obj, "uid"), f->uid) != 0 ||
	    (!f->want && kj_meta(obj, "deletionTimestamp")[0] == '\0'))
		fin_end(f, &conflict);
	else
		fin_patch(f, obj);
	yyjson_doc_free(d);
}

static void
fin_get(struct kfin *f)
{
	struct kcall c = { .k = f->k,
		.method = KH_GET,
		.path = f->path,
		.may = fin_may,
		.done = fin_got,
		.arg = f };

	(void)kube_call(&c);
}

void
kfin_run(const struct kfin *f)
{
	struct kfin *c;

	if ((c = malloc(sizeof(*c))) == NULL)
		fatal("malloc");
	*c = *f;
	fin_get(c);
}

/* The group may be gone when the answer comes: its name is what remains. */
struct gfin {
	struct kube *k;
	char uid[UID_LEN + 1];
};

static void
gfin_done(void *arg, const struct kh_resp *p)
{
	struct gfin *f = arg;
	struct kgroup *g = kgroup_by_uid(f->k, f->uid);

	free(f);
	if (g == NULL)
		return;
	g->fin_running = false;
	if (p->status == 200) {
		klane_ok(&g->fin);
		return;
	}
	if (p->status != 404 && !p->refused)
		klane_retry(&g->fin, p);
}

static void
volumes_settled(struct kgroup *g, const struct kh_resp *p)
{
	kvol_end(g);
	if (p->status == 200) {
		g->vol_settled = true;
		klane_in(&g->fin, 0);
	} else
		klane_retry(&g->fin, p);
}

static void
volumes_found(struct kgroup *g, const struct kh_resp *p)
{
	if (p->status == 200)
		kvol_fix(g, volumes_settled);
	else
		volumes_settled(g, p);
}

/*
 * May a group that is being deleted go? When the parent said that nothing is
 * outstanding, when its volumes belong to it only if they shall go with it,
 * and when its taints are lifted. What does not hold yet comes back here.
 */
static bool
may_go(struct kgroup *g)
{
	if (!g->release)
		return false;
	if (!g->fin_said) {
		g->fin_said = true;
		kevent_emit(g, false, "GracefulShutdown",
		    g->delete_data ?
			"the group is being deleted, its data volumes too" :
			"the group is being deleted, its data volumes stay");
	}
	if (!g->vol_settled) {
		/* A pass that was under way ends first. */
		if (!g->apply_running && g->vol_done == NULL)
			kvol_list(g, volumes_found);
		return false;
	}
	return knodes_lifted(g);
}

static void
on_fin(int fd, short what, void *arg)
{
	struct kgroup *g = arg;
	struct kfin f = {
		.k = g->k, .finalizer = BR_FINALIZER, .done = gfin_done
	};
	struct gfin *a;

	(void)fd;
	(void)what;
	if (g->fin_running || !kube_may_write(g->k))
		return;
	f.want = !g->deleting;
	if (g->deleting ? !may_go(g) : !g->valid)
		return;
	if ((a = calloc(1, sizeof(*a))) == NULL)
		fatal("calloc");
	a->k = g->k;
	(void)strlcpy(a->uid, g->uid, sizeof(a->uid));
	kgroup_path(g, "", f.path);
	(void)strlcpy(f.uid, g->uid, sizeof(f.uid));
	f.arg = a;
	g->fin_running = true;
	if (g->deleting)
		log_ev(LL_INFO, "group released", KVS("fg", g->fg));
	kfin_run(&f);
}

void
kgroup_finalizer(struct kgroup *g)
{
	klane_in(&g->fin, 0);
}

/* ------------------------------------------------------------- annotations */

/* "/" in a key is "~1" in a JSON pointer, "~" is "~0". */
static void
pointer(const char *key, char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, "/metadata/annotations/");

	for (; *key != '\0' && n + 3 < size; key++) {
		if (*key == '/' || *key == '~') {
			out[n++] = '~';
			out[n++] = *key == '/' ? '1' : '0';
		} else
			out[n++] = *key;
	}
	out[n] = '\0';
}

static void
anndel_free(struct kgroup *g, struct kanndel *a)
{
	TAILQ_REMOVE(&g->anndels, a, link);
	free(a);
}

/*
 * Tried until it is gone or has another value (422: the test failed). What a
 * new leader finds is told to its parent, which asks for it again.
 */
static void
anndel_done(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	struct kanndel *a = TAILQ_FIRST(&g->anndels);

	g->anndel.req = NULL;
	if (p->status == 200 || p->status == 422 || p->status == 404 ||
	    p->refused) {
		anndel_free(g, a);
		klane_ok(&g->anndel);
		klane_in(&g->anndel, 0);
		return;
	}
	log_ev(LL_WARN, "annotation not removed", KVS("fg", g->fg),
	    KVS("key", a->msg.key), KVI("status", p->status),
	    KVS("error", p->error));
	klane_retry(&g->anndel, p);
}

static void
anndel_send(struct kgroup *g, const struct m_annotation_del *m)
{
	char path[KH_PATH_MAX], ptr[2 * NAME_LEN + 32];
	yyjson_mut_val *op;
	struct kcall c = {
		.k = g->k,
		.method = KH_PATCH,
		.path = path,
		.type = KH_JSONPATCH,
		.may = kgroup_may_write,
		.done = anndel_done,
		.arg = g,
	};

	kgroup_path(g, "", path);
	pointer(m->key, ptr, sizeof(ptr));
	c.doc = kj_new();
	c.root = yyjson_mut_arr(c.doc);
	op = yyjson_mut_arr_add_obj(c.doc, c.root);
	yyjson_mut_obj_add_str(c.doc, op, "op", "test");
	yyjson_mut_obj_add_strcpy(c.doc, op, "path", "/metadata/uid");
	yyjson_mut_obj_add_strcpy(c.doc, op, "value", g->uid);
	op = yyjson_mut_arr_add_obj(c.doc, c.root);
	yyjson_mut_obj_add_str(c.doc, op, "op", "test");
	yyjson_mut_obj_add_strcpy(c.doc, op, "path", ptr);
	yyjson_mut_obj_add_strcpy(c.doc, op, "value", m->value);
	op = yyjson_mut_arr_add_obj(c.doc, c.root);
	yyjson_mut_obj_add_str(c.doc, op, "op", "remove");
	yyjson_mut_obj_add_strcpy(c.doc, op, "path", ptr);
	g->anndel.req = kube_call(&c);
}

static void
on_anndel(int fd, short what, void *arg)
{
	struct kgroup *g = arg;
	struct kanndel *a = TAILQ_FIRST(&g->anndels);

	(void)fd;
	(void)what;
	if (g->anndel.req == NULL && a != NULL)
		anndel_send(g, &a->msg);
}

void
kannotation_del(struct kgroup *g, const struct m_annotation_del *m)
{
	struct kanndel *a;
	unsigned n = 0;

	TAILQ_FOREACH (a, &g->anndels, link) {
		if (memcmp(&a->msg, m, sizeof(*m)) == 0)
			return;
		n++;
	}
	if (n >= KANNS_MAX)
		return; /* of a group, no more are told than this */
	if ((a = malloc(sizeof(*a))) == NULL)
		fatal("malloc");
	a->msg = *m;
	TAILQ_INSERT_TAIL(&g->anndels, a, link);
	if (n == 0)
		klane_in(&g->anndel, 0);
}

void
kmisc_init(struct kgroup *g)
{
	klane_init(&g->fin, g->k, on_fin, g, 200, 5000);
	klane_init(&g->anndel, g->k, on_anndel, g, 200, 30000);
	TAILQ_INIT(&g->anndels);
}

void
kmisc_free(struct kgroup *g)
{
	struct kanndel *a;

	klane_free(&g->fin);
	klane_free(&g->anndel);
	while ((a = TAILQ_FIRST(&g->anndels)) != NULL)
		anndel_free(g, a);
}

/* ------------------------------------------------------- dns-writer's token */

#define TOKEN_S     3600
#define TOKEN_MIN_S 60

static void
token_done(void *arg, const struct kh_resp *p)
{
	static struct m_dns_token m;
	struct kube *k = arg;
	const char *t = NULL;
	yyjson_doc *d = NULL;
	yyjson_val *root;
	int64_t life = TOKEN_S;

	k->token.req = NULL;
	if (p->status == 201 && (d = kj_read(p->body, p->len)) != NULL) {
		root = yyjson_doc_get_root(d);
		t = yyjson_get_str(kj_at(root, "status", "token"));
		/* The server may have shortened it. */
		life =
		    yyjson_get_sint(kj_at(root, "spec", "expirationSeconds"));
	}
	if (t == NULL || secret_set(&m.token, t, strlen(t)) == -1) {
		log_ev(LL_WARN, "no token for dns-writer",
		    KVS("serviceAccount", k->conf.dns_sa),
		    KVI("status", p->status), KVS("error", p->error));
		klane_retry(&k->token, p);
	} else {
		if (life < TOKEN_MIN_S)
			life = TOKEN_MIN_S;
		kube_tell(k, MSG_DNS_TOKEN, &m);
		klane_ok(&k->token);
		klane_in(&k->token, life * 800); /* 80 %, in ms */
	}
	secret_wipe(&m.token);
	yyjson_doc_free(d);
}

static void
on_token(int fd, short what, void *arg)
{
	struct kube *k = arg;
	char path[KH_PATH_MAX];
	struct kcall c = { .k = k,
		.method = KH_POST,
		.path = path,
		.type = KH_JSON,
		.done = token_done,
		.arg = k };

	(void)fd;
	(void)what;
	if (k->token.req != NULL)
		return;
	(void)snprintf(path, sizeof(path),
	    "/api/v1/namespaces/%s/serviceaccounts/%s/token", k->conf.namespace,
	    k->conf.dns_sa);
	c.doc = kj_new();
	c.root = ktoken_request(c.doc, TOKEN_S);
	k->token.req = kube_call(&c);
}

void
ktoken_start(struct kube *k)
{
	klane_init(&k->token, k, on_token, k, 250, 30000);
	if (k->conf.dns_sa[0] != '\0')
		klane_in(&k->token, 0);
}

void
ktoken_ask(struct kube *k)
{
	if (k->conf.dns_sa[0] != '\0')
		klane_in(&k->token, 0);
}

/* ---------------------------------------------------------------- discovery */

/* What is absent may be installed later: ask again, rarely. */
#define DISCOVERY_S 60

static bool
serves(yyjson_val *group, const char *name, const char *version)
{
	yyjson_val *v;
	size_t i, n;

	if (!yyjson_equals_str(yyjson_obj_get(group, "name"), name))
		return false;
	if (version == NULL)
		return true;
	yyjson_arr_foreach(yyjson_obj_get(group, "versions"), i, n,
	    v) if (yyjson_equals_str(yyjson_obj_get(v, "version"),
		       version)) return true;
	return false;
}

static void
discovered(struct kube *k, const char *policy, bool dns)
{
	bool other = policy != NULL &&
	    (k->policy_api == NULL || strcmp(k->policy_api, policy) != 0);

	if (!other && dns == k->externaldns)
		return;
	log_ev(LL_INFO, "API discovery", KVS("policy", policy),
	    KVB("externalDNS", dns));
	k->externaldns = dns;
	if (!other)
		return;
	k->policy_api = policy;
	kowned_policy(k);
}

static void
discovery_done(void *arg, const struct kh_resp *p)
{
	struct kube *k = arg;
	struct timeval tv = { p->status == 200 ? DISCOVERY_S : 2, 0 };
	bool dns = false;
	yyjson_doc *d;
	yyjson_val *g;
	const char *policy = NULL;
	size_t i, n;

	k->discovery = NULL;
	if (p->status == 200 && (d = kj_read(p->body, p->len)) != NULL) {
		yyjson_arr_foreach(
		    yyjson_obj_get(yyjson_doc_get_root(d), "groups"), i, n, g)
		{
			if (serves(g, "policy", "v1"))
				policy = "policy/v1";
			else if (serves(g, "policy", "v1beta1"))
				policy = "policy/v1beta1";
			dns |= serves(g, "externaldns.k8s.io", NULL);
		}
		yyjson_doc_free(d);
		discovered(k, policy, dns);
		if (dns && policy != NULL)
			return;
	}
	event_add(k->discovery_timer, &tv);
}

void
kdiscovery_again(struct kube *k)
{
	struct timeval tv = { 0, 0 };

	if (k->discovery == NULL)
		event_add(k->discovery_timer, &tv);
}

static void
on_discovery(int fd, short what, void *arg)
{
	struct kube *k = arg;
	struct kcall c = { .k = k,
		.method = KH_GET,
		.path = "/apis",
		.done = discovery_done,
		.arg = k };

	(void)fd;
	(void)what;
	k->discovery = kube_call(&c);
}

void
kdiscovery_start(struct kube *k)
{
	struct timeval tv = { 0, 0 };

	k->discovery_timer = evtimer_new(k->base, on_discovery, k);
	if (k->discovery_timer == NULL)
		fatalx("evtimer_new");
	event_add(k->discovery_timer, &tv);
}

void
kdiscovery_free(struct kube *k)
{
	if (k->discovery != NULL)
		kh_cancel(k->discovery);
	event_free(k->discovery_timer);
}
