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

/* The parent's beginning and end: both are synchronous. */

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "proc.h"

/* AddressSanitizer's own calls are on no list of ours. */
bool
sandbox_disabled(const struct ps_conf *conf)
{
#if defined(DISABLE_SANDBOX) || defined(__SANITIZE_ADDRESS__)
	(void)conf;
	return (true);
#else
	return (conf->no_sandbox);
#endif
}

static void
fork_launcher(struct ps *ps)
{
	int sv[2];

	if (chan_pair(sv) == -1)
		fatal("socketpair");
	switch (ps->launcher_pid = fork()) {
	case -1:
		fatal("fork");
	case 0:
		close(sv[0]);
		launcher_main(ps->conf, sv[1]);
	}
	close(sv[1]);
	chan_init(&ps->launcher);
	chan_open(&ps->launcher, sv[0]);
	ps->launcher.on_frame = launcher_on_frame;
	ps->launcher.on_end = launcher_on_end;
	ps->launcher.arg = ps;
}

static void
check_table(const struct ps_conf *conf)
{
	size_t i, k;

	if (conf->nprocs == 0 || conf->nprocs >= PS_IDS)
		fatalx("process table: %zu entries", conf->nprocs);
	for (i = 0; i < conf->nprocs; i++) {
		if (conf->procs[i].id == PS_PARENT ||
		    conf->procs[i].id >= PS_IDS)
			fatalx("process table: id %u", conf->procs[i].id);
		for (k = 0; k < i; k++)
			if (conf->procs[k].id == conf->procs[i].id)
				fatalx("process table: id %u twice",
				    conf->procs[i].id);
	}
}

/* A worker may have died during the start, and its respawn be pending. */
static void
rebase_timer(struct slot *s, struct event_base *base)
{
	struct event *old = s->timer;
	struct timeval at, now, left = { 0, 0 };
	bool pending;

	pending = old != NULL && event_pending(old, EV_TIMEOUT, &at);
	if ((s->timer = event_new(base, -1, 0, slot_timer, s)) == NULL)
		fatalx("event_new");
	if (pending) {
		(void)evutil_gettimeofday(&now, NULL);
		if (evutil_timercmp(&at, &now, >))
			evutil_timersub(&at, &now, &left);
		if (event_add(s->timer, &left) == -1)
			fatalx("event_add");
	}
	if (old != NULL)
		event_free(old);
}

/* Move all events to another base. */
static void
rebase(struct ps *ps, struct event_base *base)
{
	struct slot *s;
	size_t i;

	ps->base = base;
	chan_detach(&ps->launcher);
	if (chan_attach(&ps->launcher, base) == -1)
		fatal("chan_attach");
	for (i = 0; i < ps->nslots; i++) {
		s = &ps->slots[i];
		rebase_timer(s, base);
		if (s->chan.fd == -1)
			continue;
		chan_detach(&s->chan);
		if (chan_attach(&s->chan, base) == -1)
			fatal("chan_attach");
	}
}

static bool
all_came_up(const struct ps *ps)
{
	size_t i;

	for (i = 0; i < ps->nslots; i++)
		if (!ps->slots[i].came_up)
			return (false);
	return (true);
}

/*
 * A base of its own for the set-up: the caller's events must not fire while
 * ps_start() has not returned.
 */
static void
start_all(struct ps *ps)
{
	struct event_base *base = event_base_new();
	size_t i;

	if (base == NULL)
		fatalx("event_base_new");
	rebase(ps, base);
	ps->starting = true;
	for (i = 0; i < ps->nslots; i++)
		slot_spawn(&ps->slots[i]);
	while (!all_came_up(ps))
		if (event_base_loop(base, EVLOOP_ONCE) == -1)
			fatalx("event loop");
	ps->starting = false;
}

