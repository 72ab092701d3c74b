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
 * A small MySQL client for guard and sidecar: Unix socket only, text results,
 * no allocation, no blocking call. libmysqlclient would be four times the
 * guard's whole memory.
 *
 * The caller owns the loop: it polls myc_fd() for myc_events() until
 * myc_deadline_ms(), then calls myc_io() until that says MYC_MORE.
 *
 * Authentication is caching_sha2_password: by scramble, or, when the server
 * does not remember the account, by the password itself; a Unix socket counts
 * as secure there.
 */

#ifndef MYC_H
#define MYC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "privsep.h"

struct event;

#define MYC_COLS_MAX   72   /* SHOW REPLICA STATUS has some 60 */
#define MYC_QUERY_MAX  1024 /* of a statement's text */
#define MYC_BUF_MIN    1024 /* one packet must fit: a row, a column's name */
#define MYC_ERR_LEN    255
/* The server's ER_ACCESS_DENIED_ERROR. */
#define MYC_ERR_DENIED 1045
/* Ours, with the client library's number: not a plugin that we know. */
#define MYC_ERR_PLUGIN 2059

enum myc_state {
	MYC_CLOSED,
	MYC_GREETING, /* connected, log-in runs */
	MYC_AUTH,
	MYC_IDLE, /* ready for a statement */
	MYC_SENT, /* no answer yet */
	MYC_COLUMNS,
	MYC_ROWS
};

enum myc_event {
	MYC_MORE,  /* nothing (more) now: poll */
	MYC_READY, /* logged in */
	MYC_ROW,   /* ncols, col[], len[]: valid until the next call */
	MYC_DONE,  /* the statement is over; err: the server's error, 0: well */
	MYC_LOST   /* closed; errtext says why, err when the server said it */
};

struct myc {
	int fd;
	enum myc_state state;
	int64_t sent_ms;     /* when the present step was begun */
	int64_t deadline_ms; /* of the present step */
	uint8_t seq;         /* of the next packet */
	bool full_auth;      /* the password was sent: once */
	/* Of the log-in, borrowed until MYC_READY or MYC_LOST. */
	const char *user;
	const struct secret *password;
	uint8_t scramble[20];
	/* What the server said. */
	unsigned err;
	char errtext[MYC_ERR_LEN + 1];
	unsigned ncols;                /* 0: no rows were in the answer */
	const char *col[MYC_COLS_MAX]; /* NUL-terminated; NULL: NULL */
	uint32_t len[MYC_COLS_MAX];
	/* Internal. */
	uint32_t defs_left; /* column definitions to come */
	bool defs_eof;      /* and their end */
	uint8_t *in;        /* the caller's */
	size_t in_size, in_len;
	size_t in_used; /* of these, done with at the next call */
	uint8_t saved;  /* byte that a terminator stands on */
	uint8_t *saved_at;
	uint8_t out[MYC_QUERY_MAX + 8];
	size_t out_len, out_off;
};

/* buf: at least MYC_BUF_MIN; stays the caller's, one per connection. */
void myc_init(struct myc *, uint8_t *buf, size_t size);
/*
 * Begin to log in. Times are those of CLOCK_BOOTTIME in milliseconds, given
 * by the caller. Returns 0, or -1: closed, errtext says why (errno is
 * connect's; EAGAIN: the server does not accept).
 */
int myc_connect(struct myc *, const char *path, const char *user,
    const struct secret *password, int64_t now_ms, int64_t deadline_ms);
/*
 * Send a statement; the state must be MYC_IDLE. Returns 0, or -1 with ERANGE
 * (too long), EBUSY (not idle).
 */
int
myc_query(struct myc *, const char *sql, int64_t now_ms, int64_t deadline_ms);
/* To be called until it says MYC_MORE. */
enum myc_event myc_io(struct myc *, int64_t now_ms);
void myc_close(struct myc *);

/*
 * It ended since the server does not take this account. Of one that does not
 * exist MySQL says that it has a method, and makes up which.
 */
bool myc_denied(const struct myc *);
int myc_fd(const struct myc *);       /* -1: closed */
short myc_events(const struct myc *); /* POLLIN, POLLOUT */
/*
 * The same for who has libevent: io, of event_new() with the caller's base and
 * callback, waits for these events of this socket, or, when closed, for none.
 * To be called whenever myc_io() said MYC_MORE, and after a close.
 */
void myc_watch(const struct myc *, struct event *io);
/* INT64_MAX: nothing runs. */
int64_t myc_deadline_ms(const struct myc *);
/* A statement or the log-in is under way. */
bool myc_busy(const struct myc *);

/*
 * The pure part, for tests: what follows from the bytes in in[0..in_len).
 * Does no I/O but what it leaves in out[].
 */
enum myc_event myc_step(struct myc *);

#endif /* MYC_H */
