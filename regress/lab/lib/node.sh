# Sourced: a node is a machine in namespaces of its own (net, mnt, pid, uts,
# ipc, cgroup) with a root from packages, its containerd, kubelet, kube-proxy.
# shellcheck shell=bash

node_dir() {
	echo "$K8S/nodes/$1"
}

# conf/ appears as /k in the node.
node_prepare() {
	local n=$1 d
	d=$(node_dir "$n")
	mkdir -p "$d"/{upper,work,root,kubelet,volumes,log,conf/bin,conf/pki,conf/hold}
	[ -d "$d/containerd" ] || node_images "$d/containerd" || return 1
	cp "$PKI/ca.crt" "$PKI/$n".{crt,key,kubeconfig} \
	    "$PKI/kube-proxy.kubeconfig" "$d/conf/pki/"
	cp "$LAB_DIR/k8s/containerd.toml" "$LAB_DIR/k8s/node-init" \
	    "$LAB_DIR/k8s/runc-hold" "$LAB_DIR/k8s/hold.py" "$d/conf/"
	write_cni "$n" >"$d/conf/cni.conflist"
	write_kubelet "$n" >"$d/conf/kubelet.yaml"
	write_proxy "$n" >"$d/conf/kube-proxy.yaml"
	cat >"$d/conf/node.env" <<-E
	NODE=$n
	NODE_IP=$(node_ip "$n")
	NODE_LABELS=topology.kubernetes.io/zone=$(node_zone "$n"),topology.kubernetes.io/region=lab
	E
}

# The images were imported once into a template; its snapshots are never
# written to, so hard links do. The databases are, and get copied.
node_images() {
	local db
	rm -rf "$1.new"
	cp -al "$IMAGE_TEMPLATE" "$1.new" 2>/dev/null || {
		rm -rf "$1.new"
		cp -a "$IMAGE_TEMPLATE" "$1.new" || return 1
	}
	while read -r db; do
		cp -a "$db" "$db.copy" && mv "$db.copy" "$db" || return 1
	done < <(find "$1.new" -maxdepth 2 -name '*.db')
	mv -T "$1.new" "$1"
}

write_cni() {
	cat <<-E
	{ "cniVersion": "0.4.0", "name": "lab", "plugins": [
	  { "type": "bridge", "bridge": "cni0", "isGateway": true,
	    "ipMasq": false, "hairpinMode": true, "mtu": 1500,
	    "ipam": { "type": "host-local",
	      "ranges": [[ { "subnet": "$(node_pods "$1")" } ]],
	      "routes": [ { "dst": "0.0.0.0/0" } ] } },
	  { "type": "portmap", "capabilities": { "portMappings": true } } ] }
	E
}

# Short periods: a node's loss and return is what the tests are about.
# syncFrequency: else a pod deleted while the node was cut off is noticed
# only after 70 s.
write_kubelet() {
	cat <<-E
	apiVersion: kubelet.config.k8s.io/v1beta1
	kind: KubeletConfiguration
	authentication:
	  anonymous: {enabled: false}
	  webhook: {enabled: true}
	  x509: {clientCAFile: /k/pki/ca.crt}
	authorization: {mode: Webhook}
	address: 0.0.0.0
	tlsCertFile: /k/pki/$1.crt
	tlsPrivateKeyFile: /k/pki/$1.key
	clusterDomain: cluster.local
	clusterDNS: [$DNS_SERVICE_IP]
	cgroupDriver: cgroupfs
	failSwapOn: false
	evictionHard: {nodefs.available: "1%", imagefs.available: "1%", memory.available: "50Mi"}
	imageGCHighThresholdPercent: 100
	nodeStatusUpdateFrequency: 1s
	nodeStatusReportFrequency: 4s
	nodeLeaseDurationSeconds: 12
	syncFrequency: 5s
	resolvConf: /etc/resolv.conf
	serializeImagePulls: false
	maxPods: 110
	E
}

# minSyncPeriod: 0 would mean kube-proxy's default of one second, by which a
# Service follows later when others have just changed.
write_proxy() {
	cat <<-E
	apiVersion: kubeproxy.config.k8s.io/v1alpha1
	kind: KubeProxyConfiguration
	mode: iptables
	clientConnection: {kubeconfig: /k/pki/kube-proxy.kubeconfig}
	clusterCIDR: $POD_CIDR
	hostnameOverride: $1
	conntrack: {maxPerCore: 0, min: 0}
	iptables: {minSyncPeriod: 100ms, syncPeriod: 30s}
	E
}

# The node's pid 1, seen from outside.
node_pid() {
	local p kid
	p=$(cat "$(node_dir "$1")/pid" 2>/dev/null) || return 1
	kid=$(cat "/proc/$p/task/$p/children" 2>/dev/null)
	kid=${kid%% *}
	[ -n "$kid" ] && alive "$kid" && echo "$kid"
}

node_start() {
	local n=$1 d
	d=$(node_dir "$n")
	! node_pid "$n" >/dev/null || return 0
	cg_create "$n" || return 1
	cg_prune "$n"
	# -C is done by a process already in the node's group, which thereby
	# becomes the root of what the node sees.
	(
		[ -z "${LOCK_FD:-}" ] || exec {LOCK_FD}>&-
		trap - INT TERM EXIT
		cg_join "$n" "$BASHPID" || exit 1
		echo "$BASHPID" >"$d/pid"
		exec setsid nsenter --net="$NET/$n" \
		    unshare -m -p -f -u -i -C --kill-child=KILL \
		    "$LAB_DIR/k8s/node-enter" "$d" "$NODE_TREE" "$K8S_BIN"
	) >>"$d/log/node.log" 2>&1 </dev/null &
	wait_for 60 node_pid "$n" || { tail -n 5 "$d/log/node.log" >&2; return 1; }
	# Version 2 gives a group's controllers on only while no process is in
	# the group itself: the one that waits outside must not be.
	[ "$(cg_version)" = 1 ] || cg_join control "$(cat "$d/pid")"
}

# A power cut: nothing in the node gets to say a word.
node_kill() {
	local p
	if p=$(node_pid "$1"); then
		kill -KILL "$p"
	fi
	cg_kill "$1" || return 1
	rm -f "$(node_dir "$1")/pid"
	cg_prune "$1"
}

# node_in NODE COMMAND... : in all of the node's namespaces.
node_in() {
	local p n=$1
	p=$(node_pid "$n") || die "$n is not running"
	shift
	nsenter -t "$p" -a env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin:/k/bin \
	    HOME=/root TERM="${TERM:-dumb}" "$@"
}

node_ready() {
	[[ $(kubectl get node "$1" --no-headers 2>/dev/null) == *" Ready"* ]]
}

ctr_in() {
	local n=$1
	shift
	node_in "$n" ctr -n k8s.io "$@"
}
