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

/* When the text of a burst of work is given back. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "internal.h"

static void
none(struct memory_rule *r, int64_t n, unsigned looks)
{
	while (looks-- > 0)
		assert_false(memory_over(r, n));
}

/* A handshake, in a process that does the same little thing else. */
static void
test_burst(void **state)
{
	struct memory_rule r = MEMORY_RULE;

	(void)state;
	none(&r, 70, 1);
	none(&r, 0, 9);
	none(&r, 60, 1);
	assert_true(memory_over(&r, 0));
	none(&r, 70, 1);
	none(&r, 0, 9);
}

/* One that came while all else came back shows against the least ever. */
static void
test_hidden(void **state)
{
	struct memory_rule r = MEMORY_RULE;

	(void)state;
	none(&r, 70, 1);
	none(&r, 60, 1);
	assert_true(memory_over(&r, 1));
	none(&r, 130, 1);
	assert_true(memory_over(&r, 0));
	none(&r, 70, 1);
	none(&r, 0, 9);
}

/* Not while it goes on. */
static void
test_long(void **state)
{
	struct memory_rule r = MEMORY_RULE;

	(void)state;
	none(&r, 70, 1);
	none(&r, 100, 1);
	none(&r, 200, 1);
	none(&r, 300, 1);
	assert_true(memory_over(&r, 20));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
