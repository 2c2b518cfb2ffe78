#include "eval/head_checkpoint.h"

#include <gmock/gmock.h>

#include "support/error_text.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::all_close;

LinearHead random_head(int64_t dim) {
  torch::manual_seed(4);
  return {.weight = torch::randn({5, dim}),
          .bias = torch::randn({5}),
          .class_names = {"a", "b", "c", "d", "e"}};
}

/// The model of `options` as it comes from a file.
LoadedWeights weights_of(const VitOptions& options) {
  LoadedWeights source;
  source.weights = named_tensors(*test::lively_model(options));
  source.description.name = "small";
  source.description.options = options;
  source.description.class_names = {"x", "y"};
  source.description.likelihood = Likelihood::kSigmoid;
  return source;
}

void expect_logits_of_the_head(const VitOptions& options) {
  const test::TemporaryFolder folder;
  const auto head = random_head(options.feature_dim());
  const auto path = folder / "headed.h5";
  save_checkpoint(path, checkpoint_with_head(weights_of(options), head, "small.h5"));
  auto loaded = load_model(path);
  EXPECT_EQ(loaded.description.options.num_classes, 5);
  EXPECT_EQ(loaded.description.class_names, head.class_names);
  EXPECT_EQ(loaded.description.likelihood, Likelihood::kSoftmax);
  const torch::NoGradGuard no_grad;
  const auto images = torch::randn({3, options.in_chans, 8, 12});
  const auto features = test::lively_model(options)->forward_features(images);
  EXPECT_TRUE(
      all_close(loaded.model->forward(images), torch::addmm(head.bias, features, head.weight.t())));
}

TEST(HeadCheckpoint, HasTheLogitsOfTheHead) {
  expect_logits_of_the_head(test::small_options());
  expect_logits_of_the_head(test::small_moe_options());
}

TEST(HeadCheckpoint, OfAModelWithoutAHead) {
  expect_logits_of_the_head(
      test::changed(test::small_options(), [](VitOptions& options) { options.num_classes = 0; }));
}

TEST(HeadCheckpoint, OfAModelWithTwoHeads) {
  expect_logits_of_the_head(test::changed(test::small_options(), [](VitOptions& options) {
    options.class_token = true;
    options.global_pool = GlobalPool::kToken;
    options.dist_token = true;
  }));
}

TEST(HeadCheckpoint, RefusesAHeadOfOtherFeatures) {
  const auto options = test::small_options();
  EXPECT_EQ(test::input_error(
                [&] { checkpoint_with_head(weights_of(options), random_head(9), "small.h5"); }),
            "small.h5: head: expected 24 features, found 9");
}

}  // namespace
}  // namespace softmoe
