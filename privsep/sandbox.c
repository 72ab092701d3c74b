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
 * Order: credentials, limits, no_new_privs, Landlock, seccomp. Each step
 * needs calls that the next one forbids.
 */

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/capability.h>

#include "internal.h"

#define CAP(n) (1U << (n))

/*
 * A directory that is removed once we stand in it: nobody can ever put
 * anything there, and nothing is left behind.
 */
static int
chroot_nowhere(void)
{
	static const char *const bases[] = { "/run", "/tmp", "/dev/shm" };
	char dir[32];
	size_t i;

	for (i = 0; i < PS_NITEMS(bases); i++) {
		strlcpy(dir, bases[i], sizeof(dir));
		strlcat(dir, "/empty.XXXXXX", sizeof(dir));
		if (mkdtemp(dir) == NULL)
			continue;
		if (chdir(dir) == -1 || rmdir(dir) == -1)
			return (-1);
		return (chroot("."));
	}
	return (-1);
}

static int
keep_capabilities(uint32_t keep)
{
	struct __user_cap_header_struct hdr = { _LINUX_CAPABILITY_VERSION_3,
		0 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &hdr, data) == -1)
		return (-1);
	data[0].permitted &= keep;
	data[0].effective &= keep;
	data[0].inheritable = 0;
	memset(&data[1], 0, sizeof(data[1]));
	return ((int)syscall(SYS_capset, &hdr, data));
}

int
sandbox_drop(const char *user, bool keep_root_dir)
{
	struct passwd *pw;
	uid_t uid;
	gid_t gid;

	if (geteuid() != 0 || user == NULL)
		return (keep_capabilities(0));
	errno = 0;
	if ((pw = getpwnam(user)) == NULL) {
		if (errno == 0)
			errno = ENOENT;
		return (-1);
	}
	uid = pw->pw_uid;
	gid = pw->pw_gid;
	if (!keep_root_dir && chroot_nowhere() == -1)
		return (-1);
	if (setgroups(1, &gid) == -1 || setresgid(gid, gid, gid) == -1 ||
	    setresuid(uid, uid, uid) == -1)
		return (-1);
	/* That it cannot be undone is worth one call. */
	if (uid != 0 && setresuid(0, 0, 0) != -1) {
		errno = EPERM;
		return (-1);
	}
	return (keep_capabilities(0));
}

static int
limit(int what, rlim_t value)
{
	struct rlimit rl, old;

	if (getrlimit(what, &old) == -1)
		return (-1);
	rl.rlim_cur = rl.rlim_max = value < old.rlim_max ? value : old.rlim_max;
	return (setrlimit(what, &rl));
}

int
sandbox_rlimits(const struct sandbox *sb)
{
	if (limit(RLIMIT_CORE, 0) == -1 || limit(RLIMIT_MEMLOCK, 0) == -1 ||
	    limit(RLIMIT_MSGQUEUE, 0) == -1)
		return (-1);
	if (!(sb->allow & SB_THREADS) && limit(RLIMIT_NPROC, 0) == -1)
		return (-1);
	if (sb->max_files != 0 && limit(RLIMIT_NOFILE, sb->max_files) == -1)
		return (-1);
	if (sb->max_as != 0 && limit(RLIMIT_AS, sb->max_as) == -1)
		return (-1);
	return (0);
}

/* Landlock binds one thread and what it starts; another would stay free. */
int
sandbox_single_threaded(void)
{
	struct dirent *de;
	DIR *dir;
	unsigned n = 0;

	/* After chroot_nowhere() there is nothing to see, and no right to. */
	if ((dir = opendir("/proc/self/task")) == NULL)
		return (errno == ENOENT || errno == EACCES ? 0 : -1);
	while ((de = readdir(dir)) != NULL)
		n += de->d_name[0] != '.';
	closedir(dir);
	if (n > 1) {
		errno = EBUSY;
		return (-1);
	}
	return (0);
}

int
sandbox_enter(const struct sandbox *sb, const char *title, bool use_landlock)
{
	/* Not dumpable means also: no ptrace and no /proc/PID/mem by peers. */
	if (prctl(PR_SET_DUMPABLE, 0) == -1 || sandbox_rlimits(sb) == -1 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return (-1);
	if (use_landlock &&
	    (sandbox_single_threaded() == -1 || landlock_enter(sb) == -1))
		return (-1);
	if (seccomp_trap_init(title) == -1)
		return (-1);
	return (seccomp_allow_list(sb->allow));
}

bool
sandbox_violated(int wstatus)
{
	return ((WIFEXITED(wstatus) && WEXITSTATUS(wstatus) == SANDBOX_EXIT) ||
	    (WIFSIGNALED(wstatus) && WTERMSIG(wstatus) == SIGSYS));
}

int
sandbox_parent(const char *const *readdirs)
{
	struct sandbox sb = { .allow = SB_READFILES | SB_WAIT,
		.paths = readdirs };

	/* Tokens may belong to others, when we are root. */
	if (keep_capabilities(CAP(CAP_DAC_READ_SEARCH)) == -1)
		return (-1);
	return (sandbox_enter(&sb, "parent", true));
}

int
sandbox_launcher(const struct ps_conf *conf)
{
	/*
	 * As root: kill what has become another user, and what a worker needs
	 * until it drops everything. no_new_privs keeps exec from giving more.
	 */
	const uint32_t keep = CAP(CAP_KILL) | CAP(CAP_SETGID) |
	    CAP(CAP_SETUID) | CAP(CAP_SYS_CHROOT) | CAP(CAP_NET_BIND_SERVICE) |
	    CAP(CAP_DAC_READ_SEARCH);

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    keep_capabilities(keep) == -1 || landlock_exec_only(conf) == -1)
		return (-1);
	return (seccomp_deny_list());
}
