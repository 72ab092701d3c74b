set -u
umask 022
cd /var/lib/mysql || exit 1
if command -v flock >/dev/null; then
	exec 9>>.bloodraven-lock || exit 1
	if ! flock -w 60 9; then
		echo 'bloodraven: another Pod uses the data directory' >&2
		exit 1
	fi
fi
others() {
	find . -mindepth 1 -maxdepth 1 ! -name '.bloodraven-*' ! -name lost+found "$@"
}
if [ -e /var/lib/mysql/.bloodraven-initialising ]; then
	echo 'bloodraven: first initialisation was cut short, beginning anew' >&2
	others -exec rm -rf {} + || exit 1
fi
if [ -d mysql ]; then
	printf '[mysqld]\nread-only=ON\nsuper-read-only=ON\n' >/etc/mysql/conf.d/zz-bloodraven-read-only.cnf.tmp && mv /etc/mysql/conf.d/zz-bloodraven-read-only.cnf.tmp /etc/mysql/conf.d/zz-bloodraven-read-only.cnf || exit 1
else
	rm -f /etc/mysql/conf.d/zz-bloodraven-read-only.cnf || exit 1
	# With foreign files mysqld will refuse to initialise: leave them.
	if [ -z "$(others)" ]; then
		: >/var/lib/mysql/.bloodraven-initialising && sync || exit 1
	fi
fi
exec docker-entrypoint.sh "$@"
