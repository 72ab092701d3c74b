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
 * Sidecars, and the links between them and the operators. A message that is
 * under way when its link is cut is lost; a cut is noticed late, the end of a
 * process at once.
 */

#include <stdio.h>
#include <string.h>

#include "sim.h"

#define BEAT_MS 500

static int64_t
delay(void)
{
	return w->slow_net ? 100 + rnd(700) : 1 + rnd(20);
}

/* A path between that operator and that site's sidecar. */
bool
car_link(const struct op *o, int i)
{
	return o->up && i < o->c.nsites && w->site[i].car.up &&
	    op_reaches(o, i) && !w->site[i].cut_link;
}

static bool
car_path(int i, int j)
{
	const struct site *a = &w->site[i], *b = &w->site[j];

	return a->car.up && b->car.up && !a->node_off && !b->node_off &&
	    !a->cut_site[j] && !a->cut_car[j];
}

static void
to_op(int k, int i, const struct link_msg *m)
{
	struct ev e;

	if (!w->op[k].link[i] || !car_link(&w->op[k], i))
		return;
	memset(&e, 0, sizeof(e));
	e.kind = K_MSG_OP;
	e.op = (uint8_t)k;
	e.site = (uint8_t)i;
	e.life = w->op[k].life;
	e.proc = w->site[i].car.life;
	e.msg = *m;
	push(&e, delay());
}

/* from: a site, or OPS-th operators as 0xf0 + k. */
#define FROM_OP 0xf0

static void
to_car(int i, uint8_t from, const struct link_msg *m)
{
	struct ev e;

	memset(&e, 0, sizeof(e));
	e.kind = K_MSG_CAR;
	e.site = (uint8_t)i;
	e.life = w->site[i].car.life;
	e.msg = *m;
	e.msg.from = from;
	push(&e, delay());
}

/* ---------------------------------------------------------- a sidecar ---- */

void
car_start(int i)
{
	struct site *s = &w->site[i];
	struct volume *v = &s->v;
	bool remembers = v->mem_id != 0;

	if (!remembers)
		v->mem_id = random_id();
	s->car.up = true;
	s->car.life++;
	s->car.beat_at = 0;
	s->car.word_at = 0;
	lease_voter_init(&s->car.v, v->mem_id, remembers, v->mem_promised,
	    v->mem_heard, boot_clock(i));
}

void
car_die(int i)
{
	struct site *s = &w->site[i];
	int k;

	if (!s->car.up)
		return;
	s->car.up = false;
	s->car.life++;
	s->car.back_at = w->now + 500 + rnd(1500);
	for (k = 0; k < OPS; k++)
		w->op[k].link_down_at[i] = w->now + 5;
}

/* Durable before anybody hears of it. */
static void
remember(int i)
{
	w->site[i].v.mem_promised = w->site[i].car.v.promised;
	w->site[i].v.mem_heard = w->site[i].car.v.heard;
}

/* The longest that it heard of, before the first yes. */
static void
remember_lease(int i, const struct lease_terms *t)
{
	struct volume *v = &w->site[i].v;

	if (t->lease_ms > v->mem_lease_ms)
		v->mem_lease_ms = t->lease_ms;
}

static void
fill_report(int i, struct fsm_guard *f)
{
	struct site *s = &w->site[i];
	const struct lease_voter *v = &s->car.v;
	int64_t newest = LEASE_NEVER;
	int k;

	memset(f, 0, sizeof(*f));
	memcpy(f->pod_uid, s->pod[s->cur].real.pod_uid, sizeof(f->pod_uid));
	f->memory = v->id;
	f->promised = v->promised;
	f->heard = v->heard;
	f->yes_age_ms = f->read_age_ms = -1;
	for (k = 0; k < LEASE_YES_MAX; k++)
		if (v->yes[k].epoch != 0 && v->yes[k].ms > newest) {
			newest = v->yes[k].ms;
			f->yes_epoch = v->yes[k].epoch;
			f->yes_age_ms = boot_clock(i) - newest;
		}
	guard_says(i, f);
}

/*
 * The newest word of another operator than k, in a report to that one. One
 * whose link is down has taken its word with it.
 */
static void
add_sight(int i, int k, struct fsm_guard *f)
{
	const struct car *c = &w->site[i].car;
	int64_t age;
	int o;

	memset(&f->sight, 0, sizeof(f->sight));
	for (o = 0; o < OPS; o++) {
		if (o == k || c->sight[o].pod_uid[0] == '\0' ||
		    !w->op[o].link[i])
			continue;
		age = c->sight[o].age_ms + w->now - c->sight_at[o];
		if (f->sight.pod_uid[0] != '\0' && f->sight.age_ms <= age)
			continue;
		f->sight = c->sight[o];
		f->sight.age_ms = age;
	}
}

/* To every operator that is connected. */
void
car_report(int i)
{
	struct site *s = &w->site[i];
	struct link_msg m;
	int k;

	if (!s->car.up || s->cur == -1)
		return;
	memset(&m, 0, sizeof(m));
	m.kind = M_REPORT;
	fill_report(i, &m.says);
	s->car.word = m.says;
	s->car.beat_at = w->now + BEAT_MS;
	for (k = 0; k < OPS; k++) {
		add_sight(i, k, &m.says);
		to_op(k, i, &m);
	}
}

