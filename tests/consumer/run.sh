#!/usr/bin/env bash
# Installs the build BUILD into a fresh folder, compiles each installed header alone, builds this
# project against the installed copy and runs it.
# usage: run.sh BUILD
set -euo pipefail
build=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }; }
quietly cmake --install "$build" --prefix "$work/installed"
quietly cmake -S "$here" -B "$work/build" -G Ninja -DCMAKE_PREFIX_PATH="$work/installed" \
  -DCMAKE_CXX_COMPILER_LAUNCHER="$(command -v ccache || true)"
"$here/check_headers.sh" "$work/installed/include/softmoe" "$work/build/flags.txt" "$work/headers"
quietly cmake --build "$work/build"
mkdir "$work/files"
"$work/build/consumer" "$work/files"
"$work/installed/bin/softmoe" --version
