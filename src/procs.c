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
 * The table of processes. Who may say what to whom is in msg.def; what each
 * one may do to the machine is the sandbox of its own file. Those that need
 * libcurl or libmysqlclient are programs of their own (main_kube.c,
 * main_mysql.c): the parent never maps a line of either, and each process
 * saves the megabyte that their relocations cost.
 */

#include "procs.h"

const struct ps_proc procs[] = {
	{ .title = "kube-watcher",
	    .id = PROC_KUBE,
	    .exe = PROG_KUBE,
	    .parent_dispatch = parent_dispatch },
	{ .title = "mysql-prober",
	    .id = PROC_MYSQL,
	    .exe = PROG_MYSQL,
	    .parent_dispatch = parent_dispatch },
	{ .title = "dns-writer",
	    .id = PROC_DNS,
	    .exe = PROG_KUBE,
	    .parent_dispatch = parent_dispatch },
	{ .title = "status-server",
	    .id = PROC_HTTP,
	    .setup = http_setup,
	    .dispatch = http_dispatch,
	    .parent_dispatch = parent_dispatch,
	    .sandbox = &http_sandbox,
	    .user = "nobody" },
	{ .title = "guard-link",
	    .id = PROC_LINK,
	    .setup = link_setup,
	    .dispatch = link_dispatch,
	    .parent_dispatch = parent_dispatch,
	    .sandbox = &link_sandbox,
	    .user = "nobody" },
};

const struct ps_conf procs_conf = {
	.procs = procs,
	.nprocs = PS_NITEMS(procs),
	.schema = &msg_schema,
#ifdef DISABLE_SANDBOX
	.no_sandbox = true,
#endif
	.level = LL_INFO,
	.on_setup = parent_on_setup,
	.on_ready = parent_on_ready,
	.on_death = parent_on_death,
};
