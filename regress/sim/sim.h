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

#define OPS   2  /* operator replicas */
#define UUIDS 48 /* volumes that ever existed */
#define PODS  3  /* Pod objects of one site */

/*
 * A GTID set: the first n transactions of each server_uuid. In a star each
 * replica holds a prefix of what each server wrote.
 */
struct gset {
	uint16_t n[UUIDS];
};

struct volume {
	int uuid;
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
	unsigned id;
	bool ro, sro, offline;
	bool rogue; /* made writable by a fault */
	bool io, sql;
	uint32_t sql_errno;
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
	int cur;            /* Pod of the process */
	int64_t clock_off;  /* node's clock - simulated time */
	int64_t restart_at; /* 0: not waiting for one */
	int64_t rogue_at;
	/* faults */
	bool node_off, cut_api, held;
	bool slow_applier, bad_applier;
	bool cut_on_grant, cut_done;
	bool cut_site[SITES_MAX];
	/* a CLONE that runs into it */
	int64_t clone_end;
	uint8_t clone_from;
	uint64_t clone_seq;
	int clone_op;
	unsigned clone_life;
};

struct op {
	bool up;
	unsigned life; /* incarnation: old messages are void */
	int64_t back_at;
	struct fsm_conf c;
	struct fsm_state s;
	struct fsm_view view;
	bool holds;
	int64_t lease_until;
	int64_t wake;
	int64_t watch_from; /* what it was told of Pods */
	/* faults */
	bool cut_api, cut_site[SITES_MAX];
	/* its copies of sets */
	bool known[SITES_MAX];
	struct gset e[SITES_MAX], r[SITES_MAX];
	bool rec_known;
	struct gset grant, seen;
};

struct api {
	bool down, deny;
	struct fsm_record rec;
	struct gset grant, seen;
	struct fsm_record backup; /* when the group was ready */
	int holder;
	int64_t lease_until;
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
	K_POD_IN,
	K_LOST_IN,
	K_WAKE,
	K_LEASE,
	K_WORLD,
	K_SCRIPT
};

struct ev {
	int64_t t;
	uint64_t order;
	uint8_t kind;
	uint8_t op, site;
	unsigned life;
	bool extra;
	unsigned script;
	struct fsm_probe probe;
	struct gset e, r, grant, seen;
	struct fsm_act act;
	struct fsm_event fe;
	struct fsm_record rec;
	bool promotion;
	uint8_t put_grant, put_seen;
	struct fsm_pod pod;
	int64_t limit;
	unsigned proc;
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
	X(F_ROLLBACK, "kill-and-older-volume")              \
	X(F_ASSERT, "assert-dead")                          \
	X(F_CHECK_ACTIVE, "expect-active")                  \
	X(F_CHECK_BLOCK, "expect-blocked")                  \
	X(F_OVERRIDE, "override-applier-error")             \
	X(F_DEMOTE, "spec-makes-it-dr-only")                \
	X(F_REC_WIPE, "record-wiped")                       \
	X(F_REC_OLD, "record-restored")
#define X(id, name) id,
enum fault { FAULTS(X) F_MAX };
#undef X

/* One line of a scenario: at (seconds after the group is ready), for. */
struct script {
	int at, dur;
	uint8_t fault;
	uint8_t site;     /* index; S_ACTIVE, S_OTHER */
	const char *want; /* F_CHECK_*: site name or reason */
};
#define S_ACTIVE 0xf0 /* the active site when it strikes */
#define S_OTHER  0xf1 /* first one that is not */
#define S_LEADER 0xf2 /* operator that holds the Lease */

struct scenario {
	const char *name;
	int nsites;
	uint8_t role[SITES_MAX];
	int secs; /* until everything is healed */
	struct script line[12];
	const char *end; /* final block that is right, or NULL */
};

struct world {
	int64_t now;
	uint64_t rng;
	uint64_t order;
	int nsites;
	struct fsm_conf c;
	struct site site[SITES_MAX];
	struct op op[OPS];
	struct api api;
	int uuids;
	unsigned procs, pods, cids;
	bool lossy, stall;
	bool wiped, overridden, rogued;
	bool unknown_word; /* a kubelet could not tell */
	struct gset acked;
	struct gset gone; /* lost with a volume */
	int64_t ready_at;
	int64_t healed_at;
	unsigned promotions, regrants, grants, clones;
	int64_t last_promotion;
	const struct scenario *sc;
	struct script plan[32];
	int nplan;
	int active_at[32]; /* site a line struck */
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
void proc_start(int);
void proc_die(int, const char *);
void kubelet_confused(int);
bool op_reaches(const struct op *, int);
void check_writers(const char *);
bool process_is(int, const struct fsm_act *);
void probe_at(const struct ev *);
void sql_at(const struct ev *);
void grant_at(const struct ev *);
void put_at(const struct ev *);
void pod_at(const struct ev *);
void pod_changed(int, int);
int64_t node_clock(int);
int64_t measured_start(int);

/* operator.c */
void op_start(int);
void op_event(int, struct fsm_event *, bool);
void op_lease(int);
void op_in(const struct ev *);
void op_pods(int);
void op_restart_core(int);

/* faults.c */
void plan_random(void);
void strike(int);
void heal_all(void);
void human(void);
int api_active(void);
const char *fault_name(unsigned);

/* check.c */
void check_grant(int);
void check_promotion(int);
void check_end(void);

/* scenarios.c */
extern const struct scenario scenarios[];
extern const int nscenarios;

#endif /* SIM_H */
