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
 * What people are told: the conditions and the Events of one situation after
 * the other, golden. UPDATE_GOLDEN=1 writes the file; a difference is to be
 * read. And that the words stay as they are while nothing changes: each change
 * is an API write.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mk.h"

static void
well(struct mk *m)
{
	(void)m;
}

static void
starting(struct mk *m)
{
	m->s.rec_known = false;
	mk_state(m, 0, SS_UNKNOWN);
	mk_state(m, 1, SS_UNKNOWN);
	mk_state(m, 2, SS_UNKNOWN);
}

static void
follower_lost(struct mk *m)
{
	mk_state(m, 1, SS_UNREACHABLE);
}

static void
reader_lost(struct mk *m)
{
	m->c.site[2].role = ROLE_READER;
	mk_state(m, 2, SS_UNREACHABLE);
}

static void
active_lost(struct mk *m)
{
	mk_state(m, 0, SS_UNREACHABLE);
	mk_silent(m, 0);
	m->s.site[1].p.io = m->s.site[2].p.io = IO_CONNECTING;
}

static void
only_dr_left(struct mk *m)
{
	m->c.site[2].role = ROLE_DR_ONLY;
	mk_state(m, 1, SS_UNREACHABLE);
	active_lost(m);
	mk_word(m, 0);
}

static void
cooldown(struct mk *m)
{
	active_lost(m);
	mk_word(m, 0);
	m->s.promoted_ms = NOW - 1000;
}

static void
all_lost(struct mk *m)
{
	active_lost(m);
	mk_state(m, 1, SS_UNREACHABLE);
	mk_state(m, 2, SS_UNREACHABLE);
}

static void
two_writable(struct mk *m)
{
	mk_state(m, 1, SS_WRITABLE);
}

static void
writable_reader(struct mk *m)
{
	m->c.site[2].role = ROLE_READER;
	mk_state(m, 2, SS_WRITABLE);
}

static void
no_channel(struct mk *m)
{
	m->s.site[1].p.has_repl = false;
	m->s.site[1].p.source = FSM_NONE;
	m->s.site[1].repl_streak = 0;
	m->s.site[1].settled = true; /* no client of it is left */
}

static void
receiver_off(struct mk *m)
{
	m->s.site[1].p.io = IO_NO;
	m->s.site[1].repl_streak = 0;
}

static void
applier_error(struct mk *m)
{
	m->s.site[1].p.sql = false;
	m->s.site[1].p.sql_errno = 1062;
	m->s.site[1].repl_streak = 0;
}

static void
lagging(struct mk *m)
{
	m->s.site[1].p.lag_s = 301;
}

static void
diverged(struct mk *m)
{
	mk_sets(m, 1, 1);
	m->s.site[1].seen_ms = m->s.site[0].p.sent_ms - 1;
	no_channel(m);
}

static void
recovering(struct mk *m)
{
	no_channel(m);
	m->s.site[1].recovering = true;
	m->s.site[1].sql.seq = 1;
	m->s.site[1].sql.until_ms = INT64_MAX;
}

static void
cloning(struct mk *m)
{
	no_channel(m);
	m->s.clone_phase = CL_CLONING;
	m->s.clone_to = 1;
	m->s.clone_from = 0;
	m->s.clone_ms = NOW;
	m->s.site[1].sql.seq = 1;
	m->s.site[1].sql.kind = SQL_CLONE;
	m->s.site[1].sql.until_ms = INT64_MAX;
}

static void
first_clone(struct mk *m)
{
	cloning(m);
	m->s.boot = true;
}

static void
no_guard(struct mk *m)
{
	memset(&m->s.rec.unended[0].terms, 0, sizeof(struct lease_terms));
	memset(&m->s.site[0].g, 0, sizeof(struct fsm_guard));
	m->c.require_guard = false;
}

static void
operator_only(struct mk *m)
{
	m->s.rec.unended[0].terms.n = m->s.rec.unended[0].terms.r = 1;
}

static void
drifted(struct mk *m)
{
	uint8_t i;

	for (i = 0; i < 3; i++)
		m->s.site[i].want = 7;
}

static void
drifted_active(struct mk *m)
{
	m->s.site[0].want = 7;
}

static void
drifted_recreate(struct mk *m)
{
	m->c.recreate = true;
	drifted(m);
}

static void
drifted_unwell(struct mk *m)
{
	mk_state(m, 2, SS_UNREACHABLE);
	m->s.site[0].want = m->s.site[1].want = 7;
}

