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
 * What programs of workers alone have in common (main_kube.c, main_mysql.c).
 */

#include <stdio.h>

#include "procs.h"

int
workers_main(int argc, char **argv, const struct ps_proc *workers, size_t n)
{
	struct ps_conf conf = {
		.procs = workers,
		.nprocs = n,
		.schema = &msg_schema,
#ifdef DISABLE_SANDBOX
		.no_sandbox = true,
#endif
		.level = LL_INFO,
	};

	ps_worker_main(argc, argv, &conf);
	fprintf(stderr, "%s is started by bloodraven(8)\n", argv[0]);
	return 1;
}
