# Sourced: container images out of package trees, without Docker or a registry.
# shellcheck shell=bash

LAYERS=$IMAGES/layers

# Same files, same tar: image digests then change with content alone.
layer_tar() {
	local out=$1 dir=$2
	shift 2
	tar -C "$dir" --sort=name --mtime=@0 --numeric-owner --format=posix \
	    --pax-option=delete=atime,delete=ctime "$@" -cf "$out.new" . &&
	    mv "$out.new" "$out"
}

# What a package tree has that no container needs: an image is copied to every
# node. Everything here is either documentation, a package tool or perl.
LAYER_EXCLUDES=(
	--exclude=./.done --exclude=./.packages --exclude='./dev/*'
	--exclude='./usr/share/perl*' --exclude='./usr/lib/*/perl*'
	--exclude='./usr/lib/*/perl-base' --exclude='./usr/bin/perl*'
	--exclude='./usr/share/debconf' --exclude='./usr/share/zoneinfo'
	--exclude='./usr/lib/*/gconv' --exclude='./usr/share/gcc*'
	--exclude='./usr/lib/systemd' --exclude='./usr/share/bash-completion'
	--exclude='./boot' --exclude='./home' --exclude='./usr/lib/udev'
)

# tree_layer TREE [EXCLUDE...] : the path of the tree's layer, made once.
tree_layer() {
	local t=$1 l
	shift
	l=$LAYERS/$(basename "$t").tar
	mkdir -p "$LAYERS"
	[ -s "$l" ] || layer_tar "$l" "$t" --owner=0 --group=0 \
	    "${LAYER_EXCLUDES[@]}" "$@" || return 1
	echo "$l"
}

mkimage() {
	PYTHONHOME=$NODE_TREE/usr PYTHONDONTWRITEBYTECODE=1 \
	    tree_run "$NODE_TREE" python3 "$LAB_DIR/lib/mkimage.py" "$@"
}

# An image's inputs, so that it is made again when one of them changed.
stamp() {
	cat "$@" "$LAB_DIR/lib/mkimage.py" "$LAB_DIR/lib/images.sh" |
	    sha256sum | cut -c1-16
}

# image_if_needed NAME STAMP FUNCTION : FUNCTION OUT WORKDIR makes it.
image_if_needed() {
	local out=$IMAGES/$1.tar work
	[ "$(cat "$out.stamp" 2>/dev/null)" != "$2" ] || [ ! -s "$out" ] ||
	    return 0
	mkdir -p "$IMAGES"
	rm -f "$out.stamp"
	work=$(mktemp -d "$IMAGES/.work.XXXXXX")
	"$3" "$out" "$work" || { rm -rf "$work"; return 1; }
	rm -rf "$work"
	echo "$2" >"$out.stamp"
}

make_pause() {
	mkdir "$2/root"
	cp "$K8S_BIN/pause" "$2/root/pause"
	layer_tar "$2/layer.tar" "$2/root" --owner=0 --group=0 &&
	    mkimage "$1" registry.k8s.io/pause:3.2 --layer "$2/layer.tar" \
	    --entrypoint /pause --user 65535:65535
}

make_busybox() {
	local c r=$2/root
	mkdir -p "$r"/{bin,etc,tmp}
	cp "$(tree_program "$NODE_TREE" busybox)" "$r/bin/busybox"
	for c in $("$r/bin/busybox" --list); do
		[ -e "$r/bin/$c" ] || ln -s busybox "$r/bin/$c"
	done
	printf 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' \
	    >"$r/etc/passwd"
	printf 'root:x:0:\nnobody:x:65534:\n' >"$r/etc/group"
	chmod 1777 "$r/tmp"
	layer_tar "$2/layer.tar" "$r" --owner=0 --group=0 &&
	    mkimage "$1" docker.io/library/busybox:lab \
	    --layer "$2/layer.tar" --cmd sh
}

# A user and group in a copy of the tree's own tables.
add_user() {
	local tree=$1 root=$2 name=$3 id=$4 home=$5
	mkdir -p "$root/etc"
	{
		cat "$tree/etc/passwd"
		echo "$name:x:$id:$id::$home:/bin/false"
	} >"$root/etc/passwd"
	{
		cat "$tree/etc/group"
		echo "$name:x:$id:"
	} >"$root/etc/group"
}

