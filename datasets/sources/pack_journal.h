#pragma once
/// What packing has done so far, so that it can go on after it was ended in any way.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "io/append_file.h"
#include "io/range_file.h"

namespace softmoe {

/// An image as it is stored.
struct StoredImage {
  std::vector<uint8_t> bytes;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t channels = 0;
};

/// A file of images that are ready, which only grows. Each is there whole or not at all; images may
/// come in any order.
class PackJournal {
 public:
  /// Opens the journal of `images` images at `path`, or begins it. One that was begun for other
  /// images or options, which `key` tells, is begun anew.
  PackJournal(const std::filesystem::path& path, int64_t images, const std::string& key);

  /// The images that are not there yet, in their order.
  std::vector<int64_t> missing() const;
  bool contains(int64_t number) const { return place_[static_cast<size_t>(number)] > 0; }

  void append(int64_t number, const StoredImage& image);
  /// Throws InputError that names the journal if the image is not what was written.
  StoredImage read(int64_t number) const;

  const std::filesystem::path& path() const { return file_.path(); }

 private:
  void find_images(int64_t begin);

  AppendFile file_;
  RangeFile input_;             // reads it
  std::vector<int64_t> place_;  // of each image's record; 0: it is not there
};

}  // namespace softmoe
