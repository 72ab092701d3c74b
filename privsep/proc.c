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
 * The process table, parent side: what each worker's frames may be, and what
 * follows from a death. proc_start.c has the beginning and the end.
 */

#include <sys/wait.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "proc.h"

struct slot *
slot_find(const struct ps *ps, unsigned id)
{
	size_t i;

	for (i = 0; i < ps->nslots; i++)
		if (ps->slots[i].proc->id == id)
			return ((struct slot *)(uintptr_t)&ps->slots[i]);
	return (NULL);
}

static void
set_timer(struct slot *s, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	/* Else it counts from the beginning of this turn of the loop. */
	(void)event_base_update_cache_time(s->ps->base);
	if (event_add(s->timer, &tv) == -1)
		fatalx("event_add");
}

void
launcher_ask(struct ps *ps, enum launch_op op, unsigned id)
{
	struct launch msg = { .id = id };
	uint8_t buf[128];
	int n;

	if ((n = codec_encode(launch_desc(), op, &msg, buf, sizeof(buf))) == -1)
		fatal("codec_encode");
	/* Its death is reported by launcher_on_end(). */
	if (chan_send(&ps->launcher, buf, (size_t)n, -1) == -1 &&
	    errno != ENOTCONN)
		fatal("ask the launcher");
}

void
slot_spawn(struct slot *s)
{
	s->state = SLOT_SPAWN;
	set_timer(s, setup_ms(s->ps->conf));
	launcher_ask(s->ps, LAUNCH_SPAWN, s->proc->id);
}

/* Close the channel; the exit follows, by itself or by our hand. */
static void
slot_hang_up(struct slot *s, bool now)
{
	chan_close(&s->chan);
	s->state = SLOT_DYING;
	if (now)
		launcher_ask(s->ps, LAUNCH_KILL, s->proc->id);
	set_timer(s, PS_REAP_MS);
}

/* Unexpected bytes from a peer inside are fatal for that peer. */
static void
slot_violation(struct slot *s, const char *reason, uint32_t type)
{
	log_ev(LL_ERROR, "protocolViolation", KVS("worker", s->proc->title),
	    KVI("pid", s->pid), KVS("error", reason), KVU("messageType", type));
	slot_hang_up(s, true);
}

static void
slot_send_own(struct slot *s, enum ps_own type, const struct codec_desc *d,
    const void *msg)
{
	uint8_t buf[64];
	int n;

	if ((n = codec_encode(d, type, msg, buf, sizeof(buf))) == -1)
		fatal("codec_encode");
	if (chan_send(&s->chan, buf, (size_t)n, -1) == -1 && errno != ENOTCONN)
		slot_violation(s, "does not read", type);
}

static void
slot_hello(struct slot *s, const uint8_t *buf, size_t len)
{
	struct ps *ps = s->ps;
	struct ps_hello hello;
	struct ps_welcome welcome = { (uint32_t)log_getlevel() };
	struct ps_empty go = { false };

	if (codec_decode(ps_hello_desc(), buf, len, &hello) == -1) {
		slot_violation(s, "malformed", PS_HELLO);
		return;
	}
	if (hello.hash != ps->hash) {
		slot_violation(s, "schema differs", PS_HELLO);
		return;
	}
	slot_send_own(s, PS_WELCOME, ps_welcome_desc(), &welcome);
	if (s->state != SLOT_HELLO)
		return;
	s->state = SLOT_SETUP;
	if (ps->conf->on_setup != NULL)
		ps->conf->on_setup(ps, s->proc->id, ps->conf->arg);
	if (s->state != SLOT_SETUP)
		return;
	s->state = SLOT_GO;
	slot_send_own(s, PS_GO, ps_empty_desc(), &go);
}

static void
slot_ready(struct slot *s, const uint8_t *buf, size_t len)
{
	struct ps *ps = s->ps;
	struct ps_empty ready;

	if (codec_decode(ps_empty_desc(), buf, len, &ready) == -1) {
		slot_violation(s, "malformed", PS_READY);
		return;
	}
	event_del(s->timer);
	s->state = SLOT_RUN;
	s->up_since = monotime_now();
	s->came_up = true;
	log_ev(LL_DEBUG, "workerReady", KVS("worker", s->proc->title),
	    KVI("pid", s->pid));
	if (ps->conf->on_ready != NULL)
		ps->conf->on_ready(ps, s->proc->id, ps->conf->arg);
}

/* Frames of libprivsep itself: each has one moment. */
static void
slot_own(struct slot *s, uint32_t type, const uint8_t *buf, size_t len)
{
	if (type == PS_HELLO && s->state == SLOT_HELLO)
		slot_hello(s, buf, len);
	else if (type == PS_READY && s->state == SLOT_GO)
		slot_ready(s, buf, len);
	else
		slot_violation(s, "unexpected", type);
}

