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
 * The local sessions: two, so that one can read the flags while the other
 * waits for a fence behind somebody's lock. Both are held open, so that a
 * fence needs no log-in, and no free connection, when it is due.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dsn.h"
#include "guard.h"
#include "mysql_start.h"

/* The lock wait is the least that the server knows; ours is shorter. */
#define SETUP_SQL                                                \
	"SET SESSION lock_wait_timeout=1,wait_timeout=31536000," \
	"max_execution_time=0"
#define FENCE_SQL "SET GLOBAL super_read_only=ON"
#define PROBE_SQL                                             \
	"SELECT @@global.read_only,@@global.super_read_only," \
	"@@global.skip_networking,@@global.server_uuid"
/* Once for each server: when it started, by its own clock. */
#define IDENT_SQL                                                      \
	PROBE_SQL                                                      \
	",TIMESTAMPDIFF(MICROSECOND,'1970-01-01',UTC_TIMESTAMP(6)),"   \
	"(SELECT VARIABLE_VALUE FROM performance_schema.global_status" \
	" WHERE VARIABLE_NAME='Uptime')"
enum { COL_RO, COL_SRO, COL_NONET, COL_UUID, COL_CLOCK, COL_UPTIME, COL_MAX };

void
guard_sql_init(struct guard_sql *s, const char *path)
{
	memset(s, 0, sizeof(*s));
	s->path = path;
	s->open_ms = s->sent_ms = LEASE_NEVER;
	for (unsigned i = 0; i < PS_NITEMS(s->conn); i++)
		myc_init(&s->conn[i].c, s->conn[i].buf, sizeof(s->conn[i].buf));
}

static void
drop(struct guard_conn *k, int64_t next_ms)
{
	myc_close(&k->c);
	k->ask = GA_NONE;
	k->ready = false;
	k->next_ms = next_ms;
}

void
guard_sql_reset(struct guard_sql *s, bool on)
{
	for (unsigned i = 0; i < PS_NITEMS(s->conn); i++)
		drop(&s->conn[i], 0);
	s->on = on;
	s->fence = s->fresh = s->known = s->complained = false;
	s->refused = s->leaving = false;
	s->fences = 0;
	s->open_ms = s->sent_ms = LEASE_NEVER;
	s->probe_ms = s->fence_ms = 0;
	memset(&s->seen, 0, sizeof(s->seen));
}

/* ---------------------------------------------------------- credentials --- */

/* A mounted file without its last line's end. -1: not there, or too long. */
static int
read_cred(const char *name, struct secret *out)
{
	char path[128], buf[512];
	ssize_t n;
	int fd, rc = -1;

	snprintf(path, sizeof(path), GUARD_CREDS_DIR "/%s", name);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return -1;
	n = read(fd, buf, sizeof(buf));
	close(fd);
	/* Trailing newlines are dropped, as $(cat) does for first boot. */
	while (n > 0 && n < (ssize_t)sizeof(buf) && buf[n - 1] == '\n')
		n--;
	if (n > 0 && n < (ssize_t)sizeof(buf) &&
	    memchr(buf, '\0', (size_t)n) == NULL)
		rc = secret_set(out, buf, (size_t)n);
	explicit_bzero(buf, sizeof(buf));
	return rc;
}

/* One Secret for all: its DSN. -1: there is none. */
static int
read_dsn(struct guard_account *a)
{
	static struct secret dsn;
	int rc = -1;

	if (read_cred("dsn", &dsn) == 0)
		rc = dsn_account((const char *)dsn.data, a->user, &a->password);
	secret_wipe(&dsn);
	return rc;
}

static int
read_files(struct guard_account *a)
{
	static struct secret user;

	if (read_dsn(a) == 0)
		return 0;
	if (read_cred("username", &user) == -1 || user.len > USER_LEN ||
	    read_cred("password", &a->password) == -1)
		return -1;
	memcpy(a->user, user.data, user.len + 1);
	return 0;
}

static void
read_root(struct guard_account *a)
{
	const char *root = getenv("MYSQL_ROOT_PASSWORD");

	(void)strlcpy(a->user, "root", sizeof(a->user));
	(void)secret_set(&a->password, root != NULL ? root : "",
	    root != NULL ? strlen(root) : 0);
}

/*
 * Read at each log-in: files change under us. They may come before the server
 * has the new password, or after: while it denies access, the next try is
 * what let us in last, and then root as it was when the container started.
 */
