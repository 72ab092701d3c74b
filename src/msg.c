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
 * Descriptors of every message, from msg.def: see there.
 */

#include <stddef.h>

#include "msg.h"

#define DEFS_FILE "msg.def"
#define DEFS_DESCS
#include "defs.h"

#define DEFS_FILE "msg.def"
#define DEFS_LIST
#define DEFS_ITEM(id, n, from, to, ph)                   \
	{ MSG_##id, #id, (from), (to), (ph), n##_desc },
static const struct ps_msg msgs[] = {
#include "defs.h"
};

/* The largest struct, computed as the size of a union of all. */
#define DEFS_FILE "msg.def"
#define DEFS_LIST
#define DEFS_ITEM(id, n, from, to, ph) struct n u_##n;
union msg_any {
#include "defs.h"
};

const struct ps_schema msg_schema = {
	.msgs = msgs,
	.nmsgs = PS_NITEMS(msgs),
	.max_size = sizeof(union msg_any),
};

const char *
msg_name(uint32_t type)
{
	if (type <= MSG_BEFORE_FIRST || type >= MSG_AFTER_LAST)
		return NULL;
	return msgs[type - PS_MSG_FIRST].name;
}
