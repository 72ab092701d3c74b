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

/* The world: servers, volumes, kubelets, the API server. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

int64_t
node_clock(int i)
{
	return 1700000000000LL + w->now + w->site[i].clock_off;
}

/* Server clock minus Uptime: exact to the second of the true start. */
int64_t
measured_start(int i)
{
	int64_t now = node_clock(i);
	int64_t start = now - (w->now - w->site[i].p.start);

	return now - (now / 1000 - start / 1000) * 1000;
}

/* ---------------------------------------------------------------- Pods --- */

static void
kubelet_report(int i, int k, int64_t delay)
{
	struct pod *p = &w->site[i].pod[k];

	if (p->used && p->sync_at == 0)
		p->sync_at = w->now + delay;
}

static int
new_pod(int i)
{
	struct site *s = &w->site[i];
	struct pod *p;
	int k;

	for (k = 0; k < PODS && s->pod[k].used; k++)
		;
	if (k == PODS)
		return -1;
	p = &s->pod[k];
	memset(p, 0, sizeof(*p));
	p->used = true;
	snprintf(
	    p->real.pod_uid, sizeof(p->real.pod_uid), "pod-%04u", ++w->pods);
	p->real.finalizer = true;
	p->real.ctr_state = CTR_WAITING;
	p->api = p->real;
	return k;
}

/* The object changed: every operator that watches hears of it. */
void
pod_changed(int i, int k)
{
	struct ev e;
	int o;

	for (o = 0; o < OPS; o++) {
		if (!w->op[o].up || w->op[o].cut_api || w->api.down)
			continue;
		memset(&e, 0, sizeof(e));
		e.kind = K_POD_IN;
		e.op = (uint8_t)o;
		e.site = (uint8_t)i;
		e.life = w->op[o].life;
		e.pod = w->site[i].pod[k].api;
		push(&e, 20 + rnd(200));
	}
}

static void
pod_gone(int i, int k)
{
	struct site *s = &w->site[i];

	s->pod[k].api.gone = true;
	pod_changed(i, k);
	s->pod[k].used = false;
	if (s->cur == k)
		s->cur = -1;
}

/* The kubelet writes its status, hears of deletions, starts containers. */
static void
kubelet(int i, int k)
{
	struct site *s = &w->site[i];
	struct pod *p = &s->pod[k];
	bool fin, del;

	if (!p->used || s->node_off || s->cut_api || w->api.down)
		return;
	if (p->api.deleting && s->cur == k && s->p.alive) {
		proc_die(i, "Pod deleted");
		return;
	}
	if (p->sync_at != 0 && w->now >= p->sync_at) {
		p->sync_at = 0;
		fin = p->api.finalizer;
		del = p->api.deleting;
		p->api = p->real;
		p->api.finalizer = fin;
		p->api.deleting = del;
		pod_changed(i, k);
	}
	if (p->api.deleting && !p->api.finalizer && p->sync_at == 0 &&
	    p->api.ctr_state != CTR_RUNNING)
		pod_gone(i, k);
}

/*
 * Only the last two are kept. One that nobody could read before it is dropped
 * leaves a human to say what is dead.
 */
static void
add_word(struct pod *p, int64_t finished, bool unknown)
{
	struct fsm_pod *r = &p->real;
	int k;

	if (r->nwords == 2) {
		for (k = 0; k < p->api.nwords; k++)
			if (strcmp(p->api.word[k].container_id,
				r->word[1].container_id) == 0)
				break;
		w->unknown_word = w->unknown_word || k == p->api.nwords;
		r->nwords = 1;
	}
	memmove(&r->word[1], &r->word[0], sizeof(r->word[0]));
	memset(&r->word[0], 0, sizeof(r->word[0]));
	memcpy(
	    r->word[0].container_id, r->container_id, sizeof(r->container_id));
	r->word[0].started_ms = r->started_ms;
	r->word[0].finished_ms = finished / 1000 * 1000;
	r->word[0].unknown = unknown;
	r->nwords++;
}

