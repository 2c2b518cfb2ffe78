#!/usr/bin/env bash
# Feeds damaged files to the readers of all formats, for longer than the tests.
#
#   scripts/fuzz.sh [SECONDS] [FORMAT...]   default: 600 seconds per format, all formats
#
#   FUZZ_ENGINE=libfuzzer   LLVM's libFuzzer with address sanitizer (needs clang 16 or newer; builds
#                           into build-fuzz and keeps its corpus in build-fuzz/corpus)
#   FUZZ_ENGINE=asan        our own mutations with address and undefined behaviour sanitizers
#   FUZZ_ENGINE=driver      our own mutations, optimised, which gives the most inputs (the default)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
seconds=${1:-600}
shift || true
engine=${FUZZ_ENGINE:-driver}

# clang before 16 does not compile structured bindings that lambdas capture.
find_clang() {
  local name
  for name in ${CLANG:-clang-21 clang-20 clang-19 clang-18 clang-17 clang-16 clang}; do
    if command -v "$name" >/dev/null && [ "$("$name" -dumpversion | cut -d. -f1)" -ge 16 ]; then
      echo "$name"
      return
    fi
  done
  echo "fuzz: libFuzzer needs clang 16 or newer with its runtime (clang-19 libclang-rt-19-dev)" >&2
  exit 1
}

build_libfuzzer() {
  local torch_dir clang
  clang=$(find_clang)
  torch_dir=$(scripts/setup.sh)
  cmake -S . -B build-fuzz -G Ninja -DTorch_DIR="$torch_dir" -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_C_COMPILER="$clang" -DCMAKE_CXX_COMPILER="${clang/clang/clang++}" \
    -DSOFTMOE_WERROR=OFF -DSOFTMOE_CUDA=OFF -DSOFTMOE_LIBFUZZER=ON -DCMAKE_UNITY_BUILD=ON \
    -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g1" \
    -DCMAKE_CXX_FLAGS="-fsanitize=fuzzer-no-link,address -fno-omit-frame-pointer" >/dev/null
  cmake --build build-fuzz --target fuzz_libfuzzer fuzz_formats
}

# run_libfuzzer FORMAT: what it finds is kept in build-fuzz/findings. Its corpus grows.
run_libfuzzer() {
  local corpus=build-fuzz/corpus/$1
  mkdir -p "$corpus" build-fuzz/findings
  build-fuzz/tests/fuzz_formats "$1" --corpus "$corpus"
  SOFTMOE_FUZZ_FORMAT=$1 ASAN_OPTIONS=detect_leaks=0 build-fuzz/tests/fuzz_libfuzzer \
    -max_total_time="$seconds" -max_len=65536 -timeout=20 -rss_limit_mb=4096 \
    -print_final_stats=1 -artifact_prefix="build-fuzz/findings/$1-" "$corpus"
}

case $engine in
  driver) scripts/build.sh release fuzz_formats && folder=build ;;
  asan) scripts/build.sh asan fuzz_formats && folder=build-asan ;;
  libfuzzer) build_libfuzzer && folder=build-fuzz ;;
  *) echo "fuzz: unknown engine '$engine'" >&2 && exit 2 ;;
esac

export LSAN_OPTIONS=suppressions=$root/tests/support/lsan.supp
formats=("$@")
[ $# -gt 0 ] || mapfile -t formats < <("$folder/tests/fuzz_formats" --list)
failed=()
for format in "${formats[@]}"; do
  if [ "$engine" = libfuzzer ]; then
    run_libfuzzer "$format" || failed+=("$format")
  else
    # A new seed for every run: inputs that were tried before find nothing new.
    "$folder/tests/fuzz_formats" "$format" --seconds "$seconds" \
      --seed "${FUZZ_SEED:-$(date +%s)}" || failed+=("$format")
  fi
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "fuzz: something was found in ${failed[*]}" >&2
  exit 1
fi
