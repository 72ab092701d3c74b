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
		libssl-dev libseccomp-dev libbsd-dev libmd-dev libzstd-dev
		zlib1g-dev libcmocka-dev linux-libc-dev libcap-dev
		libmysqlclient24 libmysqlclient-dev
		mandoc groff-base python3-minimal python3 python3-yaml jq curl openssl
		ca-certificates git gdb valgrind libc6-dbg
		clang-19 clang-format-19 clang-tidy-19 libclang-rt-19-dev llvm-19
		cppcheck shellcheck gcovr"
}
