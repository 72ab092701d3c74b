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
 * The probe of one site: at a fixed rate, by timers of its own.
 *
 * A probe has one deadline that covers all of it, a fresh connection and the
 * handshake included. The connection stays open in between, and its end is
 * reported when it happens. A connection whose probe failed is never used
 * again: the answer to the old question could arrive as that to a new one.
 *
 * While there is no connection, quiet attempts run between two probes: they
 * report nothing when they fail, so that failures keep their rate, but a
 * server that is back is seen at once.
 */

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "metrics.h"
#include "mysql_int.h"
#include "mysql_start.h"

#define QUIET_MS 250

/*
 * One round trip. The executed set is read before the received one, so that
 * "received is executed" is never said of sets that passed each other.
 * global_status and persisted_variables answer with performance_schema=OFF
 * as well: nothing of this is lost then.
 */
static const char probe_sql[] =
    "SELECT @@global.server_uuid,"
    "TIMESTAMPDIFF(MICROSECOND,'1970-01-01',UTC_TIMESTAMP(6)),"
    "(SELECT VARIABLE_VALUE FROM performance_schema.global_status"
    " WHERE VARIABLE_NAME='Uptime'),"
    "@@global.read_only,@@global.super_read_only,"
    "EXISTS(SELECT 1 FROM performance_schema.persisted_variables"
    " WHERE VARIABLE_NAME IN('read_only','super_read_only')),"
    "@@global.offline_mode,"
    "EXISTS(SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME"
    " NOT IN('information_schema','mysql','performance_schema','sys')),"
    "@@global.gtid_executed;"
    "SHOW REPLICA STATUS";

enum probe_col {
	COL_UUID,
	COL_CLOCK,
	COL_UPTIME,
	COL_RO,
	COL_SRO,
	COL_PERSISTED,
	COL_OFFLINE,
	COL_SCHEMAS,
	COL_GTID,
	COL_MAX
};

static void on_connected(struct mconn *, void *);
static void on_answer(struct mconn *, void *);
static void on_lost(struct mconn *, void *);

/* ------------------------------------------------------------ reporting --- */

static void
to_metric(void *arg, const struct m_metric *m)
{
	(void)arg;
	mysql_send(MSG_METRIC, m);
}

/* How late a beat is: whether this process still keeps up with its sites. */
static void
observe_late(int64_t us)
{
	static const struct metric_sink sink = { to_metric, NULL };
	static uint64_t log_dropped;
	static int64_t worst;

	(void)metric_observe_us(&sink, M_PROBE_LATE, us, ML());
	(void)metric_log_dropped(&sink, "mysql-prober", &log_dropped);
	if (us <= worst)
		return;
	worst = us;
	(void)metric_set_us(&sink, M_PROBE_LATE_MAX, us, ML());
}

/* The one PROBE of this process: 35 KB are not for the stack. */
static struct m_probe *
probe_begin(const struct msite *s)
{
	static struct m_probe p;

	memset(&p, 0, sizeof(p));
	(void)strlcpy(p.group, s->group->uid, sizeof(p.group));
	(void)strlcpy(p.site, s->name, sizeof(p.site));
	(void)strlcpy(p.pod_uid, s->pod_uid, sizeof(p.pod_uid));
	p.sent_ns = s->probe.sent.ns;
	p.lag_s = -1;
	return &p;
}

static void
probe_send(struct m_probe *p)
{
	p->latency_us = (monotime_now().ns - p->sent_ns) / 1000;
	mysql_send(MSG_PROBE, p);
}

static void
report_lost(const struct msite *s, const char *why)
{
	static struct m_conn_lost l;

	memset(&l, 0, sizeof(l));
	(void)strlcpy(l.group, s->group->uid, sizeof(l.group));
	(void)strlcpy(l.site, s->name, sizeof(l.site));
	(void)strlcpy(l.pod_uid, s->pod_uid, sizeof(l.pod_uid));
	(void)strlcpy(l.error, why, sizeof(l.error));
	mysql_send(MSG_CONN_LOST, &l);
}

/* ----------------------------------------------------------- the answer --- */

static const char *
col(struct mconn *c, unsigned i, char **row, const char *name)
{
	int n = mconn_col(c, i, name);

	return n == -1 || row[n] == NULL ? "" : row[n];
}

static unsigned
io_state(const char *s)
{
	unsigned i;

	for (i = 0; i < IO_MAX; i++)
		if (strcmp(s, io_state_name(i)) == 0)
			return i;
	return IO_NO;
}

