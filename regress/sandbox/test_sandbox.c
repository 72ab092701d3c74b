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
 * Each combination of SB_* bits, with Landlock and without: what is
 * forbidden fails, what is permitted works. The controls show that the
 * drills would succeed without a sandbox.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>

#include "drill.h"
#include "internal.h"

#define MASK_ALL (SB_INET | SB_LISTEN | SB_THREADS | SB_READFILES)

static char dir_ok[64], file_ok[96], file_secret[96];
static const char *paths[] = { dir_ok, NULL };
static uint16_t ports[2];
static int listener, listener2, devnull;
static uint16_t port2;
static struct drill_target target;
static int abi; /* the sandbox hides it */

struct profile {
	struct sandbox sb;
	bool landlock;
};

static int
enter(void *arg)
{
	const struct profile *p = arg;

	return (sandbox_enter(&p->sb, "drill", p->landlock));
}

static int
enter_nothing(void *arg)
{
	(void)arg;
	return (0);
}

static struct profile
profile(unsigned allow, bool landlock)
{
	return ((struct profile) { { .allow = allow,
				       .paths = paths,
				       .connect_ports = ports,
				       .max_files = 64,
				       .max_as = 1ULL << 31 },
	    landlock });
}

/* ------------------------------------------------------ permitted work --- */

#define NEED(cond)                                                            \
	do {                                                                  \
		if (!(cond)) {                                                \
			fprintf(stderr, "line %d: %s: %s\n", __LINE__, #cond, \
			    strerror(errno));                                 \
			return (-1);                                          \
		}                                                             \
	} while (0)

static volatile sig_atomic_t got_usr1;

static void
on_usr1(int sig)
{
	(void)sig;
	got_usr1 = 1;
}

static int
work_limits(void)
{
	struct rlimit rl;

	NEED(getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_max == 64);
	NEED(getrlimit(RLIMIT_CORE, &rl) == 0 && rl.rlim_max == 0);
	return (0);
}

static int
work_base(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct itimerspec its = { .it_value = { 0, 1000000 } };
	struct timespec ts = { 0, 1000 };
	char rnd[16], *p;
	uint64_t v = 1;
	int ep, efd, tfd, pp[2];
	struct stat sb;

	NEED((p = malloc(1 << 20)) != NULL);
	memset(p, 1, 1 << 20);
	NEED((p = realloc(p, 1 << 24)) != NULL);
	free(p);
	NEED((ep = epoll_create1(EPOLL_CLOEXEC)) != -1);
	NEED((efd = eventfd(0, EFD_NONBLOCK)) != -1);
	NEED((tfd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK)) != -1);
	NEED(timerfd_settime(tfd, 0, &its, NULL) == 0);
	NEED(epoll_ctl(ep, EPOLL_CTL_ADD, tfd, &ev) == 0);
	NEED(epoll_wait(ep, &ev, 1, 5000) == 1);
	NEED(write(efd, &v, sizeof(v)) == sizeof(v));
	NEED(pipe2(pp, O_CLOEXEC) == 0);
	NEED(fcntl(pp[0], F_SETFL, O_NONBLOCK) == 0);
	NEED(read(pp[0], rnd, 1) == -1 && errno == EAGAIN);
	NEED(fstat(pp[0], &sb) == 0);
	NEED(getrandom(rnd, sizeof(rnd), 0) == sizeof(rnd));
	NEED(nanosleep(&ts, NULL) == 0);
	NEED(prctl(PR_SET_NAME, "drill") == 0);
	NEED(signal(SIGUSR1, on_usr1) != SIG_ERR);
	NEED(raise(SIGUSR1) == 0 && got_usr1);
	NEED(kill(getpid(), 0) == 0);
	NEED(monotime_now().ns > 0);
	log_ev(LL_WARN, "drill", KVS("works", "yes"));
	/* What libraries probe for. */
	NEED(syscall(435, NULL, 0) == -1 && errno == ENOSYS); /* clone3 */
	NEED(syscall(480) == -1 && errno == ENOSYS);
	return (0);
}

static int
dial(uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct pollfd pfd = { .events = POLLOUT };
	socklen_t len = sizeof(int);
	int s, one = 1, err;

	if ((s = socket(
		 AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) == -1)
		return (-1);
	if (connect(s, (struct sockaddr *)&sin, sizeof(sin)) == -1 &&
	    errno != EINPROGRESS) {
		close(s);
		return (-1);
	}
	pfd.fd = s;
	if (poll(&pfd, 1, 5000) != 1 ||
	    getsockopt(s, SOL_SOCKET, SO_ERROR, &err, &len) == -1 ||
	    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == -1 ||
	    send(s, "x", 1, MSG_NOSIGNAL) != 1)
		return (-1);
	return (s);
}

static int
work_inet(bool landlock)
{
	int s, n, sv[2];

	NEED((s = dial(ports[0])) != -1);
	NEED(ioctl(s, FIONREAD, &n) == 0);
	NEED(shutdown(s, SHUT_RDWR) == 0 && close(s) == 0);
	NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
	NEED((s = socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP)) != -1 ||
	    errno == EAFNOSUPPORT);
	/* Another port: only Landlock knows. */
	s = dial(port2);
	if (landlock && abi >= 4)
		NEED(s == -1 && errno == EACCES);
	else
		NEED(s != -1);
	return (0);
}

