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
 * The explorer: every order of events over the lease machines that production
 * runs (lease_guard, lease_voter, lease_auth), and a small model of what is
 * around them. Time goes in ticks; a state holds only what can still matter,
 * relative to now, so that there are finitely many, and all are visited.
 *
 *	explore.c         options, tables, the trace
 *	explore_find.c    breadth first over all states, the hash set
 *	explore_pack.c    a state as bytes: canonical, smallest of its mirrors
 *	explore_unpack.c  and back
 *	explore_keep.c    what of it can still matter
 *	explore_act.c     which events are possible, and their names
 *	explore_op.c      operators, record, SQL
 *	explore_proof.c   proofs, and what may be minted
 *	explore_site.c    sites: guard, mysqld, voter; time
 *	explore_path.c    what every bound must hold
 *	explore_text.c    a path in words
 *	explore_set.c     hashes of states
 *	explore_live.c    a blocked group gets a primary when its faults end
 *	explore_weak.c    what can be put back, each by name
 */

#ifndef EXPLORE_H
#define EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lease.h"

#define X_SITES   3
#define X_OPS     2
#define X_EPOCHS  8 /* that anybody may still act upon */
#define X_UNENDED 2 /* model's UNENDED_MAX */
#define X_GRANTS  2
#define X_ACTIONS 256
/* A number larger than that of every epoch. */
#define X_LARGE   1000
#define X_PACKED  200
#define X_ENOUGH  0x3f /* in a packed state: promises, whose ever */

/*
 * A tick is the granularity of time: margins of less are rounded up to one,
 * and a clock that runs wrong by the margin loses or gains one.
 */
#define X_TICK    1000
#define X_FENCE   (1 * X_TICK)
#define X_TTL     (2 * X_TICK) /* of a grant, FSM_GRANT_TTL_MS */
#define X_MARGIN  (1 * X_TICK) /* FSM_GRANT_MARGIN_MS */
#define X_REPORT  (1 * X_TICK) /* an older report of a lease is no report */
#define X_LEAD    (1 * X_TICK) /* leader's deadline after its last renewal */
#define X_ACQUIRE (2 * X_TICK) /* others take the Lease after that */
/*
 * The last tick in which a predecessor may have acted, after the renewal that
 * was seen last: the one before its deadline, and the margin.
 */
#define X_QUIET   (X_LEAD - X_TICK + X_MARGIN)
#define X_MISSED  (3 * X_TICK) /* renewals (only a weakness asks) */

_Static_assert(X_REPORT + X_TTL + X_MARGIN < LEASE_LATE_MS,
    "a grant comes when the killer is armed no more");

#define X_NOW (1000LL * X_TICK)

/* What one state's record, guards and voters know of one epoch. */
struct x_epoch {
	uint64_t number;
	uint8_t site;
	bool live;    /* its process is the site's present one */
	bool unended; /* stands in the record */
	bool dead;    /* nobody will write by it (keep_mark) */
	uint8_t vot[X_SITES];
};
enum { VOT_NONE, VOT_NOW, VOT_LOST };

struct x_site {
	struct lease_guard g;
	struct lease_voter v;
	int64_t now;
	int64_t killer_ms; /* as the keeper petted it last */
	bool alive;        /* mysqld */
	bool writable;
	bool hung;    /* answers its clients, not the guard */
	bool stopped; /* the keeper */
	bool frozen;  /* the whole Pod; its clock runs on */
	bool asleep;  /* with the clock of its machine */
	bool had;     /* an earlier process (only a weakness asks) */
};

struct x_op {
	int64_t now;
	bool cut; /* from the API server */
	bool leads;
	bool own;      /* it led last: the Lease is its own */
	int64_t until; /* own deadline, from the sending of the renewal */
	/* Nobody before it said yes to that epoch after that; never. */
	int64_t since[X_EPOCHS];
	int64_t seen;    /* Lease last seen renewed */
	int64_t old_end; /* no grant of an earlier leader lands after */
	int64_t own_end; /* nor one of its own */
	int mine;        /* epoch minted in this term, -1 */
	int64_t saw;     /* its guard was last known to hold it */
	bool stale;      /* another leader wrote (only a weakness asks) */
	uint8_t over;    /* bit: that lease once ran out (likewise) */
	struct lease_auth auth[X_EPOCHS];
};

