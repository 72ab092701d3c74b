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
 * SQL actions of mysql-prober on real servers: what they do, and what they
 * refuse to do.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "harness.h"
#include "tests.h"

/* ------------------------------------------------------ fence and grant --- */

void
t_fence_and_grant(void **state)
{
	const struct m_sql_done *d;
	struct m_sql *s;

	(void)state;
	h_group(GROUP, 1000, 1000, false, NULL, port_a, port_b, 0);
	(void)h_probe(port_a, true);
	d = h_timed("grant", port_a, SQL_GRANT);
	assert_int_equal(d->end, SE_DONE);
	assert_true(d->flags_read);
	assert_false(d->read_only || d->super_read_only);
	assert_true(d->grant_limit_us > d->server_clock_us);
	assert_true(d->grant_limit_us <= d->server_clock_us + 5000000);
	assert_string_equal(h_ask(SRV_A, "SELECT @@global.read_only"), "0");
	d = h_timed("fence", port_a, SQL_FENCE);
	assert_int_equal(d->end, SE_DONE);
	assert_true(d->flags_read);
	assert_true(d->read_only && d->super_read_only);
	/* Never longer than the lease lasts. */
	s = h_request(port_a, SQL_GRANT);
	s->valid_until_ns = monotime_add_ms(monotime_now(), 2000).ns;
	s->grant_ttl_ms = 60000;
	d = h_sql(s);
	assert_int_equal(d->end, SE_DONE);
	assert_true(d->grant_limit_us < d->server_clock_us + 2000000);
	h_expect(port_a, SQL_FENCE, SE_DONE);
	h_group_gone(GROUP);
}

/*
 * Between the reading of its clock and the grant the prober stands still:
 * one step of the loop at a time, so that the grant leaves at least 10 ms
 * after the clock was read. It comes too late and changes nothing.
 */
void
t_late_grant(void **state)
{
	const struct m_sql_done *d;
	struct m_sql *s;
	struct monotime end;

	(void)state;
	h_group(GROUP, 60000, 1000, false, NULL, port_a, 0);
	(void)h_probe(port_a, true);
	s = h_request(port_a, SQL_GRANT);
	s->grant_ttl_ms = 5;
	h_send(s);
	end = monotime_add_ms(monotime_now(), WAIT_MS);
	while (!h_has(MSG_SQL_DONE) && monotime_cmp(monotime_now(), end) < 0) {
		event_base_loop(ps_base(NULL), EVLOOP_ONCE | EVLOOP_NONBLOCK);
		(void)usleep(10000); /* the fault itself, not a wait */
	}
	d = h_done(s->seq);
	assert_int_equal(d->end, SE_REFUSED);
	assert_true(d->read_only && d->super_read_only);
	assert_true(d->grant_limit_us != 0);
	assert_true(d->grant_limit_us < d->server_clock_us);
	printf("    late: %s\n", d->error);
	assert_string_equal(h_ask(SRV_A, "SELECT @@global.read_only"), "1");
	h_group_gone(GROUP);
}

#define SET_WHEN                                                        \
	"SELECT SET_TIME FROM performance_schema.variables_info WHERE " \
	"VARIABLE_NAME='read_only'"

/*
 * The server stands still when the grant arrives, until its limit has passed.
 * Then it sets nothing at all: not what the variable was a moment before,
 * either, which a fence may have changed since.
 */
