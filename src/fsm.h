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
 * The pure core of one failover group: (conf, state, event, now) in, state
 * and actions out. No I/O, no malloc, no clock, no log. Production and the
 * simulator run the same object files.
 *
 * The caller
 *  - names sites by their index in fsm_conf; when the list of sites changes,
 *    it says where each one is now (fsm_sites);
 *  - gives times in milliseconds: `now` monotonic, relative to any base that
 *    stays the same; `wall` Unix time, for the cooldown across restarts only;
 *  - computes the relations of GTID sets and passes them with the event
 *    whose observation changed them;
 *  - carries the actions out in order, after fsm_step has returned.
 */

#ifndef FSM_H
#define FSM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "br.h"
#include "lease.h"

#define FSM_NONE                 0xff /* no site */
#define FSM_FOREIGN              0xfe /* one that is not configured */

/* ----------------------------------------------------------- constants -- */

/* Life of a grant on the server's clock (fencing.md section 2). */
#define FSM_GRANT_TTL_MS         2000
/*
 * Added when a grant's limit must have passed: SYSDATE() may be made the start
 * of the statement, and its thread may be scheduled late after that.
 */
#define FSM_GRANT_MARGIN_MS      1000
/* Nothing is sent with less of the Lease left than this. */
#define FSM_LEASE_MIN_MS         500
/* A measured process start is exact to one second either way. */
#define FSM_START_TOL_MS         2000
#define FSM_SQL_TIMEOUT_MS       5000 /* failover.md section 2 */
#define FSM_ACK_GRACE_MS         1000 /* answer late: decide anew */
#define FSM_RECORD_TIMEOUT_MS    10000
#define FSM_PUT_LIFE_MS          60000  /* an API server gives up then */
#define FSM_RETRY_MS             1000   /* spacing of a repeated action */
#define FSM_DRAIN_POLL_MS        100    /* extra probes while draining */
#define FSM_AFTER_MS             2      /* a probe that is surely later */
#define FSM_SUSPECT_POLL_MS      250    /* and after a lost connection */
#define FSM_RESTART_MS           600000 /* a clone's recipient comes back */
#define FSM_REPAIR_RETRY_MS      30000  /* rejoin after a failure */
#define FSM_STOP_MS              5000   /* then ReceiverHangs is reported */
/* A receiver that tries to connect takes 2 s to stop, and a round. */
#define FSM_STOP_EARLY_MS        2500
#define FSM_DRAIN_MS             30000 /* then DrainTimeout is reported */
#define FSM_SEEN_MS              30000 /* last-seen set into the record */
#define FSM_ASSERT_QUIET_MS      60000 /* assert-dead: nobody saw it */
#define FSM_APPLIER_MS           10000 /* it is started again meanwhile */
#define FSM_OVERRIDE_MS          60000 /* a new leader finds out so long */
/* And looks back for so long. */
#define FSM_OVERRIDE_PAST_MS     600000
#define FSM_KUBELET_MS           30000 /* kubelet spoke after the loss */
#define FSM_BLOCKED_SAY_MS       3000  /* the kubelet's word takes a second */
#define FSM_POD_GRACE_S          1
#define FSM_POD_RETRY_MS         5000  /* a refused delete or release */
#define FSM_CLONE_BACKOFF_MS     10000 /* doubles */
#define FSM_CLONE_BACKOFF_MAX_MS 600000
#define FSM_CLOCK_TOL_MS         300000 /* record from the future */
/* The lease (fsm_lease.c). */
#define FSM_LINK_RETRY_MS        500   /* offer, revoke, ask again */
#define FSM_OFFER_AGAIN_MS       5000  /* addresses may have changed */
#define FSM_LEASE_WAIT_MS        5000  /* then NoLease is reported */
#define FSM_SUCC_MS              2000  /* a new voter stays for so long */
#define FSM_SUCC_GAP_MS          3000  /* successors are so far apart */
#define FSM_SEEN_YES_MS          500   /* beside two check intervals */
#define FSM_MUTE_MS              60000 /* a voter the guard can't reach */
/* Without a leader between two of a guard's questions, at a hand-over. */
#define FSM_LEADERLESS_MS        8000
/* Updates (fsm_update.c; resources.md section 4). */
#define FSM_UPDATE_LAG_S         5      /* less than that is caught up */
#define FSM_UPDATE_WAIT_MS       600000 /* rollout 5 m, replication 5 m */
#define FSM_UPDATE_LEAVE_MS      60000  /* a Deployment that nobody follows */
#define FSM_UPDATE_STUCK_MS      30000  /* nothing runs there for so long */
#define FSM_UPDATE_FIT_MS        5000   /* nothing is wrong for so long */
/*
 * A grant rests on its guard's word that it holds the lease, and is dead so
 * long after that word came: before the guard's killer stands down.
 */