struct x_grant {
	bool on;
	uint8_t site;
	int op; /* -1: whoever sent it leads no more */
	int64_t limit;
};

struct world {
	uint8_t nsites;
	uint8_t faults; /* left */
	struct x_site site[X_SITES];
	struct x_op op[X_OPS];
	struct x_epoch e[X_EPOCHS];
	uint8_t ne;
	uint8_t silent; /* bit: nobody hears that site (only explore_live) */
	bool run;       /* of explore_live: it waits as long as it must */
	bool norecord;  /* it was lost, with all that it said */
	bool skewed;    /* a clock has run wrong, by as much as it may */
	bool clean;     /* the Lease was given up, and nobody has it */
	struct x_grant grant[X_GRANTS];
	struct { /* a record write of a leader that is gone */
		bool on;
		uint8_t site, sub, keep;
	} put;
	struct { /* a voter's yes under way */
		bool on;
		uint8_t site, epoch, voter; /* voter: site, or X_SITES */
		int64_t sent;
	} late;
};

/* kind: enum x_kind; the rest by kind. */
struct action {
	uint8_t kind : 6;
	uint8_t waits : 2; /* in the state as keep_long makes it */
	uint8_t a, b, c;
};

/* name, arguments' format for the trace (%s: site of a; see act_text) */
#define X_KINDS(X)                                                     \
	X(K_TICK, "a tick passes")                                     \
	X(K_TICK_SLOW, "a tick passes; the clock of %p loses it")      \
	X(K_TICK_FAST, "a tick passes; the clock of %p counts two")    \
	X(K_ACQUIRE, "%o acquires the Lease and reads the record")     \
	X(K_MINT, "%o mints an epoch for %s, voters %v")               \
	X(K_MINT_FENCE,                                                \
	    "%o fences the others by SQL, mints for %s, "              \
	    "voters %v")                                               \
	X(K_LAND_PUT, "the late record write lands")                   \
	X(K_RENEW, "%s's guard is renewed for epoch %e by %w")         \
	X(K_RENEW_LATE,                                                \
	    "%w says yes to %s's guard for epoch %e, its "             \
	    "answer is under way")                                     \
	X(K_DELIVER, "the answer under way arrives")                   \
	X(K_GRANT, "%o sends a grant to %s")                           \
	X(K_LAND, "a grant reaches %s")                                \
	X(K_SQL_FENCE, "%o fences %s by SQL")                          \
	X(K_REVOKE, "%o begins to revoke the epochs of %s")            \
	X(K_PROMISE, "%s's sidecar gives %o its promises")             \
	X(K_REVOKE_GUARD, "%o's revocation reaches %s's guard")        \
	X(K_FENCE, "%s's guard fences")                                \
	X(K_HEAL_CUT, "%o reaches the API server again")               \
	X(K_HEAL_SITE, "%s is well again")                             \
	X(K_CRASH, "FAULT: %o crashes")                                \
	X(K_CRASH_PUT,                                                 \
	    "FAULT: %o crashes while it mints for %s, "                \
	    "voters %v")                                               \
	X(K_CUT, "FAULT: %o is cut off from the API server")           \
	X(K_CUT_PUT,                                                   \
	    "FAULT: %o is cut off while it mints for %s, "             \
	    "voters %v")                                               \
	X(K_RELEASE, "FAULT: %o gives up the Lease")                   \
	X(K_RECORD, "FAULT: the record is lost, and who led")          \
	X(K_DB, "FAULT: %s's mysqld crashes")                          \
	X(K_POD, "FAULT: %s's container restarts, guard and all")      \
	X(K_VOTER, "FAULT: %s's sidecar restarts")                     \
	X(K_VOTER_LOST, "FAULT: %s's sidecar restarts without memory") \
	X(K_HANG, "FAULT: %s's mysqld answers clients only")           \
	X(K_STOP, "FAULT: %s's keeper is stopped")                     \
	X(K_FREEZE, "FAULT: %s's Pod is frozen")                       \
	X(K_BOTH, "FAULT: %s's keeper and killer are stopped")         \
	X(K_VM, "FAULT: %s's machine sleeps a tick, clock and all")

