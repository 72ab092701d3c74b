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
 * explore [--sites N] [--faults N] [--lease TICKS] [--no-stalls] [--all-vote]
 *     [--live] [--weakness NAME] [--trace | --states] [--threads N]
 *     [--progress]
 * explore --merge [those]
 * explore --all-weaknesses [--threads N] | --list
 *
 * Visits every state within a bound. Without a weakness two sites must never
 * write at once (with --live: and each group must get a primary when its
 * faults end), and the bound must be explored to its end. With a weakness it
 * must be found. --merge: once as ever, and once with each state by itself,
 * which takes long: merged it must be among those that were found before.
 */

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "explore.h"

#define PATH_MAX_LEN 400

struct options {
	struct x_limits limits;
	unsigned lease;
	bool no_stalls, all_vote, kinds, trace, states, all, list, merge;
	enum x_weakness weakness;
};

static const char *const kind_names[] = {
#define X(id, ...) #id,
	X_KINDS(X)
#undef X
};

static double
seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
show_path(const struct options *o, const struct x_found *f)
{
	static struct action path[PATH_MAX_LEN];
	unsigned n;

	n = find_path(f->last, path, PATH_MAX_LEN);
	text_path(path, n, o->limits.nsites, o->limits.faults, o->states);
	if (f->end == E_BLOCKED)
		printf("no primary although %s\n", f->why);
}

static void
show_kinds(const struct x_found *f)
{
	unsigned i;

	for (i = 0; i < K_MAX; i++)
		printf("%12" PRIu64 "  %s\n", f->kinds[i], kind_names[i]);
}

/* One bound, to its end. */
static int
explore(const struct options *o)
{
	static const char *const ends[] = { "to the end", "TWO SITES WRITE",
		"BLOCKED FOR EVER", "A STATE IS NOT AMONG THE MERGED",
		"NOT FINISHED" };
	struct x_found f;
	double t = seconds();
	bool good;

	act_no_stalls(o->no_stalls);
	act_all_vote(o->all_vote);
	x_lease_set(o->lease);
	weak_set(o->weakness);
	f = find(&o->limits);
	good = o->weakness == W_NONE ?
	    f.end == E_ALL && !f.full && path_inside(&o->limits) :
	    f.end == E_TWO || f.end == E_BLOCKED;
	if (o->kinds)
		show_kinds(&f);
	if ((f.end == E_TWO || f.end == E_BLOCKED || f.end == E_LOST) &&
	    (!good || o->trace || o->states))
		show_path(o, &f);
	printf("%u sites, %u faults%s%s%s, L %u ticks: %s%s; states %" PRIu64
	       ", steps %" PRIu64 ", depth %u, %.1f s\n",
	    o->limits.nsites, o->limits.faults,
	    o->no_stalls ? " (no stalls)" : "",
	    o->all_vote ? " (all vote)" : "",
	    o->limits.live ? ", released when they end" : "", o->lease,
	    ends[f.end], f.full ? " (EPOCH TABLE FULL)" : "", f.states, f.steps,
	    f.depth, seconds() - t);
	return good ? 0 : 1;
}

/*
 * Each state by itself is, merged, among those that the search finds. There
 * are no others when it is about who writes: what is merged there is the same.
 * When it is about groups that stay blocked, of whose waits two extremes stand
 * for all, there may be some.
 */
static int
merge(struct options *o)
{
	size_t n;

	if (explore(o) != 0)
		return 1;
	n = find_compare();
	keep_whole(true);
	o->limits.images = true;
	if (explore(o) != 0)
		return 1;
	printf("merged they are %zu, all found before, of %zu\n", find_images(),
	    n);
	return o->limits.live || find_images() == n ? 0 : 1;
}

/* ------------------------------------------------------------ weaknesses - */

/* With as few faults as it takes. */
static bool
weakness(const struct options *base, enum x_weakness w)
{
	struct options o = *base;
	struct x_found f;
	unsigned faults;

	weak_set(w);
	o.limits.nsites = weak_sites(w);
	o.limits.live = weak_blocks(w);
	x_lease_set(weak_lease(w));
	act_no_stalls(weak_no_stalls(w));
	for (faults = 0; faults <= 2; faults++) {
		o.limits.faults = faults;
		f = find(&o.limits);
		if (f.end == E_TWO || (f.end == E_BLOCKED && !f.full))
			break;
	}
	printf("%-27s ", weak_name(w));
	if (faults > 2)
		printf("NOT FOUND");
	else
		printf("%s, %u sites, %u faults, depth %2u, %7" PRIu64
		       " states",
		    f.end == E_TWO ? "two write" : "blocked  ", o.limits.nsites,
		    faults, f.depth, f.states);
	printf("  %s (%s)\n", weak_text(w), weak_named(w));
	(void)fflush(stdout);
	if (faults <= 2 && (o.trace || o.states))
		show_path(&o, &f);
	return faults <= 2;
}

