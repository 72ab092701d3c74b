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
 * Proofs that an epoch has ended, and what may bring one about
 * (bloodraven-fencing(7)). Without one there is no grant elsewhere.
 */

#include <string.h>

#include "fsm_int.h"

#define UNIX_S(ms) ((ms) / 1000)

/*
 * The kubelet's word ends the process of that epoch.
 *
 * With a guard: that guard left its id in the container that has ended. No
 * clock has a part in it.
 *
 * Without one (a server that was adopted): the word is about the container
 * that was recorded before the grant, and the process began within that
 * container's life. Kubernetes cuts finishedAt to whole seconds and a measured
 * start is never below the second of the true one, hence strictly "before": a
 * process that began after the container's end, in a container recorded
 * wrongly from a stale Pod, is not taken for dead. A clock that is set back
 * while the container restarts can defeat that, and nothing here could tell.
 */
bool
fsm_word_ends(const struct fsm_state *s, uint8_t i, const struct fsm_epoch *e,
    const struct fsm_word *w)
{
	const struct fsm_site *t = i < SITES_MAX ? &s->site[i] : NULL;
	const struct fsm_proc *proc = &e->proc;

	if (!FSM_GUARD(G_WORD_REASON, !w->unknown))
		return false;
	if (e->terms.guard != 0)
		return FSM_GUARD(G_WORD_GUARD, w->guard == e->terms.guard);
	if (!FSM_GUARD(G_WORD_CONTAINER,
		fsm_streq(w->container_id, proc->container_id)))
		return false;
	if (!FSM_GUARD(G_WORD_START,
		proc->start_ms >= w->started_ms - FSM_START_TOL_MS &&
		    proc->start_ms < w->finished_ms))
		return false;
	/* It answered after that second: another one is meant. */
	return FSM_GUARD(G_WORD_SEEN,
	    t == NULL || !t->ever || !fsm_same_process(proc, &t->p) ||
		UNIX_S(t->p.clock_ms) <= UNIX_S(w->finished_ms));
}

static bool
pod_ends(const struct fsm_state *s, uint8_t i, const struct fsm_epoch *e,
    const struct fsm_pod *pod)
{
	unsigned k;

	if (!fsm_streq(pod->pod_uid, e->proc.pod_uid))
		return false;
	for (k = 0; k < pod->nwords; k++)
		if (fsm_word_ends(s, i, e, &pod->word[k]))
			return true;
	return false;
}

/*
 * Grants of earlier leaders are past their limit: the server's clock has run
 * for the longest life of a grant since this leader first read it, and so has
 * ours. A clock that was set ahead ends what is sent after that, but a
 * statement may have begun before.
 */
bool
fsm_grants_past(const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];

	return t->lead_clock_ms != 0 &&
	    t->p.clock_ms - t->lead_clock_ms >=
	    FSM_GRANT_TTL_MS + FSM_GRANT_MARGIN_MS &&
	    t->p.sent_ms - t->lead_read_ms >= FSM_GRANT_MARGIN_MS;
}

/*
 * Both flags of that very process were read ON, and no grant can have changed
 * or can change that: ours were settled before the reading began, and those of
 * earlier leaders are past their limit.
 */
static bool
fence_confirmed(const struct fsm_state *s, const struct fsm_epoch *e)
{
	const struct fsm_site *t = &s->site[e->site];

	if (!t->ever || !t->p.read_only || !t->p.super_read_only)
		return false;
	if (!FSM_GUARD(G_FENCE_PROCESS, fsm_same_process(&e->proc, &t->p)))
		return false;
	if (!fsm_flags_current(s, e->site))
		return false;
	return FSM_GUARD(G_FENCE_OLD_GRANTS, fsm_grants_past(s, e->site));
}

/*
 * Another process of the same Pod with the same server_uuid has answered: the
 * kubelet runs one container of a name at a time, and mysqld locks its data
 * directory, so one of the two is gone. It is the recorded one, since that
 * lived when its epoch was minted, and who led then leads no more, or was this
 * leader: the answer is to a later probe. No clock says which was first: one
 * that is set back lets the later process have the earlier start.
 *
 * A start is a number that mysqld drew once, and differs for two processes.
 * With a guard, that one has to say, too, that it is another process.
 */
