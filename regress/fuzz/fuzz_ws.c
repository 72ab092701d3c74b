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
 * A WebSocket of status-server: what a client may send after the handshake,
 * while groups change. What comes back must be frames of RFC 6455 whatever
 * was sent, and in the end nothing is left.
 */

#include <sys/socket.h>

#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "http_ws.h"
#include "metrics.h"

#define CHUNKS 16

static struct event_base *base;
static struct http_state *state;
static int64_t clients;

/* What the server says. */
static struct {
	uint8_t buf[1 << 20];
	size_t len;
} out;

static void
count(void *arg, const struct m_metric *m)
{
	if (m->family == M_WS_CLIENTS)
		clients = m->value;
}

static const struct metric_sink sink = { count, NULL };

static void
change(const char *uid, const char *site, size_t gtid)
{
	static struct m_site_status s;
	static struct m_group_status g;

	memset(&s, 0, sizeof(s));
	memset(&g, 0, sizeof(g));
	strlcpy(s.group, uid, sizeof(s.group));
	strlcpy(s.name, "iad", sizeof(s.name));
	s.lag_s = -1;
	memset(s.gtid, 'a', gtid);
	strlcpy(g.group, uid, sizeof(g.group));
	strlcpy(g.ns, "ns", sizeof(g.ns));
	strlcpy(g.name, uid, sizeof(g.name));
	strlcpy(g.active_site, site, sizeof(g.active_site));
	g.n_sites = 1;
	strlcpy(g.sites[0].name, "iad", sizeof(g.sites[0].name));
	FUZZ_CHECK(http_state_site(state, &s) == 0);
	FUZZ_CHECK(http_state_group(state, &g) == 0);
	http_ws_news();
}

static void
start(void)
{
	struct http_ws_conf conf = { .sink = &sink };

	FUZZ_CHECK((base = event_base_new()) != NULL);
	FUZZ_CHECK((state = http_state_new(&sink)) != NULL);
	conf.base = base;
	conf.state = state;
	FUZZ_CHECK(http_ws_init(&conf) == 0);
	change("one", "iad", 0);
	change("two", "", 9000); /* is fragmented */
}

static void
turn(int fd)
{
	ssize_t n;

	(void)event_base_loop(base, EVLOOP_NONBLOCK);
	while (out.len < sizeof(out.buf) &&
	    (n = read(fd, out.buf + out.len, sizeof(out.buf) - out.len)) > 0)
		out.len += (size_t)n;
}

/* One whole frame at p; its length, 0 when it is not all there. */
static size_t
server_frame(const uint8_t *p, size_t left, uint8_t *head, size_t *payload)
{
	size_t n, at = 2;

	if (left < 2)
		return 0;
	FUZZ_CHECK((p[0] & 0x70) == 0 && (p[1] & 0x80) == 0);
	n = p[1];
	FUZZ_CHECK((p[0] & 8) == 0 || ((p[0] & 0x80) != 0 && n < 126));
	FUZZ_CHECK(n < 127); /* fragments of wslay are smaller */
	if (n == 126) {
		at = 4;
		if (left < at)
			return 0;
		n = (size_t)p[2] << 8 | p[3];
		FUZZ_CHECK(n >= 126);
	}
	if (left - at < n)
		return 0;
	*head = p[0];
	*payload = n;
	return at + n;
}

/* All that came, but for a last frame that was cut off. */
static void
check_output(void)
{
	size_t at = 0, n, payload = 0;
	bool text = false, closed = false;
	uint8_t head = 0;

	while ((n = server_frame(out.buf + at, out.len - at, &head, &payload)) >
	    0) {
		const uint8_t *data = out.buf + at + n - payload;

		FUZZ_CHECK(!closed);
		switch (head & 15) {
		case 0:
			FUZZ_CHECK(text && payload > 0);
			break;
		case 1:
			FUZZ_CHECK(!text && data[0] == '{');
			text = true;
			break;
		case 8:
			FUZZ_CHECK(payload != 1);
			closed = true;
			break;
		case 10:
			break;
		default:
			FUZZ_CHECK(false);
		}
		if ((head & 8) == 0 && (head & 0x80) != 0) {
			FUZZ_CHECK(data[payload - 1] == '}');
			text = false;
		}
		at += n;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t at = 0, n, step;
	int sv[2];

	if (base == NULL)
		start();
	if (len < 2)
		return 0;
	FUZZ_CHECK(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) == 0);
	out.len = 0;
	http_ws_adopt(sv[0], "fuzz");
	step = data[0] % CHUNKS * (len / CHUNKS) + 1;
	for (at = 1; at < len; at += n) {
		n = len - at < step ? len - at : step;
		if (send(sv[1], data + at, n, MSG_NOSIGNAL) != (ssize_t)n)
			break;
		turn(sv[1]);
		if ((data[at] & 3) == 0)
			change("one", (data[at] & 4) == 0 ? "iad" : "pdx", 0);
	}
	/* 128 bytes a turn */
	for (at = 0; at < len / HTTP_WS_READ + 4; at++)
		turn(sv[1]);
	FUZZ_CHECK(out.len > 0);
	check_output();
	(void)shutdown(sv[1], SHUT_RDWR);
	close(sv[1]);
	for (at = 0; at < 8 && clients > 0; at++)
		(void)event_base_loop(base, EVLOOP_NONBLOCK);
	FUZZ_CHECK(clients == 0);
	return 0;
}

/* ----------------------------------------------------------------- seeds --- */

struct seed_frame {
	uint8_t head;
	uint16_t len;
	uint8_t fill;
};

/* The first byte is not the client's, see above. */
size_t
fuzz_seed(unsigned i, uint8_t *buf, size_t size)
{
	static const struct seed_frame seeds[][4] = {
		{ { 0x89, 4, 'p' }, { 0x8a, 0, 0 }, { 0x81, 20, 't' },
		    { 0x88, 0, 0 } },
		{ { 0x01, 3, 'a' }, { 0x89, 125, 'p' }, { 0x80, 300, 'b' },
		    { 0x88, 2, 3 } },
		{ { 0x82, 4096, 0xff }, { 0x82, 4097, 0xff }, { 0x8a, 1, 1 },
		    { 0x88, 9, 4 } },
		{ { 0x01, 0, 0 }, { 0x00, 1, 0xc3 }, { 0x80, 1, 0xa4 },
		    { 0x83, 0, 0 } },
	};
	size_t len = 0, k, n;

	if (i >= PS_NITEMS(seeds))
		return 0;
	buf[len++] = (uint8_t)(i * 5);
	for (k = 0; k < PS_NITEMS(seeds[i]); k++) {
		const struct seed_frame *f = &seeds[i][k];

		if (size - len < 8u + f->len)
			return 0;
		buf[len++] = f->head;
		buf[len++] = 0x80 | (f->len < 126 ? (uint8_t)f->len : 126);
		if (f->len >= 126) {
			buf[len++] = (uint8_t)(f->len >> 8);
			buf[len++] = (uint8_t)f->len;
		}
		memset(buf + len, 0, 4); /* the mask: none */
		len += 4;
		for (n = 0; n < f->len; n++)
			buf[len++] = f->fill;
	}
	return len;
}
