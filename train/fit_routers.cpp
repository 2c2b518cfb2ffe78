#include "train/fit_routers.h"

#include <algorithm>

namespace softmoe {
namespace {

constexpr int64_t kMaxImages = 2048;
constexpr int64_t kMaxValues = int64_t{1} << 26;

}  // namespace

int64_t fit_routers(VisionTransformer model, const Dataset& train_set,
                    const PreprocessOptions& preprocess, LoaderOptions loader) {
  const auto& options = model->options();
  const int64_t values = options.in_chans * options.image_height() * options.image_width();
  const int64_t wanted = std::clamp<int64_t>(kMaxValues / values, 1, kMaxImages);
  loader.shuffle = true;
  loader.drop_last = false;
  loader.repeats = 1;
  loader.pin_memory = false;
  Loader images(train_set, Transform::evaluation(preprocess), loader);
  images.start(/*epoch=*/0);
  std::vector<torch::Tensor> parts;
  int64_t count = 0;
  while (count < wanted) {
    const auto batch = images.next();
    if (!batch.has_value()) {
      break;
    }
    parts.push_back(batch->images.narrow(0, 0, std::min(batch->images.size(0), wanted - count)));
    count += parts.back().size(0);
  }
  model->fit_routers(torch::cat(parts));  // [count, channels, height, width]
  return count;
}

}  // namespace softmoe
