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
 * What each kind of SQL action does: a few statements in order. Every one of
 * them may be carried out twice.
 */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <errmsg.h>
#include <mysqld_error.h>

#include "mysql_act.h"

/* Waiting for the applier before a change of source, at most. */
#define DRAIN_MS  2000
/* KILL as many at a time; the core asks again until none is left. */
#define EVICT_MAX 1000
#define CLOCK_LEN 32

static const char not_applied[] = "received transactions are not applied yet";
static const char replica_sql[] = "SHOW REPLICA STATUS";

/* The default channel's coordinator; none without parallel workers. */
static const char applier_sql[] =
    "SELECT t.PROCESSLIST_ID"
    " FROM performance_schema.replication_applier_status_by_coordinator c"
    " JOIN performance_schema.threads t ON t.THREAD_ID=c.THREAD_ID"
    " WHERE c.CHANNEL_NAME=''";
static const char applier_end_sql[] =
    "SELECT SERVICE_STATE,SLEEP(0.005)"
    " FROM performance_schema.replication_applier_status_by_coordinator"
    " WHERE CHANNEL_NAME=''";

/* Sessions that are nobody's clients, and such as may not be killed. */
static const char evict_sql[] =
    "SELECT ID FROM information_schema.PROCESSLIST"
    " WHERE ID<>CONNECTION_ID()"
    " AND USER NOT IN('system user','event_scheduler','unauthenticated user')"
    " AND COMMAND NOT IN('Binlog Dump','Binlog Dump GTID','Daemon',"
    "'Register Replica','Group Replication Data Stream subscription')"
    " AND USER NOT IN(SELECT USER FROM mysql.global_grants"
    " WHERE PRIV='SYSTEM_USER')"
    " AND USER<>%s LIMIT %d";

/* What an unfit host name could do to a statement is not to be found out. */
static bool
host_ok(const char *h)
{
	if (*h == '\0')
		return false;
	for (; *h != '\0'; h++)
		if (!isalnum((unsigned char)*h) && strchr(".-:_", *h) == NULL)
			return false;
	return true;
}

const char *
mkind_unfit(const struct maction *a)
{
	enum sql_kind kind = a->req.kind;
	bool source = kind == SQL_SET_SOURCE || kind == SQL_CLONE ||
	    kind == SQL_REFRESH_SOURCE;

	if (source && !a->read_only)
		return "the server is writable";
	if (kind == SQL_ACCOUNTS && a->read_only)
		return "the server is read-only";
	if (source &&
	    (!host_ok(a->req.source_host) || a->req.source_port == 0 ||
		a->req.source_port > 65535))
		return "the source's address is not usable";
	if ((kind == SQL_GRANT || kind == SQL_RESET_REPLICA) && a->gtid_too_big)
		return "gtid_executed is beyond capacity";
	return NULL;
}

/* ----------------------------------------------------- replica's status --- */

static const char *
col(struct maction *a, char **row, const char *name)
{
	int n = mconn_col(a->conn, 0, name);

	return n == -1 || row[n] == NULL ? "" : row[n];
}

/* False: a set is beyond capacity, and the action has ended. */
static bool
take_replica(struct maction *a)
{
	const char *set;
	char **row;
	size_t size;

	free(a->set);
	a->set = NULL;
	while ((row = mconn_row(a->conn, 0)) != NULL)
		if (*col(a, row, "Channel_Name") == '\0')
			break;
	a->has_repl = row != NULL;
	if (row == NULL)
		return true;
	set = col(a, row, "Retrieved_Gtid_Set");
	size = strlen(set) + 1;
	if ((a->set = malloc(size)) == NULL)
		fatal("malloc");
	(void)mysql_copy_set(a->set, size, set);
	if (strspn(a->set,
		"0123456789abcdefABCDEF-:,_"
		"ghijklmnopqrstuvwxyz") == strlen(a->set))
		return true;
	maction_end(a, SE_FAILED, 0, "the received set is not readable");
	return false;
}

void
mkind_take_threads(struct maction *a)
{
	char **row;

	a->io_running = a->sql_running = false;
	while ((row = mconn_row(a->conn, 0)) != NULL) {
		if (*col(a, row, "Channel_Name") != '\0')
			continue;
		a->io_running =
		    strcmp(col(a, row, "Replica_IO_Running"), "No") != 0;
		a->sql_running =
		    strcmp(col(a, row, "Replica_SQL_Running"), "Yes") == 0;
		a->has_repl = true;
	}
}

