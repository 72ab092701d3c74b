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
 * SQL_CLONE: a server gives up what it has for a copy of another's.
 *
 * CLONE into a server without user schemas works under super_read_only, so
 * nothing is cleared there. Dropping schemas doesn't (error 1290): only then
 * super_read_only is cleared; read_only stays ON, and offline_mode keeps
 * everybody out who could write under it but is not of the operator's.
 */

#include <stdlib.h>
#include <string.h>

#include <errmsg.h>
#include <mysqld_error.h>

#include "mysql_act.h"

enum {
	CL_LOOK,
	CL_STOP,
	CL_OFFLINE,
	CL_CONF,
	CL_CLONE,
	CL_CLONED,
	CL_UNFENCE,
	CL_CLONE_AGAIN,
	CL_CLONED_AGAIN,
	CL_FENCE,
	CL_ONLINE,
	CL_FAILED
};

static void
clone_conf(struct maction *a)
{
	int64_t s = maction_left(a) / 1000 + 1;
	char *sql;

	/* The donor may be silent for as long as the whole may take. */
	if (asprintf(&sql,
		"SET SESSION net_read_timeout=%lld,"
		"SESSION net_write_timeout=%lld,GLOBAL clone_ddl_timeout=%lld,"
		"GLOBAL clone_valid_donor_list='%s:%u',"
		"GLOBAL clone_ssl_ca='%s'",
		(long long)s, (long long)s, (long long)s, a->req.source_host,
		a->req.source_port, msource_clone_ca(a)) == -1)
		fatal("asprintf");
	maction_change(a, sql, false);
	free(sql);
}

/* Whoever decided on it may not lead any more when this is carried out. */
static void
clone_unfence(struct maction *a)
{
	struct monotime until = { a->req.valid_until_ns };
	char *sql;

	if (monotime_cmp(a->deadline, until) < 0)
		until = a->deadline;
	sql = mkind_clear_sql("super_read_only",
	    a->clock_us + monotime_sub_ms(until, a->clock_at) * 1000);
	a->super_read_only = false;
	maction_change(a, sql, false);
	free(sql);
}

static void
clone_instance(struct maction *a)
{
	const struct maccount *c = &a->site->group->creds.repl;
	char *user, *password, *sql;

	user = mconn_quote(a->conn, c->user);
	password = mconn_quote(a->conn, c->password);
	if (user == NULL || password == NULL ||
	    asprintf(&sql, "CLONE INSTANCE FROM %s@'%s':%u IDENTIFIED BY %s%s",
		user, a->req.source_host, a->req.source_port, password,
		a->req.source_tls ? " REQUIRE SSL" : "") == -1)
		fatal("clone_instance");
	maction_change(a, sql, true);
	free(user);
	freezero(password, strlen(password));
	freezero(sql, strlen(sql));
}

void
mclone_next(struct maction *a)
{
	switch (a->step) {
	case CL_LOOK:
		maction_read(a, "SHOW REPLICA STATUS");
		break;
	case CL_STOP:
		mkind_take_threads(a);
		if (a->has_repl) {
			maction_change(a, "STOP REPLICA", false);
			break;
		}
		a->step = CL_OFFLINE;
		/* FALLTHROUGH */
	case CL_OFFLINE:
		a->set_offline = !a->offline_mode;
		maction_change(a, "SET GLOBAL offline_mode=ON", false);
		break;
	case CL_CONF:
		clone_conf(a);
		break;
	case CL_UNFENCE:
		clone_unfence(a);
		break;
	case CL_CLONE:
	case CL_CLONE_AGAIN:
		clone_instance(a);
		break;
	case CL_FENCE:
		maction_restore(a, "SET GLOBAL super_read_only=ON");
		break;
	case CL_ONLINE:
		a->super_read_only = true;
		if (a->set_offline) {
			maction_restore(a, "SET GLOBAL offline_mode=OFF");
			break;
		}
		/* FALLTHROUGH */
	case CL_FAILED:
		maction_end(a, SE_FAILED, a->fail_errno, a->fail_text);
		break;
	default:
		maction_end(a, SE_DONE, 0, "");
	}
}

static void
clone_fail(struct maction *a, unsigned err, const char *why)
{
	a->fail_errno = err;
	(void)strlcpy(a->fail_text, why, sizeof(a->fail_text));
	a->step = CL_FENCE;
	mclone_next(a);
}

bool
mclone_error(struct maction *a)
{
	unsigned err = mconn_errno(a->conn);
	bool copying;

	copying = a->step == CL_CLONE || a->step == CL_CLONE_AGAIN;
	/* The server ends itself to start on the copy. */
	if (copying &&
	    (err == ER_RESTART_SERVER_FAILED || mconn_is_lost(a->conn))) {
		maction_end(a, SE_DONE, err, mconn_error(a->conn));
		return true;
	}
	if (mconn_is_lost(a->conn) || a->step < CL_OFFLINE ||
	    a->step >= CL_FENCE)
		return false;
	if (a->step == CL_CLONE && a->super_read_only &&
	    err == ER_OPTION_PREVENTS_STATEMENT) {
		a->step = CL_UNFENCE;
		mclone_next(a);
	} else
		clone_fail(a, err, mconn_error(a->conn));
	return true;
}

/* On a session of its own: that of the clone does not answer. */
void
mclone_undo(struct maction *a)
{
	char *sql;

	switch (a->step) {
	case 0:
		if (asprintf(&sql, "KILL %lu", a->clone_id) == -1)
			fatal("asprintf");
		maction_restore(a, sql);
		free(sql);
		break;
	case 1:
		maction_restore(a, "SET GLOBAL super_read_only=ON");
		break;
	case 2:
		if (a->set_offline) {
			maction_restore(a, "SET GLOBAL offline_mode=OFF");
			break;
		}
		/* FALLTHROUGH */
	default:
		maction_end(a, SE_DONE, 0, "");
	}
}

bool
mclone_abort(struct maction *a, const char *why)
{
	if (a->step <= CL_OFFLINE || a->step >= CL_FENCE)
		return false;
	clone_fail(a, 0, why);
	return true;
}
