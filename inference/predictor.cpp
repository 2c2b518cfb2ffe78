#include "inference/predictor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/progress.h"
#include "datasets/loader.h"
#include "inference/image_inputs.h"

namespace softmoe {
namespace {

/// An undefined tensor for no batches.
torch::Tensor joined(const std::vector<torch::Tensor>& batches) {
  return batches.empty() ? torch::Tensor() : torch::cat(batches);
}

/// The stored preprocessing, which must give images of the model's size.
PreprocessOptions fitting_preprocess(const ModelDescription& model, const std::string& name) {
  const auto options = stored_preprocess(model, name);
  const auto expected = input_size(model.options);
  if (options.input_size != expected) {
    throw InputError(name + ": preprocess", fmt::format("input-size {}", fmt::join(expected, " ")),
                     fmt::format("{}", fmt::join(options.input_size, " ")));
  }
  return options;
}

Transform stored_transform(const PreprocessOptions& options,
                           Transform (*make)(const PreprocessOptions&), const std::string& name) {
  try {
    return make(options);
  } catch (const UsageError& error) {
    throw InputError(name + ": preprocess: " + error.what());
  }
}

/// The preprocessing of images from files; nothing if the model takes none.
std::optional<Transform> file_transform(const ModelDescription& model, const std::string& name) {
  if (model.options.in_chans == 1 || model.options.in_chans == 3) {
    return evaluation_transform(model, name);
  }
  fitting_preprocess(model, name);
  return std::nullopt;
}

}  // namespace

Transform evaluation_transform(const ModelDescription& model, const std::string& name) {
  return stored_transform(fitting_preprocess(model, name), Transform::evaluation, name);
}

Transform training_transform(const ModelDescription& model, const std::string& name, double hflip) {
  auto options = fitting_preprocess(model, name);
  options.hflip = std::max(options.hflip, hflip);
  if (options.is_fixed()) {
    throw UsageError("views", "0, as the training of " + name + " does not augment images",
                     "augmented views");
  }
  return stored_transform(options, Transform::training, name);
}

/// Runs batches and gathers the requested results.
class Predictor::Collector {
 public:
  Collector(Predictor& predictor, const PredictionRequest& request)
      : predictor_(predictor), request_(request) {}

  /// `images` [batch, channels, height, width], `indices` [batch].
  void add(const torch::Tensor& images, const torch::Tensor& indices) {
    const torch::InferenceMode inference;
    auto& model = predictor_.model_;
    const auto features = model.forward_features(images);  // [batch, feature_dim]
    indices_.push_back(indices);
    if (request_.features) {
      features_.push_back(features.to(torch::kCPU, torch::kFloat32));
    }
    if (predictor_.has_head()) {
      add_logits(model.forward_head(features).to(torch::kCPU, torch::kFloat32), indices);
    }
  }

  Predictions take() const {
    return {.indices = indices_.empty() ? torch::empty({0}, torch::kInt64) : joined(indices_),
            .classes = joined(classes_),
            .probabilities = joined(probabilities_),
            .logits = joined(logits_),
            .features = joined(features_),
            .bad = {}};
  }

 private:
  void add_logits(const torch::Tensor& logits, const torch::Tensor& indices) {
    const auto finite = logits.isfinite().all(/*dim=*/1);  // [batch]
    if (!finite.all().item<bool>()) {
      const auto first = finite.logical_not().nonzero()[0][0].item<int64_t>();
      throw InputError(predictor_.name_, "finite logits",
                       fmt::format("NaN or infinity for image {}", indices[first].item<int64_t>()));
    }
    // Stable: of equal logits the first class wins, as in evaluation.
    const auto [sorted, order] = logits.sort(/*stable=*/true, /*dim=*/1, /*descending=*/true);
    const auto count = std::min(request_.topk, logits.size(1));
    const auto probabilities =
        class_probabilities(sorted, predictor_.description().likelihood);  // [batch, classes]
    classes_.push_back(order.slice(/*dim=*/1, 0, count).clone());          // [batch, topk]
    probabilities_.push_back(probabilities.slice(/*dim=*/1, 0, count).clone());
    if (request_.logits) {
      logits_.push_back(logits);
    }
  }

  Predictor& predictor_;
  PredictionRequest request_;
  std::vector<torch::Tensor> indices_;
  std::vector<torch::Tensor> classes_;
  std::vector<torch::Tensor> probabilities_;
  std::vector<torch::Tensor> logits_;
  std::vector<torch::Tensor> features_;
};

Predictor::Predictor(LoadedModel model, std::string name, Precision precision)
    : description_(std::move(model.description)),
      name_(std::move(name)),
      transform_(file_transform(description_, name_)),
      model_(std::move(model.model), precision) {}

Predictor::Predictor(LoadedWeights weights, std::string name, Precision precision,
                     const torch::Device& device)
    : description_(std::move(weights.description)),
      name_(std::move(name)),
      transform_(file_transform(description_, name_)),
      model_(description_.options, std::move(weights.weights), name_, precision, device) {}

std::string Predictor::class_name(int64_t label) const {
  const auto& names = description().class_names;
  const auto index = static_cast<size_t>(label);
  return index < names.size() ? names[index] : std::to_string(label);
}

Predictions Predictor::predict(const Dataset& images, int64_t batch_size, int64_t workers,
                               const PredictionRequest& request) {
  LoaderOptions options;
  options.batch_size = batch_size;
  options.workers = workers;
  options.shuffle = false;
  options.drop_last = false;
  options.max_bad_images = 1.0;  // the caller gets a list of them
  options.log_bad_images = false;
  if (!transform_) {
    throw InputError(name_, "1 or 3 channels, as image files have (arrays may have others)",
                     fmt::format("{} channels", description().options.in_chans));
  }
  Loader loader(images, *transform_, options);
  loader.start(/*epoch=*/0, /*first_batch=*/0);
  Collector collector(*this, request);
  Progress progress("Predict", images.size(), "images");
  while (const auto batch = loader.next()) {
    collector.add(batch->images, batch->indices);
    progress.update(batch->indices[-1].item<int64_t>() + 1);
  }
  auto predictions = collector.take();
  predictions.bad = loader.bad_images();
  return predictions;
}

Predictions Predictor::predict(const torch::Tensor& images, const std::string& name,
                               int64_t batch_size, const PredictionRequest& request) {
  const auto& options = description().options;
  const std::vector<int64_t> size{options.image_height(), options.image_width(), options.in_chans};
  if (images.dim() == 4 && images.size(0) == 0) {
    throw InputError(name, "at least one image", array_text(images));
  }
  const bool fits = images.dim() == 4 && images.is_floating_point() &&
                    images.sizes().slice(1) == torch::IntArrayRef(size);
  if (!fits) {
    throw InputError(name,
                     fmt::format("floating point [images, {}, {}, {}] as the model takes them",
                                 size[0], size[1], size[2]),
                     array_text(images));
  }
  Collector collector(*this, request);
  Progress progress("Predict", images.size(0), "images");
  const int64_t count = images.size(0);
  for (int64_t first = 0; first < count; first += batch_size) {
    const int64_t last = std::min(first + batch_size, count);
    const auto batch = images.slice(/*dim=*/0, first, last)
                           .to(torch::kFloat32)
                           .permute({0, 3, 1, 2});  // [batch, channels, height, width]
    if (!batch.isfinite().all().item<bool>()) {
      throw InputError(name, "finite numbers",
                       fmt::format("NaN or infinity in images {} to {}", first, last - 1));
    }
    collector.add(batch.contiguous(), torch::arange(first, last));
    progress.update(last);
  }
  return collector.take();
}

}  // namespace softmoe
