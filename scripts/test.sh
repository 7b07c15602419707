#!/bin/sh
# All tests that this machine can run, in two lanes side by side: what shares the ground's Docker Engine, and all else.
# Docker and browser tests need the ground (tests/ground/README.md); with CI or REQUIRE_DOCKER set it is a failure that
# they could not run.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/runtime.sh"
cd "$root"
ensure_built
rm -rf tests/artifacts/results
mkdir -p tests/artifacts
ground=${CORTEX_GROUND:-$root/.tests/ground}
if [ ! -e "$ground/env" ]; then
  if [ -n "${CI:-}${REQUIRE_DOCKER:-}" ]; then
    fail 4 'The Docker and browser tests could not run: the ground is not up.' 'bash tests/ground/install.sh && . tests/ground/up.sh'
  fi
  npm run --silent test:unit
  npm run --silent test:clients
  node tests/summary.mjs
  echo 'Left out: the Docker and browser tests. They need Debian, root and: bash tests/ground/install.sh && . tests/ground/up.sh'
  exit 0
fi
. "$ground/env"

other=tests/artifacts/other-lane.log
(npm run --silent test:unit && npm run --silent test:clients && npm run --silent test:engines) >"$other" 2>&1 &
lane=$!
trap 'kill $lane 2>/dev/null' EXIT
shared=0
(npm run --silent test:docker && npm run --silent test:browser) || shared=$?
others=0
wait $lane || others=$?
trap - EXIT
cat "$other"
node tests/summary.mjs
[ $shared -eq 0 ] && [ $others -eq 0 ]
