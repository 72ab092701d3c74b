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
 * Every input of a decision, for its log record. What is nothing (0, false,
 * never) is left out: that it is missing says so.
 *
 * regress/fsm/test_inputs changes each byte that a decision may read, and wants
 * another record wherever the decision is another.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fsm_int.h"

/* A Pod's containers are told of by four words, each with an id. */
#define INPUT_LEN 4096

struct in {
	void (*kv)(void *, const char *, const char *);
	void *arg;
	int64_t now;
	size_t n;
	char val[INPUT_LEN];
};

__attribute__((format(printf, 2, 3))) static void
put(struct in *in, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (in->n >= sizeof(in->val) - 1)
		return;
	if (in->n > 0)
		in->val[in->n++] = ' ';
	va_start(ap, fmt);
	n = vsnprintf(in->val + in->n, sizeof(in->val) - in->n, fmt, ap);
	va_end(ap);
	if (n > 0)
		in->n += (size_t)n;
}

static void
put_num(struct in *in, const char *key, int64_t v)
{
	if (v != 0)
		put(in, "%s=%lld", key, (long long)v);
}

static void
put_id(struct in *in, const char *key, uint64_t v)
{
	if (v != 0)
		put(in, "%s=%016llx", key, (unsigned long long)v);
}

static void
put_str(struct in *in, const char *key, const char *v)
{
	if (v[0] != '\0')
		put(in, "%s=%s", key, v);
}

/* How long ago that was; negative: ahead. */
static void
put_ago(struct in *in, const char *key, int64_t ms)
{
	if (ms != 0 && ms != LEASE_NEVER)
		put(in, "%s=%lldms", key, (long long)(in->now - ms));
}

/* The value so far, as that key; the next one begins empty. */
static void
end(struct in *in, const char *key)
{
	in->val[in->n < sizeof(in->val) ? in->n : sizeof(in->val) - 1] = '\0';
	in->kv(in->arg, key, in->val);
	in->n = 0;
}

static void
end_site(struct in *in, const char *kind, const char *name)
{
	char key[NAME_LEN + 16];

	if (in->n == 0)
		return;
	snprintf(key, sizeof(key), "%s.%s", kind, name);
	end(in, key);
}

static const char *
site_text(const struct fsm_conf *c, uint8_t i)
{
	return i < c->nsites ? c->site[i].name :
	    i == FSM_FOREIGN ? "removed" :
			       "-";
}

static unsigned
bit(uint16_t bits, uint8_t i)
{
	return (bits >> i) & 1U;
}

/* ------------------------------------------------------------ one site --- */

/* What its last good probe said. */
static void
put_probe(struct in *in, const struct fsm_conf *c, const struct fsm_site *t)
{
	const struct fsm_probe *p = &t->p;

	put(in, "ro=%d sro=%d", p->read_only, p->super_read_only);
	put_str(in, "pod", p->pod_uid);
	put_str(in, "uuid", p->server_uuid);
	put_num(in, "start", p->start_ms);
	put_num(in, "clock", p->clock_ms);
	put_ago(in, "sent", p->sent_ms);
	put_num(in, "offline", p->offline_mode);
	put_num(in, "schemas", p->user_schemas);
	if (p->has_repl)
		put(in, "repl=1");
	if (p->has_repl || p->source != FSM_NONE || p->io != IO_NO || p->sql)
		put(in, "io=%s sql=%d source=%s", io_state_name(p->io), p->sql,
		    site_text(c, p->source));
	put_num(in, "errno", p->sql_errno);
}

/* What was done with it, and when. */
static void
put_deeds(struct in *in, const struct fsm_site *t)
{
	put_ago(in, "flagsRead", t->flags_ms);
	put_ago(in, "readBegun", t->read_ms);
	put_num(in, "grantOpen", t->grant_open);
	put_ago(in, "granted", t->granted_ms);
	if (t->grant_open) {
		put_ago(in, "grantValid", t->grant_valid_ms);
		put_num(in, "grantLimit", t->grant_limit_ms);
		put_ago(in, "grantPast", t->grant_past_ms);
	}
	put_num(in, "leadClock", t->lead_clock_ms);
	put_ago(in, "leadRead", t->lead_read_ms);
	put_ago(in, "receiverOff", t->receiver_off_ms);
	put_num(in, "resetEpoch", (int64_t)t->reset_epoch);
	put_ago(in, "stopping", t->stop_ms);
	put_ago(in, "draining", t->drain_ms);
	put_ago(in, "kubeletSpoke", t->word_ms);
}

