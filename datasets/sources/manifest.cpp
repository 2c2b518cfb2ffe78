#include "datasets/sources/manifest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_map>

#include "core/error.h"
#include "core/log.h"
#include "core/pluralize.h"
#include "core/progress.h"
#include "datasets/sources/class_labels.h"
#include "datasets/sources/image_files.h"
#include "datasets/sources/split_files.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

/// The images of some manifests, one after the other.
class ImageList {
 public:
  /// Adds the rows of `file` that belong to `wanted`.
  void add(const std::string& file, const ManifestColumns& columns, SplitKind wanted) {
    files_.push_back(file);
    read_manifest(file, columns, [&](const ManifestRow& row) {
      if (!row.split.empty()) {
        names_splits_ = true;
        if (wanted != SplitKind::kAll && wanted != kind_of(row)) {
          return;
        }
      }
      add(row, columns);
    });
  }

  /// Returns true if a row says which split it belongs to.
  bool names_splits() const { return names_splits_; }
  const LabelTexts& labels() const { return labels_; }
  int64_t size() const { return std::ssize(places_); }
  /// Returns true if no image has a label, which only captioned sets may lack.
  bool has_no_labels() const { return !captions_.empty() && labels_.distinct().empty(); }
  /// The captions of the images, which the list loses; none if the manifests have none.
  std::vector<std::string> take_captions() { return std::move(captions_); }

  /// "train.csv row 7"
  std::string where(int64_t image) const {
    const auto& place = places_[static_cast<size_t>(image)];
    return fmt::format("{} row {}", files_[place.file], place.row);
  }

  /// Throws InputError that names the first row whose file is not there, and counts the others.
  void check_files() const {
    Progress progress("Look for files", std::ssize(paths_), "files");
    int64_t missing = 0;
    int64_t first = 0;
    for (int64_t image = 0; image < std::ssize(paths_); ++image) {
      std::error_code none;
      if (!fs::exists(paths_[static_cast<size_t>(image)], none)) {
        first = missing++ == 0 ? image : first;
      }
      progress.update(image + 1);
    }
    progress.finish();
    if (missing > 0) {
      throw InputError(
          fmt::format("{}: there is no file {}{}", where(first),
                      printable_text(paths_[static_cast<size_t>(first)].string()),
                      missing == 1 ? "" : fmt::format(", and none of {} more rows", missing - 1)));
    }
  }

  /// What there is to say beside the number of images.
  std::vector<std::string> notes() const {
    return repeats_ == 0 ? std::vector<std::string>{}
                         : std::vector{fmt::format("{} repeat an image and its label, first {}",
                                                   pluralize(repeats_, "row"), first_repeat_)};
  }

  /// The paths of the images, which the list loses.
  std::vector<fs::path> take_paths() { return std::move(paths_); }

 private:
  struct Place {
    uint32_t file;
    int64_t row;
  };

  SplitKind kind_of(const ManifestRow& row) const {
    const auto kind = split_kind(row.split);
    if (!kind || *kind == SplitKind::kAll) {
      throw InputError(fmt::format("{} row {}: split", files_.back(), row.row),
                       "train, val or test", "'" + printable_text(row.split) + "'");
    }
    return *kind;
  }

  void add(const ManifestRow& row, const ManifestColumns& columns) {
    auto path = (fs::path(files_.back()).parent_path() / row.path).lexically_normal();
    const auto image = static_cast<int64_t>(paths_.size());
    const auto [at, is_new] = image_of_.try_emplace(path.string(), image);
    if (is_new) {
      paths_.push_back(std::move(path));
      places_.push_back({static_cast<uint32_t>(files_.size() - 1), row.row});
      labels_.add(row.labels);
      add_caption(row);
      if (!columns.labels.multi_label && row.labels.empty() != has_no_labels()) {
        throw InputError(files_.back(), "labels in all manifests or in none", "others");
      }
      return;
    }
    if (!captions_.empty() && row.caption != captions_[static_cast<size_t>(at->second)]) {
      throw InputError(fmt::format("{} row {}: {} stands in {}, too, with another caption",
                                   files_.back(), row.row, printable_text(row.path),
                                   where(at->second)));
    }
    LabelTexts label;
    label.add(row.labels);
    const auto earlier = labels_.texts(at->second);
    const auto here = fmt::format("{} row {}", files_.back(), row.row);
    if (label.texts(0) != earlier) {
      const auto text = [](const std::vector<std::string>& labels) {
        return printable_text(fmt::format("{}", fmt::join(labels, "', '")));
      };
      throw InputError(fmt::format("{}: {} stands in {}, too, with label '{}' there and '{}' here",
                                   here, printable_text(row.path), where(at->second), text(earlier),
                                   text(row.labels)));
    }
    first_repeat_ = repeats_++ == 0 ? here : first_repeat_;
  }

  void add_caption(const ManifestRow& row) {
    const bool has_captions = !captions_.empty() || places_.size() == 1;
    if (row.caption.empty() && captions_.empty()) {
      return;
    }
    if (row.caption.empty() || !has_captions) {
      throw InputError(files_.back(), "captions as the manifests before it",
                       row.caption.empty() ? "none" : "some, which those lack");
    }
    captions_.push_back(row.caption);
  }

