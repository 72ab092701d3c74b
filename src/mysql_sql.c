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
 * The life of an SQL action: its own short-lived connection, its deadline,
 * the checks before each change, and exactly one SQL_DONE.
 *
 * One changing action at a time runs on a site, the others wait in order;
 * but nothing ever stands before a fence.
 */

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <errmsg.h>
#include <mysqld_error.h>

#include "mysql_act.h"
#include "mysql_start.h"

#define ACTIONS_MAX    16   /* of one site: the core has one or two */
#define TIMEOUT_MS     5000 /* when none is given */
#define TIMEOUT_MAX_MS (24 * 3600 * 1000LL)
#define UNDO_MS        10000
/* The server's Uptime has whole seconds, and it counts from its own start. */
#define START_SLACK_MS 2000

#define STATE_COLS                                                     \
	"SELECT @@global.server_uuid,"                                 \
	"TIMESTAMPDIFF(MICROSECOND,'1970-01-01',UTC_TIMESTAMP(6)),"    \
	"(SELECT VARIABLE_VALUE FROM performance_schema.global_status" \
	" WHERE VARIABLE_NAME='Uptime'),"                              \
	"@@global.read_only,@@global.super_read_only,"                 \
	"@@global.offline_mode,@@global.gtid_executed"
enum {
	ST_UUID,
	ST_CLOCK,
	ST_UPTIME,
	ST_RO,
	ST_SRO,
	ST_OFFLINE,
	ST_GTID,
	ST_MAX
};

static void start_next(struct msite *);
static void on_answer(struct mconn *, void *);

int64_t
maction_left(const struct maction *a)
{
	return monotime_sub_ms(a->deadline, monotime_now());
}

/* --------------------------------------------------------------- ending --- */

static struct m_sql_done *
answer_begin(const struct m_sql *req)
{
	static struct m_sql_done d;

	memset(&d, 0, sizeof(d));
	(void)strlcpy(d.group, req->group, sizeof(d.group));
	(void)strlcpy(d.site, req->site, sizeof(d.site));
	(void)strlcpy(d.pod_uid, req->pod_uid, sizeof(d.pod_uid));
	d.seq = req->seq;
	d.kind = req->kind;
	return &d;
}

void
maction_refuse(const struct m_sql *req, const char *why)
{
	struct m_sql_done *d = answer_begin(req);

	d->end = SE_REFUSED;
	(void)strlcpy(d->error, why, sizeof(d->error));
	mysql_send(MSG_SQL_DONE, d);
}

static void
action_free(struct maction *a)
{
	mconn_close(a->conn);
	maccounts_free(a);
	if (a->limit != NULL)
		event_free(a->limit);
	TAILQ_REMOVE(&a->site->actions, a, entry);
	a->site->nactions--;
	free(a->set);
	free(a->ids);
	free(a);
}

static void
end(struct maction *a, enum sql_end how, unsigned err, const char *text,
    const char *gtid)
{
	struct msite *s = a->site, *o;
	struct m_sql_done *d;
	unsigned kind;

	if (!a->undo) {
		d = answer_begin(&a->req);
		d->end = how;
		d->mysql_errno = err;
		(void)strlcpy(d->error, text, sizeof(d->error));
		(void)strlcpy(d->pod_uid, s->pod_uid, sizeof(d->pod_uid));
		(void)strlcpy(
		    d->server_uuid, a->server_uuid, sizeof(d->server_uuid));
		d->proc_start_ms = a->proc_start_ms;
		d->server_clock_us = a->clock_us;
		d->grant_limit_us = a->grant_limit_us;
		/* Only what was read after the last statement counts. */
		d->flags_read = gtid != NULL;
		d->read_only = a->read_only;
		d->super_read_only = a->super_read_only;
		d->count = a->count;
		d->retained = maccounts_retained(a);
		d->excess_known =
		    maccounts_excess(a, d->excess, sizeof(d->excess));
		if (gtid != NULL &&
		    mysql_copy_set(d->gtid, sizeof(d->gtid), gtid) == -1)
			(void)strlcpy(d->error,
			    "gtid_executed is beyond capacity",
			    sizeof(d->error));
		mysql_send(MSG_SQL_DONE, d);
	}
	kind = a->req.kind;
	action_free(a);
	/* What it changed is seen by a fresh log-in: on all, as all get it. */
	if (kind == SQL_ACCOUNTS)
		TAILQ_FOREACH (o, &s->group->sites, entry)
			mfresh_kick(o, false);
	start_next(s);
}

