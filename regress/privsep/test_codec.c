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

/* mpscan and the codec: shapes, limits, truncations, random frames. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <msgpack.h>

#include "privsep.h"

#define DEPTH   8
#define BREADTH 1000

struct blob {
	uint32_t len;
	uint8_t data[40];
};

struct item {
	char name[9];
	int64_t i;
	uint32_t n_sub;
	struct {
		uint32_t v;
	} sub[3];
};

struct all {
	bool b;
	int64_t i;
	uint32_t u32, capped;
	uint64_t u64;
	char str[17];
	struct blob blob;
	struct secret secret;
	uint32_t n_items;
	struct item items[5];
};

struct sub {
	uint32_t v;
};

#define F(s, m, t, p)                                                       \
	{ .name = #m, .type = t, .off = offsetof(struct s, m), .param = p }

static const struct codec_field sub_fields[] = { F(sub, v, CT_U32, 0) };

static const struct codec_desc *
sub_desc(void)
{
	static const struct codec_desc d = { "sub", sub_fields,
		PS_NITEMS(sub_fields), sizeof(struct sub), 0 };
	return (&d);
}

static const struct codec_field item_fields[] = {
	F(item, name, CT_STR, 8),
	F(item, i, CT_I64, 0),
	{ .name = "sub",
	    .type = CT_ARRAY,
	    .off = offsetof(struct item, n_sub),
	    .off2 = offsetof(struct item, sub),
	    .param = 3,
	    .elem = sub_desc },
};

static const struct codec_desc *
item_desc(void)
{
	static const struct codec_desc d = { "item", item_fields,
		PS_NITEMS(item_fields), sizeof(struct item), 0 };
	return (&d);
}

static const struct codec_field all_fields[] = {
	F(all, b, CT_BOOL, 0),
	F(all, i, CT_I64, 0),
	F(all, u32, CT_U32, 0),
	F(all, capped, CT_U32, 7),
	F(all, u64, CT_U64, 0),
	F(all, str, CT_STR, 16),
	F(all, blob, CT_BYTES, 40),
	F(all, secret, CT_SECRET, 0),
	{ .name = "items",
	    .type = CT_ARRAY,
	    .off = offsetof(struct all, n_items),
	    .off2 = offsetof(struct all, items),
	    .param = 5,
	    .elem = item_desc },
};

static const struct codec_desc all_d = { "all", all_fields,
	PS_NITEMS(all_fields), sizeof(struct all), 0 };

/* A generator of our own, so that a seed reproduces everywhere. */
static uint64_t seed = 1;

static uint32_t
rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return ((uint32_t)(seed >> 16));
}

static void
sample(struct all *a)
{
	uint32_t i, k;

	memset(a, 0, sizeof(*a));
	a->b = rnd() & 1;
	a->i = (int64_t)(((uint64_t)rnd() << 32 | rnd()) >> rnd() % 64);
	if (rnd() & 1)
		a->i = -a->i;
	a->u32 = rnd() >> rnd() % 32;
	a->capped = rnd() % 8;
	a->u64 = ((uint64_t)rnd() << 32 | rnd()) >> rnd() % 64;
	for (i = rnd() % 17; i > 0; i--)
		a->str[i - 1] = (char)(1 + rnd() % 255);
	a->blob.len = rnd() % 41;
	for (i = 0; i < a->blob.len; i++)
		a->blob.data[i] = (uint8_t)rnd();
	a->secret.len = rnd() % 300;
	for (i = 0; i < a->secret.len; i++)
		a->secret.data[i] = (uint8_t)rnd();
	a->n_items = rnd() % 6;
	for (i = 0; i < a->n_items; i++) {
		memset(a->items[i].name, 'a' + (int)i, rnd() % 9);
		a->items[i].i = -(int64_t)i;
		a->items[i].n_sub = rnd() % 4;
		for (k = 0; k < a->items[i].n_sub; k++)
			a->items[i].sub[k].v = rnd();
	}
}

static int
decode(const uint8_t *buf, size_t len, struct all *out, uint32_t *type)
{
	uint8_t *exact = malloc(len != 0 ? len : 1);
	int rc;

	/* Exactly as long as it is, so that ASan sees one byte more. */
	memcpy(exact, buf, len);
	rc = codec_peek(exact, len, type);
	if (rc == 0)
		rc = codec_decode(&all_d, exact, len, out);
	free(exact);
	return (rc);
}

