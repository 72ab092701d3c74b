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
 * Who leads: the machine of src/kube_lease.c for each operator, as
 * src/kube_leader.c drives it, and the Lease object with its optimistic lock.
 * Requests and answers take time, and get lost.
 */

#include <bsd/string.h>
#include <stdio.h>
#include <string.h>

#include "sim.h"

#define NS      INT64_C(1000000)
#define LOOK_MS 500

/* Of a K_LEASE event, in `script`. */
enum { AT_TIMER, AT_API, AT_ANSWER, AT_LOST, AT_LIST, AT_DEADLINE };

static void
later(int k, unsigned at, struct ev *e, int64_t delay)
{
	e->kind = K_LEASE;
	e->op = (uint8_t)k;
	e->life = w->op[k].life;
	e->script = at;
	push(e, delay);
}

static void
plain(int k, unsigned at, int64_t delay)
{
	struct ev e;

	memset(&e, 0, sizeof(e));
	later(k, at, &e, delay);
}

/* ------------------------------------------------------------- leading --- */

static void
tell(int k)
{
	struct op *o = &w->op[k];
	struct fsm_event fe = { .type = E_LEASE };

	o->lease_until = lease_deadline(&o->lease) / NS;
	elect_event(o, &fe);
	op_event(k, &fe, false);
	if (o->holds)
		plain(k, AT_DEADLINE, op_wait(o, o->lease_until));
}

/* As the core is told. */
void
elect_event(const struct op *o, struct fsm_event *fe)
{
	fe->u.lease.held = o->holds;
	fe->u.lease.deadline_ms = o->holds ? o->lease_until : 0;
	fe->u.lease.quiet_ms =
	    o->holds ? (lease_quiet(&o->lease) + NS - 1) / NS : 0;
}

static void
lead(int k)
{
	struct op *o = &w->op[k];

	o->holds = true;
	w->api.holder = k;
	tell(k);
	trace("op%d leads, none before since %.3f", k,
	    (double)op_world(o, o->s.quiet_ms) / 1000);
	check_quiet(k);
}

static void
unlead(int k)
{
	struct op *o = &w->op[k];

	trace("op%d leads no more", k);
	o->holds = false;
	(void)lease_begin(&o->lease, op_clock(o) * NS);
	tell(k);
}

static void
changed(int k)
{
	struct op *o = &w->op[k];
	int64_t now = op_clock(o) * NS;
	bool relist = lease_begin(&o->lease, now);
	bool valid = lease_valid(&o->lease, now);

	if (o->holds && !valid)
		unlead(k);
	else if (o->holds)
		tell(k);
	else if (relist)
		plain(k, AT_LIST, 5 + rnd(40));
	else if (lease_lead(&o->lease, now))
		lead(k);
}

/* All groups, and with them the record, by a quorum read. */
static void
listed(int k)
{
	struct op *o = &w->op[k];

	if (o->holds)
		return;
	if (!op_reaches_api(o)) {
		plain(k, AT_LIST, 500);
		return;
	}
	op_record(k);
	lease_listed(
	    &o->lease, op_clock(o) * NS, w->api.rec.active != FSM_NONE);
	if (lease_lead(&o->lease, op_clock(o) * NS))
		lead(k);
}

/* As src/group_sight.c and src/parent.c; there is one group. */
void
elect_look(int k)
{
	struct op *o = &w->op[k];
	struct handover_sees n = { 0 };

	if (w->now < o->look_at)
		return;
	o->look_at = w->now + LOOK_MS;
	switch (fsm_sees(&o->c, &o->s)) {
	case FSM_SEES_OTHER:
		n.other = 1;
		n.lost_ms = o->c.failure_threshold * o->c.poll_ms;
		break;
	case FSM_SEES_MINE:
		n.mine = 1;
		break;
	case FSM_SEES_BUSY:
		n.busy = 1;
		break;
	case FSM_SEES_BOTH:
	case FSM_SEES_NONE:
		break;
	}
	if (handover_look(&o->handover, &n, o->holds, op_clock(o)) !=
	    HANDOVER_GO)
		return;
	trace("op%d hands over", k);
	o->holds = false;
	lease_hand_over(&o->lease,
	    (op_clock(o) + handover_term(&o->handover, op_clock(o))) * NS);
	(void)lease_begin(&o->lease, op_clock(o) * NS);
	tell(k);
}

/* --------------------------------------------------- requests and answers - */

static void
arm(int k)
{
	struct op *o = &w->op[k];

	plain(k, AT_TIMER, lease_wait(&o->lease, op_clock(o) * NS, rnd(256)));
}