void
maction_end(struct maction *a, enum sql_end how, unsigned err, const char *text)
{
	end(a, how, err, text, NULL);
}

/* Broken off: what is true depends on how far it came. */
static void
break_off(struct maction *a, unsigned err, const char *why)
{
	enum sql_end how = SE_FAILED;

	if (a->in_flight || a->phase == MA_READBACK)
		how = SE_UNKNOWN;
	else if (err == 0 && !a->changed)
		how = SE_REFUSED;
	maction_end(a, how, err, why);
}

/* ------------------------------------------------- checks and statements --- */

/* NULL, or why nothing may be changed any more. */
static const char *
recheck(const struct maction *a)
{
	struct monotime until = { a->req.valid_until_ns };

	if (a->superseded)
		return "a fence came after it";
	if (a->req.pod_uid[0] != '\0' &&
	    strcmp(a->req.pod_uid, a->site->pod_uid) != 0)
		return "the site has another Pod now";
	if (monotime_cmp(monotime_now(), until) >= 0)
		return "the leader's deadline has passed";
	if (maction_left(a) <= 0)
		return "the time for it has passed";
	return NULL;
}

static void
send_sql(struct maction *a, const char *sql, bool secret)
{
	if (secret)
		mconn_query_secret(a->conn, sql, on_answer);
	else
		mconn_query(a->conn, sql, on_answer);
}

void
maction_read(struct maction *a, const char *sql)
{
	a->in_flight = false;
	send_sql(a, sql, false);
}

void
maction_read_secret(struct maction *a, const char *sql)
{
	a->in_flight = false;
	send_sql(a, sql, true);
}

void
maction_change(struct maction *a, const char *sql, bool secret)
{
	const char *why;

	if ((why = recheck(a)) != NULL) {
		if (!mkind_abort(a, why))
			break_off(a, 0, why);
		return;
	}
	a->in_flight = true;
	send_sql(a, sql, secret);
}

void
maction_change_last(struct maction *a, const char *sql)
{
	const char *why;
	char *batch;

	if ((why = recheck(a)) != NULL) {
		a->grant_limit_us = 0; /* it was not sent */
		break_off(a, 0, why);
		return;
	}
	if (asprintf(&batch, "%s;" STATE_COLS, sql) == -1)
		fatal("asprintf");
	a->in_flight = true;
	a->phase = MA_READBACK;
	send_sql(a, batch, false);
	free(batch);
}

void
maction_restore(struct maction *a, const char *sql)
{
	a->in_flight = true;
	send_sql(a, sql, false);
}

void
maction_done(struct maction *a)
{
	a->in_flight = false;
	a->phase = MA_READBACK;
	send_sql(a, STATE_COLS, false);
}

/* -------------------------------------------------------------- answers --- */

/* The server's state from the last result; its GTID set, or NULL. */
static const char *
take_state(struct maction *a)
{
	unsigned n = mconn_nresults(a->conn);
	char **row;

	if (n == 0 || mconn_ncols(a->conn, n - 1) != ST_MAX ||
	    (row = mconn_row(a->conn, n - 1)) == NULL)
		return NULL;
	if (row[ST_UUID] == NULL || row[ST_CLOCK] == NULL ||
	    row[ST_UPTIME] == NULL || row[ST_RO] == NULL ||
	    row[ST_SRO] == NULL || row[ST_OFFLINE] == NULL ||
	    row[ST_GTID] == NULL)
		return NULL;
	(void)strlcpy(a->server_uuid, row[ST_UUID], sizeof(a->server_uuid));
	a->clock_us = mysql_num(row[ST_CLOCK]);
	a->clock_at = monotime_now();
	a->proc_start_ms = mysql_start_ms(a->clock_us, row[ST_UPTIME]);
	if (a->proc_start_ms == -1)
		return NULL;
	a->read_only = mysql_num(row[ST_RO]) != 0;
	a->super_read_only = mysql_num(row[ST_SRO]) != 0;
	a->offline_mode = mysql_num(row[ST_OFFLINE]) != 0;
	a->gtid_too_big = strlen(row[ST_GTID]) > GTID_LEN;
	return row[ST_GTID];
}

