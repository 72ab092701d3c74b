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

/* What gtid.c makes of the sets that were read last, while they are the same. */
struct parsed {
	struct gset g;
	bool valid;
	struct gtid_set s;
};
struct server_sets {
	struct parsed exec, recv;
	struct gtid_set all;
};

static void
parse(const struct gset *g, struct gtid_set *s)
{
	static char buf[8192];

	gs_text(g, buf, sizeof(buf));
	if (gtid_parse(s, buf) == -1)
		abort();
}

/* True when it is another one than before. */
static bool
parsed(struct parsed *p, const struct gset *g)
{
	if (p->valid && gs_equal(&p->g, g))
		return false;
	p->g = *g;
	p->valid = true;
	parse(g, &p->s);
	return true;
}

static const struct server_sets *
server_sets(const struct op *o, int i)
{
	static struct server_sets sets[OPS][SITES_MAX];
	struct server_sets *t = &sets[o - w->op][i];
	bool exec = parsed(&t->exec, &o->e[i]),
	     recv = parsed(&t->recv, &o->r[i]);

	if ((exec || recv) && gtid_union(&t->all, &t->exec.s, &t->recv.s) == -1)
		abort();
	return t;
}

/* Those of the record. */
static void
record_relations(
    const struct op *o, const struct server_sets **t, struct fsm_rel *rel)
{
	static struct parsed grant[OPS], seen[OPS];
	struct parsed *g = &grant[o - w->op], *s = &seen[o - w->op];
	int i;

	(void)parsed(g, &o->grant);
	(void)parsed(s, &o->seen);
	rel->record_known = true;
	rel->grant_empty = gtid_empty(&g->s);
	for (i = 0; i < w->nsites; i++) {
		if (!o->known[i])
			continue;
		if (gtid_contains(&t[i]->exec.s, &g->s))
			rel->has_grant |= (uint16_t)(1U << i);
		if (gtid_contains(&t[i]->exec.s, &s->s))
			rel->has_seen |= (uint16_t)(1U << i);
	}
	i = o->s.rec.active;
	if (i < w->nsites && o->known[i])
		rel->seen_stale = !gtid_equal(&t[i]->exec.s, &s->s);
}

static void
relations(const struct op *o, struct fsm_rel *rel)
{
	const struct server_sets *t[SITES_MAX] = { NULL };
	int i, j;

	memset(rel, 0, sizeof(*rel));
	for (i = 0; i < w->nsites; i++) {
		if (!o->known[i])
			continue;
		t[i] = server_sets(o, i);
		rel->known |= (uint16_t)(1U << i);
		if (gtid_contains(&t[i]->exec.s, &t[i]->recv.s))
			rel->drained |= (uint16_t)(1U << i);
		if (gtid_empty(&t[i]->all))
			rel->empty |= (uint16_t)(1U << i);
	}
	for (i = 0; i < w->nsites; i++)
		for (j = 0; j < w->nsites; j++) {
			if (!o->known[i] || !o->known[j])
				continue;
			if (gtid_contains(&t[i]->all, &t[j]->all))
				rel->all_all[i] |= (uint16_t)(1U << j);
			if (gtid_contains(&t[i]->exec.s, &t[j]->all))
				rel->exec_all[i] |= (uint16_t)(1U << j);
			if (gtid_shares_uuid(&t[i]->all, &t[j]->all))
				rel->shares[i] |= (uint16_t)(1U << j);
		}
	if (o->rec_known)
		record_relations(o, t, rel);
}

/* ------------------------------------------------------------- actions --- */

static void
act_put(struct op *o, int k, const struct fsm_out *out, const struct fsm_act *a)
{
	static struct fsm_record put;
	struct ev e;

	memset(&e, 0, sizeof(e));
	e.kind = K_PUT_AT;
	e.op = (uint8_t)k;
	e.life = o->life;
	e.act = *a;
	put = out->put;
	told_put(o, &put);
	e.rec = &put;
	e.promotion = out->put_promotion;
	if (e.promotion)
		check_choice(k, put.active);
	e.put_grant = out->put_grant;
	e.put_seen = out->put_seen;
	if (e.put_grant != FSM_NONE)
		e.grant = o->e[e.put_grant];
	if (e.put_seen != FSM_NONE)
		e.seen = o->e[e.put_seen];
	push(&e, 2 + rnd(20));
}

/* A leader acts on a human's word about that epoch, be it true or not. */
static void
believe(uint64_t epoch)
{
	int i;

	for (i = 0; i < w->nsites; i++)
		if (w->site[i].p.lied == epoch && epoch != 0)
			w->site[i].p.believed = true;
}

static void
act_log(const struct op *o, int k, const struct fsm_act *a)
{
	char buf[1024];

	if (a->text == T_EPOCH_ENDED && o->holds)
		w->ended[a->proof]++;
	if (a->text == T_ASSERT_OK && o->holds)
		believe(a->epoch);
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
		if (a->type != A_PROBE_NOW)
			e.act = *a;
		e.script = w->api.by_hand;
		e.promotable = a->site < o->c.nsites &&
		    o->c.site[a->site].role == ROLE_CANDIDATE;
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
		case A_ANNOTATION_DEL:
			words_judged(k, a);
			break;
		case A_EVENT:
			if (a->text == T_NO_PROOF)
				w->no_proof = *a;
			break;
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
	push(&e, op_wait(o, o->wake));
}

