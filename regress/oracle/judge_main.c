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
 * judge: reads records, tables and reports from files and writes its findings
 * as one line of JSON. Exit status: 0 nothing is wrong, 1 a failure was
 * found, 2 it could not judge.
 */

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"

#define FAILURES_MAX 16

static void
usage(void)
{
	fprintf(stderr,
	    "usage: judge --survivor table.tsv [--old-table "
	    "table.tsv] [--old site --new site]\n"
	    "             [--received witness-file] [--divergent gtid-file]\n"
	    "             [--from ns] [--to ns] record-file...\n");
	exit(2);
}

static FILE *
open_file(const char *path)
{
	FILE *fp = fopen(path, "re");

	if (fp == NULL)
		err(2, "%s", path);
	return fp;
}

/* Lines "writer <tab> seq". */
static void
load_rows(const char *path, struct rows *t)
{
	FILE *fp = open_file(path);
	char *line = NULL, *rest, *w, *s;
	size_t size = 0, room = 0;
	const char *why;

	while (getline(&line, &size, fp) > 0) {
		line[strcspn(line, "\n")] = '\0';
		rest = line;
		w = strsep(&rest, "\t");
		s = strsep(&rest, "\t");
		if (t->n == room) {
			room = room == 0 ? 1024 : room * 2;
			t->r = reallocarray(t->r, room, sizeof(*t->r));
			if (t->r == NULL)
				err(2, NULL);
		}
		if (s == NULL ||
		    strlcpy(t->r[t->n].writer, w, sizeof(t->r->writer)) >=
			sizeof(t->r->writer))
			errx(2, "%s: malformed row", path);
		t->r[t->n].seq = (uint64_t)strtonum(s, 0, INT64_MAX, &why);
		if (why != NULL)
			errx(2, "%s: malformed row", path);
		t->n++;
	}
	free(line);
	fclose(fp);
	rows_sort(t);
}

/*
 * Everything that the site was seen to have executed or received. Samples of
 * after the first write of its own do no harm: what it got then, it has.
 */
static void
load_received(const char *path, struct gset *set)
{
	FILE *fp = open_file(path);
	char *line = NULL, *rest, *sets[2];
	size_t size = 0;

	while (getline(&line, &size, fp) > 0) {
		if (line[0] == '#' || strchr(line, '\n') == NULL)
			continue;
		line[strcspn(line, "\n")] = '\0';
		rest = line;
		for (int i = 0; i < 4; i++)
			strsep(&rest, "\t");
		sets[0] = strsep(&rest, "\t");
		sets[1] = strsep(&rest, "\t");
		if (sets[1] == NULL)
			errx(2, "%s: malformed sample", path);
		for (int i = 0; i < 2; i++)
			if (gset_add(set, sets[i]) == -1)
				errx(2, "%s: malformed set", path);
	}
	free(line);
	fclose(fp);
}

static void
load_set(const char *path, struct gset *set)
{
	FILE *fp = open_file(path);
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, fp) > 0)
		if (gset_add(set, line) == -1)
			errx(2, "%s: malformed set", path);
	free(line);
	fclose(fp);
}

static int64_t
number(const char *s)
{
	const char *why;
	int64_t v = strtonum(s, 0, INT64_MAX, &why);

	if (why != NULL)
		errx(2, "%s: %s", s, why);
	return v;
}

static void
print_servers(const struct judge *j)
{
	const char *comma = "";

	printf("\"acknowledgedBy\":[");
	for (size_t i = 0; i < j->nservers; i++) {
		const struct server *s = &j->servers[i];

		if (s->acked == 0)
			continue;
		printf(
		    "%s{\"site\":\"%s\",\"server\":\"%s\",\"writes\":%" PRIu64
		    ",\"firstNs\":%" PRId64 ",\"lastNs\":%" PRId64 "}",
		    comma, s->site, s->uuid, s->acked, s->first_ns, s->last_ns);
		comma = ",";
	}
	printf("],");
}

static void
print_optional(const char *name, bool have, uint64_t v)
{
	if (have)
		printf("\"%s\":%" PRIu64 ",", name, v);
	else
		printf("\"%s\":null,", name);
}

