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
 * SQL_ACCOUNTS: accounts, passwords and grants of the active site as the
 * user's Secrets have them; replicas get them by replication.
 *
 * Nothing is remembered between two runs. Whether a password is the right one
 * is found out by logging in with it, whether a grant is there by looking; so
 * what was broken off half-way is done to its end by the next run, whoever
 * runs it. A password is changed so that the one before it still counts:
 * clients, replicas, guards and sidecars go over in their own time, and then
 * it is ended (discard).
 *
 * A server of the reference, or of anybody's, has no partial_revokes: it would
 * refuse a partial REVOKE, and a replica stop at one. So it is set, which is
 * not replicated, at every site that answers before such a one is given.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mysqld_error.h>

#include "accounts.h"
#include "mysql_act.h"

#define STATEMENTS_MAX 9
#define GRANTS_MAX     4
#define PRIVS_LEN      1024

/* What a role shall have, and by what it is seen that it has. */
static const struct right {
	const char *grant[GRANTS_MAX];
	unsigned restrictions; /* schemas with partial revokes */
	bool monitor;          /* SELECT on performance_schema */
	bool all;
} rights[AC_MAX] = {
	[AC_OPERATOR] = { .grant = { GRANT_OPERATOR }, .all = true },
	[AC_REPLICATION] = { .grant = { GRANT_REPLICATION } },
	[AC_APP] = { .grant = { GRANT_APP, REVOKE_APP_MYSQL, REVOKE_APP_SYS,
			 REVOKE_APP_PS },
	    .restrictions = 3 },
	[AC_READONLY] = { .grant = { GRANT_READONLY, REVOKE_READONLY },
	    .restrictions = 1 },
	[AC_MONITOR] = { .grant = { GRANT_MONITOR, GRANT_MONITOR_PS },
	    .monitor = true },
	[AC_BACKUP] = { .grant = { GRANT_BACKUP } },
};

enum stage { SG_LOOK, SG_LOGIN, SG_REVOKES, SG_DO, SG_EXCESS };

struct maccounts {
	unsigned role;
	enum stage stage;
	struct mconn *login; /* as the role, or to another site */
	unsigned other;      /* which one */
	bool revokes;        /* all were seen to */
	bool no_revokes;     /* here */
	bool patterns;       /* grants that it would end */
	bool exists, denied, lacks, retained, ages;
	bool any_retained;
	char *quoted; /* name, and */
	char *password;
	char *sql[STATEMENTS_MAX];
	unsigned n, i;
	bool plain; /* the old password can't be kept */
	unsigned err;
	char problem[ERR_LEN + 1];
	bool excess_known;
	char excess[MSGTEXT_LEN + 1];
};

static void next_role(struct maction *);
static void plan(struct maction *);

static const struct maccount *
account(const struct maction *a)
{
	return &a->site->group->creds.role[a->acc->role];
}

/* The image makes two of them, and a Unix socket takes the other one. */
static bool
is_root(const struct maction *a)
{
	return strcmp(account(a)->user, "root") == 0;
}

static void
wipe(char **s)
{
	if (*s != NULL)
		freezero(*s, strlen(*s));
	*s = NULL;
}

static void
drop_plan(struct maccounts *c)
{
	for (unsigned i = 0; i < c->n; i++)
		wipe(&c->sql[i]);
	c->n = c->i = 0;
}

static void
forget(struct maccounts *c)
{
	drop_plan(c);
	wipe(&c->quoted);
	wipe(&c->password);
	mconn_close(c->login);
	c->login = NULL;
	c->exists = c->denied = c->lacks = c->retained = c->plain = false;
	c->ages = false;
}

void
maccounts_free(struct maction *a)
{
	if (a->acc == NULL)
		return;
	forget(a->acc);
	free(a->acc);
	a->acc = NULL;
}

bool
maccounts_retained(const struct maction *a)
{
	return a->acc != NULL && a->acc->any_retained;
}

bool
maccounts_excess(const struct maction *a, char *out, size_t size)
{
	(void)strlcpy(out, a->acc != NULL ? a->acc->excess : "", size);
	return a->acc != NULL && a->acc->excess_known;
}

/* The first one counts; the other roles are seen to all the same. */
static void
complain(struct maction *a, unsigned err, const char *text)
{
	struct maccounts *c = a->acc;

	if (c->problem[0] != '\0')
		return;
	c->err = err;
	(void)snprintf(c->problem, sizeof(c->problem), "%s account: %s",
	    account_name(c->role), text);
}

