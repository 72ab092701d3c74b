# Sourced: folders of Debian packages of a named suite, made by a private apt
# root. Nothing of the host's package database is read or changed; of its apt
# only the mirror, proxies and credentials are taken over.
# shellcheck shell=bash

DEB_ARCH=$(dpkg --print-architecture 2>/dev/null || echo amd64)
APT=$CACHE/apt

# The host's own sources name the mirror. A Debian machine has it there
# literally (a mirror list is one as well); an Ubuntu machine's mirror mostly
# carries /debian too, and its packages know Debian's default.
mirror_candidates() {
	if [ -n "${MIRROR:-}" ]; then
		echo "${MIRROR%/}"
		return
	fi
	[ ! -s "$APT/mirror" ] || cat "$APT/mirror"
	# The second form also names what was never fetched, but no label.
	# shellcheck disable=SC2016
	{
		apt-get indextargets --format '$(REPO_URI) $(LABEL)' \
		    'Created-By: Packages'
		apt-get indextargets --no-release-info --format '$(REPO_URI)' \
		    'Created-By: Packages'
	} 2>/dev/null | awk '
		{ uri = $1; sub(/\/$/, "", uri) }
		$2 == "Debian"		{ print "1 " uri; next }
		uri ~ /\/debian$/	{ print "2 " uri; next }
		uri ~ /^mirror/		{ print "3 " uri; next }
		uri ~ /\/ubuntu$/	{ sub(/\/ubuntu$/, "/debian", uri)
					  print "4 " uri; next }
					{ print "5 " uri }' |
	    sort -u -k1,1n -k2 | cut -d' ' -f2
	# Packages that know Debian's default, as an Ubuntu machine may have.
	sed -n 's/^DEF_MIRROR="\(.*\)"/\1/p' /usr/sbin/debootstrap 2>/dev/null
	sed -n 's/^BaseURI: *\(.*\)/\1/p' \
	    /usr/share/python-apt/templates/Debian.info 2>/dev/null |
	    sed 's#/$##' | sort -u
}

