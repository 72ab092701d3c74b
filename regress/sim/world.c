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

/* The world: servers, volumes, replication, and what their nodes do. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

/* Operators' monotonic clocks have nothing in common, nor the same rate. */
int64_t
op_clock(const struct op *o)
{
	return 5000000LL * (o - w->op + 1) + w->now + w->now * o->rate / 1000;
}

/* How long it takes until that clock has come to t, or a little more. */
int64_t
op_wait(const struct op *o, int64_t t)
{
	int64_t d = t - op_clock(o);

	return d <= 0 ? 0 : d * 1000 / (1000 + o->rate) + 2;
}

/* When it was at t, or a moment later. */
int64_t
op_world(const struct op *o, int64_t t)
{
	return w->now - (op_clock(o) - t) * 1000 / (1000 + o->rate) + 1;
}

/* As far apart as two of them may be: half of that each way, at most. */
static int
any_rate(void)
{
	static const int edge[] = { -RATE_MAX, RATE_MAX };

	return rnd(2) == 0 ? edge[rnd(2)] :
			     (int)rnd(2 * RATE_MAX + 1) - RATE_MAX;
}

int64_t
node_clock(int i)
{
	return 1700000000000LL + w->now + w->site[i].clock_off;
}

/*
 * Server clock minus Uptime, which is the difference of two readings of the
 * same clock: mysqld's own second of its start, whatever the clock did since.
 */
int64_t
measured_start(int i)
{
	int64_t now = node_clock(i);

	return now - (now / 1000 - w->site[i].p.start_wall / 1000) * 1000;
}

/* ----------------------------------------------------------- processes --- */

void
check_writers(const char *why)
{
	int i, n = 0, a = -1, b = -1;

	/* A frozen container does nothing, and wakes up with its guard. */
	for (i = 0; i < w->nsites; i++)
		if (w->site[i].p.alive && !w->site[i].p.ro &&
		    !w->site[i].p.rogue && !w->site[i].p.believed &&
		    !w->site[i].p.offline && !w->site[i].guard.frozen) {
			n++;
			b = a;
			a = i;
		}
	if (n > 1)
		fail("two writers: %s and %s (%s)", w->c.site[a].name,
		    w->c.site[b].name, why);
}

static void
proc_start(int i)
{
	struct site *s = &w->site[i];

	s->restart_at = 0;
	memset(&s->p, 0, sizeof(s->p));
	s->p.alive = true;
	s->p.start = w->now;
	s->p.start_wall = node_clock(i);
	s->p.id = ++w->procs;
	s->p.ro = s->p.sro = true;
	s->p.sql = false; /* skip_replica_start */
	if (s->guard.there)
		guard_started(i);
	trace("%s: process %u starts in %s %s", w->c.site[i].name, s->p.id,
	    s->pod[s->cur].real.pod_uid, s->pod[s->cur].real.container_id);
}

void
ctr_start(int i)
{
	struct site *s = &w->site[i];
	struct fsm_pod *r;

	if (s->cur == -1 && (s->cur = pod_new(i)) == -1)
		return;
	if (s->pod[s->cur].api.deleting) {
		s->cur = pod_new(i);
		if (s->cur == -1)
			return;
	}
	r = &s->pod[s->cur].real;
	if (deploy_bad(i)) {
		s->restart_at = w->now + 5000;
		kubelet_report(i, s->cur, 100);
		return;
	}
	r->ctr_state = CTR_RUNNING;
	r->ready = true;
	snprintf(r->container_id, sizeof(r->container_id), "ctr-%u", ++w->cids);
	r->started_ms = node_clock(i) / 1000 * 1000;
	kubelet_report(i, s->cur, 100 + rnd(900));
	s->ctr = true;
	if (!w->bare)
		guard_start(i);
	proc_start(i);
}

