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
 * Groups as they come, change and go. A spec that breaks a rule is told with
 * what is wrong; what was last valid stays in force.
 */

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fsm.h"
#include "kube.h"
#include "kube_pods.h"

static int
kgroup_cmp(const struct kgroup *a, const struct kgroup *b)
{
	return strcmp(a->uid, b->uid);
}

RB_GENERATE(kgroups, kgroup, node, kgroup_cmp)

struct kgroup *
kgroup_by_uid(struct kube *k, const char *uid)
{
	struct kgroup key;

	(void)strlcpy(key.uid, uid, sizeof(key.uid));
	return RB_FIND(kgroups, &k->groups, &key);
}

struct kgroup *
kgroup_by_name(struct kube *k, const char *ns, const char *name)
{
	struct kgroup *g;

	RB_FOREACH (g, kgroups, &k->groups)
		if (strcmp(g->name, name) == 0 && strcmp(g->ns, ns) == 0)
			return g;
	return NULL;
}

void
kgroup_path(
    const struct kgroup *g, const char *sub, char path[static KH_PATH_MAX])
{
	(void)snprintf(path, KH_PATH_MAX,
	    KGROUPS "/namespaces/%s/mysqlfailovergroups/%s%s", g->ns, g->name,
	    sub);
}

static struct kgroup *
kgroup_new(struct kube *k, const char *uid, const char *ns, const char *name)
{
	struct kgroup *g;

	if ((g = sparse_new(sizeof(*g))) == NULL)
		fatal("group");
	g->k = k;
	(void)strlcpy(g->uid, uid, sizeof(g->uid));
	(void)strlcpy(g->ns, ns, sizeof(g->ns));
	(void)strlcpy(g->name, name, sizeof(g->name));
	(void)snprintf(g->fg, sizeof(g->fg), "%s/%s", ns, name);
	kapply_init(g);
	kroll_init(g);
	kstatus_init(g);
	kpods_init(g);
	kcreds_init(g);
	kkeys_init(g);
	kfin_init(g);
	kannotation_init(g);
	ksweep_init(g);
	RB_INSERT(kgroups, &k->groups, g);
	k->ngroups++;
	log_ev(LL_INFO, "group appeared", KVS("fg", g->fg), KVS("uid", uid));
	/* Its Pods may have been seen, and passed over, before it. */
	if (k->w_pods != NULL)
		kwatch_relist(k->w_pods);
	return g;
}

void
kgroup_free(struct kgroup *g)
{
	RB_REMOVE(kgroups, &g->k->groups, g);
	g->k->ngroups--;
	kapply_free(g);
	kroll_free(g);
	kstatus_free(g);
	kpods_free(g);
	kcreds_free(g);
	kkeys_free(g);
	kfin_free(g);
	kannotation_free(g);
	ksweep_free(g);
	yyjson_doc_free(g->doc);
	sparse_free(g, sizeof(*g));
}

/* kept: it is there, and another installation's. */
static void
let_go(struct kgroup *g, bool kept)
{
	struct m_group_gone m = { 0 };
	struct kube *k = g->k;

	(void)strlcpy(m.group, g->uid, sizeof(m.group));
	log_ev(LL_INFO, kept ? "group is left alone" : "group is gone",
	    KVS("fg", g->fg), KVS("uid", g->uid));
	knodes_gone(g, kept);
	kgroup_free(g);
	kube_tell(k, MSG_GROUP_GONE, &m);
	/* Its Pods that wait for somebody to let them go. */
	if (!kept && k->w_pods != NULL && kube_may_write(k))
		kwatch_relist(k->w_pods);
}

static void
kgroup_gone(struct kgroup *g)
{
	let_go(g, false);
}

void
kgroup_leave(struct kgroup *g)
{
	struct kube *k = g->k;

	let_go(g, true);
	kube_check_synced(k);
}

/* ------------------------------------------------------------- annotations */

