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
 * The judge on records made by hand: each finding is found where it is and
 * not found where it is not.
 */

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "judge.h"

#define UA "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
#define UB "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb"
#define UC "cccccccc-cccc-cccc-cccc-cccccccccccc"

static struct record prim[8], pina[8], pinb[8];
static struct record_file files[3];
static struct row left[24], old[24];
static struct judge j;

static struct record
rec(char out, uint64_t seq, int64_t sent, const char *server)
{
	struct record r = { .out = (enum outcome)out,
		.seq = seq,
		.sent_ns = sent,
		.end_ns = sent + 5 };

	strlcpy(r.server, server, sizeof(r.server));
	if (out == 'A')
		snprintf(r.gtid, sizeof(r.gtid), "%s:%llu", server,
		    (unsigned long long)seq);
	else
		strlcpy(r.gtid, "-", sizeof(r.gtid));
	return r;
}

static void
row(struct rows *t, const char *writer, uint64_t seq)
{
	strlcpy(t->r[t->n].writer, writer, sizeof(t->r[0].writer));
	t->r[t->n++].seq = seq;
}

/*
 * A failover from a to b that went well: p1 and p2 acknowledged by a, p3
 * unsent, p4 and p5 by b. The pinned writers were refused where they should.
 */
static int
good(void **state)
{
	(void)state;
	memset(&j, 0, sizeof(j));
	memset(files, 0, sizeof(files));
	memset(left, 0, sizeof(left));
	memset(old, 0, sizeof(old));
	prim[0] = rec('A', 1, 100, UA);
	prim[1] = rec('A', 2, 110, UA);
	prim[2] = rec('N', 3, 120, "-");
	prim[3] = rec('A', 4, 500, UB);
	prim[4] = rec('A', 5, 510, UB);
	pina[0] = rec('A', 1, 101, UA);
	pina[1] = rec('U', 2, 111, UA);
	pina[2] = rec('F', 3, 600, UA);
	pinb[0] = rec('F', 1, 102, UB);
	pinb[1] = rec('A', 2, 505, UB);
	files[0] = (struct record_file) { "p", "-", prim, 5 };
	files[1] = (struct record_file) { "a", "site-a", pina, 3 };
	files[2] = (struct record_file) { "b", "site-b", pinb, 2 };
	j.files = files;
	j.nfiles = 3;
	j.to_ns = INT64_MAX;
	j.old_site = "site-a";
	j.new_site = "site-b";
	j.survivor.r = left;
	j.old.r = old;
	for (uint64_t i = 1; i <= 5; i++)
		if (i != 3)
			row(&j.survivor, "p", i);
	row(&j.survivor, "a", 1);
	row(&j.survivor, "b", 2);
	return 0;
}

static int
clean(void **state)
{
	(void)state;
	gset_free(&j.received);
	gset_free(&j.divergent);
	return 0;
}

static void
run(void)
{
	rows_sort(&j.survivor);
	rows_sort(&j.old);
	assert_int_equal(judge_run(&j), 0);
}

/* Exactly this one is wrong. */
static void
only(const char *name)
{
	const char *names[16];

	assert_int_equal(judge_failures(&j, names, 16), 1);
	assert_string_equal(names[0], name);
}

static void
drop_row(struct rows *t, const char *writer, uint64_t seq)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->r[i].writer, writer) == 0 && t->r[i].seq == seq) {
			t->r[i] = t->r[--t->n];
			return;
		}
	fail();
}

static void
test_good(void **state)
{
	(void)state;
	run();
	assert_int_equal(judge_failures(&j, NULL, 0), 0);
	assert_int_equal(j.attempts, 10);
	assert_int_equal(j.acked, 6);
	assert_int_equal(j.refused, 2);
	assert_int_equal(j.unknown, 1);
	assert_int_equal(j.unsent, 1);
	assert_int_equal(j.lost, 0);
	assert_int_equal(j.overlapping, 0);
	assert_null(j.example);
}

static void
test_gap(void **state)
{
	(void)state;
	run();
	assert_int_equal(j.gap_ns, 505 - 115);
	assert_int_equal(j.gap_from_ns, 115);
	assert_int_equal(j.gap_to_ns, 505);
	assert_int_equal(j.open_gap_ns, 0);
	assert_int_equal(j.first_new_ns, 505);
}

static void
test_gap_is_of_the_service_only(void **state)
{
	(void)state;
	pina[1] = rec('A', 2, 400, UA);
	row(&j.survivor, "a", 2);
	run();
	assert_int_equal(j.gap_ns, 505 - 115);
}

static void
test_open_gap(void **state)
{
	(void)state;
	prim[4] = rec('N', 5, 900, "-");
	run();
	assert_int_equal(j.open_gap_ns, 905 - 505);
}

static void
test_window(void **state)
{
	(void)state;
	j.from_ns = 500;
	run();
	assert_int_equal(j.acked, 3);
	assert_int_equal(j.gap_ns, 10);
}