  std::vector<std::string> files_;
  std::vector<fs::path> paths_;
  std::vector<Place> places_;  // by image
  LabelTexts labels_;
  std::vector<std::string> captions_;                  // by image, or none
  std::unordered_map<std::string, int64_t> image_of_;  // by path
  bool names_splits_ = false;
  int64_t repeats_ = 0;
  std::string first_repeat_;
};

ImageList read_list(const std::vector<std::string>& files, const ManifestColumns& columns,
                    SplitKind wanted) {
  ImageList list;
  for (const auto& file : files) {
    list.add(file, columns, wanted);
  }
  return list;
}

/// The manifests of the split `name` in `folder`, or all there are.
std::vector<std::string> manifests_of(const fs::path& folder, const std::string& name) {
  std::vector<std::string> found;
  const auto take = [&](const fs::path& file) {
    if (fs::is_regular_file(file) && is_manifest_name(file)) {
      found.push_back(file.string());
    }
  };
  if (!name.empty()) {
    take(folder / name);
  }
  for (const char* extension : {".csv", ".tsv", ".jsonl", ".ndjson"}) {
    if (name.empty()) {
      take(folder / ("metadata" + std::string(extension)));
    } else {
      take(folder / (name + extension));
      take(folder / name / ("metadata" + std::string(extension)));
    }
  }
  if (name.empty()) {
    for (const auto& row : split_names()) {
      const auto files =
          row.kind == SplitKind::kAll ? std::vector<std::string>{} : manifests_of(folder, row.text);
      found.insert(found.end(), files.begin(), files.end());
    }
  }
  return found;
}

SplitFiles find_manifests(const fs::path& path, const std::string& split,
                          const SplitChoice& choice) {
  if (fs::is_directory(path)) {
    return find_split_files(
        path, split, choice, [&](const std::string& name) { return manifests_of(path, name); },
        "a manifest (train.csv, train.jsonl, metadata.csv, ...)");
  }
  return {{path.string()}, require_split_kind(split, path.string()), {path.string()}};
}

/// The files with their captions, if there are any.
std::unique_ptr<Dataset> with_captions(std::unique_ptr<ImageFiles> files,
                                       std::vector<std::string> captions) {
  if (!captions.empty()) {
    files->set_captions(std::move(captions));
  }
  return files;
}

/// The images of `list`, which loses their paths and captions. Throws InputError for labels that
/// are no class and for files that are missing.
std::unique_ptr<Dataset> with_classes(ImageList& list, const ClassLabels& classes,
                                      bool multi_label) {
  const auto where = [&](int64_t image) { return list.where(image); };
  if (multi_label) {
    auto labels = classes.index_lists(list.labels(), where);
    list.check_files();
    return with_captions(
        std::make_unique<ImageFiles>(list.take_paths(), std::move(labels), classes.names()),
        list.take_captions());
  }
  const auto labels = list.has_no_labels()
                          ? std::vector<int64_t>(static_cast<size_t>(list.size()), -1)
                          : classes.indices(list.labels(), where);
  list.check_files();
  auto paths = list.take_paths();
  std::vector<std::pair<fs::path, int64_t>> files;
  files.reserve(labels.size());
  for (size_t image = 0; image < labels.size(); ++image) {
    files.emplace_back(std::move(paths[image]), labels[image]);
  }
  return with_captions(std::make_unique<ImageFiles>(std::move(files), classes.names()),
                       list.take_captions());
}

}  // namespace

std::unique_ptr<Dataset> open_manifest(const fs::path& path, const std::string& split,
                                       const SplitChoice& choice, const ManifestColumns& columns,
                                       const fs::path& class_map) {
  const auto found = find_manifests(path, split, choice);
  auto list = read_list(found.files, columns, found.kept);
  const auto where = [&](int64_t image) { return list.where(image); };
  const auto classes = [&] {
    if (list.has_no_labels()) {
      return ClassLabels::none();
    }
    if (!class_map.empty()) {
      return ClassLabels::read(class_map);
    }
    if (!list.names_splits() && found.class_files == found.files) {
      return ClassLabels::of(list.labels(), where);
    }
    const auto training = read_list(found.class_files, columns, SplitKind::kTrain);
    return ClassLabels::of(training.labels(), [&](int64_t image) { return training.where(image); });
  }();
  if (list.labels().size() == 0) {
    throw MissingSplit(path.string(), "rows of split '" + printable_text(split) + "'", "none");
  }
  auto set = with_classes(list, classes, columns.labels.multi_label);
  auto notes = list.notes();
  notes.insert(notes.begin(),
               fmt::format("{} {}", pluralize(list.labels().size(), "image"),
                           classes.names().empty() ? "with captions"
                                                   : "of " + pluralize(std::ssize(classes.names()),
                                                                       "class", "classes")));
  log_line(fmt::format("{}: {}", printable_text(fmt::format("{}", fmt::join(found.files, ", "))),
                       fmt::join(notes, "; ")));
  const auto kept = list.names_splits() ? SplitKind::kAll : found.kept;
  return hold_out(std::move(set), kept);
}

}  // namespace softmoe