/* A kubelet that lost track of a container that runs on. */
void
kubelet_confused(int i)
{
	struct site *s = &w->site[i];
	struct fsm_pod *r;

	if (!s->p.alive || s->cur == -1)
		return;
	r = &s->pod[s->cur].real;
	add_word(&s->pod[s->cur], node_clock(i) + 2000, true);
	r->ctr_state = CTR_TERMINATED;
	kubelet_report(i, s->cur, 100);
}

/* ----------------------------------------------------------- processes --- */

void
check_writers(const char *why)
{
	int i, n = 0, a = -1, b = -1;

	for (i = 0; i < w->nsites; i++)
		if (w->site[i].p.alive && !w->site[i].p.ro &&
		    !w->site[i].p.rogue && !w->site[i].p.offline) {
			n++;
			b = a;
			a = i;
		}
	if (n > 1)
		fail("two writers: %s and %s (%s)", w->c.site[a].name,
		    w->c.site[b].name, why);
}

void
proc_start(int i)
{
	struct site *s = &w->site[i];
	struct fsm_pod *r;

	if (s->cur == -1 && (s->cur = new_pod(i)) == -1)
		return;
	if (s->pod[s->cur].api.deleting) {
		s->cur = new_pod(i);
		if (s->cur == -1)
			return;
	}
	s->restart_at = 0;
	memset(&s->p, 0, sizeof(s->p));
	s->p.alive = true;
	s->p.start = w->now;
	s->p.id = ++w->procs;
	s->p.ro = s->p.sro = true;
	s->p.sql = false; /* skip_replica_start */
	r = &s->pod[s->cur].real;
	r->ctr_state = CTR_RUNNING;
	snprintf(r->container_id, sizeof(r->container_id), "ctr-%u", ++w->cids);
	r->started_ms = node_clock(i) / 1000 * 1000;
	kubelet_report(i, s->cur, 100 + rnd(900));
	trace("%s: process %u starts in %s %s", w->c.site[i].name, s->p.id,
	    r->pod_uid, r->container_id);
}

void
proc_die(int i, const char *why)
{
	struct site *s = &w->site[i];
	struct fsm_pod *r;
	struct ev e;
	bool unknown;
	int o;

	if (!s->p.alive)
		return;
	trace("%s: process %u dies: %s", w->c.site[i].name, s->p.id, why);
	s->p.alive = false;
	s->p.frozen = false;
	s->clone_end = 0;
	s->restart_at = w->now + 700 + rnd(2500);
	if (s->cur != -1) {
		r = &s->pod[s->cur].real;
		/* After a power cut the kubelet may only find that it is gone */
		unknown = s->node_off && chance(50);
		/* nor do whole seconds tell of a life as short as that */
		w->unknown_word =
		    w->unknown_word || unknown || w->now - s->p.start < 2000;
		add_word(&s->pod[s->cur], node_clock(i), unknown);
		r->ctr_state = CTR_TERMINATED;
		kubelet_report(i, s->cur, 100 + rnd(1400));
	}
	for (o = 0; o < OPS; o++) {
		if (!w->op[o].up || s->node_off || !op_reaches(&w->op[o], i))
			continue;
		memset(&e, 0, sizeof(e));
		e.kind = K_LOST_IN;
		e.op = (uint8_t)o;
		e.site = (uint8_t)i;
		e.life = w->op[o].life;
		push(&e, 1 + rnd(5));
	}
}

bool
op_reaches(const struct op *o, int i)
{
	return !w->site[i].node_off && !o->cut_site[i];
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
	    !s->node_off && !m->node_off && !s->cut_site[s->v.source])
		for (u = 0; u < w->uuids; u++)
			if (m->v.e.n[u] > s->v.r.n[u])
				s->v.r.n[u] = m->v.e.n[u];
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

/* Ten times a second. */
void
world_tick(void)
{
	struct site *s;
	int i, k;

	for (i = 0; i < w->nsites; i++) {
		s = &w->site[i];
		if (s->restart_at != 0 && w->now >= s->restart_at && !s->held &&
		    !s->node_off &&
		    (s->cur == -1 || !s->pod[s->cur].api.deleting ||
			s->pod[s->cur].sync_at == 0))
			proc_start(i);
		if (s->clone_end != 0 && w->now >= s->clone_end && s->p.alive &&
		    !s->p.frozen)
			clone_done(i);
		replicate(i);
		clients(i);
		for (k = 0; k < PODS; k++)
			kubelet(i, k);
	}
}

