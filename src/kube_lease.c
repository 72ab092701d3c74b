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
 * The machine of the leader's Lease: see kube_lease.h.
 */

#include <string.h>

#include "kube_lease.h"
#include "lease.h"

#define NS_PER_MS INT64_C(1000000)

void
lease_init(struct lease *l, const char *identity, int64_t lease_ms,
    int64_t renew_ms, int64_t retry_ms)
{
	memset(l, 0, sizeof(*l));
	l->lease_ms = l->longest_ms = lease_ms;
	l->renew_ms = renew_ms;
	l->retry_ms = retry_ms;
	(void)strlcpy(l->identity, identity, sizeof(l->identity));
	(void)strlcpy(l->marked, identity, sizeof(l->marked));
	(void)strlcat(l->marked, "~", sizeof(l->marked));
}

int64_t
lease_deadline(const struct lease *l)
{
	return l->sent_ns + l->renew_ms * NS_PER_MS;
}

bool
lease_valid(const struct lease *l, int64_t now)
{
	return l->held && !l->releasing && now < lease_deadline(l);
}

static bool
ours(const struct lease *l)
{
	return strcmp(l->holder, l->identity) == 0 ||
	    (l->maker && strcmp(l->holder, l->marked) == 0);
}

/* Then nobody else can begin to lead, whatever becomes of the object. */
static bool
leads(const struct lease *l, int64_t now)
{
	return l->leading && now < lease_deadline(l);
}

/* Made by us where none was, and too early to rule by it? */
static bool
guarded(const struct lease *l)
{
	return !l->leading && l->sent_ns < l->guard_ns;
}

/* So long the holder that was seen last may act after that, by its own word. */
static int64_t
acts_for(const struct lease *l)
{
	int64_t ms = l->acts_ms;

	if (ms <= 0 || ms > LEASE_MAX_MS)
		return 0;
	return ms + lease_margin_ms((uint32_t)ms);
}

/* So long it is respected, which is longer. */
static int64_t
ruled_ms(const struct lease *l)
{
	int64_t ms = acts_for(l);

	return ms < l->duration_ms ? l->duration_ms : ms;
}

static int64_t
ruled_ns(const struct lease *l)
{
	return l->seen_ns + ruled_ms(l) * NS_PER_MS;
}

/* When the holder that was last seen has surely no time left. */
static int64_t
expiry(const struct lease *l)
{
	int64_t t = ruled_ns(l), made;

	/* Deleted: if it is alive it makes it again at its next renewal. */
	made = l->absent_ns + 2 * l->retry_ms * NS_PER_MS;
	return l->absent && made < t ? made : t;
}

/* Handed over, and somebody else may be on the way to take it. */
static bool
left_to_others(const struct lease *l, int64_t now)
{
	int64_t since = l->absent ? l->absent_ns : l->seen_ns;

	return now < l->leave_ns && (l->absent || l->holder[0] == '\0') &&
	    now < since + LEASE_LEFT_MS * NS_PER_MS;
}

/* May we take it? Never while its holder may still believe to hold it. */
static bool
takeable(const struct lease *l, int64_t now)
{
	if (left_to_others(l, now))
		return false;
	if (l->holder[0] == '\0' && !ours(l))
		return now >= l->emptied_ns;
	return ours(l) ? now >= l->named_ns : now >= expiry(l);
}

enum lease_do
lease_next(struct lease *l, int64_t now, int64_t wall_us, struct klease *b)
{
	bool create = l->known && l->absent, mark;

	memset(b, 0, sizeof(*b));
	/*
	 * Nobody is asked to release what he does not hold; and an empty
	 * holder would let a successor in before the guard has passed.
	 */
	if (!l->known || (l->releasing && (create || !ours(l) || guarded(l))) ||
	    !takeable(l, now))
		return LD_GET;
	if (!l->held || !ours(l))
		l->acquire_us = wall_us;
	b->resource_version = create ? NULL : l->rv;
	mark = create ? !leads(l, now) : !l->leading && now < l->guard_ns;
	l->maker |= mark;
	b->holder = l->releasing ? "" : mark ? l->marked : l->identity;
	b->duration_s = l->releasing ? 1 : (l->lease_ms + 999) / 1000;
	b->acquire_us = l->acquire_us;
	b->renew_us = wall_us;
	/* Who only made it may have one before it that acts for longer. */
	b->acts_ms = l->releasing || mark ? 0 : l->renew_ms;
	b->transitions = l->transitions +
	    (ours(l) || (create && l->holder[0] == '\0') ? 0 : 1);
	return create ? LD_CREATE : LD_UPDATE;
}

/*
 * Who gives it up leaves a second, and no time for which it acts. One that
 * names nobody and has more was emptied by somebody else, and its holder, cut
 * off perhaps, goes on until its deadline.
 */
static void
emptied(struct lease *l, int64_t now, const struct klease *o)
{
	if (o->holder[0] != '\0' || (o->duration_s <= 1 && o->acts_ms == 0))
		l->emptied_ns = 0;
	else if (l->emptied_ns != 0)
		return;
	else if (l->holder[0] == '\0' || l->transitions != o->transitions)
		l->emptied_ns = now + l->longest_ms * NS_PER_MS;
	else
		l->emptied_ns = ours(l) ? now : ruled_ns(l);
}