/* Its clients, its sessions and the prober's connection are gone. */
static void
proc_gone(int i, const char *why)
{
	struct site *s = &w->site[i];
	struct ev e;
	int o;

	trace("%s: process %u dies: %s", w->c.site[i].name, s->p.id, why);
	s->p.alive = false;
	s->p.frozen = false;
	s->clone_end = 0;
	for (o = 0; o < OPS; o++) {
		if (!w->op[o].up || s->node_off || !sql_reaches(&w->op[o], i))
			continue;
		memset(&e, 0, sizeof(e));
		e.kind = K_LOST_IN;
		e.op = (uint8_t)o;
		e.site = (uint8_t)i;
		e.life = w->op[o].life;
		push(&e, 1 + rnd(5));
	}
}

void
ctr_die(int i, const char *why)
{
	struct site *s = &w->site[i];
	bool unknown;

	if (s->p.alive)
		proc_gone(i, why);
	if (!s->ctr)
		return;
	s->ctr = false;
	s->guard.there = false;
	s->restart_at = w->now + 700 + rnd(2500);
	if (s->cur == -1)
		return;
	s->pod[s->cur].real.ready = false;
	/* After a power cut the kubelet may only find that it is gone */
	unknown = s->node_off && chance(50);
	/*
	 * Nor do whole seconds tell of a life as short as that. Without a guard
	 * a clock that was set back has it end before it began or last answered.
	 */
	w->unknown_word = w->unknown_word || unknown ||
	    w->now - s->p.start < 2000 || (w->bare && s->p.set_back);
	kubelet_word(i, unknown);
}

/*
 * mysqld ends. Its guard waits for it and starts it again at once, but three
 * times within a minute is the kubelet's affair; without a guard it was the
 * container's first process.
 */
void
proc_die(int i, const char *why)
{
	struct site *s = &w->site[i];
	struct guard *g = &s->guard;

	if (!s->p.alive)
		return;
	if (!g->there) {
		ctr_die(i, why);
		return;
	}
	proc_gone(i, why);
	guard_ended(i);
	if (g->ends[2] != 0 && w->now - g->ends[2] < 60000) {
		ctr_die(i, "ends too often");
		return;
	}
	s->restart_at = w->now + 500 + rnd(2000);
}

/* It answers a query on its local socket. */
bool
proc_answers(int i)
{
	const struct process *p = &w->site[i].p;

	return p->alive && !p->frozen && w->now - p->start >= 400;
}

bool
op_reaches(const struct op *o, int i)
{
	return !w->site[i].node_off && !o->cut_site[i];
}

bool
sql_reaches(const struct op *o, int i)
{
	return op_reaches(o, i) && !w->site[i].cut_sql && !o->cut_sql[i];
}

/* A replica does not reach its source. */
bool
source_cut(const struct site *s)
{
	return s->cut_site[s->v.source] || w->site[s->v.source].cut_recv;
}

/* The statement is for the process that runs there. */
bool
process_is(int i, const struct fsm_act *a)
{
	const struct site *s = &w->site[i];
	char uuid[40];
	int64_t d;

	uuid_text(s->v.uuid, uuid);
	d = measured_start(i) - a->proc.start_ms;
	return s->cur != -1 &&
	    strcmp(s->pod[s->cur].real.pod_uid, a->proc.pod_uid) == 0 &&
	    strcmp(uuid, a->proc.server_uuid) == 0 && d < FSM_START_TOL_MS &&
	    -d < FSM_START_TOL_MS;
}

/* --------------------------------------------------------- replication --- */

