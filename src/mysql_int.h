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

/* Accounts of a group; what is wiped is allocated to its length. */
struct mcreds {
	bool known; /* a CREDS has come */
	bool valid;
	char problem[ERR_LEN + 1];
	char *user, *password;
	char *repl_user, *repl_password;
	bool tls;
	char *ca;
	size_t ca_len;
};

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

struct maction;
TAILQ_HEAD(maction_list, maction);

struct msite {
	TAILQ_ENTRY(msite) entry;
	struct mgroup *group;
	char *name, *host, *ip;
	unsigned port;
	char pod_uid[UID_LEN + 1];
	bool keep; /* while a PROBE_GROUP is applied */
	struct mprobe probe;
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
	bool tls;
	struct mcreds creds;
	struct msite_list sites;
};

/* mysql.c */
struct event_base *mysql_base(void);
void mysql_send(uint32_t type, const void *msg);
/* Connect to a site with the operator's account. */
struct mconn *mysql_connect(const struct msite *, mconn_fn *, void *);
void mysql_arm(struct event *, int64_t ms);

/*
 * Copy text with white space removed (GTID sets come with line breaks).
 * Returns -1 with ERANGE when it does not fit; dst is then empty.
 */
int mysql_copy_set(char *dst, size_t size, const char *src);
/* Decimal text to a number; 0 for NULL and for what is no number. */
int64_t mysql_num(const char *);

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
