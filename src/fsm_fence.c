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
 * Taking writability away, and the Pods of sites that held it. A fence needs
 * no proof and waits for nothing: it can only make the group safer.
 */

#include <string.h>

#include "fsm_int.h"

/* ------------------------------------------------------------- fencing --- */

/*
 * Whether site i may stay writable: it runs the newest epoch's process, or
 * nothing is recorded yet and it is, or may become, what is adopted.
 */
static bool
may_stay(const struct fsm_ctx *x, uint8_t i)
{
	const struct fsm_state *s = x->s;

	if (!fsm_promotable(x->c, i))
		return false;
	if (!s->rec_known)
		return true; /* not known to be wrong */
	if (s->rec.active == FSM_NONE)
		return x->d.verdict != V_SPLIT_BRAIN || x->d.site == FSM_NONE ||
		    x->d.site == i;
	return fsm_is_newest(s, i);
}

/* CLONE makes its recipient writable, with nobody let in. */
static bool
cloning(const struct fsm_state *s, uint8_t i)
{
	return fsm_recipient(s, i) && s->clone_phase != CL_SETUP &&
	    s->site[i].p.offline_mode;
}

static void
fence(struct fsm_ctx *x, uint8_t i)
{
	if (fsm_sql(x, i, SQL_FENCE, FSM_SQL_TIMEOUT_MS) == NULL)
		return;
	if (x->s->site[i].state == SS_UNREACHABLE)
		x->s->site[i].next_ms[SQL_FENCE] = x->now + FSM_POD_RETRY_MS;
	if (x->s->site[i].p.read_only || x->s->site[i].state == SS_UNREACHABLE)
		return;
	fsm_tell(x, T_FENCING, i);
}

/* super_read_only is missing on a site that must not be written to. */
static bool
half_fenced(const struct fsm_ctx *x, uint8_t i)
{
	const struct fsm_state *s = x->s;

	return s->site[i].p.read_only && !s->site[i].p.super_read_only &&
	    s->rec_known && s->rec.active != FSM_NONE && s->rec.active != i;
}

static void
fence_site(struct fsm_ctx *x, uint8_t i)
{
	struct fsm_state *s = x->s;
	struct fsm_site *t = &s->site[i];
	bool writable, in_the_way;

	if (!t->ever || cloning(s, i))
		return;
	in_the_way = x->d.verdict == V_NO_PROOF && x->d.site == i;
	/* A lost site whose epoch lacks its proof may still hear a fence. */
	if (t->state == SS_UNREACHABLE) {
		if (in_the_way)
			fence(x, i);
		return;
	}
	if (!fsm_answers(s, i))
		return;
	writable = !t->p.read_only && !may_stay(x, i);
	if (writable || half_fenced(x, i) ||
	    (in_the_way && !t->p.super_read_only))
		fence(x, i);
	fsm_evict(x, i);
	if (t->p.persisted_ro &&
	    fsm_sql(x, i, SQL_RESET_PERSIST, FSM_SQL_TIMEOUT_MS) != NULL)
		t->next_ms[SQL_RESET_PERSIST] = x->now + FSM_REPAIR_RETRY_MS;
}

void
fsm_fence(struct fsm_ctx *x)
{
	uint8_t i;

	if (x->c->deleting || !fsm_can_act(x))
		return;
	for (i = 0; i < x->c->nsites; i++)
		fence_site(x, i);
}

/* ---------------------------------------------------------------- Pods --- */

static bool
holds_unended(const struct fsm_state *s, const char *uid)
{
	unsigned k;

	for (k = 0; k < s->rec.n; k++)
		if (fsm_streq(s->rec.unended[k].proc.pod_uid, uid))
			return true;
	return false;
}

static void
pod_action(
    struct fsm_ctx *x, enum fsm_act_type type, uint8_t i, const char *uid)
{
	struct fsm_req *req =
	    i == FSM_FOREIGN ? &x->s->foreign_req : &x->s->site[i].pod_req;
	struct fsm_act *a;

