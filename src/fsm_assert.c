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
 * A human's word that a process is dead, and when it is refused
 * (bloodraven-fencing(7)).
 */

#include <string.h>

#include "fsm_int.h"

/* Another process answers at the site of that epoch. */
static bool
replaced(const struct fsm_state *s, const struct fsm_epoch *e)
{
	return e->site < SITES_MAX && fsm_answers(s, e->site) &&
	    !fsm_same_process(&e->proc, &s->site[e->site].p);
}

/* Its guard says that it runs, or a voter renewed its lease; at: when. */
static enum fsm_why
leased_since(const struct fsm_state *s, const struct fsm_epoch *e,
    int64_t since, int64_t *at)
{
	const struct fsm_site *t;
	uint8_t i;

	if (e->terms.guard == 0)
		return Y_NONE;
	for (i = 0; i < SITES_MAX; i++) {
		t = &s->site[i];
		*at = t->guard_ms;
		if (i == e->site && *at > since && t->g.running &&
		    fsm_same_guard(&e->terms, &t->g))
			return Y_GUARD;
		*at = t->g_ms - t->g.yes_age_ms;
		if (t->g_ms != 0 && t->g.yes_age_ms >= 0 &&
		    t->g.yes_epoch == e->epoch && *at > since)
			return Y_VOTER;
	}
	return Y_NONE;
}

/* This operator or the kubelet saw it; at: when. */
static enum fsm_why
seen_itself(const struct fsm_state *s, const struct fsm_epoch *e, int64_t since,
    int64_t *at)
{
	const struct fsm_site *t;
	const struct fsm_pod *pod;

	*at = s->foreign_ms;
	if (e->site >= SITES_MAX)
		return *at > since ? Y_KUBELET : Y_NONE;
	t = &s->site[e->site];
	*at = t->heard_ms;
	if (*at > since)
		return Y_PROBE;
	*at = t->seen_ms;
	if (t->ever && *at > since && fsm_same_process(&e->proc, &t->p))
		return Y_PROBE;
	pod = fsm_pod_of(s, e->site, e->proc.pod_uid);
	if (pod == NULL || pod->ctr_state != CTR_RUNNING)
		return Y_NONE;
	*at = pod->kubelet_ms;
	return *at > since ? Y_KUBELET : Y_NONE;
}

/* Another operator's probe of it was answered; at: when. */
static enum fsm_why
standby_saw(const struct fsm_state *s, const struct fsm_epoch *e, int64_t since,
    int64_t *at)
{
	uint8_t i;

	for (i = 0; i < SITES_MAX; i++)
		if (fsm_sight_of(s, i, e, at) && *at > since)
			return Y_PROBE;
	return Y_NONE;
}

/* Who saw the process within the quiet time, and when. */
static enum fsm_why
seen_lately(const struct fsm_ctx *x, const struct fsm_epoch *e, int64_t *at)
{
	const struct fsm_state *s = x->s;
	int64_t since = x->now - FSM_ASSERT_QUIET_MS;
	enum fsm_why why;
	uint8_t i;

	if ((why = seen_itself(s, e, since, at)) != Y_NONE ||
	    (why = leased_since(s, e, since, at)) != Y_NONE ||
	    (why = standby_saw(s, e, since, at)) != Y_NONE)
		return why;
	/* A replica names a host, not a process. */
	if (replaced(s, e))
		return Y_NONE;
	for (i = 0; i < x->c->nsites; i++) {
		*at = s->site[i].seen_ms;
		if (i != e->site && s->site[i].ever && *at > since &&
		    s->site[i].p.has_repl && s->site[i].p.source == e->site &&
		    s->site[i].p.io == IO_YES)
			return Y_REPLICA;
	}
	return Y_NONE;
}

/*
 * That nobody saw it is only worth something when somebody looked: its site
 * was probed all the time and failed, or is answered by another process.
 */
static bool
watched(const struct fsm_ctx *x, const struct fsm_epoch *e)
{
	const struct fsm_site *t;
	int64_t since = x->now - FSM_ASSERT_QUIET_MS;

	if (x->s->start_ms > since)
		return false;
	if (e->site >= SITES_MAX || replaced(x->s, e))
		return true;
	t = &x->s->site[e->site];
	return t->state == SS_UNREACHABLE && t->fail_since_ms <= since &&
	    t->counted_ms > since;
}

