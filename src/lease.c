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

/* What all three machines agree on: bloodraven-fencing(7). */

#include "lease.h"

uint8_t
lease_quorum(uint8_t n)
{
	return n <= 2 ? 1 : n / 2 + 1;
}

uint32_t
lease_fence_ms(uint32_t lease_ms)
{
	uint32_t f = lease_ms / 10;

	return f < LEASE_FENCE_MAX_MS ? f : LEASE_FENCE_MAX_MS;
}

int64_t
lease_margin_ms(uint32_t lease_ms)
{
	int64_t m = lease_ms / 50;

	return m > LEASE_MARGIN_MIN_MS ? m : LEASE_MARGIN_MIN_MS;
}

int
lease_voter_of(const struct lease_terms *t, uint64_t id)
{
	int i;

	for (i = 0; i < t->n && i < LEASE_VOTERS_MAX; i++)
		if (t->voter[i] == id)
			return i;
	return -1;
}

bool
lease_terms_valid(const struct lease_terms *t)
{
	int i;

	if (t->epoch == 0 || t->prev >= t->epoch || t->guard == 0 ||
	    t->incarnation == 0)
		return false;
	if (t->lease_ms == 0 || t->lease_ms > LEASE_MAX_MS ||
	    t->fence_ms == 0 || t->fence_ms > t->lease_ms)
		return false;
	if (t->n == 0 || t->n > LEASE_VOTERS_MAX || t->r != lease_quorum(t->n))
		return false;
	for (i = 0; i < t->n; i++)
		if (t->voter[i] == 0 || lease_voter_of(t, t->voter[i]) != i)
			return false;
	return true;
}