static bool
answer_is(struct maction *a, const char *value)
{
	char **row = mconn_row(a->conn, 0);

	return row != NULL && row[0] != NULL && strcmp(row[0], value) == 0;
}

static const char *
start_sql(const struct maction *a)
{
	if (a->io_running && a->sql_running)
		return "START REPLICA";
	return a->io_running ? "START REPLICA IO_THREAD" :
			       "START REPLICA SQL_THREAD";
}

/* ---------------------------------------------------------------- grant --- */

/*
 * The server's clock showed clock_us not later than clock_at on ours. So a
 * limit that lies no further behind clock_us than the lease behind clock_at
 * passes before the lease does. SYSDATE() is the moment in which it is asked,
 * UTC_TIMESTAMP() that in which the statement began; the session's time zone
 * is UTC. A late statement is an error, since a flag can't be 2 (NULL would be
 * taken for OFF). Were it to
 * set what it reads, it could undo a fence that comes between the two.
 */
char *
mkind_clear_sql(const char *variable, int64_t limit_us)
{
	time_t s = (time_t)(limit_us / 1000000);
	char at[CLOCK_LEN], *sql;
	struct tm tm;

	if (gmtime_r(&s, &tm) == NULL ||
	    strftime(at, sizeof(at), "%Y-%m-%d %H:%M:%S", &tm) == 0 ||
	    asprintf(&sql, "SET GLOBAL %s=IF(SYSDATE(6)<'%s.%06d',0,2)",
		variable, at, (int)(limit_us % 1000000)) == -1)
		fatal("clear");
	return sql;
}

static void
grant(struct maction *a)
{
	struct monotime until = { a->req.valid_until_ns };
	int64_t ms = monotime_sub_ms(until, a->clock_at);
	char *sql;

	if (a->req.grant_ttl_ms < ms)
		ms = a->req.grant_ttl_ms;
	if (ms <= 0) {
		maction_end(a, SE_REFUSED, 0, "no time is left for the grant");
		return;
	}
	a->grant_limit_us = a->clock_us + ms * 1000;
	sql = mkind_clear_sql("read_only", a->grant_limit_us);
	maction_change_last(a, sql);
	free(sql);
}

/* -------------------------------------------------------- kill applier --- */

#define KILL_STEPS 4

/*
 * Where a transaction stopped arriving in its middle, STOP REPLICA waits for
 * the rest for a minute (SLAVE_WAIT_GROUP_DONE), although nothing of it will
 * ever come. A coordinator that is killed, and not asked to stop, ends at
 * once; its workers roll the part back. For when all that arrived whole is
 * applied. Takes KILL_STEPS steps from base on. False: there is none any more.
 */
static bool
kill_applier(struct maction *a, unsigned base)
{
	char **row, *sql;

	switch (a->step - base) {
	case 0:
		maction_read(a, applier_sql);
		return true;
	case 1:
		row = mconn_row(a->conn, 0);
		if (row == NULL || row[0] == NULL)
			break;
		if (asprintf(&sql, "KILL %lu",
			(unsigned long)mysql_num(row[0])) == -1)
			fatal("asprintf");
		maction_change(a, sql, false);
		free(sql);
		return true;
	case 2:
		maction_read(a, applier_end_sql);
		return true;
	default:
		/* Asked to stop before it has ended, it would wait, too. */
		if (!answer_is(a, "ON"))
			break;
		a->step--;
		maction_read(a, applier_end_sql);
		return true;
	}
	a->step = base + KILL_STEPS;
	return false;
}

/* -------------------------------------------------------- reset replica --- */

enum {
	RR_LOOK,
	RR_KILL,
	RR_STOP = RR_KILL + KILL_STEPS,
	RR_LOOK_AGAIN,
	RR_COMPARE,
	RR_RESET
};

static void
reset_replica(struct maction *a)
{
	char *sql;

	if (a->step == RR_KILL) {
		mkind_take_threads(a);
		if (!a->has_repl) {
			maction_done(a);
			return;
		}
	}
	if (a->step >= RR_KILL && a->step < RR_STOP && kill_applier(a, RR_KILL))
		return;
	switch (a->step) {
	case RR_LOOK:
		maction_read(a, replica_sql);
		break;
	case RR_STOP:
		maction_change(a, "STOP REPLICA", false);
		break;
	case RR_LOOK_AGAIN:
		maction_read(a, replica_sql);
		break;
	case RR_COMPARE:
		if (!take_replica(a))
			break;
		if (asprintf(&sql,
			"SELECT GTID_SUBSET('%s',"
			"@@global.gtid_executed)",
			a->set != NULL ? a->set : "") == -1)
			fatal("asprintf");
		maction_read(a, sql);
		free(sql);
		break;
	case RR_RESET:
		/* Or a human said that what was received may go. */
		if (answer_is(a, "1") || a->req.drop_received) {
			/* Other channels hold what is somebody else's. */
			maction_change_last(
			    a, "RESET REPLICA ALL FOR CHANNEL ''");
			break;
		}
		a->sql_running = true;
		maction_change(a, start_sql(a), false);
		break;
	default:
		maction_end(a, SE_REFUSED, 0, not_applied);
	}
}

