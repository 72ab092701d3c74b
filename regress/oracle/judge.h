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
 * What the records of all writers, the tables that are left and the operator's
 * report say about one failover (or about none).
 */

#ifndef ORACLE_JUDGE_H
#define ORACLE_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gset.h"
#include "record.h"

/* One row of the table: which attempt of which writer. */
struct row {
	char writer[ORACLE_NAME];
	uint64_t seq;
};

struct rows {
	struct row *r;
	size_t n;
};

#define SERVERS_MAX 32

struct server {
	char uuid[37];
	char site[ORACLE_NAME];
	/* acknowledgements: how many, the first's and last's arrival */
	uint64_t acked;
	int64_t first_ns, last_ns;
};

struct judge {
	/* --- in */
	struct record_file *files;
	size_t nfiles;
	/* All inspected acknowledgements were sent in [from, to]. */
	int64_t from_ns, to_ns;
	/* The failover that was provoked; NULL: none should have been. */
	const char *old_site, *new_site;
	struct rows survivor; /* sorted by rows_sort() */
	bool have_old;        /* the old site is back */
	struct rows old;      /* its rows */
	bool have_received;
	struct gset received; /* by the promoted site */
	bool have_divergent;
	struct gset divergent; /* the operator's report */
	/* --- out */
	struct server servers[SERVERS_MAX];
	size_t nservers;
	uint64_t attempts, acked, refused, unknown, unsent;
	/* Through -primary, between two acknowledgements. */
	int64_t gap_ns, gap_from_ns, gap_to_ns;
	/* From the last acknowledgement through -primary to its last attempt. */
	int64_t open_gap_ns;
	int64_t first_new_ns;   /* 0: none */
	uint64_t lost;          /* acknowledged, not there */
	uint64_t lost_received; /* that the promoted site had */
	uint64_t lost_reported; /* in the operator's report */
	uint64_t lost_unreported;
	uint64_t lost_nowhere; /* not even on the old site */
	uint64_t overlapping;
	uint64_t stale;               /* as above, any other site */
	uint64_t refused_present;     /* "no", and it is there */
	uint64_t unmapped;            /* by a server of no known site */
	const struct record *example; /* of the first failure */
};

void rows_sort(struct rows *);
bool rows_have(const struct rows *, const char *writer, uint64_t seq);
/* Returns 0, or -1 (more servers than SERVERS_MAX). */
int judge_run(struct judge *);
/* How many kinds of failure; names: one line each when not NULL. */
unsigned judge_failures(const struct judge *, const char **names, size_t room);

#endif /* ORACLE_JUDGE_H */
