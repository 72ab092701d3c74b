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

/* A set of 64 bit hashes, open addressing. */

#include <sys/mman.h>

#include <stdlib.h>
#include <string.h>

#include "explore.h"

void *
x_need(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static uint64_t
mix(uint64_t h)
{
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ULL;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ULL;
	return h ^ h >> 32;
}

uint64_t
x_hash(const uint8_t *p, size_t n)
{
	uint64_t h = 0x9e3779b97f4a7c15ULL ^ n, v;

	for (; n > 0; p += 8) {
		v = 0;
		memcpy(&v, p, n < 8 ? n : 8);
		h = mix(h ^ v) + 0x9e3779b97f4a7c15ULL;
		n -= n < 8 ? n : 8;
	}
	return h == 0 ? 1 : h;
}

/* Zeroes. What is asked for lies anywhere in it: large pages are faster. */
static uint64_t *
keys_alloc(size_t n)
{
	void *p = mmap(NULL, n * sizeof(uint64_t), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	(void)madvise(p, n * sizeof(uint64_t), MADV_HUGEPAGE);
	return p;
}

static void
keys_free(uint64_t *p, size_t n)
{
	if (p != NULL)
		(void)munmap(p, n * sizeof(uint64_t));
}

static void
grow(struct x_set *s)
{
	uint64_t *old = s->key;
	size_t i, j, n = s->mask + 1;

	s->mask = old == NULL ? (1U << 16) - 1 : 2 * n - 1;
	s->key = keys_alloc(s->mask + 1);
	for (i = 0; old != NULL && i < n; i++) {
		if (old[i] == 0)
			continue;
		for (j = old[i] & s->mask; s->key[j] != 0;)
			j = (j + 1) & s->mask;
		s->key[j] = old[i];
	}
	keys_free(old, n);
}

bool
set_add(struct x_set *s, uint64_t h)
{
	size_t j;

	if (s->key == NULL || s->n > s->mask / 4 * 3)
		grow(s);
	for (j = h & s->mask; s->key[j] != 0; j = (j + 1) & s->mask)
		if (s->key[j] == h)
			return false;
	s->key[j] = h;
	s->n++;
	return true;
}

bool
set_has(const struct x_set *s, uint64_t h)
{
	size_t j;

	if (s->key == NULL)
		return false;
	for (j = h & s->mask; s->key[j] != 0; j = (j + 1) & s->mask)
		if (s->key[j] == h)
			return true;
	return false;
}

void
set_soon(const struct x_set *s, uint64_t h)
{
	if (s->key != NULL)
		__builtin_prefetch(&s->key[h & s->mask]);
}

void
set_free(struct x_set *s)
{
	keys_free(s->key, s->mask + 1);
	memset(s, 0, sizeof(*s));
}
