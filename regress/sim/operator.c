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
 * An operator replica: what src/group*.c does between the core and its
 * workers, in the simulated world. GTID relations are computed by gtid.c from
 * the texts that servers would print.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gtid.h"
#include "sim.h"

static struct gtid_set exec_set[SITES_MAX], all_set[SITES_MAX];
static struct gtid_set recv_set, grant_set, seen_set;

static void
parse(const struct gset *g, struct gtid_set *s)
{
	static char buf[8192];

	gs_text(g, buf, sizeof(buf));
	if (gtid_parse(s, buf) == -1)
		abort();
}

static void
relations(const struct op *o, struct fsm_rel *rel)
{
	int i, j;

	memset(rel, 0, sizeof(*rel));
	for (i = 0; i < w->nsites; i++) {
		if (!o->known[i])
			continue;
		rel->known |= (uint16_t)(1U << i);
		parse(&o->e[i], &exec_set[i]);
		parse(&o->r[i], &recv_set);
		if (gtid_union(&all_set[i], &exec_set[i], &recv_set) == -1)
			abort();
		if (gtid_contains(&exec_set[i], &recv_set))
			rel->drained |= (uint16_t)(1U << i);
		if (gtid_empty(&all_set[i]))
			rel->empty |= (uint16_t)(1U << i);
	}
	for (i = 0; i < w->nsites; i++)
		for (j = 0; j < w->nsites; j++) {
			if (!o->known[i] || !o->known[j])
				continue;
			if (gtid_contains(&all_set[i], &all_set[j]))
				rel->all_all[i] |= (uint16_t)(1U << j);
			if (gtid_contains(&exec_set[i], &all_set[j]))
				rel->exec_all[i] |= (uint16_t)(1U << j);
			if (gtid_shares_uuid(&all_set[i], &all_set[j]))
				rel->shares[i] |= (uint16_t)(1U << j);
		}
	if (!o->rec_known)
		return;
	parse(&o->grant, &grant_set);
	parse(&o->seen, &seen_set);
	rel->record_known = true;
	rel->grant_empty = gtid_empty(&grant_set);
	for (i = 0; i < w->nsites; i++) {
		if (!o->known[i])
			continue;
		if (gtid_contains(&exec_set[i], &grant_set))
			rel->has_grant |= (uint16_t)(1U << i);
		if (gtid_contains(&exec_set[i], &seen_set))
			rel->has_seen |= (uint16_t)(1U << i);
	}
	i = o->s.rec.active;
	if (i < w->nsites && o->known[i])
		rel->seen_stale = !gtid_equal(&exec_set[i], &seen_set);
}

/* ------------------------------------------------------------- actions --- */

static void
act_put(struct op *o, int k, const struct fsm_out *out, const struct fsm_act *a)
{
	struct ev e;

	memset(&e, 0, sizeof(e));
	e.kind = K_PUT_AT;
	e.op = (uint8_t)k;
	e.life = o->life;
	e.act = *a;
	e.rec = out->put;
	e.promotion = out->put_promotion;
	e.put_grant = out->put_grant;
	e.put_seen = out->put_seen;
	if (e.put_grant != FSM_NONE)
		e.grant = o->e[e.put_grant];
	if (e.put_seen != FSM_NONE)
		e.seen = o->e[e.put_seen];
	push(&e, 2 + rnd(20));
}

static void
act_log(const struct op *o, int k, const struct fsm_act *a)
{
	char buf[1024];

	if (a->text == T_EPOCH_ENDED && o->holds)
		w->ended[a->proof]++;
	if (!w->trace || !o->holds)
		return;
	fsm_message(&o->c, a, buf, sizeof(buf));
	trace("op%d: %s%s%s", k, buf, a->text == T_DECISION ? " step " : "",
	    a->text == T_DECISION ? fsm_step_name(o->s.step) : "");
}

