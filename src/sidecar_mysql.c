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
 * mysql: asks mysqld once a second what /health and /status say.
 *
 * Rights: connects to Unix sockets of the Pod (mysqld's is the only one that
 * answers a log-in), and its channel. Holds the account of the operator's
 * user for this one server, so whoever takes it over has this database; it
 * has no key of the write lease and no network. Each round has a deadline,
 * and a mysqld that hangs holds up nobody but this process. One thing it
 * changes: mysqld loads its certificate (sidecar_reload.c).
 */

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "myc.h"
#include "sidecar.h"

#define ROUND_MS    1000
#define DEADLINE_MS 2000 /* of a round (sidecar.md section 3) */
/* One row: SHOW REPLICA STATUS has two GTID sets and two error texts. */
#define BUF_SIZE    65535

const struct sandbox sc_mysql_sandbox = {
	.allow = SB_UNIX,
	.max_files = 16,
};

/* What is asked in a round, in this order. */
enum step { ST_VARS, ST_REPLICA, ST_UPTIME, ST_END };

static const char *const queries[] = {
	[ST_VARS] = "SELECT @@GLOBAL.read_only, @@GLOBAL.super_read_only, "
		    "@@GLOBAL.gtid_executed, @@GLOBAL.server_id",
	[ST_REPLICA] = "SHOW REPLICA STATUS",
	[ST_UPTIME] = "SELECT VARIABLE_VALUE FROM "
		      "performance_schema.global_status WHERE "
		      "VARIABLE_NAME = 'Uptime'",
};

/* Of SHOW REPLICA STATUS; the same since MySQL 5.1. */
enum { COL_IO = 10, COL_SQL = 11, COL_LAG = 32 };

static struct {
	struct ps_worker *w;
	/*
	 * The newest account, and the one that was let in last: a file may
	 * come before the server has its password, or after.
	 */
	struct m_sc_mysql_conf conf, good;
	bool with_good;     /* the log-in that runs */
	int64_t session_ns; /* when this one was let in */
	struct myc c;
	struct event *io, *round, *deadline;
	enum step step;
	int64_t until_ms;    /* of the round that runs */
	struct m_sc_mysql m; /* of the round that runs */
	uint8_t buf[BUF_SIZE];
} my;

static int64_t
now_ms(void)
{
	return monotime_now().ns / 1000000;
}

static void
set_timer(struct event *ev, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000L };

	evtimer_add(ev, &tv);
}

static void
tell(const struct m_sc_mysql *m)
{
	if (ps_worker_send(my.w, MSG_SC_MYSQL, m, -1) == -1 &&
	    errno != ENOTCONN)
		fatal("send");
}

static void
failed(const char *why)
{
	static struct m_sc_mysql m;

	m.ok = false;
	m.denied = myc_denied(&my.c);
	m.asked_ns = monotime_now().ns;
	(void)strlcpy(m.error, why, sizeof(m.error));
	tell(&m);
}

/* ----------------------------------------------------------------- answers --- */

static const char *
col(unsigned i)
{
	return i < my.c.ncols && my.c.col[i] != NULL ? my.c.col[i] : "";
}

static void
take_vars(void)
{
	struct m_sc_mysql *m = &my.m;

	m->read_only = strcmp(col(0), "1") == 0;
	m->super_read_only = strcmp(col(1), "1") == 0;
	m->server_id = (int64_t)strtoll(col(3), NULL, 10);
	/* Never a part of it: that would be another set. */
	if (strlcpy(m->gtid, col(2), sizeof(m->gtid)) >= sizeof(m->gtid))
		(void)strlcpy(m->error, "gtid_executed is larger than 16 KiB",
		    sizeof(m->error));
}

static void
take_replica(void)
{
	struct m_sc_mysql *m = &my.m;

	m->io = strcmp(col(COL_IO), "Yes") == 0;
	m->sql = strcmp(col(COL_SQL), "Yes") == 0;
	if (*col(COL_LAG) != '\0')
		m->lag_s = (int64_t)strtoll(col(COL_LAG), NULL, 10);
}

static void
take_uptime(void)
{
	struct m_sc_mysql *m = &my.m;

	m->uptime_s = (int64_t)strtoll(col(0), NULL, 10);
	if (m->uptime_s >= 0 && m->uptime_s < INT32_MAX)
		m->start_ns =
		    monotime_now().ns - m->uptime_s * INT64_C(1000000000);
}

static void
take_row(void)
{
	switch (my.step) {
	case ST_VARS:
		take_vars();
		break;
	case ST_REPLICA:
		take_replica();
		break;
	case ST_UPTIME:
		take_uptime();
		break;
	case ST_END:
		break;
	}
}

