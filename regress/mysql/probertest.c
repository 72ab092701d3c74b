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
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "harness.h"
#include "tests.h"

/* --------------------------------------------------------------- probes --- */

static void
check_content(unsigned port, const char *server)
{
	struct m_probe *p;
	int64_t age;

	p = h_probe(port, true);
	assert_string_equal(p->pod_uid, h_pod(port));
	assert_string_equal(
	    p->server_uuid, h_ask(server, "SELECT @@server_uuid"));
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
	struct m_probe *p;
	int64_t start;

	(void)state;
	h_group(GROUP, 200, 200, false, NULL, port_a, port_b, 0);
	check_content(port_a, SRV_A);
	check_content(port_b, SRV_B); /* performance_schema=OFF */
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
	/* A probe that hangs ends by itself, also there. */
	h_until(SRV_A, H_LIMITS("=1", "=50", "=200"), "1");
	h_expect(port_a, SQL_RESET_PERSIST, SE_DONE);
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
	struct m_conn_lost *l;
	struct m_probe *p;

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
	struct m_probe *p;

	(void)state;
	h_group(GROUP, 100, 100, false, NULL, port_a + 90, 0);
	p = h_probe(port_a + 90, false);
	assert_int_equal(p->err, PE_REFUSED);
	assert_int_equal(h_do(port_a + 90, SQL_FENCE)->end, SE_FAILED);
	h_group_gone(GROUP);
}

/*
 * A hung server does not delay the other's probes: while it times out again
 * and again, the other one answers in between. (In between of four timeouts,
 * so that one hiccup of a busy machine is no failure.)
 */
static void
hung_delays_nobody(void **state)
{
	struct m_probe *p;
	int64_t max = 0, sum = 0;
	unsigned dead = 0, seen = 0, n = 0;

	(void)state;
	h_group(GROUP, 250, 250, false, NULL, port_a, port_b, 0);
	(void)h_probe(port_a, true);
	(void)h_probe(port_b, true);
	h_lab("freeze %s", SRV_A);
	h_clear();
	while (dead < 12) {
		p = h_wait(MSG_PROBE, NULL, NULL);
		if (strcmp(p->site, h_site(port_b)) == 0) {
			if (!p->ok) {
				assert_int_equal(p->err, PE_TIMEOUT);
				continue;
			}
			n++;
			sum += p->latency_us;
			max = p->latency_us > max ? p->latency_us : max;
			continue;
		}
		if (p->ok)
			continue;
		assert_int_equal(p->err, PE_TIMEOUT);
		assert_true(p->latency_us >= 200000);
		if (dead++ % 4 == 3) {
			assert_true(n > seen);
			seen = n;
		}
	}
	/* Nor do actions on the hung one; they end all the same. */
	assert_int_equal(h_do(port_b, SQL_FENCE)->end, SE_DONE);
	printf("    other site: %u probes, mean %lld us, max %lld us\n", n,
	    (long long)(sum / n), (long long)max);
	h_lab("thaw %s", SRV_A);
	h_lab("thaw %s", SRV_C);
	assert_true(h_probe(port_a, true)->read_only);
	h_group_gone(GROUP);
}

static int
listener(int backlog, unsigned *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

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
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons((uint16_t)port);
	(void)connect(fd, (struct sockaddr *)&sin, sizeof(sin));
	return fd;
}

static struct {
	char text[256];
	ssize_t len;
	int fds[64];
	int nfds;
} greeting;

/* A server that greets and then never says a word. */
static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	int c;

	(void)what;
	(void)arg;
	if (greeting.nfds == (int)PS_NITEMS(greeting.fds) ||
	    (c = accept(fd, NULL, NULL)) == -1)
		return;
	greeting.fds[greeting.nfds++] = c;
	(void)send(c, greeting.text, (size_t)greeting.len, MSG_NOSIGNAL);
}

static void
get_greeting(void)
{
	int fd = connect_to(port_a);

	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	greeting.len = recv(fd, greeting.text, sizeof(greeting.text), 0);
	assert_true(greeting.len > 0);
	close(fd);
}

