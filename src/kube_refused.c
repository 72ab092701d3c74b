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
 * What the API server refuses of a group's objects: condition ObjectsApplied,
 * as long as it is so, and an Event now and then.
 */

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "kube.h"

#define SAY_MS 60000

/* So that the same object's refusals do not fill the namespace. */
void
krefused_say(struct kgroup *g, const char *text, int64_t *said_ms)
{
	int64_t now = monotime_now().ns / 1000000;

	if (*said_ms != 0 && now - *said_ms < SAY_MS)
		return;
	*said_ms = now;
	kevent_emit(g, true, "ApplyFailed", text);
}

void
krefused_begin(struct kgroup *g)
{
	/* Its page is not to be written for nothing. */
	if (g->refused_now[0] != '\0')
		g->refused_now[0] = '\0';
}

void
krefused_add(struct kgroup *g, const char *plural, const char *name,
    const char *why, int64_t *said_ms)
{
	char text[MSGTEXT_LEN + 1];

	(void)snprintf(text, sizeof(text), "%s%s%s: %.600s", plural,
	    name[0] != '\0' ? " " : "", name, why);
	if (g->refused_now[0] != '\0')
		(void)strlcat(g->refused_now, "; ", sizeof(g->refused_now));
	(void)strlcat(g->refused_now, text, sizeof(g->refused_now));
	krefused_say(g, text, said_ms);
}

/* The same but for numbers: an attempt, a port, a time. */
static bool
same_words(const char *a, const char *b)
{
	while (*a != '\0' && *b != '\0') {
		if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
			a += strspn(a, "0123456789");
			b += strspn(b, "0123456789");
		} else if (*a++ != *b++)
			return false;
	}
	return *a == *b;
}

void
krefused_end(struct kgroup *g)
{
	bool again = g->refused_known && g->refused_generation == g->adopted;

	if (again && same_words(g->refused, g->refused_now))
		return;
	g->refused_known = true;
	g->refused_generation = g->adopted;
	sparse_copy(g->refused, g->refused_now, sizeof(g->refused));
	g->status_dirty = true;
	kstatus_kick(g);
}

bool
krefused_cond(const struct kgroup *g, struct kcond *c)
{
	*c = (struct kcond) { "ObjectsApplied", "AsRendered", "", true };
	if (g->refused[0] != '\0')
		*c = (struct kcond) { "ObjectsApplied", "Refused", g->refused,
			false };
	return g->refused_known;
}