/* --------------------------------------------------------------- mpscan --- */

#define SCAN(...)                                                      \
	mpscan((const uint8_t[]) { __VA_ARGS__ },                      \
	    sizeof((const uint8_t[]) { __VA_ARGS__ }), DEPTH, BREADTH)

static void
test_scan_types(void **state)
{
	(void)state;
	assert_int_equal(SCAN(0xc0), 0);
	assert_int_equal(SCAN(0xc2), 0);
	assert_int_equal(SCAN(0x7f), 0);
	assert_int_equal(SCAN(0xe0), 0);
	assert_int_equal(SCAN(0xcc, 1), 0);
	assert_int_equal(SCAN(0xd3, 1, 2, 3, 4, 5, 6, 7, 8), 0);
	assert_int_equal(SCAN(0xca, 1, 2, 3, 4), 0);
	assert_int_equal(SCAN(0xcb, 1, 2, 3, 4, 5, 6, 7, 8), 0);
	assert_int_equal(SCAN(0xa2, 'h', 'i'), 0);
	assert_int_equal(SCAN(0xd9, 1, 'h'), 0);
	assert_int_equal(SCAN(0xc5, 0, 1, 'h'), 0);
	assert_int_equal(SCAN(0x90), 0);
	assert_int_equal(SCAN(0x92, 0x91, 0x01, 0xdc, 0, 1, 0xa0), 0);
	assert_int_equal(SCAN(0xdd, 0, 0, 0, 0), 0);
	/* Never used, maps, ext types, trailing bytes. */
	assert_int_equal(SCAN(0xc1), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(SCAN(0x80), -1);
	assert_int_equal(SCAN(0x91, 0x80), -1);
	assert_int_equal(SCAN(0xde, 0, 0), -1);
	assert_int_equal(SCAN(0xdf, 0, 0, 0, 0), -1);
	assert_int_equal(SCAN(0xd4, 1, 1), -1);
	assert_int_equal(SCAN(0xc7, 0, 1), -1);
	assert_int_equal(SCAN(0x90, 0x90), -1);
	assert_int_equal(SCAN(0x91, 0x01, 0x01), -1);
	assert_int_equal(mpscan((const uint8_t *)"", 0, DEPTH, BREADTH), -1);
}

/* What makes msgpack-c reserve gigabytes. */
static void
test_scan_bomb(void **state)
{
	uint8_t bomb[135];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bomb); i++)
		bomb[i] = i % 5 == 0 ? 0xdd : 0xff;
	assert_int_equal(mpscan(bomb, sizeof(bomb), 64, UINT32_MAX), -1);
	/* Counts that the length could not refute, but the depth does. */
	for (i = 0; i < sizeof(bomb); i++)
		bomb[i] = i % 5 == 0 ? 0xdd : i % 5 == 4 ? 1 : 0;
	assert_int_equal(mpscan(bomb, sizeof(bomb), 64, UINT32_MAX), -1);
	memset(bomb, 0x91, sizeof(bomb));
	bomb[sizeof(bomb) - 1] = 0x90;
	assert_int_equal(mpscan(bomb, sizeof(bomb), UINT32_MAX, 1), -1);
}

static void
test_scan_limits(void **state)
{
	uint8_t nest[20], wide[3 + 1001];
	unsigned n;

	(void)state;
	for (n = 1; n <= 17; n++) {
		memset(nest, 0x91, n);
		nest[n - 1] = 0x90;
		assert_int_equal(mpscan(nest, n, n, 1), n <= 16 ? 0 : -1);
		assert_int_equal(mpscan(nest, n, n - 1, 1), -1);
	}
	memset(wide, 0, sizeof(wide));
	wide[0] = 0xdc;
	wide[1] = 1000 >> 8;
	wide[2] = 1000 & 0xff;
	assert_int_equal(mpscan(wide, 1003, 1, 1000), 0);
	assert_int_equal(mpscan(wide, 1003, 1, 999), -1);
	assert_int_equal(mpscan(wide, 1002, 1, 1000), -1);
	assert_int_equal(mpscan(wide, 1004, 1, 1000), -1);
}

