#!/usr/bin/env bash
# Installs the packages that are missing (conf/packages.txt; Debian 12, root or sudo), then
# configures and builds one preset.
#   conf/setup.sh [--preset NAME] [--target NAME]... [--packages-only] [-- CMAKE_OPTION...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=release
targets=()
packages_only=no
while [ $# -gt 0 ]; do
  case $1 in
    --preset) preset=$2; shift 2 ;;
    --target) targets+=("$2"); shift 2 ;;
    --packages-only) packages_only=yes; shift ;;
    --) shift; break ;;
    *) echo "setup.sh: unknown argument '$1', expected --preset, --target, --packages-only or --" >&2
       exit 2 ;;
  esac
done

missing=()
while read -r package command; do
  case $package in ''|'#'*) continue ;; esac
  # Some packages conflict with what brought their command already.
  if [ -n "$command" ] && command -v "$command" >/dev/null; then continue; fi
  state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done < conf/packages.txt
if [ ${#missing[@]} -gt 0 ]; then
  as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  echo "Installing: ${missing[*]}" >&2
  "${as_root[@]}" apt-get update -q
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -q --no-install-recommends \
    "${missing[@]}"
fi
[ "$packages_only" = no ] || exit 0

cmake --preset "$preset" "$@"
if [ ${#targets[@]} -gt 0 ]; then
  cmake --build --preset "$preset" --target "${targets[@]}"
else
  cmake --build --preset "$preset"
fi
