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
 * A MySQL connection in the event loop: see mysql_conn.h.
 *
 * The calls of the library do not say whether they wait to read or to write.
 * The socket is therefore watched for both, by edges: each call went on until
 * the kernel said EAGAIN, so every progress is a new edge. A timer stands
 * behind it, for whatever the library waits for besides the socket.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <event2/event.h>
#include <mysql.h>
#include <errmsg.h>
#include <mysqld_error.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#undef NAME_LEN /* the library's; br.h has ours */
#include "br.h"
#include "mysql_conn.h"
#include "privsep.h"

/* Larger answers are refused: the largest of ours is two GTID sets. */
#define PACKET_MAX      (1024 * 1024)
/* The kernel gives a peer that acknowledges nothing this long. */
#define USER_TIMEOUT_MS 5000
#define KEEPIDLE_S      2
#define KEEPINTVL_S     1
#define KEEPCNT         3
/* The timer behind the edges. */
#define RETRY_FIRST_MS  2
#define RETRY_MAX_MS    1000
/* States of the library's log-in, more than enough. */
#define CUT_OFF_STEPS   8

enum cstate { C_CONNECT, C_QUERY, C_STORE, C_NEXT, C_IDLE, C_DEAD };

struct mconn {
	struct event_base *base;
	MYSQL *my;
	enum cstate state;
	char *host, *ip, *ca;
	size_t ca_len;
	bool tls;
	struct {
		char *user, *password;
	} login[MCONN_LOGINS];
	unsigned nlogins, nth, cookie;
	unsigned port;
	uint8_t cert[MCONN_DIGEST];
	bool have_cert;
	struct event *io;
	struct event *timer;
	int sock; /* seen at connect, -1 */
	int fd;   /* that io watches, -1 */
	int retry_ms;
	mconn_fn *done;
	mconn_fn *lost;
	void *arg;
	char *sql;
	bool secret;
	MYSQL_RES *res[MCONN_RESULTS];
	unsigned nres;
	unsigned nanswered;
	unsigned err;
	char error[ERR_LEN + 1];
};

int
mconn_setup(void)
{
	/* Of each site; it grows when an answer needs more. */
	const unsigned long buffer = 2048;
	unsigned char byte;
	SSL_CTX *ctx;
	MYSQL *my;

	/* SSL_write has no MSG_NOSIGNAL. */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -1;
	tzset();
	if (mysql_library_init(0, NULL, NULL) != 0)
		return -1;
	if (OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG, NULL) != 1 ||
	    RAND_bytes(&byte, 1) != 1)
		return -1;
	/* Fetches the algorithms, and with them the providers. */
	if ((ctx = SSL_CTX_new(TLS_client_method())) == NULL)
		return -1;
	SSL_CTX_free(ctx);
	/* Looks for the index of character sets. */
	if ((my = mysql_init(NULL)) == NULL ||
	    mysql_set_character_set(my, "utf8mb4") != 0 ||
	    mysql_options(my, MYSQL_OPT_NET_BUFFER_LENGTH, &buffer) != 0)
		return -1;
	mysql_close(my);
	return 0;
}

static void
wipe(char **s)
{
	if (*s != NULL)
		freezero(*s, strlen(*s));
	*s = NULL;
}

static void
free_results(struct mconn *c)
{
	unsigned i;

	for (i = 0; i < c->nres; i++)
		mysql_free_result(c->res[i]);
	c->nres = 0;
}

/* The library keeps its own copy for a reconnect that we never ask for. */
static void
wipe_password(struct mconn *c)
{
	for (unsigned i = 0; i < c->nlogins; i++)
		wipe(&c->login[i].password);
	if (c->my->passwd != NULL)
		explicit_bzero(c->my->passwd, strlen(c->my->passwd));
}