/* ----------------------------------------------------------------- look --- */

/* "GRANT A, B ON *.* TO " → "'A','B'"; how many. */
static unsigned
privileges(const char *grant, char out[static PRIVS_LEN])
{
	const char *p = grant + strlen("GRANT "), *end = strstr(grant, " ON ");
	unsigned n = 0;
	size_t len;

	out[0] = '\0';
	while (p < end) {
		len = strcspn(p, ",");
		if (p + len > end)
			len = (size_t)(end - p);
		(void)snprintf(out + strlen(out), PRIVS_LEN - strlen(out),
		    "%s'%.*s'", n++ == 0 ? "" : ",", (int)len, p);
		p += len + strlen(", ");
	}
	return n;
}

enum {
	LK_EXISTS,
	LK_RETAINED,
	LK_RESTRICTIONS,
	LK_ALL,
	LK_AGES,
	LK_PRIVS,
	LK_MONITOR,
	LK_REVOKES,
	LK_PATTERNS,
	LK_MAX
};

/* Account names in information_schema have quotes around, unescaped ones. */
#define GRANTEE "GRANTEE=CONCAT('''',%s,'''@''%%''')"

static void
look(struct maction *a)
{
	struct maccounts *c = a->acc;
	const struct right *r = &rights[c->role];
	char privs[PRIVS_LEN] = "''", *sql;

	if (r->grant[0] != NULL)
		(void)privileges(r->grant[0], privs);
	if (asprintf(&sql,
		"SELECT COUNT(*),"
		"SUM(JSON_CONTAINS_PATH(User_attributes,'one',"
		"'$.additional_password')),"
		"SUM(JSON_LENGTH(User_attributes,'$.Restrictions')),"
		"SUM(Super_priv='Y' AND Grant_priv='Y' AND"
		" Create_user_priv='Y' AND Reload_priv='Y'),"
		"SUM(IFNULL(password_lifetime,1)<>0),"
		"(SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES"
		" WHERE " GRANTEE " AND PRIVILEGE_TYPE IN(%s)),"
		"(SELECT COUNT(*) FROM information_schema.SCHEMA_PRIVILEGES"
		" WHERE " GRANTEE " AND TABLE_SCHEMA='performance_schema'"
		" AND PRIVILEGE_TYPE='SELECT'),"
		"@@global.partial_revokes,"
		"(SELECT COUNT(*) FROM mysql.db WHERE User<>''"
		" AND INSTR(Db,'%%')+INSTR(Db,CHAR(92))>0)"
		" FROM mysql.user WHERE User=%s AND Host='%%'",
		c->quoted, privs, c->quoted, c->quoted) == -1)
		fatal("asprintf");
	c->stage = SG_LOOK;
	maction_read(a, sql);
	free(sql);
}

static void
on_login(struct mconn *conn, void *arg)
{
	struct maction *a = arg;
	struct maccounts *c = a->acc;
	unsigned err = mconn_errno(conn);

	/* Too old is what it is about to be no more. */
	if (err == ER_MUST_CHANGE_PASSWORD_LOGIN && c->ages)
		err = 0;
	if (err != 0 && err != ER_ACCESS_DENIED_ERROR) {
		complain(a, err, mconn_error(conn));
		next_role(a);
		return;
	}
	c->denied = err != 0;
	mconn_close(c->login);
	c->login = NULL;
	plan(a);
}

static bool
lacks(const struct right *r, char **row)
{
	char privs[PRIVS_LEN];

	if (r->all)
		return mysql_num(row[LK_ALL]) == 0;
	if (r->grant[0] == NULL)
		return false;
	return mysql_num(row[LK_PRIVS]) <
	    (int64_t)privileges(r->grant[0], privs) ||
	    mysql_num(row[LK_RESTRICTIONS]) < (int64_t)r->restrictions ||
	    (r->monitor && mysql_num(row[LK_MONITOR]) == 0);
}

static void
looked(struct maction *a)
{
	struct maccounts *c = a->acc;
	char **row = mconn_row(a->conn, 0);

	if (row == NULL || mconn_ncols(a->conn, 0) != LK_MAX) {
		complain(a, 0, "the answer has another shape");
		next_role(a);
		return;
	}
	c->exists = mysql_num(row[LK_EXISTS]) > 0;
	c->retained = mysql_num(row[LK_RETAINED]) > 0;
	c->ages = mysql_num(row[LK_AGES]) > 0;
	c->lacks = lacks(&rights[c->role], row);
	c->no_revokes = mysql_num(row[LK_REVOKES]) == 0;
	c->patterns = mysql_num(row[LK_PATTERNS]) > 0;
	if (!c->exists || account(a)->user == NULL) {
		plan(a);
		return;
	}
	c->stage = SG_LOGIN;
	c->login = mysql_connect_as(a->site, account(a), on_login, a);
}

