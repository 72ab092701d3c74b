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
 * Drills: what a process below a sandbox must not be able to do, each tried
 * in a forked child that closes the sandbox itself. Header-only, so that the
 * drills of the real workers can use it: they pass an enter function that
 * does their set-up first.
 */

#ifndef REGRESS_SANDBOX_DRILL_H
#define REGRESS_SANDBOX_DRILL_H

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "privsep.h"

/* What came of one attempt. */
enum drill_end {
	DRILL_DONE,    /* it succeeded */
	DRILL_DENIED,  /* an errno: EACCES, EPERM, ENOSYS, EAGAIN */
	DRILL_TRAPPED, /* SIGSYS, by the handler or by the kernel */
	DRILL_OTHER    /* anything else: the drill itself is broken */
};

struct drill_target {
	const char *secret; /* a file that exists and is readable */
	pid_t sibling;      /* alive, and a child of ours */
};

struct drill {
	const char *name;
	/* 0, or -1 with errno; runs below the sandbox. */
	int (*attempt)(const struct drill_target *);
};

/* Close the sandbox: 0 or -1. */
typedef int (*drill_enter)(void *);

/* Run one attempt in a child. The log lines go to the given fd. */
static inline enum drill_end
drill_run(const struct drill *d, const struct drill_target *t,
    drill_enter enter, void *arg, int logfd, int *err)
{
	int p[2], status, code[2] = { -1, 0 };
	ssize_t n;
	pid_t pid;

	*err = 0;
	if (pipe2(p, O_CLOEXEC) == -1 || (pid = fork()) == -1)
		return (DRILL_OTHER);
	if (pid == 0) {
		close(p[0]);
		log_init("drill", LL_WARN, logfd);
		if (enter(arg) == -1)
			_exit(99);
		code[0] = d->attempt(t);
		code[1] = errno;
		if (write(p[1], code, sizeof(code)) != sizeof(code))
			_exit(98);
		_exit(0);
	}
	close(p[1]);
	n = read(p[0], code, sizeof(code));
	close(p[0]);
	if (waitpid(pid, &status, 0) != pid)
		return (DRILL_OTHER);
	if (sandbox_violated(status))
		return (DRILL_TRAPPED);
	/* The pipe closed without a word, exit 0: it became another program. */
	if (status == 0 && n == 0)
		return (DRILL_DONE);
	if (status != 0 || n != sizeof(code)) {
		*err = status;
		return (DRILL_OTHER);
	}
	if (code[0] == 0)
		return (DRILL_DONE);
	*err = code[1];
	switch (*err) {
	case EACCES:
	case EPERM:
	case ENOSYS:
	case EAGAIN:
		return (DRILL_DENIED);
	default:
		return (DRILL_OTHER);
	}
}

/* ------------------------------------------------ forbidden, everywhere --- */

static inline int
drill_execve(const struct drill_target *t)
{
	char path[] = "/bin/true", *argv[] = { path, NULL };

	(void)t;
	return (execve(path, argv, argv + 1));
}

static inline int
drill_execveat(const struct drill_target *t)
{
	char path[] = "/bin/true", *argv[] = { path, NULL };

	(void)t;
	return ((int)syscall(SYS_execveat, AT_FDCWD, path, argv, argv + 1, 0));
}

static inline int
drill_fork(const struct drill_target *t)
{
	pid_t pid;

	(void)t;
	if ((pid = fork()) == 0)
		_exit(0);
	return (pid == -1 ? -1 : 0);
}

static inline int
drill_open_secret(const struct drill_target *t)
{
	return (open(t->secret, O_RDONLY) == -1 ? -1 : 0);
}

static inline int
drill_create(const struct drill_target *t)
{
	(void)t;
	return (open("/tmp/drill-created", O_CREAT | O_WRONLY, 0600) == -1 ?
		-1 :
		0);
}

static inline int
drill_unlink(const struct drill_target *t)
{
	return (unlink(t->secret));
}

static inline int
drill_socket(int domain, int type, int proto)
{
	return (socket(domain, type, proto) == -1 ? -1 : 0);
}

#define DRILL_SOCKET(name, domain, type, proto)                      \
	static inline int drill_##name(const struct drill_target *t) \
	{                                                            \
		(void)t;                                             \
		return (drill_socket((domain), (type), (proto)));    \
	}

