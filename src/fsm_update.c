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
 * Updates: which site may be given the newest template now (resources.md
 * section 4). A pure function of what is seen; nothing of an update is
 * remembered that its successor would have to know. A follower is restarted
 * while every other one is well and the write lease does not need its vote;
 * the active site never, but where nothing runs any more, or the user asked
 * for updateStrategy Recreate.
 */

#include <stdio.h>
#include <string.h>

#include "fsm_int.h"

/* One site. The order is that of the reasons that people are told. */
enum fsm_roll_step
fsm_roll_next(const struct fsm_roll *r)
{
	if (r->leaving)
		return RO_LEAVING;
	if (!r->drifted) {
		if (r->well || !r->updating)
			return RO_CURRENT;
		return r->late ? RO_FAILED : RO_AWAIT;
	}
	if (r->refused)
		return RO_REFUSED;
	/* Down anyway, and perhaps for what the new template mends. */
	if (r->stuck && r->acting)
		return RO_ROLL;
	if (!FSM_GUARD(G_UPDATE_ACTIVE, !r->active || r->recreate))
		return RO_ACTIVE;
	if (!r->answers)
		return RO_SILENT;
	if (!r->acting || !r->settled)
		return RO_GROUP;
	if (r->recreate)
		return RO_ROLL;
	if (!FSM_GUARD(G_UPDATE_ONE, r->others))
		return RO_OTHERS;
	if (!FSM_GUARD(G_UPDATE_VOTERS, r->voters))
		return RO_VOTERS;
	return RO_ROLL;
}

/* --------------------------------------------------------- what is seen -- */

static bool
drifted(const struct fsm_site *t)
{
	return t->have != 0 && t->want != 0 && t->have != t->want;
}

static bool
any_drifted(const struct fsm_conf *c, const struct fsm_state *s)
{
	uint8_t i;

	for (i = 0; i < c->nsites; i++)
		if (drifted(&s->site[i]))
			return true;
	return false;
}

/*
 * The newest template was asked for, and the Pod that is there may yet be the
 * former one: nothing is begun with it, and no other site is taken down. A
 * Deployment that its controller does not follow is not waited for for ever.
 */
bool
fsm_leaving(const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];
	unsigned k;

	if (t->roll.seq != 0)
		return true;
	if (t->roll_hash == 0 || s->now_ms - t->roll_ms >= FSM_UPDATE_LEAVE_MS)
		return false;
	for (k = 0; k < sizeof(t->pod) / sizeof(t->pod[0]); k++)
		if (t->pod[k].pod_uid[0] != '\0' && !t->pod[k].gone &&
		    !t->pod[k].deleting && t->pod[k].hash == t->roll_hash)
			return false;
	return true;
}

/* What answers there runs from the template that its Deployment has. */
static bool
newest_pod(const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];
	const struct fsm_pod *pod = fsm_pod_of(s, i, t->p.pod_uid);

	return pod != NULL && !pod->gone && !pod->deleting && pod->ready &&
	    t->have != 0 && pod->hash == t->have;
}

/*
 * Of a template that had no guard, the reference's: it can't be given a lease,
 * and will have a guard only when it has been updated.
 */
static bool
bare(const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];

	return drifted(t) &&
	    (t->g.guard == 0 || !fsm_streq(t->g.pod_uid, t->p.pod_uid));
}

/* Nothing is wrong at site i now. */
static bool
fit(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];
	uint8_t a = fsm_active(c, s);

	if (a == FSM_NONE || !fsm_answers(s, i) || !newest_pod(s, i) ||
	    fsm_leaving(s, i) || fsm_recipient(s, i))
		return false;
	if (fsm_promotable(c, i) && fsm_guarded(c, s, i) && !bare(s, i) &&
	    !fsm_guard_lately(c, s, i))
		return false;
	return i == a ||
	    (t->state == SS_READ_ONLY && t->conv == CV_CONVERGED &&
		t->repl_streak >= 2 && t->p.source == a && t->p.lag_s >= 0 &&
		t->p.lag_s < FSM_UPDATE_LAG_S);
}

/* Does its part, not just for this moment: another one may go down. */
static bool
well(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i)
{
	return s->site[i].fit_ms != 0 &&
	    s->now_ms - s->site[i].fit_ms >= FSM_UPDATE_FIT_MS && fit(c, s, i);
}

