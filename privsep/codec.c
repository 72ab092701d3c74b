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
 * Structs to frames and back, by descriptor. Writing uses msgpack-c's packer
 * into a bounded buffer; reading uses the scanner's cursor, which allocates
 * nothing. Recursion follows the descriptors, never the input.
 */

#include <errno.h>
#include <string.h>

#include <msgpack.h>

#include "internal.h"

struct wbuf {
	uint8_t *p;
	size_t left;
};

static int
wbuf_write(void *arg, const char *data, size_t len)
{
	struct wbuf *w = arg;

	if (len > w->left) {
		errno = ENOBUFS;
		return (-1);
	}
	memcpy(w->p, data, len);
	w->p += len;
	w->left -= len;
	return (0);
}

static int
erange(void)
{
	errno = ERANGE;
	return (-1);
}

static int
ebadmsg(void)
{
	errno = EBADMSG;
	return (-1);
}

static uint32_t
get_u32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return (v);
}

/* Whose frame: fields are as we have them, or as a peer may have them. */
enum shape { SH_EXACT, SH_PEER };

/* ------------------------------------------------------------- encoding --- */

static int encode_struct(
    msgpack_packer *, const struct codec_desc *, const uint8_t *, enum shape);

/* Is it what a reader takes it for when it is missing? */
static bool
is_none(const struct codec_field *f, const uint8_t *base)
{
	static const uint8_t zero[8];
	const uint8_t *p = base + f->off;

	switch (f->type) {
	case CT_BOOL:
	case CT_STR:
		return (*p == 0);
	case CT_I64:
	case CT_U64:
		return (memcmp(p, zero, 8) == 0);
	case CT_U32:
	case CT_BYTES:
	case CT_SECRET:
	case CT_ARRAY:
		return (get_u32(p) == 0);
	}
	return (false);
}

/* How many a frame has: of the later ones, none that says nothing. */
static uint32_t
fields_of(const struct codec_desc *d, const uint8_t *base, enum shape shape)
{
	size_t n = d->nfields, least = d->nfields - d->nlater;

	while (
	    shape == SH_PEER && n > least && is_none(&d->fields[n - 1], base))
		n--;
	return ((uint32_t)n);
}

static int
encode_blob(msgpack_packer *pk, const uint8_t *p, uint32_t max)
{
	uint32_t len = get_u32(p);

	if (len > max)
		return (erange());
	if (msgpack_pack_bin(pk, len) != 0 ||
	    msgpack_pack_bin_body(pk, p + sizeof(len), len) != 0)
		return (-1);
	return (0);
}

static int
encode_str(msgpack_packer *pk, const uint8_t *p, uint32_t max)
{
	size_t len = strnlen((const char *)p, (size_t)max + 1);

	if (len > max)
		return (erange());
	if (msgpack_pack_str(pk, len) != 0 ||
	    msgpack_pack_str_body(pk, p, len) != 0)
		return (-1);
	return (0);
}

static int
encode_array(msgpack_packer *pk, const struct codec_field *f,
    const uint8_t *base, enum shape shape)
{
	const struct codec_desc *d = f->elem();
	uint32_t i, n = get_u32(base + f->off);

	if (n > f->param)
		return (erange());
	if (msgpack_pack_array(pk, n) != 0)
		return (-1);
	for (i = 0; i < n; i++) {
		const uint8_t *e = base + f->off2 + i * d->size;

		if (msgpack_pack_array(pk, fields_of(d, e, shape)) != 0 ||
		    encode_struct(pk, d, e, shape) == -1)
			return (-1);
	}
	return (0);
}

static int
encode_field(msgpack_packer *pk, const struct codec_field *f,
    const uint8_t *base, enum shape shape)
{
	const uint8_t *p = base + f->off;
	uint64_t u;
	int64_t i;

	switch (f->type) {
	case CT_BOOL:
		return (
		    *p != 0 ? msgpack_pack_true(pk) : msgpack_pack_false(pk));
	case CT_I64:
		memcpy(&i, p, sizeof(i));
		return (msgpack_pack_int64(pk, i));
	case CT_U32:
		if (f->param != 0 && get_u32(p) > f->param)
			return (erange());
		return (msgpack_pack_uint32(pk, get_u32(p)));
	case CT_U64:
		memcpy(&u, p, sizeof(u));
		return (msgpack_pack_uint64(pk, u));
	case CT_STR:
		return (encode_str(pk, p, f->param));
	case CT_BYTES:
		return (encode_blob(pk, p, f->param));
	case CT_SECRET:
		return (encode_blob(pk, p, SECRET_MAX));
	case CT_ARRAY:
		return (encode_array(pk, f, base, shape));
	}
	errno = EINVAL;
	return (-1);
}

