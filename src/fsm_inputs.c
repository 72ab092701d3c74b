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

/* Every input of a decision, for its log record. */

#include <stdio.h>
#include <string.h>

#include "fsm_int.h"

static const char *
site_text(const struct fsm_conf *c, uint8_t i)
{
	return i < c->nsites ? c->site[i].name :
	    i == FSM_FOREIGN ? "removed" :
			       "-";
}

struct in {
	void (*kv)(void *, const char *, const char *);
	void *arg;
};

static void
in_num(struct in *in, const char *key, int64_t v)
{
	char buf[24];

	snprintf(buf, sizeof(buf), "%lld", (long long)v);
	in->kv(in->arg, key, buf);
}

/* One site in one value: state, flags, process, channel, set relations. */
static void
in_site(struct in *in, const struct fsm_conf *c, const struct fsm_state *s,
    uint8_t i)
{
	const struct fsm_site *t = &s->site[i];
	char key[NAME_LEN + 8], val[512];

	snprintf(key, sizeof(key), "site.%s", c->site[i].name);
	snprintf(val, sizeof(val),
	    "%s fails=%u-%u%s seen=%lldms ro=%d sro=%d "
	    "pod=%.8s uuid=%.8s start=%lld clock=%lld repl=%d io=%s sql=%d "
	    "errno=%u source=%s known=%d empty=%d drained=%d all=%04x "
	    "exec=%04x grant=%d seenSet=%d open=%d",
	    site_state_name(t->state), t->fails, t->owed, t->suspect ? "?" : "",
	    t->ever ? (long long)(s->now_ms - t->seen_ms) : -1LL,
	    t->p.read_only, t->p.super_read_only, t->p.pod_uid,
	    t->p.server_uuid, (long long)t->p.start_ms,
	    (long long)t->p.clock_ms, t->p.has_repl, io_state_name(t->p.io),
	    t->p.sql, t->p.sql_errno, site_text(c, t->p.source),
	    (s->rel.known >> i) & 1, (s->rel.empty >> i) & 1,
	    (s->rel.drained >> i) & 1, s->rel.all_all[i], s->rel.exec_all[i],
	    (s->rel.has_grant >> i) & 1, (s->rel.has_seen >> i) & 1,
	    t->grant_open);
	in->kv(in->arg, key, val);
}

/* What its sidecar and guard said last. */
static void
in_guard(struct in *in, const struct fsm_conf *c, const struct fsm_state *s,
    uint8_t i)
{
	const struct fsm_site *t = &s->site[i];
	const struct fsm_guard *g = &t->g;
	char key[NAME_LEN + 8], val[512];

	if (t->g_ms == 0)
		return;
	snprintf(key, sizeof(key), "guard.%s", c->site[i].name);
	snprintf(val, sizeof(val),
	    "link=%d age=%lldms pod=%.8s memory=%016llx promised=%llu "
	    "heard=%llu yes=%llu/%lldms guard=%016llx run=%u running=%d "
	    "ended=%u init=%d hung=%d ro=%d/%lldms full=%d start=%lld "
	    "held=%llu revoked=%llu",
	    t->link_up, (long long)(s->now_ms - t->g_ms), g->pod_uid,
	    (unsigned long long)g->memory, (unsigned long long)g->promised,
	    (unsigned long long)g->heard, (unsigned long long)g->yes_epoch,
	    (long long)g->yes_age_ms, (unsigned long long)g->guard,
	    g->incarnation, g->running, g->ended, g->initialising, g->hung,
	    g->read_only, (long long)g->read_age_ms, g->disk_full,
	    (long long)g->start_ms, (unsigned long long)g->held,
	    (unsigned long long)g->revoked);
	in->kv(in->arg, key, val);
}

/* Where an update has something to do. */
static void
in_update(struct in *in, const struct fsm_conf *c, const struct fsm_state *s,
    const struct fsm_decision *d, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];
	const struct fsm_pod *pod = fsm_pod_of(s, i, t->p.pod_uid);
	enum fsm_roll_step r = fsm_roll_of(c, s, d, i);
	char key[NAME_LEN + 8], val[256];

	if (r == RO_CURRENT && t->want == t->have)
		return;
	snprintf(key, sizeof(key), "update.%s", c->site[i].name);
	snprintf(val, sizeof(val),
	    "%s want=%016llx have=%016llx pod=%016llx well=%016llx",
	    fsm_roll_name(r), (unsigned long long)t->want,
	    (unsigned long long)t->have,
	    (unsigned long long)(pod != NULL ? pod->hash : 0),
	    (unsigned long long)t->well_hash);
	in->kv(in->arg, key, val);
}

/* One unended epoch: its process, its lease, and what is known of its end. */
static void
in_epoch(struct in *in, const struct fsm_conf *c, const struct fsm_state *s,
    unsigned k)
{
	const struct fsm_epoch *e = &s->rec.unended[k];
	const struct lease_terms *t = &e->terms;
	int64_t newest = s->auth[k].newest_ms;
	char key[32], val[512];

	snprintf(
	    key, sizeof(key), "unended.%llu", (unsigned long long)e->epoch);
	snprintf(val, sizeof(val),
	    "%s pod=%.8s container=%.32s start=%lld proof=%s guard=%016llx/%u "
	    "L=%u n=%u r=%u revoked=%d promised=%04x newest=%lldms",
	    site_text(c, e->site), e->proc.pod_uid, e->proc.container_id,
	    (long long)e->proc.start_ms, fsm_proof_name(fsm_proof_of(s, k)),
	    (unsigned long long)t->guard, t->incarnation, t->lease_ms, t->n,
	    t->r, s->auth[k].revoked, s->auth[k].promised,
	    newest == LEASE_NEVER ? -1LL : (long long)(s->now_ms - newest));
	in->kv(in->arg, key, val);
}

void
fsm_inputs(const struct fsm_conf *c, const struct fsm_state *s,
    void (*kv)(void *, const char *, const char *), void *arg)
{
	struct in in = { kv, arg };
	struct fsm_decision d;
	struct fsm_witness w;
	char val[64];
	unsigned k;
	uint8_t i;

	kv(arg, "step", fsm_step_name(s->step));
	kv(arg, "leader", s->lease_held ? "true" : "false");
	in_num(&in, "leaseLeftMs", s->lease_deadline_ms - s->now_ms);
	in_num(
	    &in, "recordVersion", s->rec_known ? (int64_t)s->rec.version : -1);
	in_num(&in, "recordEpoch", (int64_t)s->rec.epoch);
	in_num(&in, "lostEpoch", (int64_t)s->lost);
	kv(arg, "recordActive", site_text(c, s->rec.active));
	kv(arg, "cooldown", fsm_cooldown(c, s) ? "true" : "false");
	for (k = 0; k < s->rec.n; k++)
		in_epoch(&in, c, s, k);
	fsm_decide(c, s, &d);
	for (i = 0; i < c->nsites; i++) {
		in_site(&in, c, s, i);
		in_guard(&in, c, s, i);
		in_update(&in, c, s, &d, i);
	}
	if (s->rec.active >= c->nsites)
		return;
	fsm_witnesses(c, s, s->rec.active, &w);
	kv(arg, "witnesses", fsm_witness_name(&w, val, sizeof(val)));
}