/*
 * Site j must be well, and is not. One without a guard keeps the data while i
 * is away; it can't take i's place, were i one that could be promoted.
 */
static bool
missed(
    const struct fsm_conf *c, const struct fsm_state *s, uint8_t i, uint8_t j)
{
	if (j == i || j == s->rec.active)
		return false;
	return !well(c, s, j) ||
	    (bare(s, j) && fsm_promotable(c, j) && fsm_guard_lately(c, s, i));
}

static bool
others_well(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i)
{
	uint8_t j;

	for (j = 0; j < c->nsites; j++)
		if (missed(c, s, i, j))
			return false;
	return true;
}

/* Those that are not, for people. */
void
fsm_update_others(const struct fsm_conf *c, const struct fsm_state *s,
    uint8_t i, char *buf, size_t len)
{
	size_t n;
	uint8_t j;

	for (j = 0; j < c->nsites; j++) {
		n = strlen(buf);
		if (missed(c, s, i, j))
			snprintf(
			    buf + n, len - n, ", now not %s", c->site[j].name);
	}
}

/* The active guard would get its lease if site i's sidecar were away. */
static bool
voters_left(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i)
{
	int64_t lately = 2 * (int64_t)c->check_ms + FSM_SEEN_YES_MS;
	const struct fsm_epoch *e;
	int k = fsm_newest(s);
	unsigned m, n = 0;
	uint8_t j;

	if (k == -1)
		return false;
	e = &s->rec.unended[k];
	if (e->terms.guard == 0)
		return true;
	for (m = 0; m < e->terms.n; m++) {
		j = e->voter_site[m];
		if (e->terms.voter[m] == LEASE_OPERATOR)
			n += s->auth[k].yes_ms > s->now_ms - lately;
		else if (j != i && j < c->nsites)
			n += fsm_lease_renewed(c, s, j, e, lately);
	}
	return n >= e->terms.r;
}

/* Nothing has run at site i for a while, as its kubelet, too, says. */
static bool
stuck(const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];
	unsigned k;

	if (t->state != SS_UNREACHABLE ||
	    s->now_ms - t->fail_since_ms < FSM_UPDATE_STUCK_MS)
		return false;
	for (k = 0; k < sizeof(t->pod) / sizeof(t->pod[0]); k++)
		if (t->pod[k].pod_uid[0] != '\0' && !t->pod[k].gone &&
		    t->pod[k].ctr_state == CTR_RUNNING)
			return false;
	return true;
}

/*
 * A request of a leader before us may be carried out so long after it: nobody
 * is taken down beside the one that it takes down.
 */
static bool
acting(const struct fsm_conf *c, const struct fsm_state *s)
{
	return s->lease_held &&
	    s->lease_deadline_ms - s->now_ms >= FSM_LEASE_MIN_MS &&
	    s->now_ms >= s->old_rolls_ms && s->rec_known && s->synced &&
	    !c->deleting;
}

static bool
settled(const struct fsm_conf *c, const struct fsm_state *s,
    const struct fsm_decision *d)
{
	return d->verdict == V_HEALTHY && fsm_active(c, s) != FSM_NONE &&
	    s->clone_phase != CL_CLONING && s->clone_phase != CL_RESTART &&
	    s->clone_phase != CL_SETUP;
}

/*
 * Given its template, by this state or, where others still wait for theirs,
 * by one before it, and not seen well with it.
 */
static bool
updating(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];

	if (t->have == 0 || drifted(t) || t->well_hash == t->have)
		return false;
	return t->roll_open ||
	    (any_drifted(c, s) && t->unfit_ms != 0 &&
		s->now_ms - t->unfit_ms >= FSM_UPDATE_STUCK_MS);
}