void
t_grant_to_stopped(void **state)
{
	const struct m_sql_done *d;
	struct m_sql *s;
	char when[64];

	(void)state;
	h_group(GROUP, 60000, 1000, false, NULL, port_a, 0);
	h_expect(port_a, SQL_GRANT, SE_DONE);
	h_expect(port_a, SQL_FENCE, SE_DONE);
	(void)strlcpy(when, h_ask(SRV_A, SET_WHEN), sizeof(when));
	h_delay(SRV_A, "SET GLOBAL read_only=", 700);
	s = h_request(port_a, SQL_GRANT);
	s->grant_ttl_ms = 500;
	s->timeout_ms = 15000; /* to freeze and to thaw are commands */
	d = h_sql(s);
	assert_int_equal(d->end, SE_REFUSED);
	printf("    stopped: %s\n", d->error);
	assert_true(d->flags_read && d->read_only && d->super_read_only);
	assert_true(d->grant_limit_us != 0);
	assert_true(d->grant_limit_us < d->server_clock_us);
	assert_string_equal(h_ask(SRV_A, SET_WHEN), when);
	/* A writable one stays so, and is not set anew. */
	h_expect(port_a, SQL_GRANT, SE_DONE);
	(void)strlcpy(when, h_ask(SRV_A, SET_WHEN), sizeof(when));
	h_delay(SRV_A, "SET GLOBAL read_only=", 700);
	s = h_request(port_a, SQL_GRANT);
	s->grant_ttl_ms = 500;
	s->timeout_ms = 15000; /* to freeze and to thaw are commands */
	d = h_sql(s);
	assert_int_equal(d->end, SE_DONE);
	assert_true(d->flags_read && !d->read_only);
	assert_string_equal(h_ask(SRV_A, SET_WHEN), when);
	h_expect(port_a, SQL_FENCE, SE_DONE);
	h_group_gone(GROUP);
}

static void
refuse(struct m_sql *s, const char *why)
{
	const struct m_sql_done *d = h_sql(s);

	assert_int_equal(d->end, SE_REFUSED);
	assert_non_null(strstr(d->error, why));
	assert_int_equal(d->grant_limit_us, 0);
}

void
t_not_that_process(void **state)
{
	struct m_probe *p;
	struct m_sql *s;
	char uuid[UID_LEN + 1];
	int64_t start;

	(void)state;
	h_group(GROUP, 60000, 1000, false, NULL, port_a, 0);
	p = h_probe(port_a, true);
	(void)strlcpy(uuid, p->server_uuid, sizeof(uuid));
	start = p->proc_start_ms;

	s = h_request(port_a, SQL_GRANT);
	s->valid_until_ns = monotime_now().ns;
	refuse(s, "leader's deadline");
	s = h_request(port_a, SQL_GRANT);
	(void)strlcpy(s->pod_uid, h_pod(1), sizeof(s->pod_uid));
	refuse(s, "another Pod");
	s = h_request(port_a, SQL_GRANT);
	(void)strlcpy(s->server_uuid, h_pod(1), sizeof(s->server_uuid));
	refuse(s, "another server");
	s = h_request(port_a, SQL_GRANT);
	s->proc_start_ms = start - 5000;
	refuse(s, "another process");
	s = h_request(port_a, SQL_GRANT);
	s->grant_ttl_ms = 0;
	refuse(s, "no time");
	s = h_request(port_a, SQL_GRANT);
	(void)strlcpy(s->group, h_pod(7), sizeof(s->group));
	refuse(s, "unknown group");
	s = h_request(port_a + 50, SQL_GRANT);
	refuse(s, "unknown site");
	assert_string_equal(h_ask(SRV_A, "SELECT @@global.read_only"), "1");

	s = h_request(port_a, SQL_FENCE);
	(void)strlcpy(s->server_uuid, uuid, sizeof(s->server_uuid));
	s->proc_start_ms = start + 1000;
	assert_int_equal(h_sql(s)->end, SE_DONE);
	h_group_gone(GROUP);
}

static FILE *
background(const char *server, const char *sql)
{
	char cmd[1024];
	FILE *p;

	(void)snprintf(cmd, sizeof(cmd), "%s sql %s -e \"%s\" >/dev/null 2>&1",
	    getenv("PROBER_MYSQLD"), server, sql);
	p = popen(cmd, "w");
	assert_non_null(p);
	return p;
}

