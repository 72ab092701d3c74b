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

/* Faults of what Kubernetes keeps, and what people say and specify there. */

#include <string.h>

#include "sim.h"

/* The process of that Pod runs there. */
static bool
lives(int i, const char *pod_uid)
{
	const struct site *s = &w->site[i];

	return s->p.alive && s->cur != -1 &&
	    strcmp(s->pod[s->cur].real.pod_uid, pod_uid) == 0;
}

static void
say_dead(int i, uint64_t epoch, const char *pod_uid)
{
	struct words *a = &w->api.words;

	trace("%s: a human says that %s is dead", w->c.site[i].name, pod_uid);
	if (lives(i, pod_uid))
		w->site[i].p.lied = epoch;
	a->dead = true;
	a->site = (uint8_t)i;
	a->epoch = epoch;
	memcpy(a->pod_uid, pod_uid, sizeof(a->pod_uid));
	words_changed();
}

/*
 * What the Event has named, or an epoch in the record; only what is true,
 * unless it is a lie.
 */
void
assert_dead(int i, bool lie)
{
	const struct fsm_record *r = &w->api.rec;
	const struct fsm_act *a = &w->no_proof;
	int k;

	if (w->api.down)
		return;
	if (a->site == i && a->proc.pod_uid[0] != '\0' &&
	    (lie || !lives(i, a->proc.pod_uid))) {
		say_dead(i, a->epoch, a->proc.pod_uid);
		return;
	}
	for (k = 0; k < r->n; k++)
		if (r->unended[k].site == i &&
		    (lie || !lives(i, r->unended[k].proc.pod_uid))) {
			say_dead(
			    i, r->unended[k].epoch, r->unended[k].proc.pod_uid);
			return;
		}
}

static void
override(int i)
{
	trace("%s: a human overrides an applier error", w->c.site[i].name);
	w->may_drop |= (uint16_t)(1U << i);
	w->api.words.override = (uint8_t)i;
	words_changed();
}

/* Fewer or more seconds, while everything runs. */
static void
lease_ms(const struct script *l, bool on)
{
	static const uint32_t other[][2] = { { 6000, 2000 }, { 3000, 1000 },
		{ 20000, 5000 }, { 40000, 5000 } };
	unsigned n = w->sc != NULL ? 0 : l->at % 4U;

	w->c.lease_ms = on ? other[n][0] : w->whole.lease_ms;
	w->c.check_ms = on ? other[n][1] : w->whole.check_ms;
}

/* The active site stays: the API server refuses a list without it. */
static void
remove_last(bool on)
{
	if (!on)
		w->c.nsites = w->whole.nsites;
	else if (w->c.nsites > 2 && w->api.rec.active != w->c.nsites - 1)
		w->c.nsites--;
	trace("the spec has %u sites", w->c.nsites);
}

/* The spec changes, the state stays; false: it is of another kind. */
static bool
on_spec(const struct script *l, int i, bool on)
{
	switch (l->fault) {
	case F_DEMOTE:
		w->c.site[i].role = !on ? w->whole.site[i].role :
		    l->want != NULL     ? (uint8_t)ROLE_READER :
					  (uint8_t)ROLE_DR_ONLY;
		break;
	case F_REMOVE:
		remove_last(on);
		break;
	case F_LEASE_MS:
		lease_ms(l, on);
		break;
	case F_LEASE_LONG:
		w->c.lease_ms = on ? 60000 : w->whole.lease_ms;
		break;
	default:
		return false;
	}
	conf_changed();
	return true;
}

void
spec_whole(void)
{
	w->c = w->whole;
	conf_changed();
}

/* Its volumes stay, and with them what their sidecars remember. */
static void
recreate(void)
{
	struct fsm_record *r = &w->api.rec;
	int i, k;

	w->api.words = (struct words) { .override = FSM_NONE };
	w->api.group++;
	w->api.changes++;
	w->api.by_hand++;
	w->last_promotion = 0;
	memset(&w->no_proof, 0, sizeof(w->no_proof));
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
		if (op_reaches_api(&w->op[k]))
			op_restart_core(k);
}

