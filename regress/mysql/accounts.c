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
 * Accounts and passwords that follow Secrets, cut short at every statement.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "tests.h"

#define NEW_PW   "n'ew\\op-S3CRET"
#define NEW_REPL "newrepl-S3CRET"
#define APP_PW   "app1-S3CRET"
#define APP_NEW  "app2-S3CRET"
#define ROOT_PW  "root-S3CRET"

/* Gone but for the operator's and the replication account. */
static void
old_state_at(const char *server)
{
	(void)h_ask(server,
	    "SET sql_log_bin=0; SET GLOBAL super_read_only=OFF;"
	    "DROP USER IF EXISTS app@'%', mon@'%', ro@'%', back@'%';"
	    "ALTER USER br@'%' IDENTIFIED BY 'op''er\\\\\\\\pw-S3CRET' WITH "
	    "MAX_UPDATES_PER_HOUR 0; ALTER USER br@'%' DISCARD OLD PASSWORD;"
	    "ALTER USER repl@'%' IDENTIFIED BY 'r''e\\\\\\\\pl\\\"pw-S3CRET';"
	    "ALTER USER repl@'%' DISCARD OLD PASSWORD;"
	    "CREATE USER app@'%' IDENTIFIED BY '" APP_PW "';"
	    "SET GLOBAL super_read_only=OFF; SET GLOBAL read_only=OFF");
}

static void
old_state(void)
{
	old_state_at(SRV_A);
}

static void
tell_new(uint64_t gen, bool prev)
{
	struct m_creds *c;

	h_account(AC_APP, "app", APP_NEW);
	h_account(AC_MONITOR, "mon", "mon-S3CRET");
	h_account(AC_READONLY, "ro", "ro-S3CRET");
	h_account(AC_BACKUP, "back", "back-S3CRET");
	c = h_creds(gen);
	assert_int_equal(secret_set(&c->password, NEW_PW, strlen(NEW_PW)), 0);
	assert_int_equal(
	    secret_set(&c->repl_password, NEW_REPL, strlen(NEW_REPL)), 0);
	if (prev) {
		(void)strlcpy(c->prev_user, OPER, sizeof(c->prev_user));
		assert_int_equal(
		    secret_set(&c->prev_password, OPER_PW, strlen(OPER_PW)), 0);
	}
	h_tell_creds(c);
}

static const struct m_sql_done *
accounts(bool discard)
{
	struct m_sql *s = h_request(port_a, SQL_ACCOUNTS);
	const struct m_sql_done *d;

	s->timeout_ms = 15000;
	s->discard = discard;
	d = h_sql(s);
	printf("    accounts: %s, %u statements%s %s\n", sql_end_name(d->end),
	    d->count, d->retained ? ", old passwords count" : "", d->error);
	return d;
}

static const char *
grants(const char *user)
{
	char sql[256];

	(void)snprintf(sql, sizeof(sql),
	    "SELECT CONCAT((SELECT COUNT(*) FROM "
	    "information_schema.USER_PRIVILEGES WHERE GRANTEE=\\\"'%s'@'%%'\\\"),"
	    "',',IFNULL(JSON_LENGTH(User_attributes,'\\$.Restrictions'),0)) "
	    "FROM mysql.user WHERE User='%s'",
	    user, user);
	return h_ask(SRV_A, sql);
}

static void
check_new(bool old_too)
{
	assert_true(h_login(SRV_A, "app", APP_NEW));
	assert_int_equal(h_login(SRV_A, "app", APP_PW), old_too);
	assert_true(h_login(SRV_A, "repl", NEW_REPL));
	assert_true(h_login(SRV_A, "mon", "mon-S3CRET"));
	assert_true(h_login(SRV_A, "ro", "ro-S3CRET"));
	assert_true(h_login(SRV_A, "back", "back-S3CRET"));
	assert_string_equal(grants("app"), "19,3");
	assert_string_equal(grants("ro"), "4,1");
	assert_string_equal(grants("mon"), "2,0");
	assert_string_equal(grants("back"), "9,0");
}