/* Those that we write ourselves ask for nothing. */
static bool
is_request(const char *key)
{
	static const char *const own[] = {
		BR_ANN "last-failover",
		BR_ANN "last-failover-target",
		KFOREIGN_ANN,
		KANN_SERVER_ID,
	};

	if (strncmp(key, BR_ANN, strlen(BR_ANN)) != 0)
		return false;
	for (size_t i = 0; i < PS_NITEMS(own); i++)
		if (strcmp(key, own[i]) == 0)
			return false;
	return true;
}

/* The slot of this key, or a free one; NULL when there are too many. */
static struct kann *
ann_slot(struct kgroup *g, uint64_t key)
{
	struct kann *free_slot = NULL;

	for (size_t i = 0; i < KANNS_MAX; i++) {
		if (g->anns[i].key == key)
			return &g->anns[i];
		if (g->anns[i].key == 0 && free_slot == NULL)
			free_slot = &g->anns[i];
	}
	return free_slot;
}

static void
annotation(struct kgroup *g, const char *key, const char *value, bool again)
{
	struct m_annotation m = { 0 };
	uint64_t h = kj_hash(value, strlen(value)) | 1;
	struct kann *a = ann_slot(g, kj_hash(key, strlen(key)) | 1);

	if (a == NULL || strlcpy(m.key, key, sizeof(m.key)) >= sizeof(m.key) ||
	    strlcpy(m.value, value, sizeof(m.value)) >= sizeof(m.value)) {
		log_ev(LL_WARN, "annotation ignored", KVS("fg", g->fg),
		    KVS("key", key));
		return;
	}
	a->seen = true;
	if (!again && a->value == h)
		return;
	a->key = kj_hash(key, strlen(key)) | 1;
	a->value = h;
	(void)strlcpy(m.group, g->uid, sizeof(m.group));
	kube_tell(g->k, MSG_ANNOTATION, &m);
}

static bool
ann_absent(yyjson_val *anns, const char *key)
{
	return yyjson_get_str(yyjson_obj_get(anns, key)) == NULL;
}

/*
 * Taken back: told with an empty value, where the core waits for it. After a
 * list of all groups also what this process never saw: an earlier one, or
 * another watch, may have told it.
 */
static void
anns_absent(struct kgroup *g, yyjson_val *anns, bool listed)
{
	static const char *const kept[] = { FSM_ANN_ASSERT_DEAD,
		FSM_ANN_OVERRIDE };
	struct m_annotation m = { 0 };

	(void)strlcpy(m.group, g->uid, sizeof(m.group));
	for (size_t i = 0; i < PS_NITEMS(kept); i++) {
		uint64_t key = kj_hash(kept[i], strlen(kept[i])) | 1;
		bool known = false;

		for (size_t j = 0; j < KANNS_MAX; j++)
			known |= g->anns[j].key == key;
		if (!ann_absent(anns, kept[i]) || (!known && !listed))
			continue;
		(void)strlcpy(m.key, kept[i], sizeof(m.key));
		kube_tell(g->k, MSG_ANNOTATION, &m);
	}
}

static void
annotations(struct kgroup *g, yyjson_val *obj, bool again)
{
	yyjson_val *anns = kj_at(obj, "metadata", "annotations"), *key;
	yyjson_obj_iter it = yyjson_obj_iter_with(anns);

	for (size_t i = 0; i < KANNS_MAX; i++)
		g->anns[i].seen = false;
	anns_absent(g, anns, again);
	while ((key = yyjson_obj_iter_next(&it)) != NULL) {
		const char *v = yyjson_get_str(yyjson_obj_iter_get_val(key));

		if (v != NULL && is_request(yyjson_get_str(key)))
			annotation(g, yyjson_get_str(key), v, again);
	}
	for (size_t i = 0; i < KANNS_MAX; i++)
		if (!g->anns[i].seen)
			g->anns[i].key = g->anns[i].value = 0;
}

/* -------------------------------------------------------------------- spec */

