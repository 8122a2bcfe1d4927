#!/bin/sh
# Makes a Debian root of another release for the tests, once, and prints its folder.
# usage: debian-root.sh libc|base|modern|legacy SUITE
#   libc  only the unpacked C library and its headers (a few MB, no root rights needed)
#   base  a whole minimal system by debootstrap (root; a minute or two the first time)
#   modern  the same with what new libcs break in under old seccomp profiles: python3, git, node (500 MB)
#   legacy  the same with what drowns in descriptors: python2.7, rpm, slapd (bullseye is the last to have them all)
# Roots are kept in $EVERCALL_ROOTS, else /var/cache/evercall. A root is made under another name and
# renamed when it is whole, so two runs at once, or one cut short, leave no half root. The mirror is this
# machine's own, as its apt knows it; its configuration is only read.
set -eu

kind=$1
suite=$2
. "$(dirname "$0")/debian-apt.sh"
cache=$(cache_folder)
root=$cache/$suite-$kind

if [ -d "$root" ]; then
    echo "$root"
    exit 0
fi

mirror=$(archive)

mkdir -p "$cache"
making=$(mktemp -d "$cache/.making.XXXXXX")
trap 'rm -rf "$making"' EXIT
trap 'exit 1' HUP INT TERM
chmod 755 "$making"

libc() {
    private_lists "$mirror $suite main"
    (cd "$making/apt" && private_apt apt-get download libc6 libc6-dev linux-libc-dev)
    mkdir "$making/root" "$making/root/usr"
    # Since trixie the packages put everything under usr/, and base-files has the links.
    if [ -n "$(dpkg-deb --fsys-tarfile "$making"/apt/libc6_*.deb | tar -t ./usr/lib64 2>/dev/null)" ]; then
        ln -s usr/lib "$making/root/lib"
        ln -s usr/lib64 "$making/root/lib64"
    fi
    for package in "$making"/apt/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$making/root"
    done
    # An absolute link would leave the root.
    loader=$making/root/lib64/ld-linux-x86-64.so.2
    case $(readlink "$loader") in
    /*) ln -sf "..$(readlink "$loader")" "$loader" ;;
    esac
    [ -x "$loader" ]
}

base() {
    debootstrap --variant=minbase --keyring="$keyring" "$suite" "$making/root" "$mirror"
}

modern() {
    debootstrap --variant=minbase --include=python3-minimal,git,systemd-standalone-tmpfiles,nodejs \
        --keyring="$keyring" "$suite" "$making/root" "$mirror"
    # Fetched packages are of no more use.
    rm -f "$making"/root/var/cache/apt/archives/*.deb
}

legacy() {
    # slapd asks for a password, and would start; neither is wanted, only its files are.
    DEBIAN_FRONTEND=noninteractive debootstrap --variant=minbase --include=python2.7,rpm,slapd \
        --keyring="$keyring" "$suite" "$making/root" "$mirror"
    rm -f "$making"/root/var/cache/apt/archives/*.deb
}

case $kind in
libc) libc >&2 ;;
base) base >&2 ;;
modern) modern >&2 ;;
legacy) legacy >&2 ;;
*)
    echo "debian-root.sh: libc, base, modern or legacy, not \"$kind\"" >&2
    exit 1
    ;;
esac

# Whoever comes second keeps the first one's.
mv -T "$making/root" "$root" 2>/dev/null || [ -d "$root" ]
echo "$root"
