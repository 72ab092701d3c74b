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
 * The write lease (bloodraven-fencing(7)): three pure machines that together
 * make silence a proof. No I/O, no malloc, no clock, no log; flat, so that the
 * explorer (regress/sim) can hash them. Production runs the same objects.
 *
 *  - lease_guard: mysqld's parent. Holds the lease of an epoch while a quorum
 *    of its voters renews it; fences and kills when it has run out.
 *  - lease_voter: a sidecar. Says yes to a guard, or promises never to again.
 *  - lease_auth: the leading operator. A voter itself; works out when the
 *    lease of a revoked epoch has surely run out.
 *
 * Times are milliseconds of the machine's own CLOCK_BOOTTIME.
 */

#ifndef LEASE_H
#define LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEASE_VOTERS_MAX    16
#define LEASE_YES_MAX       8
#define LEASE_OPERATOR      1 /* voter id of whoever leads; others are random */
#define LEASE_NEVER         INT64_MIN
#define LEASE_FOREVER       INT64_MAX

#define LEASE_MAX_MS        86400000
#define LEASE_FENCE_MAX_MS  1000
#define LEASE_MARGIN_MIN_MS 200
/* Without a lease the guard reads the flags so often, or more often. */
#define LEASE_LOOK_MS       1000
/* So long after its end the killer stays armed: a grant may come late. */
#define LEASE_LATE_MS       6000

/* One epoch's terms: minted by the leader, signed, never changed. */
struct lease_terms {
	uint64_t epoch;       /* 0: none */
	uint64_t prev;        /* successor of that one, same process; or 0 */
	uint64_t guard;       /* the guard's id, random per start */
	uint32_t incarnation; /* of its server, counted by the guard */
	uint32_t lease_ms;    /* L */
	uint32_t fence_ms;    /* F */
	uint8_t n, r;         /* voters, and how many must renew */
	uint64_t voter[LEASE_VOTERS_MAX];
};

/* 1 for up to two voters, a majority above. */
uint8_t lease_quorum(uint8_t n);
/* F: min(1 s, L/10). */
uint32_t lease_fence_ms(uint32_t lease_ms);
/* For clocks that run apart: 2 % of L, at least 0.2 s. */
int64_t lease_margin_ms(uint32_t lease_ms);
/* -1: not a voter of it. */
int lease_voter_of(const struct lease_terms *, uint64_t id);
/* In range, no voter twice, r as lease_quorum says. */
bool lease_terms_valid(const struct lease_terms *);

/* ----------------------------------------------------------- the guard --- */

struct lease_hold {
	struct lease_terms t;
	int64_t sent_ms[LEASE_VOTERS_MAX]; /* of the question last renewed */
};

struct lease_guard {
	uint64_t id;
	uint32_t incarnation; /* of the server that runs, or ran last; 0 */
	bool running;
	uint64_t heard;         /* largest epoch it ever heard of */
	uint64_t revoked;       /* no epoch up to this is ever held again */
	struct lease_hold cur;  /* offered, or in force */
	struct lease_hold next; /* cur's successor, while it has no quorum */
	bool held;              /* cur had its quorum, and it has not run out */
	/* mysqld as seen over the local socket */
	int64_t local_ms;  /* sending of the last query that was answered */
	bool read_only;    /* both flags ON, as that answer said */
	int64_t lost_ms;   /* since when there is no lease */
	bool late;         /* a grant sent before that may still come */
	uint32_t fence_ms; /* F of the lease held last */
	int64_t kill_ms;   /* not confirmed read-only: SIGKILL then */
};

enum lease_offer { LO_TAKEN, LO_KNOWN, LO_REFUSED };
enum lease_todo { LG_NOTHING, LG_FENCE, LG_KILL };

void lease_guard_init(struct lease_guard *, uint64_t id, int64_t now);
/* A server was started: another incarnation, nothing is held. */
void lease_guard_started(struct lease_guard *, int64_t now);
/* It was waited for. */
void lease_guard_ended(struct lease_guard *, int64_t now);
/* Terms as signed by the leader. */
enum lease_offer lease_guard_offer(
    struct lease_guard *, const struct lease_terms *, int64_t now);
/* Whether to ask voters now: a hung server does not renew. */
bool lease_guard_may_ask(const struct lease_guard *, int64_t now);
/* A voter's yes to a question that was sent at sent_ms. */
void lease_guard_yes(struct lease_guard *, uint64_t epoch, uint64_t voter,
    int64_t sent_ms, int64_t now);
