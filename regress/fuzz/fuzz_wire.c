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
 * Bytes from other Pods. The first byte says what they are taken for: a
 * payload (what decodes encodes to what decodes to the same), a W_HELLO, a
 * sealed frame, a file "trust". A frame that was changed is never opened.
 */

#include <stdio.h>
#include <string.h>

#include "fuzz.h"
#include "wire.h"

enum { AS_PAYLOAD, AS_HELLO, AS_FRAME, AS_TRUST, AS_MAX };

static struct wire_key key;
static struct wire_link sender, receiver;
static uint8_t sealed[WIRE_FRAME_MAX];
static size_t sealed_len;

/* The same each time: both sides of a link, and one frame on its way. */
static void
prepare(void)
{
	static const struct w_promise_ask ask = { .epoch = 7 };
	static uint8_t frame[WIRE_FRAME_MAX];
	const uint8_t seed[WIRE_KEY_LEN] = { 1 };
	struct w_hello h = { .version = WIRE_VERSION, .operator= true }, in;
	int n;

	if (sealed_len != 0)
		return;
	wire_key_from_seed(&key, seed);
	h.nonce.len = WIRE_NONCE_LEN;
	n = wire_hello(&sender, &h, frame, sizeof(frame));
	FUZZ_CHECK(n > 0);
	FUZZ_CHECK(wire_heard(&receiver, frame, (size_t)n, &in) == 0);
	h.operator= false;
	n = wire_hello(&receiver, &h, frame, sizeof(frame));
	FUZZ_CHECK(n > 0);
	FUZZ_CHECK(wire_heard(&sender, frame, (size_t)n, &in) == 0);
	n = wire_seal(
	    &sender, &key, W_PROMISE_ASK, &ask, sealed, sizeof(sealed));
	FUZZ_CHECK(n > 0);
	sealed_len = (size_t)n;
}

/* What is taken for a sight can be reckoned with. */
static void
sight(const struct w_sight *w)
{
	if (wire_sight_ok(w))
		FUZZ_CHECK(w->age_ms >= 0 && w->age_ms < WIRE_SIGHT_MS &&
		    w->start_ms > 0);
}

static void
payload(const uint8_t *data, size_t len)
{
	static uint8_t buf[PS_FRAME_MAX];
	static union wire_any a, b;
	const struct codec_desc *d;
	uint32_t type, again;
	int n;

	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	if (wire_decode(data, len, &type, &a) == -1)
		return;
	FUZZ_CHECK((d = wire_desc(type)) != NULL);
	if (type == W_OPERATOR)
		sight(&a.w_operator.sight[0]);
	if (type == W_REPORT)
		sight(&a.w_report.sight[0]);
	n = wire_encode(type, &a, buf, sizeof(buf));
	FUZZ_CHECK(n > 0);
	FUZZ_CHECK(wire_decode(buf, (size_t)n, &again, &b) == 0);
	FUZZ_CHECK(type == again && memcmp(&a, &b, d->size) == 0);
}

static void
hello(const uint8_t *data, size_t len)
{
	struct wire_link l = { 0 };
	struct w_hello h;

	if (wire_heard(&l, data, len, &h) == -1)
		FUZZ_CHECK(!l.heard);
	else
		FUZZ_CHECK(l.heard && h.nonce.len == WIRE_NONCE_LEN &&
		    h.version == WIRE_VERSION);
}

static void
opened(const uint8_t *data, size_t len)
{
	static union wire_any any;
	struct wire_link l = receiver;
	uint32_t type;
	bool same = len == sealed_len && memcmp(data, sealed, len) == 0;

	FUZZ_CHECK(
	    same == (wire_open(&l, &key.pub, 1, data, len, &type, &any) == 0));
	FUZZ_CHECK(l.rx == (same ? 1 : 0));
}

