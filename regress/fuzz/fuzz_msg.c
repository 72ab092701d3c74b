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
 * Frames between processes: what is accepted decodes, and encodes to what
 * decodes to the same.
 */

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "msg.h"

static const struct ps_msg *
find(uint32_t type)
{
	for (size_t i = 0; i < msg_schema.nmsgs; i++)
		if (msg_schema.msgs[i].type == type)
			return &msg_schema.msgs[i];
	return NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t frame[PS_FRAME_MAX];
	const struct ps_msg *m;
	uint32_t type;
	void *a, *b;
	int n;

	if (codec_peek(data, len, &type) == -1 || (m = find(type)) == NULL)
		return 0;
	a = calloc(1, m->desc()->size);
	b = calloc(1, m->desc()->size);
	FUZZ_CHECK(a != NULL && b != NULL);
	if (codec_decode(m->desc(), data, len, a) == 0) {
		n = codec_encode(m->desc(), type, a, frame, sizeof(frame));
		FUZZ_CHECK(n > 0);
		FUZZ_CHECK(codec_decode(m->desc(), frame, (size_t)n, b) == 0);
		FUZZ_CHECK(memcmp(a, b, m->desc()->size) == 0);
	}
	free(a);
	free(b);
	return 0;
}

/* Every message, empty; then 135 bytes that claim to be a deep nest. */
size_t
fuzz_seed(unsigned i, uint8_t *buf, size_t size)
{
	const struct ps_msg *m;
	void *p;
	int n;

	if (i == msg_schema.nmsgs) {
		for (n = 0; n < 135; n++)
			buf[n] = n % 5 == 0 ? 0xdd : 0x7f;
		return 135;
	}
	if (i > msg_schema.nmsgs)
		return 0;
	m = &msg_schema.msgs[i];
	p = calloc(1, m->desc()->size);
	FUZZ_CHECK(p != NULL);
	n = codec_encode(m->desc(), m->type, p, buf, size);
	FUZZ_CHECK(n > 0);
	free(p);
	return (size_t)n;
}
