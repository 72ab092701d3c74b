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
 * witness: looks at one site again and again and writes down what it has
 * executed and received whenever that has changed:
 *
 *	#witness1 <tab> site
 *	time_ns server read_only super_read_only executed received (by tabs)
 *
 * What the promoted site had received can be asked of nobody afterwards.
 */

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

#define NS_MS 1000000LL

struct witness {
	struct client c;
	const char *target;
	int64_t interval;
	int64_t timeout;
	int fd;
	char *last; /* what was written, without the time */
};

static volatile sig_atomic_t stop;

static void
on_signal(int sig)
{
	stop = sig;
}

/* GTID sets are printed with line ends in them. */
static void
squeeze(char *s)
{
	char *w = s;

	for (; *s != '\0'; s++)
		if (!isspace((unsigned char)*s))
			*w++ = *s;
	*w = '\0';
}

static char *
column(MYSQL_RES *res, MYSQL_ROW row, const char *name)
{
	MYSQL_FIELD *f = mysql_fetch_fields(res);

	for (unsigned i = 0; row != NULL && i < mysql_num_fields(res); i++)
		if (strcmp(f[i].name, name) == 0)
			return strdup(row[i] != NULL ? row[i] : "");
	return strdup("");
}

/* The words of one look, NULL when there was no answer. */
static char *
look(struct witness *w)
{
	int64_t deadline = now_ns() + w->timeout;
	char *text = NULL, *received;
	MYSQL_RES *res = NULL;
	MYSQL_ROW row;

	if (client_query(&w->c, "SHOW REPLICA STATUS", &res, deadline) == -1)
		return NULL;
	received = column(res, mysql_fetch_row(res), "Retrieved_Gtid_Set");
	mysql_free_result(res);
	if (received == NULL)
		err(1, NULL);
	squeeze(received);
	if (client_query(&w->c,
		"SELECT @@read_only, @@super_read_only, "
		"@@GLOBAL.gtid_executed",
		&res, deadline) == 0) {
		if ((row = mysql_fetch_row(res)) != NULL) {
			squeeze(row[2]);
			if (asprintf(&text, "%s\t%s\t%s\t%s\t%s", w->c.server,
				row[0], row[1], row[2], received) == -1)
				err(1, NULL);
		}
		mysql_free_result(res);
	}
	free(received);
	return text;
}

static void
note(struct witness *w, char *text)
{
	char *line;
	int n;

	if (w->last != NULL && strcmp(w->last, text) == 0) {
		free(text);
		return;
	}
	n = asprintf(&line, "%" PRId64 "\t%s\n", now_ns(), text);
	if (n == -1 || write(w->fd, line, (size_t)n) != n)
		err(1, "the record");
	free(line);
	free(w->last);
	w->last = text;
}

static void
turn(struct witness *w)
{
	char host[256], *text;
	unsigned port;

	if (w->c.my == NULL) {
		if (target_read(w->target, host, sizeof(host), &port) == -1 ||
		    client_open(&w->c, host, port, now_ns() + w->timeout) == -1)
			return;
	}
	text = look(w);
	if (text != NULL)
		note(w, text);
	else
		client_close(&w->c);
}

static void
run(struct witness *w)
{
	struct timespec t = { .tv_nsec = w->interval };

	while (!stop) {
		turn(w);
		clock_nanosleep(CLOCK_BOOTTIME, 0, &t, NULL);
	}
}

static int
create(const char *path, const char *site)
{
	int fd;

	fd = open(
	    path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd == -1 || dprintf(fd, "#witness1\t%s\n", site) < 0)
		err(1, "%s", path);
	return fd;
}

int
main(int argc, char **argv)
{
	struct witness w = { .interval = 100 * NS_MS, .timeout = 500 * NS_MS };
	const char *site = NULL, *out = NULL, *pw = NULL;
	struct sigaction sa = { .sa_handler = on_signal };
	int ch;

	while ((ch = getopt(argc, argv, "s:t:u:p:o:S")) != -1) {
		switch (ch) {
		case 'S':
			w.c.tls = true;
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
		default:
			site = NULL;
			optind = argc + 1;
		}
	}
	if (site == NULL || w.target == NULL || w.c.user == NULL ||
	    pw == NULL || out == NULL || optind != argc) {
		fprintf(stderr,
		    "usage: witness -s site -t target-file -u user "
		    "-p password-file -o file [-S]\n");
		return 2;
	}
	if ((w.c.password = line_read(pw)) == NULL)
		err(1, "%s", pw);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (mysql_library_init(0, NULL, NULL) != 0)
		errx(1, "mysql_library_init");
	w.fd = create(out, site);
	run(&w);
	client_close(&w.c);
	return 0;
}
