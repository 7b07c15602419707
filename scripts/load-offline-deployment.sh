#!/bin/sh
# Loads the package. Where there is no Node, Cortex comes first: its own image, checked with sha256sum, then does the rest.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/runtime.sh"

package=${IMAGE_DIR:-$root/cortex-offline-images}
archive="cortex-$version.tar"

load_cortex() {
  [ -f "$package/manifest.json" ] ||
    fail 2 "There is no package at $package: it has no manifest.json." \
      'Copy the folder cortex-offline-images here, or name it: IMAGE_DIR=/path make load-offline'
  [ -f "$package/$archive" ] ||
    fail 3 "$archive is not in the package, and this repository is Cortex $version." \
      'Bring the package and the repository of the same version, copied together.'
  [ -f "$package/checksums.txt" ] ||
    fail 3 'checksums.txt is not in the package, so nothing in it can be trusted.' "Copy checksums.txt from the medium again."
  expected=''
  while read -r sum name; do
    [ "$name" = "$archive" ] && expected=$sum
  done <"$package/checksums.txt"
  found=$(sha256sum "$package/$archive" | cut -d ' ' -f 1)
  [ "$found" = "$expected" ] ||
    fail 3 "$archive is not what was packed: its SHA-256 is not the one in checksums.txt." \
      "Copy $archive from the medium again. Nothing was loaded."
  echo "Cortex itself first: $archive"
  docker load --quiet --input "$package/$archive" >/dev/null ||
    fail 4 "Docker could not load $archive." 'docker info shows its state; df -h shows whether its disk is full.'
}

need_docker
case $(runtime) in
  none) load_cortex ;;
esac
exec "$root/cortex" offline load "$@"