#define FSM_GRANT_REPORT_MS      2000
#define FSM_STRANGER_LEN         255
/* Of a site with more the caller tells all, again and again. */
#define FSM_SITE_PODS            3
/* No guard or voter of ours speaks of such an epoch. */
#define FSM_EPOCH_MAX            (1ULL << 62)

/* Annotations that the core acts on (docs: bloodraven-fencing(7)). */
#define FSM_ANN_ASSERT_DEAD      BR_ANN "assert-dead" /* site/podUID/epoch */
/*
 * <site>: promote it although its applier stopped with an error; what it
 * received and did not apply is dropped by a human's word.
 */
#define FSM_ANN_OVERRIDE         BR_ANN "override-applier-error"

#include "fsm_names.h"

/* ------------------------------------------------------ configuration --- */

struct fsm_site_conf {
	char name[NAME_LEN + 1];
	uint8_t role; /* enum br_role */
};

struct fsm_conf {
	uint8_t nsites;
	uint8_t npri;
	uint8_t pri[SITES_MAX]; /* indexes, best first */
	bool creds;             /* replication account is known */
	bool deleting;          /* no grants, no repairs any more */
	bool strangers; /* Pods of sites that are no more: servers may run */
	char stranger[FSM_STRANGER_LEN + 1]; /* which, for people */
	uint32_t failure_threshold;
	uint32_t recovery_threshold;
	int64_t poll_ms;
	int64_t cooldown_ms;
	int64_t clone_ms;
	int64_t drain_ms; /* connectionDrainTimeout */
	int64_t max_lag_s;
	int64_t reader_max_lag_s;
	uint32_t lease_ms;  /* L: sidecar.leaseTimeout */
	uint32_t check_ms;  /* sidecar.peerCheckInterval */
	bool require_guard; /* what we render has one: no grant without */
	bool recreate;      /* updateStrategy: all sites at once */
	struct fsm_site_conf site[SITES_MAX];
};

/* -------------------------------------------------------- observations -- */

/* Identity of a server process. Empty strings, 0: not known. */
struct fsm_proc {
	char pod_uid[UID_LEN + 1];
	char container_id[CID_LEN + 1];
	char server_uuid[UID_LEN + 1];
	int64_t start_ms; /* its own clock, Unix ms */
};

struct fsm_epoch {
	uint64_t epoch;
	uint8_t site; /* FSM_FOREIGN: not configured */
	struct fsm_proc proc;
	struct lease_terms terms; /* guard 0: without a lease */
	/* whose sidecar terms.voter[i] is; FSM_NONE: the operator, FSM_FOREIGN */
	uint8_t voter_site[LEASE_VOTERS_MAX];
};

/*
 * The promotion record. GTID sets and names stay with the caller; an epoch
 * of a site that is configured no more is kept by the caller by its number.
 */
struct fsm_record {
	uint64_t version; /* 0: none was ever written */
	uint64_t epoch;   /* the largest ever */
	uint8_t active;   /* FSM_NONE: none; FSM_FOREIGN */
	char server_uuid[UID_LEN + 1];
	uint8_t n;
	struct fsm_epoch unended[UNENDED_MAX];
	int64_t last_failover_s;
	uint8_t last_target; /* FSM_NONE */
};

/*
 * Relations of GTID sets. E(i): executed, A(i): executed and received. Bit j
 * of row i speaks of (i, j). A bit counts only where `known` has i and j: a
 * set that was never read, could not be parsed or went beyond capacity is
 * not known, and then proves nothing.
 */
