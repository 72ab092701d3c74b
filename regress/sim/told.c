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
 * What operators are told of the group's object, as group_in.c, group_record.c
 * and group_sites.c of src do it: the spec, which may lack the last site (its
 * number is FSM_FOREIGN then); the record, in which names of sites stay what
 * they were; and the words that people leave in annotations.
 */

#include <string.h>

#include "sim.h"

#define FOREIGN_MS 3000

/* As that operator's core has it. */
static uint8_t
site_in(const struct op *o, uint8_t i)
{
	return i < w->nsites && i >= o->c.nsites ? FSM_FOREIGN : i;
}

/* ------------------------------------------------------------ the record -- */

/* As it is told to that operator's core. */
void
told_record(
    const struct op *o, const struct fsm_record *r, struct fsm_record *to)
{
	struct fsm_epoch *e;
	unsigned k, m;

	*to = *r;
	to->active = site_in(o, r->active);
	to->last_target = site_in(o, r->last_target);
	for (k = 0; k < to->n; k++) {
		e = &to->unended[k];
		e->site = site_in(o, e->site);
		for (m = 0; m < e->terms.n; m++)
			e->voter_site[m] = site_in(o, e->voter_site[m]);
	}
}

/* And as it writes it: what was written stays as it was. */
void
told_put(const struct op *o, struct fsm_record *r)
{
	unsigned k, m;

	if (r->active == FSM_FOREIGN)
		r->active = o->rec.active;
	if (r->last_target == FSM_FOREIGN)
		r->last_target = o->rec.last_target;
	for (k = 0; k < r->n; k++) {
		for (m = 0; m < o->rec.n; m++)
			if (o->rec.unended[m].epoch == r->unended[k].epoch)
				break;
		if (m < o->rec.n)
			r->unended[k] = o->rec.unended[m];
		else if (r->unended[k].site == FSM_FOREIGN)
			fail("epoch %llu is written without its site",
			    (unsigned long long)r->unended[k].epoch);
	}
}

/* ------------------------------------------- sites that are not in the spec */

static bool
has_ended(const struct fsm_pod *p)
{
	unsigned k;

	if (!p->deleting || p->ctr_state != CTR_TERMINATED || p->nwords == 0)
		return false;
	for (k = 0; k < p->nwords; k++)
		if (p->word[k].unknown)
			return false;
	return true;
}

static void
strangers(struct op *o)
{
	unsigned k;

	o->c.strangers = false;
	for (k = 0; k < PODS; k++)
		if (o->foreign[k].pod_uid[0] != '\0' &&
		    !has_ended(&o->foreign[k]))
			o->c.strangers = true;
}

static void
keep_foreign(struct op *o, const struct fsm_pod *p)
{
	struct fsm_pod *slot = NULL;
	unsigned k;

	for (k = 0; k < PODS; k++)
		if (strcmp(o->foreign[k].pod_uid, p->pod_uid) == 0)
			slot = &o->foreign[k];
	for (k = 0; k < PODS && slot == NULL; k++)
		if (o->foreign[k].pod_uid[0] == '\0')
			slot = &o->foreign[k];
	if (slot == NULL)
		return;
	if (p->gone)
		memset(slot, 0, sizeof(*slot));
	else
		*slot = *p;
}

/* An epoch of theirs may be unended. */
void
told_foreign(int k)
{
	struct op *o = &w->op[k];
	struct fsm_event fe = { .type = E_POD, .site = FSM_FOREIGN };
	struct fsm_pod pod;
	unsigned n;

	for (n = 0; n < PODS; n++) {
		if (o->foreign[n].pod_uid[0] == '\0')
			continue;
		pod = o->foreign[n];
		fe.u.pod = &pod;
		op_event(k, &fe, false);
	}
	o->foreign_at = w->now + FOREIGN_MS;
}

void
told_tick(int k)
{
	if (w->op[k].up && w->now >= w->op[k].foreign_at)
		told_foreign(k);
}

/*
 * An event for that operator's core, in its numbers; false: it is about a site
 * of which it doesn't know, so nobody is told.
 */
bool
told_event(struct op *o, struct fsm_event *fe)
{
	static struct fsm_probe probe;
	bool gone = fe->site < w->nsites && fe->site >= o->c.nsites;

	switch ((enum fsm_event_type)fe->type) {
	case E_POD:
		if (gone) {
			keep_foreign(o, fe->u.pod);
			fe->site = FSM_FOREIGN;
		}
		break;
	case E_PROBE:
		probe = *fe->u.probe;
		probe.source = site_in(o, probe.source);
		fe->u.probe = &probe;
		/* FALLTHROUGH */
	case E_CONN_LOST:
	case E_SQL_DONE:
	case E_GUARD:
	case E_LINK:
	case E_PROMISE:
	case E_ASK:
	case E_ROLLOUT:
		if (gone)
			return false;
		break;
	case E_ASSERT_DEAD:
		fe->u.assert_dead.site = site_in(o, fe->u.assert_dead.site);
		break;
	case E_OVERRIDE:
		fe->u.override = site_in(o, fe->u.override);
		break;
	case E_TICK:
	case E_CONF:
	case E_RECORD:
	case E_SYNCED:
	case E_LEASE:
	case E_ACK:
	case E_MAX:
		break;
	}
	strangers(o);
	return true;
}

