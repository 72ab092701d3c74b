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

/* What goes wrong: faults, their healing, and random plans of them. */

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

static int
site_of(int line)
{
	const struct script *l = &w->plan[line];
	int i;

	if (l->site == S_ACTIVE)
		return api_active();
	if (l->site == S_OTHER) {
		for (i = 0; i == api_active(); i++)
			;
		return i;
	}
	return l->site % w->nsites;
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

/* Only what is true is asserted: the process really is dead. */
static void
assert_dead(int i)
{
	const struct fsm_record *r = &w->api.rec;
	struct fsm_event fe;
	int o, k;

	for (k = 0; k < r->n; k++) {
		if (r->unended[k].site != i)
			continue;
		if (w->site[i].p.alive && w->site[i].cur != -1 &&
		    strcmp(w->site[i].pod[w->site[i].cur].real.pod_uid,
			r->unended[k].proc.pod_uid) == 0)
			continue;
		for (o = 0; o < OPS; o++) {
			if (!w->op[o].up || w->op[o].cut_api)
				continue;
			memset(&fe, 0, sizeof(fe));
			fe.type = E_ASSERT_DEAD;
			fe.u.assert_dead.site = (uint8_t)i;
			fe.u.assert_dead.epoch = r->unended[k].epoch;
			memcpy(fe.u.assert_dead.pod_uid,
			    r->unended[k].proc.pod_uid,
			    sizeof(fe.u.assert_dead.pod_uid));
			op_event(o, &fe, false);
		}
	}
}

static void
override(int i)
{
	struct fsm_event fe;
	int o;

	w->overridden = true;
	for (o = 0; o < OPS; o++) {
		if (!w->op[o].up)
			continue;
		memset(&fe, 0, sizeof(fe));
		fe.type = E_OVERRIDE;
		fe.u.override = (uint8_t)i;
		op_event(o, &fe, false);
	}
}

/* The spec changes, the state stays. */
static void
demote(int i)
{
	w->c.site[i].role = ROLE_DR_ONLY;
	op_conf();
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

/* Fewer or more seconds, while everything runs. */
static void
lease_ms(bool on)
{
	w->c.lease_ms = on ? 6000 : 20000;
	w->c.check_ms = on ? 2000 : 5000;
	op_conf();
}

/* Its volumes stay, and with them what their sidecars remember. */
static void
recreate(void)
{
	struct fsm_record *r = &w->api.rec;
	int i, k;

	memset(&w->api.grant, 0, sizeof(w->api.grant));
	memset(&w->api.seen, 0, sizeof(w->api.seen));
	memset(r, 0, sizeof(*r));
	r->active = r->last_target = FSM_NONE;
	for (i = 0; i < w->nsites; i++) {
		ctr_die(i, "group deleted");
		car_die(i);
		for (k = 0; k < PODS; k++) {
			if (!w->site[i].pod[k].used)
				continue;
			w->site[i].pod[k].used = false;
			w->site[i].pod[k].api.gone = true;
		}
		w->site[i].cur = -1;
	}
	for (k = 0; k < OPS; k++)
		if (w->op[k].up)
			op_restart_core(k);
}

/* The API server's data is restored, or somebody wiped the status. */
static void
record_back(bool old)
{
	struct fsm_record *r = &w->api.rec;

	memset(&w->api.grant, 0, sizeof(w->api.grant));
	memset(&w->api.seen, 0, sizeof(w->api.seen));
	memset(r, 0, sizeof(*r));
	r->active = r->last_target = FSM_NONE;
	if (old)
		*r = w->api.backup;
}

static void
expect(const struct script *l)
{
	const struct op *o = &w->op[w->api.holder == -1 ? 0 : w->api.holder];
	const char *got;

	if (l->fault == F_CHECK_ACTIVE)
		got = o->view.active < w->nsites ?
		    w->c.site[o->view.active].name :
		    "-";
	else
		got = fsm_verdict_block(o->view.verdict);
	if (got == NULL)
		got = "-";
	if (strcmp(got, l->want) != 0)
		fail("at %d s: expected %s, got %s (%s)", l->at, l->want, got,
		    fsm_verdict_name(o->view.verdict));
}

/* Whom it struck, also when it ends. */
static int
op_of(const struct script *l)
{
	return w->op_at[l - w->plan];
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

static void
on_site(int line, int i, bool on)
{
	struct site *s = &w->site[i];
	int j;

	switch ((enum fault)w->plan[line].fault) {
	case F_KILL:
		if (on)
			proc_die(i, "killed");
		break;
	case F_KILL_CTR:
		if (on)
			ctr_die(i, "container killed");
		break;
	case F_CUT_LINK:
		s->cut_link = on;
		break;
	case F_CUT_SQL:
		s->cut_sql = on;
		break;
	case F_CUT_STANDBY:
		cut_standby(i, on);
		break;
	case F_CUT_LEADER:
	case F_CUT_LEADER_SQL:
		cut_leader(i, on, w->plan[line].fault == F_CUT_LEADER_SQL);
		break;
	case F_CUT_RECV:
		s->cut_recv = on;
		break;
	case F_CLOCK:
		if (on && step_clock(&s->clock_off, &w->plan[line]))
			s->p.set_back = true;
		break;
	case F_CUT_PEERS:
		for (j = 0; j < w->nsites; j++)
			s->cut_car[j] = w->site[j].cut_car[i] = on;
		break;
	case F_KEEPER:
		s->guard.stopped = on && s->guard.there;
		break;
	case F_FREEZE_CTR:
		freeze_ctr(i, on);
		break;
	case F_STUCK:
		s->stuck = on;
		break;
	case F_CAR_DEAD:
		s->car.held = on;
		if (on)
			car_die(i);
		break;
	case F_CAR_RESTART:
		if (on)
			car_die(i);
		break;
	case F_MEM_LOST:
		if (on) {
			car_die(i);
			s->v.mem_id = s->v.mem_promised = s->v.mem_heard = 0;
		}
		break;
	case F_HOLD:
		s->held = on;
		if (on)
			proc_die(i, "killed and held down");
		break;
	case F_FREEZE:
		s->p.frozen = (on && s->p.alive) || s->guard.frozen;
		break;
	case F_POWER:
		power(i, on);
		break;
	case F_CUT_OP:
		set_cut_op(i, on);
		break;
	case F_CUT_KUBELET:
		s->cut_api = on;
		break;
	case F_ISOLATE:
		isolate(i, on);
		break;
	case F_CUT_REPL:
		for (j = 0; j < w->nsites; j++)
			s->cut_site[j] = w->site[j].cut_site[i] = on;
		break;
	case F_POD_DELETE:
		if (on && s->cur != -1 && s->pod[s->cur].used) {
			s->pod[s->cur].api.deleting = true;
			pod_changed(i, s->cur);
		}
		break;
	case F_WIPE:
		if (on)
			wipe(i);
		break;
	case F_ROGUE:
		if (on && s->p.alive && s->p.ro) {
			s->p.ro = s->p.sro = false;
			s->p.rogue = w->rogued = true;
			s->rogue_at = w->now;
		}
		break;
	case F_FENCE:
		if (on && s->p.alive)
			s->p.ro = s->p.sro = true;
		break;
	case F_SLOW:
		s->slow_applier = on;
		break;
	case F_BAD:
		s->bad_applier = on;
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
	case F_CONFUSED:
		if (on)
			kubelet_confused(i);
		else /* in the end it starts another container */
			ctr_die(i, "kubelet replaces the container");
		break;
	case F_ROLLBACK:
		if (on)
			rollback(i);
		break;
	case F_ASSERT:
		if (on)
			assert_dead(i);
		break;
	case F_OVERRIDE:
		if (on)
			override(i);
		break;
	case F_DEMOTE:
		if (on)
			demote(i);
		break;
	case F_NONE:
	case F_UPDATE:
	case F_BAD_UPDATE:
	case F_OP_CRASH:
	case F_OP_ISOLATE:
	case F_OP_FREEZE:
	case F_OP_CUT_API:
	case F_API_DOWN:
	case F_DENY:
	case F_LOSSY:
	case F_STALL:
	case F_CHECK_ACTIVE:
	case F_CHECK_BLOCK:
	case F_REC_WIPE:
	case F_REC_OLD:
	case F_SLOW_NET:
	case F_OPS_DOWN:
	case F_OP_CLOCK:
	case F_LEASE_MS:
	case F_RECREATE:
	case F_MAX:
		break;
	}
}

static void
on_rest(const struct script *l, bool on)
{
	int k;

	switch ((enum fault)l->fault) {
	case F_OP_CRASH:
		if (on)
			op_crash(op_of(l));
		break;
	case F_OP_CUT_API:
		k = op_of(l);
		w->op[k].cut_api = on;
		if (!on && w->op[k].up)
			op_pods(k);
		break;
	case F_OP_ISOLATE:
		isolate_op(op_of(l), on);
		break;
	case F_OP_FREEZE:
		w->op[op_of(l)].frozen = on;
		break;
	case F_API_DOWN:
		w->api.down = on;
		for (k = 0; !on && k < OPS; k++)
			if (w->op[k].up && !w->op[k].cut_api)
				op_pods(k);
		break;
	case F_DENY:
		w->api.deny = on;
		break;
	case F_LOSSY:
		w->lossy = on;
		break;
	case F_STALL:
		w->stall = on;
		break;
	case F_CHECK_ACTIVE:
	case F_CHECK_BLOCK:
		if (on)
			expect(l);
		break;
	case F_REC_WIPE:
	case F_REC_OLD:
		if (on)
			record_back(l->fault == F_REC_OLD);
		break;
	case F_SLOW_NET:
		w->slow_net = on;
		break;
	case F_OPS_DOWN:
		w->ops_down = on;
		for (k = 0; on && k < OPS; k++)
			op_crash(k);
		break;
	case F_OP_CLOCK:
		if (on)
			(void)step_clock(&w->op[op_of(l)].clock_off, l);
		break;
	case F_LEASE_MS:
		lease_ms(on);
		break;
	case F_RECREATE:
		if (on)
			recreate();
		break;
	case F_UPDATE:
		if (on)
			deploy_spec(false);
		break;
	/* in the end somebody corrects it */
	case F_BAD_UPDATE:
		deploy_spec(on);
		break;
	case F_NONE:
	case F_KILL:
	case F_KILL_CTR:
	case F_CUT_LINK:
	case F_CUT_SQL:
	case F_CUT_STANDBY:
	case F_CUT_LEADER:
	case F_CUT_LEADER_SQL:
	case F_CUT_RECV:
	case F_CLOCK:
	case F_CUT_PEERS:
	case F_KEEPER:
	case F_FREEZE_CTR:
	case F_STUCK:
	case F_CAR_DEAD:
	case F_CAR_RESTART:
	case F_MEM_LOST:
	case F_HOLD:
	case F_FREEZE:
	case F_POWER:
	case F_CUT_OP:
	case F_CUT_KUBELET:
	case F_ISOLATE:
	case F_CUT_REPL:
	case F_POD_DELETE:
	case F_WIPE:
	case F_ROGUE:
	case F_FENCE:
	case F_CUT_ON_GRANT:
	case F_CUT_DONE:
	case F_CONFUSED:
	case F_ROLLBACK:
	case F_SLOW:
	case F_BAD:
	case F_ASSERT:
	case F_OVERRIDE:
	case F_DEMOTE:
	case F_MAX:
		break;
	}
}

static int
op_struck(const struct script *l)
{
	int leader = w->api.holder == -1 ? 0 : w->api.holder;

	if (l->site == S_STANDBY)
		return (leader + 1) % OPS;
	return l->site == S_LEADER ? leader : l->site % OPS;
}

/* Line n strikes, n + 100 heals. */
void
strike(int n)
{
	int line = n % 100;
	bool on = n < 100;
	const struct script *l = &w->plan[line];

	if (on) {
		w->active_at[line] = site_of(line);
		w->op_at[line] = op_struck(l);
	}
	trace("--- %s %s %s", fault_name(l->fault),
	    w->c.site[w->active_at[line]].name, on ? "begins" : "ends");
	on_site(line, w->active_at[line], on);
	on_rest(l, on);
}

void
heal_all(void)
{
	int n;

	trace("--- everything is healed");
	for (n = 0; n < w->nplan; n++)
		if (w->plan[n].dur > 0)
			strike(n + 100);
	w->healed_at = w->now;
}

/* Where no kubelet's word counts, only a human can say what is dead. */
void
human(void)
{
	int i;

	for (i = 0; w->unknown_word && i < w->nsites; i++)
		assert_dead(i);
}

void
plan_random(void)
{
	struct script *l;
	int n, at = 2;

	w->nplan = 2 + (int)rnd(7);
	for (n = 0; n < w->nplan; n++) {
		l = &w->plan[n];
		l->fault = (uint8_t)(F_KILL + rnd(F_CHECK_ACTIVE - F_KILL));
		at += (int)rnd(30);
		l->at = at;
		l->dur = 1 + (int)rnd(rnd(3) == 0 ? 90 : 25);
		l->site = rnd(3) > 0 ? S_ACTIVE : (uint8_t)rnd(16);
		if (l->fault == F_OP_CRASH || l->fault == F_OP_CUT_API ||
		    l->fault == F_OP_ISOLATE || l->fault == F_OP_FREEZE)
			l->site = rnd(4) > 0 ? S_LEADER : (uint8_t)rnd(OPS);
		/* a wipe of everything proves nothing */
		if ((l->fault == F_WIPE || l->fault == F_ROLLBACK) &&
		    rnd(3) > 0)
			l->fault = F_KILL;
	}
}
