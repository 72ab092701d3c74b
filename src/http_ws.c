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
 * Clients of /ws/status. Each hears of every change of a group, in the order
 * of the changes, and at first of all groups. There is no queue: a client has
 * one message on its way and remembers how far it is (http_state_next), so a
 * slow one hears only the newest word of each group, and costs no memory. It
 * has HTTP_WS_WRITE_MS for each message.
 *
 * wslay makes and reads the frames. It would answer pings without end, so a
 * client that does not take the answers is not read (HTTP_WS_ANSWERS).
 */

#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wslay/wslay.h>

#include "http_ws.h"
#include "metrics.h"

struct client {
	TAILQ_ENTRY(client) entry;
	int fd;
	char remote[HTTP_ADDR_LEN];
	struct event *ev;
	short what; /* ev waits for */
	wslay_event_context_ptr ws;

	uint64_t seen;          /* of http_state_next */
	struct http_body *body; /* on its way, */
	size_t off;             /* up to here */
	bool starved;           /* there was no memory for its next one */

	size_t may_read, may_write; /* in this turn */
	bool ended;                 /* the socket is of no more use */
	unsigned frames;            /* since the last ping */
	/* 0: not */
	struct monotime pinged, ponged;
	struct monotime blocked; /* what is to be written waits since */
	struct monotime closing; /* our Close is out since */
};

/* The one server of this process. */
static struct {
	struct http_ws_conf conf;
	struct event *round; /* there is news */
	struct event *sweep; /* deadlines */
	TAILQ_HEAD(, client) clients;
	unsigned n;
} hw;

static const struct monotime never;

static void client_event(evutil_socket_t, short, void *);

/* --------------------------------------------------------------- clients --- */

static void
show_count(void)
{
	(void)metric_set(hw.conf.sink, M_WS_CLIENTS, hw.n, ML());
}

static void
client_free(struct client *c)
{
	TAILQ_REMOVE(&hw.clients, c, entry);
	hw.n--;
	show_count();
	if (hw.n == 0)
		event_del(hw.sweep);
	if (c->ev != NULL)
		event_free(c->ev);
	if (c->ws != NULL)
		wslay_event_context_free(c->ws);
	http_body_unref(c->body);
	close(c->fd);
	free(c);
}

static void
count_drop(enum http_drop why)
{
	(void)metric_add(hw.conf.sink, M_HTTP_DROPPED, 1,
	    ML(http_srv_name(SRV_AUX), http_drop_name(why)));
}

static void
client_drop(struct client *c, enum http_drop why)
{
	log_ev(LL_DEBUG, "websocket dropped", KVS("remote", c->remote),
	    KVS("reason", http_drop_name(why)));
	count_drop(why);
	client_free(c);
}

static void
client_want(struct client *c, short what)
{
	if (c->what == what)
		return;
	event_del(c->ev);
	c->what = what;
	if (what == 0)
		return;
	event_assign(
	    c->ev, hw.conf.base, c->fd, what | EV_PERSIST, client_event, c);
	event_add(c->ev, NULL);
}

/* ------------------------------------------------------------- for wslay --- */

