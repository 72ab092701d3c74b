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
 * The processes: one row a worker. procs.c holds the table.
 */

#ifndef PROCS_H
#define PROCS_H

#include "msg.h"

struct parent;

/* kube.c: API server; the only one with the main token. */
int kube_setup(struct ps_worker *);
void kube_dispatch(struct ps_worker *, uint32_t type, void *msg, int fd);
extern const struct sandbox kube_sandbox;

/* mysql.c: MySQL; the only one with database passwords. */
int mysql_setup(struct ps_worker *);
void mysql_dispatch(struct ps_worker *, uint32_t type, void *msg, int fd);
extern const struct sandbox mysql_sandbox;

/* dns.c: DNSEndpoint objects, with a token that can do nothing else. */
int dns_setup(struct ps_worker *);
void dns_dispatch(struct ps_worker *, uint32_t type, void *msg, int fd);
extern const struct sandbox dns_sandbox;

/* http.c: inbound only; holds no secret. */
int http_setup(struct ps_worker *);
void http_dispatch(struct ps_worker *, uint32_t type, void *msg, int fd);
extern const struct sandbox http_sandbox;

/* link.c: frames between Pods; holds no key. */
int link_setup(struct ps_worker *);
void link_dispatch(struct ps_worker *, uint32_t type, void *msg, int fd);
extern const struct sandbox link_sandbox;

/* parent.c: everything that workers tell the parent. */
void parent_dispatch(
    struct ps *, unsigned from, uint32_t type, void *msg, int fd, void *arg);
void parent_on_setup(struct ps *, unsigned id, void *arg);
void parent_on_ready(struct ps *, unsigned id, void *arg);
void parent_on_death(struct ps *, unsigned id, int wstatus, void *arg);

/* Programs beside bloodraven that hold some of the workers. */
#define PROG_KUBE  "bloodraven-kube"
#define PROG_MYSQL "bloodraven-mysql"
/* workers.c: main() of such a program, with its own part of the table. */
int workers_main(int argc, char **argv, const struct ps_proc *, size_t n);

extern const struct ps_proc procs[];
/* For ps_worker_main and, with level and arg filled in, ps_start. */
extern const struct ps_conf procs_conf;

#endif /* PROCS_H */
