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

#ifndef PRIVSEP_LOG_JSON_H
#define PRIVSEP_LOG_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A bounded writer of JSON; what does not fit sets over and is dropped. */
struct lbuf {
	char *buf;
	size_t len, max;
	bool over;
};

void lbuf_raw(struct lbuf *, const char *, size_t);
void lbuf_lit(struct lbuf *, const char *);
/* Quoted; invalid UTF-8 becomes U+FFFD. */
void lbuf_str(struct lbuf *, const char *, size_t);
/* "key": with a comma before it. */
void lbuf_key(struct lbuf *, const char *);
/* Length of lbuf_str's output without the quotes. */
size_t json_escaped_len(const char *, size_t);
/* As many leading bytes of s as fit into max escaped bytes, unbroken. */
size_t json_fit(const char *, size_t, size_t max);

#endif /* PRIVSEP_LOG_JSON_H */
