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
 * What is not needed any more is given back: every process of the operator
 * pays for its own pages, and most live long and do little. None has a second
 * thread.
 */

#include <sys/mman.h>

#include <link.h>
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <event2/event.h>

#include "internal.h"

#define EACH_S 30

/*
 * Where programs and libraries lie. Their headers are read once: to read them
 * each time maps their first 64 KB again.
 */
struct range {
	uintptr_t start, end;
};

#define OBJS_MAX 16 /* what is beyond keeps its pages */

static struct range texts[OBJS_MAX], zeros[OBJS_MAX];
static size_t ntexts, nzeros;

/*
 * Pages of programs and libraries come back from the page cache when they
 * are touched again. Only what was never writable may be dropped: relocated
 * data is nowhere else.
 */
static void
add_text(uintptr_t start, uintptr_t end, uintptr_t page)
{
	start &= ~(page - 1);
	end = (end + page - 1) & ~(page - 1);
	/* Segments of one object lie side by side. */
	if (ntexts > 0 && texts[ntexts - 1].end == start)
		texts[ntexts - 1].end = end;
	else if (ntexts < OBJS_MAX)
		texts[ntexts++] = (struct range) { start, end };
}

/*
 * Variables that begin as zeros, in whole pages: messages are built in static
 * structs that have room for the largest, and most of that stays zero.
 */
static void
add_zeros(uintptr_t start, uintptr_t end, uintptr_t page)
{
	start = (start + page - 1) & ~(page - 1);
	end &= ~(page - 1);
	if (end > start && nzeros < OBJS_MAX)
		zeros[nzeros++] = (struct range) { start, end };
}

static int
add_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	(void)arg;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type != PT_LOAD)
			continue;
		if ((ph->p_flags & PF_W) == 0)
			add_text(start, start + ph->p_memsz, page);
		else
			add_zeros(
			    start + ph->p_filesz, start + ph->p_memsz, page);
	}
	return 0;
}

/* A page is looked at, then given back: nothing may write in between. */
static void
trim(void)
{
	sigset_t all, old;

	(void)malloc_trim(0);
#ifdef __SANITIZE_ADDRESS__
	return; /* it must not be looked at between the variables */
#endif
	sigfillset(&all);
	if (sigprocmask(SIG_BLOCK, &all, &old) == -1)
		return;
	for (size_t i = 0; i < nzeros; i++)
		sparse_trim(
		    (void *)zeros[i].start, zeros[i].end - zeros[i].start);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
}

void
memory_settle(void)
{
	if (ntexts == 0)
		(void)dl_iterate_phdr(add_object, NULL);
	trim();
	for (size_t i = 0; i < ntexts; i++)
		(void)madvise((void *)texts[i].start,
		    texts[i].end - texts[i].start, MADV_DONTNEED);
}

static void each_cb(evutil_socket_t, short, void *);

/*
 * Now and ever after. The heap grows with each burst of work, and a TLS
 * handshake maps 2 MB of text. What comes back at once is what the process does
 * all the time: some dozens of page faults, which find it in the page cache.
 */
void
memory_settle_on(struct event_base *base)
{
	const struct timeval tv = { .tv_sec = EACH_S };

	memory_settle();
	if (event_base_once(base, -1, EV_TIMEOUT, each_cb, base, &tv) == -1)
		log_warnx("no memory is given back any more");
}

static void
each_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	memory_settle_on(arg);
}
