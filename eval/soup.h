#pragma once
/// Model soups: one model whose weights are the mean of several models' weights.
/// Source: Wortsman et al., arXiv:2203.05482, section 2 and recipe 1.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "checkpoints/checkpoint.h"
#include "checkpoints/model_checkpoint.h"
#include "datasets/loader.h"
#include "eval/metrics.h"

namespace softmoe {

/// The images that models are measured on, and how.
struct SoupImages {
  const Dataset& set;
  /// From images to what a model takes, by its description and its name in errors.
  std::function<Transform(const ModelDescription& model, const std::string& name)> transform;
  LoaderOptions loader{};
  std::string amp_dtype = "auto";  ///< auto: that of the first model's training
  torch::Device device = torch::kCPU;
};

/// One of the models.
struct SoupModel {
  std::string path;
  std::optional<ClassificationResult> result{};  ///< alone
  bool is_in_soup = false;
};

struct Soup {
  std::vector<SoupModel> models{};               ///< in the order in which they were added or tried
  std::optional<ClassificationResult> result{};  ///< of the soup
  Checkpoint checkpoint{};                       ///< the soup
};

/// The mean of the models in the files `paths`. If `images` are given, each model and the soup are
/// measured on them. Throws InputError for files that hold no models of one architecture and of the
/// classes of the images.
Soup uniform_soup(const std::vector<std::string>& paths, const SoupImages* images);

/// Tries the models in the files `paths` from the highest top-1 to the lowest, and keeps each in
/// the mean if the top-1 of the mean does not fall. Throws like uniform_soup().
Soup greedy_soup(const std::vector<std::string>& paths, const SoupImages& images);

/// The mean of the models of images and texts in the files `paths`, which is not measured. Throws
/// InputError for files of other models, options or vocabularies than those of the first.
Soup image_text_soup(const std::vector<std::string>& paths);

/// {"models": [...], "soup": ...} without weights
Json to_json(const Soup& soup);

}  // namespace softmoe