/* Agrees with msgpack-c on short random inputs, up to what we refuse. */
static void
test_scan_against_msgpack(void **state)
{
	msgpack_unpacked u;
	uint8_t buf[12];
	size_t len, off, i, n, accepted = 0;

	(void)state;
	for (n = 0; n < 200000; n++) {
		len = 1 + rnd() % sizeof(buf);
		for (i = 0; i < len; i++)
			buf[i] =
			    (uint8_t)(rnd() & 1 ? rnd() : 0x90 | (rnd() & 3));
		if (mpscan(buf, len, DEPTH, BREADTH) == -1)
			continue;
		accepted++;
		off = 0;
		msgpack_unpacked_init(&u);
		assert_int_equal(
		    msgpack_unpack_next(&u, (const char *)buf, len, &off),
		    MSGPACK_UNPACK_SUCCESS);
		assert_int_equal(off, len);
		msgpack_unpacked_destroy(&u);
	}
	assert_true(accepted > 1000);
}

/* ---------------------------------------------------------------- codec --- */

static void
test_round_trip(void **state)
{
	static struct all a, b;
	static uint8_t buf[PS_FRAME_MAX];
	uint32_t type;
	int n, i;

	(void)state;
	for (i = 0; i < 5000; i++) {
		sample(&a);
		n = codec_encode(&all_d, 4711, &a, buf, sizeof(buf));
		assert_true(n > 0);
		memset(&b, 0xa5, sizeof(b));
		assert_int_equal(decode(buf, (size_t)n, &b, &type), 0);
		assert_int_equal(type, 4711);
		assert_memory_equal(&a, &b, sizeof(a));
	}
}

static void
test_truncated(void **state)
{
	static struct all a, b, zero;
	static uint8_t buf[PS_FRAME_MAX];
	uint32_t type;
	int n, i;

	(void)state;
	do
		sample(&a);
	while (a.n_items < 3);
	n = codec_encode(&all_d, 20, &a, buf, sizeof(buf));
	assert_true(n > 0);
	for (i = 0; i < n; i++) {
		assert_int_equal(decode(buf, (size_t)i, &b, &type), -1);
		assert_int_equal(errno, EBADMSG);
		/* codec_decode alone is safe too, and leaves nothing. */
		assert_int_equal(codec_decode(&all_d, buf, (size_t)i, &b), -1);
		assert_memory_equal(&b, &zero, sizeof(b));
	}
	/* And each buffer that is too small. */
	for (i = 0; i < n; i++) {
		assert_int_equal(
		    codec_encode(&all_d, 20, &a, buf, (size_t)i), -1);
		assert_int_equal(errno, ENOBUFS);
	}
}

static void
expect_erange(const struct all *a)
{
	static uint8_t buf[PS_FRAME_MAX];

	errno = 0;
	assert_int_equal(codec_encode(&all_d, 20, a, buf, sizeof(buf)), -1);
	assert_int_equal(errno, ERANGE);
}

static void
test_encode_limits(void **state)
{
	static struct all a;

	(void)state;
	memset(&a, 0, sizeof(a));
	a.capped = 8;
	expect_erange(&a);
	memset(&a, 0, sizeof(a));
	memset(a.str, 'x', sizeof(a.str));
	expect_erange(&a);
	memset(&a, 0, sizeof(a));
	a.blob.len = 41;
	expect_erange(&a);
	memset(&a, 0, sizeof(a));
	a.secret.len = SECRET_MAX + 1;
	expect_erange(&a);
	memset(&a, 0, sizeof(a));
	a.n_items = 6;
	expect_erange(&a);
	a.n_items = 1;
	a.items[0].n_sub = 4;
	expect_erange(&a);
}

/* One field of this type, given as raw bytes. */
static int
one(enum codec_type t, uint32_t param, const uint8_t *v, size_t len)
{
	static struct {
		uint32_t n;
		uint8_t space[SECRET_MAX + 16];
	} s;
	const struct codec_field f = { .name = "f",
		.type = t,
		.off = 0,
		.off2 = 8,
		.param = param,
		.elem = sub_desc };
	const struct codec_desc d = { "one", &f, 1, sizeof(s), 0 };
	static uint8_t buf[PS_FRAME_MAX];
	uint32_t type;

	buf[0] = 0x92;
	buf[1] = 16;
	memcpy(buf + 2, v, len);
	if (codec_peek(buf, len + 2, &type) == -1)
		return (-errno);
	return (codec_decode(&d, buf, len + 2, &s) == -1 ? -errno : 0);
}

#define ONE(t, p, ...)                                   \
	one((t), (p), (const uint8_t[]) { __VA_ARGS__ }, \
	    sizeof((const uint8_t[]) { __VA_ARGS__ }))

