#include "inference/image_inputs.h"

#include <fmt/format.h>

#include <filesystem>
#include <opencv2/core.hpp>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "datasets/sources/folder_walk.h"
#include "datasets/sources/image_files.h"
#include "datasets/splits.h"

namespace softmoe {
namespace {

/// A class for images that have none.
const std::vector<std::string>& no_classes() {
  static const std::vector<std::string> names{"unlabelled"};
  return names;
}

class ArrayImages : public Dataset {
 public:
  ArrayImages(torch::Tensor images, std::string name)
      : images_(std::move(images)), name_(std::move(name)) {}

  int64_t size() const override { return images_.size(0); }

  Sample get(int64_t index) const override {
    check_index(index, size());
    const auto height = static_cast<int>(images_.size(1));
    const auto width = static_cast<int>(images_.size(2));
    const auto channels = static_cast<int>(images_.size(3));
    auto* pixels = images_.data_ptr<uint8_t>() + index * height * width * channels;
    return {.image = cv::Mat(height, width, CV_8UC(channels), pixels).clone(), .label = 0};
  }

  int64_t label(int64_t index) const override {
    check_index(index, size());
    return 0;
  }

  const std::vector<std::string>& class_names() const override { return no_classes(); }

  std::string sample_name(int64_t index) const override {
    return fmt::format("{}[{}]", name_, index);
  }

 private:
  torch::Tensor images_;  // [images, height, width, channels]
  std::string name_;
};

}  // namespace

std::unique_ptr<Dataset> open_image_paths(const std::vector<std::string>& paths) {
  std::vector<std::pair<std::filesystem::path, int64_t>> files;
  for (const auto& path : paths) {
    std::error_code no_folder;
    if (!std::filesystem::is_directory(path, no_folder)) {
      files.emplace_back(path, 0);
      continue;
    }
    FolderWalk walk;
    const auto found = walk.images(path);
    const auto left_out = walk.left_out().text();
    if (found.empty()) {
      throw InputError(path, "image files in the folder",
                       left_out.empty() ? "none" : "none (" + left_out + ")");
    }
    if (!left_out.empty()) {
      log_line(printable_text(path) + ": " + left_out);
    }
    for (const auto& file : found) {
      files.emplace_back(file, 0);
    }
  }
  return std::make_unique<ImageFiles>(std::move(files), no_classes());
}

std::unique_ptr<Dataset> open_image_array(const torch::Tensor& images, const std::string& name) {
  if (images.dim() == 4 && images.size(0) == 0) {
    throw InputError(name, "at least one image", array_text(images));
  }
  const bool fits = images.dim() == 4 && images.scalar_type() == torch::kUInt8 &&
                    (images.size(3) == 1 || images.size(3) == 3) && images.numel() > 0;
  if (!fits) {
    throw InputError(name, "uint8 [images, height, width, 1 or 3 channels]", array_text(images));
  }
  return std::make_unique<ArrayImages>(images.contiguous(), name);
}

std::string array_text(const torch::Tensor& array) {
  return fmt::format("{} {}", c10::getDtypeNames(array.scalar_type()).first,
                     c10::str(array.sizes()));
}

}  // namespace softmoe
