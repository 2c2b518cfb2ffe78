#pragma once
/// Things that tasks ask about: items with attributes in words, which can be drawn by their values.

#include <cstdint>
#include <memory>
#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "core/rng.h"
#include "datasets/tasks/task_options.h"

namespace softmoe {

/// A property of items, such as "colour", and the words for its values.
struct ItemAttribute {
  std::string name;
  std::vector<std::string> words;
  std::vector<int64_t> values;  ///< those that items have, as places in `words`
};

/// One thing that a picture can show.
struct Item {
  std::vector<int64_t> values;  ///< of each attribute, as places in its words
  int64_t index = -1;           ///< in the data set that it comes from
  uint64_t key = 0;             ///< of the random numbers of its looks
};

/// What a drawn item must be: of attribute number `attribute` it has `value`, or, if `is_value` is
/// false, any other.
struct ItemWish {
  int64_t attribute = 0;
  int64_t value = 0;
  bool is_value = true;
};

/// A source of items. Every member is safe to call from several threads at once.
class ItemSource {
 public:
  virtual ~ItemSource() = default;

  /// The attributes, one at least.
  virtual const std::vector<ItemAttribute>& attributes() const = 0;
  /// Number of different items; -1: no limit.
  virtual int64_t size() const = 0;
  /// An item that `rng` draws among those that `wishes` allow. Throws InputError if there is none.
  virtual Item draw(const std::vector<ItemWish>& wishes, Rng& rng) const = 0;
  /// Paints the item over `region`, a square part of a picture, uint8 RGB. Throws InputError if the
  /// image of the item cannot be read.
  virtual void paint(const Item& item, cv::Mat region) const = 0;
  /// The colour of pictures behind items.
  virtual cv::Scalar background(Rng& rng) const = 0;

  virtual bool has_captions() const = 0;
  /// A text that describes the item.
  virtual std::string caption(const Item& item) const = 0;
  /// Returns true if a quarter turn of the item may not be seen.
  virtual bool is_symmetric(const Item& item) const = 0;
};

/// The items of `split`, "train" or "val", that `task` asks about. Throws UsageError or InputError
/// for sources that do not exist or have no data, and if the names of `task.words` do not fit.
std::shared_ptr<const ItemSource> open_item_source(const TaskOptions& task, bool train);

/// Equal for tasks whose items are the same.
std::string item_source_key(const TaskOptions& task);

}  // namespace softmoe