static void
test_decode_limits(void **state)
{
	static uint8_t big[SECRET_MAX + 4] = { 0xc5, SECRET_MAX >> 8,
		SECRET_MAX & 0xff };

	(void)state;
	assert_int_equal(ONE(CT_BOOL, 0, 0xc3), 0);
	assert_int_equal(ONE(CT_BOOL, 0, 1), -EBADMSG);
	assert_int_equal(ONE(CT_BOOL, 0, 0xc0), -EBADMSG);
	assert_int_equal(ONE(CT_U32, 0, 0xce, 255, 255, 255, 255), 0);
	assert_int_equal(ONE(CT_U32, 0, 0xcf, 0, 0, 0, 1, 0, 0, 0, 0), -ERANGE);
	assert_int_equal(ONE(CT_U32, 7, 7), 0);
	assert_int_equal(ONE(CT_U32, 7, 8), -ERANGE);
	assert_int_equal(ONE(CT_U32, 7, 0xff), -EBADMSG);
	assert_int_equal(ONE(CT_U32, 7, 0xca, 0, 0, 0, 0), -EBADMSG);
	assert_int_equal(ONE(CT_U64, 0, 0xe0), -EBADMSG);
	assert_int_equal(ONE(CT_I64, 0, 0xd3, 128, 0, 0, 0, 0, 0, 0, 0), 0);
	assert_int_equal(
	    ONE(CT_I64, 0, 0xcf, 128, 0, 0, 0, 0, 0, 0, 0), -ERANGE);
	assert_int_equal(ONE(CT_STR, 2, 0xa2, 'a', 'b'), 0);
	assert_int_equal(ONE(CT_STR, 2, 0xa3, 'a', 'b', 'c'), -ERANGE);
	assert_int_equal(ONE(CT_STR, 2, 0xa2, 'a', 0), -EBADMSG);
	assert_int_equal(ONE(CT_STR, 2, 0xc4, 1, 'a'), -EBADMSG);
	assert_int_equal(ONE(CT_BYTES, 2, 0xc4, 2, 0, 0), 0);
	assert_int_equal(ONE(CT_BYTES, 2, 0xc4, 3, 0, 0, 0), -ERANGE);
	assert_int_equal(ONE(CT_BYTES, 2, 0xa1, 'a'), -EBADMSG);
	assert_int_equal(ONE(CT_ARRAY, 2, 0x92, 0x91, 1, 0x91, 2), 0);
	assert_int_equal(
	    ONE(CT_ARRAY, 2, 0x93, 0x91, 1, 0x91, 1, 0x91, 1), -ERANGE);
	assert_int_equal(ONE(CT_ARRAY, 2, 0x91, 0x92, 1, 1), -EBADMSG);
	assert_int_equal(ONE(CT_ARRAY, 2, 0x91, 0x90), -EBADMSG);
	assert_int_equal(ONE(CT_ARRAY, 2, 0x91, 1), -EBADMSG);
	assert_int_equal(ONE(CT_ARRAY, 2, 1), -EBADMSG);
	assert_int_equal(one(CT_SECRET, 0, big, SECRET_MAX + 3), 0);
	big[2]++;
	assert_int_equal(one(CT_SECRET, 0, big, SECRET_MAX + 4), -ERANGE);
	/* A field too many or too few. */
	assert_int_equal(ONE(CT_U32, 0, 1, 1), -EBADMSG);
}

/* ----------------------------------------------------------------- peers --- */

/* A list of two items; the second field of each came later. */
struct grown_item {
	uint32_t v, w;
};
struct grown {
	bool b;
	uint32_t n_items;
	struct grown_item items[2];
	uint64_t later;
};

static const struct codec_field grown_item_fields[] = {
	F(grown_item, v, CT_U32, 0),
	F(grown_item, w, CT_U32, 0),
};

static const struct codec_desc *
grown_item_desc(void)
{
	static const struct codec_desc d = { "grown_item", grown_item_fields,
		PS_NITEMS(grown_item_fields), sizeof(struct grown_item), 1 };
	return (&d);
}

static const struct codec_field grown_fields[] = {
	F(grown, b, CT_BOOL, 0),
	{ .name = "items",
	    .type = CT_ARRAY,
	    .off = offsetof(struct grown, n_items),
	    .off2 = offsetof(struct grown, items),
	    .param = 2,
	    .elem = grown_item_desc },
	F(grown, later, CT_U64, 0),
};

