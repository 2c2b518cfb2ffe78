#include "datasets/sources/package_pictures.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/lower_case.h"
#include "datasets/sources/caption_folder.h"
#include "datasets/sources/image_files.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

/// The val split has one of so many pictures of each class.
constexpr size_t kPicturesPerVal = 5;

/// The pictures of one class by subject.
using Subjects = std::map<std::string, std::vector<fs::path>>;

/// The subject of a picture below `folder`, the folder of its class.
std::string subject_of(const PicturePackage& package, const fs::path& picture,
                       const fs::path& folder) {
  const auto below = picture.lexically_relative(folder);
  if (!package.has_subjects) {
    return below.string();
  }
  const auto name = below.stem().string();
  return (below.parent_path() / name.substr(0, name.find_first_of("-+0123456789"))).string();
}

Subjects subjects_in(const PicturePackage& package, const fs::path& folder) {
  Subjects subjects;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const bool is_picture =
        entry.is_regular_file() && lower_case(entry.path().extension().string()) == ".png";
    if (is_picture && (!package.has_captions || caption_beside(entry.path()))) {
      subjects[subject_of(package, entry.path(), folder)].push_back(entry.path());
    }
  }
  for (auto& [subject, pictures] : subjects) {
    std::sort(pictures.begin(), pictures.end());
  }
  return subjects;
}

/// The names of the subjects in the order of their hashes.
std::vector<std::string> shuffled_names(const Subjects& subjects) {
  std::vector<std::pair<uint64_t, std::string>> keyed;
  for (const auto& [name, pictures] : subjects) {
    keyed.emplace_back(XXH64(name.data(), name.size(), 0), name);
  }
  std::sort(keyed.begin(), keyed.end());
  std::vector<std::string> names;
  for (auto& [key, name] : keyed) {
    names.push_back(std::move(name));
  }
  return names;
}

/// The subjects of the val split: as many, in the order of their hashes, as a fifth of the pictures
/// has room for, or the smallest one.
std::set<std::string> val_subjects(const Subjects& subjects) {
  size_t room = 0;
  for (const auto& [name, pictures] : subjects) {
    room += pictures.size();
  }
  room /= kPicturesPerVal;
  std::set<std::string> chosen;
  for (const auto& name : shuffled_names(subjects)) {
    const size_t count = subjects.at(name).size();
    if (count <= room) {
      room -= count;
      chosen.insert(name);
    }
  }
  if (chosen.empty()) {
    chosen.insert(
        std::min_element(subjects.begin(), subjects.end(), [](const auto& a, const auto& b) {
          return a.second.size() < b.second.size();
        })->first);
  }
  return chosen;
}

std::vector<fs::path> class_folders(const fs::path& folder) {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory()) {
      folders.push_back(entry.path());
    }
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

}  // namespace

std::unique_ptr<Dataset> open_package_pictures(const PicturePackage& package,
                                               const std::string& folder, SplitKind split) {
  const fs::path place = folder.empty() ? fs::path(package.folder) : fs::path(folder);
  if (!fs::is_directory(place)) {
    throw InputError(place.string(),
                     fmt::format("the pictures of Debian's package {}, or their folder by "
                                 "--data-dir",
                                 package.package),
                     "no such folder");
  }
  std::vector<std::pair<fs::path, int64_t>> files;
  std::vector<std::string> class_names;
  std::vector<std::string> captions;
  for (const auto& class_folder : class_folders(place)) {
    const auto subjects = subjects_in(package, class_folder);
    if (subjects.size() < 2) {
      continue;
    }
    const auto of_val = val_subjects(subjects);
    for (const auto& [name, pictures] : subjects) {
      if (split == SplitKind::kAll || (split == SplitKind::kVal) == of_val.contains(name)) {
        for (const auto& picture : pictures) {
          files.emplace_back(picture, std::ssize(class_names));
          if (package.has_captions) {
            captions.push_back(caption_beside(picture).value());
          }
        }
      }
    }
    class_names.push_back(class_folder.filename().string());
  }
  if (class_names.size() < 2) {
    throw InputError(place.string(), "two folders or more with pictures (.png) of several subjects",
                     fmt::format("{}", class_names.size()));
  }
  auto set = std::make_unique<ImageFiles>(std::move(files), std::move(class_names));
  if (package.has_captions) {
    set->set_captions(std::move(captions));
  }
  return set;
}

}  // namespace softmoe