static bool
succeeded(const struct fsm_state *s, const struct fsm_epoch *e)
{
	const struct fsm_site *t = &s->site[e->site];
	int64_t d = t->p.start_ms - e->proc.start_ms;

	if (!FSM_GUARD(G_SUCCESSOR,
		t->ever && fsm_streq(t->p.pod_uid, e->proc.pod_uid) &&
		    fsm_streq(t->p.server_uuid, e->proc.server_uuid) &&
		    (d >= FSM_START_TOL_MS || d <= -FSM_START_TOL_MS)))
		return false;
	if (!FSM_GUARD(G_SUCCESSOR_LATER,
		s->lease_held && t->p.sent_ms > s->lease_since_ms))
		return false;
	return e->terms.guard == 0 ||
	    FSM_GUARD(G_SUCCESSOR_GUARD,
		t->guard_ms > s->lease_since_ms && fsm_guard_matches(t) &&
		    !fsm_same_guard(&e->terms, &t->g));
}

/* The proof that there is for unended epoch k. */
enum fsm_proof
fsm_proof_of(const struct fsm_state *s, unsigned k)
{
	const struct fsm_epoch *e = &s->rec.unended[k];

	if (s->ended[k] != P_NONE)
		return s->ended[k];
	if (e->site >= SITES_MAX)
		return fsm_lease_proof(s, k);
	if (fence_confirmed(s, e))
		return P_FENCED;
	if (succeeded(s, e))
		return P_SUCCEEDED;
	return fsm_lease_proof(s, k);
}

/*
 * An unended epoch without proof that is in the way of a grant to site i's
 * present process, -1 when there is none. Epochs of that process itself are
 * not in the way.
 */
int
fsm_unproven(const struct fsm_state *s, uint8_t i)
{
	const struct fsm_epoch *e;
	unsigned k;

	for (k = 0; k < s->rec.n; k++) {
		e = &s->rec.unended[k];
		if (e->site == i && fsm_same_process(&e->proc, &s->site[i].p))
			continue;
		if (!FSM_GUARD(G_PROOF, fsm_proof_of(s, k) != P_NONE))
			return (int)k;
	}
	return -1;
}

/*
 * Somebody there says so, who had been silent: its node is back, and its server,
 * with what it alone has, may be about to answer. A guard that was heard all the
 * time says nothing of that.
 */
static bool
told_on_return(const struct fsm_ctx *x, uint8_t i, enum fsm_proof proof)
{
	const struct fsm_site *t = &x->s->site[i];
	int64_t lost = x->c->poll_ms * x->c->failure_threshold;

	if (t->state != SS_UNREACHABLE || x->now - t->fail_since_ms < 2 * lost)
		return false;
	return proof == P_TERMINATED ||
	    ((proof == P_GUARD || proof == P_GUARD_FENCED) &&
		t->voter_ms > t->fail_since_ms && x->now - t->voter_ms < lost);
}

/*
 * Proven for good, whatever becomes of the witness; a lease that has run out,
 * for this term, so another proof is better.
 */
void
fsm_end_epoch(struct fsm_ctx *x, unsigned k, enum fsm_proof proof)
{
	const struct fsm_epoch *e = &x->s->rec.unended[k];
	bool better = x->s->ended[k] == P_LEASE && proof != P_LEASE;

	if (x->s->ended[k] != P_NONE && !better)
		return;
	x->s->ended[k] = (uint8_t)proof;
	/* A superseded one leaves its process writable. */
	if (proof != P_SUPERSEDED && e->site < x->c->nsites &&
	    x->s->site[e->site].ever &&
	    fsm_same_process(&e->proc, &x->s->site[e->site].p))
		x->s->site[e->site].quelled = true;
	if (e->site < x->c->nsites && told_on_return(x, e->site, proof))
		x->s->site[e->site].word_ms = x->now;
	if (better)
		return;
	fsm_tell_epoch(x, T_EPOCH_ENDED, e->site, e->epoch, proof);
}

