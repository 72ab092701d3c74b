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
 * Nodes, while we lead: those that a site chooses, and those that have a taint
 * of a group of ours, are kept, by name, the labels that sites ask for, and
 * our taints. All others are forgotten as they come. What a node becomes is
 * decided on the object itself, read right before it is changed; what is kept
 * says only which to read.
 */

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube_nodes.h"
#include "kube_render.h"

/* Requests for nodes under way at a time. */
#define INFLIGHT_MAX 4
/* Groups that come together lead to one list. */
#define SETTLE_MS    100
#define LIST_GAP_MS  2000
/* How long a group's end waits for nodes that can't be changed. */
#define LIFT_MS      30000
/* What comes back within this is done at growing distances. */
#define CALM_MS      60000

static int64_t
now_ms(void)
{
	return monotime_now().ns / 1000000;
}

static void
timer_in(struct event *e, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(e, &tv);
}

/* ------------------------------------------------------------------- queue */

void
knodes_queue(struct knodes *kn, struct knode *n, int64_t ms)
{
	if (n->req != NULL || n->queued)
		return;
	TAILQ_INSERT_TAIL(&kn->work, n, queue);
	n->queued = true;
	n->due_ms = now_ms() + ms;
	timer_in(kn->timer, 0);
}

/* What somebody else undoes again and again is done at growing distances. */
static int64_t
distance(struct knode *n)
{
	if (n->done_ms != 0 && now_ms() - n->done_ms < CALM_MS)
		return backoff_next(&n->backoff, arc4random());
	backoff_reset(&n->backoff);
	return 0;
}

void
knodes_check(struct knodes *kn, struct knode *n)
{
	if (n->req == NULL && !n->queued &&
	    (n->look || knodes_decide(kn, n, NULL, NULL)))
		knodes_queue(kn, n, distance(n));
}

static void
on_timer(int fd, short what, void *arg)
{
	struct knodes *kn = arg;
	struct knode *n, *next;
	int64_t now = now_ms(), wait = INT64_MAX;

	(void)fd;
	(void)what;
	TAILQ_FOREACH_SAFE (n, &kn->work, queue, next) {
		/* The next answer, or leading again, goes on with them. */
		if (kn->inflight >= INFLIGHT_MAX || !kube_may_write(kn->k))
			return;
		if (n->due_ms > now) {
			if (n->due_ms - now < wait)
				wait = n->due_ms - now;
			continue;
		}
		TAILQ_REMOVE(&kn->work, n, queue);
		n->queued = false;
		kn->inflight++;
		knode_run(n);
	}
	if (wait != INT64_MAX)
		timer_in(kn->timer, wait);
}

/* ------------------------------------------------------------------- lists */

static void
on_begin(void *arg)
{
	((struct knodes *)arg)->mark++;
}

static void
on_object(void *arg, yyjson_val *obj, bool deleted)
{
	struct knodes *kn = arg;
	const char *name = kj_meta(obj, "name");
	struct knode *n = knodes_find(kn, name);

	if (deleted) {
		if (n == NULL)
			return;
		/* Relabelled, where only some are watched: what has it now? */
		n->look = kn->narrow && n->ntaints > 0;
		n->seen = knodes_hash(kj_meta(obj, "resourceVersion"));
		if (n->look)
			knodes_check(kn, n);
		else
			knodes_forget(kn, n);
		return;
	}
	if (n == NULL && name[0] != '\0')
		n = knodes_add(kn, name);
	/* Which is newer, this or the answer that is awaited? It's read again. */
	if (n == NULL || n->req != NULL) {
		if (n != NULL) {
			n->look = true;
			n->seen = knodes_hash(kj_meta(obj, "resourceVersion"));
		}
		return;
	}
	if (knodes_update(kn, n, obj))
		knodes_check(kn, n);
}

/* Names whose taint no node has any more need not be remembered. */
static void
drop_retired(struct knodes *kn)
{
	struct kretired *r, *next;
	struct knode *n;

	TAILQ_FOREACH_SAFE (r, &kn->retired, entry, next) {
		RB_FOREACH (n, knode_tree, &kn->tree)
			if (knode_has(n, r->key) != KTH_ABSENT ||
			    n->req != NULL)
				break;
		/* A group of that name that exists takes it over. */
		if (n != NULL && knodes_first(kn, r->key) == kn->norder)
			continue;
		TAILQ_REMOVE(&kn->retired, r, entry);
		free(r);
	}
}

/* Deletions wait for their taints to be lifted. */
void
knodes_settled(struct knodes *kn)
{
	struct kgroup *g;

	if (!TAILQ_EMPTY(&kn->work))
		timer_in(kn->timer, 0);
	knodes_refresh(kn);
	if (kn->listed)
		drop_retired(kn);
	RB_FOREACH (g, kgroups, &kn->k->groups)
		if (g->deleting && g->release && !g->lifted)
			kgroup_finalizer(g);
}

