# Everyday programs, each check with all that it prints and its exit status. Runs in an empty folder.
export LC_ALL=C GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE=@1000000000 GIT_COMMITTER_DATE=@1000000000

check() { # NAME COMMANDS
    echo "@@@ $1"
    timeout 20 bash -c "$2" </dev/null 2>&1
    echo "exit $?"
}

mkdir -p a/b
seq 2000 >a/numbers
ln -s numbers a/link
ln a/numbers a/hard
chmod 750 a/b
touch -h -d @1000000000 a/link a/numbers a/b
touch -d @1000000000.5 a

check 'ls -l' 'ls -ln --time-style=full-iso a | grep -v total; ls -l nosuch'
check 'stat' 'stat -c "%a %F %h %s %y" a/hard a/link a/b; stat nosuch'
check 'cp -a' 'cp -a a copied && diff -r a copied && ls -ln --time-style=full-iso copied/link copied/numbers
    cp --reflink=auto --sparse=always a/numbers sparse; cmp a/numbers sparse'
check 'mv -n' 'echo one >one; echo two >two; mv -n one two; cat one two; mv -n one three; mv -T copied moved
    mv -b two three; cat three three~'
check 'find' 'find a -newermt 2001-01-01 -type f -size +1k -printf "%p %m %n\n" | sort
    find a -readable -writable | wc -l; find a -name nosuch -delete'
check 'tar' 'tar --sort=name --mtime=@0 --owner=0 --group=0 -cf all.tar a; tar tvf all.tar; mkdir out
    tar xpf all.tar -C out; find out -printf "%p %m\n" | sort; tar -C out -czf - a | tar tzf - | wc -l'
check 'git' 'mkdir g; cd g; git init -q . && echo x >f && git add f
    git -c user.name=a -c user.email=a@b commit -qm first; git log --format="%H %s %an %at"
    git clone -q . ../clone && git gc -q && git status --short; git grep --threads=4 x; git -C ../clone log --oneline'
check 'sort' 'seq 100000 | shuf --random-source=/bin/ls | sort -n -S 256K --parallel=2 | md5sum; sort nosuch
    seq 3 | sort -R | wc -l'
check 'dd' 'dd if=/dev/zero of=dd bs=4096 count=10 seek=5 conv=fsync,notrunc status=none; stat -c %s dd
    dd if=dd bs=1k skip=3 count=4 iflag=fullblock status=none | wc -c; dd if=/dev/urandom bs=64 count=1 status=none | wc -c
    truncate -s 1M t; fallocate -l 4096 t; stat -c %s t; shred -u -n1 dd; ls dd'
check 'tail -f' 'echo 1 >tailed; (sleep 0.3; echo 2 >>tailed; sleep 0.2; echo 3 >>tailed) & timeout 1.5 tail -f tailed'
check 'tail --pid' 'sleep 0.2 & timeout 5 tail -s0.05 -f tailed --pid=$!'
check 'job control' 'exec 2>/dev/null; set -m; sleep 9 & sleep 0.5 & jobs; kill %1; wait %1; echo $?; wait %2; echo $?
    state() { until [ "$(ps -o s= $!)" = $1 ]; do sleep 0.05; done; }
    sleep 9 & kill -STOP %%; state T; jobs; kill -CONT %%; state S; jobs; kill %%; wait %%; echo $?'
check 'bash' 'coproc cat; echo x >&${COPROC[1]}; read -ru ${COPROC[0]} line; echo $line; diff <(seq 3) <(seq 4)
    mapfile -t lines < <(seq 3); echo ${#lines[@]}; test -r /etc/passwd -a -w . && echo yes; [[ -x /etc/passwd ]] || echo no
    trap "echo winch" WINCH; kill -WINCH $$; ulimit -Sn; umask; (ulimit -n 100; ulimit -n)'
check 'perl' 'perl -MFile::Temp=tempdir -MSocket -MTime::HiRes=utime -e "
    \$d = tempdir(CLEANUP => 1); print -w \$d ? qq(w\n) : qq(no\n); utime(1000000000.25, 1000000000.5, \$d);
    print((stat \$d)[9], qq(\n)); socketpair(A, B, AF_UNIX, SOCK_STREAM, 0); syswrite A, q(hi); sysread B, \$x, 2;
    print qq(\$x\n); \$| = 1; pipe(R, W); if (fork) { close W; print <R>; wait; print \$? >> 8, qq(\n) } else { print W qq(child\n); close W; exec q(false) }"'
check 'apt-get --simulate' 'apt-get -qq --simulate remove gcc 2>/dev/null | grep -o "^Remv gcc "; apt-cache show bash | grep -m1 ^Package'
check 'dpkg' 'dpkg-query -W -f "\${Package} \${Status}\n" bash; dpkg -S /bin/bash'
check 'systemd-tmpfiles' 'command -v systemd-tmpfiles >/dev/null || exit 0
    printf "d $PWD/made/sub 0750 root root\nf $PWD/made/sub/file 0640 root root - text\n" >made.conf
    systemd-tmpfiles --create $PWD/made.conf; stat -c "%A %n" made/sub made/sub/file; cat made/sub/file'
check 'chmod' 'chmod -R g+w,o-r a; stat -c %A a a/b a/numbers; install -m 4755 -D a/numbers i/j; stat -c %a i/j
    rm -rf clone; ls clone'
check 'util-linux' 'flock lock echo locked; timeout 0.1 sleep 5; nice -n 5 nice; taskset 1 echo taskset; chrt -o 0 echo chrt
    prlimit --nofile=100 bash -c "ulimit -n"; ionice -c2 -n3 ionice; mountpoint -q / && echo mounted
    mkfifo p; (echo fifo >p &); cat p; script -qec "echo tty" /dev/null'
check 'end' ''
