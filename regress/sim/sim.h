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
 * A deterministic world around the pure core: MySQL servers, kubelets, an API
 * server, a network and operators, under one simulated clock. Everything that
 * happens hangs on the seed.
 */

#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "fsm.h"
#include "handover.h"
#include "kube_lease.h"

#define OPS       2  /* operator replicas */
#define UUIDS     48 /* volumes that ever existed */
#define PODS      3  /* Pod objects of one site */

#define RATE_MAX  9 /* of clocks, in a thousand: two differ by twice that */

#define FROZEN_MS 20 /* what comes for a frozen operator waits */

/*
 * A GTID set: the first n transactions of each server_uuid. In a star each
 * replica holds a prefix of what each server wrote.
 */
struct gset {
	uint16_t n[UUIDS];
};

struct volume {
	int uuid;
	/* the sidecar's file; id 0: there is none */
	uint64_t mem_id, mem_promised, mem_heard;
	uint32_t mem_lease_ms;
	struct gset e, r; /* executed, received */
	bool has_repl;
	uint8_t source;
	bool schemas;
	bool cloned_bad; /* an unfinished CLONE: unusable */
};

struct process {
	bool alive;
	bool frozen; /* SIGSTOP: clock and clients go on */
	int64_t start;
	int64_t start_wall; /* by its node's clock, as mysqld keeps it */
	bool set_back;      /* that clock, since it started */
	unsigned id;
	bool ro, sro, offline;
	bool rogue;    /* made writable by a fault */
	uint64_t lied; /* a human called it dead, of that epoch; 0 */
	bool believed; /* and the leader took that */
	bool io, sql;
	uint32_t sql_errno;
};

#define ROUNDS 16

/* PID 1 of the MySQL container, on its node's own clock. */
struct guard {
	bool there;
	bool stopped; /* SIGSTOP of the keeper; the killer goes on */
	bool frozen;  /* the whole container, with its mysqld */
	struct lease_guard l;
	uint32_t ended;
	int64_t ends[3]; /* times of the last ends */
	uint64_t round;
	int64_t sent[ROUNDS]; /* when round n was asked */
	int64_t ask_at, look_at;
	int64_t beat_at; /* its next word is due, simulated time */
	struct fsm_guard said;
};

struct car {
	bool up;
	bool held; /* may not start */
	unsigned life;
	int64_t back_at;
	int64_t beat_at;
	struct lease_voter v;
	struct fsm_guard word; /* the guard's last */
	int64_t word_at;
	struct fsm_sight sight[OPS]; /* what each operator told, */
	int64_t sight_at[OPS];       /* and when */
};

struct pod {
	bool used;
	struct fsm_pod api;  /* the object */
	struct fsm_pod real; /* what the kubelet knows */
	int64_t sync_at;     /* kubelet's next report, 0: none */
};

struct site {
	struct volume v;
	struct process p;
	struct pod pod[PODS];
	int cur;  /* Pod of the process */
	bool ctr; /* its container runs */
	struct guard guard;
	struct car car;
	int rate;           /* of its clock, parts in a thousand too fast */
	int64_t clock_off;  /* node's clock - simulated time */
	int64_t restart_at; /* 0: not waiting for one */
	int64_t rogue_at;
	int64_t heard_at; /* its receiver heard its source last */
	/* faults */
	bool node_off, cut_api, held, stuck;
	bool cut_link; /* operators reach mysqld, not the sidecar */
	bool cut_sql;  /* the other way round */
	bool cut_recv; /* its replicas reach its sidecar, not mysqld */
	bool slow_applier, bad_applier;
	bool cut_on_grant, cut_done;
	bool cut_site[SITES_MAX], cut_car[SITES_MAX];
	/*
	 * deploy.c: its Deployment's template, or there is none, since the site
	 * is not in the spec; taken down by an update
	 */
	uint64_t dep;
	bool no_deployment;
	bool rolling;
	int64_t rolled_at, replace_at;
	/* a CLONE that runs into it */
	int64_t clone_end;
	uint8_t clone_from;
	uint64_t clone_seq;
	int clone_op;
	unsigned clone_life;
};

