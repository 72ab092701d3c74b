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

/* See mk.h. */

#include <stdio.h>
#include <string.h>

#include "mk.h"

static void
mk_site(struct mk *m, uint8_t i)
{
	struct fsm_site *t = &m->s.site[i];
	struct fsm_pod *p = &t->pod[0];

	snprintf(m->c.site[i].name, sizeof(m->c.site[i].name), "%c", 'a' + i);
	t->state = SS_READ_ONLY;
	t->ever = true;
	t->seen_ms = NOW - 500;
	t->p.ok = true;
	t->p.sent_ms = t->read_ms = NOW - 600;
	t->counted_ms = t->p.sent_ms;
	snprintf(t->p.pod_uid, sizeof(t->p.pod_uid), "pod-%c", 'a' + i);
	snprintf(
	    t->p.server_uuid, sizeof(t->p.server_uuid), "uuid-%c", 'a' + i);
	t->p.start_ms = START;
	t->p.clock_ms = WALL - 500;
	t->p.read_only = t->p.super_read_only = true;
	t->p.user_schemas = true;
	t->p.has_repl = i > 0;
	t->p.io = i > 0 ? IO_YES : IO_NO;
	t->p.sql = i > 0;
	t->p.source = i > 0 ? 0 : FSM_NONE;
	t->lead_clock_ms = WALL - 100000;
	t->repl_streak = 2;
	t->conv = CV_CONVERGED;
	memcpy(p->pod_uid, t->p.pod_uid, sizeof(p->pod_uid));
	p->finalizer = true;
	p->ctr_state = CTR_RUNNING;
	snprintf(p->container_id, sizeof(p->container_id), "ctr-%c", 'a' + i);
	p->started_ms = START - 1000;
}

void
mk_group(struct mk *m)
{
	struct fsm_epoch *e;
	uint8_t i;

	memset(m, 0, sizeof(*m));
	m->now = NOW;
	m->c.nsites = 3;
	m->c.creds = true;
	m->c.failure_threshold = 3;
	m->c.recovery_threshold = 2;
	m->c.poll_ms = 2000;
	m->c.cooldown_ms = 300000;
	m->c.clone_ms = 3600000;
	m->c.drain_ms = 30000;
	m->c.max_lag_s = m->c.reader_max_lag_s = 300;
	fsm_init(&m->s, NOW - 500000);
	m->s.now_ms = NOW;
	m->s.wall_ms = WALL;
	m->s.lease_held = true;
	m->s.lease_deadline_ms = NOW + 10000;
	m->s.lease_since_ms = NOW - 400000;
	m->s.seen_put_ms = NOW;
	m->s.synced = m->s.rec_known = m->s.put_term = true;
	for (i = 0; i < m->c.nsites; i++)
		mk_site(m, i);
	m->s.site[0].state = SS_WRITABLE;
	m->s.site[0].p.read_only = m->s.site[0].p.super_read_only = false;
	m->s.rec.version = 7;
	m->s.rec.epoch = 5;
	m->s.rec.active = 0;
	memcpy(m->s.rec.server_uuid, m->s.site[0].p.server_uuid,
	    sizeof(m->s.rec.server_uuid));
	m->s.rec.n = 1;
	e = &m->s.rec.unended[0];
	e->epoch = 5;
	e->site = 0;
	memcpy(
	    e->proc.pod_uid, m->s.site[0].p.pod_uid, sizeof(e->proc.pod_uid));
	memcpy(e->proc.container_id, m->s.site[0].pod[0].container_id,
	    sizeof(e->proc.container_id));
	memcpy(e->proc.server_uuid, m->s.site[0].p.server_uuid,
	    sizeof(e->proc.server_uuid));
	e->proc.start_ms = START;
	m->s.rel.known = m->s.rel.drained = 7;
	m->s.rel.has_grant = m->s.rel.has_seen = 7;
	m->s.rel.record_known = true;
	for (i = 0; i < 3; i++)
		m->s.rel.all_all[i] = m->s.rel.exec_all[i] =
		    m->s.rel.shares[i] = 7;
	m->s.matrix_said = MX_HEALTHY;
	m->s.verdict = V_HEALTHY;
	m->s.subject = 0;
}

