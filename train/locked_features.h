#pragma once
/// Features of a locked image tower that are computed once for a whole run.

#include <torch/types.h>

#include <memory>

#include "datasets/dataset.h"
#include "datasets/loader.h"
#include "datasets/transforms.h"
#include "eval/batch_loop.h"

namespace softmoe {

/// The features of all images of a training set. Images that cannot be read have none; a loader of
/// images() finds them bad, too.
class LockedFeatures {
 public:
  /// Computes the features [batch, feature_dim] of `set`, which must outlive them, by `tower`;
  /// images are made by `transform` and `loader`. Throws what Loader::next() throws.
  LockedFeatures(const Dataset& set, const Forward& tower, const Transform& transform,
                 LoaderOptions loader, const BatchLoopOptions& loop);
  ~LockedFeatures();
  LockedFeatures(const LockedFeatures&) = delete;
  LockedFeatures& operator=(const LockedFeatures&) = delete;

  /// The features of the images `indices` [batch] int64, [batch, feature_dim] fp32 on the CPU.
  torch::Tensor of(const torch::Tensor& indices) const;

  /// The set with a pixel in place of each image, so that nothing is decoded any more.
  const Dataset& images() const { return *images_; }
  /// The transform of images().
  const Transform& transform() const { return transform_; }

 private:
  torch::Tensor features_;  // [images, feature_dim]
  std::unique_ptr<Dataset> images_;
  Transform transform_;
};

}  // namespace softmoe
