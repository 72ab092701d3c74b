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
 * What the keeper does once: log, environment, signals, memory.
 */

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard.h"

/*
 * Lines must never hold up the keeper, so they are written without blocking;
 * but O_NONBLOCK belongs to the open file, and that one is mysqld's as well.
 * So it is opened once more. Where that can't be (a socket, or a pipe of
 * another user) mysqld's is left as it is: then a reader that stops can stop
 * the keeper, and the killer acts.
 */
void
guard_setup_log(void)
{
	int fl, fd;

	fd = open("/proc/self/fd/2",
	    O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd != -1 && fd != STDERR_FILENO) {
		log_init("guard", LL_INFO, fd);
		return;
	}
	fl = fcntl(STDERR_FILENO, F_GETFL);
	log_init("guard", LL_INFO, STDERR_FILENO);
	if (fl != -1)
		(void)fcntl(STDERR_FILENO, F_SETFL, fl);
}

static const char *
env(const char *name, const char *other)
{
	const char *v = getenv(name);

	return v != NULL && v[0] != '\0' ? v : other;
}

int
guard_setup_conf(struct guard *g, char *const argv[])
{
	const char *ns = env("POD_NAMESPACE", ""),
		   *name = env("FAILOVER_GROUP", "");
	char host[NAME_LEN + 1];
	int n;

	g->argv = argv;
	g->cmd = guard_cmd_of(argv);
	g->entrypoint = env("BLOODRAVEN_ENTRYPOINT", GUARD_ENTRYPOINT);
	g->site = env("MY_SITE", "");
	g->pod_uid = env("MY_POD_UID", "");
	if (gethostname(host, sizeof(host)) == -1)
		host[0] = '\0';
	host[sizeof(host) - 1] = '\0';
	/* A Pod's host name is its own. */
	log_context((const struct kv[]) {
	    KVS("fg", name), KVS("pod", host), { .type = KV_END } });
	n = snprintf(g->group, sizeof(g->group), "%s/%s", ns, name);
	if (n < 0 || (size_t)n >= sizeof(g->group) ||
	    strlen(g->site) > NAME_LEN || strlen(g->pod_uid) > UID_LEN) {
		log_warnx("environment: a name is too long");
		return -1;
	}
	if (g->cmd == GC_SERVER &&
	    (ns[0] == '\0' || name[0] == '\0' || g->site[0] == '\0' ||
		g->pod_uid[0] == '\0'))
		log_warnx("POD_NAMESPACE, FAILOVER_GROUP, MY_SITE or "
			  "MY_POD_UID is missing: no lease for this server");
	return 0;
}

int
guard_setup_signals(struct guard *g)
{
	sigset_t all;

	sigfillset(&all);
	if (sigprocmask(SIG_BLOCK, &all, &g->sigmask) == -1)
		return -1;
	g->sigfd = signalfd(-1, &all, SFD_NONBLOCK | SFD_CLOEXEC);
	return g->sigfd == -1 ? -1 : 0;
}

/*
 * The kubelet tells this file's text when the container has ended, however it
 * ended: so its word is about this guard and its servers, whatever clocks say.
 */
void
guard_setup_word(const char *path, uint64_t id)
{
	char buf[sizeof(BR_GUARD_WORD) + 24];
	int fd, n;

	n = snprintf(
	    buf, sizeof(buf), BR_GUARD_WORD "%llu\n", (unsigned long long)id);
	fd = open(path, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 || write(fd, buf, (size_t)n) != n)
		log_ev(LL_WARN, "terminationLogNotWritten", KVS("path", path),
		    KVS("error", strerror(errno)));
	if (fd != -1)
		close(fd);
}

/* Nothing that it needs must be read from a disk when the disk hangs. */
void
guard_setup_done(void)
{
	if (mlockall(MCL_CURRENT | MCL_FUTURE) == -1)
		log_ev(LL_WARN, "memoryNotLocked",
		    KVS("error", strerror(errno)),
		    KVS("needs", "RLIMIT_MEMLOCK of 4 MiB or CAP_IPC_LOCK"));
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
