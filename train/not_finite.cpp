#include "train/not_finite.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <span>

#include "core/error.h"
#include "runtime/autocast_guard.h"

namespace softmoe {
namespace {

constexpr size_t kMaxShown = 4;

bool is_finite(const torch::Tensor& tensor) {
  return !tensor.is_floating_point() || torch::isfinite(tensor).all().item<bool>();
}

/// The part of the model behind which `place` of forward_intermediates() stands.
std::string part_name(size_t place) {
  return place == 0 ? "patch_embed" : fmt::format("blocks.{}", place - 1);
}

}  // namespace

std::string bad_parameter(const torch::nn::Module& model) {
  for (const auto& item : model.named_parameters()) {
    if (!is_finite(item.value())) {
      return item.key();
    }
  }
  return "";
}

std::string first_not_finite(VisionTransformer& model, const Batch& batch, torch::Dtype dtype) {
  const torch::NoGradGuard no_grad;
  if (const auto parameter = bad_parameter(*model); !parameter.empty()) {
    return "parameter " + parameter;
  }
  if (!is_finite(batch.images)) {
    return "the images";
  }
  const AutocastGuard autocast(batch.images.device(), dtype);
  const auto tokens = model->forward_intermediates(batch.images);  // each [batch, tokens, dim]
  const auto bad = std::find_if_not(tokens.begin(), tokens.end(),
                                    [](const torch::Tensor& part) { return is_finite(part); });
  if (bad != tokens.end()) {
    return part_name(static_cast<size_t>(bad - tokens.begin()));
  }
  return is_finite(model->forward(batch.images)) ? "the loss" : "head";
}

NotFinite not_finite(TrainingState& state, const ModelUpdate& update,
                     const std::vector<Batch>& batches, const Dataset& set, uint64_t random_key) {
  NotFinite found{.step = state.progress.step, .loss = update.loss, .place = update.bad_gradient};
  torch::manual_seed(random_key);  // as in the update
  for (size_t number = 0; number < batches.size(); ++number) {
    const bool is_bad = !std::isfinite(update.batches[number].loss.item<double>());
    if (is_bad && found.place.empty() && state.setup.image_text) {
      found.place = "the loss of images and texts";
    } else if (is_bad && found.place.empty() && state.setup.instruction) {
      found.place = "the loss of questions";
    } else if (is_bad && found.place.empty() && state.setup.experts) {
      // A pass of this process alone would wait for the others.
      const auto parameter = bad_parameter(state.setup.model());
      found.place = parameter.empty() ? "the loss" : "parameter " + parameter;
    } else if (is_bad && found.place.empty()) {
      found.place = first_not_finite(state.model(), batches[number], state.compute_dtype);
    }
    if (is_bad || !update.bad_gradient.empty()) {
      const auto indices = batches[number].indices.contiguous();  // [batch]
      const std::span rows(indices.data_ptr<int64_t>(), static_cast<size_t>(indices.numel()));
      found.indices.insert(found.indices.end(), rows.begin(), rows.end());
    }
  }
  for (const int64_t index : found.indices) {
    found.names.push_back(set.sample_name(index));
  }
  return found;
}

std::string NotFinite::text(const std::string& total_steps) const {
  const auto shown = std::min(indices.size(), kMaxShown);
  auto images = fmt::format("{}", fmt::join(std::span(indices).first(shown), ", "));
  if (shown < indices.size()) {
    images += fmt::format(" and {} more", indices.size() - shown);
  }
  const auto what =
      std::isfinite(loss) ? "a gradient is not finite" : fmt::format("the loss is {}", loss);
  return fmt::format("{} at update {} of {}: first in {}, with images {} (the first is {})", what,
                     step + 1, total_steps, place, images,
                     names.empty() ? "unknown" : printable_text(names.front()));
}

Json to_json(const NotFinite& found) {
  Json images = Json::array();
  for (size_t i = 0; i < found.indices.size(); ++i) {
    images.push_back({{"index", found.indices[i]}, {"name", valid_utf8(found.names[i])}});
  }
  return {{"step", found.step},
          {"loss", fmt::format("{}", found.loss)},
          {"place", found.place},
          {"images", images}};
}

}  // namespace softmoe
