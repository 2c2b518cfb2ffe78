#!/usr/bin/env bash
# Installs Debian's packages of pictures that `--dataset NAME` reads: those named, or all.
#
#   scripts/pictures.sh [wesnoth] [clipart] [stamps] [emoji]
set -euo pipefail

declare -A packages=(
  [wesnoth]="wesnoth-1.16-data"
  [clipart]="openclipart-png"
  [stamps]="tuxpaint-stamps-default"
  [emoji]="fonts-noto-color-emoji unicode-data"
)

[ $# -gt 0 ] || set -- "${!packages[@]}"
wanted=()
for name in "$@"; do
  [ -n "${packages[$name]:-}" ] || { echo "pictures: no set '$name' (${!packages[*]})" >&2; exit 2; }
  read -ra more <<<"${packages[$name]}"
  wanted+=("${more[@]}")
done
command -v apt-get >/dev/null || { echo "pictures: Debian or Ubuntu is needed (there is no apt-get)" >&2; exit 1; }
root=()
[ "$(id -u)" = 0 ] || root=(sudo)
"${root[@]}" apt-get update -qq
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${wanted[@]}" >&2
