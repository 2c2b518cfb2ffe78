#include "datasets/sources/shards.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "core/error.h"
#include "core/log.h"
#include "core/pluralize.h"
#include "core/progress.h"
#include "core/shell_word.h"
#include "datasets/image_file.h"
#include "datasets/ordered_work.h"
#include "datasets/sources/class_labels.h"
#include "datasets/sources/shard_files.h"
#include "datasets/sources/shard_index.h"
#include "datasets/sources/shard_names.h"
#include "datasets/sources/shard_stream.h"
#include "datasets/splits.h"
#include "io/range_file.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;
using Files = std::vector<std::string>;

/// Threads that read indexes: they mostly wait for the disk.
constexpr int64_t kMaxIndexThreads = 8;

/// The bytes [offset, offset + size) of a file.
std::vector<uint8_t> read_range(const fs::path& path, int64_t offset, int64_t size,
                                const std::string& name) {
  if (static_cast<uint64_t>(size) > kMaxImageFileBytes) {
    throw InputError(fmt::format("{}: it has more than {} MiB, the limit of image files", name,
                                 kMaxImageFileBytes >> 20));
  }
  std::vector<uint8_t> bytes(static_cast<size_t>(size));
  if (!RangeFile(path).read(offset, bytes.data(), size)) {
    throw InputError(name + ": the shard has become shorter since it was opened");
  }
  return bytes;
}

/// Images of some shards, one after the other.
class ShardImages : public Dataset {
 public:
  /// Reads the indexes of `shards`; streams have copies in options.copies.
  ShardImages(Files shards, const ShardOptions& options)
      : shards_(std::move(shards)), is_multi_label_(options.labels.multi_label) {
    for (const auto& shard : shards_) {
      files_.push_back(is_stream(shard) ? stream_copy(shard, options.copies) : fs::path(shard));
    }
    const int64_t threads =
        std::min<int64_t>({kMaxIndexThreads, std::ssize(files_),
                           static_cast<int64_t>(std::thread::hardware_concurrency())});
    Progress progress("Index shards", std::ssize(files_), "shards");
    std::vector<ShardIndex> indexes(static_cast<size_t>(2 * std::max<int64_t>(1, threads)));
    for_each_in_order(
        std::ssize(files_), threads > 1 ? threads : 0, std::ssize(indexes),
        [&](int64_t shard, int64_t place) {
          if (is_stream(shards_[static_cast<size_t>(shard)])) {
            copy_stream(shards_[static_cast<size_t>(shard)], options.copies);
          }
          indexes[static_cast<size_t>(place)] =
              index_shard(files_[static_cast<size_t>(shard)],
                          {.label = options.label_key,
                           .caption = options.caption_key,
                           .captions = options.captions || !options.caption_key.empty()},
                          options.labels);
        },
        [&](int64_t shard, int64_t place) {
          take(shard, std::exchange(indexes[static_cast<size_t>(place)], {}));
          progress.update(shard + 1);
        });
    check_captions();
  }

  /// Returns true if no image has a label, which only captioned sets may lack.
  bool has_no_labels() const { return !captions_.empty() && labels_.distinct().empty(); }

  void set_classes(const ClassLabels& classes) {
    class_names_ = classes.names();
    if (has_no_labels()) {
      indices_.assign(places_.size(), -1);
      return;
    }
    const auto where = [this](int64_t image) { return sample_name(image); };
    if (is_multi_label_) {
      lists_ = classes.index_lists(labels_, where);
    } else {
      indices_ = classes.indices(labels_, where);
    }
  }

  const LabelTexts& label_texts() const { return labels_; }
  int64_t left_out() const { return left_out_; }

  int64_t size() const override { return std::ssize(places_); }
  Sample get(int64_t index) const override {
    return {decode_image(bytes(index), sample_name(index)), label(index)};
  }
  int64_t label(int64_t index) const override {
    check_index(index, size());
    return is_multi_label_ ? -1 : indices_[static_cast<size_t>(index)];
  }
  bool is_multi_label() const override { return is_multi_label_; }
  std::vector<int64_t> labels(int64_t index) const override {
    check_index(index, size());
    if (is_multi_label_ && !lists_.empty()) {
      return lists_[static_cast<size_t>(index)];
    }
    return label(index) < 0 ? std::vector<int64_t>{} : std::vector{label(index)};
  }
  bool has_captions() const override { return !captions_.empty(); }
  std::string caption(int64_t index) const override {
    check_index(index, size());
    return has_captions() ? captions_[static_cast<size_t>(index)] : "";
  }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  std::string sample_name(int64_t index) const override {
    check_index(index, size());
    const auto& place = places_[static_cast<size_t>(index)];
    const auto name = names_.substr(static_cast<size_t>(place.name), place.name_size);
    return fmt::format("{}[{}]", shards_[place.shard], name);
  }
  std::optional<std::vector<uint8_t>> encoded_bytes(int64_t index) const override {
    return bytes(index);
  }

