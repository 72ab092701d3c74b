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
 * Golden tables: the small machines and the group decision, every row of
 * them. UPDATE_GOLDEN=1 writes the files; a difference is to be read.
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

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

static char *text;
static size_t text_len;

static void
compare(const char *name)
{
	char path[512], *want;
	FILE *f;
	long len;

	snprintf(path, sizeof(path), "%s/%s", GOLDEN_DIR, name);
	if (getenv("UPDATE_GOLDEN") != NULL) {
		f = fopen(path, "w");
		assert_non_null(f);
		assert_int_equal(fwrite(text, 1, text_len, f), text_len);
		fclose(f);
		return;
	}
	f = fopen(path, "r");
	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	len = ftell(f);
	rewind(f);
	want = calloc(1, (size_t)len + 1);
	assert_non_null(want);
	assert_int_equal(fread(want, 1, (size_t)len, f), len);
	fclose(f);
	assert_string_equal(text, want);
	free(want);
}

#define X(id, name, ...) name,
static const char *const health_evs[] = { FSM_HEALTH_EVENTS(X) };
static const char *const clone_evs[] = { FSM_CLONE_EVENTS(X) };
static const char *const repairs[] = { FSM_REPAIRS(X) };
#undef X

static void
test_health(void **state)
{
	FILE *f = open_memstream(&text, &text_len);
	unsigned s, e;

	(void)state;
	for (s = 0; s < SS_MAX; s++)
		for (e = 0; e < H_MAX; e++)
			fprintf(f, "%-12s %-26s %s\n", site_state_name(s),
			    health_evs[e],
			    site_state_name(fsm_health_next(s, e)));
	fclose(f);
	compare("health.txt");
	free(text);
}

static void
test_clone(void **state)
{
	FILE *f = open_memstream(&text, &text_len);
	unsigned s, e, to;

	(void)state;
	for (s = 0; s < CL_MAX; s++)
		for (e = 0; e < C_MAX; e++) {
			to = fsm_clone_next(s, e);
			fprintf(f, "%-18s %-30s %s\n", fsm_clone_phase_name(s),
			    clone_evs[e],
			    to == CL_IGNORE  ? "IGNORE" :
				to == CL_BUG ? "BUG" :
					       fsm_clone_phase_name(to));
		}
	fclose(f);
	compare("clone.txt");
	free(text);
}

static void
test_repair(void **state)
{
	FILE *f = open_memstream(&text, &text_len);
	struct fsm_follower w;
	unsigned k;

	(void)state;
	for (k = 0; k < 64; k++) {
		w.channel = k & 1;
		w.right_source = k & 2;
		w.threads = k & 4;
		w.stopped = k & 8;
		w.contained = k & 16;
		w.fresh = k & 32;
		if ((w.right_source || w.threads) && !w.channel)
			continue;
		fprintf(f,
		    "channel=%d right=%d threads=%d stopped=%d "
		    "contained=%d fresh=%d  %s\n",
		    w.channel, w.right_source, w.threads, w.stopped,
		    w.contained, w.fresh, repairs[fsm_repair_next(&w)]);
	}
	fclose(f);
	compare("repair.txt");
	free(text);
}

/* ----------------------------------------------------------- updates ---- */

/* Whether b has an effect where a does not: rows without one are left out. */
static bool
same(const struct fsm_roll *r, bool *field)
{
	enum fsm_roll_step was = fsm_roll_next(r), is;

	*field = !*field;
	is = fsm_roll_next(r);
	*field = !*field;
	return was == is;
}

#define ROLL_FIRST(X)                                                          \
	X(drifted) X(leaving) X(well) X(updating) X(late) X(refused) X(acting)
#define ROLL_LAST(X) \
	X(stuck) X(answers) X(active) X(settled) X(others) X(voters) X(recreate)
#define ROLL_FIELDS(X) ROLL_FIRST(X) ROLL_LAST(X)

/*
 * Of all 16384 rows those in which each field that is set has an effect: the
 * rest says the same as one of them.
 */
