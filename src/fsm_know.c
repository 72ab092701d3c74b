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

/* Questions about what is known; no answer changes anything. */

#include <string.h>

#include "fsm_int.h"

bool
fsm_streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static bool
start_near(int64_t a, int64_t b)
{
	return a - b < FSM_START_TOL_MS && b - a < FSM_START_TOL_MS;
}

/*
 * The probe speaks of this very process. A measured start differs by less
 * than two seconds between two measurements of one process.
 */
bool
fsm_same_process(const struct fsm_proc *a, const struct fsm_probe *p)
{
	return fsm_streq(a->pod_uid, p->pod_uid) &&
	    fsm_streq(a->server_uuid, p->server_uuid) &&
	    start_near(a->start_ms, p->start_ms);
}

bool
fsm_promotable(const struct fsm_conf *c, uint8_t i)
{
	return c->site[i].role == ROLE_CANDIDATE;
}

bool
fsm_core(const struct fsm_conf *c, uint8_t i)
{
	return c->site[i].role != ROLE_READER;
}

/* Its last probe was answered. */
bool
fsm_answers(const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];

	return t->ever && t->fails == 0 && !t->suspect &&
	    t->state != SS_UNREACHABLE;
}

/* No record, and nobody has answered yet: nothing was there to be lost. */
bool
fsm_unborn(const struct fsm_conf *c, const struct fsm_state *s)
{
	uint8_t i;

	for (i = 0; i < c->nsites; i++)
		if (s->site[i].ever)
			return false;
	return s->rec_known && s->rec.active == FSM_NONE;
}

/*
 * No grant of ours can have changed the flags since they were read: none is
 * outstanding, and the reading began after the last one was settled.
 */
bool
fsm_flags_current(const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];

	return FSM_GUARD(G_FENCE_OWN_GRANTS, !t->grant_open) &&
	    FSM_GUARD(G_READ_AFTER_GRANT, t->read_ms > t->granted_ms);
}

/*
 * A lost process with a guard at whose site the record of this term lists no
 * epoch: another leader proved its end, by a word that did not come here, and
 * what nobody granted its guard has fenced.
 */
static bool
ended_by_record(const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];
	unsigned k;

	if (t->state != SS_UNREACHABLE || t->grant_open || t->g.guard == 0 ||
	    !fsm_streq(t->g.pod_uid, t->p.pod_uid))
		return false;
	for (k = 0; k < s->rec.n; k++)
		if (s->rec.unended[k].site == i)
			return false;
	return FSM_GUARD(
	    G_RECORD_WHOLE, s->lease_held && s->put_term && s->lost == 0);
}

/* Not known to be read-only, and nothing proves that the process has ended. */
bool
fsm_may_write(const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];

	return t->ever && !t->quelled &&
	    (!t->p.read_only || !fsm_flags_current(s, i)) &&
	    !ended_by_record(s, i);
}

/*
 * A lost writer with an unended epoch: the proof gate speaks of it. One that
 * has ended, and left it writable, says nothing of it any more.
 */
bool
fsm_gated(const struct fsm_state *s, uint8_t j)
{
	unsigned k;

	if (s->site[j].state != SS_UNREACHABLE)
		return false;
	for (k = 0; k < s->rec.n; k++)
		if (s->rec.unended[k].site == j &&
		    fsm_same_process(&s->rec.unended[k].proc, &s->site[j].p) &&
		    FSM_GUARD(G_GATED_OPEN, s->ended[k] == P_NONE))
			return true;
	return false;
}

/* What is known of site i is older than what was done there last. */
bool
fsm_stale(const struct fsm_state *s, uint8_t i)
{
	return s->site[i].p.sent_ms <= s->site[i].acted_ms;
}

/* The GTID sets of site i are known. */
bool
fsm_known(const struct fsm_state *s, uint8_t i)
{
	return FSM_GUARD(G_UNKNOWN_SETS, (s->rel.known & BIT(i)) != 0);
}

/* A bit about one site, false where its sets are not known. */
bool
fsm_rel_bit(const struct fsm_state *s, uint16_t bits, uint8_t i)
{
	return fsm_known(s, i) && (bits & BIT(i)) != 0;
}

/* A(i) contains A(j), and both are known. */
bool
fsm_all_contains(const struct fsm_state *s, uint8_t i, uint8_t j)
{
	return fsm_known(s, i) && fsm_known(s, j) &&
	    (s->rel.all_all[i] & BIT(j)) != 0;
}

/* Its data is being replaced: it is no candidate and no witness. */
bool
fsm_recipient(const struct fsm_state *s, uint8_t i)
{
	if (s->clone_to != i)
		return false;
	return s->clone_phase == CL_CLONING || s->clone_phase == CL_RESTART ||
	    s->clone_phase == CL_SETUP;
}

/* Index of that epoch among the unended ones, -1: it is not listed. */
int
fsm_listed(const struct fsm_state *s, uint64_t epoch)
{
	int k;

	for (k = 0; k < s->rec.n; k++)
		if (s->rec.unended[k].epoch == epoch)
			return k;
	return -1;
}

/* Index of the newest epoch among the unended ones, -1: it has ended. */
int
fsm_newest(const struct fsm_state *s)
{
	return fsm_listed(s, s->rec.epoch);
}

/* The process of an unended epoch, NULL when it is none. */
const struct fsm_proc *
fsm_epoch_proc(const struct fsm_state *s, uint64_t epoch)
{
	int k = fsm_listed(s, epoch);

	return k == -1 ? NULL : &s->rec.unended[k].proc;
}

