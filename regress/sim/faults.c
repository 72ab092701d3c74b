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

/* What goes wrong: each fault, and its end. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

static const char *const names[] = {
#define X(id, name) name,
	FAULTS(X)
#undef X
};

const char *
fault_name(unsigned f)
{
	return f < F_MAX ? names[f] : NULL;
}

int
api_active(void)
{
	return w->api.rec.active < w->nsites ? w->api.rec.active : 0;
}

static void
wipe(int i)
{
	struct volume *v = &w->site[i].v;

	if (w->uuids == UUIDS)
		return;
	ctr_die(i, "volume lost");
	car_die(i);
	w->gone.n[v->uuid] = v->e.n[v->uuid];
	memset(v, 0, sizeof(*v));
	v->uuid = w->uuids++;
	w->wiped = true;
}

/*
 * The server's data comes back as it was some time ago. Not so what its sidecar
 * promised: a voter whose promises are undone is not guaranteed against, and
 * the explorer shows what it can do ("promise-not-on-disk").
 */
static void
rollback(int i)
{
	struct volume *v = &w->site[i].v;
	int u;

	ctr_die(i, "older data");
	car_die(i);
	for (u = 0; u < w->uuids; u++)
		if (v->e.n[u] > 0) {
			w->gone.n[u] = w->acked.n[u];
			v->e.n[u] /= 2;
			if (v->r.n[u] > v->e.n[u])
				v->r.n[u] = v->e.n[u];
		}
	w->wiped = true;
}

static void
isolate(int i, bool on)
{
	int j, o;

	w->site[i].cut_api = on;
	for (o = 0; o < OPS; o++)
		w->op[o].cut_site[i] = on;
	for (j = 0; j < w->nsites; j++)
		w->site[i].cut_site[j] = w->site[j].cut_site[i] = on;
}

/*
 * Nothing is lost: all that is modelled was waited for, promises by fsync(2),
 * what was executed or received by sync_binlog and sync_relay_log. Whether the
 * promise file keeps it is asked of a real one (labtest/guest-promise).
 */
static void
power(int i, bool off)
{
	w->site[i].node_off = off;
	if (off)
		ctr_die(i, "power cut");
	else
		w->site[i].restart_at = w->now + 3000 + rnd(3000);
}

/* All of it stands still but its clock; the guard is the first to notice. */
static void
freeze_ctr(int i, bool on)
{
	struct site *s = &w->site[i];

	if (on && !s->ctr)
		return;
	s->guard.frozen = on && s->guard.there;
	s->p.frozen = on && s->p.alive;
	if (!on)
		guard_run(i);
}

static void
op_crash(int k)
{
	struct op *o = &w->op[k];

	trace("op%d crashes", k);
	o->up = false;
	o->holds = false;
	o->life++;
	o->back_at = w->now + 1000 + rnd(6000);
}

/*
 * A clock jumps; where nothing else is said by seconds, or an hour. True when
 * it is set back.
 */
static bool
step_clock(int64_t *off, const struct script *l)
{
	int64_t s = l->want != NULL ? strtoll(l->want, NULL, 10) :
	    rnd(2) == 0             ? 3 + (int64_t)rnd(5) :
				      3600;

	if (l->want == NULL && rnd(2) == 0)
		s = -s;
	*off += s * 1000;
	trace("by %lld s", (long long)s);
	return s < 0;
}

/* Who does not lead now reaches that site no more. */
static void
cut_standby(int i, bool on)
{
	int o;

	for (o = 0; o < OPS; o++)
		if (!on || o != w->api.holder)
			w->op[o].cut_site[i] = on;
}

/* Who leads now, of that site or of its mysqld. */
static void
cut_leader(int i, bool on, bool sql)
{
	int o;

	for (o = 0; o < OPS; o++)
		if (on && o != w->api.holder)
			continue;
		else if (sql)
			w->op[o].cut_sql[i] = on;
		else
			w->op[o].cut_site[i] = on;
}

/* It reaches the active site, with which it is cut off, and nothing else. */
static void
isolate_op(int k, bool on)
{
	struct op *o = &w->op[k];
	int j;

	o->cut_api = on;
	for (j = 0; j < w->nsites; j++)
		o->cut_site[j] = on && j != api_active();
	if (!on && o->up)
		op_pods(k);
}

static void
set_cut_op(int i, bool on)
{
	int o;

	for (o = 0; o < OPS; o++)
		w->op[o].cut_site[i] = on;
}

/*
 * By kind, each line for a site, an operator or all. False: it is of another
 * kind.
 */

