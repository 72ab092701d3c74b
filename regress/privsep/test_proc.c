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
 * The process table: this program is parent, launcher and worker. Each test
 * runs one scenario in a child, whose exit status and log it judges.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <sys/socket.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "privsep.h"

enum { W_ONE = 1, W_TWO = 2 };
enum { MODE = PS_MSG_FIRST, PING, PONG, EARLY };

enum mode {
	M_ECHO,
	M_DIE,
	M_WRONG_DIRECTION,
	M_WRONG_PHASE,
	M_GARBAGE,
	M_HANG,
	M_FAIL,
	M_STOP_SELF,
	M_EARLY,
	M_EXEC,
	M_QUIT,
	M_DROPPED
};

struct num {
	uint32_t n;
	struct secret s;
};

static const struct codec_field num_fields[] = {
	{ .name = "n", .type = CT_U32, .off = offsetof(struct num, n) },
	{ .name = "s", .type = CT_SECRET, .off = offsetof(struct num, s) },
};

static const struct codec_desc *
num_desc(void)
{
	static const struct codec_desc d = { "num", num_fields,
		PS_NITEMS(num_fields), sizeof(struct num), 0 };
	return (&d);
}

#define WORKERS (1 << W_ONE | 1 << W_TWO)
static const struct ps_msg msgs[] = {
	{ MODE, "MODE", 1, WORKERS, PS_SETUP, num_desc },
	{ PING, "PING", 1, WORKERS, PS_RUN, num_desc },
	{ PONG, "PONG", WORKERS, 1, PS_RUN, num_desc },
	{ EARLY, "EARLY", WORKERS, 1, PS_SETUP, num_desc },
};
static const struct ps_schema schema = { msgs, PS_NITEMS(msgs),
	sizeof(struct num) };
/* What a worker of another build would have. */
static const struct ps_schema other_schema = { msgs, 3, sizeof(struct num) };

/* --------------------------------------------------------------- worker --- */

static enum mode mode;

static void
raw_frame(uint32_t type, size_t len)
{
	static struct num m;
	static uint8_t buf[PS_FRAME_MAX];
	int n;

	n = codec_encode(num_desc(), type, &m, buf, sizeof(buf));
	if (n == -1 || send(3, buf, len != 0 ? len : (size_t)n, 0) == -1)
		_exit(9);
}

static void
misbehave(int fd, short what, void *arg)
{
	char sh[] = "/bin/true", *argv[] = { sh, NULL };

	(void)fd;
	(void)what;
	switch (mode) {
	case M_DIE:
		_exit(7);
	case M_WRONG_DIRECTION:
		raw_frame(PING, 0);
		break;
	case M_WRONG_PHASE:
		raw_frame(EARLY, 0);
		break;
	case M_GARBAGE:
		raw_frame(PONG, 3);
		break;
	case M_EXEC:
		execv(sh, argv);
		break;
	case M_QUIT:
		ps_worker_stop(arg);
		break;
	case M_ECHO:
	case M_HANG:
	case M_FAIL:
	case M_EARLY:
	case M_STOP_SELF:
	case M_DROPPED:
		break;
	}
}

static int
w_setup(struct ps_worker *w)
{
	static struct num m;
	struct timeval tv = { 0, 1000 };

	if (ps_worker_recv(w, MODE, &m, NULL) == -1)
		return (-1);
	mode = (enum mode)m.n;
	if (m.s.len != 6 || memcmp(m.s.data, "secret", 7) != 0)
		return (-1);
	if (mode == M_HANG)
		for (;;)
			pause();
	if (mode == M_FAIL)
		return (-1);
	if (mode == M_EARLY && ps_worker_send(w, EARLY, &m, -1) == -1)
		return (-1);
	return (event_base_once(ps_base(w), -1, EV_TIMEOUT, misbehave, w, &tv));
}

static void
w_dispatch(struct ps_worker *w, uint32_t type, void *msg, int fd)
{
	if (type != PING)
		_exit(8);
	if (mode == M_DROPPED &&
	    (getuid() == 0 || geteuid() == 0 || getgid() == 0 ||
		getegid() == 0))
		_exit(8);
	if (fd != -1) {
		if (write(fd, "through fd", 10) != 10)
			_exit(8);
		close(fd);
	}
	if (ps_worker_send(w, PONG, msg, -1) == -1)
		_exit(8);
	/* Before it comes back to the loop and could meet the EOF. */
	if (mode == M_STOP_SELF)
		raise(SIGSTOP);
}

