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
 * A voter's memory: its id, and which epochs it has promised never to renew
 * again (bloodraven-fencing(7)). A small file at the root of the site's data
 * volume: who has the data has the memory.
 */

#ifndef PROMISE_H
#define PROMISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* mysqld --initialize passes over names with a leading dot. */
#define PROMISE_FILE     ".bloodraven-promise"
/*
 * Two slots, written in turn: a write that is cut short leaves the other one.
 * Each is a block of its own, allocated when the file is made, so that later
 * writes need no space.
 */
#define PROMISE_SLOTS    2
#define PROMISE_BLOCK    4096
#define PROMISE_LEN      72 /* used of a block: less than a sector */
/* Behind them a block for what is worth remembering, but not relied on. */
#define PROMISE_NOTE_MAX 2048

struct promise {
	int fd;
	uint64_t owner; /* hash of namespace, group and site */
	uint64_t seq;   /* of the newest slot */
	uint64_t id;    /* random, never 0 or LEASE_OPERATOR */
	uint64_t promised, heard;
	/*
	 * The longest lease of all epochs that it heard of: a lost one may have
	 * had that. 0: not known; releases before this one didn't write it.
	 */
	uint32_t lease_ms;
	/*
	 * They were read from a file, so they may be in the page cache alone:
	 * who wrote them was killed, or the disk failed, before it had them.
	 */
	bool unsure;
};

/*
 * Open the file of that directory, or make it, and lock it for as long as
 * the descriptor or a duplicate of it is open. owner: "namespace/group/site":
 * a volume that was another's has no memory for us. *fresh: it was made, or
 * held nothing readable: another voter than any before, without memory.
 * Otherwise its memory is unsure until promise_put() has succeeded once.
 * Returns 0, or -1 with errno; EWOULDBLOCK: another sidecar holds it.
 */
int
promise_open(struct promise *, const char *dir, const char *owner, bool *fresh);
/*
 * Go on with a descriptor that promise_open() opened. Takes it. The memory is
 * unsure.
 */
int promise_adopt(struct promise *, int fd, const char *owner);
/*
 * Make these durable; what is smaller than before stays. Returns 0 when it is
 * on disk, or -1 with errno: it may be or not, the struct is as before, and
 * the next call tries all of it again.
 */
int promise_put(
    struct promise *, uint64_t promised, uint64_t heard, uint32_t lease_ms);

/* Replace the note, without waiting for the disk. -1 with errno. */
int promise_note_put(const struct promise *, const void *, size_t);
/* Its length; 0: there is none, or it is not whole. */
size_t
promise_note_get(const struct promise *, uint8_t[static PROMISE_NOTE_MAX]);

/* Pure, for tests. false: not a slot, or of another owner. */
void promise_encode(const struct promise *, uint8_t[static PROMISE_LEN]);
bool promise_decode(const uint8_t[static PROMISE_LEN], struct promise *);

#endif /* PROMISE_H */
