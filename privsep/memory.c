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
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "internal.h"

#define AGAIN_S  30 /* first connections and lists are done by then */
#define EACH_S   30
/* Processor time between two looks that is more than the usual. */
#define BURST_MS 5

/*
 * Pages of programs and libraries come back from the page cache when they
 * are touched again. Only what was never writable may be dropped: relocated
 * data is nowhere else.
 */
static int
drop_text(struct dl_phdr_info *info, size_t size, void *arg)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	(void)arg;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t start, end;

		if (ph->p_type != PT_LOAD || (ph->p_flags & PF_W) != 0)
			continue;
		start = info->dlpi_addr + ph->p_vaddr;
		end = start + ph->p_memsz;
		start &= ~(page - 1);
		end = (end + page - 1) & ~(page - 1);
		(void)madvise((void *)start, end - start, MADV_DONTNEED);
	}
	return 0;
}

/*
 * Variables that begin as zeros, in whole pages: messages are built in static
 * structs that have room for the largest, and most of that stays zero.
 */
static int
trim_bss(struct dl_phdr_info *info, size_t size, void *arg)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	(void)arg;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t start, end;

		if (ph->p_type != PT_LOAD || (ph->p_flags & PF_W) == 0)
			continue;
		start = info->dlpi_addr + ph->p_vaddr + ph->p_filesz;
		end = info->dlpi_addr + ph->p_vaddr + ph->p_memsz;
		start = (start + page - 1) & ~(page - 1);
		end &= ~(page - 1);
		if (end > start)
			sparse_trim((void *)start, end - start);
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
	(void)dl_iterate_phdr(trim_bss, NULL);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
}

void
memory_settle(void)
{
	trim();
	(void)dl_iterate_phdr(drop_text, NULL);
}

/* Processor time so far. */
static int64_t
cpu_ms(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) == -1)
		return 0;
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void each_cb(evutil_socket_t, short, void *);

static void
each_in(struct event_base *base)
{
	const struct timeval tv = { .tv_sec = EACH_S };

	if (event_base_once(base, -1, EV_TIMEOUT, each_cb, base, &tv) == -1)
		log_warnx("no memory is given back any more");
}

/*
 * The heap grows with each burst of work. Of text, what a burst needed goes
 * when it is over, and not before.
 */
static void
each_cb(evutil_socket_t fd, short what, void *arg)
{
	static int64_t total, last;
	int64_t now = cpu_ms(), used = now - total;

	(void)fd;
	(void)what;
	if (last > used + used / 4 + BURST_MS)
		memory_settle();
	else
		trim();
	total = now;
	last = used;
	each_in(arg);
}

static void
again_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	memory_settle();
	each_in(arg);
}

/* Now, once more when the process has done each thing once, and ever after. */
void
memory_settle_on(struct event_base *base)
{
	const struct timeval tv = { .tv_sec = AGAIN_S };

	memory_settle();
	if (event_base_once(base, -1, EV_TIMEOUT, again_cb, base, &tv) == -1)
		log_warnx("no memory is given back later");
}