/* Does the spec in force lack a site of the one before? */
static bool
lacks_site(const struct kgroup *g, const struct kspec *was)
{
	for (unsigned i = 0; g->doc != NULL && i < was->nsites; i++)
		if (kspec_site(&g->spec, was->sites[i].name) == -1)
			return true;
	return false;
}

/* The spec is valid: it replaces the one in force. */
static void
adopt(struct kgroup *g, yyjson_val *obj)
{
	static struct kspec was;
	struct kproblems none = { 0 };
	yyjson_doc *d = kj_strip(obj);

	was = g->spec;
	if (kspec_decode(yyjson_doc_get_root(d), &g->spec, &none) == -1)
		fatalx("a valid group became invalid by copying");
	/* At a start watches tell what earlier ones left. */
	if (lacks_site(g, &was))
		ksweep_kick(g);
	yyjson_doc_free(g->doc);
	g->doc = d;
	g->adopted = g->spec.generation;
	g->spec.policy_api = g->k->policy_api;
	if (g->k->conf.aux_addr[0] != '\0')
		g->spec.aux_addr = g->k->conf.aux_addr;
	kroll_spec(g);
	kapply_spec(g);
	kcreds_spec(g);
	kkeys_spec(g);
	knodes_spec(g);
}

static void
tell_conf(
    struct kgroup *g, const struct kspec *s, const struct kproblems *problems)
{
	static struct m_group_conf m;
	uint64_t h;

	memset(&m, 0, sizeof(m));
	kspec_conf(s, problems, &m);
	sparse_copy(g->problem, m.problem, sizeof(g->problem));
	sparse_copy(g->unused, m.unused_fields, sizeof(g->unused));
	h = kj_hash(&m, sizeof(m));
	if (h == g->told)
		return;
	g->told = h;
	kube_tell(g->k, MSG_GROUP_CONF, &m);
	g->status_dirty = true;
	if (!g->valid) {
		log_ev(LL_WARN, "group is invalid", KVS("fg", g->fg),
		    KVS("problem", m.problem));
		kevent_emit(g, true, "InvalidSpec", m.problem);
	}
}

static bool
has_finalizer(yyjson_val *obj, const char *name)
{
	yyjson_val *f;
	size_t i, n;

	yyjson_arr_foreach(kj_at(obj, "metadata", "finalizers"), i, n, f)
	{
		if (yyjson_equals_str(f, name))
			return true;
	}
	return false;
}

static void
update(struct kgroup *g, yyjson_val *obj, bool listed)
{
	static struct kproblems problems;
	static struct kspec s;
	int64_t gen = yyjson_get_sint(kj_at(obj, "metadata", "generation"));
	bool first = g->rv[0] == '\0', spec_changed, deleting, others;

	problems.n = 0;
	/* Deleting moves the generation, too. */
	spec_changed = first || gen != g->generation;
	deleting = kj_meta(obj, "deletionTimestamp")[0] != '\0';
	others = strcmp(kj_meta(obj, "resourceVersion"), g->status_rv) != 0;
	(void)strlcpy(g->rv, kj_meta(obj, "resourceVersion"), sizeof(g->rv));
	g->generation = gen;
	g->valid = kspec_judge(obj, &s, &problems) == 0;
	g->deleting = deleting;
	g->delete_data = s.delete_data;
	g->orphan = has_finalizer(obj, "orphan");
	if (spec_changed)
		g->vol_settled = false;
	/* It may have become valid by what the record says now. */
	if (g->valid && (g->doc == NULL || g->adopted != gen)) {
		adopt(g, obj);
		spec_changed = true;
	}
	tell_conf(g, &s, &problems);
	if (listed)
		krecord_tell(g, obj, true);
	else
		krecord_seen(g, obj);
	annotations(g, obj, listed);
	if (others)
		g->status_dirty = true;
	if (spec_changed)
		kgroup_kick(g);
	if (g->status_dirty || g->need_record)
		kstatus_kick(g);
	/* Somebody took our finalizer off. */
	if (g->valid && !s.finalizer && !deleting)
		kgroup_finalizer(g);
}

