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
 * Deployments: the template that the spec gives each site, the one that its
 * Deployment has, and the controller that replaces a Pod of another one. Here
 * is checked whom an update takes down.
 */

#include <string.h>

#include "sim.h"

uint64_t
deploy_want(int i)
{
	return (uint64_t)w->spec * 100 + (uint64_t)i + 1;
}

/* Made from a template with which no container starts. */
bool
deploy_bad(int i)
{
	const struct site *s = &w->site[i];

	return s->cur != -1 && w->bad_spec != 0 &&
	    s->pod[s->cur].real.hash / 100 == w->bad_spec;
}

void
deploy_tell(int k, int i)
{
	struct ev e;

	if (!op_reaches_api(&w->op[k]))
		return;
	memset(&e, 0, sizeof(e));
	e.kind = K_ROLLOUT_IN;
	e.site = (uint8_t)i;
	e.fe.type = E_ROLLOUT;
	e.fe.site = (uint8_t)i;
	e.fe.u.rollout.want = deploy_want(i);
	e.fe.u.rollout.have = w->site[i].dep;
	watch_push(k, &e);
}

static void
tell(int i)
{
	int k;

	for (k = 0; k < OPS; k++)
		deploy_tell(k, i);
}

/* Another spec: every operator sees that it differs. */
void
deploy_spec(bool bad)
{
	int i;

	w->spec++;
	if (bad)
		w->bad_spec = w->spec;
	trace("spec %u%s", w->spec, bad ? ", which can't start" : "");
	for (i = 0; i < w->nsites; i++)
		tell(i);
}

/* Site i does its part, whatever an operator knows of it. */
static bool
well(int i)
{
	const struct site *s = &w->site[i];
	int a = w->api.rec.active;

	if (!s->p.alive || s->cur == -1 || s->pod[s->cur].real.hash != s->dep)
		return false;
	return i == a ||
	    (s->p.ro && s->v.has_repl && s->v.source == a && s->p.io &&
		s->p.sql);
}

static void
check_roll(const struct ev *q)
{
	int i = q->site;
	struct site *s = &w->site[i];
	int j;

	w->rolls++;
	/* What does not run is not taken down. */
	s->rolling = s->ctr;
	s->rolled_at = w->now;
	if (!s->ctr || w->c.recreate || !by_record(q))
		return;
	if (w->api.rec.active == i)
		fail("an update restarts %s, the active site",
		    w->c.site[i].name);
	for (j = 0; j < w->nsites; j++)
		if (j != i && j != w->api.rec.active && w->site[j].rolling &&
		    !well(j))
			fail("an update restarts %s while %s is not back",
			    w->c.site[i].name, w->c.site[j].name);
}

static void
roll_ack(const struct ev *q, bool ok, bool unknown)
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

/* A leader's request arrives; nobody asks any more whether it still leads. */
void
roll_at(const struct ev *q)
{
	struct site *s = &w->site[q->site];

	if (w->api.down || w->op[q->op].cut_api) {
		roll_ack(q, false, true);
		return;
	}
	trace("%s: its Deployment gets template %llu", w->c.site[q->site].name,
	    (unsigned long long)q->act.hash);
	if (s->dep != q->act.hash) {
		s->dep = q->act.hash;
		check_roll(q);
	}
	roll_ack(q, !w->lossy || chance(50), true);
	tell(q->site);
}

/*
 * A site that is configured no more: whoever leads, and knows that, deletes its
 * Deployment when the record has no epoch of it (src/kube_sweep.c).
 */
static void
sweep(int i)
{
	struct site *s = &w->site[i];
	const struct op *o;
	int k;

	if (s->no_deployment || w->api.holder == -1)
		return;
	o = &w->op[w->api.holder];
	if (!op_reaches_api(o) || !o->holds || o->frozen || !o->rec_known ||
	    i < o->c.nsites || w->api.rec.active == i)
		return;
	for (k = 0; k < w->api.rec.n; k++)
		if (w->api.rec.unended[k].site == i)
			return;
	trace("%s: its Deployment is deleted", w->c.site[i].name);
	s->no_deployment = true;
	s->rolling = false;
	s->dep = 0;
}

/* The Deployment's controller. */
static void
controller(int i)
{
	struct site *s = &w->site[i];
	struct pod *p;

	if (i >= w->c.nsites)
		sweep(i);
	else if (s->no_deployment) {
		s->no_deployment = false;
		s->dep = deploy_want(i);
		s->restart_at = w->now + 1000 + rnd(3000);
		tell(i);
	}
	if (w->api.down || s->cur == -1)
		return;
	p = &s->pod[s->cur];
	if (s->no_deployment && p->used && !p->api.deleting) {
		p->api.deleting = true;
		pod_changed(i, s->cur);
		return;
	}
	if (!p->used || p->api.deleting || p->api.hash == s->dep) {
		s->replace_at = 0;
		return;
	}
	if (s->replace_at == 0)
		s->replace_at = w->now + 100 + rnd(2000);
	if (w->now < s->replace_at)
		return;
	if (!w->c.recreate && w->api.rec.active == i && s->p.alive &&
	    !s->p.ro && !s->p.rogue && w->now - s->rolled_at < 60000)
		fail("%s was granted while its update restarts it",
		    w->c.site[i].name);
	p->api.deleting = true;
	pod_changed(i, s->cur);
}

void
deploy_tick(int i)
{
	struct site *s = &w->site[i];

	controller(i);
	if (s->rolling && well(i))
		s->rolling = false;
}

/* Every follower has the newest template; the active one may wait for it. */
bool
deploy_done(void)
{
	int i;

	for (i = 0; i < w->c.nsites; i++)
		if ((i != w->api.rec.active || w->c.recreate) &&
		    (w->site[i].dep != deploy_want(i) || !well(i)))
			return false;
	return true;
}
