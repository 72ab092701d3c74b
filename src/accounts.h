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
 * What the accounts of Secrets may do: one text for the script of a server's
 * first boot (kube_script.c) and for what keeps them so (mysql_accounts.c).
 * Each is a statement to which the quoted account is appended.
 *
 * app: bloodraven-fencing(7) has the reasons. Reading the mysql schema would
 * show password hashes; writing sys or performance_schema would blind the
 * operator. Of the latter a server refuses to revoke what nobody may do in it
 * anyway.
 */

#ifndef ACCOUNTS_H
#define ACCOUNTS_H

#define GRANT_APP                                                     \
	"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, "        \
	"ALTER, INDEX, REFERENCES, LOCK TABLES, CREATE TEMPORARY "    \
	"TABLES, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER "      \
	"ROUTINE, EXECUTE, EVENT, TRIGGER, SHOW DATABASES ON *.* TO "
#define REVOKE_APP_MYSQL                                           \
	"REVOKE SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, "    \
	"ALTER, INDEX, REFERENCES, LOCK TABLES, CREATE TEMPORARY " \
	"TABLES, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER "   \
	"ROUTINE, EXECUTE, EVENT, TRIGGER ON mysql.* FROM "
#define REVOKE_APP_SYS                                                \
	"REVOKE INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, "        \
	"INDEX, REFERENCES, LOCK TABLES, CREATE TEMPORARY TABLES, "   \
	"CREATE VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, TRIGGER " \
	"ON sys.* FROM "
#define REVOKE_APP_PS                                          \
	"REVOKE INSERT, UPDATE, DELETE, DROP, LOCK TABLES ON " \
	"performance_schema.* FROM "
#define GRANT_READONLY                                                \
	"GRANT SELECT, SHOW VIEW, SHOW DATABASES, PROCESS ON *.* TO "
#define REVOKE_READONLY  "REVOKE SELECT, SHOW VIEW ON mysql.* FROM "
#define GRANT_MONITOR    "GRANT PROCESS, REPLICATION CLIENT ON *.* TO "
#define GRANT_MONITOR_PS "GRANT SELECT ON performance_schema.* TO "
#define GRANT_BACKUP                                                  \
	"GRANT SELECT, LOCK TABLES, SHOW VIEW, EVENT, TRIGGER, "      \
	"PROCESS, REPLICATION CLIENT, BACKUP_ADMIN, FLUSH_TABLES ON " \
	"*.* TO "
#define GRANT_REPLICATION                                               \
	"GRANT REPLICATION SLAVE, REPLICATION CLIENT, BACKUP_ADMIN ON " \
	"*.* TO "
/* WITH GRANT OPTION follows the account. */
#define GRANT_OPERATOR "GRANT ALL ON *.* TO "

#endif /* ACCOUNTS_H */
