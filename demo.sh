#!/bin/sh
# Shows legacy programs failing bare and living under evercall, side by side, and what was translated.
# usage: make demo (which builds first)
set -u
cd "$(dirname "$0")"
legacy=test-programs/build/legacy
export EVERCALL_LIB=dist/libevercall.so
# A kernel built without modules has none to tell of.
[ -e /proc/modules ] && questions= || questions='release somaxconn ustat sysfs epoll'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Two columns of one program: bare, and under evercall.
side_by_side() { # WORDS OF A LAUNCHER... PROGRAM
    # shellcheck disable=SC2086 # a list of words
    "$@" $questions >"$work/bare" 2>&1
    bare=$?
    dist/evercall run --log all --log-to "$work/log" -- \
        "$@" $questions >"$work/evercall" 2>&1
    under=$?
    printf '%-62s| %s\n' "bare" "evercall run" "----" "------------"
    paste -d'\n' "$work/bare" "$work/evercall" | while IFS= read -r left && IFS= read -r right; do
        printf '%-62s| %s\n' "$left" "${right#*  }" | sed 's/|  */| /'
    done
    printf '%-62s| %s\n' "failures: $bare" "failures: $under"
}

echo "== This host: Linux $(uname -r)"
side_by_side env "$legacy"
echo
echo "== A host of tomorrow: the same, with ustat, sysfs and epoll_create gone as well"
side_by_side dist/evercall simulate --deny ustat,sysfs,epoll_create -- "$legacy"
echo
echo "== What was translated there (EVERCALL_LOG=all)"
tail -n 7 "$work/log"
: >"$work/log"
echo
echo "== A new libc under an old seccomp profile, which answers EPERM for clone3 and faccessat2"
questions=
side_by_side dist/evercall simulate --deny clone3:EPERM,faccessat2:EPERM -- test-programs/build/modern_libc
echo
cat "$work/log"
