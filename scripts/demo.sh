#!/usr/bin/env bash
# The main job, end to end, on two CPU cores: train a dense and a Soft MoE vision transformer on
# rendered characters, probe both with few shots on new kinds of images, fine-tune, compare
# throughput with ViT-H/14, predict labels of image files. Ends with a table and report.html.
#
#   scripts/demo.sh            everything
#   scripts/demo.sh --quick    all steps with little training, a minute or two after the build
#
# DEMO names the folder of the results (default: demo). Interrupted training in it is resumed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

upstream=(--config configs/demo/upstream.toml)
finetune=(--config configs/demo/finetune.toml)
fewshot=(--shots 1 5 10 25)
benchmark=(--batch-sizes 1 8 --rounds 3)
case "${1:-}" in
  "") demo=${DEMO:-demo} ;;
  --quick)
    demo=${DEMO:-demo-quick}
    upstream+=(--epochs 0.25 --warmup-epochs 0.05 --eval-interval 0.05 --char-val 1000)
    finetune+=(--epochs 0.1 --warmup-epochs 0.02 --eval-interval 0.05)
    fewshot+=(--pool 100)
    benchmark=(--batch-sizes 1 --rounds 2 --round-seconds 0.5)
    ;;
  *)
    echo "usage: scripts/demo.sh [--quick]" >&2
    exit 2
    ;;
esac

step() { printf '\n\033[1m%s\033[0m\n' "$1"; }
# Prints a command as it would be typed, then runs it.
softmoe() {
  printf '\n$ build/softmoe'
  printf ' %q' "$@"
  printf '\n'
  build/softmoe "$@"
}

step "Set-up and build"
scripts/build.sh release softmoe_program
mkdir -p "$demo"

step "1. Upstream: a dense and a Soft MoE model of equal GFLOP learn rendered characters"
softmoe train "${upstream[@]}" --output "$demo" --experiment dense
softmoe train "${upstream[@]}" --output "$demo" --experiment softmoe \
  --moe-blocks last_half --experts 16 --slots-per-expert 1

step "2. Few-shot probes of the frozen models on other data sets"
for set in digits fashion-mnist; do
  for model in dense softmoe; do
    softmoe fewshot "$demo/$model/last.h5" "${fewshot[@]}" --dataset "$set" \
      --label "$model" --json "$demo/fewshot-$set-$model.json"
  done
  for features in random pixels; do
    softmoe fewshot "$demo/softmoe/last.h5" "${fewshot[@]}" --dataset "$set" \
      --features "$features" --label "$features" --json "$demo/fewshot-$set-$features.json"
  done
done

step "3. Fine-tuning on Fashion-MNIST, and training from random weights for comparison"
softmoe finetune "$demo/softmoe/last.h5" "${finetune[@]}" --output "$demo" \
  --experiment finetuned
softmoe finetune "$demo/softmoe/last.h5" "${finetune[@]}" --output "$demo" \
  --experiment scratch --random-weights

step "4. Throughput compared with dense ViT-H/14, at 224 px in bf16"
softmoe benchmark vit_h14 vit_b16 softmoe_b16_128e "${benchmark[@]}" --dtypes bfloat16 \
  --baseline vit_h14 --json "$demo/benchmark.json"

step "5. Predictions on image files, and the dispatch maps of the slots"
softmoe data export "$demo/images" --dataset fashion-mnist --split test --count 8
softmoe predict "$demo/finetuned/last.h5" "$demo/images" --topk 3 --json "$demo/predict.json"
softmoe inspect "$demo/finetuned/last.h5" "$demo/images" --count 4 \
  --output "$demo/maps" --json "$demo/inspect.json"

step "The results"
softmoe report --output "$demo/report.html" --title "softmoe: the demo" \
  "$demo/dense" "$demo/softmoe" "$demo/finetuned" "$demo/scratch" \
  "$demo"/fewshot-*.json "$demo/benchmark.json" "$demo/predict.json" "$demo/inspect.json"