static unsigned
slot_phase(const struct slot *s)
{
	switch (s->state) {
	case SLOT_SETUP:
	case SLOT_GO:
		return (PS_SETUP);
	case SLOT_RUN:
		return (PS_RUN);
	case SLOT_DOWN:
	case SLOT_SPAWN:
	case SLOT_HELLO:
	case SLOT_DYING:
		break;
	}
	return (0);
}

/* NULL when this worker may send this message now, or what is wrong. */
static const char *
wrong(const struct slot *s, const struct ps_msg *m)
{
	if (m == NULL)
		return ("unknown type");
	if (!(m->from & 1U << s->proc->id) || !(m->to & 1U << PS_PARENT))
		return ("wrong direction");
	if (!(m->phases & slot_phase(s)))
		return ("wrong phase");
	return (NULL);
}

static void
slot_on_frame(struct chan *c, const uint8_t *buf, size_t len, int fd, void *arg)
{
	struct slot *s = arg;
	struct ps *ps = s->ps;
	const struct ps_msg *m;
	const char *why;
	uint32_t type = 0;

	(void)c;
	if (codec_peek(buf, len, &type) == -1)
		why = "malformed";
	else if (type < PS_MSG_FIRST) {
		if (fd != -1)
			close(fd);
		slot_own(s, type, buf, len);
		return;
	} else {
		m = schema_find(ps->conf->schema, type);
		if ((why = wrong(s, m)) == NULL &&
		    codec_decode(m->desc(), buf, len, ps->msg) == -1)
			why = errno == ERANGE ? "beyond a limit" : "malformed";
		if (why == NULL) {
			s->proc->parent_dispatch(
			    ps, s->proc->id, type, ps->msg, fd, ps->conf->arg);
			codec_wipe(m->desc(), ps->msg);
			return;
		}
	}
	if (fd != -1)
		close(fd);
	slot_violation(s, why, type);
}

static void
slot_on_end(struct chan *c, int err, void *arg)
{
	(void)c;
	if (err == EPROTO)
		slot_violation(arg, "not a frame", 0);
	else
		slot_hang_up(arg, false);
}

/* ---------------------------------------------------------------- death --- */

/* Five deaths in 60 s: something is wrong that a respawn does not mend. */
static void
count_death(struct slot *s, struct monotime now)
{
	struct monotime oldest;

	s->deaths[s->ndeaths++ % PS_DEATHS] = now;
	if (s->ndeaths < PS_DEATHS)
		return;
	oldest = s->deaths[s->ndeaths % PS_DEATHS];
	if (monotime_sub_ms(now, oldest) > PS_DEATHS_MS)
		return;
	log_ev(LL_ERROR, "workerDiesTooOften", KVS("worker", s->proc->title),
	    KVU("deaths", PS_DEATHS), KVMS("within", PS_DEATHS_MS),
	    KVS("error", "the parent ends as well"));
	/* The launcher and the other workers follow by EOF. */
	_exit(1);
}

static void
schedule_respawn(struct slot *s, bool ran_well)
{
	if (ran_well || s->backoff == 0)
		s->backoff = PS_BACKOFF_MIN;
	set_timer(s, s->backoff);
	s->backoff =
	    s->backoff * 2 > PS_BACKOFF_MAX ? PS_BACKOFF_MAX : s->backoff * 2;
}

