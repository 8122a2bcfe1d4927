# Applets of BusyBox, each a static program of its own, with what it prints and its exit status.
b() { busybox "$@"; echo "$1: $?"; }
b mkdir d
b touch d/a
b ln -s a d/l
b ln d/a d/h
b chmod 600 d/a
b mv d/h d/m
b cp d/a d/c
b rm d/c
b ls d
b stat -c '%a %h' d/a
b readlink d/l
b mkfifo d/p
b find d -type p
b rmdir nosuch
b tar cf t d/a d/l
b tar tf t
b touch -d @1000000000 d/a
b date -u -r d/a +%Y
b sh -c 'echo piped | cat; (sleep 0 & wait; echo waited)'
b timeout 5 true
b rm -r d
