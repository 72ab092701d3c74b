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

/* GTID sets of MySQL: see gtid.h. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gtid.h"

#define GNO_MAX   (INT64_MAX - 1) /* MySQL's GNO_END is INT64_MAX */
#define UUID_TEXT 36

void
gtid_clear(struct gtid_set *s)
{
	s->nsids = 0;
	s->nivals = 0;
}

static int
sid_cmp(const unsigned char *uuid, const char *tag, const struct gtid_sid *s)
{
	int c;

	c = memcmp(uuid, s->uuid, sizeof(s->uuid));
	return c != 0 ? c : strcmp(tag, s->tag);
}

/* Index of (uuid, tag), or where it belongs; *found tells which. */
static uint32_t
sid_find(const struct gtid_set *s, const unsigned char *uuid, const char *tag,
    bool *found)
{
	uint32_t lo = 0, hi = s->nsids, mid;
	int c;

	*found = false;
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		c = sid_cmp(uuid, tag, &s->sid[mid]);
		if (c == 0) {
			*found = true;
			return mid;
		}
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* Open (n > 0) or close (n < 0) room at ival[at], which belongs to sid k. */
static void
ival_move(struct gtid_set *s, uint32_t k, uint32_t at, int n)
{
	uint32_t i;

	if (n > 0)
		memmove(&s->ival[at + (uint32_t)n], &s->ival[at],
		    (s->nivals - at) * sizeof(s->ival[0]));
	else
		memmove(&s->ival[at], &s->ival[at + (uint32_t)-n],
		    (s->nivals - at - (uint32_t)-n) * sizeof(s->ival[0]));
	s->nivals += (uint32_t)n;
	s->sid[k].n += (uint32_t)n;
	for (i = k + 1; i < s->nsids; i++)
		s->sid[i].first += (uint32_t)n;
}

static int
sid_insert(
    struct gtid_set *s, uint32_t k, const unsigned char *uuid, const char *tag)
{
	struct gtid_sid *e = &s->sid[k];
	uint32_t first;

	if (s->nsids == GTID_SIDS_MAX) {
		errno = ERANGE;
		return -1;
	}
	first = k < s->nsids ? e->first : s->nivals;
	memmove(e + 1, e, (s->nsids - k) * sizeof(*e));
	s->nsids++;
	memset(e, 0, sizeof(*e));
	memcpy(e->uuid, uuid, sizeof(e->uuid));
	/* tag was checked by tag_parse or comes from another set */
	memcpy(e->tag, tag, strlen(tag));
	e->first = first;
	return 0;
}

/* First interval of sid k that ends at or after x - 1: it may join x. */
static uint32_t
ival_find(const struct gtid_set *s, const struct gtid_sid *e, int64_t x)
{
	uint32_t lo = e->first, hi = e->first + e->n, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (s->ival[mid].end < x - 1)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int
set_add(struct gtid_set *s, const unsigned char *uuid, const char *tag,
    int64_t start, int64_t end)
{
	struct gtid_ival *v;
	uint32_t k, i, j, last;
	bool found;

	k = sid_find(s, uuid, tag, &found);
	if (s->nivals == GTID_IVALS_MAX && !found) {
		errno = ERANGE;
		return -1;
	}
	if (!found && sid_insert(s, k, uuid, tag) == -1)
		return -1;
	i = ival_find(s, &s->sid[k], start);
	last = s->sid[k].first + s->sid[k].n;
	v = &s->ival[i];
	if (i == last || v->start > end + 1) {
		if (s->nivals == GTID_IVALS_MAX) {
			errno = ERANGE;
			return -1;
		}
		ival_move(s, k, i, 1);
		v->start = start;
		v->end = end;
		return 0;
	}
	if (start < v->start)
		v->start = start;
	if (end <= v->end)
		return 0;
	v->end = end;
	for (j = i + 1; j < last && s->ival[j].start <= end + 1; j++)
		if (s->ival[j].end > v->end)
			v->end = s->ival[j].end;
	if (j > i + 1)
		ival_move(s, k, i + 1, -(int)(j - i - 1));
	return 0;
}

/* ------------------------------------------------------------- parsing -- */

static const char *
skip_space(const char *p)
{
	while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
		p++;
	return p;
}

static int
hexval(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static const char *
uuid_parse(const char *p, unsigned char uuid[16])
{
	int i, hi, lo, n = 0;

	for (i = 0; i < UUID_TEXT;) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (p[i++] != '-')
				return NULL;
			continue;
		}
		if ((hi = hexval(p[i])) == -1 || (lo = hexval(p[i + 1])) == -1)
			return NULL;
		uuid[n++] = (unsigned char)(hi << 4 | lo);
		i += 2;
	}
	return p + UUID_TEXT;
}

static bool
tag_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static const char *
tag_parse(const char *p, char tag[GTID_TAG_LEN + 1])
{
	size_t n = 0;

	memset(tag, 0, GTID_TAG_LEN + 1);
	for (; tag_start(*p) || (*p >= '0' && *p <= '9'); p++) {
		if (n == GTID_TAG_LEN)
			return NULL;
		tag[n++] = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
	}
	return p;
}

static const char *
gno_parse(const char *p, int64_t *gno)
{
	int64_t v = 0;

	if (*p < '0' || *p > '9')
		return NULL;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (v > (GNO_MAX - (*p - '0')) / 10)
			return NULL;
		v = v * 10 + (*p - '0');
	}
	*gno = v;
	return v >= 1 ? p : NULL;
}

