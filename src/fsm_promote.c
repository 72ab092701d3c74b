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
 * Carrying a decision out: prepare the chosen site, record its epoch, grant,
 * confirm. Each step is computed from observations (fsm_prepare); an operator
 * that dies between two of them leaves nothing that its successor must know.
 */

#include <string.h>

#include "fsm_int.h"

/* ----------------------------------------------------------- the record -- */

static bool
put_ready(const struct fsm_ctx *x)
{
	const struct fsm_state *s = x->s;

	/* Acknowledged but not read back: its version is not known yet. */
	if (s->put_ok && s->rec.version <= s->put_base &&
	    x->now < s->put_next_ms)
		return false;
	return s->rec_known && s->put.seq == 0 &&
	    (s->put_ok || x->now >= s->put_next_ms);
}

static bool
put(struct fsm_ctx *x, uint64_t epoch, enum fsm_verdict why)
{
	struct fsm_state *s = x->s;

	if (fsm_request(x, A_RECORD_PUT, x->o->put.active, &s->put,
		FSM_RECORD_TIMEOUT_MS) == NULL)
		return false;
	s->put_base = s->rec.version;
	s->put_ok = false;
	s->put_maybe = true;
	s->put_refused = false;
	s->put_epoch = epoch;
	/* It may land and end the one before, whatever becomes of us. */
	s->my_later = s->my_later || epoch != 0;
	s->put_why = (uint8_t)why;
	s->put_promotion = x->o->put_promotion;
	return true;
}

/*
 * Another epoch of that process may be in force. A record without the newest
 * one would not list what its guard is to hold, and the next leader would
 * fence a primary that is well.
 */
static bool
has_other(const struct fsm_state *s, unsigned k)
{
	const struct lease_terms *t = &s->rec.unended[k].terms;
	unsigned m;

	for (m = 0; m < s->rec.n; m++)
		if (m != k && t->guard != 0 &&
		    fsm_same_run(&s->rec.unended[m].terms, t) &&
		    fsm_proof_of(s, m) == P_NONE)
			return true;
	return false;
}

/* It has ended, and the record may say so. */
static bool
may_go(const struct fsm_state *s, unsigned k, bool keep_newest)
{
	if (fsm_proof_of(s, k) == P_NONE)
		return false;
	if (!keep_newest || s->rec.unended[k].epoch != s->rec.epoch)
		return true;
	/* The active process is fenced: it will get a new epoch. */
	return s->ended[k] != P_NONE &&
	    FSM_GUARD(G_NEWEST_KEPT, !has_other(s, k));
}

/* A copy of the record without the epochs that have ended. */
static void
put_open(struct fsm_ctx *x, bool keep_newest)
{
	const struct fsm_state *s = x->s;
	struct fsm_record *r = &x->o->put;
	unsigned k;

	*r = s->rec;
	r->n = 0;
	memset(r->unended, 0, sizeof(r->unended));
	for (k = 0; k < s->rec.n; k++)
		if (!may_go(s, k, keep_newest))
			r->unended[r->n++] = s->rec.unended[k];
}

/*
 * A process that answers is the only one of its Pod: epochs of the same Pod
 * and data are its own, covered by the newer one, or of those before it. Those
 * with a lease are covered when its guard holds the newer one, not before.
 */
static void
drop_same(
    struct fsm_record *r, const struct fsm_epoch *e, const struct fsm_probe *p)
{
	struct fsm_epoch *u;
	unsigned k, n = 0;

	for (k = 0; k < r->n; k++) {
		u = &r->unended[k];
		if (u->site == e->site &&
		    fsm_streq(u->proc.pod_uid, p->pod_uid) &&
		    fsm_streq(u->proc.server_uuid, p->server_uuid) &&
		    u->proc.start_ms < p->start_ms + FSM_START_TOL_MS &&
		    FSM_GUARD(G_KEEP_UNENDED, u->terms.guard == 0))
			continue;
		r->unended[n++] = *u;
	}
	memset(&r->unended[n], 0, (r->n - n) * sizeof(r->unended[0]));
	r->n = (uint8_t)n;
}

/* The epoch goes into the record that is about to be written. */
static bool
put_epoch(struct fsm_ctx *x, const struct fsm_epoch *e)
{
	struct fsm_record *r = &x->o->put;

	if (r->n >= UNENDED_MAX)
		return false;
	r->unended[r->n++] = *e;
	r->epoch = e->epoch;
	return true;
}