DRILL_SOCKET(unix, AF_UNIX, SOCK_STREAM, 0)
DRILL_SOCKET(netlink, AF_NETLINK, SOCK_RAW, 0)
DRILL_SOCKET(packet, AF_PACKET, SOCK_RAW, 0)
DRILL_SOCKET(udp, AF_INET, SOCK_DGRAM, 0)
DRILL_SOCKET(udp6, AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)
DRILL_SOCKET(raw, AF_INET, SOCK_RAW, 6)
DRILL_SOCKET(mptcp, AF_INET, SOCK_STREAM, 262)
DRILL_SOCKET(vsock, AF_VSOCK, SOCK_STREAM, 0)
DRILL_SOCKET(alg, AF_ALG, SOCK_SEQPACKET, 0)

static inline int
drill_ptrace(const struct drill_target *t)
{
	return ((int)ptrace(PTRACE_ATTACH, t->sibling, NULL, NULL));
}

static inline int
drill_vm_read(const struct drill_target *t)
{
	return ((int)syscall(
	    SYS_process_vm_readv, t->sibling, NULL, 0, NULL, 0, 0));
}

static inline int
drill_kill_sibling(const struct drill_target *t)
{
	return (kill(t->sibling, SIGTERM));
}

static inline int
drill_kill_parent(const struct drill_target *t)
{
	(void)t;
	return (kill(getppid(), SIGCONT));
}

static inline int
drill_kill_group(const struct drill_target *t)
{
	(void)t;
	return (kill(0, SIGCONT));
}

static inline int
drill_kill_all(const struct drill_target *t)
{
	(void)t;
	/* The null signal: should it pass, nobody is hurt. */
	return (kill(-1, 0));
}

static inline int
drill_tgkill(const struct drill_target *t)
{
	return ((int)syscall(SYS_tgkill, t->sibling, t->sibling, SIGTERM));
}

static inline int
drill_tkill(const struct drill_target *t)
{
	return ((int)syscall(SYS_tkill, t->sibling, SIGTERM));
}

static inline int
drill_sigqueue(const struct drill_target *t)
{
	union sigval v = { 0 };

	return (sigqueue(t->sibling, SIGTERM, v));
}

/* SIGIO at a distance. */
static inline int
drill_setown(const struct drill_target *t)
{
	return (fcntl(STDERR_FILENO, F_SETOWN, t->sibling));
}

static inline int
drill_pidfd(const struct drill_target *t)
{
	return (syscall(SYS_pidfd_open, t->sibling, 0) == -1 ? -1 : 0);
}

static inline int
drill_mprotect_exec(const struct drill_target *t)
{
	static char page[8192] __attribute__((aligned(4096)));

	(void)t;
	return (mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

static inline int
drill_dumpable(const struct drill_target *t)
{

	(void)t;
	return (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static inline int
drill_raise_limit(const struct drill_target *t)
{
	/* prlimit64(2) of another process. */
	return (
	    (int)syscall(SYS_prlimit64, t->sibling, RLIMIT_NOFILE, NULL, NULL));
}

static inline int
drill_unshare(const struct drill_target *t)
{
	(void)t;
	return (unshare(CLONE_NEWUSER));
}

static inline int
drill_bpf(const struct drill_target *t)
{
	(void)t;
	return ((int)syscall(SYS_bpf, 0, NULL, 0));
}

static inline int
drill_setuid(const struct drill_target *t)
{
	(void)t;
	return (setuid(0));
}

static inline int
drill_io_uring(const struct drill_target *t)
{
	char params[256] = { 0 };

	(void)t;
	return (syscall(SYS_io_uring_setup, 4, params) == -1 ? -1 : 0);
}

/* TCP fast open connects without connect(2). */
static inline int
drill_fastopen(const struct drill_target *t)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	(void)t;
	return (sendto(STDERR_FILENO, "x", 1, MSG_FASTOPEN,
		    (struct sockaddr *)&sun, sizeof(sun)) == -1 ?
		-1 :
		0);
}

#define D(n) { #n, drill_##n }

/* No profile may do any of these. */
static const struct drill drill_forbidden[] = {
	D(execve),
	D(execveat),
	D(fork),
	D(create),
	D(unlink),
	D(unix),
	D(netlink),
	D(packet),
	D(udp),
	D(udp6),
	D(raw),
	D(mptcp),
	D(vsock),
	D(alg),
	D(ptrace),
	D(vm_read),
	D(kill_sibling),
	D(kill_parent),
	D(kill_group),
	D(kill_all),
	D(tgkill),
	D(tkill),
	D(sigqueue),
	D(setown),
	D(pidfd),
	D(mprotect_exec),
	D(dumpable),
	D(raise_limit),
	D(unshare),
	D(bpf),
	D(setuid),
	D(io_uring),
	D(fastopen),
};

/* Without SB_READFILES, or outside its paths where Landlock exists. */
static const struct drill drill_secret = D(open_secret);

#undef D

#endif /* REGRESS_SANDBOX_DRILL_H */
