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
 * mysql-prober against real servers (regress/mysql/run starts them). Order is
 * asserted, never a time; the times are printed.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "harness.h"

#define SRV_A	"probe-a"
#define SRV_B	"probe-b"
#define SRV_C	"probe-c"

static unsigned	 port_a, port_b, port_c;

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

static const struct m_sql_done *
timed(const char *what, unsigned port, unsigned kind)
{
	struct monotime		 t = monotime_now();
	struct m_sql_done	*d = h_do(port, kind);

	say_done(what, d, t);
	return d;
}

static void
expect(unsigned port, unsigned kind, unsigned end)
{
	const struct m_sql_done	*d = timed(sql_kind_name(kind), port, kind);

	assert_int_equal(d->end, end);
}

static const char *
executed(const char *server)
{
	return h_ask(server, "SELECT REPLACE(@@global.gtid_executed,'\\n','')");
}

/* --------------------------------------------------------------- probes --- */

static void
check_content(unsigned port, const char *server)
{
	struct m_probe	*p;
	int64_t		 age;

	p = h_probe(port, true);
	assert_string_equal(p->pod_uid, h_pod(port));
	assert_string_equal(p->server_uuid,
	    h_ask(server, "SELECT @@server_uuid"));
	assert_true(p->read_only && p->super_read_only);
	assert_false(p->persisted_ro || p->offline_mode || p->has_repl);
	assert_false(p->user_schemas);
	assert_string_equal(p->gtid, "");
	assert_int_equal(p->lag_s, -1);
	age = p->server_clock_us / 1000 - p->proc_start_ms;
	assert_true(age > 0 && age < 3600000);
	printf("    probe of %s: %lld us\n", server, (long long)p->latency_us);
}

static void
content(void **state)
{
	struct m_probe	*p;
	int64_t		 start;

	(void)state;
	h_group(GROUP, 200, 200, false, NULL, port_a, port_b, 0);
	check_content(port_a, SRV_A);
	check_content(port_b, SRV_B);	/* performance_schema=OFF */
	h_clear();
	start = h_probe(port_a, true)->proc_start_ms;
	p = h_probe(port_a, true);
	assert_true(llabs(p->proc_start_ms - start) <= 1000);
	printf("    probe on the open connection: %lld us\n",
	    (long long)p->latency_us);

	(void)h_ask(SRV_A, "SET PERSIST super_read_only=ON");
	do
		p = h_probe(port_a, true);
	while (!p->persisted_ro);
	expect(port_a, SQL_RESET_PERSIST, SE_DONE);
	h_clear();
	assert_false(h_probe(port_a, true)->persisted_ro);
	(void)h_ask(SRV_A, "SET GLOBAL offline_mode=ON");
	do
		p = h_probe(port_a, true);
	while (!p->offline_mode);
	(void)h_ask(SRV_A, "SET GLOBAL offline_mode=OFF");
	assert_int_equal(h_count(MSG_CONN_LOST), 0);
	assert_true(h_has(MSG_METRIC));
	h_group_gone(GROUP);
}

/* Its end is told at once: the next probe is a minute away. */
static void
eof_at_once(void **state)
{
	struct m_conn_lost	*l;
	struct m_probe		*p;

	(void)state;
	h_group(GROUP, 60000, 1000, false, NULL, port_b, 0);
	(void)h_probe(port_b, true);
	h_lab("kill9 %s", SRV_B);
	l = h_wait(MSG_CONN_LOST, NULL, NULL);
	assert_string_equal(l->site, h_site(port_b));
	assert_string_equal(l->pod_uid, h_pod(port_b));
	printf("    lost: %s\n", l->error);
	/* Back: seen by a quiet attempt, long before the next beat. */
	h_lab("restart %s", SRV_B);
	p = h_probe(port_b, true);
	assert_true(p->read_only);
	assert_int_equal(h_count(MSG_PROBE), 0);
	h_group_gone(GROUP);
}