/* The default channel is ours; other channels are somebody else's. */
static int
parse_replica(struct mconn *c, struct m_probe *p)
{
	char **row;
	const char *lag, *err;

	while ((row = mconn_row(c, 1)) != NULL)
		if (*col(c, 1, row, "Channel_Name") == '\0')
			break;
	if (row == NULL)
		return 0;
	p->has_repl = true;
	p->io = io_state(col(c, 1, row, "Replica_IO_Running"));
	p->sql = strcmp(col(c, 1, row, "Replica_SQL_Running"), "Yes") == 0;
	lag = col(c, 1, row, "Seconds_Behind_Source");
	p->lag_s = *lag == '\0' ? -1 : mysql_num(lag);
	(void)strlcpy(p->source_host, col(c, 1, row, "Source_Host"),
	    sizeof(p->source_host));
	(void)strlcpy(p->source_uuid, col(c, 1, row, "Source_UUID"),
	    sizeof(p->source_uuid));
	p->io_errno = (uint32_t)mysql_num(col(c, 1, row, "Last_IO_Errno"));
	p->sql_errno = (uint32_t)mysql_num(col(c, 1, row, "Last_SQL_Errno"));
	err = col(c, 1, row, "Last_SQL_Error");
	if (*err == '\0')
		err = col(c, 1, row, "Last_IO_Error");
	(void)strlcpy(p->repl_error, err, sizeof(p->repl_error));
	return mysql_copy_set(p->retrieved, sizeof(p->retrieved),
	    col(c, 1, row, "Retrieved_Gtid_Set"));
}

static bool
flag(const char *s)
{
	return s != NULL && (strcmp(s, "1") == 0 || strcmp(s, "ON") == 0);
}

/* Returns an enum probe_err. */
static unsigned
parse_answer(struct mconn *c, struct m_probe *p)
{
	char **row;

	if (mconn_nresults(c) != 2 || mconn_ncols(c, 0) != COL_MAX ||
	    (row = mconn_row(c, 0)) == NULL)
		return PE_SERVER;
	if (row[COL_UUID] == NULL || row[COL_CLOCK] == NULL ||
	    row[COL_UPTIME] == NULL || row[COL_GTID] == NULL ||
	    strlcpy(p->server_uuid, row[COL_UUID], sizeof(p->server_uuid)) >=
		sizeof(p->server_uuid))
		return PE_SERVER;
	p->server_clock_us = mysql_num(row[COL_CLOCK]);
	p->proc_start_ms = mysql_start_ms(p->server_clock_us, row[COL_UPTIME]);
	if (p->proc_start_ms == -1)
		return PE_SERVER;
	p->read_only = flag(row[COL_RO]);
	p->super_read_only = flag(row[COL_SRO]);
	p->persisted_ro = flag(row[COL_PERSISTED]);
	p->offline_mode = flag(row[COL_OFFLINE]);
	p->user_schemas = flag(row[COL_SCHEMAS]);
	if (mysql_copy_set(p->gtid, sizeof(p->gtid), row[COL_GTID]) == -1 ||
	    parse_replica(c, p) == -1)
		return PE_TOO_BIG;
	return PE_NONE;
}

/* -------------------------------------------------------------- running --- */

/* When the next look is due: the next probe, or a quiet attempt before. */
static void
schedule(struct msite *s)
{
	struct mprobe *pr = &s->probe;
	int64_t ms;

	ms = monotime_sub_ms(pr->due, monotime_now()) + 1;
	if (pr->conn == NULL && !pr->no_quiet && ms > QUIET_MS)
		ms = QUIET_MS;
	mysql_arm(pr->tick, ms);
}

static void
probe_failed(struct msite *s, unsigned err, const char *text)
{
	struct mprobe *pr = &s->probe;
	struct m_probe *p;

	(void)event_del(pr->limit);
	/* Asking a server four times a second for what it refuses is rude. */
	pr->no_quiet = err != PE_REFUSED && err != PE_LOST && err != PE_TIMEOUT;
	if (!pr->quiet) {
		p = probe_begin(s);
		p->err = err;
		(void)strlcpy(p->error, text, sizeof(p->error));
		probe_send(p);
	}
	mconn_close(pr->conn);
	pr->conn = NULL;
	pr->phase = MP_IDLE;
	schedule(s);
}

static void
timed_out(struct msite *s)
{
	probe_failed(s, PE_TIMEOUT,
	    s->probe.phase == MP_CONNECT ? "deadline passed while connecting" :
					   "deadline passed without an answer");
}

static void
probe_start(struct msite *s, bool quiet, int64_t budget_ms)
{
	struct mprobe *pr = &s->probe;
	const char *why;

	pr->quiet = quiet;
	pr->sent = monotime_now();
	if (!s->group->creds.known) {
		/* Nothing was asked: that is no observation. */
		schedule(s);
		return;
	}
	if ((why = mysql_unfit(s)) != NULL) {
		probe_failed(
		    s, s->ip[0] == '\0' ? PE_NO_ADDRESS : PE_AUTH, why);
		return;
	}
	mysql_arm(pr->limit, budget_ms);
	pr->fresh = pr->conn == NULL;
	if (pr->fresh) {
		pr->phase = MP_CONNECT;
		pr->conn = mysql_connect(s, on_connected, s);
	} else {
		pr->phase = MP_QUERY;
		mconn_query(pr->conn, probe_sql, on_answer);
	}
	schedule(s);
}

