# Sourced: everything that is missing is named at once, before long work.
# preflight NODES asks all of it; 0 is an API server without nodes.
# shellcheck shell=bash

MISSING=()

want() {
	local text=$1
	shift
	"$@" >/dev/null 2>&1 || MISSING+=("$text")
}

free_mb() {
	df -Pm "$1" | awk 'NR == 2 { print $4 }'
}

memory_mb() {
	awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo
}

at_least() {
	[ "$1" -ge "$2" ]
}

namespaces_work() {
	unshare -m -n -p -f -u -i -C true
}

overlay_works() {
	local d rc
	d=$(mktemp -d "$STATE/.overlay.XXXXXX") || return 1
	mkdir "$d"/{l,u,w,m}
	unshare -m --propagation private mount -t overlay overlay \
	    -o "lowerdir=$d/l,upperdir=$d/u,workdir=$d/w" "$d/m"
	rc=$?
	rm -rf "$d"
	return "$rc"
}

cgroups_writable() {
	local rc r
	cg_create probe && cg_gone probe
	rc=$?
	for r in $(cg_roots); do	# a lab that is up keeps its own
		rmdir "$r/$CG_NAME" 2>/dev/null
	done
	return "$rc"
}

cgroup_has() {
	if [ "$(cg_version)" = 2 ]; then
		grep -qw "$1" "$CG_ROOT/cgroup.controllers"
	else
		grep -qx "$1" <<<"$(cg_hierarchies | tr , '\n')"
	fi
}

preflight() {
	need_root	# nothing below can be asked without
	preflight_machine "$1"
	[ "$1" = 0 ] || preflight_kernel
	preflight_verdict
}

# Needs nothing but the machine.
preflight_machine() {
	local c disk=2500 warm=1
	mkdir -p "$CACHE" "$STATE" || die "cannot write to $CACHE and $STATE"
	for c in apt-get apt-config dpkg-deb tar flock unshare nsenter mount \
	    umount pivot_root setsid awk sed find xargs sha256sum base64 \
	    mktemp stat df nproc; do
		want "command $c" command -v "$c"
	done
	want "namespaces (mnt, net, pid, uts, ipc, cgroup)" namespaces_work
	[ "$1" = 0 ] || preflight_nodes
	[ -e "$K8S_BIN/.done" ] || warm=0
	[ "$warm" = 1 ] || disk=9000
	want "$disk MB of disk for $CACHE (has $(free_mb "$CACHE"))" \
	    at_least "$(free_mb "$CACHE")" "$disk"
	want "2500 MB of disk for $STATE (has $(free_mb "$STATE"))" \
	    at_least "$(free_mb "$STATE")" 2500
	want "$((1200 + 900 * $1)) MB of memory (has $(memory_mb))" \
	    at_least "$(memory_mb)" $((1200 + 900 * $1))
}

preflight_nodes() {
	local c
	want "overlayfs with its upper folder in $STATE" overlay_works
	want "a writable $CG_ROOT" cgroups_writable
	for c in cpu memory pids; do
		want "cgroup controller $c" cgroup_has "$c"
	done
}

# The machine's own tools, where there is no tree.
probe_net() {
	unshare -n bash -c "$(declare -f tree_run tree_program tree_loader)
		NODE_TREE=$NODE_TREE TREE_EXEC= PROG=preflight
		nt() {
			if [ -n \"\$NODE_TREE\" ]; then
				tree_run \"\$NODE_TREE\" \"\$@\"
			else
				\"\$@\"
			fi
		}
		$1"
}

# The kernel is asked with the node tree's tools. Fetching them takes seconds;
# where something that this needs is missing, the machine's own may do.
preflight_tools() {
	NODE_TREE=$(TREE_NAME_ONLY=1 tree_node)
	[ ! -e "$NODE_TREE/.done" ] || return
	if [ ${#MISSING[@]} -eq 0 ]; then
		tree_node >/dev/null && return
		MISSING+=("the Debian packages of nodes (see above)")
	fi
	NODE_TREE=
}

# want_net TEXT PROGRAM SCRIPT
want_net() {
	if [ -n "$NODE_TREE" ] || command -v "$2" >/dev/null; then
		want "$1" probe_net "$3"
	else
		MISSING+=("$1: could not be asked before \"$2\" is here")
	fi
}

preflight_kernel() {
	local m
	preflight_tools
	# Where they are modules, rules from inside a namespace may not load
	# them; no harm where they are built in.
	for m in overlay br_netfilter nf_conntrack nf_nat veth bridge nf_tables \
	    nft_compat xt_comment xt_mark xt_statistic xt_MASQUERADE xt_addrtype; do
		modprobe -q "$m" 2>/dev/null
	done
	want_net "kernel: veth and bridge" ip \
	    'nt ip link add v0 type veth peer name v1 && nt ip link add br0 type bridge'
	want_net "kernel: nf_tables" nft \
	    'nt nft "add table inet t; add chain inet t c { type filter hook input priority 0; }"'
	want_net "kernel: bridge netfilter" ip \
	    'nt ip link add br0 type bridge; test -e /proc/sys/net/bridge'
}

preflight_verdict() {
	[ ${#MISSING[@]} -gt 0 ] || return 0
	echo "$PROG: this machine lacks:" >&2
	printf '  - %s\n' "${MISSING[@]}" >&2
	exit 1
}
