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

/* Only what is true is asserted: the process really is dead. */
void
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
	case F_REC_WIPE:
	case F_REC_OLD:
		if (on)
			record_back(l->fault == F_REC_OLD);
		break;
	case F_RECREATE:
		if (on)
			recreate();
		break;
	default:
		return false;
	}
	return true;
}

/* what people say and specify */
bool
fault_people(const struct script *l, int i, bool on)
{
	switch (l->fault) {
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
	case F_LEASE_MS:
		lease_ms(on);
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
