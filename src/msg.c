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

#define FIELD_OF(f, t, p) { #f, t, offsetof(struct_t, f), 0, (p), NULL },
#define STRUCT(n)                                            \
	static const struct codec_desc *n##_desc(void)       \
	{                                                    \
		typedef struct n struct_t;                   \
		static const struct codec_field fields[] = {
#define MSG(id, n, from, to, ph) STRUCT(n)
#define BOOL(f)                  FIELD_OF(f, CT_BOOL, 0)
#define I64(f)                   FIELD_OF(f, CT_I64, 0)
#define U32(f)                   FIELD_OF(f, CT_U32, 0)
#define U32MAX(f, m)             FIELD_OF(f, CT_U32, m)
#define U64(f)                   FIELD_OF(f, CT_U64, 0)
#define STR(f, m)                FIELD_OF(f, CT_STR, m)
#define BYTES(f, m)              FIELD_OF(f, CT_BYTES, m)
#define SECRET(f)                FIELD_OF(f, CT_SECRET, SECRET_MAX)
#define ARR(f, t, m)                                                           \
	{ #f, CT_ARRAY, offsetof(struct_t, n_##f), offsetof(struct_t, f), (m), \
		t##_desc },
#define END(n)                                                                 \
	}                                                                      \
	;                                                                      \
	static const struct codec_desc desc = { #n, fields, PS_NITEMS(fields), \
		sizeof(struct_t) };                                            \
	return &desc;                                                          \
	}
#include "msg.def"
#undef STRUCT
#undef MSG
#undef BOOL
#undef I64
#undef U32
#undef U32MAX
#undef U64
#undef STR
#undef BYTES
#undef SECRET
#undef ARR
#undef END

#define STRUCT(n)
#define MSG(id, n, from, to, ph)                         \
	{ MSG_##id, #id, (from), (to), (ph), n##_desc },
#define BOOL(f)
#define I64(f)
#define U32(f)
#define U32MAX(f, m)
#define U64(f)
#define STR(f, m)
#define BYTES(f, m)
#define SECRET(f)
#define ARR(f, t, m)
#define END(n)
static const struct ps_msg msgs[] = {
#include "msg.def"
};
#undef MSG
#undef END

/* The largest struct, computed as the size of a union of all. */
#define MSG(id, n, from, to, ph) struct n u_##n;
#define END(n)
union msg_any {
#include "msg.def"
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