static void
replicate(int i)
{
	struct site *s = &w->site[i], *m;
	int u, k, rate;

	if (!s->p.alive || s->p.frozen || !s->v.has_repl || s->p.offline)
		return;
	m = s->v.source < w->nsites ? &w->site[s->v.source] : NULL;
	if (s->p.io && m != NULL && m->p.alive && !m->p.frozen &&
	    !s->node_off && !m->node_off && !source_cut(s)) {
		s->heard_at = w->now;
		for (u = 0; u < w->uuids; u++)
			if (m->v.e.n[u] > s->v.r.n[u])
				s->v.r.n[u] = m->v.e.n[u];
	}
	if (s->bad_applier && s->p.sql && !gs_contains(&s->v.e, &s->v.r)) {
		s->p.sql = false;
		s->p.sql_errno = 1062;
	}
	rate = s->slow_applier ? (rnd(20) == 0) : 100;
	for (u = 0; s->p.sql && u < w->uuids; u++)
		for (k = 0; k < rate && s->v.r.n[u] > s->v.e.n[u]; k++) {
			s->v.e.n[u]++;
			s->v.schemas = true;
		}
}

static void
clients(int i)
{
	struct site *s = &w->site[i];

	if (!s->p.alive || s->p.frozen || s->p.ro || s->p.offline)
		return;
	s->v.schemas = true;
	s->v.e.n[s->v.uuid]++;
	if (!s->p.rogue)
		w->acked.n[s->v.uuid] = s->v.e.n[s->v.uuid];
}

static void
clone_done(int i)
{
	struct site *s = &w->site[i], *d = &w->site[s->clone_from];

	s->clone_end = 0;
	if (!d->p.alive || d->p.frozen || s->cut_site[s->clone_from] ||
	    d->node_off || s->node_off) {
		s->p.offline = false; /* the copy failed */
		return;
	}
	s->v.e = d->v.e;
	memset(&s->v.r, 0, sizeof(s->v.r));
	s->v.has_repl = false;
	s->v.schemas = d->v.schemas;
	w->clones++;
	proc_die(i, "restart after CLONE");
}

/* The server is started again, by its guard or with its container. */
static void
restart(int i)
{
	struct site *s = &w->site[i];

	if (s->restart_at == 0 || w->now < s->restart_at || s->held ||
	    s->node_off || s->guard.frozen || s->guard.stopped)
		return;
	if (s->guard.there)
		proc_start(i);
	else if (s->cur == -1 || !s->pod[s->cur].api.deleting ||
	    s->pod[s->cur].sync_at == 0)
		ctr_start(i);
}

/* What is said of a run in which no write is stopped. */
static void
steady(void)
{
	const struct process *p;

	if (w->steady == -1 || w->healed_at != 0)
		return;
	p = &w->site[w->steady].p;
	if (!p->alive || p->ro || p->id != w->steady_proc)
		fail("writes of %s were stopped", w->c.site[w->steady].name);
}

/* Ten times a second. */
void
world_tick(void)
{
	struct site *s;
	int i, k;

	for (i = 0; i < w->nsites; i++) {
		s = &w->site[i];
		restart(i);
		guard_run(i);
		if (s->clone_end != 0 && w->now >= s->clone_end && s->p.alive &&
		    !s->p.frozen)
			clone_done(i);
		replicate(i);
		clients(i);
		deploy_tick(i);
		for (k = 0; k < PODS; k++)
			kubelet(i, k);
		car_tick(i);
	}
	for (k = 0; k < OPS; k++) {
		if (w->op[k].back_at != 0 && !w->ops_down &&
		    w->now >= w->op[k].back_at)
			op_start(k);
		op_links(k);
		told_tick(k);
	}
	check_writers("time");
	steady();
}

void
world_init(void)
{
	int i;

	w->api.rec.active = w->api.rec.last_target = FSM_NONE;
	w->api.holder = -1;
	for (i = 0; i < OPS; i++)
		w->op[i].rate = any_rate();
	w->steady = -1;
	for (i = 0; i < w->nsites; i++) {
		w->site[i].v.uuid = w->uuids++;
		w->site[i].dep = deploy_want(i);
		w->site[i].cur = -1;
		w->site[i].clock_off = (int64_t)rnd(4000) - 2000;
		w->site[i].rate = any_rate();
		w->site[i].car.back_at = 1 + rnd(3000);
		w->site[i].restart_at = 1 + rnd(3000);
	}
}
