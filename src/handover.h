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
 * Does this leader hand over by itself? A leader that alone does not reach a
 * primary can neither fail it over nor say much of it, while another operator
 * does reach it. A pure function: what is seen and times in, what to do out.
 *
 * It never goes back and forth: who is given the Lease does not give it back
 * while it sees something that the other one does not, and each one has to
 * have led for a time that doubles with each of its hand-overs. While both are
 * blind nobody is asked to hand over.
 */

#ifndef HANDOVER_H
#define HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

/* Blind for so long, and three times what it takes to lose a site. */
#define HANDOVER_BLIND_MS  15000
/* It has led for so long, doubled by each hand-over before, */
#define HANDOVER_TERM_MS   60000
#define HANDOVER_DOUBLINGS 4
/* of which none counts any more after */
#define HANDOVER_FORGET_MS 3600000

/* Of all groups together. */
struct handover_sees {
	unsigned other; /* groups whose primary the other operator sees alone */
	unsigned mine;  /* and those that only this leader is known to see */
	unsigned busy;  /* and where something is under way */
	int64_t lost_ms; /* the longest time after which one of them is lost */
};

/* Zeroed at the start of the process. */
struct handover {
	int64_t led_ms;   /* leading since then, 0: not */
	int64_t since_ms; /* it would have been better since then, 0: not */
	int64_t last_ms;  /* when it was done last */
	unsigned n;       /* how often, lately */
	bool said;
	/* While the Lease is given up: the term, 0: it is not, and */
	uint64_t term;
	int64_t leave_ms; /* so long it is left to others */
};

enum handover_do { HANDOVER_STAY, HANDOVER_SAY, HANDOVER_GO };

/*
 * At each look. SAY comes once before GO, so that what is said is written
 * while it can be. After GO this one leads no more.
 */
enum handover_do handover_look(struct handover *, const struct handover_sees *,
    bool leads, int64_t now_ms);
/* How long it has to have led before its next one. */
int64_t handover_term(const struct handover *, int64_t now_ms);
/*
 * Kube-watcher tells whether the Lease is held, and in which term. False: it
 * said so before it was asked to give that term up. Anything else is its
 * answer, also that the term had ended by itself and another one has begun.
 */
bool handover_answered(struct handover *, bool held, uint64_t term);

#endif /* HANDOVER_H */