#define HOLDS                                                        \
	"SELECT COUNT(*) FROM information_schema.processlist WHERE " \
	"info LIKE 'SELECT SLEEP(1234)%'"

static void
let_go(const char *server, FILE *p)
{
	char kill_sql[64];

	(void)snprintf(kill_sql, sizeof(kill_sql), "KILL %s",
	    h_ask(server,
		"SELECT id FROM information_schema.processlist WHERE "
		"info LIKE 'SELECT SLEEP(1234)%' LIMIT 1"));
	(void)h_ask(server, kill_sql);
	(void)pclose(p);
}

/* What could not be done is never said to be done. */
void
t_fence_that_waits(void **state)
{
	const struct m_sql_done *d;
	struct m_sql *s;
	uint64_t seq;
	FILE *p;

	(void)state;
	h_group(GROUP, 60000, 1000, false, NULL, port_a, 0);
	(void)h_probe(port_a, true);
	h_expect(port_a, SQL_GRANT, SE_DONE);
	(void)h_ask(SRV_A,
	    "CREATE DATABASE IF NOT EXISTS app; "
	    "CREATE TABLE IF NOT EXISTS app.t(id INT PRIMARY KEY)");
	p = background(SRV_A, "LOCK TABLES app.t WRITE; SELECT SLEEP(1234)");
	h_until(SRV_A, HOLDS, "1");
	/* A grant that waits behind nothing, and is older than the fence. */
	/*
	 * The lock is waited for a second, in both: a longer and a shorter time
	 * than that is left, each by what a busy machine may take beside it.
	 */
	s = h_request(port_a, SQL_FENCE);
	s->timeout_ms = 2100;
	d = h_sql(s);
	assert_int_equal(d->end, SE_FAILED);
	assert_int_equal(d->mysql_errno, 1205);
	printf("    behind a lock: %s\n", d->error);
	s = h_request(port_a, SQL_FENCE);
	s->timeout_ms = 900;
	d = h_sql(s);
	assert_int_equal(d->end, SE_UNKNOWN);
	printf("    no answer: %s\n", d->error);
	/* Nor does anything else of an action wait for longer than we do. */
	s = h_request(port_a, SQL_FENCE);
	s->timeout_ms = 25000;
	seq = s->seq;
	h_send(s);
	h_until(SRV_A,
	    H_LIMITS("BETWEEN 5 AND 24", "=l", "BETWEEN l*1000 AND 25000"),
	    "1");
	let_go(SRV_A, p);
	assert_int_equal(h_done(seq)->end, SE_DONE);
	h_until(SRV_A, HOLDS, "0");
	h_expect(port_a, SQL_GRANT, SE_DONE);
	/* A grant asked for before a fence does not come after it. */
	s = h_request(port_a, SQL_GRANT);
	seq = s->seq;
	h_send(s);
	h_expect(port_a, SQL_FENCE, SE_DONE);
	assert_int_equal(h_done(seq)->end, SE_REFUSED);
	assert_string_equal(h_ask(SRV_A, "SELECT @@global.read_only"), "1");
	h_group_gone(GROUP);
}

/* ---------------------------------------------------------- replication --- */

#define RETRIEVED                                          \
	"SELECT LENGTH(received_transaction_set)>0 FROM "  \
	"performance_schema.replication_connection_status"

/* A human's word: what b received and did not apply may go. */
static void
human_drops(void)
{
	char set[GTID_LEN + 1];
	struct m_sql *s;
	struct m_probe *p;

	h_set_source(port_b, port_a, SE_DONE);
	h_until_replicating(port_b);
	(void)h_ask(SRV_B, "STOP REPLICA SQL_THREAD");
	(void)strlcpy(set, h_probe(port_b, true)->retrieved, sizeof(set));
	(void)h_ask(SRV_A, "INSERT INTO app.t VALUES(4)");
	do
		p = h_probe(port_b, true);
	while (strcmp(p->retrieved, set) == 0);
	h_expect(port_b, SQL_STOP_RECEIVER, SE_DONE);
	s = h_request(port_b, SQL_RESET_REPLICA);
	s->drop_received = true;
	assert_int_equal(h_sql(s)->end, SE_DONE);
	h_clear();
	assert_false(h_probe(port_b, true)->has_repl);
	assert_string_equal(h_ask(SRV_B, "SELECT COUNT(*) FROM app.t"), "3");
}

