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
 * The server as a child: started by the image's own entrypoint, waited for,
 * killed. As PID 1 the guard also waits for whoever lost its parent.
 */

#include <sys/prctl.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard.h"

#define EXIT_NO_EXEC 126
#define EXIT_NO_FILE 127
#define SWEEP_ROUNDS 50 /* of a pass over /proc: new ones may be forked */

/*
 * As it would be without a guard: signals as inherited, own session, nothing
 * open but the standard files and the lock.
 */
static void become_server(const struct guard *g, const char *const argv[],
    pid_t parent) __attribute__((noreturn));

static void
become_server(const struct guard *g, const char *const argv[], pid_t parent)
{
	char num[16];

	(void)setsid();
	/* Where the guard is not PID 1 its death ends the server as well. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_NO_EXEC);
	/* mysqld then takes us for a parent who starts it again: RESTART. */
	snprintf(num, sizeof(num), "%d", (int)parent);
	if (setenv("MYSQLD_PARENT_PID", num, 1) == -1)
		_exit(EXIT_NO_EXEC);
	(void)sigprocmask(SIG_SETMASK, &g->sigmask, NULL);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	log_warn("%s", argv[0]);
	_exit(errno == ENOENT ? EXIT_NO_FILE : EXIT_NO_EXEC);
}

/*
 * A server that was killed left its sockets' locks, which name its pid. Their
 * folder outlives the container, and in the next one that pid may be taken by
 * another: a server would then refuse to start. Here none runs any more.
 */
static void
forget_sockets(void)
{
	(void)unlink(GUARD_MYSQLD_SOCK ".lock");
	(void)unlink(GUARD_MYSQLX_SOCK ".lock");
}

int
guard_child_start(struct guard *g, int64_t now)
{
	const char *argv[GUARD_ARGS_MAX];
	pid_t pid, parent = getpid();
	bool server = g->cmd == GC_SERVER;

	if (guard_args(argv, g->entrypoint, g->argv, !g->first) == -1) {
		log_warn("arguments");
		return -1;
	}
	if (server && !g->first && guard_auto_clean(GUARD_DATA_DIR) == -1)
		return -1;
	if (server)
		forget_sockets();
	/* No child may exist that the killer does not know. */
	pid = fork();
	if (pid == -1) {
		log_warn("fork");
		return -1;
	}
	if (pid == 0)
		become_server(g, argv, parent);
	g->child = pid;
	g->killed = false;
	if (server) {
		/* The last server's deadline is not this one's. */
		atomic_store(&g->killer.page->fired_ms, 0);
		atomic_store(&g->killer.page->kill_ms, LEASE_FOREVER);
		atomic_store(&g->killer.page->target, pid);
		lease_guard_started(&g->lease, now);
		guard_sql_reset(&g->sql, !g->init);
	}
	if (server && !g->first)
		log_ev(LL_INFO,
		    "safety net: set super_read_only=ON as precaution on "
		    "startup",
		    KVS("site", g->site));
	log_ev(LL_INFO, "serverStarted", KVI("pid", pid),
	    KVU("incarnation", g->lease.incarnation),
	    KVB("firstBoot", g->first), KVB("readOnlyForced", !g->first));
	return 0;
}

bool
guard_child_is_server(const struct guard *g)
{
	char path[64], comm[16];
	bool is = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)g->child);
	if (g->child <= 1 || (f = fopen(path, "re")) == NULL)
		return false;
	if (fgets(comm, sizeof(comm), f) != NULL)
		is = strncmp(comm, "mysqld", strlen("mysqld")) == 0;
	fclose(f);
	return is;
}

void
guard_child_signal(struct guard *g, int sig)
{
	if (g->child > 1)
		(void)kill(g->child, sig);
}

/* All of its group: a wrapper that does not exec must not shield it. */
void
guard_child_kill(struct guard *g)
{
	if (g->child <= 1)
		return;
	g->killed = true;
	(void)kill(-g->child, SIGKILL);
	(void)kill(g->child, SIGKILL);
}

bool
guard_child_reap(struct guard *g, int *code)
{
	siginfo_t si;
	bool ended = false;
	int ws;

	for (;;) {
		memset(&si, 0, sizeof(si));
		/* Looked at first: a pid that was waited for is free again. */
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) == -1 ||
		    si.si_pid == 0)
			return ended;
		if (si.si_pid == g->child)
			atomic_store(&g->killer.page->target, 0);
		if (waitpid(si.si_pid, &ws, WNOHANG) != si.si_pid)
			return ended;
		if (si.si_pid == g->killer.pid)
			guard_killer_ended(&g->killer);
		if (si.si_pid != g->child)
			continue;
		g->child = 0;
		*code = guard_exit_code(ws);
		ended = true;
	}
}

/* The parent of a process; 0: it is gone; -1: not to be read. */
static pid_t
parent_of(const char *pid)
{
	char path[64], buf[512], *p;
	FILE *f;
	int ppid = -1;
	size_t n;

	if ((size_t)snprintf(path, sizeof(path), "/proc/%s/stat", pid) >=
	    sizeof(path))
		return -1;
	if ((f = fopen(path, "re")) == NULL)
		return errno == ENOENT || errno == ESRCH ? 0 : -1;
	n = fread(buf, 1, sizeof(buf) - 1, f);
	/* Gone since it was opened. */
	if (n == 0)
		ppid = 0;
	fclose(f);
	buf[n] = '\0';
	/* Its name is in parentheses and may hold any of them itself. */
	if ((p = strrchr(buf, ')')) != NULL)
		(void)sscanf(p, ") %*c %d", &ppid);
	return ppid;
}

/* Kill what has us for a parent; how many there may have been, -1: unknown. */
static int
sweep_once(const struct guard *g)
{
	struct dirent *e;
	int n = 0;
	pid_t pid, parent;
	DIR *d = opendir("/proc");

	if (d == NULL)
		return -1;
	for (;;) {
		errno = 0;
		if ((e = readdir(d)) == NULL)
			break;
		pid = (pid_t)strtol(e->d_name, NULL, 10);
		if (pid <= 1 || pid == g->killer.pid || pid == g->child)
			continue;
		parent = parent_of(e->d_name);
		if (parent == -1)
			n++;
		if (parent != getpid())
			continue;
		n++;
		(void)kill(pid, SIGKILL);
		/* Not waited for: it may hang in a disk. */
		(void)waitpid(pid, NULL, WNOHANG);
	}
	if (errno != 0)
		n = -1;
	closedir(d);
	return n;
}

/*
 * A server that was daemonised, as the official entrypoint's temporary one,
 * may have outlived its entrypoint: two must not hold one data directory, and
 * the end of the first is not told while the other may run.
 */
bool
guard_child_sweep(struct guard *g)
{
	int n;

	for (unsigned i = 0; i < SWEEP_ROUNDS; i++) {
		if ((n = sweep_once(g)) == 0)
			return true;
		if (n == -1)
			return false;
		if (!g->leftovers)
			log_ev(LL_WARN, "leftovers", KVI("processes", n));
		g->leftovers = true;
	}
	return false;
}
