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
 * A worker's life: HELLO, set-up, sandbox, READY, loop, exit on EOF.
 */

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <bsd/stdlib.h>
#include <bsd/unistd.h>

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "internal.h"

extern char **environ;

struct ps_worker {
	const struct ps_conf *conf;
	const struct ps_proc *proc;
	struct event_base *base;
	struct chan chan;
	enum ps_phase phase;
	struct monotime deadline; /* of the set-up */
	bool stopping;
	bool got_go;
	void *msg; /* decoded, max_size bytes */
};

/* Under a sandbox the handlers of atexit(3) have nothing left to do. */
static void
worker_exit(const struct ps_worker *w, int status)
{
	if (sandbox_disabled(w->conf))
		exit(status);
	_exit(status);
}

struct event_base *
ps_base(struct ps_worker *w)
{
	return (w->base);
}

static void
send_own(struct ps_worker *w, enum ps_own type, const struct codec_desc *d,
    const void *s)
{
	uint8_t buf[64];
	int n;

	if ((n = codec_encode(d, type, s, buf, sizeof(buf))) == -1 ||
	    (chan_send(&w->chan, buf, (size_t)n, -1) == -1 &&
		errno != ENOTCONN))
		fatal("send to parent");
}

int
ps_worker_send(struct ps_worker *w, uint32_t type, const void *msg, int fd)
{
	static uint8_t buf[PS_FRAME_MAX];
	const struct ps_msg *m = schema_find(w->conf->schema, type);
	int n, rc, saved;

	if (m == NULL || !(m->from & 1U << w->proc->id) ||
	    !(m->to & 1U << PS_PARENT) || !(m->phases & w->phase))
		fatalx("message %u may not be sent by %s now", type,
		    w->proc->title);
	if ((n = codec_encode(m->desc(), type, msg, buf, sizeof(buf))) == -1) {
		saved = errno;
		if (fd != -1)
			close(fd);
		errno = saved;
		return (-1);
	}
	rc = chan_send(&w->chan, buf, (size_t)n, fd);
	saved = errno;
	explicit_bzero(buf, (size_t)n);
	if (rc == -1 && saved == ENOBUFS)
		fatalx("queue to the parent is full");
	errno = saved;
	return (rc);
}

/* Check and decode into w->msg, or into out when the type is the awaited. */
static const struct ps_msg *
accept_frame(struct ps_worker *w, const uint8_t *buf, size_t len, uint32_t type,
    void *out)
{
	const struct ps_msg *m = schema_find(w->conf->schema, type);

	if (m == NULL || type < PS_MSG_FIRST || !(m->from & 1U << PS_PARENT) ||
	    !(m->to & 1U << w->proc->id) || !(m->phases & w->phase))
		fatalx("unexpected message %u from the parent", type);
	if (codec_decode(m->desc(), buf, len, out) == -1)
		fatal("malformed message %s from the parent", m->name);
	return (m);
}

static void
deliver(
    struct ps_worker *w, const uint8_t *buf, size_t len, uint32_t type, int fd)
{
	const struct ps_msg *m = accept_frame(w, buf, len, type, w->msg);

	w->proc->dispatch(w, type, w->msg, fd);
	codec_wipe(m->desc(), w->msg);
}

static void
on_frame(struct chan *c, const uint8_t *buf, size_t len, int fd, void *arg)
{
	uint32_t type;

	(void)c;
	if (codec_peek(buf, len, &type) == -1)
		fatalx("malformed frame from the parent");
	deliver(arg, buf, len, type, fd);
}

/* The parent is gone, or it asks us to end: the same to us. */
static void
on_end(struct chan *c, int err, void *arg)
{
	struct ps_worker *w = arg;

	(void)c;
	if (err != 0)
		log_warnx("channel: %s", strerror(err));
	worker_exit(w, err == 0 ? 0 : 1);
}

/*
 * Set-up only: the next frame, waited for. The buffer is the caller's to
 * wipe.
 */
static int
next_frame(struct ps_worker *w, uint8_t *buf, size_t size, size_t *len,
    uint32_t *type, int *fd)
{
	for (;;) {
		switch (chan_read(&w->chan, buf, size, len, fd)) {
		case CHAN_FRAME:
			if (codec_peek(buf, *len, type) == -1)
				fatalx("malformed frame from the parent");
			return (0);
		case CHAN_END:
			on_end(&w->chan, errno, w);
			return (-1);
		case CHAN_AGAIN:
			if (poll_until(w->chan.fd, POLLIN, w->deadline) == -1)
				return (-1);
			break;
		}
	}
}

int
ps_worker_recv(struct ps_worker *w, uint32_t type, void *out, int *fd)
{
	static uint8_t buf[PS_FRAME_MAX];
	size_t len;
	uint32_t got;
	int got_fd;

	if (w->phase != PS_SETUP || w->got_go) {
		errno = EINVAL;
		return (-1);
	}
	for (;;) {
		if (next_frame(w, buf, sizeof(buf), &len, &got, &got_fd) == -1)
			return (-1);
		if (got == PS_GO) {
			/* The parent has sent all that it had. */
			w->got_go = true;
			errno = ENOMSG;
			return (-1);
		}
		if (got != type) {
			deliver(w, buf, len, got, got_fd);
			explicit_bzero(buf, len);
			continue;
		}
		(void)accept_frame(w, buf, len, got, out);
		explicit_bzero(buf, len);
		if (fd != NULL)
			*fd = got_fd;
		else if (got_fd != -1)
			close(got_fd);
		return (0);
	}
}