/* The operator's connections go on, and new ones are let in all the time. */
void
t_accounts(void **state)
{
	const struct m_sql_done *d;

	(void)state;
	old_state();
	h_group(GROUP, 100, 100, false, NULL, port_a, 0);
	(void)h_probe(port_a, true);
	h_clear();
	tell_new(2, false);
	(void)h_probe(port_a, true);
	/* The server has the old one only: what was good until now is. */
	assert_int_equal(h_access(port_a, 0, 0)->creds_gen, 0);
	h_expect(port_a, SQL_EVICT, SE_DONE);
	(void)h_probe(port_a, true);
	d = accounts(false);
	assert_int_equal(d->end, SE_DONE);
	assert_true(d->count > 0 && d->retained);
	(void)h_access(port_a, 2, 0);
	check_new(true);
	d = accounts(false);
	assert_int_equal(d->count, 0);
	assert_true(d->retained);
	d = accounts(true);
	assert_int_equal(d->end, SE_DONE);
	assert_false(d->retained);
	check_new(false);
	assert_int_equal(accounts(true)->count, 0);
	assert_int_equal(h_count(MSG_CONN_LOST), 0);
	/* No way in: that is told, and nothing is tried for ever. */
	h_group_gone(GROUP);
	h_group(GROUP, 100, 100, false, NULL, port_a, 0);
	assert_int_equal(h_probe(port_a, false)->err, PE_AUTH);
	assert_int_equal(accounts(false)->end, SE_FAILED);
	h_group_gone(GROUP);
	/* On a fenced server there is nothing to be done. */
	(void)h_ask(SRV_A, "SET GLOBAL super_read_only=ON");
	old_state();
	h_group(GROUP, 100, 100, false, NULL, port_a, 0);
	h_expect(port_a, SQL_FENCE, SE_DONE);
	assert_int_equal(accounts(false)->end, SE_REFUSED);
	h_group_gone(GROUP);
}

static bool
is_following(const void *msg, void *arg)
{
	const struct m_probe *p = msg;

	return strcmp(p->site, arg) == 0 && p->ok && p->has_repl &&
	    p->io == IO_YES && p->sql;
}

/* As servers of the reference are: no replica stops at a partial REVOKE. */
void
t_accounts_revokes(void **state)
{
	char site[16];
	const char *off = "SET GLOBAL partial_revokes=OFF";
	const struct m_sql_done *d;

	(void)state;
	old_state();
	(void)h_ask(SRV_A, off);
	(void)h_ask(SRV_B, off);
	h_group(GROUP, 100, 100, false, NULL, port_a, port_b, 0);
	(void)strlcpy(site, h_site(port_b), sizeof(site));
	(void)h_probe(port_a, true);
	h_set_source(port_b, port_a, SE_DONE);
	(void)h_wait(MSG_PROBE, is_following, site);
	h_expect(port_a, SQL_GRANT, SE_DONE);
	/* Clients that have a pattern of schemas would be out at once. */
	(void)h_ask(SRV_A,
	    "CREATE USER pat@'%'; GRANT SELECT ON \\`tenant\\_%\\`.* TO pat@'%'");
	tell_new(2, false);
	d = accounts(false);
	assert_int_equal(d->end, SE_FAILED);
	assert_non_null(strstr(d->error, "grant it by name"));
	assert_string_equal(h_ask(SRV_A, "SELECT @@partial_revokes"), "0");
	assert_string_equal(h_ask(SRV_B, "SELECT @@partial_revokes"), "0");
	(void)h_ask(SRV_A, "DROP USER pat@'%'");
	assert_int_equal(accounts(false)->end, SE_DONE);
	assert_string_equal(grants("app"), "19,3");
	assert_string_equal(h_ask(SRV_B, "SELECT @@partial_revokes"), "1");
	h_until(SRV_B,
	    "SELECT COUNT(*) FROM mysql.user WHERE User='app' AND "
	    "JSON_LENGTH(User_attributes,'\\$.Restrictions')=3",
	    "1");
	h_clear();
	(void)h_wait(MSG_PROBE, is_following, site);
	assert_int_equal(accounts(true)->end, SE_DONE);
	h_expect(port_b, SQL_STOP_REPLICA, SE_DONE);
	(void)h_ask(SRV_B, "RESET REPLICA ALL");
	old_state();
	/* It got the new ones by replication. */
	old_state_at(SRV_B);
	(void)h_ask(SRV_B, "SET GLOBAL super_read_only=ON");
	h_expect(port_a, SQL_FENCE, SE_DONE);
	h_group_gone(GROUP);
}

