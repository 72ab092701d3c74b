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
 * The core's entry: one event in, the whole group evaluated, actions out.
 * Level-triggered: what is due is computed from what is known, and requests
 * that were not answered in time are forgotten and decided anew.
 */

#include <string.h>

#include "fsm_int.h"

void
fsm_init(struct fsm_state *s, int64_t now)
{
	uint8_t i;

	memset(s, 0, sizeof(*s));
	s->start_ms = s->now_ms = now;
	s->rec.active = s->rec.last_target = FSM_NONE;
	s->subject = FSM_NONE;
	s->clone_to = s->clone_from = FSM_NONE;
	s->override = s->asked = s->applier = FSM_NONE;
	for (i = 0; i < SITES_MAX; i++)
		s->site[i].p.source = FSM_NONE;
}

/* ------------------------------------------------------------- actions --- */

/* The Lease is held, with enough of it left for what is sent to be done. */
bool
fsm_can_act(const struct fsm_ctx *x)
{
	return FSM_GUARD(G_LEASE,
	    x->s->lease_held &&
		x->s->lease_deadline_ms - x->now >= FSM_LEASE_MIN_MS);
}

struct fsm_act *
fsm_emit(struct fsm_ctx *x, enum fsm_act_type type, uint8_t site)
{
	struct fsm_act *a;

	if (x->o->n == FSM_ACTS_MAX) {
		x->o->overflow = true;
		return NULL;
	}
	a = &x->o->act[x->o->n++];
	memset(a, 0, sizeof(*a));
	a->type = (uint8_t)type;
	a->site = site;
	a->site2 = FSM_NONE;
	a->source = FSM_NONE;
	a->valid_until_ms = x->s->lease_deadline_ms;
	return a;
}

/* An action that is answered; req remembers it until then. */
struct fsm_act *
fsm_request(struct fsm_ctx *x, enum fsm_act_type type, uint8_t site,
    struct fsm_req *req, int64_t timeout)
{
	struct fsm_act *a;

	if (req->seq != 0 || !fsm_can_act(x) ||
	    (a = fsm_emit(x, type, site)) == NULL)
		return NULL;
	a->seq = ++x->s->seq;
	a->timeout_ms = timeout;
	req->seq = a->seq;
	req->sent_ms = x->now;
	req->until_ms = x->now + timeout + FSM_ACK_GRACE_MS;
	/* Nothing is done any more after it was forgotten here. */
	if (a->valid_until_ms > req->until_ms)
		a->valid_until_ms = req->until_ms;
	return a;
}

/* An SQL action for the process that was seen last; NULL: not now. */
struct fsm_act *
fsm_sql(struct fsm_ctx *x, uint8_t i, enum sql_kind kind, int64_t timeout)
{
	struct fsm_site *t = &x->s->site[i];
	struct fsm_req *req = kind == SQL_FENCE ? &t->fence : &t->sql;
	struct fsm_act *a;

	if (x->now < t->next_ms[kind] ||
	    (a = fsm_request(x, A_SQL, i, req, timeout)) == NULL)
		return NULL;
	t->next_ms[kind] = x->now + FSM_RETRY_MS;
	req->kind = (uint8_t)kind;
	a->kind = (uint8_t)kind;
	a->epoch = x->s->rec.epoch;
	memcpy(a->proc.pod_uid, t->p.pod_uid, sizeof(a->proc.pod_uid));
	memcpy(
	    a->proc.server_uuid, t->p.server_uuid, sizeof(a->proc.server_uuid));
	a->proc.start_ms = t->p.start_ms;
	return a;
}

/*
 * A log record, and the leader's Event where the text has a reason; site2 is
 * the active site that is replaced.
 */
static struct fsm_act *
tell(struct fsm_ctx *x, enum fsm_text text, uint8_t site, uint64_t epoch,
    enum fsm_proof proof)
{
	const struct fsm_proc *proc = fsm_epoch_proc(x->s, epoch);
	struct fsm_act *a;

	if ((a = fsm_emit(x, A_LOG, site)) == NULL)
		return NULL;
	a->text = (uint8_t)text;
	a->verdict = x->d.verdict;
	a->site2 = text == T_PROMOTING ? x->s->rec.active : x->d.site2;
	a->epoch = epoch;
	a->proof = (uint8_t)proof;
	if (proc != NULL)
		a->proc = *proc;
	else if (epoch != 0 && epoch == x->s->lost && site < x->c->nsites)
		memcpy(a->proc.pod_uid, fsm_lost_uid(x->s, site),
		    sizeof(a->proc.pod_uid));
	if (fsm_text_reason(text)[0] == '\0' || !fsm_can_act(x))
		return a;
	if ((a = fsm_emit(x, A_EVENT, site)) == NULL)
		return NULL;
	*a = x->o->act[x->o->n - 2];
	a->type = A_EVENT;
	return a;
}

struct fsm_act *
fsm_tell(struct fsm_ctx *x, enum fsm_text text, uint8_t site)
{
	return tell(x, text, site, x->s->rec.epoch, P_NONE);
}

/* The same about one epoch. */
void
fsm_tell_epoch(struct fsm_ctx *x, enum fsm_text text, uint8_t site,
    uint64_t epoch, enum fsm_proof proof)
{
	(void)tell(x, text, site, epoch, proof);
}

/* About a person's word, and why it is refused. */
void
fsm_tell_why(struct fsm_ctx *x, enum fsm_text text, uint8_t site,
    uint64_t epoch, enum fsm_why why, int64_t ago)
{
	unsigned k = x->o->n;

	(void)tell(x, text, site, epoch, P_NONE);
	for (; k < x->o->n; k++) {
		x->o->act[k].why = (uint8_t)why;
		x->o->act[k].ago_ms = ago;
	}
}

