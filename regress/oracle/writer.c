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
 * writer: one client that inserts (writer, sequence) at a fixed rate and
 * records every attempt. It follows one address, read anew from a file at each
 * connection: the -primary Service's, or that of one site's Pod.
 */

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mysql/errmsg.h>
#include <mysql/mysqld_error.h>

#include "client.h"
#include "record.h"

#define NS_MS 1000000LL

struct writer {
	struct client c;
	const char *name;
	const char *target;
	const char *table;
	const char *query; /* instead of the insert */
	int64_t interval;
	int64_t timeout;
	bool reconnect; /* also when refused */
	int fd;
	uint64_t seq;
};

static volatile sig_atomic_t stop;

static void
on_signal(int sig)
{
	stop = sig;
}

/* Errors that leave open whether the transaction was committed. */
static bool
undecided(unsigned e)
{
	return (e >= 2000 && e < 3000) || e == ER_SERVER_SHUTDOWN ||
	    e == ER_QUERY_INTERRUPTED || e == ER_ERROR_DURING_COMMIT ||
	    e == ER_SESSION_WAS_KILLED;
}

static void
try_connect(struct writer *w, struct record *r)
{
	char host[256];
	unsigned port;

	if (target_read(w->target, host, sizeof(host), &port) == -1) {
		w->c.err = CR_UNKNOWN_HOST;
		return;
	}
	if (client_open(&w->c, host, port, r->sent_ns + w->timeout) == -1)
		r->err = w->c.err;
}

static void
try_write(struct writer *w, struct record *r)
{
	char sql[256];
	int n;

	n = snprintf(sql, sizeof(sql),
	    "INSERT INTO %s (writer, seq, server) VALUES ('%s', %" PRIu64
	    ", @@server_uuid)",
	    w->table, w->name, r->seq);
	if (w->query != NULL)
		n = snprintf(sql, sizeof(sql), "%s", w->query);
	if (n < 0 || (size_t)n >= sizeof(sql))
		errx(1, "the statement is too long");
	strlcpy(r->server, w->c.server, sizeof(r->server));
	r->sent_ns = now_ns();
	if (client_query(&w->c, sql, NULL, r->sent_ns + w->timeout) == 0) {
		r->end_ns = now_ns();
		r->out = OUT_ACKED;
		client_gtid(&w->c, r->gtid, sizeof(r->gtid));
		return;
	}
	r->end_ns = now_ns();
	r->err = w->c.err;
	r->out = undecided(r->err) ? OUT_UNKNOWN : OUT_REFUSED;
	if (r->out == OUT_UNKNOWN || w->reconnect)
		client_close(&w->c);
}

static void
attempt(struct writer *w)
{
	struct record r = { .out = OUT_UNSENT, .seq = ++w->seq };

	strlcpy(r.server, "-", sizeof(r.server));
	strlcpy(r.gtid, "-", sizeof(r.gtid));
	r.sent_ns = now_ns();
	if (w->c.my == NULL)
		try_connect(w, &r);
	if (w->c.my != NULL)
		try_write(w, &r);
	else
		r.end_ns = now_ns();
	if (record_append(w->fd, &r) == -1)
		err(1, "the record");
}

static void
run(struct writer *w)
{
	struct timespec t;
	int64_t next = now_ns(), now;

	while (!stop) {
		attempt(w);
		now = now_ns();
		next += w->interval;
		/* what a slow attempt has missed is not made up for */
		if (next < now)
			next = now;
		t.tv_sec = next / 1000000000LL;
		t.tv_nsec = next % 1000000000LL;
		clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &t, NULL);
	}
}

static void
usage(void)
{
	fprintf(stderr,
	    "usage: writer -w name [-s site] -t target-file "
	    "-u user -p password-file\n"
	    "              -o record-file [-d table] [-i interval-ms] "
	    "[-T timeout-ms] [-q sql] [-r] [-S]\n");
	exit(2);
}

static int64_t
millis(const char *what, const char *s)
{
	const char *why;
	int64_t v = strtonum(s, 1, 60000, &why);

	if (why != NULL)
		errx(2, "%s: %s: %s", what, s, why);
	return v * NS_MS;
}

int
main(int argc, char **argv)
{
	struct writer w = { .table = "oracle.writes",
		.interval = 10 * NS_MS,
		.timeout = 250 * NS_MS };
	const char *site = "-", *out = NULL, *pw = NULL;
	struct sigaction sa = { .sa_handler = on_signal };
	int ch;

	while ((ch = getopt(argc, argv, "w:s:t:u:p:o:d:q:i:T:rS")) != -1) {
		switch (ch) {
		case 'S':
			w.c.tls = true;
			break;
		case 'w':
			w.name = optarg;
			break;
		case 's':
			site = optarg;
			break;
		case 't':
			w.target = optarg;
			break;
		case 'u':
			w.c.user = optarg;
			break;
		case 'p':
			pw = optarg;
			break;
		case 'o':
			out = optarg;
			break;
		case 'd':
			w.table = optarg;
			break;
		case 'q':
			w.query = optarg;
			break;
		case 'i':
			w.interval = millis("-i", optarg);
			break;
		case 'T':
			w.timeout = millis("-T", optarg);
			break;
		case 'r':
			w.reconnect = true;
			break;
		default:
			usage();
		}
	}
	if (w.name == NULL || w.target == NULL || w.c.user == NULL ||
	    pw == NULL || out == NULL || optind != argc)
		usage();
	if ((w.c.password = line_read(pw)) == NULL)
		err(1, "%s", pw);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (mysql_library_init(0, NULL, NULL) != 0)
		errx(1, "mysql_library_init");
	if ((w.fd = record_create(out, w.name, site)) == -1)
		err(1, "%s", out);
	run(&w);
	client_close(&w.c);
	return 0;
}