static void
refused(void **state)
{
	struct m_probe	*p;

	(void)state;
	h_group(GROUP, 100, 100, false, NULL, port_a + 90, 0);
	p = h_probe(port_a + 90, false);
	assert_int_equal(p->err, PE_REFUSED);
	assert_int_equal(h_do(port_a + 90, SQL_FENCE)->end, SE_FAILED);
	h_group_gone(GROUP);
}

/*
 * A hung server does not delay the other's probes: between any two of its
 * timeouts the other one answers as often as before.
 */
static void
hung_delays_nobody(void **state)
{
	struct m_probe	*p;
	int64_t		 max = 0, sum = 0;
	unsigned	 i, dead = 0, since = 0, n = 0;

	(void)state;
	h_group(GROUP, 100, 100, false, NULL, port_a, port_b, 0);
	(void)h_probe(port_a, true);
	(void)h_probe(port_b, true);
	h_lab("freeze %s", SRV_A);
	h_clear();
	while (dead < 15) {
		p = h_wait(MSG_PROBE, NULL, NULL);
		if (strcmp(p->site, h_site(port_b)) == 0) {
			assert_true(p->ok);
			since++;
			n++;
			sum += p->latency_us;
			max = p->latency_us > max ? p->latency_us : max;
			continue;
		}
		if (p->ok)
			continue;
		assert_int_equal(p->err, PE_TIMEOUT);
		if (dead++ > 0)
			assert_true(since >= 1);
		since = 0;
	}
	/* Nor do actions on the hung one; they end all the same. */
	i = (unsigned)h_do(port_b, SQL_FENCE)->end;
	assert_int_equal(i, SE_DONE);
	printf("    other site: %u probes, mean %lld us, max %lld us\n", n,
	    (long long)(sum / n), (long long)max);
	h_lab("thaw %s", SRV_A);
	assert_true(h_probe(port_a, true)->read_only);
	h_group_gone(GROUP);
}

