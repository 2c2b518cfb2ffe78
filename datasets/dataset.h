#pragma once
/// Labelled images behind one interface, and how they are opened.

#include <cstdint>
#include <memory>
#include <opencv2/core/mat.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/options.h"
#include "datasets/characters/character_options.h"

namespace softmoe {

/// One labelled image.
struct Sample {
  cv::Mat image;      ///< uint8, 1 (gray) or 3 (RGB order) channels
  int64_t label = 0;  ///< index into class_names(); -1 in a multi-label set, or without labels
};

/// A set of labelled images. Every member is safe to call from several threads at once.
class Dataset {
 public:
  virtual ~Dataset() = default;

  /// Number of images; of an endless set, the images that count as one epoch.
  virtual int64_t size() const = 0;

  /// Image `index` in [0, size()), any index >= 0 of an endless set. Throws InputError that names
  /// the file or record if it cannot be read, c10::IndexError for an index outside the set.
  virtual Sample get(int64_t index) const = 0;

  /// The label of get(index), without decoding the image if the source allows that.
  /// -1 in a multi-label set.
  virtual int64_t label(int64_t index) const { return get(index).label; }

  /// Returns true if an image has any number of labels, or none.
  virtual bool is_multi_label() const { return false; }
  /// All labels of an image, in ascending order.
  virtual std::vector<int64_t> labels(int64_t index) const { return {label(index)}; }

  virtual const std::vector<std::string>& class_names() const = 0;
  /// What the classes are called in texts: class_names() with spaces for '_' unless the source
  /// knows better.
  virtual std::vector<std::string> class_texts() const;

  /// Returns true if every image has a caption.
  virtual bool has_captions() const { return false; }
  /// The text that belongs to an image; "" if has_captions() is false.
  virtual std::string caption(int64_t /*index*/) const { return ""; }

  /// Where image `index` comes from: a file's path or "file[record]".
  virtual std::string sample_name(int64_t index) const = 0;

  /// Returns true if get() goes on beyond size() with images never seen before.
  virtual bool endless() const { return false; }

  /// The bytes of the image file that get(index) decodes, or nothing if there is no such file.
  /// Packing keeps them unchanged. Throws InputError like get().
  virtual std::optional<std::vector<uint8_t>> encoded_bytes(int64_t /*index*/) const {
    return std::nullopt;
  }
};

/// An image that could not be read, and why.
struct BadImage {
  int64_t index = 0;
  std::string reason;  ///< one line that names the file or record
};

/// Which images to use.
struct DatasetOptions {
  std::string dataset = "folder";
  std::string data_dir;
  std::string train_split = "train";
  std::string val_split = "val";
  std::string class_map;     ///< of manifests and shards: a file with names of classes
  std::string path_column;   ///< of manifests; empty: the usual names
  std::string label_column;  ///< of manifests, and the key of shards' JSON; empty: the usual names
  bool multi_label = false;  ///< of manifests and shards: an image has any number of labels
  std::string label_separator = ";";  ///< of several labels in one field
  std::string caption_column;         ///< of manifests and shards' JSON; empty: the usual names
  /// True: captions are read if there are any, and labels may be missing. Has no flag.
  bool captions = false;
  std::string stream_copies;  ///< ShardOptions::copies. Has no flag
  CharacterOptions characters;

  bool operator==(const DatasetOptions&) const = default;
};
void describe(OptionTable& table, DatasetOptions& options);

/// Opens one split of a source. `split` is "train", "val" or "all" or another common name of these
/// ("training", "validation", "valid", "test"); a folder source takes the name of any of its
/// subfolders, too. Throws UsageError for an unknown source or split, InputError for
/// files that are missing or broken.
std::unique_ptr<Dataset> make_dataset(const DatasetOptions& options, const std::string& split);

}  // namespace softmoe