struct fsm_rel {
	uint16_t known;               /* sets of site i */
	uint16_t empty;               /* A(i) is empty */
	uint16_t drained;             /* E(i) contains what i received */
	uint16_t has_grant;           /* E(i) contains the grant-time set */
	uint16_t has_seen;            /* E(i) contains the last-seen set */
	bool record_known;            /* both sets of the record */
	bool grant_empty;             /* the grant-time set is empty */
	bool seen_stale;              /* E(active) is not the last-seen set */
	uint16_t all_all[SITES_MAX];  /* A(i) contains A(j) */
	uint16_t exec_all[SITES_MAX]; /* E(i) contains A(j) */
	uint16_t shares[SITES_MAX];   /* a UUID in common */
};

struct fsm_probe {
	bool ok;
	uint8_t err;               /* enum probe_err */
	int64_t sent_ms;           /* when it began */
	char pod_uid[UID_LEN + 1]; /* whom it went to */
	char server_uuid[UID_LEN + 1];
	int64_t start_ms;
	int64_t clock_ms; /* server's, Unix ms */
	bool read_only;
	bool super_read_only;
	bool persisted_ro;
	bool offline_mode;
	bool user_schemas;
	bool has_repl;
	uint8_t io; /* enum io_state */
	bool sql;
	int64_t lag_s;  /* -1: NULL */
	uint8_t source; /* site, FSM_NONE, FSM_FOREIGN */
	uint32_t io_errno;
	uint32_t sql_errno;
};

/* A process was seen writable: an operator's probe of it was answered. */
struct fsm_sight {
	char pod_uid[UID_LEN + 1]; /* empty: none was */
	char server_uuid[UID_LEN + 1];
	int64_t start_ms;
	int64_t age_ms; /* since that probe was sent */
};

/*
 * What a site's sidecar and guard said last (wire.def: W_REPORT, W_GUARD): at
 * each change, and each BR_LINK_BEAT_MS while all is well. The caller passes a
 * guard's reports on in the order of their serial, and none of another guard
 * than the one that runs there. A report with guard 0 is of the sidecar alone:
 * its guard has fallen silent.
 */
struct fsm_guard {
	char pod_uid[UID_LEN + 1];
	int64_t late_ms; /* so long ago it came to this operator */
	/* the sidecar, as a voter */
	uint64_t memory; /* voter id, 0: nothing was heard */
	uint64_t promised;
	uint64_t heard; /* largest epoch that sidecar or guard heard of */
	uint64_t yes_epoch;
	int64_t yes_age_ms;     /* -1: none */
	struct fsm_sight sight; /* by another operator, as it has told there */
	/* the guard; 0: none is there */
	uint64_t guard;
	uint32_t incarnation;
	bool running;
	uint32_t ended; /* largest incarnation that it waited for */
	bool initialising, hung, read_only, disk_full;
	int64_t read_age_ms; /* since the flags were asked for; -1: never */
	char server_uuid[UID_LEN + 1];
	int64_t start_ms;
	uint64_t held, revoked;
};

/* The kubelet's word about an ended container. */
struct fsm_word {
	char container_id[CID_LEN + 1];
	bool unknown;       /* ContainerStatusUnknown */
	int64_t started_ms; /* Unix ms, the node's clock */
	int64_t finished_ms;
	uint64_t guard; /* as it told the kubelet; 0: it did not */
};

/* A MySQL Pod. Two of one site exist while one of them is being deleted. */
struct fsm_pod {
	char pod_uid[UID_LEN + 1]; /* empty: slot is free */
	bool gone;
	bool deleting;
	bool finalizer;
	bool ready;
	uint8_t ctr_state; /* enum ctr_state */
	char container_id[CID_LEN + 1];
	int64_t started_ms; /* Unix ms, the node's clock */
	uint64_t hash;      /* of the template that it was made from; 0 */
	/*
	 * Monotonic time of the last change that only the kubelet can have
	 * made (container state, ready); 0: none since we watch.
	 */
	int64_t kubelet_ms;
	uint8_t nwords;
	struct fsm_word word[WORDS_MAX];
};

