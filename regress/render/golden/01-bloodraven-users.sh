#!/bin/sh
# Made by bloodraven. Runs once, on a server without network.
(
set -eu
quote() {
	printf "'"
	printf %s "$1" | sed -e 's/\\/\\\\/g' -e "s/'/\\\\'/g"
	printf "'"
}
# Not echo: dash's takes backslashes for its own.
say() {
	printf '%s\n' "$*"
}
grants() {
	case $1 in
	app)
		say "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, LOCK TABLES, CREATE TEMPORARY TABLES, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EXECUTE, EVENT, TRIGGER, SHOW DATABASES ON *.* TO $2;"
		say "REVOKE SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, LOCK TABLES, CREATE TEMPORARY TABLES, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EXECUTE, EVENT, TRIGGER ON mysql.* FROM $2;"
		say "REVOKE INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, LOCK TABLES, CREATE TEMPORARY TABLES, CREATE VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, TRIGGER ON sys.* FROM $2;"
		say "REVOKE INSERT, UPDATE, DELETE, DROP, LOCK TABLES ON performance_schema.* FROM $2;" ;;
	readonly)
		say "GRANT SELECT, SHOW VIEW, SHOW DATABASES, PROCESS ON *.* TO $2;"
		say "REVOKE SELECT, SHOW VIEW ON mysql.* FROM $2;" ;;
	monitor)
		say "GRANT PROCESS, REPLICATION CLIENT ON *.* TO $2;"
		say "GRANT SELECT ON performance_schema.* TO $2;" ;;
	backup)
		say "GRANT SELECT, LOCK TABLES, SHOW VIEW, EVENT, TRIGGER, PROCESS, REPLICATION CLIENT, BACKUP_ADMIN, FLUSH_TABLES ON *.* TO $2;" ;;
	replication)
		say "GRANT REPLICATION SLAVE, REPLICATION CLIENT, BACKUP_ADMIN ON *.* TO $2;" ;;
	operator)
		say "GRANT ALL ON *.* TO $2 WITH GRANT OPTION;" ;;
	esac
}
statements() {
	say "SET SESSION sql_log_bin = 0, sql_mode = '', autocommit = 1;"
	for role in app readonly monitor backup replication operator; do
		dir=/etc/mysql/creds/$role
		[ -s $dir/username ] && [ -s $dir/password ] || continue
		account=$(quote "$(cat $dir/username)")@"'%'"
		password=$(quote "$(cat $dir/password)")
		say "CREATE USER IF NOT EXISTS $account IDENTIFIED BY $password;"
		say "ALTER USER $account IDENTIFIED BY $password;"
		grants $role "$account"
	done
}
MYSQL_PWD=${MYSQL_ROOT_PASSWORD:-}
export MYSQL_PWD
sql=$(statements)
printf '%s\n' "$sql" | mysql --protocol=socket --user=root
)
