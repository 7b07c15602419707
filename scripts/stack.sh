#!/bin/sh
# Starts, stops and watches Cortex: as the compose stack where its image is loaded, else as one process with Node and the
# embedded database. MODE=compose|embedded forces one.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/runtime.sh"

mode() {
  if [ -n "${MODE:-}" ]; then
    printf '%s' "$MODE"
  elif [ -e "$run_dir/mode" ]; then
    cat "$run_dir/mode"
  else
    choose_mode
  fi
}

choose_mode() {
  if has_image; then
    printf compose
  elif has_node; then
    printf embedded
  else
    fail 1 'There is neither the image of Cortex nor Node 20.19 or newer on this machine.' \
      'Inside: make load-offline. Outside: install Node 20.19 or newer, then type the same command again.'
  fi
}

# --- the compose stack

compose() {
  ensure_env_file
  ensure_secret postgres-password
  ensure_secret redis-password
  mkdir -p "$root/.cortex/package"
  pull_policy=missing
  if is_offline; then pull_policy=never; fi
  docker_host=${DOCKER_HOST:-unix:///var/run/docker.sock}
  list=${COMPOSE_PROFILES:-$(profiles)}
  # Where the exporter does not run, Docker would ask the host's name servers for it.
  case ",$list," in *,gpu,*) exporter=http://dcgm-exporter:9400/metrics ;; *) exporter='' ;; esac
  CORTEX_PULL_POLICY=$pull_policy DOCKER_SOCKET=${docker_host#unix://} COMPOSE_PROFILES=$list CORTEX_DCGM_URL=$exporter \
    docker compose --env-file "$root/versions.env" --env-file "$root/backend/.env" --file "$root/deploy/compose.yaml" "$@"
}

# Exporters join where what they measure is there and their image is: they are optional in the package.
profiles() {
  list=''
  if [ "$(uname -s)" = Linux ] && image_of node-exporter && image_of cadvisor; then list=linux; fi
  if [ -e /dev/nvidiactl ] && image_of dcgm-exporter; then list="$list${list:+,}gpu"; fi
  printf '%s' "$list"
}

image_of() {
  reference=$(
    . "$root/versions.env"
    case $1 in
      node-exporter) printf 'prom/node-exporter:%s' "$NODE_EXPORTER_VERSION" ;;
      cadvisor) printf 'gcr.io/cadvisor/cadvisor:%s' "$CADVISOR_VERSION" ;;
      dcgm-exporter) printf 'nvidia/dcgm-exporter:%s' "$DCGM_EXPORTER_VERSION" ;;
    esac
  )
  docker image inspect "$reference" >/dev/null 2>&1
}

ensure_secret() {
  file="$root/.cortex/secrets/$1"
  [ -s "$file" ] && return
  (
    umask 077
    mkdir -p "$root/.cortex/secrets"
    head -c 24 /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_' >"$file.new"
    mv "$file.new" "$file"
  )
}

compose_up() {
  need_docker
  ensure_env_file
  run_in_image node /opt/cortex/dist/backend/src/main.js --check
  if is_offline; then
    readiness=$(run_in_image node /opt/cortex/dist/cli/main.js offline verify 2>&1) || {
      code=$?
      printf '%s\n' "$readiness" >&2
      exit "$code"
    }
  fi
  if ! compose up --detach --wait --wait-timeout 180 "$@"; then
    compose ps --all --format 'table {{.Service}}\t{{.Status}}' >&2
    compose logs --no-color --tail 15 cortex >&2
    fail 1 'The stack did not become healthy.' 'The table above shows which service; docker logs cortex-SERVICE-1 shows why.'
  fi
}

compose_down() {
  need_docker
  engines=$(docker ps --all --quiet --filter label=cortex.managed=true)
  if [ -n "$engines" ]; then
    echo 'Stopping the engines…'
    # One word an id is meant here.
    # shellcheck disable=SC2086
    docker rm --force $engines >/dev/null
  fi
  compose down --timeout 20
  docker network rm "$(setting CORTEX_ENGINE_NETWORK cortex-engines)" >/dev/null 2>&1 || true
}