/* mysqld, its container with the guard, its node */
static bool
on_server(const struct script *l, int i, bool on)
{
	struct site *s = &w->site[i];

	switch (l->fault) {
	case F_KILL:
		if (on)
			proc_die(i, "killed");
		break;
	case F_KILL_CTR:
		if (on)
			ctr_die(i, "container killed");
		break;
	case F_HOLD:
		s->held = on;
		if (on)
			proc_die(i, "killed and held down");
		break;
	case F_FREEZE:
		s->p.frozen = (on && s->p.alive) || s->guard.frozen;
		break;
	case F_FREEZE_CTR:
		freeze_ctr(i, on);
		break;
	case F_KEEPER:
		s->guard.stopped = on && s->guard.there;
		break;
	case F_STUCK:
		s->stuck = on;
		break;
	case F_POWER:
		power(i, on);
		break;
	case F_CLOCK:
		if (on && step_clock(&s->clock_off, l))
			s->p.set_back = true;
		break;
	default:
		return false;
	}
	return true;
}

/* its sidecar, and what that remembers */
static bool
on_sidecar(const struct script *l, int i, bool on)
{
	struct site *s = &w->site[i];

	switch (l->fault) {
	case F_CAR_DEAD:
		s->car.held = on;
		break;
	case F_CAR_RESTART:
		break;
	case F_MEM_LOST:
		if (on)
			s->v.mem_id = s->v.mem_promised = s->v.mem_heard =
			    s->v.mem_lease_ms = 0;
		break;
	default:
		return false;
	}
	if (on)
		car_die(i);
	return true;
}

/* its volume, its applier, its flags */
static bool
on_data(const struct script *l, int i, bool on)
{
	struct site *s = &w->site[i];

	switch (l->fault) {
	case F_WIPE:
		if (on)
			wipe(i);
		break;
	case F_ROLLBACK:
		if (on)
			rollback(i);
		break;
	case F_SLOW:
		s->slow_applier = on;
		break;
	case F_BAD:
		s->bad_applier = on;
		break;
	case F_ROGUE:
		if (on && s->p.alive && s->p.ro) {
			s->p.ro = s->p.sro = false;
			s->p.rogue = true;
			s->rogue_at = w->now;
		}
		break;
	case F_FENCE:
		if (on && s->p.alive)
			s->p.ro = s->p.sro = true;
		break;
	default:
		return false;
	}
	return true;
}

/* from its node's side */
static bool
on_net(const struct script *l, int i, bool on)
{
	struct site *s = &w->site[i];
	int j;

	switch (l->fault) {
	case F_ISOLATE:
		isolate(i, on);
		break;
	case F_CUT_KUBELET:
		s->cut_api = on;
		break;
	case F_CUT_REPL:
		for (j = 0; j < w->nsites; j++)
			s->cut_site[j] = w->site[j].cut_site[i] = on;
		break;
	case F_CUT_PEERS:
		for (j = 0; j < w->nsites; j++)
			s->cut_car[j] = w->site[j].cut_car[i] = on;
		break;
	case F_CUT_RECV:
		s->cut_recv = on;
		break;
	case F_LOSSY:
		w->lossy = on;
		break;
	case F_STALL:
		w->stall = on;
		break;
	case F_SLOW_NET:
		w->slow_net = on;
		break;
	default:
		return false;
	}
	return true;
}

/* between operators and a site */
static bool
on_op_net(const struct script *l, int i, bool on)
{
	struct site *s = &w->site[i];

	switch (l->fault) {
	case F_CUT_OP:
		set_cut_op(i, on);
		break;
	case F_CUT_SQL:
		s->cut_sql = on;
		break;
	case F_CUT_LINK:
		s->cut_link = on;
		break;
	case F_CUT_LEADER:
	case F_CUT_LEADER_SQL:
		cut_leader(i, on, l->fault == F_CUT_LEADER_SQL);
		break;
	case F_CUT_STANDBY:
		cut_standby(i, on);
		break;
	case F_CUT_ON_GRANT:
		s->cut_on_grant = on;
		if (!on)
			set_cut_op(i, false);
		break;
	case F_CUT_DONE:
		s->cut_done = on;
		if (!on)
			set_cut_op(i, false);
		break;
	default:
		return false;
	}
	return true;
}

/* operators */
static bool
on_operator(const struct script *l, int i, bool on)
{
	int k = w->op_at[l - w->plan]; /* also when it ends */

	(void)i;
	switch (l->fault) {
	case F_OP_CRASH:
		if (on)
			op_crash(k);
		break;
	case F_OPS_DOWN:
		w->ops_down = on;
		for (k = 0; on && k < OPS; k++)
			op_crash(k);
		break;
	case F_OP_CUT_API:
		w->op[k].cut_api = on;
		if (!on && w->op[k].up)
			op_pods(k);
		break;
	case F_OP_ISOLATE:
		isolate_op(k, on);
		break;
	case F_OP_FREEZE:
		w->op[k].frozen = on;
		break;
	case F_OP_CLOCK:
		if (on)
			(void)step_clock(&w->op[k].clock_off, l);
		break;
	default:
		return false;
	}
	return true;
}

static bool (*const kinds[])(const struct script *, int, bool) = { on_server,
	on_sidecar, on_data, on_net, on_op_net, on_operator, fault_kubernetes,
	fault_people };

/* One that is of no kind is a mistake of ours. */
void
fault_acts(const struct script *l, int i, bool on)
{
	unsigned k;

	for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		if (kinds[k](l, i, on))
			return;
	abort();
}