/* "m" or "m-n"; NULL when it is neither. */
static const char *
ival_parse(const char *p, int64_t *start, int64_t *end)
{
	if ((p = gno_parse(p, start)) == NULL)
		return NULL;
	*end = *start;
	p = skip_space(p);
	if (*p != '-')
		return p;
	p = gno_parse(skip_space(p + 1), end);
	return p != NULL && *end >= *start ? p : NULL;
}

/* What follows one UUID: ":[tag:]interval" again and again. */
static const char *
sets_parse(struct gtid_set *s, const char *p, const unsigned char uuid[16])
{
	char tag[GTID_TAG_LEN + 1] = "";
	int64_t start, end;
	bool want = true; /* an interval must come */

	for (p = skip_space(p); *p == ':'; p = skip_space(p)) {
		p = skip_space(p + 1);
		if (tag_start(*p)) {
			if ((p = tag_parse(p, tag)) == NULL)
				break;
			want = true;
			continue;
		}
		if ((p = ival_parse(p, &start, &end)) == NULL)
			break;
		if (set_add(s, uuid, tag, start, end) == -1)
			return NULL;
		want = false;
	}
	if (p == NULL || want) {
		errno = EBADMSG;
		return NULL;
	}
	return p;
}

int
gtid_parse(struct gtid_set *s, const char *text)
{
	unsigned char uuid[16];
	const char *p;

	gtid_clear(s);
	for (p = skip_space(text); *p != '\0'; p = skip_space(p)) {
		if (*p == ',') {
			p++;
			continue;
		}
		if ((p = uuid_parse(p, uuid)) == NULL) {
			errno = EBADMSG;
			goto bad;
		}
		if ((p = sets_parse(s, p, uuid)) == NULL)
			goto bad;
		if (*p != '\0' && *p != ',') {
			errno = EBADMSG;
			goto bad;
		}
	}
	return 0;
bad:
	gtid_clear(s);
	return -1;
}

/* ------------------------------------------------------------ printing -- */

static void
uuid_print(const unsigned char u[16], char text[UUID_TEXT + 1])
{
	static const char hex[] = "0123456789abcdef";
	int i, n = 0;

	for (i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			text[n++] = '-';
		text[n++] = hex[u[i] >> 4];
		text[n++] = hex[u[i] & 15];
	}
	text[n] = '\0';
}

static int
append(char **p, size_t *left, const char *text)
{
	size_t n = strlen(text);

	if (n >= *left) {
		errno = ERANGE;
		return -1;
	}
	memcpy(*p, text, n + 1);
	*p += n;
	*left -= n;
	return 0;
}

static int
ivals_print(
    const struct gtid_set *s, const struct gtid_sid *e, char **p, size_t *left)
{
	const struct gtid_ival *v;
	char num[48];
	uint32_t i;

	for (i = 0; i < e->n; i++) {
		v = &s->ival[e->first + i];
		if (v->start == v->end)
			snprintf(
			    num, sizeof(num), ":%lld", (long long)v->start);
		else
			snprintf(num, sizeof(num), ":%lld-%lld",
			    (long long)v->start, (long long)v->end);
		if (append(p, left, num) == -1)
			return -1;
	}
	return 0;
}

int
gtid_print(const struct gtid_set *s, char *buf, size_t len)
{
	const struct gtid_sid *e;
	char uuid[UUID_TEXT + 1];
	uint32_t k;
	bool same;

	if (len == 0) {
		errno = ERANGE;
		return -1;
	}
	*buf = '\0';
	for (k = 0; k < s->nsids; k++) {
		e = &s->sid[k];
		same = k > 0 && memcmp(e->uuid, e[-1].uuid, 16) == 0;
		if (!same) {
			uuid_print(e->uuid, uuid);
			if ((k > 0 && append(&buf, &len, ",") == -1) ||
			    append(&buf, &len, uuid) == -1)
				return -1;
		}
		if (e->tag[0] != '\0' &&
		    (append(&buf, &len, ":") == -1 ||
			append(&buf, &len, e->tag) == -1))
			return -1;
		if (ivals_print(s, e, &buf, &len) == -1)
			return -1;
	}
	return 0;
}

