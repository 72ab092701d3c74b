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

/* What the simulator and its mutants are told: each names its own options. */

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sim.h"

static const struct scenario *
scenario_named(const char *name)
{
	const struct scenario *sc;
	int i;

	for (i = 0; (sc = scenario_at(i)) != NULL; i++)
		if (strcmp(sc->name, name) == 0)
			return sc;
	return NULL;
}

static bool
guard_named(struct args *a, const char *name)
{
	unsigned g;

	for (g = 0; g < G_MAX; g++)
		if (strcmp(fsm_guard_name(g), name) == 0) {
			a->guard[g] = a->some = true;
			return true;
		}
	return false;
}

static bool
one(struct args *a, int ch)
{
	switch (ch) {
	case 's':
		return sscanf(optarg, "%" SCNu64 "-%" SCNu64, &a->from,
			   &a->to) == 2;
	case 'n':
		a->random_only = true;
		if (sscanf(optarg, "%" SCNu64, &a->from) != 1)
			return false;
		a->to = a->from;
		return true;
	case 'c':
		return (a->only = scenario_named(optarg)) != NULL;
	case 'r':
		return a->random_only = true;
	case 't':
		want_trace = true;
		return true;
	case 'l':
		a->list = true;
		return true;
	case 'k':
		return sscanf(optarg, "%u", &scenario_seeds) == 1;
	case 'g':
		return guard_named(a, optarg);
	case 'j':
		return sscanf(optarg, "%u", &a->jobs) == 1 && a->jobs > 0;
	default:
		return false;
	}
}

bool
args_parse(int argc, char **argv, const struct option *opts, struct args *a)
{
	int ch;

	memset(a, 0, sizeof(*a));
	a->from = 1;
	a->to = 300;
	a->jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	while ((ch = getopt_long(argc, argv, "", opts, NULL)) != -1)
		if (!one(a, ch))
			return false;
	return optind == argc;
}