#define X(id, ...) id,
enum x_kind { X_KINDS(X) K_MAX };
#undef X

/*
 * What can be put back: name, sites that it takes, text, where it is named.
 * The last two are not defects, but what cannot be promised.
 */
#define X_WEAKNESSES(X)                                                          \
	X(W_SILENCE, "silence-is-proof", 2,                                      \
	    "promotion without waiting for the lease", "failover.md 28.6")       \
	X(W_RECEIPT, "counted-from-receipt", 2,                                  \
	    "a renewal counts from its arrival", "fencing.md 3")                 \
	X(W_ONE_YES, "one-of-three-renews", 3,                                   \
	    "one voter of three keeps the lease", "sidecar.md 12.5")             \
	X(W_FEW, "too-few-promises", 2, "N - r promises suffice",                \
	    "fencing.md 3")                                                      \
	X(W_PROMISE, "promise-not-on-disk", 2,                                   \
	    "a promise does not survive its sidecar", "fencing.md 3")            \
	X(W_PREDECESSOR, "predecessor-ignored", 2,                               \
	    "a new leader ignores what its predecessor renewed",                 \
	    "fencing.md 3")                                                      \
	X(W_ACTS, "acts-longer-than-said", 2,                                    \
	    "a leader acts as long as its Lease lasts, and says less",           \
	    "the Lease's acting time")                                           \
	X(W_QUIET, "renewals-overlooked", 2,                                     \
	    "a new leader counts from a renewal before its predecessor's last",  \
	    "the Lease's acting time")                                           \
	X(W_STANDBY, "standby-renews", 2, "a standby operator renews",           \
	    "fencing.md 3")                                                      \
	X(W_AMNESIA, "voter-without-memory", 2,                                  \
	    "a voter is its site, and renews with no memory", "fencing.md 3")    \
	X(W_PEER, "peer-that-answers", 2,                                        \
	    "a peer that can be reached renews, whatever it promised",           \
	    "sidecar.md 12.5")                                                   \
	X(W_BACKWARDS, "counter-backwards", 2,                                   \
	    "a lost record sends the epoch counter back", "fencing.md 2")        \
	X(W_ABANDONED, "abandoned-forgotten", 2,                                 \
	    "a new leader forgets epochs that came to nothing",                  \
	    "fencing.md 2")                                                      \
	X(W_EARLY, "grant-before-lease", 2,                                      \
	    "a grant before the guard holds the lease", "fencing.md 2")          \
	X(W_NO_LIMIT, "grant-without-limit", 2,                                  \
	    "a grant without a limit on the server's clock", "fencing.md 2")     \
	X(W_FENCE_RACE, "fence-with-grant-in-flight", 2,                         \
	    "a fence is proof while a grant is under way", "fencing.md 2")       \
	X(W_WORD_EARLY, "word-before-late-grant", 2,                             \
	    "a guard's word that it fenced is proof while a grant is under way", \
	    "found here")                                                        \
	X(W_OLD_READING, "word-of-old-reading", 2,                               \
	    "a guard's last reading counts as one of now", "found here")         \
	X(W_LATE, "late-grant-ignored", 2,                                       \
	    "a lease that ran out is proof though a grant came after it",        \
	    "found here")                                                        \
	X(W_DROPPED, "successor-drops-old", 2,                                   \
	    "a successor's mint ends the epoch before it", "fencing.md 3")       \
	X(W_HUNG, "hung-renews", 2, "a guard renews for a server that hangs",    \
	    "fencing.md 3")                                                      \
	X(W_MARGIN, "no-margin", 2, "no margin for clocks that run apart",       \
	    "fencing.md 3")                                                      \
	X(W_NO_KILL, "hung-fence-not-killed", 2,                                 \
	    "no SIGKILL when the fence is not confirmed", "fencing.md 3")        \
	X(W_KILLER, "no-killer", 2, "a stopped keeper has no killer",            \
	    "fencing.md 2")                                                      \
	X(W_RESTART, "starts-writable", 2, "a server starts writable",           \
	    "fencing.md 2")                                                      \
	X(W_GRANT_SITE, "grant-to-a-site", 2,                                    \
	    "a grant under way reaches a later process", "fencing.md 2")         \
	X(W_WORD, "word-of-another", 2,                                          \
	    "the end of an earlier process is taken for this one's",             \
	    "fencing.md 3")                                                      \
	X(W_NO_CAS, "record-overwritten", 2,                                     \
	    "the record is written without compare-and-swap", "fencing.md 2")    \
	X(W_DEPOSED, "acts-after-deadline", 2,                                   \
	    "a leader acts after its deadline", "failover.md 28.6")              \
	X(W_UNWRITTEN, "renews-before-writing", 2,                               \
	    "a new leader renews before it wrote the record", "found here")      \
	X(W_UNSURE, "grants-while-minting", 2,                                   \
	    "a leader grants while its next mint is under way", "found here")    \
	X(W_RELEASE, "released-with-a-grant", 2,                                 \
	    "a Lease is given up with a grant under way", "fencing.md 2")        \
	X(W_OLD_GRANTS, "old-grants-ignored", 2,                                 \
	    "a new leader ignores its predecessor's grants", "fencing.md 2")     \
	X(W_TERM_PROOF, "proof-kept-across-terms", 2,                            \
	    "a lease that ran out is a proof in a leader's later terms, too",    \
	    "found by a reader")                                                 \
	X(W_LEFT_OUT, "left-out-promised", 2,                                    \
	    "a voter that a successor leaves out counts as having promised",     \
	    "fencing.md 3")                                                      \
	X(W_DEAD_VOTER, "dead-voter-promised", 2,                                \
	    "a voter seen dead counts as having promised", "fencing.md 3")       \
	X(W_ANEW, "revocation-begins-anew", 2,                                   \
	    "a revocation that is repeated waits anew", "fencing.md 3")          \
	X(W_BOTH, "both-stopped", 2,                                             \
	    "keeper and killer stopped, mysqld runs on", "not guaranteed")       \
	X(W_VM, "frozen-machine", 2, "a machine sleeps, clock included",         \
	    "not guaranteed")

