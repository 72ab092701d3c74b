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

/* Pods and their kubelets. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

void
kubelet_report(int i, int k, int64_t delay)
{
	struct pod *p = &w->site[i].pod[k];

	if (p->used && p->sync_at == 0)
		p->sync_at = w->now + delay;
}

int
pod_new(int i)
{
	struct site *s = &w->site[i];
	struct pod *p;
	int k;

	for (k = 0; k < PODS && s->pod[k].used; k++)
		;
	if (k == PODS || s->no_deployment)
		return -1;
	p = &s->pod[k];
	memset(p, 0, sizeof(*p));
	p->used = true;
	snprintf(
	    p->real.pod_uid, sizeof(p->real.pod_uid), "pod-%04u", ++w->pods);
	p->real.finalizer = true;
	p->real.hash = s->dep;
	p->real.ctr_state = CTR_WAITING;
	p->api = p->real;
	return k;
}

/* A watch tells things in the order in which they were. */
void
watch_push(int k, struct ev *e)
{
	struct op *o = &w->op[k];
	int64_t at = w->now + 20 + rnd(200);

	if (at < o->watch_at)
		at = o->watch_at;
	o->watch_at = at;
	e->op = (uint8_t)k;
	e->life = o->life;
	e->script = o->watch;
	push(e, at - w->now);
}

/* The object changed: every operator that watches hears of it. */
void
pod_changed(int i, int k)
{
	struct ev e;
	int o;

	for (o = 0; o < OPS; o++) {
		if (!op_reaches_api(&w->op[o]))
			continue;
		memset(&e, 0, sizeof(e));
		e.kind = K_POD_IN;
		e.site = (uint8_t)i;
		e.pod = w->site[i].pod[k].api;
		watch_push(o, &e);
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

/* SIGTERM: the guard fences, ends mysqld, says so, and goes. */
static void
pod_ends(int i)
{
	struct site *s = &w->site[i];

	if (s->guard.there && !s->guard.stopped && !s->guard.frozen &&
	    s->p.alive) {
		s->p.ro = s->p.sro = true;
		s->held = true; /* not started again here */
		proc_die(i, "Pod deleted");
		s->held = false;
	}
	ctr_die(i, "Pod deleted");
	car_die(i);
}

/* The kubelet writes its status, hears of deletions, starts containers. */
void
kubelet(int i, int k)
{
	struct site *s = &w->site[i];
	struct pod *p = &s->pod[k];
	bool fin, del;

	if (!p->used || s->node_off || s->cut_api || w->api.down)
		return;
	if (p->api.deleting && s->cur == k && s->ctr) {
		pod_ends(i);
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
add_word(struct pod *p, int64_t finished, uint64_t guard, bool unknown)
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
	r->word[0].guard = w->bare || unknown ? 0 : guard;
	r->nwords++;
}

/* A kubelet that lost track of a container that runs on. */
void
kubelet_confused(int i)
{
	struct site *s = &w->site[i];
	struct fsm_pod *r;

	if (!s->ctr || s->cur == -1)
		return;
	r = &s->pod[s->cur].real;
	add_word(&s->pod[s->cur], node_clock(i) + 2000, 0, true);
	r->ctr_state = CTR_TERMINATED;
	kubelet_report(i, s->cur, 100);
}

/* The container has ended; unknown: it can't be told how. */
void
kubelet_word(int i, bool unknown)
{
	struct site *s = &w->site[i];

	add_word(&s->pod[s->cur], node_clock(i), s->guard.l.id, unknown);
	s->pod[s->cur].real.ctr_state = CTR_TERMINATED;
	kubelet_report(i, s->cur, 100 + rnd(1400));
}
