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
 * status-server from the inside: requests, connections, what it knows.
 */

#ifndef HTTP_H
#define HTTP_H

#include "msg.h"

struct event_base;
struct http_state;
struct metric_sink;

/* -------------------------------------------------------------- limits --- */

/*
 * One request's line and header. The reference takes 64 KiB; no client of
 * ours sends 1, and a flood of connections holds this much each.
 */
#define HTTP_HEAD_MAX      16384
#define HTTP_HEAD_FIRST    1024 /* first allocation, then doubled */
#define HTTP_METHOD_MAX    16
#define HTTP_HEAD_MS       5000 /* first byte to end of header */
/* End of header to end of answer; the sidecar's is shorter (sidecar.md 3). */
#define HTTP_WRITE_MS      15000
#define HTTP_SIDECAR_MS    10000
#define HTTP_IDLE_MS       60000 /* between requests */
#define HTTP_DRAIN_MS      500   /* after an error: let the client read it */
#define HTTP_ACCEPTS       64    /* one port's share of a loop turn */
#define HTTP_BACKLOG       1024
/*
 * The kernel's buffers of one connection. By itself it would take megabytes
 * for a client that does not read, and the deadline would see nothing of it.
 */
#define HTTP_SNDBUF        65536
#define HTTP_RCVBUF        16384
/*
 * Sidecars hold their connection to the auxiliary port; at the cap the
 * longest waiting one of the busiest address gives way.
 */
#define HTTP_METRICS_CONNS 32
#define HTTP_PROBE_CONNS   32
#define HTTP_AUX_CONNS     256
#define HTTP_SIDECAR_CONNS 48
/* A body is shared by its readers, so that slow ones cost no memory. */
#define HTTP_BODY_MS       250                /* rendered at most so often */
#define HTTP_BODIES        8                  /* alive at once, per kind */
#define HTTP_STATUS_MAX    (48 * 1024 * 1024) /* /status, far away */
/*
 * Lines about requests in a second; more are counted in the next line. A
 * flood must not push the parent's decisions out of the log.
 */
#define HTTP_LOG_RATE      50

/* -------------------------------------------------------- http_parse.c --- */

/* Points into the parsed buffer, which is changed in place. */
struct http_req {
	char method[HTTP_METHOD_MAX + 1];
	char *path;  /* percent-decoded */
	char *query; /* raw, "" when there is none */
	bool head;
	bool keep;  /* the client wants another request */
	bool more;  /* it has sent something behind this one */
	int status; /* of a refused request */
	/* RFC 6455 section 4.2.1; NULL when absent */
	bool upgrade; /* to WebSocket */
	char *ws_key, *ws_version, *origin;
};

/*
 * Where the head in buf ends, or 0 when it does not yet. *scan and *state
 * carry on from the last call, so that each byte is looked at once.
 */
size_t
http_head_end(const char *buf, size_t len, size_t *scan, unsigned *state);
/*
 * Parse one head of len bytes (buf[len - 1] is its last newline; it becomes
 * a NUL). Returns 0, or -1 with req->status: 400, 413 (it has a body) or 505.
 */
int http_parse(char *buf, size_t len, struct http_req *req);
/*
 * The first value of a key in a query. Returns 1, 0 when it is absent or
 * empty, -1 with errno (EBADMSG malformed escape, ERANGE beyond size).
 */
int http_query(const char *query, const char *key, char *out, size_t size);

/* --------------------------------------------------------- http_conn.c --- */

#define HTTP_SERVERS(X)                                                \
	X(SRV_METRICS, "metrics", HTTP_METRICS_CONNS, HTTP_WRITE_MS)   \
	X(SRV_PROBE, "probe", HTTP_PROBE_CONNS, HTTP_WRITE_MS)         \
	X(SRV_AUX, "aux", HTTP_AUX_CONNS, HTTP_WRITE_MS)               \
	X(SRV_SIDECAR, "sidecar", HTTP_SIDECAR_CONNS, HTTP_SIDECAR_MS)

/* Why the server ended a connection. */
#define HTTP_DROPS(X)                                               \
	X(DROP_CAP, "cap")           /* too many connections */     \
	X(DROP_HEAD, "slow-header")  /* HTTP_HEAD_MS */             \
	X(DROP_WRITE, "slow-reader") /* HTTP_(WS_)WRITE_MS */       \
	X(DROP_IDLE, "idle")         /* HTTP_IDLE_MS, WS_PONG_MS */ \
	X(DROP_BAD, "bad-request")   /* 4xx, 505 of the parser */   \
	X(DROP_FRAME, "bad-frame")   /* RFC 6455 says: fail it */   \
	X(DROP_FLOOD, "flood")       /* HTTP_WS_FRAMES */           \
	X(DROP_MEMORY, "no-memory")

