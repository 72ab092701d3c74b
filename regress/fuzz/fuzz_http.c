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
 * Requests of the status-server: heads, queries and handshakes.
 */

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "http_ws.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct http_req req;
	char value[64], accept[HTTP_WS_ACCEPT_LEN + 1], *buf;
	size_t scan = 0, end;
	unsigned state = 0;
	int rc;

	if (len > HTTP_HEAD_MAX || (buf = malloc(len + 1)) == NULL)
		return 0;
	memcpy(buf, data, len);
	buf[len] = '\0';
	end = http_head_end(buf, len, &scan, &state);
	FUZZ_CHECK(end <= len);
	if (end > 0) {
		memset(&req, 0, sizeof(req));
		if (http_parse(buf, end, &req) == 0) {
			FUZZ_CHECK(req.path != NULL && req.query != NULL);
			rc =
			    http_handshake(&req, "https://a, http://b", accept);
			FUZZ_CHECK(
			    rc != 101 || strlen(accept) == HTTP_WS_ACCEPT_LEN);
			(void)http_query(
			    req.query, "group", value, sizeof(value));
		} else
			FUZZ_CHECK(req.status >= 400);
	}
	free(buf);
	return 0;
}

size_t
fuzz_seed(unsigned i, uint8_t *buf, size_t size)
{
	static const char *const seeds[] = {
		"GET /active-site?namespace=db&group=orders%2d1 HTTP/1.1\r\n"
		"Host: x\r\nConnection: keep-alive\r\n\r\n",
		"HEAD /healthz HTTP/1.0\n\n",
		"POST /status HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
		"GET /ws/status HTTP/1.1\r\nHost: x\r\nOrigin: http://b\r\n"
		"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		"Sec-WebSocket-Version: 13\r\n\r\n",
		"GET http://h/metrics HTTP/1.1\r\nX: y\r\n z\r\n\r\n",
	};

	if (i >= sizeof(seeds) / sizeof(seeds[0]) || strlen(seeds[i]) > size)
		return 0;
	memcpy(buf, seeds[i], strlen(seeds[i]));
	return strlen(seeds[i]);
}