static const struct codec_desc grown_d = { "grown", grown_fields,
	PS_NITEMS(grown_fields), sizeof(struct grown), 1 };

static int
peer(const uint8_t *buf, size_t len, struct grown *g)
{
	uint8_t *exact = malloc(len);
	uint32_t type;
	int rc;

	memcpy(exact, buf, len);
	rc = codec_peek(exact, len, &type);
	if (rc == 0)
		rc = codec_decode_peer(&grown_d, exact, len, g);
	/* Cut anywhere, and not scanned: refused as well. */
	for (size_t n = 0; rc == 0 && n < len; n++)
		assert_int_equal(codec_decode_peer(&grown_d, exact, n, g), -1);
	if (rc == 0)
		rc = codec_decode_peer(&grown_d, exact, len, g);
	free(exact);
	return (rc == -1 ? -errno : 0);
}

#define PEER(...)                                          \
	peer((const uint8_t[]) { __VA_ARGS__ },            \
	    sizeof((const uint8_t[]) { __VA_ARGS__ }), &g)

static void
test_peer(void **state)
{
	uint8_t buf[64];
	struct grown g;

	(void)state;
	/* As we write it; older; newer, with things that nobody here knows. */
	assert_int_equal(PEER(0x94, 16, 0xc3, 0x91, 0x92, 1, 2, 9), 0);
	assert_int_equal(g.items[0].w, 2);
	assert_int_equal(g.later, 9);
	assert_int_equal(PEER(0x93, 16, 0xc3, 0x92, 0x91, 1, 0x91, 3), 0);
	assert_true(g.b && g.n_items == 2 && g.items[1].v == 3);
	assert_int_equal(g.items[0].w | g.items[1].w, 0);
	assert_int_equal(g.later, 0);
	assert_int_equal(PEER(0x97, 16, 0xc2, 0x91, 0x94, 1, 2, 0x92, 0x91, 0,
			     0xc4, 1, 0, 0xc0, 9, 0x92, 0xa1, 'x', 0x90, 0xc0,
			     0xcb, 0, 0, 0, 0, 0, 0, 0, 0),
	    0);
	assert_int_equal(g.n_items, 1);
	assert_int_equal(g.items[0].w, 2);
	assert_int_equal(g.later, 9);
	/* What every release has must be there, and each value in its place. */
	assert_int_equal(PEER(0x92, 16, 0xc3), -EBADMSG);
	assert_int_equal(PEER(0x91, 16), -EBADMSG);
	assert_int_equal(PEER(0x94, 16, 0xc3, 0x91, 0x90, 9), -EBADMSG);
	assert_int_equal(PEER(0x94, 16, 0xc3, 0x90, 0xc3), -EBADMSG);
	assert_int_equal(
	    PEER(0x94, 16, 0xc3, 0x93, 0x91, 1, 0x91, 1, 0x91, 1, 9), -ERANGE);
	/* Maps and what follows the frame are none of it. */
	assert_int_equal(PEER(0x95, 16, 0xc3, 0x90, 9, 0x80), -EBADMSG);
	assert_int_equal(PEER(0x94, 16, 0xc3, 0x90, 9, 0), -EBADMSG);
	/* What is written for those who know less. */
	memset(&g, 0, sizeof(g));
	g.n_items = 2;
	g.items[1].w = 7;
	assert_int_equal(
	    codec_encode_peer(&grown_d, 16, &g, buf, sizeof(buf)), 9);
	assert_memory_equal(buf, "\x93\x10\xc2\x92\x91\x00\x92\x00\x07", 9);
	g.later = UINT64_C(1) << 63;
	assert_int_equal(
	    codec_encode_peer(&grown_d, 16, &g, buf, sizeof(buf)), 18);
	assert_int_equal(codec_encode(&grown_d, 16, &g, buf, sizeof(buf)), 19);
	/* Between our own processes both are refused. */
	assert_int_equal(codec_decode(&grown_d,
			     (const uint8_t[]) { 0x93, 16, 0xc3, 0x90 }, 4, &g),
	    -1);
	assert_int_equal(
	    codec_decode(&grown_d,
		(const uint8_t[]) { 0x95, 16, 0xc3, 0x90, 9, 1 }, 6, &g),
	    -1);
}