/* Its sets, beside those of the others: bits by the order of the sites. */
static void
put_sets(struct in *in, const struct fsm_state *s, uint8_t i)
{
	const struct fsm_rel *r = &s->rel;

	put(in,
	    "known=%u empty=%u drained=%u all=%04x exec=%04x grant=%u "
	    "seenSet=%u",
	    bit(r->known, i), bit(r->empty, i), bit(r->drained, i),
	    r->all_all[i], r->exec_all[i], bit(r->has_grant, i),
	    bit(r->has_seen, i));
}

static void
in_site(struct in *in, const struct fsm_conf *c, const struct fsm_state *s,
    uint8_t i)
{
	const struct fsm_site *t = &s->site[i];

	put(in, "%s", site_state_name(t->state));
	put(in, "role=%s rank=%u", role_name(c->site[i].role), fsm_rank(c, i));
	put(in, "fails=%u-%u%s", t->fails, t->owed, t->suspect ? "?" : "");
	put_ago(in, "failing", t->fail_since_ms);
	put(in, "seen=%lldms",
	    t->ever ? (long long)(s->now_ms - t->seen_ms) : -1LL);
	put_num(in, "quelled", t->quelled);
	put_num(in, "diverged", t->diverged);
	put_probe(in, c, t);
	put_sets(in, s, i);
	put_deeds(in, t);
	end_site(in, "site", c->site[i].name);
}

/* What its sidecar and guard said last. */
static void
in_guard(struct in *in, const struct fsm_conf *c, const struct fsm_state *s,
    uint8_t i)
{
	const struct fsm_site *t = &s->site[i];
	const struct fsm_guard *g = &t->g;

	put_num(in, "link", t->link_up);
	put_ago(in, "age", t->g_ms);
	put_ago(in, "guardAge", t->guard_ms);
	put_ago(in, "muted", t->mute_ms);
	put_str(in, "pod", g->pod_uid);
	put_id(in, "memory", g->memory);
	put_num(in, "promised", (int64_t)g->promised);
	put_num(in, "heard", (int64_t)g->heard);
	if (g->yes_epoch != 0 || g->yes_age_ms > 0)
		put(in, "yes=%llu/%lldms", (unsigned long long)g->yes_epoch,
		    (long long)g->yes_age_ms);
	put_str(in, "standbySees", g->sight.pod_uid);
	put_str(in, "sightUuid", g->sight.server_uuid);
	put_num(in, "sightStart", g->sight.start_ms);
	put_num(in, "sightAge", g->sight.age_ms);
	put_id(in, "guard", g->guard);
	put_num(in, "run", g->incarnation);
	put_num(in, "running", g->running);
	put_num(in, "ended", g->ended);
	put_num(in, "init", g->initialising);
	put_num(in, "hung", g->hung);
	put_num(in, "ro", g->read_only);
	put_num(in, "roAge", g->read_age_ms);
	put_num(in, "full", g->disk_full);
	put_str(in, "uuid", g->server_uuid);
	put_num(in, "start", g->start_ms);
	put_num(in, "held", (int64_t)g->held);
	put_num(in, "revoked", (int64_t)g->revoked);
	if (t->prom_epoch != 0 || t->prom_memory != 0)
		put(in, "promise=%llu by=%016llx yes=%lldms lease=%ums",
		    (unsigned long long)t->prom_epoch,
		    (unsigned long long)t->prom_memory,
		    (long long)(s->now_ms - t->prom_ms), t->prom_lease_ms);
	end_site(in, "guard", c->site[i].name);
}

static const char *const ctr_states[CTR_MAX] = {
	[CTR_NONE] = "-",
	[CTR_WAITING] = "waiting",
	[CTR_RUNNING] = "running",
	[CTR_TERMINATED] = "terminated",
};