void
world_init(void)
{
	int i;

	w->api.rec.active = w->api.rec.last_target = FSM_NONE;
	w->api.holder = -1;
	for (i = 0; i < w->nsites; i++) {
		w->site[i].v.uuid = w->uuids++;
		w->site[i].cur = -1;
		w->site[i].clock_off = (int64_t)rnd(4000) - 2000;
		w->site[i].restart_at = 1 + rnd(3000);
	}
}

/* -------------------------------------------------------------- probes --- */

static void
reply(const struct ev *q, struct ev *e, int64_t delay)
{
	e->op = q->op;
	e->site = q->site;
	e->life = q->life;
	push(e, delay);
}

void
probe_at(const struct ev *q)
{
	struct site *s = &w->site[q->site];
	struct fsm_probe *p;
	struct ev e;

	memset(&e, 0, sizeof(e));
	e.kind = K_PROBE_IN;
	p = &e.probe;
	p->sent_ms = q->probe.sent_ms;
	p->source = FSM_NONE;
	if (!op_reaches(&w->op[q->op], q->site) || s->p.frozen ||
	    (s->p.alive && w->now - s->p.start < 400)) {
		p->err = PE_TIMEOUT;
		reply(q, &e, 1000);
		return;
	}
	if (!s->p.alive) {
		p->err = PE_REFUSED;
		reply(q, &e, 1);
		return;
	}
	p->ok = true;
	memcpy(p->pod_uid, s->pod[s->cur].real.pod_uid, sizeof(p->pod_uid));
	uuid_text(s->v.uuid, p->server_uuid);
	p->start_ms = measured_start(q->site);
	p->clock_ms = node_clock(q->site);
	p->read_only = s->p.ro;
	p->super_read_only = s->p.sro;
	p->offline_mode = s->p.offline;
	p->user_schemas = s->v.schemas;
	p->has_repl = s->v.has_repl;
	if (s->v.has_repl) {
		p->io = !s->p.io ? IO_NO :
		    w->site[s->v.source].p.alive && !s->cut_site[s->v.source] ?
				   IO_YES :
				   IO_CONNECTING;
		p->sql = s->p.sql;
		p->sql_errno = s->p.sql_errno;
		p->source = s->v.source;
	}
	e.e = s->v.e;
	e.r = s->v.has_repl ? s->v.r : (struct gset) { { 0 } };
	reply(q, &e, 1 + rnd(10));
}

/* ----------------------------------------------------------------- SQL --- */

static void
answer(const struct ev *q, enum sql_end end, int64_t limit)
{
	struct site *s = &w->site[q->site];
	struct ev e;

	if (w->lossy && chance(60)) {
		if (chance(50))
			return; /* nobody will answer */
		end = SE_UNKNOWN;
	}
	memset(&e, 0, sizeof(e));
	e.kind = K_SQL_IN;
	e.fe.type = E_SQL_DONE;
	e.fe.site = q->site;
	e.fe.u.sql.seq = q->act.seq;
	e.fe.u.sql.kind = q->act.kind;
	e.fe.u.sql.end = (uint8_t)end;
	e.fe.u.sql.grant_limit_ms = limit;
	if (end == SE_DONE && s->p.alive && !s->p.frozen && s->cur != -1) {
		memcpy(e.fe.u.sql.pod_uid, s->pod[s->cur].real.pod_uid,
		    sizeof(e.fe.u.sql.pod_uid));
		uuid_text(s->v.uuid, e.fe.u.sql.server_uuid);
		e.fe.u.sql.start_ms = measured_start(q->site);
		e.fe.u.sql.clock_ms = node_clock(q->site);
		/* reading back fails */
		e.fe.u.sql.flags_read = !s->cut_done && chance(70);
		e.fe.u.sql.read_only = s->p.ro;
		e.fe.u.sql.super_read_only = s->p.sro;
	}
	reply(q, &e, end == SE_UNKNOWN ? 3000 : 1 + rnd(5));
}

