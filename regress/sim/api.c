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

/* The API server: the record, and Pods that operators delete or release. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

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

void
tell_record(void)
{
	struct ev e;
	int o;

	for (o = 0; o < OPS; o++) {
		if (!op_reaches_api(&w->op[o]))
			continue;
		memset(&e, 0, sizeof(e));
		e.kind = K_REC_IN;
		e.op = (uint8_t)o;
		e.life = w->op[o].life;
		e.script = w->api.group;
		e.rec = &w->api.rec;
		e.grant = w->api.grant;
		e.seen = w->api.seen;
		push(&e, 2 + rnd(30));
	}
}

void
put_at(const struct ev *q)
{
	struct op *o = &w->op[q->op];
	struct ev late;

	/* Sent before its Lease ran out, it may land long after that. */
	if (!q->extra && (w->api.down || o->cut_api)) {
		late = *q;
		late.extra = true;
		late.script = (unsigned)w->api.changes;
		push(&late, rnd(chance(50) ? 9000 : FSM_PUT_LIFE_MS));
		ack(q, false, true);
		return;
	}
	if (q->extra && (w->api.down || q->script != w->api.changes))
		return;
	if (w->api.deny || o->group != w->api.group ||
	    q->rec->version != w->api.rec.version ||
	    (!q->extra && op_clock(o) >= q->act.valid_until_ms)) {
		ack(q, false, false);
		tell_record();
		return;
	}
	w->api.rec = *q->rec;
	w->api.rec.version++;
	w->api.changes++;
	w->api.behind = false;
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
		check_promotion(q->rec->active);
	if (w->lossy && chance(50))
		ack(q, false, true);
	else
		ack(q, true, false);
	tell_record();
}

/* Whatever site it is of, and whether that one is configured. */
void
pod_at(const struct ev *q)
{
	struct pod *p;
	int i, k;

	if (w->api.down || w->op[q->op].cut_api) {
		ack(q, false, true);
		return;
	}
	for (i = 0; i < w->nsites; i++)
		for (k = 0; k < PODS; k++) {
			p = &w->site[i].pod[k];
			if (!p->used ||
			    strcmp(p->api.pod_uid, q->act.proc.pod_uid) != 0)
				continue;
			trace("%s: %s %s", w->c.site[i].name,
			    fsm_act_name(q->act.type), p->api.pod_uid);
			if (q->act.type == A_POD_DELETE)
				p->api.deleting = true;
			else
				p->api.finalizer = false;
			pod_changed(i, k);
		}
	ack(q, true, false);
}
