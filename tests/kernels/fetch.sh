#!/bin/sh
# Fetches Debian's kernel of a suite for the kernel matrix and prints the folder that holds it: vmlinuz, config,
# release, and two small modules. Looks for a newer one once a week; without a network the last one stays.
# usage: fetch.sh SUITE
# It is the cloud kernel: a third of the size, built from the same source with the same options for old
# interfaces but the x32 ones. Kept in $EVERCALL_ROOTS/kernels, else /var/cache/evercall/kernels (or the user's own cache), and renamed
# into place when whole. The archive is this machine's own, as its apt knows it.
set -eu

suite=$1
here=$(dirname "$0")
. "$here/../debian-apt.sh"
cache=$(cache_folder)/kernels
current=$cache/$suite # a link to the newest

if [ -n "$(find "$current/" -maxdepth 1 -name checked -mtime -7 2>/dev/null)" ]; then
    readlink -f "$current"
    exit 0
fi

mkdir -p "$cache"
making=$(mktemp -d "$cache/.making.XXXXXX")
finish() {
    rm -rf "$making"
    if [ "$1" != 0 ] && [ -e "$current/vmlinuz" ]; then
        echo "fetch.sh: no news of $suite, so the kernel fetched before" >&2
        readlink -f "$current"
        exit 0
    fi
}
trap 'finish $?' EXIT
trap 'exit 1' HUP INT TERM


# The suite of security updates, if there is one, has the newest; it goes before the main suite does.
lists() {
    if [ "$suite" != sid ] && security=$(archive Debian-Security) &&
        private_lists "$main $suite main" "$security $suite-security main"; then
        return
    fi
    private_lists "$main $suite main"
}

fetch() {
    main=$(archive)
    lists
    # Since 7.0 the image package is empty, and needs others for the kernel, its config and modules.
    packages=$(private_apt apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts \
        --no-breaks --no-replaces --no-enhances linux-image-cloud-amd64 |
        grep -E '^linux-(image|base|binary|modules)-[0-9]')
    mkdir "$making/debs" "$making/kernel"
    # shellcheck disable=SC2086 # a list of words
    (cd "$making/debs" && private_apt apt-get download $packages)
    version=$(dpkg-deb -f "$making"/debs/linux-image-*.deb Version)
    for package in "$making"/debs/*.deb; do
        dpkg-deb -x "$package" "$making/files"
    done

    kernel=$making/kernel
    find "$making/files" -name 'vmlinuz*' -type f -exec cp {} "$kernel/vmlinuz" \;
    find "$making/files" \( -path '*/boot/config-*' -o -path '*/modules/*/config' \) -type f \
        -exec cp {} "$kernel/config" \;
    find "$making/files" -path '*/modules/*' -type d -name '[0-9]*.[0-9]*-amd64' -printf '%f\n' >"$kernel/release"
    for module in drivers/net/dummy drivers/block/loop; do
        file=$(find "$making/files" -path "*/kernel/$module.ko*" -type f)
        case $file in
        *.xz) xz -dc "$file" ;;
        *) cat "$file" ;;
        esac >"$kernel/$(basename "$module").ko"
    done
    for file in vmlinuz config release dummy.ko loop.ko; do
        [ -s "$kernel/$file" ] || {
            echo "fetch.sh: no $file in $packages" >&2
            exit 1
        }
    done
    touch "$kernel/checked"
    chmod 755 "$kernel"

    # Whoever comes second keeps the first one's. Those of last month are in nobody's use any more.
    whole=$suite-$version
    mv -T "$kernel" "$cache/$whole" 2>/dev/null || touch "$cache/$whole/checked"
    ln -s "$whole" "$making/link"
    mv -T "$making/link" "$current"
    find "$cache" -maxdepth 1 -name "$suite-*" ! -name "$whole" -mtime +30 -exec rm -rf {} +
}
fetch >&2
readlink -f "$current"