static void
take_error(struct mconn *c)
{
	const char *text = mysql_error(c->my);

	/* Of several accounts that were denied the first one counts. */
	if (c->state == C_CONNECT && c->err != 0 &&
	    mysql_errno(c->my) == ER_ACCESS_DENIED_ERROR)
		return;

	c->err = mysql_errno(c->my);
	if (c->err == 0)
		c->err = CR_UNKNOWN_ERROR;
	/* A server quotes what it could not parse. */
	if (c->secret && c->err != ER_RESTART_SERVER_FAILED &&
	    strstr(text, "near '") != NULL)
		text = "the server refused the statement";
	(void)strlcpy(c->error, text, sizeof(c->error));
}

static void
finish(struct mconn *c)
{
	mconn_fn *done = c->done;

	(void)event_del(c->timer);
	wipe(&c->sql);
	c->done = NULL;
	if (done != NULL)
		done(c, c->arg);
}

static void set_options(struct mconn *);
static void unwatch(struct mconn *);
static void arm(struct mconn *, int);

/* Access was denied: the next account, on a new connection. */
static bool
next_login(struct mconn *c)
{
	if (c->state != C_CONNECT || c->nth + 1 >= c->nlogins ||
	    mysql_errno(c->my) != ER_ACCESS_DENIED_ERROR)
		return false;
	unwatch(c);
	if (c->my->passwd != NULL)
		explicit_bzero(c->my->passwd, strlen(c->my->passwd));
	mysql_close(c->my);
	if ((c->my = mysql_init(NULL)) == NULL)
		fatal("mysql_init");
	c->sock = -1;
	c->nth++;
	c->retry_ms = RETRY_FIRST_MS;
	set_options(c);
	arm(c, 0);
	return true;
}

/* Errors of the server leave the connection usable; the library's own don't. */
static void
fail(struct mconn *c)
{
	bool connecting = c->state == C_CONNECT;

	take_error(c);
	if (next_login(c))
		return;
	if (connecting || (c->err >= CR_MIN_ERROR && c->err <= CR_MAX_ERROR))
		c->state = C_DEAD;
	else
		c->state = C_IDLE;
	if (connecting)
		wipe_password(c);
	finish(c);
}

static enum net_async_status
step_connect(struct mconn *c)
{
	struct maddr at = { c->host, c->ip, c->ca, c->ca_len, c->cert,
		&c->have_cert };
	enum net_async_status st;
	int fd;

	maddr_begin(&at);
	st = mysql_real_connect_nonblocking(c->my, c->host,
	    c->login[c->nth].user, c->login[c->nth].password, NULL, c->port,
	    NULL, CLIENT_MULTI_STATEMENTS);
	if ((fd = maddr_end()) != -1)
		c->sock = fd;
	if (st == NET_ASYNC_COMPLETE) {
		wipe_password(c);
		c->state = C_IDLE;
		c->err = 0;
		c->error[0] = '\0';
	}
	return st;
}

static enum net_async_status
step_store(struct mconn *c)
{
	enum net_async_status st;
	MYSQL_RES *res = NULL;

	st = mysql_store_result_nonblocking(c->my, &res);
	if (st != NET_ASYNC_COMPLETE)
		return st;
	if (res == NULL && mysql_errno(c->my) != 0)
		return NET_ASYNC_ERROR;
	if (res != NULL) {
		if (c->nres < MCONN_RESULTS)
			c->res[c->nres++] = res;
		else
			mysql_free_result(res);
	}
	c->nanswered++;
	c->state = C_NEXT;
	return st;
}

static enum net_async_status
step_next(struct mconn *c)
{
	enum net_async_status st;

	if (!mysql_more_results(c->my)) {
		c->state = C_IDLE;
		return NET_ASYNC_COMPLETE;
	}
	st = mysql_next_result_nonblocking(c->my);
	if (st == NET_ASYNC_COMPLETE)
		c->state = C_STORE;
	else if (st == NET_ASYNC_COMPLETE_NO_MORE_RESULTS) {
		c->state = C_IDLE;
		st = NET_ASYNC_COMPLETE;
	}
	return st;
}

/* Nothing can be sent any more, and nothing was. */
static void
set_lost(struct mconn *c, const char *why)
{
	c->state = C_DEAD;
	c->err = CR_SERVER_LOST;
	(void)strlcpy(c->error, why, sizeof(c->error));
}

