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
 * What is signed is believed, and nothing else: round trips of every type,
 * then each way to cheat that wire.h names.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <errno.h>
#include <sodium.h>

#include "wire.h"

static struct wire_key op, op2, site_a, site_b;
static union wire_any any;
static uint8_t frame[WIRE_FRAME_MAX];

#define assert_errno(expr, e)                 \
	do {                                  \
		errno = 0;                    \
		assert_int_equal((expr), -1); \
		assert_int_equal(errno, (e)); \
	} while (0)

static void
key(struct wire_key *k, uint8_t b)
{
	uint8_t seed[WIRE_KEY_LEN];

	memset(seed, b, sizeof(seed));
	wire_key_from_seed(k, seed);
}

static int
setup(void **state)
{
	if (wire_init() == -1)
		return -1;
	key(&op, 1);
	key(&op2, 2);
	key(&site_a, 3);
	key(&site_b, 4);
	return 0;
}

/* Every field set; strings of a length that real names have. */
static void
fill(const struct codec_desc *d, void *base, uint32_t strmax)
{
	for (size_t i = 0; i < d->nfields; i++) {
		const struct codec_field *f = &d->fields[i];
		uint8_t *p = (uint8_t *)base + f->off;
		uint32_t n = f->param < strmax ? f->param : strmax;

		switch (f->type) {
		case CT_BOOL:
			*(bool *)p = true;
			break;
		case CT_I64:
			*(int64_t *)p = INT64_MIN + (int64_t)i;
			break;
		case CT_U32:
			*(uint32_t *)p = f->param != 0 ? f->param : UINT32_MAX;
			break;
		case CT_U64:
			*(uint64_t *)p = UINT64_MAX - i;
			break;
		case CT_STR:
			memset(p, 'x', n);
			p[n] = '\0';
			break;
		case CT_BYTES:
			*(uint32_t *)p = f->param;
			memset(p + sizeof(uint32_t), 0xff, f->param);
			break;
		case CT_SECRET:
			fail_msg("a secret on the wire");
			break;
		case CT_ARRAY:
			*(uint32_t *)p = f->param;
			for (uint32_t j = 0; j < f->param; j++)
				fill(f->elem(),
				    (uint8_t *)base + f->off2 +
					j * f->elem()->size,
				    strmax);
			break;
		}
	}
}

/* Every type at its limits fits a frame; statements fit w_signed with names
   that Kubernetes allows in the name of a Service (63 for all of it). */
static void
test_round_trip(void **state)
{
	static uint8_t a[sizeof(union wire_any)];
	struct w_signed sg;
	uint32_t type;
	int n;

	for (uint32_t t = WIRE_BEFORE_FIRST + 1; t < WIRE_AFTER_LAST; t++) {
		const struct codec_desc *d = wire_desc(t);

		assert_non_null(wire_name(t));
		memset(a, 0, sizeof(a));
		if (t < W_HELLO) {
			fill(d, a, 52);
			assert_int_equal(wire_sign(t, a, &op, &sg), 0);
			assert_int_equal(
			    wire_check(&sg, &op.pub, 1, t, &any), 0);
			assert_memory_equal(a, &any, d->size);
		}
		fill(d, a, UINT32_MAX);
		n = wire_encode(t, a, frame, WIRE_PAYLOAD_MAX);
		assert_true(n > 0);
		assert_int_equal(wire_decode(frame, (size_t)n, &type, &any), 0);
		assert_int_equal(type, t);
		assert_memory_equal(a, &any, d->size);
		/* one byte less, one more */
		assert_int_equal(
		    wire_decode(frame, (size_t)n - 1, &type, &any), -1);
		frame[n] = 0;
		assert_int_equal(
		    wire_decode(frame, (size_t)n + 1, &type, &any), -1);
	}
	assert_null(wire_name(WIRE_BEFORE_FIRST));
	assert_null(wire_name(WIRE_AFTER_LAST));
	assert_null(wire_desc(WIRE_AFTER_LAST));
	assert_errno(wire_encode(WIRE_AFTER_LAST, a, frame, 100), EPROTO);
}

/* ------------------------------------------------------ other releases --- */

/* A payload with its array's first byte and what follows changed. */
static size_t
payload(uint8_t *p, size_t n, int fields, const char *more, size_t len)
{
	p[0] = (uint8_t)(p[0] + fields);
	memcpy(p + n, more, len);
	return n + len;
}

