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
 * Shell that runs in MySQL Pods. Constants: nothing of a spec is ever put
 * into them, values come as files, environment or arguments.
 *
 * A server must never listen on TCP without being read-only (fencing.md 2).
 * Once a data directory is complete the guard says so on the command line of
 * each start. The first initialisation needs a writable server, but that one
 * has no network; its last script writes the setting to a file before the
 * entrypoint starts the server proper. A first initialisation that was cut
 * short leaves a data directory that looks complete to the entrypoint; the
 * guard's marker file tells, which that last script removes.
 */

#include "accounts.h"
#include "kube_render.h"

#define CONF     KCONF_DIR "/zz-bloodraven-read-only.cnf"
#define MARK     KDATA_DIR "/.bloodraven-initialising"
#define RO_TEXT  "[mysqld]\\nread-only=ON\\nsuper-read-only=ON\\n"
/* Renamed into place: no mysqld reads half of it. */
#define WRITE_RO "printf '" RO_TEXT "' >" CONF ".tmp && mv " CONF ".tmp " CONF

/* Init container: what only files can say. $1 is the server id. */
const char kscript_init[] =
    "set -eu\n"
    "umask 022\n"
    "cp " KMAP_DIR "/" KCONF_KEY " " KCONF_DIR "/" KCONF_KEY "\n"
    "printf '[mysqld]\\nserver-id=%s\\n' \"$1\" >" KCONF_DIR "/server-id.cnf\n";

/*
 * 01-bloodraven-users.sh: accounts of first boot, by what is mounted. Not
 * logged: fresh sites stay GTID-empty. sql_mode is emptied, so that a
 * backslash escapes whatever mysqlConf says. The operator comes last: should
 * another role name its account, ALL without restrictions wins.
 */
const char kscript_users[] =
    "#!/bin/sh\n"
    "# Made by bloodraven. Runs once, on a server without network.\n"
    "(\n"
    "set -eu\n"
    "quote() {\n"
    "\tprintf \"'\"\n"
    "\tprintf %s \"$1\" | sed -e 's/\\\\/\\\\\\\\/g' -e \"s/'/\\\\\\\\'/g\"\n"
    "\tprintf \"'\"\n"
    "}\n"
    "# Not echo: dash's takes backslashes for its own.\n"
    "say() {\n"
    "\tprintf '%s\\n' \"$*\"\n"
    "}\n"
    "grants() {\n"
    "\tcase $1 in\n"
    "\tapp)\n"
    "\t\tsay \"" GRANT_APP "$2;\"\n"
    "\t\tsay \"" REVOKE_APP_MYSQL "$2;\"\n"
    "\t\tsay \"" REVOKE_APP_SYS "$2;\"\n"
    "\t\tsay \"" REVOKE_APP_PS "$2;\" ;;\n"
    "\treadonly)\n"
    "\t\tsay \"" GRANT_READONLY "$2;\"\n"
    "\t\tsay \"" REVOKE_READONLY "$2;\" ;;\n"
    "\tmonitor)\n"
    "\t\tsay \"" GRANT_MONITOR "$2;\"\n"
    "\t\tsay \"" GRANT_MONITOR_PS "$2;\" ;;\n"
    "\tbackup)\n"
    "\t\tsay \"" GRANT_BACKUP "$2;\" ;;\n"
    "\treplication)\n"
    "\t\tsay \"" GRANT_REPLICATION "$2;\" ;;\n"
    "\toperator)\n"
    "\t\tsay \"" GRANT_OPERATOR "$2 WITH GRANT OPTION;\" ;;\n"
    "\tesac\n"
    "}\n"
    "statements() {\n"
    "\tsay \"SET SESSION sql_log_bin = 0, sql_mode = '', autocommit = "
    "1;\"\n"
    "\tfor role in app readonly monitor backup replication operator; do\n"
    "\t\tdir=" KCREDS_DIR "/$role\n"
    "\t\t[ -s $dir/username ] && [ -s $dir/password ] || continue\n"
    "\t\taccount=$(quote \"$(cat $dir/username)\")@\"'%'\"\n"
    "\t\tpassword=$(quote \"$(cat $dir/password)\")\n"
    "\t\tsay \"CREATE USER IF NOT EXISTS $account IDENTIFIED BY "
    "$password;\"\n"
    "\t\tsay \"ALTER USER $account IDENTIFIED BY $password;\"\n"
    "\t\tgrants $role \"$account\"\n"
    "\tdone\n"
    "}\n"
    "MYSQL_PWD=${MYSQL_ROOT_PASSWORD:-}\n"
    "export MYSQL_PWD\n"
    "sql=$(statements)\n"
    "printf '%s\\n' \"$sql\" | mysql --protocol=socket --user=root\n"
    ")\n";

/*
 * 99-bloodraven-read-only.sh: the end of the first boot. The entrypoint's
 * own loading of time zones is logged; without the reset a fresh site would
 * hold private GTIDs.
 */
const char kscript_read_only[] =
    "#!/bin/sh\n"
    "# Made by bloodraven. The server that comes next has a network.\n"
    "(\n"
    "set -eu\n"
    "MYSQL_PWD=${MYSQL_ROOT_PASSWORD:-}\n"
    "export MYSQL_PWD\n"
    "mysql --protocol=socket --user=root "
    "--execute='RESET BINARY LOGS AND GTIDS'\n" WRITE_RO "\n"
    "sync\n"
    "rm -f " MARK "\n"
    "sync\n"
    ")\n";

/*
 * preStop: fence before the kubelet's SIGTERM. Errors do not matter: what
 * counts as a proof is read back elsewhere. Bounded, because a fence waits
 * behind locks and the grace period is running.
 */
const char kscript_stop[] =
    "user=root\n"
    "MYSQL_PWD=${MYSQL_ROOT_PASSWORD:-}\n"
    "if [ -s " KCREDS_DIR "/operator/password ]; then\n"
    "\tuser=$(cat " KCREDS_DIR "/operator/username)\n"
    "\tMYSQL_PWD=$(cat " KCREDS_DIR "/operator/password)\n"
    "elif [ -s " KCREDS_DIR "/operator/root-password ]; then\n"
    "\tMYSQL_PWD=$(cat " KCREDS_DIR "/operator/root-password)\n"
    "fi\n"
    "export MYSQL_PWD\n"
    "timeout 10 mysql --protocol=socket --connect-timeout=2 "
    "--user=\"$user\" --execute='SET SESSION lock_wait_timeout = 5; "
    "SET GLOBAL super_read_only = ON' >/dev/null 2>&1\n"
    "exit 0\n";