static enum net_async_status
step_once(struct mconn *c)
{
	enum net_async_status st = NET_ASYNC_ERROR;

	switch (c->state) {
	case C_CONNECT:
		return step_connect(c);
	case C_QUERY:
		st =
		    mysql_real_query_nonblocking(c->my, c->sql, strlen(c->sql));
		if (st == NET_ASYNC_COMPLETE)
			c->state = C_STORE;
		return st;
	case C_STORE:
		return step_store(c);
	case C_NEXT:
		return step_next(c);
	case C_IDLE:
	case C_DEAD:
		break;
	}
	return st;
}

static void on_io(evutil_socket_t, short, void *);

static void
set_socket(int fd)
{
	int on = 1, ut = USER_TIMEOUT_MS, idle = KEEPIDLE_S;
	int intvl = KEEPINTVL_S, cnt = KEEPCNT;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ut, sizeof(ut));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &intvl, sizeof(intvl));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &cnt, sizeof(cnt));
}

static void
unwatch(struct mconn *c)
{
	if (c->io != NULL)
		event_free(c->io);
	c->io = NULL;
	c->fd = -1;
}

/*
 * The library makes the socket somewhere inside of its first calls, and
 * closes it when it fails.
 */
static void
watch_socket(struct mconn *c)
{
	int fd = c->sock;

	if (c->my->net.vio == NULL)
		fd = -1;
	if (fd == c->fd)
		return;
	unwatch(c);
	if (fd == -1)
		return;
	set_socket(fd);
	c->io = event_new(c->base, fd,
	    EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST, on_io, c);
	if (c->io == NULL || event_add(c->io, NULL) == -1)
		fatalx("event_add");
	c->fd = fd;
}

static void
arm(struct mconn *c, int ms)
{
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	if (event_add(c->timer, &tv) == -1)
		fatalx("event_add");
}

/* As far as it goes now. c may be gone when this returns. */
static void
step(struct mconn *c)
{
	enum net_async_status st;

	if (c->state == C_DEAD) {
		set_lost(c, "the connection is closed");
		finish(c);
		return;
	}
	do {
		st = step_once(c);
		watch_socket(c);
	} while (st == NET_ASYNC_COMPLETE && c->state != C_IDLE);
	if (st == NET_ASYNC_NOT_READY) {
		arm(c, c->retry_ms);
		c->retry_ms = c->retry_ms * 2 < RETRY_MAX_MS ? c->retry_ms * 2 :
							       RETRY_MAX_MS;
	} else if (st == NET_ASYNC_COMPLETE)
		finish(c);
	else
		fail(c);
}

/* Did the server close an idle connection? Bytes alone mean nothing. */
static void
check_idle(struct mconn *c)
{
	struct pollfd p = { c->fd, POLLRDHUP, 0 };
	mconn_fn *lost = c->lost;
	socklen_t len = sizeof(int);
	ssize_t n;
	char byte;
	int error = 0;

	n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == -1)
		error = errno;
	else if (n > 0) {
		if (poll(&p, 1, 0) != 1 ||
		    (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0)
			return;
		(void)getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	}
	set_lost(c,
	    error == 0 ? "the server closed the connection" : strerror(error));
	c->lost = NULL;
	if (lost != NULL)
		lost(c, c->arg);
}

static void
on_io(evutil_socket_t fd, short what, void *arg)
{
	struct mconn *c = arg;

	(void)fd;
	(void)what;
	c->retry_ms = RETRY_FIRST_MS;
	if (c->state == C_IDLE)
		check_idle(c);
	else if (c->state != C_DEAD && c->done != NULL)
		step(c);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct mconn *c = arg;

	(void)fd;
	(void)what;
	if (c->state != C_IDLE && c->done != NULL)
		step(c);
}

