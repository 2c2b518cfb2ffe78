#!/usr/bin/env bash
# Installs the Python libraries that this project is compared with into a folder of their own:
# PyTorch, timm, transformers, open_clip, ONNX Runtime, OpenVINO, OpenCV and others. Only tests of parity and
# comparisons of speed use them. Prints the path of the folder's interpreter.
#
#   SOFTMOE_DEPS     folder for everything that is fetched (default: .deps in the checkout)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
deps=${SOFTMOE_DEPS:-$root/.deps}
folder=$deps/peers
python=$folder/bin/python3
torch_version=2.15.0

note() { echo "peers: $*" >&2; }
die() {
  note "$*"
  exit 1
}

fetch() {
  local log
  log=$(mktemp)
  # pip complains about the libraries for a GPU, which are left out.
  if ! "$python" -m pip install --quiet --disable-pip-version-check --no-compile "$@" >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    die "pip could not fetch $*; its log is $log"
  fi
  rm -f "$log"
}

if [ ! -f "$folder/complete" ]; then
  note "fetching the peers into $folder"
  rm -rf "$folder"
  python3 -m venv "$folder" || die "python3 cannot make a venv (Debian: apt install python3-venv)"
  # The Python module of PyTorch, unlike its C++ library, does not load without the libraries for a
  # GPU (5 GB).
  if [ -f "$deps/torch-$torch_version-cuda/complete" ]; then
    echo "$deps/torch-$torch_version-cuda" >"$("$python" -c \
      'import sysconfig; print(sysconfig.get_path("purelib"))')/softmoe-torch.pth"
  else
    fetch "torch==$torch_version"
  fi
  fetch numpy sympy networkx jinja2 fsspec filelock typing-extensions setuptools pyyaml pillow
  fetch onnx onnxruntime openvino safetensors huggingface-hub transformers ftfy
  fetch --no-deps torchvision timm open_clip_torch soft-moe-pytorch einops opencv-python-headless
  touch "$folder/complete"
fi
echo "$python"
