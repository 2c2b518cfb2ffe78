#include "bench/training_step.h"

#include <ATen/Context.h>

#include <chrono>

#include "train/optimizers.h"
#include "vit/zoo.h"

namespace softmoe {
namespace {

/// "<base>_<experts>x<slots per expert>", or the base alone.
struct Name {
  std::string base;
  int64_t experts = 0;
  int64_t slots_per_expert = 0;
};

Name parse(const std::string& text) {
  const auto bar = text.rfind('_');
  const auto times = text.rfind('x');
  if (bar == std::string::npos || times == std::string::npos || times < bar) {
    return {.base = text};
  }
  return {.base = text.substr(0, bar),
          .experts = std::stoll(text.substr(bar + 1, times - bar - 1)),
          .slots_per_expert = std::stoll(text.substr(times + 1))};
}

VitOptions small_model(int64_t patch_size, int64_t dim, int64_t heads) {
  VitOptions options;
  options.img_size = {28};
  options.in_chans = 1;
  options.patch_size = patch_size;
  options.dim = dim;
  options.heads = heads;
  options.depth = 6;
  options.mlp_dim = 4 * dim;
  options.qk_norm = true;
  options.num_classes = 395;
  return options;
}

VitOptions base_model(const std::string& base) {
  if (base == "demo") {
    return small_model(/*patch_size=*/7, /*dim=*/128, /*heads=*/4);
  }
  if (base == "p4_d192") {
    return small_model(/*patch_size=*/4, /*dim=*/192, /*heads=*/3);
  }
  return model_preset(base);
}

}  // namespace

VitOptions training_model(const std::string& name) {
  const auto parts = parse(name);
  const std::string prefix = "softmoe_";
  const bool is_softmoe = parts.experts > 0 && parts.base.starts_with(prefix);
  auto options = base_model(is_softmoe ? "vit_" + parts.base.substr(prefix.size()) : parts.base);
  if (parts.experts > 0) {
    options.moe_blocks = "last_half";
    options.moe.experts = parts.experts;
    options.moe.slots_per_expert = parts.slots_per_expert;
  }
  return options;
}

TrainingStep::TrainingStep(const VitOptions& options, torch::Dtype dtype, int64_t batch)
    : model_(options), dtype_(dtype) {
  model_->train();
  optimizer_ = make_optimizer(named_parameters(*model_), options_);
  examples_ = {.images = torch::rand({batch, options.in_chans, options.image_height(),
                                      options.image_width()}) *
                             2 -
                         1,
               .labels = torch::randint(options.num_classes, {batch}),
               .indices = {}};
}

TrainingStep::Parts TrainingStep::run() {
  using Clock = std::chrono::steady_clock;
  std::array<Clock::time_point, 4> at{};
  at[0] = Clock::now();
  const auto loss = step_loss(model_, examples_, {}, {.compute_dtype = dtype_}).loss;  // []
  at[1] = Clock::now();
  loss.backward();
  at[2] = Clock::now();
  optimizer_->clip_and_step(/*lr=*/1e-3, options_.clip_grad);
  optimizer_->zero_grad();
  at[3] = Clock::now();
  Parts parts{.loss = loss.item<float>()};
  for (size_t part = 0; part < parts.seconds.size(); ++part) {
    parts.seconds[part] = std::chrono::duration<double>(at[part + 1] - at[part]).count();
  }
  return parts;
}

}  // namespace softmoe
