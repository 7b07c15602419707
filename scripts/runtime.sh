# What every script shares: where we are, which Cortex this is, and how to run it. Needs `root`; POSIX sh and coreutils only,
# because the inside host has nothing else.

version=$(. "$root/versions.env" && printf '%s' "$CORTEX_VERSION")
image="cortex:$version"
run_dir="$root/.cortex/run"

fail() { # exit code, message, next command
  printf 'Error: %s\n  → %s\n' "$2" "$3" >&2
  exit "$1"
}

docker_works() { command -v docker >/dev/null 2>&1 && docker version >/dev/null 2>&1; }

need_docker() {
  docker_works && return
  fail 4 "No Docker Engine answers${DOCKER_HOST:+ at $DOCKER_HOST}." \
    'Install Docker Engine (on Debian: apt-get install docker.io), start it (systemctl start docker), then type the same command again.'
}

has_image() { docker_works && docker image inspect "$image" >/dev/null 2>&1; }

# Node 20.19 is the oldest that every package of ours supports.
has_node() {
  command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 &&
    node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'
}

runtime() {
  if [ -n "${CORTEX_RUNTIME:-}" ]; then
    printf '%s' "$CORTEX_RUNTIME"
  elif has_node; then
    printf node
  elif has_image; then
    printf image
  else
    printf none
  fi
}

# Installs and builds what a checkout lacks, so that one command is enough on a fresh machine.
ensure_built() {
  (
    cd "$root"
    if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
      echo 'Installing packages (npm ci)…' >&2
      npm ci --no-audit --no-fund --loglevel=error >&2
    fi
    stamp=dist/.built
    if [ ! -e "$stamp" ] || [ -n "$(find contract docker offline backend/src cli frontend package.json -newer "$stamp" -type f ! -name '*.test.ts' | head -n 1)" ]; then
      echo 'Building Cortex (npm run build)…' >&2
      npm run --silent build >&2
      touch "$stamp"
    fi
  )
}

run_cortex() {
  case $(runtime) in
    node)
      ensure_built
      CORTEX_ROOT=$root exec node "$root/dist/cli/main.js" "$@"
      ;;
    image) run_in_image node /opt/cortex/dist/cli/main.js "$@" ;;
    *)
      fail 1 'There is neither Node 20.19 or newer nor the image of Cortex on this machine.' \
        'Inside: make load-offline loads the image from the package. Outside: install Node 20.19 or newer.'
      ;;
  esac
}

# The packaged image with this repository, the package and the Engine's socket; files it writes belong to whoever runs it.
run_in_image() {
  need_docker
  docker_host=${DOCKER_HOST:-unix:///var/run/docker.sock}
  socket=${docker_host#unix://}
  package=$(package_folders)
  # Folders that the command names have to be seen inside; only reading is allowed there.
  previous=''
  for word; do
    if [ "$previous" = --image-dir ]; then
      case $word in /*) ;; *) word=$PWD/$word ;; esac
      package=$package:$word
    fi
    previous=$word
  done
  set -- "$image" "$@"
  if [ -t 0 ] && [ -t 1 ]; then set -- -it "$@"; fi
  old_ifs=$IFS
  IFS=:
  for folder in $package; do
    if [ -d "$folder" ]; then set -- -v "$folder:$folder:ro" "$@"; fi
  done
  IFS=$old_ifs
  models=$(setting CORTEX_MODELS_DIR_HOST "$(setting CORTEX_MODELS_DIR /var/cortex/models)")
  if [ -d "$models" ]; then set -- -v "$models:$models" "$@"; fi
  if [ -S "$socket" ]; then set -- -v "$socket:$socket" --group-add "$(stat -c %g "$socket")" "$@"; fi
  mkdir -p "$root/.cortex/package"
  docker run --rm --pull never --network host --user "$(id -u):$(id -g)" \
    -v "$root:$root" -w "$root" -e "CORTEX_ROOT=$root" -e "DOCKER_HOST=$docker_host" -e "IMAGE_DIR=$(package_folders)" \
    -e "XDG_CONFIG_HOME=$root/.cortex" -e SUDO_USER -e VLLM_VERSION -e LLAMACPP_TAG \
    -e CORTEX_URL -e CORTEX_USERNAME -e CORTEX_PASSWORD_FILE -e HOME=/tmp "$@"
}

# IMAGE_DIR with whole paths: one folder, or one for each volume with a colon between.
package_folders() {
  list=''
  old_ifs=$IFS
  IFS=:
  for folder in ${IMAGE_DIR:-$root/cortex-offline-images}; do
    case $folder in /*) ;; *) folder=$PWD/$folder ;; esac
    list="$list${list:+:}$folder"
  done
  IFS=$old_ifs
  printf '%s' "$list"
}

# A file that an operator appends to must end with a line end: `echo X=1 >> backend/.env` would run two settings together.
ensure_env_file() {
  env_file="$root/backend/.env"
  [ -e "$env_file" ] || (umask 077 && : >"$env_file")
  if [ -s "$env_file" ] && [ -n "$(tail -c 1 "$env_file")" ]; then printf '\n' >>"$env_file"; fi
}

# The value of a setting: the environment first, then the last line of backend/.env that names it.
setting() { # name, default
  eval "value=\${$1:-}"
  if [ -z "$value" ] && [ -e "$root/backend/.env" ]; then
    while IFS= read -r line || [ -n "$line" ]; do
      case $line in
        "$1="*) value=${line#*=} value=${value%% *} value=${value%%	*} ;;
      esac
    done <"$root/backend/.env"
  fi
  printf '%s' "${value:-$2}"
}

is_offline() { case $(setting OFFLINE_MODE False) in [Tt][Rr][Uu][Ee] | 1 | [Yy][Ee][Ss] | [Oo][Nn]) return 0 ;; *) return 1 ;; esac; }
