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

/* The leading operator: a voter, and who works out when a lease is over. */

#include "lease.h"

void
lease_auth_init(struct lease_auth *a)
{
	a->revoked = false;
	a->yes_ms = LEASE_NEVER;
	a->promised = 0;
	a->newest_ms = LEASE_NEVER;
}

bool
lease_auth_ask(struct lease_auth *a, const struct lease_terms *t,
    uint64_t guard, uint32_t incarnation, int64_t lead_until, int64_t now)
{
	if (!lease_terms_valid(t) || lease_voter_of(t, LEASE_OPERATOR) == -1)
		return false;
	if (a->revoked || now >= lead_until)
		return false;
	if (t->guard != guard || t->incarnation != incarnation)
		return false;
	a->yes_ms = now;
	return true;
}

/*
 * Promises beyond those that are needed are not counted: they could only move
 * the end to later.
 */
static void
count(struct lease_auth *a, const struct lease_terms *t, uint64_t voter,
    int64_t newest)
{
	int i = lease_voter_of(t, voter);

	if (i == -1 || (a->promised & 1U << i) != 0 ||
	    lease_auth_missing(a, t) == 0)
		return;
	a->promised |= 1U << i;
	if (newest > a->newest_ms)
		a->newest_ms = newest;
}

void
lease_auth_revoke(struct lease_auth *a, const struct lease_terms *t,
    int64_t quiet, int64_t now)
{
	if (a->revoked)
		return;
	a->revoked = true;
	if (quiet > now)
		quiet = now;
	count(a, t, LEASE_OPERATOR, a->yes_ms > quiet ? a->yes_ms : quiet);
}

void
lease_auth_promise(struct lease_auth *a, const struct lease_terms *t,
    uint64_t voter, int64_t age_ms, int64_t at)
{
	/* Whoever leads promises for itself only, by lease_auth_revoke. */
	if (voter != LEASE_OPERATOR)
		count(a, t, voter, age_ms > 0 ? at - age_ms : at);
}

unsigned
lease_auth_missing(const struct lease_auth *a, const struct lease_terms *t)
{
	unsigned i, got = 0, need;

	if (!lease_terms_valid(t))
		return LEASE_VOTERS_MAX + 1;
	need = t->n - t->r + 1U;
	for (i = 0; i < t->n; i++)
		if ((a->promised & 1U << i) != 0)
			got++;
	return got < need ? need - got : 0;
}

int64_t
lease_auth_over_ms(const struct lease_auth *a, const struct lease_terms *t,
    uint32_t max_lease_ms, uint32_t max_fence_ms)
{
	if (lease_auth_missing(a, t) != 0)
		return LEASE_FOREVER;
	if (a->newest_ms == LEASE_NEVER)
		return LEASE_NEVER;
	if (max_lease_ms < t->lease_ms)
		max_lease_ms = t->lease_ms;
	if (max_fence_ms < t->fence_ms)
		max_fence_ms = t->fence_ms;
	return a->newest_ms + max_lease_ms + max_fence_ms +
	    lease_margin_ms(max_lease_ms);
}

int64_t
lease_auth_late_ms(
    int64_t grants_end_ms, uint32_t max_lease_ms, uint32_t max_fence_ms)
{
	if (grants_end_ms == LEASE_NEVER || grants_end_ms == LEASE_FOREVER)
		return grants_end_ms;
	return grants_end_ms + LEASE_LOOK_MS + max_fence_ms +
	    lease_margin_ms(max_lease_ms);
}

bool
lease_auth_read_after(int64_t grants_end_ms, int64_t age_ms, int64_t at)
{
	if (age_ms < 0 || age_ms > LEASE_MAX_MS ||
	    grants_end_ms == LEASE_FOREVER)
		return false;
	if (grants_end_ms == LEASE_NEVER)
		return true;
	return at - age_ms - lease_margin_ms((uint32_t)age_ms) > grants_end_ms;
}