/* b follows a; what it received and did not apply is never thrown away. */
void
t_follow(void **state)
{
	const struct m_sql_done *d;
	struct m_probe *p;
	char set[GTID_LEN + 1];

	(void)state;
	h_group(GROUP, 100, 100, false, NULL, port_a, port_b, 0);
	h_expect(port_b, SQL_RESET_REPLICA, SE_DONE); /* nothing there */
	h_expect(port_b, SQL_START_REPLICA, SE_FAILED);
	h_expect(port_a, SQL_GRANT, SE_DONE);
	(void)h_ask(SRV_A,
	    "CREATE DATABASE IF NOT EXISTS app; "
	    "CREATE TABLE IF NOT EXISTS app.t(id INT PRIMARY KEY); "
	    "DELETE FROM app.t");
	h_set_source(port_a, port_b, SE_REFUSED); /* writable */
	h_set_source(port_b, port_a, SE_DONE);
	h_until_replicating(port_b);
	(void)strlcpy(set, h_executed(SRV_A), sizeof(set));
	do
		p = h_probe(port_b, true);
	while (strcmp(p->gtid, set) != 0);
	assert_true(p->user_schemas);

	(void)h_ask(SRV_B, "STOP REPLICA SQL_THREAD");
	(void)h_ask(SRV_A, "INSERT INTO app.t VALUES(1),(2)");
	(void)strlcpy(set, h_executed(SRV_A), sizeof(set));
	do
		p = h_probe(port_b, true);
	while (strcmp(p->retrieved, "") == 0 || strcmp(p->gtid, set) == 0 ||
	    p->sql);
	(void)strlcpy(set, p->retrieved, sizeof(set));
	h_set_source(port_b, port_a, SE_REFUSED);
	h_clear();
	p = h_probe(port_b, true);
	assert_string_equal(p->retrieved, set);
	/* The refusal started the applier: nothing waits any more. */
	do
		p = h_probe(port_b, true);
	while (!p->sql || p->io != IO_YES);
	h_until_replicating(port_b);

	(void)h_ask(SRV_B, "STOP REPLICA SQL_THREAD");
	(void)h_ask(SRV_A, "INSERT INTO app.t VALUES(3)");
	do
		p = h_probe(port_b, true);
	while (strcmp(p->retrieved, set) == 0);
	(void)strlcpy(set, p->retrieved, sizeof(set));
	h_expect(port_b, SQL_STOP_RECEIVER, SE_DONE);
	d = h_timed("reset-replica, unapplied", port_b, SQL_RESET_REPLICA);
	assert_int_equal(d->end, SE_REFUSED);
	h_clear();
	p = h_probe(port_b, true);
	assert_true(p->has_repl);
	assert_int_equal(p->io, IO_NO);
	assert_string_equal(p->retrieved, set);
	h_until(SRV_B, "SELECT COUNT(*) FROM app.t", "3");

	human_drops();

	/* Drained: the whole of a promotion. */
	h_set_source(port_b, port_a, SE_DONE);
	h_until_replicating(port_b);
	h_until(SRV_B, "SELECT COUNT(*) FROM app.t", "4");
	printf("    a promotion:\n");
	h_expect(port_b, SQL_STOP_RECEIVER, SE_DONE);
	d = h_timed("reset-replica", port_b, SQL_RESET_REPLICA);
	assert_int_equal(d->end, SE_DONE);
	assert_string_equal(d->gtid, h_executed(SRV_A));
	h_expect(port_a, SQL_FENCE, SE_DONE);
	h_expect(port_b, SQL_GRANT, SE_DONE);
	h_expect(port_b, SQL_FENCE, SE_DONE);
	h_clear();
	assert_false(h_probe(port_b, true)->has_repl);
	h_group_gone(GROUP);
}

