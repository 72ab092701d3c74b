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

/* What came: one event taken into the state. */

#include <string.h>

#include "fsm_int.h"

/*
 * Since when nobody has said yes or sent a grant, as a term begins. Who had
 * the Lease before did so until its own deadline at most, as it was told to
 * whoever took it over, and so did this one in an earlier term. A state that
 * was made since then knows neither of its own.
 */
static int64_t
quiet(const struct fsm_ctx *x, bool held, const struct fsm_event *ev)
{
	const struct fsm_state *s = x->s;
	int64_t at = ev->u.lease.quiet_ms;

	if (!held || at == 0 || ev->u.lease.first || at > x->now)
		return x->now;
	if (!FSM_GUARD(G_QUIET_OWN, at >= s->own_end_ms))
		at = s->own_end_ms < x->now ? s->own_end_ms : x->now;
	return at;
}

static void
lease_event(struct fsm_ctx *x, const struct fsm_event *ev)
{
	struct fsm_state *s = x->s;
	bool held = ev->u.lease.held, first = ev->u.lease.first;
	bool ran_out = x->now >= s->lease_deadline_ms;
	int64_t deadline = ev->u.lease.deadline_ms;
	int64_t since = quiet(x, held, ev);
	uint8_t i;

	if (held && deadline > s->own_end_ms)
		s->own_end_ms = deadline;
	if (held && s->lease_held && !ran_out) {
		s->lease_deadline_ms = deadline;
		return;
	}
	s->lease_held = held;
	s->lease_deadline_ms = held ? deadline : 0;
	s->lease_since_ms = x->now;
	s->quiet_ms = since;
	s->old_rolls_ms = x->now;
	if (!first || s->had_term)
		s->old_rolls_ms += FSM_PUT_LIFE_MS;
	/* Without election there is no other, and no deadline. */
	if (held && deadline - x->now > s->lease_len_ms &&
	    deadline - x->now < LEASE_MAX_MS)
		s->lease_len_ms = deadline - x->now;
	if (s->quiet_ms > s->old_grants_ms)
		s->old_grants_ms = s->quiet_ms;
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
	s->my_granted = s->my_later = false;
	s->put_ok = s->put_term = false;
	s->yes_ms = 0;
	s->put_epoch = 0; /* put_maybe stays until the record was put or read */
	/* Another leader may have written meanwhile: what is read counts. */
	s->put_refused = s->rec_behind = false;
	fsm_lease_term(s);
	fsm_override_term(s);
	memset(&s->put, 0, sizeof(s->put));
	memset(&s->foreign_req, 0, sizeof(s->foreign_req));
	for (i = 0; i < x->c->nsites; i++) {
		memset(&s->site[i].sql, 0, sizeof(s->site[i].sql));
		memset(&s->site[i].fence, 0, sizeof(s->site[i].fence));
		memset(&s->site[i].pod_req, 0, sizeof(s->site[i].pod_req));
		memset(&s->site[i].roll, 0, sizeof(s->site[i].roll));
		fsm_evict_term(x, i);
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
	/* A grant may have come between this reading and a probe's. */
	if (sent < t->read_ms && !t->p.read_only)
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

/* A writable site was made read-only; by the priorities, who stays. */
static void
fenced(struct fsm_ctx *x, uint8_t i)
{
	x->s->site[i].evict_ms = x->now;
	fsm_count(x, FM_FENCES, i);
	if (x->s->rec.active == FSM_NONE && x->s->verdict == V_SPLIT_BRAIN)
		fsm_count(x, FM_SPLIT_RESOLVED, x->s->subject);
}

static void
sql_effects(
    struct fsm_ctx *x, uint8_t i, const struct fsm_event *ev, bool writable)
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
		if (done && writable)
			fenced(x, i);
		break;
	case SQL_STOP_RECEIVER:
		if (done)
			t->receiver_off_ms = x->now;
		break;
	case SQL_RESET_REPLICA:
		fsm_override_answer(x->s, i, end);
		if (done) {
			t->p.has_repl = false;
			t->p.io = IO_NO;
			t->p.source = FSM_NONE;
			t->flags_ms = x->now;
		}
		break;
	case SQL_EVICT:
		fsm_evict_answer(x, i, done && ev->u.sql.count == 0);
		break;
	case SQL_CLONE:
		fsm_clone_sql(x, i, end);
		break;
	case SQL_SET_SOURCE:
	case SQL_START_REPLICA:
	case SQL_STOP_REPLICA:
		fsm_rejoin_sql(x, i, kind, end);
		break;
	case SQL_RESET_PERSIST:
		if (done)
			fsm_tell(x, T_PERSISTED, i);
		break;
	case SQL_START_APPLIER:
	case SQL_ACCOUNTS:
	case SQL_REFRESH_SOURCE:
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
	bool writable;
	int64_t sent;

	if (ev->u.sql.seq == t->sql.seq)
		req = &t->sql;
	else if (ev->u.sql.seq == t->fence.seq)
		req = &t->fence;
	if (req == NULL || ev->u.sql.seq == 0)
		return;
	sent = req->sent_ms;
	memset(req, 0, sizeof(*req));
	writable = t->ever && !t->p.read_only;
	sql_flags(x, i, ev, sent);
	sql_effects(x, i, ev, writable);
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
	if (ev->u.ack.seq == x->s->foreign_req.seq) {
		memset(&x->s->foreign_req, 0, sizeof(x->s->foreign_req));
		x->s->foreign_next_ms =
		    x->now + (ev->u.ack.ok ? 0 : FSM_POD_RETRY_MS);
	}
	for (i = 0; i < x->c->nsites; i++) {
		t = &x->s->site[i];
		if (t->roll.seq == ev->u.ack.seq)
			fsm_update_ack(x, i, ev->u.ack.ok, ev->u.ack.unknown);
		if (t->pod_req.seq != ev->u.ack.seq)
			continue;
		if (!ev->u.ack.ok)
			t->deleted_uid[0] = '\0';
		memset(&t->pod_req, 0, sizeof(t->pod_req));
		t->pod_next_ms = x->now + (ev->u.ack.ok ? 0 : FSM_POD_RETRY_MS);
	}
}

void
fsm_take(struct fsm_ctx *x, const struct fsm_event *ev)
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
		lease_event(x, ev);
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
		fsm_override_told(s, ev->u.override);
		break;
	case E_GUARD:
		if (site)
			fsm_witness_guard(x, ev->site, ev->u.guard);
		break;
	case E_LINK:
		if (site)
			fsm_witness_link(x, ev->site, ev->u.link_up);
		break;
	case E_PROMISE:
		if (site)
			fsm_lease_promise(x, ev->site, ev);
		break;
	case E_ASK:
		if (site)
			fsm_lease_ask(x, ev->site, ev);
		break;
	case E_ROLLOUT:
		if (site)
			fsm_update_told(x, ev->site, ev->u.rollout.want,
			    ev->u.rollout.have);
		break;
	case E_CONF:
		/* Guards asked by another interval until now. */
		s->offered_ms = x->now;
		break;
	case E_TICK:
	case E_MAX:
		break;
	}
}
