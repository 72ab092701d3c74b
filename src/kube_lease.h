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
 * Leader election by a Lease, as a pure machine: times and answers in,
 * what to do next out.
 *
 * Our own validity is measured from the sending of the renewal that
 * succeeded; a holder's expiry is measured from the moment when we first saw
 * its latest renewal, on our own clock. Clocks of others are never compared.
 *
 * The Lease says how long its holder acts after it sent a renewal, which is
 * less than until others take it. So who takes it from a holder that fell
 * silent knows since when nobody has acted: that time after it first saw the
 * last renewal, and a margin for clocks that run apart. Who finds it any other
 * way (its own, empty, absent, of a release that does not say it) knows only
 * that nobody has acted since it leads.
 *
 * Neither does one that somebody else emptied, or whose duration somebody made
 * shorter: who gives it up says so in all of its fields, and else the holder
 * that was seen last is waited for.
 *
 * A Lease that is absent proves nothing: somebody may have deleted it under
 * a leader that is cut off from the API server and rules until its own
 * deadline. Who knows a holder that may still rule gives it a moment to make
 * the Lease again. Who makes it, and was not leading until then, leads only
 * after a renewal that was sent one lease duration after it was made: then
 * no holder of the one that was deleted can have any time left. That duration
 * is the longest that was ever seen, since another operator may have been
 * started with a longer one, and its own at least. Until then
 * the holder it writes is marked, so that another process of the same
 * identity, begun after a crash, does not take the Lease for its own.
 *
 * Who hands it over gives it up and stands by. For a while it leaves a Lease
 * that nobody has to others, but not for good: a leader that sees little is
 * better than none. One that a later holder lets run out it takes like any.
 */

#ifndef KUBE_LEASE_H
#define KUBE_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "kube_spec.h"

#define LEASE_RV_LEN  127
/* So long is one that was handed over left to others, when nobody has it. */
#define LEASE_LEFT_MS 5000

enum lease_do { LD_GET, LD_CREATE, LD_UPDATE };

struct lease {
	int64_t lease_ms, renew_ms, retry_ms;
	char identity[NAME_LEN + 1], marked[NAME_LEN + 1];
	/* Ours. */
	bool held, releasing;
	bool handing;     /* releasing, to go on as a standby */
	int64_t leave_ns; /* until then one that nobody has is left to others */
	int64_t sent_ns;  /* of the last good renewal */
	int64_t acquire_us;
	int64_t quiet_ns; /* no holder before us acts after that; 0: unknown */
	/* On the way to leading: what lease_begin() and so on keep. */
	bool taking, listed, leading;
	bool made;        /* a Lease that was absent, just now */
	bool maker;       /* the marked identity means this process */
	int64_t guard_ns; /* no leading on a renewal older than this */
	/* The object, as last seen. */
	bool known, absent;
	char rv[LEASE_RV_LEN + 1];
	char holder[NAME_LEN + 1];
	int64_t duration_ms;
	int64_t acts_ms;    /* 0: not known */
	int64_t longest_ms; /* that any holder was respected for, or ours is */
	int64_t renew_us;
	uint64_t transitions;
	int64_t seen_ns;   /* when this renewal was seen */
	int64_t absent_ns; /* when it was first found to be absent */
	/* Emptied by another one than its holder, who may act until then; 0. */
	int64_t emptied_ns;
	/* Somebody wrote our name over another holder's; likewise. */
	int64_t named_ns;
};

void lease_init(struct lease *, const char *identity, int64_t lease_ms,
    int64_t renew_ms, int64_t retry_ms);
/* What to send now. body is filled for LD_CREATE and LD_UPDATE. */
enum lease_do lease_next(
    struct lease *, int64_t now_ns, int64_t wall_us, struct klease *body);
/* The object as a GET or a write returned it; NULL: it does not exist. */
void lease_seen(struct lease *, int64_t now_ns, const struct klease *);
/* Our write succeeded: it was sent at sent_ns. */
void lease_written(struct lease *, int64_t sent_ns, const struct klease *);
/* A write was refused (409) or its fate is unknown: look again first. */
void lease_unsure(struct lease *);
/* Give up: the next write empties the holder. */
void lease_release(struct lease *);
/* The same, and stand by then; until that time others are let go first. */
void lease_hand_over(struct lease *, int64_t until_ns);
/* Held and not past its deadline? */
bool lease_valid(const struct lease *, int64_t now_ns);
int64_t lease_deadline(const struct lease *);
/*
 * After each answer. True once for each acquisition: all groups must be read
 * now; what was read before does not count.
 */
bool lease_begin(struct lease *, int64_t now_ns);
/*
 * They were. records: some group has a record, or one that nobody can read.
 * Without any there is no authority that a predecessor could still hold.
 */
void lease_listed(struct lease *, int64_t now_ns, bool records);
/* Does leading begin now? True once. */
bool lease_lead(struct lease *, int64_t now_ns);
/*
 * In this term: no leader before it acts after that, by our clock. 0: who
 * leads knows nothing but that it was taken.
 */
int64_t lease_quiet(const struct lease *);
/*
 * Milliseconds that one request may take: one that hangs, on a connection that
 * broke without a word, leaves time for another.
 */
int64_t lease_patience(const struct lease *);
/* Milliseconds until the next look or renewal. rnd spreads them. */
int64_t lease_wait(const struct lease *, int64_t now_ns, uint32_t rnd);

#endif /* KUBE_LEASE_H */
