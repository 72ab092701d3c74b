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
 * sim [--seeds A-B] [--seed N] [--scenario NAME] [--random] [--trace] [--list]
 *
 * Without arguments: every named scenario under a few seeds, then random
 * plans; with --random those alone. A failure prints the command that shows it
 * again.
 */

#include <getopt.h>
#include <stdio.h>

#include "sim.h"

static const struct option opts[] = { { "seeds", required_argument, NULL, 's' },
	{ "seed", required_argument, NULL, 'n' },
	{ "scenario", required_argument, NULL, 'c' },
	{ "random", no_argument, NULL, 'r' },
	{ "trace", no_argument, NULL, 't' }, { "list", no_argument, NULL, 'l' },
	{ NULL, 0, NULL, 0 } };

int
main(int argc, char **argv)
{
	const struct scenario *sc;
	struct args a;
	int i;

	if (!args_parse(argc, argv, opts, &a))
		return 2;
	for (i = 0; a.list && (sc = scenario_at(i)) != NULL; i++)
		puts(sc->name);
	if (a.list)
		return 0;
	return campaign(a.from, a.to, a.only, a.random_only && a.only == NULL,
		   false) > 0;
}
