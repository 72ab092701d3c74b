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
 * bloodraven(8): a parent that decides, and sandboxed workers that act.
 */

#include <stdio.h>
#include <unistd.h>

#include "parent.h"
#include "procs.h"

int
main(int argc, char **argv)
{
	struct conf conf;

	ps_worker_main(argc, argv, &procs_conf);

	if (conf_parse(&conf, argc, argv) == -1)
		return 1;
	log_init("parent", conf.level, STDERR_FILENO);
	if (conf.check_only) {
		fprintf(stderr, "configuration OK\n");
		return 0;
	}
	return parent_run(&conf);
}
