#!/usr/bin/env bash
# Compares what the portable kernels compute on this machine and on 64-bit ARM, which QEMU emulates,
# value by value, and prints the largest error of each kernel. Exit code 1 if one is too large, 77 if
# the compiler or QEMU is not installed.
#
#   scripts/check_arm.sh [FOLDER]   folder for what is built (default: build-arm)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=$(realpath -m "${1:-$root/build-arm}")
cd "$root"

for program in aarch64-linux-gnu-g++ qemu-aarch64; do
  if ! command -v "$program" >/dev/null; then
    echo "check_arm: skipped without $program (Debian: apt install g++-aarch64-linux-gnu qemu-user)" >&2
    exit 77
  fi
done

# compile SOURCE: with the flags of kernels/CMakeLists.txt.
compile() {
  $launcher "$compiler" -std=c++20 -O2 -I. -Itests -Wall -Wextra -Wpedantic -Wshadow -Werror \
    -Wno-maybe-uninitialized -Wno-uninitialized -DSOFTMOE_LEVEL=portable \
    '-DSOFTMOE_VECTOR="kernels/portable/vector.h"' -c "$1" -o "$objects/${1//\//_}.o"
}
export -f compile
launcher=$(command -v ccache || true)
export launcher

# build COMPILER FOLDER: FOLDER/kernel_values from tests/kernels/values and the portable kernels.
build() {
  export compiler=$1 objects=$2
  rm -rf "$objects"
  mkdir -p "$objects"
  # As one source, since all include the same headers.
  printf '#include "%s"\n' "$root"/tests/kernels/values/*.cpp >"$objects/values.cpp"
  printf '%s\n' kernels/simd/*.cpp kernels/gemm.cpp "$objects/values.cpp" |
    xargs -P "$(nproc)" -I {} bash -c 'compile {}'
  "$compiler" "$objects"/*.o -o "$objects/kernel_values"
}

build g++ "$folder/here"
build aarch64-linux-gnu-g++ "$folder/arm"
"$folder/here/kernel_values" "$folder/here.txt"
qemu-aarch64 -L /usr/aarch64-linux-gnu "$folder/arm/kernel_values" "$folder/arm.txt"
"$folder/here/kernel_values" "$folder/here.txt" "$folder/arm.txt"
