#include "datasets/sources/split_folders.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/lower_case.h"
#include "core/name_list.h"
#include "core/pluralize.h"
#include "core/unicode.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

/// The part for `split`: the folder of that name, else the first one of the same kind.
const SplitFolder* part_of(const std::vector<SplitFolder>& parts, const std::string& split) {
  const auto named = [&](const std::string& name) {
    auto at = std::find_if(parts.begin(), parts.end(),
                           [&](const SplitFolder& part) { return part.is_called(name); });
    if (at == parts.end()) {
      at = std::find_if(parts.begin(), parts.end(),
                        [&](const SplitFolder& part) { return lower_case(part.name) == name; });
    }
    return at == parts.end() ? nullptr : &*at;
  };
  if (const auto* part = named(split)) {
    return part;
  }
  const auto kind = split_kind(split);
  for (const auto& name : split_names()) {
    const auto* part = kind == name.kind ? named(name.text) : nullptr;
    if (part != nullptr) {
      return part;
    }
  }
  return nullptr;
}

}  // namespace

std::string names_of(const Folders& folders) {
  std::set<std::string> names;
  for (const auto& [name, path] : folders) {
    names.insert(name);
  }
  return name_list({names.begin(), names.end()});
}

bool SplitFolder::is_called(const std::string& split) const { return name == escaped_name(split); }

bool names_a_split(const std::string& name) {
  const auto kind = split_kind(name);
  return kind && kind != SplitKind::kAll;
}

std::vector<SplitFolder> split_folders(FolderWalk& walk, const Folders& folders,
                                       const std::vector<std::string>& chosen) {
  std::set<std::string> names;
  for (const auto& name : chosen) {
    if (!split_kind(name)) {
      names.insert(escaped_name(name));
    }
  }
  std::vector<SplitFolder> found;
  for (const auto& [name, path] : folders) {
    if (!names_a_split(name) && !names.contains(name)) {
      continue;
    }
    auto classes = walk.subfolders(path);
    if (!found.empty() && found.back().name == name) {
      found.back().classes.merge(classes);
    } else if (!classes.empty()) {
      found.push_back({name, path, std::move(classes)});
    }
  }
  return found;
}

SplitPart find_part(const fs::path& root, const Folders& folders,
                    const std::vector<SplitFolder>& parts, const std::string& split,
                    const SplitChoice& choice) {
  const auto kind = split_kind(split);
  const auto* training = part_of(parts, choice.train);
  const bool is_train = split == choice.train || kind == SplitKind::kTrain;
  const bool lacks_val = part_of(parts, choice.val) == nullptr;
  const auto* part = part_of(parts, split);
  if (part != nullptr) {
    const bool is_divided = is_train && lacks_val && part == training;
    return {part, is_divided ? SplitKind::kTrain : SplitKind::kAll};
  }
  if (kind == SplitKind::kVal && training != nullptr) {
    return {training, SplitKind::kVal};
  }
  for (const auto& [name, folder] : folders) {
    if (name == escaped_name(split) || (kind && split_kind(name) == kind)) {
      throw no_class_folders(folder);
    }
  }
  throw MissingSplit(root.string(), "a subfolder for split '" + printable_text(split) + "'",
                     names_of(folders));
}

std::vector<const SplitFolder*> parts_of_classes(const std::vector<SplitFolder>& parts,
                                                 const std::string& split,
                                                 const SplitChoice& choice) {
  const auto* part = part_of(parts, choice.train);
  if (part == nullptr && !split_kind(split)) {
    part = part_of(parts, split);
  }
  return part != nullptr ? std::vector{part} : pointers_to(parts);
}

std::vector<const SplitFolder*> pointers_to(const std::vector<SplitFolder>& parts) {
  std::vector<const SplitFolder*> pointers;
  for (const auto& part : parts) {
    pointers.push_back(&part);
  }
  return pointers;
}

InputError no_class_folders(const fs::path& folder) {
  const int64_t own = FolderWalk().count_own_images(folder);
  for (const char* name : {"metadata.csv", "metadata.jsonl"}) {
    if (fs::exists(folder / name)) {
      return InputError(folder.string(), "class folders, each with the images of one class",
                        fmt::format("{}, which --dataset manifest reads", name));
    }
  }
  return InputError(folder.string(), "class folders, each with the images of one class",
                    own == 0 ? "no image files" : pluralize(own, "image") + " and no folders");
}

}  // namespace softmoe
