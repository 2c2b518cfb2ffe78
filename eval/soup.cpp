#include "eval/soup.h"

#include <functional>
#include <map>

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

Checkpoint soup_checkpoint(const WeightAverage& average, const std::vector<SoupModel>& models) {
  Checkpoint checkpoint;
  checkpoint.metadata = derived_metadata(average.metadata(), average.description());
  auto& from = checkpoint.metadata["averaged"] = Json::array();
  for (const auto& model : models) {
    if (model.is_in_soup) {
      from.push_back(valid_utf8(model.path));
    }
  }
  checkpoint.model = average.mean();
  return checkpoint;
}

Json accuracy(const std::optional<ClassificationResult>& result) {
  return result ? Json{{"top1", result->top1}, {"top5", result->top5}, {"loss", result->loss}}
                : Json();
}

}  // namespace

Soup uniform_soup(const std::vector<std::string>& paths, const SoupImages* images) {
  Soup soup;
  WeightAverage average;
  std::optional<SoupTest> test;
  for (const auto& path : paths) {
    const auto weights = open_weights(path);
    average.add(weights, path);
    SoupModel model{.path = path, .is_in_soup = true};
    if (images != nullptr) {
      if (!test) {
        test.emplace(*images, weights, path);
      }
      model.result = test->measure(weights.weights, path);
    }
    soup.models.push_back(std::move(model));
  }
  soup.checkpoint = soup_checkpoint(average, soup.models);
  if (test) {
    soup.result = test->measure(soup.checkpoint.model, "the mean");
  }
  return soup;
}

Soup greedy_soup(const std::vector<std::string>& paths, const SoupImages& images) {
  auto soup = uniform_soup(paths, &images);  // measures and compares all of them
  std::multimap<double, SoupModel, std::greater<>> by_top1;
  for (auto& model : soup.models) {
    const double top1 = model.result->top1;
    by_top1.emplace(top1, std::move(model));
  }
  soup.models.clear();
  for (auto& [top1, model] : by_top1) {
    soup.models.push_back(std::move(model));
  }
  WeightAverage best;
  std::optional<SoupTest> test;
  for (auto& model : soup.models) {
    const auto weights = open_weights(model.path);
    if (!test) {
      test.emplace(images, weights, model.path);
    }
    auto tried = best;
    tried.add(weights, model.path);
    auto result = best.models() == 0 ? *model.result : test->measure(tried.mean(), model.path);
    model.is_in_soup = best.models() == 0 || result.top1 >= soup.result->top1;
    if (model.is_in_soup) {
      best = std::move(tried);
      soup.result = std::move(result);
    }
  }
  soup.checkpoint = soup_checkpoint(best, soup.models);
  return soup;
}

Json to_json(const Soup& soup) {
  Json models = Json::array();
  for (const auto& model : soup.models) {
    auto row = accuracy(model.result);
    row["path"] = valid_utf8(model.path);
    row["in_soup"] = model.is_in_soup;
    models.push_back(std::move(row));
  }
  return {{"models", models}, {"soup", accuracy(soup.result)}};
}

}  // namespace softmoe
