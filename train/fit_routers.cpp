#include "train/fit_routers.h"

#include <algorithm>

namespace softmoe {
namespace {

constexpr int64_t kMaxImages = 2048;
constexpr int64_t kMaxValues = int64_t{1} << 26;

}  // namespace

torch::Tensor sample_images(const Dataset& train_set, const PreprocessOptions& preprocess,
                            LoaderOptions loader, int64_t count) {
  loader.shuffle = true;
  loader.drop_last = false;
  loader.repeats = 1;
  loader.pin_memory = false;
  Loader images(train_set, Transform::evaluation(preprocess), loader);
  images.start(/*epoch=*/0);
  std::vector<torch::Tensor> parts;
  int64_t taken = 0;
  while (taken < count) {
    const auto batch = images.next();
    if (!batch.has_value()) {
      break;
    }
    parts.push_back(batch->images.narrow(0, 0, std::min(batch->images.size(0), count - taken)));
    taken += parts.back().size(0);
  }
  return torch::cat(parts);  // [images, channels, height, width]
}

int64_t fit_routers(VisionTransformer model, const Dataset& train_set,
                    const PreprocessOptions& preprocess, LoaderOptions loader) {
  const auto& options = model->options();
  const int64_t values = options.in_chans * options.image_height() * options.image_width();
  const int64_t wanted = std::clamp<int64_t>(kMaxValues / values, 1, kMaxImages);
  const auto images = sample_images(train_set, preprocess, std::move(loader), wanted);
  model->fit_routers(images);
  return images.size(0);
}

}  // namespace softmoe
