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
 * One node: read, decided on as it was read, changed if nobody changed it in
 * between, and taken as it then is. The list of taints is one field, so other
 * people's entries go along: by the version that was read.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube_nodes.h"
#include "metrics.h"

static void patched(void *, const struct kh_resp *);

static bool
may_write(void *arg)
{
	return kube_may_write(((struct knode *)arg)->k);
}

static void
to_parent(void *arg, const struct m_metric *m)
{
	kube_tell(arg, MSG_METRIC, m);
}

/* The request is answered; nothing is under way. Frees what is gone. */
static void
end(struct knode *n)
{
	struct knodes *kn = n->k->nodes;

	free(n->changes);
	n->changes = NULL;
	n->nchanges = 0;
	kn->inflight--;
	/* Not by an answer that may be older than what was told. */
	if (n->look)
		n->gone = false;
	if (n->gone)
		knodes_forget(kn, n);
	else
		knodes_check(kn, n);
	knodes_settled(kn);
}

/* Each group whose taint it is about hears of it once per episode. */
static void
failed(struct knode *n, const struct kh_resp *p)
{
	char msg[MSGTEXT_LEN + 1], why[ERR_LEN + 1];
	yyjson_doc *d = kj_read(p->body, p->len);
	const char *s;
	struct kgroup *g;

	s = d == NULL ?
	    NULL :
	    yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(d), "message"));
	(void)strlcpy(why,
	    s != NULL            ? s :
		p->error != NULL ? p->error :
				   "",
	    sizeof(why));
	yyjson_doc_free(d);
	log_ev(n->said ? LL_DEBUG : LL_WARN, "node taints not changed",
	    KVS("node", n->name), KVI("status", p->status), KVS("error", why));
	(void)snprintf(
	    msg, sizeof(msg), "node %s: %ld: %.500s", n->name, p->status, why);
	for (unsigned i = 0; i < n->nchanges && !n->said; i++) {
		g = kgroup_by_name(n->k, n->changes[i].ns, n->changes[i].group);
		if (g != NULL)
			kevent_emit(g, true, "NodeTaintFailed", msg);
	}
	n->said = true;
	n->failing = true;
}

/* The watch told nothing meanwhile, or of this at last: no second look. */
static void
looked(struct knode *n, yyjson_val *obj)
{
	if (n->seen == 0 ||
	    n->seen == knodes_hash(kj_meta(obj, "resourceVersion")))
		n->look = false;
}

/* Not done: again later, or, when we lead no more, not by us. */
static void
give_up(struct knode *n, const struct kh_resp *p)
{
	struct knodes *kn = n->k->nodes;
	int64_t ms;

	n->req = NULL;
	/* Made anew meanwhile, if it was told of. */
	if (p->status == 404 && n->seen == 0) {
		n->gone = true;
		n->look = false;
		end(n);
		return;
	}
	n->look = true;
	if (!p->refused && p->status != 409)
		failed(n, p);
	ms = backoff_next(&n->backoff, arc4random());
	if (!n->gone)
		knodes_queue(kn, n, ms);
	end(n);
}

static void
tell_changes(struct knode *n)
{
	struct metric_sink sink = { to_parent, n->k };
	char fg[NS_LEN + NAME_LEN + 2];

	for (unsigned i = 0; i < n->nchanges; i++) {
		const struct ktaint_change *c = &n->changes[i];

		(void)snprintf(fg, sizeof(fg), "%s/%s", c->ns, c->group);
		log_ev(LL_INFO, c->on ? "node tainted" : "node taint lifted",
		    KVS("fg", fg), KVS("site", c->site), KVS("node", n->name),
		    KVS("key", c->key));
		(void)metric_add(&sink, M_TAINT_OPERATIONS, 1,
		    ML(c->ns, c->group, c->site, c->on ? "taint" : "untaint"));
	}
}

static void
patched(void *arg, const struct kh_resp *p)
{
	struct knode *n = arg;
	yyjson_doc *d;

	if (p->status != 200 || (d = kj_read(p->body, p->len)) == NULL) {
		give_up(n, p);
		return;
	}
	tell_changes(n);
	n->done_ms = monotime_now().ns / 1000000;
	if (n->failing)
		backoff_reset(&n->backoff);
	n->failing = n->said = false;
	/* The watch told of our own change, and before we heard of it. */
	looked(n, yyjson_doc_get_root(d));
	/* While n->req is set, n is not freed. */
	(void)knodes_update(n->k->nodes, n, yyjson_doc_get_root(d));
	n->req = NULL;
	yyjson_doc_free(d);
	end(n);
}

static void
patch(struct knode *n, yyjson_val *obj)
{
	char path[KH_PATH_MAX], esc[3 * NAME_LEN + 1];
	yyjson_mut_val *root, *meta, *spec, *list;
	struct kcall c = {
		.k = n->k,
		.method = KH_PATCH,
		.path = path,
		.type = KH_MERGE,
		.may = may_write,
		.done = patched,
		.arg = n,
	};

	(void)kh_escape(esc, sizeof(esc), n->name);
	(void)snprintf(path, sizeof(path),
	    "/api/v1/nodes/%s?fieldManager=" BR_FIELD_MANAGER, esc);
	c.doc = kj_new();
	c.root = root = yyjson_mut_obj(c.doc);
	meta = yyjson_mut_obj_add_obj(c.doc, root, "metadata");
	yyjson_mut_obj_add_strcpy(c.doc, meta, "uid", kj_meta(obj, "uid"));
	yyjson_mut_obj_add_strcpy(
	    c.doc, meta, "resourceVersion", kj_meta(obj, "resourceVersion"));
	spec = yyjson_mut_obj_add_obj(c.doc, root, "spec");
	list = ktaint_list(
	    c.doc, kj_at(obj, "spec", "taints"), n->changes, n->nchanges);
	if (list == NULL ||
	    !yyjson_mut_obj_add_val(c.doc, spec, "taints", list))
		fatalx("JSON memory");
	n->req = kube_call(&c);
}

static void
got(void *arg, const struct kh_resp *p)
{
	struct knode *n = arg;
	yyjson_doc *d;

	if (p->status != 200 || (d = kj_read(p->body, p->len)) == NULL) {
		give_up(n, p);
		return;
	}
	looked(n, yyjson_doc_get_root(d));
	if (!knodes_update(n->k->nodes, n, yyjson_doc_get_root(d))) {
		n->req = NULL;
		end(n);
	} else if (knodes_decide(n->k->nodes, n, &n->changes, &n->nchanges)) {
		patch(n, yyjson_doc_get_root(d));
	} else {
		n->req = NULL;
		end(n);
	}
	yyjson_doc_free(d);
}

void
knode_run(struct knode *n)
{
	char path[KH_PATH_MAX], esc[3 * NAME_LEN + 1];
	struct kcall c = {
		.k = n->k,
		.method = KH_GET,
		.path = path,
		.may = may_write,
		.done = got,
		.arg = n,
	};

	(void)kh_escape(esc, sizeof(esc), n->name);
	(void)snprintf(path, sizeof(path), "/api/v1/nodes/%s", esc);
	n->seen = 0;
	n->req = kube_call(&c);
}