# Debian's keys come from the host's package, or from that package as the
# host's own apt (which checks it by its own keys) can fetch it.
keyring() {
	local k dir=$CACHE/keyring
	for k in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp} \
	    "$dir"/usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
		if [ -s "$k" ]; then
			echo "$k"
			return
		fi
	done
	mkdir -p "$dir"
	(cd "$dir" && apt-get -qq -o APT::Sandbox::User=root download \
	    debian-archive-keyring >&2 && dpkg-deb -x ./*.deb .) ||
	    die "no debian-archive-keyring here, and apt cannot fetch it"
	for k in "$dir"/usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
		[ ! -s "$k" ] || { echo "$k"; return; }
	done
	die "debian-archive-keyring holds no key ring that is known here"
}

# apt_root NAME MIRROR SUITE... : writes the root. The first suite is the base,
# a further one gives only what PINNED names.
apt_root() {
	local r=$APT/$1 mirror=$2 key s base=$3
	shift 2
	key=$(keyring) || return 1
	rm -rf "${r:?}/etc"
	mkdir -p "$r"/etc/apt/{preferences.d,sources.list.d} \
	    "$r"/var/lib/apt/lists/partial "$r"/var/lib/dpkg \
	    "$APT/archives/partial" "$APT/none/partial"
	: >"$r/var/lib/dpkg/status"
	{
		# Proxies and the like, not the host's hooks.
		apt-config dump | grep -E '^Acquire::(https?|ftp|tor|mirror|Retries|ForceIPv|Check)'
		cat <<-E
		Dir "$r";
		Dir::Etc "$r/etc/apt";
		Dir::Etc::parts "/dev/null";
		Dir::Etc::main "/dev/null";
		Dir::Etc::netrc "/etc/apt/auth.conf";
		Dir::Etc::netrcparts "/etc/apt/auth.conf.d";
		Dir::State "$r/var/lib/apt";
		Dir::State::status "$r/var/lib/dpkg/status";
		Dir::Cache "$r/var/cache/apt";
		Dir::Cache::archives "$APT/archives";
		Dir::Log "$r/var/log/apt";
		APT::Architecture "$DEB_ARCH";
		APT::Architectures "$DEB_ARCH";
		APT::Install-Recommends "false";
		APT::Install-Suggests "false";
		APT::Sandbox::User "root";
		APT::Get::Assume-Yes "true";
		APT::Keep-Downloaded-Packages "true";
		Acquire::Languages "none";
		Acquire::Retries "3";
		Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
		E
	} >"$r/apt.conf"
	mkdir -p "$r/var/cache/apt" "$r/var/log/apt"
	for s; do
		# sid's Release file is regularly past its Valid-Until on
		# mirrors; signatures stay checked.
		printf 'deb [signed-by=%s%s] %s %s main\n' "$key" \
		    "$([ "$s" != sid ] || echo ' check-valid-until=no')" \
		    "$mirror" "$s"
	done >"$r/etc/apt/sources.list"
	[ -z "${WITH_SOURCES:-}" ] ||
	    printf 'deb-src [signed-by=%s] %s %s main\n' "$key" "$mirror" \
	    "$base" >>"$r/etc/apt/sources.list"
	{
		for s; do
			[ "$s" = "$base" ] || printf \
			    'Package: *\nPin: release n=%s\nPin-Priority: -1\n\n' "$s"
			[ "$s" = "$base" ] || printf \
			    'Package: %s\nPin: release n=%s\nPin-Priority: 990\n\n' \
			    "${PINNED:-}" "$s"
		done
	} >"$r/etc/apt/preferences"
}

apt_in() {
	local r=$APT/$1 tool=$2
	shift 2
	APT_CONFIG=$r/apt.conf "$tool" "$@"
}

# apt_open NAME SUITE... : a root with fresh lists from the first mirror that
# has every suite.
apt_open() {
	local name=$1 m tried=
	shift
	need_commands apt-get apt-config dpkg-deb tar
	mkdir -p "$APT"
	while read -r m; do
		case " $tried " in *" $m "*) continue ;; esac
		tried="$tried $m"
		apt_root "$name" "$m" "$@" || return 1
		if apt_in "$name" apt-get -qq \
		    -o APT::Update::Error-Mode=any update; then
			[ -n "${MIRROR:-}" ] || echo "$m" >"$APT/mirror"
			return 0
		fi
		say "this mirror does not give $*: $m"
	done < <(mirror_candidates)
	die "no Debian mirror with suite(s) $*; tried:${tried:- none}." \
	    "Run apt-get update, or set MIRROR=http://.../debian"
}

# Names the packages that the suites no longer have, instead of apt's riddles.
apt_check() {
	local name=$1 missing
	shift
	missing=$(printf '%s\n' "$@" | grep -vxF -f <(
		apt_in "$name" apt-cache policy "$@" | awk '
			/^[^ ]/		{ sub(/:$/, ""); p = $1 }
			/Candidate: [^(]/ { print p }'))
	[ -z "$missing" ] || die "$(sed -n 's/^deb .*] //p' \
	    "$APT/$name/etc/apt/sources.list" | sort -u | paste -sd';')" \
	    "no longer has:" $missing
}

# apt_fetch NAME LIST PACKAGE... : the closure's archives are downloaded, their
# paths written to LIST; of what ALONE names, the package's own archive only.
apt_fetch() {
	local name=$1 list=$2 uris
	shift 2
	# shellcheck disable=SC2086
	apt_check "$name" "$@" ${ALONE:-} || return 1
	# An archive that is there already would not be printed.
	uris=$(apt_in "$name" apt-get -o Dir::Cache::archives="$APT/none" \
	    --print-uris install "$@" | grep -E "^'") || return 1
	apt_in "$name" apt-get -qq --download-only install "$@" || return 1
	if [ -n "${ALONE:-}" ]; then
		# shellcheck disable=SC2086
		uris+=$'\n'$(cd "$APT/none" && apt_in "$name" apt-get \
		    --print-uris download $ALONE | grep -E "^'") || return 1
		# shellcheck disable=SC2086
		(cd "$APT/archives" && apt_in "$name" apt-get -qq download \
		    $ALONE) || return 1
	fi
	awk -v d="$APT/archives/" '{ print d $2 }' <<<"$uris" | sort -u >"$list"
}

unpack_one() {
	dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink \
	    --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' \
	    --exclude='./usr/share/locale/*' --exclude='./usr/share/info/*' \
	    --exclude='./usr/share/lintian/*' --exclude='./usr/share/bug/*' \
	    --exclude='./usr/share/gdb/auto-load/*'
}
export -f unpack_one

# deb_unpack LIST DIR
deb_unpack() {
	local d
	for d in bin sbin lib lib64; do
		mkdir -p "$2/usr/$d"
		ln -sfn "usr/$d" "$2/$d"
	done
	# shellcheck disable=SC2016
	xargs -P "$(nproc)" -I{} bash -c 'set -o pipefail; unpack_one "$1" "$2"' _ {} "$2" <"$1"
}

alternative() {
	[ -e "$1$3" ] || [ -L "$1$3" ] || [ ! -e "$1$2" ] ||
	    ln -s "$2" "$1$3"
}

# What the packages' maintainer scripts would have done, as far as it matters.
tree_fixup() {
	local t=$1 a
	mkdir -p "$t"/{dev,proc,sys,run,tmp,root,etc/ssl/certs} \
	    "$t"/var/{tmp,lib,log,cache}
	chmod 1777 "$t/tmp" "$t/var/tmp"
	for a in passwd group; do
		[ -e "$t/etc/$a" ] || [ ! -e "$t/usr/share/base-passwd/$a.master" ] ||
		    cp "$t/usr/share/base-passwd/$a.master" "$t/etc/$a"
	done
	[ -e "$t/etc/nsswitch.conf" ] || cat >"$t/etc/nsswitch.conf" <<-E
	passwd: files
	group: files
	hosts: files dns
	services: files
	protocols: files
	E
	printf '127.0.0.1 localhost\n::1 localhost\n' >"$t/etc/hosts"
	: >"$t/etc/resolv.conf"
	for a in awk:mawk awk:gawk cc:gcc c++:g++ which:which.debianutils \
	    clang:clang-19 clang++:clang++-19 clang-format:clang-format-19 \
	    clang-tidy:clang-tidy-19 llvm-symbolizer:llvm-symbolizer-19 \
	    nc:nc.openbsd c99:c99-gcc c89:c89-gcc \
	    aclocal:aclocal-1.17 automake:automake-1.17; do
		alternative "$t" "/usr/bin/${a#*:}" "/usr/bin/${a%:*}"
	done
	for a in iptables ip6tables; do
		alternative "$t" "/usr/sbin/$a-nft" "/usr/sbin/$a"
		alternative "$t" "/usr/sbin/$a-nft-save" "/usr/sbin/$a-save"
		alternative "$t" "/usr/sbin/$a-nft-restore" "/usr/sbin/$a-restore"
	done
	if [ -d "$t/usr/share/ca-certificates/mozilla" ]; then
		cat "$t"/usr/share/ca-certificates/mozilla/*.crt \
		    >"$t/etc/ssl/certs/ca-certificates.crt"
	fi
	# shellcheck disable=SC2046 # words, or none
	[ ! -x "$t/usr/sbin/ldconfig" ] || $(as_root) chroot "$t" /usr/sbin/ldconfig
}

# What to start a program by that wants to be root: nothing, or a namespace.
as_root() {
	[ "$(id -u)" -eq 0 ] || echo unshare --user --map-root-user
}

# tree_make NAME SUITES PACKAGES : prints the tree's path. SUITES and PACKAGES
# are words; PINNED and ALONE as above. The name carries the list's hash: a
# changed list makes a new tree and never meets an old one.
TREE_FORMAT=1
tree_path() {
	local hash
	hash=$(printf '%s\n' "$TREE_FORMAT" "$DEB_ARCH" "$2" "${PINNED:-}" "$3" \
	    ${ALONE:+"$ALONE"} | sha256sum | cut -c1-12)
	echo "$CACHE/trees/$1-$hash"
}

tree_make() {
	local t
	t=$(tree_path "$@")
	[ -z "${TREE_NAME_ONLY:-}" ] || { echo "$t"; return; }
	[ -e "$t/.done" ] || with_lock apt tree_make_locked "$t" "$@" || return 1
	echo "$t"
}

tree_make_locked() {
	local t=$1 name=$2 suites=$3 packages=$4 new
	[ ! -e "$t/.done" ] || return 0	# somebody else made it meanwhile
	[ -w "$CACHE" ] || die "no tree $name, and no right to make it in $CACHE:" \
	    "root makes it, or an own LAB_CACHE holds it"
	mkdir -p "$CACHE/trees"
	# No other maker lives while we hold the lock.
	rm -rf "$CACHE/trees/.new."*
	new=$CACHE/trees/.new.$name.$$
	# shellcheck disable=SC2064
	trap "tree_abort $new" EXIT
	trap 'exit 130' INT TERM HUP
	mkdir -p "$new"
	# shellcheck disable=SC2086
	step "$name: package lists of $suites" apt_open "$name" $suites || exit 1
	# shellcheck disable=SC2086
	step "$name: fetching packages" \
	    apt_fetch "$name" "$new/.archives" $packages || exit 1
	step "$name: unpacking $(wc -l <"$new/.archives") packages" \
	    deb_unpack "$new/.archives" "$new" || exit 1
	step "$name: setting up" tree_fixup "$new" || exit 1
	sed 's#.*/##; s/%3a/:/' "$new/.archives" | sort >"$new/.packages"
	# The tree is the cache: archives and lists would double its size.
	xargs rm -f <"$new/.archives"
	rm -rf "$new/.archives" "${APT:?}/$name"
	touch "$new/.done"
	chmod 755 "$new"
	mv -T "$new" "$t" || exit 1
	trap - EXIT
	say "$name: ready, $(du -sm "$t" | cut -f1) MB: $t"
}

