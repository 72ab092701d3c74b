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
 * See harness.h.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "harness.h"
#include "mysql_conn.h"

struct got {
	TAILQ_ENTRY(got) entry;
	uint32_t type;
	void *msg;
};

static TAILQ_HEAD(, got) inbox = TAILQ_HEAD_INITIALIZER(inbox);
static struct event_base *base;
static const char *host = "mysql.example.invalid";
static uint64_t seq;
static char log_path[] = "/tmp/prober-log.XXXXXX";

/* ------------------------------------------------ the parent's channel --- */

static const struct ps_msg *
schema_of(uint32_t type)
{
	size_t i;

	for (i = 0; i < msg_schema.nmsgs; i++)
		if (msg_schema.msgs[i].type == type)
			return &msg_schema.msgs[i];
	return NULL;
}

struct event_base *
ps_base(struct ps_worker *w)
{
	(void)w;
	return base;
}

int
ps_worker_send(struct ps_worker *w, uint32_t type, const void *msg, int fd)
{
	static uint8_t frame[PS_FRAME_MAX];
	const struct ps_msg *m = schema_of(type);
	const struct codec_desc *d;
	struct got *g;
	int n;

	(void)w;
	assert_int_equal(fd, -1);
	assert_non_null(m);
	assert_true(m->from & P_MYSQL);
	d = m->desc();
	n = codec_encode(d, type, msg, frame, sizeof(frame));
	assert_true(n > 0);
	assert_null(memmem(frame, (size_t)n, "S3CRET", 6));
	g = calloc(1, sizeof(*g));
	assert_non_null(g);
	g->type = type;
	g->msg = malloc(d->size);
	assert_non_null(g->msg);
	memcpy(g->msg, msg, d->size);
	TAILQ_INSERT_TAIL(&inbox, g, entry);
	event_base_loopbreak(base);
	return 0;
}

static void
no_password_in_log(void)
{
	char line[8192];
	FILE *f = fopen(log_path, "r");

	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL)
		if (strstr(line, "S3CRET") != NULL) {
			fprintf(stderr, "a password in the log: %s", line);
			_exit(1);
		}
	fclose(f);
	unlink(log_path);
}

void
h_init(void)
{
	int fd;

	base = event_base_new();
	assert_non_null(base);
	fd = mkstemp(log_path);
	assert_true(fd >= 0);
	log_init("prober", LL_DEBUG, fd);
	(void)atexit(no_password_in_log);
	assert_int_equal(mysql_setup(NULL), 0);
}

/* ---------------------------------------------------------------- inbox --- */

static void
drop(struct got *g)
{
	TAILQ_REMOVE(&inbox, g, entry);
	free(g->msg);
	free(g);
}

void
h_clear(void)
{
	struct got *g;

	while ((g = TAILQ_FIRST(&inbox)) != NULL)
		drop(g);
}

unsigned
h_count(uint32_t type)
{
	struct got *g;
	unsigned n = 0;

	TAILQ_FOREACH (g, &inbox, entry)
		n += g->type == type;
	return n;
}

void *
h_peek(uint32_t type, unsigned i)
{
	struct got *g;

	TAILQ_FOREACH (g, &inbox, entry)
		if (g->type == type && i-- == 0)
			return g->msg;
	return NULL;
}

bool
h_has(uint32_t type)
{
	return h_count(type) > 0;
}

static void
loop_ms(int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_base_loopexit(base, &tv);
	event_base_dispatch(base);
}

void
h_run_ms(int64_t ms)
{
	struct monotime end = monotime_add_ms(monotime_now(), ms);
	int64_t left;

	while ((left = monotime_sub_ms(end, monotime_now())) > 0)
		loop_ms(left);
}

void *
h_wait(uint32_t type, bool (*match)(const void *, void *), void *arg)
{
	static void *taken;
	struct monotime end = monotime_add_ms(monotime_now(), WAIT_MS);
	struct got *g, *next;

	free(taken);
	taken = NULL;
	for (;;) {
		TAILQ_FOREACH_SAFE (g, &inbox, entry, next) {
			if (g->type != type)
				continue;
			if (match == NULL || match(g->msg, arg)) {
				taken = g->msg;
				g->msg = NULL;
				drop(g);
				return taken;
			}
		}
		if (monotime_cmp(monotime_now(), end) >= 0)
			break;
		/* Every message breaks the loop; the rest is a bound. */
		loop_ms(50);
	}
	fail_msg("no %s came", msg_name(type));
	return NULL;
}

/* ------------------------------------------------------ what is told it --- */

const char *
h_site(unsigned port)
{
	static char name[8][16];
	static int i;

	i = (i + 1) % 8;
	(void)snprintf(name[i], sizeof(name[i]), "p%u", port);
	return name[i];
}

const char *
h_pod(unsigned port)
{
	static char uid[8][UID_LEN + 1];
	static int i;

	i = (i + 1) % 8;
	(void)snprintf(
	    uid[i], sizeof(uid[i]), "00000000-0000-0000-0000-%012u", port);
	return uid[i];
}

