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
 * The link from the inside: framing, limits, connections.
 *
 * A frame is a 16-bit big-endian length and that many bytes. What they mean
 * is the parent's business (wire.h): this process holds no key, so whoever
 * takes it over can delay, drop and replay frames, as the network can, and
 * nothing else.
 *
 * Who is who:
 *  - local: the guard, at a Unix socket of the Pod. Trusted from the start.
 *  - outbound: to the sites of LINK_SITES, each on its own, for ever.
 *  - inbound: anybody. LINK_UP is told with its first frame, so that who
 *    only connects costs the parent nothing; therefore who connects speaks
 *    first.
 * An outbound or inbound peer is a stranger until the parent says LINK_TRUST.
 */

#ifndef LINK_H
#define LINK_H

#include <sys/queue.h>
#include <sys/tree.h>

#include <netinet/in.h>

#include "msg.h"
#include "net.h"

struct event;
struct event_base;

/* -------------------------------------------------------------- limits --- */

#define LINK_FRAME_MAX     8192 /* LINK_RX, LINK_TX */
#define LINK_HEAD          2
/* Of strangers, inbound: so many at once, */
#define LINK_STRANGERS     32
/* so long until they have proved themselves (outbound ones too), */
#define LINK_PROVE_MS      5000
/* so many frames in all: hello, proof, and what may follow at once. */
#define LINK_PROVE_FRAMES  4
/* New connections of one address: a burst, then so many a second. */
#define LINK_SOURCE_BURST  8
#define LINK_SOURCE_RATE   4
#define LINK_SOURCES       256 /* addresses remembered */
/* Frames of all strangers together, and of one trusted peer. */
#define LINK_STRANGE_BURST 64
#define LINK_STRANGE_RATE  200
#define LINK_PEER_BURST    256
#define LINK_PEER_RATE     256
/* Inbound peers that were trusted: 15 sites, some operators, twice each. */
#define LINK_TRUSTED       64
#define LINK_LOCALS        4
#define LINK_ACCEPTS       16 /* a listener's share of a turn */
#define LINK_TURN          8  /* frames, one connection's share of a turn */
#define LINK_BACKLOG       128
/* A peer that does not read: beyond this its link is closed. */
#define LINK_TX_MAX        131072
#define LINK_SNDBUF        65536
#define LINK_RCVBUF        16384 /* inbound: before it proved itself */
#define LINK_CONNECT_MS    1500
#define LINK_BACKOFF_MIN   100
#define LINK_BACKOFF_MAX   2000
/* Unanswered bytes, or silence of the peer's kernel: the link is dead. */
#define LINK_USER_MS       3000
/*
 * Frames that wait for the parent: strangers are not read beyond the first,
 * nobody beyond the second. Its full queue (256) would end this process.
 */
#define LINK_QUEUE_STRANGE 16
#define LINK_QUEUE_ALL     128
#define LINK_PAUSE_MS      10
/* Operator: GROUPS_MAX groups of some sites. */
#define LINK_FILES         8192

/* -------------------------------------------------------- link_limit.c --- */

/*
 * One frame at the beginning of buf? 1: yes, *len bytes after LINK_HEAD;
 * 0: not yet; -1 with EBADMSG: its length is 0 or beyond LINK_FRAME_MAX.
 */
int link_frame(const uint8_t *buf, size_t have, size_t *len);

/* So many at once, then so many a second. */
struct link_rate {
	uint32_t burst, rate;
	int64_t level_us; /* of tokens, each 1 s / rate */
	struct monotime at;
};

void link_rate_init(
    struct link_rate *, uint32_t burst, uint32_t rate, struct monotime now);
/* Take one token, if there is one. */
bool link_rate_take(struct link_rate *, struct monotime now);
/* Milliseconds until there is one, at least 1. */
int64_t link_rate_wait(const struct link_rate *, struct monotime now);

/* New connections by address. Bounded: the one unseen longest is forgotten. */
struct link_sources {
	struct link_source {
		struct in6_addr addr;
		struct link_rate rate;
	} src[LINK_SOURCES];
	unsigned n;
};

bool link_source_take(
    struct link_sources *, const struct in6_addr *, struct monotime now);

/* --------------------------------------------------------- link_conn.c --- */

enum link_kind { LK_OUT, LK_IN, LK_LOCAL };

struct link;
struct link_site;

struct link_conn {
	TAILQ_ENTRY(link_conn) entry; /* inbound strangers, oldest first */
	RB_ENTRY(link_conn) node;
	struct link *link;
	uint64_t id;
	enum link_kind kind;
	struct link_site *site; /* LK_OUT */
	int fd;
	struct event *ev;
	struct event *timer;
	struct event *pause;
	bool connecting, told, trusted, paused;
	unsigned frames; /* as a stranger */
	struct link_rate rate;
	uint8_t *rbuf; /* the beginning of a frame */
	size_t rlen;
	struct monotime read;  /* what is in it had come by then */
	struct monotime since; /* it is not read since then; 0: it is */
	uint8_t *wbuf;         /* what the kernel did not take */
	size_t wlen, wsize;
	struct in6_addr src;
	char peer[NET_ADDR_LEN];
};
TAILQ_HEAD(link_conns, link_conn);
RB_HEAD(link_tree, link_conn);

/* What the connections tell; a table for tests' sake. */
struct link_ops {
	void (*up)(void *, const struct link_conn *);
	void (*rx)(void *, const struct link_conn *, const uint8_t *, size_t);
	/* After it c is gone. Only for what was up. */
	void (*down)(void *, const struct link_conn *, const char *error);
	/* Outbound only, also when it was never up: try again. */
	void (*lost)(void *, struct link_site *);
	/* Frames that wait for the parent. */
	size_t (*queued)(void *);
};

struct link {
	struct event_base *base;
	const struct link_ops *ops;
	void *arg;
	uint64_t last_id;
	struct link_tree conns;
	struct link_conns strangers;
	unsigned nstrangers, ntrusted, nlocal;
	struct link_sources sources;
	struct link_rate strange;
	uint64_t refused, evicted; /* inbound, for the log */
};

/* Options of a TCP socket, or of a listener whose sockets inherit them. */
int link_options(int fd);
void link_init(
    struct link *, struct event_base *, const struct link_ops *, void *arg);
/* Close all; nothing is told. */
void link_free(struct link *);
/* A socket that accept4(2) returned. Takes it. */
void link_accepted(
    struct link *, enum link_kind, int fd, const struct sockaddr_storage *);
/* Begin to connect. NULL: it failed at once (errno). */
struct link_conn *
link_connect(struct link *, struct link_site *, const char *ip, uint32_t port);
struct link_conn *link_find(struct link *, uint64_t id);
/* Afterwards the connection may be gone. */
void link_trust(struct link_conn *);
/* error NULL: the parent wants it so, and is not told. */
void link_close(struct link_conn *, const char *error);

/* For link_io.c. */
bool link_strange(const struct link_conn *);
void link_up(struct link_conn *);
void link_connected(struct link_conn *);
/* Close, with errno as the reason. */
void link_failed(struct link_conn *);
/* Wait for what there is to do. */
void link_want(struct link_conn *);
/* Read no more for a while; 0: until it is trusted, or its time is over. */
void link_pause(struct link_conn *, int64_t ms);

/* ----------------------------------------------------------- link_io.c --- */

/* One frame. Afterwards the connection may be gone. */
void link_send(struct link_conn *, const uint8_t *, size_t);
/* libevent's callbacks of ev and pause. */
void link_conn_event(int, short, void *);
void link_conn_resume(int, short, void *);

#endif /* LINK_H */
