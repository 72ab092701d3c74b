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
 * One MySQL connection with deadlines: libmysqlclient's non-blocking calls,
 * driven until they are done or the deadline has passed. The calls never block
 * longer, whatever the network does.
 */

#ifndef ORACLE_CLIENT_H
#define ORACLE_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include <mysql/mysql.h>

struct client {
	MYSQL *my; /* NULL: not connected */
	const char *user;
	const char *password;
	bool tls;
	unsigned err; /* of the last call that failed */
	char text[256];
	char server[37]; /* server_uuid of this connection */
};

int64_t now_ns(void);
/* "host port" on the first line of a file, so that a Pod's new address is
 * found at the next connection. Returns 0 or -1. */
int target_read(const char *path, char *host, size_t size, unsigned *port);
/* The whole first line of a file; NULL on error. */
char *line_read(const char *path);
/* Connect, ask for server_uuid, ask for the GTID of each commit. */
int client_open(
    struct client *, const char *host, unsigned port, int64_t deadline_ns);
/* result: NULL when none is wanted. -1: c->err; ETIMEDOUT is CR 2013. */
int client_query(
    struct client *, const char *sql, MYSQL_RES **result, int64_t deadline_ns);
/* The GTID of the statement just committed, "-" when it was not told. */
void client_gtid(struct client *, char *, size_t);
void client_close(struct client *);

#endif /* ORACLE_CLIENT_H */
