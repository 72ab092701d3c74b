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
 * What the link reads before anybody has proved anything: frames that come in
 * pieces, as many as a peer likes to cut.
 */

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "link.h"

/* As link_conn.c consumes: whole frames leave, the beginning stays. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t buf[2 * (LINK_HEAD + LINK_FRAME_MAX)];
	size_t have = 0, off, len, piece, total = 0;
	int rc = 0;

	while (size > 0 && rc != -1) {
		piece = 1 + data[0] % 97;
		if (piece > size)
			piece = size;
		FUZZ_CHECK(piece <= sizeof(buf) - have);
		memcpy(buf + have, data, piece);
		data += piece;
		size -= piece;
		have += piece;
		off = 0;
		while ((rc = link_frame(buf + off, have - off, &len)) == 1) {
			FUZZ_CHECK(len > 0 && len <= LINK_FRAME_MAX);
			FUZZ_CHECK(LINK_HEAD + len <= have - off);
			off += LINK_HEAD + len;
			total += len;
		}
		memmove(buf, buf + off, have - off);
		have -= off;
		FUZZ_CHECK(rc == -1 || have < LINK_HEAD + LINK_FRAME_MAX);
	}
	return 0;
}

size_t
fuzz_seed(unsigned i, uint8_t *buf, size_t size)
{
	size_t n = 0;

	if (i > 2)
		return 0;
	memset(buf, 'x', size);
	/* Small ones, a large one, and one of each. */
	if (i != 1)
		for (unsigned k = 1; k < 9; k++) {
			buf[n] = 0;
			buf[n + 1] = (uint8_t)(k * 17);
			n += 2 + k * 17;
		}
	if (i != 0) {
		buf[n] = LINK_FRAME_MAX >> 8;
		buf[n + 1] = LINK_FRAME_MAX & 0xff;
		n += LINK_HEAD + LINK_FRAME_MAX;
	}
	return n;
}
