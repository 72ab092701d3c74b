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
 * The allow-list of a worker or the parent. In order of preference: what is
 * needed is allowed, with its arguments bound where they matter; what
 * libraries merely probe for answers ENOSYS, so that they take their old
 * path; everything else raises SIGSYS (seccomp_trap.c).
 */

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <seccomp.h>

#include "internal.h"

#define NR_FUTURE_FIRST 470 /* unknown when this was written */
#define NR_FUTURE_LAST  511 /* x32 begins here on x86-64 */

/* What pthread_create(3) asks for; musl adds the obsolete CLONE_DETACHED. */
#define THREAD_FLAGS                                                         \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SIGHAND | \
	    CLONE_THREAD | CLONE_SETTLS | CLONE_PARENT_SETTID |              \
	    CLONE_CHILD_CLEARTID)
#define DETACHED      0x00400000U

#define ALL           UINT64_MAX
#define EQ(n, v)      SCMP_CMP64(n, SCMP_CMP_EQ, (v))
#define BITS(n, m, v) SCMP_CMP64(n, SCMP_CMP_MASKED_EQ, (m), (v))
/* An int argument: its upper half is not the callee's business. */
#define INT(n, v)     BITS(n, 0xffffffffU, (uint32_t)(v))

struct call {
	int nr;
	unsigned need; /* SB_* bits of which one is enough, 0: base */
};

#define C(name)        { SCMP_SYS(name), 0 }
#define CN(name, need) { SCMP_SYS(name), need }

/* Allowed with any arguments. */
static const struct call allowed[] = {
	/* Memory; mmap and mprotect follow below. */
	C(brk),
	C(madvise),
	C(mremap),
	C(munmap),
	/* Open files and the channel. */
	C(close),
	C(dup),
	C(fstat),
	C(lseek),
	C(pread64),
	C(preadv),
	C(read),
	C(readv),
	C(recvfrom),
	C(recvmsg),
	C(write),
	C(writev),
	C(shutdown),
	C(getpeername),
	C(getsockname),
	C(getsockopt),
	/* Waiting. */
	C(epoll_create1),
	C(epoll_ctl),
	C(epoll_pwait),
	C(epoll_wait),
	C(eventfd2),
	C(pipe2),
	C(poll),
	C(ppoll),
	C(pselect6),
	C(select),
	C(timerfd_create),
	C(timerfd_gettime),
	C(timerfd_settime),
	/* Time. */
	C(clock_getres),
	C(clock_gettime),
	C(clock_nanosleep),
	C(gettimeofday),
	C(nanosleep),
	C(time),
	C(times),
	C(getrusage),
	/* Own signals and threads. */
	C(exit),
	C(exit_group),
	C(futex),
	C(get_robust_list),
	C(restart_syscall),
	C(rseq),
	C(rt_sigaction),
	C(rt_sigpending),
	C(rt_sigprocmask),
	C(rt_sigreturn),
	C(rt_sigtimedwait),
	C(sched_getaffinity),
	C(sched_yield),
	C(set_robust_list),
	C(set_tid_address),
	C(sigaltstack),
	C(membarrier),
	/* Who and where am I. */
	C(getcpu),
	C(getegid),
	C(geteuid),
	C(getgid),
	C(getpgrp),
	C(getpid),
	C(getppid),
	C(getrandom),
	C(gettid),
	C(getuid),
	C(sysinfo),
	C(uname),
	/* By profile. */
	CN(accept, SB_LISTEN),
	CN(accept4, SB_LISTEN),
	CN(connect, SB_INET | SB_UNIX),
	CN(fdatasync, SB_WRITEFD),
	CN(pwrite64, SB_WRITEFD),
	CN(fstatfs, SB_READFILES),
	CN(getdents64, SB_READFILES),
	CN(inotify_add_watch, SB_READFILES),
	CN(inotify_init1, SB_READFILES),
	CN(inotify_rm_watch, SB_READFILES),
	CN(access, SB_READFILES),
	CN(faccessat, SB_READFILES),
	CN(faccessat2, SB_READFILES),
	CN(lstat, SB_READFILES),
	CN(newfstatat, SB_READFILES),
	CN(readlink, SB_READFILES),
	CN(readlinkat, SB_READFILES),
	CN(stat, SB_READFILES),
	CN(statx, SB_READFILES),
	CN(wait4, SB_WAIT),
	CN(waitid, SB_WAIT),
};