enum fsm_event_type {
	E_TICK,
	E_CONF,
	E_PROBE,
	E_CONN_LOST,
	E_POD,
	E_RECORD,
	E_SYNCED,
	E_LEASE,
	E_ACK,
	E_SQL_DONE,
	E_ASSERT_DEAD,
	E_OVERRIDE, /* of an applier error */
	E_GUARD,
	E_LINK,
	E_PROMISE,
	E_ASK,
	E_ROLLOUT,
	E_MAX
};

struct fsm_event {
	uint8_t type; /* enum fsm_event_type */
	uint8_t site; /* where it speaks of one */
	/* Relations after this observation; NULL: as before. */
	const struct fsm_rel *rel;
	union {
		const struct fsm_probe *probe;   /* E_PROBE */
		const struct fsm_pod *pod;       /* E_POD */
		const struct fsm_record *record; /* E_RECORD */
		bool synced;                     /* E_SYNCED: Pods are listed */
		struct {                         /* E_LEASE */
			bool held;
			int64_t deadline_ms;
			/* no other acts after that; 0: not known */
			int64_t quiet_ms;
			/* no leader before this one knew the group */
			bool first;
		} lease;
		struct { /* E_ACK */
			uint64_t seq;
			bool ok;
			bool unknown; /* it may have been done */
		} ack;
		struct { /* E_SQL_DONE */
			uint64_t seq;
			uint8_t kind;
			uint8_t end; /* enum sql_end */
			uint32_t mysql_errno;
			char pod_uid[UID_LEN + 1];
			char server_uuid[UID_LEN + 1];
			int64_t start_ms;
			int64_t clock_ms;       /* server's, 0: not read */
			int64_t grant_limit_ms; /* SQL_GRANT, 0: not sent */
			bool flags_read; /* the next two were read back */
			bool read_only;
			bool super_read_only;
			uint32_t count;
		} sql;
		struct {              /* E_ASSERT_DEAD */
			uint8_t site; /* FSM_FOREIGN: not configured */
			char pod_uid[UID_LEN + 1];
			uint64_t epoch; /* 0: malformed */
			bool gone;      /* annotation was removed */
		} assert_dead;
		uint8_t override; /* site, FSM_FOREIGN, FSM_NONE: removed */
		const struct fsm_guard *guard; /* E_GUARD */
		bool link_up;                  /* E_LINK */
		struct {                       /* E_PROMISE */
			uint64_t voter, epoch;
			int64_t age_ms;
			uint32_t lease_ms; /* 0: not said */
		} promise;
		struct { /* E_ASK: a guard asks the leader */
			uint64_t epoch, guard, nonce;
			uint32_t incarnation;
		} ask;
		/*
		 * E_ROLLOUT: hashes of the template that the spec gives, and
		 * of the one that the site's Deployment has; 0: none.
		 */
		struct {
			uint64_t want, have;
		} rollout;
	} u;
};

/* ------------------------------------------------------------- actions -- */

#define FSM_ACTS(X)                                                         \
	X(A_SQL, "sql")                                                     \
	X(A_RECORD_PUT, "record put")                                       \
	X(A_POD_DELETE, "pod delete")                                       \
	X(A_POD_RELEASE, "pod release")                                     \
	X(A_EVENT, "event")                                                 \
	X(A_LOG, "log")                                                     \
	X(A_ANNOTATION_DEL, "annotation del")                               \
	X(A_METRIC, "metric")                                               \
	X(A_PROBE_NOW, "probe now")                                         \
	/* the epoch's signed terms, to its guard and to its voters */      \
	X(A_OFFER, "offer")                                                 \
	/* to the guard of that site: that epoch and older ones are over */ \
	X(A_REVOKE, "revoke")                                               \
	/* to the sidecar of that site */                                   \
	X(A_PROMISE_ASK, "ask for promise")                                 \
	X(A_RENEW, "renew")                                                 \
	/* the newest template to that site's Deployment: it restarts */    \
	X(A_ROLL, "roll")
#define X(id, name) id,
enum fsm_act_type { FSM_ACTS(X) A_MAX };
#undef X