void
t_evict(void **state)
{
	char dump[32], applier[32];
	const struct m_sql_done *d;
	FILE *p;

	(void)state;
	h_group(GROUP, 100, 100, false, NULL, port_a, port_b, 0);
	h_set_source(port_b, port_a, SE_DONE);
	h_until_replicating(port_b);
#define DUMPER                                                      \
	"SELECT MAX(id) FROM information_schema.processlist WHERE " \
	"command LIKE 'Binlog Dump%'"
#define APPLIER                                                     \
	"SELECT MIN(id) FROM information_schema.processlist WHERE " \
	"user='system user'"
	(void)strlcpy(dump, h_ask(SRV_A, DUMPER), sizeof(dump));
	(void)strlcpy(applier, h_ask(SRV_B, APPLIER), sizeof(applier));
	p = background(SRV_A, "SELECT SLEEP(1234)"); /* root: spared */
	h_until(SRV_A, HOLDS, "1");
	d = h_timed("evict, none", port_a, SQL_EVICT);
	assert_int_equal(d->end, SE_DONE);
	assert_int_equal(d->count, 0);
	let_go(SRV_A, p);
	p = popen(getenv("PROBER_CLIENT"), "w");
	h_until(SRV_A, HOLDS, "1");
	d = h_timed("evict", port_a, SQL_EVICT);
	assert_int_equal(d->end, SE_DONE);
	assert_int_equal(d->count, 1);
	h_until(SRV_A, HOLDS, "0");
	(void)pclose(p);
	assert_string_equal(h_ask(SRV_A, DUMPER), dump);
	d = h_timed("evict, a replica", port_b, SQL_EVICT);
	assert_int_equal(d->count, 0);
	assert_string_equal(h_ask(SRV_B, APPLIER), applier);
	h_until_replicating(port_b);
	assert_int_equal(h_count(MSG_CONN_LOST), 0);
	h_group_gone(GROUP);
}

/* ---------------------------------------------------------------- clone --- */

#define FLAGS "SELECT CONCAT(@@read_only,@@super_read_only,@@offline_mode)"

static void
cloned(unsigned port, const char *server, bool fenced)
{
	const struct m_sql_done *d;
	struct m_probe *p;

	h_clear();
	d = h_clone_from(port, port_a);
	assert_int_equal(d->end, SE_DONE);
	assert_true(d->read_only);
	assert_int_equal(d->super_read_only, fenced);
	(void)h_probe(port, false);
	h_lab("stop %s", server);
	h_lab("restart %s", server);
	h_clear();
	p = h_probe(port, true);
	assert_true(p->read_only && p->super_read_only && p->user_schemas);
	assert_false(p->offline_mode);
	assert_string_equal(p->gtid, h_executed(SRV_A));
}

/* Its leader's time has passed when the recipient is to be unfenced. */
static void
late_unfence(void)
{
	const struct m_sql_done *d;
	struct m_sql *s;

	h_delay(SRV_C, "SET GLOBAL super_read_only=IF", 2500);
	s = h_request(port_c, SQL_CLONE);
	s->source_port = port_a;
	s->timeout_ms = 10000;
	s->valid_until_ns = monotime_add_ms(monotime_now(), 2000).ns;
	d = h_sql(s);
	printf("    late unfence: %u %s\n", d->mysql_errno, d->error);
	assert_int_equal(d->end, SE_FAILED);
	assert_int_equal(d->mysql_errno, 1231);
	h_until(SRV_C, FLAGS, "110");
}