static bool
is_news(const struct fsm_guard *a, const struct fsm_guard *b)
{
	return a->guard != b->guard || a->incarnation != b->incarnation ||
	    a->running != b->running || a->ended != b->ended ||
	    a->hung != b->hung || a->read_only != b->read_only ||
	    a->held != b->held || a->revoked != b->revoked ||
	    (a->start_ms == 0) != (b->start_ms == 0);
}

void
car_tick(int i)
{
	struct site *s = &w->site[i];
	struct fsm_guard f;

	if (w->bare)
		return;
	if (s->node_off && s->car.up)
		car_die(i);
	if (!s->car.up) {
		if (w->now >= s->car.back_at && !s->car.held && !s->node_off &&
		    s->cur != -1 && !s->pod[s->cur].api.deleting)
			car_start(i);
		return;
	}
	fill_report(i, &f);
	if (w->now >= s->car.beat_at || is_news(&f, &s->car.word))
		car_report(i);
}

/* ------------------------------------------------------------ questions -- */

static int
site_of_voter(uint64_t id)
{
	int j;

	for (j = 0; j < w->nsites; j++)
		if (w->site[j].car.up && w->site[j].car.v.id == id)
			return j;
	return -1;
}

/* The guard's question goes through its own sidecar. */
void
ask_voters(int i, const struct lease_hold *h, uint64_t nonce)
{
	struct link_msg m;
	int j, k, n;

	if (h->t.epoch == 0 || !w->site[i].car.up)
		return;
	memset(&m, 0, sizeof(m));
	m.epoch = h->t.epoch;
	m.guard = w->site[i].guard.l.id;
	m.incarnation = w->site[i].guard.l.incarnation;
	m.nonce = nonce;
	m.terms = h->t;
	for (n = 0; n < h->t.n; n++) {
		if (h->t.voter[n] == LEASE_OPERATOR) {
			m.kind = M_ASK_OP;
			for (k = 0; k < OPS; k++)
				to_op(k, i, &m);
			continue;
		}
		m.kind = M_ASK;
		j = site_of_voter(h->t.voter[n]);
		if (j != -1 && car_path(i, j))
			to_car(j, (uint8_t)i, &m);
	}
}

static void
answer(int i, const struct link_msg *q)
{
	struct car *c = &w->site[i].car;
	struct link_msg m = *q;

	if (!lease_voter_ask(
		&c->v, &q->terms, q->guard, q->incarnation, boot_clock(i)))
		return;
	remember(i);
	remember_lease(i, &q->terms);
	m.kind = M_YES;
	m.voter = c->v.id;
	if (car_path(i, q->from))
		to_car(q->from, (uint8_t)i, &m);
}

static void
promise(int i, const struct link_msg *q)
{
	struct car *c = &w->site[i].car;
	struct link_msg m;

	memset(&m, 0, sizeof(m));
	m.kind = M_PROMISE;
	m.epoch = q->epoch;
	m.voter = c->v.id;
	m.age = lease_voter_promise(&c->v, q->epoch, boot_clock(i));
	m.lease_ms = w->site[i].v.mem_lease_ms;
	remember(i);
	to_op(q->from - FROM_OP, i, &m);
	car_report(i);
}

static void
revoke(int i, uint64_t epoch)
{
	struct guard *g = &w->site[i].guard;

	if (!g->there || g->stopped || g->frozen)
		return;
	lease_guard_revoke(&g->l, epoch, boot_clock(i));
	guard_run(i);
	car_report(i);
}

/* A message has reached site i's sidecar. */
void
msg_car(const struct ev *q)
{
	int i = q->site;
	struct car *c = &w->site[i].car;

	if (!c->up || c->life != q->life)
		return;
	if (q->msg.from >= FROM_OP) {
		if (!car_link(&w->op[q->msg.from - FROM_OP], i))
			return;
	} else if (!car_path(i, q->msg.from)) {
		return;
	}
	switch (q->msg.kind) {
	case M_OFFER:
		lease_voter_told(&c->v, q->msg.epoch);
		remember(i);
		remember_lease(i, &q->msg.terms);
		guard_offer(i, &q->msg.terms);
		break;
	case M_REVOKE:
		revoke(i, q->msg.epoch);
		break;
	case M_PROMISE_ASK:
		promise(i, &q->msg);
		break;
	case M_RENEW:
		guard_yes(i, q->msg.epoch, q->msg.nonce, LEASE_OPERATOR);
		break;
	case M_SIGHT:
		c->sight[q->msg.from - FROM_OP] = q->msg.says.sight;
		c->sight_at[q->msg.from - FROM_OP] = w->now;
		break;
	case M_ASK:
		answer(i, &q->msg);
		break;
	case M_YES:
		guard_yes(i, q->msg.epoch, q->msg.nonce, q->msg.voter);
		break;
	case M_REPORT:
	case M_PROMISE:
	case M_ASK_OP:
		break;
	}
}