static void
on_listed(void *arg)
{
	struct knodes *kn = arg;
	struct knode *n, *next;

	RB_FOREACH_SAFE (n, knode_tree, &kn->tree, next) {
		if (n->mark == kn->mark)
			continue;
		if (n->req != NULL || (kn->narrow && n->ntaints > 0)) {
			n->look = true;
			n->seen = 1; /* none of it */
			knodes_check(kn, n);
		} else
			knodes_forget(kn, n);
	}
	if (!kn->narrow) {
		kn->listed = true;
		knodes_settled(kn);
		/* Seen all: what chooses nodes is enough from now on. */
		if (kn->query[0] != '\0')
			timer_in(kn->restart, 0);
	}
}

static void
watch(struct knodes *kn, bool narrow)
{
	char query[sizeof(kn->query) * 3 + 32] = "labelSelector=";
	struct kwatch_conf c = {
		.name = "nodes",
		.path = "/api/v1/nodes",
		.query = narrow ? query : "",
		.limit = 50,
		.begin = on_begin,
		.object = on_object,
		.listed = on_listed,
		.arg = kn,
	};
	size_t len = strlen(query);

	if (kh_escape(query + len, sizeof(query) - len, kn->query) == -1)
		c.query = "";
	kn->narrow = c.query[0] != '\0';
	if (kn->watch != NULL)
		kwatch_free(kn->watch);
	kn->watch = kwatch_new(kn->k->kh, kn->k->base, &c);
}

/*
 * What all selectors have in common. Returns false when nobody chooses a node
 * and nothing is to be lifted.
 */
static bool
selectors(struct knodes *kn)
{
	bool any = !TAILQ_EMPTY(&kn->retired);
	yyjson_val **sel = NULL;
	size_t n = 0, room = 0;
	struct kgroup *g;

	RB_FOREACH (g, kgroups, &kn->k->groups) {
		any |= g->deleting;
		for (unsigned i = 0; g->doc != NULL && i < g->spec.nsites;
		    i++) {
			if (!knodes_chooses(&g->spec.sites[i]))
				continue;
			if (n == room) {
				room = room * 2 + 16;
				sel = reallocarray(sel, room, sizeof(*sel));
				if (sel == NULL)
					fatal("reallocarray");
			}
			sel[n++] = g->spec.sites[i].taint_selector;
		}
	}
	if (ktaint_common(sel, n, kn->query, sizeof(kn->query)) == -1)
		kn->query[0] = '\0';
	free(sel);
	return any || n > 0;
}

static void
on_restart(int fd, short what, void *arg)
{
	struct knodes *kn = arg;
	struct knode *n;

	(void)fd;
	(void)what;
	if (!selectors(kn) || !kube_may_write(kn->k)) {
		if (kn->watch != NULL)
			kwatch_free(kn->watch);
		kn->watch = NULL;
		kn->listed = false;
		return;
	}
	if (kn->watch == NULL || kn->relist) {
		kn->relist = kn->listed = false;
		kn->begun_ms = now_ms();
		watch(kn, false);
		return;
	}
	if (kn->listed && !kn->narrow && kn->query[0] != '\0')
		watch(kn, true);
	RB_FOREACH (n, knode_tree, &kn->tree)
		knodes_check(kn, n);
}

static void
restart_soon(struct knodes *kn)
{
	int64_t ms = kn->begun_ms + LIST_GAP_MS - now_ms();

	timer_in(
	    kn->restart, kn->begun_ms == 0 || ms < SETTLE_MS ? SETTLE_MS : ms);
}

/* ------------------------------------------------------------------- hooks */

/* Nodes that nobody chose were forgotten: others may be meant now. */
void
knodes_spec(struct kgroup *g)
{
	uint64_t h = 0;
	size_t len;
	char *text;

	g->k->nodes->stale = true;
	for (unsigned i = 0; i < g->spec.nsites; i++) {
		if (!knodes_chooses(&g->spec.sites[i]))
			continue;
		text =
		    yyjson_val_write(g->spec.sites[i].taint_selector, 0, &len);
		if (text == NULL)
			fatal("yyjson_val_write");
		h = h * 31 + kj_hash(text, len);
		free(text);
	}
	if (h != g->taint_choice)
		g->k->nodes->relist = true;
	g->taint_choice = h;
	if (kube_may_write(g->k))
		restart_soon(g->k->nodes);
}

void
knodes_kick(struct kgroup *g)
{
	struct knodes *kn = g->k->nodes;
	struct knode *n;
	uint64_t h = g->deleting;
	unsigned at;

	for (uint32_t i = 0; g->want != NULL && i < g->want->n_sites; i++)
		h = h * 31 + g->want->sites[i].taint +
		    knodes_hash(g->want->sites[i].name);
	if (h == g->taint_view)
		return;
	g->taint_view = h;
	if (!kube_may_write(g->k))
		return;
	if (kn->watch == NULL)
		restart_soon(kn);
	knodes_refresh(kn);
	RB_FOREACH (n, knode_tree, &kn->tree) {
		at = knodes_first(kn, knodes_key(g->name));
		if (n->req == NULL && !n->queued &&
		    knodes_decide_name(kn, &at, n, NULL, NULL))
			knodes_queue(kn, n, distance(n));
	}
}