#define X(id, ...) id,
enum http_srv { HTTP_SERVERS(X) SRV_MAX };
enum http_drop { HTTP_DROPS(X) DROP_MAX };
#undef X

const char *http_srv_name(enum http_srv);
const char *http_drop_name(enum http_drop);

struct http_body;
struct http_conn;
struct http_listener;

/* What the connections ask for and tell; a table for tests' sake. */
struct http_ops {
	/* Answer with http_reply(), once, before it returns. */
	void (*handle)(struct http_conn *, const struct http_req *);
	/* An answer was written, or given up. */
	void (*done)(struct http_conn *, int status, int64_t us);
	void (*dropped)(enum http_srv, enum http_drop);
	/* After http_reply_upgrade(): takes the socket. */
	void (*upgraded)(int fd, const char *remote);
};

/*
 * Bind and listen on ":port", "a.b.c.d:port" or "[v6]:port"; port 0 takes any.
 * "" and "0" mean no such server: 0 is returned and *out is NULL. addr gets
 * what it is bound to. Returns -1 with errno.
 */
#define HTTP_ADDR_LEN 56 /* NET_ADDR_LEN */
int http_listen(struct event_base *, enum http_srv, const char *where,
    const struct http_ops *, struct http_listener **out,
    char addr[static HTTP_ADDR_LEN]);
unsigned http_nconns(const struct http_listener *);

enum http_srv http_conn_srv(const struct http_conn *);
/* "10.0.0.1:4711" */
const char *http_conn_remote(const struct http_conn *);
/* For the worker's own use between handle and done. */
#define HTTP_LOG_PATH 128
struct http_note {
	unsigned handler;
	char method[HTTP_METHOD_MAX + 1];
	char path[HTTP_LOG_PATH];
};
struct http_note *http_conn_note(struct http_conn *);

/* -------------------------------------------------------- http_reply.c --- */

/* What there is of one kind of bodies. */
struct http_alive {
	unsigned n;
	size_t bytes;
};

/* Text that several answers may share; freed with its last reference. */
struct http_body {
	unsigned refs;
	struct http_alive *alive; /* or NULL */
	size_t len;
	char *data;
};

/* Takes data, also on failure. One reference, the caller's. */
struct http_body *
http_body_new(char *data, size_t len, struct http_alive *alive);
void http_body_unref(struct http_body *);

/*
 * Takes a reference of body (NULL: empty). ctype is a literal. A status that
 * is not known to http_reply.c becomes 500.
 */
void http_reply(
    struct http_conn *, int status, const char *ctype, struct http_body *body);
/* "Sun, 06 Nov 1994 08:49:37 GMT" of Unix seconds; -1 when out of range. */
#define HTTP_DATE_LEN 30
int http_date(int64_t s, char text[static HTTP_DATE_LEN]);
/* 101: once it is written the socket goes to ops->upgraded(). */
void http_reply_upgrade(struct http_conn *, const char *accept);

/* -------------------------------------------------------- http_state.c --- */

/* Series of groups and sites that vanish are removed through the sink. */
struct http_state *http_state_new(const struct metric_sink *);
void http_state_free(struct http_state *);
/* -1 with ENOMEM or ENOBUFS: the old word stays. */
int http_state_site(struct http_state *, const struct m_site_status *);
int http_state_group(struct http_state *, const struct m_group_status *);
/*
 * Whether all groups are listed, and whether this operator leads. Is that
 * something new for clients?
 */
bool http_state_operator(struct http_state *, bool ready, bool leader);
/* A number that changes with what there is to say. */
uint64_t http_state_version(const struct http_state *);

/* --------------------------------------------------- http_state_text.c --- */

/* The body of /status, to be freed. -1 with ENOMEM or ENOBUFS. */
int http_state_render(const struct http_state *, char **text, size_t *len);
/* The status and the body of /active-site. -1 with ENOMEM. */
int http_state_active(const struct http_state *, const char *query, int *status,
    char **text, size_t *len);
/*
 * The next message of /ws/status for a client that has had everything up to
 * *seen (0: nothing), which is moved on: the newest word of the group whose
 * change is the oldest. Returns 1 with a reference, 0 when there is none, -1
 * with EAGAIN (HTTP_WS_BYTES: later), or with ENOMEM or ENOBUFS for a
 * group that is left out this time.
 */
int http_state_next(struct http_state *, uint64_t *seen, struct http_body **);
/* Would it return something else than 0? */
bool http_state_news(const struct http_state *, uint64_t seen);

#endif /* HTTP_H */