static void *
thread(void *arg)
{
	*(int *)arg = 1;
	return (NULL);
}

static int
work_threads(bool may)
{
	pthread_t t;
	int rc, ran = 0;

	rc = pthread_create(&t, NULL, thread, &ran);
	if (!may) {
		NEED(rc == EAGAIN);
		return (0);
	}
	NEED(rc == 0 && pthread_join(t, NULL) == 0 && ran);
	return (0);
}

static int
work_files(void)
{
	struct stat sb;
	DIR *dir;
	char c;
	int fd;

	NEED((fd = open(file_ok, O_RDONLY | O_CLOEXEC)) != -1);
	NEED(read(fd, &c, 1) == 1);
	NEED(stat(file_ok, &sb) == 0);
	NEED((dir = opendir(dir_ok)) != NULL && readdir(dir) != NULL);
	closedir(dir);
	NEED(open(file_ok, O_RDWR) == -1 && errno == EACCES);
	NEED(open(file_ok, O_RDONLY | O_TRUNC) == -1 && errno == EACCES);
	return (0);
}

static const struct profile *current;

static int
work(const struct drill_target *t)
{
	unsigned allow = current->sb.allow;

	(void)t;
	NEED(work_base() == 0 && work_limits() == 0);
	if (allow & SB_INET)
		NEED(work_inet(current->landlock) == 0);
	else
		NEED(dial(ports[0]) == -1 && errno == EACCES);
	if (allow & SB_LISTEN) {
		NEED(accept4(listener, NULL, NULL, SOCK_NONBLOCK) != -1 ||
		    errno == EAGAIN);
		NEED(listen(listener, 1) == -1 && errno == EACCES);
	}
	if (allow & SB_READFILES)
		NEED(work_files() == 0);
	NEED(work_threads(allow & SB_THREADS) == 0);
	return (0);
}

/* ---------------------------------------------------------------- tests --- */

static const char *
describe(const struct profile *p)
{
	static char buf[80];

	snprintf(buf, sizeof(buf), "allow %#x, %s Landlock", p->sb.allow,
	    p->landlock ? "with" : "without");
	return (buf);
}

static void
expect_held(const struct drill *d, struct profile *p)
{
	enum drill_end end;
	int err;

	end = drill_run(d, &target, enter, p, devnull, &err);
	if (end != DRILL_DENIED && end != DRILL_TRAPPED)
		fail_msg("%s is not held (%d, %#x) under %s", d->name, (int)end,
		    (unsigned)err, describe(p));
}

static void
for_each_profile(void (*fn)(struct profile *))
{
	struct profile p;
	unsigned allow;
	int landlock;

	for (allow = 0; allow <= MASK_ALL; allow++)
		for (landlock = 0; landlock < 2; landlock++) {
			p = profile(allow, landlock);
			fn(&p);
		}
}

static void
forbidden(struct profile *p)
{
	size_t i;

	for (i = 0; i < PS_NITEMS(drill_forbidden); i++)
		expect_held(&drill_forbidden[i], p);
	/* Which files may be read, seccomp cannot tell. */
	if (!(p->sb.allow & SB_READFILES) || (p->landlock && abi >= 1))
		expect_held(&drill_secret, p);
}

static void
test_forbidden(void **state)
{
	(void)state;
	for_each_profile(forbidden);
	/* None of it has hurt the sibling or the secret. */
	assert_int_equal(kill(target.sibling, 0), 0);
	assert_int_equal(access(file_secret, R_OK), 0);
}

static void
permitted(struct profile *p)
{
	const struct drill d = { "work", work };
	enum drill_end end;
	int err;

	current = p;
	end = drill_run(&d, &target, enter, p, devnull, &err);
	if (end != DRILL_DONE)
		fail_msg("permitted work fails (%d, %#x) under %s", (int)end,
		    (unsigned)err, describe(p));
}

static void
test_permitted(void **state)
{
	(void)state;
	for_each_profile(permitted);
}