/* The annotations that people leave. */
struct words {
	uint8_t override; /* site, FSM_NONE */
	bool dead;        /* assert-dead: */
	uint8_t site;
	char pod_uid[UID_LEN + 1];
	uint64_t epoch;
};

struct op {
	bool up;
	unsigned life; /* incarnation: old messages are void */
	int64_t back_at;
	struct fsm_conf c;
	struct fsm_state s;
	struct fsm_view view;
	bool holds;
	struct lease lease;
	uint64_t lease_version; /* of the object that it has in mind */
	int64_t lease_until;
	struct handover handover;
	int64_t look_at;  /* whether it hands over, next */
	int64_t yes_at;   /* it said yes last */
	int64_t grant_at; /* its last grant was sent */
	int64_t wake;
	unsigned watch;       /* of Pods: what came before its list is void */
	int64_t watch_at;     /* and one after the other */
	int64_t clock_off;    /* its wall clock - simulated time */
	int rate;             /* of its monotonic one, as a node's */
	bool link[SITES_MAX]; /* as its core was told */
	int64_t link_down_at[SITES_MAX];
	/* faults */
	bool cut_api, cut_site[SITES_MAX], cut_sql[SITES_MAX];
	int64_t sight_at; /* its next word to sidecars is due */
	bool frozen;      /* SIGSTOP: its clock goes on */
	/* its copies of sets */
	bool known[SITES_MAX];
	struct gset e[SITES_MAX], r[SITES_MAX];
	bool rec_known;
	struct fsm_record rec; /* sites as the world has them */
	struct gset grant, seen;
	unsigned group; /* the object that it knows, of all that there were */
	struct words words;
	/* Pods of a site that its spec has not */
	struct fsm_pod foreign[PODS];
	int64_t foreign_at; /* they are told again */
};

/* What somebody copied of the group. */
struct backup {
	struct fsm_conf c;
	struct fsm_record rec;
	struct gset grant, seen;
};

struct api {
	bool down, deny;
	struct fsm_record rec;
	struct gset grant, seen;
	struct backup backup; /* at first as when the group was ready */
	uint64_t changes;     /* of the object: each has its own version */
	unsigned group;       /* counted up when it is made again */
	unsigned by_hand;     /* so often was the record put back */
	bool behind;          /* no leader has written it since */
	struct words words;
	int holder; /* who leads, or led last */
	/* the Lease */
	struct klease lease;
	char lease_holder[NAME_LEN + 1];
	uint64_t lease_version; /* 0: there is none */
	uint64_t lease_versions;
};

enum ev_kind {
	K_PROBE,
	K_PROBE_AT,
	K_PROBE_IN,
	K_SQL_AT,
	K_GRANT_AT,
	K_SQL_IN,
	K_PUT_AT,
	K_ACK_IN,
	K_REC_IN,
	K_POD_AT,
	K_ROLL_AT,
	K_ROLLOUT_IN,
	K_CONF_IN,
	K_WORDS_IN,
	K_WORD_AT,
	K_POD_IN,
	K_LOST_IN,
	K_MSG_OP,
	K_MSG_CAR,
	K_WAKE,
	K_LEASE,
	K_WORLD,
	K_SCRIPT
};

/* Between Pods: what link.c carries. */
enum msg {
	M_REPORT, /* sidecar to operator */
	M_PROMISE,
	M_ASK_OP,
	M_OFFER, /* operator to sidecar */
	M_REVOKE,
	M_PROMISE_ASK,
	M_RENEW,
	M_SIGHT,
	M_ASK, /* sidecar to sidecar */
	M_YES
};

struct link_msg {
	enum msg kind;
	uint8_t from; /* site */
	uint64_t epoch, guard, nonce, voter;
	uint32_t incarnation;
	int64_t age;
	uint32_t lease_ms;
	struct lease_terms terms;
	struct fsm_guard says;
};

/*
 * What one event has another has not, and the record is kept aside: they are
 * copied millions of times.
 */
