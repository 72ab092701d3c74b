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

/* Weaknesses that the explorer puts back, one at a time, and must find. */

#include <string.h>

#include "explore.h"

static enum x_weakness on;

static const struct {
	const char *name, *text, *named;
	unsigned sites;
} weaknesses[] = { { "none", "", "", 2 },
#define X(id, name, sites, text, named) { name, text, named, sites },
	X_WEAKNESSES(X)
#undef X
};

bool
weak(enum x_weakness w)
{
	return on == w;
}

void
weak_set(enum x_weakness w)
{
	on = w;
}

const char *
weak_name(enum x_weakness w)
{
	return weaknesses[w].name;
}

const char *
weak_text(enum x_weakness w)
{
	return weaknesses[w].text;
}

const char *
weak_named(enum x_weakness w)
{
	return weaknesses[w].named;
}

unsigned
weak_sites(enum x_weakness w)
{
	return weaknesses[w].sites;
}

/* In ticks. A short one hides behind the wait for the predecessor's grants. */
unsigned
weak_lease(enum x_weakness w)
{
	return w == W_PREDECESSOR || w == W_QUIET ? 6 : 2;
}

/* A promise is not kept. */
bool
weak_promises(void)
{
	return on == W_PROMISE || on == W_AMNESIA || on == W_PEER ||
	    on == W_STANDBY || on == W_ONE_YES;
}

/* Found without clocks that run wrong and processes that stall. */
bool
weak_no_stalls(enum x_weakness w)
{
	return w == W_PREDECESSOR || w == W_BACKWARDS || w == W_QUIET ||
	    w == W_TERM_PROOF;
}

/* It does not let two sites write, but blocks a group for ever. */
bool
weak_blocks(enum x_weakness w)
{
	return w == W_HUNG || w == W_BACKWARDS || w == W_ANEW;
}

enum x_weakness
weak_find(const char *name)
{
	unsigned w;

	for (w = 1; w < W_MAX; w++)
		if (strcmp(weaknesses[w].name, name) == 0)
			return (enum x_weakness)w;
	return W_NONE;
}
