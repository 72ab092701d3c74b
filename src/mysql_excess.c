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
 * Who else could pass the fence: accounts, roles among them, with a privilege
 * that clears it, resists eviction, resets GTIDs, writes what is not
 * replicated, or gives itself one of these (fencing.md 6). Nothing is taken
 * from them: on servers that were adopted somebody may need it.
 *
 * Not the operator's own, and not root, against whom no fence holds; locked
 * accounts are counted, for a role is one.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mysql_act.h"

#define ACCOUNTS_MAX 8 /* more are "and others" */

#define DYNAMIC                                                          \
	"'SYSTEM_VARIABLES_ADMIN','SESSION_VARIABLES_ADMIN',"            \
	"'PERSIST_RO_VARIABLES_ADMIN','CONNECTION_ADMIN',"               \
	"'SYSTEM_USER','SET_ANY_DEFINER','ALLOW_NONEXISTENT_DEFINER',"   \
	"'SET_USER_ID','ROLE_ADMIN','REPLICATION_SLAVE_ADMIN',"          \
	"'REPLICATION_APPLIER','GROUP_REPLICATION_ADMIN','CLONE_ADMIN'," \
	"'BINLOG_ADMIN'"

/* Of the tables of accounts: globally unless revoked for them, or there. */
#define WRITES                                                          \
	"Insert_priv='Y' AND NOT IFNULL(JSON_CONTAINS(User_attributes"  \
	"->'$.Restrictions','{\"Database\":\"mysql\",\"Privileges\":"   \
	"[\"INSERT\"]}'),0) OR "                                        \
	"Update_priv='Y' AND NOT IFNULL(JSON_CONTAINS(User_attributes"  \
	"->'$.Restrictions','{\"Database\":\"mysql\",\"Privileges\":"   \
	"[\"UPDATE\"]}'),0) OR "                                        \
	"EXISTS(SELECT 1 FROM mysql.db d WHERE d.User=u.User AND "      \
	"d.Host=u.Host AND 'mysql' LIKE d.Db AND "                      \
	"'Y' IN(d.Insert_priv,d.Update_priv)) OR "                      \
	"EXISTS(SELECT 1 FROM mysql.tables_priv t WHERE t.User=u.User " \
	"AND t.Host=u.Host AND t.Db='mysql' AND CONCAT_WS(',',"         \
	"t.Table_priv,t.Column_priv) REGEXP 'Insert|Update')"

#define LIST                                              \
	"CONCAT_WS(', ',IF(Super_priv='Y','SUPER',NULL)," \
	"IF(Create_user_priv='Y','CREATE USER',NULL),"    \
	"IF(Grant_priv='Y','GRANT OPTION',NULL),"         \
	"IF(Reload_priv='Y','RELOAD',NULL),"              \
	"IF(File_priv='Y','FILE',NULL),"                  \
	"IF(Shutdown_priv='Y','SHUTDOWN',NULL),"          \
	"IF(" WRITES ",'writing schema mysql',NULL),"     \
	"(SELECT GROUP_CONCAT(PRIV ORDER BY PRIV "        \
	"SEPARATOR ', ') FROM mysql.global_grants g "     \
	"WHERE g.USER=u.User AND g.HOST=u.Host AND "      \
	"PRIV IN(" DYNAMIC ")))"

char *
mexcess_sql(const char *quoted_operator)
{
	char *sql;

	if (asprintf(&sql,
		"SELECT CONCAT(User,'@',Host)," LIST
		" AS has FROM mysql.user u WHERE User NOT IN('root',%s) AND "
		"NOT(Host='localhost' AND User IN('mysql.sys','mysql.session',"
		"'mysql.infoschema')) HAVING has<>'' ORDER BY User,Host "
		"LIMIT %d",
		quoted_operator, ACCOUNTS_MAX + 1) == -1)
		fatal("asprintf");
	return sql;
}

/* The bytes of s that fit, no character cut. */
static size_t
fitting(const char *s, size_t room)
{
	size_t n = strlen(s);

	if (n <= room)
		return n;
	for (n = room; n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80; n--)
		;
	return n;
}

static void
append(char *out, size_t size, const char *s)
{
	size_t n = strlen(out), k = fitting(s, size - 1 - n);

	memcpy(out + n, s, k);
	out[n + k] = '\0';
}

int
mexcess_text(struct mconn *c, char *out, size_t size)
{
	char **row;
	unsigned n = 0;

	out[0] = '\0';
	if (mconn_ncols(c, 0) != 2)
		return -1;
	while ((row = mconn_row(c, 0)) != NULL) {
		if (row[0] == NULL || row[1] == NULL)
			return -1;
		if (n++ > 0)
			append(out, size, "; ");
		if (n > ACCOUNTS_MAX) {
			append(out, size, "and others");
			break;
		}
		append(out, size, row[0]);
		append(out, size, ": ");
		append(out, size, row[1]);
	}
	return 0;
}
