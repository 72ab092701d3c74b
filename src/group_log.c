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
 * What the core tells becomes log records (bloodraven-log(5)). The records
 * that others match on, by the words of the reference, are in group_trail.c.
 */

#include <stdio.h>
#include <string.h>

#include "group_int.h"

/*
 * The inputs of one decision. Sites, guards and epochs are as many as there
 * are: each kind is one value, which goes as digest and continuation records
 * when it is long. A pair for each would not fit a line for 16 sites.
 */
#define KIND_LEN (SITES_MAX * 1536)

struct inputs {
	char step[32], leader[8], lease_left[24], version[24], epoch[24];
	char lost[24], active[NAME_LEN + 1], cooldown[8], witnesses[64];
	char record[256], spec[256], leading[1024];
	char sites[KIND_LEN], guards[KIND_LEN], unended[KIND_LEN];
	char pods[KIND_LEN], updates[KIND_LEN];
	char others[512]; /* what the core came to tell since */
};

/* "name {value}" behind what is there; cut where there is no room. */
static void
append(char *to, size_t size, const char *name, const char *value)
{
	size_t n = strlen(to);

	(void)snprintf(
	    to + n, size - n, "%s%s {%s}", n > 0 ? " " : "", name, value);
}

static void
input(void *arg, const char *key, const char *value)
{
	struct inputs *in = arg;
	const struct {
		const char *key;
		char *to;
		size_t size;
	} plain[] = {
		{ "step", in->step, sizeof(in->step) },
		{ "leader", in->leader, sizeof(in->leader) },
		{ "leaseLeftMs", in->lease_left, sizeof(in->lease_left) },
		{ "recordVersion", in->version, sizeof(in->version) },
		{ "recordEpoch", in->epoch, sizeof(in->epoch) },
		{ "lostEpoch", in->lost, sizeof(in->lost) },
		{ "recordActive", in->active, sizeof(in->active) },
		{ "cooldown", in->cooldown, sizeof(in->cooldown) },
		{ "witnesses", in->witnesses, sizeof(in->witnesses) },
		{ "record", in->record, sizeof(in->record) },
		{ "spec", in->spec, sizeof(in->spec) },
		{ "leading", in->leading, sizeof(in->leading) },
	}, kinds[] = {
		{ "site.", in->sites, sizeof(in->sites) },
		{ "guard.", in->guards, sizeof(in->guards) },
		{ "unended.", in->unended, sizeof(in->unended) },
		{ "pod.", in->pods, sizeof(in->pods) },
		{ "update.", in->updates, sizeof(in->updates) },
	};

	for (size_t i = 0; i < PS_NITEMS(plain); i++)
		if (strcmp(key, plain[i].key) == 0) {
			(void)strlcpy(plain[i].to, value, plain[i].size);
			return;
		}
	for (size_t i = 0; i < PS_NITEMS(kinds); i++)
		if (strncmp(key, kinds[i].key, strlen(kinds[i].key)) == 0) {
			append(kinds[i].to, kinds[i].size,
			    key + strlen(kinds[i].key), value);
			return;
		}
	append(in->others, sizeof(in->others), key, value);
}

/* NULL, which is null in the record, for what the core does not say. */
static const char *
site_or_null(const struct group *g, uint8_t i)
{
	return i < g->fc.nsites ? g->fc.site[i].name : NULL;
}

static const struct gsite *
site_of(const struct group *g, uint8_t i)
{
	static const struct gsite none;

	return i < g->fc.nsites ? &g->site[i] : &none;
}

static const char *
host_of(const struct group *g, uint8_t i)
{
	return i < g->conf.n_sites ? g->conf.sites[i].host : NULL;
}

static const char *
state_of(const struct group *g, uint8_t i, bool before)
{
	if (i >= g->fc.nsites)
		return NULL;
	return site_state_name(
	    before && g->was != NULL ? g->was[i] : g->fs.site[i].state);
}

/*
 * The fields of each text: a text of fsm_names.h without its line here does
 * not compile, and one whose fields are not in bloodraven-log(5) fails
 * regress/logs.
 */
#define SITE  KVS("site", site_or_null(g, a->site))
#define WHICH SITE, KVU("epoch", a->epoch)
#define INPUTS                                                                 \
	SITE, KVS("site2", site_or_null(g, a->site2)), KVU("epoch", a->epoch), \
	    KVS("verdict", fsm_verdict_name(a->verdict)),                      \
	    KVS("step", in.step), KVS("leader", in.leader),                    \
	    KVS("leaseLeftMs", in.lease_left),                                 \
	    KVS("recordVersion", in.version), KVS("recordEpoch", in.epoch),    \
	    KVS("lostEpoch", in.lost), KVS("recordActive", in.active),         \
	    KVS("cooldown", in.cooldown), KVS("witnesses", in.witnesses),      \
	    KVS("record", in.record), KVS("spec", in.spec),                    \
	    KVS("leading", in.leading), KVS("unended", in.unended),            \
	    KVS("sites", in.sites), KVS("guards", in.guards),                  \
	    KVS("pods", in.pods), KVS("updates", in.updates),                  \
	    KVS("others", in.others)

