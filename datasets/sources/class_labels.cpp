#include "datasets/sources/class_labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "core/error.h"
#include "core/lower_case.h"
#include "core/name_list.h"
#include "core/nearest_name.h"
#include "core/split_text.h"
#include "core/unicode.h"
#include "datasets/splits.h"
#include "io/atomic_file.h"

namespace softmoe {
namespace {

/// Max number of classes that are numbered: a label that is a larger number is a mistake.
constexpr int64_t kMaxNumberedClasses = 1 << 20;

/// The number that `label` is, without a sign or a zero before it; the largest integer if it is
/// larger.
std::optional<int64_t> class_number(const std::string& label) {
  const bool is_number = !label.empty() && std::all_of(label.begin(), label.end(), [](char digit) {
    return digit >= '0' && digit <= '9';
  });
  if (!is_number || (label.size() > 1 && label.front() == '0')) {
    return std::nullopt;
  }
  int64_t number = 0;
  const auto end = std::from_chars(label.data(), label.data() + label.size(), number);
  return end.ec == std::errc() ? number : std::numeric_limits<int64_t>::max();
}

constexpr const char* kNameSpaces = " \t\r\v\f";

}  // namespace

void LabelTexts::add(std::span<const std::string> labels) {
  for (const auto& label : labels) {
    const auto name = escaped_name(label);
    const auto [at, is_new] = place_of_.try_emplace(name, static_cast<uint32_t>(distinct_.size()));
    if (is_new) {
      distinct_.push_back(name);
      first_images_.push_back(size());
    }
    places_.push_back(at->second);
  }
  ends_.push_back(std::ssize(places_));
}

std::span<const uint32_t> LabelTexts::places(int64_t image) const {
  const auto at = static_cast<size_t>(image);
  const auto begin = static_cast<size_t>(image == 0 ? 0 : ends_[at - 1]);
  return std::span(places_).subspan(begin, static_cast<size_t>(ends_[at]) - begin);
}

std::vector<std::string> LabelTexts::texts(int64_t image) const {
  std::vector<std::string> texts;
  for (const auto place : places(image)) {
    texts.push_back(distinct_[place]);
  }
  return texts;
}

ClassLabels::ClassLabels(std::vector<std::string> names, std::string origin)
    : names_(std::move(names)), origin_(std::move(origin)) {
  for (const auto& name : names_) {
    index_of_.emplace(name, static_cast<int64_t>(index_of_.size()));
  }
}

ClassLabels ClassLabels::read(const std::filesystem::path& class_map) {
  const auto file = class_map.string();
  if (lower_case(class_map.extension().string()) == ".pkl") {
    throw InputError("class map " + file, "a text file with one name per line", "a pickle file");
  }
  std::vector<std::string> names;
  std::unordered_map<std::string, size_t> lines;
  for (const auto& line : split_text(read_text_file(class_map), '\n')) {
    names.push_back(escaped_name(trimmed(line, kNameSpaces)));
  }
  while (!names.empty() && names.back().empty()) {
    names.pop_back();
  }
  for (size_t row = 1; row <= names.size(); ++row) {
    const auto& name = names[row - 1];
    const auto where = fmt::format("class map {} row {}", file, row);
    if (name.empty()) {
      throw InputError(where, "the name of a class", "nothing");
    }
    if (const auto [at, is_new] = lines.emplace(name, row); !is_new) {
      throw InputError(
          fmt::format("{}: '{}' stands in row {}, too", where, printable_text(name), at->second));
    }
  }
  if (names.empty()) {
    throw InputError("class map " + file, "names of classes, one per line", "none");
  }
  return {std::move(names), "the class map " + file};
}

ClassLabels ClassLabels::of(const LabelTexts& labels,
                            const std::function<std::string(int64_t image)>& where) {
  auto names = labels.distinct();
  int64_t max_number = 0;
  for (size_t place = 0; place < names.size(); ++place) {
    const auto number = class_number(names[place]);
    if (!number) {
      std::sort(names.begin(), names.end());
      return {std::move(names), "the training images"};
    }
    if (*number >= kMaxNumberedClasses) {
      throw InputError(
          where(labels.first_image(place)) + ": label",
          fmt::format("the number of a class below {}, or --class-map", kMaxNumberedClasses),
          printable_text(names[place]));
    }
    max_number = std::max(max_number, *number);
  }
  return {numbered_classes(max_number + 1), "the training images"};
}

std::vector<int64_t> ClassLabels::index_of_places(
    const LabelTexts& labels, const std::function<std::string(int64_t image)>& where) const {
  std::vector<int64_t> index_of_place;
  for (size_t place = 0; place < labels.distinct().size(); ++place) {
    const auto& text = labels.distinct()[place];
    const auto named = index_of_.find(text);
    const auto number = class_number(text);
    if (named == index_of_.end() && (!number || *number >= std::ssize(names_))) {
      throw InputError(
          fmt::format("{}: label", where(labels.first_image(place))),
          fmt::format("a class of {} ({})", origin_, name_list(names_, /*max_shown=*/5)),
          fmt::format("'{}'{}", printable_text(text), did_you_mean(text, names_)));
    }
    index_of_place.push_back(named == index_of_.end() ? *number : named->second);
  }
  return index_of_place;
}

std::vector<int64_t> ClassLabels::indices(
    const LabelTexts& labels, const std::function<std::string(int64_t image)>& where) const {
  const auto index_of_place = index_of_places(labels, where);
  std::vector<int64_t> indices;
  indices.reserve(static_cast<size_t>(labels.size()));
  for (int64_t image = 0; image < labels.size(); ++image) {
    indices.push_back(index_of_place[labels.places(image).front()]);
  }
  return indices;
}

std::vector<std::vector<int64_t>> ClassLabels::index_lists(
    const LabelTexts& labels, const std::function<std::string(int64_t image)>& where) const {
  const auto index_of_place = index_of_places(labels, where);
  std::vector<std::vector<int64_t>> lists;
  lists.reserve(static_cast<size_t>(labels.size()));
  for (int64_t image = 0; image < labels.size(); ++image) {
    std::set<int64_t> classes;
    for (const auto place : labels.places(image)) {
      classes.insert(index_of_place[place]);
    }
    lists.emplace_back(classes.begin(), classes.end());
  }
  return lists;
}

}  // namespace softmoe