static void
restarting(struct mk *m)
{
	struct fsm_site *t = &m->s.site[1];

	drifted(m);
	t->have = 7;
	t->roll_hash = 7;
	t->roll_ms = NOW - 1000;
	t->roll_open = true;
}

static void
restarted(struct mk *m)
{
	restarting(m);
	m->s.site[1].pod[0].hash = 7;
	m->s.site[1].p.lag_s = 60;
}

static void
late(struct mk *m)
{
	restarted(m);
	m->s.site[1].roll_ms = m->s.site[1].unfit_ms = NOW - FSM_UPDATE_WAIT_MS;
}

static void
refused(struct mk *m)
{
	drifted(m);
	m->s.site[1].roll_refused = true;
	m->s.site[1].roll_next_ms = NOW + 1000;
}

static const struct {
	const char *name;
	void (*set)(struct mk *);
} situations[] = {
	{ "all is well", well },
	{ "the operator has just begun", starting },
	{ "a follower is lost", follower_lost },
	{ "a reader is lost", reader_lost },
	{ "the active site is lost, no proof", active_lost },
	{ "only a dr-only site is left", only_dr_left },
	{ "lost again within the cooldown", cooldown },
	{ "all sites are lost", all_lost },
	{ "two sites are writable", two_writable },
	{ "a reader is writable", writable_reader },
	{ "a follower without a channel", no_channel },
	{ "a receiver is stopped", receiver_off },
	{ "an applier has an error", applier_error },
	{ "a follower lags", lagging },
	{ "a follower has more than the active site", diverged },
	{ "a follower rejoins", recovering },
	{ "a site is being filled", cloning },
	{ "the first one of a fresh group", first_clone },
	{ "the active site has no guard", no_guard },
	{ "only the operator renews", operator_only },
	{ "everything differs from the spec", drifted },
	{ "only the active site differs", drifted_active },
	{ "everything differs, Recreate", drifted_recreate },
	{ "one differs while another is lost", drifted_unwell },
	{ "an updated site restarts", restarting },
	{ "it is back and catches up", restarted },
	{ "it does not catch up", late },
	{ "the API server refuses the update", refused },
};

static void
events(FILE *f, const struct mk *m)
{
	const struct fsm_act *a;
	char buf[MSGTEXT_LEN + 1];
	unsigned k;

	for (k = 0; k < m->o.n; k++) {
		a = &m->o.act[k];
		if (a->type != A_EVENT)
			continue;
		fsm_message(&m->c, a, buf, sizeof(buf));
		fprintf(f, "  Event %s %s: %s\n",
		    fsm_text_warning(a->text) ? "Warning" : "Normal",
		    fsm_text_reason(a->text), buf);
	}
}

static void
conditions(FILE *f, const struct fsm_view *v)
{
	unsigned k;

	for (k = 0; k < v->nconds; k++)
		fprintf(f, "  %-16s %-5s %s%s%s\n", v->cond[k].type,
		    v->cond[k].status ? "True" : "False", v->cond[k].reason,
		    v->cond[k].message[0] != '\0' ? ": " : "",
		    v->cond[k].message);
	if (v->update_phase[0] != '\0')
		fprintf(f, "  updatePhase      %s\n", v->update_phase);
	fprintf(f, "  summary          %s\n", v->summary);
}

static void
situation(struct mk *m, unsigned n)
{
	mk_group(m);
	mk_update(m);
	situations[n].set(m);
}

/* As long as it takes for what is to be told to be told. */
static void
test_golden(void **state)
{
	char path[512], *text, *want;
	size_t len, size;
	FILE *f = open_memstream(&text, &len);
	static struct fsm_view v;
	static struct mk m;
	unsigned n;

	(void)state;
	for (n = 0; n < sizeof(situations) / sizeof(situations[0]); n++) {
		situation(&m, n);
		fprintf(f, "%s\n", situations[n].name);
		mk_step(&m, NULL);
		events(f, &m);
		fsm_view(&m.c, &m.s, &v);
		m.now += FSM_BLOCKED_SAY_MS;
		mk_step(&m, NULL);
		events(f, &m);
		conditions(f, &v);
		fprintf(f, "\n");
	}
	fclose(f);
	snprintf(path, sizeof(path), "%s/conditions.txt", GOLDEN_DIR);
	if (getenv("UPDATE_GOLDEN") != NULL) {
		f = fopen(path, "w");
		assert_non_null(f);
		assert_int_equal(fwrite(text, 1, len, f), len);
		fclose(f);
	}
	f = fopen(path, "r");
	assert_non_null(f);
	want = calloc(1, 1 << 20);
	assert_non_null(want);
	size = fread(want, 1, (1 << 20) - 1, f);
	assert_true(size > 0);
	fclose(f);
	assert_string_equal(text, want);
	free(want);
	free(text);
}