static void
mint(struct fsm_ctx *x, uint8_t i, enum fsm_verdict why)
{
	struct fsm_state *s = x->s;
	struct fsm_record *r = &x->o->put;
	const struct fsm_probe *p = &s->site[i].p;
	const struct fsm_pod *pod = fsm_container(s, i);
	struct fsm_epoch e;

	memset(&e, 0, sizeof(e));
	if (!put_ready(x) || !fsm_can_act(x) || !fsm_minting_ok(x->c, s, i))
		return;
	/* An adopted writer may be one without a guard. */
	if (!fsm_lease_terms(x->c, s, i, &e) && (why != V_ADOPT || pod == NULL))
		return;
	e.site = i;
	memcpy(e.proc.pod_uid, p->pod_uid, sizeof(e.proc.pod_uid));
	if (pod != NULL)
		memcpy(e.proc.container_id, pod->container_id,
		    sizeof(e.proc.container_id));
	memcpy(e.proc.server_uuid, p->server_uuid, sizeof(e.proc.server_uuid));
	e.proc.start_ms = p->start_ms;
	put_open(x, false);
	drop_same(r, &e, p);
	if (!put_epoch(x, &e))
		return;
	r->active = i;
	memcpy(r->server_uuid, p->server_uuid, sizeof(r->server_uuid));
	x->o->put_grant = x->o->put_seen = i;
	if (why == V_PROMOTE) {
		r->last_failover_s = s->wall_ms / 1000;
		r->last_target = i;
		x->o->put_promotion = true;
	}
	/* The guard could not get the lease: still the same promotion. */
	if (why == V_REGRANT && s->my_epoch != 0 && !s->my_granted &&
	    s->rec.epoch == s->my_epoch)
		why = (enum fsm_verdict)s->my_why;
	if (put(x, e.epoch, why) && x->o->put_promotion)
		fsm_tell(x, T_PROMOTING, i);
}

/* Other voters, or another L, for the process that is active already. */
static void
mint_successor(struct fsm_ctx *x)
{
	struct fsm_state *s = x->s;
	uint8_t a = s->rec.active;
	const struct fsm_pod *pod;
	struct fsm_epoch e;
	int k = fsm_newest(s);

	memset(&e, 0, sizeof(e));
	if (!put_ready(x) || !fsm_can_act(x) || !fsm_lease_successor(x) ||
	    !fsm_lease_terms(x->c, s, a, &e))
		return;
	e.site = a;
	e.proc = s->rec.unended[k].proc;
	if (e.proc.container_id[0] == '\0' &&
	    (pod = fsm_container(s, a)) != NULL)
		memcpy(e.proc.container_id, pod->container_id,
		    sizeof(e.proc.container_id));
	put_open(x, true);
	if (put_epoch(x, &e) && put(x, e.epoch, V_HEALTHY))
		s->succ_next_ms = x->now + FSM_SUCC_GAP_MS;
}

/*
 * How a put ended. One whose answer was lost is recognised when the record is
 * read: it is the next version of ours, with the epoch that we minted.
 */
void
fsm_put_done(struct fsm_ctx *x, bool ok, bool unknown)
{
	struct fsm_state *s = x->s;

	memset(&s->put, 0, sizeof(s->put));
	s->put_maybe = !ok && unknown;
	s->put_refused = s->put_refused || (!ok && !unknown);
	s->put_ok = ok;
	s->put_term = s->put_term || ok;
	s->rec_behind = s->rec_behind && !ok;
	s->put_next_ms = x->now + (ok ? FSM_RECORD_TIMEOUT_MS : FSM_RETRY_MS);
	if (!ok || s->put_epoch == 0)
		return;
	s->my_epoch = s->put_epoch;
	s->my_later = false;
	s->my_why = s->put_why;
	s->my_granted = false;
	if (s->put_promotion)
		s->promoted_ms = x->now;
	fsm_tell_epoch(x, T_MINTED, FSM_NONE, s->my_epoch, P_NONE);
}

void
fsm_put_read(struct fsm_ctx *x)
{
	struct fsm_state *s = x->s;

	if (s->put_maybe && s->put_epoch != 0 &&
	    s->rec.version == s->put_base + 1 && s->rec.epoch == s->put_epoch &&
	    fsm_newest(s) != -1)
		fsm_put_done(x, true, false);
	/* Its base is gone: written or never. */
	if (s->put.seq == 0 && s->rec.version > s->put_base)
		s->put_maybe = false;
}

