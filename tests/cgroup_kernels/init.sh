#!/bin/busybox sh
# The guest's first process: runs each client of /clients in a container of 512 MiB and a processor and a half, bare and
# under evercall, and prints a line for each: @ HOW NAME ANSWER.
export PATH=/usr/bin:/bin HOME=/ LC_ALL=C NO_COLOR=1
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t cgroup2 cgroup /sys/fs/cgroup
# Only emergencies from the kernel: the rest would come between our lines.
dmesg -n 1
for controller in cpuset cpu io memory pids; do
    echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
done
mkdir /sys/fs/cgroup/box
echo 536870912 >/sys/fs/cgroup/box/memory.max
echo 150000 100000 >/sys/fs/cgroup/box/cpu.max
echo "@ kernel release $(uname -r)"

cat >/tmp/box <<'BOX'
echo $$ >/sys/fs/cgroup/box/cgroup.procs
exec /usr/bin/unshare -C -m /bin/sh -c 'umount /sys/fs/cgroup && mount -t cgroup2 cgroup /sys/fs/cgroup && exec "$@"' sh "$@"
BOX

# What a JVM makes of it: the largest heap, and the number of processors it found last.
java_says() {
    "$@" -XX:+PrintFlagsFinal -Xlog:os=trace,os+container=trace -version 2>&1 | awk '
        / MaxHeapSize / { heap = $4 }
        /active_processor_count.*: [0-9]+$/ { count = $NF }
        END { print heap, count }'
}

run() { # HOW NAME PROGRAM WORD...
    how=$1 name=$2
    shift 2
    preload=
    [ "$how" = bare ] || preload=LD_PRELOAD=/evercall/libevercall.so
    case $name in
    java*) answer=$(java_says /bin/sh /tmp/box env $preload "$@") ;;
    *) answer=$(/bin/sh /tmp/box env $preload "$@" 2>&1 | tr '\n' ' ') ;;
    esac
    echo "@ $how $name $answer"
}

while read -r name words; do
    for how in bare evercall; do
        eval "run $how $name $words"
    done
done </clients
echo "@ all done"
poweroff -f