static void
set_source(int i, uint8_t source)
{
	struct volume *v = &w->site[i].v;
	struct gset all;

	if (v->has_repl && !gs_contains(&v->e, &v->r) &&
	    !gs_contains(&w->site[source].v.e, &v->r))
		fail("%s: received transactions dropped by a new source",
		    w->c.site[i].name);
	gs_union(&all, &v->e, &v->r);
	/* a rogue writer may write on after it was looked at */
	if (!w->site[i].p.rogue && !gs_contains(&w->site[source].v.e, &all))
		fail("%s pointed at %s, which lacks its transactions",
		    w->c.site[i].name, w->c.site[source].name);
	v->r = v->e;
	v->has_repl = true;
	v->source = source;
	w->site[i].p.io = w->site[i].p.sql = true;
	w->site[i].p.sql_errno = 0;
}

static void
clone_start(const struct ev *q)
{
	struct site *s = &w->site[q->site];

	if (!gs_empty(&s->v.e) && s->v.schemas)
		fail("%s is cloned over though it has data",
		    w->c.site[q->site].name);
	/* fenced since it was looked at, it is the right donor all the same */
	if (q->act.source != w->api.rec.active)
		fail("%s is cloned from %s, which is not the active site",
		    w->c.site[q->site].name,
		    w->c.site[q->act.source % w->nsites].name);
	s->p.offline = true;
	s->clone_from = q->act.source;
	s->clone_end = w->now + 2000 + rnd(4000);
}

static enum sql_end
execute(const struct ev *q)
{
	struct site *s = &w->site[q->site];

	switch ((enum sql_kind)q->act.kind) {
	case SQL_FENCE:
		s->p.ro = s->p.sro = true;
		s->p.rogue = false;
		break;
	case SQL_STOP_RECEIVER:
		s->p.io = false;
		break;
	case SQL_START_APPLIER:
		s->p.sql = s->v.has_repl;
		s->p.sql_errno = 0;
		break;
	case SQL_RESET_REPLICA:
		if (!gs_contains(&s->v.e, &s->v.r) && !q->act.drop_received)
			fail("%s: received transactions dropped",
			    w->c.site[q->site].name);
		memset(&s->v.r, 0, sizeof(s->v.r));
		s->v.has_repl = s->p.io = s->p.sql = false;
		break;
	case SQL_SET_SOURCE:
		set_source(q->site, q->act.source);
		break;
	case SQL_START_REPLICA:
		s->p.io = s->p.sql = s->v.has_repl;
		s->p.sql_errno = 0;
		break;
	case SQL_STOP_REPLICA:
		s->p.io = s->p.sql = false;
		break;
	case SQL_CLONE:
		clone_start(q);
		return SE_UNKNOWN;
	case SQL_EVICT:
	case SQL_RESET_PERSIST:
	case SQL_GRANT:
	case SQL_MAX:
		break;
	}
	return SE_DONE;
}

/* The prober has the request: last checks, then the statement itself. */
void
sql_at(const struct ev *q)
{
	struct site *s = &w->site[q->site];
	struct ev e = *q;
	int o;

	if (!op_reaches(&w->op[q->op], q->site) || s->p.frozen) {
		/* no connection: nothing was sent */
		answer(q, chance(50) ? SE_FAILED : SE_UNKNOWN, 0);
		return;
	}
	if (!s->p.alive || w->now >= q->act.valid_until_ms ||
	    !process_is(q->site, &q->act)) {
		answer(q, SE_REFUSED, 0);
		return;
	}
	trace("%s: %s (epoch %llu)", w->c.site[q->site].name,
	    sql_kind_name(q->act.kind), (unsigned long long)q->act.epoch);
	if (q->act.kind == SQL_GRANT) {
		e.kind = K_GRANT_AT;
		e.limit = node_clock(q->site) + q->act.grant_ttl_ms;
		e.proc = s->p.id;
		if (s->cut_on_grant)
			for (o = 0; o < OPS; o++)
				w->op[o].cut_site[q->site] = true;
		push(&e, w->stall ? rnd(6000) : 1 + rnd(4));
		return;
	}
	if (q->act.kind == SQL_CLONE) {
		(void)execute(q);
		/* its answer is the end of the connection */
		e.kind = K_SQL_IN;
		memset(&e.fe, 0, sizeof(e.fe));
		e.fe.type = E_SQL_DONE;
		e.fe.site = q->site;
		e.fe.u.sql.seq = q->act.seq;
		e.fe.u.sql.kind = SQL_CLONE;
		e.fe.u.sql.end = SE_UNKNOWN;
		push(&e, s->clone_end - w->now + 50);
		return;
	}
	answer(q, execute(q), 0);
}