struct ev {
	int64_t t;
	uint64_t order;
	uint8_t kind;
	uint8_t op, site;
	bool extra;
	bool promotion;
	bool promotable; /* its site, as who sent it knew the spec */
	uint8_t put_grant, put_seen;
	unsigned life;
	unsigned script;
	unsigned proc;
	int64_t limit;
	/* push() copies it; the copy lives until the event was dispatched */
	const struct fsm_record *rec;
	union {
		struct fsm_pod pod;  /* K_POD_IN */
		struct link_msg msg; /* K_MSG_* */
		struct {             /* K_PROBE* */
			struct fsm_probe probe;
			struct gset e, r;
		};
		struct { /* K_LEASE */
			uint8_t what;
			bool ok;
			int64_t sent;
			uint64_t version;
			struct klease body;
			char holder[32];
		} lease;
		struct { /* the others */
			struct fsm_act act;
			struct fsm_event fe;
			struct gset grant, seen;
		};
	};
};

/* Faults: id, name, what undoes them by itself. */
#define FAULTS(X)                                           \
	X(F_NONE, "none")                                   \
	X(F_KILL, "kill")                                   \
	X(F_HOLD, "kill-and-hold")                          \
	X(F_FREEZE, "freeze")                               \
	X(F_POWER, "power-cut")                             \
	X(F_CUT_OP, "cut-operators")                        \
	X(F_CUT_KUBELET, "cut-kubelet")                     \
	X(F_ISOLATE, "isolate-node")                        \
	X(F_CUT_REPL, "cut-replication")                    \
	X(F_OP_CRASH, "operator-crash")                     \
	X(F_OP_CUT_API, "operator-cut-from-api")            \
	X(F_API_DOWN, "api-down")                           \
	X(F_DENY, "status-denied")                          \
	X(F_POD_DELETE, "pod-delete")                       \
	X(F_WIPE, "wipe-volume")                            \
	X(F_ROGUE, "rogue-writable")                        \
	X(F_FENCE, "rogue-fence")                           \
	X(F_SLOW, "slow-applier")                           \
	X(F_BAD, "applier-error")                           \
	X(F_LOSSY, "answers-lost")                          \
	X(F_STALL, "statements-stall")                      \
	X(F_CUT_ON_GRANT, "cut-operators-as-grant-is-sent") \
	X(F_CUT_DONE, "cut-operators-after-the-grant")      \
	X(F_CONFUSED, "kubelet-loses-track")                \
	X(F_ROLLBACK, "kill-and-older-data")                \
	X(F_KILL_CTR, "container-killed")                   \
	X(F_CUT_LINK, "cut-links-to-operators")             \
	X(F_CUT_PEERS, "cut-sidecars-from-each-other")      \
	X(F_KEEPER, "keeper-stopped")                       \
	X(F_FREEZE_CTR, "container-frozen")                 \
	X(F_STUCK, "fence-blocks")                          \
	X(F_CAR_DEAD, "sidecar-dead")                       \
	X(F_CAR_RESTART, "sidecar-restarts")                \
	X(F_MEM_LOST, "voter-memory-lost")                  \
	X(F_SLOW_NET, "slow-network")                       \
	X(F_CUT_SQL, "cut-operators-from-mysqld")           \
	X(F_CUT_STANDBY, "cut-the-other-operator")          \
	X(F_CUT_LEADER, "cut-the-leader")                   \
	X(F_CUT_LEADER_SQL, "cut-the-leader-from-mysqld")   \
	X(F_CUT_RECV, "cut-receivers")                      \
	X(F_CLOCK, "clock-stepped")                         \
	X(F_OP_CLOCK, "operator-clock-stepped")             \
	X(F_OPS_DOWN, "operators-down")                     \
	X(F_OP_ISOLATE, "operator-isolated")                \
	X(F_OP_FREEZE, "operator-frozen")                   \
	X(F_UPDATE, "spec-changes-the-template")            \
	X(F_BAD_UPDATE, "spec-with-which-nothing-starts")   \
	X(F_DEMOTE, "spec-makes-it-dr-only")                \
	X(F_REMOVE, "spec-without-the-last-site")           \
	X(F_LEASE_MS, "lease-timeout-changed")              \
	X(F_ASSERT, "assert-dead")                          \
	X(F_LIE, "assert-dead-of-what-may-live")            \
	X(F_OVERRIDE, "override-applier-error")             \
	X(F_BACKUP, "backup-taken")                         \
	X(F_REC_OLD, "record-restored")                     \
	X(F_REC_WIPE, "record-wiped")                       \
	X(F_RECREATE, "group-recreated-on-its-volumes")     \
	X(F_LEASE_GONE, "lease-object-deleted")             \
	X(F_LEASE_EMPTIED, "lease-object-emptied")          \
	X(F_LEASE_SHORT, "lease-object-shortened")          \
	X(F_CHECK_ACTIVE, "expect-active")                  \
	X(F_CHECK_BLOCK, "expect-blocked")                  \
	/* in scenarios alone */                            \
	X(F_LEASE_LONG, "lease-timeout-raised")
