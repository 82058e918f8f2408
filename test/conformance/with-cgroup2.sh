#!/bin/sh
# with-cgroup2.sh COMMAND…: with control groups of version 2 only, in a mount namespace of its own; nothing of the machine's changes.
if [ "$1" = --inside ]; then
  shift
  umount --recursive /sys/fs/cgroup || exit 1
  mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 1
  exec "$@"
fi
exec unshare --mount --propagation private "$0" --inside "$@"
