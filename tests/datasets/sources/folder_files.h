#pragma once
/// Folders of images, and what is said about them.

#include <filesystem>
#include <string>
#include <vector>

#include "core/log.h"
#include "datasets/image_file.h"
#include "datasets/small_sets.h"
#include "datasets/sources/image_folder.h"

namespace softmoe::test {

inline void write_images(const std::filesystem::path& folder, int count) {
  for (int i = 0; i < count; ++i) {
    write_file(folder / (std::to_string(10 + i) + ".png"),
               encode_png(picture(6, 9, static_cast<uint64_t>(i))));
  }
}

/// The log lines of opening `split` of `root`.
inline std::vector<std::string> lines_of(const std::filesystem::path& root,
                                         const std::string& split) {
  std::vector<std::string> lines;
  const auto previous = set_log_sink([&lines](const std::string& line) { lines.push_back(line); });
  open_image_folder(root, split);
  set_log_sink(previous);
  return lines;
}

}  // namespace softmoe::test