/* Every site has a guard and a voter; a holds the lease of epoch 5. */
void
mk_guarded(struct mk *m)
{
	struct fsm_epoch *e = &m->s.rec.unended[0];
	uint8_t i;

	m->c.require_guard = true;
	m->c.lease_ms = 20000;
	m->c.check_ms = 5000;
	for (i = 0; i < m->c.nsites; i++)
		mk_guard(m, i);
	m->s.site[0].g.read_only = false;
	m->s.site[0].g.held = 5;
	e->terms = (struct lease_terms) { .epoch = 5,
		.guard = 1000,
		.incarnation = 1,
		.lease_ms = 20000,
		.fence_ms = 1000,
		.n = 3,
		.r = 2,
		.voter = { LEASE_OPERATOR, 101, 102 } };
	memset(e->voter_site, FSM_NONE, sizeof(e->voter_site));
	e->voter_site[1] = 1;
	e->voter_site[2] = 2;
	m->s.offered = 5;
	m->s.offer_next_ms = INT64_MAX;
}

void
mk_update(struct mk *m)
{
	struct fsm_site *t;
	uint8_t i;

	mk_guarded(m);
	for (i = 0; i < m->c.nsites; i++) {
		t = &m->s.site[i];
		t->want = t->have = t->well_hash = t->pod[0].hash = 6;
		t->pod[0].ready = true;
		t->fit_ms = NOW - 60000;
		t->g.yes_epoch = i > 0 ? 5 : 0;
		t->g.yes_age_ms = i > 0 ? 200 : -1;
	}
	m->s.auth[0].yes_ms = NOW - 200;
}

/* Site i's guard and sidecar have just reported that all is well. */
void
mk_guard(struct mk *m, uint8_t i)
{
	struct fsm_site *t = &m->s.site[i];
	struct fsm_guard *g = &t->g;

	memset(g, 0, sizeof(*g));
	memcpy(g->pod_uid, t->p.pod_uid, sizeof(g->pod_uid));
	memcpy(g->server_uuid, t->p.server_uuid, sizeof(g->server_uuid));
	g->start_ms = t->p.start_ms;
	g->memory = 100U + i;
	g->yes_age_ms = -1;
	g->read_age_ms = 100;
	g->running = g->read_only = true;
	g->guard = 1000U + i;
	g->incarnation = 1;
	t->link_up = true;
	t->g_ms = t->guard_ms = m->now - 100;
	t->voter_ms = m->now - 100000;
}

/* It falls silent: its link is down. */
void
mk_silent(struct mk *m, uint8_t i)
{
	m->s.site[i].link_up = false;
	m->s.site[i].voter_ms = 0;
}

/* A report. */
void
mk_says(struct mk *m, uint8_t i, const struct fsm_guard *g)
{
	struct fsm_event ev = { .type = E_GUARD, .site = i, .u.guard = g };

	mk_step(m, &ev);
}

/* All links go on for ms, in steps of 400: reports as they were. */
void
mk_pass(struct mk *m, int64_t ms)
{
	struct fsm_guard g;
	int64_t end = m->now + ms;
	uint8_t i;

	while (m->now < end) {
		m->now += 400;
		for (i = 0; i < m->c.nsites; i++) {
			if (!m->s.site[i].link_up)
				continue;
			g = m->s.site[i].g;
			mk_says(m, i, &g);
		}
		m->s.lease_deadline_ms = m->now + 10000;
	}
	mk_step(m, NULL);
}

void
mk_promise(struct mk *m, uint8_t i, uint64_t voter, uint64_t epoch, int64_t age)
{
	struct fsm_event ev = { .type = E_PROMISE, .site = i };

	ev.u.promise.voter = voter;
	ev.u.promise.epoch = epoch;
	ev.u.promise.age_ms = age;
	ev.u.promise.lease_ms = m->voter_lease_ms;
	mk_step(m, &ev);
}

void
mk_state(struct mk *m, uint8_t i, enum site_state st)
{
	struct fsm_site *t = &m->s.site[i];

	t->state = (uint8_t)st;
	if (st == SS_UNREACHABLE) {
		t->fails = 3;
		t->suspect = true;
		t->fail_since_ms = NOW - 6000;
		t->seen_ms = NOW - 7000;
		t->p.clock_ms = WALL - 7000;
		t->p.sent_ms = t->read_ms = NOW - 7100;
	}
	if (st == SS_UNKNOWN)
		t->ever = false;
	if (st == SS_READ_ONLY)
		t->p.read_only = t->p.super_read_only = true;
	if (st == SS_WRITABLE)
		t->p.read_only = t->p.super_read_only = false;
}

void
mk_sets(struct mk *m, uint8_t i, int how)
{
	struct fsm_rel *r = &m->s.rel;
	uint8_t j;

	for (j = 0; j < m->c.nsites; j++) {
		if (j == i)
			continue;
		if (how == 1 || how == 2) /* the others lack some of i */
			r->all_all[j] &= (uint16_t)~BIT(i);
		if (how == -1 || how == 2) /* i lacks some of theirs */
			r->all_all[i] &= (uint16_t)~BIT(j);
		r->exec_all[i] &= r->all_all[i];
		r->exec_all[j] &= r->all_all[j];
	}
}

