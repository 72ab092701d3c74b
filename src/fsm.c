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
	s->override = FSM_NONE;
	s->dns_said = FSM_NONE;
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

/* ----------------------------------------------------------- what came --- */

static void
lease_event(struct fsm_ctx *x, bool held, int64_t deadline)
{
	struct fsm_state *s = x->s;
	bool ran_out = x->now >= s->lease_deadline_ms;
	uint8_t i;

	if (held && s->lease_held && !ran_out) {
		s->lease_deadline_ms = deadline;
		return;
	}
	s->lease_held = held;
	s->lease_deadline_ms = held ? deadline : 0;
	s->lease_since_ms = x->now;
	if (x->now > s->old_grants_ms)
		s->old_grants_ms = x->now;
	/*
	 * A state that was made anew in a running operator does not know what
	 * the one before it sent.
	 */
	if (held && s->seq != 0 && !s->had_term)
		s->old_grants_ms =
		    x->now + FSM_SQL_TIMEOUT_MS + FSM_ACK_GRACE_MS;
	s->had_term = s->had_term || held;
	/*
	 * A new term: nothing of the last one is answered or trusted. A grant
	 * of it that is open stays so until its limit has passed.
	 */
	s->my_epoch = 0;
	s->my_granted = false;
	s->put_ok = false;
	s->put_epoch = 0; /* put_maybe stays until the record was put or read */
	/* Another leader may have written meanwhile: what is read counts. */
	s->put_refused = s->rec_behind = false;
	memset(&s->put, 0, sizeof(s->put));
	memset(&s->foreign_req, 0, sizeof(s->foreign_req));
	for (i = 0; i < x->c->nsites; i++) {
		memset(&s->site[i].sql, 0, sizeof(s->site[i].sql));
		memset(&s->site[i].fence, 0, sizeof(s->site[i].fence));
		memset(&s->site[i].pod_req, 0, sizeof(s->site[i].pod_req));
		s->site[i].lead_clock_ms = 0;
	}
}

/* The flags that an action read back are an observation like a probe's. */
static void
sql_flags(
    struct fsm_ctx *x, uint8_t i, const struct fsm_event *ev, int64_t sent)
{
	struct fsm_site *t = &x->s->site[i];
	struct fsm_proc proc;

	memset(&proc, 0, sizeof(proc));
	memcpy(proc.pod_uid, ev->u.sql.pod_uid, sizeof(proc.pod_uid));
	memcpy(
	    proc.server_uuid, ev->u.sql.server_uuid, sizeof(proc.server_uuid));
	proc.start_ms = ev->u.sql.start_ms;
	if (!ev->u.sql.flags_read || !t->ever ||
	    !fsm_same_process(&proc, &t->p))
		return;
	t->p.read_only = ev->u.sql.read_only;
	t->p.super_read_only = ev->u.sql.super_read_only;
	if (ev->u.sql.clock_ms > t->p.clock_ms)
		t->p.clock_ms = ev->u.sql.clock_ms;
	t->flags_ms = x->now;
	t->read_ms = sent;
	t->quelled = false;
	if (t->p.read_only)
		fsm_health_set(x, i, SS_READ_ONLY);
	else if (fsm_is_newest(x->s, i))
		fsm_health_set(x, i, SS_WRITABLE);
}

static void
sql_effects(struct fsm_ctx *x, uint8_t i, const struct fsm_event *ev)
{
	struct fsm_site *t = &x->s->site[i];
	enum sql_kind kind = (enum sql_kind)ev->u.sql.kind;
	enum sql_end end = (enum sql_end)ev->u.sql.end;
	bool done = end == SE_DONE;

	switch (kind) {
	case SQL_GRANT:
		fsm_grant_answer(x, i, end, ev->u.sql.grant_limit_ms);
		break;
	case SQL_FENCE:
		if (done)
			t->evict = true;
		break;
	case SQL_STOP_RECEIVER:
		if (done)
			t->receiver_off_ms = x->now;
		break;
	case SQL_RESET_REPLICA:
		if (done) {
			t->p.has_repl = false;
			t->p.io = IO_NO;
			t->p.source = FSM_NONE;
			t->flags_ms = x->now;
		}
		break;
	case SQL_EVICT:
		if (done)
			t->evict = ev->u.sql.count > 0;
		break;
	case SQL_CLONE:
		fsm_clone_sql(x, i, end);
		break;
	case SQL_SET_SOURCE:
	case SQL_START_REPLICA:
	case SQL_STOP_REPLICA:
		fsm_rejoin_sql(x, i, kind, end);
		break;
	case SQL_START_APPLIER:
	case SQL_RESET_PERSIST:
	case SQL_MAX:
		break;
	}
	if (kind == SQL_EVICT || kind == SQL_FENCE)
		return;
	/* One that begins in this millisecond could not be told from older. */
	t->acted_ms = x->now;
	t->extra_ms = x->now + FSM_AFTER_MS;
}

