#include "datasets/sources/image_files.h"

#include "datasets/image_file.h"
#include "datasets/splits.h"

namespace softmoe {

namespace fs = std::filesystem;

ImageFiles::ImageFiles(std::vector<std::pair<fs::path, int64_t>> files,
                       std::vector<std::string> class_names)
    : files_(std::move(files)), class_names_(std::move(class_names)) {}

Sample ImageFiles::get(int64_t index) const {
  check_index(index, size());
  const auto& [path, label] = files_[static_cast<size_t>(index)];
  return {load_image(path), label};
}

int64_t ImageFiles::label(int64_t index) const {
  check_index(index, size());
  return files_[static_cast<size_t>(index)].second;
}

std::string ImageFiles::sample_name(int64_t index) const {
  check_index(index, size());
  return files_[static_cast<size_t>(index)].first.string();
}

std::optional<std::vector<uint8_t>> ImageFiles::encoded_bytes(int64_t index) const {
  check_index(index, size());
  return read_bytes(files_[static_cast<size_t>(index)].first);
}

}  // namespace softmoe