struct fsm_act {
	uint8_t type;           /* enum fsm_act_type */
	uint8_t site;           /* FSM_NONE: none */
	uint64_t seq;           /* SQL, RECORD_PUT, POD_*, ROLL: answered */
	int64_t valid_until_ms; /* Lease deadline, monotonic */
	/* A_SQL */
	uint8_t kind;       /* enum sql_kind */
	uint8_t source;     /* SET_SOURCE, CLONE */
	bool drop_received; /* RESET_REPLICA, by a human's word */
	int64_t timeout_ms;
	int64_t grant_ttl_ms;
	struct fsm_proc proc; /* meant for; POD_*: pod_uid */
	/* A_SQL, A_LOG, A_EVENT, A_OFFER, A_REVOKE, A_PROMISE_ASK, A_RENEW */
	uint64_t epoch;
	/* A_LOG, A_EVENT */
	uint8_t text;    /* enum fsm_text */
	uint8_t verdict; /* enum fsm_verdict */
	uint8_t proof;   /* enum fsm_proof */
	uint8_t why;     /* enum fsm_why, and how long ago that was */
	int64_t ago_ms;
	uint8_t site2;
	/* A_ANNOTATION_DEL: FSM_ANN_ASSERT_DEAD or FSM_ANN_OVERRIDE */
	const char *key;
	/* A_METRIC */
	uint8_t metric;
	/* A_RENEW: the question's */
	uint64_t nonce;
	/* A_ROLL: that template, no other */
	uint64_t hash;
};

#define FSM_ACTS_MAX 64 /* 16 sites: fence, evict, event, log each */

struct fsm_out {
	uint8_t n;
	bool overflow; /* more was due: step again */
	struct fsm_act act[FSM_ACTS_MAX];
	/*
	 * A_RECORD_PUT: what to write, base version in put.version. The
	 * caller adds the sets: grant-time set := E(put_grant) unless
	 * FSM_NONE, last-seen set := E(put_seen) unless FSM_NONE, as they
	 * were when the relations of this step were computed.
	 */
	struct fsm_record put;
	bool put_promotion; /* also the two annotations */
	uint8_t put_grant;
	uint8_t put_seen;
};

/* --------------------------------------------------------------- state -- */

/* One request to a worker that is not answered yet; seq 0: none. */
struct fsm_req {
	uint64_t seq;
	uint8_t kind;
	int64_t sent_ms;
	int64_t until_ms; /* then it is decided anew */
};

