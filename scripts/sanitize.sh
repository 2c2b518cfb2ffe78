#!/usr/bin/env bash
# Builds the tests with sanitizers and runs them.
#
#   scripts/sanitize.sh [asan|tsan] [FOLDER...]
#
#   asan   address and undefined behaviour sanitizers (the default); all folders of tests/
#   tsan   thread sanitizer; the folders with threads of their own: core, runtime, datasets
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
preset=${1:-asan}
shift || true
case $preset in
  asan) folders=(core runtime io kernels ops softmoe vit datasets checkpoints eval inference train) ;;
  tsan) folders=(core runtime datasets) ;;
  *) echo "sanitize: unknown preset '$preset'" >&2 && exit 2 ;;
esac
[ $# -eq 0 ] || folders=("$@")

export OMP_WAIT_POLICY=passive
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:suppressions=$root/tests/support/ubsan.supp
# Some tests ask for more memory than there is.
export ASAN_OPTIONS=allocator_may_return_null=1
export LSAN_OPTIONS=suppressions=$root/tests/support/lsan.supp
export TSAN_OPTIONS=suppressions=$root/tests/support/tsan.supp:allocator_may_return_null=1
# Thread sanitizer does not see the barriers of GNU OpenMP, so that its loops would all be reported.
if [ "$preset" = tsan ]; then
  export OMP_NUM_THREADS=1
fi
scripts/build.sh "$preset" "${folders[@]/%/_tests}"
failed=()
for folder in "${folders[@]}"; do
  "build-$preset/tests/${folder}_tests" --gtest_brief=1 || failed+=("$folder")
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "sanitize: failed in ${failed[*]}" >&2
  exit 1
fi