#define FIELDS_T_DECISION INPUTS
#define FIELDS_T_SITE_STATE                            \
	SITE, KVS("from", state_of(g, a->site, true)), \
	    KVS("to", state_of(g, a->site, false))
#define FIELDS_T_NO_PROOF  INPUTS
#define FIELDS_T_BLOCKED   INPUTS
#define FIELDS_T_UNBLOCKED SITE
#define FIELDS_T_PROMOTING                                       \
	KVS("candidate", site_or_null(g, a->site)),              \
	    KVS("oldPrimary", site_or_null(g, a->site2)), INPUTS
#define FIELDS_T_MINTED WHICH
#define FIELDS_T_FAILOVER                                      \
	KVS("promotedSite", site_or_null(g, a->site)),         \
	    KVS("promotionGtid", g->rec.promotion_gtid), WHICH
#define FIELDS_T_REGRANTED      WHICH
#define FIELDS_T_ADOPTED        WHICH
#define FIELDS_T_BOOTSTRAPPED   WHICH
#define FIELDS_T_EPOCH_ENDED    WHICH, KVS("proof", fsm_proof_name(a->proof))
#define FIELDS_T_FENCING        WHICH, KVS("verdict", fsm_verdict_name(a->verdict))
#define FIELDS_T_POD_DELETE     WHICH
#define FIELDS_T_EVICT_LATE     SITE, KVMS("timeout", g->fc.drain_ms)
#define FIELDS_T_ASSERT_OK      WHICH
#define FIELDS_T_ASSERT_REFUSED WHICH, KVS("reason", why)
#define FIELDS_T_OVERRIDE       WHICH
#define FIELDS_T_OVERRIDE_MAYBE WHICH
#define FIELDS_T_OVERRIDE_NO    SITE, KVS("reason", why)
#define FIELDS_T_SPLIT_BRAIN    SITE
#define FIELDS_T_NO_PRIMARY     SITE
#define FIELDS_T_TOTAL_LOSS     SITE
#define FIELDS_T_DEGRADED       SITE
#define FIELDS_T_DIVERGED                                                     \
	SITE, KVI("divergentTransactions", site_of(g, a->site)->divergent_n), \
	    KVS("divergentGtid", site_of(g, a->site)->divergent),             \
	    KVS("oldPrimaryGtid", site_of(g, a->site)->gtid),                 \
	    KVS("newPrimaryGtid", site_of(g, g->fs.rec.active)->gtid)
#define FIELDS_T_RECOVERED SITE, KVS("source", host_of(g, g->fs.rec.active))
#define FIELDS_T_CLONE                                               \
	SITE, KVS("phase", fsm_clone_phase_name(g->fs.clone_phase)), \
	    KVS("donor", site_or_null(g, g->fs.clone_from))
#define FIELDS_T_CLONE_FAILED   FIELDS_T_CLONE
#define FIELDS_T_PERSISTED      SITE
#define FIELDS_T_ACTION_FAILED  WHICH
#define FIELDS_T_REVOKING       WHICH
#define FIELDS_T_LOST           WHICH
#define FIELDS_T_GUARD_ENDED    SITE
#define FIELDS_T_GUARD_HUNG     SITE
#define FIELDS_T_GUARD_FENCED   SITE
#define FIELDS_T_DISK_FULL      SITE
#define FIELDS_T_ROLL           INPUTS
#define FIELDS_T_ROLLED         SITE
#define FIELDS_T_ROLL_FAILED    INPUTS
#define FIELDS_T_ROLL_WAITS     SITE
#define FIELDS_T_SITE_RECOVERED SITE

#define X(id, reason, warning, text)                                          \
	case id:                                                              \
		log_ev((warning) ? LL_WARN : LL_INFO, text, KVS("fg", g->fg), \
		    FIELDS_##id, KVS("message", message));                    \
		break;

/* A record that carries every input of the decision (design.md section 2). */
void
group_log(struct group *g, const struct fsm_act *a)
{
	static struct inputs in;
	char message[MSGTEXT_LEN + 1], why[128];

	memset(&in, 0, sizeof(in));
	if (a->text == T_DECISION || a->text == T_BLOCKED ||
	    a->text == T_NO_PROOF || a->text == T_PROMOTING ||
	    a->text == T_ROLL || a->text == T_ROLL_FAILED)
		fsm_inputs(&g->fc, &g->fs, input, &in);
	if (a->text == T_DIVERGED && g->fs.rec.active < g->fc.nsites)
		group_divergence(g, a->site, g->fs.rec.active);
	fsm_message(&g->fc, a, message, sizeof(message));
	(void)fsm_why(a, why, sizeof(why));
	switch ((enum fsm_text)a->text) {
		FSM_TEXTS(X)
	case T_MAX:
		break;
	}
}
