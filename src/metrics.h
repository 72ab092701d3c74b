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
 * Metrics: the families of metrics.def, and how processes report changes.
 *
 * Any process builds a METRIC message with the functions below and a sink;
 * the parent forwards those of its workers; status-server keeps the series
 * (metrics_reg.c). When status-server was started again it has none: counters
 * begin at 0, which Prometheus understands, and gauges are to be set anew.
 */

#ifndef METRICS_H
#define METRICS_H

#include "msg.h"

#define METRIC(id, ...) M_##id,
enum metric {
#include "metrics.def"
	M_MAX
};
#undef METRIC

enum metric_type { MT_COUNTER, MT_GAUGE, MT_HISTOGRAM };
/* METRIC's op. */
enum metric_op { MO_ADD, MO_SET, MO_OBSERVE, MO_DEL };

/* METRIC's value is in millionths: microseconds, where it is a time. */
#define METRIC_UNIT       1000000
#define METRIC_LABELS_MAX 6

struct metric_family {
	const char *name;
	const char *help;
	const char *labels[METRIC_LABELS_MAX + 1]; /* NULL-terminated */
	enum metric_type type;
	const int64_t *buckets; /* upper bounds, in METRIC_UNIT */
	unsigned nbuckets;      /* without +Inf */
};

/* NULL beyond the set. */
const struct metric_family *metric_family(unsigned);

/* ------------------------------------------------------------- emitting --- */

/* Where a change goes: ps_worker_send, ps_send, or the registry itself. */
struct metric_sink {
	void (*send)(void *arg, const struct m_metric *);
	void *arg;
};

/* Values of the labels, in the order that metrics.def has the names. */
#define ML(...) ((const char *const[]) { __VA_ARGS__ __VA_OPT__(, ) NULL })

/*
 * All return 0, or -1 when nothing was sent: EINVAL (number of values, type
 * of the family) or ERANGE (labels too long).
 */
int metric_add(const struct metric_sink *, enum metric, int64_t whole,
    const char *const *values);
int metric_set(const struct metric_sink *, enum metric, int64_t whole,
    const char *const *values);
int metric_set_us(const struct metric_sink *, enum metric, int64_t us,
    const char *const *values);
int metric_observe_us(const struct metric_sink *, enum metric, int64_t us,
    const char *const *values);
int metric_observe_ms(const struct metric_sink *, enum metric, int64_t ms,
    const char *const *values);
/*
 * A state set whose last label is the state: 1 for current, 0 for all the
 * other names; current NULL: 0 for all. values without the state.
 */
int
metric_state(const struct metric_sink *, enum metric, const char *const *values,
    const char *const *names, unsigned nnames, const char *current);
/*
 * Remove every series of the family (M_MAX: of all families) that has these
 * pairs of name and value: METRIC_MATCH("namespace", ns, "group", name).
 */
int
metric_del(const struct metric_sink *, enum metric, const char *const *pairs);
#define METRIC_MATCH(...) ML(__VA_ARGS__)
/* Report lines that this process could not log since the last call. */
int metric_log_dropped(
    const struct metric_sink *, const char *worker, uint64_t *last);

/* --------------------------------------------------------------- labels --- */

/*
 * Append name="value" with the text format's escapes, and a comma first when
 * buf is not empty. Returns 0, or -1 with ERANGE (buf is as before).
 */
int metric_label(char *buf, size_t size, const char *name, const char *value);
/*
 * The next pair of label text; values keep their escapes. Returns 1, 0 at
 * the end, -1 with EBADMSG.
 */
struct metric_pair {
	const char *name, *value; /* borrowed */
	size_t namelen, valuelen;
};
int metric_pair_next(const char **cursor, struct metric_pair *);
/* Are these just the labels of the family, in its order? */
bool metric_labels_ok(const struct metric_family *, const char *labels);
/* Does the text have all pairs of match? */
bool metric_labels_match(const char *labels, const char *match);

/* -------------------------------------------------------------- registry --- */

/*
 * A thousand groups of three sites need some 75000 series; beyond the bound
 * new series are refused and counted.
 */
#define METRIC_SERIES_MAX 81920

struct metrics_reg;

struct metrics_reg *metrics_reg_new(size_t max_series);
void metrics_reg_free(struct metrics_reg *);
/*
 * Carry out one message. Returns 0, or -1: EINVAL (family, op or labels are
 * none of ours), ENOSPC (beyond the bound), ENOMEM; these are counted in
 * SERIES_DROPPED.
 */
int metrics_reg_apply(struct metrics_reg *, const struct m_metric *);
size_t metrics_reg_series(const struct metrics_reg *);
/*
 * The text exposition format 0.0.4, to be freed by free(3). Returns 0, or -1
 * with ENOMEM.
 */
int metrics_reg_render(struct metrics_reg *, char **text, size_t *len);

#endif /* METRICS_H */
