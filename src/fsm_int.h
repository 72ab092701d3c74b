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

/* What the files of the core share; nobody else includes it. */

#ifndef FSM_INT_H
#define FSM_INT_H

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "fsm.h"

/*
 * Safety conditions exist only in this form: cond must hold to go on. The
 * test build FSM_MUTANTS can switch single ones off; UNSAFE_GRANTS is the
 * control of the write oracle and lacks the proof gate alone.
 */
#if defined(FSM_MUTANTS)
extern uint64_t fsm_mutants[2];
#define FSM_GUARD(id, cond)                                   \
	(((cond) ? true : false) ||                           \
	    ((fsm_mutants[(id) / 64] >> (id) % 64) & 1) != 0)
#elif defined(UNSAFE_GRANTS)
#define FSM_GUARD(id, cond) ((id) == G_PROOF || (cond))
#else
#define FSM_GUARD(id, cond) ((void)(id), (cond))
#endif

/* One call of fsm_step. */
struct fsm_ctx {
	const struct fsm_conf *c;
	struct fsm_state *s;
	struct fsm_out *o;
	struct fsm_decision d;
	int64_t now;
};

#define BIT(i) ((uint16_t)(1U << (i)))

/* fsm.c */
bool fsm_can_act(const struct fsm_ctx *);
struct fsm_act *fsm_emit(struct fsm_ctx *, enum fsm_act_type, uint8_t);
struct fsm_act *fsm_request(
    struct fsm_ctx *, enum fsm_act_type, uint8_t, struct fsm_req *, int64_t);
struct fsm_act *fsm_sql(struct fsm_ctx *, uint8_t, enum sql_kind, int64_t);
struct fsm_act *fsm_tell(struct fsm_ctx *, enum fsm_text, uint8_t);
void fsm_tell_epoch(
    struct fsm_ctx *, enum fsm_text, uint8_t, uint64_t, enum fsm_proof);
void fsm_tell_why(
    struct fsm_ctx *, enum fsm_text, uint8_t, uint64_t, enum fsm_why, int64_t);
void fsm_count(struct fsm_ctx *, enum fsm_metric, uint8_t);
void fsm_probe_now(struct fsm_ctx *, uint8_t, int64_t);

/* fsm_know.c: questions about what is known */
bool fsm_streq(const char *, const char *);
bool fsm_same_process(const struct fsm_proc *, const struct fsm_probe *);
bool fsm_promotable(const struct fsm_conf *, uint8_t);
bool fsm_core(const struct fsm_conf *, uint8_t);
bool fsm_answers(const struct fsm_state *, uint8_t);
bool fsm_unborn(const struct fsm_conf *, const struct fsm_state *);
bool fsm_flags_current(const struct fsm_state *, uint8_t);
bool fsm_may_write(const struct fsm_state *, uint8_t);
bool fsm_gated(const struct fsm_state *, uint8_t);
bool fsm_stale(const struct fsm_state *, uint8_t);
bool fsm_known(const struct fsm_state *, uint8_t);
bool fsm_rel_bit(const struct fsm_state *, uint16_t, uint8_t);
bool fsm_all_contains(const struct fsm_state *, uint8_t, uint8_t);
bool fsm_recipient(const struct fsm_state *, uint8_t);
int fsm_newest(const struct fsm_state *);
int fsm_listed(const struct fsm_state *, uint64_t);
const struct fsm_proc *fsm_epoch_proc(const struct fsm_state *, uint64_t);
bool fsm_is_newest(const struct fsm_state *, uint8_t);
uint8_t fsm_active(const struct fsm_conf *, const struct fsm_state *);
unsigned fsm_rank(const struct fsm_conf *, uint8_t);
const struct fsm_pod *
fsm_pod_of(const struct fsm_state *, uint8_t, const char *);
const struct fsm_pod *fsm_container(const struct fsm_state *, uint8_t);
bool fsm_minting_ok(const struct fsm_conf *, const struct fsm_state *, uint8_t);
bool fsm_may_return(const struct fsm_conf *, const struct fsm_state *, uint8_t);
bool fsm_cooldown(const struct fsm_conf *, const struct fsm_state *);

/* fsm_event.c */
void fsm_take(struct fsm_ctx *, const struct fsm_event *);