/* --------------------------------------------------------------- parent --- */

static struct {
	enum mode one; /* of W_ONE; W_TWO echoes */
	unsigned ready[3], deaths[3], pongs, early;
	int status[3];
	struct monotime died, gap_from;
	int64_t gap[8];
} st;

static void
p_dispatch(
    struct ps *ps, unsigned from, uint32_t type, void *msg, int fd, void *arg)
{
	struct num *m = msg;

	(void)ps;
	(void)from;
	(void)arg;
	if (fd != -1)
		_exit(20);
	if (type == PONG && m->n == 42)
		st.pongs++;
	if (type == EARLY)
		st.early++;
}

static void
p_setup(struct ps *ps, unsigned id, void *arg)
{
	static struct num m;

	(void)arg;
	m.n = id == W_ONE ? st.one : M_ECHO;
	if (secret_set(&m.s, "secret", 6) == -1 ||
	    ps_send(ps, id, MODE, &m, -1) == -1)
		_exit(21);
	/* It is not up yet, and PING is not for this phase. */
	if (ps_is_up(ps, id) || ps_send(ps, id, PING, &m, -1) != -1 ||
	    errno != ENOTCONN)
		_exit(22);
}

static void
p_ready(struct ps *ps, unsigned id, void *arg)
{
	(void)ps;
	(void)arg;
	if (st.died.ns != 0 && id == W_ONE && st.deaths[id] <= 8)
		st.gap[st.deaths[id] - 1] =
		    monotime_sub_ms(monotime_now(), st.died);
	st.ready[id]++;
}

static void
p_death(struct ps *ps, unsigned id, int status, void *arg)
{
	(void)ps;
	(void)arg;
	st.deaths[id]++;
	st.status[id] = status;
	st.died = monotime_now();
}

static const struct sandbox sb = { .allow = 0, .max_files = 64 };
static const struct ps_proc procs[] = {
	{ "one", W_ONE, w_setup, w_dispatch, p_dispatch, &sb, PS_RESTART_ALWAYS,
	    NULL, NULL },
	{ "two", W_TWO, w_setup, w_dispatch, p_dispatch, &sb, PS_RESTART_ALWAYS,
	    NULL, NULL },
};
static const struct ps_proc dropped[] = {
	{ "dropped-one", W_ONE, w_setup, w_dispatch, p_dispatch, &sb,
	    PS_RESTART_ALWAYS, "nobody", NULL },
	{ "dropped-two", W_TWO, w_setup, w_dispatch, p_dispatch, &sb,
	    PS_RESTART_NEVER, "nobody", NULL },
};
static struct ps_conf conf = {
	.procs = procs,
	.nprocs = 2,
	.schema = &schema,
	.level = LL_INFO,
	.on_setup = p_setup,
	.on_ready = p_ready,
	.on_death = p_death,
#if defined(DISABLE_SANDBOX) || defined(__SANITIZE_ADDRESS__)
	.no_sandbox = true,
#endif
};
static struct event_base *base;
static struct ps *ps;

static void
start(enum mode one)
{
	st.one = one;
	base = event_base_new();
	ps = ps_start(&conf, base);
	ps_sandbox_parent(ps, NULL);
}

static void
stop(void)
{
	const unsigned order[] = { W_TWO, W_ONE, 0 };

	ps_shutdown(ps, order, 2000);
	/* The launcher has been waited for, and it has waited for them. */
	if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
		_exit(23);
	event_base_free(base);
	_exit(0);
}

/* Of the clock that libevent uses by default, in ms. */
#define COARSE 10
#define UNTIL(cond)                                           \
	while (!(cond))                                       \
		if (event_base_loop(base, EVLOOP_ONCE) == -1) \
	_exit(24)
#define CHECK(cond, code)            \
	do {                         \
		if (!(cond))         \
			_exit(code); \
	} while (0)

