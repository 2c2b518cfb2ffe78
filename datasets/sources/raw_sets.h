#pragma once
/// IDX files (the MNIST family) and CIFAR's binary files: small sets, held in memory.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/splits.h"

namespace softmoe {

/// Images of one size in memory, one after the other.
struct RawImages {
  std::vector<uint8_t> pixels{};  ///< [images, height, width, channels]
  std::vector<int64_t> labels{};  ///< [images]
  int height = 0;
  int width = 0;
  int channels = 1;
};

/// A set of RawImages. Record i of `name` is called "name[i]".
class RawDataset : public Dataset {
 public:
  RawDataset(std::string name, RawImages images, std::vector<std::string> class_names);

  int64_t size() const override { return static_cast<int64_t>(images_.labels.size()); }
  Sample get(int64_t index) const override;
  int64_t label(int64_t index) const override;
  const std::vector<std::string>& class_names() const override { return class_names_; }
  std::string sample_name(int64_t index) const override;

 private:
  std::string name_;
  RawImages images_;
  std::vector<std::string> class_names_;
};

/// One array of an IDX file of unsigned bytes, gzipped or plain.
struct IdxArray {
  std::vector<int64_t> shape;
  std::vector<uint8_t> values;
};

/// Reads an IDX file. Source of the format: http://yann.lecun.com/exdb/mnist. Throws InputError
/// that names the file for a wrong magic number, another element type, or missing or extra bytes.
IdxArray read_idx(const std::filesystem::path& path);

/// The set in `folder` of files named as MNIST's (train-images-idx3-ubyte, t10k-..., with a prefix
/// as EMNIST has it, with or without .gz). `class_names` empty: numbered classes.
std::unique_ptr<Dataset> open_idx(const std::filesystem::path& folder, SplitKind split,
                                  std::vector<std::string> class_names);

/// CIFAR-10 or, with `hundred`, CIFAR-100 with its fine labels, from the binary version's folder or
/// the one above it. Throws InputError for missing files, sizes and labels that cannot be.
std::unique_ptr<Dataset> open_cifar(const std::filesystem::path& folder, SplitKind split,
                                    bool hundred);

}  // namespace softmoe