/* Without a sandbox these succeed, so that their failure means something. */
static void
test_controls(void **state)
{
	static const char *const names[] = {
		"execve",
		"execveat",
		"fork",
		"create",
		"unix",
		"netlink",
		"udp",
		"ptrace",
		"kill_sibling",
		"kill_parent",
		"kill_group",
		"kill_all",
		"tgkill",
		"tkill",
		"sigqueue",
		"pidfd",
		"mprotect_exec",
		"dumpable",
		"raise_limit",
	};
	const struct drill *d;
	size_t i, k;
	int err;

	(void)state;
	for (i = 0; i < PS_NITEMS(names); i++) {
		for (k = 0; strcmp(drill_forbidden[k].name, names[i]); k++)
			;
		d = &drill_forbidden[k];
		if (drill_run(d, &target, enter_nothing, NULL, devnull, &err) !=
		    DRILL_DONE)
			fail_msg("control %s: %s", d->name, strerror(err));
	}
	assert_int_equal(drill_run(&drill_secret, &target, enter_nothing, NULL,
			     devnull, &err),
	    DRILL_DONE);
	(void)unlink("/tmp/drill-created");
}

/* What is trapped leaves one line that names it. */
static void
test_log_line(void **state)
{
	struct profile p = profile(0, true);
	char buf[1024] = "";
	int pp[2], err;

	(void)state;
	assert_int_equal(pipe2(pp, O_CLOEXEC), 0);
	assert_int_equal(
	    drill_run(&drill_forbidden[0], &target, enter, &p, pp[1], &err),
	    DRILL_TRAPPED);
	assert_true(read(pp[0], buf, sizeof(buf) - 1) > 0);
	assert_non_null(strstr(buf, "\"msg\":\"sandboxViolation\""));
	assert_non_null(strstr(buf, "\"proc\":\"drill\""));
	assert_non_null(strstr(buf, "\"name\":\"execve\""));
	assert_non_null(strstr(buf, "\"action\":\"exit\"}\n"));
	assert_int_equal(
	    drill_run(&drill_secret, &target, enter, &p, pp[1], &err),
	    DRILL_DENIED);
	assert_int_equal(err, EACCES);
	assert_true(read(pp[0], buf, sizeof(buf) - 1) > 0);
	assert_non_null(strstr(buf, "\"action\":\"EACCES\"}\n"));
}

#ifdef __x86_64__
static int
call_i386(const struct drill_target *t)
{
	long rc;

	(void)t;
	__asm__ volatile("int $0x80" : "=a"(rc) : "0"(20L) : "memory");
	return (rc < 0 ? -1 : 0);
}

static int
call_x32(const struct drill_target *t)
{
	(void)t;
	return ((int)syscall(0x40000000 | SYS_getpid));
}
#endif

/* Another architecture's numbers would mean other calls. */
static void
test_foreign_arch(void **state)
{
#ifdef __x86_64__
	const struct drill i386 = { "i386", call_i386 };
	const struct drill x32 = { "x32", call_x32 };
	struct profile p = profile(MASK_ALL, false);
	enum drill_end end;
	int err;

	(void)state;
	assert_int_equal(
	    drill_run(&x32, &target, enter, &p, devnull, &err), DRILL_TRAPPED);
	end = drill_run(&i386, &target, enter, &p, devnull, &err);
	/* A kernel without the i386 entry answers SIGSEGV. */
	if (end == DRILL_OTHER)
		assert_int_equal(err & 0x7f, SIGSEGV);
	else
		assert_int_equal(end, DRILL_TRAPPED);
#else
	(void)state;
	skip();
#endif
}

static int
call_abort(const struct drill_target *t)
{
	(void)t;
	abort();
}

/* A worker that finds its own state broken must be able to say so. */
static void
test_abort(void **state)
{
	const struct drill d = { "abort", call_abort };
	struct profile p = profile(0, true);
	int err;

	(void)state;
	assert_int_equal(
	    drill_run(&d, &target, enter, &p, devnull, &err), DRILL_OTHER);
	assert_true(WIFSIGNALED(err) && WTERMSIG(err) == SIGABRT);
}

static void *
sleeper(void *arg)
{
	for (;;)
		pause();
	return (arg);
}

static int
thread_and_enter(void *arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, sleeper, NULL) != 0)
		return (-1);
	return (enter(arg) == -1 && errno == EBUSY ? 0 : -1);
}

static int
call_nothing(const struct drill_target *t)
{
	(void)t;
	return (0);
}

/* Landlock would leave the other thread free: refused. */
static void
test_threads_before(void **state)
{
	const struct drill d = { "nothing", call_nothing };
	struct profile p = profile(SB_THREADS, true);
	int err;

	(void)state;
	assert_int_equal(
	    drill_run(&d, &target, thread_and_enter, &p, devnull, &err),
	    DRILL_DONE);
}

static int
enter_parent(void *arg)
{
	(void)arg;
	return (sandbox_parent(paths));
}