static int
listener(int backlog, unsigned *port)
{
	struct sockaddr_in	 sin = { .sin_family = AF_INET };
	socklen_t		 len = sizeof(sin);
	int			 fd = socket(AF_INET, SOCK_STREAM, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	*port = ntohs(sin.sin_port);
	return fd;
}

static int
connect_to(unsigned port)
{
	struct sockaddr_in	 sin = { .sin_family = AF_INET };
	int			 fd;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons((uint16_t)port);
	(void)connect(fd, (struct sockaddr *)&sin, sizeof(sin));
	return fd;
}

/* One accepts and is silent, one drops every SYN: each bounded. */
static void
black_hole(void **state)
{
	struct m_sql	*s;
	struct m_probe	*p;
	unsigned	 silent, full, i;
	int		 a, b, c[8];

	(void)state;
	a = listener(16, &silent);
	b = listener(0, &full);
	for (i = 0; i < PS_NITEMS(c); i++)
		c[i] = connect_to(full);
	h_group(GROUP, 300, 200, false, NULL, silent, full, port_b, 0);
	for (i = 0; i < 2; i++) {
		p = h_probe(silent, false);
		assert_int_equal(p->err, PE_TIMEOUT);
		printf("    silent peer: %lld us\n", (long long)p->latency_us);
		p = h_probe(full, false);
		assert_int_equal(p->err, PE_TIMEOUT);
		printf("    dropped SYNs: %lld us\n", (long long)p->latency_us);
		assert_true(h_probe(port_b, true)->read_only);
	}
	s = h_request(full, SQL_FENCE);
	s->timeout_ms = 300;
	assert_int_equal(h_sql(s)->end, SE_FAILED);
	s = h_request(silent, SQL_GRANT);
	s->timeout_ms = 300;
	assert_int_equal(h_sql(s)->grant_limit_us, 0);
	h_group_gone(GROUP);
	for (i = 0; i < PS_NITEMS(c); i++)
		close(c[i]);
	close(a);
	close(b);
}

/* ------------------------------------------------------ fence and grant --- */

static void
fence_and_grant(void **state)
{
	const struct m_sql_done	*d;
	struct m_sql		*s;

	(void)state;
	h_group(GROUP, 1000, 1000, false, NULL, port_a, port_b, 0);
	(void)h_probe(port_a, true);
	d = timed("grant", port_a, SQL_GRANT);
	assert_int_equal(d->end, SE_DONE);
	assert_false(d->read_only || d->super_read_only);
	assert_true(d->grant_limit_us > d->server_clock_us);
	assert_true(d->grant_limit_us <= d->server_clock_us + 5000000);
	assert_string_equal(h_ask(SRV_A, "SELECT @@global.read_only"), "0");
	d = timed("fence", port_a, SQL_FENCE);
	assert_int_equal(d->end, SE_DONE);
	assert_true(d->read_only && d->super_read_only);
	/* Never longer than the lease lasts. */
	s = h_request(port_a, SQL_GRANT);
	s->valid_until_ns = monotime_add_ms(monotime_now(), 2000).ns;
	s->grant_ttl_ms = 60000;
	d = h_sql(s);
	assert_int_equal(d->end, SE_DONE);
	assert_true(d->grant_limit_us < d->server_clock_us + 2000000);
	expect(port_a, SQL_FENCE, SE_DONE);
	h_group_gone(GROUP);
}

/* Between its clock and the grant the world stands still: too late. */
static void
late_grant(void **state)
{
	const struct m_sql_done	*d;
	struct m_sql		*s;
	struct monotime		 end;

	(void)state;
	h_group(GROUP, 60000, 1000, false, NULL, port_a, 0);
	(void)h_probe(port_a, true);
	s = h_request(port_a, SQL_GRANT);
	s->grant_ttl_ms = 5;
	h_send(s);
	end = monotime_add_ms(monotime_now(), WAIT_MS);
	while (!h_has(MSG_SQL_DONE) && monotime_cmp(monotime_now(), end) < 0) {
		event_base_loop(ps_base(NULL), EVLOOP_NONBLOCK);
		(void)usleep(10000);	/* the fault itself, not a wait */
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

static void
refuse(struct m_sql *s, const char *why)
{
	const struct m_sql_done	*d = h_sql(s);

	assert_int_equal(d->end, SE_REFUSED);
	assert_non_null(strstr(d->error, why));
	assert_int_equal(d->grant_limit_us, 0);
}

static void
not_that_process(void **state)
{
	struct m_probe	*p;
	struct m_sql	*s;
	char		 uuid[UID_LEN + 1];
	int64_t		 start;

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
	char	 cmd[1024];
	FILE	*p;

	(void)snprintf(cmd, sizeof(cmd), "%s sql %s -e \"%s\" >/dev/null 2>&1",
	    getenv("PROBER_MYSQLD"), server, sql);
	p = popen(cmd, "w");
	assert_non_null(p);
	return p;
}

#define HOLDS	"SELECT COUNT(*) FROM information_schema.processlist WHERE "	\
	"info LIKE 'SELECT SLEEP(1234)%'"

static void
let_go(const char *server, FILE *p)
{
	char	 kill_sql[64];

	(void)snprintf(kill_sql, sizeof(kill_sql), "KILL %s", h_ask(server,
	    "SELECT id FROM information_schema.processlist WHERE "
	    "info LIKE 'SELECT SLEEP(1234)%' LIMIT 1"));
	(void)h_ask(server, kill_sql);
	(void)pclose(p);
}

/* What could not be done is never said to be done. */
static void
fence_that_waits(void **state)
{
	const struct m_sql_done	*d;
	struct m_sql		*s;
	uint64_t		 seq;
	FILE			*p;

	(void)state;
	h_group(GROUP, 60000, 1000, false, NULL, port_a, 0);
	(void)h_probe(port_a, true);
	expect(port_a, SQL_GRANT, SE_DONE);
	(void)h_ask(SRV_A, "CREATE DATABASE IF NOT EXISTS app; "
	    "CREATE TABLE IF NOT EXISTS app.t(id INT PRIMARY KEY)");
	p = background(SRV_A, "LOCK TABLES app.t WRITE; SELECT SLEEP(1234)");
	h_until(SRV_A, HOLDS, "1");
	/* A grant that waits behind nothing, and is older than the fence. */
	s = h_request(port_a, SQL_FENCE);
	s->timeout_ms = 1500;
	d = h_sql(s);
	assert_int_equal(d->end, SE_FAILED);
	assert_int_equal(d->mysql_errno, 1205);
	printf("    behind a lock: %s\n", d->error);
	s = h_request(port_a, SQL_FENCE);
	s->timeout_ms = 400;
	d = h_sql(s);
	assert_int_equal(d->end, SE_UNKNOWN);
	printf("    no answer: %s\n", d->error);
	let_go(SRV_A, p);
	h_until(SRV_A, HOLDS, "0");
	/* A grant asked for before a fence does not come after it. */
	s = h_request(port_a, SQL_GRANT);
	seq = s->seq;
	h_send(s);
	expect(port_a, SQL_FENCE, SE_DONE);
	assert_int_equal(h_done(seq)->end, SE_REFUSED);
	assert_string_equal(h_ask(SRV_A, "SELECT @@global.read_only"), "1");
	h_group_gone(GROUP);
}

/* ---------------------------------------------------------- replication --- */

static void
set_source(unsigned port, unsigned source, unsigned end)
{
	struct monotime		 t = monotime_now();
	struct m_sql		*s = h_request(port, SQL_SET_SOURCE);
	const struct m_sql_done	*d;

	s->source_port = source;
	d = h_sql(s);
	say_done("set-source", d, t);
	assert_int_equal(d->end, end);
}

static void
until_replicating(unsigned port)
{
	struct m_probe	*p;

	do
		p = h_probe(port, true);
	while (!p->has_repl || p->io != IO_YES || !p->sql);
	assert_string_equal(p->source_host, "127.0.0.1");
}

#define RETRIEVED	"SELECT LENGTH(received_transaction_set)>0 FROM "	\
	"performance_schema.replication_connection_status"

/* b follows a; what it received and did not apply is never thrown away. */
static void
follow(void **state)
{
	const struct m_sql_done	*d;
	struct m_probe		*p;
	char			 set[GTID_LEN + 1];

	(void)state;
	h_group(GROUP, 100, 100, false, NULL, port_a, port_b, 0);
	expect(port_b, SQL_RESET_REPLICA, SE_DONE);	/* nothing there */
	expect(port_b, SQL_START_REPLICA, SE_FAILED);
	expect(port_a, SQL_GRANT, SE_DONE);
	(void)h_ask(SRV_A, "CREATE DATABASE IF NOT EXISTS app; "
	    "CREATE TABLE IF NOT EXISTS app.t(id INT PRIMARY KEY); "
	    "DELETE FROM app.t");
	set_source(port_a, port_b, SE_REFUSED);		/* writable */
	set_source(port_b, port_a, SE_DONE);
	until_replicating(port_b);
	(void)strlcpy(set, executed(SRV_A), sizeof(set));
	do
		p = h_probe(port_b, true);
	while (strcmp(p->gtid, set) != 0);
	assert_true(p->user_schemas);

	(void)h_ask(SRV_B, "STOP REPLICA SQL_THREAD");
	(void)h_ask(SRV_A, "INSERT INTO app.t VALUES(1),(2)");
	(void)strlcpy(set, executed(SRV_A), sizeof(set));
	do
		p = h_probe(port_b, true);
	while (strcmp(p->retrieved, "") == 0 || strcmp(p->gtid, set) == 0 ||
	    p->sql);
	(void)strlcpy(set, p->retrieved, sizeof(set));
	set_source(port_b, port_a, SE_REFUSED);
	h_clear();
	p = h_probe(port_b, true);
	assert_string_equal(p->retrieved, set);
	/* The refusal started the applier: nothing waits any more. */
	do
		p = h_probe(port_b, true);
	while (!p->sql || p->io != IO_YES);
	until_replicating(port_b);

	(void)h_ask(SRV_B, "STOP REPLICA SQL_THREAD");
	(void)h_ask(SRV_A, "INSERT INTO app.t VALUES(3)");
	do
		p = h_probe(port_b, true);
	while (strcmp(p->retrieved, set) == 0);
	(void)strlcpy(set, p->retrieved, sizeof(set));
	expect(port_b, SQL_STOP_RECEIVER, SE_DONE);
	d = timed("reset-replica, unapplied", port_b, SQL_RESET_REPLICA);
	assert_int_equal(d->end, SE_REFUSED);
	h_clear();
	p = h_probe(port_b, true);
	assert_true(p->has_repl);
	assert_int_equal(p->io, IO_NO);
	assert_string_equal(p->retrieved, set);
	h_until(SRV_B, "SELECT COUNT(*) FROM app.t", "3");

	/* Drained: the whole of a promotion. */
	set_source(port_b, port_a, SE_DONE);
	until_replicating(port_b);
	printf("    a promotion:\n");
	expect(port_b, SQL_STOP_RECEIVER, SE_DONE);
	d = timed("reset-replica", port_b, SQL_RESET_REPLICA);
	assert_int_equal(d->end, SE_DONE);
	assert_string_equal(d->gtid, executed(SRV_A));
	expect(port_a, SQL_FENCE, SE_DONE);
	expect(port_b, SQL_GRANT, SE_DONE);
	expect(port_b, SQL_FENCE, SE_DONE);
	h_clear();
	assert_false(h_probe(port_b, true)->has_repl);
	h_group_gone(GROUP);
}

static void
evict(void **state)
{
	char			 dump[32], applier[32];
	const struct m_sql_done	*d;
	FILE			*p;

	(void)state;
	h_group(GROUP, 100, 100, false, NULL, port_a, port_b, 0);
	set_source(port_b, port_a, SE_DONE);
	until_replicating(port_b);
#define DUMPER	"SELECT MAX(id) FROM information_schema.processlist WHERE "	\
	"command LIKE 'Binlog Dump%'"
#define APPLIER	"SELECT MIN(id) FROM information_schema.processlist WHERE "	\
	"user='system user'"
	(void)strlcpy(dump, h_ask(SRV_A, DUMPER), sizeof(dump));
	(void)strlcpy(applier, h_ask(SRV_B, APPLIER), sizeof(applier));
	p = background(SRV_A, "SELECT SLEEP(1234)");	/* root: spared */
	h_until(SRV_A, HOLDS, "1");
	d = timed("evict, none", port_a, SQL_EVICT);
	assert_int_equal(d->end, SE_DONE);
	assert_int_equal(d->count, 0);
	let_go(SRV_A, p);
	p = popen(getenv("PROBER_CLIENT"), "w");
	h_until(SRV_A, HOLDS, "1");
	d = timed("evict", port_a, SQL_EVICT);
	assert_int_equal(d->end, SE_DONE);
	assert_int_equal(d->count, 1);
	h_until(SRV_A, HOLDS, "0");
	(void)pclose(p);
	assert_string_equal(h_ask(SRV_A, DUMPER), dump);
	d = timed("evict, a replica", port_b, SQL_EVICT);
	assert_int_equal(d->count, 0);
	assert_string_equal(h_ask(SRV_B, APPLIER), applier);
	until_replicating(port_b);
	assert_int_equal(h_count(MSG_CONN_LOST), 0);
	h_group_gone(GROUP);
}

/* ---------------------------------------------------------------- clone --- */

static const struct m_sql_done *
clone_from(unsigned port, unsigned donor)
{
	struct monotime		 t = monotime_now();
	struct m_sql		*s = h_request(port, SQL_CLONE);
	const struct m_sql_done	*d;

	s->source_port = donor;
	s->timeout_ms = 60000;
	d = h_sql(s);
	say_done("clone", d, t);
	return d;
}

static void
cloned(unsigned port, const char *server, bool fenced)
{
	const struct m_sql_done	*d;
	struct m_probe		*p;

	h_clear();
	d = clone_from(port, port_a);
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
	assert_string_equal(p->gtid, executed(SRV_A));
}

static void
clone_site(void **state)
{
	const struct m_sql_done	*d;

	(void)state;
	h_group(GROUP, 200, 200, false, NULL, port_a, port_c, 0);
	(void)h_probe(port_c, true);
	expect(port_a, SQL_GRANT, SE_DONE);
	(void)h_ask(SRV_A, "CREATE DATABASE IF NOT EXISTS app");
	expect(port_a, SQL_FENCE, SE_DONE);
	/* Nothing listens there: all is put back. */
	d = clone_from(port_c, port_a + 90);
	assert_int_equal(d->end, SE_FAILED);
	assert_string_equal(h_ask(SRV_C,
	    "SELECT CONCAT(@@read_only,@@super_read_only,@@offline_mode)"),
	    "110");
	/* Empty: super_read_only stays ON all the time. */
	cloned(port_c, SRV_C, true);
	/* With schemas to drop it can't; read_only stays. */
	cloned(port_c, SRV_C, false);
	d = clone_from(port_c, port_a + 90);
	assert_int_equal(d->end, SE_FAILED);
	assert_string_equal(h_ask(SRV_C,
	    "SELECT CONCAT(@@read_only,@@super_read_only,@@offline_mode)"),
	    "110");
	set_source(port_c, port_a, SE_DONE);
	until_replicating(port_c);
	expect(port_c, SQL_RESET_REPLICA, SE_DONE);
	expect(port_c, SQL_GRANT, SE_DONE);
	d = clone_from(port_c, port_a);
	assert_int_equal(d->end, SE_REFUSED);
	expect(port_c, SQL_FENCE, SE_DONE);
	h_group_gone(GROUP);
}

/* ------------------------------------------------------------------ tls --- */

static void
read_pem(const char *name, char *buf, size_t size)
{
	char	 path[512];
	size_t	 n;
	FILE	*f;

	(void)snprintf(path, sizeof(path), "%s/%s", getenv("PROBER_DATA"),
	    name);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(buf, 1, size - 1, f);
	buf[n] = '\0';
	fclose(f);
}

static void
tls(void **state)
{
	static char	 ca[16384];
	struct m_probe	*p;

	(void)state;
	read_pem("ca.pem", ca, sizeof(ca));
	/* The certificate has another name. */
	h_group(GROUP, 500, 500, true, ca, port_a, 0);
	p = h_probe(port_a, false);
	printf("    wrong name: %s\n", p->error);
	h_group_gone(GROUP);
	h_host("MySQL_Server_9.7.4_Auto_Generated_Server_Certificate");
	h_group(GROUP, 500, 500, true, ca, port_a, 0);
	p = h_probe(port_a, true);
	printf("    right name: %lld us\n", (long long)p->latency_us);
	expect(port_a, SQL_FENCE, SE_DONE);
	h_group_gone(GROUP);
	/* A certificate that did not sign the server's. */
	read_pem("client-cert.pem", ca, sizeof(ca));
	h_group(GROUP, 500, 500, true, ca, port_a, 0);
	p = h_probe(port_a, false);
	printf("    wrong CA: %s\n", p->error);
	h_group_gone(GROUP);
	h_host(NULL);
}

/*
 * All of it inside the sandbox, in a child: every kind of action, TLS, a
 * refused connection. What is not allowed ends the child.
 */
static void
sandboxed_work(const char *ca)
{
	h_group(GROUP, 100, 100, false, NULL, port_a, port_b, port_a + 90, 0);
	(void)h_probe(port_a, true);
	(void)h_probe(port_b, true);
	(void)h_probe(port_a + 90, false);
	expect(port_a, SQL_GRANT, SE_DONE);
	expect(port_a, SQL_EVICT, SE_DONE);
	expect(port_a, SQL_RESET_PERSIST, SE_DONE);
	set_source(port_b, port_a, SE_DONE);
	until_replicating(port_b);
	expect(port_b, SQL_STOP_REPLICA, SE_DONE);
	expect(port_b, SQL_START_APPLIER, SE_DONE);
	expect(port_b, SQL_START_REPLICA, SE_DONE);
	until_replicating(port_b);
	expect(port_b, SQL_STOP_RECEIVER, SE_DONE);
	expect(port_b, SQL_RESET_REPLICA, SE_DONE);
	expect(port_a, SQL_FENCE, SE_DONE);
	assert_int_equal(clone_from(port_b, port_a + 90)->end, SE_FAILED);
	h_group_gone(GROUP);
	h_host("MySQL_Server_9.7.4_Auto_Generated_Server_Certificate");
	h_group(GROUP, 500, 500, true, ca, port_a, 0);
	(void)h_probe(port_a, true);
	expect(port_a, SQL_FENCE, SE_DONE);
	h_group_gone(GROUP);
}

static void
sandboxed_child(bool landlock)
{
	static char	 ca[16384];

	read_pem("ca.pem", ca, sizeof(ca));
	if (event_reinit(ps_base(NULL)) == -1 ||
	    sandbox_enter(&mysql_sandbox, "mysql-prober", landlock) == -1)
		_exit(2);
	sandboxed_work(ca);
	/* stdio's buffer, then no exit handlers: they open the log. */
	fflush(stdout);
	_exit(0);
}

static void
sandboxed(void **state)
{
	int	 i, status;
	pid_t	 pid;

	(void)state;
	for (i = 0; i < 2; i++) {
		fflush(stdout);
		if ((pid = fork()) == 0)
			sandboxed_child(i == 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

static void
memory(void **state)
{
	char	 line[256];
	FILE	*f;

	(void)state;
	h_group(GROUP, 100, 100, false, NULL, port_a, port_b, 0);
	(void)h_probe(port_a, true);
	(void)h_probe(port_b, true);
	f = fopen("/proc/self/smaps_rollup", "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "Pss:", 4) == 0 ||
		    strncmp(line, "Private_Dirty:", 14) == 0)
			printf("    %s", line);
	if (f != NULL)
		fclose(f);
	h_group_gone(GROUP);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(content),
		cmocka_unit_test(memory),
		cmocka_unit_test(eof_at_once),
		cmocka_unit_test(refused),
		cmocka_unit_test(hung_delays_nobody),
		cmocka_unit_test(black_hole),
		cmocka_unit_test(fence_and_grant),
		cmocka_unit_test(late_grant),
		cmocka_unit_test(not_that_process),
		cmocka_unit_test(fence_that_waits),
		cmocka_unit_test(follow),
		cmocka_unit_test(evict),
		cmocka_unit_test(clone_site),
		cmocka_unit_test(tls),
		cmocka_unit_test(sandboxed),
	};
	const char	*port = getenv("PROBER_PORT");

	if (port == NULL || getenv("PROBER_MYSQLD") == NULL) {
		fprintf(stderr, "run me by regress/mysql/run\n");
		return 77;
	}
	port_a = (unsigned)strtol(port, NULL, 10) + 1;
	port_b = port_a + 1;
	port_c = port_a + 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	h_init();
	return cmocka_run_group_tests_name("mysql-prober", tests, NULL, NULL);
}
