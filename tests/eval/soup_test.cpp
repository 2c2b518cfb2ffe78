#include "eval/soup.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "eval/digit_model.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

using test::batches_of;
using test::digit_model;

Transform evaluation_transform(const ModelDescription& model, const std::string& /*name*/) {
  return Transform::evaluation(model.preprocess.value());
}

/// A set with the digits, and the classes with the most and the fewest images.
struct DigitImages {
  std::unique_ptr<Dataset> set = test::digits("val").set;
  SoupImages images{.set = *set, .transform = evaluation_transform, .loader = batches_of(64)};
  int64_t common = 0;
  int64_t rare = 0;

  DigitImages() {
    std::vector<int64_t> counts(10);
    for (int64_t i = 0; i < set->size(); ++i) {
      ++counts[static_cast<size_t>(set->label(i))];
    }
    common = std::ranges::max_element(counts) - counts.begin();
    rare = std::ranges::min_element(counts) - counts.begin();
  }
};

/// Writes a model that gives every image the label `label`, whose logit is larger by `margin`.
std::string constant_model(const test::TemporaryFolder& folder, const std::string& name,
                           int64_t label, double margin) {
  auto model = digit_model();
  {
    const torch::NoGradGuard no_grad;
    model->named_parameters()["head.bias"][label] += margin;
  }
  PreprocessOptions preprocess;
  preprocess.input_size = {1, 8, 8};
  Checkpoint checkpoint;
  checkpoint.metadata =
      to_metadata({.name = "tiny",
                   .options = model->options(),
                   .class_names = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
                   .preprocess = preprocess});
  checkpoint.model = named_tensors(*model);
  const auto path = folder.path() / name;
  save_checkpoint(path, checkpoint);
  return path.string();
}

TEST(Soup, UniformHasEveryModel) {
  const test::TemporaryFolder folder;
  const auto soup = uniform_soup(
      {constant_model(folder, "a.h5", 1, 1000.0), constant_model(folder, "b.h5", 1, 3000.0)},
      nullptr);
  ASSERT_EQ(soup.models.size(), 2U);
  EXPECT_TRUE(soup.models[0].is_in_soup && soup.models[1].is_in_soup);
  EXPECT_FALSE(soup.result.has_value());
  EXPECT_EQ(soup.checkpoint.metadata.at("averaged").size(), 2U);
  EXPECT_NEAR(soup.checkpoint.model.at("head.bias")[1].item<double>(), 2000.0, 1.0);
}

TEST(Soup, GreedyLeavesOutWhatMakesItWorse) {
  const test::TemporaryFolder folder;
  const DigitImages digits;
  const std::vector<std::string> paths{constant_model(folder, "bad.h5", digits.rare, 3000.0),
                                       constant_model(folder, "a.h5", digits.common, 1000.0),
                                       constant_model(folder, "b.h5", digits.common, 800.0)};
  // The mean of all is as bad as the worst.
  const auto uniform = uniform_soup(paths, &digits.images);
  EXPECT_EQ(uniform.result->top1, uniform.models[0].result->top1);

  const auto soup = greedy_soup(paths, digits.images);
  ASSERT_EQ(soup.models.size(), 3U);
  EXPECT_TRUE(soup.models[0].is_in_soup && soup.models[1].is_in_soup);
  EXPECT_EQ(soup.models[2].path, paths[0]);
  EXPECT_FALSE(soup.models[2].is_in_soup);
  EXPECT_EQ(soup.result->top1, soup.models[0].result->top1);
  EXPECT_GT(soup.result->top1, uniform.result->top1);
  EXPECT_EQ(to_json(soup).at("models").at(2).at("in_soup"), false);
}

}  // namespace
}  // namespace softmoe