static void
credentials(struct guard_sql *s, struct guard_conn *k)
{
	struct guard_account *a = &k->account;

	if (k->nth == 0 && read_files(a) == 0)
		return;
	if (k->nth <= 1 && s->good.user[0] != '\0') {
		k->nth = 1;
		*a = s->good;
		return;
	}
	k->nth = 2;
	read_root(a);
}

/* -------------------------------------------------------------- events --- */

/* What a server says that shuts down (ER_SERVER_SHUTDOWN and the like). */
static bool
is_leaving(unsigned err)
{
	return err == 1053 || err == 1077 || err == 1079 || err == 3169 ||
	    err == 4031;
}

static void
complain(struct guard_sql *s, const struct guard_conn *k)
{
	s->err = k->c.err;
	snprintf(s->errtext, sizeof(s->errtext), "%s", k->c.errtext);
	if (is_leaving(k->c.err))
		s->leaving = true;
	/* While it starts or ends nobody listens: of no interest. */
	if (s->complained || k->c.err == 0)
		return;
	s->complained = true;
	log_ev(LL_WARN, "localSessionRefused", KVU("errno", s->err),
	    KVS("error", s->errtext));
}

/* Another account now, or from the first one on when it is time again. */
static void
lost(struct guard_sql *s, struct guard_conn *k, int64_t now)
{
	if (myc_denied(&k->c) && k->nth < 2) {
		k->nth++;
		drop(k, now);
		return;
	}
	k->nth = 0;
	complain(s, k);
	drop(k, now + GUARD_RETRY_MS);
}

static void
let_in(struct guard_sql *s, struct guard_conn *k, int64_t now)
{
	if (k->nth != 1)
		s->good = k->account;
	k->nth = 0;
	secret_wipe(&k->account.password);
	if (myc_query(&k->c, SETUP_SQL, now, now + GUARD_SQL_MS) == 0)
		k->ask = GA_SETUP;
}

static bool
is_one(const char *v)
{
	return v != NULL && strcmp(v, "1") == 0;
}

static void
on_row(struct guard_sql *s, struct guard_conn *k)
{
	const char *const *v = k->c.col;
	struct guard_seen *n = &s->seen;
	bool ident = k->c.ncols == COL_MAX;
	int64_t start;

	if (k->c.ncols <= COL_UUID || v[COL_UUID] == NULL)
		return;
	k->got = true;
	s->leaving = false;
	s->open_ms = LEASE_NEVER;
	s->complained = false;
	/* The answer to an earlier question is no news. */
	if (k->c.sent_ms < s->sent_ms)
		return;
	n->read_only = is_one(v[COL_RO]);
	n->both = n->read_only && is_one(v[COL_SRO]);
	n->network = !is_one(v[COL_NONET]);
	snprintf(n->server_uuid, sizeof(n->server_uuid), "%s", v[COL_UUID]);
	if (ident && v[COL_CLOCK] != NULL) {
		start = mysql_start_ms(
		    strtoll(v[COL_CLOCK], NULL, 10), v[COL_UPTIME]);
		if (start != -1) {
			n->start_ms = start;
			s->known = n->network;
		}
	}
	s->sent_ms = k->c.sent_ms;
	s->fresh = true;
}

static void
on_done(struct guard_sql *s, struct guard_conn *k, int64_t now)
{
	enum guard_ask ask = k->ask;

	k->ask = GA_NONE;
	if (ask == GA_FENCE) {
		if (k->c.err != 0)
			log_ev(LL_ERROR,
			    "SELF-FENCING FAILED: could not set "
			    "super_read_only",
			    KVU("errno", k->c.err), KVS("error", k->c.errtext));
		/* Whether it holds is read: at once. */
		s->probe_ms = now;
		return;
	}
	if (k->c.err != 0)
		complain(s, k);
	if (ask == GA_SETUP)
		k->ready = k->c.err == 0;
	if ((ask == GA_SETUP && !k->ready) || (ask == GA_PROBE && !k->got))
		drop(k, now + GUARD_RETRY_MS);
}

static void
on_event(
    struct guard_sql *s, struct guard_conn *k, enum myc_event ev, int64_t now)
{
	switch (ev) {
	case MYC_READY:
		let_in(s, k, now);
		break;
	case MYC_ROW:
		if (k->ask == GA_PROBE)
			on_row(s, k);
		break;
	case MYC_DONE:
		on_done(s, k, now);
		break;
	case MYC_LOST:
		lost(s, k, now);
		break;
	case MYC_MORE:
		break;
	}
}