 private:
  struct Place {
    int64_t offset;
    int64_t size;
    int64_t name;  // where it begins in names_
    uint32_t name_size;
    uint32_t shard;
  };

  void take(int64_t shard, ShardIndex index) {
    for (const auto& image : index.images) {
      places_.push_back({image.offset, image.size, std::ssize(names_),
                         static_cast<uint32_t>(image.name.size()), static_cast<uint32_t>(shard)});
      names_ += image.name;
      labels_.add(image.labels);
      has_labels_.push_back(is_multi_label_ || !image.labels.empty());
      captions_.push_back(image.caption);
    }
    left_out_ += index.left_out;
  }

  /// Drops the captions if no image has one. Throws InputError if some have captions, or labels,
  /// and some have not.
  void check_captions() {
    const auto missing = std::find(captions_.begin(), captions_.end(), std::string());
    const bool has_any = std::any_of(captions_.begin(), captions_.end(),
                                     [](const std::string& caption) { return !caption.empty(); });
    if (has_any && missing != captions_.end()) {
      throw InputError(sample_name(missing - captions_.begin()),
                       "a caption in a .txt member, as other samples have", "none");
    }
    if (!has_any) {
      captions_.clear();
    }
    const auto unlabelled = std::find(has_labels_.begin(), has_labels_.end(), false);
    if (!labels_.distinct().empty() && unlabelled != has_labels_.end()) {
      throw InputError(sample_name(unlabelled - has_labels_.begin()),
                       "a label, as other samples have", "none");
    }
  }

  std::vector<uint8_t> bytes(int64_t index) const {
    check_index(index, size());
    const auto& place = places_[static_cast<size_t>(index)];
    return read_range(files_[place.shard], place.offset, place.size, sample_name(index));
  }

  Files shards_;                 // as the user names them
  std::vector<fs::path> files_;  // that are read
  std::vector<Place> places_;
  std::string names_;  // of all members, one after the other
  LabelTexts labels_;
  std::vector<int64_t> indices_;             // by image
  std::vector<std::vector<int64_t>> lists_;  // of a multi-label set
  std::vector<bool> has_labels_;             // by image
  std::vector<std::string> captions_;        // by image, or none
  std::vector<std::string> class_names_;
  int64_t left_out_ = 0;
  bool is_multi_label_;
};

void check_no_streams(const Files& shards) {
  const auto stream = std::find_if(shards.begin(), shards.end(), is_stream);
  if (stream != shards.end()) {
    throw InputError(printable_text(*stream),
                     "an uncompressed tar file, whose images are read in any order",
                     std::string(is_pipe(*stream) ? "a command" : "a compressed file") +
                         ", which can be read once, from its beginning: softmoe data pack writes "
                         "its images to an "
                         "HDF5 file, for --dataset hdf5");
  }
}

std::string description(const Files& shards, const ShardImages& images,
                        const ClassLabels& classes) {
  auto text = fmt::format(
      "{}{}: {} {}", printable_text(shards.front()),
      shards.size() == 1 ? ""
                         : fmt::format(" and {} more", pluralize(std::ssize(shards) - 1, "shard")),
      pluralize(images.size(), "image"),
      classes.names().empty() ? "with captions"
                              : "of " + pluralize(std::ssize(classes.names()), "class", "classes"));
  if (images.left_out() > 0) {
    text += "; left out: " + pluralize(images.left_out(), "sample") + " without an image";
  }
  return text;
}

}  // namespace

std::unique_ptr<Dataset> open_shards(const std::string& location, const std::string& split,
                                     const SplitChoice& choice, const ShardOptions& options) {
  const auto found = find_shards(location, split, choice);
  if (options.copies.empty()) {
    check_no_streams(found.files);
    check_no_streams(found.class_files);
  }
  auto images = std::make_unique<ShardImages>(found.files, options);
  const auto classes_of = [](const ShardImages& set) {
    return ClassLabels::of(set.label_texts(),
                           [&](int64_t image) { return set.sample_name(image); });
  };
  const auto classes = images->has_no_labels()      ? ClassLabels::none()
                       : !options.class_map.empty() ? ClassLabels::read(options.class_map)
                       : found.class_files == found.files
                           ? classes_of(*images)
                           : classes_of(ShardImages(found.class_files, options));
  if (images->size() == 0) {
    throw InputError(printable_text(location), "samples with images", "none");
  }
  images->set_classes(classes);
  log_line(description(found.files, *images, classes));
  return hold_out(std::move(images), found.kept);
}

}  // namespace softmoe
