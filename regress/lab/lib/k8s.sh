# Sourced: what is where in the lab's cluster, its networks and control plane.
# shellcheck shell=bash

K8S=$STATE/k8s
PKI=$K8S/pki
NET=$K8S/net			# network namespaces, one file each
IMAGES=$CACHE/images
CONTROL_IP=10.200.0.1
API=https://$CONTROL_IP:6443
API_SERVICE_IP=10.96.0.1
DNS_SERVICE_IP=10.96.0.10
SERVICE_CIDR=10.96.0.0/16
POD_CIDR=10.244.0.0/16
MAX_NODES=3

nodes() {
	local i n
	n=$(cat "$K8S/count" 2>/dev/null) || return 0
	for ((i = 1; i <= n; i++)); do
		echo "node$i"
	done
}

is_node() {
	grep -qxF -- "$1" <<<"$(nodes)"
}

node_ip() {
	echo "10.200.0.1${1#node}"
}

node_pods() {
	echo "10.244.${1#node}.0/24"
}

node_zone() {
	case $1 in
	node1)	echo zone-a ;;
	node2)	echo zone-b ;;
	*)	echo zone-c ;;
	esac
}

# nt PROGRAM ... : a program of the node tree, run on this machine.
nt() {
	tree_run "$NODE_TREE" "$@"
}

# in_net NAMESPACE PROGRAM... : the node tree's program in one of our networks.
in_net() {
	local ns=$1 prog=$2
	shift 2
	TREE_EXEC="nsenter --net=$NET/$ns" tree_run "$NODE_TREE" "$prog" "$@"
}

net_add() {
	: >"$NET/$1" && unshare --net="$NET/$1" true &&
	    in_net "$1" ip link set lo up
}

net_node() {
	local n=$1 m
	net_add "$n" &&
	in_net control ip link add "v-$n" type veth \
	    peer name eth0 netns "$NET/$n" &&
	in_net control ip link set "v-$n" master br0 up &&
	in_net "$n" ip addr add "$(node_ip "$n")/24" dev eth0 &&
	in_net "$n" ip link set eth0 up &&
	in_net "$n" ip route add default via "$CONTROL_IP" &&
	in_net control ip route add "$(node_pods "$n")" via "$(node_ip "$n")" ||
	    return 1
	# kubelet 1.20 asks the metadata address of a cloud; without an answer
	# it waits for 6 s.
	in_net "$n" ip route add unreachable 169.254.0.0/16
	nsenter --net="$NET/$n" bash -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
	for m in $(nodes); do
		[ "$m" = "$n" ] || in_net "$n" ip route add \
		    "$(node_pods "$m")" via "$(node_ip "$m")"
	done
}

# A network of its own, with no way out, so that the lab depends on nothing of
# the machine's and disturbs nothing.
net_up() {
	local n
	mkdir -p "$NET"
	net_add control &&
	in_net control ip link add br0 type bridge &&
	in_net control ip addr add "$CONTROL_IP/24" dev br0 &&
	in_net control ip link set br0 up || return 1
	for n in $(nodes); do
		net_node "$n" || return 1
	done
}