static int
encode_struct(msgpack_packer *pk, const struct codec_desc *d,
    const uint8_t *base, enum shape shape)
{
	uint32_t i, n = fields_of(d, base, shape);

	for (i = 0; i < n; i++)
		if (encode_field(pk, &d->fields[i], base, shape) != 0)
			return (-1);
	return (0);
}

static int
encode(const struct codec_desc *d, uint32_t type, const void *s, uint8_t *buf,
    size_t size, enum shape shape)
{
	struct wbuf w = { buf, size < PS_FRAME_MAX ? size : PS_FRAME_MAX };
	msgpack_packer pk;

	msgpack_packer_init(&pk, &w, wbuf_write);
	if (msgpack_pack_array(&pk, fields_of(d, s, shape) + 1) != 0 ||
	    msgpack_pack_uint32(&pk, type) != 0 ||
	    encode_struct(&pk, d, s, shape) == -1) {
		/* It may hold the beginning of a secret. */
		explicit_bzero(buf, (size_t)(w.p - buf));
		return (-1);
	}
	return ((int)(w.p - buf));
}

int
codec_encode(const struct codec_desc *d, uint32_t type, const void *s,
    uint8_t *buf, size_t size)
{
	return (encode(d, type, s, buf, size, SH_EXACT));
}

int
codec_encode_peer(const struct codec_desc *d, uint32_t type, const void *s,
    uint8_t *buf, size_t size)
{
	return (encode(d, type, s, buf, size, SH_PEER));
}

/* ------------------------------------------------------------- decoding --- */

static int decode_struct(
    struct mp *, const struct codec_desc *, uint8_t *, uint32_t n, enum shape);

int
codec_peek(const uint8_t *buf, size_t len, uint32_t *type)
{
	struct mp m = { buf, len };
	struct mp_val v;

	if (len > PS_FRAME_MAX ||
	    mpscan(buf, len, CODEC_DEPTH, CODEC_BREADTH) == -1)
		return (ebadmsg());
	if (mp_next(&m, &v) == -1 || v.type != MP_ARRAY || v.len == 0 ||
	    mp_next(&m, &v) == -1 || v.type != MP_UINT || v.u > UINT32_MAX)
		return (ebadmsg());
	*type = (uint32_t)v.u;
	return (0);
}

static int
decode_blob(const struct mp_val *v, uint8_t *p, uint32_t max)
{
	if (v->type != MP_BIN)
		return (ebadmsg());
	if (v->len > max)
		return (erange());
	memcpy(p, &v->len, sizeof(v->len));
	memcpy(p + sizeof(v->len), v->data, v->len);
	return (0);
}

static int
decode_str(const struct mp_val *v, uint8_t *p, uint32_t max)
{
	if (v->type != MP_STR)
		return (ebadmsg());
	if (v->len > max)
		return (erange());
	if (memchr(v->data, '\0', v->len) != NULL)
		return (ebadmsg());
	memcpy(p, v->data, v->len);
	p[v->len] = '\0';
	return (0);
}

static int
decode_uint(
    const struct mp_val *v, uint8_t *p, enum codec_type type, uint32_t max)
{
	uint32_t u32;

	if (v->type != MP_UINT)
		return (ebadmsg());
	if (type == CT_U64) {
		memcpy(p, &v->u, sizeof(v->u));
		return (0);
	}
	if (v->u > (max != 0 ? max : UINT32_MAX))
		return (erange());
	u32 = (uint32_t)v->u;
	memcpy(p, &u32, sizeof(u32));
	return (0);
}

static int
decode_i64(const struct mp_val *v, uint8_t *p)
{
	int64_t i = v->i;

	if (v->type == MP_UINT) {
		if (v->u > INT64_MAX)
			return (erange());
		i = (int64_t)v->u;
	} else if (v->type != MP_NEGINT)
		return (ebadmsg());
	memcpy(p, &i, sizeof(i));
	return (0);
}

static int
decode_array(struct mp *m, const struct mp_val *v, const struct codec_field *f,
    uint8_t *base, enum shape shape)
{
	const struct codec_desc *d = f->elem();
	struct mp_val e;
	uint32_t i;

	if (v->type != MP_ARRAY)
		return (ebadmsg());
	if (v->len > f->param)
		return (erange());
	memcpy(base + f->off, &v->len, sizeof(v->len));
	for (i = 0; i < v->len; i++) {
		if (mp_next(m, &e) == -1 || e.type != MP_ARRAY)
			return (ebadmsg());
		if (decode_struct(
			m, d, base + f->off2 + i * d->size, e.len, shape) == -1)
			return (-1);
	}
	return (0);
}