/* ------------------------------------------------------------------- round --- */

static void
round_end(void)
{
	my.step = ST_END;
	my.m.ok = my.m.error[0] == '\0';
	my.m.session_ns = my.session_ns;
	tell(&my.m);
}

static void
ask(enum step step)
{
	my.step = step;
	if (step == ST_END)
		round_end();
	else if (myc_query(&my.c, queries[step], now_ms(), my.until_ms) == -1)
		fatal("query");
}

static void
step_done(void)
{
	/* A server that has no such table says 0 (sidecar.md section 3). */
	if (my.c.err != 0 && my.step != ST_UPTIME) {
		(void)strlcpy(my.m.error, my.c.errtext, sizeof(my.m.error));
		round_end();
	} else if (my.step != ST_END)
		ask(my.step + 1);
}

static int
log_in(bool with_good)
{
	const struct m_sc_mysql_conf *a = with_good ? &my.good : &my.conf;

	my.with_good = with_good;
	return myc_connect(
	    &my.c, my.conf.path, a->user, &a->password, now_ms(), my.until_ms);
}

static void
let_in(void)
{
	if (!my.with_good) {
		secret_wipe(&my.good.password);
		my.good = my.conf;
	}
	my.session_ns = monotime_now().ns;
	ask(ST_VARS);
}

static void
lost(void)
{
	/* What was good may be so still. */
	if (myc_denied(&my.c) && !my.with_good && my.good.user[0] != '\0' &&
	    log_in(true) == 0)
		return;
	my.step = ST_END;
	failed(my.c.errtext);
}

/* Take what mysqld said, and go on. */
static void
pump(void)
{
	enum myc_event ev;

	while ((ev = myc_io(&my.c, now_ms())) != MYC_MORE)
		switch (ev) {
		case MYC_READY:
			let_in();
			break;
		case MYC_ROW:
			take_row();
			break;
		case MYC_DONE:
			step_done();
			break;
		case MYC_LOST:
			lost();
			break;
		case MYC_MORE:
			break;
		}
	myc_watch(&my.c, my.io);
}

static void
on_io(evutil_socket_t fd, short what, void *arg)
{
	pump();
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	if (myc_busy(&my.c))
		pump();
}

static void
begin(void)
{
	int64_t now = now_ms();

	memset(&my.m, 0, sizeof(my.m));
	my.m.lag_s = -1;
	my.m.asked_ns = monotime_now().ns;
	my.until_ms = now + DEADLINE_MS;
	set_timer(my.deadline, DEADLINE_MS + 1);
	if (myc_fd(&my.c) != -1)
		ask(ST_VARS);
	else if (log_in(false) == -1) {
		failed(my.c.errtext);
		return;
	}
	pump();
}

static void
on_round(evutil_socket_t fd, short what, void *arg)
{
	set_timer(my.round, ROUND_MS);
	if (!myc_busy(&my.c))
		begin();
}

/* ------------------------------------------------------------------ worker --- */

/* The next log-in is with it; a session that stands stays. */
static void
set_account(const struct m_sc_mysql_conf *m)
{
	if (strcmp(m->user, my.conf.user) == 0 &&
	    secret_equal(&m->password, &my.conf.password))
		return;
	if (my.c.state == MYC_GREETING || my.c.state == MYC_AUTH) {
		/* It has borrowed the old one. */
		myc_close(&my.c);
		myc_watch(&my.c, my.io);
	}
	secret_wipe(&my.conf.password);
	my.conf = *m;
}

void
sc_mysql_dispatch(struct ps_worker *w, uint32_t type, void *msg, int fd)
{
	if (fd != -1)
		fatalx("a descriptor came with message %u", type);
	if (type == MSG_SC_TLS)
		sc_reload_dispatch(msg, &my.conf, &my.good);
	else if (type == MSG_SC_MYSQL_CONF)
		set_account(msg);
	else
		fatalx("unexpected message %u", type);
}

int
sc_mysql_setup(struct ps_worker *w)
{
	my.w = w;
	myc_init(&my.c, my.buf, sizeof(my.buf));
	if (ps_worker_recv(w, MSG_SC_MYSQL_CONF, &my.conf, NULL) == -1 &&
	    errno != ENOMSG) {
		log_warn("no account");
		return -1;
	}
	if ((my.io = event_new(ps_base(w), -1, 0, on_io, NULL)) == NULL ||
	    (my.round = evtimer_new(ps_base(w), on_round, NULL)) == NULL ||
	    (my.deadline = evtimer_new(ps_base(w), on_deadline, NULL)) ==
		NULL) {
		errno = ENOMEM;
		return -1;
	}
	set_timer(my.round, 0);
	return sc_reload_setup(w);
}
