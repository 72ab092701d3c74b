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
 * The record of one writer: a text file that only grows, a line an attempt,
 * each written by one write(2) before the next attempt begins, so that kill -9
 * of anything but the kernel loses no acknowledgement that was recorded.
 *
 *	#oracle1 <tab> writer <tab> site		site is "-": a Service
 *	outcome seq sent_ns end_ns errno server gtid	separated by tabs
 *
 * Times are CLOCK_BOOTTIME of the one host under all nodes.
 */

#ifndef ORACLE_RECORD_H
#define ORACLE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#define ORACLE_NAME 64
#define ORACLE_GTID 128 /* one GTID: UUID, tag (32), number (20) */

enum outcome {
	OUT_ACKED = 'A',   /* the server said that it is committed */
	OUT_REFUSED = 'F', /* the server said that it is not */
	OUT_UNKNOWN = 'U', /* sent, and no answer within the timeout */
	OUT_UNSENT = 'N'   /* no connection to send it on */
};

struct record {
	enum outcome out;
	uint64_t seq;
	int64_t sent_ns;
	int64_t end_ns;
	unsigned err;
	char server[37];        /* server_uuid, or "-" */
	char gtid[ORACLE_GTID]; /* its GTID, or "-" */
};

struct record_file {
	char writer[ORACLE_NAME];
	char site[ORACLE_NAME];
	struct record *recs;
	size_t n;
};

/* Writes the header; the file must be new. Returns the fd or -1. */
int record_create(const char *path, const char *writer, const char *site);
/* Returns 0 or -1: what was not recorded must not be claimed. */
int record_append(int fd, const struct record *);
/*
 * A last line without its end is left out: the writer was killed in it.
 * Returns 0, or -1 with errno (EBADMSG: malformed, and *line says where).
 */
int record_load(const char *path, struct record_file *, unsigned *line);
void record_free(struct record_file *);

#endif /* ORACLE_RECORD_H */
