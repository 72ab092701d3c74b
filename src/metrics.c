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
 * Families of metrics, their labels, and messages about them: metrics.h.
 */

#include <errno.h>
#include <string.h>

#include "metrics.h"

#define S(x) (int64_t)((x) * METRIC_UNIT)

static const int64_t b_def[] = { S(0.005), S(0.01), S(0.025), S(0.05), S(0.1),
	S(0.25), S(0.5), S(1), S(2.5), S(5), S(10) };
/* Timers round up to the next millisecond; a poll is half a second or more. */
static const int64_t b_late[] = { S(0.001), S(0.002), S(0.005), S(0.01),
	S(0.02), S(0.05), S(0.1), S(0.25), S(0.5), S(1), S(2.5) };
static const int64_t b_planned[] = { S(1), S(2), S(5), S(10), S(30), S(60),
	S(120), S(300) };
static const int64_t b_lag_wait[] = { S(0.5), S(1), S(2), S(5), S(10), S(30),
	S(60), S(120), S(300) };
/* Fine where the aims are (under 0.5 s of steps, 9 s in all). */
static const int64_t b_failover[] = { S(0.05), S(0.1), S(0.25), S(0.5), S(1),
	S(2), S(3), S(5), S(7), S(9), S(12), S(20), S(30), S(60), S(300) };

#define B_NONE     NULL, 0
#define B_DEF      b_def, PS_NITEMS(b_def)
#define B_PLANNED  b_planned, PS_NITEMS(b_planned)
#define B_LATE     b_late, PS_NITEMS(b_late)
#define B_LAG_WAIT b_lag_wait, PS_NITEMS(b_lag_wait)
#define B_FAILOVER b_failover, PS_NITEMS(b_failover)

#define METRIC(id, name, type, buckets, help, ...) \
	{ name, help, { __VA_ARGS__ __VA_OPT__(, ) NULL }, MT_##type, buckets },
static const struct metric_family families[] = {
#include "metrics.def"
};
#undef METRIC

const struct metric_family *
metric_family(unsigned id)
{
	return id < M_MAX ? &families[id] : NULL;
}

/* --------------------------------------------------------------- labels --- */

/* Append one byte, escaped; false when there is no room. */
static bool
label_byte(char *buf, size_t size, size_t *len, char c)
{
	char out[2] = { c, '\0' };
	size_t n = 1;

	if (c == '\\' || c == '"' || c == '\n') {
		out[0] = '\\';
		out[1] = c == '\n' ? 'n' : c;
		n = 2;
	}
	if (n >= size - *len)
		return false;
	memcpy(buf + *len, out, n);
	*len += n;
	return true;
}

int
metric_label(char *buf, size_t size, const char *name, const char *value)
{
	size_t start = strlen(buf), len = start, n = strlen(name);

	/* comma, name, =, quotes, NUL */
	if (n + 5 > size - len)
		goto toolong;
	if (len > 0)
		buf[len++] = ',';
	memcpy(buf + len, name, n);
	len += n;
	buf[len++] = '=';
	buf[len++] = '"';
	for (; *value != '\0'; value++)
		if (!label_byte(buf, size, &len, *value))
			goto toolong;
	if (2 > size - len)
		goto toolong;
	buf[len++] = '"';
	buf[len] = '\0';
	return 0;
toolong:
	buf[start] = '\0';
	errno = ERANGE;
	return -1;
}

static bool
name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	    (c >= '0' && c <= '9');
}

int
metric_pair_next(const char **cursor, struct metric_pair *pair)
{
	const char *p = *cursor;

	if (*p == '\0')
		return 0;
	pair->name = p;
	while (name_char(*p))
		p++;
	pair->namelen = (size_t)(p - pair->name);
	if (pair->namelen == 0 || p[0] != '=' || p[1] != '"')
		goto bad;
	pair->value = p += 2;
	for (; *p != '"'; p++) {
		if (*p == '\\' && (p[1] == '\\' || p[1] == '"' || p[1] == 'n'))
			p++;
		else if (*p == '\0' || *p == '\n' || *p == '\\')
			goto bad;
	}
	pair->valuelen = (size_t)(p - pair->value);
	p++;
	if (*p == ',' && p[1] != '\0')
		p++;
	else if (*p != '\0')
		goto bad;
	*cursor = p;
	return 1;
bad:
	errno = EBADMSG;
	return -1;
}

bool
metric_labels_ok(const struct metric_family *f, const char *labels)
{
	struct metric_pair pair;
	unsigned i;

	for (i = 0; f->labels[i] != NULL; i++)
		if (metric_pair_next(&labels, &pair) != 1 ||
		    strlen(f->labels[i]) != pair.namelen ||
		    memcmp(f->labels[i], pair.name, pair.namelen) != 0)
			return false;
	return *labels == '\0';
}

