#!/bin/sh
# with-umask.sh UMASK COMMAND…: the runner itself needs umask 022.
umask "$1"
shift
exec "$@"
