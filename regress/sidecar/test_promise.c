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
 * The promise file: what a crash at any moment leaves, and who else comes.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lease.h"
#include "promise.h"

#define OWNER   "ns/g/a"
#define SIZE    ((PROMISE_SLOTS + 1) * PROMISE_BLOCK)
/* What releases that knew nothing of leases wrote of a slot. */
#define OLD_LEN 56

static char dir[64], path[128];
static uint8_t before[SIZE], after[SIZE];
static unsigned syncs;
static bool no_disk;

/* In the place of the C library's. */
int
fdatasync(int fd)
{
	if (no_disk) {
		errno = EIO;
		return -1;
	}
	syncs++;
	return (int)syscall(SYS_fdatasync, fd);
}

static void
load(uint8_t *buf)
{
	int fd = open(path, O_RDONLY);

	assert_int_not_equal(fd, -1);
	assert_int_equal(read(fd, buf, SIZE), SIZE);
	close(fd);
}

static void
store(const uint8_t *buf, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, buf, len), len);
	close(fd);
}

static void
begin(struct promise *p, bool want_fresh)
{
	bool fresh;

	assert_int_equal(promise_open(p, dir, OWNER, &fresh), 0);
	assert_int_equal(fresh, want_fresh);
	assert_true(p->id > LEASE_OPERATOR);
}

static void
test_new(void **state)
{
	struct promise p, q;
	struct stat sb;

	begin(&p, true);
	assert_int_equal(p.promised, 0);
	assert_int_equal(fstat(p.fd, &sb), 0);
	assert_int_equal(sb.st_size, SIZE);
	/* Allocated, not sparse: it works on a full disk. */
	assert_true(sb.st_blocks * 512 >= SIZE);
	close(p.fd);
	begin(&q, false);
	assert_true(q.id == p.id);
	close(q.fd);
	/* A file that was lost is another voter. */
	assert_int_equal(unlink(path), 0);
	begin(&q, true);
	assert_false(q.id == p.id);
	close(q.fd);
}

static void
test_put(void **state)
{
	struct promise p, q;

	begin(&p, true);
	assert_int_equal(promise_put(&p, 5, 7, 0), 0);
	assert_int_equal(promise_put(&p, 3, 6, 0), 0); /* never back */
	assert_int_equal(p.promised, 5);
	assert_int_equal(p.heard, 7);
	for (uint64_t i = 6; i < 40; i++)
		assert_int_equal(promise_put(&p, i, i, 0), 0);
	close(p.fd);
	begin(&q, false);
	assert_int_equal(q.promised, 39);
	assert_int_equal(q.heard, 39);
	assert_true(q.id == p.id);
	close(q.fd);
}

/*
 * A crash in the middle of a write: each byte of the new slot is on disk or
 * not, from the front and from the back. Never less than before, never
 * anything else.
 */
static void
test_torn(void **state)
{
	static uint8_t torn[SIZE];
	struct promise p, q;
	size_t i;
	int back;

	for (uint64_t e = 1; e < 6; e++) {
		begin(&p, e == 1);
		if (e > 1)
			assert_int_equal(p.promised, e - 1);
		load(before);
		assert_int_equal(
		    promise_put(&p, e, e + 1, (uint32_t)e * 1000), 0);
		load(after);
		close(p.fd);
		for (back = 0; back < 2; back++)
			for (i = 0; i <= SIZE; i++) {
				memcpy(torn, back ? after : before, SIZE);
				memcpy(torn, back ? before : after, i);
				if (i < SIZE && before[i] == after[i])
					continue;
				store(torn, SIZE);
				begin(&q, false);
				assert_true(q.id == p.id);
				assert_true(q.lease_ms == (e - 1) * 1000 ||
				    q.lease_ms == e * 1000);
				assert_true(
				    (q.promised == e - 1 && q.heard <= e) ||
				    (q.promised == e && q.heard == e + 1));
				/* And it goes on from there. */
				assert_int_equal(promise_put(&q, 9, 9, 0), 0);
				close(q.fd);
				begin(&q, false);
				assert_int_equal(q.promised, 9);
				close(q.fd);
			}
		store(after, SIZE);
	}
}

