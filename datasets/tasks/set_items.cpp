#include "datasets/tasks/set_items.h"

#include <fmt/format.h>

#include <algorithm>
#include <opencv2/imgproc.hpp>
#include <set>

#include "core/error.h"
#include "core/pluralize.h"

namespace softmoe {
namespace {

/// Images of an endless set that are tried for one of a class.
constexpr int64_t kMaxTries = 1'000'000;
/// Images of an endless set that tasks draw from.
constexpr int64_t kEndlessImages = int64_t{1} << 40;

/// The script of a letter and its case, as its name begins: "Greek capital letter BETA".
struct LetterKind {
  std::string script;
  std::string letter_case;
};

LetterKind letter_kind(const std::string& text) {
  for (const auto* const letter_case : {"capital", "small"}) {
    if (const auto at = text.find(std::string(" ") + letter_case + " "); at != text.npos) {
      return {text.substr(0, at), letter_case};
    }
  }
  const auto at = text.find(" letter");
  return {at == text.npos ? "other" : text.substr(0, at), "without case"};
}

/// Adds the attribute `name`, whose word for each class is in `of_class`, if it tells classes
/// apart.
void add_attribute(std::vector<ItemAttribute>& attributes,
                   std::vector<std::vector<int64_t>>& values, const std::string& name,
                   const std::vector<std::string>& of_class) {
  ItemAttribute attribute{.name = name, .words = {}, .values = {}};
  std::vector<int64_t> numbers;
  for (const auto& word : of_class) {
    const auto found = std::find(attribute.words.begin(), attribute.words.end(), word);
    numbers.push_back(found - attribute.words.begin());
    if (found == attribute.words.end()) {
      attribute.words.push_back(word);
    }
  }
  if (attribute.words.size() < 2) {
    return;
  }
  attributes.push_back(std::move(attribute));
  for (size_t label = 0; label < of_class.size(); ++label) {
    values[label].push_back(numbers[label]);
  }
}

cv::Mat rgb_of(const cv::Mat& image) {
  cv::Mat rgb = image;
  if (image.channels() == 1) {
    cv::cvtColor(image, rgb, cv::COLOR_GRAY2RGB);
  }
  return rgb;
}

}  // namespace

SetItems::SetItems(std::unique_ptr<Dataset> set, std::string name, bool is_gray)
    : set_(std::move(set)), name_(std::move(name)), is_gray_(is_gray) {
  if (set_->size() == 0) {
    throw InputError(name_, "images", "none");
  }
  if (set_->is_multi_label()) {
    throw InputError(name_, "one label per image", "several");
  }
  find_images();
  find_attributes();
}

void SetItems::find_images() {
  auto names = set_->class_texts();
  const auto count = std::max<int64_t>(1, std::ssize(names));
  if (names.empty()) {
    names = {"picture"};
  }
  attributes_ = {{.name = "label", .words = names, .values = {}}};
  if (!set_->endless()) {
    images_.resize(static_cast<size_t>(count));
    for (int64_t index = 0; index < set_->size(); ++index) {
      images_[static_cast<size_t>(std::max<int64_t>(0, set_->label(index)))].push_back(index);
    }
  }
  for (int64_t label = 0; label < count; ++label) {
    values_.push_back({label});
    if (images_.empty() || !images_[static_cast<size_t>(label)].empty()) {
      classes_.push_back(label);
    }
  }
}

void SetItems::find_attributes() {
  if (name_ == "characters") {
    find_letter_attributes();
  }
  for (size_t number = 0; number < attributes_.size(); ++number) {
    std::set<int64_t> had;
    for (const auto label : classes_) {
      had.insert(values_[static_cast<size_t>(label)][number]);
    }
    attributes_[number].values.assign(had.begin(), had.end());
  }
}

void SetItems::find_letter_attributes() {
  std::vector<std::string> scripts;
  std::vector<std::string> cases;
  for (const auto& text : attributes_.front().words) {
    auto kind = letter_kind(text);
    scripts.push_back(std::move(kind.script));
    cases.push_back(std::move(kind.letter_case));
  }
  add_attribute(attributes_, values_, "script", scripts);
  add_attribute(attributes_, values_, "case", cases);
}

void SetItems::set_words(const std::vector<std::string>& words) {
  auto& own = attributes_.front().words;
  if (words.size() != own.size()) {
    throw InputError(name_ + ": words", pluralize(std::ssize(own), "word") + ", one per class",
                     std::to_string(words.size()));
  }
  own = words;
}

int64_t SetItems::draw_index(int64_t label, Rng& rng) const {
  if (!images_.empty()) {
    const auto& images = images_[static_cast<size_t>(label)];
    return images[static_cast<size_t>(rng.below(std::ssize(images)))];
  }
  for (int64_t turn = 0; turn < kMaxTries; ++turn) {
    const auto index = rng.below(kEndlessImages);
    if (set_->label(index) == label) {
      return index;
    }
  }
  throw InputError(
      name_, "images of every class",
      fmt::format("none of class {}", set_->class_names()[static_cast<size_t>(label)]));
}

Item SetItems::draw(const std::vector<ItemWish>& wishes, Rng& rng) const {
  std::vector<int64_t> allowed;
  for (const auto label : classes_) {
    const auto& values = values_[static_cast<size_t>(label)];
    if (std::all_of(wishes.begin(), wishes.end(), [&](const ItemWish& wish) {
          return (values[static_cast<size_t>(wish.attribute)] == wish.value) == wish.is_value;
        })) {
      allowed.push_back(label);
    }
  }
  if (allowed.empty()) {
    throw InputError(name_, "images of every class that a task can show", "a class without images");
  }
  const auto label = allowed[static_cast<size_t>(rng.below(std::ssize(allowed)))];
  Item item{.values = values_[static_cast<size_t>(label)]};
  item.index = draw_index(label, rng);
  item.key = rng();
  return item;
}

void SetItems::paint(const Item& item, cv::Mat region) const {
  const auto image = rgb_of(set_->get(item.index).image);
  const double scale = std::min(static_cast<double>(region.cols) / image.cols,
                                static_cast<double>(region.rows) / image.rows);
  const cv::Size size(std::clamp(static_cast<int>(image.cols * scale + 0.5), 1, region.cols),
                      std::clamp(static_cast<int>(image.rows * scale + 0.5), 1, region.rows));
  cv::Mat resized;
  cv::resize(image, resized, size, 0, 0, scale < 1 ? cv::INTER_AREA : cv::INTER_LINEAR);
  const cv::Rect place((region.cols - size.width) / 2, (region.rows - size.height) / 2, size.width,
                       size.height);
  resized.copyTo(region(place));
}

cv::Scalar SetItems::background(Rng& /*rng*/) const {
  constexpr double kWhite = 255;
  return is_gray_ ? cv::Scalar::all(0) : cv::Scalar::all(kWhite);
}

}  // namespace softmoe