static int
sign_raw(struct w_signed *s, size_t len, const struct wire_key *k)
{
	static const char ctx[] = "bloodraven-statement-1";
	uint8_t m[sizeof(ctx) + sizeof(s->body.data)];

	memcpy(m, ctx, sizeof(ctx));
	memcpy(m + sizeof(ctx), s->body.data, len);
	s->body.len = (uint32_t)len;
	s->sig.len = WIRE_SIG_LEN;
	return crypto_sign_detached(
	    s->sig.data, NULL, m, sizeof(ctx) + len, k->secret);
}

/* Sidecars and operators are updated in any order: their links stay. */
static void
test_releases(void **state)
{
	/* As operators wrote it before there was a digest. */
	static const char first[] = "\x93\x06\xc3\xa3iad";
	struct codec_desc old = *wire_desc(W_OPERATOR);
	struct w_operator o = { .leader = true, .active = "pdx" }, seen;
	static struct w_report report = { .id = 3 };
	struct w_promise promise = { 7, 3, 100, 0 };
	struct w_revoke r = { .group = "ns/g", .epoch = 7 };
	struct w_signed s;
	uint32_t type;
	size_t len;
	int n;

	assert_int_equal(W_OPERATOR, first[1]);
	assert_int_equal(
	    wire_decode((const uint8_t *)first, sizeof(first) - 1, &type, &any),
	    0);
	assert_true(any.w_operator.leader);
	assert_string_equal(any.w_operator.active, "iad");
	assert_int_equal(any.w_operator.tls.len, 0);
	/* Who has nothing to say that came later writes the same. */
	n = wire_encode(W_OPERATOR, &any, frame, sizeof(frame));
	assert_int_equal(n, sizeof(first) - 1);
	assert_memory_equal(frame, first, sizeof(first) - 1);
	/* One who knows only these two hears ours. */
	old.nfields = 2;
	old.nlater = 0;
	o.tls.len = sizeof(o.tls.data);
	o.n_sight = 1;
	strlcpy(o.sight[0].pod_uid, "p", sizeof(o.sight[0].pod_uid));
	n = wire_encode(W_OPERATOR, &o, frame, sizeof(frame));
	assert_true(n > 0);
	assert_int_equal(codec_decode_peer(&old, frame, (size_t)n, &seen), 0);
	assert_string_equal(seen.active, "pdx");
	assert_int_equal(seen.tls.len, 0);
	/* And we hear one who says more; but nobody who says less. */
	len = payload(frame, (size_t)n, 2, "\x92\x01\xc0\xa1x", 5);
	assert_int_equal(wire_decode(frame, len, &type, &any), 0);
	assert_memory_equal(&any.w_operator, &o, sizeof(o));
	assert_errno(
	    wire_decode((const uint8_t *)"\x92\x06\xc3", 3, &type, &any),
	    EBADMSG);
	/* A report as sidecars wrote it before they carried a word. */
	n = wire_encode(W_REPORT, &report, frame, sizeof(frame));
	assert_int_equal(frame[0], 0x9b);
	assert_int_equal(wire_decode(frame, (size_t)n, &type, &any), 0);
	assert_int_equal(any.w_report.n_sight, 0);
	old = *wire_desc(W_REPORT);
	old.nfields--;
	old.nlater--;
	report.n_sight = 1;
	n = wire_encode(W_REPORT, &report, frame, sizeof(frame));
	assert_int_equal(frame[0], 0x9c);
	assert_int_equal(codec_decode_peer(&old, frame, (size_t)n, &any), 0);
	assert_int_equal(any.w_report.id, 3);
	/* A promise of one that knows of no leases, and to one. */
	n = wire_encode(W_PROMISE, &promise, frame, sizeof(frame));
	assert_int_equal(frame[0], 0x94);
	assert_int_equal(wire_decode(frame, (size_t)n, &type, &any), 0);
	assert_int_equal(any.w_promise.lease_ms, 0);
	old = *wire_desc(W_PROMISE);
	old.nfields--;
	old.nlater--;
	promise.lease_ms = LEASE_MAX_MS;
	n = wire_encode(W_PROMISE, &promise, frame, sizeof(frame));
	assert_int_equal(frame[0], 0x95);
	assert_int_equal(codec_decode_peer(&old, frame, (size_t)n, &any), 0);
	assert_int_equal(any.w_promise.age_ms, 100);
	/* A statement, too; what was appended is signed with the rest. */
	n = wire_encode(W_REVOKE, &r, s.body.data, sizeof(s.body.data));
	assert_true(n > 0);
	len = payload(s.body.data, (size_t)n, 1, "\x05", 1);
	assert_int_equal(sign_raw(&s, len, &op), 0);
	assert_int_equal(wire_check(&s, &op.pub, 1, W_REVOKE, &any), 0);
	assert_int_equal(any.w_revoke.epoch, 7);
	s.body.data[n] = 6;
	assert_errno(wire_check(&s, &op.pub, 1, W_REVOKE, &any), EACCES);
	(void)payload(s.body.data, (size_t)n, -2, "", 0);
	assert_int_equal(sign_raw(&s, (size_t)n - 1, &op), 0);
	assert_errno(wire_check(&s, &op.pub, 1, W_REVOKE, &any), EBADMSG);
}