/* Signed by the leader: that epoch and all before it are over. */
void lease_guard_revoke(struct lease_guard *, uint64_t epoch, int64_t now);
/* mysqld answered a local query sent at sent_ms. */
void lease_guard_local(
    struct lease_guard *, int64_t sent_ms, bool read_only, int64_t now);
/* End of the lease in force: LEASE_NEVER when none is held. */
int64_t lease_guard_deadline(const struct lease_guard *);
/* Epoch in force now, 0: none. */
uint64_t lease_guard_held(const struct lease_guard *, int64_t now);
/*
 * What is due now; *wake: when to ask again. LG_FENCE: send
 * super_read_only=ON and report its answer by lease_guard_local (repeat as
 * long as it is due); LG_KILL: SIGKILL the server.
 */
enum lease_todo
lease_guard_todo(struct lease_guard *, int64_t now, int64_t *wake);
/* For the killer, who has no other input: kill at that time. */
int64_t lease_guard_kill_ms(const struct lease_guard *);

/* ----------------------------------------------------------- the voter --- */

struct lease_voter {
	uint64_t id;   /* of its memory: the file that holds its promises */
	bool informed; /* remembers, or was told by a leader since start */
	int64_t start_ms;
	uint64_t promised; /* on disk before anybody hears of it */
	uint64_t heard; /* largest epoch it ever heard of; on disk likewise */
	struct {
		uint64_t epoch;
		int64_t ms;
	} yes[LEASE_YES_MAX]; /* newest yes by epoch */
	int64_t yes_floor_ms; /* of those that had no place any more */
};

/* remembers: the file was there with its promises. */
void lease_voter_init(struct lease_voter *, uint64_t id, bool remembers,
    uint64_t promised, uint64_t heard, int64_t now);
/* The leader's signed answer to a nonce of this start. */
void lease_voter_told(struct lease_voter *, uint64_t epoch);
/* A guard asks; terms as signed. True: say yes (noted). */
bool lease_voter_ask(struct lease_voter *, const struct lease_terms *,
    uint64_t guard, uint32_t incarnation, int64_t now);
/*
 * Never again that epoch or an older one. The caller makes v->promised
 * durable before it answers. Returns the age of the newest yes to any epoch
 * up to that one: at most the time since its start.
 */
int64_t lease_voter_promise(struct lease_voter *, uint64_t epoch, int64_t now);

/* -------------------------------------------------------- the operator --- */

/* What the leader knows of one unended epoch's lease. */
struct lease_auth {
	bool revoked;      /* this leader never says yes to it again */
	int64_t yes_ms;    /* its newest yes */
	uint16_t promised; /* bit i: voter i of the terms will not renew it */
	int64_t newest_ms; /* no such voter renewed it after that */
};

void lease_auth_init(struct lease_auth *);
/*
 * The guard asks the leader. lead_until: the Lease's deadline, measured from
 * the sending of its last renewal. True: say yes (noted).
 */
bool lease_auth_ask(struct lease_auth *, const struct lease_terms *,
    uint64_t guard, uint32_t incarnation, int64_t lead_until, int64_t now);
/*
 * Revoke: the leader's own promise. quiet: no earlier leader said yes after
 * that (its own deadline had passed, or it had given the Lease up).
 */
void lease_auth_revoke(struct lease_auth *, const struct lease_terms *,
    int64_t quiet, int64_t now);
/* A voter's promise, received at `at`, with the age that it gave. */
void lease_auth_promise(struct lease_auth *, const struct lease_terms *,
    uint64_t voter, int64_t age_ms, int64_t at);
/* How many promises are missing. */
unsigned
lease_auth_missing(const struct lease_auth *, const struct lease_terms *);
/*
 * The process of that epoch acknowledges nothing from then on;
 * LEASE_FOREVER: promises are missing. max_lease_ms, max_fence_ms: the
 * largest of all unended epochs.
 */
int64_t lease_auth_over_ms(const struct lease_auth *,
    const struct lease_terms *, uint32_t max_lease_ms, uint32_t max_fence_ms);
/*
 * The same of a server that has no lease any more, but may have met a grant
 * until grants_end_ms: its guard sees that within LEASE_LOOK_MS and fences.
 * The proof needs both times to have passed.
 */
int64_t lease_auth_late_ms(
    int64_t grants_end_ms, uint32_t max_lease_ms, uint32_t max_fence_ms);
/*
 * Did a guard read the flags after grants_end_ms? Its report came at `at`, and
 * the reading was age_ms old by its own clock; -1: it never read.
 */
bool lease_auth_read_after(int64_t grants_end_ms, int64_t age_ms, int64_t at);

#endif /* LEASE_H */