/* fsm_health.c */
#define FSM_HEALTH_EVENTS(X)                       \
	X(H_FAIL, "fails below threshold")         \
	X(H_FAIL_MAX, "fails at threshold")        \
	X(H_READ_ONLY, "read-only")                \
	X(H_WRITABLE, "writable below threshold")  \
	X(H_WRITABLE_MAX, "writable at threshold")
#define X(id, name) id,
enum fsm_health_ev { FSM_HEALTH_EVENTS(X) H_MAX };
#undef X
enum site_state fsm_health_next(enum site_state, enum fsm_health_ev);
void fsm_health_probe(struct fsm_ctx *, uint8_t, const struct fsm_probe *);
void fsm_health_lost(struct fsm_ctx *, uint8_t);
void fsm_health_word(struct fsm_ctx *, uint8_t);
void fsm_health_extra(struct fsm_ctx *);
void fsm_health_set(struct fsm_ctx *, uint8_t, enum site_state);

/* fsm_proof.c */
enum fsm_proof fsm_proof_of(const struct fsm_state *, unsigned);
int fsm_unproven(const struct fsm_state *, uint8_t);
void fsm_proof_pod(struct fsm_ctx *, uint8_t, const struct fsm_pod *);
void fsm_proof_foreign(struct fsm_ctx *, const struct fsm_pod *);
void fsm_proof_record(struct fsm_ctx *, const struct fsm_record *);
bool fsm_grants_past(const struct fsm_state *, uint8_t);
bool fsm_word_ends(const struct fsm_state *, uint8_t, const struct fsm_epoch *,
    const struct fsm_word *);
void fsm_end_epoch(struct fsm_ctx *, unsigned, enum fsm_proof);

/* fsm_assert.c */
void fsm_proof_assert(struct fsm_ctx *);

/* fsm_grant.c */
int64_t fsm_grants_end(const struct fsm_state *, uint8_t);
void fsm_grant(struct fsm_ctx *, uint8_t);
void fsm_grant_answer(struct fsm_ctx *, uint8_t, enum sql_end, int64_t);
void fsm_grant_forget(struct fsm_ctx *, uint8_t);
void fsm_grant_probe(struct fsm_ctx *, uint8_t);

/* fsm_lease.c */
bool fsm_fresh(const struct fsm_conf *, const struct fsm_state *, uint8_t);
bool fsm_deaf(const struct fsm_conf *, const struct fsm_state *);
bool
fsm_guard_fresh(const struct fsm_conf *, const struct fsm_state *, uint8_t);
bool fsm_guarded(const struct fsm_conf *, const struct fsm_state *, uint8_t);
bool fsm_guard_ok(const struct fsm_conf *, const struct fsm_state *, uint8_t);
bool fsm_guard_matches(const struct fsm_site *);
bool
fsm_lease_held(const struct fsm_state *, uint8_t, const struct fsm_epoch *);
bool fsm_stray_lease(const struct fsm_state *, uint8_t);
uint64_t fsm_heard_of(const struct fsm_conf *, const struct fsm_state *);
bool fsm_lease_terms(const struct fsm_conf *, const struct fsm_state *, uint8_t,
    struct fsm_epoch *);
bool fsm_lease_usable(const struct fsm_conf *, const struct fsm_state *, int);
bool fsm_lease_successor(const struct fsm_ctx *);
bool fsm_same_guard(const struct lease_terms *, const struct fsm_guard *);
bool fsm_same_run(const struct lease_terms *, const struct lease_terms *);
bool fsm_lease_renewed(const struct fsm_conf *, const struct fsm_state *,
    uint8_t, const struct fsm_epoch *, int64_t);
void fsm_lease_mute(struct fsm_ctx *);

/* fsm_over.c */
enum fsm_proof fsm_lease_proof(const struct fsm_state *, unsigned);
int64_t fsm_lease_wake(const struct fsm_state *);
void fsm_stop_early(struct fsm_ctx *, uint8_t);
void fsm_longest(const struct fsm_state *, uint32_t *, uint32_t *);
int64_t fsm_over_in(const struct fsm_conf *, const struct fsm_state *);
bool fsm_no_grant_ahead(const struct fsm_state *, uint8_t);
bool fsm_read_since_grants(const struct fsm_state *, uint8_t);
void fsm_lease_look(struct fsm_ctx *);
void fsm_lease_term(struct fsm_state *);
void fsm_lease_ask(struct fsm_ctx *, uint8_t, const struct fsm_event *);
void fsm_lease_promise(struct fsm_ctx *, uint8_t, const struct fsm_event *);