struct ps *
ps_start(const struct ps_conf *conf, struct event_base *base)
{
	struct ps *ps;
	struct event_base *own;
	size_t i;

	check_table(conf);
	if ((ps = calloc(1, sizeof(*ps))) == NULL ||
	    (ps->msg = malloc(conf->schema->max_size + 1)) == NULL)
		fatal("malloc");
	ps->conf = conf;
	ps->hash = schema_hash(conf->schema);
	ps->nslots = conf->nprocs;
	for (i = 0; i < ps->nslots; i++) {
		ps->slots[i].ps = ps;
		ps->slots[i].proc = &conf->procs[i];
		chan_init(&ps->slots[i].chan);
	}
	if (sandbox_disabled(conf))
		log_ev(LL_WARN, "sandboxDisabled", KVS("worker", "parent"));
	fork_launcher(ps);
	start_all(ps);
	own = ps->base;
	rebase(ps, base);
	event_base_free(own);
	return (ps);
}

void
ps_sandbox_parent(struct ps *ps, const char *const *readdirs)
{
	memory_settle_on(ps->base);
	if (sandbox_disabled(ps->conf))
		return;
	if (sandbox_parent(readdirs) == -1)
		fatal("cannot close the parent's sandbox");
}

/* ------------------------------------------------------------- shutdown --- */

/* Serve the launcher's answers until the slot is down, or the deadline. */
static bool
wait_down(struct ps *ps, const struct slot *s, struct monotime deadline)
{
	(void)chan_flush(&ps->launcher);
	while (s->state != SLOT_DOWN) {
		if (poll_until(ps->launcher.fd, POLLIN, deadline) == -1)
			return (false);
		chan_drain(&ps->launcher, CHAN_BURST);
	}
	return (true);
}

/* The worker reads what is queued before it meets the EOF. */
static void
slot_stop(struct slot *s, int64_t ms)
{
	struct ps *ps = s->ps;
	struct monotime deadline = monotime_add_ms(monotime_now(), ms);

	if (s->state == SLOT_DOWN)
		return;
	while (
	    s->chan.fd != -1 && chan_flush(&s->chan) == -1 && errno == EAGAIN)
		if (poll_until(s->chan.fd, POLLOUT, deadline) == -1)
			break;
	chan_close(&s->chan);
	if (s->state != SLOT_SPAWN)
		s->state = SLOT_DYING;
	if (wait_down(ps, s, deadline))
		return;
	log_ev(LL_WARN, "workerKilled", KVS("worker", s->proc->title),
	    KVI("pid", s->pid), KVMS("waited", ms));
	launcher_ask(ps, LAUNCH_KILL, s->proc->id);
	(void)wait_down(ps, s, monotime_add_ms(monotime_now(), PS_REAP_MS));
}

/* Half-closed, so that we see when its end closes, which is its exit. */
static void
end_launcher(struct ps *ps)
{
	struct monotime deadline;
	pid_t pid;
	int fd = ps->launcher.fd;

	deadline = monotime_add_ms(monotime_now(), PS_LAUNCHER_MS);
	if (shutdown(fd, SHUT_WR) == -1 ||
	    poll_until(fd, POLLHUP, deadline) == -1)
		log_warnx("the launcher does not end");
	else
		while ((pid = waitpid(ps->launcher_pid, NULL, 0)) == -1 &&
		    errno == EINTR)
			;
	chan_close(&ps->launcher);
}

void
ps_shutdown(struct ps *ps, const unsigned *order, int64_t ms)
{
	struct slot *s;
	size_t i;

	ps->stopping = true;
	for (i = 0; i < ps->nslots; i++)
		if (ps->slots[i].state == SLOT_DOWN)
			event_del(ps->slots[i].timer);
	for (; order != NULL && *order != 0; order++)
		if ((s = slot_find(ps, *order)) != NULL)
			slot_stop(s, ms);
	for (i = 0; i < ps->nslots; i++)
		slot_stop(&ps->slots[i], ms);
	end_launcher(ps);
	for (i = 0; i < ps->nslots; i++)
		event_free(ps->slots[i].timer);
	free(ps->msg);
	free(ps);
}