/* ----------------------------------------------------------- set source --- */

static void
change_source(struct maction *a)
{
	char *opts = msource_options(a), *sql;

	if (asprintf(&sql,
		"CHANGE REPLICATION SOURCE TO SOURCE_HOST='%s',"
		"SOURCE_PORT=%u,%s,SOURCE_AUTO_POSITION=1,"
		"SOURCE_CONNECT_RETRY=1,SOURCE_RETRY_COUNT=1000000,"
		"SOURCE_HEARTBEAT_PERIOD=1",
		a->req.source_host, a->req.source_port, opts) == -1)
		fatal("change_source");
	maction_change(a, sql, true);
	freezero(opts, strlen(opts));
	freezero(sql, strlen(sql));
}

/* CHANGE throws the relay log away: what is in it must be applied. */
static void
wait_applied(struct maction *a)
{
	int64_t ms = maction_left(a) / 3;
	char *sql;

	if (ms > DRAIN_MS)
		ms = DRAIN_MS;
	if (!a->sql_running || ms < 1)
		ms = 1;
	if (asprintf(&sql, "SELECT WAIT_FOR_EXECUTED_GTID_SET('%s',%lld.%03d)",
		a->set != NULL ? a->set : "", (long long)(ms / 1000),
		(int)(ms % 1000)) == -1)
		fatal("asprintf");
	maction_read(a, sql);
	free(sql);
}

enum {
	SS_LOOK,
	SS_STOP_RECEIVER,
	SS_LOOK_AGAIN,
	SS_WAIT,
	SS_KILL,
	SS_STOP = SS_KILL + KILL_STEPS,
	SS_CHANGE,
	SS_START,
	SS_STARTED,
	SS_BACK
};

/* As it was before: the old source is better than none. */
static void
set_source_back(struct maction *a)
{
	a->step = SS_BACK;
	a->sql_running = true;
	maction_change(a, start_sql(a), false);
}

static void
set_source(struct maction *a)
{
	if (a->step == SS_STOP_RECEIVER) {
		mkind_take_threads(a);
		/* Nothing there to lose: straight to the change. */
		if (!a->has_repl)
			a->step = SS_CHANGE;
	}
	if (a->step == SS_KILL && !answer_is(a, "0")) {
		set_source_back(a);
		return;
	}
	if (a->step >= SS_KILL && a->step < SS_STOP && kill_applier(a, SS_KILL))
		return;
	switch (a->step) {
	case SS_LOOK:
	case SS_LOOK_AGAIN:
		maction_read(a, replica_sql);
		break;
	case SS_STOP_RECEIVER:
		maction_change(a, "STOP REPLICA IO_THREAD", false);
		break;
	case SS_WAIT:
		if (take_replica(a))
			wait_applied(a);
		break;
	case SS_STOP:
		maction_change(a, "STOP REPLICA", false);
		break;
	case SS_CHANGE:
		change_source(a);
		break;
	case SS_START:
		maction_change_last(a, "START REPLICA");
		break;
	default:
		if (a->fail_errno != 0)
			maction_end(a, SE_FAILED, a->fail_errno, a->fail_text);
		else
			maction_end(a, SE_REFUSED, 0, not_applied);
	}
}

/* ---------------------------------------------------------------- evict --- */

static void
evict_list(struct maction *a)
{
	char *user, *sql;

	user = mconn_quote(a->conn, a->site->group->creds.repl.user);
	if (user == NULL || asprintf(&sql, evict_sql, user, EVICT_MAX) == -1)
		fatal("evict");
	maction_read(a, sql);
	free(user);
	free(sql);
}

static void
evict_take(struct maction *a)
{
	char **row;

	if ((a->ids = calloc(EVICT_MAX, sizeof(*a->ids))) == NULL)
		fatal("calloc");
	while (a->nids < EVICT_MAX && (row = mconn_row(a->conn, 0)) != NULL)
		a->ids[a->nids++] = (unsigned long)mysql_num(row[0]);
}

