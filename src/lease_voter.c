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

/* A sidecar: says yes to a guard, or promises never to again. */

#include <string.h>

#include "lease.h"

static uint64_t
larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void
lease_voter_init(struct lease_voter *v, uint64_t id, bool remembers,
    uint64_t promised, uint64_t heard, int64_t now)
{
	memset(v, 0, sizeof(*v));
	v->id = id;
	v->informed = remembers;
	v->start_ms = now;
	v->promised = promised;
	v->heard = larger(promised, heard);
	/* What it said yes to before this start is not remembered. */
	v->yes_floor_ms = now;
}

void
lease_voter_told(struct lease_voter *v, uint64_t epoch)
{
	v->informed = true;
	v->heard = larger(v->heard, epoch);
}

static void
note_yes(struct lease_voter *v, uint64_t epoch, int64_t now)
{
	int i, slot = 0;

	for (i = 0; i < LEASE_YES_MAX; i++) {
		if (v->yes[i].epoch == epoch) {
			slot = i;
			break;
		}
		if (v->yes[slot].epoch != 0 &&
		    (v->yes[i].epoch == 0 || v->yes[i].ms < v->yes[slot].ms))
			slot = i;
	}
	if (v->yes[slot].epoch != epoch && v->yes[slot].epoch != 0 &&
	    v->yes[slot].ms > v->yes_floor_ms)
		v->yes_floor_ms = v->yes[slot].ms;
	v->yes[slot].epoch = epoch;
	v->yes[slot].ms = now;
}

bool
lease_voter_ask(struct lease_voter *v, const struct lease_terms *t,
    uint64_t guard, uint32_t incarnation, int64_t now)
{
	if (!lease_terms_valid(t) || lease_voter_of(t, v->id) == -1)
		return false;
	v->heard = larger(v->heard, t->epoch);
	if (!v->informed || t->epoch <= v->promised)
		return false;
	if (t->guard != guard || t->incarnation != incarnation)
		return false;
	note_yes(v, t->epoch, now);
	return true;
}

int64_t
lease_voter_promise(struct lease_voter *v, uint64_t epoch, int64_t now)
{
	int64_t newest = v->yes_floor_ms;
	int i;

	v->promised = larger(v->promised, epoch);
	v->heard = larger(v->heard, epoch);
	for (i = 0; i < LEASE_YES_MAX; i++)
		if (v->yes[i].epoch != 0 && v->yes[i].epoch <= epoch &&
		    v->yes[i].ms > newest)
			newest = v->yes[i].ms;
	return now > newest ? now - newest : 0;
}
