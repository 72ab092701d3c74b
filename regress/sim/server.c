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

/* Servers as the prober meets them: probes, statements, grants. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define NET_TIMEOUT_MS 5000
#define STOP_MS        2000

void
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
	if (!sql_reaches(&w->op[q->op], q->site) || s->p.frozen ||
	    s->guard.frozen || (s->p.alive && w->now - s->p.start < 400)) {
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
		    w->site[s->v.source].p.alive && !source_cut(s) ?
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
	/* a rogue writer may write on, or have, after it was looked at */
	if (!w->site[i].p.rogue &&
	    (w->site[i].rogue_at == 0 || w->now - w->site[i].rogue_at > 1000) &&
	    !gs_contains(&w->site[source].v.e, &all))
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
	if (by_record(q) && q->act.source != w->api.rec.active)
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
		if (!gs_contains(&s->v.e, &s->v.r))
			check_drop(q->site, q->act.drop_received);
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
	case SQL_ACCOUNTS:
	case SQL_REFRESH_SOURCE:
	case SQL_MAX:
		break;
	}
	return SE_DONE;
}

/*
 * A receiver that has heard nothing for replica_net_timeout tries to connect,
 * and one that waits for an answer to that takes so long to stop.
 */
static bool
stops_late(const struct ev *q)
{
	const struct site *s = &w->site[q->site], *m;

	if (q->act.kind != SQL_STOP_RECEIVER || q->extra || !s->p.io ||
	    s->v.source >= w->nsites)
		return false;
	m = &w->site[s->v.source];
	return (m->node_off || source_cut(s)) &&
	    w->now - s->heard_at >= NET_TIMEOUT_MS;
}

/* The prober has the request: last checks, then the statement itself. */
void
sql_at(const struct ev *q)
{
	struct site *s = &w->site[q->site];
	struct ev e = *q;
	int64_t left;
	int o;

	if (op_frozen(q))
		return;
	if (!sql_reaches(&w->op[q->op], q->site) || s->p.frozen) {
		/* no connection: nothing was sent */
		answer(q, chance(50) ? SE_FAILED : SE_UNKNOWN, 0);
		return;
	}
	if (!s->p.alive || op_clock(&w->op[q->op]) >= q->act.valid_until_ms ||
	    !process_is(q->site, &q->act)) {
		answer(q, SE_REFUSED, 0);
		return;
	}
	trace("%s: %s (epoch %llu)", w->c.site[q->site].name,
	    sql_kind_name(q->act.kind), (unsigned long long)q->act.epoch);
	if (stops_late(q)) {
		e.extra = true;
		push(&e, STOP_MS);
		return;
	}
	if (q->act.kind == SQL_GRANT) {
		w->op[q->op].grant_at = w->now;
		e.kind = K_GRANT_AT;
		/* no later than the leader's deadline, as the prober has it */
		left = q->act.valid_until_ms - op_clock(&w->op[q->op]);
		e.limit = node_clock(q->site) +
		    (left < q->act.grant_ttl_ms ? left : q->act.grant_ttl_ms);
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
		guard_look_all(); /* whose deadline has passed has acted */
		if (!s->p.alive || s->p.id != q->proc)
			return;
		s->p.ro = s->p.sro = false;
		s->p.lied = 0;
		s->p.believed = false;
		w->grants++;
		check_grant(q);
		check_writers("grant");
	}
	if (sql_reaches(&w->op[q->op], q->site))
		answer(q, SE_DONE, q->limit);
	for (o = 0; s->cut_done && o < OPS; o++)
		w->op[o].cut_site[q->site] = true;
}
