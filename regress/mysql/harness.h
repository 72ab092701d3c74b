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
 * mysql-prober without its parent: the test is the parent. What the worker
 * sends is kept in order; what it says and logs is searched for passwords.
 */

#ifndef HARNESS_H
#define HARNESS_H

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "procs.h"

#define OPER    "br"
#define OPER_PW "op'er\\pw-S3CRET"
#define REPL    "repl"
#define REPL_PW "r'e\\pl\"pw-S3CRET"
#define GROUP   "11111111-2222-3333-4444-555555555555"
#define WAIT_MS 20000

/* The servers that regress/mysql/run started, and their ports. */
#define SRV_A   "probe-a"
#define SRV_B   "probe-b" /* performance_schema=OFF */
#define SRV_C   "probe-c"
#define port_a  h_port(1)
#define port_b  h_port(2)
#define port_c  h_port(3)
unsigned h_port(unsigned);

/* Once, before the first test. */
void h_init(void);
/* All that came is forgotten. */
void h_clear(void);
/*
 * Run the worker's loop until a message of this type comes for which match
 * says yes (NULL: any), and return it; it is taken out, with all before it
 * of its type. Fails the test after WAIT_MS. Valid until the next call.
 */
void *h_wait(uint32_t type, bool (*match)(const void *, void *), void *arg);
/* Run the loop for as long as no message of this type has come. */
bool h_has(uint32_t type);
/* Run the loop until this time has passed. */
void h_run_ms(int64_t ms);
/* Messages of this type that wait; the i-th. */
unsigned h_count(uint32_t type);
void *h_peek(uint32_t type, unsigned i);

/* Groups of up to four sites on 127.0.0.1; port 0 ends the list. */
void h_group(const char *uid, int64_t poll_ms, int64_t deadline_ms, bool tls,
    const char *ca, ...);
/* CREDS with the accounts above, to be changed and then told. */
struct m_creds *h_creds(uint64_t gen);
void h_tell_creds(struct m_creds *);
/* ACCOUNT, before the CREDS that it belongs to. */
void h_account(unsigned role, const char *user, const char *password);
/* TLS of GROUP; NULL for what is not there. */
void h_tls(uint64_t gen, const char *ca, const char *cert, const char *key,
    const char *prev_ca);
/* The host name of all sites, as in their certificate; NULL: none. */
void h_host(const char *);
void h_group_gone(const char *uid);
/* The port of a site, as a name: "p23401". */
const char *h_site(unsigned port);
/* The Pod UID that h_group told of it. */
const char *h_pod(unsigned port);

/* The next probe of a site that is ok, or that failed. */
struct m_probe *h_probe(unsigned port, bool ok);
/* A request with sensible values; change it, then h_sql. */
struct m_sql *h_request(unsigned port, unsigned kind);
/* Send it and wait for its answer. */
struct m_sql_done *h_sql(struct m_sql *);
/* Only send, and only wait. */
void h_send(struct m_sql *);
struct m_sql_done *h_done(uint64_t seq);
struct m_sql_done *h_do(unsigned port, unsigned kind);

/*
 * The next statement that begins like this is sent to a server that stands
 * still, and goes on after ms.
 */
void h_delay(const char *server, const char *begins, int64_t ms);

/* The lab's servers. Both end the test when the command fails. */
void h_lab(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* First line of what a statement gives, as root, not by the worker. */
const char *h_ask(const char *server, const char *sql);
/*
 * ALTER INSTANCE RELOAD TLS waits, without a bound, until no client is in its
 * log-in. The worker may be: so the loop runs on meanwhile.
 */
void h_reload_tls(const char *server);
/* How many of the worker's sessions there have these limits. */
#define H_LIMITS(lock, innodb, ms)                                            \
	"SELECT COUNT(*) FROM(SELECT THREAD_ID,"                              \
	"MAX(IF(VARIABLE_NAME='lock_wait_timeout',VARIABLE_VALUE,0)) l,"      \
	"MAX(IF(VARIABLE_NAME='innodb_lock_wait_timeout',VARIABLE_VALUE,0)) " \
	"i,MAX(IF(VARIABLE_NAME='max_execution_time',VARIABLE_VALUE,0)) m "   \
	"FROM performance_schema.variables_by_thread JOIN "                   \
	"performance_schema.threads USING(THREAD_ID) WHERE "                  \
	"PROCESSLIST_USER='br' GROUP BY THREAD_ID) v WHERE l " lock           \
	" AND i " innodb " AND m " ms
/* Run the loop until a statement gives this. */
void h_until(const char *server, const char *sql, const char *expected);

/* ---------------------------------------------------------------- steps.c --- */

/* h_do, with its time printed. */
const struct m_sql_done *
h_timed(const char *what, unsigned port, unsigned kind);
/* The same, and how it has to end. */
void h_expect(unsigned port, unsigned kind, unsigned end);
void h_set_source(unsigned port, unsigned source, unsigned end);
void h_until_replicating(unsigned port);
const struct m_sql_done *h_clone_from(unsigned port, unsigned donor);
/* The next SITE_ACCESS of a site that says this; 0: any. */
const struct m_site_access *
h_access(unsigned port, uint64_t creds_gen, uint64_t tls_gen);
/* Does this account get in? Not by the worker. */
bool h_login(const char *server, const char *user, const char *password);
/* gtid_executed of a server. */
const char *h_executed(const char *server);

#endif /* HARNESS_H */