/* What goes to a worker; the operator may die before the next of them. */
static void
carry_out(struct op *o, int k, const struct fsm_out *out)
{
	const struct fsm_act *a;
	struct ev e;
	int i;

	for (i = 0; i < out->n; i++) {
		a = &out->act[i];
		memset(&e, 0, sizeof(e));
		e.op = (uint8_t)k;
		e.site = a->site;
		e.life = o->life;
		e.act = *a;
		switch ((enum fsm_act_type)a->type) {
		case A_SQL:
			e.kind = K_SQL_AT;
			push(&e, (w->stall ? rnd(3000) : 1 + rnd(10)));
			break;
		case A_RECORD_PUT:
			act_put(o, k, out, a);
			break;
		case A_POD_DELETE:
		case A_POD_RELEASE:
			e.kind = K_POD_AT;
			push(&e, 2 + rnd(20));
			break;
		case A_PROBE_NOW:
			e.kind = K_PROBE;
			e.extra = true;
			push(&e, 0);
			break;
		case A_LOG:
			act_log(o, k, a);
			break;
		case A_OFFER:
		case A_REVOKE:
		case A_PROMISE_ASK:
		case A_RENEW:
			op_sends(k, a);
			break;
		case A_ROLL:
			/* an API server may sit on it */
			e.kind = K_ROLL_AT;
			push(&e,
			    w->lossy && chance(50) ? rnd(50000) : 2 + rnd(20));
			break;
		case A_EVENT:
		case A_ANNOTATION_DEL:
		case A_METRIC:
		case A_MAX:
			break;
		}
	}
}

static void
wake_at(struct op *o, int k)
{
	struct ev e;

	if (o->wake != 0 && o->wake <= o->view.wake_ms)
		return;
	o->wake = o->view.wake_ms;
	memset(&e, 0, sizeof(e));
	e.kind = K_WAKE;
	e.op = (uint8_t)k;
	e.life = o->life;
	push(&e, o->wake - w->now);
}

void
op_event(int k, struct fsm_event *ev, bool rel)
{
	static struct fsm_out out;
	struct fsm_rel r;
	struct op *o = &w->op[k];

	if (rel) {
		relations(o, &r);
		ev->rel = &r;
	}
	fsm_step(&o->c, &o->s, ev, w->now,
	    1700000000000LL + w->now + o->clock_off, &out);
	carry_out(o, k, &out);
	fsm_view(&o->c, &o->s, &o->view);
	if (rnd(500) == 0)
		check_sites(k);
	wake_at(o, k);
}

/* --------------------------------------------------------------- inputs -- */

static void
record_in(int k, const struct fsm_record *r, const struct gset *grant,
    const struct gset *seen)
{
	struct op *o = &w->op[k];
	struct fsm_event fe = { .type = E_RECORD };

	switch (fsm_reading_of(&o->s, r)) {
	case FSM_READ_OLD:
		return;
	case FSM_READ_KEEP:
		trace("op%d keeps what it knows at v%llu", k,
		    (unsigned long long)r->version);
		break;
	case FSM_READ_TAKE:
		o->rec_known = true;
		o->grant = *grant;
		o->seen = *seen;
		break;
	}
	fe.u.record = r;
	op_event(k, &fe, true);
}

static void
probe_in(const struct ev *q)
{
	struct op *o = &w->op[q->op];
	struct fsm_event fe = { .type = E_PROBE, .site = q->site };

	if (q->probe.ok) {
		o->known[q->site] = true;
		o->e[q->site] = q->e;
		o->r[q->site] = q->r;
	}
	fe.u.probe = &q->probe;
	op_event(q->op, &fe, true);
}

/* What a list lacks has gone meanwhile. */
static void
pods_gone(int k, int i)
{
	struct fsm_event fe = { .type = E_POD, .site = (uint8_t)i };
	struct fsm_pod pod;
	int p, n;

	for (n = 0; n < PODS; n++) {
		pod = w->op[k].s.site[i].pod[n];
		for (p = 0; p < PODS; p++)
			if (w->site[i].pod[p].used &&
			    strcmp(w->site[i].pod[p].api.pod_uid,
				pod.pod_uid) == 0)
				break;
		if (pod.pod_uid[0] == '\0' || p < PODS)
			continue;
		pod.gone = true;
		fe.u.pod = &pod;
		op_event(k, &fe, false);
	}
}

/* All Pods as the API server has them, after a start or a lost watch. */
void
op_pods(int k)
{
	struct fsm_event fe;
	int i, p;

	w->op[k].watch++;
	for (i = 0; i < w->nsites; i++) {
		pods_gone(k, i);
		for (p = 0; p < PODS; p++) {
			if (!w->site[i].pod[p].used)
				continue;
			memset(&fe, 0, sizeof(fe));
			fe.type = E_POD;
			fe.site = (uint8_t)i;
			fe.u.pod = &w->site[i].pod[p].api;
			op_event(k, &fe, false);
		}
	}
	for (i = 0; i < w->nsites; i++)
		deploy_tell(k, i);
	record_in(k, &w->api.rec, &w->api.grant, &w->api.seen);
	memset(&fe, 0, sizeof(fe));
	fe.type = E_SYNCED;
	fe.u.synced = true;
	op_event(k, &fe, false);
}