/* Answers that make a library take its older or slower path. */
static const struct {
	int nr;
	int err;
	unsigned unless; /* allowed above with one of these bits */
} soft[] = {
	/* EPERM here would make pthread_create(3) fail. */
	{ SCMP_SYS(clone3), ENOSYS, 0 },
	{ SCMP_SYS(arch_prctl), ENOSYS, 0 },
	{ SCMP_SYS(cachestat), ENOSYS, 0 },
	{ SCMP_SYS(close_range), ENOSYS, 0 },
	{ SCMP_SYS(copy_file_range), ENOSYS, 0 },
	{ SCMP_SYS(epoll_pwait2), ENOSYS, 0 },
	{ SCMP_SYS(faccessat2), ENOSYS, SB_READFILES },
	{ SCMP_SYS(futex_waitv), ENOSYS, 0 },
	{ SCMP_SYS(get_mempolicy), ENOSYS, 0 },
	{ SCMP_SYS(getrlimit), ENOSYS, 0 },
	{ SCMP_SYS(io_uring_setup), ENOSYS, 0 },
	{ SCMP_SYS(landlock_create_ruleset), ENOSYS, 0 },
	{ SCMP_SYS(memfd_create), ENOSYS, 0 },
	{ SCMP_SYS(memfd_secret), ENOSYS, 0 },
	{ SCMP_SYS(openat2), ENOSYS, 0 },
	{ SCMP_SYS(pidfd_open), ENOSYS, 0 },
	{ SCMP_SYS(pkey_alloc), ENOSYS, 0 },
	{ SCMP_SYS(recvmmsg), ENOSYS, 0 },
	{ SCMP_SYS(sched_setaffinity), EPERM, 0 },
	{ SCMP_SYS(sched_setscheduler), EPERM, 0 },
	{ SCMP_SYS(sendfile), EINVAL, 0 },
	{ SCMP_SYS(sendmmsg), ENOSYS, 0 },
	{ SCMP_SYS(statx), ENOSYS, SB_READFILES },
	{ SCMP_SYS(mlock), EPERM, 0 },
	{ SCMP_SYS(mlock2), ENOSYS, 0 },
};

static int
add(scmp_filter_ctx ctx, uint32_t action, int nr, unsigned n,
    const struct scmp_arg_cmp *cmp)
{
	int rc;

	/* A call that this architecture does not have needs no rule. */
	if (nr < 0)
		return (0);
	rc = seccomp_rule_add_array(ctx, action, nr, n, cmp);
	if (rc < 0 && rc != -EDOM && rc != -EEXIST) {
		errno = -rc;
		return (-1);
	}
	return (0);
}

#define ALLOW(ctx, name, ...)                                 \
	add((ctx), SCMP_ACT_ALLOW, SCMP_SYS(name),            \
	    sizeof((struct scmp_arg_cmp[]) { __VA_ARGS__ }) / \
		sizeof(struct scmp_arg_cmp),                  \
	    (const struct scmp_arg_cmp[]) { __VA_ARGS__ })

static int
add_tables(scmp_filter_ctx ctx, unsigned allow)
{
	size_t i;
	int nr;

	for (i = 0; i < PS_NITEMS(allowed); i++)
		if ((allowed[i].need == 0 || allowed[i].need & allow) &&
		    add(ctx, SCMP_ACT_ALLOW, allowed[i].nr, 0, NULL) == -1)
			return (-1);
	for (i = 0; i < PS_NITEMS(soft); i++)
		if (!(soft[i].unless & allow) &&
		    add(ctx, SCMP_ACT_ERRNO((uint16_t)soft[i].err), soft[i].nr,
			0, NULL) == -1)
			return (-1);
	/* A libc of tomorrow probes for calls that we do not know. */
	for (nr = NR_FUTURE_FIRST; nr <= NR_FUTURE_LAST; nr++)
		if (add(ctx, SCMP_ACT_ERRNO(ENOSYS), nr, 0, NULL) == -1)
			return (-1);
	return (0);
}

/* Memory is never executable, and signals reach ourselves only. */
static int
add_self(scmp_filter_ctx ctx)
{
	uint32_t self = (uint32_t)getpid();

	if (ALLOW(ctx, mmap, BITS(2, PROT_EXEC, 0)) == -1 ||
	    ALLOW(ctx, mprotect, BITS(2, PROT_EXEC, 0)) == -1 ||
	    ALLOW(ctx, kill, INT(0, self)) == -1 ||
	    ALLOW(ctx, tgkill, INT(0, self)) == -1 ||
	    ALLOW(ctx, prctl, INT(0, PR_SET_NAME)) == -1 ||
	    ALLOW(ctx, prctl, INT(0, PR_GET_NAME)) == -1 ||
	    ALLOW(ctx, prctl, INT(0, PR_GET_DUMPABLE)) == -1 ||
	    ALLOW(ctx, prctl, INT(0, PR_SET_VMA)) == -1)
		return (-1);
	/* Own limits may be read (sysconf(3)), none may be set. */
	return (ALLOW(ctx, prlimit64, INT(0, 0), EQ(2, 0)));
}

/*
 * Fds. fcntl(F_SETOWN) and its ioctl would send SIGIO to whom they name, so
 * commands are listed. fstat(3) of some libcs is newfstatat("", EMPTY_PATH).
 */