static void
print_findings(const struct judge *j)
{
	printf("{\"attempts\":%" PRIu64 ",\"acked\":%" PRIu64
	       ",\"refused\":%" PRIu64 ",\"unknown\":%" PRIu64
	       ",\"unsent\":%" PRIu64 ",",
	    j->attempts, j->acked, j->refused, j->unknown, j->unsent);
	print_servers(j);
	printf("\"writeGapSeconds\":%.3f,\"gapFromNs\":%" PRId64
	       ",\"gapToNs\":%" PRId64 ",\"openGapSeconds\":%.3f,",
	    (double)j->gap_ns / 1e9, j->gap_from_ns, j->gap_to_ns,
	    (double)j->open_gap_ns / 1e9);
	printf("\"firstWriteAtNewSiteNs\":%" PRId64 ",", j->first_new_ns);
	printf("\"ackedWritesLost\":%" PRIu64 ",", j->lost);
	print_optional(
	    "lostThoughReceived", j->have_received, j->lost_received);
	print_optional("lostReported", j->have_divergent, j->lost_reported);
	print_optional(
	    "lostAndNotReported", j->have_divergent, j->lost_unreported);
	print_optional("lostEverywhere", j->have_old, j->lost_nowhere);
	printf("\"overlappingWrites\":%" PRIu64
	       ",\"acknowledgedByThirdSite\":%" PRIu64
	       ",\"refusedButPresent\":%" PRIu64 ",",
	    j->overlapping, j->stale, j->refused_present);
}

static unsigned
print_verdict(const struct judge *j)
{
	const char *names[FAILURES_MAX];
	unsigned n = judge_failures(j, names, FAILURES_MAX);

	printf("\"failures\":[");
	for (unsigned i = 0; i < n; i++)
		printf("%s\"%s\"", i > 0 ? "," : "", names[i]);
	printf("]");
	if (j->example != NULL)
		printf(",\"example\":{\"seq\":%" PRIu64 ",\"sentNs\":%" PRId64
		       ",\"server\":\"%s\",\"gtid\":\"%s\"}",
		    j->example->seq, j->example->sent_ns, j->example->server,
		    j->example->gtid);
	printf("}\n");
	return n;
}

static const struct option options[] = { { "survivor", required_argument, NULL,
					     's' },
	{ "old-table", required_argument, NULL, 't' },
	{ "old", required_argument, NULL, 'o' },
	{ "new", required_argument, NULL, 'n' },
	{ "received", required_argument, NULL, 'r' },
	{ "divergent", required_argument, NULL, 'd' },
	{ "from", required_argument, NULL, 'f' },
	{ "to", required_argument, NULL, 'u' }, { NULL, 0, NULL, 0 } };

static void
parse(struct judge *j, int argc, char **argv)
{
	bool survivor = false;
	int ch;

	while ((ch = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (ch) {
		case 's':
			survivor = true;
			load_rows(optarg, &j->survivor);
			break;
		case 't':
			j->have_old = true;
			load_rows(optarg, &j->old);
			break;
		case 'o':
			j->old_site = optarg;
			break;
		case 'n':
			j->new_site = optarg;
			break;
		case 'r':
			j->have_received = true;
			load_received(optarg, &j->received);
			break;
		case 'd':
			j->have_divergent = true;
			load_set(optarg, &j->divergent);
			break;
		case 'f':
			j->from_ns = number(optarg);
			break;
		case 'u':
			j->to_ns = number(optarg);
			break;
		default:
			usage();
		}
	}
	if (!survivor || optind == argc ||
	    (j->old_site == NULL) != (j->new_site == NULL))
		usage();
}

int
main(int argc, char **argv)
{
	struct judge j = { .to_ns = INT64_MAX };
	unsigned line;

	parse(&j, argc, argv);
	j.nfiles = (size_t)(argc - optind);
	j.files = calloc(j.nfiles, sizeof(*j.files));
	if (j.files == NULL)
		err(2, NULL);
	for (size_t i = 0; i < j.nfiles; i++)
		if (record_load(argv[optind + (int)i], &j.files[i], &line) ==
		    -1)
			err(2, "%s: line %u", argv[optind + (int)i], line);
	if (judge_run(&j) == -1)
		errx(2, "more servers than can be told apart");
	print_findings(&j);
	return print_verdict(&j) == 0 ? 0 : 1;
}