static void
tick(struct msite *s)
{
	struct mprobe *pr = &s->probe;
	struct monotime t = monotime_now();
	int64_t left = monotime_sub_ms(pr->due, t);

	if (left > 0) {
		if (pr->phase == MP_IDLE && pr->conn == NULL && !pr->no_quiet)
			probe_start(s, true,
			    left < s->group->deadline_ms ?
				left :
				s->group->deadline_ms);
		else
			schedule(s);
		return;
	}
	observe_late((t.ns - pr->due.ns) / 1000);
	if (pr->phase != MP_IDLE)
		timed_out(s);
	/*
	 * A late start skips beats, it does not pile them up; nor does it
	 * take time from the probe: what was not asked for the whole of its
	 * deadline did not fail.
	 */
	do {
		pr->due = monotime_add_ms(pr->due, s->group->poll_ms);
		left = monotime_sub_ms(pr->due, t);
	} while (left < s->group->deadline_ms - s->group->deadline_ms / 8);
	probe_start(s, false,
	    left < s->group->deadline_ms ? left : s->group->deadline_ms);
}

/* Besides the schedule, so that a failure of it is no scheduled failure. */
void
mprobe_now(struct msite *s)
{
	int64_t left = monotime_sub_ms(s->probe.due, monotime_now());

	if (s->probe.phase == MP_IDLE && left > 0)
		probe_start(s, true,
		    left < s->group->deadline_ms ? left :
						   s->group->deadline_ms);
}

/*
 * A server that does not come to an answer gives up soon after we have: there
 * is a new session for each probe that was missed, and so many are let in.
 */
static void
first_query(struct msite *s)
{
	char *sql;

	if (asprintf(&sql,
		"SET SESSION lock_wait_timeout=1,max_execution_time=%lld;%s",
		(long long)s->group->deadline_ms, probe_sql) == -1)
		fatal("asprintf");
	mconn_query(s->probe.conn, sql, on_answer);
	free(sql);
}

static void
connected(struct msite *s)
{
	struct mprobe *pr = &s->probe;

	if (mconn_errno(pr->conn) != 0) {
		probe_failed(s, mconn_class(pr->conn), mconn_error(pr->conn));
		return;
	}
	mysql_accepted(s, pr->conn);
	/* It may be another process, with another certificate. */
	mfresh_kick(s, true);
	pr->phase = MP_QUERY;
	first_query(s);
}

static void
answered(struct msite *s)
{
	struct mprobe *pr = &s->probe;
	struct m_probe *p;
	unsigned err;

	if (mconn_errno(pr->conn) != 0) {
		if (mconn_is_lost(pr->conn) && !pr->fresh)
			report_lost(s, mconn_error(pr->conn));
		probe_failed(s, mconn_class(pr->conn), mconn_error(pr->conn));
		return;
	}
	p = probe_begin(s);
	if ((err = parse_answer(pr->conn, p)) != PE_NONE) {
		/* An answer came, so this is told even by a quiet one. */
		pr->quiet = false;
		probe_failed(s, err,
		    err == PE_TOO_BIG ? "a GTID set is beyond capacity" :
					"the answer has another shape");
		return;
	}
	(void)event_del(pr->limit);
	pr->phase = MP_IDLE;
	p->ok = true;
	probe_send(p);
	schedule(s);
	mconn_watch(pr->conn, on_lost);
}

static void
lost(struct msite *s)
{
	struct mprobe *pr = &s->probe;

	report_lost(s, mconn_error(pr->conn));
	mconn_close(pr->conn);
	pr->conn = NULL;
	schedule(s);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	tick(arg);
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	timed_out(arg);
}

static void
on_connected(struct mconn *c, void *arg)
{
	(void)c;
	connected(arg);
}

static void
on_answer(struct mconn *c, void *arg)
{
	(void)c;
	answered(arg);
}

static void
on_lost(struct mconn *c, void *arg)
{
	(void)c;
	lost(arg);
}

/* first_ms: the first probe; phase_ms: of the beat of all later ones. */
void
mprobe_init(struct msite *s, int64_t first_ms, int64_t phase_ms)
{
	struct mprobe *pr = &s->probe;

	pr->tick = evtimer_new(mysql_base(), on_tick, s);
	pr->limit = evtimer_new(mysql_base(), on_limit, s);
	if (pr->tick == NULL || pr->limit == NULL)
		fatalx("evtimer_new");
	/*
	 * The first look is a quiet one at once, so that a start is quick;
	 * the beat, and with it the first failure that counts, has the
	 * phase of this site.
	 */
	pr->due = monotime_add_ms(monotime_now(), first_ms + phase_ms);
	mysql_arm(pr->tick, first_ms);
}

void
mprobe_reset(struct msite *s)
{
	struct mprobe *pr = &s->probe;

	(void)event_del(pr->limit);
	mconn_close(pr->conn);
	pr->conn = NULL;
	pr->phase = MP_IDLE;
	pr->no_quiet = false;
	if (monotime_sub_ms(pr->due, monotime_now()) > s->group->poll_ms)
		pr->due = monotime_add_ms(monotime_now(), s->group->poll_ms);
	/* Another process is looked at now, not at the next beat. */
	mysql_arm(pr->tick, 0);
}

void
mprobe_free(struct msite *s)
{
	struct mprobe *pr = &s->probe;

	mconn_close(pr->conn);
	event_free(pr->tick);
	event_free(pr->limit);
	memset(pr, 0, sizeof(*pr));
}
