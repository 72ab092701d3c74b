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
 * One connection to a MySQL server, by libmysqlclient's non-blocking calls
 * inside libevent. It has no deadline of its own: its owner has one for all
 * of what it does, and closes the connection when that passes.
 */

#ifndef MYSQL_CONN_H
#define MYSQL_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct mconn;

/* Largest number of results that one batch of statements may give. */
#define MCONN_RESULTS 4

/* Accounts that are tried in turn while a server denies access. */
#define MCONN_LOGINS  5
#define MCONN_DIGEST  32 /* SHA-256 of a certificate */

struct mlogin {
	const char *user;
	const char *password;
};

/*
 * Whom to connect to. All is copied; the copies of passwords are wiped as
 * soon as the server accepted one.
 */
struct mtarget {
	const char *host; /* name in the certificate */
	const char *ip;
	unsigned port;
	struct mlogin login[MCONN_LOGINS];
	unsigned nlogins;
	unsigned cookie; /* of the caller's */
	bool tls;        /* demand it, and who it is */
	const char *ca;  /* PEM: who may have signed the certificate */
	size_t ca_len;
};

/* Called from the event loop; it may close the connection. */
typedef void mconn_fn(struct mconn *, void *);

/* Once before the sandbox closes: whatever loads files. 0 or -1. */
int mconn_setup(void);

/* done is called when the server accepted us, or refused, or was lost. */
struct mconn *mconn_open(
    struct event_base *, const struct mtarget *, mconn_fn *done, void *arg);
/*
 * Send one or more statements; done is called when all were answered, or one
 * failed (its predecessors were carried out), or the connection was lost.
 * Only on an idle connection.
 */
void mconn_query(struct mconn *, const char *sql, mconn_fn *done);
/* As mconn_query; the text is wiped when it was answered, and an error text
 * of the server, which could quote it, is replaced. */
void mconn_query_secret(struct mconn *, const char *sql, mconn_fn *done);
/* While idle: call lost once when the server closes (EOF, RST). */
void mconn_watch(struct mconn *, mconn_fn *lost);
/* NULL is allowed. Never blocks; says goodbye only when idle. */
void mconn_close(struct mconn *);

/* Of the last operation: 0, or the error of server or client. */
unsigned mconn_errno(const struct mconn *);
const char *mconn_error(const struct mconn *);
/* Is the connection gone (no answer can come any more)? */
bool mconn_is_lost(const struct mconn *);
/* enum probe_err of the last operation. */
unsigned mconn_class(const struct mconn *);
/* Which of the target's accounts was taken. */
unsigned mconn_login(const struct mconn *);
unsigned mconn_cookie(const struct mconn *);
/* Of the server's certificate; NULL: there was none. */
const uint8_t *mconn_cert(const struct mconn *);
/* The server's id of this session. */
unsigned long mconn_id(const struct mconn *);

/* Results of the last query; valid until the next one. */
unsigned mconn_nresults(const struct mconn *);
/* Statements of the last query that were carried out. */
unsigned mconn_nanswered(const struct mconn *);
/* Next row of result i: its columns (NULL is SQL's) or NULL. */
char **mconn_row(struct mconn *, unsigned i);
/* Columns of result i. */
unsigned mconn_ncols(const struct mconn *, unsigned i);
/* Index of a column by its name, -1 when there is none. */
int mconn_col(const struct mconn *, unsigned i, const char *name);

/*
 * Quote a string for this connection: malloc'd, with the quotes around it.
 * The caller wipes what is secret.
 */
char *mconn_quote(struct mconn *, const char *);

/*
 * Some calls of this process, as libmysqlclient sees them (mysql_addr.c):
 * between begin and end, host has this address, the file MADDR_CA has this
 * content, and nothing waits. No file is read.
 */
#define MADDR_CA "/bloodraven/ca.pem"
struct maddr {
	const char *host, *ip;
	const char *ca;
	size_t ca_len;
	/* Out: the server's certificate, if it came in between. */
	uint8_t *digest; /* MCONN_DIGEST bytes */
	bool *digested;
};
void maddr_close(void); /* from now on: nothing but that */
void maddr_begin(const struct maddr *);
/* The socket that was connected in between, -1 when none was. */
int maddr_end(void);

#endif /* MYSQL_CONN_H */
