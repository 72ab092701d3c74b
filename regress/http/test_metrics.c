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
 * Metrics: labels, messages, the registry and its text.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"

static struct metrics_reg *reg;
static struct m_metric last;
static unsigned sent;

static void
send_to_reg(void *arg, const struct m_metric *m)
{
	last = *m;
	sent++;
	if (reg != NULL)
		metrics_reg_apply(reg, m);
}

static const struct metric_sink sink = { send_to_reg, NULL };

static int
new_reg(void **state)
{
	reg = metrics_reg_new(100);
	sent = 0;
	return reg == NULL ? -1 : 0;
}

static int
free_reg(void **state)
{
	metrics_reg_free(reg);
	reg = NULL;
	return 0;
}

/* Is the line (or the run of lines) in the text? */
static bool
rendered(const char *want)
{
	char *text;
	size_t len;
	bool found;

	assert_int_equal(metrics_reg_render(reg, &text, &len), 0);
	assert_int_equal(len, strlen(text));
	found = strstr(text, want) != NULL;
	free(text);
	return found;
}

/* Every name is valid, unique and says its unit or that it is a counter. */
static void
families(void **state)
{
	const struct metric_family *f, *g;
	unsigned i, k;

	for (i = 0; i < M_MAX; i++) {
		f = metric_family(i);
		assert_non_null(f);
		assert_int_equal(strncmp(f->name, "bloodraven_", 11), 0);
		assert_int_equal(
		    f->name[strspn(f->name, "abcdefghijklmnopqrstuvwxyz_")],
		    '\0');
		for (k = 0; k < i; k++) {
			g = metric_family(k);
			assert_string_not_equal(f->name, g->name);
		}
		k = (unsigned)strlen(f->name);
		assert_int_equal(f->type == MT_COUNTER,
		    strcmp(f->name + k - 6, "_total") == 0);
		if (f->type == MT_HISTOGRAM)
			assert_string_equal(f->name + k - 8, "_seconds");
		assert_int_equal(f->type == MT_HISTOGRAM, f->nbuckets > 0);
		for (k = 1; k < f->nbuckets; k++)
			assert_true(f->buckets[k - 1] < f->buckets[k]);
		assert_null(strpbrk(f->help, "\\\n"));
	}
	assert_null(metric_family(M_MAX));
}

static void
label_escapes(void **state)
{
	char buf[64] = "";

	assert_int_equal(metric_label(buf, sizeof(buf), "a", "x\\y\"z\nw"), 0);
	assert_string_equal(buf, "a=\"x\\\\y\\\"z\\nw\"");
	assert_int_equal(metric_label(buf, sizeof(buf), "b", ""), 0);
	assert_string_equal(buf, "a=\"x\\\\y\\\"z\\nw\",b=\"\"");
}

/* Cut at every length: the text is whole or as before. */
static void
label_bounds(void **state)
{
	const char *want = "a=\"1\",bc=\"\\n\\\"q\"";
	char buf[64];
	size_t size;

	for (size = 6; size < sizeof(buf); size++) {
		memset(buf, 'X', sizeof(buf));
		strlcpy(buf, "a=\"1\"", sizeof(buf));
		if (metric_label(buf, size, "bc", "\n\"q") == 0) {
			assert_true(size > strlen(want));
			assert_string_equal(buf, want);
		} else {
			assert_int_equal(errno, ERANGE);
			assert_true(size <= strlen(want));
			assert_string_equal(buf, "a=\"1\"");
		}
		if (size < sizeof(buf))
			assert_int_equal(buf[size], 'X');
	}
}

static void
label_parsing(void **state)
{
	static const char *const bad[] = {
		"a",
		"a=",
		"a=\"",
		"a=\"x",
		"=\"x\"",
		"a=\"x\",",
		"a=\"x\"b=\"\"",
		"a=\"\\x\"",
		"a=\"\n\"",
		",a=\"x\"",
		"a=\"x\" ",
		"a-b=\"x\"",
		"a=\"x\\\"",
	};
	struct metric_pair pair;
	const char *p;
	size_t i;
	int rc;

	for (i = 0; i < PS_NITEMS(bad); i++) {
		p = bad[i];
		while ((rc = metric_pair_next(&p, &pair)) == 1)
			continue;
		assert_int_equal(rc, -1);
		assert_false(metric_labels_match("a=\"x\"", bad[i]));
	}
	assert_true(metric_labels_match("a=\"x\",b=\"y\"", "b=\"y\""));
	assert_true(metric_labels_match("a=\"x\",b=\"y\"", "b=\"y\",a=\"x\""));
	assert_false(metric_labels_match("a=\"x\",b=\"yy\"", "b=\"y\""));
	assert_false(metric_labels_match("a=\"x\"", "b=\"x\""));
	assert_true(metric_labels_match("a=\"x\"", ""));
}

