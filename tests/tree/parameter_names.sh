#!/usr/bin/env bash
# Fails if a parameterised test is listed by a number, or prints its parameter as bytes.
# usage: parameter_names.sh PROGRAM...
set -euo pipefail
export OMP_WAIT_POLICY=passive
for program in "$@"; do
  wrong=$("$program" --gtest_list_tests | grep -E '/[0-9]+( |$)|-byte object' || true)
  if [ -n "$wrong" ]; then
    printf '%s: name these parameters (generator of INSTANTIATE_TEST_SUITE_P, PrintTo):\n%s\n' \
      "$(basename "$program")" "$wrong"
    exit 1
  fi
done
