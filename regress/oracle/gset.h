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
 * GTID sets for the judge. On purpose not src/gtid.c: a judge that shares the
 * accused's arithmetic would share its mistakes.
 */

#ifndef ORACLE_GSET_H
#define ORACLE_GSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gset_range {
	char sid[72]; /* uuid, or uuid:tag; lower case */
	uint64_t lo, hi;
};

struct gset {
	struct gset_range *r;
	size_t n, room;
};

/* Adds the set written in text (as MySQL prints it). Returns 0 or -1. */
int gset_add(struct gset *, const char *text);
/* Is this one GTID in the set? A malformed one is not. */
bool gset_has(const struct gset *, const char *gtid);
void gset_free(struct gset *);

#endif /* ORACLE_GSET_H */
