#!/usr/bin/env bash
# Installs everything that the build needs and this machine lacks: Debian or Ubuntu packages, then
# libtorch. Takes no time if nothing is missing. Prints the folder of TorchConfig.cmake.
#
#   Torch_DIR        use this libtorch: the folder of its TorchConfig.cmake
#   SOFTMOE_DEPS     folder for a libtorch that is fetched (default: .deps in the checkout)
#   SOFTMOE_CUDA=ON  fetch the CUDA libraries that the libtorch of PyPI needs (some 3 GB more)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
deps=${SOFTMOE_DEPS:-$root/.deps}
torch_version=2.15.0

build_packages=(
  g++ cmake ninja-build ccache mold pkg-config python3 python3-pip ca-certificates
  libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev
  libhdf5-dev libfreetype-dev libjpeg-dev libpng-dev zlib1g-dev libzip-dev libarchive-dev
  libxxhash-dev libfmt-dev libutf8proc-dev libicu-dev libcli11-dev
  nlohmann-json3-dev libtomlplusplus-dev libprotobuf-dev protobuf-compiler libonnx-dev libgtest-dev libgmock-dev
)
# Fonts for the rendered characters, and a set of real images.
data_packages=(fonts-dejavu fonts-freefont-ttf fonts-liberation fonts-noto-core
               dataset-fashion-mnist)

note() { echo "setup: $*" >&2; }
die() {
  note "$*"
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "packages are missing, and there is neither root nor sudo to install them: $*"
  fi
}

install_packages() {
  command -v dpkg-query >/dev/null || die "Debian 12, Ubuntu 24.04 or newer is needed (there is no dpkg)"
  local missing=()
  local package
  for package in "${build_packages[@]}" "${data_packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "ok installed" ||
      missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  note "installing ${missing[*]}"
  local log
  log=$(mktemp)
  if ! { as_root apt-get update -qq &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    die "apt-get could not install the packages above; its log is $log"
  fi
  rm -f "$log"
}

torch_of_python() {
  python3 -c 'import torch; print(torch.utils.cmake_prefix_path + "/Torch")' 2>/dev/null
}

find_torch() {
  if [ -n "${Torch_DIR:-}" ]; then
    [ -f "$Torch_DIR/TorchConfig.cmake" ] || die "Torch_DIR has no TorchConfig.cmake: $Torch_DIR"
    echo "$Torch_DIR"
  else
    torch_of_python
  fi
}

install_torch() {
  local folder=$deps/torch-$torch_version
  [ "${SOFTMOE_CUDA:-}" = ON ] && folder=$folder-cuda
  if [ ! -f "$folder/complete" ]; then
    note "fetching libtorch $torch_version into $folder (0.6 GB, with CUDA 3 GB more)"
    rm -rf "$folder"
    # libtorch_cpu itself needs these two CUDA libraries; only a GPU needs the others.
    local packages=("torch==$torch_version")
    if [ "${SOFTMOE_CUDA:-}" != ON ]; then
      packages=(--no-deps "${packages[@]}" nvidia-cuda-runtime nvidia-cuda-cupti)
    fi
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
      --no-compile --target "$folder" "${packages[@]}" >&2 ||
      die "pip could not fetch libtorch; set Torch_DIR to one of your own"
    touch "$folder/complete"
  fi
  echo "$folder/torch/share/cmake/Torch"
}

install_packages
find_torch || install_torch