	if ((a = fsm_request(x, type, i, req, FSM_RECORD_TIMEOUT_MS)) != NULL)
		memcpy(a->proc.pod_uid, uid, sizeof(a->proc.pod_uid));
}

/*
 * The record may become another one yet, and list that Pod. The next put
 * settles it; where none will come, time does.
 */
static bool
put_pending(const struct fsm_ctx *x)
{
	const struct fsm_state *s = x->s;
	bool last = x->c->deleting || s->rec.active == FSM_NONE;

	return s->put_maybe &&
	    !(last && s->put.seq == 0 &&
		x->now - s->put_next_ms >= FSM_PUT_LIFE_MS);
}

/*
 * Our finalizer keeps a deleted Pod until the kubelet's word about its
 * container is in the record: as long as the record lists one of its epochs,
 * that word may still be needed.
 */
static void
release(struct fsm_ctx *x, uint8_t i, const struct fsm_pod *pod)
{
	if (pod->pod_uid[0] == '\0' || !pod->deleting || !pod->finalizer ||
	    put_pending(x))
		return;
	if (FSM_GUARD(G_POD_RELEASE, !holds_unended(x->s, pod->pod_uid)))
		pod_action(x, A_POD_RELEASE, i, pod->pod_uid);
}

/* A Pod of a site that is configured no more. */
void
fsm_pod_foreign(struct fsm_ctx *x, const struct fsm_pod *pod)
{
	if (x->s->rec_known && x->s->synced && !pod->gone &&
	    x->now >= x->s->foreign_next_ms)
		release(x, FSM_FOREIGN, pod);
}

static void
release_site(struct fsm_ctx *x, uint8_t i)
{
	struct fsm_site *t = &x->s->site[i];
	unsigned k;

	for (k = 0; k < sizeof(t->pod) / sizeof(t->pod[0]); k++)
		release(x, i, &t->pod[k]);
}

/*
 * Bring the kubelet's word about: only for a site that is lost, once per Pod,
 * and only while its kubelet has shown since the loss that it is alive. To a
 * node that is cut off the deletion would be a death sentence that is carried
 * out when the node returns, of a primary that then could just go on.
 */
static void
delete_lost(struct fsm_ctx *x)
{
	struct fsm_state *s = x->s;
	struct fsm_site *t;
	const struct fsm_pod *pod = NULL;
	unsigned k;
	uint8_t i = x->d.site;

	if (x->d.verdict != V_NO_PROOF || i >= x->c->nsites)
		return;
	t = &s->site[i];
	if (!FSM_GUARD(G_POD_DELETE_LOST, t->state == SS_UNREACHABLE))
		return;
	/* Its guard can be told: it ends the server, and starts it again. */
	if (fsm_guard_fresh(x->c, s, i))
		return;
	for (k = 0; k < s->rec.n; k++)
		if (s->rec.unended[k].epoch == x->d.epoch)
			pod = fsm_pod_of(s, i, s->rec.unended[k].proc.pod_uid);
	if (pod == NULL || pod->deleting || pod->gone || pod->kubelet_ms == 0 ||
	    pod->kubelet_ms < t->fail_since_ms ||
	    pod->kubelet_ms > t->fail_since_ms + FSM_KUBELET_MS ||
	    fsm_streq(t->deleted_uid, pod->pod_uid) || t->pod_req.seq != 0 ||
	    x->now < t->pod_next_ms || !fsm_can_act(x))
		return;
	pod_action(x, A_POD_DELETE, i, pod->pod_uid);
	memcpy(t->deleted_uid, pod->pod_uid, sizeof(t->deleted_uid));
	fsm_tell(x, T_POD_DELETE, i);
}

void
fsm_pods(struct fsm_ctx *x)
{
	uint8_t i;

	if (!x->s->rec_known || !x->s->synced)
		return;
	for (i = 0; i < x->c->nsites; i++)
		if (x->now >= x->s->site[i].pod_next_ms)
			release_site(x, i);
	if (!x->c->deleting)
		delete_lost(x);
}
