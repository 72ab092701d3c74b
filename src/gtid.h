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
 * GTID sets of MySQL, tagged ones included ("uuid:1-9:tag:3-4"). No malloc:
 * the caller owns the arrays. What goes beyond their capacity is ERANGE,
 * which must be reported and never be taken for an empty set.
 */

#ifndef GTID_H
#define GTID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GTID_TAG_LEN   32   /* MySQL's limit */
#define GTID_SIDS_MAX  128  /* (UUID, tag) pairs of one set */
#define GTID_IVALS_MAX 2048 /* 32 KiB; a star's sets hold some dozens */

/* start <= end, both inclusive, as in the text. */
struct gtid_ival {
	int64_t start;
	int64_t end;
};

/* One (UUID, tag) and its intervals: sorted, disjoint, not adjacent. */
struct gtid_sid {
	unsigned char uuid[16];
	char tag[GTID_TAG_LEN + 1]; /* lower case, "": none */
	uint32_t first;             /* into ival */
	uint32_t n;
};

/* sids are sorted by (uuid, tag); none is empty. */
struct gtid_set {
	uint32_t nsids;
	uint32_t nivals;
	struct gtid_sid sid[GTID_SIDS_MAX];
	struct gtid_ival ival[GTID_IVALS_MAX];
};

void gtid_clear(struct gtid_set *);
/*
 * Parse the text of a set; whitespace anywhere between tokens, any case,
 * overlapping intervals and repeated UUIDs are fine. Returns -1 with EBADMSG
 * (malformed) or ERANGE (beyond capacity); the set is then empty storage and
 * must not be used.
 */
int gtid_parse(struct gtid_set *, const char *);
/* Canonical text as MySQL prints it, one line. -1 with ERANGE. */
int gtid_print(const struct gtid_set *, char *, size_t);
/* dst = a + b, dst = a - b; dst is another set. -1 with ERANGE. */
int
gtid_union(struct gtid_set *, const struct gtid_set *, const struct gtid_set *);
int gtid_subtract(
    struct gtid_set *, const struct gtid_set *, const struct gtid_set *);
bool gtid_empty(const struct gtid_set *);
bool gtid_equal(const struct gtid_set *, const struct gtid_set *);
/* a contains every transaction of b. */
bool gtid_contains(const struct gtid_set *, const struct gtid_set *);
/* A UUID in common, whatever the tag. */
bool gtid_shares_uuid(const struct gtid_set *, const struct gtid_set *);
/* Number of transactions, INT64_MAX when it is larger. */
int64_t gtid_count(const struct gtid_set *);

#endif /* GTID_H */