net_down() {
	local f
	for f in "$NET"/*; do
		[ -e "$f" ] || continue
		while umount "$f" 2>/dev/null; do :; done
		rm -f "$f"
	done
}

# daemon NAME COMMAND... : in the control network, in the lab's control group.
daemon() {
	local name=$1
	shift
	(
		[ -z "${LOCK_FD:-}" ] || exec {LOCK_FD}>&-
		trap - INT TERM EXIT
		cg_join control "$BASHPID" || exit 1
		echo "$BASHPID" >"$K8S/pid/$name"
		exec setsid nsenter --net="$NET/control" "$@"
	) >>"$K8S/log/$name.log" 2>&1 </dev/null &
}

# daemon_tree NAME PROGRAM... : the same for a program of the node tree.
daemon_tree() {
	local name=$1 prog=$2
	shift 2
	(
		[ -z "${LOCK_FD:-}" ] || exec {LOCK_FD}>&-
		trap - INT TERM EXIT
		cg_join control "$BASHPID" || exit 1
		echo "$BASHPID" >"$K8S/pid/$name"
		TREE_EXEC="exec setsid nsenter --net=$NET/control" \
		    tree_run "$NODE_TREE" "$prog" "$@"
	) >>"$K8S/log/$name.log" 2>&1 </dev/null &
}

daemon_pid() {
	local p
	p=$(cat "$K8S/pid/$1" 2>/dev/null) && alive "$p" && echo "$p"
}

daemon_stop() {
	local p
	p=$(daemon_pid "$1") || { rm -f "$K8S/pid/$1"; return 0; }
	kill -CONT "$p"
	kill -TERM "$p"
	wait_for "${2:-5}" none_alive "$p" || kill -KILL "$p"
	rm -f "$K8S/pid/$1"
}

start_etcd() {
	daemon_tree etcd etcd --name lab --data-dir "$K8S/etcd" \
	    --listen-client-urls http://127.0.0.1:2379 \
	    --advertise-client-urls http://127.0.0.1:2379 \
	    --listen-peer-urls http://127.0.0.1:2380 \
	    --initial-advertise-peer-urls http://127.0.0.1:2380 \
	    --initial-cluster lab=http://127.0.0.1:2380
}

start_apiserver() {
	local issuer=https://kubernetes.default.svc.cluster.local
	daemon kube-apiserver "$K8S_BIN/kube-apiserver" \
	    --etcd-servers=http://127.0.0.1:2379 \
	    --bind-address=0.0.0.0 --advertise-address="$CONTROL_IP" \
	    --secure-port=6443 --allow-privileged=true \
	    --tls-cert-file="$PKI/apiserver.crt" \
	    --tls-private-key-file="$PKI/apiserver.key" \
	    --client-ca-file="$PKI/ca.crt" \
	    --service-account-key-file="$PKI/sa.pub" \
	    --service-account-signing-key-file="$PKI/sa.key" \
	    --service-account-issuer="$issuer" --api-audiences="$issuer" \
	    --service-cluster-ip-range="$SERVICE_CIDR" \
	    --authorization-mode=Node,RBAC \
	    --enable-admission-plugins=NodeRestriction \
	    --kubelet-certificate-authority="$PKI/ca.crt" \
	    --kubelet-client-certificate="$PKI/kubelet-client.crt" \
	    --kubelet-client-key="$PKI/kubelet-client.key" \
	    --kubelet-preferred-address-types=InternalIP,Hostname \
	    --requestheader-client-ca-file="$PKI/front-proxy-ca.crt" \
	    --requestheader-allowed-names=front-proxy-client \
	    --requestheader-extra-headers-prefix=X-Remote-Extra- \
	    --requestheader-group-headers=X-Remote-Group \
	    --requestheader-username-headers=X-Remote-User \
	    --proxy-client-cert-file="$PKI/front-proxy-client.crt" \
	    --proxy-client-key-file="$PKI/front-proxy-client.key" \
	    --enable-aggregator-routing=true
}

# A lost node is noticed after 16 s instead of 40: tests wait less.
start_controllers() {
	local c=kube-controller-manager s=kube-scheduler k
	k=$PKI/$c.kubeconfig
	daemon "$c" "$K8S_BIN/$c" --kubeconfig="$k" \
	    --authentication-kubeconfig="$k" --authorization-kubeconfig="$k" \
	    --service-account-private-key-file="$PKI/sa.key" \
	    --root-ca-file="$PKI/ca.crt" \
	    --cluster-signing-cert-file="$PKI/ca.crt" \
	    --cluster-signing-key-file="$PKI/ca.key" \
	    --use-service-account-credentials=true --leader-elect=false \
	    --allocate-node-cidrs=false \
	    --node-monitor-grace-period=16s --node-monitor-period=2s
	k=$PKI/$s.kubeconfig
	daemon "$s" "$K8S_BIN/$s" --kubeconfig="$k" \
	    --authentication-kubeconfig="$k" --authorization-kubeconfig="$k" \
	    --leader-elect=false
}

# DNS and volumes: neither CoreDNS nor a provisioner is in Debian.
start_services() {
	PYTHONHOME=$NODE_TREE/usr PYTHONDONTWRITEBYTECODE=1 \
	    daemon_tree services python3 "$LAB_DIR/k8s/services.py" \
	    "$CONTROL_IP" "$API" "$PKI" "$K8S/nodes"
}

kubectl() {
	nsenter --net="$NET/control" "$K8S_BIN/kubectl" \
	    --kubeconfig "$PKI/admin.kubeconfig" \
	    --cache-dir "$K8S/kubectl-cache" "$@"
}

api_ready() {
	[ "$(kubectl get --raw /readyz --request-timeout "$((2 * ${LAB_SLOW:-1}))s" 2>/dev/null)" = ok ]
}

control_up() {
	mkdir -p "$K8S/pid"
	start_etcd
	start_apiserver
	WAIT_INTERVAL=0.2 wait_for 180 api_ready || {
		tail -n 5 "$K8S/log/kube-apiserver.log" "$K8S/log/etcd.log" >&2
		return 1
	}
	start_controllers
	start_services
}

# kubelet sets these for the whole machine: they are put back afterwards.
SYSCTLS="vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops
	kernel/keys/root_maxkeys kernel/keys/root_maxbytes"

sysctl_save() {
	local s
	[ ! -e "$K8S/sysctl" ] || return 0
	for s in $SYSCTLS; do
		[ ! -r "/proc/sys/$s" ] || echo "$s $(cat "/proc/sys/$s")"
	done >"$K8S/sysctl"
}

sysctl_restore() {
	local s v
	[ -s "$K8S/sysctl" ] || return 0
	while read -r s v; do
		[ "$(cat "/proc/sys/$s")" = "$v" ] || echo "$v" >"/proc/sys/$s"
	done <"$K8S/sysctl"
}
