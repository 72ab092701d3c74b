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
 * Messages that are kept: as they travelled, since a struct has room for the
 * worst case. The status of a group of two sites is 100 KB as structs, and
 * less than 2 KB as bytes.
 */

#include <stdlib.h>
#include <string.h>

#include "msg.h"

void
msg_keep(struct msg_kept *k, uint32_t type, const void *msg)
{
	static uint8_t frame[PS_FRAME_MAX];
	ssize_t n;

	/* It came in a frame, or is going to. */
	n = codec_encode(msg_schema.msgs[type - PS_MSG_FIRST].desc(), type, msg,
	    frame, sizeof(frame));
	if (n == -1)
		fatal("%s", msg_name(type));
	if ((size_t)n != k->len) {
		free(k->bytes);
		if ((k->bytes = malloc((size_t)n)) == NULL)
			fatal("malloc");
	}
	memcpy(k->bytes, frame, (size_t)n);
	k->len = (size_t)n;
	k->type = type;
}

bool
msg_kept(const struct msg_kept *k, void *msg)
{
	const struct codec_desc *d;

	if (k->bytes == NULL)
		return false;
	d = msg_schema.msgs[k->type - PS_MSG_FIRST].desc();
	memset(msg, 0, d->size);
	if (codec_decode(d, k->bytes, k->len, msg) == -1)
		fatal("%s", msg_name(k->type));
	return true;
}

void
msg_forget(struct msg_kept *k)
{
	free(k->bytes);
	memset(k, 0, sizeof(*k));
}
