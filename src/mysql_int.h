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
 * mysql-prober's own view: groups, sites, the probe of each site and the SQL
 * actions that run there. Private to src/mysql*.c.
 */

#ifndef MYSQL_INT_H
#define MYSQL_INT_H

#include <sys/queue.h>
#include <sys/tree.h>

#include "msg.h"
#include "mysql_conn.h"
#include "privsep.h"

struct event;

/* Allocated to its length, so that it can be wiped. */
struct maccount {
	char *user, *password;
};

/*
 * Accounts of a group (mysql_creds.c). cand are ways in as the operator: what
 * shall be first, then what servers may still have, root last.
 */
struct mcreds {
	bool known; /* a CREDS has come */
	bool valid;
	char problem[ERR_LEN + 1];
	uint64_t gen;
	unsigned serial; /* of cand */
	struct maccount cand[MCONN_LOGINS];
	unsigned ncand;
	struct maccount repl;
	struct maccount role[AC_MAX]; /* in force */
	struct maccount next[AC_MAX]; /* of the CREDS that is to come */
};

struct mtls; /* mysql_tls.c */

enum mprobe_phase { MP_IDLE, MP_CONNECT, MP_QUERY };

/* One probe a poll interval, and the connection held open between them. */
struct mprobe {
	struct mconn *conn; /* NULL: none */
	struct event *tick;
	struct event *limit;
	enum mprobe_phase phase;
	bool quiet;          /* a failure is not reported */
	bool fresh;          /* connected within this probe */
	bool no_quiet;       /* it answers, but not as it should */
	struct monotime due; /* the next one that is reported */
	struct monotime sent;
};

/* A fresh log-in, until it says what it shall (mysql_fresh.c). */
struct mfresh {
	struct mconn *conn; /* NULL: none */
	struct event *tick;
	struct event *limit;
	uint64_t creds_gen, tls_gen; /* as they were seen */
	int64_t wait_ms;
	bool told;
	bool again; /* something happened while it ran */
};

struct maction;
TAILQ_HEAD(maction_list, maction);

struct msite {
	TAILQ_ENTRY(msite) entry;
	struct mgroup *group;
	char *name, *host, *internal, *ip;
	unsigned port;
	bool tls;
	unsigned cand; /* account that was taken last */
	char pod_uid[UID_LEN + 1];
	bool keep; /* while a PROBE_GROUP is applied */
	struct mprobe probe;
	struct mfresh fresh;
	struct maction_list actions; /* oldest first, running and queued */
	unsigned nactions;
};

TAILQ_HEAD(msite_list, msite);

struct mgroup {
	RB_ENTRY(mgroup) entry;
	char uid[UID_LEN + 1];
	char *fg; /* namespace/name */
	int64_t poll_ms;
	int64_t deadline_ms;
	struct mcreds creds;
	struct mtls *tls; /* NULL: none was told */
	struct msite_list sites;
};

/* mysql.c */
struct event_base *mysql_base(void);
void mysql_send(uint32_t type, const void *msg);
struct msite *mysql_site(const struct mgroup *, const char *name);
char *mysql_copy(const char *);
void mysql_arm(struct event *, int64_t ms);

/*
 * Copy text with white space removed (GTID sets come with line breaks).
 * Returns -1 with ERANGE when it does not fit; dst is then empty.
 */
int mysql_copy_set(char *dst, size_t size, const char *src);
/* Decimal text to a number; 0 for NULL and for what is no number. */
int64_t mysql_num(const char *);

/* mysql_creds.c */
void mcreds_set(struct mgroup *, const struct m_creds *);
void mcreds_account(struct mgroup *, const struct m_account *);
void mcreds_clear(struct mcreds *);
/* NULL, or why no connection to this site can be made. */
const char *mysql_unfit(const struct msite *);
/* Connect with the account that works, first the one that did last. */
struct mconn *mysql_connect(const struct msite *, mconn_fn *, void *);
/* It was accepted: which one that was. */
void mysql_accepted(struct msite *, const struct mconn *);
/* Connect with this account only. */
struct mconn *mysql_connect_as(
    const struct msite *, const struct maccount *, mconn_fn *, void *);

/* mysql_tls.c */
void mtls_set(struct mgroup *, const struct m_tls *);
void mtls_free(struct mgroup *);
/* The sites' names may be others: look again, tell what changed. */
void mtls_names(struct mgroup *);
/* Who may have signed a server's certificate; NULL: nobody is known. */
const char *mtls_trust(const struct mgroup *, size_t *len);
/* The certificate that servers shall have; 0: none that is any good. */
uint64_t mtls_gen(const struct mgroup *);
bool mtls_is(const struct mgroup *, const uint8_t *digest);
/* Does that one have this name? */
bool mtls_has_name(const struct mgroup *, const char *name);

/* mysql_fresh.c */
void mfresh_init(struct msite *);
void mfresh_free(struct msite *);
/* Accounts, certificate or process changed: look (again). */
void mfresh_kick(struct msite *, bool forget);

/* mysql_probe.c */
void mprobe_init(struct msite *, int64_t first_ms, int64_t phase_ms);
void mprobe_free(struct msite *);
/* One more, now: PROBE_NOW. */
void mprobe_now(struct msite *);
/* Address or process changed: drop the connection, go on. */
void mprobe_reset(struct msite *);

/* mysql_sql.c */
void maction_request(struct msite *, const struct m_sql *);
/* Answer a request that has no site here. */
void maction_refuse(const struct m_sql *, const char *why);
/* The site goes or has become another process: answer all. */
void maction_cancel(struct msite *, const char *why);

#endif /* MYSQL_INT_H */
