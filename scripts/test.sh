#!/bin/sh
# All tests that this machine can run. Docker and browser tests need the ground (tests/ground/README.md); with CI or
# REQUIRE_DOCKER set it is a failure that they could not run.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/runtime.sh"
cd "$root"
ensure_built
rm -rf tests/artifacts/results
npm run --silent test:unit
npm run --silent test:clients
ground=${CORTEX_GROUND:-$root/.tests/ground}
if [ -e "$ground/env" ]; then
  . "$ground/env"
  npm run --silent test:docker
  npm run --silent test:browser
elif [ -n "${CI:-}${REQUIRE_DOCKER:-}" ]; then
  fail 4 'The Docker and browser tests could not run: the ground is not up.' 'bash tests/ground/install.sh && . tests/ground/up.sh'
else
  echo 'Left out: the Docker and browser tests. They need Debian, root and: bash tests/ground/install.sh && . tests/ground/up.sh'
fi
node tests/summary.mjs