static void
test_roll(void **state)
{
	FILE *f = open_memstream(&text, &text_len);
	struct fsm_roll r;
	unsigned k, n;
	bool idle;

	(void)state;
	for (k = 0; k < 1U << 14; k++) {
		n = k;
		idle = false;
#define X(field)                \
	r.field = (n & 1) != 0; \
	n >>= 1;
		ROLL_FIELDS(X)
#undef X
#define X(field) idle = idle || (r.field && same(&r, &r.field));
		ROLL_FIELDS(X)
#undef X
		if (idle)
			continue;
#define X(field)                           \
	if (r.field)                       \
		fprintf(f, "%s ", #field);
		ROLL_FIELDS(X)
#undef X
		fprintf(f, "-> %s\n", fsm_roll_name(fsm_roll_next(&r)));
	}
	fclose(f);
	compare("roll.txt");
	free(text);
}

/* ------------------------------------------------- the group decision ---- */

static const char *const active_is[] = { "healthy", "failing", "read-only",
	"empty", "unreachable", "other-process", "unknown" };
static const char *const b_is[] = { "equal", "ahead", "behind", "beside",
	"unreachable", "unknown", "sets-unknown", "writable", "diverged" };
static const char *const proof_is[] = { "none", "fenced", "terminated" };

static void
set_active(struct mk *m, unsigned how)
{
	switch (how) {
	case 1:
		m->s.site[0].fails = 1;
		m->s.site[0].suspect = true;
		break;
	case 2:
		mk_state(m, 0, SS_READ_ONLY);
		break;
	case 3:
		mk_state(m, 0, SS_READ_ONLY);
		m->s.rel.has_grant &= (uint16_t)~1;
		m->s.rel.has_seen &= (uint16_t)~1;
		break;
	case 4:
		mk_state(m, 0, SS_UNREACHABLE);
		break;
	case 5:
		m->s.site[0].p.start_ms += 60000;
		break;
	case 6:
		mk_state(m, 0, SS_UNKNOWN);
		break;
	default:
		break;
	}
}

static void
set_b(struct mk *m, unsigned how)
{
	static const int sets[] = { 0, 1, -1, 2 };

	if (how < 4) {
		mk_sets(m, 1, sets[how]);
		/* read by the active site after b was */
		m->s.site[1].seen_ms = m->s.site[0].p.sent_ms - 1;
	} else if (how == 4)
		mk_state(m, 1, SS_UNREACHABLE);
	else if (how == 5)
		mk_state(m, 1, SS_UNKNOWN);
	else if (how == 6)
		m->s.rel.known &= (uint16_t)~2;
	else if (how == 7)
		mk_state(m, 1, SS_WRITABLE);
	else
		m->s.site[1].diverged = true;
}

static void
set_proof(struct mk *m, unsigned how)
{
	if (how == 1)
		mk_fenced(m, 0);
	else if (how == 2)
		mk_word(m, 0);
}

static void
row(FILE *f, unsigned a, unsigned b, unsigned p, bool cooldown)
{
	static struct mk m;
	struct fsm_decision d;

	mk_group(&m);
	set_active(&m, a);
	set_b(&m, b);
	set_proof(&m, p);
	if (cooldown)
		m.s.promoted_ms = NOW - 1000;
	fsm_decide(&m.c, &m.s, &d);
	fprintf(f, "%-13s b=%-12s proof=%-10s %s -> %s%s%s%s%s\n", active_is[a],
	    b_is[b], proof_is[p], cooldown ? "cooldown" : "        ",
	    fsm_verdict_name(d.verdict), d.site < 3 ? " " : "",
	    d.site < 3 ? m.c.site[d.site].name : "",
	    d.step != ST_NONE ? ", " : "",
	    d.step != ST_NONE ? fsm_step_name(d.step) : "");
}

static void
test_decision(void **state)
{
	FILE *f = open_memstream(&text, &text_len);
	unsigned a, b, p, k;

	(void)state;
	for (a = 0; a < NELEM(active_is); a++)
		for (b = 0; b < NELEM(b_is); b++)
			for (p = 0; p < NELEM(proof_is); p++)
				for (k = 0; k < 2; k++) {
					/* without effect: not repeated */
					if (a != 4 &&
					    (p > 0 || (k > 0 && a != 2)))
						continue;
					row(f, a, b, p, k > 0);
				}
	fclose(f);
	compare("decision.txt");
	free(text);
}

/* Whether the active site, which does not answer us, is failed over. */
static void
test_witnesses(void **state)
{
	FILE *f = open_memstream(&text, &text_len);
	struct fsm_witness w;
	unsigned k;
	char buf[64];

	(void)state;
	for (k = 0; k < WR_MAX * 2 * WG_MAX * 2; k++) {
		w.replica = (enum fsm_w_replica)(k / 4 / WG_MAX);
		w.standby = k / 2 / WG_MAX % 2 == 0;
		w.guard = (enum fsm_w_guard)(k / 2 % WG_MAX);
		w.renewed = k % 2 == 0;
		fprintf(f, "%-60s %s\n", fsm_witness_name(&w, buf, sizeof(buf)),
		    fsm_isolated(&w) ? "isolated" : "act");
	}
	fclose(f);
	compare("witnesses.txt");
	free(text);
}

static const char *const new_is[] = { "read-only", "writable", "unreachable",
	"unknown" };

static void
new_row(FILE *f, unsigned a, unsigned b, unsigned e, unsigned pri)
{
	static const enum site_state st[] = { SS_READ_ONLY, SS_WRITABLE,
		SS_UNREACHABLE, SS_UNKNOWN };
	static struct mk m;
	struct fsm_decision d;

	mk_group(&m);
	memset(&m.s.rec, 0, sizeof(m.s.rec));
	m.s.rec.active = FSM_NONE;
	m.c.nsites = 2;
	m.c.npri = pri > 0;
	m.c.pri[0] = 1;
	m.s.site[0].p.has_repl = m.s.site[1].p.has_repl = false;
	mk_state(&m, 0, st[a]);
	mk_state(&m, 1, st[b]);
	if (e == 0) {
		m.s.rel.empty = 3;
		m.s.site[0].p.user_schemas = m.s.site[1].p.user_schemas = false;
	}
	if (e == 2)
		mk_sets(&m, 1, 2);
	fsm_decide(&m.c, &m.s, &d);
	fprintf(f, "a=%-11s b=%-11s %-8s %s -> %s%s%s\n", new_is[a], new_is[b],
	    e == 0     ? "empty" :
		e == 1 ? "equal" :
			 "beside",
	    pri > 0 ? "prefer b" : "        ", fsm_verdict_name(d.verdict),
	    d.site < 2 ? " " : "", d.site < 2 ? m.c.site[d.site].name : "");
}

/* No record: what is adopted, what is bootstrapped. */
static void
test_new_group(void **state)
{
	FILE *f = open_memstream(&text, &text_len);
	unsigned k;

	(void)state;
	for (k = 0; k < 4 * 4 * 3 * 2; k++)
		new_row(f, k % 4, k / 4 % 4, k / 16 % 3, k / 48);
	fclose(f);
	compare("new_group.txt");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_health),
		cmocka_unit_test(test_clone),
		cmocka_unit_test(test_repair),
		cmocka_unit_test(test_roll),
		cmocka_unit_test(test_decision),
		cmocka_unit_test(test_new_group),
		cmocka_unit_test(test_witnesses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