/* ---------------------------------------------------------- statements --- */

static const struct w_revoke over = { .group = "ns/g", .epoch = 7 };

static void
test_statement(void **state)
{
	struct wire_pub both[2] = { op2.pub, op.pub };
	struct w_revoke out;
	struct w_signed s, t;

	assert_int_equal(wire_sign(W_REVOKE, &over, &op, &s), 0);
	assert_int_equal(wire_check(&s, &op.pub, 1, W_REVOKE, &out), 0);
	assert_string_equal(out.group, "ns/g");
	assert_int_equal(out.epoch, 7);
	/* while keys are exchanged, either of two */
	assert_int_equal(wire_check(&s, both, 2, W_REVOKE, &out), 0);
	/* nobody's, another's */
	assert_errno(wire_check(&s, NULL, 0, W_REVOKE, &out), EACCES);
	assert_errno(wire_check(&s, &site_a.pub, 1, W_REVOKE, &out), EACCES);
	assert_errno(wire_check(&s, both, 1, W_REVOKE, &out), EACCES);
	/* taken for another statement */
	assert_errno(wire_check(&s, &op.pub, 1, W_GUARD, &any), EPROTO);
	/* each bit of body and signature counts */
	for (uint32_t i = 0; i < s.body.len * 8; i++) {
		t = s;
		t.body.data[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_errno(
		    wire_check(&t, &op.pub, 1, W_REVOKE, &out), EACCES);
	}
	for (uint32_t i = 0; i < WIRE_SIG_LEN * 8; i++) {
		t = s;
		t.sig.data[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_errno(
		    wire_check(&t, &op.pub, 1, W_REVOKE, &out), EACCES);
	}
	/* lengths */
	t = s;
	t.body.len++;
	assert_errno(wire_check(&t, &op.pub, 1, W_REVOKE, &out), EACCES);
	t.body.len = 0;
	assert_errno(wire_check(&t, &op.pub, 1, W_REVOKE, &out), EACCES);
	t.body.len = sizeof(t.body.data) + 1;
	assert_errno(wire_check(&t, &op.pub, 1, W_REVOKE, &out), EBADMSG);
	t = s;
	t.sig.len = 63;
	assert_errno(wire_check(&t, &op.pub, 1, W_REVOKE, &out), EBADMSG);
}

static void
test_statement_too_large(void **state)
{
	static struct w_authority a;
	struct w_signed s;

	fill(wire_desc(W_AUTHORITY), &a, UINT32_MAX);
	assert_errno(wire_sign(W_AUTHORITY, &a, &op, &s), ENOBUFS);
	a.n_voters = LEASE_VOTERS_MAX + 1;
	assert_errno(wire_sign(W_AUTHORITY, &a, &op, &s), ERANGE);
}

static void
test_terms(void **state)
{
	struct w_authority a = { .epoch = 9,
		.prev = 8,
		.guard = 5,
		.incarnation = 3,
		.lease_ms = 20000,
		.fence_ms = 1000,
		.quorum = 1,
		.n_voters = 2 };
	struct lease_terms t;

	a.voters[0].id = LEASE_OPERATOR;
	a.voters[1].id = 77;
	assert_int_equal(wire_terms(&a, &t), 0);
	assert_int_equal(t.epoch, 9);
	assert_int_equal(t.prev, 8);
	assert_int_equal(t.guard, 5);
	assert_int_equal(t.incarnation, 3);
	assert_int_equal(t.lease_ms, 20000);
	assert_int_equal(t.fence_ms, 1000);
	assert_int_equal(t.n, 2);
	assert_int_equal(t.r, 1);
	assert_int_equal(t.voter[1], 77);
	a.n_voters = LEASE_VOTERS_MAX + 1;
	assert_errno(wire_terms(&a, &t), ERANGE);
}

/* --------------------------------------------------------------- links --- */

struct pair {
	struct wire_link o, a; /* operator, sidecar of site a */
};

static void
hello(struct w_hello *h, bool operator, const char * site, uint8_t nonce)
{
	memset(h, 0, sizeof(*h));
	h->version = WIRE_VERSION;
	h->operator= operator;
	snprintf(h->group, sizeof(h->group), "ns/g");
	snprintf(h->site, sizeof(h->site), "%s", site);
	h->nonce.len = WIRE_NONCE_LEN;
	memset(h->nonce.data, nonce, WIRE_NONCE_LEN);
}

static void
pass(struct wire_link *from, const struct w_hello *h, struct wire_link *to)
{
	struct w_hello in;
	int n = wire_hello(from, h, frame, sizeof(frame));

	assert_true(n > WIRE_HEAD_LEN);
	assert_int_equal(wire_heard(to, frame, (size_t)n, &in), 0);
	assert_memory_equal(h, &in, sizeof(in));
}

static void
join(struct pair *p, uint8_t nonce_o, uint8_t nonce_a)
{
	struct w_hello h;

	memset(p, 0, sizeof(*p));
	hello(&h, true, "", nonce_o);
	pass(&p->o, &h, &p->a);
	hello(&h, false, "a", nonce_a);
	pass(&p->a, &h, &p->o);
}

static size_t
ask(struct wire_link *l, uint64_t epoch, uint8_t *buf)
{
	struct w_promise_ask m = { .epoch = epoch };
	int n = wire_seal(l, &op, W_PROMISE_ASK, &m, buf, WIRE_FRAME_MAX);

	assert_true(n > WIRE_HEAD_LEN);
	return (size_t)n;
}

static int
open_op(struct wire_link *l, const uint8_t *buf, size_t len)
{
	uint32_t type;

	if (wire_open(l, &op.pub, 1, buf, len, &type, &any) == -1)
		return -1;
	assert_int_equal(type, W_PROMISE_ASK);
	return (int)any.w_promise_ask.epoch;
}

static void
test_link(void **state)
{
	static uint8_t first[WIRE_FRAME_MAX], second[WIRE_FRAME_MAX];
	struct wire_link saved;
	struct pair p, q;
	size_t n1, n2;

	join(&p, 10, 20);
	n1 = ask(&p.o, 1, first);
	n2 = ask(&p.o, 2, second);
	/* one too early */
	assert_errno(open_op(&p.a, second, n2), EPROTO);
	assert_int_equal(open_op(&p.a, first, n1), 1);
	/* again */
	assert_errno(open_op(&p.a, first, n1), EPROTO);
	saved = p.a;
	for (size_t i = 0; i < n2 * 8; i++) {
		p.a = saved;
		second[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(open_op(&p.a, second, n2), -1);
		second[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	p.a = saved;
	/* trailing bytes, cut, empty, too long */
	assert_errno(open_op(&p.a, second, n2 + 1), EACCES);
	assert_errno(open_op(&p.a, second, n2 - 1), EACCES);
	assert_errno(open_op(&p.a, second, WIRE_HEAD_LEN), EBADMSG);
	assert_errno(open_op(&p.a, second, 0), EBADMSG);
	assert_errno(open_op(&p.a, second, WIRE_FRAME_MAX + 1), EBADMSG);
	assert_int_equal(open_op(&p.a, second, n2), 2);
	/* come back to its sender */
	assert_errno(open_op(&p.o, first, n1), EACCES);
	/* into a later connection of the same two */
	join(&q, 11, 21);
	assert_errno(open_op(&q.a, first, n1), EACCES);
	/* even if one of them draws the same nonce again */
	join(&q, 11, 20);
	assert_errno(open_op(&q.a, first, n1), EACCES);
	join(&q, 10, 21);
	assert_errno(open_op(&q.a, first, n1), EACCES);
	/* a site's key is not the operator's */
	join(&q, 12, 22);
	n1 = ask(&q.o, 1, first);
	{
		uint32_t type;

		assert_errno(
		    wire_open(&q.a, &site_a.pub, 1, first, n1, &type, &any),
		    EACCES);
		assert_errno(
		    wire_open(&q.a, NULL, 0, first, n1, &type, &any), EACCES);
	}
}

/* A frame of a statement's type, of W_HELLO, of a type that is none. */
static void
test_link_types(void **state)
{
	static uint8_t buf[WIRE_FRAME_MAX];
	struct w_hello h;
	struct pair p;
	int n;

	join(&p, 1, 2);
	n = wire_seal(&p.o, &op, W_REVOKE, &over, buf, sizeof(buf));
	assert_true(n > 0);
	assert_errno(open_op(&p.a, buf, (size_t)n), EPROTO);
	join(&p, 1, 2);
	hello(&h, true, "", 9);
	n = wire_seal(&p.o, &op, W_HELLO, &h, buf, sizeof(buf));
	assert_true(n > 0);
	assert_errno(open_op(&p.a, buf, (size_t)n), EPROTO);
	assert_errno(
	    wire_seal(&p.o, &op, WIRE_AFTER_LAST, &h, buf, sizeof(buf)),
	    EPROTO);
	/* no room */
	assert_errno(
	    wire_seal(&p.o, &op, W_HELLO, &h, buf, WIRE_HEAD_LEN - 1), ENOBUFS);
	assert_errno(
	    wire_seal(&p.o, &op, W_HELLO, &h, buf, WIRE_HEAD_LEN + 5), ENOBUFS);
}

/*
 * Somebody between the operator and site b: it shows the operator a W_HELLO
 * of site a with b's nonce, so that what was meant for a would count at b.
 */
static void
test_relay(void **state)
{
	struct wire_link o = { 0 }, b = { 0 };
	struct w_hello h, in;
	size_t len;
	int n;

	hello(&h, true, "", 1);
	pass(&o, &h, &b);
	hello(&h, false, "b", 2);
	n = wire_hello(&b, &h, frame, sizeof(frame));
	assert_true(n > 0);
	snprintf(h.site, sizeof(h.site), "a");
	n = wire_encode(W_HELLO, &h, frame + WIRE_HEAD_LEN, WIRE_PAYLOAD_MAX);
	assert_true(n > 0);
	assert_int_equal(
	    wire_heard(&o, frame, (size_t)n + WIRE_HEAD_LEN, &in), 0);
	assert_string_equal(in.site, "a");
	len = ask(&o, 5, frame);
	assert_errno(open_op(&b, frame, len), EACCES);
}

static void
test_hello(void **state)
{
	static uint8_t buf[WIRE_FRAME_MAX];
	struct wire_link l = { 0 }, r = { 0 };
	struct w_hello h, in;
	struct w_promise_ask m = { .epoch = 1 };
	uint32_t type;
	int n;

	/* nothing before both have said and heard it */
	assert_errno(
	    wire_seal(&l, &op, W_PROMISE_ASK, &m, buf, sizeof(buf)), ENOTCONN);
	hello(&h, true, "", 1);
	n = wire_hello(&l, &h, frame, sizeof(frame));
	assert_true(n > 0);
	assert_errno(
	    wire_seal(&l, &op, W_PROMISE_ASK, &m, buf, sizeof(buf)), ENOTCONN);
	memset(buf, 0, sizeof(buf));
	buf[WIRE_HEAD_LEN - 1] = 1;
	assert_errno(wire_open(&l, &op.pub, 1, buf, 100, &type, &any), EPROTO);
	/* a mirror */
	assert_errno(wire_heard(&l, frame, (size_t)n, &in), EPROTO);
	/* cut, longer, a signature where none is */
	assert_int_equal(wire_heard(&r, frame, (size_t)n - 1, &in), -1);
	assert_int_equal(wire_heard(&r, frame, (size_t)n + 1, &in), -1);
	assert_errno(wire_heard(&r, frame, WIRE_HEAD_LEN, &in), EBADMSG);
	frame[3] = 1;
	assert_errno(wire_heard(&r, frame, (size_t)n, &in), EBADMSG);
	frame[3] = 0;
	assert_int_equal(wire_heard(&r, frame, (size_t)n, &in), 0);
	/* a second one */
	assert_errno(wire_heard(&r, frame, (size_t)n, &in), EPROTO);
	/* another version, no nonce, another message */
	memset(&r, 0, sizeof(r));
	h.version++;
	n = wire_hello(&l, &h, frame, sizeof(frame));
	assert_errno(wire_heard(&r, frame, (size_t)n, &in), EPROTONOSUPPORT);
	h.version--;
	h.nonce.len = 15;
	assert_errno(wire_hello(&l, &h, frame, sizeof(frame)), EINVAL);
	n = wire_encode(W_HELLO, &h, frame + WIRE_HEAD_LEN, WIRE_PAYLOAD_MAX);
	assert_errno(
	    wire_heard(&r, frame, (size_t)n + WIRE_HEAD_LEN, &in), EBADMSG);
	n = wire_encode(
	    W_PROMISE_ASK, &m, frame + WIRE_HEAD_LEN, WIRE_PAYLOAD_MAX);
	assert_errno(
	    wire_heard(&r, frame, (size_t)n + WIRE_HEAD_LEN, &in), EPROTO);
}

/* ---------------------------------------------------------------- keys --- */

static char pub_o[WIRE_HEX_LEN + 1], pub_a[WIRE_HEX_LEN + 1],
    pub_b[WIRE_HEX_LEN + 1];

static void
trust_err(const char *text, const char *want)
{
	static struct wire_trust t;
	char err[ERR_LEN + 1] = "";

	assert_int_equal(
	    wire_trust_parse(text, strlen(text), &t, err, sizeof(err)), -1);
	assert_string_equal(err, want);
}

static void
test_trust(void **state)
{
	static struct wire_trust t;
	char text[4096], err[ERR_LEN + 1] = "";
	const struct wire_pub *p;
	size_t n;

	wire_hex(op.pub.b, pub_o);
	wire_hex(site_a.pub.b, pub_a);
	wire_hex(site_b.pub.b, pub_b);
	snprintf(text, sizeof(text),
	    "# who is believed\n\noperator %s\nsite a  %s\n\tsite b\t%s \n"
	    "site a %s\nsite a %s",
	    pub_o, pub_a, pub_b, pub_b, pub_a);
	assert_int_equal(
	    wire_trust_parse(text, strlen(text), &t, err, sizeof(err)), 0);
	p = wire_trust_find(&t, "", &n);
	assert_int_equal(n, 1);
	assert_memory_equal(p[0].b, op.pub.b, WIRE_KEY_LEN);
	p = wire_trust_find(&t, "a", &n);
	assert_int_equal(n, 2); /* twice the same: once */
	assert_memory_equal(p[1].b, site_b.pub.b, WIRE_KEY_LEN);
	assert_null(wire_trust_find(&t, "c", &n));
	assert_int_equal(n, 0);

	trust_err("", "line 0: the end, and no line \"operator KEY\"");
	snprintf(text, sizeof(text), "site a %s\n", pub_a);
	trust_err(text, "line 1: the end, and no line \"operator KEY\"");
	snprintf(
	    text, sizeof(text), "operator %s\nsite a %.62sxx\n", pub_o, pub_a);
	trust_err(text, "line 2: not a public key of 64 hex digits");
	snprintf(text, sizeof(text), "operator %s\nsite a %s0\n", pub_o, pub_a);
	trust_err(text, "line 2: not a public key of 64 hex digits");
	/* the neutral element: anything is signed by it */
	trust_err("operator 01000000000000000000000000000000"
		  "00000000000000000000000000000000",
	    "line 1: not a public key of 64 hex digits");
	snprintf(
	    text, sizeof(text), "operator %s\n\noperator a %s\n", pub_o, pub_a);
	trust_err(
	    text, "line 3: expected \"operator KEY\" or \"site NAME KEY\"");
	snprintf(text, sizeof(text), "site %s\n", pub_o);
	trust_err(
	    text, "line 1: expected \"operator KEY\" or \"site NAME KEY\"");
}

static void
test_trust_limits(void **state)
{
	struct wire_key k;
	char text[8192], hex[WIRE_HEX_LEN + 1];
	size_t at = 0;

	for (int i = 0; i <= WIRE_PUBS_MAX; i++) {
		key(&k, (uint8_t)(100 + i));
		wire_hex(k.pub.b, hex);
		at += (size_t)snprintf(
		    text + at, sizeof(text) - at, "operator %s\n", hex);
	}
	trust_err(text, "line 5: too many keys of one name");
	at = 0;
	for (int i = 0; i <= SITES_MAX; i++)
		at += (size_t)snprintf(
		    text + at, sizeof(text) - at, "site s%d %s\n", i, hex);
	trust_err(text, "line 17: too many sites");
	snprintf(text, sizeof(text), "site %0*d %s\n", NAME_LEN + 1, 1, hex);
	trust_err(text, "line 1: the site's name is too long");
}

static void
put(const char *dir, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void
keys_err(const char *dir, struct wire_keys *k, const char *want)
{
	struct wire_keys *before = test_malloc(sizeof(*before));
	char err[ERR_LEN + 1] = "";

	*before = *k;
	assert_int_equal(wire_keys_read(dir, k, err, sizeof(err)), -1);
	assert_string_equal(err, want);
	assert_memory_equal(before, k, sizeof(*k));
	test_free(before);
}

static void
test_keys_read(void **state)
{
	static struct wire_keys k;
	char base[] = "/tmp/test_wire.XXXXXX", dir[64], path[128], text[1024],
	     err[ERR_LEN + 1] = "";
	const char *names[] = { "seed", "generation", "trust" };
	const char *seed = "03030303030303030303030303030303"
			   "03030303030303030303030303030303";

	assert_non_null(mkdtemp(base));
	keys_err(base, &k, "generation: No such file or directory");
	/* as kubelet mounts it: a link to the present generation */
	snprintf(dir, sizeof(dir), "%s/..1", base);
	snprintf(path, sizeof(path), "%s/..data", base);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(symlink("..1", path), 0);
	put(dir, "generation", "7\n");
	snprintf(text, sizeof(text), "operator %s\n", pub_o);
	put(dir, "trust", text);
	keys_err(base, &k, "seed: No such file or directory");
	put(dir, "seed", seed);
	assert_int_equal(wire_keys_read(base, &k, err, sizeof(err)), 0);
	assert_int_equal(k.generation, 7);
	assert_memory_equal(k.key.pub.b, site_a.pub.b, WIRE_KEY_LEN);
	assert_int_equal(k.trust.n_operator, 1);
	/* the first of two signs */
	snprintf(text, sizeof(text), "%s\n%s\n", seed, pub_o);
	put(dir, "seed", text);
	assert_int_equal(wire_keys_read(base, &k, err, sizeof(err)), 0);
	assert_memory_equal(k.key.pub.b, site_a.pub.b, WIRE_KEY_LEN);
	/* what is wrong changes nothing */
	put(dir, "seed", "03\n");
	keys_err(base, &k, "seed: line 1: not a seed of 64 hex digits");
	put(dir, "seed", text);
	put(dir, "generation", "0");
	keys_err(base, &k, "generation: line 1: not a number above 0");
	put(dir, "generation", "99999999999999999999999");
	keys_err(base, &k, "generation: line 1: not a number above 0");
	put(dir, "generation", "");
	keys_err(base, &k, "generation: line 1: not a number above 0");
	put(dir, "generation", "123456789012345678901234567890");
	keys_err(base, &k, "generation: larger than a key's");
	put(dir, "generation", "8");
	put(dir, "trust", "operator\n");
	keys_err(base, &k,
	    "trust: line 1: expected \"operator KEY\" or \"site NAME KEY\"");
	for (size_t i = 0; i < PS_NITEMS(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/..data", base);
	unlink(path);
	rmdir(dir);
	rmdir(base);
}

/* RFC 8032, 7.1, TEST 1: the key of a known seed. */
static void
test_vector(void **state)
{
	const char *s = "9d61b19deffd5a60ba844af492ec2cc4"
			"4449c5697b326919703bac031cae7f60";
	uint8_t seed[WIRE_KEY_LEN];
	char hex[WIRE_HEX_LEN + 1];
	struct wire_key k;

	assert_int_equal(wire_seed_parse(s, strlen(s), seed), 0);
	wire_key_from_seed(&k, seed);
	wire_hex(k.pub.b, hex);
	assert_string_equal(hex,
	    "d75a980182b10ab7d54bfed3c964073a"
	    "0ee172f3daa62325af021a68f707511a");
	assert_errno(wire_seed_parse(s, 63, seed), EBADMSG);
	assert_errno(wire_seed_parse("", 0, seed), EBADMSG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_releases),
		cmocka_unit_test(test_statement),
		cmocka_unit_test(test_statement_too_large),
		cmocka_unit_test(test_terms),
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_link_types),
		cmocka_unit_test(test_relay),
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_trust),
		cmocka_unit_test(test_trust_limits),
		cmocka_unit_test(test_keys_read),
		cmocka_unit_test(test_vector),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