/* Site i runs the process of the newest epoch. */
bool
fsm_is_newest(const struct fsm_state *s, uint8_t i)
{
	const struct fsm_pod *pod;
	const struct fsm_epoch *e;
	int k;

	if (s->rec.active != i || (k = fsm_newest(s)) == -1)
		return false;
	e = &s->rec.unended[k];
	if (!s->site[i].ever || !fsm_same_process(&e->proc, &s->site[i].p))
		return false;
	/* Runs of a server under one guard are counted by it. */
	if (e->terms.guard != 0)
		return s->site[i].g.guard == 0 ||
		    !fsm_streq(s->site[i].g.pod_uid, e->proc.pod_uid) ||
		    (s->site[i].g.guard == e->terms.guard &&
			s->site[i].g.incarnation == e->terms.incarnation);
	/*
	 * A restart within the tolerance of the start is told by the
	 * container: what runs there now is not what was recorded.
	 */
	pod = fsm_pod_of(s, i, e->proc.pod_uid);
	return pod == NULL || pod->ctr_state != CTR_RUNNING ||
	    fsm_streq(pod->container_id, e->proc.container_id);
}

/* The strict active site: recorded, writable, and the only one. */
uint8_t
fsm_active(const struct fsm_conf *c, const struct fsm_state *s)
{
	uint8_t a = s->rec.active, i;

	if (!s->rec_known || a >= c->nsites || !fsm_promotable(c, a) ||
	    s->site[a].state != SS_WRITABLE || !fsm_is_newest(s, a))
		return FSM_NONE;
	for (i = 0; i < c->nsites; i++)
		if (i != a && s->site[i].state == SS_WRITABLE)
			return FSM_NONE;
	return a;
}

/* Place in the order of preference: priorities first, then as declared. */
unsigned
fsm_rank(const struct fsm_conf *c, uint8_t i)
{
	unsigned k;

	for (k = 0; k < c->npri; k++)
		if (c->pri[k] == i)
			return k;
	return SITES_MAX + i;
}

const struct fsm_pod *
fsm_pod_of(const struct fsm_state *s, uint8_t i, const char *uid)
{
	const struct fsm_site *t = &s->site[i];
	unsigned k;

	for (k = 0; k < sizeof(t->pod) / sizeof(t->pod[0]); k++)
		if (uid[0] != '\0' && fsm_streq(t->pod[k].pod_uid, uid))
			return &t->pod[k];
	return NULL;
}

/*
 * The Pod whose running container holds the process that site i's last probe
 * speaks of; NULL while that is not known. Only such a process can be minted
 * for, since its end could not be proven otherwise.
 */
const struct fsm_pod *
fsm_container(const struct fsm_state *s, uint8_t i)
{
	const struct fsm_probe *p = &s->site[i].p;
	const struct fsm_pod *pod = fsm_pod_of(s, i, p->pod_uid);
	unsigned k;

	if (pod == NULL || pod->gone || pod->deleting ||
	    pod->ctr_state != CTR_RUNNING || pod->container_id[0] == '\0' ||
	    p->start_ms < pod->started_ms - FSM_START_TOL_MS)
		return NULL;
	for (k = 0; k < pod->nwords; k++)
		if (fsm_streq(pod->word[k].container_id, pod->container_id))
			return NULL;
	/* An earlier process ran in it: the Pod's status is not news yet. */
	for (k = 0; k < s->rec.n; k++)
		if (fsm_streq(s->rec.unended[k].proc.container_id,
			pod->container_id) &&
		    !fsm_same_process(&s->rec.unended[k].proc, p) &&
		    (s->rec.unended[k].terms.guard == 0 ||
			s->rec.unended[k].terms.guard != s->site[i].g.guard))
			return NULL;
	return pod;
}

/*
 * The end of site i's process could be proven, were an epoch minted for it:
 * by its guard, else by the kubelet's word about its container.
 */
bool
fsm_minting_ok(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i)
{
	const struct fsm_pod *pod = fsm_pod_of(s, i, s->site[i].p.pod_uid);

	if (fsm_container(s, i) != NULL)
		return true;
	return fsm_guarded(c, s, i) && fsm_guard_ok(c, s, i) && pod != NULL &&
	    !pod->gone && !pod->deleting;
}

/*
 * Word of its kubelet or guard came when the site had been lost for long: its
 * node is back, and the server, with what it alone has, may be about to answer.
 */
bool
fsm_may_return(const struct fsm_conf *c, const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];
	unsigned k;

	if (t->word_ms == 0 ||
	    s->now_ms - t->word_ms >= c->poll_ms * c->failure_threshold)
		return false;
	for (k = 0; k < sizeof(t->pod) / sizeof(t->pod[0]); k++)
		if (t->pod[k].pod_uid[0] != '\0' && !t->pod[k].gone &&
		    !t->pod[k].deleting)
			return true;
	return false;
}

/* A promotion was less than a cooldown ago, here or by the record. */
bool
fsm_cooldown(const struct fsm_conf *c, const struct fsm_state *s)
{
	int64_t ago;

	if (s->promoted_ms != 0 && s->now_ms - s->promoted_ms < c->cooldown_ms)
		return true;
	if (s->rec.last_failover_s == 0)
		return false;
	ago = s->wall_ms - s->rec.last_failover_s * 1000;
	return ago > -FSM_CLOCK_TOL_MS && ago < c->cooldown_ms;
}
