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
 * The promise file: see promise.h. All numbers are big-endian.
 */

#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lease.h"
#include "promise.h"

static const uint8_t magic[8] = "BRPROM1";

/* FNV-1a: against torn writes and rot, not against forgers. */
static uint64_t
hash(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t h = 14695981039346656037ULL;
	size_t i;

	for (i = 0; i < len; i++)
		h = (h ^ p[i]) * 1099511628211ULL;
	return h;
}

static void
put64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

static uint64_t
get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

void
promise_encode(const struct promise *p, uint8_t slot[static PROMISE_LEN])
{
	memcpy(slot, magic, sizeof(magic));
	put64(slot + 8, p->owner);
	put64(slot + 16, p->seq);
	put64(slot + 24, p->id);
	put64(slot + 32, p->promised);
	put64(slot + 40, p->heard);
	put64(slot + 48, hash(slot, 48));
	/* Releases before this one end here, and read what they know. */
	put64(slot + 56, p->lease_ms);
	put64(slot + 64, hash(slot, 64));
}

static uint32_t
lease_of(const uint8_t slot[static PROMISE_LEN])
{
	uint64_t ms = get64(slot + 56);

	if (get64(slot + 64) != hash(slot, 64) || ms > LEASE_MAX_MS)
		return 0;
	return (uint32_t)ms;
}

bool
promise_decode(const uint8_t slot[static PROMISE_LEN], struct promise *p)
{
	if (memcmp(slot, magic, sizeof(magic)) != 0 ||
	    get64(slot + 48) != hash(slot, 48) || get64(slot + 8) != p->owner ||
	    get64(slot + 24) <= LEASE_OPERATOR)
		return false;
	p->seq = get64(slot + 16);
	p->id = get64(slot + 24);
	p->promised = get64(slot + 32);
	p->heard = get64(slot + 40);
	p->lease_ms = lease_of(slot);
	return true;
}

static int
write_slot(const struct promise *p)
{
	uint8_t slot[PROMISE_LEN];
	ssize_t n;

	promise_encode(p, slot);
	n = pwrite(p->fd, slot, sizeof(slot),
	    (off_t)(p->seq % PROMISE_SLOTS) * PROMISE_BLOCK);
	if (n == (ssize_t)sizeof(slot))
		return 0;
	if (n != -1)
		errno = EIO;
	return -1;
}

/* The newest slot. false: there is none. */
static bool
read_slots(struct promise *p)
{
	uint8_t slot[PROMISE_LEN];
	struct promise best, one = *p;
	uint32_t lease_ms = 0;
	bool found = false;
	int i;

	memset(&best, 0, sizeof(best));
	for (i = 0; i < PROMISE_SLOTS; i++) {
		if (pread(p->fd, slot, sizeof(slot),
			(off_t)i * PROMISE_BLOCK) != sizeof(slot) ||
		    !promise_decode(slot, &one))
			continue;
		if (!found || one.seq > best.seq)
			best = one;
		found = true;
		/* Of the newest it may be torn off; it never falls. */
		if (one.lease_ms > lease_ms)
			lease_ms = one.lease_ms;
	}
	best.lease_ms = lease_ms;
	best.unsure = true;
	if (found)
		*p = best;
	return found;
}