static void
counters_and_gauges(void **state)
{
	metric_add(&sink, M_FAILOVERS, 1, ML("ns", "orders", "pdx"));
	metric_add(&sink, M_FAILOVERS, 2, ML("ns", "orders", "pdx"));
	metric_set(&sink, M_LEADER, 1, ML());
	metric_set_us(&sink, M_REPL_LAG, -1000000,
	    ML("ns", "orders", "iad", "primary-candidate"));
	assert_true(rendered(
	    "# HELP bloodraven_failovers_total Automatic promotions that were "
	    "confirmed writable.\n"
	    "# TYPE bloodraven_failovers_total counter\n"
	    "bloodraven_failovers_total{namespace=\"ns\",group=\"orders\","
	    "target_site=\"pdx\"} 3\n"));
	assert_true(rendered("\nbloodraven_leader 1\n"));
	assert_true(rendered("role=\"primary-candidate\"} -1\n"));
	assert_false(rendered("bloodraven_epoch"));
	metric_set_us(&sink, M_REPL_LAG, 2500,
	    ML("ns", "orders", "iad", "primary-candidate"));
	assert_true(rendered("role=\"primary-candidate\"} 0.0025\n"));
}

static void
histograms(void **state)
{
	const char *const *l = ML("ns", "g", "x");

	metric_observe_us(&sink, M_POLL_LATENCY, 5000, l);
	metric_observe_us(&sink, M_POLL_LATENCY, 5001, l);
	metric_observe_ms(&sink, M_POLL_LATENCY, 20000, l);
#define B                                                          \
	"bloodraven_poll_latency_seconds_bucket{namespace=\"ns\"," \
	"group=\"g\",site=\"x\",le="
	assert_true(rendered(B "\"0.005\"} 1\n" B "\"0.01\"} 2\n"));
	assert_true(rendered(B
	    "\"10\"} 2\n" B "\"+Inf\"} 3\n"
	    "bloodraven_poll_latency_seconds_sum{namespace=\"ns\",group=\"g\","
	    "site=\"x\"} 20.010001\n"
	    "bloodraven_poll_latency_seconds_count{namespace=\"ns\","
	    "group=\"g\",site=\"x\"} 3\n"));
#undef B
}

static void
state_sets(void **state)
{
	static const char *const names[] = { "a", "b", "c" };

	assert_int_equal(metric_state(&sink, M_PROMOTION_BLOCKED, ML("n", "g"),
			     names, 3, "b"),
	    0);
	assert_int_equal(sent, 3);
	assert_true(
	    rendered("bloodraven_promotion_blocked{namespace=\"n\",group=\"g\","
		     "reason=\"a\"} 0\n"
		     "bloodraven_promotion_blocked{namespace=\"n\",group=\"g\","
		     "reason=\"b\"} 1\n"
		     "bloodraven_promotion_blocked{namespace=\"n\",group=\"g\","
		     "reason=\"c\"} 0\n"));
	metric_state(&sink, M_PROMOTION_BLOCKED, ML("n", "g"), names, 3, NULL);
	assert_false(rendered("reason=\"b\"} 1\n"));
	assert_int_equal(
	    metric_state(&sink, M_PROMOTION_BLOCKED, ML("n"), names, 3, "b"),
	    -1);
	assert_int_equal(metric_state(&sink, M_PROMOTION_BLOCKED,
			     ML("n", "g", "r"), names, 3, "b"),
	    -1);
}