/* fsm_lost.c */
void fsm_lost_look(struct fsm_ctx *);
uint64_t fsm_promise_no(const struct fsm_state *, const struct fsm_epoch *);
bool fsm_lost_in_way(
    const struct fsm_conf *, const struct fsm_state *, uint8_t, uint8_t);
bool fsm_lost_promised(const struct fsm_state *, uint8_t);
const char *fsm_lost_uid(const struct fsm_state *, uint8_t);

/* fsm_revoke.c */
void fsm_revoke(struct fsm_ctx *);

/* fsm_witness.c */
#define FSM_W_REPLICAS(X)     \
	X(WR_NONE, "none")    \
	X(WR_BLIND, "blind")  \
	X(WR_SEES, "sees it")
#define FSM_W_GUARDS(X)        \
	X(WG_OK, "ok")         \
	X(WG_HUNG, "hung")     \
	X(WG_ENDED, "ended")   \
	X(WG_FENCED, "fenced") \
	X(WG_SILENT, "silent")
#define X(id, name) id,
enum fsm_w_replica { FSM_W_REPLICAS(X) WR_MAX };
enum fsm_w_guard { FSM_W_GUARDS(X) WG_MAX };
#undef X
/* Of the active site, while the own probes of it fail. */
struct fsm_witness {
	enum fsm_w_replica replica;
	bool standby; /* another operator sees it */
	enum fsm_w_guard guard;
	bool renewed; /* by a voter, within two check intervals */
};
bool fsm_isolated(const struct fsm_witness *);
bool fsm_sight_of(
    const struct fsm_state *, uint8_t j, const struct fsm_epoch *, int64_t *at);
void fsm_witnesses(const struct fsm_conf *, const struct fsm_state *, uint8_t,
    struct fsm_witness *);
const char *fsm_witness_name(const struct fsm_witness *, char *, size_t);
void fsm_witness_guard(struct fsm_ctx *, uint8_t, const struct fsm_guard *);
void fsm_witness_link(struct fsm_ctx *, uint8_t, bool);

/* fsm_new.c */
void fsm_decide_new(
    const struct fsm_conf *, const struct fsm_state *, struct fsm_decision *);

/* fsm_decide.c */
enum fsm_step
fsm_prepare(const struct fsm_conf *, const struct fsm_state *, uint8_t);
void fsm_choose(const struct fsm_conf *, const struct fsm_state *,
    struct fsm_decision *, enum fsm_verdict, uint8_t);
/* The taint of a site's nodes (fsm_taint.c). */
enum taint_want fsm_taint(const struct fsm_conf *, const struct fsm_state *,
    enum fsm_verdict, uint8_t);
void fsm_verdict(struct fsm_decision *, enum fsm_verdict, uint8_t);
bool fsm_may_be_active(const struct fsm_conf *, uint8_t);
bool fsm_empty_site(const struct fsm_conf *, const struct fsm_state *, uint8_t);

/* fsm_override.c */
void fsm_override_told(struct fsm_state *, uint8_t);
void fsm_override_term(struct fsm_state *);
void fsm_override_answer(struct fsm_state *, uint8_t, enum sql_end);
void fsm_override_used(struct fsm_ctx *);
void fsm_override(struct fsm_ctx *);

/* fsm_promote.c */
void fsm_promote(struct fsm_ctx *);
void fsm_record_keep(struct fsm_ctx *);
bool fsm_term_written(const struct fsm_state *);
void fsm_granted(struct fsm_ctx *, uint8_t);
void fsm_put_done(struct fsm_ctx *, bool, bool);
void fsm_put_read(struct fsm_ctx *);

/* fsm_evict.c */
void fsm_evict(struct fsm_ctx *, uint8_t);
void fsm_evict_answer(struct fsm_ctx *, uint8_t, bool none);
void fsm_evict_forget(struct fsm_site *);
void fsm_evict_term(struct fsm_ctx *, uint8_t);

/* fsm_fence.c */
void fsm_fence(struct fsm_ctx *);
void fsm_pods(struct fsm_ctx *);
void fsm_pod_foreign(struct fsm_ctx *, const struct fsm_pod *);

