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

/* Names, messages for people, and the inputs of a decision for its log. */

#include <stdio.h>
#include <string.h>

#include "fsm_int.h"

#define X(id, name, ...) name,
static const char *const verdicts[] = { FSM_VERDICTS(X) };
static const char *const proofs[] = { FSM_PROOFS(X) };
static const char *const steps[] = { FSM_STEPS(X) };
static const char *const clone_phases[] = { FSM_CLONE_PHASES(X) };
static const char *const convergences[] = { FSM_CONVERGENCES(X) };
static const char *const metrics[] = { FSM_METRICS(X) };
static const char *const acts[] = { FSM_ACTS(X) };
#undef X
#define X(id, name, block) block,
static const char *const blocks[] = { FSM_VERDICTS(X) };
#undef X
#define X(id, name, reason) reason,
static const char *const conv_reasons[] = { FSM_CONVERGENCES(X) };
#undef X
#define X(id, name) name,
static const char *const rolls[] = { FSM_ROLLS(X) };
#undef X
#define X(id, text) #id,
static const char *const guards[] = { FSM_GUARDS(X) };
#undef X
#define X(id, reason, warning, msg) { reason, warning, msg },
static const struct {
	const char *reason;
	bool warning;
	const char *msg;
} texts[] = { FSM_TEXTS(X) };
#undef X
#define X(id, timed, text) { timed, text },
static const struct {
	bool timed;
	const char *text;
} whys[] = { FSM_WHYS(X) };
#undef X

#define NAME_FN(fn, table, max)                       \
	const char *fn(unsigned v)                    \
	{                                             \
		return v < (max) ? (table)[v] : NULL; \
	}

NAME_FN(fsm_verdict_name, verdicts, V_MAX)
NAME_FN(fsm_verdict_block, blocks, V_MAX)
NAME_FN(fsm_proof_name, proofs, P_MAX)
NAME_FN(fsm_step_name, steps, ST_MAX)
NAME_FN(fsm_clone_phase_name, clone_phases, CL_MAX)
NAME_FN(fsm_convergence_name, convergences, CV_MAX)
NAME_FN(fsm_convergence_reason, conv_reasons, CV_MAX)
NAME_FN(fsm_guard_name, guards, G_MAX)
NAME_FN(fsm_roll_name, rolls, RO_MAX)
NAME_FN(fsm_metric_name, metrics, FM_MAX)
NAME_FN(fsm_act_name, acts, A_MAX)

const char *
fsm_text_msg(unsigned v)
{
	return v < T_MAX ? texts[v].msg : NULL;
}

const char *
fsm_text_reason(unsigned v)
{
	return v < T_MAX ? texts[v].reason : "";
}

bool
fsm_text_warning(unsigned v)
{
	return v < T_MAX && texts[v].warning;
}

static const char *
site_text(const struct fsm_conf *c, uint8_t i)
{
	return i < c->nsites ? c->site[i].name :
	    i == FSM_FOREIGN ? "removed" :
			       "-";
}

#define PART_LEN (NAME_LEN + 16)

/* " of site x", with other words before the name; nothing without a site. */
static const char *
site_part(
    const struct fsm_conf *c, uint8_t i, const char *words, char buf[PART_LEN])
{
	buf[0] = '\0';
	if (i < c->nsites)
		snprintf(buf, PART_LEN, "%s%s", words, c->site[i].name);
	return buf;
}

/* The annotation that asserts a process dead, ready to be copied. */
static void
assert_text(const struct fsm_conf *c, uint8_t site, const char *uid,
    uint64_t epoch, char *buf, size_t len)
{
	snprintf(buf, len, FSM_ANN_ASSERT_DEAD "=%s/%s/%llu",
	    site_text(c, site), uid, (unsigned long long)epoch);
}

/* Why a promotion is blocked, in one clause; site is what is in the way. */
static const char *
block_text(unsigned v)
{
	switch ((enum fsm_verdict)v) {
	case V_NO_PROOF:
		return "its last writer is not proven to have ended";
	case V_FENCING:
		return "it was seen writable last, without authority";
	case V_STRANGERS:
		return "no record says who may write";
	case V_SPLIT_BRAIN:
		return "more than one site is writable";
	case V_NO_CANDIDATE:
		return "no candidate is reachable and read-only";
	case V_COOLDOWN:
		return "the last promotion is less than failoverCooldown ago";
	case V_DIVERGENCE:
		return "no candidate has everything that the others have";
	case V_GTID_UNKNOWN:
		return "a GTID set could not be read or is beyond capacity";
	case V_DATA_MISSING:
		return "it lacks data that the record says it had";
	case V_APPLIER_ERROR:
		return "its applier stopped with an error before everything "
		       "received was applied";
	case V_STOP_TIMEOUT:
		return "its receiver does not stop; it is asked again";
	case V_DRAIN_TIMEOUT:
		return "applying what was received takes long; it goes on";
	case V_RECORD_FULL:
		return "too many epochs are not proven ended";
	case V_OBSERVER_ISOLATED:
		return "this operator can't reach it, but a replica and its "
		       "guard or a voter of its lease do";
	case V_NO_LEASE:
		return "its guard does not answer, or gets no write lease";
	case V_STARTING:
	case V_DELETING:
	case V_HEALTHY:
	case V_TOTAL_LOSS:
	case V_WAIT_SITES:
	case V_WAIT_THRESHOLD:
	case V_BOOTSTRAP:
	case V_WAIT_RECORD:
	case V_ADOPT:
	case V_ADOPT_GRANT:
	case V_REGRANT:
	case V_PROMOTE:
	case V_MAX:
		break;
	}
	return "";
}

