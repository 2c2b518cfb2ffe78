#include "eval/soup.h"

#include <functional>
#include <map>

#include "checkpoints/image_text_checkpoint.h"
#include "checkpoints/load_into.h"
#include "checkpoints/open_model.h"
#include "checkpoints/surgery/weight_average.h"
#include "core/error.h"
#include "eval/model_evaluation.h"

namespace softmoe {
namespace {

/// Measures models that have the architecture and the preprocessing of the first one.
class SoupTest {
 public:
  SoupTest(const SoupImages& images, const LoadedWeights& first, const std::string& path)
      : images_(images),
        description_(first.description),
        transform_(images.transform(first.description, path)),
        dtype_(evaluation_dtype(images.amp_dtype, first.metadata, images.device)),
        model_(unfilled_model(first.description.options, torch::kFloat32)) {
    if (description_.options.num_classes == 0) {
      throw InputError(path, "a model with a head", "none");
    }
    check_classes(images.set.class_names(), description_, "the data");
    model_->to(images.device);
    model_->eval();
  }

  ClassificationResult measure(const NamedTensors& weights, const std::string& name) {
    load_into(*model_, weights, name);
    return evaluate_model(
        [this](const torch::Tensor& batch) { return model_(batch); }, description_, transform_,
        images_.set, images_.loader,
        {.device = images_.device, .dtype = dtype_, .label = name, .images = images_.set.size()});
  }

 private:
  const SoupImages& images_;
  ModelDescription description_;
  Transform transform_;
  torch::Dtype dtype_;
  VisionTransformer model_;
};

/// Notes in `metadata` which models are in the mean.
void note_models(Json& metadata, const std::vector<SoupModel>& models) {
  auto& from = metadata["averaged"] = Json::array();
  for (const auto& model : models) {
    if (model.is_in_soup) {
      from.push_back(valid_utf8(model.path));
    }
  }
}

Checkpoint soup_checkpoint(const WeightAverage& average, const std::vector<SoupModel>& models) {
  Checkpoint checkpoint;
  checkpoint.metadata = derived_metadata(average.metadata(), average.description());
  note_models(checkpoint.metadata, models);
  checkpoint.model = average.mean();
  return checkpoint;
}

/// Measures the models in the files `paths` on the images of the soup.
class SoupModels {
 public:
  SoupModels(const std::vector<std::string>& paths, const SoupImages* images) : images_(images) {
    for (const auto& path : paths) {
      const auto weights = open_weights(path);
      average_.add(weights, path);
      if (images_ != nullptr && !test_) {
        test_.emplace(*images_, weights, path);
      }
      models_.push_back({.path = path, .result = measure(weights.weights, path)});
    }
  }

  std::optional<ClassificationResult> measure(const NamedTensors& weights,
                                              const std::string& name) {
    return test_ ? std::optional(test_->measure(weights, name)) : std::nullopt;
  }

  /// The mean of all models.
  const WeightAverage& average() const { return average_; }
  /// In the order of `paths`.
  const std::vector<SoupModel>& models() const { return models_; }

 private:
  const SoupImages* images_;
  std::optional<SoupTest> test_;
  WeightAverage average_;
  std::vector<SoupModel> models_;
};

}  // namespace

Soup uniform_soup(const std::vector<std::string>& paths, const SoupImages* images) {
  SoupModels measured(paths, images);
  Soup soup{.models = measured.models()};
  for (auto& model : soup.models) {
    model.is_in_soup = true;
  }
  soup.checkpoint = soup_checkpoint(measured.average(), soup.models);
  soup.result = measured.measure(soup.checkpoint.model, "the mean");
  return soup;
}

Soup greedy_soup(const std::vector<std::string>& paths, const SoupImages& images) {
  SoupModels measured(paths, &images);
  std::multimap<double, SoupModel, std::greater<>> by_score;
  for (const auto& model : measured.models()) {
    by_score.emplace(model.result->score(), model);
  }
  Soup soup;
  WeightAverage best;
  for (auto& [score, model] : by_score) {
    auto tried = best;
    tried.add(open_weights(model.path), model.path);
    auto result = best.models() == 0 ? model.result : measured.measure(tried.mean(), model.path);
    model.is_in_soup = best.models() == 0 || result->score() >= soup.result->score();
    if (model.is_in_soup) {
      best = std::move(tried);
      soup.result = std::move(result);
    }
    soup.models.push_back(std::move(model));
  }
  soup.checkpoint = soup_checkpoint(best, soup.models);
  return soup;
}

Soup image_text_soup(const std::vector<std::string>& paths) {
  Soup soup;
  TensorMean mean;
  ImageTextDescription first;
  for (const auto& path : paths) {
    auto read = load_image_text_weights(path);
    if (soup.models.empty()) {
      first = std::move(read.description);
    } else if (read.description.options != first.options ||
               read.description.tokenizer != first.tokenizer) {
      throw InputError(path, "the towers and the vocabulary of " + paths.front(), "others");
    }
    check_fit(*unfilled_image_text_model(first.options), read.weights, path);
    mean.add(read.weights);
    soup.models.push_back({.path = path, .is_in_soup = true});
  }
  soup.checkpoint = {.metadata = to_metadata(first),
                     .model = mean.mean(),
                     .tokenizer = tokenizer_tensors(first.tokenizer)};
  note_models(soup.checkpoint.metadata, soup.models);
  return soup;
}

Json to_json(const Soup& soup) {
  Json models = Json::array();
  for (const auto& model : soup.models) {
    auto row = accuracy_json(model.result);
    row["path"] = valid_utf8(model.path);
    row["in_soup"] = model.is_in_soup;
    models.push_back(std::move(row));
  }
  return {{"models", models}, {"soup", accuracy_json(soup.result)}};
}

}  // namespace softmoe