void
backup(void)
{
	w->api.backup.c = w->c;
	w->api.backup.rec = w->api.rec;
	w->api.backup.grant = w->api.grant;
	w->api.backup.seen = w->api.seen;
}

static bool
has_pod(const char *uid)
{
	int i, p;

	for (i = 0; i < w->nsites; i++)
		for (p = 0; p < PODS; p++)
			if (w->site[i].pod[p].used &&
			    strcmp(w->site[i].pod[p].api.pod_uid, uid) == 0)
				return true;
	return false;
}

/* An epoch in that record is of a Pod that is gone, with its kubelet's word. */
static bool
word_gone(const struct fsm_record *r)
{
	int k;

	for (k = 0; k < r->n; k++)
		if (!has_pod(r->unended[k].proc.pod_uid))
			return true;
	return false;
}

/*
 * Somebody puts back what he has of the group, with its spec, or wipes the
 * status. A cooldown is in the record.
 */
static void
record_back(bool old)
{
	struct fsm_record *r = &w->api.rec;
	const struct backup *b = &w->api.backup;

	w->api.changes++;
	w->api.by_hand++;
	w->api.behind = true;
	w->last_promotion = 0;
	memset(&w->api.grant, 0, sizeof(w->api.grant));
	memset(&w->api.seen, 0, sizeof(w->api.seen));
	memset(r, 0, sizeof(*r));
	r->active = r->last_target = FSM_NONE;
	if (old) {
		*r = b->rec;
		w->api.grant = b->grant;
		w->api.seen = b->seen;
		w->c = b->c;
		conf_changed();
		w->unknown_word = w->unknown_word || word_gone(r);
	}
	tell_record();
}

/* By hand; nobody who has it in mind is asked. */
static void
lease_object(unsigned fault)
{
	struct api *a = &w->api;

	if (a->lease_version == 0)
		return;
	a->lease_version = ++a->lease_versions;
	if (fault == F_LEASE_GONE) {
		memset(&a->lease, 0, sizeof(a->lease));
		a->lease_version = 0;
		a->lease_holder[0] = '\0';
	} else if (fault == F_LEASE_EMPTIED) {
		a->lease_holder[0] = '\0';
	} else {
		a->lease.duration_s = 1;
	}
}

static void
pod_delete(int i)
{
	struct site *s = &w->site[i];

	if (s->cur == -1 || !s->pod[s->cur].used)
		return;
	s->pod[s->cur].api.deleting = true;
	pod_changed(i, s->cur);
}

/* Pods, kubelets, the API server and what it keeps */
bool
fault_kubernetes(const struct script *l, int i, bool on)
{
	int k;

	switch (l->fault) {
	case F_POD_DELETE:
		if (on)
			pod_delete(i);
		break;
	case F_CONFUSED:
		if (on)
			kubelet_confused(i);
		else /* in the end it starts another container */
			ctr_die(i, "kubelet replaces the container");
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
	default:
		return false;
	}
	return true;
}

/* what they do to the objects */
static bool
on_objects(const struct script *l, bool on)
{
	switch (l->fault) {
	case F_BACKUP:
		if (on)
			backup();
		break;
	case F_REC_WIPE:
	case F_REC_OLD:
		if (on)
			record_back(l->fault == F_REC_OLD);
		break;
	case F_RECREATE:
		if (on)
			recreate();
		break;
	case F_LEASE_GONE:
	case F_LEASE_EMPTIED:
	case F_LEASE_SHORT:
		if (on)
			lease_object(l->fault);
		break;
	default:
		return false;
	}
	return true;
}

/* What people say, specify and do, while there is an API server. */
bool
fault_people(const struct script *l, int i, bool on)
{
	if (on && w->api.down && l->fault >= F_UPDATE)
		return true;
	if (on_spec(l, i, on) || on_objects(l, on))
		return true;
	switch (l->fault) {
	case F_ASSERT:
	case F_LIE:
		if (on)
			assert_dead(i, l->fault == F_LIE);
		break;
	case F_OVERRIDE:
		if (on)
			override(i);
		break;
	case F_UPDATE:
		if (on)
			deploy_spec(false);
		break;
	case F_BAD_UPDATE: /* in the end somebody corrects it */
		deploy_spec(on);
		break;
	default:
		return false;
	}
	return true;
}
