#include "datasets/sources/image_files.h"

#include <c10/util/Exception.h>

#include "datasets/image_file.h"
#include "datasets/splits.h"

namespace softmoe {

namespace fs = std::filesystem;

ImageFiles::ImageFiles(std::vector<std::pair<fs::path, int64_t>> files,
                       std::vector<std::string> class_names)
    : files_(std::move(files)), class_names_(std::move(class_names)) {}

ImageFiles::ImageFiles(std::vector<fs::path> files, Labels labels,
                       std::vector<std::string> class_names)
    : labels_(std::move(labels)), class_names_(std::move(class_names)) {
  files_.reserve(files.size());
  for (auto& file : files) {
    files_.emplace_back(std::move(file), -1);
  }
}

Sample ImageFiles::get(int64_t index) const {
  check_index(index, size());
  const auto& [path, label] = files_[static_cast<size_t>(index)];
  return {load_image(path), label};
}

int64_t ImageFiles::label(int64_t index) const {
  check_index(index, size());
  return files_[static_cast<size_t>(index)].second;
}

std::vector<int64_t> ImageFiles::labels(int64_t index) const {
  check_index(index, size());
  if (is_multi_label()) {
    return labels_[static_cast<size_t>(index)];
  }
  return label(index) < 0 ? std::vector<int64_t>{} : std::vector{label(index)};
}

void ImageFiles::set_captions(std::vector<std::string> captions) {
  TORCH_CHECK_VALUE(captions.size() == files_.size(), "ImageFiles: ", captions.size(),
                    " captions of ", files_.size(), " files");
  captions_ = std::move(captions);
}

std::string ImageFiles::caption(int64_t index) const {
  check_index(index, size());
  return has_captions() ? captions_[static_cast<size_t>(index)] : "";
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
