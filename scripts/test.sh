#!/usr/bin/env bash
# Sets up, builds and runs every test. Arguments are passed to ctest: -R NAME runs some tests.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
scripts/build.sh release
# Tests measure no times, so several may share the cores.
exec ctest --test-dir build --output-on-failure --progress -j "$(nproc)" "$@"