/* --------------------------------------------------------- operators ----- */

/* A message has reached an operator. */
void
msg_op(const struct ev *q)
{
	struct op *o = &w->op[q->op];
	struct fsm_event fe;

	if (!o->up || o->life != q->life || !o->link[q->site] ||
	    w->site[q->site].car.life != q->proc || !car_link(o, q->site))
		return;
	memset(&fe, 0, sizeof(fe));
	fe.site = q->site;
	switch (q->msg.kind) {
	case M_REPORT:
		fe.type = E_GUARD;
		fe.u.guard = &q->msg.says;
		break;
	case M_PROMISE:
		fe.type = E_PROMISE;
		fe.u.promise.voter = q->msg.voter;
		fe.u.promise.epoch = q->msg.epoch;
		fe.u.promise.age_ms = q->msg.age;
		fe.u.promise.lease_ms = q->msg.lease_ms;
		break;
	case M_ASK_OP:
		fe.type = E_ASK;
		fe.u.ask.epoch = q->msg.epoch;
		fe.u.ask.guard = q->msg.guard;
		fe.u.ask.incarnation = q->msg.incarnation;
		fe.u.ask.nonce = q->msg.nonce;
		break;
	case M_OFFER:
	case M_REVOKE:
	case M_PROMISE_ASK:
	case M_RENEW:
	case M_SIGHT:
	case M_ASK:
	case M_YES:
		return;
	}
	op_event(q->op, &fe, false);
}

static void
offer(int k, const struct fsm_act *a)
{
	const struct op *o = &w->op[k];
	const struct fsm_epoch *e = NULL;
	struct link_msg m;
	int n;

	for (n = 0; n < o->s.rec.n; n++)
		if (o->s.rec.unended[n].epoch == a->epoch)
			e = &o->s.rec.unended[n];
	if (e == NULL)
		return;
	memset(&m, 0, sizeof(m));
	m.kind = M_OFFER;
	m.epoch = a->epoch;
	m.terms = e->terms;
	if (car_link(o, a->site))
		to_car(a->site, (uint8_t)(FROM_OP + k), &m);
	for (n = 0; n < e->terms.n; n++)
		if (e->voter_site[n] < w->nsites &&
		    car_link(o, e->voter_site[n]))
			to_car(e->voter_site[n], (uint8_t)(FROM_OP + k), &m);
}

/* What the core says to a sidecar. */
void
op_sends(int k, const struct fsm_act *a)
{
	struct link_msg m;

	if (op_clock(&w->op[k]) >= a->valid_until_ms)
		return;
	if (a->type == A_RENEW)
		check_yes(k);
	if (a->type == A_OFFER) {
		offer(k, a);
		return;
	}
	memset(&m, 0, sizeof(m));
	m.kind = a->type == A_REVOKE ? M_REVOKE :
	    a->type == A_PROMISE_ASK ? M_PROMISE_ASK :
				       M_RENEW;
	m.epoch = a->epoch;
	m.nonce = a->nonce;
	if (w->op[k].link[a->site] && car_link(&w->op[k], a->site))
		to_car(a->site, (uint8_t)(FROM_OP + k), &m);
}

static void
set_link(int k, int i, bool up)
{
	struct fsm_event fe = { .type = E_LINK, .site = (uint8_t)i };

	w->op[k].link[i] = up;
	w->op[k].link_down_at[i] = 0;
	fe.u.link_up = up;
	op_event(k, &fe, false);
	if (up)
		car_report(i);
}

/* What this operator sees of the active site, to every sidecar. */
static void
tell_sight(int k)
{
	struct op *o = &w->op[k];
	struct link_msg m;
	int i;

	if (w->now < o->sight_at)
		return;
	o->sight_at = w->now + BEAT_MS;
	memset(&m, 0, sizeof(m));
	m.kind = M_SIGHT;
	(void)fsm_sight(&o->c, &o->s, op_clock(o), &m.says.sight);
	for (i = 0; i < w->nsites; i++)
		if (o->link[i] && car_link(o, i))
			to_car(i, (uint8_t)(FROM_OP + k), &m);
}

/* Connections come back within a moment; a cut one is given up after 2 s. */
void
op_links(int k)
{
	struct op *o = &w->op[k];
	int i;

	for (i = 0; o->up && !w->bare && i < w->nsites; i++) {
		if (!o->link[i]) {
			if (car_link(o, i) && chance(30))
				set_link(k, i, true);
			continue;
		}
		if (car_link(o, i)) {
			if (o->link_down_at[i] != 0 &&
			    w->now >= o->link_down_at[i])
				set_link(k, i, false); /* it was restarted */
			continue;
		}
		if (o->link_down_at[i] == 0)
			o->link_down_at[i] = w->now + 1500 + rnd(1000);
		else if (w->now >= o->link_down_at[i])
			set_link(k, i, false);
	}
	if (o->up && !w->bare) {
		tell_sight(k);
		elect_look(k);
	}
}
