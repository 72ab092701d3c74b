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
 * A MySQL connection with deadlines, see client.h.
 */

#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mysql/errmsg.h>

#include "client.h"

#define NS_MS 1000000LL

int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000000000LL + t.tv_nsec;
}

char *
line_read(const char *path)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t n;
	FILE *fp;

	if ((fp = fopen(path, "re")) == NULL)
		return NULL;
	n = getline(&line, &size, fp);
	fclose(fp);
	if (n <= 0) {
		free(line);
		errno = ENODATA;
		return NULL;
	}
	line[strcspn(line, "\r\n")] = '\0';
	return line;
}

int
target_read(const char *path, char *host, size_t size, unsigned *port)
{
	char *line, *p;
	const char *why = "";
	long long v = 0;

	if ((line = line_read(path)) == NULL)
		return -1;
	if ((p = strchr(line, ' ')) != NULL) {
		*p++ = '\0';
		v = strtonum(p, 1, 65535, &why);
	}
	if (why != NULL || strlcpy(host, line, size) >= size) {
		free(line);
		errno = EBADMSG;
		return -1;
	}
	*port = (unsigned)v;
	free(line);
	return 0;
}

static int
fail(struct client *c)
{
	c->err = mysql_errno(c->my);
	strlcpy(c->text, mysql_error(c->my), sizeof(c->text));
	return -1;
}

/*
 * Until the socket has something, or a moment has passed: the calls do not say
 * what they wait for, and waiting for writability would spin.
 */
static int
pause_until(struct client *c, int64_t deadline, int most_ms)
{
	struct pollfd p = { .fd = c->my->net.fd, .events = POLLIN };
	int64_t left = (deadline - now_ns() + NS_MS - 1) / NS_MS;

	if (left <= 0) {
		c->err = CR_SERVER_LOST;
		strlcpy(c->text, "deadline passed", sizeof(c->text));
		return -1;
	}
	poll(&p, p.fd >= 0, left < most_ms ? (int)left : most_ms);
	return 0;
}

static int
connect_to(struct client *c, const char *host, unsigned port, int64_t deadline)
{
	enum net_async_status st;
	enum mysql_ssl_mode ssl =
	    c->tls ? SSL_MODE_REQUIRED : SSL_MODE_DISABLED;
	bool yes = true;

	if ((c->my = mysql_init(NULL)) == NULL)
		return -1;
	mysql_options(c->my, MYSQL_OPT_SSL_MODE, &ssl);
	/* caching_sha2_password without TLS */
	mysql_options(c->my, MYSQL_OPT_GET_SERVER_PUBLIC_KEY, &yes);
	for (;;) {
		st = mysql_real_connect_nonblocking(
		    c->my, host, c->user, c->password, NULL, port, NULL, 0);
		if (st == NET_ASYNC_COMPLETE)
			return 0;
		if (st == NET_ASYNC_ERROR)
			return fail(c);
		if (pause_until(c, deadline, 1) == -1)
			return -1;
	}
}

int
client_open(struct client *c, const char *host, unsigned port, int64_t deadline)
{
	MYSQL_RES *res = NULL;
	MYSQL_ROW row;

	client_close(c);
	if (connect_to(c, host, port, deadline) == -1 ||
	    client_query(c, "SELECT @@GLOBAL.server_uuid", &res, deadline) ==
		-1)
		goto bad;
	row = mysql_fetch_row(res);
	if (row != NULL && row[0] != NULL)
		strlcpy(c->server, row[0], sizeof(c->server));
	mysql_free_result(res);
	if (client_query(c, "SET SESSION session_track_gtids = OWN_GTID", NULL,
		deadline) == -1)
		goto bad;
	return 0;
bad:
	client_close(c);
	return -1;
}

int
client_query(
    struct client *c, const char *sql, MYSQL_RES **result, int64_t deadline)
{
	unsigned long len = strlen(sql);
	enum net_async_status st;

	while ((st = mysql_real_query_nonblocking(c->my, sql, len)) ==
	    NET_ASYNC_NOT_READY)
		if (pause_until(c, deadline, 2) == -1)
			return -1;
	if (st == NET_ASYNC_ERROR || mysql_errno(c->my) != 0)
		return fail(c);
	if (result == NULL)
		return 0;
	while ((st = mysql_store_result_nonblocking(c->my, result)) ==
	    NET_ASYNC_NOT_READY)
		if (pause_until(c, deadline, 2) == -1)
			return -1;
	if (st == NET_ASYNC_ERROR || *result == NULL)
		return fail(c);
	return 0;
}

void
client_gtid(struct client *c, char *gtid, size_t size)
{
	const char *data;
	size_t len;

	strlcpy(gtid, "-", size);
	if (mysql_session_track_get_first(
		c->my, SESSION_TRACK_GTIDS, &data, &len) == 0 &&
	    len > 0 && len < size) {
		memcpy(gtid, data, len);
		gtid[len] = '\0';
	}
}

void
client_close(struct client *c)
{
	strlcpy(c->server, "-", sizeof(c->server));
	if (c->my == NULL)
		return;
	/* mysql_close() would send COM_QUIT: never wait for a dead peer. */
	if (c->my->net.fd >= 0)
		shutdown(c->my->net.fd, SHUT_RDWR);
	mysql_close(c->my);
	c->my = NULL;
}
