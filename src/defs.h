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
 * One pass over a file of declarations (msg.def, wire.def). The includer
 * defines DEFS_FILE and one of
 *
 *	DEFS_STRUCTS	the C structs
 *	DEFS_DESCS	a function n##_desc() for each, with codec's descriptor
 *	DEFS_LIST	what DEFS_ITEM makes of each message: (id, name, from,
 *			to, phases) of msg.def, (id, name) of wire.def
 *
 * All of them are undefined again at the end. No guard: included once a pass.
 */

#if defined(DEFS_STRUCTS)

#define STRUCT(n)    struct n {
#define BOOL(f)      bool f;
#define I64(f)       int64_t f;
#define U32(f)       uint32_t f;
#define U32MAX(f, m) uint32_t f;
#define U64(f)       uint64_t f;
#define STR(f, m)    char f[(m) + 1];
#define BYTES(f, m)              \
	struct {                 \
		uint32_t len;    \
		uint8_t data[m]; \
	} f;
#define SECRET(f) struct secret f;
#define ARR(f, t, m)    \
	uint32_t n_##f; \
	struct t f[m];
#define END(n) \
	}      \
	;
#define END_LATER(n, k) END(n)

#elif defined(DEFS_DESCS)

#define DEFS_FIELD(f, t, p) { #f, t, offsetof(struct_t, f), 0, (p), NULL },
#define STRUCT(n)                                            \
	static const struct codec_desc *n##_desc(void)       \
	{                                                    \
		typedef struct n struct_t;                   \
		static const struct codec_field fields[] = {
#define BOOL(f)      DEFS_FIELD(f, CT_BOOL, 0)
#define I64(f)       DEFS_FIELD(f, CT_I64, 0)
#define U32(f)       DEFS_FIELD(f, CT_U32, 0)
#define U32MAX(f, m) DEFS_FIELD(f, CT_U32, m)
#define U64(f)       DEFS_FIELD(f, CT_U64, 0)
#define STR(f, m)    DEFS_FIELD(f, CT_STR, m)
#define BYTES(f, m)  DEFS_FIELD(f, CT_BYTES, m)
#define SECRET(f)    DEFS_FIELD(f, CT_SECRET, SECRET_MAX)
#define ARR(f, t, m)                                                           \
	{ #f, CT_ARRAY, offsetof(struct_t, n_##f), offsetof(struct_t, f), (m), \
		t##_desc },
#define END(n) END_LATER(n, 0)
#define END_LATER(n, k)                                                        \
	}                                                                      \
	;                                                                      \
	static const struct codec_desc desc = { #n, fields, PS_NITEMS(fields), \
		sizeof(struct_t), (k) };                                       \
	return &desc;                                                          \
	}

#elif defined(DEFS_LIST)

#define STRUCT(n)
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
#define END_LATER(n, k)

#else
#error "DEFS_STRUCTS, DEFS_DESCS or DEFS_LIST"
#endif

#if defined(DEFS_LIST)
#define MSG(id, n, from, to, ph) DEFS_ITEM(id, n, from, to, ph)
#define WIRE(id, n)              DEFS_ITEM(id, n)
#else
#define MSG(id, n, from, to, ph) STRUCT(n)
#define WIRE(id, n)              STRUCT(n)
#endif

#include DEFS_FILE

#undef MSG
#undef WIRE
#undef STRUCT
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
#undef END_LATER
#undef DEFS_FIELD
#undef DEFS_ITEM
#undef DEFS_STRUCTS
#undef DEFS_DESCS
#undef DEFS_LIST
#undef DEFS_FILE