static void
test_overlap(void **state)
{
	(void)state;
	/* sent to the old site after 505, acknowledged all the same */
	pina[2] = rec('A', 3, 506, UA);
	row(&j.survivor, "a", 3);
	run();
	assert_int_equal(j.overlapping, 1);
	only("overlappingWrites");
	assert_ptr_equal(j.example, &pina[2]);
}

static void
test_overlap_through_service(void **state)
{
	(void)state;
	prim[4] = rec('A', 5, 600, UA);
	run();
	assert_int_equal(j.overlapping, 1);
	only("overlappingWrites");
}

static void
test_no_overlap_when_sent_before(void **state)
{
	(void)state;
	/* in flight when the new site answered first: may be either's */
	pina[2] = rec('A', 3, 505, UA);
	pina[2].end_ns = 700;
	row(&j.survivor, "a", 3);
	run();
	assert_int_equal(j.overlapping, 0);
	assert_int_equal(judge_failures(&j, NULL, 0), 0);
}

static void
test_no_overlap_when_refused_or_unknown(void **state)
{
	(void)state;
	pina[1] = rec('U', 2, 600, UA);
	run();
	assert_int_equal(j.overlapping, 0);
}

static void
test_third_site(void **state)
{
	(void)state;
	strlcpy(files[1].site, "site-c", sizeof(files[1].site));
	for (int i = 0; i < 3; i++)
		strlcpy(pina[i].server, UC, sizeof(pina[i].server));
	pina[2] = rec('A', 3, 600, UC);
	row(&j.survivor, "a", 3);
	prim[0] = rec('A', 1, 100, UB);
	prim[1] = rec('A', 2, 110, UB);
	run();
	assert_int_equal(j.overlapping, 0);
	assert_int_equal(j.stale, 1);
	only("acknowledgedByThirdSite");
}

static void
test_lost(void **state)
{
	(void)state;
	drop_row(&j.survivor, "p", 2);
	run();
	/* by itself that is the price of asynchronous replication */
	assert_int_equal(j.lost, 1);
	assert_int_equal(judge_failures(&j, NULL, 0), 0);
}

static void
test_lost_received(void **state)
{
	(void)state;
	drop_row(&j.survivor, "p", 2);
	j.have_received = true;
	assert_int_equal(gset_add(&j.received, UA ":1-2"), 0);
	run();
	assert_int_equal(j.lost_received, 1);
	only("lostThoughReceived");
}

static void
test_lost_not_received(void **state)
{
	(void)state;
	drop_row(&j.survivor, "p", 2);
	j.have_received = true;
	assert_int_equal(gset_add(&j.received, UA ":1"), 0);
	run();
	assert_int_equal(j.lost, 1);
	assert_int_equal(j.lost_received, 0);
	assert_int_equal(judge_failures(&j, NULL, 0), 0);
}

static void
test_lost_reported(void **state)
{
	(void)state;
	drop_row(&j.survivor, "p", 2);
	j.have_divergent = true;
	assert_int_equal(gset_add(&j.divergent, UA ":2-3"), 0);
	run();
	assert_int_equal(j.lost_reported, 1);
	assert_int_equal(judge_failures(&j, NULL, 0), 0);
}

static void
test_lost_unreported(void **state)
{
	(void)state;
	drop_row(&j.survivor, "p", 2);
	j.have_divergent = true;
	assert_int_equal(gset_add(&j.divergent, UA ":3," UB ":2"), 0);
	run();
	assert_int_equal(j.lost_unreported, 1);
	only("lostAndNotReported");
}

static void
test_lost_unidentified(void **state)
{
	(void)state;
	/* without its GTID nobody can say that it was reported */
	strlcpy(prim[1].gtid, "-", sizeof(prim[1].gtid));
	drop_row(&j.survivor, "p", 2);
	j.have_divergent = true;
	assert_int_equal(gset_add(&j.divergent, UA ":2"), 0);
	run();
	only("lostAndNotReported");
}

static void
test_lost_on_old_site(void **state)
{
	(void)state;
	drop_row(&j.survivor, "p", 2);
	j.have_old = true;
	row(&j.old, "p", 2);
	run();
	assert_int_equal(judge_failures(&j, NULL, 0), 0);
}

static void
test_lost_everywhere(void **state)
{
	(void)state;
	drop_row(&j.survivor, "p", 2);
	j.have_old = true;
	row(&j.old, "p", 1);
	run();
	only("lostEverywhere");
}

static void
test_refused_but_present(void **state)
{
	(void)state;
	row(&j.survivor, "a", 3);
	run();
	only("refusedButPresent");
}

static void
test_unknown_may_be_present(void **state)
{
	(void)state;
	row(&j.survivor, "a", 2);
	run();
	assert_int_equal(judge_failures(&j, NULL, 0), 0);
}

static void
test_unknown_server(void **state)
{
	(void)state;
	prim[0] = rec('A', 1, 100, UC);
	run();
	only("acknowledgedByUnknownServer");
}