void
fsm_count(struct fsm_ctx *x, enum fsm_metric metric, uint8_t site)
{
	struct fsm_act *a;

	if ((a = fsm_emit(x, A_METRIC, site)) != NULL)
		a->metric = (uint8_t)metric;
}

/* A probe besides the scheduled ones, no closer together than spacing. */
void
fsm_probe_now(struct fsm_ctx *x, uint8_t i, int64_t spacing)
{
	struct fsm_site *t = &x->s->site[i];

	if (x->now < t->extra_ms)
		return;
	if (fsm_emit(x, A_PROBE_NOW, i) != NULL)
		t->extra_ms = x->now + spacing;
}

/* ---------------------------------------------------------- evaluation --- */

static bool
late(struct fsm_req *req, int64_t now)
{
	if (req->seq == 0 || now < req->until_ms)
		return false;
	memset(req, 0, sizeof(*req));
	return true;
}

/* What was not answered in time may have been done or not. */
static void
forget_late(struct fsm_ctx *x)
{
	struct fsm_site *t;
	uint8_t i, kind;

	if (late(&x->s->put, x->now))
		fsm_put_done(x, false, true);
	(void)late(&x->s->foreign_req, x->now);
	for (i = 0; i < x->c->nsites; i++) {
		t = &x->s->site[i];
		kind = t->sql.kind;
		if (late(&t->sql, x->now)) {
			if (kind == SQL_CLONE)
				fsm_clone_sql(x, i, SE_UNKNOWN);
			else
				fsm_rejoin_sql(
				    x, i, (enum sql_kind)kind, SE_UNKNOWN);
		}
		(void)late(&t->fence, x->now);
		if (late(&t->roll, x->now))
			fsm_update_ack(x, i, false, true);
		if (late(&t->pod_req, x->now))
			t->deleted_uid[0] = '\0';
	}
}

/* Log what was decided, once; the Event about a block after a moment. */
static void
say_decision(struct fsm_ctx *x)
{
	struct fsm_state *s = x->s;
	const struct fsm_decision *d = &x->d;
	bool blocks = fsm_verdict_block(d->verdict) != NULL;

	if (s->verdict != d->verdict || s->subject != d->site ||
	    s->step != d->step) {
		s->verdict = d->verdict;
		s->subject = d->site;
		s->step = d->step;
		fsm_tell(x, T_DECISION, d->site);
	}
	if (s->blocked != (blocks ? d->verdict : V_STARTING)) {
		if (!blocks && s->blocked_said)
			fsm_tell(x, T_UNBLOCKED, d->site);
		s->blocked = blocks ? d->verdict : V_STARTING;
		s->blocked_ms = x->now;
		s->blocked_said = false;
	}
	if (!blocks || s->blocked_said || !fsm_can_act(x) ||
	    x->now - s->blocked_ms < FSM_BLOCKED_SAY_MS)
		return;
	s->blocked_said = true;
	if (d->verdict == V_NO_PROOF)
		fsm_tell_epoch(x, T_NO_PROOF, d->site, d->epoch, P_NONE);
	else
		fsm_tell(x, T_BLOCKED, d->site);
}

/* The grant took effect: seen by whatever observation came first. */
static void
check_granted(struct fsm_ctx *x)
{
	struct fsm_state *s = x->s;
	uint8_t a = s->rec.active;

	if (s->my_epoch == 0 || s->my_granted || s->rec.epoch != s->my_epoch ||
	    a >= x->c->nsites || !fsm_is_newest(s, a) ||
	    s->site[a].p.read_only || !fsm_answers(s, a))
		return;
	fsm_granted(x, a);
}

void
fsm_step(const struct fsm_conf *c, struct fsm_state *s,
    const struct fsm_event *ev, int64_t now, int64_t wall, struct fsm_out *out)
{
	struct fsm_ctx x = { .c = c, .s = s, .o = out, .now = now };

	out->n = 0;
	out->overflow = false;
	out->put_promotion = false;
	out->put_grant = out->put_seen = FSM_NONE;
	x.d.site = x.d.site2 = FSM_NONE;
	x.d.verdict = s->verdict;
	s->now_ms = now;
	s->wall_ms = wall;
	if (ev->rel != NULL)
		s->rel = *ev->rel;
	fsm_take(&x, ev);
	forget_late(&x);
	fsm_lease_look(&x);
	fsm_proof_assert(&x);
	fsm_override_used(&x);
	check_granted(&x);
	fsm_decide(c, s, &x.d);
	fsm_override(&x);
	say_decision(&x);
	fsm_fence(&x);
	fsm_revoke(&x);
	fsm_promote(&x);
	fsm_record_keep(&x);
	fsm_pods(&x);
	fsm_clone(&x);
	fsm_rejoin(&x);
	fsm_update(&x);
	fsm_matrix_say(&x);
	fsm_health_extra(&x);
}

bool
fsm_quiet(const struct fsm_conf *c, const struct fsm_state *s)
{
	uint8_t i;

	/* Those of a state before this one, or to a process since replaced. */
	if (s->now_ms < s->old_grants_ms)
		return false;
	for (i = 0; i < c->nsites; i++)
		if ((s->site[i].grant_open &&
			s->now_ms <= fsm_grants_end(s, i)) ||
		    (s->site[i].sql.seq != 0 &&
			s->site[i].sql.kind == SQL_GRANT))
			return false;
	return true;
}
