#!/bin/sh
# Makes the Debian package of what `make build` left in dist/, by dpkg-deb: what `make install PREFIX=/usr` installs, in
# the form that Debian asks for. Nothing is fetched, and the same files make the same package, byte for byte.
# usage: deb.sh FOLDER, with SOURCE_DATE_EPOCH (the time of the changelog's newest entry), DEBFULLNAME and DEBEMAIL
set -eu
umask 022
export LC_ALL=C TZ=UTC
folder=$(cd "${1:?usage: deb.sh FOLDER}" && pwd)
cd "$(dirname "$0")/.."

field() { # NAME: a field of the changelog's newest entry
    dpkg-parsechangelog -l packaging/debian/changelog -S "$1"
}
fail() {
    echo "deb.sh: $1" >&2
    exit 1
}

version=$(field Version)
built=$(dist/evercall --version) || fail "dist/evercall does not run here: make build"
[ "$built" = "evercall $version" ] ||
    fail "packaging/debian/changelog is at $version, dist/evercall says $built: bring them together"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(field Timestamp)}
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
root=$work/root
mkdir "$root"
doc=$root/usr/share/doc/evercall

PREFIX=/usr DESTDIR=$root ZSH_COMPLETIONS=/usr/share/zsh/vendor-completions packaging/install.sh install
strip --strip-unneeded -R .comment "$root/usr/bin/evercall" "$root/usr/lib/evercall/libevercall.so"
# The copyright file has both.
rm "$doc/LICENSE-MIT" "$doc/LICENSE-APACHE"
cp packaging/debian/changelog "$doc/changelog"
gzip -9n "$root"/usr/share/man/man[15]/* "$doc/changelog" "$doc/third-party-licences.txt"
install -D -m 644 packaging/debian/lintian-overrides "$root/usr/share/lintian/overrides/evercall"

# The licence's text, as a field of that file has it: a blank before each line, a dot for an empty one.
sed -n '/^Permission/,$p' LICENSE-MIT | sed -e 's/^$/./' -e 's/^/ /' >"$work/mit"
holder=$(sed -n 's/^Copyright (c) //p' LICENSE-MIT)
sed -e "s/@COPYRIGHT@/$holder/" -e "/@MIT@/{
r $work/mit
d
}" packaging/debian/copyright >"$doc/copyright"

mkdir "$root/DEBIAN"
maintainer=$(field Maintainer)
[ -z "${DEBEMAIL:-}" ] || maintainer="${DEBFULLNAME:-evercall maintainers} <$DEBEMAIL>"
# In KiB, each file rounded up and one for each folder and link, as dpkg-gencontrol counts: the file system has no say.
size=$(find "$root/usr" -printf '%y %s\n' |
    awk '{ kib += $1 == "f" ? int(($2 + 1023) / 1024) : 1 } END { print kib }')
sed -e "s/@VERSION@/$version/" -e "s/@MAINTAINER@/$maintainer/" -e "s/@SIZE@/$size/" \
    packaging/debian/control >"$root/DEBIAN/control"
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
chmod 644 "$root"/DEBIAN/*
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

# xz: dpkg before 1.21.18 reads no zstd, and old hosts are what this is for.
name=evercall_${version}_amd64.deb
dpkg-deb --root-owner-group -Zxz --threads-max=1 --build "$root" "$work/$name" >/dev/null
# Beside its place first, so that it appears whole.
cp "$work/$name" "$folder/.$name.$$"
mv "$folder/.$name.$$" "$folder/$name"
echo "$folder/$name"
