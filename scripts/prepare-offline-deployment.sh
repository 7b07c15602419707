#!/bin/sh
# Makes the offline package on a connected machine. VLLM_VERSION=v0.7.0 and the like choose other versions (versions.env).
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
exec "$root/cortex" offline prepare "$@"
