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
 * Cuts the two kinds of long answers of the API server into single objects,
 * byte by byte, so that memory holds one object and never a whole list.
 *
 *	a watch: one JSON object after another
 *	a list: {"metadata":{...},"items":[{...},{...}],...}
 *
 * Pure: no I/O, no clock.
 */

#ifndef KUBE_SPLIT_H
#define KUBE_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

struct split {
	/* One whole object: JSON text, NUL after len. -1 ends the split. */
	int (*item)(void *, char *, size_t);
	void *arg;
	size_t max; /* bound on one object */
	bool list;
	/* the rest is private */
	char *buf, *frame;
	size_t len, cap, frame_len;
	unsigned depth;  /* of brackets, from the outside */
	unsigned keylen; /* of the last string at depth 1 */
	char key[8];
	bool str, esc, in_items, in_item, key_done, done;
};

/* Bound on a list without its items: kind, version, metadata. */
#define SPLIT_FRAME_MAX 16384

void split_init(struct split *, bool list, size_t max,
    int (*item)(void *, char *, size_t), void *arg);
/* Returns 0, or -1 with EBADMSG, ERANGE (an object beyond max), or ECANCELED. */
int split_feed(struct split *, const char *, size_t);
/*
 * The list without its items, once it is complete; NULL with EBADMSG when
 * the answer was cut. For a watch: complete when nothing is pending.
 */
char *split_frame(struct split *, size_t *len);
void split_free(struct split *);

#endif /* KUBE_SPLIT_H */