struct fsm_site {
	/* health (fsm_health.c) */
	uint8_t state; /* enum site_state */
	bool suspect;  /* connection or probe lost since p */
	uint32_t fails;
	uint32_t owed; /* misses that do not count: nobody else answered */
	uint32_t wstreak;
	uint8_t repl_streak;
	int64_t counted_ms;    /* sending of the last one counted */
	int64_t fail_since_ms; /* first of the failed probes */
	int64_t extra_ms;      /* when the next extra probe is due */
	bool quelled;          /* what p saw writable is ended */
	int64_t seen_ms;       /* last good probe came */
	int64_t heard_ms;      /* a server refused a probe: it runs */
	int64_t flags_ms;      /* flags in p were read by an action */
	int64_t read_ms;       /* reading the flags in p began */
	int64_t acted_ms;      /* an action was answered, but for fences */
	bool ever;             /* p below holds a good probe */
	struct fsm_probe p;    /* the last good one */
	/* pods: current, and those that are being deleted, as far as they go */
	struct fsm_pod pod[FSM_SITE_PODS];
	/*
	 * Grants that may still take effect in the process p speaks of
	 * (fsm_proof.c): clock at this leader's first reading; grants of this
	 * leader that were not answered.
	 */
	int64_t lead_clock_ms;  /* 0: not read yet */
	int64_t lead_read_ms;   /* when, monotonic */
	bool grant_open;        /* a limit may be ahead */
	int64_t granted_ms;     /* the last that was sent was settled */
	int64_t grant_valid_ms; /* monotonic: sent no later */
	int64_t grant_limit_ms; /* server's clock, 0: not known */
	int64_t grant_past_ms;  /* that clock was past it, monotonic; 0 */
	/* SQL in flight and when the next of its kind may go */
	struct fsm_req sql;
	struct fsm_req fence; /* beside sql: fences never wait */
	int64_t next_ms[SQL_MAX];
	/* promotion */
	int64_t receiver_off_ms; /* stop was answered; 0: not */
	uint64_t reset_epoch;    /* as whose replica it was reset by us; 0 */
	int64_t stop_ms;         /* since when it shall stop receiving; 0 */
	int64_t drain_ms;        /* since when it drains */
	/* clients (fsm_evict.c) */
	int64_t evict_ms; /* since when their sessions are ended; 0: not */
	bool settled;     /* none is left from when it could be written */
	int64_t ro_ms;    /* read-only without a break since; 0: not */
	/* rejoin */
	uint8_t conv;       /* enum fsm_convergence */
	bool diverged;      /* reported, kept until contained */
	int64_t repair_ms;  /* no repair before that */
	int64_t stopped_ms; /* STOP_REPLICA was answered */
	bool recovering;    /* RecoveryInProgress */
	/* clone back-off */
	uint8_t clone_fails;
	int64_t clone_next_ms;
	/* Pods whose deletion was asked for: once per Pod */
	char deleted_uid[UID_LEN + 1];
	struct fsm_req pod_req;
	int64_t pod_next_ms;
	int64_t word_ms; /* word came from there, when it had been lost */
	/* guard and sidecar (fsm_lease.c, fsm_witness.c) */
	struct fsm_guard g; /* what they said last */
	int64_t g_ms;       /* when; 0: never */
	int64_t guard_ms;   /* when the guard was among them */
	bool link_up;
	int64_t voter_ms; /* heard without a gap since; 0: silent */
	int64_t mute_ms;  /* the active guard did not reach it then */
	/*
	 * the largest promise of its sidecar, its newest yes before it, and the
	 * longest lease that it may have renewed
	 */
	uint64_t prom_epoch, prom_memory;
	int64_t prom_ms;
	uint32_t prom_lease_ms;
	int64_t revoke_next_ms;
	int64_t promise_next_ms;
	/* update (fsm_update.c) */
	uint64_t want, have; /* E_ROLLOUT */
	uint64_t well_hash;  /* it was well with that template; 0 */
	int64_t fit_ms;      /* since when nothing is wrong there, 0: it is */
	int64_t unfit_ms;    /* and since when something is */
	struct fsm_req roll;
	uint64_t roll_hash;   /* asked for last by this state; 0 */
	int64_t roll_ms;      /* and when */
	bool roll_open;       /* not well since */
	bool roll_refused;    /* by the API server */
	int64_t roll_next_ms; /* not before that */
	bool roll_said;       /* that it failed, or waits */
};

