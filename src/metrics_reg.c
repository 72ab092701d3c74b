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
 * The series that status-server holds, bounded in number, and their text.
 */

#include <sys/queue.h>
#include <sys/tree.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"

struct series {
	RB_ENTRY(series) entry;
	int64_t value;    /* counter, gauge; sum */
	uint64_t *counts; /* histogram: buckets, then all */
	char labels[];
};
RB_HEAD(series_tree, series);

struct metrics_reg {
	struct series_tree families[M_MAX];
	size_t nseries, max;
	uint64_t over, malformed; /* refused changes */
};

static int
series_cmp(const struct series *a, const struct series *b)
{
	return strcmp(a->labels, b->labels);
}

/* libbsd's RB_GENERATE_STATIC needs a macro that it undefines on Linux. */
#define RB_STATIC static __attribute__((__unused__))
RB_GENERATE_INTERNAL(series_tree, series, entry, series_cmp, RB_STATIC)

struct metrics_reg *
metrics_reg_new(size_t max_series)
{
	struct metrics_reg *reg;
	unsigned i;

	if ((reg = calloc(1, sizeof(*reg))) == NULL)
		return NULL;
	for (i = 0; i < M_MAX; i++)
		RB_INIT(&reg->families[i]);
	reg->max = max_series;
	return reg;
}

static void
series_remove(struct metrics_reg *reg, unsigned family, struct series *s)
{
	RB_REMOVE(series_tree, &reg->families[family], s);
	free(s->counts);
	free(s);
	reg->nseries--;
}

void
metrics_reg_free(struct metrics_reg *reg)
{
	struct series *s;
	unsigned i;

	if (reg == NULL)
		return;
	for (i = 0; i < M_MAX; i++)
		while ((s = RB_MIN(series_tree, &reg->families[i])) != NULL)
			series_remove(reg, i, s);
	free(reg);
}

size_t
metrics_reg_series(const struct metrics_reg *reg)
{
	return reg->nseries;
}

static struct series *
series_new(const struct metric_family *f, const char *labels)
{
	size_t len = strlen(labels);
	struct series *s;

	if ((s = calloc(1, sizeof(*s) + len + 1)) == NULL)
		return NULL;
	memcpy(s->labels, labels, len + 1);
	if (f->type == MT_HISTOGRAM &&
	    (s->counts = calloc(f->nbuckets + 1, sizeof(*s->counts))) == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

/* RB_FIND wants a node of the key; labels is a string of LABELS_LEN. */
static struct series *
series_find(struct metrics_reg *reg, unsigned family, const char *labels)
{
	struct series *s = RB_ROOT(&reg->families[family]);
	int c;

	while (s != NULL && (c = strcmp(labels, s->labels)) != 0)
		s = c < 0 ? RB_LEFT(s, entry) : RB_RIGHT(s, entry);
	return s;
}

static struct series *
series_get(struct metrics_reg *reg, unsigned family, const char *labels)
{
	struct series *s;

	if ((s = series_find(reg, family, labels)) != NULL)
		return s;
	if (reg->nseries >= reg->max) {
		errno = ENOSPC;
		return NULL;
	}
	if ((s = series_new(metric_family(family), labels)) == NULL)
		return NULL;
	RB_INSERT(series_tree, &reg->families[family], s);
	reg->nseries++;
	return s;
}

static void
saturating_add(int64_t *sum, int64_t v)
{
	if (__builtin_add_overflow(*sum, v, sum))
		*sum = v > 0 ? INT64_MAX : INT64_MIN;
}

static void
observe(const struct metric_family *f, struct series *s, int64_t v)
{
	unsigned i;

	for (i = 0; i < f->nbuckets; i++)
		if (v <= f->buckets[i])
			s->counts[i]++;
	s->counts[f->nbuckets]++;
	saturating_add(&s->value, v);
}

static int
del_matching(struct metrics_reg *reg, unsigned family, const char *match)
{
	unsigned i = family == M_MAX ? 0 : family;
	unsigned end = family == M_MAX ? M_MAX : family + 1;
	struct series *s, *next;

	/* All series of all families: nobody means that. */
	if (family == M_MAX && *match == '\0') {
		errno = EINVAL;
		return -1;
	}
	for (; i < end; i++)
		RB_FOREACH_SAFE (s, series_tree, &reg->families[i], next)
			if (metric_labels_match(s->labels, match))
				series_remove(reg, i, s);
	return 0;
}

static bool
op_fits(const struct metric_family *f, const struct m_metric *m)
{
	switch ((enum metric_op)m->op) {
	case MO_ADD:
		return f->type == MT_GAUGE ||
		    (f->type == MT_COUNTER && m->value >= 0);
	case MO_SET:
		return f->type == MT_GAUGE;
	case MO_OBSERVE:
		return f->type == MT_HISTOGRAM;
	case MO_DEL:
		return true;
	}
	return false;
}

static int
apply(struct metrics_reg *reg, const struct m_metric *m)
{
	const struct metric_family *f = metric_family(m->family);
	struct series *s;

	if (m->op == MO_DEL && m->family <= M_MAX)
		return del_matching(reg, m->family, m->labels);
	if (f == NULL || !op_fits(f, m) || !metric_labels_ok(f, m->labels)) {
		errno = EINVAL;
		return -1;
	}
	if ((s = series_get(reg, m->family, m->labels)) == NULL)
		return -1;
	if (m->op == MO_OBSERVE)
		observe(f, s, m->value);
	else if (m->op == MO_SET)
		s->value = m->value;
	else
		saturating_add(&s->value, m->value);
	return 0;
}

int
metrics_reg_apply(struct metrics_reg *reg, const struct m_metric *m)
{
	if (apply(reg, m) == 0)
		return 0;
	if (errno == EINVAL)
		reg->malformed++;
	else
		reg->over++;
	return -1;
}

/* ------------------------------------------------------------- rendering --- */

struct text {
	char *buf;
	size_t len, size;
	bool failed;
};

#define LINE_MAX_LEN 1024 /* name, LABELS_LEN, le, value */

static void text_add(struct text *, const char *, ...)
    __attribute__((format(printf, 2, 3)));

static void
text_add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	size_t size;
	char *buf;
	int n;

	if (t->failed)
		return;
	if (t->size - t->len < LINE_MAX_LEN) {
		size = t->size == 0 ? 16 * LINE_MAX_LEN : t->size * 2;
		if ((buf = realloc(t->buf, size)) == NULL) {
			t->failed = true;
			return;
		}
		t->buf = buf;
		t->size = size;
	}
	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, t->size - t->len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= t->size - t->len)
		t->failed = true;
	else
		t->len += (size_t)n;
}