static void
wait_welcome(struct ps_worker *w)
{
	struct ps_welcome msg;
	uint8_t buf[128];
	size_t len;
	uint32_t type;
	int fd;

	if (next_frame(w, buf, sizeof(buf), &len, &type, &fd) == -1)
		fatal("no welcome from the parent");
	if (type != PS_WELCOME || fd != -1 ||
	    codec_decode(ps_welcome_desc(), buf, len, &msg) == -1 ||
	    msg.level >= LL_MAX)
		fatalx("no welcome from the parent");
	log_setlevel((enum log_level)msg.level);
}

/* What set-up did not ask for goes to dispatch(), then comes GO. */
static void
wait_go(struct ps_worker *w)
{
	static uint8_t buf[PS_FRAME_MAX];
	size_t len;
	uint32_t type;
	int fd;

	while (!w->got_go) {
		if (next_frame(w, buf, sizeof(buf), &len, &type, &fd) == -1)
			fatal("no GO from the parent");
		if (type == PS_GO && fd == -1)
			w->got_go = true;
		else
			deliver(w, buf, len, type, fd);
		explicit_bzero(buf, len);
	}
}

size_t
ps_worker_queued(const struct ps_worker *w)
{
	return (w->chan.nframes);
}

void
ps_worker_stop(struct ps_worker *w)
{
	w->stopping = true;
	(void)event_base_loopbreak(w->base);
}

/* The parent reads, or it is gone; ten seconds tell which. */
static void
flush_all(struct ps_worker *w)
{
	struct monotime deadline;

	deadline = monotime_add_ms(monotime_now(), PS_SETUP_MS);
	while (chan_flush(&w->chan) == -1 && errno == EAGAIN)
		if (poll_until(w->chan.fd, POLLOUT, deadline) == -1)
			return;
}

static void
close_sandbox(struct ps_worker *w)
{
	const struct sandbox *sb = w->proc->sandbox;
	pid_t launcher = getppid();

	if (sandbox_disabled(w->conf)) {
		log_ev(
		    LL_WARN, "sandboxDisabled", KVS("worker", w->proc->title));
		return;
	}
	/* pthread_exit(3) would load it when no file can be opened any more. */
	if (sb->allow & SB_THREADS)
		(void)dlopen("libgcc_s.so.1", RTLD_NOW);
	/* Asked while /proc can be seen. */
	if (sandbox_single_threaded() == -1)
		fatal("set-up left threads behind");
	if (sandbox_drop(w->proc->user, sb->allow & (SB_READFILES | SB_UNIX)) ==
	    -1)
		fatal("cannot drop privileges to %s",
		    w->proc->user != NULL ? w->proc->user : "(none)");
	/* A change of credentials cleared it; and see that we did not miss. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != launcher)
		fatalx("the launcher is gone");
	if (sandbox_enter(sb, w->proc->title, true) == -1)
		fatal("cannot close the sandbox");
}

static void
worker_init(struct ps_worker *w)
{
	struct event_config *cfg;
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(PS_CHAN_FD, SOL_SOCKET, SO_TYPE, &type, &len) == -1 ||
	    type != SOCK_SEQPACKET)
		fatalx("-T is for the launcher only");
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	/* Milliseconds matter here, and the default clock is coarse. */
	if ((cfg = event_config_new()) == NULL ||
	    event_config_set_flag(cfg, EVENT_BASE_FLAG_PRECISE_TIMER) == -1 ||
	    (w->base = event_base_new_with_config(cfg)) == NULL)
		fatalx("event_base_new");
	event_config_free(cfg);
	if ((w->msg = malloc(w->conf->schema->max_size + 1)) == NULL)
		fatal("malloc");
	chan_init(&w->chan);
	chan_open(&w->chan, PS_CHAN_FD);
	w->chan.on_frame = on_frame;
	w->chan.on_end = on_end;
	w->chan.arg = w;
}

static void
worker_run(struct ps_worker *w)
{
	struct ps_hello hello = { schema_hash(w->conf->schema) };
	struct ps_empty ready = { false };

	worker_init(w);
	send_own(w, PS_HELLO, ps_hello_desc(), &hello);
	wait_welcome(w);
	if (w->proc->setup != NULL && w->proc->setup(w) == -1) {
		log_ev(LL_ERROR, "workerSetupFailed",
		    KVS("error", strerror(errno)));
		worker_exit(w, 1);
	}
	wait_go(w);
	close_sandbox(w);
	memory_settle_on(w->base);
	w->phase = PS_RUN;
	send_own(w, PS_READY, ps_empty_desc(), &ready);
	if (chan_attach(&w->chan, w->base) == -1)
		fatal("chan_attach");
	if (!w->stopping && event_base_dispatch(w->base) == -1)
		fatalx("event loop");
	flush_all(w);
	worker_exit(w, 0);
}

void
ps_worker_main(int argc, char **argv, const struct ps_conf *conf)
{
	static struct ps_worker w;
	const char *title;
	size_t i;

	setproctitle_init(argc, argv, environ);
	if (argc < 2 || strcmp(argv[1], "-T") != 0)
		return;
	title = argc == 3 ? argv[2] : "";
	for (i = 0; i < conf->nprocs; i++)
		if (strcmp(conf->procs[i].title, title) == 0)
			break;
	if (i == conf->nprocs)
		fatalx("-T: unknown title");
	log_init(conf->procs[i].title, conf->level, STDERR_FILENO);
	(void)prctl(PR_SET_NAME, conf->procs[i].title);
	setproctitle("%s", conf->procs[i].title);
	w.conf = conf;
	w.proc = &conf->procs[i];
	w.phase = PS_SETUP;
	w.deadline = monotime_add_ms(monotime_now(), setup_ms(conf));
	worker_run(&w);
	_exit(1);
}
