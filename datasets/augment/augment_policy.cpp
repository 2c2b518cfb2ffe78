#include "datasets/augment/augment_policy.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <opencv2/core.hpp>

#include "core/random_draws.h"
#include "datasets/augment/image_operations.h"

namespace softmoe {
namespace {

/// How operations are applied.
struct PolicyContext {
  MoveLengths lengths;
  const AffineStyle& style;
};

double drawn_magnitude(const PolicyOperation& step, Rng& rng) {
  double magnitude = step.magnitude;
  if (std::isinf(step.magnitude_std)) {
    magnitude = rng.uniform(0.0, magnitude);
  } else if (step.magnitude_std > 0.0) {
    magnitude += step.magnitude_std * rng.normal();
  }
  return std::clamp(magnitude, 0.0, step.max_magnitude);
}

double drawn_argument(const PolicyOperation& step, const MoveLengths& lengths, Rng& rng) {
  if (!step.arguments.empty()) {
    const double argument =
        step.arguments[static_cast<size_t>(rng.below(std::ssize(step.arguments)))];
    return step.either_sign && rng.uniform() > 0.5 ? -argument : argument;
  }
  const double magnitude = drawn_magnitude(step, rng);
  const double chance = rng.uniform();
  const auto argument = step.operation->argument;
  return argument == nullptr ? 0.0 : argument(magnitude, chance, lengths);
}

cv::Mat apply_sequence(const std::vector<PolicyOperation>& sequence, cv::Mat image,
                       const PolicyContext& context, Rng& rng) {
  for (const auto& step : sequence) {
    if (step.probability < 1.0 && rng.uniform() >= step.probability) {
      continue;
    }
    image = step.operation->apply(image, drawn_argument(step, context.lengths, rng), context.style);
  }
  return image;
}

/// The place of a random one of `weights`, which are not all 0.
size_t weighted_choice(const std::vector<double>& weights, Rng& rng) {
  double left = rng.uniform() * std::reduce(weights.begin(), weights.end());
  size_t last = 0;
  for (size_t place = 0; place < weights.size(); ++place) {
    if (weights[place] <= 0.0) {
      continue;
    }
    last = place;
    left -= weights[place];
    if (left < 0.0) {
      return place;
    }
  }
  return last;
}

/// The places of the choices that are drawn, in their order.
std::vector<size_t> drawn_choices(const AugmentPolicy& policy, Rng& rng) {
  std::vector<size_t> drawn;
  auto weights = policy.weights;
  for (int64_t draw = 0; draw < policy.draws; ++draw) {
    if (weights.empty()) {
      drawn.push_back(static_cast<size_t>(rng.below(std::ssize(policy.choices))));
    } else {
      drawn.push_back(weighted_choice(weights, rng));
      weights[drawn.back()] = 0.0;
    }
  }
  return drawn;
}

/// Weights of AugMix's chains, which sum to 1: a draw from a Dirichlet distribution.
std::vector<double> chain_weights(const MixedChains& chains, Rng& rng) {
  std::vector<double> weights(static_cast<size_t>(chains.width));
  std::generate(weights.begin(), weights.end(), [&] { return draw_gamma(chains.alpha, rng); });
  const double sum = std::reduce(weights.begin(), weights.end());
  for (auto& weight : weights) {
    weight = sum > 0.0 ? weight / sum : 1.0 / static_cast<double>(chains.width);
  }
  return weights;
}

cv::Mat mix_chains(const AugmentPolicy& policy, const cv::Mat& image, const PolicyContext& context,
                   Rng& rng) {
  const auto& chains = policy.chains;
  const auto weights = chain_weights(chains, rng);
  const double share = draw_beta(chains.alpha, chains.alpha, rng);
  cv::Mat sum = cv::Mat::zeros(image.rows, image.cols, CV_32FC(image.channels()));
  for (const double weight : weights) {
    const int64_t depth = chains.depth > 0 ? chains.depth : 1 + rng.below(3);
    cv::Mat changed = image;
    for (int64_t step = 0; step < depth; ++step) {
      const auto choice = static_cast<size_t>(rng.below(std::ssize(policy.choices)));
      changed = apply_sequence(policy.choices[choice], changed, context, rng);
    }
    cv::Mat floats;
    changed.convertTo(floats, CV_32F, weight);
    sum += floats;
  }
  cv::Mat mixed;
  sum.convertTo(mixed, CV_8U);
  return blend(image, mixed, share);
}

}  // namespace

cv::Mat apply_policy(const AugmentPolicy& policy, const cv::Mat& image, double move_pixels,
                     const AffineStyle& style, Rng& rng) {
  const PolicyContext context{.lengths = {.pixels = move_pixels, .share = policy.move_share},
                              .style = style};
  if (policy.chains.width > 0) {
    return mix_chains(policy, image, context, rng);
  }
  cv::Mat result = image.clone();
  for (const size_t choice : drawn_choices(policy, rng)) {
    result = apply_sequence(policy.choices[choice], result, context, rng);
  }
  return result;
}

}  // namespace softmoe
