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

/* What memory_settle() gives back, and what it must leave alone. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

#define PAGE 4096

/* KiB of libm's text that are mapped: nobody here calls it. */
static unsigned long
text(void)
{
	char line[512], perm[8];
	unsigned long n, kib = 0;
	bool in = false;
	FILE *f = fopen("/proc/self/smaps", "re");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%*x-%*x %7s", perm) == 1)
			in = strcmp(perm, "r-xp") == 0 &&
			    strstr(line, "/libm.so") != NULL;
		else if (in && sscanf(line, "Rss: %lu", &n) == 1)
			kib += n;
	}
	fclose(f);
	return kib;
}

static int
touch(struct dl_phdr_info *info, size_t size, void *arg)
{
	volatile const char *p;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

		if (ph->p_type != PT_LOAD || ph->p_flags != (PF_R | PF_X) ||
		    strstr(info->dlpi_name, "/libm.so") == NULL)
			continue;
		p = (const char *)(info->dlpi_addr + ph->p_vaddr);
		for (size_t at = 0; at < ph->p_memsz; at += PAGE)
			*(int *)arg += p[at];
	}
	return 0;
}

static void
test_text(void **state)
{
	int sum = 0;

	(void)state;
	assert_non_null(dlopen("libm.so.6", RTLD_NOW));
	(void)dl_iterate_phdr(touch, &sum);
	assert_true(text() > 100);
	memory_settle();
	assert_int_equal(text(), 0);
}

static char zeros[16 * PAGE], page[16 * PAGE];

/* Variables stay as they are, pages of zeros between them or not. */
static void
test_variables(void **state)
{
	(void)state;
	zeros[3 * PAGE] = 1;
	memset(page, 7, sizeof(page));
	memory_settle();
	for (size_t i = 0; i < sizeof(page); i++) {
		assert_int_equal(page[i], 7);
		assert_int_equal(zeros[i], i == 3 * PAGE);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_variables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
