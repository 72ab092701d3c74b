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
 * In mysql's process: ALTER INSTANCE RELOAD TLS, in a session of its own.
 *
 * mysqld waits in it until no client is in its log-in, and neither KILL nor the
 * end of the session ends that: a stranger who stalls holds a thread of the
 * server for as long as he likes. So this is none of the questions that say
 * whether mysqld is well; it has no deadline; and it is not sent while another
 * one is in the process list, whoever sent that.
 */

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <strings.h>

#include "myc.h"
#include "sidecar.h"

#define STATEMENT "ALTER INSTANCE RELOAD TLS"
#define BEGIN_MS  5000 /* until it may be sent */
#define SLOW_MS   60000
#define BUF_SIZE  4096 /* a row of the process list has 100 letters of text */
#define COL_INFO  7

static struct {
	struct ps_worker *w;
	/* The newest account, and the one that was let in last, until it is. */
	struct m_sc_mysql_conf account, good;
	bool with_good;
	struct myc c;
	struct event *io, *timer;
	uint64_t nr;
	enum { RL_IDLE, RL_LOGIN, RL_LIST, RL_ASKED, RL_SENT } at;
	bool busy;
	uint8_t buf[BUF_SIZE];
} rl;

static int64_t
now_ms(void)
{
	return monotime_now().ns / 1000000;
}

static void
set_timer(int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000L };

	evtimer_add(rl.timer, &tv);
}

static void
say(enum tls_step step, unsigned err, const char *error)
{
	struct m_sc_tls_says m = { .nr = rl.nr, .step = step, .err = err };

	(void)strlcpy(m.error, error, sizeof(m.error));
	if (ps_worker_send(rl.w, MSG_SC_TLS_SAYS, &m, -1) == -1 &&
	    errno != ENOTCONN)
		fatal("send");
}

static void
forget_accounts(void)
{
	secret_wipe(&rl.account.password);
	secret_wipe(&rl.good.password);
}

static void
stop(void)
{
	rl.at = RL_IDLE;
	myc_close(&rl.c);
	forget_accounts();
	evtimer_del(rl.timer);
}

static void
end(enum tls_step step, unsigned err, const char *error)
{
	stop();
	say(step, err, error);
}

static void
statement_done(void)
{
	unsigned err = rl.c.err;

	if (rl.at == RL_SENT)
		end(err != 0 ? TL_REFUSED : TL_LOADED, err,
		    err != 0 ? rl.c.errtext : "");
	else if (err != 0)
		end(TL_FAILED, err, rl.c.errtext);
	else if (rl.busy)
		end(TL_BUSY, 0, "another " STATEMENT " is under way");
	else {
		rl.at = RL_ASKED;
		say(TL_ASK, 0, "");
	}
}

static void
query(const char *sql, int64_t until_ms)
{
	if (myc_query(&rl.c, sql, now_ms(), until_ms) == -1)
		fatal("query");
}

/* The timer is its deadline. */
static int
log_in(bool with_good)
{
	const struct m_sc_mysql_conf *a = with_good ? &rl.good : &rl.account;

	rl.with_good = with_good;
	return myc_connect(
	    &rl.c, a->path, a->user, &a->password, now_ms(), INT64_MAX);
}

/* A session that stands says nothing of which account is let in by now. */
static void
lost(void)
{
	if (rl.at == RL_LOGIN && myc_denied(&rl.c) && !rl.with_good &&
	    rl.good.user[0] != '\0' && log_in(true) == 0)
		return;
	end(rl.at == RL_SENT ? TL_LOST : TL_FAILED, rl.c.err, rl.c.errtext);
}

static void
pump(void)
{
	enum myc_event ev;

	while ((ev = myc_io(&rl.c, now_ms())) != MYC_MORE)
		switch (ev) {
		case MYC_READY:
			forget_accounts();
			rl.at = RL_LIST;
			query("SHOW PROCESSLIST", now_ms() + BEGIN_MS);
			break;
		case MYC_ROW:
			rl.busy |= rl.c.ncols > COL_INFO &&
			    rl.c.col[COL_INFO] != NULL &&
			    strncasecmp(rl.c.col[COL_INFO], STATEMENT,
				strlen(STATEMENT)) == 0;
			break;
		case MYC_DONE:
			statement_done();
			break;
		case MYC_LOST:
			lost();
			break;
		case MYC_MORE:
			break;
		}
	myc_watch(&rl.c, rl.io);
}

static void
on_io(evutil_socket_t fd, short what, void *arg)
{
	pump();
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	if (rl.at == RL_SENT)
		say(TL_SLOW, 0, "");
	else if (rl.at != RL_IDLE) {
		end(TL_FAILED, 0, "no answer in time");
		myc_watch(&rl.c, rl.io);
	}
}

static void
begin(void)
{
	rl.busy = false;
	rl.at = RL_LOGIN;
	set_timer(BEGIN_MS);
	if (log_in(false) == -1)
		end(TL_FAILED, 0, rl.c.errtext);
	else
		pump();
}

void
sc_reload_dispatch(const struct m_sc_tls *m,
    const struct m_sc_mysql_conf *account, const struct m_sc_mysql_conf *good)
{
	if (m->step == TL_BEGIN && rl.at == RL_IDLE) {
		rl.nr = m->nr;
		rl.account = *account;
		rl.good = *good;
		begin();
	} else if (m->nr != rl.nr || rl.at == RL_IDLE)
		return; /* it ended when this was under way */
	else if (m->step == TL_STOP && rl.at == RL_ASKED) {
		stop();
		myc_watch(&rl.c, rl.io);
	} else if (m->step == TL_GO && rl.at == RL_ASKED) {
		rl.at = RL_SENT;
		set_timer(SLOW_MS);
		query(STATEMENT, INT64_MAX);
		pump();
	} else
		fatalx("step %u of a load at %u", m->step, rl.at);
}

int
sc_reload_setup(struct ps_worker *w)
{
	rl.w = w;
	myc_init(&rl.c, rl.buf, sizeof(rl.buf));
	if ((rl.io = event_new(ps_base(w), -1, 0, on_io, NULL)) == NULL ||
	    (rl.timer = evtimer_new(ps_base(w), on_timer, NULL)) == NULL) {
		errno = ENOMEM;
		return -1;
	}
	return 0;
}