static int
all_weaknesses(const struct options *o)
{
	unsigned w, found = 0;
	double t = seconds();

	for (w = 1; w < W_MAX; w++)
		if (weakness(o, (enum x_weakness)w))
			found++;
	printf("%u of %u weaknesses found, %.1f s\n", found, W_MAX - 1U,
	    seconds() - t);
	return found == W_MAX - 1U ? 0 : 1;
}

static int
list(void)
{
	unsigned w;

	for (w = 1; w < W_MAX; w++)
		printf("%-27s %s (%s)\n", weak_name((enum x_weakness)w),
		    weak_text((enum x_weakness)w),
		    weak_named((enum x_weakness)w));
	return 0;
}

/* --------------------------------------------------------------- options - */

enum {
	O_SITES,
	O_FAULTS,
	O_LEASE,
	O_STATES_MAX,
	O_WEAKNESS,
	O_NO_STALLS,
	O_ALL_VOTE,
	O_LIVE,
	O_KINDS,
	O_TRACE,
	O_STATES,
	O_THREADS,
	O_PROGRESS,
	O_MERGE,
	O_ALL,
	O_LIST
};

static const struct option longs[] = {
	{ "sites", required_argument, NULL, O_SITES },
	{ "faults", required_argument, NULL, O_FAULTS },
	{ "lease", required_argument, NULL, O_LEASE },
	{ "limit", required_argument, NULL, O_STATES_MAX },
	{ "weakness", required_argument, NULL, O_WEAKNESS },
	{ "no-stalls", no_argument, NULL, O_NO_STALLS },
	{ "all-vote", no_argument, NULL, O_ALL_VOTE },
	{ "live", no_argument, NULL, O_LIVE },
	{ "kinds", no_argument, NULL, O_KINDS },
	{ "trace", no_argument, NULL, O_TRACE },
	{ "states", no_argument, NULL, O_STATES },
	{ "threads", required_argument, NULL, O_THREADS },
	{ "progress", no_argument, NULL, O_PROGRESS },
	{ "merge", no_argument, NULL, O_MERGE },
	{ "all-weaknesses", no_argument, NULL, O_ALL },
	{ "list", no_argument, NULL, O_LIST },
	{ NULL, 0, NULL, 0 },
};

static unsigned
number(const char *s, unsigned min, unsigned max)
{
	char *end;
	unsigned long v = strtoul(s, &end, 10);

	if (*s == '\0' || *end != '\0' || v < min || v > max) {
		fprintf(stderr, "explore: %s: %u to %u\n", s, min, max);
		exit(2);
	}
	return (unsigned)v;
}

static void
option(struct options *o, int c)
{
	switch (c) {
	case O_SITES:
		o->limits.nsites = number(optarg, 2, X_SITES);
		break;
	case O_FAULTS:
		o->limits.faults = number(optarg, 0, 9);
		break;
	case O_LEASE:
		o->lease = number(optarg, 1, 9);
		break;
	case O_STATES_MAX:
		o->limits.states = number(optarg, 1, UINT32_MAX);
		break;
	case O_WEAKNESS:
		if ((o->weakness = weak_find(optarg)) == W_NONE) {
			fprintf(stderr, "explore: no \"%s\"\n", optarg);
			exit(2);
		}
		break;
	case O_NO_STALLS:
		o->no_stalls = true;
		break;
	case O_ALL_VOTE:
		o->all_vote = true;
		break;
	case O_LIVE:
		o->limits.live = true;
		break;
	case O_KINDS:
		o->kinds = true;
		break;
	case O_TRACE:
		o->trace = true;
		break;
	case O_STATES:
		o->states = true;
		break;
	case O_THREADS:
		o->limits.threads = number(optarg, 1, 1024);
		break;
	case O_PROGRESS:
		o->limits.progress = true;
		break;
	case O_MERGE:
		o->merge = true;
		break;
	case O_ALL:
		o->all = true;
		break;
	case O_LIST:
		o->list = true;
		break;
	default:
		exit(2);
	}
}

int
main(int argc, char **argv)
{
	struct options o = {
		.limits = { .nsites = 2, .faults = 1, .states = 400000000 },
		.lease = 2
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		option(&o, c);
	if (optind != argc)
		return 2;
	if (o.list)
		return list();
	if (o.all)
		return all_weaknesses(&o);
	if (o.weakness != W_NONE)
		return weakness(&o, o.weakness) ? 0 : 1;
	return o.merge ? merge(&o) : explore(&o);
}