enum fsm_roll_step
fsm_roll_of(const struct fsm_conf *c, const struct fsm_state *s,
    const struct fsm_decision *d, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];
	int64_t since = t->roll_ms > t->unfit_ms ? t->roll_ms : t->unfit_ms;
	struct fsm_roll r = { .drifted = drifted(t),
		.leaving = fsm_leaving(s, i),
		.well = well(c, s, i),
		.updating = updating(c, s, i),
		.late = s->now_ms - since >= FSM_UPDATE_WAIT_MS,
		.refused = t->roll_refused && s->now_ms < t->roll_next_ms,
		.acting = acting(c, s),
		.stuck = stuck(s, i),
		.answers = fsm_answers(s, i),
		.active = s->rec.active == i,
		.settled = settled(c, s, d),
		.others = others_well(c, s, i),
		.voters = voters_left(c, s, i),
		.recreate = c->recreate };

	return fsm_roll_next(&r);
}

/* --------------------------------------------------------------- the act - */

/* What kube-watcher sees of a site's Deployment. */
void
fsm_update_told(struct fsm_ctx *x, uint8_t i, uint64_t want, uint64_t have)
{
	struct fsm_site *t = &x->s->site[i];

	if (t->want != want) {
		t->roll_refused = t->roll_said = false;
		t->roll_next_ms = 0;
	}
	if (t->have != have) {
		t->fit_ms = 0;
		t->unfit_ms = x->now;
	}
	t->want = want;
	t->have = have;
}

void
fsm_update_ack(struct fsm_ctx *x, uint8_t i, bool ok, bool unknown)
{
	struct fsm_site *t = &x->s->site[i];

	memset(&t->roll, 0, sizeof(t->roll));
	t->roll_refused = !ok && !unknown;
	t->roll_next_ms = x->now + FSM_REPAIR_RETRY_MS;
	/* Nothing was changed: the Pod stays. */
	if (t->roll_refused) {
		t->roll_hash = 0;
		t->roll_open = false;
	}
}

static void
look(struct fsm_ctx *x, uint8_t i)
{
	struct fsm_site *t = &x->s->site[i];

	if (!fit(x->c, x->s, i)) {
		t->fit_ms = 0;
		if (t->unfit_ms == 0)
			t->unfit_ms = x->now;
		return;
	}
	t->unfit_ms = 0;
	if (t->fit_ms == 0)
		t->fit_ms = x->now;
	if (!well(x->c, x->s, i))
		return;
	t->well_hash = t->have;
	if (!t->roll_open || t->have != t->roll_hash)
		return;
	t->roll_open = t->roll_said = false;
	fsm_tell(x, T_ROLLED, i);
}

static void
roll(struct fsm_ctx *x, uint8_t i)
{
	struct fsm_site *t = &x->s->site[i];
	struct fsm_act *a;

	if (x->now < t->roll_next_ms && t->roll_hash == t->want)
		return; /* done, and not seen yet */
	a = fsm_request(x, A_ROLL, i, &t->roll, FSM_RECORD_TIMEOUT_MS);
	if (a == NULL)
		return;
	a->hash = t->roll_hash = t->want;
	t->roll_ms = x->now;
	t->roll_open = true;
	t->roll_said = t->roll_refused = false;
	fsm_tell(x, T_ROLL, i);
	fsm_count(x, FM_ROLLS, i);
}

/* Told once, and again when it is so for another template. */
static void
say(struct fsm_ctx *x, uint8_t i, enum fsm_text text)
{
	struct fsm_site *t = &x->s->site[i];

	if (t->roll_said || !fsm_can_act(x))
		return;
	t->roll_said = true;
	fsm_tell(x, text, i);
	if (text == T_ROLL_FAILED)
		fsm_count(x, FM_ROLL_FAILS, i);
}

void
fsm_update(struct fsm_ctx *x)
{
	uint8_t i;

	for (i = 0; i < x->c->nsites; i++)
		look(x, i);
	for (i = 0; i < x->c->nsites; i++)
		switch (fsm_roll_of(x->c, x->s, &x->d, i)) {
		case RO_ROLL:
			roll(x, i);
			break;
		case RO_FAILED:
			say(x, i, T_ROLL_FAILED);
			break;
		case RO_ACTIVE:
			say(x, i, T_ROLL_WAITS);
			break;
		case RO_CURRENT:
		case RO_LEAVING:
		case RO_AWAIT:
		case RO_REFUSED:
		case RO_GROUP:
		case RO_OTHERS:
		case RO_VOTERS:
		case RO_SILENT:
		case RO_MAX:
			break;
		}
}
