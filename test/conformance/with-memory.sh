#!/bin/sh
# with-memory.sh DIRECTORY COMMAND…: the directory, where COMMAND has its temporary files, is in memory, in a mount namespace of its own. It
# stays on disk where a file system in memory can't be had, or can't hold a user's attributes of files.
if [ "$1" = --inside ]; then
  directory=$2
  shift 2
  export TMPDIR="$directory"
  if mount -t tmpfs -o mode=0755 tmpfs "$directory"; then
    touch "$directory/probe"
    setfattr -n user.probe "$directory/probe" 2>/dev/null && rm "$directory/probe" && exec "$@"
    umount "$directory"
  fi
  exec "$@"
fi
exec unshare --mount --propagation private "$0" --inside "$@"
