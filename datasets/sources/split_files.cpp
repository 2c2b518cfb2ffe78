#include "datasets/sources/split_files.h"

#include "core/name_list.h"

namespace softmoe {
namespace {

/// The files of the first of `split` and the names of its kind that has any.
std::vector<std::string> files_of_kind(const FilesOfSplit& files_of, const std::string& split) {
  auto files = files_of(split);
  const auto kind = split_kind(split);
  for (const auto& name : split_names()) {
    if (files.empty() && kind == name.kind) {
      files = files_of(name.text);
    }
  }
  return files;
}

std::vector<std::string> file_names(const std::vector<std::string>& files) {
  std::vector<std::string> names;
  for (const auto& file : files) {
    names.push_back(std::filesystem::path(file).filename().string());
  }
  return names;
}

}  // namespace

SplitFiles find_split_files(const std::filesystem::path& folder, const std::string& split,
                            const SplitChoice& choice, const FilesOfSplit& files_of,
                            const std::string& expected) {
  const auto kind = split_kind(split);
  const auto everything = files_of("");
  const auto training = files_of_kind(files_of, choice.train);
  const auto evaluation = files_of_kind(files_of, choice.val);
  const auto& class_files = training.empty() ? everything : training;
  if (everything.empty() && training.empty() && evaluation.empty()) {
    throw InputError(folder.string(), expected, "none");
  }
  if (kind == SplitKind::kAll) {
    return {everything, SplitKind::kAll, class_files};
  }
  const auto named = files_of_kind(files_of, split);
  if (!named.empty()) {
    const bool is_divided = evaluation.empty() && named == training;
    return {named, is_divided ? SplitKind::kTrain : SplitKind::kAll,
            training.empty() ? named : training};
  }
  if (kind == SplitKind::kVal && !training.empty()) {
    return {training, SplitKind::kVal, training};
  }
  if (kind && training.empty() && evaluation.empty()) {
    return {everything, *kind, everything};
  }
  throw MissingSplit(folder.string(), expected + " for split '" + printable_text(split) + "'",
                     name_list(file_names(everything), /*max_shown=*/5));
}

}  // namespace softmoe