/*
 * After k statements no other one is let through, as if the operator had died
 * there; the next one knows only the new Secret, and what was last in force.
 */
void
t_accounts_cut_short(void **state)
{
	const struct m_sql_done *d;
	char sql[128];
	unsigned k;
	bool whole = false;

	(void)state;
	for (k = 1; !whole && k < 40; k++) {
		old_state();
		(void)snprintf(sql, sizeof(sql),
		    "SET sql_log_bin=0; ALTER USER br@'%%' WITH "
		    "MAX_UPDATES_PER_HOUR %u; FLUSH NO_WRITE_TO_BINLOG "
		    "USER_RESOURCES",
		    k);
		(void)h_ask(SRV_A, sql);
		h_group(GROUP, 60000, 1000, false, NULL, port_a, 0);
		(void)h_probe(port_a, true);
		tell_new(2, true);
		d = accounts(false);
		whole = d->end == SE_DONE;
		assert_true(whole || d->count < 40);
		h_group_gone(GROUP);
		(void)h_ask(SRV_A,
		    "SET sql_log_bin=0; ALTER USER br@'%' WITH "
		    "MAX_UPDATES_PER_HOUR 0");
		tell_new(2, true);
		h_group(GROUP, 60000, 1000, false, NULL, port_a, 0);
		tell_new(2, true);
		(void)h_probe(port_a, true);
		assert_int_equal(accounts(false)->end, SE_DONE);
		check_new(true);
		assert_int_equal(accounts(false)->count, 0);
		h_group_gone(GROUP);
	}
	assert_true(whole && k > 8);
	old_state();
	(void)h_ask(SRV_A, "SET GLOBAL super_read_only=ON");
}

/* Days later, on a server where passwords become too old by themselves. */
#define OLD                                                            \
	"SET sql_log_bin=0; SET GLOBAL super_read_only=OFF;"           \
	"ALTER USER root@localhost PASSWORD EXPIRE NEVER;"             \
	"SET GLOBAL default_password_lifetime=1;"                      \
	"UPDATE mysql.user SET "                                       \
	"password_last_changed=NOW() - INTERVAL 9 DAY WHERE Host='%' " \
	"AND User<>'root';"                                            \
	"FLUSH PRIVILEGES; SET GLOBAL read_only=OFF"

/*
 * Accounts of the Secrets become no older, whatever the server's default is:
 * not those that are there when the operator comes, nor those that it makes.
 */
