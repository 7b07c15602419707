#!/bin/bash
# Puts on a bare Debian bookworm, as root, what the docker, browser and guide tests need. Quick when all is there.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
ground=${CORTEX_GROUND:-$root/.tests/ground}
packages=(ca-certificates docker.io runc chromium debootstrap docker-registry iproute2 iptables tcpdump util-linux make
  dosfstools mtools openssl podman skopeo postgresql redis-server)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "ground: installing ${missing[*]}"
  apt-get update -q
  # Packaged daemons must not start by themselves: the tests start their own.
  hook=/usr/sbin/policy-rc.d
  if [ ! -e "$hook" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$hook"
    chmod +x "$hook"
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
fi

# Compose v2 and the 26.1 engine are not in bookworm. Trixie's run on it when unpacked beside bookworm's runc.
trixie=$ground/trixie
wanted=(docker.io docker-cli containerd docker-compose docker-buildx)
if [ ! -e "$trixie/.unpacked" ]; then
  private=$ground/apt
  mkdir -p "$private/lists/partial" "$private/cache/archives/partial" "$private/sources.list.d" "$ground/debs" "$trixie"
  for source in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list; do
    [ -f "$source" ] || continue
    grep -q bookworm "$source" || continue
    grep -qi debian "$source" || continue
    sed 's/bookworm/trixie/g' "$source" >"$private/sources.list.d/trixie-$(basename "$source")"
  done
  options=(
    -o "Dir::State=$private" -o "Dir::State::lists=$private/lists" -o "Dir::State::status=$private/status"
    -o "Dir::Cache=$private/cache" -o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$private/sources.list.d"
    -o APT::Sandbox::User=root -o APT::Update::Post-Invoke-Success::= -o APT::Get::List-Cleanup=0
  )
  : >"$private/status"
  echo "ground: fetching ${wanted[*]} of trixie"
  apt-get "${options[@]}" update -q
  (cd "$ground/debs" && apt-get "${options[@]}" download -q "${wanted[@]}")
  for deb in "$ground"/debs/*.deb; do dpkg-deb -x "$deb" "$trixie"; done
  touch "$trixie/.unpacked"
fi

plugins=/usr/libexec/docker/cli-plugins
mkdir -p "$plugins"
for plugin in docker-compose docker-buildx; do
  found=$(find "$trixie/usr" -type f -name "$plugin" -path '*cli-plugins*' | head -n 1)
  if ! cmp -s "$found" "$plugins/$plugin"; then install -m 755 "$found" "$plugins/$plugin"; fi
done
docker compose version
echo "ground: ready ($("$trixie/usr/sbin/dockerd" --version))"