/* Has this node the group's taint, and would it be lifted? */
static bool
to_lift(struct knodes *kn, const struct knode *n, uint64_t key)
{
	unsigned at = knodes_first(kn, key);

	for (unsigned i = 0; n->req != NULL && i < n->nchanges; i++)
		if (knodes_hash(n->changes[i].key) == key)
			return true;
	return n->look ||
	    (knode_has(n, key) != KTH_ABSENT &&
		knodes_decide_name(kn, &at, n, NULL, NULL));
}

static void
not_lifted(struct kgroup *g, const char *node)
{
	char msg[MSGTEXT_LEN + 1];

	(void)snprintf(msg, sizeof(msg),
	    "node %s: the taint " KTAINT_PREFIX
	    "%s could not be lifted in time",
	    node[0] == '\0' ? "list" : node, g->name);
	log_ev(LL_WARN, "node taints not lifted in time", KVS("fg", g->fg),
	    KVS("node", node));
	kevent_emit(g, true, "NodeTaintFailed", msg);
}

bool
knodes_lifted(struct kgroup *g)
{
	struct knodes *kn = g->k->nodes;
	uint64_t key = knodes_key(g->name);
	const char *node = "";
	struct knode *n = NULL;
	int64_t left;

	if (g->lifted)
		return true;
	if (g->lift_ms == 0)
		g->lift_ms = now_ms() + LIFT_MS;
	knodes_refresh(kn);
	if (kn->listed) {
		RB_FOREACH (n, knode_tree, &kn->tree)
			if (to_lift(kn, n, key))
				break;
		node = n == NULL ? "" : n->name;
	} else if (kn->watch == NULL)
		restart_soon(kn);
	left = g->lift_ms - now_ms();
	if ((!kn->listed || n != NULL) && left > 0) {
		klane_in(&g->fin, left);
		return false;
	}
	if (!kn->listed || n != NULL)
		not_lifted(g, node);
	g->lifted = true;
	return true;
}

void
knodes_gone(struct kgroup *g, bool kept)
{
	struct knodes *kn = g->k->nodes;
	uint64_t key = knodes_key(g->name);
	struct kretired *r;
	struct knode *n;
	bool any = false;

	kn->stale = true;
	RB_FOREACH (n, knode_tree, &kn->tree)
		any |= knode_has(n, key) != KTH_ABSENT || n->req != NULL;
	if (any && !kept) {
		if ((r = calloc(1, sizeof(*r))) == NULL)
			fatal("calloc");
		(void)strlcpy(r->ns, g->ns, sizeof(r->ns));
		(void)strlcpy(r->name, g->name, sizeof(r->name));
		r->key = key;
		TAILQ_INSERT_TAIL(&kn->retired, r, entry);
	}
	if (kn->watch != NULL)
		restart_soon(kn);
}

void
knodes_lead(struct kube *k)
{
	struct kgroup *g;

	/* A predecessor may have left anything: all nodes are read anew. */
	k->nodes->listed = false;
	k->nodes->begun_ms = 0;
	if (k->nodes->watch != NULL)
		kwatch_free(k->nodes->watch);
	k->nodes->watch = NULL;
	RB_FOREACH (g, kgroups, &k->groups)
		g->lift_ms = 0;
	restart_soon(k->nodes);
	timer_in(k->nodes->timer, 0);
}

void
knodes_start(struct kube *k)
{
	struct knodes *kn;

	if ((kn = calloc(1, sizeof(*kn))) == NULL ||
	    (kn->timer = evtimer_new(k->base, on_timer, kn)) == NULL ||
	    (kn->restart = evtimer_new(k->base, on_restart, kn)) == NULL)
		fatalx("nodes");
	kn->k = k;
	kn->stale = true;
	RB_INIT(&kn->tree);
	TAILQ_INIT(&kn->work);
	TAILQ_INIT(&kn->retired);
	k->nodes = kn;
}

void
knodes_stop(struct kube *k)
{
	struct knodes *kn = k->nodes;
	struct kretired *r;
	struct knode *n;

	if (kn->watch != NULL)
		kwatch_free(kn->watch);
	while ((n = RB_MIN(knode_tree, &kn->tree)) != NULL) {
		if (n->req != NULL)
			kh_cancel(n->req);
		n->req = NULL;
		knodes_forget(kn, n);
	}
	while ((r = TAILQ_FIRST(&kn->retired)) != NULL) {
		TAILQ_REMOVE(&kn->retired, r, entry);
		free(r);
	}
	event_free(kn->timer);
	event_free(kn->restart);
	free(kn->order);
	free(kn->asked);
	free(kn);
}
