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
 * The launcher: forked before the parent reads any secret, it spawns and
 * reaps the workers for the rest of the parent's life, so that the parent
 * needs neither execve(2) nor socket(2).
 *
 * Rights: fork, execve of the workers' programs (Landlock, where it exists), kill
 * of its own children. Filters survive exec, and a worker in set-up opens
 * files and loads libraries; so the launcher's filter is a deny-list of what
 * no process of ours ever needs (seccomp_deny.c), and every worker inherits
 * it below its own allow-list.
 */

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <bsd/stdlib.h>
#include <bsd/unistd.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#define LAUNCH_GRACE_MS 2000 /* the parent is gone: EOF, then SIGKILL */

struct launcher {
	const struct ps_conf *conf;
	struct chan chan;
	pid_t pids[PS_IDS]; /* by process id; 0: none */
};

static void
on_sigchld(int sig)
{
	/* Only wakes ppoll(2). */
	(void)sig;
}

/* Fds 0 to 2 stay, keep becomes fd 3, everything above is closed. */
static void
arrange_fds(int keep)
{
	int null;

	if (log_fd() != STDERR_FILENO && dup2(log_fd(), STDERR_FILENO) == -1)
		_exit(127);
	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) != -1)
		(void)dup2(null, STDIN_FILENO);
	if (keep != PS_CHAN_FD) {
		if (dup2(keep, PS_CHAN_FD) == -1)
			_exit(127);
	} else if (fcntl(keep, F_SETFD, 0) == -1)
		_exit(127);
	if (close_range(PS_CHAN_FD + 1, ~0U, 0) == -1)
		closefrom(PS_CHAN_FD + 1);
}

int
worker_program(const struct ps_proc *p, char *path, size_t size)
{
	char self[PATH_MAX];
	ssize_t n;
	char *slash;

	if (p->exe == NULL) {
		if (strlcpy(path, "/proc/self/exe", size) < size)
			return (0);
		errno = ENAMETOOLONG;
		return (-1);
	}
	if ((n = readlink("/proc/self/exe", self, sizeof(self) - 1)) == -1)
		return (-1);
	self[n] = '\0';
	if ((slash = strrchr(self, '/')) == NULL) {
		errno = ENOENT;
		return (-1);
	}
	n = snprintf(path, size, "%.*s/%s", (int)(slash - self), self, p->exe);
	if (n < 0 || (size_t)n >= size) {
		errno = ENAMETOOLONG;
		return (-1);
	}
	return (0);
}

static void
exec_worker(const struct ps_proc *p, int sock)
{
	/* TZ: libc must not look for /etc/localtime below a sandbox. */
	static char tz[] = "TZ=UTC0", lc[] = "LC_ALL=C", flag[] = "-T";
#ifdef __SANITIZE_ADDRESS__
	static char asan[] = "ASAN_OPTIONS=abort_on_error=0";
	char *envp[5] = { tz, lc, asan };
#else
	char *envp[4] = { tz, lc };
#endif
	size_t n = 2;
	char title[32], path[PATH_MAX];
	char *argv[] = { NULL, flag, title, NULL };
	sigset_t none;

	arrange_fds(sock);
	/* Set before exec: there is no moment in which we could be missed. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	strlcpy(title, p->title, sizeof(title));
	argv[0] = title;
	while (envp[n] != NULL)
		n++;
	envp[n] = log_context_env();
	if (worker_program(p, path, sizeof(path)) == 0)
		execve(path, argv, envp);
	_exit(127);
}

static void
answer(struct launcher *l, enum launch_op op, const struct launch *msg, int fd)
{
	uint8_t buf[128];
	int n;

	if ((n = codec_encode(launch_desc(), op, msg, buf, sizeof(buf))) == -1)
		fatal("launcher: codec_encode");
	/* A parent that has ended is noticed in the loop. */
	if (chan_send(&l->chan, buf, (size_t)n, fd) == -1 && errno != ENOTCONN)
		fatal("launcher: answer");
}

static void
spawn(struct launcher *l, uint32_t id)
{
	const struct ps_proc *p = ps_proc_find(l->conf, id);
	struct launch msg = { .id = id };
	int sv[2];
	pid_t pid;

	if (p == NULL || id >= PS_IDS || l->pids[id] != 0)
		fatalx("launcher: bad spawn request, id %u", id);
	if (chan_pair(sv) == -1) {
		msg.status = errno;
		answer(l, LAUNCH_FAILED, &msg, -1);
		return;
	}
	if ((pid = fork()) == 0)
		exec_worker(p, sv[1]);
	close(sv[1]);
	if (pid == -1) {
		msg.status = errno;
		close(sv[0]);
		answer(l, LAUNCH_FAILED, &msg, -1);
		return;
	}
	l->pids[id] = pid;
	msg.pid = pid;
	answer(l, LAUNCH_SPAWNED, &msg, sv[0]);
}

