#!/usr/bin/env bash
# Sets up, builds and runs every test; arguments go to ctest (-R NAME runs some).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
scripts/build.sh release
# The tests' own threads share the cores, so several at once gain little and distort nothing.
exec ctest --test-dir build --output-on-failure --progress -j "$(nproc)" "$@"
