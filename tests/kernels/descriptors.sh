#!/bin/sh
# init of a guest whose descriptor limit is that of containers under old daemons, 2^30 less 8: programs that loop over
# descriptors, or allocate for them, bare and under evercall. Prints "@limits WHAT HOW SECONDS ANSWER" a line each.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ LC_ALL=C
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
ip link set lo up 2>/dev/null
echo 1073741816 >/proc/sys/fs/nr_open
ulimit -n 1073741816

# Longest time, seconds.
most=15

now() {
    read -r up _ </proc/uptime
    echo "${up%.*}"
}

# WHAT HOW COMMAND...: its last line of output and its exit status.
run() {
    what=$1 how=$2
    shift 2
    began=$(now)
    if [ "$how" = bare ]; then
        timeout -s KILL "$most" "$@" >/tmp/answer 2>&1
    else
        timeout -s KILL "$most" env LD_PRELOAD=/evercall/libevercall.so "$@" >/tmp/answer 2>&1
    fi
    status=$?
    echo "@limits $what $how $(($(now) - began)) [exit $status] $(tail -1 /tmp/answer)"
    # What it has left looping.
    kill -9 -1 2>/dev/null
}

# A database of an old kind, which needs nothing but the schema.
mkdir /tmp/ldap
cat >/tmp/slapd.conf <<END
include /etc/ldap/schema/core.schema
pidfile /tmp/slapd.pid
database ldif
suffix "dc=x"
directory /tmp/ldap
END
cat >/tmp/slapd.sh <<'END'
rm -f /tmp/slapd.pid
slapd -f /tmp/slapd.conf -h ldapi://%2ftmp%2fldapi || exit
read -r pid </tmp/slapd.pid
grep VmPeak: /proc/$pid/status
kill "$pid"
while [ -e "/proc/$pid" ]; do :; done
END

# A package with a scriptlet, for a root without /proc, as under mock and debootstrap.
mkdir -p /tmp/rpm /tmp/root/bin /tmp/root/lib64
cat >/tmp/some.spec <<END
Name: some
Version: 1
Release: 1
Summary: some
License: none
BuildArch: noarch
%description
some
%post
:
%files
END
rpmbuild --quiet -bb --define '_topdir /tmp/rpm' /tmp/some.spec >/tmp/rpmbuild.log 2>&1 || cat /tmp/rpmbuild.log
cp /bin/sh /tmp/root/bin/
for library in $(ldd /bin/sh | grep -o '/[^ ]*'); do
    mkdir -p "/tmp/root${library%/*}"
    cp "$library" "/tmp/root$library"
done
cat >/tmp/rpm.sh <<'END'
rm -rf /tmp/root/.rpmdb /tmp/root/var
rpm --root /tmp/root --nodeps --force-debian -i /tmp/rpm/RPMS/noarch/some-1-1.noarch.rpm && rpm --root /tmp/root -q some
END

for how in bare preload; do
    run limits $how sh -c 'ulimit -n'
    run python2 $how python2.7 -c 'import subprocess; print(subprocess.call(["true"], close_fds=True))'
    run slapd $how sh /tmp/slapd.sh
    run rpm $how sh /tmp/rpm.sh
done
# Smaller, for a program that allocates by it.
export EVERCALL_NOFILE=65536
run slapd-65536 preload sh /tmp/slapd.sh
unset EVERCALL_NOFILE
# Set later: only where it is asked for.
for setting in off on; do
    export EVERCALL_NOFILE_CLAMP=$setting
    run later-$setting preload python2.7 -c 'import resource as r
r.setrlimit(r.RLIMIT_NOFILE, (2 ** 29, 2 ** 29)); print(r.getrlimit(r.RLIMIT_NOFILE))'
done
echo "@limits end"
# The last lines have to be out before the machine is reset.
python2.7 -c 'import termios; termios.tcdrain(1)'
echo b >/proc/sysrq-trigger
