#!/bin/bash
# Ends what tests/ground/up.sh started, by process id. An engine that was there before stays.
set -u
ground=${CORTEX_GROUND:-$(cd "$(dirname "$0")/../.." && pwd)/.tests/ground}
for file in "$ground/registry.pid" "$ground/dockerd.pid"; do
  [ -f "$file" ] || continue
  kill "$(cat "$file")" 2>/dev/null && echo "ground: ended $(basename "$file" .pid)"
  rm -f "$file"
done
rm -f "$ground/env"