/* Pods of sites that are not in the spec: who they are, what helps. */
static void
stranger_text(const struct fsm_conf *c, const char *may, char *buf, size_t len)
{
	snprintf(buf, len,
	    "%s of a site that is not in the spec may %s: bring that site "
	    "back into the spec, or delete the Pod; without a word of its "
	    "kubelet, and when it is surely dead, take off its finalizer",
	    c->stranger[0] == '\0' ? "a Pod" : c->stranger, may);
}

/* What the lease of that epoch still waits for. */
static const char *
lease_part(const struct fsm_state *s, uint64_t epoch)
{
	const struct lease_terms *t;
	unsigned k;

	for (k = 0; k < s->rec.n; k++) {
		t = &s->rec.unended[k].terms;
		if (s->rec.unended[k].epoch != epoch)
			continue;
		if (t->guard == 0)
			return ", and without a guard silence proves nothing";
		return lease_auth_missing(&s->auth[k], t) > 0 ?
		    ", promises of voters of its lease are missing" :
		    ", its lease has not run out yet";
	}
	return "";
}

/* Epochs that the record does not know: who has to promise, what helps. */
static void
lost_message(const struct fsm_conf *c, const struct fsm_state *s,
    const struct fsm_decision *d, char *buf, size_t len)
{
	char names[128] = "", word[768];
	size_t n = 0;
	uint8_t j;

	for (j = 0; j < c->nsites && n < sizeof(names); j++)
		if (j != d->site && !fsm_lost_promised(s, j))
			n += (size_t)snprintf(names + n, sizeof(names) - n,
			    "%s%s", n > 0 ? ", " : "", c->site[j].name);
	if (c->strangers) {
		stranger_text(c, "hold or renew its lease", word, sizeof(word));
		snprintf(buf, len,
		    "epoch %llu exists and the record does not know it: it was "
		    "put back; %s",
		    (unsigned long long)d->epoch, word);
		return;
	}
	assert_text(
	    c, d->site, fsm_lost_uid(s, d->site), d->epoch, word, sizeof(word));
	snprintf(buf, len,
	    "epoch %llu exists and the record does not know it: it was put "
	    "back; site %s may hold its lease (%s%s); bring %s back, or when "
	    "it is surely dead: %s",
	    (unsigned long long)d->epoch, site_text(c, d->site),
	    n > 0 ? "no promise yet from " : "it has not run out yet", names,
	    n > 0 ? "them" : "it", word);
}

/* Message of the PromotionBlocked condition: what is missing, what helps. */
void
fsm_block_message(const struct fsm_conf *c, const struct fsm_state *s,
    const struct fsm_decision *d, char *buf, size_t len)
{
	const struct fsm_proc *proc = fsm_epoch_proc(s, d->epoch);
	char part[PART_LEN], word[768];

	if (d->verdict == V_STRANGERS) {
		stranger_text(c, "write", word, sizeof(word));
		snprintf(buf, len, "%s; %s", block_text(d->verdict), word);
		return;
	}
	if (d->verdict == V_NO_PROOF && proc != NULL) {
		assert_text(
		    c, d->site, proc->pod_uid, d->epoch, word, sizeof(word));
		snprintf(buf, len,
		    "epoch %llu%s is not proven ended (no fence confirmed, no "
		    "word of the kubelet that container %s terminated%s); "
		    "bring it back, or when it is surely dead: %s",
		    (unsigned long long)d->epoch,
		    site_part(c, d->site, " of site ", part),
		    proc->container_id, lease_part(s, d->epoch), word);
		return;
	}
	if (d->verdict == V_NO_PROOF && d->site < c->nsites) {
		lost_message(c, s, d, buf, len);
		return;
	}
	(void)site_part(c, d->site, "site ", part);
	snprintf(buf, len, "%s%s%s", part, part[0] != '\0' ? ": " : "",
	    block_text(d->verdict));
	if (d->verdict == V_STOP_TIMEOUT && d->site < c->nsites &&
	    s->site[d->site].g.disk_full)
		snprintf(buf, len, "%s: %s; its disk is full: make room there",
		    part, block_text(d->verdict));
	if (d->verdict == V_APPLIER_ERROR)
		snprintf(buf, len,
		    "%s: %s; repair it, or drop what was "
		    "not applied: " FSM_ANN_OVERRIDE "=%s",
		    part, block_text(d->verdict), site_text(c, d->site));
}