void
op_event(int k, struct fsm_event *ev, bool rel)
{
	static struct fsm_out out;
	struct fsm_rel r;
	struct op *o = &w->op[k];

	if (!told_event(o, ev))
		return;
	if (rel) {
		relations(o, &r);
		ev->rel = &r;
	}
	fsm_step(&o->c, &o->s, ev, op_clock(o),
	    1700000000000LL + w->now + o->clock_off, &out);
	carry_out(o, k, &out);
	fsm_view(&o->c, &o->s, &o->view);
	if (rnd(500) == 0)
		check_sites(k);
	wake_at(o, k);
}

/* --------------------------------------------------------------- inputs -- */

/* That record goes to the core; Pods of other sites may be of use now. */
void
op_record_is(int k, const struct fsm_record *r)
{
	struct fsm_event fe = { .type = E_RECORD };
	struct fsm_record mine;

	told_record(&w->op[k], r, &mine);
	fe.u.record = &mine;
	op_event(k, &fe, true);
	told_foreign(k);
}

static void
record_in(int k, const struct fsm_record *r, const struct gset *grant,
    const struct gset *seen)
{
	struct op *o = &w->op[k];
	struct fsm_record mine;

	told_record(o, r, &mine);
	switch (fsm_reading_of(&o->s, &mine)) {
	case FSM_READ_OLD:
		return;
	case FSM_READ_KEEP:
		trace("op%d keeps what it knows at v%llu", k,
		    (unsigned long long)r->version);
		o->rec.version = r->version;
		break;
	case FSM_READ_TAKE:
		o->rec_known = true;
		o->rec = *r;
		o->grant = *grant;
		o->seen = *seen;
		break;
	}
	op_record_is(k, r);
}

static void
probe_in(const struct ev *q)
{
	struct op *o = &w->op[q->op];
	struct fsm_event fe = { .type = E_PROBE, .site = q->site };

	if (q->site < o->c.nsites && q->probe.ok) {
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

/* One Pod; since when its kubelet is known to be alive, as group_in.c does. */
static void
pod_in(int k, int i, const struct fsm_pod *now)
{
	const struct op *o = &w->op[k];
	struct fsm_event fe = { .type = E_POD, .site = (uint8_t)i };
	const struct fsm_pod *was;
	struct fsm_pod pod = *now;
	int n;

	pod.kubelet_ms = 0;
	for (n = 0; n < PODS; n++) {
		was = i < o->c.nsites ? &o->s.site[i].pod[n] : &o->foreign[n];
		if (strcmp(was->pod_uid, pod.pod_uid) != 0)
			continue;
		pod.kubelet_ms = was->kubelet_ms;
		if (was->ctr_state != pod.ctr_state ||
		    was->started_ms != pod.started_ms ||
		    was->nwords != pod.nwords ||
		    strcmp(was->container_id, pod.container_id) != 0 ||
		    memcmp(was->word, pod.word, sizeof(pod.word)) != 0)
			pod.kubelet_ms = op_clock(o);
	}
	fe.u.pod = &pod;
	op_event(k, &fe, false);
}

/* All Pods as the API server has them. */
void
op_feed_pods(int k)
{
	int i, p;

	for (i = 0; i < w->nsites; i++) {
		pods_gone(k, i);
		for (p = 0; p < PODS; p++) {
			if (w->site[i].pod[p].used)
				pod_in(k, i, &w->site[i].pod[p].api);
		}
	}
}

/* All that there is, after a start or a lost watch. */
void
op_pods(int k)
{
	struct fsm_event fe;
	int i;

	w->op[k].watch++;
	if (w->op[k].group != w->api.group) {
		op_restart_core(k);
		return;
	}
	told_conf(k);
	op_feed_pods(k);
	for (i = 0; i < w->nsites; i++)
		deploy_tell(k, i);
	told_words_again(k);
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

/* Nothing is known any more. */
static void
forget(struct op *o)
{
	o->c = w->c;
	o->group = w->api.group;
	o->rec_known = false;
	memset(&o->rec, 0, sizeof(o->rec));
	memset(o->known, 0, sizeof(o->known));
	memset(o->foreign, 0, sizeof(o->foreign));
	o->words = (struct words) { .override = FSM_NONE };
	forget_links(o);
	fsm_init(&o->s, op_clock(o));
}

/* Another group of that name: a new state, told what is known. */
void
op_restart_core(int k)
{
	struct op *o = &w->op[k];
	struct fsm_event fe = { .type = E_LEASE };
	uint64_t seq = o->s.seq;

	forget(o);
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
	forget(o);
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
	struct ev e;

	if (!w->op[q->op].frozen)
		return false;
	e = *q;
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
	e.probe.sent_ms = op_clock(&w->op[q->op]);
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
		if (q->script == o->group)
			record_in(q->op, q->rec, &q->grant, &q->seen);
		break;
	case K_POD_IN:
		if (o->cut_api || q->script != o->watch)
			break;
		pod_in(q->op, q->site, &q->pod);
		break;
	case K_ROLLOUT_IN:
		if (o->cut_api || q->script != o->watch)
			break;
		fe = q->fe;
		op_event(q->op, &fe, false);
		break;
	case K_CONF_IN:
		if (!o->cut_api && q->script == o->watch)
			told_conf(q->op);
		break;
	case K_WORDS_IN:
		if (!o->cut_api && q->script == o->watch)
			told_words(q->op);
		break;
	case K_LOST_IN:
		fe.type = E_CONN_LOST;
		op_event(q->op, &fe, false);
		break;
	case K_WAKE:
		if (o->wake == 0 || op_clock(o) < o->wake)
			break;
		o->wake = 0;
		fe.type = E_TICK;
		op_event(q->op, &fe, false);
		break;
	case K_MSG_OP:
		msg_op(q);
		break;
	case K_MSG_CAR:
	case K_WORD_AT:
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
