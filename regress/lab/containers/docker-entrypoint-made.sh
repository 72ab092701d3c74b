#!/bin/sh
# As docker-entrypoint.sh, but an empty data directory is filled with the files
# that mysqld --initialize-insecure made when the image was: it takes ten seconds
# of a machine that starts a hundred servers.
MADE=/usr/share/mysql-made exec docker-entrypoint.sh "$@"
