#!/bin/sh
# Makes the profiles of common hosts: `evercall probe` on Debian's kernels in virtual machines, bare and as in a container
# under podman's default seccomp profile and capabilities. usage: profiles/make.sh (after `make command`)
# Written here: debian-11.json, debian-11-podman.json, ... What an answer rests on is left out but for who says no.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
evercall=$here/../dist/evercall
making=$(mktemp -d)
trap 'rm -rf "$making"' EXIT
trap 'exit 1' HUP INT TERM

root=$making/root
mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/tmp"
add() { # a file of this machine, with the libraries that it needs
    install -D -m 755 "$1" "$root$1"
    for library in $(ldd "$1" 2>/dev/null | grep -o '/[^ )]*'); do
        install -D -m 755 "$library" "$root$library"
    done
}
add /usr/bin/setpriv
add "$(command -v busybox)"
cp "$(command -v busybox)" "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
cp "$evercall" "$root/evercall"
cp /usr/share/containers/seccomp.json "$root/seccomp.json"

cat > "$root/init" <<'INIT'
#!/bin/busybox sh
export PATH=/bin:/usr/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm
mount -t tmpfs shm /dev/shm
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t securityfs security /sys/kernel/security
ulimit -n 1048576
# What containers-common and podman leave a container.
capabilities=-all,+chown,+dac_override,+fowner,+fsetid,+kill,+net_bind_service,+setfcap,+setgid,+setpcap,+setuid,+sys_chroot
/evercall probe --format json -o /tmp/bare
/evercall simulate --seccomp /seccomp.json -- /usr/bin/setpriv --bounding-set="$capabilities" --inh-caps=-all \
    /evercall probe --format json -o /tmp/podman
for name in bare podman; do
    echo
    echo "@begin $name"
    gzip -c "/tmp/$name" | base64
    echo "@end $name"
done
reboot -f
INIT
chmod 755 "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet --owner 0:0) > "$making/initramfs"

for pair in bullseye:debian-11 bookworm:debian-12 trixie:debian-13 sid:debian-sid; do
    suite=${pair%:*}
    name=${pair#*:}
    kernel=$("$here/../tests/kernels/fetch.sh" "$suite")
    timeout 300 qemu-system-x86_64 -accel tcg,thread=single -cpu max -nodefaults -no-reboot -smp 1 -m 768 \
        -nographic -serial stdio -append "console=ttyS0 panic=-1 loglevel=3" -kernel "$kernel/vmlinuz" \
        -initrd "$making/initramfs" < /dev/null > "$making/console"
    for which in bare podman; do
        file=$here/$name.json
        [ "$which" = bare ] || file=$here/$name-podman.json
        tr -d '\r' < "$making/console" | sed -n "/^@begin $which/,/^@end $which/p" | grep -v '^@' |
            base64 -d | gzip -dc | jq '
            del(.rules, .libc, .container, .unseen, .process.uid_map, .cgroup.groups)
            | .calls |= (map_values(select(.by) | {by}))' > "$file.new"
        if [ "$which" = podman ]; then
            # The profile is for i386, too (archMap), which `evercall simulate` does not carry out.
            ia32=$(jq .machine.ia32 "$here/$name.json")
            jq ".machine.ia32 = $ia32" "$file.new" > "$file.ia32"
            mv "$file.ia32" "$file.new"
        fi
        mv "$file.new" "$file"
        echo "$file"
    done
done
