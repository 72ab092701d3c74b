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

/* States to ask the core about: a healthy group, and what may befall it. */

#ifndef MK_H
#define MK_H

#include "fsm.h"
#include "fsm_int.h"

#define NOW   1000000
#define WALL  1700001000000LL
#define START 1699990000000LL /* process starts, server's clock */

struct mk {
	struct fsm_conf c;
	struct fsm_state s;
	struct fsm_out o;
	int64_t now;             /* NOW at first */
	uint32_t voter_lease_ms; /* mk_promise: the longest that it heard of */
};

/* Three candidates a, b, c; a is active, b and c follow it. */
void mk_group(struct mk *);
void mk_guarded(struct mk *);
void mk_guard(struct mk *, uint8_t);
/* The same, and every site well with template 6, as its Deployment has it. */
void mk_update(struct mk *);
void mk_silent(struct mk *, uint8_t);
void mk_says(struct mk *, uint8_t, const struct fsm_guard *);
void mk_pass(struct mk *, int64_t);
void mk_promise(struct mk *, uint8_t, uint64_t, uint64_t, int64_t);
void mk_state(struct mk *, uint8_t, enum site_state);
/* Site i's sets: 1 above everybody, 0 equal, -1 below, 2 beside. */
void mk_sets(struct mk *, uint8_t, int);
void mk_word(struct mk *, uint8_t);
void mk_fenced(struct mk *, uint8_t);
void mk_pod(struct mk *, uint8_t, struct fsm_pod *);
/* What would be decided now. */
int mk_verdict(const struct mk *);
/* Steps at now; answers how many actions of that type and kind came. */
void mk_step(struct mk *, struct fsm_event *);
unsigned mk_acts(const struct mk *, enum fsm_act_type, int kind);
const struct fsm_act *mk_act(const struct mk *, enum fsm_act_type, int kind);

/* The answers of the workers to what a step asked for, each one step. */
void
mk_answer(struct mk *, uint8_t, const struct fsm_act *, enum sql_end, bool);
void mk_probe(struct mk *, uint8_t);
void mk_written(struct mk *, const struct fsm_record *);
void mk_read(struct mk *, const struct fsm_record *);
void mk_ack(struct mk *, uint64_t, bool);
void mk_lease(struct mk *, bool);

#endif /* MK_H */