static int
decode_field(
    struct mp *m, const struct codec_field *f, uint8_t *base, enum shape shape)
{
	struct mp_val v;
	uint8_t *p = base + f->off;
	bool b;

	if (mp_next(m, &v) == -1)
		return (-1);
	switch (f->type) {
	case CT_BOOL:
		if (v.type != MP_BOOL)
			return (ebadmsg());
		b = v.u != 0;
		memcpy(p, &b, sizeof(b));
		return (0);
	case CT_I64:
		return (decode_i64(&v, p));
	case CT_U32:
	case CT_U64:
		return (decode_uint(&v, p, f->type, f->param));
	case CT_STR:
		return (decode_str(&v, p, f->param));
	case CT_BYTES:
		return (decode_blob(&v, p, f->param));
	case CT_SECRET:
		return (decode_blob(&v, p, SECRET_MAX));
	case CT_ARRAY:
		return (decode_array(m, &v, f, base, shape));
	}
	return (ebadmsg());
}

/* Values that nobody here knows. Not by recursion: they are the sender's. */
static int
skip(struct mp *m, uint64_t n)
{
	struct mp_val v;

	for (; n > 0; n--) {
		if (mp_next(m, &v) == -1)
			return (-1);
		/* At most as many as there are bytes left (mpscan.c). */
		if (v.type == MP_ARRAY)
			n += v.len;
	}
	return (0);
}

/* n: how many the sender wrote. What it left out stays zero. */
static int
decode_struct(struct mp *m, const struct codec_desc *d, uint8_t *base,
    uint32_t n, enum shape shape)
{
	size_t i;

	if (shape == SH_EXACT ? n != d->nfields : n < d->nfields - d->nlater)
		return (ebadmsg());
	for (i = 0; i < d->nfields && i < n; i++)
		if (decode_field(m, &d->fields[i], base, shape) == -1)
			return (-1);
	return (skip(m, n - i));
}

static int
decode(const struct codec_desc *d, const uint8_t *buf, size_t len, void *s,
    enum shape shape)
{
	struct mp m = { buf, len };
	struct mp_val v;
	uint32_t n;
	int saved;

	memset(s, 0, d->size);
	if (mp_next(&m, &v) == -1 || v.type != MP_ARRAY || v.len == 0)
		return (ebadmsg());
	n = v.len - 1;
	if (mp_next(&m, &v) == -1)
		return (ebadmsg());
	if (decode_struct(&m, d, s, n, shape) == -1) {
		saved = errno;
		explicit_bzero(s, d->size);
		errno = saved;
		return (-1);
	}
	if (m.left != 0)
		return (ebadmsg());
	return (0);
}

int
codec_decode(
    const struct codec_desc *d, const uint8_t *buf, size_t len, void *s)
{
	return (decode(d, buf, len, s, SH_EXACT));
}

int
codec_decode_peer(
    const struct codec_desc *d, const uint8_t *buf, size_t len, void *s)
{
	return (decode(d, buf, len, s, SH_PEER));
}

/* ---------------------------------------------------------------- other --- */

uint64_t
codec_hash(const struct codec_desc *d, uint64_t h)
{
	const struct codec_field *f;
	size_t i;

	h = fnv1a_str(h, d->name);
	for (i = 0; i < d->nfields; i++) {
		f = &d->fields[i];
		h = fnv1a_str(h, f->name);
		h = fnv1a(h, &f->type, sizeof(f->type));
		h = fnv1a(h, &f->param, sizeof(f->param));
		if (f->type == CT_ARRAY)
			h = codec_hash(f->elem(), h);
	}
	/* The end of a nested struct is part of the shape. */
	return (fnv1a(h, &d->nfields, sizeof(d->nfields)));
}

void
codec_wipe(const struct codec_desc *d, void *s)
{
	const struct codec_field *f;
	uint8_t *base = s;
	size_t i;
	uint32_t k, n;

	for (i = 0; i < d->nfields; i++) {
		f = &d->fields[i];
		if (f->type == CT_SECRET)
			explicit_bzero(base + f->off, sizeof(struct secret));
		if (f->type != CT_ARRAY)
			continue;
		n = get_u32(base + f->off);
		for (k = 0; k < n && k < f->param; k++)
			codec_wipe(
			    f->elem(), base + f->off2 + k * f->elem()->size);
	}
}
