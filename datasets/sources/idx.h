#pragma once
/// IDX files: MNIST and the sets that are stored as it is.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/splits.h"

namespace softmoe {

/// One array of an IDX file of unsigned bytes, gzipped or plain.
struct IdxArray {
  std::vector<int64_t> shape;
  std::vector<uint8_t> values;
};

/// Reads an IDX file. Source of the format: http://yann.lecun.com/exdb/mnist. Throws InputError
/// that names the file for a wrong magic number, another element type, or missing or extra bytes.
IdxArray read_idx(const std::filesystem::path& path);

/// The set in `folder` of files named as those of MNIST (train-images-idx3-ubyte, t10k-..., with a
/// prefix as EMNIST has it, with or without .gz). If `class_names` is empty, classes are numbered.
std::unique_ptr<Dataset> open_idx(const std::filesystem::path& folder, SplitKind split,
                                  std::vector<std::string> class_names);

}  // namespace softmoe