void
t_accounts_ages(void **state)
{
	const char *ages = "SELECT GROUP_CONCAT(User ORDER BY User) FROM "
			   "mysql.user WHERE Host='%' AND User<>'root' "
			   "AND IFNULL(password_lifetime,1)<>0";

	(void)state;
	old_state();
	(void)h_ask(SRV_A,
	    "SET sql_log_bin=0; CREATE USER other@'%' IDENTIFIED BY 'x';"
	    "ALTER USER br@'%', repl@'%', app@'%' PASSWORD EXPIRE DEFAULT");
	assert_string_equal(h_ask(SRV_A, ages), "app,br,other,repl");
	h_group(GROUP, 100, 100, false, NULL, port_a, 0);
	(void)h_probe(port_a, true);
	tell_new(2, true);
	(void)h_probe(port_a, true);
	assert_int_equal(accounts(false)->end, SE_DONE);
	assert_string_equal(h_ask(SRV_A, ages), "other");
	assert_int_equal(accounts(false)->count, 0);
	(void)h_ask(SRV_A, OLD);
	assert_false(h_login(SRV_A, "other", "x"));
	check_new(true);
	/* One of them was too old already: it is let in again. */
	(void)h_ask(SRV_A,
	    "SET sql_log_bin=0; ALTER USER app@'%' PASSWORD EXPIRE DEFAULT");
	(void)h_ask(SRV_A, OLD);
	assert_false(h_login(SRV_A, "app", APP_NEW));
	h_group_gone(GROUP);
	h_group(GROUP, 100, 100, false, NULL, port_a, 0);
	tell_new(2, true);
	(void)h_probe(port_a, true);
	assert_int_equal(accounts(false)->end, SE_DONE);
	assert_true(h_login(SRV_A, "app", APP_NEW));
	(void)h_ask(SRV_A,
	    "SET sql_log_bin=0; DROP USER other@'%';"
	    "SET GLOBAL default_password_lifetime=0");
	h_group_gone(GROUP);
	old_state();
	(void)h_ask(SRV_A, "SET GLOBAL super_read_only=ON");
}

/*
 * Who could pass the fence is named with what it takes; the operator's own and
 * root are not, nor who has an account's list. Nothing is taken from anybody.
 */
void
t_accounts_excess(void **state)
{
	const struct m_sql_done *d;

	(void)state;
	old_state();
	h_group(GROUP, 100, 100, false, NULL, port_a, 0);
	(void)h_probe(port_a, true);
	tell_new(2, true);
	d = accounts(false);
	assert_true(d->end == SE_DONE && d->excess_known);
	/* The harness gave it that. */
	assert_string_equal(d->excess, "repl@%: CLONE_ADMIN");
	/* As on a server that is adopted, where app had all. */
	(void)h_ask(SRV_A,
	    "SET sql_log_bin=0; GRANT ALL ON *.* TO app@'%';"
	    "CREATE ROLE r; GRANT BINLOG_ADMIN ON *.* TO r;"
	    "CREATE USER 'o''l d'@localhost; GRANT UPDATE ON mysql.user TO "
	    "'o''l d'@localhost; CREATE USER w@'%';"
	    "GRANT SELECT, INSERT ON *.* TO w@'%';"
	    "CREATE USER s@'%'; GRANT UPDATE ON shop.* TO s@'%'");
	d = accounts(false);
	/* That took the partial revokes away; only they are restored. */
	assert_true(d->end == SE_DONE && d->count > 0 && d->excess_known);
	printf("    %s\n", d->excess);
	assert_non_null(
	    strstr(d->excess, "app@%: SUPER, CREATE USER, RELOAD, FILE, SHUT"));
	assert_non_null(strstr(d->excess, "SYSTEM_VARIABLES_ADMIN"));
	assert_null(strstr(d->excess, "GRANT OPTION"));
	assert_non_null(strstr(d->excess, "; o'l d@localhost: writing schema"));
	assert_non_null(strstr(d->excess, "; r@%: BINLOG_ADMIN; repl@%: "));
	assert_non_null(strstr(d->excess, "; w@%: writing schema mysql"));
	assert_null(strstr(d->excess, "s@%"));
	assert_null(strstr(d->excess, "br@"));
	assert_null(strstr(d->excess, "root"));
	(void)h_ask(SRV_A,
	    "SET sql_log_bin=0; REVOKE INSERT ON mysql.* FROM w@'%';"
	    "DROP ROLE r; DROP USER 'o''l d'@localhost, s@'%', app@'%';"
	    "CREATE USER app@'%' IDENTIFIED BY '" APP_PW "'");
	assert_string_equal(accounts(false)->excess, "repl@%: CLONE_ADMIN");
	/* Many are counted; the text has an end. */
	for (unsigned i = 0; i < 12; i++) {
		char sql[128];

		(void)snprintf(sql, sizeof(sql),
		    "SET sql_log_bin=0; CREATE USER m%u@'%%';"
		    "GRANT ALL ON *.* TO m%u@'%%'",
		    i, i);
		(void)h_ask(SRV_A, sql);
	}
	d = accounts(false);
	assert_true(d->end == SE_DONE && d->excess_known);
	assert_true(strlen(d->excess) > MSGTEXT_LEN - 4);
	(void)h_ask(SRV_A,
	    "SET sql_log_bin=0; DROP USER w@'%', m0@'%', m1@'%', m2@'%', "
	    "m3@'%', m4@'%', m5@'%', m6@'%', m7@'%', m8@'%', m9@'%', "
	    "m10@'%', m11@'%'");
	h_group_gone(GROUP);
	old_state();
	(void)h_ask(SRV_A, "SET GLOBAL super_read_only=ON");
}

