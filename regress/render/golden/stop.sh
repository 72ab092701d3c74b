user=root
MYSQL_PWD=${MYSQL_ROOT_PASSWORD:-}
if [ -s /etc/mysql/creds/operator/password ]; then
	user=$(cat /etc/mysql/creds/operator/username)
	MYSQL_PWD=$(cat /etc/mysql/creds/operator/password)
elif [ -s /etc/mysql/creds/operator/root-password ]; then
	MYSQL_PWD=$(cat /etc/mysql/creds/operator/root-password)
fi
export MYSQL_PWD
timeout 10 mysql --protocol=socket --connect-timeout=2 --user="$user" --execute='SET SESSION lock_wait_timeout = 5; SET GLOBAL super_read_only = ON' >/dev/null 2>&1
exit 0