/* Somebody without memory: all of it is on disk before it says a word. */
static int
make(struct promise *p, const char *dir)
{
	int dfd, rc, i;

	do {
		if (getrandom(&p->id, sizeof(p->id), 0) != sizeof(p->id))
			return -1;
	} while (p->id <= LEASE_OPERATOR);
	p->promised = p->heard = 0;
	p->lease_ms = 0;
	/* Without it a filesystem might find no room later. */
	rc = posix_fallocate(
	    p->fd, 0, (off_t)(PROMISE_SLOTS + 1) * PROMISE_BLOCK);
	if (rc != 0) {
		errno = rc;
		return -1;
	}
	for (i = 0; i < PROMISE_SLOTS; i++) {
		p->seq++;
		if (write_slot(p) == -1)
			return -1;
	}
	if (fsync(p->fd) == -1)
		return -1;
	if ((dfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return -1;
	rc = fsync(dfd);
	close(dfd);
	return rc;
}

static int
open_locked(int dfd)
{
	int fd, saved;

	fd = openat(
	    dfd, PROMISE_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0660);
	if (fd == -1)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

int
promise_open(struct promise *p, const char *dir, const char *owner, bool *fresh)
{
	int dfd, saved;

	memset(p, 0, sizeof(*p));
	*fresh = false;
	p->owner = hash(owner, strlen(owner));
	if ((dfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1) {
		p->fd = -1;
		return -1;
	}
	p->fd = open_locked(dfd);
	saved = errno;
	close(dfd);
	errno = saved;
	if (p->fd == -1)
		return -1;
	if (read_slots(p))
		return 0;
	*fresh = true;
	if (make(p, dir) == 0)
		return 0;
	saved = errno;
	close(p->fd);
	p->fd = -1;
	errno = saved;
	return -1;
}

int
promise_adopt(struct promise *p, int fd, const char *owner)
{
	memset(p, 0, sizeof(*p));
	p->owner = hash(owner, strlen(owner));
	p->fd = fd;
	if (read_slots(p))
		return 0;
	close(fd);
	p->fd = -1;
	errno = EBADMSG;
	return -1;
}

int
promise_put(
    struct promise *p, uint64_t promised, uint64_t heard, uint32_t lease_ms)
{
	struct promise next = *p;

	if (promised > next.promised)
		next.promised = promised;
	if (heard > next.heard)
		next.heard = heard;
	if (lease_ms > next.lease_ms)
		next.lease_ms = lease_ms;
	if (!p->unsure && next.promised == p->promised &&
	    next.heard == p->heard && next.lease_ms == p->lease_ms)
		return 0;
	next.seq++;
	next.unsure = false;
	/*
	 * fdatasync(2): its length never changes. Written anew even when it is
	 * unsure only: after EIO the kernel may take the page for clean.
	 */
	if (write_slot(&next) == -1 || fdatasync(p->fd) == -1)
		return -1;
	*p = next;
	return 0;
}

/* ------------------------------------------------------------------- note --- */

#define NOTE_OFF  ((off_t)PROMISE_SLOTS * PROMISE_BLOCK)
#define NOTE_HEAD 24 /* owner, length, hash */

int
promise_note_put(const struct promise *p, const void *data, size_t len)
{
	uint8_t buf[NOTE_HEAD + PROMISE_NOTE_MAX];
	ssize_t n;

	if (len > PROMISE_NOTE_MAX) {
		errno = ERANGE;
		return -1;
	}
	put64(buf, p->owner);
	put64(buf + 8, len);
	put64(buf + 16, hash(data, len));
	memcpy(buf + NOTE_HEAD, data, len);
	n = pwrite(p->fd, buf, NOTE_HEAD + len, NOTE_OFF);
	if (n == (ssize_t)(NOTE_HEAD + len))
		return 0;
	if (n != -1)
		errno = EIO;
	return -1;
}

size_t
promise_note_get(const struct promise *p, uint8_t out[static PROMISE_NOTE_MAX])
{
	uint8_t buf[NOTE_HEAD + PROMISE_NOTE_MAX];
	uint64_t len;
	ssize_t n;

	n = pread(p->fd, buf, sizeof(buf), NOTE_OFF);
	if (n < NOTE_HEAD || get64(buf) != p->owner)
		return 0;
	len = get64(buf + 8);
	if (len > (uint64_t)n - NOTE_HEAD ||
	    get64(buf + 16) != hash(buf + NOTE_HEAD, (size_t)len))
		return 0;
	memcpy(out, buf + NOTE_HEAD, (size_t)len);
	return (size_t)len;
}
