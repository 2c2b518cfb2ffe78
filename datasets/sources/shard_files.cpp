#include "datasets/sources/shard_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/lower_case.h"
#include "datasets/sources/shard_names.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;
using Files = std::vector<std::string>;

/// The shards in `folder` itself, in the order of their names.
Files shards_in(const fs::path& folder) {
  Files found;
  if (fs::is_directory(folder)) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.is_regular_file() && is_shard_name(entry.path())) {
        found.push_back(entry.path().string());
      }
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// Returns true if one of the words of `file`'s name, such as those of imagenet-train-0003.tar, is
/// `name`, with or without digits behind it.
bool has_word(const std::string& file, const std::string& name) {
  const auto is_part = [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9');
  };
  std::string word;
  for (const char letter : lower_case(fs::path(file).filename().string()) + ".") {
    if (is_part(letter)) {
      word += letter;
      continue;
    }
    if (word == name || word.substr(0, word.find_last_not_of("0123456789") + 1) == name) {
      return true;
    }
    word.clear();
  }
  return false;
}

/// The shards of the split `name`, or all of `folder`: a pattern, a subfolder, or names.
Files shards_of(const fs::path& folder, const std::string& name) {
  if (name.empty()) {
    auto found = shards_in(folder);
    for (const auto& row : split_names()) {
      const auto more = row.kind == SplitKind::kAll ? Files{} : shards_in(folder / row.text);
      found.insert(found.end(), more.begin(), more.end());
    }
    return found;
  }
  if (is_pipe(name) || is_shard_name(name)) {
    Files found;
    for (const auto& text : expand_braces(name)) {
      found.push_back(is_pipe(text) ? text : (folder / text).string());
    }
    return found;
  }
  auto found = shards_in(folder / name);
  for (auto& file : shards_in(folder)) {
    if (has_word(file, lower_case(name))) {
      found.push_back(std::move(file));
    }
  }
  return found;
}

void check_shards(const Files& files) {
  for (const auto& file : files) {
    if (!is_pipe(file) && !fs::is_regular_file(file)) {
      throw InputError(printable_text(file), "a tar shard",
                       fs::exists(file) ? "another kind of file" : "no such file");
    }
  }
}

}  // namespace

SplitFiles find_shards(const std::string& location, const std::string& split,
                       const SplitChoice& choice) {
  SplitFiles found;
  if (!is_pipe(location) && fs::is_directory(location)) {
    found = find_split_files(
        location, split, choice, [&](const std::string& name) { return shards_of(location, name); },
        "tar shards (train-0000.tar, ...)");
  } else {
    found.files = expand_braces(location);
    found.kept = require_split_kind(split, location);
    found.class_files = found.files;
  }
  check_shards(found.files);
  check_shards(found.class_files);
  return found;
}

}  // namespace softmoe