static void
sql_event(struct fsm_ctx *x, uint8_t i, const struct fsm_event *ev)
{
	struct fsm_site *t = &x->s->site[i];
	struct fsm_req *req = NULL;
	int64_t sent;

	if (ev->u.sql.seq == t->sql.seq)
		req = &t->sql;
	else if (ev->u.sql.seq == t->fence.seq)
		req = &t->fence;
	if (req == NULL || ev->u.sql.seq == 0)
		return;
	sent = req->sent_ms;
	memset(req, 0, sizeof(*req));
	sql_flags(x, i, ev, sent);
	sql_effects(x, i, ev);
}

static void
ack_event(struct fsm_ctx *x, const struct fsm_event *ev)
{
	struct fsm_site *t;
	uint8_t i;

	if (ev->u.ack.seq == 0)
		return;
	if (ev->u.ack.seq == x->s->put.seq) {
		fsm_put_done(x, ev->u.ack.ok, ev->u.ack.unknown);
		return;
	}
	if (ev->u.ack.seq == x->s->foreign_req.seq)
		memset(&x->s->foreign_req, 0, sizeof(x->s->foreign_req));
	for (i = 0; i < x->c->nsites; i++) {
		t = &x->s->site[i];
		if (t->pod_req.seq != ev->u.ack.seq)
			continue;
		if (!ev->u.ack.ok)
			t->deleted_uid[0] = '\0';
		memset(&t->pod_req, 0, sizeof(t->pod_req));
		t->pod_next_ms = x->now + (ev->u.ack.ok ? 0 : FSM_POD_RETRY_MS);
	}
}

static void
take(struct fsm_ctx *x, const struct fsm_event *ev)
{
	struct fsm_state *s = x->s;
	bool site = ev->site < x->c->nsites;

	switch ((enum fsm_event_type)ev->type) {
	case E_PROBE:
		if (site)
			fsm_health_probe(x, ev->site, ev->u.probe);
		break;
	case E_CONN_LOST:
		if (site)
			fsm_health_lost(x, ev->site);
		break;
	case E_POD:
		if (site) {
			fsm_proof_pod(x, ev->site, ev->u.pod);
		} else if (ev->site == FSM_FOREIGN) {
			fsm_proof_foreign(x, ev->u.pod);
			fsm_pod_foreign(x, ev->u.pod);
		}
		break;
	case E_RECORD:
		fsm_proof_record(x, ev->u.record);
		break;
	case E_SYNCED:
		s->synced = ev->u.synced;
		break;
	case E_LEASE:
		lease_event(x, ev->u.lease.held, ev->u.lease.deadline_ms);
		break;
	case E_ACK:
		ack_event(x, ev);
		break;
	case E_SQL_DONE:
		if (site)
			sql_event(x, ev->site, ev);
		break;
	case E_ASSERT_DEAD:
		s->assert_set = !ev->u.assert_dead.gone;
		s->assert_site = ev->u.assert_dead.site;
		s->assert_epoch = ev->u.assert_dead.epoch;
		memcpy(s->assert_uid, ev->u.assert_dead.pod_uid,
		    sizeof(s->assert_uid));
		break;
	case E_OVERRIDE:
		/* Told again by each list: that is no new word. */
		if (ev->u.override != s->override)
			s->override_sent = false;
		s->override =
		    ev->u.override < x->c->nsites ? ev->u.override : FSM_NONE;
		break;
	case E_DNS:
		s->dns_ok = ev->u.dns_ok;
		break;
	case E_TICK:
	case E_CONF:
	case E_MAX:
		break;
	}
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

static void
say_dns(struct fsm_ctx *x)
{
	uint8_t a = fsm_active(x->c, x->s);

	if (a == FSM_NONE || a == x->s->dns_said || !fsm_can_act(x))
		return;
	if (fsm_emit(x, A_DNS_WANT, a) != NULL)
		x->s->dns_said = a;
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
	take(&x, ev);
	forget_late(&x);
	fsm_proof_assert(&x);
	fsm_override_used(&x);
	check_granted(&x);
	fsm_decide(c, s, &x.d);
	say_decision(&x);
	fsm_fence(&x);
	fsm_promote(&x);
	fsm_record_keep(&x);
	fsm_pods(&x);
	fsm_clone(&x);
	fsm_rejoin(&x);
	fsm_matrix_say(&x);
	fsm_health_extra(&x);
	say_dns(&x);
}

bool
fsm_quiet(const struct fsm_conf *c, const struct fsm_state *s)
{
	uint8_t i;

	/* Those of a state before this one, or to a process since replaced. */
	if (s->now_ms < s->old_grants_ms)
		return false;
	for (i = 0; i < c->nsites; i++)
		if (s->site[i].grant_open ||
		    (s->site[i].sql.seq != 0 &&
			s->site[i].sql.kind == SQL_GRANT))
			return false;
	return true;
}
