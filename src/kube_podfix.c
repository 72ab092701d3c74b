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
 * The finalizer that somebody took off a Pod that stays: without it the
 * kubelet's word about its end would go with the object. Off a Pod that is
 * going away nobody but the parent takes it, and nobody can put it back.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube.h"
#include "kube_pods.h"

/* The group or the Pod may be gone when the answer comes. */
struct podfix {
	struct kube *k;
	char group[UID_LEN + 1];
	char pod[UID_LEN + 1];
	uint32_t news; /* of the Pod, as it began */
};

static void fix(struct kgroup *, struct kpod *);

static void
fixed(void *arg, const struct kh_resp *p)
{
	struct podfix *f = arg;
	struct kgroup *g = kgroup_by_uid(f->k, f->group);
	struct kpod *pod = g == NULL ? NULL : kpod_find(g, f->pod);

	if (pod != NULL) {
		pod->fixing = false;
		if (p->status == 200) {
			if (pod->news == f->news)
				pod->lacks = false;
			log_ev(LL_WARN, "pod's finalizer put back",
			    KVS("fg", g->fg), KVS("site", pod->site),
			    KVS("podName", pod->name), KVS("podUID", pod->uid));
		} else if (!p->refused && p->status != 404 &&
		    p->status != 409) {
			log_ev(LL_WARN, "pod's finalizer not put back",
			    KVS("fg", g->fg), KVS("podName", pod->name),
			    KVI("status", p->status), KVS("error", p->error));
			/* A list finds it again. */
			if (!kh_definite(p->status))
				klane_retry(&f->k->orphans, p);
		}
		/* Taken off once more, perhaps. */
		if (pod->news != f->news)
			fix(g, pod);
	}
	free(f);
}

static void
fix(struct kgroup *g, struct kpod *p)
{
	struct kfin f = {
		.k = g->k,
		.finalizer = BR_POD_FINALIZER,
		.want = true,
		.done = fixed,
	};
	struct podfix *x;

	if (!p->lacks || p->fixing || p->deleting || g->deleting ||
	    g->doc == NULL || !kube_may_write(g->k))
		return;
	if ((x = calloc(1, sizeof(*x))) == NULL)
		fatal("calloc");
	x->k = g->k;
	(void)strlcpy(x->group, g->uid, sizeof(x->group));
	(void)strlcpy(x->pod, p->uid, sizeof(x->pod));
	x->news = p->news;
	(void)snprintf(f.path, sizeof(f.path), "/api/v1/namespaces/%s/pods/%s",
	    g->ns, p->name);
	(void)strlcpy(f.uid, p->uid, sizeof(f.uid));
	f.arg = x;
	p->fixing = true;
	kfin_run(&f);
}

void
kpodfix_seen(
    struct kgroup *g, struct kpod *p, yyjson_val *pod, const struct m_pod *m)
{
	/* The reference's mounts no keys. */
	p->lacks = !m->finalizer && !m->deleting && kpod_keys(pod) != NULL;
	fix(g, p);
}

void
kpodfix_kick(struct kgroup *g)
{
	struct kpod *p;

	TAILQ_FOREACH (p, &g->pods, link)
		fix(g, p);
}
