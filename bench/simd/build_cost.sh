#!/usr/bin/env bash
# What the two ways of writing kernels cost to build: lines of code, seconds of compiling (median of
# five, user time) and bytes of machine code. If a compiler for aarch64 is installed, it compiles both
# ways too, and qemu-aarch64 checks their results. Needs libhwy-dev.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s /usr/include/hwy "$work/hwy"  # without the other headers of this machine
flags=(-std=c++20 -O2 -I"$here/../.." -isystem "$work")
avx512=(-mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma)

# Lines that are neither empty nor comments.
lines() {
  (cd "$here" && cat "$@") | grep -cvE '^[[:space:]]*(//.*)?$'
}

# Compiles $2 to $work/$1 with the compiler and flags that follow; prints seconds.
seconds() {
  local object=$work/$1 source=$here/$2 TIMEFORMAT=%U
  shift 2
  for _ in 1 2 3 4 5; do
    { time "$@" "${flags[@]}" -c -o "$object" "$source"; } 2>&1
  done | sort -n | sed -n 3p
}

# Compiles and prints a row; $1 is what the row is about, the rest as for seconds().
row() {
  local name=$1 took
  shift
  took=$(seconds "$@")
  echo "| $name | $took | $(size "$work/$1" | awk 'NR == 2 { print $1 }') |"
}

echo "| way | lines of code |"
echo "|---|---:|"
echo "| highway | $(lines highway/gemm-inl.h highway/attention-inl.h highway/kernels.cpp) |"
echo "| own, without the header of vectors | $(lines own/gemm.h own/attention.h own/kernels.cpp own_kernels.cpp) |"
echo "| own, the header of vectors | $(lines own/vector.h) |"
echo
echo "| source | seconds | bytes of code |"
echo "|---|---:|---:|"
row "highway, AVX3, AVX2 and scalar" highway.o highway/kernels.cpp "${CXX:-g++}"
row "own, avx512" avx512.o own/kernels.cpp "${CXX:-g++}" -DSOFTMOE_LEVEL=avx512 "${avx512[@]}"
row "own, avx2" avx2.o own/kernels.cpp "${CXX:-g++}" -DSOFTMOE_LEVEL=avx2 -mavx2 -mfma
row "own, portable" portable.o own/kernels.cpp "${CXX:-g++}" -DSOFTMOE_LEVEL=portable

cross=aarch64-linux-gnu-g++
if command -v $cross > /dev/null; then
  row "highway, NEON" arm_highway.o highway/kernels.cpp $cross
  row "own, portable on aarch64" arm_own.o own/kernels.cpp $cross -DSOFTMOE_LEVEL=portable
  if command -v qemu-aarch64 > /dev/null; then
    $cross "${flags[@]}" -static -o "$work/simd_comparison" "$here"/*.cpp "$work"/arm_*.o
    qemu-aarch64 "$work/simd_comparison" --check
  fi
fi
