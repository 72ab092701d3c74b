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
 * What a replica is told about its source: the replication account, and how
 * TLS is checked. SQL_REFRESH_SOURCE changes only that, while the applier
 * goes on: the relay log stays, and the receiver is away for milliseconds.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mysql_act.h"

/* In a MySQL Pod (kube_render.h). A test's servers have it elsewhere. */
static const char *server_ca = "/etc/mysql/tls/ca.crt";

void
msource_ca(const char *path)
{
	server_ca = path;
}

const char *
msource_clone_ca(const struct maction *a)
{
	return a->req.source_tls && a->site->tls ? server_ca : "";
}

/*
 * While Pods are changed over to TLS or back, one end may have it and the
 * other not. Names are checked where the certificate has the one by which
 * replicas know their source; mysql_tls.c says when it has not.
 */
struct tls {
	bool on, verify;
	const char *ca;
};

static struct tls
tls_of(const struct maction *a)
{
	struct tls t = { a->req.source_tls, false, "" };

	if (t.on && a->site->tls) {
		t.ca = server_ca;
		t.verify = mtls_has_name(a->site->group, a->req.source_host);
	}
	return t;
}

/* "SOURCE_USER=…,…"; holds the password. */
char *
msource_options(struct maction *a)
{
	const struct maccount *c = &a->site->group->creds.repl;
	struct tls t = tls_of(a);
	char *user, *password, *s;

	user = mconn_quote(a->conn, c->user);
	password = mconn_quote(a->conn, c->password);
	if (user == NULL || password == NULL ||
	    asprintf(&s,
		"SOURCE_USER=%s,SOURCE_PASSWORD=%s,SOURCE_SSL=%d,"
		"SOURCE_SSL_CA='%s',SOURCE_SSL_VERIFY_SERVER_CERT=%d,"
		"GET_SOURCE_PUBLIC_KEY=%d",
		user, password, t.on, t.ca, t.verify, !t.on) == -1)
		fatal("msource_options");
	free(user);
	freezero(password, strlen(password));
	return s;
}

/* -------------------------------------------------------------- refresh --- */

enum { RF_COMPARE, RF_LOOK, RF_STOP, RF_CHANGE, RF_START, RF_BACK };

static void
compare(struct maction *a)
{
	const struct maccount *c = &a->site->group->creds.repl;
	struct tls t = tls_of(a);
	char *user, *password, *sql;

	user = mconn_quote(a->conn, c->user);
	password = mconn_quote(a->conn, c->password);
	if (user == NULL || password == NULL ||
	    asprintf(&sql,
		"SELECT User_name=%s AND User_password=%s AND"
		" Enabled_ssl=%d AND Ssl_ca='%s' AND"
		" Ssl_verify_server_cert=%d AND Get_public_key=%d"
		" FROM mysql.slave_master_info WHERE Channel_name=''",
		user, password, t.on, t.ca, t.verify, !t.on) == -1)
		fatal("compare");
	maction_read_secret(a, sql);
	free(user);
	freezero(password, strlen(password));
	freezero(sql, strlen(sql));
}

static void
change(struct maction *a)
{
	char *opts = msource_options(a), *sql;

	if (asprintf(&sql, "CHANGE REPLICATION SOURCE TO %s", opts) == -1)
		fatal("asprintf");
	maction_change(a, sql, true);
	freezero(opts, strlen(opts));
	freezero(sql, strlen(sql));
}

static void
stop_receiver(struct maction *a)
{
	mkind_take_threads(a);
	/* A relay log without an applier would be thrown away. */
	if (!a->sql_running || !a->io_running)
		maction_end(
		    a, SE_REFUSED, 0, "receiver or applier does not run");
	else
		maction_change(a, "STOP REPLICA IO_THREAD", false);
}

void
mrefresh_next(struct maction *a)
{
	char **row;

	switch (a->step) {
	case RF_COMPARE:
		compare(a);
		break;
	case RF_LOOK:
		row = mconn_row(a->conn, 0);
		/* No replica, or all is as it should be. */
		if (row == NULL || (row[0] != NULL && *row[0] == '1'))
			maction_done(a);
		else
			maction_read(a, "SHOW REPLICA STATUS");
		break;
	case RF_STOP:
		stop_receiver(a);
		break;
	case RF_CHANGE:
		change(a);
		break;
	case RF_START:
		a->count = 1;
		maction_change_last(a, "START REPLICA IO_THREAD");
		break;
	default:
		maction_end(a, SE_FAILED, a->fail_errno, a->fail_text);
	}
}

/* With the old account the receiver is better off than stopped. */
bool
mrefresh_error(struct maction *a)
{
	if (a->step != RF_CHANGE || mconn_is_lost(a->conn))
		return false;
	a->fail_errno = mconn_errno(a->conn);
	(void)strlcpy(a->fail_text, mconn_error(a->conn), sizeof(a->fail_text));
	a->step = RF_START;
	maction_restore(a, "START REPLICA IO_THREAD");
	return true;
}
