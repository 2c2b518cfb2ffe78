#include "datasets/sources/idx.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "core/error.h"
#include "datasets/sources/raw_dataset.h"
#include "io/gzip_file.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

constexpr uint8_t kUnsignedByte = 0x08;

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

/// The file of `folder` whose name ends with `part`, '-' or '.', "idx", the number of `axes`,
/// "-ubyte" and perhaps ".gz"; empty if there is none.
fs::path find_part(const fs::path& folder, const std::string& part, int axes) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::string name = entry.path().filename().string();
    if (name.ends_with(".gz")) {
      name.resize(name.size() - 3);
    }
    for (const char separator : {'-', '.'}) {
      const std::string wanted = fmt::format("{}{}idx{}-ubyte", part, separator, axes);
      if (name == wanted || name.ends_with("-" + wanted)) {
        found.push_back(entry.path());
      }
    }
  }
  std::sort(found.begin(), found.end());
  if (found.size() > 1 && found[0].string() + ".gz" != found[1].string()) {
    throw InputError(folder.string() + ": several files could be the " + part + ": " +
                     found[0].filename().string() + ", " + found[1].filename().string());
  }
  return found.empty() ? fs::path() : found.front();
}

/// How the names of a split's files begin.
std::vector<std::string> name_beginnings(SplitKind split) {
  return split == SplitKind::kTrain ? std::vector<std::string>{"train"}
                                    : std::vector<std::string>{"t10k", "test", "val"};
}

/// Appends the images and labels of a split; returns false if there are no such files.
bool append_split(const fs::path& folder, SplitKind split, RawImages& images, std::string& name) {
  for (const auto& word : name_beginnings(split)) {
    const fs::path image_path = find_part(folder, word + "-images", 3);
    const fs::path label_path = find_part(folder, word + "-labels", 1);
    if (image_path.empty() || label_path.empty()) {
      continue;
    }
    const IdxArray pixels = read_idx(image_path);
    const IdxArray labels = read_idx(label_path);
    if (pixels.shape.size() != 3) {
      throw InputError(image_path.string(), "[images, height, width]", shape_text(pixels.shape));
    }
    if (labels.shape.size() != 1 || labels.shape[0] != pixels.shape[0]) {
      throw InputError(label_path.string(), fmt::format("{} labels", pixels.shape[0]),
                       shape_text(labels.shape));
    }
    const auto height = static_cast<int>(pixels.shape[1]);
    const auto width = static_cast<int>(pixels.shape[2]);
    if (!images.labels.empty() && (images.height != height || images.width != width)) {
      throw InputError(image_path.string(),
                       fmt::format("images of {}x{}", images.height, images.width),
                       fmt::format("{}x{}", height, width));
    }
    images.height = height;
    images.width = width;
    images.pixels.insert(images.pixels.end(), pixels.values.begin(), pixels.values.end());
    images.labels.insert(images.labels.end(), labels.values.begin(), labels.values.end());
    name = image_path.string();
    return true;
  }
  return false;
}

/// One more than the largest label of both splits, so that both have the same classes.
int64_t count_classes(const fs::path& folder) {
  int64_t classes = 0;
  for (const SplitKind split : {SplitKind::kTrain, SplitKind::kVal}) {
    for (const auto& word : name_beginnings(split)) {
      const fs::path path = find_part(folder, word + "-labels", 1);
      if (!path.empty()) {
        for (const uint8_t label : read_idx(path).values) {
          classes = std::max<int64_t>(classes, label + 1);
        }
      }
    }
  }
  return classes;
}

}  // namespace

IdxArray read_idx(const fs::path& path) {
  GzipFile file(path);
  std::array<uint8_t, 4> magic{};
  if (file.read(magic.data(), 4) != 4 || magic[0] != 0 || magic[1] != 0) {
    throw InputError(path.string(), "an IDX file (it begins with two zero bytes)",
                     "something else");
  }
  if (magic[2] != kUnsignedByte) {
    throw InputError(path.string(), "IDX elements of type 0x08 (unsigned byte)",
                     fmt::format("type {:#04x}", magic[2]));
  }
  IdxArray array;
  // The sizes are not to be trusted: their product must not overflow, and memory is allocated as
  // data arrives.
  size_t count = 1;
  for (int axis = 0; axis < magic[3]; ++axis) {
    std::array<uint8_t, 4> bytes{};
    if (file.read(bytes.data(), 4) != 4) {
      throw InputError(path.string() + ": the IDX header is cut short");
    }
    const int64_t size = (int64_t{bytes[0]} << 24) | (bytes[1] << 16) | (bytes[2] << 8) | bytes[3];
    array.shape.push_back(size);
    if (__builtin_mul_overflow(count, static_cast<size_t>(size), &count)) {
      throw InputError(path.string(), "an array that fits in memory", shape_text(array.shape));
    }
  }
  constexpr size_t kStep = size_t{1} << 24;
  size_t done = 0;
  while (done < count) {
    const size_t part = std::min(kStep, count - done);
    array.values.resize(done + part);
    const size_t got = file.read(array.values.data() + done, part);
    done += got;
    if (got < part) {
      throw InputError(path.string(), fmt::format("{} bytes of data", count),
                       fmt::format("{}", done));
    }
  }
  if (!file.at_end()) {
    throw InputError(path.string(), fmt::format("{} bytes of data", count), "more");
  }
  return array;
}

std::unique_ptr<Dataset> open_idx(const fs::path& folder, SplitKind split,
                                  std::vector<std::string> class_names) {
  if (!fs::is_directory(folder)) {
    throw InputError(folder.string(), "a folder of IDX files", "no such folder");
  }
  RawImages images;
  std::string name;
  for (const SplitKind part : {SplitKind::kTrain, SplitKind::kVal}) {
    if (split != part && split != SplitKind::kAll) {
      continue;
    }
    if (!append_split(folder, part, images, name)) {
      throw InputError(
          folder.string(),
          fmt::format("{0}-images-idx3-ubyte and {0}-labels-idx1-ubyte, with or without .gz",
                      name_beginnings(part).front()),
          "no such files");
    }
  }
  if (split == SplitKind::kAll) {
    name = folder.string();
  }
  if (class_names.empty()) {
    class_names = numbered_classes(count_classes(folder));
  }
  return std::make_unique<RawDataset>(name, std::move(images), std::move(class_names));
}

}  // namespace softmoe