static ssize_t
on_read(
    wslay_event_context_ptr ws, uint8_t *buf, size_t len, int flags, void *arg)
{
	struct client *c = arg;
	ssize_t n = -1;

	if (len > c->may_read)
		len = c->may_read;
	if (len > 0 && (n = read(c->fd, buf, len)) > 0) {
		c->may_read -= (size_t)n;
		return n;
	}
	if (len == 0 || (n == -1 && (errno == EAGAIN || errno == EINTR))) {
		wslay_event_set_error(ws, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	c->ended = true;
	wslay_event_set_error(ws, WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

static ssize_t
on_write(wslay_event_context_ptr ws, const uint8_t *buf, size_t len, int flags,
    void *arg)
{
	struct client *c = arg;
	struct iovec iov = { (void *)(uintptr_t)buf, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int more = (flags & WSLAY_MSG_MORE) != 0 ? MSG_MORE : 0;
	ssize_t n = -1;

	if (iov.iov_len > c->may_write)
		iov.iov_len = c->may_write;
	if (iov.iov_len > 0 &&
	    (n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT | more)) >
		0) {
		c->may_write -= (size_t)n;
		return n;
	}
	if (iov.iov_len == 0 || errno == EAGAIN || errno == EINTR) {
		wslay_event_set_error(ws, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	c->ended = true;
	wslay_event_set_error(ws, WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

/* A long message goes out as fragments: one is what wslay has room for. */
static ssize_t
on_fragment(wslay_event_context_ptr ws, uint8_t *buf, size_t len,
    const union wslay_event_msg_source *source, int *eof, void *arg)
{
	struct client *c = arg;
	size_t left = c->body->len - c->off;

	if (len > left)
		len = left;
	memcpy(buf, c->body->data + c->off, len);
	c->off += len;
	*eof = c->off == c->body->len;
	return (ssize_t)len;
}

static void
on_frame(wslay_event_context_ptr ws,
    const struct wslay_event_on_frame_recv_start_arg *arg, void *client)
{
	struct client *c = client;

	c->frames++;
}

static void
on_message(wslay_event_context_ptr ws,
    const struct wslay_event_on_msg_recv_arg *arg, void *client)
{
	struct client *c = client;

	if (arg->opcode == WSLAY_PONG)
		c->ponged = monotime_now();
}

static const struct wslay_event_callbacks callbacks = {
	.recv_callback = on_read,
	.send_callback = on_write,
	.on_frame_recv_start_callback = on_frame,
	.on_msg_recv_callback = on_message,
};

/* --------------------------------------------------------------- writing --- */

/* Put its next message on the way. */
static bool
next_message(struct client *c)
{
	struct wslay_event_fragmented_msg m = { .opcode = WSLAY_TEXT_FRAME,
		.source = { .data = NULL },
		.read_callback = on_fragment };

	http_body_unref(c->body);
	c->body = NULL;
	switch (http_state_next(hw.conf.state, &c->seen, &c->body)) {
	case 1:
		break;
	case 0:
		return false;
	default:
		if (errno == EAGAIN)
			c->starved = true;
		else
			log_warn("status of a group was not sent");
		return false;
	}
	c->off = 0;
	/* Refused when a Close is queued: then there is nothing more to say. */
	return wslay_event_queue_fragmented_msg(c->ws, &m) == 0;
}

/* Write what this turn allows. */
static void
client_write(struct client *c)
{
	unsigned n;

	c->may_write = HTTP_WS_WRITE;
	for (n = 0; n < HTTP_WS_MESSAGES; n++) {
		if (!wslay_event_want_write(c->ws) && !next_message(c))
			break;
		if (wslay_event_send(c->ws) != 0)
			c->ended = true;
		if (c->ended || wslay_event_want_write(c->ws))
			break;
		c->blocked = never;
	}
}

/* End it with a code, as far as the client reads. */
static void
client_close(struct client *c, uint16_t code, const char *reason)
{
	(void)wslay_event_queue_close(
	    c->ws, code, (const uint8_t *)reason, strlen(reason));
	wslay_event_shutdown_read(c->ws);
}

/* A Close is out: ours, or the answer to the client's. */
static void
client_closing(struct client *c)
{
	if (wslay_event_get_close_received(c->ws)) {
		/* RFC 6455 section 7.1.1: the server closes first. */
		client_free(c);
		return;
	}
	if (c->closing.ns == 0) {
		c->closing = monotime_now();
		count_drop(
		    c->frames > HTTP_WS_FRAMES ? DROP_FLOOD : DROP_FRAME);
	}
	client_want(c, EV_READ);
}

/* Write, and say what it waits for. The client may be freed. */
static void
client_go_on(struct client *c)
{
	bool full;
	short what = 0;

	if (!wslay_event_get_close_sent(c->ws))
		client_write(c);
	if (c->ended) {
		client_free(c);
		return;
	}
	if (wslay_event_get_close_sent(c->ws)) {
		client_closing(c);
		return;
	}
	full = wslay_event_want_write(c->ws);
	if (full && c->blocked.ns == 0)
		c->blocked = monotime_now();
	if (full || (!c->starved && http_state_news(hw.conf.state, c->seen)))
		what |= EV_WRITE;
	if (wslay_event_want_read(c->ws) &&
	    wslay_event_get_queued_msg_count(c->ws) <= HTTP_WS_ANSWERS)
		what |= EV_READ;
	client_want(c, what);
}

/* --------------------------------------------------------------- reading --- */

/* After our Close: let the client read it before the socket is reset. */
static void
client_discard(struct client *c)
{
	char junk[HTTP_WS_READ];
	ssize_t n = read(c->fd, junk, sizeof(junk));

	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		client_free(c);
}

static void
client_read(struct client *c)
{
	c->may_read = HTTP_WS_READ;
	/* It has queued a Close for what RFC 6455 tells to fail. */
	if (wslay_event_recv(c->ws) == WSLAY_ERR_NOMEM)
		c->ended = true;
	if (c->frames > HTTP_WS_FRAMES)
		client_close(c, WSLAY_CODE_POLICY_VIOLATION, "too many frames");
}

static void
client_event(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;

	if (c->closing.ns != 0) {
		client_discard(c);
		return;
	}
	if ((what & EV_READ) != 0)
		client_read(c);
	client_go_on(c);
}

/* ------------------------------------------------------- news, deadlines --- */

static void
on_round(evutil_socket_t fd, short what, void *arg)
{
	struct client *c, *next;

	for (c = TAILQ_FIRST(&hw.clients); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		/* One that is being written to comes to it by itself. */
		if (c->closing.ns == 0 && (c->what & EV_WRITE) == 0)
			client_go_on(c);
	}
}

void
http_ws_news(void)
{
	static const struct timeval now = { 0, 0 };

	/* In the next turn: groups that change together are one round. */
	if (hw.n > 0)
		evtimer_add(hw.round, &now);
}

static bool
since(struct monotime begin, struct monotime now, int64_t ms)
{
	return begin.ns != 0 && monotime_sub_ms(now, begin) >= ms;
}

static void
ping(struct client *c, struct monotime now)
{
	struct wslay_event_msg m = { .opcode = WSLAY_PING };

	c->pinged = now;
	c->frames = 0;
	(void)wslay_event_queue_msg(c->ws, &m);
}

static void
client_sweep(struct client *c, struct monotime now)
{
	bool due = since(c->pinged, now, HTTP_WS_PING_MS);

	if (c->closing.ns != 0) {
		if (since(c->closing, now, HTTP_WS_CLOSE_MS))
			client_free(c);
	} else if (since(c->blocked, now, HTTP_WS_WRITE_MS))
		client_drop(c, DROP_WRITE);
	else if (since(c->ponged, now, HTTP_WS_PONG_MS))
		client_drop(c, DROP_IDLE);
	else if (due || c->starved) {
		if (due)
			ping(c, now);
		c->starved = false;
		client_go_on(c);
	}
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct monotime now = monotime_now();
	struct client *c, *next;

	for (c = TAILQ_FIRST(&hw.clients); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		client_sweep(c, now);
	}
}

/* ----------------------------------------------------------------- start --- */

int
http_ws_init(const struct http_ws_conf *conf)
{
	hw.conf = *conf;
	if (hw.conf.max == 0)
		hw.conf.max = WS_CLIENTS_MAX;
	TAILQ_INIT(&hw.clients);
	hw.n = 0;
	if ((hw.round = evtimer_new(conf->base, on_round, NULL)) == NULL ||
	    (hw.sweep = event_new(
		 conf->base, -1, EV_PERSIST, on_sweep, NULL)) == NULL)
		return -1;
	show_count();
	return 0;
}

int
http_ws_ask(
    const struct http_req *req, char accept[static HTTP_WS_ACCEPT_LEN + 1])
{
	int status = http_handshake(req, hw.conf.origins, accept);

	return status == 101 && hw.n >= hw.conf.max ? 429 : status;
}

void
http_ws_adopt(int fd, const char *remote)
{
	static const struct timeval tick = { HTTP_WS_SWEEP_MS / 1000,
		HTTP_WS_SWEEP_MS % 1000 * 1000L };
	struct client *c;

	if ((c = calloc(1, sizeof(*c))) == NULL) {
		count_drop(DROP_MEMORY);
		close(fd);
		return;
	}
	c->fd = fd;
	strlcpy(c->remote, remote, sizeof(c->remote));
	c->pinged = c->ponged = monotime_now();
	TAILQ_INSERT_TAIL(&hw.clients, c, entry);
	if (hw.n++ == 0)
		event_add(hw.sweep, &tick);
	show_count();
	if (wslay_event_context_server_init(&c->ws, &callbacks, c) != 0 ||
	    (c->ev = event_new(hw.conf.base, fd, EV_READ | EV_PERSIST,
		 client_event, c)) == NULL) {
		client_drop(c, DROP_MEMORY);
		return;
	}
	wslay_event_config_set_no_buffering(c->ws, 1);
	wslay_event_config_set_max_recv_msg_length(c->ws, HTTP_WS_IN_MAX);
	client_go_on(c);
}