#define X(id, name) id,
enum fault { FAULTS(X) F_MAX };
#undef X

/*
 * One line of a scenario: at (seconds after the group is ready), for. A clock
 * is stepped by as many seconds as `want` says, else by a few or an hour.
 */
struct script {
	int at, dur;
	uint8_t fault;
	uint8_t site;     /* index; S_ACTIVE, S_OTHER */
	const char *want; /* F_CHECK_*: site, reason; F_DEMOTE: a reader */
};
#define S_ACTIVE  0xf0 /* the active site when it strikes */
#define S_OTHER   0xf1 /* first one that is not */
#define S_LEADER  0xf2 /* operator that holds the Lease */
#define S_STANDBY 0xf3 /* the other one */
#define S_SUBJECT 0xf4 /* site that the leader's verdict speaks of */

struct scenario {
	const char *name;
	int nsites;
	uint8_t role[SITES_MAX];
	int secs; /* until everything is healed */
	struct script line[12];
	const char *end; /* final block that is right, or NULL */
	unsigned how;
};
#define H_BARE     1 /* servers without a guard */
#define H_STEADY   2 /* no write is stopped in it */
#define H_FAST     4 /* L 3 s, checks 1 s, poll 0.5 s */
#define H_RECREATE 8 /* updateStrategy */

struct world {
	int64_t now;
	uint64_t rng;
	uint64_t order;
	int nsites; /* that there are; c may have the last one not */
	struct fsm_conf c, whole; /* the spec; as nobody has changed it */
	struct site site[SITES_MAX];
	struct op op[OPS];
	struct api api;
	int uuids;
	unsigned procs, pods, cids;
	bool lossy, stall, slow_net, ops_down;
	bool bare;
	int64_t sc_lease[3]; /* the Lease's three times */
	int steady;          /* site whose writes must go on, -1: none */
	unsigned steady_proc;
	bool wiped;
	uint16_t may_drop;       /* sites: an override that is not used up */
	bool unknown_word;       /* a kubelet could not tell */
	unsigned spec, bad_spec; /* of templates; 0: none is bad */
	unsigned rolls;
	struct gset acked;
	struct gset gone; /* lost with a volume */
	int64_t ready_at;
	int64_t healed_at;
	unsigned promotions, regrants, grants, clones, leases, kills;
	unsigned ended[P_MAX]; /* epochs, by proof */
	int64_t last_promotion;
	struct fsm_act no_proof; /* as an Event said last what is in the way */
	const struct scenario *sc;
	struct script plan[32];
	int nplan;
	int active_at[32]; /* site a line struck */
	int op_at[32];     /* and operator */
	char fail[256];    /* first violation */
	bool trace;
};

extern struct world *w;

/* sim.c: queue, chance, gsets */
void push(struct ev *, int64_t);
uint32_t rnd(uint32_t);
bool chance(int percent);
void fail(const char *, ...) __attribute__((format(printf, 1, 2)));
void trace(const char *, ...) __attribute__((format(printf, 1, 2)));
bool gs_contains(const struct gset *, const struct gset *);
void gs_union(struct gset *, const struct gset *, const struct gset *);
bool gs_empty(const struct gset *);
bool gs_equal(const struct gset *, const struct gset *);
void gs_text(const struct gset *, char *, size_t);
void uuid_text(int, char *);

/* world.c */
void world_init(void);
void world_tick(void);
void ctr_start(int);
void ctr_die(int, const char *);
void proc_die(int, const char *);
bool proc_answers(int);
bool op_reaches(const struct op *, int);
bool sql_reaches(const struct op *, int);
int64_t op_clock(const struct op *);
int64_t op_wait(const struct op *, int64_t t);
int64_t op_world(const struct op *, int64_t t);
bool source_cut(const struct site *);
void check_writers(const char *);
bool process_is(int, const struct fsm_act *);
int64_t node_clock(int);
int64_t measured_start(int);