struct fsm_state {
	/* leadership */
	bool lease_held;
	bool had_term; /* this state led before */
	int64_t lease_deadline_ms;
	int64_t lease_since_ms;
	/* no leader, nor this one in an earlier term, says yes after that */
	int64_t quiet_ms;
	int64_t own_end_ms;   /* no deadline of this one's terms was later */
	int64_t lease_len_ms; /* a leader acts no longer than that, unrenewed */
	/* no grant of an earlier term or state is sent after that */
	int64_t old_grants_ms;
	/* nor is a template given away by another leader after that */
	int64_t old_rolls_ms;
	int64_t start_ms; /* when observing began */
	bool synced;
	uint64_t seq; /* last one given away */
	int64_t now_ms;
	int64_t wall_ms;
	/* record */
	int64_t rec_ms; /* when a newer one was read last */
	bool rec_known; /* read since the Lease was got; the record is rec */
	uint8_t ended[UNENDED_MAX]; /* enum fsm_proof, latched */
	struct lease_auth auth[UNENDED_MAX];
	struct fsm_req put;
	uint64_t put_base; /* version it was based on */
	bool put_ok;       /* acknowledged, not read back yet */
	bool put_term;     /* one was in this term */
	int64_t yes_ms;    /* newest yes to one that was recorded before */
	bool put_maybe;    /* the last one may be written yet */
	bool put_refused;  /* since the record was last read */
	bool rec_behind;   /* an older one was put back: write it again */
	bool put_promotion;
	uint64_t put_epoch; /* what it mints, 0: nothing */
	uint8_t put_why;    /* enum fsm_verdict */
	int64_t put_next_ms;
	int64_t seen_put_ms;
	uint64_t my_epoch;   /* minted by this leader */
	uint8_t my_why;      /* enum fsm_verdict that minted it */
	bool my_later;       /* a later mint was sent: it gets no grant */
	bool my_granted;     /* confirmed writable once */
	int64_t promoted_ms; /* last promotion here; 0: none */
	struct fsm_rel rel;
	/* decision */
	uint8_t verdict;
	uint8_t subject; /* site it speaks of */
	uint8_t step;
	uint8_t blocked; /* verdict that blocks, and since */
	int64_t blocked_ms;
	bool blocked_said; /* its Event was sent */
	uint8_t matrix;    /* matrix reason, and since */
	uint8_t matrix_said;
	int64_t matrix_ms;
	/* sites that make it degraded (fsm_view.c), and those told of */
	uint32_t degraded, degraded_said;
	/* clone */
	uint8_t clone_phase;
	uint8_t clone_to;
	uint8_t clone_from;
	int64_t clone_ms; /* phase began */
	bool boot;        /* it is the first one of a fresh group */
	/* lease of the active process */
	uint64_t offered; /* newest epoch that was offered, and since */
	int64_t offered_ms;
	int64_t offer_next_ms;
	int64_t lease_wait_ms; /* since when a grant waits for it; 0 */
	int64_t hearing_ms; /* sidecars are heard since; before it none was */
	int64_t succ_next_ms;
	/*
	 * Somebody spoke of epochs up to this one, and the record does not know
	 * them: it was put back. 0: none. And sites that a human ruled out.
	 */
	uint64_t lost;
	uint16_t lost_dead;
	/* requests */
	bool assert_set;
	uint8_t assert_site;
	char assert_uid[UID_LEN + 1];
	uint64_t assert_epoch;
	/* Pods of sites that are configured no more */
	struct fsm_req foreign_req;
	int64_t foreign_next_ms;
	int64_t foreign_ms; /* a kubelet spoke of a writer among them */
	uint8_t override;   /* site or FSM_NONE: in force (fsm_override.c) */
	bool override_sent; /* its last reset may drop what it received */
	uint8_t asked;    /* a word not judged yet: site, FSM_FOREIGN, _NONE */
	int64_t asked_ms; /* when it was told first */
	uint8_t applier;  /* whose ApplierError blocked last, and when */
	int64_t applier_ms; /* 0: none in this term */
	struct fsm_site site[SITES_MAX];
	/* Most of it has no use: not between what is used. */
	struct fsm_record rec;
};

/* The decision, with what it hangs on. */
struct fsm_decision {
	uint8_t verdict;
	uint8_t site; /* to be granted, or in the way */
	uint8_t site2;
	uint8_t step;   /* next one towards the grant */
	uint64_t epoch; /* V_NO_PROOF: the unended one */
};

/* What the outside shall see. */
struct fsm_cond {
	const char *type;
	bool status;
	const char *reason;
	char message[MSGTEXT_LEN + 1];
};

struct fsm_site_view {
	uint8_t state;
	uint8_t label; /* enum role_label */
	uint8_t taint; /* enum taint_want, of the site's nodes */
	bool healthy;
	bool replicating;
	bool follower; /* read-only, and it has or should have a source */
	uint8_t conv;
	bool diverged; /* RecoveryBlocked */
	bool recovering;
	bool guard; /* heard lately */
	bool voter;
	bool disk_full;
	uint64_t held; /* epoch in force, as its guard said last */
	uint8_t roll;  /* enum fsm_roll_step */
};

struct fsm_view {
	uint8_t verdict;
	uint8_t active;    /* strict: status.activeSite */
	uint8_t effective; /* /active-site */
	uint8_t dns;       /* FSM_NONE: leave alone */
	uint8_t clone_phase;
	const char *update_phase; /* status.updatePhase, "" */
	int64_t wake_ms;          /* E_TICK is due then */
	struct fsm_site_view site[SITES_MAX];
	uint8_t nconds;
	struct fsm_cond cond[CONDS_MAX];
	char alert[MSGTEXT_LEN + 1];
	char summary[MSGTEXT_LEN + 1]; /* one sentence: what is the matter */
};