#define NUM_LEN 32

/* Millionths as a decimal number without trailing zeros. */
static const char *
number(int64_t v, char buf[static NUM_LEN])
{
	uint64_t abs = v < 0 ? -(uint64_t)v : (uint64_t)v;
	size_t n;

	snprintf(buf, NUM_LEN, "%s%" PRIu64 ".%06" PRIu64, v < 0 ? "-" : "",
	    abs / METRIC_UNIT, abs % METRIC_UNIT);
	n = strlen(buf);
	while (buf[n - 1] == '0')
		n--;
	if (buf[n - 1] == '.')
		n--;
	buf[n] = '\0';
	return buf;
}

static void
render_histogram(
    struct text *t, const struct metric_family *f, const struct series *s)
{
	const char *comma = *s->labels == '\0' ? "" : ",";
	const char *open = *s->labels == '\0' ? "" : "{";
	const char *close = *s->labels == '\0' ? "" : "}";
	char num[NUM_LEN];
	unsigned i;

	for (i = 0; i < f->nbuckets; i++)
		text_add(t, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", f->name,
		    s->labels, comma, number(f->buckets[i], num), s->counts[i]);
	text_add(t, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", f->name,
	    s->labels, comma, s->counts[f->nbuckets]);
	text_add(t, "%s_sum%s%s%s %s\n", f->name, open, s->labels, close,
	    number(s->value, num));
	text_add(t, "%s_count%s%s%s %" PRIu64 "\n", f->name, open, s->labels,
	    close, s->counts[f->nbuckets]);
}

static void
render_family(
    struct text *t, const struct metric_family *f, struct series_tree *tree)
{
	static const char *const types[] = { "counter", "gauge", "histogram" };
	struct series *s;
	char num[NUM_LEN];

	if (RB_EMPTY(tree))
		return;
	text_add(t, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name,
	    types[f->type]);
	RB_FOREACH (s, series_tree, tree) {
		if (f->type == MT_HISTOGRAM)
			render_histogram(t, f, s);
		else if (*s->labels == '\0')
			text_add(t, "%s %s\n", f->name, number(s->value, num));
		else
			text_add(t, "%s{%s} %s\n", f->name, s->labels,
			    number(s->value, num));
	}
}

/* The registry's own series stand outside of its bound. */
static void
own_series(
    struct metrics_reg *reg, enum metric id, const char *labels, uint64_t value)
{
	size_t max = reg->max;
	struct series *s;

	reg->max = SIZE_MAX;
	if ((s = series_get(reg, id, labels)) != NULL)
		s->value = (int64_t)value * METRIC_UNIT;
	reg->max = max;
}

int
metrics_reg_render(struct metrics_reg *reg, char **text, size_t *len)
{
	struct text t = { .buf = NULL };
	unsigned i;

	own_series(reg, M_SERIES_DROPPED, "reason=\"limit\"", reg->over);
	own_series(
	    reg, M_SERIES_DROPPED, "reason=\"malformed\"", reg->malformed);
	own_series(reg, M_SERIES, "", 0);
	own_series(reg, M_SERIES, "", reg->nseries);
	for (i = 0; i < M_MAX; i++)
		render_family(&t, metric_family(i), &reg->families[i]);
	if (t.failed) {
		free(t.buf);
		errno = ENOMEM;
		return -1;
	}
	*text = t.buf;
	*len = t.len;
	return 0;
}