/* Take over what the object says. Returns true when it was renewed. */
static bool
adopt(struct lease *l, const struct klease *o)
{
	bool moved = !l->known || l->absent || l->renew_us != o->renew_us ||
	    l->transitions != o->transitions ||
	    strcmp(l->holder, o->holder) != 0;

	l->known = true;
	l->absent = false;
	l->absent_ns = 0;
	(void)strlcpy(l->holder, o->holder, sizeof(l->holder));
	/* Without a renewal it is not the holder's word, so it is not shorter. */
	if (moved || l->duration_ms < o->duration_s * 1000)
		l->duration_ms = o->duration_s * 1000;
	l->acts_ms = moved || l->acts_ms == o->acts_ms ? o->acts_ms : 0;
	l->renew_us = o->renew_us;
	l->transitions = o->transitions;
	if (l->longest_ms < ruled_ms(l))
		l->longest_ms = ruled_ms(l);
	/* Without its whole version no write could be conditional. */
	if (o->resource_version == NULL ||
	    strlcpy(l->rv, o->resource_version, sizeof(l->rv)) >= sizeof(l->rv))
		l->known = false;
	return moved;
}

/* What was to be handed over is not ours any more. */
static void
handed(struct lease *l)
{
	if (l->handing && !l->held)
		l->handing = l->releasing = false;
}

void
lease_seen(struct lease *l, int64_t now, const struct klease *o)
{
	if (o == NULL) {
		/* Its last holder stays in mind: it may be ruling. */
		if (!l->absent)
			l->absent_ns = now;
		l->known = l->absent = true;
		l->held = leads(l, now);
		handed(l);
		return;
	}
	l->made |= l->absent && !leads(l, now);
	emptied(l, now, o);
	if (l->holder[0] != '\0' && !ours(l) &&
	    strcmp(o->holder, l->identity) == 0)
		l->named_ns = ruled_ns(l);
	if (adopt(l, o))
		l->seen_ns = now;
	if (!ours(l)) {
		l->held = l->made = false;
		l->named_ns = 0;
	}
	handed(l);
}

/*
 * What our write took the place of is the object as it was last seen: with a
 * newer one it would have been refused. A renewal of it was sent before it was
 * seen, whether its sender knows that it succeeded or not.
 */
static int64_t
quiet(const struct lease *l)
{
	int64_t ms = acts_for(l);

	if (l->absent || ours(l) || l->holder[0] == '\0' || ms == 0)
		return 0;
	return l->seen_ns + ms * NS_PER_MS;
}

int64_t
lease_quiet(const struct lease *l)
{
	return l->quiet_ns;
}

void
lease_written(struct lease *l, int64_t sent, const struct klease *o)
{
	if (!l->held || !ours(l))
		l->quiet_ns = quiet(l);
	l->made |= l->absent && !leads(l, sent);
	(void)adopt(l, o);
	l->seen_ns = sent;
	/* A renewal that was under way when the release began is still ours. */
	l->held = ours(l);
	if (l->held)
		l->sent_ns = sent;
	if (l->held && !l->releasing)
		l->leave_ns = 0;
	handed(l);
}

void
lease_unsure(struct lease *l)
{
	l->known = false;
}

void
lease_release(struct lease *l)
{
	l->releasing = true;
	l->handing = false;
	/* Left as it is: its duration is a successor's guard. */
	if (guarded(l))
		l->held = false;
}

void
lease_hand_over(struct lease *l, int64_t until)
{
	lease_release(l);
	l->handing = l->held;
	l->releasing = l->held;
	l->leave_ns = until;
}

bool
lease_begin(struct lease *l, int64_t now)
{
	if (l->made) {
		l->guard_ns = now + l->longest_ms * NS_PER_MS;
		l->made = l->taking = l->listed = false;
	}
	if (!lease_valid(l, now)) {
		/* What comes is another term, and the last one was ours. */
		l->quiet_ns = 0;
		l->taking = l->listed = l->leading = false;
		if (l->releasing && guarded(l))
			l->held = false;
		return false;
	}
	/* What was listed while the guard ran, a predecessor may have replaced. */
	if (!l->leading && l->guard_ns != 0 && l->sent_ns >= l->guard_ns) {
		l->guard_ns = 0;
		l->taking = l->listed = false;
	}
	if (l->taking)
		return false;
	l->taking = true;
	return true;
}

void
lease_listed(struct lease *l, int64_t now, bool records)
{
	/* Begun before this acquisition: a predecessor may have written. */
	if (!l->taking || !lease_valid(l, now))
		return;
	l->listed = true;
	if (!records)
		l->guard_ns = 0;
}

bool
lease_lead(struct lease *l, int64_t now)
{
	if (l->leading || !l->listed || !lease_valid(l, now) || guarded(l))
		return false;
	l->leading = true;
	return true;
}

int64_t
lease_patience(const struct lease *l)
{
	return l->renew_ms / 2 > l->retry_ms ? l->renew_ms / 2 : l->retry_ms;
}

int64_t
lease_wait(const struct lease *l, int64_t now, uint32_t rnd)
{
	int64_t left, ms = l->retry_ms;

	if (l->held && !l->releasing) {
		/* The renewal that leading waits for. */
		left = (l->guard_ns - now) / NS_PER_MS;
		if (!l->known || (guarded(l) && left < 0))
			return ms / 8;
		if (guarded(l))
			return left < ms ? left + 1 : ms;
		/* One that failed is made good at once. */
		left = (l->sent_ns - now) / NS_PER_MS + ms;
		return left < 0 ? 0 : left < ms ? left : ms;
	}
	/* A standby looks twice as often, and when the holder runs out. */
	ms = ms / 2 - (int64_t)(rnd % 256) * ms / 2048;
	if (!l->known || l->absent)
		return ms / 4;
	left = (l->seen_ns - now) / NS_PER_MS + l->duration_ms;
	if (left >= 0 && left < ms)
		return left + 1;
	return ms;
}