static int
add_fds(scmp_filter_ctx ctx, unsigned allow)
{
	static const int cmds[] = { F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD,
		F_DUPFD_CLOEXEC };
	static const unsigned reqs[] = { FIONBIO, FIONREAD, FIOCLEX };
	size_t i;

	for (i = 0; i < PS_NITEMS(cmds); i++)
		if (ALLOW(ctx, fcntl, INT(1, cmds[i])) == -1)
			return (-1);
	for (i = 0; i < PS_NITEMS(reqs); i++)
		if (ALLOW(ctx, ioctl, INT(1, reqs[i])) == -1)
			return (-1);
	/* isatty(3), by stdio. */
	if (add(ctx, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 1,
		&INT(1, TCGETS)) == -1)
		return (-1);
	if (!(allow & SB_READFILES))
		return (ALLOW(
		    ctx, newfstatat, BITS(3, AT_EMPTY_PATH, AT_EMPTY_PATH)));
	if (ALLOW(ctx, openat, BITS(2, O_ACCMODE | O_CREAT | O_TRUNC, 0)) == -1)
		return (-1);
	return (ALLOW(ctx, open, BITS(1, O_ACCMODE | O_CREAT | O_TRUNC, 0)));
}

/*
 * Sending. MSG_FASTOPEN connects without connect(2) and so passes Landlock's
 * ports; a destination would make any datagram socket speak to anyone.
 */
static int
add_sending(scmp_filter_ctx ctx)
{
	static const int levels[] = { SOL_SOCKET, IPPROTO_TCP, IPPROTO_IP,
		IPPROTO_IPV6 };
	size_t i;

	if (ALLOW(ctx, sendto, BITS(3, MSG_FASTOPEN, 0), EQ(4, 0)) == -1 ||
	    ALLOW(ctx, sendmsg, BITS(2, MSG_FASTOPEN, 0)) == -1)
		return (-1);
	for (i = 0; i < PS_NITEMS(levels); i++)
		if (ALLOW(ctx, setsockopt, INT(1, levels[i])) == -1)
			return (-1);
	return (0);
}

/* TCP only, by family, type and protocol (no MPTCP). */
static int
add_inet(scmp_filter_ctx ctx)
{
	static const int families[] = { AF_INET, AF_INET6 };
	static const int protos[] = { 0, IPPROTO_TCP };
	const uint64_t type =
	    0xffffffffU & ~(uint64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC);
	size_t i, k;

	for (i = 0; i < PS_NITEMS(families); i++)
		for (k = 0; k < PS_NITEMS(protos); k++)
			if (ALLOW(ctx, socket, INT(0, families[i]),
				BITS(1, type, SOCK_STREAM),
				INT(2, protos[k])) == -1)
				return (-1);
	/* libcurl's wake-up. A stream pair cannot be connected elsewhere. */
	return (ALLOW(ctx, socketpair, INT(0, AF_UNIX),
	    BITS(1, type, SOCK_STREAM), INT(2, 0)));
}

/* A path to connect to is not the filter's to see; Landlock rules none. */
static int
add_unix(scmp_filter_ctx ctx)
{
	const uint64_t type =
	    0xffffffffU & ~(uint64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC);

	return (ALLOW(ctx, socket, INT(0, AF_UNIX), BITS(1, type, SOCK_STREAM),
	    INT(2, 0)));
}

/* Threads, never processes. Without the right pthread_create says EAGAIN. */
static int
add_threads(scmp_filter_ctx ctx, unsigned allow)
{
	return (add(ctx,
	    allow & SB_THREADS ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EAGAIN),
	    SCMP_SYS(clone), 1,
	    &BITS(0, ALL & ~(uint64_t)DETACHED, THREAD_FLAGS)));
}

int
seccomp_allow_list(unsigned allow)
{
	scmp_filter_ctx ctx;
	int rc = -1, err;

	if ((ctx = seccomp_init(SCMP_ACT_TRAP)) == NULL) {
		errno = ENOMEM;
		return (-1);
	}
	/* A binary tree instead of a chain: this is on every call's path. */
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if ((err = seccomp_attr_set(
		 ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS)) < 0 ||
	    (err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1)) < 0) {
		errno = -err;
		goto out;
	}
	if (add_tables(ctx, allow) == -1 || add_self(ctx) == -1 ||
	    add_fds(ctx, allow) == -1 || add_sending(ctx) == -1 ||
	    add_threads(ctx, allow) == -1 ||
	    (allow & SB_INET && add_inet(ctx) == -1) ||
	    (allow & SB_UNIX && add_unix(ctx) == -1))
		goto out;
	if ((err = seccomp_load(ctx)) < 0) {
		errno = -err;
		goto out;
	}
	rc = 0;
out:
	seccomp_release(ctx);
	return (rc);
}
