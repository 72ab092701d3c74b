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
 * The keeper: see guard.h. One loop, which waits for the sidecar, mysqld's
 * answers, signals and the next deadline, and then does what is due.
 *
 * What it holds: the site's signing key and the operator account of this
 * server, both of which the container's files show to mysqld's user anyway.
 * It must be able to execute mysqld, so no filter binds it; it can't be
 * traced (PR_SET_DUMPABLE), and as PID 1 it can't be killed from inside.
 */

#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guard.h"

static struct guard guard;

int64_t
guard_now(void)
{
	return monotime_now().ns / 1000000;
}

/* --------------------------------------------------------------- set-up --- */

static int
set_up(struct guard *g)
{
	int64_t now = guard_now();
	uint64_t id;

	do {
		if (getrandom(&id, sizeof(id), 0) != sizeof(id)) {
			log_warn("getrandom");
			return -1;
		}
	} while (id == 0);
	lease_guard_init(&g->lease, id, now);
	guard_sql_init(&g->sql, GUARD_MYSQLD_SOCK);
	guard_link_init(&g->link, GUARD_SOCK);
	g->ended_code = -1;
	g->killer_ok = true;
	g->refused_ms = -GUARD_REFUSED_MS;
	if (guard_killer_init(&g->killer) == -1 ||
	    guard_killer_start(&g->killer, now) == -1) {
		log_warn("killer");
		return -1;
	}
	guard_keys_turn(g, now);
	return 0;
}

/* ----------------------------------------------------------- the server --- */

static void
finish(struct guard *g, int code)
{
	g->finished = true;
	g->exit_code = code;
}

static void
start(struct guard *g, int64_t now)
{
	if (guard_child_start(g, now) == -1)
		finish(g, 1);
	g->say = true;
}

static void
server_ended(struct guard *g, int code, int64_t now)
{
	bool fired = atomic_load(&g->killer.page->fired_ms) != 0, cut;

	log_ev(code == 0 ? LL_INFO : LL_WARN, "serverEnded",
	    KVU("incarnation", g->lease.incarnation), KVI("exitCode", code),
	    KVB("killedByKeeper", g->killed), KVB("killedByKiller", fired),
	    KVB("stopping", g->stop != 0));
	if (fired && !g->killed)
		g->kills++;
	if (g->fencing)
		g->fence_failures++;
	g->fencing = false;
	lease_guard_ended(&g->lease, now);
	guard_sql_reset(&g->sql, false);
	g->ended = g->lease.incarnation;
	g->ended_code = code;
	g->was_held = false;
	memset(&g->last_hold, 0, sizeof(g->last_hold));
	/* An initialisation that failed is the kubelet's to repeat. */
	cut = g->first &&
	    (guard_boot_marked(GUARD_DATA_DIR) ||
		access(GUARD_DATA_DIR "/mysql", F_OK) == -1);
	if (!cut)
		g->first = g->init = false;
	if (g->stop != 0 || cut)
		finish(g, code);
	else if (guard_ends_add(&g->ends, code, now)) {
		log_ev(LL_ERROR, "serverFailsRepeatedly",
		    KVU("ends", GUARD_ENDS), KVMS("within", GUARD_ENDS_MS),
		    KVI("exitCode", code), KVS("error", "left to the kubelet"));
		finish(g, code);
	} else
		start(g, now);
	g->say = true;
}

static void
reap(struct guard *g, int64_t now)
{
	int code;

	if (!guard_child_reap(g, &code))
		return;
	if (g->cmd != GC_SERVER) {
		finish(g, code);
		return;
	}
	g->reaped = true;
	g->leftovers = false;
	g->reaped_ms = now;
	g->reaped_code = code;
}

/*
 * It has ended when nothing of it is left. Where that can't be known, nothing
 * is claimed: with the first process the kernel ends the others.
 */
static void
end_turn(struct guard *g, int64_t now)
{
	if (!g->reaped)
		return;
	if (guard_child_sweep(g)) {
		g->reaped = false;
		server_ended(g, g->reaped_code, now);
	} else if (now - g->reaped_ms >= GUARD_SWEEP_MS) {
		log_ev(LL_ERROR, "leftoversStay",
		    KVI("exitCode", g->reaped_code),
		    KVS("error", "processes of the server can't be ended"));
		finish(g, g->reaped_code != 0 ? g->reaped_code : 1);
	}
}

