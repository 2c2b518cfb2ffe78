#pragma once
/// The labels of manifests and shards, and the classes that they stand for.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace softmoe {

/// The labels of a list of images as they are written; equal ones are kept once.
class LabelTexts {
 public:
  /// Adds the label of the next image.
  void add(const std::string& label) { add(std::span(&label, 1)); }
  /// Adds all labels of the next image.
  void add(std::span<const std::string> labels);

  /// Number of images.
  int64_t size() const { return std::ssize(ends_); }
  /// The different labels, in the order in which they came.
  const std::vector<std::string>& distinct() const { return distinct_; }
  /// The first image whose label is distinct()[place].
  int64_t first_image(size_t place) const { return first_images_[place]; }
  /// The places of the labels of `image` in distinct().
  std::span<const uint32_t> places(int64_t image) const;
  /// The labels of `image`.
  std::vector<std::string> texts(int64_t image) const;

 private:
  std::vector<std::string> distinct_;
  std::vector<int64_t> first_images_;  // by place
  std::vector<uint32_t> places_;       // of all images, one after the other
  std::vector<int64_t> ends_;          // by image, of its part of places_
  std::unordered_map<std::string, uint32_t> place_of_;
};

/// The classes of a set.
class ClassLabels {
 public:
  /// No classes, of sets without labels.
  static ClassLabels none() { return {{}, "no classes"}; }

  /// The names in a text file, one per line: a class map as timm reads it. Throws InputError that
  /// names the file, and the line of a name that is empty or stands twice.
  static ClassLabels read(const std::filesystem::path& class_map);

  /// The classes of `labels`. If all are numbers, those are the classes' numbers, and the classes
  /// go up to the largest; else the classes are the labels, in the order of their bytes. Throws
  /// InputError that begins with where(image) for a number that is too large.
  static ClassLabels of(const LabelTexts& labels,
                        const std::function<std::string(int64_t image)>& where);

  const std::vector<std::string>& names() const { return names_; }

  /// The class of each image of `labels`, which have one each, by its name or, if no class is
  /// called so, by its number. Throws InputError that begins with where(image) for a label that is
  /// no class.
  std::vector<int64_t> indices(const LabelTexts& labels,
                               const std::function<std::string(int64_t image)>& where) const;
  /// The classes of each image of `labels`, in ascending order, each once. Throws like indices().
  std::vector<std::vector<int64_t>> index_lists(
      const LabelTexts& labels, const std::function<std::string(int64_t image)>& where) const;

 private:
  /// The class of each of labels.distinct().
  std::vector<int64_t> index_of_places(
      const LabelTexts& labels, const std::function<std::string(int64_t image)>& where) const;

  ClassLabels(std::vector<std::string> names, std::string origin);

  std::vector<std::string> names_;
  std::string origin_;  // for messages
  std::unordered_map<std::string, int64_t> index_of_;
};

}  // namespace softmoe