/* What of it is not current; e is what it may mean. */
static enum fsm_why
outdated(const struct fsm_state *s, const struct fsm_epoch *e)
{
	if (s->assert_site == FSM_NONE || s->assert_uid[0] == '\0' ||
	    s->assert_epoch == 0)
		return Y_MALFORMED;
	if (e == NULL || e->epoch != s->assert_epoch)
		return Y_EPOCH;
	return fsm_streq(e->proc.pod_uid, s->assert_uid) ? Y_NONE : Y_POD;
}

static void
answer(struct fsm_ctx *x, enum fsm_text text, enum fsm_why why, int64_t at)
{
	struct fsm_act *a;

	fsm_tell_why(
	    x, text, x->s->assert_site, x->s->assert_epoch, why, x->now - at);
	if ((a = fsm_emit(x, A_ANNOTATION_DEL, FSM_NONE)) != NULL)
		a->key = FSM_ANN_ASSERT_DEAD;
	x->s->assert_set = false;
}

/* An epoch that the record does not know, at the site that may hold it. */
static void
lost_epoch(const struct fsm_state *s, uint8_t i, struct fsm_epoch *e)
{
	const struct fsm_site *t = &s->site[i];
	const char *uid = fsm_lost_uid(s, i);

	memset(e, 0, sizeof(*e));
	e->epoch = s->lost;
	e->site = i;
	memcpy(e->proc.pod_uid, uid, sizeof(e->proc.pod_uid));
	if (fsm_streq(uid, t->p.pod_uid)) {
		memcpy(e->proc.server_uuid, t->p.server_uuid,
		    sizeof(e->proc.server_uuid));
		e->proc.start_ms = t->p.start_ms;
	}
	e->terms.guard = t->g.guard;
	e->terms.incarnation = t->g.incarnation;
}

/* The epoch that is meant; any of that site's when none is; NULL. */
static const struct fsm_epoch *
asserted(const struct fsm_ctx *x, struct fsm_epoch *lost)
{
	const struct fsm_state *s = x->s;
	const struct fsm_epoch *e = NULL;
	unsigned k;

	if (s->assert_site == FSM_NONE)
		return NULL;
	if (s->lost != 0 && s->assert_epoch == s->lost &&
	    s->assert_site < x->c->nsites && fsm_listed(s, s->lost) == -1) {
		lost_epoch(s, s->assert_site, lost);
		return lost;
	}
	for (k = 0; k < s->rec.n; k++) {
		if (s->rec.unended[k].site != s->assert_site)
			continue;
		e = &s->rec.unended[k];
		if (e->epoch == s->assert_epoch)
			break;
	}
	return e;
}

/*
 * assert-dead: every part must be current, and nobody may have seen the
 * process within a minute; before we have watched that long, we wait.
 */
void
fsm_proof_assert(struct fsm_ctx *x)
{
	struct fsm_state *s = x->s;
	const struct fsm_epoch *e;
	struct fsm_epoch lost;
	enum fsm_why why;
	int64_t at = x->now;

	if (!s->assert_set || !fsm_can_act(x) || !s->rec_known)
		return;
	e = asserted(x, &lost);
	why = outdated(s, e);
	if (e == NULL || !FSM_GUARD(G_ASSERT_CURRENT, why == Y_NONE)) {
		answer(x, T_ASSERT_REFUSED, why, at);
		return;
	}
	why = seen_lately(x, e, &at);
	if (!FSM_GUARD(G_ASSERT_QUIET, why == Y_NONE)) {
		answer(x, T_ASSERT_REFUSED, why, at);
		return;
	}
	if (!FSM_GUARD(G_ASSERT_QUIET, watched(x, e)))
		return;
	if (e == &lost) {
		s->lost_dead |= BIT(e->site);
		s->site[e->site].quelled = true;
	} else {
		fsm_end_epoch(x, (unsigned)(e - s->rec.unended), P_ASSERTED);
	}
	answer(x, T_ASSERT_OK, Y_NONE, at);
}
