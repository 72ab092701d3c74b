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
 * The killer: a clock, a page and kill(2). It reads nothing, writes nothing,
 * allocates nothing; what it may call is closed by seccomp. The keeper looks
 * whether it looks, and makes another one when it does not.
 */

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include <errno.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "guard.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

/*
 * Anything else gets an error, not death: a killer that is killed for a call
 * of a newer libc would be worth less than one that goes on without it.
 */
static void
close_down(void)
{
#ifdef ARCH
#define ALLOW(nr)                                        \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), \
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
		ALLOW(__NR_clock_nanosleep),
		ALLOW(__NR_clock_gettime),
		ALLOW(__NR_kill),
		ALLOW(__NR_restart_syscall),
		ALLOW(__NR_rt_sigreturn),
		ALLOW(__NR_exit_group),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	};
	struct sock_fprog prog = { PS_NITEMS(code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		(void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
#endif
}

/* The server's group: whatever it has forked goes with it. */
static void
kill_target(struct guard_page *p, pid_t t, int64_t now)
{
	if (t <= 1)
		return;
	(void)kill(-t, SIGKILL);
	(void)kill(t, SIGKILL);
	atomic_store(&p->fired_ms, now);
}

static void killer_main(struct guard_page *p) __attribute__((noreturn));

static void
killer_main(struct guard_page *p)
{
	struct timespec ts;
	int64_t now, at, wake;
	pid_t t;

	for (;;) {
		now = guard_now();
		atomic_store(&p->beat_ms, now);
		/* In this order: a new target has its own deadline already. */
		t = atomic_load(&p->target);
		at = atomic_load(&p->kill_ms);
		if (now >= at)
			kill_target(p, t, now);
		wake = now + GUARD_KILLER_MS;
		if (at > now && at < wake)
			wake = at;
		ts.tv_sec = wake / 1000;
		ts.tv_nsec = wake % 1000 * 1000000;
		(void)clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &ts, NULL);
	}
}

int
guard_killer_init(struct guard_killer *k)
{
	k->page = mmap(NULL, sizeof(*k->page), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (k->page == MAP_FAILED)
		return -1;
	atomic_store(&k->page->kill_ms, LEASE_FOREVER);
	atomic_store(&k->page->target, 0);
	k->pid = -1;
	return 0;
}

int
guard_killer_start(struct guard_killer *k, int64_t now)
{
	pid_t parent = getpid();

	k->pid = fork();
	if (k->pid == -1)
		return -1;
	if (k->pid == 0) {
		(void)prctl(PR_SET_NAME, "guard-killer");
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		(void)setpgid(0, 0);
		(void)syscall(__NR_close_range, 0U, ~0U, 0U);
		/* Locks are not inherited. */
		(void)mlockall(MCL_CURRENT | MCL_FUTURE);
		close_down();
		killer_main(k->page);
	}
	k->born_ms = now;
	k->born++;
	return 0;
}

void
guard_killer_ended(struct guard_killer *k)
{
	k->pid = -1;
}

bool
guard_killer_watch(struct guard_killer *k, int64_t now)
{
	int64_t beat = atomic_load(&k->page->beat_ms);

	/* A new one is given time to begin. */
	if (beat < k->born_ms)
		beat = k->born_ms;
	if (k->pid != -1 && now - beat < GUARD_DEAD_MS)
		return true;
	log_ev(LL_ERROR, "killerReplaced",
	    KVS("error", "it was stopped, or dead"), KVI("pid", k->pid),
	    KVI("silentMs", now - beat));
	if (k->pid != -1) {
		(void)kill(k->pid, SIGKILL);
		/* A stopped process dies of it at once. */
		(void)waitpid(k->pid, NULL, 0);
		k->pid = -1;
	}
	if (guard_killer_start(k, now) == -1)
		log_warn("killer");
	return false;
}