static void
misuse(void **state)
{
	char big[LABELS_LEN];

	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(metric_add(&sink, M_EPOCH + 100, 1, ML()), -1);
	assert_int_equal(
	    metric_set(&sink, M_FAILOVERS, 1, ML("a", "b", "c")), -1);
	assert_int_equal(
	    metric_add(&sink, M_POLL_LATENCY, 1, ML("a", "b", "c")), -1);
	assert_int_equal(
	    metric_observe_us(&sink, M_FAILOVERS, 1, ML("a", "b", "c")), -1);
	assert_int_equal(metric_add(&sink, M_FAILOVERS, 1, ML("a", "b")), -1);
	assert_int_equal(
	    metric_add(&sink, M_FAILOVERS, 1, ML("a", "b", "c", "d")), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(
	    metric_add(&sink, M_FAILOVERS, 1, ML("a", big, "c")), -1);
	assert_int_equal(errno, ERANGE);
	assert_int_equal(
	    metric_del(&sink, M_FAILOVERS, METRIC_MATCH("site")), -1);
	assert_int_equal(sent, 0);
}

static void
refused_messages(void **state)
{
	static const struct m_metric bad[] = {
		{ M_MAX, MO_ADD, "", 1 },
		{ UINT32_MAX, MO_DEL, "a=\"b\"", 1 },
		{ M_MAX, MO_DEL, "", 0 },
		{ M_FAILOVERS, 9, "", 1 },
		{ M_LEADER, MO_OBSERVE, "", 1 },
		{ M_LEADER, MO_SET, "a=\"b\"", 1 },
		{ M_EPOCH, MO_SET, "namespace=\"n\"", 1 },
		{ M_EPOCH, MO_SET, "group=\"g\",namespace=\"n\"", 1 },
		{ M_EPOCH, MO_SET, "namespace=\"n\",group=\"g", 1 },
		{ M_EPOCH, MO_SET, "namespace=\"n\",group=\"g\"\n", 1 },
		{ M_FAILOVERS, MO_ADD,
		    "namespace=\"n\",group=\"g\","
		    "target_site=\"s\"",
		    -1 },
	};
	char want[128];
	size_t i;

	for (i = 0; i < PS_NITEMS(bad); i++) {
		assert_int_equal(metrics_reg_apply(reg, &bad[i]), -1);
		assert_int_equal(errno, EINVAL);
	}
	assert_int_equal(metrics_reg_series(reg), 0);
	snprintf(want, sizeof(want),
	    "bloodraven_metric_changes_dropped_total"
	    "{reason=\"malformed\"} %zu\n",
	    PS_NITEMS(bad));
	assert_true(rendered(want));
}

static void
series_are_bounded(void **state)
{
	char name[16];
	int i;

	for (i = 0; i < 150; i++) {
		snprintf(name, sizeof(name), "g%d", i);
		metric_set(&sink, M_EPOCH, i, ML("n", name));
	}
	assert_int_equal(metrics_reg_series(reg), 100);
	assert_true(rendered("changes_dropped_total{reason=\"limit\"} 50\n"));
	assert_true(rendered("group=\"g99\"} 99\n"));
	assert_false(rendered("group=\"g100\"}"));
	/* known ones go on changing */
	metric_set(&sink, M_EPOCH, 1234, ML("n", "g99"));
	assert_true(rendered("group=\"g99\"} 1234\n"));
	metric_del(&sink, M_EPOCH, METRIC_MATCH("namespace", "n"));
	metric_set(&sink, M_EPOCH, 5, ML("n", "g100"));
	assert_true(rendered("group=\"g100\"} 5\n"));
}

static void
hygiene(void **state)
{
	static const char *const roles[] = { "primary-candidate", "dr-only" };
	int i;

	for (i = 0; i < 2; i++) {
		metric_set(&sink, M_REPL_LAG, 1, ML("n", "g", "a", roles[i]));
		metric_set(&sink, M_REPL_LAG, 1, ML("n", "g", "b", roles[i]));
		metric_set(&sink, M_REPL_LAG, 1, ML("n", "h", "a", roles[i]));
	}
	metric_observe_us(&sink, M_POLL_LATENCY, 1, ML("n", "g", "a"));
	metric_add(&sink, M_FAILOVERS, 1, ML("n", "g", "a"));
	/* one family, whatever the role */
	metric_del(&sink, M_REPL_LAG,
	    METRIC_MATCH("namespace", "n", "group", "g", "site", "b"));
	assert_false(rendered("group=\"g\",site=\"b\""));
	assert_true(rendered("group=\"g\",site=\"a\",role=\"dr-only\"} 1\n"));
	/* a site in all families */
	metric_del(&sink, M_MAX,
	    METRIC_MATCH("namespace", "n", "group", "g", "site", "a"));
	assert_false(rendered("group=\"g\",site=\"a\""));
	assert_true(rendered("group=\"h\",site=\"a\",role=\"dr-only\"} 1\n"));
	assert_true(rendered("bloodraven_failovers_total{namespace=\"n\""));
	/* a group */
	metric_del(&sink, M_MAX, METRIC_MATCH("namespace", "n", "group", "g"));
	assert_false(rendered("group=\"g\""));
	assert_true(rendered("group=\"h\""));
}

static void
values_saturate(void **state)
{
	metric_add(&sink, M_LOG_DROPPED, INT64_MAX, ML("w"));
	metric_add(&sink, M_LOG_DROPPED, INT64_MAX, ML("w"));
	assert_true(rendered("worker=\"w\"} 9223372036854.775807\n"));
	metric_set_us(&sink, M_LEADER, INT64_MIN, ML());
	assert_true(rendered("bloodraven_leader -9223372036854.775808\n"));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, new_reg, free_reg)
	const struct CMUnitTest tests[] = {
		T(families),
		T(label_escapes),
		T(label_bounds),
		T(label_parsing),
		T(counters_and_gauges),
		T(histograms),
		T(state_sets),
		T(misuse),
		T(refused_messages),
		T(series_are_bounded),
		T(hygiene),
		T(values_saturate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
