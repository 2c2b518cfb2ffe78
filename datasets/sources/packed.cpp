#include "datasets/sources/packed.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <opencv2/core.hpp>

#include "core/error.h"
#include "core/name_list.h"
#include "datasets/image_file.h"
#include "datasets/sources/packed_index.h"
#include "datasets/splits.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

class PackedDataset : public Dataset {
 public:
  explicit PackedDataset(const fs::path& path)
      : file_(Hdf5File::open(path)), index_(read_index(file_)) {}

  const std::string& split() const { return index_.split; }

  int64_t size() const override { return index_.size(); }

  Sample get(int64_t index) const override {
    const auto bytes = checked_bytes(index);
    Sample sample;
    sample.label = label(index);
    if (index_.raw) {
      const auto& shape = index_.shape;
      sample.image.create(static_cast<int>(shape[0]), static_cast<int>(shape[1]),
                          CV_8UC(static_cast<int>(shape[2])));
      std::memcpy(sample.image.data, bytes.data(), bytes.size());
    } else {
      sample.image = decode_image(bytes, sample_name(index));
    }
    return sample;
  }

  int64_t label(int64_t index) const override {
    check_index(index, size());
    return is_multi_label() ? -1 : index_.labels[static_cast<size_t>(index)];
  }

  bool is_multi_label() const override { return index_.multi_label; }

  std::vector<int64_t> labels(int64_t index) const override {
    check_index(index, size());
    return index_.labels_of(index);
  }

  const std::vector<std::string>& class_names() const override { return index_.class_names; }
  std::vector<std::string> class_texts() const override {
    return index_.class_texts.empty() ? Dataset::class_texts() : index_.class_texts;
  }

  bool has_captions() const override { return index_.has_captions(); }
  std::string caption(int64_t index) const override {
    check_index(index, size());
    return has_captions() ? index_.caption(index) : "";
  }

  std::string sample_name(int64_t index) const override {
    check_index(index, size());
    return fmt::format("{}[{}] ({})", file_.path().string(), index, index_.name(index));
  }

  std::optional<std::vector<uint8_t>> encoded_bytes(int64_t index) const override {
    return index_.raw ? std::nullopt : std::optional(checked_bytes(index));
  }

 private:
  std::vector<uint8_t> checked_bytes(int64_t index) const {
    check_index(index, size());
    const int64_t begin = index_.begin(index);
    const int64_t end = index_.end(index);
    std::vector<uint8_t> bytes(static_cast<size_t>(end - begin));
    if (index_.raw) {
      file_.read_rows("/images", index, 1, Hdf5Type::kUInt8, bytes.data(), bytes.size());
    } else {
      file_.read_rows("/bytes", begin, end - begin, Hdf5Type::kUInt8, bytes.data(), bytes.size());
    }
    if (XXH3_64bits(bytes.data(), bytes.size()) != index_.checksums[static_cast<size_t>(index)]) {
      throw InputError(sample_name(index) + ": the image's checksum differs: the file is damaged");
    }
    return bytes;
  }

  Hdf5File file_;
  PackedIndex index_;
};

/// The file of `folder` for `split`, by its own name or a name of the same kind.
fs::path split_file(const fs::path& folder, const std::string& split) {
  const auto kind = split_kind(split);
  std::vector<std::string> names = {split};
  for (const auto& name : split_names()) {
    if (kind == name.kind) {
      names.emplace_back(name.text);
    }
  }
  for (const auto& name : names) {
    for (const char* extension : {".h5", ".hdf5"}) {
      if (fs::exists(folder / (name + extension))) {
        return folder / (name + extension);
      }
    }
  }
  std::vector<std::string> others;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".h5" || entry.path().extension() == ".hdf5") {
      others.push_back(entry.path().filename().string());
    }
  }
  std::sort(others.begin(), others.end());
  throw MissingSplit(folder.string(), "a packed file " + printable_text(split) + ".h5",
                     others.empty() ? "none" : name_list(others));
}

}  // namespace

std::unique_ptr<Dataset> open_packed(const fs::path& path, const std::string& split) {
  if (fs::is_directory(path)) {
    return std::make_unique<PackedDataset>(split_file(path, split));
  }
  auto dataset = std::make_unique<PackedDataset>(path);
  const auto wanted = split_kind(split);
  const auto stored = split_kind(dataset->split());
  if (split == dataset->split() || wanted == SplitKind::kAll || (wanted && stored == wanted)) {
    return dataset;
  }
  if (wanted && stored == SplitKind::kAll) {
    return hold_out(std::move(dataset), *wanted);
  }
  throw MissingSplit(path.string(), "split " + split, "split " + dataset->split());
}

std::string packed_source(const fs::path& path, const std::string& split) {
  const auto file = Hdf5File::open(fs::is_directory(path) ? split_file(path, split) : path);
  return file.has_text("source") ? file.read_text("source") : "";
}

}  // namespace softmoe