#define X(id, ...) id,
enum x_weakness { W_NONE, X_WEAKNESSES(X) W_MAX };
#undef X

/* L: 2 ticks unless told otherwise (some weaknesses need it longer). */
void x_lease_set(unsigned ticks);
int64_t x_lease(void);
uint32_t x_lease_ms(void);
/* The longest wait that any age can matter for: L + F + margin, in ticks. */
int64_t x_over(void);

/* explore_weak.c */
bool weak(enum x_weakness);
void weak_set(enum x_weakness);
const char *weak_name(enum x_weakness);
const char *weak_text(enum x_weakness);
const char *weak_named(enum x_weakness);
unsigned weak_sites(enum x_weakness);
unsigned weak_lease(enum x_weakness);
bool weak_promises(void);
bool weak_no_stalls(enum x_weakness);
bool weak_blocks(enum x_weakness);
enum x_weakness weak_find(const char *); /* W_NONE: there is none */

/* explore_site.c */
int64_t *world_clock(struct world *, unsigned p);
struct lease_terms world_terms(const struct world *, unsigned e);
int world_voter_index(const struct x_epoch *, unsigned voter);
int world_epoch(const struct world *, uint64_t number);
bool keeper_runs(const struct x_site *);
void site_settle(struct world *, unsigned s);
void site_apply(struct world *, struct action);
void world_tick(struct world *, struct action);
void world_init(struct world *, unsigned nsites, unsigned faults);
unsigned world_writers(const struct world *);