/*
 * A grant arrives, perhaps late and over a connection whose other end is cut
 * off by now. The server looks at its own clock.
 */
void
grant_at(const struct ev *q)
{
	struct site *s = &w->site[q->site];
	struct ev e = *q;
	int o;

	if (!s->p.alive || s->p.id != q->proc)
		return; /* the session died with its process */
	if (s->p.frozen) {
		push(&e, 100); /* waits in the socket */
		return;
	}
	if (node_clock(q->site) < q->limit) {
		trace("%s: writable (epoch %llu)", w->c.site[q->site].name,
		    (unsigned long long)q->act.epoch);
		s->p.ro = s->p.sro = false;
		w->grants++;
		check_grant(q->site);
		check_writers("grant");
	}
	if (op_reaches(&w->op[q->op], q->site))
		answer(q, SE_DONE, q->limit);
	for (o = 0; s->cut_done && o < OPS; o++)
		w->op[o].cut_site[q->site] = true;
}

/* ---------------------------------------------------------- API server --- */

static void
ack(const struct ev *q, bool ok, bool unknown)
{
	struct ev e;

	memset(&e, 0, sizeof(e));
	e.kind = K_ACK_IN;
	e.fe.type = E_ACK;
	e.fe.u.ack.seq = q->act.seq;
	e.fe.u.ack.ok = ok;
	e.fe.u.ack.unknown = unknown;
	reply(q, &e, 2 + rnd(20));
}

static void
tell_record(void)
{
	struct ev e;
	int o;

	for (o = 0; o < OPS; o++) {
		if (!w->op[o].up || w->op[o].cut_api || w->api.down)
			continue;
		memset(&e, 0, sizeof(e));
		e.kind = K_REC_IN;
		e.op = (uint8_t)o;
		e.life = w->op[o].life;
		e.rec = w->api.rec;
		e.grant = w->api.grant;
		e.seen = w->api.seen;
		push(&e, 2 + rnd(30));
	}
}

void
put_at(const struct ev *q)
{
	struct op *o = &w->op[q->op];

	if (w->api.down || o->cut_api) {
		ack(q, false, true);
		return;
	}
	if (w->api.deny || q->rec.version != w->api.rec.version ||
	    w->now >= q->act.valid_until_ms) {
		ack(q, false, false);
		tell_record();
		return;
	}
	w->api.rec = q->rec;
	w->api.rec.version++;
	if (q->put_grant != FSM_NONE)
		w->api.grant = q->grant;
	if (q->put_seen != FSM_NONE)
		w->api.seen = q->seen;
	trace("record v%llu: active %s epoch %llu, %u unended%s",
	    (unsigned long long)w->api.rec.version,
	    w->api.rec.active < w->nsites ? w->c.site[w->api.rec.active].name :
					    "-",
	    (unsigned long long)w->api.rec.epoch, w->api.rec.n,
	    q->promotion ? ", promotion" : "");
	if (q->promotion)
		check_promotion(q->rec.active);
	if (w->lossy && chance(50))
		ack(q, false, true);
	else
		ack(q, true, false);
	tell_record();
}

void
pod_at(const struct ev *q)
{
	struct pod *p;
	int k;

	if (w->api.down || w->op[q->op].cut_api) {
		ack(q, false, true);
		return;
	}
	for (k = 0; k < PODS; k++) {
		p = &w->site[q->site].pod[k];
		if (!p->used ||
		    strcmp(p->api.pod_uid, q->act.proc.pod_uid) != 0)
			continue;
		trace("%s: %s %s", w->c.site[q->site].name,
		    fsm_act_name(q->act.type), p->api.pod_uid);
		if (q->act.type == A_POD_DELETE)
			p->api.deleting = true;
		else
			p->api.finalizer = false;
		pod_changed(q->site, k);
	}
	ack(q, true, false);
}