/* The kubelet: container of site i's process ended a second ago. */
void
mk_word(struct mk *m, uint8_t i)
{
	struct fsm_pod p = m->s.site[i].pod[0];

	p.nwords = 1;
	memcpy(p.word[0].container_id, p.container_id,
	    sizeof(p.word[0].container_id));
	p.word[0].started_ms = p.started_ms;
	p.word[0].finished_ms = (WALL - 6000) / 1000 * 1000;
	p.word[0].guard = m->s.site[i].g.guard;
	p.ctr_state = CTR_TERMINATED;
	mk_pod(m, i, &p);
}

void
mk_pod(struct mk *m, uint8_t i, struct fsm_pod *p)
{
	struct fsm_out out = { .n = 0 };
	struct fsm_ctx x = { .c = &m->c, .s = &m->s, .o = &out, .now = NOW };

	fsm_proof_pod(&x, i, p);
}

void
mk_fenced(struct mk *m, uint8_t i)
{
	m->s.site[i].p.read_only = m->s.site[i].p.super_read_only = true;
}

int
mk_verdict(const struct mk *m)
{
	struct fsm_decision d;

	fsm_decide(&m->c, &m->s, &d);
	return d.verdict;
}

void
mk_step(struct mk *m, struct fsm_event *ev)
{
	struct fsm_event tick = { .type = E_TICK };

	fsm_step(&m->c, &m->s, ev != NULL ? ev : &tick, m->now,
	    WALL + m->now - NOW, &m->o);
}

const struct fsm_act *
mk_act(const struct mk *m, enum fsm_act_type type, int kind)
{
	const struct fsm_act *a;
	unsigned k;

	for (k = 0; k < m->o.n; k++) {
		a = &m->o.act[k];
		if (a->type != type)
			continue;
		if (kind == -1 || (type == A_SQL && a->kind == kind) ||
		    ((type == A_EVENT || type == A_LOG) && a->text == kind))
			return a;
	}
	return NULL;
}

unsigned
mk_acts(const struct mk *m, enum fsm_act_type type, int kind)
{
	const struct fsm_act *a;
	unsigned k, n = 0;

	for (k = 0; k < m->o.n; k++) {
		a = &m->o.act[k];
		n += a->type == type &&
		    (kind == -1 || (type == A_SQL && a->kind == kind) ||
			((type == A_EVENT || type == A_LOG) &&
			    a->text == kind));
	}
	return n;
}

void
mk_answer(struct mk *m, uint8_t site, const struct fsm_act *a, enum sql_end end,
    bool ro)
{
	const struct fsm_probe *p = &m->s.site[site].p;
	struct fsm_event ev = { .type = E_SQL_DONE, .site = site };

	ev.u.sql.seq = a->seq;
	ev.u.sql.kind = a->kind;
	ev.u.sql.end = (uint8_t)end;
	memcpy(ev.u.sql.pod_uid, p->pod_uid, sizeof(ev.u.sql.pod_uid));
	memcpy(
	    ev.u.sql.server_uuid, p->server_uuid, sizeof(ev.u.sql.server_uuid));
	ev.u.sql.start_ms = p->start_ms;
	ev.u.sql.clock_ms = WALL + m->now - NOW;
	ev.u.sql.flags_read = end == SE_DONE;
	ev.u.sql.read_only = ev.u.sql.super_read_only = ro;
	mk_step(m, &ev);
}

void
mk_probe(struct mk *m, uint8_t site)
{
	struct fsm_probe p = m->s.site[site].p;
	struct fsm_event ev = { .type = E_PROBE, .site = site, .u.probe = &p };

	m->now += 10;
	p.sent_ms = m->now - 5;
	mk_step(m, &ev);
}

void
mk_written(struct mk *m, const struct fsm_record *put)
{
	struct fsm_record r = *put;
	struct fsm_event ev = { .type = E_RECORD, .u.record = &r };

	r.version++;
	mk_step(m, &ev);
}

void
mk_ack(struct mk *m, uint64_t seq, bool ok)
{
	struct fsm_event ev = { .type = E_ACK };

	ev.u.ack.seq = seq;
	ev.u.ack.ok = ok;
	mk_step(m, &ev);
}

void
mk_lease(struct mk *m, bool held)
{
	struct fsm_event ev = { .type = E_LEASE };

	ev.u.lease.held = held;
	ev.u.lease.deadline_ms = held ? m->now + 10000 : 0;
	mk_step(m, &ev);
}

void
mk_read(struct mk *m, const struct fsm_record *r)
{
	struct fsm_event ev = { .type = E_RECORD, .u.record = r };

	mk_step(m, &ev);
}
