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
 * one may do to the machine is the sandbox of its own file.
 */

#include "procs.h"

const struct ps_proc procs[] = {
	{ "kube-watcher", PROC_KUBE, kube_setup, kube_dispatch,
	    parent_dispatch, &kube_sandbox, PS_RESTART_ALWAYS, "nobody" },
	{ "mysql-prober", PROC_MYSQL, mysql_setup, mysql_dispatch,
	    parent_dispatch, &mysql_sandbox, PS_RESTART_ALWAYS, "nobody" },
	{ "dns-writer", PROC_DNS, dns_setup, dns_dispatch,
	    parent_dispatch, &dns_sandbox, PS_RESTART_ALWAYS, "nobody" },
	{ "status-server", PROC_HTTP, http_setup, http_dispatch,
	    parent_dispatch, &http_sandbox, PS_RESTART_ALWAYS, "nobody" },
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
