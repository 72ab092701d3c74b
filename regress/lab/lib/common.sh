# Sourced by every lab script: paths, messages, bounded waits, locks.
# shellcheck shell=bash

set -uo pipefail
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
umask 022

# Callers may have closed it, and background jobs want one.
[ -e /proc/self/fd/0 ] || exec </dev/null

LAB_DIR=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
REPO=$(cd -P "$LAB_DIR/../.." && pwd)
CACHE=${LAB_CACHE:-/var/cache/bloodraven-lab}
STATE=${LAB_STATE:-/var/lib/bloodraven-lab}
PROG=$(basename "$0")

# Milliseconds of monotonic time: the wall clock may step under us.
now_ms() {
	local up
	read -r up _ </proc/uptime
	up=${up/./}
	echo "${up}0"
}

LAB_T0=$(now_ms)

elapsed() {
	local ms=$(($(now_ms) - LAB_T0))
	printf '%d.%d' $((ms / 1000)) $((ms % 1000 / 100))
}

say() {
	printf '[%6s s] %s: %s\n' "$(elapsed)" "$PROG" "$*" >&2
}

die() {
	printf '%s: %s\n' "$PROG" "$*" >&2
	exit 1
}

usage_exit() {
	printf 'usage: %s\n' "$1" >&2
	exit 2
}

# wait_for SECONDS COMMAND... : true as soon as COMMAND is, false when the time
# is over. The short interval bounds the cost of asking, not what is waited for.
# LAB_SLOW is how many times slower than usual the machine is.
wait_for() {
	local end=$(($(now_ms) + $1 * 1000 * ${LAB_SLOW:-1}))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(now_ms)" -lt "$end" ] || return 1
		sleep "${WAIT_INTERVAL:-0.05}"
	done
}

# step TEXT COMMAND... : runs COMMAND with its output in a log, says every ten
# seconds that it still runs, shows the log's end when it fails.
step() {
	local text=$1 log pid rc t0 next
	shift
	mkdir -p "$STATE/log" 2>/dev/null
	log=$STATE/log
	[ -w "$log" ] || log=${TMPDIR:-/tmp}	# without root
	log=$(mktemp "$log/step.XXXXXX")
	t0=$(now_ms)
	say "$text"
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	STEP_PID=$pid
	next=$((t0 + 10000))
	while kill -0 "$pid" 2>/dev/null; do
		if [ "$(now_ms)" -ge "$next" ]; then
			say "$text: $((($(now_ms) - t0) / 1000)) s so far"
			next=$((next + 10000))
		fi
		sleep 0.1
	done
	wait "$pid"
	rc=$?
	STEP_PID=
	if [ "$rc" -ne 0 ]; then
		say "$text: failed ($rc); the end of its output:"
		tail -n 25 "$log" >&2
	fi
	rm -f "$log"
	return "$rc"
}
STEP_PID=

# Every descendant of a process, deepest last.
descendants() {
	local kid
	for kid in $(cat "/proc/$1/task/"*/children 2>/dev/null); do
		echo "$kid"
		descendants "$kid"
	done
}

kill_tree() {
	local all
	all="$1 $(descendants "$1")"
	# shellcheck disable=SC2086
	kill -TERM $all 2>/dev/null
	# shellcheck disable=SC2086
	wait_for 3 none_alive $all || kill -KILL $all 2>/dev/null
	return 0
}

# A zombie counts as gone (its parent may be busy elsewhere), but not while
# other threads of it still exit: they hold its files and locks.
alive() {
	local st threads
	st=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null)
	case $st in
	''|X)	return 1 ;;
	Z)	threads=$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)
		[ "$threads" -gt 1 ] ;;
	esac
}

none_alive() {
	local p
	for p; do
		alive "$p" && return 1
	done
	return 0
}

# stopped_at /proc/PID : by SIGSTOP. All of its threads: until one of them has
# met the signal the others run on, and on a busy machine that lasts. One that
# has gone runs no more either.
stopped_at() {
	local f stat
	for f in "$1"/task/*/stat; do
		# A name may hold anything but a line's end.
		{ read -r stat <"$f"; } 2>/dev/null || continue
		[[ ${stat##*) } == [TZX]* ]] || return 1
	done
}

wait_stopped() {
	WAIT_INTERVAL=0.01 wait_for 10 stopped_at "$1" || {
		say "process ${1##*/} does not stop"
		return 1
	}
}

# guard COMMAND... : in a subshell that is told (TERM) and waited for when this
# shell is to end. A shell acts on a signal only between two commands; waiting
# for a background job is the exception.
guard() {
	local pid rc
	( trap - INT TERM HUP; "$@" ) <&0 &
	pid=$!
	trap 'kill -TERM "$pid" 2>/dev/null' INT TERM HUP
	wait "$pid"
	rc=$?
	while kill -0 "$pid" 2>/dev/null; do
		wait "$pid"
		rc=$?
	done
	trap - INT TERM HUP
	return "$rc"
}

# with_lock NAME COMMAND... : one holder at a time. What COMMAND leaves running
# must close LOCK_FD, or it would hold the lock for ever.
with_lock() {
	guard with_lock_here "$@"
}

with_lock_here() {
	local name=$1
	shift
	mkdir -p "$CACHE/lock"
	exec {LOCK_FD}>"$CACHE/lock/$name"
	if ! flock -n "$LOCK_FD"; then
		say "waiting for another $name to end"
		flock "$LOCK_FD"
	fi
	export LOCK_FD
	"$@"
}

need_root() {
	[ "$(id -u)" -eq 0 ] || die "needs root"
}

need_commands() {
	local c missing=
	for c; do
		command -v "$c" >/dev/null || missing="$missing $c"
	done
	[ -z "$missing" ] || die "missing commands:$missing"
}