/* ------------------------------------------------------------- algebra -- */

int
gtid_union(
    struct gtid_set *dst, const struct gtid_set *a, const struct gtid_set *b)
{
	const struct gtid_sid *e;
	uint32_t k, i;

	memcpy(dst, a, sizeof(*dst));
	for (k = 0; k < b->nsids; k++) {
		e = &b->sid[k];
		for (i = e->first; i < e->first + e->n; i++)
			if (set_add(dst, e->uuid, e->tag, b->ival[i].start,
				b->ival[i].end) == -1)
				return -1;
	}
	return 0;
}

static const struct gtid_sid *
sid_same(const struct gtid_set *s, const struct gtid_sid *e)
{
	uint32_t k;
	bool found;

	k = sid_find(s, e->uuid, e->tag, &found);
	return found ? &s->sid[k] : NULL;
}

/* dst += the part of v that no interval of be (in b) covers. */
static int
ival_subtract(struct gtid_set *dst, const struct gtid_sid *e,
    struct gtid_ival v, const struct gtid_set *b, const struct gtid_sid *be)
{
	const struct gtid_ival *w;
	uint32_t i, last;

	if (be == NULL)
		return set_add(dst, e->uuid, e->tag, v.start, v.end);
	last = be->first + be->n;
	for (i = ival_find(b, be, v.start); i < last; i++) {
		w = &b->ival[i];
		if (w->start > v.end)
			break;
		if (w->end < v.start)
			continue;
		if (w->start > v.start &&
		    set_add(dst, e->uuid, e->tag, v.start, w->start - 1) == -1)
			return -1;
		if (w->end >= v.end)
			return 0;
		v.start = w->end + 1;
	}
	return set_add(dst, e->uuid, e->tag, v.start, v.end);
}

int
gtid_subtract(
    struct gtid_set *dst, const struct gtid_set *a, const struct gtid_set *b)
{
	const struct gtid_sid *e, *be;
	uint32_t k, i;

	gtid_clear(dst);
	for (k = 0; k < a->nsids; k++) {
		e = &a->sid[k];
		be = sid_same(b, e);
		for (i = e->first; i < e->first + e->n; i++)
			if (ival_subtract(dst, e, a->ival[i], b, be) == -1)
				return -1;
	}
	return 0;
}

bool
gtid_empty(const struct gtid_set *s)
{
	return s->nivals == 0;
}

bool
gtid_equal(const struct gtid_set *a, const struct gtid_set *b)
{
	uint32_t k;

	if (a->nsids != b->nsids || a->nivals != b->nivals)
		return false;
	for (k = 0; k < a->nsids; k++)
		if (sid_cmp(a->sid[k].uuid, a->sid[k].tag, &b->sid[k]) != 0 ||
		    a->sid[k].n != b->sid[k].n)
			return false;
	return memcmp(a->ival, b->ival, a->nivals * sizeof(a->ival[0])) == 0;
}

bool
gtid_contains(const struct gtid_set *a, const struct gtid_set *b)
{
	const struct gtid_sid *e, *ae;
	const struct gtid_ival *v;
	uint32_t k, i, j, last;

	for (k = 0; k < b->nsids; k++) {
		e = &b->sid[k];
		if ((ae = sid_same(a, e)) == NULL)
			return false;
		j = ae->first;
		last = ae->first + ae->n;
		for (i = e->first; i < e->first + e->n; i++) {
			v = &b->ival[i];
			while (j < last && a->ival[j].end < v->end)
				j++;
			/* intervals are not adjacent: one must hold it all */
			if (j == last || a->ival[j].start > v->start)
				return false;
		}
	}
	return true;
}

bool
gtid_shares_uuid(const struct gtid_set *a, const struct gtid_set *b)
{
	uint32_t i = 0, j = 0;
	int c;

	while (i < a->nsids && j < b->nsids) {
		c = memcmp(a->sid[i].uuid, b->sid[j].uuid, 16);
		if (c == 0)
			return true;
		if (c < 0)
			i++;
		else
			j++;
	}
	return false;
}

int64_t
gtid_count(const struct gtid_set *s)
{
	uint32_t i;
	int64_t n = 0, d;

	for (i = 0; i < s->nivals; i++) {
		d = s->ival[i].end - s->ival[i].start + 1;
		if (n > INT64_MAX - d)
			return INT64_MAX;
		n += d;
	}
	return n;
}