static void
signals(struct guard *g, int64_t now)
{
	struct signalfd_siginfo si;

	while (read(g->sigfd, &si, sizeof(si)) == sizeof(si)) {
		switch (si.ssi_signo) {
		case SIGCHLD:
		case SIGPIPE:
			break;
		case SIGTERM:
		case SIGINT:
		case SIGQUIT:
			/* A second one is mysqld's own affair. */
			if (g->stop == 0)
				guard_stop_begin(g, (int)si.ssi_signo, now);
			else
				guard_child_signal(g, (int)si.ssi_signo);
			break;
		default:
			guard_child_signal(g, (int)si.ssi_signo);
			break;
		}
	}
	reap(g, now);
	end_turn(g, now);
}

/* ---------------------------------------------------------------- lease --- */

/*
 * A fence is both flags. But where none is due, read_only alone is let be:
 * the operator clears super_read_only to have a server cloned over
 * (mysql_clone.c), and no client passes read_only.
 */
static bool
is_fenced(const struct guard *g)
{
	bool due = g->lease.held || g->lease.kill_ms != LEASE_FOREVER;

	return due ? g->sql.seen.both : g->sql.seen.read_only;
}

/*
 * The mark goes while the temporary server is still there, which is about to be
 * stopped. mysqld 9.7.4 was seen to stand still in its shutdown for ever after
 * the thread for a client that came in that very moment had said "Server shutdown
 * in progress"; nobody but a guard connects there. So the entrypoint is waited
 * for to become the server; not for ever, as another entrypoint may start it as a
 * child.
 */
static bool
first_boot_ends(struct guard *g, int64_t now)
{
	if (guard_boot_marked(GUARD_DATA_DIR))
		return false;
	if (g->unmarked_ms == 0)
		g->unmarked_ms = now;
	return guard_child_is_server(g) ||
	    now - g->unmarked_ms >= GUARD_PROPER_MS;
}

/* What mysqld said, to the machine; first boot is left alone until its end. */
static void
hear_server(struct guard *g, int64_t now)
{
	if (g->init && !g->sql.on && first_boot_ends(g, now))
		g->sql.on = true;
	guard_sql_turn(&g->sql, now);
	if (!g->sql.fresh)
		return;
	g->sql.fresh = false;
	/* One without network is not yet the server proper. */
	if (!g->sql.seen.network)
		return;
	if (g->init) {
		g->init = false;
		log_ev(LL_INFO, "initialised",
		    KVS("serverUUID", g->sql.seen.server_uuid),
		    KVB("readOnly", g->sql.seen.read_only));
	}
	lease_guard_local(&g->lease, g->sql.sent_ms, is_fenced(g), now);
}

static void
fence(struct guard *g, int64_t now)
{
	if (!g->sql.fence) {
		g->sql.fence_ms = g->sql.probe_ms = now;
		guard_log_fencing(g, now);
		g->fences++;
		g->fencing = true;
	}
	g->sql.fence = true;
}

/* Do what the machine wants; when it wants to be asked again. */
static int64_t
obey(struct guard *g, int64_t now)
{
	int64_t wake, kill_ms;
	enum lease_todo todo = lease_guard_todo(&g->lease, now, &wake);

	guard_lease_log(g, now);
	/* First the page: the killer must know before anything else is done. */
	kill_ms = guard_stop_kill_ms(g, now);
	atomic_store(&g->killer.page->kill_ms, kill_ms);
	if (todo == LG_KILL && now < kill_ms) {
		todo = LG_NOTHING;
		wake = kill_ms;
	}
	switch (todo) {
	case LG_NOTHING:
		if (g->sql.fence && (g->stop == 0 || g->stop_sent)) {
			g->sql.fence = g->fencing = false;
			log_ev(LL_ERROR,
			    "SELF-FENCED: super_read_only=ON has been set, "
			    "only Bloodraven can restore",
			    KVS("site", g->site),
			    KVU("incarnation", g->lease.incarnation),
			    KVS("error", "no write lease"));
		}
		break;
	case LG_FENCE:
		fence(g, now);
		break;
	case LG_KILL:
		if (!g->killed && g->child != 0) {
			log_ev(LL_ERROR,
			    "SELF-FENCING: mysqld was not fenced in time and is "
			    "killed",
			    KVS("site", g->site),
			    KVU("incarnation", g->lease.incarnation),
			    KVU("revoked", g->lease.revoked),
			    KVS("error", "super_read_only is not confirmed"));
			g->kills++;
		}
		guard_child_kill(g);
		wake = now + GUARD_KILLER_MS;
		break;
	}
	return wake;
}

/* ----------------------------------------------------------------- loop --- */

static void
hear_sidecar(struct guard *g, int64_t now)
{
	static union wire_any msg;
	uint32_t type;
	bool was = g->link.fd != -1;

	if (!guard_link_open(&g->link, now))
		return;
	if (!was)
		g->say = true;
	for (int i = 0; i < GUARD_BURST; i++) {
		if (guard_link_next(&g->link, &type, &msg, now) != 1)
			return;
		guard_lease_frame(g, type, &msg, now);
	}
}

