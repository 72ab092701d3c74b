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
 * Certificates for tests, made on the spot.
 */

#ifndef CERTS_H
#define CERTS_H

#include <stdint.h>

#define PEM_LEN 8192

struct authority; /* leaks: tests are short */

struct cert {
	char cert[PEM_LEN];
	char key[PEM_LEN];
};

struct authority *cert_authority(const char *name);
/* Its PEM; lives as long as it. */
const char *cert_ca(const struct authority *);
/* names: "a.example,b.example"; from, to: seconds from now. */
void cert_make(const struct authority *, const char *names, int64_t from,
    int64_t to, struct cert *);
/* The same key, but with a passphrase. */
void cert_lock(const struct cert *, char out[PEM_LEN]);

#endif /* CERTS_H */