static const struct m_sql_done *
refresh(void)
{
	struct m_sql *s = h_request(port_b, SQL_REFRESH_SOURCE);
	const struct m_sql_done *d;

	s->source_port = port_a;
	d = h_sql(s);
	printf("    refresh: %s, %u %s\n", sql_end_name(d->end), d->count,
	    d->error);
	return d;
}

/* A replica with events that wait to be applied keeps them. */
void
t_refresh_source(void **state)
{
	char site[16], got[GTID_LEN + 1];
	const struct m_probe *p;

	(void)state;
	old_state();
	(void)h_ask(SRV_A, "SET GLOBAL super_read_only=ON");
	h_group(GROUP, 100, 100, false, NULL, port_a, port_b, 0);
	(void)strlcpy(site, h_site(port_b), sizeof(site));
	(void)h_probe(port_a, true);
	h_set_source(port_b, port_a, SE_DONE);
	(void)h_wait(MSG_PROBE, is_following, site);
	assert_int_equal(refresh()->count, 0);
	h_expect(port_a, SQL_GRANT, SE_DONE);
	tell_new(2, true);
	assert_int_equal(accounts(false)->end, SE_DONE);
	/* Delayed: received, not applied. */
	(void)h_ask(SRV_B,
	    "STOP REPLICA SQL_THREAD; CHANGE REPLICATION SOURCE TO "
	    "SOURCE_DELAY=3600; START REPLICA SQL_THREAD");
	(void)h_ask(SRV_A, "CREATE DATABASE IF NOT EXISTS later");
	do
		p = h_wait(MSG_PROBE, is_following, site);
	while (p->retrieved[0] == '\0');
	(void)strlcpy(got, p->retrieved, sizeof(got));
	h_clear();
	assert_int_equal(refresh()->count, 1);
	assert_int_equal(refresh()->count, 0);
	h_clear();
	p = h_wait(MSG_PROBE, is_following, site);
	printf("    received before %s, after %s\n", got, p->retrieved);
	assert_true(p->retrieved[0] != '\0');
	assert_string_equal(
	    h_ask(SRV_B,
		"SELECT User_password FROM mysql.slave_master_info WHERE "
		"Channel_name=''"),
	    NEW_REPL);
	/* Old ones end: it is still there, also after a new log-in. */
	assert_int_equal(accounts(true)->end, SE_DONE);
	(void)h_ask(SRV_B,
	    "STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_DELAY=0; "
	    "START REPLICA");
	h_clear();
	(void)h_wait(MSG_PROBE, is_following, site);
	h_expect(port_b, SQL_STOP_REPLICA, SE_DONE);
	(void)h_ask(SRV_A, "DROP DATABASE later");
	(void)h_ask(SRV_B,
	    "RESET REPLICA ALL; SET GLOBAL super_read_only=OFF; "
	    "SET sql_log_bin=0; DROP DATABASE IF EXISTS later; "
	    "SET GLOBAL super_read_only=ON");
	old_state();
	h_expect(port_a, SQL_FENCE, SE_DONE);
	h_group_gone(GROUP);
}