static int
parent_work(const struct drill_target *t)
{
	(void)t;
	NEED(work_base() == 0);
	NEED(work_files() == 0);
	NEED(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
	return (0);
}

/* The parent reads its folders, and waits for the launcher. */
static void
test_parent(void **state)
{
	const struct drill d = { "parent", parent_work };
	enum drill_end end;
	size_t i;
	int err;

	(void)state;
	for (i = 0; i < PS_NITEMS(drill_forbidden); i++) {
		end = drill_run(&drill_forbidden[i], &target, enter_parent,
		    NULL, devnull, &err);
		if (end != DRILL_DENIED && end != DRILL_TRAPPED)
			fail_msg("parent: %s is not held (%d, %#x)",
			    drill_forbidden[i].name, (int)end, (unsigned)err);
	}
	if (abi >= 1)
		assert_int_equal(drill_run(&drill_secret, &target, enter_parent,
				     NULL, devnull, &err),
		    DRILL_DENIED);
	assert_int_equal(
	    drill_run(&d, &target, enter_parent, NULL, devnull, &err),
	    DRILL_DONE);
}

static int
enter_launcher(void *arg)
{
	static const struct ps_proc self = { .title = "self", .id = 1 };
	static const struct ps_conf conf = { .procs = &self, .nprocs = 1 };

	(void)arg;
	return (sandbox_launcher(&conf));
}

/* What holds in a worker's set-up, before it closes its own sandbox. */
static void
test_launcher(void **state)
{
	static const char *const names[] = {
		"packet",
		"vsock",
		"alg",
		"ptrace",
		"vm_read",
		"unshare",
		"bpf",
		"io_uring",
		"execve",
		"execveat",
	};
	size_t i, k, n = PS_NITEMS(names);
	int err;

	(void)state;
	if (abi == 0)
		n -= 2; /* what may be executed, only Landlock knows */
	for (i = 0; i < n; i++) {
		for (k = 0; strcmp(drill_forbidden[k].name, names[i]); k++)
			;
		if (drill_run(&drill_forbidden[k], &target, enter_launcher,
			NULL, devnull, &err) != DRILL_DENIED)
			fail_msg("launcher: %s is not held", names[i]);
	}
	/* Set-up opens files and connects. */
	assert_int_equal(drill_run(&drill_secret, &target, enter_launcher, NULL,
			     devnull, &err),
	    DRILL_DONE);
}

static int
listen_on(uint16_t *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(sin);
	int s;

	s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s == -1 || bind(s, (struct sockaddr *)&sin, len) == -1 ||
	    listen(s, 128) == -1 ||
	    getsockname(s, (struct sockaddr *)&sin, &len) == -1)
		return (-1);
	*port = ntohs(sin.sin_port);
	return (s);
}

static int
put_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	if (fd == -1 || write(fd, "x", 1) != 1)
		return (-1);
	return (close(fd));
}

static int
set_up(void **state)
{
	(void)state;
	snprintf(dir_ok, sizeof(dir_ok), "/tmp/drill.XXXXXX");
	if (mkdtemp(dir_ok) == NULL)
		return (-1);
	snprintf(file_ok, sizeof(file_ok), "%s/file", dir_ok);
	snprintf(file_secret, sizeof(file_secret), "%s.secret", dir_ok);
	if (put_file(file_ok) == -1 || put_file(file_secret) == -1 ||
	    (listener = listen_on(&ports[0])) == -1 ||
	    (listener2 = listen_on(&port2)) == -1 ||
	    (devnull = open("/dev/null", O_WRONLY | O_CLOEXEC)) == -1)
		return (-1);
	target.secret = file_secret;
	if (setpgid(0, 0) == -1) /* kill(0, ...) hits us alone */
		return (-1);
	if ((target.sibling = fork()) == 0) {
		signal(SIGTERM, SIG_IGN);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return (target.sibling == -1 ? -1 : 0);
}

static int
tear_down(void **state)
{
	(void)state;
	kill(target.sibling, SIGKILL);
	waitpid(target.sibling, NULL, 0);
	unlink(file_ok);
	unlink(file_secret);
	return (rmdir(dir_ok));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_controls),
		cmocka_unit_test(test_forbidden),
		cmocka_unit_test(test_permitted),
		cmocka_unit_test(test_log_line),
		cmocka_unit_test(test_foreign_arch),
		cmocka_unit_test(test_parent),
		cmocka_unit_test(test_launcher),
		cmocka_unit_test(test_abort),
		cmocka_unit_test(test_threads_before),
	};

#ifdef __SANITIZE_ADDRESS__
	/* Its own system calls would be on trial. 77: skipped, for automake. */
	return (77);
#endif
	abi = sandbox_landlock_abi();
	print_message("Landlock ABI %d\n", abi);
	return (cmocka_run_group_tests(tests, set_up, tear_down));
}
