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
 * What only the set-up needed is given back: every process of the operator
 * pays for its own pages, and most live long and do little.
 */

#include <sys/mman.h>

#include <link.h>
#include <malloc.h>
#include <unistd.h>

#include <event2/event.h>

#include "internal.h"

#define AGAIN_S 30 /* first connections and lists are done by then */

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

void
memory_settle(void)
{
	(void)malloc_trim(0);
	(void)dl_iterate_phdr(drop_text, NULL);
}

static void
again_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	memory_settle();
}

/* Now, and once more when the process has done each thing once. */
void
memory_settle_on(struct event_base *base)
{
	const struct timeval tv = { .tv_sec = AGAIN_S };

	memory_settle();
	if (event_base_once(base, -1, EV_TIMEOUT, again_cb, NULL, &tv) == -1)
		log_warnx("no memory is given back later");
}