static void
log_death(const struct slot *s, int status)
{
	bool sig = WIFSIGNALED(status);

	log_ev(s->ps->stopping ? LL_INFO : LL_WARN, "workerExit",
	    KVS("worker", s->proc->title), KVI("pid", s->pid),
	    KVI("status", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
	    KVI("signal", sig ? WTERMSIG(status) : 0),
	    KVS("signalName", sig ? strsignal(WTERMSIG(status)) : NULL));
}

static void
slot_death(struct slot *s, int status)
{
	struct ps *ps = s->ps;
	struct monotime now = monotime_now();
	bool well;

	/* Its last words may still be in the channel. */
	if (s->chan.fd != -1)
		chan_drain(&s->chan, UINT32_MAX);
	chan_close(&s->chan);
	event_del(s->timer);
	log_death(s, status);
	well = s->up_since.ns != 0 &&
	    monotime_sub_ms(now, s->up_since) >= PS_WELL_MS;
	s->up_since.ns = 0;
	s->state = SLOT_DOWN;
	s->pid = 0;
	if (ps->starting && !s->came_up)
		fatalx("%s did not come up", s->proc->title);
	if (ps->conf->on_death != NULL && !ps->stopping)
		ps->conf->on_death(ps, s->proc->id, status, ps->conf->arg);
	if (ps->stopping || s->proc->restart == PS_RESTART_NEVER)
		return;
	count_death(s, now);
	schedule_respawn(s, well);
}

void
slot_timer(int fd, short what, void *arg)
{
	struct slot *s = arg;

	(void)fd;
	(void)what;
	switch (s->state) {
	case SLOT_DOWN:
		s->restarts++;
		slot_spawn(s);
		break;
	case SLOT_SPAWN:
	case SLOT_HELLO:
	case SLOT_SETUP:
	case SLOT_GO:
		log_ev(LL_ERROR, "workerSetupTimeout",
		    KVS("worker", s->proc->title), KVI("pid", s->pid),
		    KVMS("deadline", setup_ms(s->ps->conf)),
		    KVS("error", "not ready in time: started again"));
		slot_hang_up(s, true);
		break;
	case SLOT_DYING:
		launcher_ask(s->ps, LAUNCH_KILL, s->proc->id);
		break;
	case SLOT_RUN:
		break;
	}
}

/* ------------------------------------------------------------- launcher --- */

static void
slot_spawned(struct slot *s, pid_t pid, int fd)
{
	s->pid = pid;
	if (s->state != SLOT_SPAWN || s->ps->stopping) {
		/* It came too late: EOF ends it. */
		close(fd);
		slot_hang_up(s, true);
		return;
	}
	s->state = SLOT_HELLO;
	chan_init(&s->chan);
	chan_open(&s->chan, fd);
	s->chan.on_frame = slot_on_frame;
	s->chan.on_end = slot_on_end;
	s->chan.arg = s;
	if (chan_attach(&s->chan, s->ps->base) == -1)
		fatal("chan_attach");
}

void
launcher_on_frame(
    struct chan *c, const uint8_t *buf, size_t len, int fd, void *arg)
{
	struct ps *ps = arg;
	struct slot *s;
	struct launch msg;
	uint32_t op;

	(void)c;
	if (codec_peek(buf, len, &op) == -1 ||
	    codec_decode(launch_desc(), buf, len, &msg) == -1 ||
	    (s = slot_find(ps, msg.id)) == NULL ||
	    (op == LAUNCH_SPAWNED) != (fd != -1))
		fatalx("malformed answer from the launcher");
	if (op == LAUNCH_SPAWNED)
		slot_spawned(s, (pid_t)msg.pid, fd);
	else if (op == LAUNCH_EXIT)
		slot_death(s, (int)msg.status);
	else if (op == LAUNCH_FAILED) {
		log_ev(LL_ERROR, "workerSpawnFailed",
		    KVS("worker", s->proc->title),
		    KVS("error", strerror((int)msg.status)));
		/* As if it had lived and exited with status 127. */
		slot_death(s, 127 << 8);
	} else
		fatalx("unknown answer %u from the launcher", op);
}

void
launcher_on_end(struct chan *c, int err, void *arg)
{
	(void)c;
	(void)arg;
	fatalx("the launcher died%s%s", err != 0 ? ": " : "",
	    err != 0 ? strerror(err) : "");
}

/* -------------------------------------------------------------- sending --- */

int
ps_send(struct ps *ps, unsigned id, uint32_t type, const void *msg, int fd)
{
	static uint8_t buf[PS_FRAME_MAX];
	struct slot *s = slot_find(ps, id);
	const struct ps_msg *m = schema_find(ps->conf->schema, type);
	int n, rc = -1, saved;

	if (s == NULL || m == NULL || type < PS_MSG_FIRST ||
	    !(m->from & 1U << PS_PARENT) || !(m->to & 1U << id)) {
		log_warnx(
		    "message %u to process %u is not in the schema", type, id);
		errno = EINVAL;
	} else if ((s->state != SLOT_SETUP && s->state != SLOT_RUN) ||
	    !(m->phases & slot_phase(s)))
		errno = ENOTCONN;
	else if ((n = codec_encode(m->desc(), type, msg, buf, sizeof(buf))) !=
	    -1) {
		rc = chan_send(&s->chan, buf, (size_t)n, fd);
		saved = errno;
		explicit_bzero(buf, (size_t)n);
		errno = saved;
		return (rc);
	} else if (errno == ENOBUFS)
		errno = ERANGE; /* no queue: the frame is too long */
	saved = errno;
	if (fd != -1)
		close(fd);
	errno = saved;
	return (rc);
}

bool
ps_is_up(const struct ps *ps, unsigned id)
{
	const struct slot *s = slot_find(ps, id);

	return (s != NULL && s->state == SLOT_RUN);
}

uint64_t
ps_restarts(const struct ps *ps, unsigned id)
{
	const struct slot *s = slot_find(ps, id);

	return (s != NULL ? s->restarts : 0);
}