/* explore_op.c */
bool op_acquires(const struct world *, unsigned o);
int64_t op_grants_end(const struct x_op *);
int64_t op_until(const struct x_op *);
void op_apply(struct world *, struct action);
void op_runs_out(struct world *, unsigned o);
void op_learn(struct world *);
void op_saw_dead(struct world *, unsigned s);

/* explore_proof.c; sql: after fencing the others by SQL */
void op_notes(struct world *, unsigned o);
unsigned op_keeps(const struct world *, unsigned o, unsigned s, bool sql);
bool op_may_mint(const struct world *, unsigned o, unsigned s, bool sql);
bool op_needs_mint(const struct world *, unsigned o, unsigned s, unsigned sub);

/* explore_act.c */
void act_no_stalls(bool);
void act_no_late(bool);
void act_all_vote(bool);
unsigned world_actions(const struct world *, struct action *);
void world_apply(struct world *, struct action);
unsigned act_waits(struct action *, unsigned n); /* so many are left */

/* explore_pack.c: perm[i]: which site stands at place i now */
size_t world_pack(struct world *, uint8_t *, uint8_t *perm, bool *swapped);
void world_unpack(struct world *, const uint8_t *, unsigned nsites);

/* explore_keep.c */
void keep_all(bool); /* also what can only keep a group blocked */
/* States that the search merges, each by itself: to compare with. */
void keep_whole(bool);
bool keep_is_whole(void);
bool keep_grant_sent(const struct world *, unsigned site);
bool keep_grant_comes(const struct world *, unsigned site);
bool keep_someones(const struct world *, unsigned e);
bool keep_epoch(const struct world *, unsigned e);
void keep_mark(struct world *);
int64_t keep_leader_age(const struct world *, unsigned e);
bool keep_grants_end(const struct world *);
bool keep_old_end(void);
bool keep_late(const struct world *);
#define X_WAITS 4 /* ways to choose them; the last: all */
bool keep_long(struct world *, unsigned waits);
bool keep_yes_unknown(const struct world *, unsigned site);
void keep_yes_at(struct world *, unsigned site, int64_t age);
bool keep_waits(const struct world *, unsigned e);
bool keep_reading(const struct world *, unsigned site);

/* explore_find.c */
enum x_end { E_ALL, E_TWO, E_BLOCKED, E_LOST, E_FULL };
struct x_found {
	enum x_end end;
	uint64_t states, steps;
	uint64_t kinds[K_MAX];
	unsigned depth;
	uint32_t last;   /* the state that was found */
	size_t width;    /* most states of one depth */
	bool full;       /* X_EPOCHS cut something off */
	const char *why; /* it is blocked */
};
struct x_limits {
	unsigned nsites, faults, threads;
	bool live, progress;
	bool images; /* each state, merged, must be what another search found */
	uint64_t states; /* give up */
};
struct x_found find(const struct x_limits *);
bool find_has(const uint8_t *, size_t);
/* What was found last, so much, is what a search with images compares with. */
size_t find_compare(void);
size_t find_images(void); /* so many of them it met */
void find_free(void);
void find_table_full(void); /* X_EPOCHS is too small for that state */
/* From the start: actions by which that state was reached. */
unsigned find_path(uint32_t state, struct action *, unsigned max);

/* explore_path.c: what the bound must hold was among what was found */
bool path_inside(const struct x_limits *);

/* explore_text.c: states: each of them, not only the last */
void text_path(const struct action *, unsigned n, unsigned nsites,
    unsigned faults, bool states);

/*
 * explore_live.c: although what does that group stay blocked for ever? NULL:
 * it does not. What was found is kept until live_free().
 */
const char *live_blocked(const struct world *);
void live_free(void);

/* A set of hashes that grows. */
struct x_set {
	uint64_t *key;
	size_t mask, n;
};
bool set_add(struct x_set *, uint64_t); /* true: it was not there */
bool set_has(const struct x_set *, uint64_t);
void set_soon(const struct x_set *, uint64_t); /* that will be asked */
void set_free(struct x_set *);
void *x_need(void *); /* allocated, or the end */
uint64_t x_hash(const uint8_t *, size_t);

#endif /* EXPLORE_H */