/* A release that knows nothing of leases came before, or in between. */
static void
test_older_release(void **state)
{
	struct promise p, q;
	uint8_t slot[PROMISE_LEN];
	size_t i;
	int fd;

	begin(&p, true);
	assert_int_equal(promise_put(&p, 5, 5, 20000), 0);
	assert_int_equal(promise_put(&p, 5, 5, 6000), 0); /* never back */
	assert_int_equal(p.lease_ms, 20000);
	assert_int_equal(promise_put(&p, 5, 6, 60000), 0);
	close(p.fd);
	begin(&q, false);
	assert_int_equal(q.lease_ms, 60000);
	close(q.fd);
	fd = open(path, O_WRONLY);
	assert_int_not_equal(fd, -1);
	for (i = 0; i < PROMISE_SLOTS; i++) {
		p.seq++;
		p.promised = 7;
		promise_encode(&p, slot);
		assert_int_equal(
		    pwrite(fd, slot, OLD_LEN,
			(off_t)(p.seq % PROMISE_SLOTS) * PROMISE_BLOCK),
		    OLD_LEN);
		begin(&q, false);
		assert_true(q.id == p.id);
		assert_int_equal(q.promised, 7);
		assert_int_equal(q.lease_ms, i == 0 ? 60000 : 0);
		close(q.fd);
	}
	close(fd);
	begin(&q, false);
	assert_int_equal(promise_put(&q, 0, 0, 6000), 0);
	close(q.fd);
	begin(&q, false);
	assert_int_equal(q.promised, 7);
	assert_int_equal(q.lease_ms, 6000);
	close(q.fd);
}

/* What can't be read is no memory: another voter, not an old promise. */
static void
test_rot(void **state)
{
	struct promise p, q;
	size_t i, k;
	bool fresh;

	begin(&p, true);
	for (i = 0; i < PROMISE_SLOTS; i++)
		assert_int_equal(promise_put(&p, 5, 5 + i, 20000), 0);
	close(p.fd);
	load(before);
	for (i = 0; i < PROMISE_LEN; i++) {
		memcpy(after, before, SIZE);
		for (k = 0; k < PROMISE_SLOTS; k++)
			after[k * PROMISE_BLOCK + i] ^= 0x10;
		store(after, SIZE);
		if (i < OLD_LEN) {
			begin(&q, true);
			assert_false(q.id == p.id);
		} else {
			begin(&q, false);
			assert_int_equal(q.lease_ms, 0);
		}
		close(q.fd);
	}
	/* Cut short: what is left counts, or nothing does. */
	for (i = 0; i < SIZE; i += 509) {
		store(before, i);
		assert_int_equal(promise_open(&q, dir, OWNER, &fresh), 0);
		assert_true(fresh ? q.id != p.id : q.promised <= 5);
		close(q.fd);
	}
}

static void
test_owner(void **state)
{
	struct promise p, q;
	bool fresh;

	begin(&p, true);
	close(p.fd);
	/* A volume that was another site's. */
	assert_int_equal(promise_open(&q, dir, "ns/g/b", &fresh), 0);
	assert_true(fresh);
	assert_false(q.id == p.id);
	close(q.fd);
}

static void
test_lock(void **state)
{
	struct promise p, q;
	bool fresh;
	int two;

	begin(&p, true);
	assert_int_equal(promise_open(&q, dir, OWNER, &fresh), -1);
	assert_int_equal(errno, EWOULDBLOCK);
	/* A duplicate holds it as well, as the parent does for memory. */
	two = dup(p.fd);
	close(p.fd);
	assert_int_equal(promise_open(&q, dir, OWNER, &fresh), -1);
	assert_int_equal(promise_adopt(&q, two, OWNER), 0);
	assert_true(q.id == p.id);
	assert_int_equal(promise_put(&q, 4, 4, 0), 0);
	assert_int_equal(promise_adopt(&p, dup(two), "ns/g/b"), -1);
	assert_int_equal(errno, EBADMSG);
	close(two);
	begin(&p, false);
	assert_int_equal(p.promised, 4);
	close(p.fd);
}

