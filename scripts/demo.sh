#!/usr/bin/env bash
# The main job, end to end, on two CPU cores: train a dense and a Soft MoE vision transformer on
# rendered characters, probe both with few shots on new kinds of images, fine-tune, compare
# throughput with ViT-H/14, predict labels of image files. Ends with a table and report.html.
#
#   scripts/demo.sh            everything, in at most 15 minutes after the build
#   scripts/demo.sh --quick    all steps with small models, in at most 2 minutes after the build
#
# The demo measures first how fast this machine trains, and trains as long as there is time for.
# DEMO names the folder of the results (default: demo). Interrupted training in it is resumed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fewshot=(--shots 1 5 10 25)
finetune=(--config configs/demo/finetune.toml)
case "${1:-}" in
  "")
    demo=${DEMO:-demo} config=upstream experts=16 rest="three to five minutes"
    seconds=600 min_images=60000 max_images=240000 finetune_images=60000
    benchmark=(--batch-sizes 1 8 --rounds 3 --max-batch-seconds 10)
    ;;
  --quick)
    demo=${DEMO:-demo-quick} config=small experts=4 rest="less than a minute"
    seconds=30 min_images=30000 max_images=120000 finetune_images=15000
    finetune+=(--epochs 0.25 --warmup-epochs 0.02 --eval-interval 0.25)
    fewshot+=(--pool 100)
    benchmark=(--batch-sizes 1 --rounds 2 --round-seconds 0.5 --max-batch-seconds 3)
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
# Prints the images per second of `softmoe train` with these flags, of some thousand images.
rate() {
  rm -rf "$demo/measured"
  build/softmoe train "$@" --output "$demo" --experiment measured --char-epoch 512 --char-val 64 \
    --eval-interval 8 --checkpoint-interval 8 2>"$demo/measured.log" |
    sed -E 's/.*"images_per_second":([0-9]+).*/\1/' || { cat "$demo/measured.log" >&2; exit 1; }
}
# plan CONFIG EXPERTS: sets the flags of upstream training and of its Soft MoE model, `images`, how
# many of them each model sees in `seconds` beside two fine-tunings (at least `min_images`, with which
# features beat raw pixels), and says so.
plan() {
  upstream=(--config "configs/demo/$1.toml")
  moe=(--moe-blocks last_half --experts "$2" --slots-per-expert 1 --phi-init kmeans --router-scale 16)
  local dense soft tuning
  dense=$(rate "${upstream[@]}")
  soft=$(rate "${upstream[@]}" "${moe[@]}")
  tuning=$((2 * finetune_images / soft))
  images=$(((seconds - tuning) * dense * soft / (dense + soft)))
  images=$((images > max_images ? max_images : images < min_images ? min_images : images))
  echo "$1: $dense img/s (dense) and $soft img/s (Soft MoE), $images images each;" \
    "with fine-tuning $((images / dense + images / soft + tuning)) s of training"
}

step "Set-up and build"
scripts/build.sh release softmoe_program
mkdir -p "$demo"

step "What this machine has time for"
if [ ! -e "$demo/plan.sh" ]; then
  plan "$config" "$experts"
  if [ "$config" = upstream ] && [ "$images" -lt $((max_images / 2)) ]; then
    echo "This is too little for models of that size, so small ones are trained instead."
    plan small 4
  fi
  upstream+=(--char-epoch $((images / 8)))  # of eight epochs
  declare -p upstream moe >"$demo/plan.sh"
fi
source "$demo/plan.sh"
echo "The rest takes $rest. Benchmarks leave out what is too slow here, and name it."

step "1. Upstream: a dense and a Soft MoE model of equal GFLOP learn rendered characters"
softmoe train "${upstream[@]}" --output "$demo" --experiment dense
softmoe train "${upstream[@]}" --output "$demo" --experiment softmoe "${moe[@]}"

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

step "4. Throughput compared with dense ViT-H/14, at 224 px in the fastest dtype"
softmoe benchmark vit_h14 vit_b16 softmoe_b16_128e "${benchmark[@]}" --dtypes auto \
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
