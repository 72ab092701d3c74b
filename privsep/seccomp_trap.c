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
 * SIGSYS: what the filter did not allow. Calls that a library may well try
 * and survive without (a file, a foreign socket) are answered EACCES and
 * logged; any other ends the process after one log line. All of it is
 * async-signal-safe: no stdio, no malloc, no locks.
 */

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define SOFT_LINES 16 /* logged EACCES answers of one process */

#define CALL(name) { SYS_##name, #name }

static const struct {
	int nr;
	const char *name;
} calls[] = {
	CALL(accept4),
	CALL(add_key),
	CALL(bind),
	CALL(bpf),
	CALL(chdir),
	CALL(chroot),
	CALL(clone),
	CALL(connect),
	CALL(execve),
	CALL(execveat),
	CALL(faccessat),
	CALL(fchmod),
	CALL(fchown),
	CALL(fcntl),
	CALL(fsync),
	CALL(ftruncate),
	CALL(getdents64),
	CALL(io_uring_enter),
	CALL(ioctl),
	CALL(keyctl),
	CALL(kill),
	CALL(listen),
	CALL(mkdirat),
	CALL(mmap),
	CALL(mount),
	CALL(mprotect),
	CALL(newfstatat),
	CALL(openat),
	CALL(perf_event_open),
	CALL(personality),
	CALL(pidfd_send_signal),
	CALL(pipe2),
	CALL(pkey_mprotect),
	CALL(prctl),
	CALL(prlimit64),
	CALL(process_vm_readv),
	CALL(process_vm_writev),
	CALL(ptrace),
	CALL(readlinkat),
	CALL(renameat2),
	CALL(rt_sigqueueinfo),
	CALL(rt_tgsigqueueinfo),
	CALL(seccomp),
	CALL(sendmsg),
	CALL(sendto),
	CALL(setgid),
	CALL(setitimer),
	CALL(setns),
	CALL(setresgid),
	CALL(setresuid),
	CALL(setsid),
	CALL(setsockopt),
	CALL(setuid),
	CALL(socket),
	CALL(socketpair),
	CALL(tgkill),
	CALL(timer_create),
	CALL(tkill),
	CALL(umask),
	CALL(unlinkat),
	CALL(unshare),
	CALL(userfaultfd),
	CALL(wait4),
#ifdef SYS_open
	CALL(access),
	CALL(alarm),
	CALL(dup2),
	CALL(fork),
	CALL(lstat),
	CALL(open),
	CALL(pipe),
	CALL(readlink),
	CALL(stat),
	CALL(vfork),
#endif
};

/* Written before the filter is closed, then only read. */
static char title_json[48];
static size_t title_len;
static volatile sig_atomic_t soft_lines;

static const char *
call_name(int nr)
{
	size_t i;

	for (i = 0; i < PS_NITEMS(calls); i++)
		if (calls[i].nr == nr)
			return (calls[i].name);
	return ("unknown");
}

static bool
soft_socket(int64_t domain)
{
	/* syslog, nscd; getaddrinfo; a probe for UDP or IPv6. */
	return ((int)domain == AF_UNIX || (int)domain == AF_NETLINK ||
	    (int)domain == AF_INET || (int)domain == AF_INET6);
}

static bool
is_soft(int nr, int64_t arg0)
{
	switch (nr) {
	case SYS_openat:
	case SYS_newfstatat:
	case SYS_faccessat:
	case SYS_readlinkat:
	case SYS_bind:
	case SYS_listen:
	case SYS_socketpair:
	case SYS_fcntl:
	case SYS_ioctl:
	case SYS_setsockopt:
	case SYS_prctl:
	case SYS_prlimit64:
#ifdef SYS_open
	case SYS_open:
	case SYS_stat:
	case SYS_lstat:
	case SYS_access:
	case SYS_readlink:
#endif
		return (true);
	case SYS_socket:
		return (soft_socket(arg0));
	default:
		return (false);
	}
}

struct line {
	char buf[512];
	size_t len;
};

static void
put(struct line *l, const char *s, size_t n)
{
	if (n > sizeof(l->buf) - l->len)
		return;
	memcpy(l->buf + l->len, s, n);
	l->len += n;
}

static void
put_lit(struct line *l, const char *s)
{
	put(l, s, strlen(s));
}

static void
put_int(struct line *l, uint64_t v)
{
	char num[20];
	size_t n = sizeof(num);

	do {
		num[--n] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	put(l, num + n, sizeof(num) - n);
}

static void
report(int nr, uint64_t arg0, bool soft)
{
	struct line l = { .len = 0 };
	struct timespec ts = { 0, 0 };
	char now[WALLTIME_LEN];

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	put_lit(&l, "{\"time\":\"");
	put(&l, now, walltime_format(ts.tv_sec, ts.tv_nsec, now));
	put_lit(&l, soft ? "\",\"level\":\"WARN\"" : "\",\"level\":\"ERROR\"");
	put_lit(&l, ",\"msg\":\"sandboxViolation\",\"proc\":\"");
	put(&l, title_json, title_len);
	put_lit(&l, "\",\"syscall\":");
	put_int(&l, (uint64_t)nr);
	put_lit(&l, ",\"name\":\"");
	put_lit(&l, call_name(nr));
	put_lit(&l, "\",\"arg0\":");
	put_int(&l, arg0);
	put_lit(
	    &l, soft ? ",\"action\":\"EACCES\"}\n" : ",\"action\":\"exit\"}\n");
	(void)!write(log_fd(), l.buf, l.len);
}

static void
on_sigsys(int sig, siginfo_t *si, void *arg)
{
	ucontext_t *uc = arg;
	uint64_t arg0;
	int nr = si->si_syscall;
	bool soft;

	(void)sig;
#if defined(__x86_64__)
	arg0 = (uint64_t)uc->uc_mcontext.gregs[REG_RDI];
#elif defined(__aarch64__)
	arg0 = uc->uc_mcontext.regs[0];
#else
#error "the SIGSYS handler does not know this architecture"
#endif
	soft = is_soft(nr, (int64_t)arg0);
	if (!soft || soft_lines < SOFT_LINES)
		report(nr, arg0, soft);
	if (!soft)
		_exit(SANDBOX_EXIT);
	soft_lines = soft_lines < SOFT_LINES ? soft_lines + 1 : SOFT_LINES;
#if defined(__x86_64__)
	uc->uc_mcontext.gregs[REG_RAX] = -EACCES;
#else
	uc->uc_mcontext.regs[0] = (uint64_t)-EACCES;
#endif
}

int
seccomp_trap_init(const char *title)
{
	struct sigaction sa = { .sa_flags = SA_SIGINFO | SA_NODEFER };
	sigset_t set;
	size_t i;

	/* A title is a word of the table; anything else would break JSON. */
	for (i = 0; title[i] != '\0' && i < sizeof(title_json); i++)
		title_json[i] =
		    title[i] < ' ' || title[i] == '"' || title[i] == '\\' ?
		    '?' :
		    title[i];
	title_len = i;
	sa.sa_sigaction = on_sigsys;
	sigemptyset(&sa.sa_mask);
	if (sigaction(SIGSYS, &sa, NULL) == -1)
		return (-1);
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	return (sigprocmask(SIG_UNBLOCK, &set, NULL));
}
