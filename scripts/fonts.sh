#!/usr/bin/env bash
# Fetches Debian's fonts of Han characters (120 MB) into a folder for --font-dir, without installing
# them: installed fonts would change what other rendered letters look like.
#
#   scripts/fonts.sh FOLDER
#   softmoe train --dataset characters --scripts han --font-dir FOLDER --char-val-fonts cwkai.ttf
set -euo pipefail

packages=(fonts-noto-cjk fonts-wqy-zenhei fonts-wqy-microhei fonts-arphic-uming fonts-arphic-ukai
          fonts-cwtex-kai fonts-vlgothic)

[ $# = 1 ] || { echo "usage: scripts/fonts.sh FOLDER" >&2; exit 2; }
command -v apt-get >/dev/null || { echo "fonts: Debian or Ubuntu is needed (there is no apt-get)" >&2; exit 1; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq -o APT::Sandbox::User= download "${packages[@]}" ||
  { echo "fonts: apt-get could not fetch ${packages[*]}; apt-get update may help" >&2; exit 1; }
for package in *.deb; do
  dpkg-deb -x "$package" unpacked
done
find unpacked -type f \( -name '*.ttf' -o -name '*.ttc' -o -name '*.otf' \) -exec cp {} "$folder" \;
echo "$folder"