struct m_creds *
h_creds(uint64_t gen)
{
	static struct m_creds c;

	memset(&c, 0, sizeof(c));
	(void)strlcpy(c.group, GROUP, sizeof(c.group));
	c.gen = gen;
	c.valid = true;
	(void)strlcpy(c.user, OPER, sizeof(c.user));
	assert_int_equal(secret_set(&c.password, OPER_PW, strlen(OPER_PW)), 0);
	(void)strlcpy(c.repl_user, REPL, sizeof(c.repl_user));
	assert_int_equal(
	    secret_set(&c.repl_password, REPL_PW, strlen(REPL_PW)), 0);
	return &c;
}

void
h_tell_creds(struct m_creds *c)
{
	mysql_dispatch(NULL, MSG_CREDS, c, -1);
}

void
h_account(unsigned role, const char *user, const char *password)
{
	static struct m_account m;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.group, GROUP, sizeof(m.group));
	m.role = role;
	(void)strlcpy(m.user, user, sizeof(m.user));
	assert_int_equal(
	    secret_set(&m.password, password, strlen(password)), 0);
	mysql_dispatch(NULL, MSG_ACCOUNT, &m, -1);
}

static void
set_bytes(uint32_t *len, uint8_t *data, const char *pem)
{
	*len = pem != NULL ? (uint32_t)strlen(pem) : 0;
	if (*len > 0)
		memcpy(data, pem, *len);
}

void
h_tls(uint64_t gen, const char *ca, const char *cert, const char *key,
    const char *prev_ca)
{
	static struct m_tls m;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.group, GROUP, sizeof(m.group));
	m.gen = gen;
	m.wanted = true;
	(void)strlcpy(m.secret, "cert", sizeof(m.secret));
	set_bytes(&m.ca.len, m.ca.data, ca);
	set_bytes(&m.cert.len, m.cert.data, cert);
	set_bytes(&m.key.len, m.key.data, key);
	set_bytes(&m.prev_ca.len, m.prev_ca.data, prev_ca);
	mysql_dispatch(NULL, MSG_TLS, &m, -1);
}

void
h_host(const char *name)
{
	host = name != NULL ? name : "mysql.example.invalid";
}

void
h_group(const char *uid, int64_t poll_ms, int64_t deadline_ms, bool tls,
    const char *ca, ...)
{
	static struct m_probe_group g;
	struct m_probe_site *s;
	struct m_creds *c;
	unsigned port;
	va_list ap;

	memset(&g, 0, sizeof(g));
	(void)strlcpy(g.group, uid, sizeof(g.group));
	(void)strlcpy(g.fg, "ns/group", sizeof(g.fg));
	g.poll_ms = poll_ms;
	g.deadline_ms = deadline_ms;
	va_start(ap, ca);
	while ((port = va_arg(ap, unsigned)) != 0) {
		s = &g.sites[g.n_sites++];
		(void)strlcpy(s->name, h_site(port), sizeof(s->name));
		(void)strlcpy(s->host, host, sizeof(s->host));
		(void)strlcpy(s->internal, "localhost", sizeof(s->internal));
		s->tls = tls;
		(void)strlcpy(s->ip, "127.0.0.1", sizeof(s->ip));
		s->port = port;
		(void)strlcpy(s->pod_uid, h_pod(port), sizeof(s->pod_uid));
	}
	va_end(ap);
	mysql_dispatch(NULL, MSG_PROBE_GROUP, &g, -1);
	if (ca != NULL)
		h_tls(1, ca, NULL, NULL, NULL);
	c = h_creds(1);
	(void)strlcpy(c->group, uid, sizeof(c->group));
	h_tell_creds(c);
}

void
h_group_gone(const char *uid)
{
	static struct m_probe_group g;

	memset(&g, 0, sizeof(g));
	(void)strlcpy(g.group, uid, sizeof(g.group));
	g.gone = true;
	mysql_dispatch(NULL, MSG_PROBE_GROUP, &g, -1);
	h_clear();
}

struct want {
	const char *site;
	bool ok;
	uint64_t seq;
};

static bool
is_probe(const void *msg, void *arg)
{
	const struct m_probe *p = msg;
	const struct want *w = arg;

	return strcmp(p->site, w->site) == 0 && p->ok == w->ok;
}

static bool
is_done(const void *msg, void *arg)
{
	return ((const struct m_sql_done *)msg)->seq ==
	    ((const struct want *)arg)->seq;
}

struct m_probe *
h_probe(unsigned port, bool ok)
{
	struct want w = { h_site(port), ok, 0 };

	return h_wait(MSG_PROBE, is_probe, &w);
}

struct m_sql *
h_request(unsigned port, unsigned kind)
{
	static struct m_sql s;

	memset(&s, 0, sizeof(s));
	(void)strlcpy(s.group, GROUP, sizeof(s.group));
	(void)strlcpy(s.site, h_site(port), sizeof(s.site));
	(void)strlcpy(s.pod_uid, h_pod(port), sizeof(s.pod_uid));
	(void)strlcpy(s.source_host, "127.0.0.1", sizeof(s.source_host));
	s.seq = ++seq;
	s.kind = kind;
	s.epoch = 1;
	s.valid_until_ns = monotime_add_ms(monotime_now(), 30000).ns;
	s.timeout_ms = 5000;
	s.grant_ttl_ms = 5000;
	return &s;
}

