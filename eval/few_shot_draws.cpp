#include "eval/few_shot_draws.h"

#include <fmt/format.h>

#include "core/log.h"
#include "core/pluralize.h"
#include "core/rng.h"

namespace softmoe {
namespace {

/// Logs how many classes, with `counts` [classes] examples, have fewer than are asked for.
void report_small_classes(const torch::Tensor& counts, const std::vector<int64_t>& shots) {
  for (const int64_t wanted : shots) {
    const auto small = counts.masked_select(counts.lt(wanted));  // [smaller classes]
    if (small.numel() > 0) {
      log_line(fmt::format("--shots {}: {} of {} have fewer training examples, {} to {}", wanted,
                           small.numel(), pluralize(counts.numel(), "class", "classes"),
                           small.min().item<int64_t>(), small.max().item<int64_t>()));
    }
  }
}

}  // namespace

std::vector<torch::Tensor> shuffled_class_indices(const torch::Tensor& labels, int64_t num_classes,
                                                  uint64_t seed, uint64_t draw) {
  std::vector<torch::Tensor> indices;
  for (int64_t label = 0; label < num_classes; ++label) {
    const auto members = labels.eq(label).nonzero().flatten();  // [examples of the class]
    Rng rng(stream_key(seed, "few-shot subset", draw, static_cast<uint64_t>(label)));
    const auto order = random_permutation(members.size(0), rng);
    indices.push_back(members.index_select(0, torch::tensor(order, torch::kInt64)));
  }
  return indices;
}

torch::Tensor few_shot_subset(const std::vector<torch::Tensor>& class_indices, int64_t shots) {
  std::vector<torch::Tensor> parts;
  for (const auto& indices : class_indices) {
    parts.push_back(indices.slice(/*dim=*/0, 0, shots));
  }
  return torch::cat(parts);  // [examples]
}

torch::Tensor FewShotDraws::needed() const {
  std::vector<torch::Tensor> all;
  for (const auto& of_draw : subsets) {
    all.insert(all.end(), of_draw.begin(), of_draw.end());
  }
  return std::get<0>(at::unique_dim(torch::cat(all), /*dim=*/0));  // [needed]
}

FewShotDraws FewShotDraws::among_needed() const {
  const auto places = needed();  // [needed]
  auto draws = *this;
  for (auto& of_draw : draws.subsets) {
    for (auto& subset : of_draw) {
      subset = at::searchsorted(places, subset);  // [examples of the subset]
    }
  }
  return draws;
}

FewShotDraws draw_examples(const torch::Tensor& labels, const FewShotOptions& options) {
  validate(options);
  const auto [classes, places, counts] =
      at::unique_dim(labels.cpu(), /*dim=*/0, /*sorted=*/true, /*return_inverse=*/true,
                     /*return_counts=*/true);
  report_small_classes(counts, options.shots);
  FewShotDraws draws{.examples = labels.size(0)};
  for (int64_t draw = 0; draw < options.fewshot_seeds; ++draw) {
    const auto class_indices = shuffled_class_indices(
        places, classes.size(0), static_cast<uint64_t>(options.seed), static_cast<uint64_t>(draw));
    auto& subsets = draws.subsets.emplace_back();
    for (const int64_t shots : options.shots) {
      subsets.push_back(few_shot_subset(class_indices, shots));
    }
  }
  return draws;
}

}  // namespace softmoe
