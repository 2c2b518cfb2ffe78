#include "train/mixup.h"

#include <ATen/ops/tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/random_draws.h"
#include "train/loss.h"

namespace softmoe {
namespace {

/// A part of an image: rows [top, bottom), columns [left, right).
struct CutBox {
  int64_t top = 0;
  int64_t bottom = 0;
  int64_t left = 0;
  int64_t right = 0;
};

/// How an image is mixed.
struct MixDraw {
  double lambda = 1.0;  ///< share of the image itself
  bool cuts = false;
  CutBox box = {};
};

/// The middle of the box is anywhere in the image, which cuts off what lies outside.
CutBox box_around(double lambda, int64_t height, int64_t width, Rng& rng) {
  const double ratio = std::sqrt(1.0 - lambda);
  const auto box_height = static_cast<int64_t>(static_cast<double>(height) * ratio);
  const auto box_width = static_cast<int64_t>(static_cast<double>(width) * ratio);
  const int64_t y = rng.below(height);
  const int64_t x = rng.below(width);
  return {.top = std::max<int64_t>(0, y - box_height / 2),
          .bottom = std::min(height, y + (box_height + 1) / 2),
          .left = std::max<int64_t>(0, x - box_width / 2),
          .right = std::min(width, x + (box_width + 1) / 2)};
}

/// A length of at least `shares.front()` and less than `shares.back()` of `side`.
int64_t cut_length(const std::vector<double>& shares, int64_t side, Rng& rng) {
  const auto min = static_cast<int64_t>(static_cast<double>(side) * shares.front());
  const auto max = static_cast<int64_t>(static_cast<double>(side) * shares.back());
  return min + rng.below(std::max<int64_t>(1, max - min));
}

CutBox box_inside(const std::vector<double>& shares, int64_t height, int64_t width, Rng& rng) {
  const int64_t box_height = cut_length(shares, height, rng);
  const int64_t box_width = cut_length(shares, width, rng);
  const int64_t top = rng.below(height - box_height + 1);
  const int64_t left = rng.below(width - box_width + 1);
  return {top, top + box_height, left, left + box_width};
}

bool can_cut(const MixupOptions& options) {
  return options.cutmix > 0.0 || !options.cutmix_minmax.empty();
}

MixDraw draw_mix(const MixupOptions& options, int64_t height, int64_t width, Rng& rng) {
  if (rng.uniform() >= options.mixup_prob) {
    return {};
  }
  MixDraw draw;
  const bool both = options.mixup > 0.0 && can_cut(options);
  draw.cuts = both ? rng.uniform() < options.mixup_switch_prob : can_cut(options);
  if (!draw.cuts) {
    draw.lambda = draw_beta(options.mixup, options.mixup, rng);
    return draw;
  }
  if (options.cutmix_minmax.empty()) {
    draw.box = box_around(draw_beta(options.cutmix, options.cutmix, rng), height, width, rng);
  } else {
    draw.box = box_inside(options.cutmix_minmax, height, width, rng);
  }
  const auto area =
      static_cast<double>((draw.box.bottom - draw.box.top) * (draw.box.right - draw.box.left));
  draw.lambda = 1.0 - area / static_cast<double>(height * width);
  return draw;
}

/// Writes the mix of `own` and `other` [..., channels, height, width] to `images`.
void write_mix(const MixDraw& draw, const torch::Tensor& own, const torch::Tensor& other,
               torch::Tensor images) {
  if (!draw.cuts) {
    images.copy_(own * draw.lambda + other * (1.0 - draw.lambda));
    return;
  }
  const auto part = [&box = draw.box](const torch::Tensor& whole) {
    return whole.slice(-2, box.top, box.bottom).slice(-1, box.left, box.right);
  };
  part(images).copy_(part(other));
}

/// One draw for each image of a batch.
std::vector<MixDraw> image_draws(const MixupOptions& options, const torch::Tensor& images,
                                 Rng& rng) {
  const auto count = static_cast<size_t>(images.size(0));
  std::vector<MixDraw> draws(count);
  const size_t drawn = options.mixup_mode == MixupMode::kPair ? (count + 1) / 2 : count;
  for (size_t place = 0; place < drawn; ++place) {
    draws[place] = draw_mix(options, images.size(2), images.size(3), rng);
  }
  for (size_t place = drawn; place < count; ++place) {
    draws[place] = draws[count - 1 - place];
  }
  return draws;
}

}  // namespace

void describe(OptionTable& table, MixupOptions& options) {
  table.add("mixup", options.mixup, "parameter of mixup's beta distribution; 0: no mixup",
            {.min = 0, .max = 1000});
  table.add("cutmix", options.cutmix, "parameter of CutMix's beta distribution; 0: no CutMix",
            {.min = 0, .max = 1000});
  table.add("cutmix-minmax", options.cutmix_minmax,
            "CutMix: min and max share of a side that is cut, instead of --cutmix",
            {.min = 0, .max = 1});
  table.add("mixup-prob", options.mixup_prob, "probability of mixing", {.min = 0, .max = 1});
  table.add("mixup-switch-prob", options.mixup_switch_prob,
            "probability of CutMix, not mixup, if both are on", {.min = 0, .max = 1});
  table.add("mixup-mode", options.mixup_mode,
            "what is mixed alike: all images of a batch, pairs of them, or each by itself");
  table.add("mixup-off-epoch", options.mixup_off_epoch, "epochs with mixing; 0: all",
            {.unit = "epochs", .min = 0});
}

void validate(const MixupOptions& options) {
  const auto& shares = options.cutmix_minmax;
  if (!shares.empty() &&
      !(shares.size() == 2 && shares[0] >= 0.0 && shares[0] <= shares[1] && shares[1] <= 1.0)) {
    throw UsageError("cutmix-minmax", "a low and a high end in [0, 1]",
                     fmt::format("'{:g}'", fmt::join(shares, " ")));
  }
}

bool mixes(const MixupOptions& options, int64_t epoch) {
  return (options.mixup > 0.0 || can_cut(options)) && options.mixup_prob > 0.0 &&
         (options.mixup_off_epoch == 0 || epoch < options.mixup_off_epoch);
}

void apply_mixing_steps(std::vector<PipelineStep>& steps, MixupOptions& options) {
  options.mixup = 0.0;
  options.cutmix = 0.0;
  options.cutmix_minmax.clear();
  while (!steps.empty() && (steps.front().name == "mixup" || steps.front().name == "cutmix")) {
    StepArguments arguments(steps.front());
    const auto amount = arguments.text("");
    const auto amounts = arguments.numbers(amount, '-');
    if (steps.front().name == "mixup") {
      options.mixup = amounts.front();
    } else if (amounts.size() == 1) {
      options.cutmix = amounts.front();
    } else {
      options.cutmix_minmax = amounts;
    }
    options.mixup_mode = arguments.choice(options.mixup_mode);
    options.mixup_prob = arguments.number("p", 0, 1, options.mixup_prob);
    arguments.finish();
    steps.erase(steps.begin());
  }
  validate(options);
}

std::string mixing_text(const MixupOptions& options) {
  if (!mixes(options, 0)) {
    return "";
  }
  std::string text;
  const auto mode =
      options.mixup_mode == MixupMode::kBatch ? "" : "," + enum_name(options.mixup_mode);
  const auto often = options.mixup_prob < 1.0 ? fmt::format(",p={:g}", options.mixup_prob) : "";
  if (options.mixup > 0.0) {
    text += fmt::format("|mixup({:g}{}{})", options.mixup, mode, often);
  }
  if (!options.cutmix_minmax.empty()) {
    text += fmt::format("|cutmix({:g}{}{})", fmt::join(options.cutmix_minmax, "-"), mode, often);
  } else if (options.cutmix > 0.0) {
    text += fmt::format("|cutmix({:g}{}{})", options.cutmix, mode, often);
  }
  return text;
}

void mix_batch(const MixupOptions& options, int64_t classes, Rng& rng, Batch& batch) {
  const auto own = batch.images;     // [batch, channels, height, width]
  const auto other = own.flip({0});  // [batch, channels, height, width]
  batch.images = own.clone();        // [batch, channels, height, width]
  const auto one_hot =
      target_probabilities(batch.labels, classes, /*smoothing=*/0.0, torch::kFloat32);
  std::vector<float> lambdas;
  if (options.mixup_mode == MixupMode::kBatch) {
    const auto draw = draw_mix(options, own.size(2), own.size(3), rng);
    write_mix(draw, own, other, batch.images);
    lambdas.assign(static_cast<size_t>(own.size(0)), static_cast<float>(draw.lambda));
  } else {
    const auto draws = image_draws(options, own, rng);
    for (size_t place = 0; place < draws.size(); ++place) {
      const auto row = static_cast<int64_t>(place);
      if (draws[place].lambda < 1.0) {
        write_mix(draws[place], own[row], other[row], batch.images[row]);
      }
      lambdas.push_back(static_cast<float>(draws[place].lambda));
    }
  }
  const auto shares = at::tensor(lambdas).to(own.device()).unsqueeze(1);  // [batch, 1]
  batch.targets = one_hot * shares + one_hot.flip({0}) * (1.0 - shares);  // [batch, classes]
}

}  // namespace softmoe
