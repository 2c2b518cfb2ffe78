#pragma once
/// Coloured shapes that OpenCV draws at run time.

#include "datasets/tasks/item_source.h"

namespace softmoe {

/// Shapes with the attributes shape, colour and size. There is no end of them, since place, turn
/// and shade differ.
class DrawnShapes : public ItemSource {
 public:
  DrawnShapes();

  const std::vector<ItemAttribute>& attributes() const override { return attributes_; }
  int64_t size() const override { return -1; }
  Item draw(const std::vector<ItemWish>& wishes, Rng& rng) const override;
  void paint(const Item& item, cv::Mat region) const override;
  cv::Scalar background(Rng& rng) const override;
  bool has_captions() const override { return true; }
  /// "a small red circle".
  std::string caption(const Item& item) const override;
  bool is_symmetric(const Item& item) const override;

 private:
  std::vector<ItemAttribute> attributes_;
};

}  // namespace softmoe
