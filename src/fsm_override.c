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
 * override-applier-error: a human's word that a site may be promoted though
 * its applier has stopped with an error, and that what it received behind it
 * is dropped. The word is about a block that is there, not about one to come:
 * while ApplierError blocks that very site it is taken, otherwise it is
 * refused aloud, and either way it is used once.
 */

#include "fsm_int.h"

/* Told again by each list: that is no new word. */
void
fsm_override_told(struct fsm_state *s, uint8_t site)
{
	if (site != FSM_NONE && (site == s->asked || site == s->override))
		return;
	s->asked = site;
	s->asked_ms = s->now_ms;
	s->override = FSM_NONE;
	s->override_sent = false;
}

/* A new term: whether it still fits is to be found out anew. */
void
fsm_override_term(struct fsm_state *s)
{
	if (s->override != FSM_NONE)
		s->asked = s->override;
	s->override = s->applier = FSM_NONE;
	s->override_sent = false;
	s->applier_ms = 0;
}

/* The reset that may drop was surely not done. */
void
fsm_override_answer(struct fsm_state *s, uint8_t i, enum sql_end end)
{
	if (s->override == i && (end == SE_FAILED || end == SE_REFUSED))
		s->override_sent = false;
}

static void
end_word(struct fsm_ctx *x, uint8_t site)
{
	struct fsm_act *a;

	x->s->override = x->s->asked = FSM_NONE;
	x->s->override_sent = false;
	if ((a = fsm_emit(x, A_ANNOTATION_DEL, site)) != NULL)
		a->key = FSM_ANN_OVERRIDE;
}

static void
refuse(struct fsm_ctx *x, uint8_t site, enum fsm_why why)
{
	fsm_tell_why(x, T_OVERRIDE_NO, site, x->s->rec.epoch, why, 0);
	end_word(x, site);
}

/*
 * The channel is gone, answered or seen: the word is used up, and a later
 * error needs a new one.
 */
void
fsm_override_used(struct fsm_ctx *x)
{
	struct fsm_state *s = x->s;
	uint8_t i = s->override;

	if (i >= x->c->nsites || !fsm_can_act(x) || !fsm_answers(s, i) ||
	    s->site[i].p.has_repl)
		return;
	if (!s->override_sent) {
		refuse(x, i, Y_OVER);
		return;
	}
	fsm_tell(x, T_OVERRIDE, i);
	end_word(x, i);
}

/* ApplierError blocks that site, or did until its applier was started again. */
static bool
blocks(const struct fsm_ctx *x, uint8_t i)
{
	const struct fsm_state *s = x->s;

	return i < x->c->nsites && i == s->applier && s->applier_ms != 0 &&
	    x->now - s->applier_ms < FSM_APPLIER_MS;
}

/* A reset that may drop is under way, or nobody can say what became of it. */
static bool
open_reset(const struct fsm_state *s, uint8_t i)
{
	const struct fsm_site *t = &s->site[i];

	return (t->sql.seq != 0 && t->sql.kind == SQL_RESET_REPLICA) ||
	    (s->override_sent && !fsm_answers(s, i));
}

/* A new leader does not know yet what the word was given for. */
static bool
finding_out(const struct fsm_ctx *x, uint8_t i)
{
	const struct fsm_state *s = x->s;

	return i < x->c->nsites && x->d.verdict != V_HEALTHY &&
	    !fsm_is_newest(s, i) &&
	    x->now - s->lease_since_ms < FSM_OVERRIDE_MS;
}

/*
 * The word is older than this term, and its site has no channel any more: a
 * leader before may have taken it, dropped what was received, and died before
 * it said so. That site may have been promoted since. Nobody knows.
 */
static bool
used_before(const struct fsm_ctx *x, uint8_t i)
{
	const struct fsm_state *s = x->s;

	if (i >= x->c->nsites || s->asked_ms > s->lease_since_ms ||
	    !fsm_answers(s, i) || s->site[i].p.has_repl)
		return false;
	return s->rec.active != i ||
	    (s->rec.last_target == i &&
		s->wall_ms - s->rec.last_failover_s * 1000 <
		    FSM_OVERRIDE_PAST_MS);
}

/* After the decision; one that is taken makes another of it. */
void
fsm_override(struct fsm_ctx *x)
{
	struct fsm_state *s = x->s;
	struct fsm_decision d = x->d;
	uint8_t i = s->override;

	if (!fsm_can_act(x) || !s->rec_known)
		return;
	if (i != FSM_NONE) {
		s->override = FSM_NONE;
		fsm_decide(x->c, s, &d);
		s->override = i;
	}
	/* Started again, it may fail late: what it drains is the same still. */
	if (d.verdict == V_APPLIER_ERROR ||
	    (d.step == ST_DRAIN && d.site == s->applier &&
		s->applier_ms != 0)) {
		s->applier = d.site;
		s->applier_ms = x->now;
	}
	if (i != FSM_NONE && !blocks(x, i) && !open_reset(s, i)) {
		refuse(x, i, Y_OVER);
		x->d = d;
		return;
	}
	if ((i = s->asked) == FSM_NONE)
		return;
	if (used_before(x, i)) {
		fsm_tell(x, T_OVERRIDE_MAYBE, i);
		end_word(x, i);
	} else if (blocks(x, i)) {
		s->override = i;
		s->asked = FSM_NONE;
		fsm_decide(x->c, s, &x->d);
	} else if (i >= x->c->nsites) {
		refuse(x, i, Y_NO_SITE);
	} else if (s->rec.active == i && x->d.verdict == V_HEALTHY) {
		refuse(x, i, Y_ACTIVE);
	} else if (!finding_out(x, i)) {
		refuse(x, i, Y_NOT_BLOCKED);
	}
}