const char *
fsm_why(const struct fsm_act *a, char *buf, size_t len)
{
	unsigned v = a->why < Y_MAX ? a->why : Y_NONE;

	(void)snprintf(buf, len, "%s", whys[v].text);
	if (whys[v].timed)
		(void)snprintf(buf, len, "%s %lld s ago", whys[v].text,
		    (long long)a->ago_ms / 1000);
	return buf;
}

/* A person's word was refused: of what, and why. */
static void
refused_message(
    const struct fsm_conf *c, const struct fsm_act *a, char *buf, size_t len)
{
	char part[PART_LEN], epoch[40] = "", why[128];

	if (a->text == T_ASSERT_REFUSED && a->epoch != 0)
		(void)snprintf(epoch, sizeof(epoch), ": epoch %llu",
		    (unsigned long long)a->epoch);
	(void)site_part(
	    c, a->site, epoch[0] != '\0' ? ", site " : ": site ", part);
	snprintf(buf, len, "%s%s%s%s%s", texts[a->text].msg, epoch, part,
	    a->why != Y_NONE ? ": " : "", fsm_why(a, why, sizeof(why)));
}

void
fsm_message(
    const struct fsm_conf *c, const struct fsm_act *a, char *buf, size_t len)
{
	const char *block = fsm_verdict_block(a->verdict);
	char part[PART_LEN], word[768];

	switch ((enum fsm_text)a->text) {
	case T_NO_PROOF:
		/* Of an epoch that no record knows only the Pod is known. */
		if (c->strangers && a->proc.server_uuid[0] == '\0') {
			stranger_text(
			    c, "hold or renew its lease", word, sizeof(word));
			snprintf(buf, len, "NoProof: epoch %llu: %s",
			    (unsigned long long)a->epoch, word);
			break;
		}
		assert_text(
		    c, a->site, a->proc.pod_uid, a->epoch, word, sizeof(word));
		snprintf(buf, len,
		    "NoProof: epoch %llu%s is not proven ended; bring it "
		    "back, or when it is surely dead: %s",
		    (unsigned long long)a->epoch,
		    site_part(c, a->site, " of site ", part), word);
		break;
	case T_BLOCKED:
		word[0] = '\0';
		if (a->verdict == V_STRANGERS)
			stranger_text(c, "write", word, sizeof(word));
		snprintf(buf, len, "%s%s: %s%s%s", block == NULL ? "" : block,
		    site_part(c, a->site, ": site ", part),
		    block_text(a->verdict), word[0] != '\0' ? "; " : "", word);
		break;
	case T_EPOCH_ENDED:
		snprintf(buf, len, "epoch %llu%s ended: %s",
		    (unsigned long long)a->epoch,
		    site_part(c, a->site, " of site ", part),
		    fsm_proof_name(a->proof));
		break;
	case T_ASSERT_REFUSED:
	case T_OVERRIDE_NO:
		refused_message(c, a, buf, len);
		break;
	case T_ASSERT_OK:
	case T_REVOKING:
	case T_MINTED:
	case T_LOST:
		snprintf(buf, len, "%s: epoch %llu%s", texts[a->text].msg,
		    (unsigned long long)a->epoch,
		    site_part(c, a->site, ", site ", part));
		break;
	case T_DECISION:
		snprintf(buf, len, "%s%s", fsm_verdict_name(a->verdict),
		    site_part(c, a->site, ": site ", part));
		break;
	case T_SITE_STATE:
	case T_UNBLOCKED:
	case T_PROMOTING:
	case T_FAILOVER:
	case T_REGRANTED:
	case T_ADOPTED:
	case T_BOOTSTRAPPED:
	case T_FENCING:
	case T_POD_DELETE:
	case T_EVICT_LATE:
	case T_OVERRIDE:
	case T_OVERRIDE_MAYBE:
	case T_SPLIT_BRAIN:
	case T_NO_PRIMARY:
	case T_TOTAL_LOSS:
	case T_DEGRADED:
	case T_DIVERGED:
	case T_RECOVERED:
	case T_CLONE:
	case T_CLONE_FAILED:
	case T_PERSISTED:
	case T_ACTION_FAILED:
	case T_GUARD_ENDED:
	case T_GUARD_HUNG:
	case T_GUARD_FENCED:
	case T_DISK_FULL:
	case T_ROLL:
	case T_ROLLED:
	case T_ROLL_FAILED:
	case T_ROLL_WAITS:
	case T_SITE_RECOVERED:
	case T_MAX:
		snprintf(buf, len, "%s%s", fsm_text_msg(a->text),
		    site_part(c, a->site, ": site ", part));
		break;
	}
}