static void
test_nothing_at_new_site(void **state)
{
	(void)state;
	files[0].n = 3;
	pinb[1] = rec('F', 3, 505, UB);
	run();
	only("noWriteAtNewSite");
}

static void
test_two_sites_without_failover(void **state)
{
	(void)state;
	j.old_site = j.new_site = NULL;
	run();
	only("acknowledgedByTwoSites");
}

static void
test_restart_without_failover(void **state)
{
	(void)state;
	j.old_site = j.new_site = NULL;
	prim[3] = rec('A', 4, 500, UA);
	prim[4] = rec('A', 5, 510, UA);
	pinb[1] = rec('F', 2, 505, UB);
	drop_row(&j.survivor, "b", 2);
	run();
	assert_int_equal(judge_failures(&j, NULL, 0), 0);
	assert_int_equal(j.gap_ns, 505 - 115);
}

static void
test_nothing_acknowledged(void **state)
{
	(void)state;
	j.old_site = j.new_site = NULL;
	files[0].n = 0;
	files[1].n = 0;
	files[2].n = 1;
	run();
	only("nothingAcknowledged");
}

static void
test_gset(void **state)
{
	struct gset s = { 0 };

	(void)state;
	assert_int_equal(gset_add(&s, UA ":1-3:7:tag:5-6,\n" UB ":9"), 0);
	assert_true(gset_has(&s, UA ":1"));
	assert_true(gset_has(&s, UA ":3"));
	assert_false(gset_has(&s, UA ":4"));
	assert_true(gset_has(&s, UA ":7"));
	assert_false(gset_has(&s, UA ":5"));
	assert_true(gset_has(&s, UA ":tag:5"));
	assert_false(gset_has(&s, UA ":tag:1"));
	assert_true(gset_has(&s, UB ":9"));
	assert_false(gset_has(&s, "-"));
	assert_false(gset_has(&s, UA ":1-2"));
	assert_int_equal(gset_add(&s, ""), 0);
	assert_int_equal(gset_add(&s, "nonsense"), -1);
	assert_int_equal(gset_add(&s, UA ":0"), -1);
	assert_int_equal(gset_add(&s, UA ":5-4"), -1);
	assert_int_equal(gset_add(&s, UA), -1);
	/* growing samples of one set */
	assert_int_equal(gset_add(&s, UC ":1-10"), 0);
	assert_int_equal(gset_add(&s, UC ":1-20"), 0);
	assert_true(gset_has(&s, UC ":20"));
	assert_false(gset_has(&s, UC ":21"));
	gset_free(&s);
}

/* A file as the writer makes it, cut off in its last line by a kill -9. */
static void
test_record_file(void **state)
{
	char path[] = "/tmp/oracle.XXXXXX";
	struct record_file f;
	struct record r = rec('A', 7, 1000, UA);
	unsigned line;
	int fd;

	(void)state;
	assert_int_not_equal(mkstemp(path), -1);
	unlink(path);
	fd = record_create(path, "w", "site-a");
	assert_int_not_equal(fd, -1);
	assert_int_equal(record_create(path, "w", "site-a"), -1);
	assert_int_equal(record_append(fd, &r), 0);
	assert_int_equal(write(fd, "A\t8\t12", 6), 6);
	assert_int_equal(record_load(path, &f, &line), 0);
	assert_int_equal(f.n, 1);
	assert_string_equal(f.writer, "w");
	assert_string_equal(f.site, "site-a");
	assert_memory_equal(&f.recs[0].seq, &r.seq, sizeof(r.seq));
	assert_int_equal(f.recs[0].sent_ns, 1000);
	assert_string_equal(f.recs[0].gtid, UA ":7");
	record_free(&f);
	assert_int_equal(write(fd, "x\n", 2), 2);
	assert_int_equal(record_load(path, &f, &line), -1);
	assert_int_equal(line, 3);
	record_free(&f);
	close(fd);
	unlink(path);
}

#define T(f) cmocka_unit_test_setup_teardown(f, good, clean)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_good),
		T(test_gap),
		T(test_gap_is_of_the_service_only),
		T(test_open_gap),
		T(test_window),
		T(test_overlap),
		T(test_overlap_through_service),
		T(test_no_overlap_when_sent_before),
		T(test_no_overlap_when_refused_or_unknown),
		T(test_third_site),
		T(test_lost),
		T(test_lost_received),
		T(test_lost_not_received),
		T(test_lost_reported),
		T(test_lost_unreported),
		T(test_lost_unidentified),
		T(test_lost_on_old_site),
		T(test_lost_everywhere),
		T(test_refused_but_present),
		T(test_unknown_may_be_present),
		T(test_unknown_server),
		T(test_nothing_at_new_site),
		T(test_two_sites_without_failover),
		T(test_restart_without_failover),
		T(test_nothing_acknowledged),
		T(test_gset),
		T(test_record_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