/* -------------------------------------------------------------- the spec -- */

void
conf_changed(void)
{
	struct ev e;
	int k;

	for (k = 0; k < OPS; k++) {
		if (!op_reaches_api(&w->op[k]))
			continue;
		memset(&e, 0, sizeof(e));
		e.kind = K_CONF_IN;
		watch_push(k, &e);
	}
}

static void
feed_override(int k)
{
	struct fsm_event fe = { .type = E_OVERRIDE };

	fe.u.override = w->op[k].words.override;
	op_event(k, &fe, false);
}

static void
feed_assert(int k)
{
	const struct words *a = &w->op[k].words;
	struct fsm_event fe = { .type = E_ASSERT_DEAD };

	fe.u.assert_dead.gone = !a->dead;
	fe.u.assert_dead.site = a->site;
	fe.u.assert_dead.epoch = a->epoch;
	memcpy(fe.u.assert_dead.pod_uid, a->pod_uid,
	    sizeof(fe.u.assert_dead.pod_uid));
	op_event(k, &fe, false);
}

/* A core that was begun anew, or has other sites, hears them again. */
void
told_words_again(int k)
{
	w->op[k].words = w->api.words;
	if (w->op[k].words.dead)
		feed_assert(k);
	if (w->op[k].words.override != FSM_NONE)
		feed_override(k);
}

/* The last site has left the list, or is in it again. */
static void
resite(int k)
{
	struct op *o = &w->op[k];
	uint8_t to[SITES_MAX];
	int i;

	for (i = 0; i < SITES_MAX; i++)
		to[i] = i < o->c.nsites && i < w->c.nsites ? (uint8_t)i :
							     FSM_FOREIGN;
	for (i = 0; i < w->nsites; i++)
		if (to[i] == FSM_FOREIGN) {
			o->known[i] = o->link[i] = false;
			o->link_down_at[i] = 0;
		}
	memset(o->foreign, 0, sizeof(o->foreign));
	fsm_sites(&o->s, to, op_clock(o));
	o->c = w->c;
	if (o->rec_known)
		op_record_is(k, &o->rec);
	op_feed_pods(k);
	told_words_again(k);
	for (i = 0; i < w->nsites; i++)
		deploy_tell(k, i);
}

void
told_conf(int k)
{
	struct op *o = &w->op[k];
	struct fsm_event fe = { .type = E_CONF };

	if (o->c.nsites != w->c.nsites)
		resite(k);
	else
		o->c = w->c;
	op_event(k, &fe, true);
}

/* ------------------------------------------------------------- the words -- */

void
words_changed(void)
{
	struct ev e;
	int k;

	w->api.changes++;
	for (k = 0; k < OPS; k++) {
		if (!op_reaches_api(&w->op[k]))
			continue;
		memset(&e, 0, sizeof(e));
		e.kind = K_WORDS_IN;
		watch_push(k, &e);
	}
}

void
told_words(int k)
{
	const struct words *a = &w->api.words;
	struct words was = w->op[k].words;

	w->op[k].words = *a;
	if (a->override != was.override)
		feed_override(k);
	if (a->dead != was.dead || a->epoch != was.epoch ||
	    strcmp(a->pod_uid, was.pod_uid) != 0)
		feed_assert(k);
}

/* The leader has judged one: it is to be taken off. */
void
words_judged(int k, const struct fsm_act *a)
{
	struct op *o = &w->op[k];
	struct ev e;

	memset(&e, 0, sizeof(e));
	e.kind = K_WORD_AT;
	e.op = (uint8_t)k;
	e.life = o->life;
	e.extra = strcmp(a->key, FSM_ANN_OVERRIDE) == 0;
	e.limit = e.extra ? o->words.override : (int64_t)o->words.epoch;
	push(&e, 2 + rnd(20));
}

/* Taken off, unless somebody has put another one there. */
void
word_at(const struct ev *q)
{
	struct words *a = &w->api.words;

	if (!op_reaches_api(&w->op[q->op]))
		return;
	if (q->extra && a->override == q->limit)
		a->override = FSM_NONE;
	else if (!q->extra && a->dead && (int64_t)a->epoch == q->limit)
		*a = (struct words) { .override = a->override };
	else
		return;
	words_changed();
}
