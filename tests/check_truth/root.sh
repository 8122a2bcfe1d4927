# Puts folders over each other and runs a command there, with a mount and a process namespace of its own: all is gone when it ends.
# usage: unshare --mount --pid --fork sh root.sh EMPTY-FOLDER LOWER[:LOWER...] files|machine COMMAND...
#   files    the folders alone; the command's own folder is the root
#   machine  with /proc, /dev, /dev/shm and /tmp; the command is in the root
set -e
work=$1 lower=$2 with=$3
shift 3
mount -t tmpfs none "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay none -o "lowerdir=$lower,upperdir=$work/upper,workdir=$work/work" "$work/root"
cd "$work/root"
if [ "$with" = files ]; then
    exec "$@"
fi
mkdir -p proc dev tmp root
mount -t proc none proc
mount -t tmpfs none tmp
chmod 1777 tmp
mount -t tmpfs none dev
for device in null zero full random urandom; do
    : >"dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
ln -s /proc/self/fd dev/fd
mkdir dev/shm
chmod 1777 dev/shm
cd /
exec chroot "$work/root" "$@"