static void
trust(const uint8_t *data, size_t len)
{
	static struct wire_trust t;
	char err[ERR_LEN + 1];
	size_t n;

	if (wire_trust_parse((const char *)data, len, &t, err, sizeof(err)) ==
	    -1)
		return;
	FUZZ_CHECK(t.n_operator > 0 && t.n_operator <= WIRE_PUBS_MAX);
	FUZZ_CHECK(t.n_sites <= SITES_MAX);
	for (uint32_t i = 0; i < t.n_sites; i++) {
		FUZZ_CHECK(wire_trust_find(&t, t.sites[i].name, &n) != NULL);
		FUZZ_CHECK(n > 0 && n <= WIRE_PUBS_MAX);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	prepare();
	if (len == 0)
		return 0;
	switch (data[0] % AS_MAX) {
	case AS_PAYLOAD:
		payload(data + 1, len - 1);
		break;
	case AS_HELLO:
		hello(data + 1, len - 1);
		break;
	case AS_FRAME:
		opened(data + 1, len - 1);
		break;
	case AS_TRUST:
		trust(data + 1, len - 1);
		break;
	}
	return 0;
}

static size_t
seed_payload(unsigned type, uint8_t *buf, size_t size)
{
	static union wire_any zero;
	int n;

	buf[0] = AS_PAYLOAD;
	n = wire_encode(type, &zero, buf + 1, size - 1);
	FUZZ_CHECK(n > 0);
	return (size_t)n + 1;
}

static size_t
seed_trust(uint8_t *buf, size_t size)
{
	char hex[WIRE_HEX_LEN + 1];
	int n;

	wire_hex(key.pub.b, hex);
	buf[0] = AS_TRUST;
	n = snprintf((char *)buf + 1, size - 1,
	    "# trust\noperator %s\nsite a %s\nsite b %s\n", hex, hex, hex);
	return (size_t)n + 1;
}

/* With all that has come since the first release. */
static size_t
seed_full(uint8_t *buf, size_t size)
{
	static struct w_operator o;
	int n;

	o.tls.len = sizeof(o.tls.data);
	o.n_sight = 1;
	memcpy(o.sight[0].pod_uid, "pod", 4);
	memcpy(o.sight[0].server_uuid, "uuid", 5);
	o.sight[0].start_ms = o.sight[0].age_ms = INT64_MAX;
	buf[0] = AS_PAYLOAD;
	n = wire_encode(W_OPERATOR, &o, buf + 1, size - 1);
	FUZZ_CHECK(n > 0);
	return (size_t)n + 1;
}

/* As a later release might write it. */
static size_t
seed_later(uint8_t *buf, size_t size)
{
	static const uint8_t more[] = { 0x92, 0x90, 0xc0, 0xa1, 'x' };
	size_t n = seed_full(buf, size);

	buf[1] += 2;
	memcpy(buf + n, more, sizeof(more));
	return n + sizeof(more);
}

/* And an earlier one, before the last field that it must have. */
static size_t
seed_earlier(uint8_t *buf, size_t size)
{
	size_t n = seed_payload(W_OPERATOR, buf, size);

	buf[1]--;
	return n - 1;
}

/*
 * Every type, empty; then a W_HELLO, the sealed frame, a file, a later one, an
 * earlier one and a full one.
 */
size_t
fuzz_seed(unsigned i, uint8_t *buf, size_t size)
{
	struct w_hello h = { .version = WIRE_VERSION };
	struct wire_link l = { 0 };
	unsigned type = WIRE_BEFORE_FIRST + 1 + i;
	int n;

	prepare();
	if (type < WIRE_AFTER_LAST)
		return seed_payload(type, buf, size);
	switch (type - WIRE_AFTER_LAST) {
	case 0:
		buf[0] = AS_HELLO;
		h.nonce.len = WIRE_NONCE_LEN;
		n = wire_hello(&l, &h, buf + 1, size - 1);
		FUZZ_CHECK(n > 0);
		return (size_t)n + 1;
	case 1:
		buf[0] = AS_FRAME;
		memcpy(buf + 1, sealed, sealed_len);
		return sealed_len + 1;
	case 2:
		return seed_trust(buf, size);
	case 3:
		return seed_later(buf, size);
	case 4:
		return seed_earlier(buf, size);
	case 5:
		return seed_full(buf, size);
	default:
		return 0;
	}
}
