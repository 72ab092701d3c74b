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
 * Steps that several tests take, with their times.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

unsigned
h_port(unsigned i)
{
	const char *port = getenv("PROBER_PORT");

	return port == NULL ? 0 : (unsigned)strtol(port, NULL, 10) + i;
}

static int64_t
us_since(struct monotime t)
{
	return (monotime_now().ns - t.ns) / 1000;
}

static void
say_done(const char *what, const struct m_sql_done *d, struct monotime t)
{
	printf("    %-28s %6.2f ms  %s %u %s\n", what,
	    (double)us_since(t) / 1000, sql_end_name(d->end), d->mysql_errno,
	    d->error);
}

const struct m_sql_done *
h_timed(const char *what, unsigned port, unsigned kind)
{
	struct monotime t = monotime_now();
	struct m_sql_done *d = h_do(port, kind);

	say_done(what, d, t);
	return d;
}

void
h_expect(unsigned port, unsigned kind, unsigned end)
{
	const struct m_sql_done *d = h_timed(sql_kind_name(kind), port, kind);

	assert_int_equal(d->end, end);
}

struct access_want {
	const char *site;
	uint64_t creds_gen, tls_gen;
};

static bool
is_access(const void *msg, void *arg)
{
	const struct m_site_access *m = msg;
	const struct access_want *w = arg;

	return strcmp(m->site, w->site) == 0 &&
	    (w->creds_gen == 0 || m->creds_gen == w->creds_gen) &&
	    (w->tls_gen == 0 || m->tls_gen == w->tls_gen);
}

const struct m_site_access *
h_access(unsigned port, uint64_t creds_gen, uint64_t tls_gen)
{
	struct access_want w = { h_site(port), creds_gen, tls_gen };

	return h_wait(MSG_SITE_ACCESS, is_access, &w);
}

/* Passwords of tests have no quotes. */
bool
h_login(const char *server, const char *user, const char *password)
{
	char cmd[1024];

	(void)snprintf(cmd, sizeof(cmd),
	    "MYSQL_PWD='%s' %s tool mysql --no-defaults --protocol=tcp "
	    "-h127.0.0.1 -P$(%s path %s port) -u%s -e 'SELECT 1' "
	    ">/dev/null 2>&1",
	    password, getenv("PROBER_MYSQLD"), getenv("PROBER_MYSQLD"), server,
	    user);
	return system(cmd) == 0;
}

const char *
h_executed(const char *server)
{
	return h_ask(server, "SELECT REPLACE(@@global.gtid_executed,'\\n','')");
}

void
h_set_source(unsigned port, unsigned source, unsigned end)
{
	struct monotime t = monotime_now();
	struct m_sql *s = h_request(port, SQL_SET_SOURCE);
	const struct m_sql_done *d;

	s->source_port = source;
	d = h_sql(s);
	say_done("set-source", d, t);
	assert_int_equal(d->end, end);
}

void
h_until_replicating(unsigned port)
{
	struct m_probe *p;

	do
		p = h_probe(port, true);
	while (!p->has_repl || p->io != IO_YES || !p->sql);
	assert_string_equal(p->source_host, "127.0.0.1");
}

const struct m_sql_done *
h_clone_from(unsigned port, unsigned donor)
{
	struct monotime t = monotime_now();
	struct m_sql *s = h_request(port, SQL_CLONE);
	const struct m_sql_done *d;

	s->source_port = donor;
	s->timeout_ms = 60000;
	d = h_sql(s);
	say_done("clone", d, t);
	return d;
}