/* Step 1 is the answer to the list, each later one that to a KILL. */
static void
evict(struct maction *a)
{
	char *sql;

	if (a->step == 0) {
		evict_list(a);
		return;
	}
	if (a->step == 1)
		evict_take(a);
	else if (mconn_errno(a->conn) == 0)
		a->count++;
	if (a->step > a->nids) {
		maction_done(a);
		return;
	}
	if (asprintf(&sql, "KILL %lu", a->ids[a->step - 1]) == -1)
		fatal("asprintf");
	maction_change(a, sql, false);
	free(sql);
}

/* ------------------------------------------------------------ all kinds --- */

static void
reset_persist(struct maction *a)
{
	if (a->step == 0)
		maction_change(a, "RESET PERSIST IF EXISTS read_only", false);
	else
		maction_change_last(
		    a, "RESET PERSIST IF EXISTS super_read_only");
}

void
mkind_next(struct maction *a)
{
	if (a->undo) {
		mclone_undo(a);
		return;
	}
	switch ((enum sql_kind)a->req.kind) {
	case SQL_FENCE:
		maction_change_last(a, "SET GLOBAL super_read_only=ON");
		break;
	case SQL_GRANT:
		grant(a);
		break;
	case SQL_STOP_RECEIVER:
		maction_change_last(a, "STOP REPLICA IO_THREAD");
		break;
	case SQL_START_APPLIER:
		maction_change_last(a, "START REPLICA SQL_THREAD");
		break;
	case SQL_RESET_REPLICA:
		reset_replica(a);
		break;
	case SQL_SET_SOURCE:
		set_source(a);
		break;
	case SQL_START_REPLICA:
		maction_change_last(a, "START REPLICA");
		break;
	case SQL_STOP_REPLICA:
		maction_change_last(a, "STOP REPLICA");
		break;
	case SQL_CLONE:
		mclone_next(a);
		break;
	case SQL_EVICT:
		evict(a);
		break;
	case SQL_RESET_PERSIST:
		reset_persist(a);
		break;
	case SQL_ACCOUNTS:
		maccounts_next(a);
		break;
	case SQL_REFRESH_SOURCE:
		mrefresh_next(a);
		break;
	case SQL_MAX:
		maction_end(a, SE_REFUSED, 0, "unknown action");
	}
}

bool
mkind_error(struct maction *a)
{
	unsigned err = mconn_errno(a->conn);

	/* It came late. What the server is then is told all the same. */
	if (a->req.kind == SQL_GRANT && err == ER_WRONG_VALUE_FOR_VAR) {
		maction_done(a);
		return true;
	}
	if (a->phase != MA_RUN)
		return false;
	if (a->undo && !mconn_is_lost(a->conn)) {
		a->step++;
		mclone_undo(a);
		return true;
	}
	if (a->req.kind == SQL_CLONE && !a->undo)
		return mclone_error(a);
	if (a->req.kind == SQL_ACCOUNTS)
		return maccounts_error(a);
	if (a->req.kind == SQL_REFRESH_SOURCE)
		return mrefresh_error(a);
	/* Gone by itself, or not ours to kill: the others still are. */
	if (a->req.kind == SQL_EVICT && a->step > 0 &&
	    (err == ER_NO_SUCH_THREAD || err == ER_KILL_DENIED_ERROR)) {
		a->step++;
		evict(a);
		return true;
	}
	if ((a->req.kind == SQL_RESET_REPLICA ||
		a->req.kind == SQL_SET_SOURCE) &&
	    err == ER_NO_SUCH_THREAD) {
		a->step++;
		mkind_next(a);
		return true;
	}
	if (a->req.kind == SQL_SET_SOURCE && a->step == SS_CHANGE &&
	    a->has_repl && !mconn_is_lost(a->conn)) {
		a->fail_errno = err;
		(void)strlcpy(
		    a->fail_text, mconn_error(a->conn), sizeof(a->fail_text));
		set_source_back(a);
		return true;
	}
	return false;
}

bool
mkind_abort(struct maction *a, const char *why)
{
	return a->req.kind == SQL_CLONE && !a->undo && a->phase == MA_RUN &&
	    mclone_abort(a, why);
}

void
mkind_verdict(struct maction *a, enum sql_end *how, const char **why)
{
	if (a->req.kind == SQL_FENCE && !(a->read_only && a->super_read_only)) {
		*how = SE_FAILED;
		*why = "the server is not super_read_only";
	}
	if (a->req.kind == SQL_GRANT && a->read_only) {
		*how = SE_REFUSED;
		*why = "the limit had passed on the server's clock";
	}
}