/* ------------------------------------------------------------- sending --- */

static bool
is_idle(const struct guard_conn *k)
{
	return k->ready && k->ask == GA_NONE;
}

static struct guard_conn *
idle(struct guard_sql *s)
{
	for (unsigned i = 0; i < PS_NITEMS(s->conn); i++)
		if (is_idle(&s->conn[i]))
			return &s->conn[i];
	return NULL;
}

static bool
any_idle(const struct guard_sql *s)
{
	return is_idle(&s->conn[0]) || is_idle(&s->conn[1]);
}

static bool
asking(const struct guard_sql *s, enum guard_ask what)
{
	for (unsigned i = 0; i < PS_NITEMS(s->conn); i++)
		if (s->conn[i].ask == what)
			return true;
	return false;
}

static void
send_fence(struct guard_sql *s, int64_t now)
{
	struct guard_conn *k;

	if (!s->fence || now < s->fence_ms || asking(s, GA_FENCE) ||
	    (k = idle(s)) == NULL)
		return;
	if (myc_query(&k->c, FENCE_SQL, now, now + GUARD_SQL_MS) == -1)
		return;
	k->ask = GA_FENCE;
	s->fences++;
	s->fence_ms = now + GUARD_FENCE_MS;
}

static void
send_probe(struct guard_sql *s, int64_t now)
{
	struct guard_conn *k;

	if (now < s->probe_ms)
		return;
	/* The question is open, whether or not it can be put. */
	if (s->open_ms == LEASE_NEVER)
		s->open_ms = now;
	s->probe_ms = now + (s->fence ? GUARD_FENCE_MS : GUARD_PROBE_MS);
	if ((k = idle(s)) == NULL)
		return;
	if (myc_query(&k->c, s->known ? PROBE_SQL : IDENT_SQL, now,
		now + GUARD_SQL_MS) == -1)
		return;
	k->ask = GA_PROBE;
	k->got = false;
}

static void
connect_to(struct guard_sql *s, struct guard_conn *k, int64_t now)
{
	credentials(s, k);
	s->refused = false;
	if (myc_connect(&k->c, s->path, k->account.user, &k->account.password,
		now, now + GUARD_LOGIN_MS) == 0)
		return;
	s->refused = errno == ECONNREFUSED || errno == ENOENT;
	k->next_ms = now + GUARD_RETRY_MS;
}

void
guard_sql_turn(struct guard_sql *s, int64_t now)
{
	struct guard_conn *k;
	enum myc_event ev;

	if (!s->on)
		return;
	for (unsigned i = 0; i < PS_NITEMS(s->conn); i++) {
		k = &s->conn[i];
		if (k->c.state == MYC_CLOSED && now >= k->next_ms) {
			connect_to(s, k, now);
		}
		while ((ev = myc_io(&k->c, now)) != MYC_MORE)
			on_event(s, k, ev, now);
	}
	/* The fence first: of two idle sessions it takes one. */
	send_fence(s, now);
	send_probe(s, now);
	/* What was queued goes out now. */
	for (unsigned i = 0; i < PS_NITEMS(s->conn); i++) {
		k = &s->conn[i];
		while ((ev = myc_io(&k->c, now)) != MYC_MORE)
			on_event(s, k, ev, now);
	}
}

int64_t
guard_sql_wake(const struct guard_sql *s)
{
	const struct guard_conn *k;
	int64_t wake = s->probe_ms;

	if (!s->on)
		return LEASE_FOREVER;
	/* With none idle, an event or a deadline of theirs comes first. */
	if (s->fence && s->fence_ms < wake && !asking(s, GA_FENCE) &&
	    any_idle(s))
		wake = s->fence_ms;
	for (unsigned i = 0; i < PS_NITEMS(s->conn); i++) {
		k = &s->conn[i];
		if (k->c.state == MYC_CLOSED && k->next_ms < wake)
			wake = k->next_ms;
		if (myc_deadline_ms(&k->c) < wake)
			wake = myc_deadline_ms(&k->c);
	}
	return wake;
}

bool
guard_sql_hung(const struct guard_sql *s, int64_t now)
{
	return s->on && s->known && s->open_ms != LEASE_NEVER &&
	    now - s->open_ms >= GUARD_HUNG_MS;
}

bool
guard_sql_closed(const struct guard_sql *s)
{
	for (unsigned i = 0; i < PS_NITEMS(s->conn); i++)
		if (s->conn[i].c.state != MYC_CLOSED)
			return false;
	return s->known && s->refused;
}
