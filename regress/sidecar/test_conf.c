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
 * What the sidecar takes from its environment.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dsn.h"
#include "sidecar.h"

static void
dsn(const char *text, const char *user, const char *password)
{
	static struct secret s;
	char u[USER_LEN + 1];

	if (user == NULL) {
		assert_int_equal(dsn_account(text, u, &s), -1);
		return;
	}
	assert_int_equal(dsn_account(text, u, &s), 0);
	assert_string_equal(u, user);
	assert_string_equal((char *)s.data, password);
}

static void
test_dsn(void **state)
{
	static char text[SECRET_MAX + 64];

	dsn("root:pw@tcp(127.0.0.1:3306)/", "root", "pw");
	dsn("root@tcp(127.0.0.1:3306)/", "root", "");
	dsn("root:@/", "root", "");
	dsn("u:p@ss:w/rd@unix(/tmp/mysqld.sock)/db?timeout=2s", "u",
	    "p@ss:w/rd");
	dsn("u:p@tcp([::1]:3306)/db?tls=skip-verify", "u", "p");
	dsn("", NULL, NULL);
	dsn("/", NULL, NULL);
	dsn("tcp(x)/", NULL, NULL);
	dsn("@tcp(x)/", NULL, NULL);
	dsn(":pw@tcp(x)/", NULL, NULL);
	dsn("root:pw@tcp(x)", NULL, NULL);
	memset(text, 'x', SECRET_MAX + 32);
	memcpy(text, "u:", 2);
	strlcpy(text + SECRET_MAX + 20, "@/", 4);
	dsn(text, NULL, NULL);
	assert_int_equal(errno, ERANGE);
	memset(text, 'u', USER_LEN + 1);
	strlcpy(text + USER_LEN + 1, ":p@/", 8);
	dsn(text, NULL, NULL);
	assert_int_equal(errno, ERANGE);
}

static int
parse(struct sc_conf *c)
{
	static char name[] = "bloodraven-sidecar";
	char *argv[] = { name, NULL };

	return sc_conf_parse(c, 1, argv);
}

/* The DSN, then files, then the user: each wins over those behind it. */
static void
test_account(void **state)
{
	static struct sc_conf c;

	setenv("MYSQL_USER", "u3", 1);
	setenv("MYSQL_PASSWORD", "p3", 1);
	assert_int_equal(parse(&c), 0);
	assert_string_equal(c.user, "u3");
	/* It is not in the environment any more. */
	assert_string_equal(getenv("MYSQL_PASSWORD"), "");
	assert_string_equal((char *)c.password.data, "p3");
	setenv("MYSQL_CREDS_DIR", "/nonexistent", 1);
	assert_int_equal(parse(&c), -1);
	setenv("MYSQL_DSN", "u1:p1@/", 1);
	assert_int_equal(parse(&c), 0);
	assert_string_equal(c.user, "u1");
	assert_string_equal(c.creds_dir, "");
	unsetenv("MYSQL_DSN");
	unsetenv("MYSQL_CREDS_DIR");
}

static void
test_defaults(void **state)
{
	static struct sc_conf c;

	setenv("MYSQL_USER", "u", 1);
	setenv("POD_NAMESPACE", "ns", 1);
	setenv("FAILOVER_GROUP", "g", 1);
	assert_int_equal(parse(&c), 0);
	assert_int_equal(c.lease_ms, 20000);
	assert_int_equal(c.check_ms, 5000);
	assert_string_equal(c.listen, ":8080");
	assert_string_equal(c.link, ":8090");
	assert_string_equal(c.pod_name, "unknown");
	assert_false(c.identity); /* no site */
	setenv("MY_SITE", "a", 1);
	assert_int_equal(parse(&c), 0);
	assert_true(c.identity);
	assert_string_equal(c.group, "ns/g");
	setenv("LEASE_TIMEOUT", "1.5m", 1);
	assert_int_equal(parse(&c), 0);
	assert_int_equal(c.lease_ms, 90000);
	setenv("LEASE_TIMEOUT", "-1s", 1);
	(void)parse(&c);
	unsetenv("LEASE_TIMEOUT");
}

static void
files(const char *ca, const char *cert, const char *dir)
{
	static struct sc_conf c;

	setenv("BLOODRAVEN_MYSQL_TLS_CA_FILE", ca, 1);
	setenv("BLOODRAVEN_MYSQL_TLS_CERT_FILE", cert, 1);
	assert_int_equal(parse(&c), dir != NULL ? 0 : -1);
	if (dir != NULL)
		assert_string_equal(c.tls_dir, dir);
}

/* What the sandbox lets be read is one directory, and only that. */
static void
test_tls_files(void **state)
{
	setenv("MYSQL_USER", "u", 1);
	files("", "", "");
	files("/etc/mysql/tls/ca.crt", "/etc/mysql/tls/tls.crt",
	    "/etc/mysql/tls");
	files("/etc/mysql/tls/ca.crt", "", NULL);
	files("", "/etc/mysql/tls/tls.crt", NULL);
	files("tls/ca.crt", "tls/tls.crt", NULL);
	files("/etc/mysql/tls/ca.crt", "tls.crt", NULL);
	files("/etc/ca/ca.crt", "/etc/mysql/tls/tls.crt", NULL);
	files("/etc/mysql/tls/ca/ca.crt", "/etc/mysql/tls/tls.crt", NULL);
	files("/etc/mysql/tlsca.crt", "/etc/mysql/tls/tls.crt", NULL);
	files("/ca.crt", "/tls.crt", NULL);
	unsetenv("BLOODRAVEN_MYSQL_TLS_CA_FILE");
	unsetenv("BLOODRAVEN_MYSQL_TLS_CERT_FILE");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dsn),
		cmocka_unit_test(test_account),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_tls_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