/* kubelet.c */
void kubelet(int, int);
void kubelet_report(int, int, int64_t);
void kubelet_confused(int);
void kubelet_word(int, bool);
int pod_new(int);
void pod_changed(int, int);
void watch_push(int op, struct ev *);

/* server.c */
void reply(const struct ev *, struct ev *, int64_t);
void probe_at(const struct ev *);
void sql_at(const struct ev *);
void grant_at(const struct ev *);

/* api.c */
void put_at(const struct ev *);
void tell_record(void);
void pod_at(const struct ev *);

/* deploy.c */
uint64_t deploy_want(int);
bool deploy_bad(int);
void deploy_tell(int op, int);
void deploy_spec(bool bad);
void deploy_tick(int);
bool deploy_done(void);
void roll_at(const struct ev *);

/* guard.c */
int64_t boot_clock(int);
uint64_t random_id(void);
void guard_start(int);
void guard_started(int);
void guard_ended(int);
void guard_run(int);
void guard_look_all(void);
void guard_offer(int, const struct lease_terms *);
void guard_yes(int, uint64_t epoch, uint64_t nonce, uint64_t voter);
void guard_says(int, struct fsm_guard *);

/* links.c */
void car_start(int);
void car_die(int);
void car_tick(int);
void car_report(int);
bool car_link(const struct op *, int);
void op_links(int);
void op_sends(int, const struct fsm_act *);
void ask_voters(int, const struct lease_hold *, uint64_t nonce);
void msg_op(const struct ev *);
void msg_car(const struct ev *);

/* elect.c */
void elect_start(int);
void elect_at(const struct ev *);
void elect_look(int);
void elect_event(const struct op *, struct fsm_event *);

/* operator.c */
void op_start(int);
void op_event(int, struct fsm_event *, bool);
void op_record(int);
void op_record_is(int, const struct fsm_record *);
void op_feed_pods(int);
bool op_reaches_api(const struct op *);
bool op_frozen(const struct ev *);
void op_in(const struct ev *);
void op_pods(int);
void op_restart_core(int);

/* told.c: what operators are told of the group's object */
bool told_event(struct op *, struct fsm_event *);
void
told_record(const struct op *, const struct fsm_record *, struct fsm_record *);
void told_put(const struct op *, struct fsm_record *);
void told_conf(int);
void told_words(int);
void told_words_again(int);
void told_tick(int);
void told_foreign(int);
void conf_changed(void);
void words_changed(void);
void words_judged(int, const struct fsm_act *);
void word_at(const struct ev *);

/* faults.c */
int api_active(void);
const char *fault_name(unsigned);
void fault_acts(const struct script *, int site, bool on);

/* faults_api.c; false: it is of another kind */
bool fault_kubernetes(const struct script *, int site, bool on);
bool fault_people(const struct script *, int site, bool on);
void assert_dead(int, bool lie);
void backup(void);
void spec_whole(void);

/* plan.c */
void plan_random(void);
void strike(int);
void heal_all(void);
void human(void);

/* check.c */
void check_sites(int op);
bool by_record(const struct ev *);
void check_grant(const struct ev *);
void check_drop(int, bool asked);
void check_promotion(int);
void check_choice(int op, int);
void check_quiet(int op);
void check_yes(int op);
void check_end(void);

/* sim.c */
extern bool want_trace;
/*
 * Scenarios (only: that one), each under so many seeds, then random
 * plans; stop: at the first failure. Returns how many failed.
 */
extern unsigned scenario_seeds;
int campaign(uint64_t from, uint64_t to, const struct scenario *only,
    bool random_only, bool stop);

/* args.c */
struct args {
	uint64_t from, to; /* seeds */
	const struct scenario *only;
	bool random_only, list;
	bool guard[G_MAX], some; /* guards that are named, any */
	unsigned jobs;
};
struct option;
bool args_parse(int, char **, const struct option *, struct args *);

/* scenarios.c */
const struct scenario *scenario_at(int); /* NULL: there are no more */

/* scenarios_lease.c */
extern const struct scenario lease_scenarios[];
extern const int lease_nscenarios;

#endif /* SIM_H */