static void
stuck_in_login(void **state)
{
	struct event *ev;
	struct m_probe *p;
	struct m_sql *s;
	unsigned port;
	int fd;

	(void)state;
	get_greeting();
	fd = listener(16, &port);
	ev =
	    event_new(ps_base(NULL), fd, EV_READ | EV_PERSIST, on_accept, NULL);
	assert_int_equal(event_add(ev, NULL), 0);
	h_group(GROUP, 300, 200, false, NULL, port, port_b, 0);
	p = h_probe(port, false);
	assert_int_equal(p->err, PE_TIMEOUT);
	printf("    silent after its greeting: %lld us\n",
	    (long long)p->latency_us);
	assert_true(h_probe(port_b, true)->read_only);
	s = h_request(port, SQL_FENCE);
	s->timeout_ms = 300;
	assert_int_equal(h_sql(s)->end, SE_FAILED);
	h_group_gone(GROUP);
	event_free(ev);
	close(fd);
	while (greeting.nfds > 0)
		close(greeting.fds[--greeting.nfds]);
}

/* One accepts and is silent, one drops every SYN: each bounded. */
static void
black_hole(void **state)
{
	struct m_sql *s;
	struct m_probe *p;
	unsigned silent, full, i;
	int a, b, c[8];

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

/* ------------------------------------------------------------------ tls --- */

static void
read_pem(const char *name, char *buf, size_t size)
{
	char path[512];
	size_t n;
	FILE *f;

	(void)snprintf(
	    path, sizeof(path), "%s/%s", getenv("PROBER_DATA"), name);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(buf, 1, size - 1, f);
	buf[n] = '\0';
	fclose(f);
}

static void
tls(void **state)
{
	static char ca[16384];
	struct m_probe *p;

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
	h_expect(port_a, SQL_FENCE, SE_DONE);
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
	h_expect(port_a, SQL_GRANT, SE_DONE);
	h_expect(port_a, SQL_EVICT, SE_DONE);
	h_expect(port_a, SQL_RESET_PERSIST, SE_DONE);
	h_set_source(port_b, port_a, SE_DONE);
	h_until_replicating(port_b);
	h_expect(port_b, SQL_STOP_REPLICA, SE_DONE);
	h_expect(port_b, SQL_START_APPLIER, SE_DONE);
	h_expect(port_b, SQL_START_REPLICA, SE_DONE);
	h_until_replicating(port_b);
	h_expect(port_b, SQL_STOP_RECEIVER, SE_DONE);
	h_expect(port_b, SQL_RESET_REPLICA, SE_DONE);
	h_expect(port_a, SQL_FENCE, SE_DONE);
	assert_int_equal(h_clone_from(port_b, port_a + 90)->end, SE_FAILED);
	h_group_gone(GROUP);
	h_host("MySQL_Server_9.7.4_Auto_Generated_Server_Certificate");
	h_group(GROUP, 500, 500, true, ca, port_a, 0);
	(void)h_probe(port_a, true);
	h_expect(port_a, SQL_FENCE, SE_DONE);
	h_group_gone(GROUP);
}

static void
sandboxed_child(bool landlock)
{
	static char ca[16384];

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
	int i, status;
	pid_t pid;

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
	char line[256];
	FILE *f;

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

/* Nothing of a test that failed is left to the next one. */
static int
clean(void **state)
{
	(void)state;
	h_group_gone(GROUP);
	h_host(NULL);
	h_lab("thaw %s", SRV_A);
	return 0;
}

#define T(name) cmocka_unit_test_teardown(name, clean)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(t_start_text),
		T(content),
		T(memory),
		T(eof_at_once),
		T(refused),
		T(hung_delays_nobody),
		T(black_hole),
		T(stuck_in_login),
		T(t_fence_and_grant),
		T(t_late_grant),
		T(t_grant_to_stopped),
		T(t_not_that_process),
		T(t_fence_that_waits),
		T(t_follow),
		T(t_evict),
		T(t_clone_site),
		T(tls),
		T(sandboxed),
		T(t_clone_hangs),
		T(t_clone_without_lease),
		T(t_dies_in_flight),
		T(t_group_goes),
		T(t_partial),
		T(t_too_big),
		T(t_clock_steps),
		T(t_tls_secrets),
		T(t_tls_reload),
		T(t_tls_source),
		/* First of them: no partial REVOKE is in a binary log yet. */
		T(t_accounts_revokes),
		T(t_accounts),
		T(t_accounts_ages),
		T(t_accounts_cut_short),
		T(t_accounts_excess),
		T(t_refresh_source),
	};

	if (h_port(0) == 0 || getenv("PROBER_MYSQLD") == NULL) {
		fprintf(stderr, "run me by regress/mysql/run\n");
		return 77;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	h_init();
	return cmocka_run_group_tests_name("mysql-prober", tests, NULL, NULL);
}
