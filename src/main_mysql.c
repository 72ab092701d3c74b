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
 * The worker that talks to MySQL. Started by bloodraven(8)'s launcher
 * only, see procs.c.
 */

#include "procs.h"

static const struct ps_proc workers[] = {
	{ .title = "mysql-prober",
	    .id = PROC_MYSQL,
	    .setup = mysql_setup,
	    .dispatch = mysql_dispatch,
	    .sandbox = &mysql_sandbox,
	    .user = "nobody" },
};

int
main(int argc, char **argv)
{
	return workers_main(argc, argv, workers, PS_NITEMS(workers));
}
