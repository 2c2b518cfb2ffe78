#!/usr/bin/env bash
# Installs what the build needs and is missing: Debian packages, then libtorch.
# Quiet and quick where nothing is to do. Source it to get SOFTMOE_TORCH_DIR.
#
#   Torch_DIR        a libtorch of your own (the folder of TorchConfig.cmake)
#   SOFTMOE_DEPS     where a libtorch of the project's own is kept (default: .deps in the checkout)
#   SOFTMOE_CUDA=ON  install the CUDA libraries of the PyPI wheel too (some 3 GB)
set -euo pipefail

softmoe_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
torch_version=2.15.0

die() {
  echo "setup: $*" >&2
  exit 1
}

build_packages=(
  g++ cmake ninja-build ccache mold python3 python3-pip ca-certificates
  libopencv-dev-minimal-set libhdf5-dev libcli11-dev nlohmann-json3-dev libfmt-dev libfreetype-dev
  libzip-dev zlib1g-dev libxxhash-dev protobuf-compiler libprotobuf-dev libgtest-dev libgmock-dev
)
# "libopencv-dev-minimal-set" stands for the three modules in use; all of OpenCV is ten times that.
build_packages=("${build_packages[@]/libopencv-dev-minimal-set/}")
build_packages+=(libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev)
data_packages=(fonts-dejavu fonts-freefont-ttf fonts-liberation fonts-noto-core dataset-fashion-mnist)
