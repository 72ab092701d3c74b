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
 * The user's certificate: what is wrong with it, how servers come to show a
 * new one, and replication and CLONE that check it.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "certs.h"
#include "harness.h"
#include "mysql_act.h"
#include "tests.h"

#define HOST "db.example.invalid"
#define DAY  86400L

static const char *
data_path(const char *server, const char *file)
{
	static char path[512], dir[400];
	char cmd[300];
	FILE *p;

	(void)snprintf(cmd, sizeof(cmd), "%s path %s data",
	    getenv("PROBER_MYSQLD"), server);
	p = popen(cmd, "r");
	assert_non_null(p);
	assert_non_null(fgets(dir, sizeof(dir), p));
	pclose(p);
	dir[strcspn(dir, "\n")] = '\0';
	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	return path;
}

static void
put(const char *server, const char *file, const char *text)
{
	FILE *f = fopen(data_path(server, file), "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* As a kubelet brings a Secret to its Pod. */
static void
project(const char *server, const struct authority *a, const struct cert *c)
{
	put(server, "ca.pem", cert_ca(a));
	put(server, "server-cert.pem", c->cert);
	put(server, "server-key.pem", c->key);
}

static bool
has_gen(const void *msg, void *arg)
{
	return ((const struct m_tls_state *)msg)->gen == *(uint64_t *)arg;
}

static void
expect(uint64_t gen, bool ok, const char *reason, const char *text)
{
	struct m_tls_state *m = h_wait(MSG_TLS_STATE, has_gen, &gen);

	printf("    %s: %s\n", m->reason, m->message);
	assert_string_equal(m->reason, reason);
	assert_int_equal(m->ok, ok);
	assert_non_null(strstr(m->message, text));
}

/* One group whose server shows a good certificate of a. */
static void
good_group(const struct authority *a, struct cert *c)
{
	cert_make(a, HOST ",localhost", -60, 90 * DAY, c);
	project(SRV_A, a, c);
	h_reload_tls(SRV_A);
	h_host(HOST);
	h_group(GROUP, 500, 500, true, cert_ca(a), port_a, 0);
	h_clear();
	h_tls(2, cert_ca(a), c->cert, c->key, NULL);
	expect(2, true, "Valid", "Secret cert, key tls.crt: good until ");
	(void)h_probe(port_a, true);
	(void)h_access(port_a, 1, 2);
}

void
t_tls_secrets(void **state)
{
	struct authority *a = cert_authority("one"), *b = cert_authority("two");
	struct cert good, c;
	char locked[PEM_LEN];
	const struct m_probe *p;
	uint64_t n = 2;

	(void)state;
	good_group(a, &good);
	h_tls(++n, "none", good.cert, good.key, NULL);
	expect(n, false, "TLSNotPEM", "Secret cert, key ca.crt: ");
	h_tls(++n, cert_ca(a), "none", good.key, NULL);
	expect(n, false, "TLSNotPEM", "Secret cert, key tls.crt: ");
	h_tls(++n, cert_ca(a), good.cert, "none", NULL);
	expect(n, false, "TLSNotPEM", "Secret cert, key tls.key: ");
	cert_lock(&good, locked);
	h_tls(++n, cert_ca(a), good.cert, locked, NULL);
	expect(n, false, "TLSNotPEM", "without a passphrase");
	cert_make(a, HOST ",localhost", -60, DAY, &c);
	h_tls(++n, cert_ca(a), good.cert, c.key, NULL);
	expect(n, false, "TLSKeyMismatch", "key tls.key: does not belong");
	h_tls(++n, cert_ca(b), good.cert, good.key, NULL);
	expect(n, false, "TLSNotTrusted", "is not signed by ca.crt");
	cert_make(a, HOST ",localhost", -2 * DAY, -DAY, &c);
	h_tls(++n, cert_ca(a), c.cert, c.key, NULL);
	expect(n, false, "TLSExpired", "expired at 20");
	cert_make(a, HOST ",localhost", DAY, 2 * DAY, &c);
	h_tls(++n, cert_ca(a), c.cert, c.key, NULL);
	expect(n, false, "TLSNotYetValid", "is valid from 20");
	cert_make(a, "other.example,localhost", -60, 90 * DAY, &c);
	h_tls(++n, cert_ca(a), c.cert, c.key, NULL);
	expect(n, false, "TLSNamesMissing", "lacks DNS names of sites: " HOST);
	cert_make(a, HOST ",localhost", -60, DAY, &c);
	h_tls(++n, cert_ca(a), c.cert, c.key, NULL);
	expect(n, true, "TLSExpiresSoon", "expires at 20");
	cert_make(a, "*.example.invalid", -60, 90 * DAY, &c);
	h_tls(++n, cert_ca(a), c.cert, c.key, NULL);
	expect(n, true, "TLSInternalNamesMissing", ": localhost");
	/* Through all of it the server was there, if slow at times. */
	while (h_count(MSG_PROBE) > 0) {
		p = h_wait(MSG_PROBE, NULL, NULL);
		assert_true(p->ok || p->err == PE_TIMEOUT);
	}
	h_expect(port_a, SQL_FENCE, SE_DONE);
	h_group_gone(GROUP);
}

/*
 * Also when the CA is another one: from the change of the Secret on to the
 * server's showing the new certificate both are believed, and an operator that
 * begins in between has it from what was in force before.
 */
void
t_tls_reload(void **state)
{
	struct authority *a = cert_authority("old"), *b = cert_authority("new");
	struct cert old, new, stale;
	const struct m_sql_done *d;

	(void)state;
	good_group(a, &old);
	cert_make(b, HOST ",localhost", -60, 90 * DAY, &new);
	h_clear();
	h_tls(3, cert_ca(b), new.cert, new.key, NULL);
	expect(3, true, "Valid", "good until");
	h_expect(port_a, SQL_FENCE, SE_DONE);
	h_group_gone(GROUP);

	/* Another prober, with both from then on. */
	h_group(GROUP, 500, 500, true, cert_ca(b), port_a, 0);
	h_clear();
	assert_false(h_probe(port_a, false)->ok);
	h_tls(3, cert_ca(b), new.cert, new.key, cert_ca(a));
	(void)h_probe(port_a, true);
	assert_int_equal(h_access(port_a, 1, 0)->tls_gen, 0);
	/* As the sidecar does it, when the kubelet has brought it. */
	project(SRV_A, b, &new);
	h_reload_tls(SRV_A);
	(void)h_access(port_a, 1, 3);
	(void)h_probe(port_a, true);
	/* All agree: the old CA is not believed any more. */
	h_tls(4, cert_ca(b), new.cert, new.key, cert_ca(b));
	cert_make(a, HOST ",localhost", -60, 90 * DAY, &stale);
	project(SRV_A, a, &stale);
	h_reload_tls(SRV_A);
	d = h_do(port_a, SQL_FENCE);
	printf("    after the change: %s\n", d->error);
	assert_int_equal(d->end, SE_FAILED);
	h_group_gone(GROUP);
}

static void
follow(const char *what, unsigned end)
{
	struct m_sql *s = h_request(port_b, SQL_SET_SOURCE);
	const struct m_sql_done *d;

	(void)strlcpy(s->source_host, "localhost", sizeof(s->source_host));
	s->source_port = port_a;
	s->source_tls = true;
	d = h_sql(s);
	printf("    %s: %s %s\n", what, sql_end_name(d->end), d->error);
	assert_int_equal(d->end, end);
}

static bool
is_following(const void *msg, void *arg)
{
	const struct m_probe *p = msg;

	(void)arg;
	return p->ok && p->has_repl && p->io == IO_YES && p->sql;
}

static bool
is_refused(const void *msg, void *arg)
{
	const struct m_probe *p = msg;

	(void)arg;
	return p->ok && p->has_repl && p->io == IO_CONNECTING &&
	    p->io_errno != 0;
}

static const char verified_sql[] =
    "SELECT CONCAT(Enabled_ssl,Ssl_verify_server_cert,Ssl_ca!='') FROM "
    "mysql.slave_master_info WHERE Channel_name=''";

/* Both servers with one certificate, a told Secret, and B not following. */
static void
two_servers(const struct authority *a, const char *names, uint64_t gen)
{
	struct cert c;

	cert_make(a, names, -60, 90 * DAY, &c);
	project(SRV_A, a, &c);
	project(SRV_B, a, &c);
	h_reload_tls(SRV_A);
	h_reload_tls(SRV_B);
	h_host(HOST);
	h_group(GROUP, 500, 500, true, cert_ca(a), port_a, port_b, 0);
	h_tls(gen, cert_ca(a), c.cert, c.key, NULL);
	(void)h_probe(port_a, true);
	(void)h_probe(port_b, true);
}

void
t_tls_source(void **state)
{
	struct authority *a = cert_authority("one"), *b = cert_authority("two");
	static char other[512], own[512];
	struct m_sql *s;

	(void)state;
	put(SRV_B, "other.pem", cert_ca(b));
	(void)strlcpy(other, data_path(SRV_B, "other.pem"), sizeof(other));
	(void)strlcpy(own, data_path(SRV_B, "ca.pem"), sizeof(own));
	msource_ca(own);
	two_servers(a, HOST ",localhost", 2);
	follow("name and CA", SE_DONE);
	(void)h_wait(MSG_PROBE, is_following, NULL);
	assert_string_equal(h_ask(SRV_B, verified_sql), "111");
	h_group_gone(GROUP);
	/* Without the name only the CA is checked: that is told. */
	two_servers(a, HOST, 3);
	s = h_request(port_b, SQL_REFRESH_SOURCE);
	(void)strlcpy(s->source_host, "localhost", sizeof(s->source_host));
	s->source_port = port_a;
	s->source_tls = true;
	assert_int_equal(h_sql(s)->end, SE_DONE);
	assert_string_equal(h_ask(SRV_B, verified_sql), "101");
	h_clear();
	(void)h_wait(MSG_PROBE, is_following, NULL);
	/* Another CA: no replication, and no copy. */
	msource_ca(other);
	follow("another CA", SE_DONE);
	h_clear();
	printf("    %s\n",
	    ((struct m_probe *)h_wait(MSG_PROBE, is_refused, NULL))
		->repl_error);
	s = h_request(port_b, SQL_CLONE);
	s->source_port = port_a;
	s->source_tls = true;
	s->timeout_ms = 60000;
	h_send(s);
	assert_int_equal(h_done(s->seq)->end, SE_FAILED);
	msource_ca(own);
	s = h_request(port_b, SQL_CLONE);
	s->source_port = port_a;
	s->source_tls = true;
	s->timeout_ms = 60000;
	assert_int_equal(h_sql(s)->end, SE_DONE);
	h_lab("restart %s", SRV_B);
	h_expect(port_b, SQL_RESET_REPLICA, SE_DONE);
	h_group_gone(GROUP);
	unlink(other);
}
