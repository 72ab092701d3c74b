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
 * A transaction that stops arriving in its middle, as when a packet filter
 * cuts the source off. A relay before the source lets so many bytes through
 * and no more.
 */

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <netinet/in.h>

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "tests.h"

/* What may still come from the source; negative: no limit. */
static atomic_long *left;

static int
inet(bool listening, unsigned port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd == -1)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if ((listening ?
		    bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
			listen(fd, 8) == -1 :
		    connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* False: the end. */
static bool
forward(int from, int to, bool limited)
{
	char buf[4096];
	long max = limited ? atomic_load(left) : -1;
	size_t size =
	    max >= 0 && max < (long)sizeof(buf) ? (size_t)max : sizeof(buf);
	ssize_t n = read(from, buf, size);

	if (n <= 0 || write(to, buf, (size_t)n) != n)
		return false;
	if (max >= 0)
		atomic_fetch_sub(left, n);
	return true;
}

static void
relay_one(int client, int source)
{
	struct pollfd p[2] = { { .fd = client, .events = POLLIN },
		{ .fd = source } };

	for (;;) {
		p[1].events = atomic_load(left) == 0 ? 0 : POLLIN;
		if (poll(p, 2, 50) == -1)
			return;
		if (p[0].revents != 0 && !forward(client, source, false))
			return;
		if (p[1].revents != 0 && !forward(source, client, true))
			return;
	}
}

static pid_t
relay(unsigned port, unsigned source)
{
	int fd = inet(true, port), c;
	pid_t pid;

	assert_int_not_equal(fd, -1);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid != 0) {
		close(fd);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	while ((c = accept(fd, NULL, NULL)) != -1) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			relay_one(c, inet(false, source));
			_exit(0);
		}
		close(c);
	}
	_exit(1);
}

/* Of a row that is larger than what is let through. */
#define PART_BYTES 100000
#define BIG_ROW    "INSERT INTO part.t VALUES(2, REPEAT('x', 1000000))"

static void
until_executed(const char *server, const char *set)
{
	char sql[1024];

	(void)snprintf(sql, sizeof(sql),
	    "SELECT GTID_SUBSET('%s', @@global.gtid_executed)", set);
	h_until(server, sql, "1");
}

static void
until_cut(void)
{
	struct monotime end = monotime_add_ms(monotime_now(), WAIT_MS);

	while (atomic_load(left) != 0) {
		assert_true(monotime_cmp(monotime_now(), end) < 0);
		h_run_ms(20);
	}
}

void
t_partial(void **state)
{
	unsigned port = h_port(9);
	pid_t pid;

	(void)state;
	left = mmap(NULL, sizeof(*left), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(left, MAP_FAILED);
	atomic_store(left, -1);
	pid = relay(port, port_a);
	h_group(GROUP, 100, 100, false, NULL, port_a, port_c, 0);
	h_expect(port_a, SQL_GRANT, SE_DONE);
	(void)h_ask(SRV_A,
	    "CREATE DATABASE part; "
	    "CREATE TABLE part.t(id INT PRIMARY KEY, b LONGBLOB); "
	    "INSERT INTO part.t VALUES(1, '')");
	h_set_source(port_c, port, SE_DONE);
	h_until_replicating(port_c);
	/* Threads that run have not applied anything yet. */
	until_executed(SRV_C, h_executed(SRV_A));
	assert_string_equal(h_ask(SRV_C, "SELECT COUNT(*) FROM part.t"), "1");
	atomic_store(left, PART_BYTES);
	(void)h_ask(SRV_A, BIG_ROW);
	/* The applier sees its beginning before the last of it has come. */
	until_cut();
	/* Some of it has come, and been taken up by the applier. */
	h_until(SRV_C,
	    "SELECT COUNT(*) FROM performance_schema."
	    "replication_applier_status_by_coordinator"
	    " WHERE processing_transaction<>''",
	    "1");
	h_expect(port_c, SQL_STOP_RECEIVER, SE_DONE);
	h_expect(port_c, SQL_RESET_REPLICA, SE_DONE);
	h_clear();
	assert_false(h_probe(port_c, true)->has_repl);
	assert_string_equal(h_ask(SRV_C, "SELECT COUNT(*) FROM part.t"), "1");
	(void)h_ask(SRV_A, "DROP DATABASE part");
	h_expect(port_a, SQL_FENCE, SE_DONE);
	h_group_gone(GROUP);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap(left, sizeof(*left));
}