static void
sc_echo(void)
{
	static struct num m = { .n = 42 };
	char buf[16];
	int p[2];

	CHECK(pipe2(p, O_CLOEXEC) == 0, 30);
	start(M_EARLY);
	CHECK(st.early == 1 && ps_is_up(ps, W_ONE) && ps_is_up(ps, W_TWO), 31);
	CHECK(ps_send(ps, W_ONE, PING, &m, p[1]) == 0, 32);
	CHECK(ps_send(ps, W_TWO, PING, &m, -1) == 0, 33);
	UNTIL(st.pongs == 2);
	/* Our copy was closed when it had been sent: EOF follows. */
	CHECK(read(p[0], buf, sizeof(buf)) == 10, 34);
	CHECK(read(p[0], buf, sizeof(buf)) == 0, 35);
	CHECK(ps_send(ps, W_ONE, PONG, &m, -1) == -1 && errno == EINVAL, 36);
	CHECK(ps_send(ps, W_ONE, MODE, &m, -1) == -1 && errno == ENOTCONN, 37);
	m.s.len = SECRET_MAX + 1;
	CHECK(ps_send(ps, W_ONE, PING, &m, -1) == -1 && errno == ERANGE, 38);
	CHECK(ps_restarts(ps, W_ONE) == 0, 39);
	stop();
}

static void
sc_backoff(void)
{
	start(M_DIE);
	UNTIL(st.ready[W_ONE] == 4);
	CHECK(WIFEXITED(st.status[W_ONE]) && WEXITSTATUS(st.status[W_ONE]) == 7,
	    30);
	CHECK(st.deaths[W_TWO] == 0 && ps_restarts(ps, W_ONE) == 3, 31);
	CHECK(st.gap[0] >= 100 - COARSE && st.gap[1] >= 200 - COARSE &&
		st.gap[2] >= 400 - COARSE,
	    32);
	st.one = M_ECHO;
	stop();
}

static void
sc_five_deaths(void)
{
	start(M_DIE);
	UNTIL(false);
}

/*
 * The worker of this mode ends, by the EOF or by SIGKILL, whichever it meets
 * first; the next one behaves.
 */
static void
killed_and_replaced(enum mode bad)
{
	start(bad);
	st.one = M_ECHO;
	UNTIL(st.deaths[W_ONE] == 1);
	CHECK(st.pongs == 0 && st.early == 0, 30);
	UNTIL(st.ready[W_ONE] == 2);
	stop();
}

static void
sc_direction(void)
{
	killed_and_replaced(M_WRONG_DIRECTION);
}

static void
sc_phase(void)
{
	killed_and_replaced(M_WRONG_PHASE);
}

static void
sc_garbage(void)
{
	killed_and_replaced(M_GARBAGE);
}

static void
sc_hang(void)
{
	conf.setup_ms = 300;
	start(M_HANG);
}

static void
sc_respawn_hangs(void)
{
	start(M_QUIT);
	st.one = M_HANG;
	UNTIL(st.deaths[W_ONE] == 1);
	CHECK(st.status[W_ONE] == 0, 30);
	conf.setup_ms = 300; /* of those alone that are to hang */
	UNTIL(st.deaths[W_ONE] == 2);
	conf.setup_ms = 0;
	st.one = M_ECHO;
	UNTIL(st.ready[W_ONE] == 2);
	stop();
}

static void
sc_fail(void)
{
	start(M_FAIL);
}

static void
sc_stopped(void)
{
	static struct num m = { .n = 42 };
	const unsigned order[] = { W_ONE, W_TWO, 0 };
	struct monotime t;

	start(M_STOP_SELF);
	CHECK(ps_send(ps, W_ONE, PING, &m, -1) == 0, 32);
	UNTIL(st.pongs == 1);
	t = monotime_now();
	/* The other one has all of it to end by itself. */
	ps_shutdown(ps, order, 1000);
	CHECK(monotime_sub_ms(monotime_now(), t) >= 999, 30);
	CHECK(st.deaths[W_ONE] == 0 && st.deaths[W_TWO] == 0, 31);
	_exit(0);
}

static void
sc_exec(void)
{
	start(M_EXEC);
	st.one = M_ECHO;
	UNTIL(st.deaths[W_ONE] == 1);
	CHECK(WIFEXITED(st.status[W_ONE]) &&
		WEXITSTATUS(st.status[W_ONE]) == SANDBOX_EXIT,
	    30);
	stop();
}

static void
sc_killed(void)
{
	start(M_ECHO);
	raise(SIGKILL);
}

static void
sc_other_schema(void)
{
	conf.schema = &other_schema;
	start(M_ECHO);
}

/* The worker judges itself before it echoes. */
static void
sc_dropped(void)
{
	static struct num m = { .n = 42 };

	conf.procs = dropped;
	start(M_DROPPED);
	CHECK(ps_send(ps, W_ONE, PING, &m, -1) == 0, 30);
	UNTIL(st.pongs == 1);
	stop();
}