static void
test_peek(void **state)
{
	static uint8_t big[PS_FRAME_MAX + 1];
	uint32_t type;

	(void)state;
	assert_int_equal(codec_peek((const uint8_t *)"\x91\x07", 2, &type), 0);
	assert_int_equal(type, 7);
	assert_int_equal(codec_peek((const uint8_t *)"\x90", 1, &type), -1);
	assert_int_equal(codec_peek((const uint8_t *)"\x07", 1, &type), -1);
	assert_int_equal(codec_peek((const uint8_t *)"\x91\xff", 2, &type), -1);
	assert_int_equal(
	    codec_peek((const uint8_t *)"\x91\xcf\0\0\0\1\0\0\0\0", 10, &type),
	    -1);
	assert_int_equal(codec_peek(big, sizeof(big), &type), -1);
}

/* Mutated and random frames: decoded or refused, never anything else. */
static void
test_mutations(void **state)
{
	static struct all a, b, c;
	static uint8_t buf[PS_FRAME_MAX], again[PS_FRAME_MAX];
	uint32_t type, i, k, ok = 0;
	int n;

	(void)state;
	for (i = 0; i < 20000; i++) {
		sample(&a);
		n = codec_encode(&all_d, 20, &a, buf, sizeof(buf));
		assert_true(n > 0);
		for (k = rnd() % 3; k > 0; k--)
			buf[rnd() % (uint32_t)n] = (uint8_t)rnd();
		if (decode(buf, (size_t)n, &b, &type) == -1) {
			assert_true(errno == EBADMSG || errno == ERANGE);
			continue;
		}
		ok++;
		/* What was accepted can be said again, and means the same. */
		n = codec_encode(&all_d, type, &b, again, sizeof(again));
		assert_true(n > 0);
		assert_int_equal(decode(again, (size_t)n, &c, &type), 0);
		assert_memory_equal(&b, &c, sizeof(b));
	}
	assert_true(ok > 5000);
	for (i = 0; i < 100000; i++) {
		n = 1 + (int)(rnd() % 64);
		for (k = 0; k < (uint32_t)n; k++)
			buf[k] = (uint8_t)rnd();
		buf[0] = 0x9a;
		(void)decode(buf, (size_t)n, &b, &type);
	}
}

static void
test_hash_and_wipe(void **state)
{
	static struct all a;
	struct codec_field f[PS_NITEMS(all_fields)];
	struct codec_desc d = all_d;
	uint64_t h = codec_hash(&all_d, 1);

	(void)state;
	assert_true(h == codec_hash(&all_d, 1) && h != codec_hash(&all_d, 2));
	memcpy(f, all_fields, sizeof(f));
	d.fields = f;
	assert_true(codec_hash(&d, 1) == h);
	f[5].param++;
	assert_true(codec_hash(&d, 1) != h);
	f[5].param--;
	f[2].type = CT_U64;
	assert_true(codec_hash(&d, 1) != h);
	f[2].type = CT_U32;
	f[0].name = "c";
	assert_true(codec_hash(&d, 1) != h);

	assert_int_equal(secret_set(&a.secret, "hush", 4), 0);
	a.u32 = 5;
	codec_wipe(&all_d, &a);
	assert_int_equal(a.secret.len, 0);
	assert_int_equal(a.secret.data[0], 0);
	assert_int_equal(a.u32, 5);
}

static void
test_secret(void **state)
{
	static struct secret a, b;
	static char big[SECRET_MAX + 1];

	(void)state;
	memset(big, 'x', sizeof(big));
	assert_int_equal(secret_set(&a, big, SECRET_MAX), 0);
	assert_int_equal(a.data[SECRET_MAX], 0);
	assert_int_equal(secret_set(&b, big, SECRET_MAX), 0);
	assert_true(secret_equal(&a, &b));
	b.data[SECRET_MAX - 1] ^= 1;
	assert_false(secret_equal(&a, &b));
	assert_int_equal(secret_set(&a, big, sizeof(big)), -1);
	assert_int_equal(errno, ERANGE);
	assert_int_equal(a.len, 0);
	assert_int_equal(a.data[0], 0);
	assert_int_equal(secret_set(&a, NULL, 0), 0);
	assert_false(secret_equal(&a, &b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scan_types),
		cmocka_unit_test(test_scan_bomb),
		cmocka_unit_test(test_scan_limits),
		cmocka_unit_test(test_scan_against_msgpack),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_encode_limits),
		cmocka_unit_test(test_decode_limits),
		cmocka_unit_test(test_peer),
		cmocka_unit_test(test_peek),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_hash_and_wipe),
		cmocka_unit_test(test_secret),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
