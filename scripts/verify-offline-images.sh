#!/bin/sh
# Is this machine ready: every required image there, and the one that the package records. Exit code 0 only when it is.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
exec "$root/cortex" offline verify "$@"