/* Without a CA to check against there is no TLS that is worth the name. */
static void
set_options(struct mconn *c)
{
	unsigned proto = MYSQL_PROTOCOL_TCP;
	unsigned mode = SSL_MODE_DISABLED;
	unsigned infile = 0;
	unsigned long packet = PACKET_MAX;
	bool yes = true;

	(void)mysql_options(c->my, MYSQL_OPT_PROTOCOL, &proto);
	(void)mysql_options(c->my, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	(void)mysql_options(c->my, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
	/* A server may ask a client for any file of its own. */
	(void)mysql_options(c->my, MYSQL_OPT_LOCAL_INFILE, &infile);
	(void)mysql_options4(
	    c->my, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "bloodraven");
	if (c->tls) {
		mode = SSL_MODE_VERIFY_IDENTITY;
		(void)mysql_options(c->my, MYSQL_OPT_SSL_CA, MADDR_CA);
	} else
		(void)mysql_options(
		    c->my, MYSQL_OPT_GET_SERVER_PUBLIC_KEY, &yes);
	(void)mysql_options(c->my, MYSQL_OPT_SSL_MODE, &mode);
}

static char *
copy(const char *s)
{
	char *d = strdup(s);

	if (d == NULL)
		fatal("strdup");
	return d;
}

struct mconn *
mconn_open(
    struct event_base *base, const struct mtarget *t, mconn_fn *done, void *arg)
{
	struct mconn *c;

	if (t->nlogins == 0 || t->nlogins > MCONN_LOGINS)
		fatalx("mconn_open: %u accounts", t->nlogins);
	if ((c = calloc(1, sizeof(*c))) == NULL ||
	    (c->my = mysql_init(NULL)) == NULL ||
	    (c->timer = evtimer_new(base, on_timer, c)) == NULL)
		fatal("mconn_open");
	c->base = base;
	c->fd = c->sock = -1;
	c->state = C_CONNECT;
	c->host = copy(t->host[0] != '\0' ? t->host : t->ip);
	c->ip = copy(t->ip);
	for (unsigned i = 0; i < t->nlogins; i++) {
		c->login[i].user = copy(t->login[i].user);
		c->login[i].password = copy(t->login[i].password);
	}
	c->nlogins = t->nlogins;
	c->cookie = t->cookie;
	c->port = t->port;
	c->tls = t->tls;
	if (t->tls && t->ca_len > 0) {
		if ((c->ca = malloc(t->ca_len)) == NULL)
			fatal("malloc");
		memcpy(c->ca, t->ca, t->ca_len);
		c->ca_len = t->ca_len;
	}
	c->done = done;
	c->arg = arg;
	c->retry_ms = RETRY_FIRST_MS;
	set_options(c);
	arm(c, 0);
	return c;
}

static void
query(struct mconn *c, const char *sql, mconn_fn *done, bool secret)
{
	free_results(c);
	wipe(&c->sql);
	c->sql = copy(sql);
	c->secret = secret;
	c->done = done;
	c->nanswered = 0;
	c->err = 0;
	c->error[0] = '\0';
	c->retry_ms = RETRY_FIRST_MS;
	if (c->state == C_IDLE)
		c->state = C_QUERY;
	/* A dead one answers from the loop as well: its error is repeated. */
	arm(c, 0);
}

void
mconn_query(struct mconn *c, const char *sql, mconn_fn *done)
{
	query(c, sql, done, false);
}

void
mconn_query_secret(struct mconn *c, const char *sql, mconn_fn *done)
{
	query(c, sql, done, true);
}

void
mconn_watch(struct mconn *c, mconn_fn *lost)
{
	c->lost = lost;
	/* The edge may have come before we watched. */
	if (c->state == C_IDLE && c->fd != -1)
		check_idle(c);
}

/*
 * In the middle of an exchange the library's goodbye could wait for the peer:
 * after a shutdown each of its calls fails at once. It frees what it has for
 * the log-in only when that ends, so it is let fail. (libmysqlclient 9.7 then
 * looks at one byte of a buffer that it has freed, as it does whenever a
 * server is lost during the log-in. The byte decides nothing any more.)
 */
static void
cut_off(struct mconn *c)
{
	int i;

	if (c->fd == -1 || c->my->net.vio == NULL)
		return;
	(void)shutdown(c->fd, SHUT_RDWR);
	for (i = 0; c->state == C_CONNECT && i < CUT_OFF_STEPS; i++)
		if (step_connect(c) != NET_ASYNC_NOT_READY)
			break;
}

void
mconn_close(struct mconn *c)
{
	if (c == NULL)
		return;
	c->done = c->lost = NULL;
	if (c->state != C_IDLE)
		cut_off(c);
	unwatch(c);
	event_free(c->timer);
	free_results(c);
	wipe(&c->sql);
	wipe_password(c);
	mysql_close(c->my);
	free(c->host);
	free(c->ip);
	for (unsigned i = 0; i < c->nlogins; i++)
		free(c->login[i].user);
	free(c->ca);
	free(c);
}

unsigned
mconn_errno(const struct mconn *c)
{
	return c->err;
}

const char *
mconn_error(const struct mconn *c)
{
	return c->error;
}

bool
mconn_is_lost(const struct mconn *c)
{
	return c->state == C_DEAD;
}

unsigned
mconn_class(const struct mconn *c)
{
	switch (c->err) {
	case 0:
		return PE_NONE;
	case CR_CONN_HOST_ERROR:
	case CR_CONNECTION_ERROR:
		/* The text ends in (errno). */
		return strstr(c->error, "(111)") != NULL ? PE_REFUSED : PE_LOST;
	case CR_NET_PACKET_TOO_LARGE:
		return PE_TOO_BIG;
	case ER_ACCESS_DENIED_ERROR:
	case ER_DBACCESS_DENIED_ERROR:
	case ER_ACCESS_DENIED_NO_PASSWORD_ERROR:
	case ER_ACCOUNT_HAS_BEEN_LOCKED:
	case ER_MUST_CHANGE_PASSWORD_LOGIN:
	case CR_AUTH_PLUGIN_CANNOT_LOAD:
	case CR_AUTH_PLUGIN_ERR:
		return PE_AUTH;
	default:
		break;
	}
	if (c->err >= CR_MIN_ERROR && c->err <= CR_MAX_ERROR)
		return PE_LOST;
	return PE_SERVER;
}

unsigned
mconn_login(const struct mconn *c)
{
	return c->nth;
}

unsigned
mconn_cookie(const struct mconn *c)
{
	return c->cookie;
}

const uint8_t *
mconn_cert(const struct mconn *c)
{
	return c->have_cert ? c->cert : NULL;
}

unsigned long
mconn_id(const struct mconn *c)
{
	return mysql_thread_id(c->my);
}

unsigned
mconn_nresults(const struct mconn *c)
{
	return c->nres;
}

char **
mconn_row(struct mconn *c, unsigned i)
{
	return i < c->nres ? mysql_fetch_row(c->res[i]) : NULL;
}

unsigned
mconn_nanswered(const struct mconn *c)
{
	return c->nanswered;
}

unsigned
mconn_ncols(const struct mconn *c, unsigned i)
{
	return i < c->nres ? mysql_num_fields(c->res[i]) : 0;
}

int
mconn_col(const struct mconn *c, unsigned i, const char *name)
{
	MYSQL_FIELD *f;
	unsigned n;

	if (i >= c->nres)
		return -1;
	for (n = 0; n < mysql_num_fields(c->res[i]); n++) {
		f = mysql_fetch_field_direct(c->res[i], n);
		if (strcasecmp(f->name, name) == 0)
			return (int)n;
	}
	return -1;
}

char *
mconn_quote(struct mconn *c, const char *s)
{
	size_t len = strlen(s);
	unsigned long n;
	char *q;

	if (len > (SIZE_MAX - 3) / 2 || (q = malloc(2 * len + 3)) == NULL)
		fatal("mconn_quote");
	q[0] = '\'';
	n = mysql_real_escape_string_quote(c->my, q + 1, s, len, '\'');
	if (n == (unsigned long)-1) {
		free(q);
		return NULL;
	}
	q[n + 1] = '\'';
	q[n + 2] = '\0';
	return q;
}
