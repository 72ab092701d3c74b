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
 * The real profiles of all workers, with Landlock and, as on a kernel that has
 * none, without: what no process may do, what this one may not, and that its
 * work is possible.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "drill.h"
#include "procs.h"
#include "sidecar.h"

static char dir[64], file[96], sock_path[96];
static int listener, devnull, rwfile;
static uint16_t port;
static struct drill_target target;
static int abi; /* the sandbox hides it */
static bool landlock;

enum { F_UNIX = 1, F_INET = 2, F_ACCEPT = 4, F_WRITE = 8 };

static const struct worker {
	const char *name;
	const struct sandbox *sb;
	unsigned may;
} workers[] = {
	{ "kube-watcher", &kube_sandbox, F_INET },
	{ "mysql-prober", &mysql_sandbox, F_INET },
	{ "dns-writer", &dns_sandbox, F_INET },
	{ "link", &link_sandbox, F_INET | F_ACCEPT },
	{ "status-server", &http_sandbox, F_ACCEPT },
	{ "http", &sc_http_sandbox, F_ACCEPT },
	{ "mysql", &sc_mysql_sandbox, F_UNIX },
	{ "memory", &sc_mem_sandbox, F_WRITE },
};

static int
enter(void *arg)
{
	const struct worker *w = arg;

	return (sandbox_enter(w->sb, w->name, landlock));
}

/* --------------------------------------------------- what depends on whom --- */

static int
drill_inet(const struct drill_target *t)
{
	return (socket(AF_INET, SOCK_STREAM, 0) == -1 ? -1 : 0);
}

static int
dial(uint16_t to)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(to),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (s == -1)
		return (-1);
	return (connect(s, (struct sockaddr *)&sin, sizeof(sin)));
}

/* The link's port is a number; MySQL's is another. */
static int
drill_other_port(const struct drill_target *t)
{
	return (dial(port));
}

static int
drill_unix_connect(const struct drill_target *t)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (s == -1)
		return (-1);
	strlcpy(sun.sun_path, sock_path, sizeof(sun.sun_path));
	return (connect(s, (struct sockaddr *)&sun, sizeof(sun)));
}

static int
drill_unix_dgram(const struct drill_target *t)
{
	return (socket(AF_UNIX, SOCK_DGRAM, 0) == -1 ? -1 : 0);
}

static int
drill_bind(const struct drill_target *t)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };

	return (bind(listener, (struct sockaddr *)&sin, sizeof(sin)));
}

static int
drill_accept(const struct drill_target *t)
{
	if (accept4(listener, NULL, NULL, SOCK_NONBLOCK) == -1 &&
	    errno != EAGAIN)
		return (-1);
	return (0);
}

static int
drill_pwrite(const struct drill_target *t)
{
	if (pwrite(rwfile, "x", 1, 0) != 1)
		return (-1);
	return (fdatasync(rwfile));
}

static int
drill_truncate(const struct drill_target *t)
{
	return (ftruncate(rwfile, 0));
}

#define D(n) { #n, drill_##n }

static const struct {
	struct drill d;
	unsigned who; /* may: DRILL_DONE */
} depends[] = {
	{ D(inet), F_INET },
	{ D(unix_connect), F_UNIX },
	{ D(unix_dgram), 0 },
	{ D(bind), 0 },
	{ D(accept), F_ACCEPT },
	{ D(pwrite), F_WRITE },
	{ D(truncate), 0 },
};

static enum drill_end
run(const struct drill *d, const struct worker *w, int *err)
{
	return (
	    drill_run(d, &target, enter, (void *)(uintptr_t)w, devnull, err));
}

static void
expect(const struct drill *d, const struct worker *w, bool may)
{
	enum drill_end end;
	int err;

	end = run(d, w, &err);
	if (may ? end != DRILL_DONE :
		  end != DRILL_DENIED && end != DRILL_TRAPPED)
		fail_msg("%s %s Landlock: %s is %s (%d, %#x)", w->name,
		    landlock ? "with" : "without", d->name,
		    may ? "not possible" : "not held", (int)end, (unsigned)err);
}

static void
forbidden(void)
{
	size_t i, k;

	for (i = 0; i < PS_NITEMS(workers); i++) {
		for (k = 0; k < PS_NITEMS(drill_forbidden); k++)
			if (strcmp(drill_forbidden[k].name, "unix") != 0 ||
			    !(workers[i].may & F_UNIX))
				expect(&drill_forbidden[k], &workers[i], false);
		expect(&drill_secret, &workers[i], false);
	}
}

static void
own(void)
{
	size_t i, k;

	for (i = 0; i < PS_NITEMS(workers); i++)
		for (k = 0; k < PS_NITEMS(depends); k++)
			expect(&depends[k].d, &workers[i],
			    (workers[i].may & depends[k].who) != 0);
}

/* Run the cases with Landlock and without. */
static void
both(void (*cases)(void))
{
	landlock = true;
	cases();
	landlock = false;
	cases();
}

static void
test_forbidden(void **state)
{
	both(forbidden);
}

static void
test_own(void **state)
{
	both(own);
}

/* A link that was taken over does not reach what else the Pod may reach. */
static void
test_ports(void **state)
{
	const struct worker taken = { "link", &link_sandbox, 0 };
	const struct drill other = D(other_port);

	if (abi < 4)
		skip(); /* seccomp does not see a port */
	landlock = true;
	expect(&other, &taken, false);
}

/* ---------------------------------------------------------------- set-up --- */

static int
listen_unix(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strlcpy(sun.sun_path, sock_path, sizeof(sun.sun_path));
	if (s == -1 || bind(s, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		return (-1);
	return (listen(s, 64));
}

static int
listen_tcp(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(sin);

	listener =
	    socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener == -1 ||
	    bind(listener, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(listener, 64) == -1 ||
	    getsockname(listener, (struct sockaddr *)&sin, &len) == -1)
		return (-1);
	port = ntohs(sin.sin_port);
	return (0);
}

static int
set_up(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/drill.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return (-1);
	snprintf(file, sizeof(file), "%s/file", dir);
	snprintf(sock_path, sizeof(sock_path), "%s/sock", dir);
	rwfile = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	devnull = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (rwfile == -1 || devnull == -1 || write(rwfile, "x", 1) != 1 ||
	    listen_unix() == -1 || listen_tcp() == -1)
		return (-1);
	target.secret = file;
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
	kill(target.sibling, SIGKILL);
	waitpid(target.sibling, NULL, 0);
	unlink(file);
	unlink(sock_path);
	return (rmdir(dir));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forbidden),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_ports),
	};

#ifdef __SANITIZE_ADDRESS__
	/* Its own system calls would be on trial. 77: skipped, for automake. */
	return (77);
#endif
	abi = sandbox_landlock_abi();
	print_message("Landlock ABI %d\n", abi);
	return (cmocka_run_group_tests(tests, set_up, tear_down));
}
