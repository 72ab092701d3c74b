set -eu
umask 022
cp /etc/mysql/config-map/bloodraven.cnf /etc/mysql/conf.d/bloodraven.cnf
printf '[mysqld]\nserver-id=%s\n' "$1" >/etc/mysql/conf.d/server-id.cnf
