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
 * Framing and limits of the link: pure, no socket and no clock.
 */

#include <errno.h>
#include <string.h>

#include "link.h"

int
link_frame(const uint8_t *buf, size_t have, size_t *len)
{
	if (have < LINK_HEAD)
		return 0;
	*len = (size_t)buf[0] << 8 | buf[1];
	if (*len == 0 || *len > LINK_FRAME_MAX) {
		errno = EBADMSG;
		return -1;
	}
	return have - LINK_HEAD >= *len;
}

/* ----------------------------------------------------------------- rates --- */

#define TOKEN_US(r) (1000000 / (int64_t)(r)->rate)

void
link_rate_init(
    struct link_rate *r, uint32_t burst, uint32_t rate, struct monotime now)
{
	r->burst = burst;
	r->rate = rate;
	r->level_us = burst * TOKEN_US(r);
	r->at = now;
}

static int64_t
level(const struct link_rate *r, struct monotime now)
{
	int64_t us = (now.ns - r->at.ns) / 1000, full = r->burst * TOKEN_US(r);

	/* Compared before it is added: the time between may be anything. */
	if (us >= full - r->level_us)
		return full;
	return r->level_us + (us > 0 ? us : 0);
}

bool
link_rate_take(struct link_rate *r, struct monotime now)
{
	r->level_us = level(r, now);
	r->at = now;
	if (r->level_us < TOKEN_US(r))
		return false;
	r->level_us -= TOKEN_US(r);
	return true;
}

int64_t
link_rate_wait(const struct link_rate *r, struct monotime now)
{
	int64_t us = TOKEN_US(r) - level(r, now);

	return us > 1000 ? (us + 999) / 1000 : 1;
}

/* --------------------------------------------------------------- sources --- */

/*
 * The number of addresses is bounded, so that a walk is cheap and no hash can
 * be chosen against us. Who comes from more addresses than are remembered is
 * held by the number of strangers.
 */
static struct link_source *
source_get(
    struct link_sources *s, const struct in6_addr *addr, struct monotime now)
{
	struct link_source *oldest = &s->src[0];
	unsigned i;

	for (i = 0; i < s->n; i++) {
		if (memcmp(&s->src[i].addr, addr, sizeof(*addr)) == 0)
			return &s->src[i];
		if (monotime_cmp(s->src[i].rate.at, oldest->rate.at) < 0)
			oldest = &s->src[i];
	}
	if (s->n < LINK_SOURCES)
		oldest = &s->src[s->n++];
	oldest->addr = *addr;
	link_rate_init(&oldest->rate, LINK_SOURCE_BURST, LINK_SOURCE_RATE, now);
	return oldest;
}

bool
link_source_take(
    struct link_sources *s, const struct in6_addr *addr, struct monotime now)
{
	return link_rate_take(&source_get(s, addr, now)->rate, now);
}
