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
 * yyjson with one bounded, wiping allocator per worker.
 */

#ifndef KUBE_JSON_H
#define KUBE_JSON_H

#include <stddef.h>
#include <stdint.h>
#include <yyjson.h>

/* All documents of the worker together; beyond it reading fails. */
#define KJ_MEM_MAX (64u << 20)

/* NULL with a precise errno: EBADMSG (not JSON), ENOMEM (bound reached). */
yyjson_doc *kj_read(const char *, size_t);
yyjson_mut_doc *kj_new(void);
/* NUL-terminated text, kj_free() after use; never NULL. */
char *kj_write(const yyjson_mut_val *, size_t *len);
void kj_free(char *, size_t len);
/*
 * A copy of an API object without status and metadata.managedFields: what
 * a group keeps of its own object.
 */
yyjson_doc *kj_strip(yyjson_val *obj);

/* The list, which is taken over, with one more of its items. */
yyjson_doc *kj_append(yyjson_doc *list, yyjson_val *item);

/*
 * For a merge patch: members that are "" become null (removed), inside
 * arrays they are left out. Absent and empty mean the same to our decoders;
 * API servers built by some compilers refuse "" in a checked field.
 */
void kj_no_empty(yyjson_mut_doc *, yyjson_mut_val *);

/* Convenience for paths of object keys; NULL when one is missing. */
yyjson_val *kj_at(yyjson_val *, const char *k1, const char *k2);
/* metadata.<key> as a string, "" when missing. */
const char *kj_meta(yyjson_val *, const char *key);
/* FNV-1a; for change detection only. */
uint64_t kj_hash(const void *, size_t);
/* Of a value's text; 0 for NULL. */
uint64_t kj_hash_val(yyjson_val *);
/* Bytes that all documents hold now. */
size_t kj_mem(void);

#endif /* KUBE_JSON_H */
