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
 * The opening handshake of a WebSocket: RFC 6455 section 4.2, and which pages
 * of browsers may open one.
 */

#include <sha1.h>
#include <sodium.h>
#include <string.h>
#include <strings.h>

#include "http_ws.h"

#define GUID    "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define KEY_LEN 16 /* bytes, before base64 */
/* sodium_bin2base64() counts the NUL. */
#define ACCEPT_SIZE                                             \
	sodium_base64_ENCODED_LEN(                              \
	    SHA1_DIGEST_LENGTH, sodium_base64_VARIANT_ORIGINAL)

_Static_assert(ACCEPT_SIZE == HTTP_WS_ACCEPT_LEN + 1, "base64 of a SHA-1");

static bool
key_valid(const char *key)
{
	unsigned char bin[KEY_LEN];
	size_t len;

	return sodium_base642bin(bin, sizeof(bin), key, strlen(key), NULL, &len,
		   NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
	    len == KEY_LEN;
}

static void
accept_of(const char *key, char accept[static HTTP_WS_ACCEPT_LEN + 1])
{
	uint8_t digest[SHA1_DIGEST_LENGTH];
	SHA1_CTX ctx;

	SHA1Init(&ctx);
	SHA1Update(&ctx, (const uint8_t *)key, strlen(key));
	SHA1Update(&ctx, (const uint8_t *)GUID, strlen(GUID));
	SHA1Final(digest, &ctx);
	(void)sodium_bin2base64(accept, HTTP_WS_ACCEPT_LEN + 1, digest,
	    sizeof(digest), sodium_base64_VARIANT_ORIGINAL);
}

/* Is it in the comma list, or is "*"? Scheme and host know no case. */
static bool
in_list(const char *list, const char *origin)
{
	size_t n, len = strlen(origin);

	while (*list != '\0') {
		list += strspn(list, ", \t");
		n = strcspn(list, ", \t");
		if (n == 1 && *list == '*')
			return true;
		if (n > 0 && n == len && strncasecmp(list, origin, n) == 0)
			return true;
		list += n;
	}
	return false;
}

/*
 * Browsers say whose page opens the connection and send its user's way in
 * along; programs say nothing. A list shuts both out that are not in it.
 */
static bool
origin_allowed(const char *origins, const char *origin)
{
	if (origins[strspn(origins, ", \t")] == '\0')
		return true;
	return in_list(origins, origin != NULL ? origin : "");
}

int
http_handshake(const struct http_req *req, const char *origins,
    char accept[static HTTP_WS_ACCEPT_LEN + 1])
{
	if (!req->upgrade || req->ws_version == NULL ||
	    strcmp(req->ws_version, "13") != 0)
		return 426;
	/* A client waits for our 101 before it sends a frame. */
	if (strcmp(req->method, "GET") != 0 || req->ws_key == NULL ||
	    !key_valid(req->ws_key) || req->more)
		return 400;
	if (!origin_allowed(origins, req->origin))
		return 403;
	accept_of(req->ws_key, accept);
	return 101;
}
