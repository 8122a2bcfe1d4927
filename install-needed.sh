#!/bin/sh
# Installs the Debian packages that a target of the Makefile needs and this machine lacks.
# usage: install-needed.sh build|lint|test|deb|kernels|bench
set -eu

missing=
need() { # COMMAND-OR-FILE PACKAGE
    case $1 in
    /*) [ -e "$1" ] ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
    esac || missing="$missing $2"
}

rust_is_new_enough() {
    minor=$(cargo --version 2>/dev/null | sed 's/^cargo 1\.\([0-9]*\)\..*/\1/')
    [ "${minor:-0}" -ge 85 ]
}

lints_are_there() {
    cargo clippy --version >/dev/null 2>&1 && cargo fmt --version >/dev/null 2>&1
}

libs=/usr/lib/x86_64-linux-gnu
need cc gcc
need ld.bfd binutils
need $libs/libc.a libc6-dev
need /etc/ssl/certs/ca-certificates.crt ca-certificates
rust= lint= python_tests=
case $1 in
build) ;;
lint) lints_are_there || lint=missing ;;
test)
    need musl-gcc musl-tools
    need diet dietlibc-dev
    need /usr/include/x86_64-linux-gnu/asm/unistd_64.h linux-libc-dev
    echo 'int main;' | cc -m32 -xc -shared -o /dev/null - 2>/dev/null || missing="$missing gcc-multilib"
    for tool in skopeo umoci buildah strace debootstrap podman runc crun runsc git perl python3 fakeroot faketime eatmydata; do
        need $tool $tool
    done
    need busybox busybox-static
    need systemd-analyze systemd
    need /usr/lib/python3/dist-packages/jsonschema python3-jsonschema
    need setcap libcap2-bin
    need bsdtar libarchive-tools
    need zstd zstd
    need ip iproute2
    need $libs/libjemalloc.so.2 libjemalloc2
    need javac default-jdk-headless
    need go golang-go
    need sudo sudo
    need skopeo skopeo
    need umoci umoci
    need lintian lintian
    need dpkg-parsechangelog dpkg-dev
    need man man-db
    need zsh zsh
    need fish fish
    need numactl numactl
    need keyctl keyutils
    need node nodejs
    need runsc runsc
    need inotifywait inotify-tools
    need chromium chromium
    need /usr/share/doc/liblinux-inotify2-perl liblinux-inotify2-perl
    need /usr/share/doc/libio-epoll-perl libio-epoll-perl
    need pip3 python3-pip
    # For psutil of PyPI, which is built.
    set -- /usr/include/python3.[0-9]*/Python.h
    [ -e "$1" ] || missing="$missing python3-dev"
    set -- /usr/lib/python3.[0-9]*/test/test_os.py
    [ -e "$1" ] || python_tests=missing
    ;;
deb)
    need dpkg-parsechangelog dpkg-dev
    ;;
kernels)
    need qemu-system-x86_64 qemu-system-x86
    need cpio cpio
    need jq jq
    need setpriv util-linux
    need /usr/share/containers/seccomp.json golang-github-containers-common
    need xz xz-utils
    need busybox busybox-static
    need debootstrap debootstrap
    need npm npm
    need node nodejs
    need java default-jre-headless
    python3 -m pip --version >/dev/null 2>&1 || missing="$missing python3-pip"
    need /usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
    ;;
bench)
    need java default-jre-headless
    for tool in fakeroot faketime eatmydata python3; do
        need $tool $tool
    done
    ;;
*)
    echo "install-needed.sh: build, lint, test, deb, kernels or bench, not \"$1\"" >&2
    exit 1
    ;;
esac

rust_is_new_enough || rust=missing

if [ -z "$missing$rust$lint$python_tests" ]; then
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    echo "missing, to be installed as root:$missing${python_tests:+ libpython3.*-testsuite}${rust:+ cargo (1.85 or newer)}${lint:+ clippy and rustfmt}" >&2
    exit 1
fi
apt-get update -q >/dev/null
# trixie's own cargo is 1.85; bookworm's is older, and has a newer one beside it as cargo-web.
if apt-cache show cargo-web >/dev/null 2>&1; then
    missing="$missing${rust:+ cargo-web rustc-web}${lint:+ rust-web-clippy rustfmt-web}"
else
    missing="$missing${rust:+ cargo rustc}${lint:+ rust-clippy rustfmt}"
fi
# The tests of Python are in a package of the version's own.
if [ -n "$python_tests" ]; then
    python=$(apt-cache depends python3 | sed -n 's/.*Depends: python\(3\.[0-9]*\)$/\1/p' | head -n 1)
    missing="$missing libpython$python-testsuite"
fi
echo "installing:$missing"
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/dev/null