tree_abort() {
	[ -z "$STEP_PID" ] || kill_tree "$STEP_PID"
	rm -rf "$1"
}

# tree_loader TREE : sets LOADER and LIBS. Some suites' lib64 has an absolute
# link, which out here would lead to the host's loader.
tree_loader() {
	local l
	LIBS=$(echo "$1"/usr/lib/*-linux-gnu)
	for l in "$LIBS"/ld-linux-*.so.* "$1"/usr/lib*/ld-linux-*.so.*; do
		LOADER=$l
		[ ! -f "$l" ] || [ -L "$l" ] || return 0
	done
	echo "$PROG: the tree $1 has no loader" >&2
	return 1
}

# tree_run TREE PROGRAM ARGUMENT... : a tree's program by the tree's own loader
# and libraries, with no chroot; the host needs neither it nor its libc.
# --argv0 must be absolute: some programs look for files beside themselves.
# TREE_EXEC=exec replaces the calling shell.
tree_run() {
	local LOADER LIBS prog
	prog=$(tree_program "$1" "$2") && tree_loader "$1" || return 127
	shift 2
	${TREE_EXEC:-} "$LOADER" --argv0 "$prog" --library-path "$LIBS" \
	    "$prog" "$@"
}

# An absolute link would lead out of the tree.
tree_program() {
	local p
	for p in "$1/usr/bin/$2" "$1/usr/sbin/$2"; do
		[ -x "$p" ] || continue
		[[ $(readlink "$p") != /* ]] || continue
		echo "$p"
		return 0
	done
	echo "$PROG: $1 has no program '$2'" >&2
	return 1
}