static void
ask(int k)
{
	struct op *o = &w->op[k];
	struct ev e;

	memset(&e, 0, sizeof(e));
	e.lease.what = (uint8_t)lease_next(&o->lease, op_clock(o) * NS,
	    (1700000000000LL + w->now + o->clock_off) * 1000, &e.lease.body);
	if (e.lease.body.resource_version != NULL)
		e.lease.version = w->op[k].lease_version;
	(void)strlcpy(e.lease.holder,
	    e.lease.body.holder != NULL ? e.lease.body.holder : "",
	    sizeof(e.lease.holder));
	e.lease.sent = op_clock(o);
	later(k, AT_API, &e, 1 + rnd(10));
}

static bool
refused(const struct ev *q)
{
	struct api *a = &w->api;

	return q->lease.what == LD_CREATE ?
	    a->lease_version != 0 :
	    a->lease_version == 0 || q->lease.version != a->lease_version;
}

/* The request has come to the API server, if it can. */
static void
served(const struct ev *q)
{
	struct api *a = &w->api;
	struct ev e = *q;
	int64_t patience = lease_patience(&w->op[q->op].lease);

	if (!op_reaches_api(&w->op[q->op])) {
		later(q->op, AT_LOST, &e,
		    op_wait(&w->op[q->op], q->lease.sent + patience));
		return;
	}
	e.lease.ok = true;
	if (q->lease.what != LD_GET && refused(q)) {
		e.lease.ok = false;
	} else if (q->lease.what != LD_GET) {
		a->lease = q->lease.body;
		a->lease_version = ++a->lease_versions;
		(void)strlcpy(
		    a->lease_holder, q->lease.holder, sizeof(a->lease_holder));
	}
	e.lease.body = a->lease;
	e.lease.version = a->lease_version;
	(void)strlcpy(e.lease.holder, a->lease_holder, sizeof(e.lease.holder));
	/* Done, and who asked does not know. */
	if (w->lossy && chance(20))
		later(q->op, AT_LOST, &e,
		    op_wait(&w->op[q->op], q->lease.sent + patience));
	else
		later(q->op, AT_ANSWER, &e, 1 + rnd(10));
}

static void
take_answer(struct op *o, const struct ev *q)
{
	struct klease b = q->lease.body;
	char rv[24];

	if (!op_reaches_api(o) || !q->lease.ok) {
		lease_unsure(&o->lease);
		return;
	}
	if (q->lease.version == 0) {
		lease_seen(&o->lease, op_clock(o) * NS, NULL);
		return;
	}
	(void)snprintf(
	    rv, sizeof(rv), "%llu", (unsigned long long)q->lease.version);
	b.resource_version = rv;
	b.holder = q->lease.holder;
	o->lease_version = q->lease.version;
	if (q->lease.what == LD_GET)
		lease_seen(&o->lease, op_clock(o) * NS, &b);
	else
		lease_written(&o->lease, q->lease.sent * NS, &b);
}

static void
answered(const struct ev *q)
{
	struct op *o = &w->op[q->op];
	struct klease b;

	take_answer(o, q);
	changed(q->op);
	if (q->lease.what == LD_GET && q->lease.ok &&
	    (!o->lease.held || o->lease.absent) &&
	    lease_next(&o->lease, op_clock(o) * NS, 0, &b) != LD_GET)
		ask(q->op);
	else
		arm(q->op);
}

/* A new process: another name. */
void
elect_start(int k)
{
	struct op *o = &w->op[k];
	char id[32];

	(void)snprintf(id, sizeof(id), "op%d-%u", k, o->life);
	lease_init(
	    &o->lease, id, w->sc_lease[0], w->sc_lease[1], w->sc_lease[2]);
	o->lease_version = 0;
	o->lease_until = 0;
	memset(&o->handover, 0, sizeof(o->handover));
	plain(k, AT_TIMER, k * 50);
}

void
elect_at(const struct ev *q)
{
	struct op *o = &w->op[q->op];

	if (!o->up || o->life != q->life ||
	    (q->script != AT_API && op_frozen(q)))
		return;
	switch (q->script) {
	case AT_TIMER:
		ask(q->op);
		break;
	case AT_API:
		served(q);
		break;
	case AT_ANSWER:
		answered(q);
		break;
	case AT_LOST:
		lease_unsure(&o->lease);
		changed(q->op);
		arm(q->op);
		break;
	case AT_LIST:
		listed(q->op);
		break;
	case AT_DEADLINE:
		if (o->holds && !lease_valid(&o->lease, op_clock(o) * NS))
			unlead(q->op);
		break;
	}
}