void
t_clone_site(void **state)
{
	const struct m_sql_done *d;

	(void)state;
	h_group(GROUP, 200, 200, false, NULL, port_a, port_c, 0);
	(void)h_probe(port_c, true);
	h_expect(port_a, SQL_GRANT, SE_DONE);
	(void)h_ask(SRV_A, "CREATE DATABASE IF NOT EXISTS app");
	h_expect(port_a, SQL_FENCE, SE_DONE);
	/* Nothing listens there: all is put back. */
	d = h_clone_from(port_c, port_a + 90);
	assert_int_equal(d->end, SE_FAILED);
	assert_string_equal(h_ask(SRV_C, FLAGS), "110");
	/* Empty: super_read_only stays ON all the time. */
	cloned(port_c, SRV_C, true);
	/*
	 * With schemas to drop it can't; read_only stays. Here the server
	 * has a supervisor that starts it again: another way to end.
	 */
	setenv("MYSQLD_PARENT_PID", "1", 1);
	h_lab("restart %s", SRV_C);
	unsetenv("MYSQLD_PARENT_PID");
	h_clear();
	(void)h_probe(port_c, true);
	cloned(port_c, SRV_C, false);
	d = h_clone_from(port_c, port_a + 90);
	assert_int_equal(d->end, SE_FAILED);
	assert_string_equal(h_ask(SRV_C, FLAGS), "110");
	late_unfence();
	h_set_source(port_c, port_a, SE_DONE);
	h_until_replicating(port_c);
	h_expect(port_c, SQL_RESET_REPLICA, SE_DONE);
	h_expect(port_c, SQL_GRANT, SE_DONE);
	d = h_clone_from(port_c, port_a);
	assert_int_equal(d->end, SE_REFUSED);
	h_expect(port_c, SQL_FENCE, SE_DONE);
	h_group_gone(GROUP);
}

/* A donor that hangs: the recipient is put back, though nobody answers. */
void
t_clone_hangs(void **state)
{
	const struct m_sql_done *d;
	struct m_sql *s;

	(void)state;
	h_group(GROUP, 60000, 1000, false, NULL, port_c, 0);
	(void)h_probe(port_c, true);
	h_lab("freeze %s", SRV_A);
	s = h_request(port_c, SQL_CLONE);
	s->source_port = port_a;
	s->timeout_ms = 2000;
	d = h_sql(s);
	assert_int_equal(d->end, SE_UNKNOWN);
	printf("    hung donor: %s\n", d->error);
	h_until(SRV_C, FLAGS, "110");
	h_lab("thaw %s", SRV_A);
	h_group_gone(GROUP);
}

/*
 * The lease ends at any point of a clone: what was set is put back, and there
 * is one answer. (Nobody listens at the donor's, so that none goes through.)
 */
void
t_clone_without_lease(void **state)
{
	const struct m_sql_done *d;
	struct m_sql *s;
	struct monotime end;
	unsigned ends[SE_MAX] = { 0 };
	int64_t ms;

	(void)state;
	h_group(GROUP, 60000, 1000, false, NULL, port_c, 0);
	(void)h_probe(port_c, true);
	for (ms = 2; ms <= 90; ms += 8) {
		h_clear();
		s = h_request(port_c, SQL_CLONE);
		s->source_port = port_a + 90;
		s->valid_until_ns = monotime_add_ms(monotime_now(), ms).ns;
		h_send(s);
		end = monotime_add_ms(monotime_now(), WAIT_MS);
		while (!h_has(MSG_SQL_DONE) &&
		    monotime_cmp(monotime_now(), end) < 0) {
			event_base_loop(
			    ps_base(NULL), EVLOOP_ONCE | EVLOOP_NONBLOCK);
			(void)usleep(4000); /* a slow prober */
		}
		assert_int_equal(h_count(MSG_SQL_DONE), 1);
		d = h_done(s->seq);
		assert_true(d->end == SE_REFUSED || d->end == SE_FAILED);
		ends[d->end]++;
		assert_string_equal(h_ask(SRV_C, FLAGS), "110");
	}
	printf(
	    "    refused %u, put back %u\n", ends[SE_REFUSED], ends[SE_FAILED]);
	h_group_gone(GROUP);
}

