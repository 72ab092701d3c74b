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
 * The splitter of lists and watches: see kube_split.h.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kube_split.h"
#include "privsep.h"

void
split_init(struct split *s, bool list, size_t max,
    int (*item)(void *, char *, size_t), void *arg)
{
	memset(s, 0, sizeof(*s));
	s->list = list;
	s->max = max;
	s->item = item;
	s->arg = arg;
	if (list && (s->frame = malloc(SPLIT_FRAME_MAX + 1)) == NULL)
		fatal("malloc");
}

void
split_free(struct split *s)
{
	/* The objects may have been Secrets. */
	if (s->buf != NULL)
		freezero(s->buf, s->cap);
	free(s->frame);
	s->buf = s->frame = NULL;
	s->len = s->cap = 0;
}

static int
put_item(struct split *s, char c)
{
	size_t cap;
	char *p;

	if (s->len + 1 >= s->cap) {
		cap = s->cap == 0 ? 8192 : s->cap * 2;
		if ((p = recallocarray(s->buf, s->cap, cap, 1)) == NULL)
			fatal("recallocarray");
		s->buf = p;
		s->cap = cap;
	}
	if (s->len >= s->max) {
		errno = ERANGE;
		return -1;
	}
	s->buf[s->len++] = c;
	return 0;
}

static int
put_frame(struct split *s, char c)
{
	if (s->frame_len >= SPLIT_FRAME_MAX) {
		errno = ERANGE;
		return -1;
	}
	s->frame[s->frame_len++] = c;
	return 0;
}

static int
item_end(struct split *s)
{
	int r;

	s->buf[s->len] = '\0';
	r = s->item(s->arg, s->buf, s->len);
	s->len = 0;
	s->in_item = false;
	/* A watch says something once a minute, and there are hundreds. */
	if (!s->list) {
		freezero(s->buf, s->cap);
		s->buf = NULL;
		s->cap = 0;
	}
	if (r == -1)
		errno = ECANCELED;
	return r;
}

/* Strings: brackets inside them do not count. True when c belongs to one. */
static bool
in_string(struct split *s, char c)
{
	if (!s->str) {
		if (c != '"')
			return false;
		s->str = true;
		s->key_done = false;
		s->keylen = 0;
		return true;
	}
	if (s->esc)
		s->esc = false;
	else if (c == '\\')
		s->esc = true;
	else if (c == '"') {
		s->str = false;
		s->key_done = true;
	} else if (s->keylen < sizeof(s->key))
		s->key[s->keylen++] = c;
	return true;
}

/* Where objects start: depth 0 of a watch, depth 2 inside a list's items. */
static unsigned
item_depth(const struct split *s)
{
	return s->list ? 2 : 0;
}

static bool
is_items_key(const struct split *s)
{
	return s->list && s->depth == 1 && s->key_done && s->keylen == 5 &&
	    memcmp(s->key, "items", 5) == 0;
}

static int
bracket_open(struct split *s, char c)
{
	if (s->depth == item_depth(s) && c == '{' &&
	    (!s->list || s->in_items)) {
		s->in_item = true;
	} else if (c == '[' && is_items_key(s)) {
		s->in_items = true;
	} else if (s->depth == item_depth(s) && !s->in_item &&
	    (!s->list || s->in_items)) {
		errno = EBADMSG;
		return -1;
	}
	s->depth++;
	return 0;
}

static int
bracket_close(struct split *s)
{
	if (s->depth == 0 || s->done) {
		errno = EBADMSG;
		return -1;
	}
	s->depth--;
	return 0;
}

static int
feed_one(struct split *s, char c)
{
	bool item_was, space = c == ' ' || c == '\n' || c == '\t' || c == '\r';

	if (s->done || (!s->list && s->depth == 0 && c != '{')) {
		if (space)
			return 0;
		errno = EBADMSG;
		return -1;
	}
	item_was = s->in_item;
	if (!in_string(s, c)) {
		if ((c == '{' || c == '[') && bracket_open(s, c) == -1)
			return -1;
		if ((c == '}' || c == ']') && bracket_close(s) == -1)
			return -1;
		if (c == ',' && s->depth == 1)
			s->key_done = false;
	}
	if (s->in_item) {
		if (put_item(s, c) == -1)
			return -1;
		if (s->depth == item_depth(s))
			return item_end(s);
		return 0;
	}
	if (s->in_items && s->depth == 1)
		s->in_items = false; /* its ']' */
	if (s->list && s->depth == 0)
		s->done = true;
	/* Between two items there are commas, which the frame must not have. */
	if (item_was || (s->in_items && c != '['))
		return 0;
	return put_frame(s, c);
}

int
split_feed(struct split *s, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (feed_one(s, p[i]) == -1)
			return -1;
	return 0;
}

char *
split_frame(struct split *s, size_t *len)
{
	if (!s->list || !s->done) {
		errno = EBADMSG;
		return NULL;
	}
	s->frame[s->frame_len] = '\0';
	*len = s->frame_len;
	return s->frame;
}
