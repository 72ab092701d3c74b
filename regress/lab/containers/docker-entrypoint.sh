#!/bin/bash
# Entrypoint of the lab's MySQL image: the behaviour of the official image's,
# written anew. An empty data directory is initialised, users and databases
# are made and /docker-entrypoint-initdb.d is run by a server that listens on
# no TCP port; then mysqld replaces this shell.
set -eo pipefail
shopt -s nullglob

log() {
	printf '%s [%s] [Entrypoint]: %s\n' "$(date -u +%FT%T+00:00)" "$1" "$2"
}

note() {
	log Note "$*"
}

die() {
	log ERROR "$*" >&2
	exit 1
}

# file_env NAME [DEFAULT] : NAME, or the content of the file that NAME_FILE is.
file_env() {
	local var=$1 file=${1}_FILE value=${2:-}
	[ -z "${!var:-}" ] || [ -z "${!file:-}" ] ||
	    die "both $var and $file are set (but are exclusive)"
	if [ -n "${!var:-}" ]; then
		value=${!var}
	elif [ -n "${!file:-}" ]; then
		value=$(<"${!file}")
	fi
	export "$var=$value"
	unset "$file"
}

# Asking mysqld itself takes half a second, on the way of every restart: only
# when an option or a file may have moved something. The guard names the usual
# socket, so that no configuration moves it.
moved() {
	local a
	for a; do
		case ${a//_/-} in
		--socket=/var/run/mysqld/mysqld.sock)	;;
		--datadir*|--socket*|--defaults*|--no-defaults)	return 0 ;;
		esac
	done
	grep -Eqs '^[[:space:]]*(datadir|socket)[[:space:]]*=' \
	    /etc/mysql/my.cnf /etc/mysql/conf.d/*
}

# The values that mysqld itself would use; a bad option is told here, too.
ask_mysqld() {
	local out
	out=$("$@" --verbose --help --log-bin-index="$(mktemp -u)" 2>/tmp/help.$$) ||
	    die "mysqld failed while attempting to check config: $(cat /tmp/help.$$)"
	rm -f /tmp/help.$$
	DATADIR=$(awk '$1 == "datadir" { print $2; exit }' <<<"$out")
	SOCKET=$(awk '$1 == "socket" { print $2; exit }' <<<"$out")
	DATADIR=${DATADIR%/}
}

wants_help() {
	local a
	for a; do
		case $a in
		-'?'|--help|--print-defaults|-V|--version)	return 0 ;;
		esac
	done
	return 1
}

# Only what does not belong to mysql yet, so that a large volume is not walked
# through with writes at each start.
make_directories() {
	local d
	for d in "$DATADIR" "$(dirname "$SOCKET")"; do
		mkdir -p "$d"
		[ "$(id -u)" -ne 0 ] ||
		    find "$d" \! -user mysql -exec chown mysql: {} + 2>/dev/null || :
	done
}

check_environment() {
	[ -n "$MYSQL_ROOT_PASSWORD$MYSQL_ALLOW_EMPTY_PASSWORD$MYSQL_RANDOM_ROOT_PASSWORD" ] ||
	    die "Database is uninitialized and password option is not specified" \
	    "(MYSQL_ROOT_PASSWORD, MYSQL_ALLOW_EMPTY_PASSWORD or MYSQL_RANDOM_ROOT_PASSWORD)"
	[ "$MYSQL_USER" != root ] ||
	    die "MYSQL_USER=root is not possible: use MYSQL_ROOT_PASSWORD"
}

client() {
	mysql --defaults-extra-file=<(
		printf '[client]\npassword="%s"\n' "${CLIENT_PASSWORD//\"/\\\"}"
	    ) --protocol=socket -uroot -hlocalhost --socket="$SOCKET" \
	    --comments "$@"
}

# Fed on standard input, with the password in no command line.
sql() {
	client ${MYSQL_DATABASE_NOW:+--database="$MYSQL_DATABASE_NOW"}
}

# What an initialisation writes is of use only when all of it is there, and is
# synced then, once. Its hundreds of syncs would be most of its time, and the disk
# is that of all servers of the lab.
UNSYNCED=libeatmydata.so

start_temporary() {
	local i
	note "Starting temporary server"
	LD_PRELOAD=$UNSYNCED "$@" --skip-networking --mysqlx=OFF --socket="$SOCKET" \
	    --skip-replica-start --super-read-only=OFF --read-only=OFF &
	TEMP_PID=$!
	for ((i = 0; i < 1200; i++)); do
		if CLIENT_PASSWORD='' client --database=mysql \
		    <<<'SELECT 1' >/dev/null 2>&1; then
			note "Temporary server started."
			return
		fi
		kill -0 "$TEMP_PID" 2>/dev/null || break
		sleep 0.1
	done
	die "Unable to start server."
}

stop_temporary() {
	note "Stopping temporary server"
	kill -TERM "$TEMP_PID"
	wait "$TEMP_PID" || die "Unable to shut down server."
	note "Temporary server stopped"
}

quote() {
	local s=${1//\\/\\\\}
	printf "'%s'" "${s//\'/\\\'}"
}

setup_database() {
	local host=${MYSQL_ROOT_HOST:-%} pw remote=
	if [ -n "$MYSQL_RANDOM_ROOT_PASSWORD" ]; then
		MYSQL_ROOT_PASSWORD=$(head -c 18 /dev/urandom | base64)
		note "GENERATED ROOT PASSWORD: $MYSQL_ROOT_PASSWORD"
	fi
	pw=$(quote "$MYSQL_ROOT_PASSWORD")
	[ "$host" = localhost ] || remote="
		CREATE USER 'root'@$(quote "$host") IDENTIFIED BY $pw;
		GRANT ALL ON *.* TO 'root'@$(quote "$host") WITH GRANT OPTION;"
	# Not in the binary log: every site does this for itself, and a
	# replica would fail on its source's.
	CLIENT_PASSWORD='' sql <<-E
		SET @@SESSION.SQL_LOG_BIN=0;
		SET SESSION sql_mode = '';
		ALTER USER 'root'@'localhost' IDENTIFIED BY $pw;
		$remote
		FLUSH NO_WRITE_TO_BINLOG PRIVILEGES;
		DROP DATABASE IF EXISTS test;
	E
	CLIENT_PASSWORD=$MYSQL_ROOT_PASSWORD
	[ -z "$MYSQL_DATABASE" ] || {
		note "Creating database $MYSQL_DATABASE"
		sql <<<"CREATE DATABASE IF NOT EXISTS \`$MYSQL_DATABASE\`;"
	}
	[ -z "$MYSQL_USER" ] || [ -z "$MYSQL_PASSWORD" ] || {
		note "Creating user $MYSQL_USER"
		sql <<<"CREATE USER $(quote "$MYSQL_USER")@'%' IDENTIFIED BY $(quote "$MYSQL_PASSWORD");"
		[ -z "$MYSQL_DATABASE" ] || sql <<<"GRANT ALL ON \`${MYSQL_DATABASE//_/\\_}\`.* TO $(quote "$MYSQL_USER")@'%';"
	}
}

run_init_files() {
	local f
	MYSQL_DATABASE_NOW=$MYSQL_DATABASE
	for f in /docker-entrypoint-initdb.d/*; do
		case $f in
		*.sh)
			if [ -x "$f" ]; then
				note "running $f"
				"$f"
			else
				note "sourcing $f"
				# shellcheck disable=SC1090
				. "$f"
			fi ;;
		*.sql)		note "running $f"; sql <"$f" ;;
		*.sql.gz)	note "running $f"; gzip -dc "$f" | sql ;;
		*.sql.xz)	note "running $f"; xz -dc "$f" | sql ;;
		*.sql.zst)	note "running $f"; zstd -dc "$f" | sql ;;
		*)		note "ignoring $f" ;;
		esac
	done
}

# Init scripts of the official image's users call these by these names.
mysql_note() { note "$@"; }
mysql_error() { die "$@"; }
docker_process_sql() {
	case ${1:-} in
	--dont-use-mysql-root-password)
		shift
		CLIENT_PASSWORD='' client "$@" ;;
	*)	client ${MYSQL_DATABASE:+--database="$MYSQL_DATABASE"} "$@" ;;
	esac
}

initialise() {
	file_env MYSQL_ROOT_PASSWORD
	file_env MYSQL_ROOT_HOST '%'
	file_env MYSQL_DATABASE
	file_env MYSQL_USER
	file_env MYSQL_PASSWORD
	check_environment
	# A run that was interrupted half-way must not pass for a finished one
	# at the next start: the mark goes when all is done.
	: >"$DATADIR/.initialising"
	if [ -n "${MADE:-}" ]; then
		note "Copying database files"
		cp -a "$MADE"/* "$DATADIR/"
	else
		note "Initializing database files"
		LD_PRELOAD=$UNSYNCED "$@" --initialize-insecure --skip-log-bin \
		    --datadir="$DATADIR/.new"
		mv "$DATADIR"/.new/* "$DATADIR/"
		rmdir "$DATADIR/.new"
	fi
	note "Database files initialized"
	start_temporary "$@"
	setup_database
	run_init_files
	[ -z "${MYSQL_ONETIME_PASSWORD:-}" ] ||
	    sql <<<"ALTER USER 'root'@'%' PASSWORD EXPIRE;"
	stop_temporary
	sync -f "$DATADIR"
	rm -f "$DATADIR/.initialising"
	note "MySQL init process done. Ready for start up."
}

if [ "${1:0:1}" = - ]; then
	set -- mysqld "$@"
fi
if [ "${1:-}" != mysqld ] || wants_help "$@"; then
	exec "$@"
fi

if [ -z "${ENTRYPOINT_PATHS:-}" ]; then
	note "Entrypoint script for MySQL Server started."
	DATADIR=/var/lib/mysql
	SOCKET=/var/run/mysqld/mysqld.sock
	! moved "$@" || ask_mysqld "$@"
else
	IFS=: read -r DATADIR SOCKET <<<"$ENTRYPOINT_PATHS"
	unset ENTRYPOINT_PATHS
fi
make_directories
if [ "$(id -u)" -eq 0 ]; then
	note "Switching to dedicated user 'mysql'"
	export ENTRYPOINT_PATHS=$DATADIR:$SOCKET
	exec setpriv --reuid=mysql --regid=mysql --init-groups --no-new-privs \
	    "$0" "$@"
fi
if [ -e "$DATADIR/.initialising" ]; then
	note "an earlier initialisation did not end: starting anew"
	find "$DATADIR" -mindepth 1 -delete
fi
if [ ! -d "$DATADIR/mysql" ]; then
	initialise "$@"
fi
# Secrets are of no use to a running server.
unset MYSQL_ROOT_PASSWORD MYSQL_PASSWORD CLIENT_PASSWORD
exec "$@"
