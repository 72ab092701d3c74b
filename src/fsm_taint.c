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
 * The taint of a site's nodes (failover.md section 4, as a state). Pure.
 */

#include "fsm_int.h"

/*
 * Nodes of a site that is not to be written to keep writers away. NoExecute
 * evicts at once, so nothing is done for what is not known yet, nor for the
 * active site while it comes back read-only from a restart and is about to be
 * granted again.
 */
enum taint_want
fsm_taint(const struct fsm_conf *c, const struct fsm_state *s,
    enum fsm_verdict verdict, uint8_t i)
{
	bool returns = s->rec_known && s->rec.active == i &&
	    s->site[i].state == SS_READ_ONLY && verdict != V_PROMOTE;

	if (!fsm_core(c, i))
		return TW_OFF;
	if (s->site[i].state == SS_UNKNOWN)
		return TW_KEEP;
	/* A dr-only site that is writable is being fenced. */
	if (!fsm_promotable(c, i))
		return TW_ON;
	if (s->site[i].state == SS_WRITABLE)
		return TW_OFF;
	if (returns &&
	    (fsm_verdict_block(verdict) == NULL ||
		s->now_ms - s->blocked_ms < FSM_BLOCKED_SAY_MS))
		return TW_KEEP;
	return TW_ON;
}
