# Sourced: the lab's own corner of the control groups, version 1 or 2. Whatever
# runs in the lab is in it, which makes it the list of what has to end.
# shellcheck shell=bash

CG_ROOT=/sys/fs/cgroup
CG_NAME=bloodraven-lab

cg_version() {
	case $(stat -f -c %T "$CG_ROOT" 2>/dev/null) in
	cgroup2fs)	echo 2 ;;
	*)		echo 1 ;;
	esac
}

# The mount options of each version 1 hierarchy: "memory", "cpu,cpuacct",
# "name=systemd". The folder's name is the same without "name=".
cg_hierarchies() {
	local c
	while IFS=: read -r _ c _; do
		[ -n "$c" ] && [ -d "$CG_ROOT/${c#name=}" ] && echo "$c"
	done </proc/self/cgroup
}

# The root folder(s): one in version 2, one per hierarchy in version 1.
cg_roots() {
	local c
	if [ "$(cg_version)" = 2 ]; then
		echo "$CG_ROOT"
		return
	fi
	for c in $(cg_hierarchies); do
		echo "$CG_ROOT/${c#name=}"
	done
}

# All processes are in every hierarchy: any one of them lists them.
cg_list_root() {
	if [ -d "$CG_ROOT/pids" ]; then
		echo "$CG_ROOT/pids"
	else
		cg_roots | head -n 1
	fi
}

cg_delegate() {
	local c
	for c in $(cat "$1/cgroup.controllers"); do
		echo "+$c" >"$1/cgroup.subtree_control" 2>/dev/null
	done
	return 0
}

# cg_create NAME : a group of the lab, with every controller.
cg_create() {
	local r
	for r in $(cg_roots); do
		mkdir -p "$r/$CG_NAME/$1" || return 1
		if [ "$(cg_version)" = 2 ]; then
			cg_delegate "$r"
			cg_delegate "$r/$CG_NAME"
		elif [ -e "$r/cpuset.cpus" ]; then
			cg_cpuset "$r" "$r/$CG_NAME"
			cg_cpuset "$r/$CG_NAME" "$r/$CG_NAME/$1"
		fi
		cg_weigh "$r/$CG_NAME"
	done
}

# The lab is several machines, and what watches it is one process among them:
# nodes must not wait for each single process of the host.
cg_weigh() {
	[ ! -e "$1/cpu.shares" ] || echo 2048 >"$1/cpu.shares"
	[ ! -e "$1/cpu.weight" ] || echo 200 >"$1/cpu.weight"
}

# A version 1 cpuset is empty, and then takes no process, until it is filled.
cg_cpuset() {
	cat "$1/cpuset.cpus" >"$2/cpuset.cpus"
	cat "$1/cpuset.mems" >"$2/cpuset.mems"
	echo 1 >"$2/cgroup.clone_children"
}

# cg_join NAME PID
cg_join() {
	local r
	for r in $(cg_roots); do
		echo "$2" >"$r/$CG_NAME/$1/cgroup.procs" || return 1
	done
}

# cg_procs [NAME] : every process in the group and below.
cg_procs() {
	find "$(cg_list_root)/$CG_NAME${1:+/$1}" -name cgroup.procs \
	    -exec cat {} + 2>/dev/null
}

cg_empty() {
	local p
	for p in $(cg_procs "${1:-}"); do
		kill -KILL "$p" 2>/dev/null
	done
	[ -z "$(cg_procs "${1:-}")" ]
}

# A frozen or uninterruptible process may need a moment.
cg_kill() {
	wait_for 60 cg_empty "${1:-}"
}

cg_gone() {
	local r left=0
	for r in $(cg_roots); do
		[ -d "$r/$CG_NAME/$1" ] || continue
		find "$r/$CG_NAME/$1" -depth -type d -exec rmdir {} + 2>/dev/null
		[ ! -d "$r/$CG_NAME/$1" ] || left=1
	done
	return "$left"
}

# cg_remove [NAME] : the folders, which must hold no process any more.
cg_remove() {
	wait_for 60 cg_gone "${1:-}"
}

# cg_prune NAME : what kubelet left below a node's group. Each leftover would
# stall the next kubelet's start by seconds.
cg_prune() {
	local r d
	for r in $(cg_roots); do
		for d in "$r/$CG_NAME/$1"/*/; do
			[ ! -d "$d" ] || find "$d" -depth -type d \
			    -exec rmdir {} + 2>/dev/null
		done
	done
	return 0
}
