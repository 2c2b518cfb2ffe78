#include "datasets/sources/caption_folder.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "core/pluralize.h"
#include "core/split_text.h"
#include "datasets/sources/folder_walk.h"
#include "datasets/sources/image_files.h"
#include "datasets/sources/split_files.h"
#include "io/atomic_file.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

constexpr uintmax_t kMaxCaptionBytes = uintmax_t{1} << 20;

/// The folder of the split `name` in `root`, or `root` itself for an empty name.
std::vector<std::string> caption_folders(const fs::path& root, const std::string& name) {
  std::error_code none;
  if (name.empty()) {
    return {root.string()};
  }
  return fs::is_directory(root / name, none) ? std::vector{(root / name).string()}
                                             : std::vector<std::string>{};
}

}  // namespace

std::optional<std::string> caption_beside(const fs::path& image) {
  auto text = image;
  text.replace_extension(".txt");
  std::error_code none;
  if (!fs::is_regular_file(text, none)) {
    return std::nullopt;
  }
  if (const auto size = fs::file_size(text); size > kMaxCaptionBytes) {
    throw InputError(text.string(), "a caption of at most 1 MiB", fmt::format("{} bytes", size));
  }
  for (const auto& line : split_text(read_text_file(text), '\n')) {
    if (auto caption = trimmed(line, " \t\r"); !caption.empty()) {
      return caption;
    }
  }
  return std::nullopt;
}

std::unique_ptr<Dataset> open_caption_folder(const fs::path& root, const std::string& split,
                                             const SplitChoice& choice) {
  if (!fs::is_directory(root)) {
    throw InputError(root.string(), "a folder of images with texts", "a file");
  }
  const auto found = find_split_files(
      root, split, choice, [&](const std::string& name) { return caption_folders(root, name); },
      "a folder of images with texts");
  std::vector<std::pair<fs::path, int64_t>> files;
  std::vector<std::string> captions;
  int64_t without = 0;
  FolderWalk walk;
  for (const auto& folder : found.files) {
    for (auto& image : walk.images(folder)) {
      if (auto caption = caption_beside(image)) {
        files.emplace_back(std::move(image), -1);
        captions.push_back(std::move(*caption));
      } else {
        ++without;
      }
    }
  }
  if (files.empty()) {
    throw InputError(root.string(), "images with texts beside them (x.jpg and x.txt)",
                     without == 0 ? "no images" : pluralize(without, "image") + " without a text");
  }
  log_line(fmt::format("{}: {} with captions{}", printable_text(root.string()),
                       pluralize(std::ssize(files), "image"),
                       without == 0 ? "" : fmt::format("; left out: {} without", without)));
  auto set = std::make_unique<ImageFiles>(std::move(files), std::vector<std::string>{});
  set->set_captions(std::move(captions));
  return hold_out(std::move(set), found.kept);
}

}  // namespace softmoe
