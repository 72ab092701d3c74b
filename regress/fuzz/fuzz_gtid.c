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
 * GTID sets: what parses prints, and the print parses to the same set; the
 * algebra holds.
 */

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "gtid.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct gtid_set a, b, c;
	static char text[200000];
	char *s = malloc(len + 1);

	FUZZ_CHECK(s != NULL);
	memcpy(s, data, len);
	s[len] = '\0';
	if (gtid_parse(&a, s) == 0 &&
	    gtid_print(&a, text, sizeof(text)) != -1) {
		FUZZ_CHECK(gtid_parse(&b, text) == 0);
		FUZZ_CHECK(gtid_equal(&a, &b) && gtid_contains(&a, &b));
		FUZZ_CHECK(gtid_subtract(&c, &a, &b) == 0 && gtid_empty(&c));
		FUZZ_CHECK(gtid_union(&c, &a, &b) == 0 && gtid_equal(&c, &a));
		FUZZ_CHECK(gtid_empty(&a) == (gtid_count(&a) == 0));
	}
	free(s);
	return 0;
}

size_t
fuzz_seed(unsigned i, uint8_t *buf, size_t size)
{
	static const char *const seeds[] = {
		"3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5",
		"3E11FA47-71CA-11E1-9E33-C80AA9429562:1-3:11:47-49,\n"
		"3e11fa47-71ca-11e1-9e33-c80aa9429563:1",
		"3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:tag_a:1-9:3-4,"
		"3e11fa47-71ca-11e1-9e33-c80aa9429562:b:7",
		"3e11fa47-71ca-11e1-9e33-c80aa9429562:1-9223372036854775806",
		" , ,",
	};

	if (i >= sizeof(seeds) / sizeof(seeds[0]) || strlen(seeds[i]) > size)
		return 0;
	memcpy(buf, seeds[i], strlen(seeds[i]));
	return strlen(seeds[i]);
}
