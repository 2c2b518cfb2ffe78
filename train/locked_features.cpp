#include "train/locked_features.h"

#include <ATen/Functions.h>

#include <set>

#include "core/error.h"
#include "core/log.h"
#include "core/pluralize.h"

namespace softmoe {
namespace {

/// A gray pixel for each image of a set that can be read.
class PixelImages : public Dataset {
 public:
  PixelImages(const Dataset& whole, const std::vector<BadImage>& bad) : whole_(whole) {
    for (const auto& image : bad) {
      bad_.emplace(image.index, image.reason);
    }
  }

  int64_t size() const override { return whole_.size(); }
  Sample get(int64_t index) const override {
    if (const auto at = bad_.find(index); at != bad_.end()) {
      throw InputError(at->second);
    }
    return {cv::Mat::zeros(1, 1, CV_8UC1), whole_.label(index)};
  }
  int64_t label(int64_t index) const override { return whole_.label(index); }
  bool is_multi_label() const override { return whole_.is_multi_label(); }
  std::vector<int64_t> labels(int64_t index) const override { return whole_.labels(index); }
  const std::vector<std::string>& class_names() const override { return whole_.class_names(); }
  std::string sample_name(int64_t index) const override { return whole_.sample_name(index); }

 private:
  const Dataset& whole_;
  std::map<int64_t, std::string> bad_;  // reasons by index
};

Transform pixel_transform() {
  PreprocessOptions options;
  options.input_size = {1, 1, 1};
  options.train_crop = CropMode::kNone;
  return Transform::training(options);
}

}  // namespace

LockedFeatures::LockedFeatures(const Dataset& set, const Forward& tower, const Transform& transform,
                               LoaderOptions loader, const BatchLoopOptions& loop)
    : transform_(pixel_transform()) {
  loader.shuffle = false;
  loader.drop_last = false;
  loader.sampling = Sampling::kUniform;
  loader.repeats = 1;
  Loader images(set, transform, loader);
  for_each_output(tower, images, loop, [&](const Batch& batch, const torch::Tensor& output) {
    const auto features = output.to(torch::kCPU, torch::kFloat32);  // [batch, feature_dim]
    if (!features_.defined()) {
      features_ = at::zeros({set.size(), features.size(1)});  // [images, feature_dim]
    }
    features_.index_copy_(0, batch.indices, features);
  });
  images_ = std::make_unique<PixelImages>(set, images.bad_images());
  log_line("features of the locked image tower computed once: " + pluralize(set.size(), "image"));
}

LockedFeatures::~LockedFeatures() = default;

torch::Tensor LockedFeatures::of(const torch::Tensor& indices) const {
  return features_.index_select(0, indices.to(torch::kCPU));  // [batch, feature_dim]
}

}  // namespace softmoe
