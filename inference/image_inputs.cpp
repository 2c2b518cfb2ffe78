#include "inference/image_inputs.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <mutex>
#include <opencv2/core.hpp>
#include <optional>
#include <set>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "datasets/image_file.h"
#include "datasets/sources/folder_walk.h"
#include "datasets/sources/image_files.h"
#include "datasets/splits.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

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

constexpr std::string_view kStandardInput = "-";

/// A pipe or a device, which can be read once: its bytes are kept.
class ImageStream {
 public:
  explicit ImageStream(std::string path) : path_(std::move(path)) {}

  const std::vector<uint8_t>& bytes() {
    const std::lock_guard lock(mutex_);
    if (!bytes_) {
      bytes_ = path_ == kStandardInput ? read_bytes(STDIN_FILENO, name()) : read_bytes(path_);
    }
    return *bytes_;
  }
  std::string name() const { return path_ == kStandardInput ? "standard input" : path_; }

 private:
  std::string path_;
  std::mutex mutex_;
  std::optional<std::vector<uint8_t>> bytes_;
};

/// Image files, some of which are streams.
class GivenImages : public ImageFiles {
 public:
  using Streams = std::map<int64_t, std::unique_ptr<ImageStream>>;

  GivenImages(std::vector<std::pair<fs::path, int64_t>> files, Streams streams)
      : ImageFiles(std::move(files), no_classes()), streams_(std::move(streams)) {}

  Sample get(int64_t index) const override {
    const auto stream = streams_.find(index);
    if (stream == streams_.end()) {
      return ImageFiles::get(index);
    }
    return {.image = decode_image(stream->second->bytes(), stream->second->name()), .label = 0};
  }

  std::optional<std::vector<uint8_t>> encoded_bytes(int64_t index) const override {
    const auto stream = streams_.find(index);
    return stream == streams_.end() ? ImageFiles::encoded_bytes(index) : stream->second->bytes();
  }

 private:
  Streams streams_;  // by index
};

/// The device and the number of a stream; nothing for regular files and those that do not exist.
std::optional<std::pair<uint64_t, uint64_t>> stream_identity(const std::string& path) {
  struct stat status {};
  const bool is_input = path == kStandardInput;
  const int failed = is_input ? ::fstat(STDIN_FILENO, &status) : ::stat(path.c_str(), &status);
  if (!is_input && (failed != 0 || S_ISREG(status.st_mode))) {
    return std::nullopt;
  }
  return std::pair<uint64_t, uint64_t>{status.st_dev, status.st_ino};
}

/// The image files below `folder`; says what is left out.
std::vector<fs::path> images_of_folder(const std::string& folder) {
  FolderWalk walk;
  auto found = walk.images(folder);
  const auto left_out = walk.left_out().text();
  if (found.empty()) {
    throw InputError(folder, "image files in the folder",
                     left_out.empty() ? "none" : "none (" + left_out + ")");
  }
  if (!left_out.empty()) {
    log_line(printable_text(folder) + ": " + left_out);
  }
  return found;
}

}  // namespace

std::unique_ptr<Dataset> open_image_paths(const std::vector<std::string>& paths) {
  std::vector<std::pair<fs::path, int64_t>> files;
  GivenImages::Streams streams;
  std::set<std::pair<uint64_t, uint64_t>> seen;
  for (const auto& path : paths) {
    std::error_code no_folder;
    if (path != kStandardInput && fs::is_directory(path, no_folder)) {
      for (const auto& file : images_of_folder(path)) {
        files.emplace_back(file, 0);
      }
      continue;
    }
    if (const auto identity = stream_identity(path)) {
      if (!seen.insert(*identity).second) {
        throw UsageError("'" + path + "' is given twice, but can be read once only");
      }
      streams.emplace(std::ssize(files), std::make_unique<ImageStream>(path));
    }
    files.emplace_back(path, 0);
  }
  return std::make_unique<GivenImages>(std::move(files), std::move(streams));
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
