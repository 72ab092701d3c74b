# Sourced by run, demo and bench: builds, brings the lab up, runs python in it.
# shellcheck shell=bash
# shellcheck disable=SC2034

set -uo pipefail
TESTDIR=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REGRESS=$(dirname "$TESTDIR")
LAB=$REGRESS/lab
T0=$SECONDS

progress() {
	printf '[%4d s] %s\n' $((SECONDS - T0)) "$*" >&2
}

# What ends badly says so on standard output too: regress/check counts there.
give_up() {
	echo "not ok - $*"
	lab_down
	exit 1
}

# last_line COMMAND... : its last line, its progress to standard error.
last_line() {
	"$@" | tail -n 1
}

# prepare NODES [unsafe] : leaves the paths of the programs and images in the
# environment.
prepare() {
	local unsafe=${2:-}
	[ "$(id -u)" -eq 0 ] || give_up "the lab needs root"
	"$LAB/lab" preflight "$1" || give_up "this machine lacks what the lab needs"
	progress "building"
	LABTEST_BUILD=$("$REGRESS/build" \
	    ${BUILD_DIR:+--dir "$BUILD_DIR"}) || give_up "the build"
	LABTEST_BUILD_TREE=$(last_line "$LAB/tree" build) || give_up "build tree"
	LABTEST_MYSQL_TREE=$(last_line "$LAB/tree" mysql) || give_up "MySQL tree"
	export LABTEST_BUILD LABTEST_BUILD_TREE LABTEST_MYSQL_TREE
	IMAGES=()
	progress "operator image"
	operator_image lab "$LABTEST_BUILD" || give_up "the operator's image"
	[ "$unsafe" != unsafe ] || {
		progress "operator image of the control (no proof gate)"
		local dir
		if ! dir=$("$REGRESS/build" ${BUILD_DIR:+--dir \
		    "$BUILD_DIR-unsafe"} --enable-unsafe-grants) ||
		    ! operator_image unsafe "$dir"; then
			give_up "the control's image"
		fi
	}
}

# operator_image TAG BUILDDIR
operator_image() {
	local dest=$2/labtest-root tar
	rm -rf "$dest"
	"$LAB/enter" make -s -C "$2" install "DESTDIR=$dest" \
	    >"$2/install.log" 2>&1 || { tail -n 20 "$2/install.log" >&2; return 1; }
	tar=$(OPERATOR_IMAGE=bloodraven-lab/bloodraven:$1 \
	    "$LAB/image" operator "$dest" | tail -n 1) || return 1
	cp -f "$tar" "$2/operator-$1.tar" || return 1
	IMAGES+=("$2/operator-$1.tar")
}

# lab_up NODES : with LABTEST_KEEP the lab that is up is used, and stays up. Two
# runs would break each other's nodes: the second waits.
lab_up() {
	local lock=${LAB_CACHE:-/var/cache/bloodraven-lab}/lock
	mkdir -p "$lock"
	exec {TURN}>"$lock/labtest"
	flock -n "$TURN" || {
		progress "waiting for another run in the lab to end"
		flock "$TURN"
	}
	OURS=1
	progress "bringing up a cluster of $1 nodes"
	if [ -n "${LABTEST_KEEP:-}" ]; then
		"$LAB/lab" ensure "$1" {TURN}>&-
	else
		"$LAB/lab" up "$1" {TURN}>&-
	fi || give_up "the lab does not come up"
	"$LAB/lab" import "${IMAGES[@]}" {TURN}>&- ||
	    give_up "images are not imported"
	eval "$("$LAB/lab" env)"
}
OURS=

# False, and says what, when something is left of it.
lab_down() {
	[ -n "$OURS" ] && [ -z "${LABTEST_KEEP:-}" ] || return 0
	progress "taking the cluster down"
	"$LAB/lab" down >/dev/null {TURN}>&-
	"$LAB/lab" check-clean >&2 {TURN}>&- || {
		echo "not ok - something is left of the lab"
		return 1
	}
}

python() {
	if python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' \
	    2>/dev/null; then
		"$LAB/lab" on control python3 -B "$@" {TURN}>&-
	else
		(
			for f in common apt trees k8s; do
				# shellcheck disable=SC1090
				. "$LAB/lib/$f.sh"
			done
			tree=$(tree_node) || exit 1
			export PYTHONHOME=$tree/usr
			TREE_EXEC="exec nsenter --net=$NET/control" \
			    tree_run "$tree" python3 -B "$@" {TURN}>&-
		)
	fi
}

# Children first seen, so that none is left when its parent has gone.
end_tree() {
	local kid
	for kid in $(cat "/proc/$1/task/"*/children 2>/dev/null); do
		end_tree "$kid"
	done
	kill -KILL "$1" 2>/dev/null
}

interrupted() {
	trap '' INT TERM HUP
	[ -z "${PY:-}" ] || end_tree "$PY"
	lab_down
	exit 130
}