/* Is the session's server the process that this is meant for? */
static const char *
identity(const struct maction *a)
{
	const struct m_sql *r = &a->req;
	int64_t d = a->proc_start_ms - r->proc_start_ms;

	if (r->server_uuid[0] != '\0' &&
	    strcmp(r->server_uuid, a->server_uuid) != 0)
		return "another server answers there";
	if (r->proc_start_ms != 0 &&
	    (d > START_SLACK_MS || d < -START_SLACK_MS))
		return "another process answers there";
	return NULL;
}

static void
checked(struct maction *a)
{
	const char *why;

	if (take_state(a) == NULL) {
		maction_end(a, SE_FAILED, 0, "the answer has another shape");
		return;
	}
	if ((why = identity(a)) != NULL ||
	    (!a->undo && (why = mkind_unfit(a)) != NULL)) {
		maction_end(a, SE_REFUSED, 0, why);
		return;
	}
	a->phase = MA_RUN;
	a->step = 0;
	mkind_next(a);
}

static void
read_back(struct maction *a)
{
	const char *gtid, *why = "";
	enum sql_end how = SE_DONE;

	if ((gtid = take_state(a)) == NULL) {
		maction_end(a, SE_UNKNOWN, 0, "it could not be read back");
		return;
	}
	mkind_verdict(a, &how, &why);
	end(a, how, 0, why, gtid);
}

static void
failed(struct maction *a)
{
	unsigned err = mconn_errno(a->conn);
	bool lost = mconn_is_lost(a->conn);

	if (a->phase >= MA_RUN && mkind_error(a))
		return;
	/* The first statement of the batch was refused: nothing happened. */
	if (!lost && a->phase == MA_READBACK && a->in_flight &&
	    mconn_nanswered(a->conn) == 0)
		a->phase = MA_RUN;
	if (!lost && a->phase != MA_READBACK)
		a->in_flight = err == ER_SERVER_SHUTDOWN;
	break_off(a, err, mconn_error(a->conn));
}

static void
answered(struct maction *a)
{
	if (mconn_errno(a->conn) != 0) {
		failed(a);
		return;
	}
	if (a->in_flight)
		a->changed = true;
	a->in_flight = false;
	switch (a->phase) {
	case MA_QUEUED:
	case MA_CONNECT:
		break;
	case MA_CHECK:
		checked(a);
		break;
	case MA_RUN:
		a->step++;
		mkind_next(a);
		break;
	case MA_READBACK:
		read_back(a);
		break;
	}
}

static void
connected(struct maction *a)
{
	int64_t left = maction_left(a), wait_s = (left - 200) / 1000;
	char *sql;

	if (mconn_errno(a->conn) != 0) {
		failed(a);
		return;
	}
	mysql_accepted(a->site, a->conn);
	/*
	 * What waits for a lock gives up before we do, so that its end is
	 * known; one second is the least that MySQL takes. What reads ends
	 * with us.
	 */
	if (wait_s < 1)
		wait_s = 1;
	if (asprintf(&sql,
		"SET SESSION lock_wait_timeout=%lld,"
		"innodb_lock_wait_timeout=%lld,max_execution_time=%lld,"
		"time_zone='+00:00';" STATE_COLS,
		(long long)wait_s, (long long)wait_s,
		(long long)(left > 1 ? left : 1)) == -1)
		fatal("asprintf");
	a->phase = MA_CHECK;
	maction_read(a, sql);
	free(sql);
}

static void
on_answer(struct mconn *c, void *arg)
{
	(void)c;
	answered(arg);
}

static void
on_connected(struct mconn *c, void *arg)
{
	(void)c;
	connected(arg);
}

/* ---------------------------------------------------------------- queue --- */

