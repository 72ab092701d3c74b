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
 * A leader that hands over by itself: see handover.h.
 */

#include "handover.h"

int64_t
handover_term(const struct handover *h, int64_t now)
{
	unsigned n = h->n;

	if (now - h->last_ms >= HANDOVER_FORGET_MS)
		n = 0;
	if (n > HANDOVER_DOUBLINGS)
		n = HANDOVER_DOUBLINGS;
	return (int64_t)HANDOVER_TERM_MS << n;
}

static int64_t
patience(const struct handover_sees *s)
{
	int64_t ms = 3 * s->lost_ms;

	return ms > HANDOVER_BLIND_MS ? ms : HANDOVER_BLIND_MS;
}

enum handover_do
handover_look(
    struct handover *h, const struct handover_sees *s, bool leads, int64_t now)
{
	if (!leads)
		h->led_ms = 0;
	else if (h->led_ms == 0)
		h->led_ms = now;
	if (!leads || s->other == 0 || s->mine > 0) {
		h->since_ms = 0;
		h->said = false;
		return HANDOVER_STAY;
	}
	if (h->since_ms == 0)
		h->since_ms = now;
	if (s->busy > 0 || now - h->since_ms < patience(s) ||
	    now - h->led_ms < handover_term(h, now))
		return HANDOVER_STAY;
	if (!h->said) {
		h->said = true;
		return HANDOVER_SAY;
	}
	if (now - h->last_ms >= HANDOVER_FORGET_MS)
		h->n = 0;
	h->n++;
	h->last_ms = now;
	h->led_ms = h->since_ms = 0;
	h->said = false;
	return HANDOVER_GO;
}

bool
handover_answered(struct handover *h, bool held, uint64_t term)
{
	if (h->term != 0 && held && term == h->term)
		return false;
	h->term = 0;
	return true;
}
