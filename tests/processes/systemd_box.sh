#!/bin/sh
# Boots a systemd of its own as process 1 of new namespaces, on a copy of this machine's files that is thrown away, and starts nothing but its journal.
# Arguments: an empty folder, and pairs of a folder here and where it is read there. Says BOOTING just before systemd takes over.
set -e
scratch=$1
shift
if [ -z "$POSELIFT_BOX" ]; then # first a cgroup to be the root of those in there
    mount --make-rprivate /
    mount -t tmpfs tmpfs "$scratch"
    mkdir "$scratch/cgroup"
    mount -t cgroup2 cgroup2 "$scratch/cgroup"
    group=$scratch/cgroup/poselift-test-$$
    mkdir "$group"
    echo $$ > "$group/cgroup.procs"
    POSELIFT_BOX=inside exec unshare --mount --pid --cgroup --ipc --uts --net --fork --kill-child "$0" "$scratch" "$@"
fi
mkdir "$scratch/changes" "$scratch/work" "$scratch/root"
root=$scratch/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/changes,workdir=$scratch/work" "$root"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s /proc/self/fd "$root/dev/fd"
while [ $# -gt 0 ]; do
    mkdir -p "$root$2"
    mount --bind "$1" "$root$2"
    mount -o remount,bind,ro "$root$2"
    shift 2
done
rm -rf "$root/etc/systemd/system" "$root/lib/systemd/system/sysinit.target.wants"
mkdir -p "$root/etc/systemd/system" "$root/before"
printf '[Unit]\nDefaultDependencies=no\nWants=systemd-journald.service\n' > "$root/etc/systemd/system/sysinit.target"
cd "$root"
pivot_root . before
umount -l /before
rmdir /before
echo BOOTING
exec env -i container=poselift-test /lib/systemd/systemd --system --unit=sysinit.target --log-target=journal --show-status=no </dev/null >/dev/null 2>&1
