# Starts the shared Docker Engine and the loopback registry, and builds and pushes the images. Source it for DOCKER_HOST.
cortex_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cortex_ground=${CORTEX_GROUND:-$cortex_root/.tests/ground}
mkdir -p "$cortex_ground" "$cortex_root/.tests/registry"
export DOCKER_HOST=${DOCKER_HOST:-unix:///var/run/docker.sock}

if ! docker version >/dev/null 2>&1; then
  setsid dockerd --host "$DOCKER_HOST" --pidfile "$cortex_ground/dockerd.pid" --log-level warn >"$cortex_ground/dockerd.log" 2>&1 </dev/null &
  for _ in $(seq 60); do docker version >/dev/null 2>&1 && break; sleep 0.5; done
fi
docker version --format 'ground: engine {{.Server.Version}}' || return 1 2>/dev/null || exit 1

if ! (exec 3<>/dev/tcp/127.0.0.1/5055) 2>/dev/null; then
  REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=$cortex_root/.tests/registry REGISTRY_HTTP_ADDR=127.0.0.1:5055 \
    setsid docker-registry serve "$cortex_root/tests/images/registry/config.yml" >"$cortex_ground/registry.log" 2>&1 </dev/null &
  echo $! >"$cortex_ground/registry.pid"
  for _ in $(seq 40); do (exec 3<>/dev/tcp/127.0.0.1/5055) 2>/dev/null && break; sleep 0.25; done
fi
node "$cortex_root/tests/images/build.mjs" || return 1 2>/dev/null || exit 1
echo "export DOCKER_HOST=$DOCKER_HOST" >"$cortex_ground/env"
echo "ground: up ($DOCKER_HOST, registry 127.0.0.1:5055)"
