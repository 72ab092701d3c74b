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
 * The pure parts of the client: back-off, what an answer means, escapes, names
 * for metrics.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kube_http.h"
#include "kube_json.h"

/* ------------------------------------------------------------ back-off --- */

int64_t
backoff_next(struct backoff *b, uint32_t rnd)
{
	if (b->cur_ms == 0)
		b->cur_ms = b->min_ms;
	else if (b->cur_ms > b->max_ms / 2)
		b->cur_ms = b->max_ms;
	else
		b->cur_ms *= 2;
	return b->cur_ms - (int64_t)(rnd % 256) * b->cur_ms / 1024;
}

void
backoff_reset(struct backoff *b)
{
	b->cur_ms = 0;
}

/* ------------------------------------------------------------- answers --- */

bool
kh_definite(long status)
{
	return status >= 400 && status < 500 && status != 401 &&
	    status != 408 && status != 409 && status != 429;
}

bool
kh_lasts(long status)
{
	return kh_definite(status) || status == 409 || status == 500;
}

void
kh_why(const struct kh_resp *p, char why[static ERR_LEN + 1])
{
	yyjson_doc *d = NULL;
	const char *s = p->error;

	if (s == NULL && p->body != NULL &&
	    (d = kj_read(p->body, p->len)) != NULL)
		s = yyjson_get_str(
		    yyjson_obj_get(yyjson_doc_get_root(d), "message"));
	(void)strlcpy(why, s != NULL ? s : "", ERR_LEN + 1);
	yyjson_doc_free(d);
}

/* --------------------------------------------------------------- texts --- */

int
kh_escape(char *out, size_t size, const char *s)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;

	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9') || strchr("-._~", c) != NULL;

		if (size - n < 4) {
			errno = ERANGE;
			return -1;
		}
		if (plain) {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '%';
		out[n++] = hex[c >> 4];
		out[n++] = hex[c & 15];
	}
	out[n] = '\0';
	return 0;
}

void
kh_collection(char path[static KH_PATH_MAX], const char *api, const char *ns,
    const char *plural)
{
	(void)snprintf(path, KH_PATH_MAX, "%s/%s%s%s%s", api,
	    ns[0] != '\0' ? "namespaces/" : "", ns, ns[0] != '\0' ? "/" : "",
	    plural);
}

void
kh_resource(const char *path, char out[static KH_RESOURCE_LEN + 1])
{
	static const char ns[] = "/namespaces/";
	const char *p = strstr(path, ns);
	size_t n, skip = strncmp(path, "/apis/", 6) == 0 ? 3 : 2;

	/* Past the namespace's name, or past API group and version. */
	if (p != NULL) {
		path = p + sizeof(ns) - 1;
		skip = 1;
	} else
		path++;
	for (; skip > 0 && strchr(path, '/') != NULL; skip--)
		path = strchr(path, '/') + 1;
	n = strcspn(path, "/?");
	if (n > KH_RESOURCE_LEN)
		n = KH_RESOURCE_LEN;
	memcpy(out, path, n);
	out[n] = '\0';
}