/* ------------------------------------------------------ partial_revokes --- */

#define SET_REVOKES "SET GLOBAL partial_revokes=ON"

static void next_other(struct maction *);

static void
on_other_set(struct mconn *conn, void *arg)
{
	struct maction *a = arg;
	unsigned err = mconn_errno(conn);

	if (err == 0 || mconn_is_lost(conn)) {
		next_other(a);
		return;
	}
	/* It would stop at what this one is about to do. */
	complain(a, err, mconn_error(conn));
	next_role(a);
}

static void
on_other(struct mconn *conn, void *arg)
{
	if (mconn_errno(conn) != 0)
		next_other(arg);
	else
		mconn_query(conn, SET_REVOKES, on_other_set);
}

/* Whoever is away comes with a template that has it, or is updated to it. */
static void
next_other(struct maction *a)
{
	struct maccounts *c = a->acc;
	struct msite *s;
	unsigned i = 0;

	mconn_close(c->login);
	c->login = NULL;
	TAILQ_FOREACH (s, &a->site->group->sites, entry)
		if (i++ >= c->other && s != a->site && mysql_unfit(s) == NULL &&
		    s->probe.conn != NULL && s->probe.phase != MP_CONNECT)
			break;
	c->other = i;
	if (s == NULL) {
		c->revokes = true;
		plan(a);
	} else
		c->login = mysql_connect(s, on_other, a);
}

/* ------------------------------------------------------------------- do --- */

#define NEVER " PASSWORD EXPIRE NEVER"