static void
sooner(int64_t *wake, int64_t at)
{
	if (at < *wake)
		*wake = at;
}

/* Everything that is due at `now`; until when nothing is. */
static int64_t
turn(struct guard *g, int64_t now)
{
	int64_t wake = LEASE_FOREVER;
	bool ok;

	signals(g, now);
	if (g->finished || g->cmd != GC_SERVER)
		return wake;
	ok = guard_killer_watch(&g->killer, now);
	if (ok != g->killer_ok)
		g->say = true;
	g->killer_ok = ok;
	/* A lease that has run out is seen before anything is heard. */
	(void)obey(g, now);
	guard_keys_turn(g, now);
	hear_sidecar(g, now);
	(void)obey(g, now);
	hear_server(g, now);
	guard_stop_turn(g, now);
	wake = obey(g, now);
	guard_sql_turn(&g->sql, now);
	guard_lease_ask(g, now);
	guard_lease_report(g, now);
	guard_link_flush(&g->link, now);
	sooner(&wake, guard_sql_wake(&g->sql));
	sooner(&wake, now + GUARD_KILLER_MS * 2);
	if (g->reaped)
		sooner(&wake, now + GUARD_SWEEP_NEXT);
	return wake;
}

static void
await(struct guard *g, int64_t wake)
{
	struct pollfd pfd[4];
	struct timespec ts, *limit = NULL;
	int64_t left;

	pfd[0] = (struct pollfd) { .fd = g->sigfd, .events = POLLIN };
	pfd[1] = (struct pollfd) { .fd = g->link.fd,
		.events = g->link.out_len > 0 ? POLLIN | POLLOUT : POLLIN };
	for (int i = 0; i < 2; i++)
		pfd[2 + i] = (struct pollfd) { .fd = myc_fd(&g->sql.conn[i].c),
			.events = myc_events(&g->sql.conn[i].c) };
	if (wake != LEASE_FOREVER) {
		left = wake - guard_now();
		if (left < 0)
			left = 0;
		ts.tv_sec = left / 1000;
		ts.tv_nsec = left % 1000 * 1000000;
		limit = &ts;
	}
	(void)ppoll(pfd, PS_NITEMS(pfd), limit, NULL);
}

static int
run(struct guard *g)
{
	int64_t now = guard_now(), wake;

	start(g, now);
	for (;;) {
		wake = turn(g, guard_now());
		if (g->finished)
			break;
		await(g, wake);
	}
	/* The end is a proof: it is told before PID 1 goes. */
	now = guard_now();
	if (g->cmd == GC_SERVER) {
		g->say = true;
		guard_lease_report(g, now);
		guard_link_flush(&g->link, now);
	}
	log_ev(LL_INFO, "guardEnds", KVI("exitCode", g->exit_code));
	return g->exit_code;
}

int
main(int argc, char *argv[])
{
	struct guard *g = &guard;

	guard_setup_log();
	if (argc == 3 && strcmp(argv[1], "-i") == 0)
		return guard_install(argv[2]);
	if (argc < 2 || strcmp(argv[1], "-h") == 0) {
		fprintf(stderr,
		    "usage: bloodraven-guard mysqld [argument ...]\n"
		    "       bloodraven-guard -i path\n");
		return 2;
	}
	(void)umask(022);
	/* Where another process is the init: who is daemonised is still ours. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1)
		fatal("subreaper");
	if (wire_init() == -1)
		fatalx("libsodium can't work here");
	if (guard_setup_signals(g) == -1)
		fatal("signals");
	if (guard_setup_conf(g, argv + 1) == -1)
		return 1;
	if (g->cmd == GC_SERVER &&
	    guard_boot(g, GUARD_DATA_DIR, GUARD_CONF_FILE) == -1)
		return 1;
	if (set_up(g) == -1)
		return 1;
	if (g->cmd == GC_SERVER)
		guard_setup_word(GUARD_TERM_LOG, g->lease.id);
	guard_setup_done();
	log_ev(LL_INFO, "guardStarts", KVS("group", g->group),
	    KVS("site", g->site), KVU("guard", g->lease.id),
	    KVI("pid", getpid()), KVB("firstBoot", g->first),
	    KVS("entrypoint", g->entrypoint));
	/* Its death is mysqld's only as the init of the container. */
	if (getpid() != 1)
		log_ev(LL_WARN, "guardIsNotInit", KVI("pid", getpid()));
	return run(g);
}
