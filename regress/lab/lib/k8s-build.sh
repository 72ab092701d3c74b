# Sourced: Kubernetes 1.20, the last that Debian has as a source package with
# all that it is made from. Built once into the cache; the build itself runs in
# the golang tree, so that the host's tools have no part in it.
# shellcheck shell=bash

K8S_VERSION=1.20.2
K8S_BIN=$CACHE/kubernetes/$K8S_VERSION-1
K8S_PROGRAMS="kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl"

k8s_build() {
	[ -e "$K8S_BIN/.done" ] || with_lock kubernetes k8s_build_locked
}

k8s_build_locked() {
	local work=$CACHE/kubernetes/.work
	[ ! -e "$K8S_BIN/.done" ] || return 0
	tree_golang >/dev/null || return 1
	# shellcheck disable=SC2064
	trap "k8s_build_abort $work" EXIT
	trap 'exit 130' INT TERM HUP
	rm -rf "$work" "$K8S_BIN"
	mkdir -p "$work/src" "$work/bin"
	step "kubernetes: fetching the source package" \
	    k8s_source "$work/src" || exit 1
	step "kubernetes: compiling (about 5 minutes, once)" \
	    nice "$LAB_DIR/enter" --tree golang \
	    "$LAB_DIR/k8s/compile" "$work" || exit 1
	mv -T "$work/bin" "$K8S_BIN" || exit 1
	touch "$K8S_BIN/.done"
	rm -rf "$work"
	trap - EXIT
	say "kubernetes: ready, $(du -sm "$K8S_BIN" | cut -f1) MB"
}

k8s_build_abort() {
	[ -z "$STEP_PID" ] || kill_tree "$STEP_PID"
	chmod -R u+w "$1" 2>/dev/null
	rm -rf "$1"
}

# The original tarball alone is wanted; apt checks it against the signed index.
k8s_source() {
	WITH_SOURCES=1 with_lock apt k8s_source_fetch "$1" || return 1
	[ -s "$(echo "$1"/kubernetes_*.orig.tar.gz)" ]
}

k8s_source_fetch() {
	apt_open source bookworm || return 1
	cd "$1" || return 1
	apt_in source apt-get -qq --download-only --tar-only source kubernetes ||
	    die "bookworm no longer has the source package kubernetes"
	rm -rf "${APT:?}/source"
}
