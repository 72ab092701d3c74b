# Sourced: everything that is missing is named at once, before long work.
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
	cg_create probe && cg_gone probe
}

cgroup_has() {
	if [ "$(cg_version)" = 2 ]; then
		grep -qw "$1" "$CG_ROOT/cgroup.controllers"
	else
		grep -qx "$1" <<<"$(cg_hierarchies | tr , '\n')"
	fi
}

# preflight_machine NODES : needs nothing but the machine.
preflight_machine() {
	local c disk=2500 warm=1
	need_root	# nothing below can be asked without
	mkdir -p "$CACHE" "$STATE" || die "cannot write to $CACHE and $STATE"
	for c in apt-get apt-config dpkg-deb tar flock unshare nsenter mount \
	    umount pivot_root setsid awk sed find xargs sha256sum base64 \
	    mktemp stat df nproc; do
		want "command $c" command -v "$c"
	done
	want "namespaces (mnt, net, pid, uts, ipc, cgroup)" namespaces_work
	want "overlayfs with its upper folder in $STATE" overlay_works
	want "a writable $CG_ROOT" cgroups_writable
	for c in cpu memory pids; do
		want "cgroup controller $c" cgroup_has "$c"
	done
	[ -e "$K8S_BIN/.done" ] || warm=0
	[ "$warm" = 1 ] || disk=9000
	want "$disk MB of disk for $CACHE (has $(free_mb "$CACHE"))" \
	    at_least "$(free_mb "$CACHE")" "$disk"
	want "2500 MB of disk for $STATE (has $(free_mb "$STATE"))" \
	    at_least "$(free_mb "$STATE")" 2500
	want "$((1200 + 900 * $1)) MB of memory (has $(memory_mb))" \
	    at_least "$(memory_mb)" $((1200 + 900 * $1))
	preflight_verdict
}

probe_net() {
	unshare -n bash -c "$(declare -f tree_run tree_program tree_loader); NODE_TREE=$NODE_TREE TREE_EXEC=
		PROG=preflight
		nt() { tree_run \"\$NODE_TREE\" \"\$@\"; }
		$1"
}

# Kernel features that only the node tree's tools can ask about.
preflight_kernel() {
	local m
	# Where they are modules, rules from inside a namespace may not load
	# them; no harm where they are built in.
	for m in overlay br_netfilter nf_conntrack nf_nat veth bridge nf_tables \
	    nft_compat xt_comment xt_mark xt_statistic xt_MASQUERADE xt_addrtype; do
		modprobe -q "$m" 2>/dev/null
	done
	want "kernel: veth and bridge" probe_net \
	    'nt ip link add v0 type veth peer name v1 && nt ip link add br0 type bridge'
	want "kernel: nf_tables" probe_net \
	    'nt nft "add table inet t; add chain inet t c { type filter hook input priority 0; }"'
	want "kernel: bridge netfilter" probe_net \
	    'nt ip link add br0 type bridge; test -e /proc/sys/net/bridge'
	preflight_verdict
}

preflight_verdict() {
	[ ${#MISSING[@]} -gt 0 ] || return 0
	echo "$PROG: this machine lacks:" >&2
	printf '  - %s\n' "${MISSING[@]}" >&2
	exit 1
}
