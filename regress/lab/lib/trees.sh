# Sourced: which trees there are and what is in them.
# shellcheck shell=bash
# shellcheck disable=SC2034

# The build and test environment: Debian 13, with Oracle's client from sid.
tree_build() {
	local PINNED="libmysqlclient24 libmysqlclient-dev"
	tree_make build "trixie sid" "
		base-files base-passwd libc-bin bash dash coreutils diffutils
		findutils grep sed mawk gawk tar gzip bzip2 xz-utils zstd util-linux
		mount debianutils hostname login passwd ncurses-bin bsdextrautils
		procps psmisc iproute2 iputils-ping nftables netcat-openbsd socat
		tcpdump strace ltrace lsof file patch less libcap2-bin
		gcc g++ libc6-dev make autoconf automake libtool m4 pkgconf
		autoconf-archive gettext-base binutils
		libevent-dev libmsgpack-c-dev libcurl4-openssl-dev libyyjson-dev
		libssl-dev libseccomp-dev libsodium-dev libbsd-dev libmd-dev libwslay-dev
		libzstd-dev
		zlib1g-dev libcmocka-dev linux-libc-dev libcap-dev
		libmysqlclient24 libmysqlclient-dev
		mandoc groff-base python3-minimal python3 python3-yaml jq curl openssl
		ca-certificates git gdb valgrind libc6-dbg
		clang-19 clang-format-19 clang-tidy-19 libclang-rt-19-dev llvm-19
		cppcheck shellcheck gcovr"
}

# MySQL itself comes from sid alone: no released suite carries it. The tree is
# the image's root as well as what regress/lab/mysqld runs from.
tree_mysql() {
	tree_make mysql "sid" "
		base-files base-passwd libc-bin bash dash coreutils sed grep mawk
		findutils gzip zstd xz-utils util-linux hostname procps openssl
		libeatmydata1 mysql-server-core mysql-client-core"
}

# Go 1.19 still compiles Kubernetes 1.20; later suites have only newer ones.
tree_golang() {
	tree_make golang "bookworm" "
		base-files base-passwd libc-bin bash dash coreutils sed grep mawk
		findutils tar gzip gcc libc6-dev util-linux mount
		golang-1.19-go golang-1.19-src golang-github-modern-go-reflect2-dev"
}

# A whole machine for kubelet 1.20: containerd 1.6 is the last that speaks its
# CRI version, and bookworm the suite that has it.
tree_node() {
	tree_make node "bookworm" "
		base-files base-passwd libc-bin bash dash coreutils sed grep mawk
		findutils tar gzip util-linux mount kmod procps psmisc hostname
		iproute2 iputils-ping nftables iptables conntrack ipset socat
		ethtool e2fsprogs ca-certificates netcat-openbsd
		containerd runc containernetworking-plugins
		etcd-server etcd-client busybox-static python3-minimal python3"
}

# What the operator's programs need at run time: most libraries are inside them.
tree_operator() {
	tree_make operator "trixie" "
		base-files base-passwd libc-bin netbase tzdata ca-certificates
		dash coreutils libwslay1 libyyjson0"
}

# The judge of /metrics (promtool) and the server that scrapes it in the lab: two
# large Go programs in a tree of their own, made when a test first wants it.
tree_prometheus() {
	tree_make prometheus "trixie" "
		base-files base-passwd libc-bin dash coreutils mount prometheus"
}

# What a new API server is made from, to judge crds/ (regress/crd). The sources
# stand alone: their packages' dependencies would be 2 GB, cloud SDKs for the most
# part. Released suites have nothing of the kind.
tree_crd() {
	local ALONE="
		golang-cel-cel-go-dev golang-cel-expr-dev
		golang-github-antlr4-go-antlr-dev golang-github-beorn7-perks-dev
		golang-github-blang-semver-dev golang-github-cenkalti-backoff-v5-dev
		golang-github-cespare-xxhash-v2-dev golang-github-davecgh-go-spew-dev
		golang-github-felixge-httpsnoop-dev golang-github-fxamacker-cbor-dev
		golang-github-go-logr-logr-dev golang-github-go-logr-stdr-dev
		golang-github-go-openapi-jsonpointer-dev
		golang-github-go-openapi-jsonreference-dev
		golang-github-go-openapi-swag-dev golang-github-golang-protobuf-1-5-dev
		golang-github-google-gnostic-models-dev golang-github-google-uuid-dev
		golang-github-grpc-ecosystem-grpc-gateway-dev
		golang-github-json-iterator-go-dev
		golang-github-modern-go-concurrent-dev
		golang-github-modern-go-reflect2-dev golang-github-munnerz-goautoneg-dev
		golang-github-prometheus-client-golang-dev
		golang-github-prometheus-client-model-dev
		golang-github-prometheus-common-dev golang-github-prometheus-procfs-dev
		golang-github-spf13-cobra-dev golang-github-spf13-pflag-dev
		golang-github-x448-float16-dev golang-golang-x-exp-dev
		golang-golang-x-net-dev golang-golang-x-oauth2-dev
		golang-golang-x-sync-dev golang-golang-x-sys-dev
		golang-golang-x-term-dev golang-golang-x-text-dev
		golang-golang-x-time-dev golang-google-genproto-dev
		golang-google-grpc-dev golang-google-protobuf-dev
		golang-gopkg-inf.v0-dev golang-gopkg-yaml.v2-dev golang-gopkg-yaml.v3-dev
		golang-k8s-api-dev golang-k8s-apiextensions-apiserver-dev
		golang-k8s-apimachinery-dev golang-k8s-apiserver-dev
		golang-k8s-client-go-dev golang-k8s-component-base-dev
		golang-k8s-klog-dev golang-k8s-kube-openapi-dev
		golang-k8s-sigs-apiserver-network-proxy-dev golang-k8s-sigs-json-dev
		golang-k8s-sigs-randfill-dev
		golang-k8s-sigs-structured-merge-diff-v6-dev golang-k8s-sigs-yaml-dev
		golang-k8s-utils-dev golang-opentelemetry-contrib-dev
		golang-opentelemetry-otel-dev golang-opentelemetry-proto-dev"
	tree_make crd "sid" "
		base-files base-passwd libc-bin dash coreutils mount golang-go golang-src"
}

# A whole fresh machine with Debian 13's kernel, for regress/lab/guest.
tree_guest() {
	tree_make guest "trixie" "
		base-files base-passwd libc-bin bash dash coreutils sed grep mawk
		findutils tar gzip xz-utils util-linux mount kmod iproute2 procps
		apt dpkg debian-archive-keyring git hostname
		linux-image-cloud-amd64"
}

tree_qemu() {
	tree_make qemu "bookworm" "
		libc-bin qemu-system-x86 seabios e2fsprogs busybox-static xz-utils"
}
