#!/usr/bin/env bash
# Ends training in every way that machines know, and compares what it comes to with a run that nothing
# disturbed: kill -9 at random moments, SIGTERM, a truncated checkpoint, a full disk, a folder that
# becomes read-only. The last two need root, to mount a small file system.
#
#   scripts/survive.sh [KILLS]     default: 200 (some four minutes)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
kills=${1:-200}
program=${SOFTMOE_PROGRAM:-$root/build/softmoe}
[ -x "$program" ] || "$root/scripts/build.sh" release softmoe_program
work=$(mktemp -d)
small=$work/small   # a file system of its own
trap 'umount "$small" 2>/dev/null || true; [ -n "${KEEP:-}" ] || rm -rf "$work"' EXIT

die() {
  echo "survive: $*" >&2
  exit 1
}

# Checkpoints every two updates, and everything that is random.
arguments=(train --model vit_ti16 --dataset digits --img-size 8 --patch-size 4 --in-chans 1 --dim 24
  --depth 3 --heads 2 --mlp-dim 32 --moe-blocks 1,2 --experts 3 --slots-per-expert 2 --epochs 3
  --batch-size 32 --drop 0.1 --drop-path 0.1 --log-interval 1 --checkpoint-interval 0.045
  --eval-interval 1 --workers 2 --threads 1 --experiment run)

train() {
  "$program" "${arguments[@]}" --output "$1" >/dev/null 2>>"$work/log"
}

# Starts the program itself, so that $! is not that of a shell around it.
start() {
  "$program" "${arguments[@]}" --output "$1" >/dev/null 2>>"$work/log" &
}

# Trains until there are checkpoints, but not to the end.
train_some() {
  start "$1"
  until [ -e "$1/run/last.h5" ] && [ "$(ls "$1"/run/checkpoint-*.h5 | wc -l)" -ge 2 ]; do
    sleep 0.01
  done
  kill -TERM $!
  wait $! && die "the run ended before it could be stopped" || true
}

same_as_whole() {
  local name
  for name in summary.csv metrics.jsonl; do
    cmp -s "$1/run/$name" "$work/whole/run/$name" || die "$1: $name differs from that of the whole run"
  done
}

readable() {
  local file
  for file in "$1"/run/*.h5; do
    [ -e "$file" ] || continue
    "$program" convert "$file" "$work/copy.safetensors" >/dev/null 2>>"$work/log" || die "$file cannot be read"
  done
}

kill_at_random() {
  local done=0 runs=0 folder status pause
  : >"$work/log"
  while [ "$done" -lt "$kills" ]; do
    folder=$work/killed-$runs
    runs=$((runs + 1))
    while :; do
      start "$folder"
      pause=$(((RANDOM * 32768 + RANDOM) % whole_ms))
      sleep "$(printf "%d.%03d" $((pause / 1000)) $((pause % 1000)))"
      kill -9 $! 2>/dev/null || true
      status=0
      wait $! 2>/dev/null || status=$?
      [ "$status" = 0 ] && break
      [ "$status" = 137 ] || die "a resumed run ended with $status: $(tail -n 1 "$work/log")"
      done=$((done + 1))
      if [ "$done" -ge "$kills" ]; then
        train "$folder" || die "the last resumption failed: $(tail -n 1 "$work/log")"
        break
      fi
    done
    same_as_whole "$folder"
  done
  ! grep -q "falling back" "$work/log" || die "kill -9 left a checkpoint that cannot be read"
  echo "kill -9: $done times in $runs runs, every resumption exact"
}

terminate() {
  local folder=$work/terminated status lines count=0
  while :; do
    start "$folder"
    lines=$(grep -c "Train: " "$work/log")
    until [ "$(grep -c "Train: " "$work/log")" -gt $((lines + 8)) ] || ! kill -0 $! 2>/dev/null; do
      sleep 0.01
    done
    kill -TERM $! 2>/dev/null || true
    SECONDS=0
    status=0
    wait $! || status=$?
    [ "$SECONDS" -lt 30 ] || die "SIGTERM took $SECONDS s"
    [ "$status" = 0 ] && break
    [ "$status" = 130 ] || die "SIGTERM ended the run with $status"
    count=$((count + 1))
  done
  same_as_whole "$folder"
  echo "SIGTERM: $count times, saved and resumed"
}

truncate_last() {
  local folder=$work/truncated
  train_some "$folder"
  truncate -s 5000 "$folder/run/last.h5"
  train "$folder" || die "no run after a truncated checkpoint"
  grep -q "falling back to .*/truncated/run/checkpoint-" "$work/log" || die "the fall-back was not said"
  readable "$folder"
  same_as_whole "$folder"
  echo "truncated last.h5: fell back to the checkpoint before it"
}

small_disk() {
  mkdir -p "$small"
  mount -t tmpfs -o size="$1" tmpfs "$small" 2>/dev/null
}

fill_disk() {
  small_disk 64m || { echo "disk full: left out, nothing can be mounted here"; return; }
  train_some "$small"
  dd if=/dev/zero of="$small/filler" bs=64k 2>/dev/null || true
  ! train "$small" || die "a run on a full disk ended well"
  grep -qE "No space left on device|free space" <(tail -n 1 "$work/log") || die "the full disk was not named"
  readable "$small"
  rm "$small/filler"
  train "$small" || die "no run after the disk was full"
  same_as_whole "$small"
  umount "$small"
  echo "disk full: named, nothing lost, resumed exactly"
}

read_only() {
  small_disk 64m || { echo "read-only folder: left out, nothing can be mounted here"; return; }
  train_some "$small"
  mount -o remount,ro "$small"
  ! train "$small" || die "a run in a read-only folder ended well"
  grep -q "Read-only file system" <(tail -n 1 "$work/log") || die "the read-only folder was not named"
  mount -o remount,rw "$small"
  train "$small" || die "no run after the folder was read-only"
  same_as_whole "$small"
  umount "$small"
  echo "read-only folder: refused, resumed exactly"
}

begin_ms=$(date +%s%3N)
train "$work/whole" || die "the undisturbed run failed: $(tail -n 1 "$work/log")"
whole_ms=$(($(date +%s%3N) - begin_ms))
terminate
truncate_last
fill_disk
read_only
kill_at_random