static void
on_request(struct chan *c, const uint8_t *buf, size_t len, int fd, void *arg)
{
	struct launcher *l = arg;
	struct launch msg;
	uint32_t op;

	(void)c;
	if (fd != -1 || codec_peek(buf, len, &op) == -1 ||
	    codec_decode(launch_desc(), buf, len, &msg) == -1 ||
	    msg.id >= PS_IDS)
		fatalx("launcher: malformed request");
	if (op == LAUNCH_SPAWN)
		spawn(l, msg.id);
	else if (op == LAUNCH_KILL) {
		/* It may have been reaped while the request was under way. */
		if (l->pids[msg.id] != 0)
			(void)kill(l->pids[msg.id], SIGKILL);
	} else
		fatalx("launcher: unknown request %u", op);
}

/* Returns the number of children left. */
static unsigned
reap(struct launcher *l, bool report)
{
	struct launch msg;
	unsigned id, left = 0;
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (id = 0; id < PS_IDS && l->pids[id] != pid; id++)
			;
		if (id == PS_IDS)
			continue;
		l->pids[id] = 0;
		msg = (struct launch) { id, pid, status };
		if (report)
			answer(l, LAUNCH_EXIT, &msg, -1);
	}
	for (id = 0; id < PS_IDS; id++)
		left += l->pids[id] != 0;
	return (left);
}

/* The workers meet EOF at the same time as we do; who stays is killed. */
static void
on_parent_end(struct chan *c, int err, void *arg)
{
	struct launcher *l = arg;
	struct timespec tick = { 0, 5 * 1000 * 1000 };
	struct monotime deadline;
	sigset_t none;
	unsigned id;

	(void)c;
	(void)err;
	sigemptyset(&none);
	deadline = monotime_add_ms(monotime_now(), LAUNCH_GRACE_MS);
	while (reap(l, false) > 0 && monotime_cmp(monotime_now(), deadline) < 0)
		(void)ppoll(NULL, 0, &tick, &none);
	for (id = 0; id < PS_IDS; id++)
		if (l->pids[id] != 0)
			(void)kill(l->pids[id], SIGKILL);
	_exit(0);
}

static void
launcher_init(struct launcher *l, const struct ps_conf *conf, int sock)
{
	struct rlimit core = { 0, 0 };
	struct sigaction sa = { .sa_handler = on_sigchld };
	sigset_t chld;

	arrange_fds(sock);
	log_init("launcher", log_getlevel(), STDERR_FILENO);
	setproctitle("launcher");
	(void)prctl(PR_SET_NAME, "launcher");
	if (fcntl(PS_CHAN_FD, F_SETFD, FD_CLOEXEC) == -1)
		fatal("launcher: fcntl");

	/* A terminal's signals are for the parent alone; it ends us by EOF. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &chld, NULL) == -1 ||
	    sigaction(SIGCHLD, &sa, NULL) == -1 ||
	    setrlimit(RLIMIT_CORE, &core) == -1)
		fatal("launcher: set-up");
	if (!sandbox_disabled(conf)) {
		(void)prctl(PR_SET_DUMPABLE, 0);
		if (sandbox_launcher(conf) == -1)
			fatal("launcher: sandbox");
	}
	memory_settle();
	l->conf = conf;
	chan_init(&l->chan);
	chan_open(&l->chan, PS_CHAN_FD);
	l->chan.on_frame = on_request;
	l->chan.on_end = on_parent_end;
	l->chan.arg = l;
}

void
launcher_main(const struct ps_conf *conf, int sock)
{
	static struct launcher l;
	struct pollfd pfd = { .fd = PS_CHAN_FD };
	sigset_t none;

	launcher_init(&l, conf, sock);
	sigemptyset(&none);
	for (;;) {
		pfd.events = POLLIN;
		if (chan_flush(&l.chan) == -1 && errno == EAGAIN)
			pfd.events |= POLLOUT;
		if (ppoll(&pfd, 1, NULL, &none) == -1 && errno != EINTR)
			fatal("launcher: ppoll");
		(void)reap(&l, true);
		chan_drain(&l.chan, CHAN_BURST);
	}
}