/* fsm_view.c */
enum fsm_matrix {
	MX_HEALTHY,
	MX_DEGRADED,
	MX_SPLIT_BRAIN,
	MX_NO_PRIMARY,
	MX_TOTAL_LOSS,
	MX_STARTING
};
void fsm_matrix_say(struct fsm_ctx *);
bool
fsm_guard_lately(const struct fsm_conf *, const struct fsm_state *, uint8_t);

/* fsm_conds.c */
void fsm_add_name(char *list, size_t, const char *name);
void fsm_conditions(const struct fsm_conf *, const struct fsm_state *,
    const struct fsm_decision *, struct fsm_view *, enum fsm_matrix);

/* fsm_text.c */
void fsm_block_message(const struct fsm_conf *, const struct fsm_state *,
    const struct fsm_decision *, char *, size_t);

/* fsm_clone.c */
#define FSM_CLONE_EVENTS(X)                             \
	X(C_START, "start")                             \
	X(C_COPIED, "copied or unclear")                \
	X(C_REFUSED, "refused or failed")               \
	X(C_BACK, "recipient is back")                  \
	X(C_SET, "source set")                          \
	X(C_TIMEOUT, "time is up")                      \
	X(C_DONOR_LOST, "donor is not active any more")
#define X(id, name) id,
enum fsm_clone_ev { FSM_CLONE_EVENTS(X) C_MAX };
#undef X
#define CL_IGNORE (CL_MAX)     /* stays as it is */
#define CL_BUG    (CL_MAX + 1) /* cannot happen */
unsigned fsm_clone_next(enum fsm_clone_phase, enum fsm_clone_ev);
void fsm_clone(struct fsm_ctx *);
void fsm_clone_sql(struct fsm_ctx *, uint8_t, enum sql_end);

/* fsm_rejoin.c */
#define FSM_REPAIRS(X)                            \
	X(R_NOTHING, "nothing")                   \
	X(R_OK, "converged")                      \
	X(R_WAIT, "wait for a newer observation") \
	X(R_BLOCKED, "blocked")                   \
	X(R_START, "start replica")               \
	X(R_STOP, "stop replica")                 \
	X(R_SET_SOURCE, "set source")
#define X(id, name) id,
enum fsm_repair { FSM_REPAIRS(X) R_MAX };
#undef X
/* What is seen of a follower, enough to say what it needs. */
struct fsm_follower {
	bool channel; /* has a replication channel */
	bool right_source;
	bool threads;   /* both on */
	bool stopped;   /* both off, read after our STOP */
	bool contained; /* the active site has all of it */
	bool fresh;     /* "not contained" is not skew */
};
enum fsm_repair fsm_repair_next(const struct fsm_follower *);
void fsm_rejoin(struct fsm_ctx *);
void fsm_rejoin_sql(struct fsm_ctx *, uint8_t, enum sql_kind, enum sql_end);

/* fsm_update.c */
/* What is known of one site, enough to say what an update does there. */
struct fsm_roll {
	bool drifted;  /* its Deployment has another template than spec */
	bool leaving;  /* asked for, and the former Pod may be there yet */
	bool well;     /* does its part with the Deployment's template */
	bool updating; /* it was given that template, and was not well since */
	bool late;     /* for longer than an update takes */
	bool refused;  /* just now */
	bool acting;   /* the Lease is ours, and no one else's request open */
	bool stuck;    /* nothing has run there for a while */
	bool answers;
	bool active;
	bool settled;  /* the group is healthy, and nothing else runs in it */
	bool others;   /* every other follower is well */
	bool voters;   /* the write lease is renewed without its vote */
	bool recreate; /* updateStrategy */
};
enum fsm_roll_step fsm_roll_next(const struct fsm_roll *);
enum fsm_roll_step fsm_roll_of(const struct fsm_conf *,
    const struct fsm_state *, const struct fsm_decision *, uint8_t);
bool fsm_leaving(const struct fsm_state *, uint8_t);
void fsm_update_others(
    const struct fsm_conf *, const struct fsm_state *, uint8_t, char *, size_t);
void fsm_update(struct fsm_ctx *);
void fsm_update_told(struct fsm_ctx *, uint8_t, uint64_t, uint64_t);
void fsm_update_ack(struct fsm_ctx *, uint8_t, bool ok, bool unknown);

#endif /* FSM_INT_H */