/* Its Pods, by the API server and the kubelet. */
static void
in_pods(struct in *in, const struct fsm_conf *c, const struct fsm_state *s,
    uint8_t i)
{
	const struct fsm_pod *p;
	const struct fsm_word *w;
	unsigned k, m;

	for (k = 0; k < sizeof(s->site[i].pod) / sizeof(*p); k++) {
		p = &s->site[i].pod[k];
		if (p->pod_uid[0] == '\0')
			continue;
		put(in, "%s %s", p->pod_uid,
		    ctr_states[p->ctr_state < CTR_MAX ? p->ctr_state :
							CTR_NONE]);
		put_num(in, "gone", p->gone);
		put_num(in, "deleting", p->deleting);
		put_num(in, "ready", p->ready);
		put_str(in, "container", p->container_id);
		put_num(in, "started", p->started_ms);
		put_id(in, "template", p->hash);
		for (m = 0; m < p->nwords && m < WORDS_MAX; m++) {
			w = &p->word[m];
			put(in, "terminated=%s%s", w->container_id,
			    w->unknown ? "?" : "");
			put_id(in, "guard", w->guard);
		}
	}
	end_site(in, "pod", c->site[i].name);
}

/* Where an update has something to do, or a site is restarted by one. */
static void
in_update(struct in *in, const struct fsm_conf *c, const struct fsm_state *s,
    const struct fsm_decision *d, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];
	enum fsm_roll_step r = fsm_roll_of(c, s, d, i);

	if (r == RO_CURRENT && t->want == t->have && t->roll.seq == 0 &&
	    t->roll_hash == 0)
		return;
	put(in, "%s", fsm_roll_name(r));
	put_id(in, "want", t->want);
	put_id(in, "have", t->have);
	put_id(in, "well", t->well_hash);
	put_num(in, "open", t->roll_open);
	put_num(in, "request", t->roll.seq != 0);
	put_id(in, "asked", t->roll_hash);
	put_ago(in, "askedAgo", t->roll_ms);
	put_ago(in, "fit", t->fit_ms);
	put_ago(in, "unfit", t->unfit_ms);
	put_num(in, "refused", t->roll_refused);
	end_site(in, "update", c->site[i].name);
}

/* ---------------------------------------------------------- the group ---- */

static void
put_voters(struct in *in, const struct fsm_conf *c, const struct fsm_epoch *e)
{
	unsigned m;

	for (m = 0; m < e->terms.n && m < LEASE_VOTERS_MAX; m++) {
		if (e->terms.voter[m] == LEASE_OPERATOR)
			put(in, "voter=operator");
		else
			put(in, "voter=%016llx/%s",
			    (unsigned long long)e->terms.voter[m],
			    site_text(c, e->voter_site[m]));
	}
}

/* One unended epoch: its process, its lease, and what is known of its end. */
static void
in_epoch(struct in *in, const struct fsm_conf *c, const struct fsm_state *s,
    unsigned k)
{
	const struct fsm_epoch *e = &s->rec.unended[k];
	const struct lease_terms *t = &e->terms;
	const struct lease_auth *a = &s->auth[k];
	char key[32];

	put(in, "%s proof=%s", site_text(c, e->site),
	    fsm_proof_name(fsm_proof_of(s, k)));
	if (s->ended[k] != P_NONE)
		put(in, "ended=%s", fsm_proof_name(s->ended[k]));
	put_str(in, "pod", e->proc.pod_uid);
	put_str(in, "container", e->proc.container_id);
	put_str(in, "uuid", e->proc.server_uuid);
	put_num(in, "start", e->proc.start_ms);
	if (t->guard != 0) {
		put(in, "guard=%016llx/%u", (unsigned long long)t->guard,
		    t->incarnation);
		put(in, "L=%u F=%u n=%u r=%u", t->lease_ms, t->fence_ms, t->n,
		    t->r);
		put_num(in, "prev", (int64_t)t->prev);
		put_voters(in, c, e);
	}
	put_num(in, "revoked", a->revoked);
	if (a->promised != 0)
		put(in, "promised=%04x", a->promised);
	put_ago(in, "ownYes", a->yes_ms);
	put_ago(in, "newest", a->newest_ms);
	snprintf(
	    key, sizeof(key), "unended.%llu", (unsigned long long)e->epoch);
	end(in, key);
}