# What docker-entrypoint-made.sh copies. Each server gets a UUID of its own, with its
# auto.cnf. The certificates are the same everywhere, for tests that ask for none.
make_data() {
	local t=$1 d=$2
	mkdir -p "$(dirname "$d")"
	tree_run "$t" mysqld --no-defaults --user=root --initialize-insecure \
	    --skip-log-bin --datadir="$d" --basedir="$t/usr" \
	    --lc-messages-dir="$t/usr/share/mysql" \
	    --character-sets-dir="$t/usr/share/mysql/charsets" \
	    --plugin-dir="$t/usr/lib/mysql/plugin" --secure-file-priv=NULL \
	    --innodb-redo-log-capacity=32M >"$d.log" 2>&1 ||
	    { tail -n 20 "$d.log" >&2; return 1; }
	# The server makes these anew.
	rm -f "$d.log" "$d/auto.cnf" "$d"/*.dblwr
	chown -R 999:999 "$d"
}

make_mysql() {
	local t base r=$2/root d
	t=$(tree_mysql) || return 1
	base=$(tree_layer "$t" --exclude=./usr/bin/mysqlslap \
	    --exclude=./usr/bin/mysqlimport --exclude=./usr/bin/mysqlshow \
	    --exclude=./usr/bin/mysql_migrate_keyring \
	    --exclude=./usr/lib/mysql/plugin/group_replication.so) || return 1
	add_user "$t" "$r" mysql 999 /var/lib/mysql
	mkdir -p "$r/etc/mysql/conf.d" "$r/usr/local/bin" "$r/usr/share" \
	    "$r/usr/lib64" "$r/docker-entrypoint-initdb.d"
	cp "$LAB_DIR/containers/my.cnf" "$r/etc/my.cnf"
	cp "$LAB_DIR"/containers/docker-entrypoint*.sh "$r/usr/local/bin/"
	chmod 755 "$r"/usr/local/bin/docker-entrypoint*.sh
	make_data "$t" "$r/usr/share/mysql-made" || return 1
	# A package's script would have made it a link.
	mkdir -p "$r/var"
	ln -s /run "$r/var/run"
	# The names that the official image has.
	ln -s mysql "$r/usr/share/mysql-9.7"
	ln -s ../lib/mysql "$r/usr/lib64/mysql"
	for d in mysql mysql-files mysql-keyring; do
		mkdir -p "$r/var/lib/$d"
		chown 999:999 "$r/var/lib/$d"
		chmod 750 "$r/var/lib/$d"
	done
	chmod 777 "$r/var/lib/mysql"
	mkdir -p "$r/run/mysqld"
	chown 999:999 "$r/run/mysqld"
	chmod 1777 "$r/run/mysqld"
	layer_tar "$2/layer.tar" "$r" &&
	    mkimage "$1" bloodraven-lab/mysql:9.7 --layer "$base" \
	    --layer "$2/layer.tar" --volume /var/lib/mysql \
	    --port 3306/tcp --port 33060/tcp \
	    --entrypoint docker-entrypoint.sh --cmd mysqld \
	    --env MYSQL_MAJOR=9.7 || return 1
	rm -f "$base"	# not needed again, unlike the operator's
}

# $DESTDIR is what "make install DESTDIR=..." gave.
make_operator() {
	local t base r=$2/root prog
	t=$(tree_operator) || return 1
	base=$(tree_layer "$t") || return 1
	add_user "$t" "$r" bloodraven 65532 /
	cp -a "$DESTDIR/." "$r/"
	# Usr-merged names: a folder must not replace the base's symlink.
	for prog in bin sbin lib; do
		[ -d "$r/$prog" ] && [ ! -L "$r/$prog" ] || continue
		mkdir -p "$r/usr/$prog"
		cp -a "$r/$prog/." "$r/usr/$prog/"
		rm -rf "${r:?}/$prog"
	done
	prog=$(cd "$r" && find . -type f -perm -u+x \
	    -path '*bin/bloodraven' | head -n 1)
	[ -n "$prog" ] || { say "no program 'bloodraven' in $DESTDIR"; return 1; }
	layer_tar "$2/layer.tar" "$r" --owner=0 --group=0 &&
	    mkimage "$1" "${OPERATOR_IMAGE:-bloodraven-lab/bloodraven:lab}" \
	    --layer "$base" --layer "$2/layer.tar" \
	    --entrypoint "${prog#.}" --user 65532:65532
}

stamp_pause() {
	stamp "$K8S_BIN/pause"
}

stamp_busybox() {
	stamp "$(tree_program "$NODE_TREE" busybox)"
}

stamp_mysql() {
	echo "$(basename "$(tree_mysql)")-$(stamp "$LAB_DIR"/containers/my.cnf \
	    "$LAB_DIR"/containers/docker-entrypoint*.sh)"
}

image_pause() {
	image_if_needed pause "$(stamp_pause)" make_pause
}

image_busybox() {
	image_if_needed busybox "$(stamp_busybox)" make_busybox
}

image_mysql() {
	image_if_needed mysql "$(stamp_mysql)" make_mysql
}

# Nodes start with these in them, unpacked: importing a large image at every
# start would cost more than the rest of the start.
IMAGE_SET="pause busybox mysql"

# IMAGE_TEMPLATE is named by its content; true when every image is current.
image_current() {
	local i hash
	for i in $IMAGE_SET; do
		[ "$(cat "$IMAGES/$i.tar.stamp" 2>/dev/null)" = \
		    "$("stamp_$i")" ] || return 1
	done
	hash=$(for i in $IMAGE_SET; do cat "$IMAGES/$i.tar.stamp"; done |
	    cat - <(basename "$NODE_TREE") | sha256sum | cut -c1-12)
	IMAGE_TEMPLATE=$IMAGES/containerd-$hash
}

image_template() {
	image_pause && image_busybox && image_mysql && image_current || return 1
	rm -rf "$IMAGES"/containerd-*
	mkdir -p "$IMAGE_TEMPLATE.new"
	# shellcheck disable=SC2046,SC2086
	"$LAB_DIR/enter" --tree node "$LAB_DIR/k8s/import-images" \
	    "$IMAGE_TEMPLATE.new" $(printf "$IMAGES/%s.tar " $IMAGE_SET) ||
	    return 1
	touch "$IMAGE_TEMPLATE.new/.done"
	mv -T "$IMAGE_TEMPLATE.new" "$IMAGE_TEMPLATE"
}
