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

/* Sparse structs: what stays zero costs nothing, and nothing else changes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "privsep.h"

#define PAGES 8
#define SPAN  (PAGES * page)

static size_t page;
static uint8_t zeros[PAGES * 65536], copy[PAGES * 65536];

/* Pages of its own: the kernel's page of zeros belongs to nobody. */
static unsigned
own_pages(const void *p)
{
	uint64_t e[PAGES];
	unsigned n = 0;
	FILE *f;

	assert_non_null(f = fopen("/proc/self/pagemap", "r"));
	assert_int_equal(
	    fseek(f, (long)((uintptr_t)p / page * sizeof(e[0])), SEEK_SET), 0);
	assert_int_equal(fread(e, sizeof(e[0]), PAGES, f), PAGES);
	assert_int_equal(fclose(f), 0);
	for (unsigned i = 0; i < PAGES; i++)
		n += (e[i] >> 63 & 1) != 0 && (e[i] >> 56 & 1) != 0;
	return n;
}

static void
test_new(void **state)
{
	uint8_t *p = sparse_new(SPAN);

	(void)state;
	assert_non_null(p);
	assert_memory_equal(p, zeros, SPAN);
	assert_int_equal(own_pages(p), 0);
	p[3 * page + 7] = 1;
	assert_int_equal(own_pages(p), 1);
	sparse_free(p, SPAN);
	sparse_free(NULL, SPAN);
}

/* Whatever the alignment: what is written is what differs. */
static void
test_copy(void **state)
{
	uint8_t *p = sparse_new(SPAN);

	(void)state;
	assert_non_null(p);
	for (size_t off = 0; off < 3; off++) {
		memset(copy, 0, sizeof(copy));
		copy[5 * page] = (uint8_t)(off + 1);
		copy[SPAN - off - 1] = 9;
		sparse_copy(p + off, copy, SPAN - off);
		assert_memory_equal(p + off, copy, SPAN - off);
		assert_int_equal(own_pages(p), 2);
	}
	memset(copy, 0, sizeof(copy));
	sparse_copy(p, copy, SPAN);
	assert_memory_equal(p, zeros, SPAN);
	sparse_copy(p, copy, 0);
	sparse_free(p, SPAN);
}

static void
test_trim(void **state)
{
	uint8_t *p = sparse_new(SPAN);

	(void)state;
	assert_non_null(p);
	memset(p, 0, SPAN);
	p[0] = p[3 * page - 1] = p[5 * page] = 1;
	assert_int_equal(own_pages(p), PAGES);
	memcpy(copy, p, SPAN);
	/* Half a page at the end is left alone. */
	sparse_trim(p, SPAN - page / 2);
	assert_memory_equal(p, copy, SPAN);
	assert_int_equal(own_pages(p), 4);
	sparse_trim(p, SPAN);
	assert_memory_equal(p, copy, SPAN);
	assert_int_equal(own_pages(p), 3);
	p[page] = 2;
	assert_int_equal(p[page], 2);
	sparse_free(p, SPAN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_trim),
	};

	page = (size_t)sysconf(_SC_PAGESIZE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
