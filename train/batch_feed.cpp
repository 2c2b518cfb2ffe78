#include "train/batch_feed.h"

#include <ATen/ops/constant_pad_nd.h>

#include <chrono>
#include <utility>

#include "core/error.h"
#include "core/rng.h"
#include "runtime/profiler.h"

namespace softmoe {

BatchFeed::BatchFeed(const Dataset& set, const Transform& transform, const LoaderOptions& options,
                     int64_t batches_per_update, const torch::Device& device,
                     const MixupOptions& mixup, int64_t classes)
    : set_(set),
      options_(options),
      loader_(std::make_unique<Loader>(set, transform, options)),
      batches_per_update_(batches_per_update),
      batches_per_epoch_(loader_->batches_per_epoch() / batches_per_update * batches_per_update),
      device_(device),
      mixup_(mixup),
      classes_(classes) {
  validate(mixup);
  TORCH_CHECK_VALUE(options.drop_last, "BatchFeed: updates need batches of one size");
  if (batches_per_epoch_ == 0) {
    throw InputError("batch-size", "at most the " + std::to_string(set.size()) + " training images",
                     std::to_string(options.batch_size * batches_per_update));
  }
}

void BatchFeed::set_transform(const Transform& transform) {
  auto bad = loader_->bad_images();
  loader_ = std::make_unique<Loader>(set_, transform, options_);
  loader_->restore_bad_images(std::move(bad));
  next_ = -1;
}

Batch BatchFeed::take(int64_t number) {
  const ProfilePart part("data");
  const int64_t in_epoch = number % batches_per_epoch_;
  if (number != next_ || in_epoch == 0) {
    loader_->start(number / batches_per_epoch_, in_epoch);
  }
  next_ = number + 1;
  const auto start = std::chrono::steady_clock::now();
  auto batch = loader_->next();
  waited_seconds_ +=
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  TORCH_INTERNAL_ASSERT(batch.has_value(), "the loader ended inside an epoch");
  batch->images = batch->images.to(device_);  // [batch, channels, height, width]
  batch->labels = batch->labels.to(device_);  // [batch], or [batch, own classes]
  if (batch->labels.dim() == 2 && batch->labels.size(1) < classes_) {
    batch->labels = at::constant_pad_nd(batch->labels,
                                        {0, classes_ - batch->labels.size(1)});  // [batch, classes]
  }
  if (mixes(mixup_, number / batches_per_epoch_)) {
    Rng rng(stream_key(options_.seed, "mixup", 0, static_cast<uint64_t>(number)));
    mix_batch(mixup_, classes_, rng, *batch);
  }
  return std::move(*batch);
}

Json BatchFeed::bad_images() const {
  Json json = Json::array();
  for (const auto& image : loader_->bad_images()) {
    json.push_back({{"index", image.index}, {"reason", valid_utf8(image.reason)}});
  }
  return json;
}

void BatchFeed::restore_bad_images(const Json& images) {
  std::vector<BadImage> bad;
  for (const auto& image : images) {
    bad.push_back({.index = image.at("index"), .reason = image.at("reason")});
  }
  loader_->restore_bad_images(std::move(bad));
}

}  // namespace softmoe
