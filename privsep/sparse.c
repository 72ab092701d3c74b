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
 * Large flat structs with room for the worst case, of which most is never
 * used. The kernel keeps one page of zeros for all that was never written;
 * what is read there costs nothing.
 */

#include <sys/mman.h>

#include <string.h>
#include <unistd.h>

#include "internal.h"

static size_t
page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

void *
sparse_new(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void
sparse_free(void *p, size_t size)
{
	if (p != NULL)
		(void)munmap(p, size);
}

void
sparse_copy(void *dst, const void *src, size_t size)
{
	const size_t page = page_size();
	const char *s = src;
	char *d = dst;
	size_t n;

	for (; size > 0; d += n, s += n, size -= n) {
		/* Up to the next page of the destination. */
		n = page - (uintptr_t)d % page;
		if (n > size)
			n = size;
		if (memcmp(d, s, n) != 0)
			memcpy(d, s, n);
	}
}

static bool
all_zero(const char *p, size_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

void
sparse_trim(void *p, size_t size)
{
	const size_t page = page_size();
	char *at = p, *end = at + size, *run = NULL;

	for (; (size_t)(end - at) >= page; at += page) {
		if (all_zero(at, page)) {
			run = run == NULL ? at : run;
			continue;
		}
		if (run != NULL)
			(void)madvise(run, (size_t)(at - run), MADV_DONTNEED);
		run = NULL;
	}
	if (run != NULL)
		(void)madvise(run, (size_t)(at - run), MADV_DONTNEED);
}
