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
 * What a MySQL server says to guard and sidecar: the first byte chooses how
 * far the session is, the rest comes in two parts.
 */

#include <string.h>

#include "fuzz.h"
#include "myc.h"

static void
drain(struct myc *c)
{
	enum myc_event ev;

	while ((ev = myc_step(c)) != MYC_MORE) {
		FUZZ_CHECK(ev != MYC_LOST || c->state == MYC_CLOSED);
		for (unsigned i = 0; ev == MYC_ROW && i < c->ncols; i++)
			if (c->col[i] != NULL)
				FUZZ_CHECK(c->col[i][c->len[i]] == '\0' &&
				    (const uint8_t *)c->col[i] + c->len[i] <
					c->in + c->in_size);
	}
	FUZZ_CHECK(c->out_len <= sizeof(c->out) && c->in_len < c->in_size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct secret pw = { .len = 2, .data = "pw" };
	static uint8_t buf[MYC_BUF_MIN];
	struct myc c;
	size_t n, half;

	if (len == 0)
		return 0;
	myc_init(&c, buf, sizeof(buf));
	c.state = (enum myc_state)(data[0] % (MYC_ROWS + 1));
	c.ncols = 1 + (data[0] >> 4) % MYC_COLS_MAX;
	c.user = "u";
	c.password = &pw;
	data++, len--;
	half = len / 2;
	for (int part = 0; part < 2; part++) {
		n = part == 0 ? half : len - half;
		if (n > c.in_size - 1 - c.in_len)
			n = c.in_size - 1 - c.in_len;
		memcpy(c.in + c.in_len, data, n);
		c.in_len += n;
		data += half;
		drain(&c);
	}
	myc_close(&c);
	return 0;
}

#define SEED(s) { s, sizeof(s) - 1 }
size_t
fuzz_seed(unsigned i, uint8_t *buf, size_t size)
{
	static const struct {
		const char *p;
		size_t len;
	} seeds[] = {
		SEED(
		    "\1\x4a\0\0\0\x0a"
		    "9.7.0\0\1\0\0\0abcdefgh\0\xff\xff\xff\2\0"
		    "\xff\xff\x15\0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0"
		    "caching_sha2_password\0\2\0\0\2\1\3\7\0\0\3\0\0\0\2\0\0\0"),
		SEED("\2\2\0\0\0\1\4\7\0\0\2\0\0\0\2\0\0\0"),
		SEED("\4\1\0\0\0\1\2\0\0\1xx\5\0\0\2\xfe\0\0\2\0\4\0\0\3\3abc"
		     "\5\0\0\4\xfe\0\0\2\0"),
		SEED("\x16\5\0\0\0\1a\xfb\1b\5\0\0\1\xfe\0\0\2\0"),
		SEED("\4\x11\0\0\0\xff\x15\4#28000no access"),
	};

	if (i >= sizeof(seeds) / sizeof(seeds[0]) || seeds[i].len > size)
		return 0;
	memcpy(buf, seeds[i].p, seeds[i].len);
	return seeds[i].len;
}