# --- one process

process_id() { [ -s "$run_dir/pid" ] && kill -0 "$(cat "$run_dir/pid")" 2>/dev/null && cat "$run_dir/pid"; }

embedded_up() {
  ensure_env_file
  ensure_built
  if process_id >/dev/null; then
    echo 'Cortex is running already.'
    return
  fi
  CORTEX_ROOT=$root node "$root/dist/backend/src/main.js" --check
  mkdir -p "$run_dir"
  CORTEX_ROOT=$root nohup node "$root/dist/backend/src/main.js" >"$run_dir/cortex.log" 2>&1 </dev/null &
  echo $! >"$run_dir/pid"
  tries=0
  until node "$root/dist/cli/main.js" health >/dev/null 2>&1; do
    tries=$((tries + 1))
    if ! process_id >/dev/null || [ "$tries" -ge 60 ]; then
      tail -n 20 "$run_dir/cortex.log" >&2
      fail 1 'Cortex did not start; its last log lines are above.' 'make logs shows the whole log.'
    fi
    sleep 1
  done
}

embedded_down() {
  id=$(process_id) || {
    echo 'Cortex is not running.'
    return
  }
  kill "$id"
  tries=0
  while kill -0 "$id" 2>/dev/null && [ "$tries" -lt 30 ]; do
    tries=$((tries + 1))
    sleep 1
  done
  rm -f "$run_dir/pid"
  if docker_works; then
    engines=$(docker ps --all --quiet --filter label=cortex.managed=true)
    # shellcheck disable=SC2086
    if [ -n "$engines" ]; then docker rm --force $engines >/dev/null; fi
  fi
  echo 'Cortex has stopped.'
}

# --- the commands

up() {
  if [ -n "${MODE:-}" ]; then chosen=$MODE; else chosen=$(choose_mode); fi
  mkdir -p "$run_dir"
  "${chosen}_up"
  printf '%s' "$chosen" >"$run_dir/mode"
}

bootstrap() {
  if [ "$(mode)" = compose ]; then
    compose exec --no-TTY cortex node dist/cli/main.js bootstrap
  else
    CORTEX_ROOT=$root node "$root/dist/cli/main.js" bootstrap
  fi
}

quick_start() {
  up
  bootstrap
  host=localhost
  cat <<END

Cortex $version runs ($(mode) mode$(is_offline && printf ', offline mode on')).

  UI       http://$host:$(setting FRONTEND_PORT 3001)
  API      http://$host:$(setting GATEWAY_PORT 8084)/v1

Next: put a model's folder into $(setting CORTEX_MODELS_DIR_HOST "$(setting CORTEX_MODELS_DIR /var/cortex/models)"), sign in, and choose Models → Add model.
make status, make logs and make down do what they say.
END
}

restart() {
  case $(mode) in
    compose) compose_up --force-recreate --no-deps cortex ;;
    *)
      id=$(process_id) && {
        kill "$id"
        while kill -0 "$id" 2>/dev/null; do sleep 1; done
      }
      rm -f "$run_dir/pid"
      embedded_up
      ;;
  esac
  echo 'Cortex has started again.'
}

status() {
  case $(mode) in
    compose) compose ps --all --format 'table {{.Service}}\t{{.Image}}\t{{.Status}}' ;;
    *) if id=$(process_id); then echo "cortex   running (process $id, embedded database)"; else echo 'cortex   not running'; fi ;;
  esac
  echo
  "$root/cortex" health
}

logs() {
  case $(mode) in
    compose) compose logs --tail "${TAIL:-200}" ${FOLLOW:+--follow} ;;
    *) tail -n "${TAIL:-200}" ${FOLLOW:+-f} "$run_dir/cortex.log" ;;
  esac
}

command=${1:-}
case $command in
  quick-start) quick_start ;;
  up | restart | status | logs | bootstrap) "$command" ;;
  down) "$(mode)_down" ;;
  health) "$root/cortex" health ;;
  *) fail 2 "There is no '$command'." 'quick-start, up, down, restart, status, health, logs or bootstrap' ;;
esac