static bool
has_pair(const char *labels, const struct metric_pair *want)
{
	struct metric_pair pair;

	while (metric_pair_next(&labels, &pair) == 1)
		if (pair.namelen == want->namelen &&
		    pair.valuelen == want->valuelen &&
		    memcmp(pair.name, want->name, want->namelen) == 0 &&
		    memcmp(pair.value, want->value, want->valuelen) == 0)
			return true;
	return false;
}

bool
metric_labels_match(const char *labels, const char *match)
{
	struct metric_pair want;
	int rc;

	while ((rc = metric_pair_next(&match, &want)) == 1)
		if (!has_pair(labels, &want))
			return false;
	return rc == 0;
}

/* ------------------------------------------------------------- emitting --- */

/* One value for each label of the family, up to last (NULL: of all). */
static int
fill_labels(struct m_metric *m, const struct metric_family *f,
    const char *const *values, const char *last)
{
	unsigned i;

	for (i = 0; f->labels[i] != NULL && values[i] != NULL; i++)
		if (metric_label(m->labels, sizeof(m->labels), f->labels[i],
			values[i]) == -1)
			return -1;
	if (last != NULL && f->labels[i] != NULL && values[i] == NULL) {
		if (metric_label(
			m->labels, sizeof(m->labels), f->labels[i], last) == -1)
			return -1;
		i++;
		last = NULL;
	} else if (values[i] != NULL)
		last = values[i];
	if (f->labels[i] != NULL || last != NULL) {
		errno = EINVAL;
		return -1;
	}
	return 0;
}

static int
emit(const struct metric_sink *sink, enum metric id, enum metric_op op,
    int64_t value, const char *const *values, const char *last)
{
	static const enum metric_type want[] = {
		[MO_ADD] = MT_COUNTER,
		[MO_SET] = MT_GAUGE,
		[MO_OBSERVE] = MT_HISTOGRAM,
	};
	const struct metric_family *f = metric_family(id);
	struct m_metric m = { .family = id, .op = op, .value = value };

	/* A gauge may be counted up and down as well. */
	if (f == NULL ||
	    (f->type != want[op] && !(op == MO_ADD && f->type == MT_GAUGE))) {
		errno = EINVAL;
		return -1;
	}
	if (fill_labels(&m, f, values, last) == -1)
		return -1;
	sink->send(sink->arg, &m);
	return 0;
}

/* Values beyond what millionths can express are cut: 9.2e12. */
static int64_t
scale(int64_t v, int64_t by)
{
	if (v > INT64_MAX / by)
		return INT64_MAX;
	if (v < INT64_MIN / by)
		return INT64_MIN;
	return v * by;
}

int
metric_add(const struct metric_sink *sink, enum metric id, int64_t whole,
    const char *const *values)
{
	return emit(sink, id, MO_ADD, scale(whole, METRIC_UNIT), values, NULL);
}

int
metric_set(const struct metric_sink *sink, enum metric id, int64_t whole,
    const char *const *values)
{
	return emit(sink, id, MO_SET, scale(whole, METRIC_UNIT), values, NULL);
}

int
metric_set_us(const struct metric_sink *sink, enum metric id, int64_t us,
    const char *const *values)
{
	return emit(sink, id, MO_SET, us, values, NULL);
}

int
metric_observe_us(const struct metric_sink *sink, enum metric id, int64_t us,
    const char *const *values)
{
	return emit(sink, id, MO_OBSERVE, us, values, NULL);
}

int
metric_observe_ms(const struct metric_sink *sink, enum metric id, int64_t ms,
    const char *const *values)
{
	return emit(sink, id, MO_OBSERVE, scale(ms, 1000), values, NULL);
}

int
metric_state(const struct metric_sink *sink, enum metric id,
    const char *const *values, const char *const *names, unsigned nnames,
    const char *current)
{
	unsigned i;
	int rc = 0;

	for (i = 0; i < nnames; i++) {
		bool on = current != NULL && strcmp(names[i], current) == 0;

		if (emit(sink, id, MO_SET, on ? METRIC_UNIT : 0, values,
			names[i]) == -1)
			rc = -1;
	}
	return rc;
}

int
metric_del(
    const struct metric_sink *sink, enum metric id, const char *const *pairs)
{
	struct m_metric m = { .family = id, .op = MO_DEL };

	if (id > M_MAX) {
		errno = EINVAL;
		return -1;
	}
	for (; pairs[0] != NULL; pairs += 2) {
		if (pairs[1] == NULL) {
			errno = EINVAL;
			return -1;
		}
		if (metric_label(
			m.labels, sizeof(m.labels), pairs[0], pairs[1]) == -1)
			return -1;
	}
	sink->send(sink->arg, &m);
	return 0;
}

int
metric_log_dropped(
    const struct metric_sink *sink, const char *worker, uint64_t *last)
{
	uint64_t now = log_dropped();
	int64_t more = (int64_t)(now - *last);

	if (more == 0)
		return 0;
	*last = now;
	return metric_add(sink, M_LOG_DROPPED, more, ML(worker));
}