void
kgroup_kick(struct kgroup *g)
{
	if (!kube_may_write(g->k))
		return;
	kgroup_finalizer(g);
	kskew_check(g);
	kcreds_event(g);
	kaccess_event(g);
	g->status_dirty = true;
	kstatus_kick(g);
	kapply_kick(g);
	if (g->left)
		ksweep_kick(g);
	kpods_kick(g);
	kpodfix_kick(g);
	kpodlost_kick(g);
	knodes_kick(g);
}

void
kgroup_revive(struct kgroup *g)
{
	struct klane *lanes[] = { &g->apply, &g->status, &g->label, &g->creds,
		&g->fin, &g->anndel, &g->lost };

	for (size_t i = 0; i < PS_NITEMS(lanes); i++) {
		if (lanes[i]->backoff.cur_ms == 0)
			continue;
		klane_ok(lanes[i]);
		if (evtimer_pending(lanes[i]->timer, NULL))
			klane_in(lanes[i], 0);
	}
}

/* ------------------------------------------------------------------- watch */

static void
on_begin(void *arg)
{
	struct kube *k = arg;

	k->mark++;
	k->listing = true;
}

static void
on_object(void *arg, yyjson_val *obj, bool deleted)
{
	struct kube *k = arg;
	const char *uid = kj_meta(obj, "uid");
	struct kgroup *g = kgroup_by_uid(k, uid), *old;

	if (deleted) {
		kforeign_gone(k, uid);
		if (g != NULL)
			kgroup_gone(g);
		kube_check_synced(k);
		return;
	}
	if (kforeign_is(k, obj)) {
		if (g != NULL)
			kgroup_leave(g);
		return;
	}
	if (g == NULL) {
		if (uid[0] == '\0' || strlen(uid) > UID_LEN ||
		    strlen(kj_meta(obj, "namespace")) > NS_LEN ||
		    strlen(kj_meta(obj, "name")) > NAME_LEN)
			return;
		if (k->ngroups >= GROUPS_MAX) {
			log_ev(LL_ERROR, "too many groups",
			    KVS("namespace", kj_meta(obj, "namespace")),
			    KVS("name", kj_meta(obj, "name")),
			    KVU("limit", GROUPS_MAX),
			    KVS("error", "this one is not looked at"));
			return;
		}
		/* The same name with another UID: the old one is gone. */
		old = kgroup_by_name(
		    k, kj_meta(obj, "namespace"), kj_meta(obj, "name"));
		if (old != NULL)
			kgroup_gone(old);
		g = kgroup_new(
		    k, uid, kj_meta(obj, "namespace"), kj_meta(obj, "name"));
		/* What a watch brings is no quorum read: get the record. */
		g->need_record = !k->listing;
	}
	g->mark = k->mark;
	update(g, obj, k->listing);
}

static void
on_listed(void *arg)
{
	struct kube *k = arg;
	struct kgroup *g, *next;

	k->listing = false;
	RB_FOREACH_SAFE (g, kgroups, &k->groups, next)
		if (g->mark != k->mark)
			kgroup_gone(g);
	kforeign_listed(k);
	if (k->w_pods == NULL) {
		kpods_start(k);
		kkeys_start(k);
		kowned_start(k);
	}
	kube_check_synced(k);
	kube_groups_listed(k);
}

void
kgroups_start(struct kube *k)
{
	char path[KH_PATH_MAX];
	struct kwatch_conf c = {
		.name = "mysqlfailovergroups",
		.path = path,
		.query = "",
		.limit = 50,
		.begin = on_begin,
		.object = on_object,
		.listed = on_listed,
		.arg = k,
	};

	kh_collection(
	    path, KGROUPS, k->conf.watch_namespace, "mysqlfailovergroups");
	k->w_groups = kwatch_new(k->kh, k->base, &c);
}