static void
expired(struct maction *a)
{
	if (a->phase >= MA_RUN && a->req.kind == SQL_CLONE && !a->undo)
		maction_undo(a);
	break_off(a, CR_SERVER_LOST,
	    a->phase == MA_QUEUED ? "deadline passed before its turn" :
				    "deadline passed");
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	expired(arg);
}

static void
start(struct maction *a)
{
	const char *why;

	if (!a->undo && (why = recheck(a)) != NULL) {
		maction_end(a, SE_REFUSED, 0, why);
		return;
	}
	if ((why = mysql_unfit(a->site)) != NULL) {
		maction_end(a, SE_REFUSED, 0, why);
		return;
	}
	a->phase = MA_CONNECT;
	a->conn = mysql_connect(a->site, on_connected, a);
}

/* What waits for nobody, and for whom nobody waits. */
static bool
beside(unsigned kind)
{
	return kind == SQL_FENCE || kind == SQL_ACCOUNTS;
}

static void
start_next(struct msite *s)
{
	struct maction *a, *first = NULL;

	TAILQ_FOREACH (a, &s->actions, entry) {
		if (beside(a->req.kind))
			continue;
		if (a->phase != MA_QUEUED)
			return;
		if (first == NULL)
			first = a;
	}
	if (first != NULL)
		start(first);
}

static struct maction *
action_new(struct msite *s, const struct m_sql *req, int64_t ms)
{
	struct maction *a;

	if ((a = calloc(1, sizeof(*a))) == NULL ||
	    (a->limit = evtimer_new(mysql_base(), on_limit, a)) == NULL)
		fatal("action_new");
	a->site = s;
	a->req = *req;
	a->deadline = monotime_add_ms(monotime_now(), ms);
	mysql_arm(a->limit, ms);
	s->nactions++;
	return a;
}

/* A grant that was asked for before a fence must not come after it. */
static void
supersede(struct msite *s)
{
	struct maction *a;

	TAILQ_FOREACH (a, &s->actions, entry)
		if (a->req.kind == SQL_GRANT)
			a->superseded = true;
}

static bool
sees_to_accounts(const struct msite *s)
{
	const struct maction *a;

	TAILQ_FOREACH (a, &s->actions, entry)
		if (a->req.kind == SQL_ACCOUNTS)
			return true;
	return false;
}

void
maction_request(struct msite *s, const struct m_sql *req)
{
	struct maction *a;
	int64_t ms = req->timeout_ms;

	if (ms <= 0)
		ms = TIMEOUT_MS;
	if (ms > TIMEOUT_MAX_MS)
		ms = TIMEOUT_MAX_MS;
	if (req->kind >= SQL_MAX) {
		maction_refuse(req, "unknown action");
		return;
	}
	if (req->kind == SQL_ACCOUNTS && sees_to_accounts(s)) {
		maction_refuse(req, "the accounts are being seen to");
		return;
	}
	if (s->nactions >= ACTIONS_MAX && req->kind != SQL_FENCE) {
		maction_refuse(req, "too many actions for this site");
		return;
	}
	a = action_new(s, req, ms);
	TAILQ_INSERT_TAIL(&s->actions, a, entry);
	if (req->kind == SQL_FENCE)
		supersede(s);
	if (beside(req->kind))
		start(a);
	else
		start_next(s);
}

void
maction_undo(struct maction *clone)
{
	struct msite *s = clone->site;
	struct maction *a;

	a = action_new(s, &clone->req, UNDO_MS);
	a->undo = true;
	a->set_offline = clone->set_offline;
	a->clone_id = mconn_id(clone->conn);
	(void)strlcpy(
	    a->req.server_uuid, clone->server_uuid, sizeof(a->req.server_uuid));
	a->req.proc_start_ms = clone->proc_start_ms;
	TAILQ_INSERT_AFTER(&s->actions, clone, a, entry);
}

/* Answers what waits first: ending one action starts the next. */
void
maction_cancel(struct msite *s, const char *why)
{
	struct maction *a;

	while ((a = TAILQ_LAST(&s->actions, maction_list)) != NULL)
		break_off(a, 0, why);
}