/* What of the spec a decision rests on, beside roles and priorities. */
static void
in_conf(struct in *in, const struct fsm_conf *c)
{
	put(in,
	    "threshold=%u poll=%lldms cooldown=%lldms lease=%ums check=%ums",
	    c->failure_threshold, (long long)c->poll_ms,
	    (long long)c->cooldown_ms, c->lease_ms, c->check_ms);
	put_num(in, "guards", c->require_guard);
	put_num(in, "recreate", c->recreate);
	put_num(in, "deleting", c->deleting);
	put_num(in, "strangers", c->strangers);
	end(in, "spec");
}

/* What this leader has under way, and what it heard of those before it. */
static void
in_leader(struct in *in, const struct fsm_conf *c, const struct fsm_state *s)
{
	put_num(in, "synced", s->synced);
	put_ago(in, "leads", s->lease_since_ms);
	put_num(in, "leaseLength", s->lease_len_ms);
	put_ago(in, "oldGrants", s->old_grants_ms);
	put_ago(in, "oldUpdates", s->old_rolls_ms);
	put_num(in, "ownEpoch", (int64_t)s->my_epoch);
	put_num(in, "ownGranted", s->my_granted);
	put_num(in, "ownLater", s->my_later);
	put_ago(in, "newestYes", s->yes_ms);
	put_ago(in, "leaseAwaited", s->lease_wait_ms);
	put_ago(in, "promoted", s->promoted_ms);
	if (s->put_ok)
		put(in, "written=%s base=%llu mints=%llu until=%lldms",
		    fsm_verdict_name(s->put_why),
		    (unsigned long long)s->put_base,
		    (unsigned long long)s->put_epoch,
		    (long long)(s->put_next_ms - s->now_ms));
	if (s->clone_phase != CL_IDLE)
		put(in, "clone=%s/%s", fsm_clone_phase_name(s->clone_phase),
		    site_text(c, s->clone_to));
	if (s->override != FSM_NONE)
		put(in, "override=%s", site_text(c, s->override));
	if (s->lost_dead != 0)
		put(in, "ruledOut=%04x", s->lost_dead);
	end(in, "leading");
}

/* The record, beside its unended epochs. */
static void
in_record(struct in *in, const struct fsm_conf *c, const struct fsm_state *s)
{
	put(in, "%lld", s->rec_known ? (long long)s->rec.version : -1LL);
	end(in, "recordVersion");
	put(in, "%llu", (unsigned long long)s->rec.epoch);
	end(in, "recordEpoch");
	put(in, "%llu", (unsigned long long)s->lost);
	end(in, "lostEpoch");
	put(in, "%s", site_text(c, s->rec.active));
	end(in, "recordActive");
	put_str(in, "uuid", s->rec.server_uuid);
	put_num(in, "sets", s->rel.record_known);
	put_num(in, "grantEmpty", s->rel.grant_empty);
	if (s->rec.last_failover_s != 0)
		put(in, "lastFailover=%llds",
		    (long long)(s->wall_ms / 1000 - s->rec.last_failover_s));
	end(in, "record");
}

void
fsm_inputs(const struct fsm_conf *c, const struct fsm_state *s,
    void (*kv)(void *, const char *, const char *), void *arg)
{
	struct in in;
	struct fsm_decision d;
	struct fsm_witness w;
	char val[64];
	unsigned k;
	uint8_t i;

	in.kv = kv;
	in.arg = arg;
	in.now = s->now_ms;
	in.n = 0;
	kv(arg, "step", fsm_step_name(s->step));
	kv(arg, "leader", s->lease_held ? "true" : "false");
	put(&in, "%lld", (long long)(s->lease_deadline_ms - s->now_ms));
	end(&in, "leaseLeftMs");
	in_record(&in, c, s);
	kv(arg, "cooldown", fsm_cooldown(c, s) ? "true" : "false");
	in_conf(&in, c);
	in_leader(&in, c, s);
	for (k = 0; k < s->rec.n; k++)
		in_epoch(&in, c, s, k);
	fsm_decide(c, s, &d);
	for (i = 0; i < c->nsites; i++) {
		in_site(&in, c, s, i);
		in_guard(&in, c, s, i);
		in_pods(&in, c, s, i);
		in_update(&in, c, s, &d, i);
	}
	if (s->rec.active >= c->nsites)
		return;
	fsm_witnesses(c, s, s->rec.active, &w);
	kv(arg, "witnesses", fsm_witness_name(&w, val, sizeof(val)));
}