static unsigned
counted(const struct mk *m, enum fsm_metric metric, uint8_t site)
{
	unsigned k, n = 0;

	for (k = 0; k < m->o.n; k++)
		n += m->o.act[k].type == A_METRIC &&
		    m->o.act[k].metric == metric && m->o.act[k].site == site;
	return n;
}

/* Each request for a newer template is counted, and each stop, once. */
static void
test_counted(void **state)
{
	static struct mk m;

	(void)state;
	mk_group(&m);
	mk_update(&m);
	drifted(&m);
	mk_step(&m, NULL);
	assert_int_equal(mk_acts(&m, A_ROLL, -1), 1);
	assert_int_equal(counted(&m, FM_ROLLS, 1), 1);
	assert_int_equal(counted(&m, FM_ROLL_FAILS, 1), 0);
	mk_step(&m, NULL);
	assert_int_equal(counted(&m, FM_ROLLS, 1), 0);
	mk_group(&m);
	mk_update(&m);
	late(&m);
	mk_step(&m, NULL);
	assert_int_equal(counted(&m, FM_ROLL_FAILS, 1), 1);
	assert_int_equal(counted(&m, FM_ROLLS, 1), 0);
	mk_step(&m, NULL);
	assert_int_equal(counted(&m, FM_ROLL_FAILS, 1), 0);
}

static bool
shown_as_follower(const struct mk *m, uint8_t i)
{
	static struct fsm_view v;

	fsm_view(&m->c, &m->s, &v);
	return v.site[i].follower;
}

/*
 * Whom alerts on stopped replication see: also one that has lost its channel,
 * but not the one that is being filled, nor where nobody is to be followed.
 */
static void
test_followers(void **state)
{
	static struct mk m;

	(void)state;
	mk_group(&m);
	assert_false(shown_as_follower(&m, 0));
	assert_true(shown_as_follower(&m, 1));
	no_channel(&m);
	assert_true(shown_as_follower(&m, 1));
	/* the active site, read-only for a moment */
	mk_state(&m, 0, SS_READ_ONLY);
	assert_false(shown_as_follower(&m, 0));
	m.s.rec.active = FSM_NONE;
	assert_false(shown_as_follower(&m, 1));
	assert_true(shown_as_follower(&m, 2));
	mk_group(&m);
	cloning(&m);
	mk_state(&m, m.s.clone_to, SS_READ_ONLY);
	m.s.site[m.s.clone_to].p.has_repl = false;
	assert_false(shown_as_follower(&m, m.s.clone_to));
	mk_state(&m, 2, SS_UNREACHABLE);
	assert_false(shown_as_follower(&m, 2));
}

/* Probes and reports go on, times and lags move: nobody is told anything. */
static void
test_steady(void **state)
{
	static struct fsm_view was, is;
	static struct mk m;
	unsigned k, round;
	uint8_t i;

	(void)state;
	for (round = 0; round < 2; round++) {
		mk_group(&m);
		mk_update(&m);
		/* also while the active site's update waits for weeks */
		m.s.site[0].want = round == 0 ? 6 : 7;
		mk_step(&m, NULL);
		mk_step(&m, NULL);
		fsm_view(&m.c, &m.s, &was);
		for (k = 0; k < 300; k++) {
			m.s.auth[0].yes_ms = m.now;
			for (i = 0; i < 3; i++) {
				m.s.site[i].p.lag_s = k % 7;
				mk_probe(&m, i);
			}
			mk_pass(&m, 1000);
			assert_int_equal(mk_acts(&m, A_EVENT, -1), 0);
			assert_int_equal(mk_acts(&m, A_RECORD_PUT, -1), 0);
			assert_int_equal(mk_acts(&m, A_ROLL, -1), 0);
			fsm_view(&m.c, &m.s, &is);
			assert_int_equal(is.nconds, was.nconds);
			for (i = 0; i < is.nconds; i++) {
				assert_string_equal(
				    is.cond[i].reason, was.cond[i].reason);
				assert_string_equal(
				    is.cond[i].message, was.cond[i].message);
			}
			assert_string_equal(is.summary, was.summary);
			assert_string_equal(is.update_phase, "");
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counted),
		cmocka_unit_test(test_followers),
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_steady),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
