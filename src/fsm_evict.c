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
 * Clients of a server that could be written to and can't be any more. Their
 * connections are open and go nowhere else by themselves: they would read old
 * data and be refused each write. Readers of a replica are nobody's business.
 */

#include "fsm_int.h"

/* Another process, or it could be written to: to be found out anew. */
void
fsm_evict_forget(struct fsm_site *t)
{
	t->evict_ms = 0;
	t->settled = false;
	t->ro_ms = 0;
}

/*
 * Another term. What this operator has ended is ended, unless the site could
 * be written to since. And where a leader wrote the record after the site had
 * been read-only for long enough, that one has done it.
 */
void
fsm_evict_term(struct fsm_ctx *x, uint8_t i)
{
	struct fsm_site *t = &x->s->site[i];
	int64_t enough = x->c->drain_ms + 2 * x->c->poll_ms;

	if (t->evict_ms != 0)
		t->settled = false;
	t->evict_ms = 0;
	if (t->ro_ms != 0 && x->s->rec.active != i &&
	    x->s->rec_ms - t->ro_ms >= enough)
		t->settled = true;
}

/* The record still lists an epoch of the process that runs there. */
static bool
was_granted(const struct fsm_state *s, uint8_t i)
{
	const struct fsm_epoch *e;
	unsigned k;

	for (k = 0; k < s->rec.n; k++) {
		e = &s->rec.unended[k];
		if (e->site == i && fsm_same_process(&e->proc, &s->site[i].p))
			return true;
	}
	return false;
}

/*
 * Another site is active: is this one a former primary, whoever fenced it?
 * Once for each time that it could be written to. A replica has its channel
 * before it is ready, a primary has none: so an operator that did not see it
 * writable tells them apart, too.
 */
static void
look(struct fsm_ctx *x, uint8_t i)
{
	const struct fsm_state *s = x->s;
	struct fsm_site *t = &x->s->site[i];

	if (t->settled || s->rec.active == i ||
	    fsm_active(x->c, s) == FSM_NONE || fsm_recipient(s, i) ||
	    fsm_stale(s, i))
		return;
	t->settled = true;
	if (was_granted(s, i) ||
	    (!t->p.has_repl && !fsm_empty_site(x->c, s, i)))
		t->evict_ms = x->now;
}

/* Site i answers. */
void
fsm_evict(struct fsm_ctx *x, uint8_t i)
{
	struct fsm_site *t = &x->s->site[i];

	if (!t->p.read_only) {
		fsm_evict_forget(t);
		return;
	}
	look(x, i);
	if (t->evict_ms != 0)
		(void)fsm_sql(x, i, SQL_EVICT, FSM_SQL_TIMEOUT_MS);
}

/* A pass has ended; the last one is the first that is answered too late. */
void
fsm_evict_answer(struct fsm_ctx *x, uint8_t i, bool none)
{
	struct fsm_site *t = &x->s->site[i];

	if (t->evict_ms == 0)
		return;
	if (none) {
		t->evict_ms = 0;
	} else if (x->now - t->evict_ms >= x->c->drain_ms) {
		t->evict_ms = 0;
		fsm_tell(x, T_EVICT_LATE, i);
	}
}