static void
forget_links(struct op *o)
{
	memset(o->link, 0, sizeof(o->link));
	memset(o->link_down_at, 0, sizeof(o->link_down_at));
}

/* Other numbers in the spec: the state stays. */
void
op_conf(void)
{
	struct fsm_event fe = { .type = E_CONF };
	int k;

	for (k = 0; k < OPS; k++) {
		if (!w->op[k].up)
			continue;
		w->op[k].c = w->c;
		op_event(k, &fe, false);
	}
}

/* Another spec in a running operator: a new state, told what is known. */
void
op_restart_core(int k)
{
	struct op *o = &w->op[k];
	struct fsm_event fe = { .type = E_LEASE };
	uint64_t seq = o->s.seq;

	o->c = w->c;
	o->rec_known = false;
	forget_links(o);
	memset(o->known, 0, sizeof(o->known));
	fsm_init(&o->s, w->now);
	o->s.seq = seq;
	if (!o->cut_api && !w->api.down)
		op_pods(k);
	elect_event(o, &fe);
	op_event(k, &fe, false);
}

void
op_start(int k)
{
	struct op *o = &w->op[k];
	struct ev e;
	int i;

	o->up = true;
	o->back_at = 0;
	o->life++;
	o->holds = false;
	o->wake = 0;
	forget_links(o);
	o->c = w->c;
	o->rec_known = false;
	memset(o->known, 0, sizeof(o->known));
	fsm_init(&o->s, w->now);
	if (!o->cut_api && !w->api.down)
		op_pods(k);
	for (i = 0; i < w->nsites; i++) {
		memset(&e, 0, sizeof(e));
		e.kind = K_PROBE;
		e.op = (uint8_t)k;
		e.site = (uint8_t)i;
		e.life = o->life;
		push(&e, rnd(300));
	}
	elect_start(k);
}

bool
op_reaches_api(const struct op *o)
{
	return o->up && !o->cut_api && !w->api.down;
}

/* What comes for a frozen operator comes again. */
bool
op_frozen(const struct ev *q)
{
	struct ev e = *q;

	if (!w->op[q->op].frozen)
		return false;
	push(&e, FROZEN_MS);
	return true;
}

/* The record, by a quorum read. */
void
op_record(int k)
{
	record_in(k, &w->api.rec, &w->api.grant, &w->api.seen);
}

static void
sql_in(const struct ev *q)
{
	struct fsm_event fe = q->fe;

	op_event(q->op, &fe, true);
}

static void
probe_start(const struct ev *q)
{
	struct ev e = *q;

	e.kind = K_PROBE_AT;
	e.probe.sent_ms = w->now;
	push(&e, 1 + rnd(10));
	if (q->extra)
		return;
	e = *q;
	push(&e, w->c.poll_ms);
}

/* A message for an operator; one that has died since gets none. */
void
op_in(const struct ev *q)
{
	struct op *o = &w->op[q->op];
	struct fsm_event fe;

	if (!o->up || o->life != q->life || op_frozen(q))
		return;
	memset(&fe, 0, sizeof(fe));
	fe.site = q->site;
	switch ((enum ev_kind)q->kind) {
	case K_PROBE:
		probe_start(q);
		break;
	case K_PROBE_IN:
		probe_in(q);
		break;
	case K_SQL_IN:
		sql_in(q);
		break;
	case K_ACK_IN:
		fe = q->fe;
		op_event(q->op, &fe, false);
		break;
	case K_REC_IN:
		record_in(q->op, &q->rec, &q->grant, &q->seen);
		break;
	case K_POD_IN:
		if (o->cut_api || q->script != o->watch)
			break;
		fe.type = E_POD;
		fe.u.pod = &q->pod;
		op_event(q->op, &fe, false);
		break;
	case K_ROLLOUT_IN:
		if (o->cut_api || q->script != o->watch)
			break;
		fe = q->fe;
		op_event(q->op, &fe, false);
		break;
	case K_LOST_IN:
		fe.type = E_CONN_LOST;
		op_event(q->op, &fe, false);
		break;
	case K_WAKE:
		if (o->wake == 0 || w->now < o->wake)
			break;
		o->wake = 0;
		fe.type = E_TICK;
		op_event(q->op, &fe, false);
		break;
	case K_MSG_OP:
		msg_op(q);
		break;
	case K_MSG_CAR:
	case K_PROBE_AT:
	case K_SQL_AT:
	case K_GRANT_AT:
	case K_PUT_AT:
	case K_POD_AT:
	case K_ROLL_AT:
	case K_LEASE:
	case K_WORLD:
	case K_SCRIPT:
		break;
	}
}