static void add(struct maction *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
add(struct maction *a, const char *fmt, ...)
{
	struct maccounts *c = a->acc;
	va_list ap;

	if (c->n == STATEMENTS_MAX)
		fatalx("too many statements for an account");
	va_start(ap, fmt);
	if (vasprintf(&c->sql[c->n++], fmt, ap) == -1)
		fatal("vasprintf");
	va_end(ap);
}

/*
 * On a replica the account may be missing, where nothing but CREATE would
 * work; and a replica that stops at an ALTER is no replica.
 */
static void
add_password(struct maction *a)
{
	struct maccounts *c = a->acc;
	const char *keep = c->plain ? "" : " RETAIN CURRENT PASSWORD";

	if (is_root(a)) {
		add(a,
		    "ALTER USER IF EXISTS %s@'%%' IDENTIFIED BY %s%s,"
		    "%s@'localhost' IDENTIFIED BY %s%s",
		    c->quoted, c->password, keep, c->quoted, c->password, keep);
		return;
	}
	add(a, "CREATE USER IF NOT EXISTS %s@'%%' IDENTIFIED BY %s" NEVER,
	    c->quoted, c->password);
	if (c->exists && c->denied)
		add(a, "ALTER USER %s@'%%' IDENTIFIED BY %s%s", c->quoted,
		    c->password, keep);
}

/*
 * What a Secret has changes when that does. Of a password that is too old by
 * default_password_lifetime nobody could make a newer one: the operator itself
 * would be out.
 */
static void
add_never(struct maction *a)
{
	struct maccounts *c = a->acc;

	if (is_root(a))
		add(a, "ALTER USER IF EXISTS %s@'%%',%s@'localhost'" NEVER,
		    c->quoted, c->quoted);
	else
		add(a, "ALTER USER IF EXISTS %s@'%%'" NEVER, c->quoted);
}

static void
add_discard(struct maction *a)
{
	struct maccounts *c = a->acc;

	if (is_root(a))
		add(a,
		    "ALTER USER IF EXISTS %s@'%%' DISCARD OLD PASSWORD,"
		    "%s@'localhost' DISCARD OLD PASSWORD",
		    c->quoted, c->quoted);
	else
		add(a, "ALTER USER %s@'%%' DISCARD OLD PASSWORD", c->quoted);
}

static void
do_next(struct maction *a)
{
	struct maccounts *c = a->acc;

	if (c->i == c->n) {
		next_role(a);
		return;
	}
	c->stage = SG_DO;
	maction_change(a, c->sql[c->i], true);
}

static void
plan(struct maction *a)
{
	struct maccounts *c = a->acc;
	const struct right *r = &rights[c->role];
	bool root, partial;

	/* Its Secret was taken out of the spec meanwhile. */
	if (account(a)->user == NULL) {
		next_role(a);
		return;
	}
	root = is_root(a);
	/* Nobody reaches root from elsewhere: the user wants it so. */
	if (root && !c->exists) {
		next_role(a);
		return;
	}
	/*
	 * With it names of schemas are no patterns any more, and those with an
	 * escaped character match nothing: clients would be out at once.
	 */
	partial = c->lacks && r->restrictions > 0 && !root;
	if (partial && c->no_revokes && c->patterns) {
		complain(a, 0,
		    "partial_revokes is OFF, and ON ends what "
		    "mysql.db grants with % or \\ in Db: grant it by name");
		c->lacks = partial = false;
	}
	if (partial && !c->revokes) {
		c->stage = SG_REVOKES;
		c->other = 0;
		next_other(a);
		return;
	}
	if (partial && c->no_revokes)
		add(a, SET_REVOKES);
	if (c->denied || !c->exists || (c->lacks && !root))
		add_password(a);
	if (c->exists && c->ages)
		add_never(a);
	for (unsigned i = 0; c->lacks && !root && i < GRANTS_MAX; i++)
		if (r->grant[i] != NULL)
			add(a, "%s%s@'%%'%s", r->grant[i], c->quoted,
			    r->all ? " WITH GRANT OPTION" : "");
	if (c->retained && !c->denied && a->req.discard)
		add_discard(a);
	else
		c->any_retained |= c->retained || c->denied;
	do_next(a);
}

static void
end(struct maction *a)
{
	struct maccounts *c = a->acc;

	if (c->problem[0] != '\0')
		maction_end(a, SE_FAILED, c->err, c->problem);
	else
		maction_done(a);
}

/* All are as they should be; who is there beside them? */
static void
look_around(struct maction *a)
{
	struct maccounts *c = a->acc;
	const char *user = a->site->group->creds.role[AC_OPERATOR].user;
	char *sql;

	c->stage = SG_EXCESS;
	c->quoted = mconn_quote(a->conn, user != NULL ? user : "");
	if (c->quoted == NULL) {
		end(a);
		return;
	}
	sql = mexcess_sql(c->quoted);
	maction_read(a, sql);
	free(sql);
}

static void
begin_role(struct maction *a)
{
	struct maccounts *c = a->acc;

	while (c->role < AC_MAX && account(a)->user == NULL)
		c->role++;
	if (c->role == AC_MAX) {
		look_around(a);
		return;
	}
	c->quoted = mconn_quote(a->conn, account(a)->user);
	c->password = mconn_quote(a->conn, account(a)->password);
	if (c->quoted == NULL || c->password == NULL)
		maction_end(a, SE_FAILED, 0, "a name can't be quoted");
	else
		look(a);
}

static void
next_role(struct maction *a)
{
	forget(a->acc);
	a->acc->role++;
	begin_role(a);
}

/* ---------------------------------------------------------- of the life --- */

void
maccounts_next(struct maction *a)
{
	struct maccounts *c = a->acc;

	if (c == NULL) {
		if ((a->acc = calloc(1, sizeof(*a->acc))) == NULL)
			fatal("calloc");
		begin_role(a);
		return;
	}
	if (c->stage == SG_LOOK) {
		looked(a);
		return;
	}
	if (c->stage == SG_EXCESS) {
		c->excess_known =
		    mexcess_text(a->conn, c->excess, sizeof(c->excess)) == 0;
		end(a);
		return;
	}
	a->count++;
	wipe(&c->sql[c->i++]);
	do_next(a);
}

bool
maccounts_error(struct maction *a)
{
	struct maccounts *c = a->acc;
	unsigned err = mconn_errno(a->conn);

	if (c == NULL || mconn_is_lost(a->conn))
		return false;
	a->in_flight = false;
	if (c->stage == SG_EXCESS) {
		(void)strlcpy(
		    c->excess, mconn_error(a->conn), sizeof(c->excess));
		end(a);
		return true;
	}
	if (c->stage == SG_DO && !c->plain &&
	    err == ER_SECOND_PASSWORD_CANNOT_BE_EMPTY) {
		/* It has no password yet, so there is none to keep. */
		drop_plan(c);
		c->plain = true;
		plan(a);
		return true;
	}
	complain(a, err, mconn_error(a->conn));
	next_role(a);
	return true;
}