/* Words end epochs for good: the Pod that carries them will go. */
static void
scan_words(struct fsm_ctx *x, uint8_t i)
{
	const struct fsm_site *t = &x->s->site[i];
	const struct fsm_epoch *e;
	unsigned k, m;

	for (k = 0; k < x->s->rec.n; k++) {
		e = &x->s->rec.unended[k];
		if (e->site != i)
			continue;
		for (m = 0; m < sizeof(t->pod) / sizeof(t->pod[0]); m++)
			if (pod_ends(x->s, i, e, &t->pod[m]))
				fsm_end_epoch(x, k, P_TERMINATED);
	}
}

/* A writer without an epoch ends like any other. */
static bool
quells(const struct fsm_site *t, const struct fsm_word *w)
{
	if (w->unknown)
		return false;
	if (t->g.guard != 0 && fsm_streq(t->g.pod_uid, t->p.pod_uid))
		return w->guard == t->g.guard;
	return t->p.start_ms < w->finished_ms &&
	    UNIX_S(t->p.clock_ms) <= UNIX_S(w->finished_ms);
}

static void
quell(struct fsm_site *t, const struct fsm_pod *pod)
{
	unsigned k;

	if (!t->ever || !fsm_streq(pod->pod_uid, t->p.pod_uid))
		return;
	for (k = 0; k < pod->nwords; k++)
		if (quells(t, &pod->word[k]))
			t->quelled = true;
}

/* What is decided about that Pod may rest on what is kept of it. */
static unsigned
worth(const struct fsm_state *s, uint8_t i, const struct fsm_pod *pod)
{
	const struct fsm_site *t = &s->site[i];
	unsigned k;

	for (k = 0; k < s->rec.n; k++)
		if (fsm_streq(s->rec.unended[k].proc.pod_uid, pod->pod_uid))
			return 3;
	if (fsm_streq(t->p.pod_uid, pod->pod_uid) ||
	    fsm_streq(t->g.pod_uid, pod->pod_uid))
		return 2;
	return pod->deleting ? 0 : 1;
}

/*
 * Its own, a free one, or that of the Pod that is worth least: those of a site
 * with more than there are slots take turns (group_feed_slotless).
 */
static struct fsm_pod *
slot_for(struct fsm_state *s, uint8_t i, const char *uid)
{
	struct fsm_pod *least = NULL, *pod;
	struct fsm_site *t = &s->site[i];
	unsigned k;

	for (k = 0; k < FSM_SITE_PODS; k++)
		if (fsm_streq(t->pod[k].pod_uid, uid))
			return &t->pod[k];
	for (k = 0; k < FSM_SITE_PODS; k++) {
		pod = &t->pod[k];
		if (pod->pod_uid[0] == '\0')
			return pod;
		if (least == NULL || worth(s, i, pod) <= worth(s, i, least))
			least = pod;
	}
	return least;
}

void
fsm_proof_pod(struct fsm_ctx *x, uint8_t i, const struct fsm_pod *pod)
{
	struct fsm_site *t = &x->s->site[i];
	struct fsm_pod *slot = slot_for(x->s, i, pod->pod_uid);

	*slot = *pod;
	if (slot->nwords > WORDS_MAX)
		slot->nwords = WORDS_MAX;
	quell(t, slot);
	scan_words(x, i);
	if (pod->gone)
		memset(slot, 0, sizeof(*slot));
}

/*
 * A Pod of a site that is configured no more. Nobody probes it; its words are
 * matched by its UID.
 */
void
fsm_proof_foreign(struct fsm_ctx *x, const struct fsm_pod *pod)
{
	const struct fsm_epoch *e;
	unsigned k;

	for (k = 0; k < x->s->rec.n; k++) {
		e = &x->s->rec.unended[k];
		if (e->site != FSM_FOREIGN ||
		    !fsm_streq(e->proc.pod_uid, pod->pod_uid))
			continue;
		if (pod_ends(x->s, FSM_FOREIGN, e, pod))
			fsm_end_epoch(x, k, P_TERMINATED);
		else if (pod->ctr_state == CTR_RUNNING &&
		    pod->kubelet_ms > x->s->foreign_ms)
			x->s->foreign_ms = pod->kubelet_ms;
	}
}

