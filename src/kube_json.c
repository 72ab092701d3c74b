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
 * JSON memory of a worker: bounded, counted, wiped when freed (documents may
 * hold Secrets).
 */

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "kube_json.h"
#include "privsep.h"

static size_t used;

static void *
kj_malloc(void *ctx, size_t size)
{
	void *p;

	(void)ctx;
	if (size > KJ_MEM_MAX - used || (p = malloc(size)) == NULL)
		return NULL;
	used += malloc_usable_size(p);
	return p;
}

static void
kj_release(void *ctx, void *p)
{
	size_t n;

	(void)ctx;
	if (p == NULL)
		return;
	n = malloc_usable_size(p);
	explicit_bzero(p, n);
	used -= n;
	free(p);
}

static void *
kj_realloc(void *ctx, void *p, size_t old, size_t size)
{
	void *q;

	if ((q = kj_malloc(ctx, size)) == NULL)
		return NULL;
	memcpy(q, p, old < size ? old : size);
	kj_release(ctx, p);
	return q;
}

static const yyjson_alc alc = { kj_malloc, kj_realloc, kj_release, NULL };

yyjson_doc *
kj_read(const char *p, size_t len)
{
	yyjson_read_err err;
	yyjson_doc *d;

	/* Without INSITU the text is copied and left alone. */
	d = yyjson_read_opts((char *)(uintptr_t)p, len, 0, &alc, &err);
	if (d == NULL) {
		errno = err.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ?
		    ENOMEM :
		    EBADMSG;
	}
	return d;
}

yyjson_mut_doc *
kj_new(void)
{
	yyjson_mut_doc *d = yyjson_mut_doc_new(&alc);

	if (d == NULL)
		fatalx("JSON memory");
	return d;
}

char *
kj_write(const yyjson_mut_val *v, size_t *len)
{
	char *p = yyjson_mut_val_write_opts(v, 0, &alc, len, NULL);

	if (p == NULL)
		fatalx("JSON memory");
	return p;
}

void
kj_free(char *p, size_t len)
{
	(void)len;
	kj_release(NULL, p);
}

yyjson_doc *
kj_strip(yyjson_val *obj)
{
	yyjson_mut_doc *m = kj_new();
	yyjson_mut_val *root, *meta;
	yyjson_doc *d;

	if ((root = yyjson_val_mut_copy(m, obj)) == NULL)
		fatalx("JSON memory");
	yyjson_mut_obj_remove_key(root, "status");
	if ((meta = yyjson_mut_obj_get(root, "metadata")) != NULL)
		yyjson_mut_obj_remove_key(meta, "managedFields");
	yyjson_mut_doc_set_root(m, root);
	d = yyjson_mut_doc_imut_copy(m, &alc);
	yyjson_mut_doc_free(m);
	if (d == NULL)
		fatalx("JSON memory");
	return d;
}

yyjson_doc *
kj_append(yyjson_doc *list, yyjson_val *item)
{
	yyjson_mut_doc *m = yyjson_doc_mut_copy(list, &alc);
	yyjson_mut_val *items, *copy;
	yyjson_doc *d = NULL;

	if (m != NULL) {
		items = yyjson_mut_obj_get(yyjson_mut_doc_get_root(m), "items");
		copy = yyjson_val_mut_copy(m, item);
		if (copy != NULL && yyjson_mut_arr_append(items, copy))
			d = yyjson_mut_doc_imut_copy(m, &alc);
	}
	yyjson_mut_doc_free(m);
	yyjson_doc_free(list);
	if (d == NULL)
		fatalx("JSON memory");
	return d;
}

/* Recursion over what was rendered here: its depth is known. */
static void
no_empty(yyjson_mut_doc *d, yyjson_mut_val *v, bool in_array)
{
	yyjson_mut_obj_iter it;
	yyjson_mut_val *k, *x;
	size_t i, n;

	yyjson_mut_arr_foreach(v, i, n, x) no_empty(d, x, true);
	it = yyjson_mut_obj_iter_with(v);
	while ((k = yyjson_mut_obj_iter_next(&it)) != NULL) {
		x = yyjson_mut_obj_iter_get_val(k);
		if (!yyjson_mut_equals_str(x, ""))
			no_empty(d, x, in_array);
		else if (in_array)
			(void)yyjson_mut_obj_iter_remove(&it);
		else
			yyjson_mut_set_null(x);
	}
}

void
kj_no_empty(yyjson_mut_doc *d, yyjson_mut_val *v)
{
	no_empty(d, v, false);
}

yyjson_val *
kj_at(yyjson_val *v, const char *k1, const char *k2)
{
	v = yyjson_obj_get(v, k1);
	return k2 == NULL ? v : yyjson_obj_get(v, k2);
}

const char *
kj_meta(yyjson_val *obj, const char *key)
{
	const char *s = yyjson_get_str(kj_at(obj, "metadata", key));

	return s == NULL ? "" : s;
}

uint64_t
kj_hash(const void *p, size_t len)
{
	const uint8_t *b = p;
	uint64_t h = 0xcbf29ce484222325u;

	while (len-- > 0)
		h = (h ^ *b++) * 0x100000001b3u;
	return h;
}

uint64_t
kj_hash_val(yyjson_val *v)
{
	uint64_t h;
	size_t len;
	char *p;

	if (v == NULL)
		return 0;
	if ((p = yyjson_val_write_opts(v, 0, &alc, &len, NULL)) == NULL)
		fatalx("JSON memory");
	h = kj_hash(p, len);
	kj_release(NULL, p);
	return h;
}

size_t
kj_mem(void)
{
	return used;
}
