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

/* Statements and frames, signed and checked: see wire.h. */

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <sodium.h>

#include "wire.h"

#define DEFS_FILE "wire.def"
#define DEFS_DESCS
#include "defs.h"

#define DEFS_FILE "wire.def"
#define DEFS_LIST
#define DEFS_ITEM(id, n) { #id, n##_desc },
static const struct {
	const char *name;
	const struct codec_desc *(*desc)(void);
} types[] = {
#include "defs.h"
};

/* With their NUL: neither is the beginning of the other. */
static const char statement_ctx[] = "bloodraven-statement-1";
static const char link_ctx[] = "bloodraven-link-1";

#define HASH_LEN  32
#define LINK_HEAD (sizeof(link_ctx) + 2 * HASH_LEN)
#define BODY_MAX  sizeof(((struct w_signed *)NULL)->body.data)

/* libsodium signs contiguous bytes only. Holds no secret. */
static uint8_t scratch[LINK_HEAD + WIRE_FRAME_MAX];
_Static_assert(sizeof(scratch) >= sizeof(statement_ctx) + BODY_MAX,
    "scratch holds a statement");
_Static_assert(sizeof(((struct w_signed *)NULL)->sig.data) == WIRE_SIG_LEN,
    "a signature has its place");
_Static_assert(WIRE_SIG_LEN == crypto_sign_BYTES, "size of a signature");
_Static_assert(WIRE_KEY_LEN == crypto_sign_SEEDBYTES, "size of a seed");
_Static_assert(WIRE_KEY_LEN == crypto_sign_PUBLICKEYBYTES, "size of a key");
_Static_assert(
    sizeof(((struct wire_key *)NULL)->secret) == crypto_sign_SECRETKEYBYTES,
    "size of a secret key");

static int
fail(int e)
{
	errno = e;
	return -1;
}

int
wire_init(void)
{
	return sodium_init() == -1 ? fail(ENOSYS) : 0;
}

const char *
wire_name(uint32_t type)
{
	if (type <= WIRE_BEFORE_FIRST || type >= WIRE_AFTER_LAST)
		return NULL;
	return types[type - 1].name;
}

const struct codec_desc *
wire_desc(uint32_t type)
{
	if (type <= WIRE_BEFORE_FIRST || type >= WIRE_AFTER_LAST)
		return NULL;
	return types[type - 1].desc();
}

/* Whether one of the keys signed the first len bytes of scratch. */
static bool
signed_by(const uint8_t *sig, size_t len, const struct wire_pub *pub, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (crypto_sign_verify_detached(sig, scratch, len, pub[i].b) ==
		    0)
			return true;
	return false;
}

/* -------------------------------------------------- encoding, decoding --- */

int
wire_encode(uint32_t type, const void *s, uint8_t *buf, size_t size)
{
	const struct codec_desc *d = wire_desc(type);

	if (d == NULL)
		return fail(EPROTO);
	return codec_encode_peer(d, type, s, buf, size);
}

int
wire_decode(const uint8_t *buf, size_t len, uint32_t *type, union wire_any *out)
{
	const struct codec_desc *d;

	if (codec_peek(buf, len, type) == -1)
		return -1;
	if ((d = wire_desc(*type)) == NULL)
		return fail(EPROTO);
	return codec_decode_peer(d, buf, len, out);
}

bool
wire_sight_ok(const struct w_sight *w)
{
	return w->pod_uid[0] != '\0' && w->start_ms > 0 && w->age_ms >= 0 &&
	    w->age_ms < WIRE_SIGHT_MS;
}

/* ---------------------------------------------------------- statements --- */

static size_t
statement_bytes(const uint8_t *body, size_t len)
{
	memcpy(scratch, statement_ctx, sizeof(statement_ctx));
	memcpy(scratch + sizeof(statement_ctx), body, len);
	return sizeof(statement_ctx) + len;
}

int
wire_sign(uint32_t type, const void *s, const struct wire_key *key,
    struct w_signed *out)
{
	int n;

	memset(out, 0, sizeof(*out));
	n = wire_encode(type, s, out->body.data, sizeof(out->body.data));
	if (n == -1)
		return -1;
	out->body.len = (uint32_t)n;
	crypto_sign_detached(out->sig.data, NULL, scratch,
	    statement_bytes(out->body.data, out->body.len), key->secret);
	out->sig.len = WIRE_SIG_LEN;
	return 0;
}

int
wire_check(const struct w_signed *in, const struct wire_pub *pub, size_t n,
    uint32_t type, void *out)
{
	const struct codec_desc *d = wire_desc(type);
	uint32_t said;

	if (d == NULL)
		return fail(EPROTO);
	if (in->body.len > sizeof(in->body.data) || in->sig.len != WIRE_SIG_LEN)
		return fail(EBADMSG);
	if (!signed_by(in->sig.data,
		statement_bytes(in->body.data, in->body.len), pub, n))
		return fail(EACCES);
	if (codec_peek(in->body.data, in->body.len, &said) == -1)
		return -1;
	if (said != type)
		return fail(EPROTO);
	return codec_decode_peer(d, in->body.data, in->body.len, out);
}