/* ---------------------------------------------------------------- tests --- */

/* Runs it as a child; log gets what it and its workers wrote. */
static int
run(void (*scenario)(void), char *log, size_t size)
{
	int p[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_not_equal(pid = fork(), -1);
	if (pid == 0) {
		dup2(p[1], STDERR_FILENO);
		alarm(60);
		log_init("parent", LL_INFO, STDERR_FILENO);
		scenario();
		_exit(29);
	}
	close(p[1]);
	/* EOF: launcher and workers have ended too, or we hang and fail. */
	alarm(90);
	while ((n = read(p[0], log + len, size - 1 - len)) > 0)
		len += (size_t)n;
	alarm(0);
	log[len] = '\0';
	close(p[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (getenv("VERBOSE") != NULL)
		print_message("%s", log);
	return (status);
}

static char text[65536];

static void
expect_ok(void (*scenario)(void))
{
	int status = run(scenario, text, sizeof(text));

	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		print_message("status %#x\n%s", (unsigned)status, text);
	assert_int_equal(status, 0);
}

static void
expect_fatal(void (*scenario)(void), const char *words)
{
	int status = run(scenario, text, sizeof(text));

	if (strstr(text, words) == NULL)
		print_message("status %#x\n%s", (unsigned)status, text);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_non_null(strstr(text, words));
}

static void
test_echo(void **state)
{
	(void)state;
	expect_ok(sc_echo);
	assert_null(strstr(text, "secret"));
}

static void
test_backoff(void **state)
{
	(void)state;
	expect_ok(sc_backoff);
}

static void
test_five_deaths(void **state)
{
	(void)state;
	expect_fatal(sc_five_deaths, "workerDiesTooOften");
}

static void
test_violations(void **state)
{
	(void)state;
	expect_ok(sc_direction);
	assert_non_null(strstr(text, "wrong direction"));
	expect_ok(sc_phase);
	assert_non_null(strstr(text, "wrong phase"));
	expect_ok(sc_garbage);
	assert_non_null(strstr(text, "malformed"));
}

static void
test_setup_deadline(void **state)
{
	(void)state;
	expect_fatal(sc_hang, "did not come up");
	assert_non_null(strstr(text, "workerSetupTimeout"));
	expect_fatal(sc_fail, "did not come up");
	expect_ok(sc_respawn_hangs);
	assert_non_null(strstr(text, "workerSetupTimeout"));
}

static void
test_schema_differs(void **state)
{
	(void)state;
	expect_fatal(sc_other_schema, "schema differs");
}

static void
test_shutdown_kills(void **state)
{
	(void)state;
	expect_ok(sc_stopped);
	assert_non_null(strstr(text, "workerKilled"));
	assert_non_null(strstr(text, "\"status\":-1,\"signal\":9"));
	assert_non_null(strstr(text, "\"status\":0,\"signal\":0"));
}

static void
test_parent_killed(void **state)
{
	int status;

	(void)state;
	/* run() returns at EOF: nobody holds stderr any more. */
	status = run(sc_killed, text, sizeof(text));
	assert_true(WIFSIGNALED(status));
}

static void
test_exec_dies(void **state)
{
	(void)state;
	if (conf.no_sandbox)
		skip();
	expect_ok(sc_exec);
	assert_non_null(strstr(text, "\"name\":\"execve\""));
}

static void
test_dropped(void **state)
{
	struct passwd *pw = getpwnam("nobody");
	pid_t pid;
	int status;

	(void)state;
	if (geteuid() != 0 || conf.no_sandbox || pw == NULL)
		skip();
	/* A user namespace of one user knows nobody else. */
	if ((pid = fork()) == 0)
		_exit(setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) != 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		skip();
	expect_ok(sc_dropped);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_five_deaths),
		cmocka_unit_test(test_violations),
		cmocka_unit_test(test_setup_deadline),
		cmocka_unit_test(test_schema_differs),
		cmocka_unit_test(test_shutdown_kills),
		cmocka_unit_test(test_parent_killed),
		cmocka_unit_test(test_exec_dies),
		cmocka_unit_test(test_dropped),
	};

	/* The worker's table is the one that its parent had. */
	if (argc == 3 && strncmp(argv[2], "dropped-", 8) == 0)
		conf.procs = dropped;
	ps_worker_main(argc, argv, &conf);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