void
h_send(struct m_sql *s)
{
	mysql_dispatch(NULL, MSG_SQL, s, -1);
}

struct m_sql_done *
h_done(uint64_t which)
{
	struct want w = { NULL, false, which };

	return h_wait(MSG_SQL_DONE, is_done, &w);
}

struct m_sql_done *
h_sql(struct m_sql *s)
{
	h_send(s);
	return h_done(s->seq);
}

struct m_sql_done *
h_do(unsigned port, unsigned kind)
{
	return h_sql(h_request(port, kind));
}

/* ------------------------------------------------------------ the lab's --- */

/* It has longer than a restart takes at worst: a hang fails the test. */
static FILE *
begin_command(const char *cmd)
{
	char bounded[4096];
	FILE *p;

	(void)snprintf(bounded, sizeof(bounded), "exec timeout 120 %s", cmd);
	p = popen(bounded, "r");
	assert_non_null(p);
	return p;
}

/* A command whose end the loop waits for; its first line, or NULL. */
static const char *
command(const char *cmd)
{
	static char line[4096];
	FILE *p = begin_command(cmd);
	size_t n;

	if (fgets(line, sizeof(line), p) == NULL)
		line[0] = '\0';
	while (fgetc(p) != EOF)
		;
	n = strlen(line);
	if (n > 0 && line[n - 1] == '\n')
		line[n - 1] = '\0';
	return pclose(p) == 0 ? line : NULL;
}

void
h_lab(const char *fmt, ...)
{
	char cmd[1024], args[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(args, sizeof(args), fmt, ap);
	va_end(ap);
	(void)snprintf(cmd, sizeof(cmd), "%s %s >/dev/null",
	    getenv("PROBER_MYSQLD"), args);
	if (command(cmd) == NULL)
		fail_msg("%s", cmd);
}

/* ---------------------------------------------------- a late statement --- */

static struct {
	const char *server, *begins;
	int64_t ms;
	struct event *thaw;
} late;

static void
thaw(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	h_lab("thaw %s", late.server);
}

void
h_delay(const char *server, const char *begins, int64_t ms)
{
	if (late.thaw == NULL)
		late.thaw = evtimer_new(base, thaw, NULL);
	assert_non_null(late.thaw);
	late.server = server;
	late.begins = begins;
	late.ms = ms;
}

/* The linker puts it before that of mysql_conn.c. */
void __real_mconn_query(struct mconn *, const char *, mconn_fn *);
void __wrap_mconn_query(struct mconn *, const char *, mconn_fn *);

void
__wrap_mconn_query(struct mconn *c, const char *sql, mconn_fn *done)
{
	struct timeval tv = { late.ms / 1000, late.ms % 1000 * 1000 };

	if (late.begins != NULL &&
	    strncmp(sql, late.begins, strlen(late.begins)) == 0) {
		late.begins = NULL;
		h_lab("freeze %s", late.server);
		assert_int_equal(event_add(late.thaw, &tv), 0);
	}
	__real_mconn_query(c, sql, done);
}

const char *
h_ask(const char *server, const char *sql)
{
	char cmd[2048];
	const char *line;

	/* An answer may come before the server goes on: it waits for nobody. */
	while (late.thaw != NULL && evtimer_pending(late.thaw, NULL))
		(void)event_base_loop(base, EVLOOP_ONCE);
	(void)snprintf(cmd, sizeof(cmd), "%s sql %s -N -e \"%s\"",
	    getenv("PROBER_MYSQLD"), server, sql);
	if ((line = command(cmd)) == NULL)
		fail_msg("%s", cmd);
	return line;
}

void
h_reload_tls(const char *server)
{
	struct monotime end = monotime_add_ms(monotime_now(), WAIT_MS);
	char cmd[1024];
	FILE *p;

	(void)snprintf(cmd, sizeof(cmd),
	    "%s sql %s -e \"ALTER INSTANCE RELOAD TLS\"",
	    getenv("PROBER_MYSQLD"), server);
	p = begin_command(cmd);
	assert_int_equal(fcntl(fileno(p), F_SETFL, O_NONBLOCK), 0);
	while (fgetc(p) == EOF && !feof(p)) {
		if (monotime_cmp(monotime_now(), end) >= 0)
			fail_msg("%s", cmd);
		clearerr(p);
		h_run_ms(20);
	}
	assert_int_equal(pclose(p), 0);
}

void
h_until(const char *server, const char *sql, const char *expected)
{
	struct monotime end = monotime_add_ms(monotime_now(), WAIT_MS);

	while (strcmp(h_ask(server, sql), expected) != 0) {
		if (monotime_cmp(monotime_now(), end) >= 0)
			fail_msg("%s: %s is not %s", server, sql, expected);
		h_run_ms(20);
	}
}
