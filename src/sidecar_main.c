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
 * bloodraven-sidecar(8): the guard's voice, and a voter.
 */

#include <stdio.h>
#include <unistd.h>

#include "procs.h"
#include "sidecar.h"

static const struct ps_proc table[] = {
	{ .title = "link",
	    .id = PROC_LINK,
	    .setup = link_setup,
	    .dispatch = link_dispatch,
	    .parent_dispatch = sc_dispatch,
	    .sandbox = &link_sandbox,
	    .user = "nobody" },
	{ .title = "memory",
	    .id = PROC_MEMORY,
	    .setup = sc_mem_setup,
	    .dispatch = sc_mem_dispatch,
	    .parent_dispatch = sc_dispatch,
	    .sandbox = &sc_mem_sandbox,
	    .user = "nobody" },
	{ .title = "mysql",
	    .id = PROC_MYSQL,
	    .setup = sc_mysql_setup,
	    .dispatch = sc_mysql_dispatch,
	    .parent_dispatch = sc_dispatch,
	    .sandbox = &sc_mysql_sandbox,
	    .user = "nobody" },
	{ .title = "http",
	    .id = PROC_HTTP,
	    .setup = sc_http_setup,
	    .dispatch = sc_http_dispatch,
	    .parent_dispatch = sc_dispatch,
	    .sandbox = &sc_http_sandbox,
	    .user = "nobody" },
};

const struct ps_conf sc_procs_conf = {
	.procs = table,
	.nprocs = PS_NITEMS(table),
	.schema = &msg_schema,
#ifdef DISABLE_SANDBOX
	.no_sandbox = true,
#endif
	.level = LL_INFO,
	.on_setup = sc_on_setup,
	.on_ready = sc_on_ready,
	.on_death = sc_on_death,
};

int
main(int argc, char **argv)
{
	static struct sc_conf conf;

	ps_worker_main(argc, argv, &sc_procs_conf);

	if (sc_conf_parse(&conf, argc, argv) == -1)
		return 1;
	log_init("parent", conf.level, STDERR_FILENO);
	return sc_run(&conf);
}
