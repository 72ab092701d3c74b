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
 * GTID sets, see gset.h: "uuid:1-5:9:tag:1-3,\nuuid:7".
 */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gset.h"

#define UUID_TEXT 36

static int
put(struct gset *s, const char *sid, uint64_t lo, uint64_t hi)
{
	struct gset_range *p;

	/* Sets of successive samples grow at their end. */
	for (size_t i = s->n; i > 0 && i + 4 > s->n; i--) {
		p = &s->r[i - 1];
		if (strcmp(p->sid, sid) != 0 || lo < p->lo || lo > p->hi + 1)
			continue;
		if (hi > p->hi)
			p->hi = hi;
		return 0;
	}
	if (s->n == s->room) {
		s->room = s->room == 0 ? 64 : s->room * 2;
		p = reallocarray(s->r, s->room, sizeof(*p));
		if (p == NULL)
			return -1;
		s->r = p;
	}
	p = &s->r[s->n++];
	strlcpy(p->sid, sid, sizeof(p->sid));
	p->lo = lo;
	p->hi = hi;
	return 0;
}

static int
interval(const char *t, uint64_t *lo, uint64_t *hi)
{
	char *end;

	errno = 0;
	*lo = strtoull(t, &end, 10);
	*hi = *lo;
	if (*end == '-')
		*hi = strtoull(end + 1, &end, 10);
	return *end == '\0' && errno == 0 && *lo > 0 && *hi >= *lo ? 0 : -1;
}

/* One UUID with its tags and intervals; tok is cut up. */
static int
add_source(struct gset *s, char *tok)
{
	char *part, uuid[UUID_TEXT + 1], sid[72];
	uint64_t lo, hi;
	int got = 0;

	part = strsep(&tok, ":");
	if (strlen(part) != UUID_TEXT ||
	    strlcpy(uuid, part, sizeof(uuid)) >= sizeof(uuid))
		return -1;
	strlcpy(sid, uuid, sizeof(sid));
	while ((part = strsep(&tok, ":")) != NULL) {
		if (!isdigit((unsigned char)*part)) {
			/* a tag is valid until the next one */
			if (*part == '\0' || strlen(part) > 32)
				return -1;
			strlcpy(sid, uuid, sizeof(sid));
			strlcat(sid, ":", sizeof(sid));
			strlcat(sid, part, sizeof(sid));
			continue;
		}
		if (interval(part, &lo, &hi) == -1 || put(s, sid, lo, hi) == -1)
			return -1;
		got = 1;
	}
	return got ? 0 : -1;
}

int
gset_add(struct gset *s, const char *text)
{
	char *copy, *rest, *tok, *w;
	int ret = 0;

	if ((copy = strdup(text)) == NULL)
		return -1;
	for (w = rest = copy; *rest != '\0'; rest++)
		if (!isspace((unsigned char)*rest))
			*w++ = (char)tolower((unsigned char)*rest);
	*w = '\0';
	rest = copy;
	while (ret == 0 && (tok = strsep(&rest, ",")) != NULL)
		if (*tok != '\0')
			ret = add_source(s, tok);
	free(copy);
	if (ret == -1)
		errno = EBADMSG;
	return ret;
}

bool
gset_has(const struct gset *s, const char *gtid)
{
	struct gset one = { 0 };
	bool found = false;

	if (gset_add(&one, gtid) == 0 && one.n == 1 &&
	    one.r[0].lo == one.r[0].hi)
		for (size_t i = 0; i < s->n && !found; i++)
			found = strcmp(s->r[i].sid, one.r[0].sid) == 0 &&
			    s->r[i].lo <= one.r[0].lo &&
			    s->r[i].hi >= one.r[0].hi;
	gset_free(&one);
	return found;
}

void
gset_free(struct gset *s)
{
	free(s->r);
	memset(s, 0, sizeof(*s));
}
