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
 * A msgpack reader that allocates nothing. msgpack-c reserves memory from an
 * array's header before it has seen an element: a 135-byte nest of array32
 * headers costs it gigabytes. Peer bytes pass here first.
 */

#include <errno.h>

#include "internal.h"

static uint64_t
be(const uint8_t *p, size_t n)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < n; i++)
		v = v << 8 | p[i];
	return (v);
}

/* Take n bytes of big-endian number. */
static int
take(struct mp *m, size_t n, uint64_t *v)
{
	if (m->left < n) {
		errno = EBADMSG;
		return (-1);
	}
	*v = be(m->p, n);
	m->p += n;
	m->left -= n;
	return (0);
}

static int
take_data(struct mp *m, struct mp_val *v, enum mp_type type, uint64_t len)
{
	if (m->left < len) {
		errno = EBADMSG;
		return (-1);
	}
	v->type = type;
	v->len = (uint32_t)len;
	v->data = m->p;
	m->p += len;
	m->left -= len;
	return (0);
}

/* An element takes at least one byte, so a count beyond what is left lies. */
static int
take_array(struct mp *m, struct mp_val *v, uint64_t n)
{
	if (m->left < n) {
		errno = EBADMSG;
		return (-1);
	}
	v->type = MP_ARRAY;
	v->len = (uint32_t)n;
	return (0);
}

static void
set_signed(struct mp_val *v, int64_t i)
{
	if (i >= 0) {
		v->type = MP_UINT;
		v->u = (uint64_t)i;
	} else {
		v->type = MP_NEGINT;
		v->i = i;
	}
}

/* Formats 0xc0 to 0xdf of the msgpack specification. */
static int
next_c0(struct mp *m, uint8_t b, struct mp_val *v)
{
	uint64_t n;
	size_t w;

	switch (b) {
	case 0xc0:
		v->type = MP_NIL;
		return (0);
	case 0xc2:
	case 0xc3:
		v->type = MP_BOOL;
		v->u = b & 1;
		return (0);
	case 0xc4:
	case 0xc5:
	case 0xc6:
		if (take(m, (size_t)1 << (b - 0xc4), &n) == -1)
			return (-1);
		return (take_data(m, v, MP_BIN, n));
	case 0xca:
	case 0xcb:
		v->type = MP_FLOAT;
		return (take(m, b == 0xca ? 4 : 8, &n));
	case 0xcc:
	case 0xcd:
	case 0xce:
	case 0xcf:
		v->type = MP_UINT;
		return (take(m, (size_t)1 << (b - 0xcc), &v->u));
	case 0xd0:
	case 0xd1:
	case 0xd2:
	case 0xd3:
		w = (size_t)1 << (b - 0xd0);
		if (take(m, w, &n) == -1)
			return (-1);
		/* Sign-extend from w bytes. */
		set_signed(v, (int64_t)(n << (64 - 8 * w)) >> (64 - 8 * w));
		return (0);
	case 0xd9:
	case 0xda:
	case 0xdb:
		if (take(m, (size_t)1 << (b - 0xd9), &n) == -1)
			return (-1);
		return (take_data(m, v, MP_STR, n));
	case 0xdc:
	case 0xdd:
		if (take(m, b == 0xdc ? 2 : 4, &n) == -1)
			return (-1);
		return (take_array(m, v, n));
	default:
		/* 0xc1, ext types, maps. */
		errno = EBADMSG;
		return (-1);
	}
}

int
mp_next(struct mp *m, struct mp_val *v)
{
	uint64_t b;

	*v = (struct mp_val) { .type = MP_NIL };
	if (take(m, 1, &b) == -1)
		return (-1);
	if (b <= 0x7f || b >= 0xe0) {
		set_signed(v, (int8_t)(uint8_t)b);
		return (0);
	}
	if (b >= 0xa0 && b <= 0xbf)
		return (take_data(m, v, MP_STR, b & 0x1f));
	if (b >= 0x90 && b <= 0x9f)
		return (take_array(m, v, b & 0x0f));
	if (b >= 0xc0)
		return (next_c0(m, (uint8_t)b, v));
	errno = EBADMSG; /* fixmap */
	return (-1);
}

int
mpscan(const uint8_t *buf, size_t len, unsigned max_depth, unsigned max_breadth)
{
	struct mp m = { buf, len };
	struct mp_val v;
	uint32_t todo[MP_DEPTH_MAX]; /* elements left, by depth */
	unsigned depth = 0;

	if (max_depth > MP_DEPTH_MAX)
		max_depth = MP_DEPTH_MAX;
	do {
		if (depth > 0)
			todo[depth - 1]--;
		if (mp_next(&m, &v) == -1)
			return (-1);
		if (v.type == MP_ARRAY) {
			if (depth >= max_depth || v.len > max_breadth)
				goto bad;
			todo[depth++] = v.len;
		}
		while (depth > 0 && todo[depth - 1] == 0)
			depth--;
	} while (depth > 0);
	if (m.left == 0)
		return (0);
bad:
	errno = EBADMSG;
	return (-1);
}