enum fsm_reading
fsm_reading_of(const struct fsm_state *s, const struct fsm_record *r)
{
	/* Who does not lead has nothing of its own to keep. */
	if (!s->rec_known || !s->lease_held ||
	    (r->version >= s->rec.version && !s->rec_behind))
		return FSM_READ_TAKE;
	if (r->version < s->rec.version && !s->put_refused)
		return FSM_READ_OLD;
	return r->epoch <= s->rec.epoch ? FSM_READ_KEEP : FSM_READ_TAKE;
}

/*
 * Another leader ended that epoch, by a word that did not come here: what was
 * seen of its process last is no news any more.
 */
static void
ended_elsewhere(struct fsm_state *s, const struct fsm_epoch *e)
{
	struct fsm_site *t;
	unsigned k;

	if (e->site >= SITES_MAX || !s->site[e->site].ever ||
	    fsm_answers(s, e->site))
		return;
	t = &s->site[e->site];
	if (!fsm_same_process(&e->proc, &t->p))
		return;
	for (k = 0; k < s->rec.n; k++)
		if (s->rec.unended[k].site == e->site &&
		    fsm_same_process(&s->rec.unended[k].proc, &t->p))
			return; /* superseded */
	t->quelled = true;
}

/*
 * A restored record may give a number to another process; who did that had heard
 * of it from no guard and no voter. What was known of the former is nothing that
 * is known of this one, so it goes, a proof too. Its guard, when it is heard, is
 * told that it is over (fsm_stray_lease), and while its server is seen writable
 * nothing is granted.
 */
static bool
same_epoch(const struct fsm_epoch *a, const struct fsm_epoch *b)
{
	return fsm_streq(a->proc.pod_uid, b->proc.pod_uid) &&
	    fsm_same_run(&a->terms, &b->terms);
}

/* The record as it was read; what was proven stays proven. */
static void
take_record(struct fsm_state *s, const struct fsm_record *r)
{
	struct fsm_record was = s->rec;
	struct lease_auth auth[UNENDED_MAX];
	uint8_t ended[UNENDED_MAX] = { P_NONE };
	unsigned k, m;

	memcpy(auth, s->auth, sizeof(auth));
	for (k = 0; k < UNENDED_MAX; k++)
		lease_auth_init(&s->auth[k]);
	if (r->version > was.version)
		s->rec_ms = s->now_ms;
	/* The one could be written to until now, and the other can be. */
	if (r->active != was.active && was.active < SITES_MAX)
		fsm_evict_forget(&s->site[was.active]);
	if (r->active != was.active && r->active < SITES_MAX)
		fsm_evict_forget(&s->site[r->active]);
	s->rec = *r;
	for (m = 0; m < was.n; m++) {
		for (k = 0; k < r->n; k++)
			if (r->unended[k].epoch == was.unended[m].epoch)
				break;
		if (k == r->n) {
			if (r->version >= was.version)
				ended_elsewhere(s, &was.unended[m]);
			if ((r->version >= was.version || !s->lease_held) &&
			    auth[m].yes_ms > s->yes_ms)
				s->yes_ms = auth[m].yes_ms;
			if (r->version >= was.version || !s->lease_held ||
			    s->ended[m] != P_NONE || s->rec.n == UNENDED_MAX)
				continue;
			/* put back, not ended */
			k = s->rec.n++;
			s->rec.unended[k] = was.unended[m];
		} else if (!same_epoch(&r->unended[k], &was.unended[m])) {
			continue;
		}
		ended[k] = s->ended[m];
		s->auth[k] = auth[m];
	}
	memcpy(s->ended, ended, sizeof(s->ended));
	s->rec_known = true;
	s->rec_behind = false;
}

void
fsm_proof_record(struct fsm_ctx *x, const struct fsm_record *r)
{
	struct fsm_state *s = x->s;
	uint8_t i;

	switch (fsm_reading_of(s, r)) {
	case FSM_READ_OLD:
		return;
	case FSM_READ_KEEP:
		s->rec.version = r->version;
		s->rec_behind = true;
		s->my_epoch = 0;
		break;
	case FSM_READ_TAKE:
		take_record(s, r);
		break;
	}
	s->put_refused = false;
	fsm_put_read(x);
	for (i = 0; i < x->c->nsites; i++)
		scan_words(x, i);
}