int
wire_terms(const struct w_authority *a, struct lease_terms *t)
{
	memset(t, 0, sizeof(*t));
	if (a->n_voters > LEASE_VOTERS_MAX || a->quorum > LEASE_VOTERS_MAX)
		return fail(ERANGE);
	t->epoch = a->epoch;
	t->prev = a->prev;
	t->guard = a->guard;
	t->incarnation = a->incarnation;
	t->lease_ms = a->lease_ms;
	t->fence_ms = a->fence_ms;
	t->n = (uint8_t)a->n_voters;
	t->r = (uint8_t)a->quorum;
	for (uint32_t i = 0; i < a->n_voters; i++)
		t->voter[i] = a->voters[i].id;
	return 0;
}

/* --------------------------------------------------------------- links --- */

static void
hash(uint8_t out[static HASH_LEN], const uint8_t *p, size_t len)
{
	crypto_generichash(out, HASH_LEN, p, len, NULL, 0);
}

/* What a frame's signature is over; numbered = number and payload. */
static size_t
link_bytes(const uint8_t *receiver, const uint8_t *sender,
    const uint8_t *numbered, size_t len)
{
	uint8_t *p = scratch;

	memcpy(p, link_ctx, sizeof(link_ctx));
	p += sizeof(link_ctx);
	memcpy(p, receiver, HASH_LEN);
	p += HASH_LEN;
	memcpy(p, sender, HASH_LEN);
	p += HASH_LEN;
	memcpy(p, numbered, len);
	return LINK_HEAD + len;
}

static void
put_be64(uint8_t *p, uint64_t v)
{
	for (int i = 7; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)v;
}

static uint64_t
get_be64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

/* The payload into its place; its length, or -1. */
static int
encode_frame(uint32_t type, const void *s, uint8_t *frame, size_t size)
{
	if (size > WIRE_FRAME_MAX)
		size = WIRE_FRAME_MAX;
	if (size < WIRE_HEAD_LEN)
		return fail(ENOBUFS);
	return wire_encode(
	    type, s, frame + WIRE_HEAD_LEN, size - WIRE_HEAD_LEN);
}

int
wire_hello(
    struct wire_link *l, const struct w_hello *h, uint8_t *frame, size_t size)
{
	int n;

	if (h->nonce.len != WIRE_NONCE_LEN)
		return fail(EINVAL);
	if ((n = encode_frame(W_HELLO, h, frame, size)) == -1)
		return -1;
	memset(frame, 0, WIRE_HEAD_LEN);
	hash(l->mine, frame + WIRE_HEAD_LEN, (size_t)n);
	l->said = true;
	return n + WIRE_HEAD_LEN;
}

int
wire_heard(
    struct wire_link *l, const uint8_t *frame, size_t len, struct w_hello *h)
{
	const uint8_t *payload = frame + WIRE_HEAD_LEN;
	uint8_t sum[HASH_LEN];
	uint32_t type;

	if (len <= WIRE_HEAD_LEN || len > WIRE_FRAME_MAX ||
	    !sodium_is_zero(frame, WIRE_HEAD_LEN))
		return fail(EBADMSG);
	len -= WIRE_HEAD_LEN;
	if (codec_peek(payload, len, &type) == -1)
		return -1;
	if (type != W_HELLO || l->heard)
		return fail(EPROTO);
	if (codec_decode_peer(wire_desc(W_HELLO), payload, len, h) == -1)
		return -1;
	if (h->version != WIRE_VERSION)
		return fail(EPROTONOSUPPORT);
	if (h->nonce.len != WIRE_NONCE_LEN)
		return fail(EBADMSG);
	hash(sum, payload, len);
	/* Or a mirror could make us believe our own frames. */
	if (l->said && memcmp(sum, l->mine, sizeof(sum)) == 0)
		return fail(EPROTO);
	memcpy(l->theirs, sum, sizeof(sum));
	l->heard = true;
	return 0;
}

int
wire_seal(struct wire_link *l, const struct wire_key *key, uint32_t type,
    const void *s, uint8_t *frame, size_t size)
{
	int n;

	if (!l->said || !l->heard || l->tx == UINT64_MAX)
		return fail(ENOTCONN);
	if ((n = encode_frame(type, s, frame, size)) == -1)
		return -1;
	put_be64(frame + WIRE_SIG_LEN, l->tx + 1);
	crypto_sign_detached(frame, NULL, scratch,
	    link_bytes(l->theirs, l->mine, frame + WIRE_SIG_LEN, 8 + (size_t)n),
	    key->secret);
	l->tx++;
	return n + WIRE_HEAD_LEN;
}

int
wire_open(struct wire_link *l, const struct wire_pub *pub, size_t n,
    const uint8_t *frame, size_t len, uint32_t *type, union wire_any *out)
{
	if (len <= WIRE_HEAD_LEN || len > WIRE_FRAME_MAX)
		return fail(EBADMSG);
	/* The number first: it costs nothing. */
	if (!l->said || !l->heard || l->rx == UINT64_MAX ||
	    get_be64(frame + WIRE_SIG_LEN) != l->rx + 1)
		return fail(EPROTO);
	if (!signed_by(frame,
		link_bytes(l->mine, l->theirs, frame + WIRE_SIG_LEN,
		    len - WIRE_SIG_LEN),
		pub, n))
		return fail(EACCES);
	l->rx++;
	if (wire_decode(
		frame + WIRE_HEAD_LEN, len - WIRE_HEAD_LEN, type, out) == -1)
		return -1;
	/* The first and only one is past; a statement comes as w_signed. */
	return *type <= W_HELLO ? fail(EPROTO) : 0;
}
