#!/bin/sh
# Loads the package. Where there is no Node, Cortex comes first: its own image, checked with sha256sum (and the signature with
# openssl, where that is there), then does the rest. IMAGE_DIR names the package, or its volumes with a colon between.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/runtime.sh"

archive="cortex-$version.tar"

# The folder that holds Cortex's own archive: of a package of several volumes, one of them.
find_package() {
  old_ifs=$IFS
  IFS=:
  for folder in $(package_folders); do
    for place in "$folder" "$folder"/volume-*; do
      if [ -f "$place/manifest.json" ] && [ -f "$place/$archive" ]; then
        IFS=$old_ifs
        printf '%s' "$place"
        return
      fi
    done
  done
  IFS=$old_ifs
}

load_cortex() {
  package=$(find_package)
  if [ -z "$package" ]; then
    folder=$(package_folders)
    [ -f "${folder%%:*}/manifest.json" ] || [ -f "${folder%%:*}/volume-001/manifest.json" ] ||
      fail 2 "There is no package at $folder: it has no manifest.json." \
        'Copy the folder cortex-offline-images here, or name it: IMAGE_DIR=/path make load-offline'
    fail 3 "$archive is not in the package, and this repository is Cortex $version." \
      'Bring the package and the repository of the same version, copied together.'
  fi
  [ -f "$package/checksums.txt" ] ||
    fail 3 'checksums.txt is not in the package, so nothing in it can be trusted.' "Copy checksums.txt from the medium again."
  check_signature "$package"
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

# Cortex checks the signature of everything as soon as it runs. Where openssl is there, it is checked before that.
check_signature() {
  command -v openssl >/dev/null 2>&1 || return 0
  [ -f "$1/manifest.json.sig" ] || return 0
  for key in "$root"/.cortex/trusted-keys/*.pub; do
    [ -f "$key" ] || return 0
    if openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$1/manifest.json" -sigfile "$1/manifest.json.sig" >/dev/null 2>&1; then
      sum=$(sha256sum "$1/$archive" | cut -d ' ' -f 1)
      while read -r line; do
        case $line in *"$sum"*) return 0 ;; esac
      done <"$1/manifest.json"
      fail 3 "$archive is not the one that the signed manifest.json names." "Copy $archive from the medium again. Nothing was loaded."
    fi
  done
}

need_docker
case $(runtime) in
  none) load_cortex ;;
esac
exec "$root/cortex" offline load "$@"
