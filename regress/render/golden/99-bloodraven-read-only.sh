#!/bin/sh
# Made by bloodraven. The server that comes next has a network.
(
set -eu
MYSQL_PWD=${MYSQL_ROOT_PASSWORD:-}
export MYSQL_PWD
mysql --protocol=socket --user=root --execute='RESET BINARY LOGS AND GTIDS'
printf '[mysqld]\nread-only=ON\nsuper-read-only=ON\n' >/etc/mysql/conf.d/zz-bloodraven-read-only.cnf.tmp && mv /etc/mysql/conf.d/zz-bloodraven-read-only.cnf.tmp /etc/mysql/conf.d/zz-bloodraven-read-only.cnf
sync
rm -f /var/lib/mysql/.bloodraven-initialising
sync
)
