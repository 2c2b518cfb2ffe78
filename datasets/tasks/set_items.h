#pragma once
/// The images of a data set as items.

#include "datasets/tasks/item_source.h"

namespace softmoe {

/// Images with single labels. The attribute `label` has the words of the classes; letters of the
/// set "characters" have `script` and `case`, too, which their names in Unicode begin with. Sets
/// with captions alone have one class.
class SetItems : public ItemSource {
 public:
  /// Takes `set`, called `name` in messages. `is_gray` sets have a black background. Throws
  /// InputError if the set is empty or has several labels per image.
  SetItems(std::unique_ptr<Dataset> set, std::string name, bool is_gray);

  const std::vector<ItemAttribute>& attributes() const override { return attributes_; }
  int64_t size() const override { return set_->endless() ? -1 : set_->size(); }
  Item draw(const std::vector<ItemWish>& wishes, Rng& rng) const override;
  void paint(const Item& item, cv::Mat region) const override;
  cv::Scalar background(Rng& rng) const override;
  bool has_captions() const override { return set_->has_captions(); }
  std::string caption(const Item& item) const override { return set_->caption(item.index); }
  bool is_symmetric(const Item& /*item*/) const override { return false; }

  /// Sets the words of the attribute `label`. Throws InputError unless there is one per class.
  void set_words(const std::vector<std::string>& words);

 private:
  void find_images();
  void find_attributes();
  void find_letter_attributes();
  /// An image of class `label`.
  int64_t draw_index(int64_t label, Rng& rng) const;

  std::unique_ptr<Dataset> set_;
  std::string name_;
  bool is_gray_;
  std::vector<ItemAttribute> attributes_;
  std::vector<std::vector<int64_t>> values_;  // of each class, of each attribute
  std::vector<std::vector<int64_t>> images_;  // of each class; empty for endless sets
  std::vector<int64_t> classes_;              // that have images
};

}  // namespace softmoe
