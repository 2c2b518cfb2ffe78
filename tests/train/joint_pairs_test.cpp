#include "train/joint_pairs.h"

#include <gtest/gtest.h>

#include "checkpoints/module_tensors.h"
#include "support/tensor_matcher.h"
#include "train/model_update.h"
#include "train/optimizers.h"
#include "vit/small_texts.h"

namespace softmoe {
namespace {

class JointPairs : public testing::TestWithParam<std::string> {
 protected:
  /// A run whose model has the weights of a seed.
  static ImageTextRun run() {
    auto options = test::small_image_text_options();
    options.text = test::small_text_moe_options();
    options.has_logit_bias = true;
    options.image.drop_path = 0.0;
    torch::manual_seed(3);
    ImageTextRun made;
    made.model = ImageTextModel(options);
    test::enliven(made.model);
    made.model->train();
    return made;
  }

  /// Pairs [first, first + count) of five, of which the texts 0 and 3 say the same.
  static Batch pairs(int64_t first, int64_t count) {
    const auto texts = test::small_texts();
    const auto images =
        test::random_images(test::small_image_text_options().image, texts.ids.size(0));
    return {.images = images.narrow(0, first, count),
            .labels = torch::full({count}, -1, torch::kInt64),
            .indices = torch::arange(first, first + count),
            .token_ids = texts.ids.narrow(0, first, count),
            .token_lengths = texts.lengths.narrow(0, first, count),
            .text_groups = torch::tensor({9, 1, 2, 9, 4}, torch::kInt64).narrow(0, first, count)};
  }

  /// The weights after an update from `batches`, and its loss.
  static std::pair<NamedTensors, double> updated(const std::vector<Batch>& batches) {
    auto made = run();
    const auto optimizer = make_optimizer(named_parameters(*made.model),
                                          {.opt = "sgd", .weight_decay = 0.0, .decay_rules = {}});
    ObjectiveOptions objectives;
    objectives.contrastive = {.objective = TrainingObjective::kContrastive,
                              .loss = enum_value<ContrastiveLoss>(GetParam()).value()};
    const auto update =
        update_model(made.model->image, *optimizer, objectives,
                     [next = size_t{0}, &batches]() mutable { return batches.at(next++); },
                     {.step = {.batches = std::ssize(batches), .image_text = &made},
                      .lr = 0.5,
                      .clip_grad = 0.0});
    return {named_tensors(*made.model), update.loss};
  }
};
INSTANTIATE_TEST_SUITE_P(Losses, JointPairs, testing::ValuesIn(enum_names<ContrastiveLoss>()),
                         [](const auto& item) { return item.param; });

TEST_P(JointPairs, OfSeveralBatchesLearnAsThoseOfOneBatch) {
  const auto [together, loss] = updated({pairs(0, 5)});
  const auto [in_parts, loss_of_parts] = updated({pairs(0, 2), pairs(2, 3)});
  EXPECT_NEAR(loss_of_parts, loss, 1e-5);
  const auto before = named_tensors(*run().model);
  for (const auto& [name, tensor] : together) {
    EXPECT_TRUE(test::all_close(in_parts.at(name), tensor, {.absolute = 1e-5, .relative = 1e-4}))
        << name;
  }
  EXPECT_FALSE(test::all_close(before.at("text.token_embed"), together.at("text.token_embed")));
}

}  // namespace
}  // namespace softmoe