/* Something has ended and nothing newer replaces it: let the record say so. */
static bool
ended_recorded(const struct fsm_state *s)
{
	unsigned k;

	for (k = 0; k < s->rec.n; k++)
		if (may_go(s, k, true))
			return false;
	return true;
}

/*
 * What an earlier leader sent to the API server can't land any more, whatever
 * delayed it: each put names the version that it replaces. Nobody is told
 * anything before; where there is no record, there is nothing to tell.
 */
bool
fsm_term_written(const struct fsm_state *s)
{
	return FSM_GUARD(
	    G_TERM_WRITTEN, s->put_term || s->rec.active == FSM_NONE);
}

/* What the active site has is recorded now and then. */
static bool
seen_due(const struct fsm_ctx *x)
{
	const struct fsm_state *s = x->s;
	uint8_t a = s->rec.active;

	return x->d.verdict == V_HEALTHY && a < x->c->nsites &&
	    fsm_answers(s, a) && s->rel.seen_stale && fsm_known(s, a) &&
	    (s->seen_put_ms == 0 || x->now - s->seen_put_ms >= FSM_SEEN_MS);
}

void
fsm_record_keep(struct fsm_ctx *x)
{
	struct fsm_state *s = x->s;
	bool seen;

	if (s->rec.active == FSM_NONE ||
	    (x->c->deleting && fsm_term_written(s)))
		return;
	if (!x->c->deleting)
		mint_successor(x);
	if (!put_ready(x) || !fsm_can_act(x))
		return;
	seen = seen_due(x);
	/* One that may be written yet is settled by the next. */
	if (fsm_term_written(s) && ended_recorded(s) && !s->rec_behind &&
	    !s->put_maybe && !seen)
		return;
	put_open(x, true);
	if (seen)
		x->o->put_seen = s->rec.active;
	if (put(x, 0, V_STARTING) && seen)
		s->seen_put_ms = x->now;
}

/* -------------------------------------------------------------- the grant */

void
fsm_granted(struct fsm_ctx *x, uint8_t i)
{
	struct fsm_state *s = x->s;

	s->my_granted = true;
	fsm_health_set(x, i, SS_WRITABLE);
	switch ((enum fsm_verdict)s->my_why) {
	case V_PROMOTE:
		fsm_tell(x, T_FAILOVER, i);
		fsm_count(x, FM_FAILOVERS, i);
		break;
	case V_REGRANT:
		fsm_tell(x, T_REGRANTED, i);
		fsm_count(x, FM_REGRANTS, i);
		break;
	case V_BOOTSTRAP:
		fsm_tell(x, T_BOOTSTRAPPED, i);
		break;
	case V_HEALTHY: /* a successor: nothing has changed */
		break;
	case V_STARTING:
	case V_DELETING:
	case V_SPLIT_BRAIN:
	case V_TOTAL_LOSS:
	case V_WAIT_SITES:
	case V_WAIT_THRESHOLD:
	case V_WAIT_RECORD:
	case V_ADOPT:
	case V_ADOPT_GRANT:
	case V_NO_CANDIDATE:
	case V_COOLDOWN:
	case V_NO_PROOF:
	case V_DIVERGENCE:
	case V_GTID_UNKNOWN:
	case V_DATA_MISSING:
	case V_APPLIER_ERROR:
	case V_DRAIN_TIMEOUT:
	case V_FENCING:
	case V_STRANGERS:
	case V_RECORD_FULL:
	case V_OBSERVER_ISOLATED:
	case V_NO_LEASE:
	case V_STOP_TIMEOUT:
	case V_MAX:
		fsm_tell(x, T_ADOPTED, i);
		break;
	}
}

/* ------------------------------------------------------------- the steps - */

static void
stop_receiver(struct fsm_ctx *x, uint8_t i)
{
	struct fsm_site *t = &x->s->site[i];

	if (t->stop_ms == 0)
		t->stop_ms = x->now;
	if (t->receiver_off_ms != 0 &&
	    (t->p.sent_ms <= t->receiver_off_ms || t->p.io == IO_NO))
		fsm_probe_now(x, i, FSM_DRAIN_POLL_MS);
	else
		(void)fsm_sql(x, i, SQL_STOP_RECEIVER, FSM_SQL_TIMEOUT_MS);
}

