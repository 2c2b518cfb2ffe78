#include "datasets/sources/cifar.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/split_text.h"
#include "datasets/image_file.h"
#include "datasets/sources/raw_dataset.h"
#include "io/atomic_file.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

constexpr int kCifarSide = 32;
constexpr size_t kPlane = kCifarSide * kCifarSide;
constexpr size_t kPicture = 3 * kPlane;

/// What differs between the two sets.
struct CifarLayout {
  const char* folder;
  const char* names_file;
  std::vector<std::string> train_files;
  std::vector<std::string> val_files;
  size_t label_bytes;  ///< the last of them is the label
  int64_t classes;
};

CifarLayout layout_of(bool hundred) {
  if (hundred) {
    return {"cifar-100-binary", "fine_label_names.txt", {"train.bin"}, {"test.bin"}, 2, 100};
  }
  return {"cifar-10-batches-bin",
          "batches.meta.txt",
          {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
           "data_batch_5.bin"},
          {"test_batch.bin"},
          1,
          10};
}

/// A record holds its labels, then a red, a green and a blue plane.
void append_file(const fs::path& path, const CifarLayout& layout, RawImages& images) {
  const auto bytes = read_bytes(path);
  const size_t record = layout.label_bytes + kPicture;
  if (bytes.empty() || bytes.size() % record != 0) {
    throw InputError(path.string(), fmt::format("records of {} bytes", record),
                     fmt::format("{} bytes", bytes.size()));
  }
  for (size_t start = 0; start < bytes.size(); start += record) {
    const int64_t label = bytes[start + layout.label_bytes - 1];
    if (label >= layout.classes) {
      throw InputError(fmt::format("{}[{}]: label", path.string(), start / record),
                       fmt::format("below {}", layout.classes), std::to_string(label));
    }
    images.labels.push_back(label);
    const uint8_t* planes = bytes.data() + start + layout.label_bytes;
    const size_t target = images.pixels.size();
    images.pixels.resize(target + kPicture);
    for (size_t pixel = 0; pixel < kPlane; ++pixel) {
      for (size_t channel = 0; channel < 3; ++channel) {
        images.pixels[target + 3 * pixel + channel] = planes[channel * kPlane + pixel];
      }
    }
  }
}

std::vector<std::string> read_names(const fs::path& path, int64_t classes) {
  if (!fs::exists(path)) {
    return numbered_classes(classes);
  }
  std::vector<std::string> names;
  for (const auto& line : split_text(read_text_file(path), '\n')) {
    if (!line.empty()) {
      names.push_back(line);
    }
  }
  if (std::ssize(names) != classes) {
    throw InputError(path.string(), fmt::format("{} names", classes), std::to_string(names.size()));
  }
  return names;
}

}  // namespace

std::unique_ptr<Dataset> open_cifar(const fs::path& folder, SplitKind split, bool hundred) {
  const CifarLayout layout = layout_of(hundred);
  const fs::path home = fs::is_directory(folder / layout.folder) ? folder / layout.folder : folder;
  std::vector<std::string> files;
  if (split != SplitKind::kVal) {
    files = layout.train_files;
  }
  if (split != SplitKind::kTrain) {
    files.insert(files.end(), layout.val_files.begin(), layout.val_files.end());
  }
  RawImages images{.height = kCifarSide, .width = kCifarSide, .channels = 3};
  for (const auto& file : files) {
    append_file(home / file, layout, images);
  }
  const std::string name = files.size() == 1 ? (home / files.front()).string() : home.string();
  return std::make_unique<RawDataset>(name, std::move(images),
                                      read_names(home / layout.names_file, layout.classes));
}

}  // namespace softmoe