/* ---------------------------------------------------------- exactly one --- */

/* The server dies while a fence waits there: it may have been done. */
void
t_dies_in_flight(void **state)
{
	const struct m_sql_done *d;
	struct m_sql *s;
	uint64_t seq;
	FILE *p;

	(void)state;
	h_group(GROUP, 60000, 1000, false, NULL, port_b, 0);
	(void)h_probe(port_b, true);
	h_expect(port_b, SQL_GRANT, SE_DONE);
	(void)h_ask(SRV_B,
	    "CREATE DATABASE IF NOT EXISTS app; "
	    "CREATE TABLE IF NOT EXISTS app.t(id INT PRIMARY KEY)");
	p = background(SRV_B, "LOCK TABLES app.t WRITE; SELECT SLEEP(1234)");
	h_until(SRV_B, HOLDS, "1");
	s = h_request(port_b, SQL_FENCE);
	s->timeout_ms = 25000; /* it waits until the server is dead */
	seq = s->seq;
	h_send(s);
	h_until(SRV_B,
	    "SELECT COUNT(*) FROM information_schema.processlist "
	    "WHERE info LIKE 'SET GLOBAL super_read_only%'",
	    "1");
	h_lab("kill9 %s", SRV_B);
	d = h_done(seq);
	assert_int_equal(d->end, SE_UNKNOWN);
	printf("    killed: %u %s\n", d->mysql_errno, d->error);
	assert_int_equal(h_count(MSG_SQL_DONE), 0);
	(void)pclose(p);
	h_lab("restart %s", SRV_B);
	h_group_gone(GROUP);
}

/* What waits is answered when its group goes. */
void
t_group_goes(void **state)
{
	static struct m_probe_group g;
	unsigned i;

	(void)state;
	h_group(GROUP, 60000, 1000, false, NULL, port_b, 0);
	(void)h_probe(port_b, true);
	h_clear();
	for (i = 0; i < 20; i++)
		h_send(h_request(port_b, SQL_STOP_REPLICA));
	/* The queue has its bound; a fence passes it. */
	assert_int_equal(h_count(MSG_SQL_DONE), 4);
	h_send(h_request(port_b, SQL_FENCE));
	memset(&g, 0, sizeof(g));
	(void)strlcpy(g.group, GROUP, sizeof(g.group));
	g.gone = true;
	mysql_dispatch(NULL, MSG_PROBE_GROUP, &g, -1);
	assert_int_equal(h_count(MSG_SQL_DONE), 21);
	for (i = 0; i < 21; i++)
		assert_int_equal(
		    ((struct m_sql_done *)h_peek(MSG_SQL_DONE, i))->end,
		    SE_REFUSED);
}

/* A set that no message can hold is said to be that, never cut. */
void
t_too_big(void **state)
{
	struct m_probe *p;

	(void)state;
	(void)h_ask(SRV_C,
	    "SET SESSION group_concat_max_len=1000000; "
	    "SET SESSION cte_max_recursion_depth=10000; "
	    "WITH RECURSIVE q(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM q "
	    "WHERE n<4000) SELECT GROUP_CONCAT(10000+2*n SEPARATOR ':') "
	    "INTO @s FROM q; SET GLOBAL gtid_purged=CONCAT("
	    "'+22222222-2222-2222-2222-222222222222:',@s)");
	h_group(GROUP, 200, 200, false, NULL, port_c, 0);
	p = h_probe(port_c, false);
	assert_int_equal(p->err, PE_TOO_BIG);
	assert_string_equal(p->gtid, "");
	h_expect(port_c, SQL_GRANT, SE_REFUSED);
	h_expect(port_c, SQL_RESET_REPLICA, SE_REFUSED);
	h_expect(port_c, SQL_FENCE, SE_DONE);
	h_group_gone(GROUP);
}