static void
drain(struct fsm_ctx *x, uint8_t i)
{
	struct fsm_site *t = &x->s->site[i];

	if (t->drain_ms == 0)
		t->drain_ms = x->now;
	if (!t->p.sql &&
	    fsm_sql(x, i, SQL_START_APPLIER, FSM_SQL_TIMEOUT_MS) != NULL &&
	    t->p.sql_errno != 0)
		t->next_ms[SQL_START_APPLIER] = x->now + FSM_POD_RETRY_MS;
	fsm_probe_now(x, i, FSM_DRAIN_POLL_MS);
}

static void
reset_replica(struct fsm_ctx *x, uint8_t i)
{
	struct fsm_state *s = x->s;
	struct fsm_act *a;
	bool drop;

	drop = !fsm_rel_bit(s, s->rel.drained, i) && s->override == i;
	if ((a = fsm_sql(x, i, SQL_RESET_REPLICA, FSM_SQL_TIMEOUT_MS)) == NULL)
		return;
	s->site[i].reset_epoch = s->rec.epoch;
	a->drop_received = drop;
	if (s->override == i)
		s->override_sent = drop;
}

static void
step(struct fsm_ctx *x, uint8_t i, enum fsm_verdict why)
{
	if (x->d.step != ST_DRAIN)
		x->s->site[i].drain_ms = 0;
	if (x->d.step != ST_STOP_RECEIVER)
		x->s->site[i].stop_ms = 0;
	switch ((enum fsm_step)x->d.step) {
	case ST_STOP_RECEIVER:
		stop_receiver(x, i);
		break;
	case ST_DRAIN:
		drain(x, i);
		break;
	case ST_RESET:
		reset_replica(x, i);
		break;
	case ST_MINT:
		mint(x, i, why);
		break;
	case ST_GRANT:
		fsm_grant(x, i);
		break;
	case ST_CONFIRM:
		fsm_probe_now(x, i, FSM_SUSPECT_POLL_MS);
		break;
	case ST_LEASE: /* offered by fsm_revoke.c, held by the guard's word */
	case ST_NONE:
	case ST_MAX:
		break;
	}
}

/* Site i is waited for: to answer, or to get what a demoted site has. */
static void
await(struct fsm_ctx *x, uint8_t i)
{
	const struct fsm_state *s = x->s;
	const struct fsm_probe *p = &s->site[i].p;
	uint8_t a = s->rec.active;

	fsm_probe_now(x, i, FSM_RETRY_MS);
	if (a < x->c->nsites && !fsm_promotable(x->c, a) && fsm_answers(s, i) &&
	    p->read_only && p->has_repl && p->source == a &&
	    (p->io == IO_NO || !p->sql))
		(void)fsm_sql(x, i, SQL_START_REPLICA, FSM_SQL_TIMEOUT_MS);
}

void
fsm_promote(struct fsm_ctx *x)
{
	uint8_t i = x->d.site;

	switch ((enum fsm_verdict)x->d.verdict) {
	case V_ADOPT:
		mint(x, i, V_ADOPT);
		break;
	case V_BOOTSTRAP:
	case V_ADOPT_GRANT:
	case V_REGRANT:
	case V_PROMOTE:
		step(x, i, (enum fsm_verdict)x->d.verdict);
		break;
	case V_APPLIER_ERROR:
	case V_DRAIN_TIMEOUT:
		drain(x, i);
		break;
	case V_STOP_TIMEOUT:
		stop_receiver(x, i);
		break;
	case V_NO_PROOF:
		fsm_stop_early(x, x->d.site2);
		break;
	case V_WAIT_SITES:
		if (i < x->c->nsites)
			await(x, i);
		break;
	case V_STARTING:
	case V_DELETING:
	case V_HEALTHY:
	case V_SPLIT_BRAIN:
	case V_TOTAL_LOSS:
	case V_WAIT_THRESHOLD:
	case V_WAIT_RECORD:
	case V_NO_CANDIDATE:
	case V_COOLDOWN:
	case V_DIVERGENCE:
	case V_GTID_UNKNOWN:
	case V_DATA_MISSING:
	case V_FENCING:
	case V_STRANGERS:
	case V_RECORD_FULL:
	case V_OBSERVER_ISOLATED:
	case V_NO_LEASE:
	case V_MAX:
		break;
	}
}
