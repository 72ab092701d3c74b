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
 * Keys of the write lease: which Secret is to be written next, so that they
 * are made, exchanged and made again without a moment at which somebody's
 * signature is not accepted by whom it is for. Pure: no I/O, no malloc, no
 * clock, no seeds. All that must outlive the leader is in the Secrets.
 *
 * A *ring* is one signer's Secret, the operator's or a site's. It has one
 * seed, which signs, or two: the second is the next one. Every site's Secret
 * also lists whom its Pod believes ("trust"): the same for all of a group.
 *
 *	ADD	a next seed; everybody's trust follows
 *	SWITCH	when all Pods that live have read that: the next one signs.
 *		What signed before is no ring's any more, but still listed
 *	(trust)	when its signer has surely read the switch: not listed
 *
 * A key that is listed and no ring's is believed until its signer uses
 * another: so a Secret that was deleted is made again without cutting off its
 * Pod, which still signs with what it has.
 */

#ifndef KEYS_H
#define KEYS_H

#include "wire.h"

/* A guard reads its files each 10 s, a standby sees a Secret at once. */
#define KEYS_SETTLE_MS 30000
/* A Pod without a link so long keeps nobody waiting: it reads its Secret
   before it says anything again. */
#define KEYS_AWAY_MS   (15 * 60 * 1000)
#define KEYS_TRUST_MAX 8191

/* Keys of one name that "trust" files list. */
struct keys_listed {
	uint8_t n;
	struct {
		struct wire_pub pub;
		uint16_t by; /* bit i: site i's Secret lists it */
	} key[WIRE_PUBS_MAX];
};

struct keys_ring {
	bool told;   /* what the API server has is known */
	bool taken;  /* another group's Secret has its name: nothing is done */
	bool exists; /* else the rest is what this process remembers, */
	bool fresh;  /* or has drawn and nobody has seen */
	uint64_t generation;
	uint64_t since; /* generation at which the first seed came to sign */
	int64_t made_s; /* Unix time of that; 0: not known */
	uint64_t done;  /* request for a rotation that was followed */
	uint8_t n;      /* seeds: 0, 1, 2 */
	struct wire_pub pub[2];
};

/* Since when something is so, of that generation or text; ms 0: it is not. */
struct keys_since {
	int64_t ms;
	uint64_t of;
};

struct keys_site {
	char name[NAME_LEN + 1];
	struct keys_ring ring;
	struct keys_listed listed; /* under this name */
	bool wanted;               /* configured, or it still has a Pod */
	bool live; /* a Pod that may sign, and listen; not away */
	bool linked;
	uint64_t reported; /* generation that its Pod has read; 0: never told */
	uint64_t trust;    /* hash of what its Secret lists */
	struct keys_since used; /* its Pod signs with the first seed */
};

struct keys_group {
	unsigned n;
	struct keys_site *site;   /* at most SITES_MAX; never moved within */
	struct keys_listed op;    /* as "operator" */
	struct keys_since spread; /* all that live have read all */
	struct keys_since linked; /* all that live are linked */
};

/* What to do with a ring's Secret. All but KEYS_LEAVE write it whole. */
enum keys_do {
	KEYS_LEAVE,
	KEYS_NEW,   /* draw its first seed */
	KEYS_KEEP,  /* the seeds that it has */
	KEYS_ADD,   /* draw the next seed */
	KEYS_SWITCH /* the second seed alone */
};

/* When a rotation is wanted. */
struct keys_want {
	uint64_t request; /* hash of the annotation; 0: none */
	int64_t age_s;    /* 0: never by age */
	int64_t now_s;    /* Unix */
};

/* A Secret of site i was read: what it lists, under the names known here. */
void keys_read(struct keys_group *, unsigned i, const struct wire_trust *);
/* Look at all again: what has been so for how long. To be called first. */
void
keys_observe(struct keys_group *, const struct keys_ring *op, int64_t now_ms);
/* Have all Pods read what they need, for long enough? */
bool keys_spread(const struct keys_group *, int64_t now_ms);
/* The same, and nothing of a rotation is under way. */
bool keys_quiet(const struct keys_group *, int64_t now_ms);
/*
 * The text that each site's "trust" shall be; the same for all of them and
 * for each leader. Returns its length, or -1 with ERANGE.
 */
int keys_trust(const struct keys_group *, const struct keys_ring *op,
    int64_t now_ms, char *buf, size_t size);
/* trust: keys_hash() of what keys_trust() wrote. */
enum keys_do keys_site_next(const struct keys_group *, unsigned i,
    const struct keys_ring *op, uint64_t trust, const struct keys_want *,
    int64_t now_ms);
/* spread: every group's is; see keys_spread(). */
enum keys_do
keys_op_next(const struct keys_ring *op, bool spread, const struct keys_want *);
/*
 * The number of the next write: above all that were, and what the Pod says it
 * has read, even when the Secret is lost: never one that had other contents.
 */
uint64_t
keys_generation(const struct keys_ring *, uint64_t reported, int64_t now_s);
/*
 * The ring as it shall be written; drawn: the new seed's public key (KEYS_NEW,
 * KEYS_ADD).
 */
void keys_apply(struct keys_ring *, enum keys_do, const struct wire_pub *drawn,
    const struct keys_want *, uint64_t reported);
/* Whom to believe under this name; returns how many. */
size_t keys_accepted(const struct keys_ring *, const struct keys_listed *,
    struct wire_pub[static WIRE_PUBS_MAX]);
uint64_t keys_hash(const void *, size_t);

#endif /* KEYS_H */
