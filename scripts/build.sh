#!/usr/bin/env bash
# Sets up, configures and builds; takes a moment if nothing has changed.
#
#   scripts/build.sh [PRESET [TARGET...]]   preset release (default), dev, asan or cuda;
#                                           without a target everything, tests included
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
preset=${1:-release}
shift || true
[ "$preset" = cuda ] && export SOFTMOE_CUDA=${SOFTMOE_CUDA:-ON}

torch_dir=$(scripts/setup.sh)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! cmake --preset "$preset" -DTorch_DIR="$torch_dir" >"$log" 2>&1; then
  cat "$log" >&2
  echo "build: configuring failed" >&2
  exit 1
fi
targets=()
[ $# -gt 0 ] && targets=(--target "$@")
if [ -t 1 ]; then
  cmake --build --preset "$preset" "${targets[@]}" || { echo "build: failed" >&2; exit 1; }
elif ! cmake --build --preset "$preset" "${targets[@]}" >"$log" 2>&1; then
  grep -vE '^\[[0-9]+/[0-9]+\]' "$log" >&2 || true
  echo "build: failed" >&2
  exit 1
fi