/* A write that fails is tried again, and says nothing before it is done. */
static void
test_failure(void **state)
{
	struct promise p, q;
	struct rlimit rl, old;
	int rw;

	begin(&p, true);
	rw = p.fd;
	p.fd = open(path, O_RDONLY);
	assert_int_equal(promise_put(&p, 5, 5, 0), -1);
	assert_int_equal(p.promised, 0);
	close(p.fd);
	p.fd = rw;
	/* It never grows: a limit to its size is none. */
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	rl = old;
	rl.rlim_cur = SIZE;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &rl), 0);
	for (uint64_t i = 5; i < 10; i++)
		assert_int_equal(promise_put(&p, i, i, 0), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	close(p.fd);
	begin(&q, false);
	assert_int_equal(q.promised, 9);
	close(q.fd);
}

/*
 * Who wrote it ended, or the disk failed, before it was on disk: the page cache
 * has it all the same. It is written anew and waited for, once.
 */
static void
test_unsure(void **state)
{
	struct promise p, q;
	int two;

	begin(&p, true);
	assert_false(p.unsure);
	no_disk = true;
	assert_int_equal(promise_put(&p, 5, 5, 0), -1);
	assert_int_equal(p.promised, 0);
	close(p.fd);
	begin(&q, false);
	two = dup(q.fd);
	load(before);
	assert_int_equal(q.promised, 5);
	assert_int_equal(promise_put(&q, 5, 5, 0), -1);
	no_disk = false;
	syncs = 0;
	assert_int_equal(promise_put(&q, 0, 0, 0), 0);
	assert_int_equal(syncs, 1);
	assert_int_equal(q.promised, 5);
	load(after);
	assert_memory_not_equal(before, after, SIZE);
	assert_int_equal(promise_put(&q, 5, 5, 0), 0);
	assert_int_equal(syncs, 1);
	close(q.fd);
	/* Nor does one that goes on with its descriptor know better. */
	assert_int_equal(promise_adopt(&q, two, OWNER), 0);
	assert_int_equal(promise_put(&q, 5, 5, 0), 0);
	assert_int_equal(syncs, 2);
	close(q.fd);
}

static void
test_note(void **state)
{
	uint8_t note[PROMISE_NOTE_MAX], out[PROMISE_NOTE_MAX];
	struct promise p;
	size_t i;

	for (i = 0; i < sizeof(note); i++)
		note[i] = (uint8_t)(i * 7);
	begin(&p, true);
	assert_int_equal(promise_note_get(&p, out), 0);
	assert_int_equal(promise_note_put(&p, note, sizeof(note)), 0);
	assert_int_equal(promise_note_get(&p, out), sizeof(note));
	assert_memory_equal(note, out, sizeof(note));
	assert_int_equal(promise_note_put(&p, note, 10), 0);
	assert_int_equal(promise_note_get(&p, out), 10);
	assert_int_equal(promise_note_put(&p, note, sizeof(note) + 1), -1);
	assert_int_equal(promise_put(&p, 5, 5, 0), 0);
	assert_int_equal(promise_note_get(&p, out), 10);
	close(p.fd);
	/* Half of one is none. */
	load(before);
	before[PROMISE_SLOTS * PROMISE_BLOCK + 30] ^= 1;
	store(before, SIZE);
	begin(&p, false);
	assert_int_equal(p.promised, 5);
	assert_int_equal(promise_note_get(&p, out), 0);
	close(p.fd);
}

static int
set_up(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/promise.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/" PROMISE_FILE, dir);
	return 0;
}

static int
tear_down(void **state)
{
	unlink(path);
	return rmdir(dir);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_new),
		TEST(test_put),
		TEST(test_torn),
		TEST(test_older_release),
		TEST(test_rot),
		TEST(test_owner),
		TEST(test_lock),
		TEST(test_failure),
		TEST(test_unsure),
		TEST(test_note),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