/* ----------------------------------------------------------- functions -- */

/* A state that knows nothing, at process start. */
void fsm_init(struct fsm_state *, int64_t now);
/*
 * The list of sites is another: site i is to[i] now, FSM_FOREIGN when it is
 * not configured any more. What is known of a site goes with it. Then the
 * caller tells the record, all Pods and the requests again.
 */
void
fsm_sites(struct fsm_state *, const uint8_t to[static SITES_MAX], int64_t now);
/*
 * Take one event in and evaluate the whole group. conf must have the sites
 * that fsm_init or the last fsm_sites knew. out is overwritten.
 */
void fsm_step(const struct fsm_conf *, struct fsm_state *,
    const struct fsm_event *, int64_t now, int64_t wall, struct fsm_out *);
/*
 * What the core does with a record that was read. A lower version is older
 * and is ignored, until a put was refused: then it is what is stored now
 * (restored, wiped). Unless it knows of a later epoch, the core keeps all that
 * it knows, at that version, and writes it again: the caller then keeps its
 * copies (sets, names of foreign sites) too, and takes the version alone.
 */
enum fsm_reading { FSM_READ_OLD, FSM_READ_KEEP, FSM_READ_TAKE };
enum fsm_reading
fsm_reading_of(const struct fsm_state *, const struct fsm_record *);
/*
 * Sites that are configured no more may still hold an unended epoch. The
 * caller passes E_POD with site FSM_FOREIGN for every Pod of such a site:
 * when it changed, after every E_RECORD (no slot is kept here), and each few
 * seconds while it is being deleted. A_POD_RELEASE may come with site
 * FSM_FOREIGN then; proc.pod_uid names the Pod. An assert-dead that names a
 * site that is not configured has site FSM_FOREIGN: epoch and Pod UID count.
 */
/* The group decision: a pure function of everything known. */
void fsm_decide(
    const struct fsm_conf *, const struct fsm_state *, struct fsm_decision *);
void
fsm_view(const struct fsm_conf *, const struct fsm_state *, struct fsm_view *);
/* What a standby tells of the active site; false: nothing. */
bool fsm_sight(const struct fsm_conf *, const struct fsm_state *, int64_t now,
    struct fsm_sight *);
/* Who sees the active site, as the leader knows it (handover.h). */
enum fsm_sees {
	FSM_SEES_BOTH,
	FSM_SEES_NONE,  /* or nobody knows */
	FSM_SEES_MINE,  /* the leader, and no other one says that it does */
	FSM_SEES_OTHER, /* another one, whose word holds up a failover here */
	FSM_SEES_BUSY   /* no time for a change of the leader */
};
enum fsm_sees fsm_sees(const struct fsm_conf *, const struct fsm_state *);
/* True when no grant of ours may still take effect: the Lease may go. */
bool fsm_quiet(const struct fsm_conf *, const struct fsm_state *);
/* Message of an A_EVENT or A_LOG for people; cut at len. */
void fsm_message(
    const struct fsm_conf *, const struct fsm_act *, char *, size_t len);
/* Why a person's word was refused; "": it was not. */
const char *fsm_why(const struct fsm_act *, char *, size_t len);
/* Every input of the decision, as key and value, for its log record. */
void fsm_inputs(const struct fsm_conf *, const struct fsm_state *,
    void (*)(void *, const char *, const char *), void *);

const char *fsm_verdict_name(unsigned);
/* Reason of PromotionBlocked, NULL when the verdict blocks nothing. */
const char *fsm_verdict_block(unsigned);
const char *fsm_proof_name(unsigned);
const char *fsm_step_name(unsigned);
const char *fsm_clone_phase_name(unsigned);
const char *fsm_convergence_name(unsigned);
const char *fsm_convergence_reason(unsigned);
const char *fsm_guard_name(unsigned);
const char *fsm_roll_name(unsigned);
const char *fsm_text_msg(unsigned);    /* log message */
const char *fsm_text_reason(unsigned); /* Event reason, "": none */
bool fsm_text_warning(unsigned);
const char *fsm_metric_name(unsigned);
const char *fsm_act_name(unsigned);

#endif /* FSM_H */
