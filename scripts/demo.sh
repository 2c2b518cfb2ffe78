#!/usr/bin/env bash
# The main job, end to end, on two CPU cores: train a dense and a Soft MoE vision transformer on
# rendered characters, probe both with few shots on images they never saw, fine-tune, compare
# throughput with ViT-H/14, predict labels of image files. Ends with a table and a page, report.html.
#
#   scripts/demo.sh            everything, some 14 minutes after the build
#   scripts/demo.sh --quick    the same steps with little training, under 2 minutes
#   DEMO=folder                where results go (default: demo/; training found there resumes)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

quick=false
[ "${1:-}" = --quick ] && quick=true
demo=${DEMO:-demo}
$quick && demo=${DEMO:-demo/quick}

scripts/build.sh release
mkdir -p "$demo"

step() { printf '\n\033[1m== %s\033[0m\n' "$1"; }
# Prints a command as one would type it, then runs it.
softmoe() {
  printf '\n$ build/softmoe'
  printf ' %q' "$@"
  printf '\n'
  build/softmoe "$@"
}

upstream=(--config configs/demo/upstream.toml --output "$demo" --seed 0)
finetune=(--config configs/demo/finetune.toml --output "$demo" --seed 0)
fewshot=(--shots 1 5 10 25)
benchmark=(--batch-sizes 1 8 --rounds 3)
if $quick; then
  upstream+=(--epochs 0.25 --eval-interval 0.125 --val-images 1000)
  finetune+=(--epochs 0.1 --eval-interval 0.05)
  fewshot+=(--max-test-images 2000)
  benchmark=(--batch-sizes 1 --rounds 1 --round-seconds 0.5)
fi

step "1. Upstream: a dense and a Soft MoE model of equal GFLOP learn rendered characters"
softmoe train "${upstream[@]}" --experiment dense --json "$demo/dense.json"
softmoe train "${upstream[@]}" --experiment softmoe --json "$demo/softmoe.json" \
  --moe-blocks last_half --experts 16 --slots-per-expert 1
