/// Checkpoints of upcycled models: weights, optimizer state and metadata.

#include "checkpoints/surgery/upcycled_checkpoint.h"

#include <gtest/gtest.h>

#include "checkpoints/model_description.h"
#include "checkpoints/module_tensors.h"
#include "core/error.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::same_bits;

class UpcycleCheckpoint : public testing::Test {
 protected:
  UpcycleCheckpoint() {
    ModelDescription description;
    description.name = "small";
    description.options = test::small_options();
    description.class_names = {"a", "b", "c", "d", "e", "f", "g"};
    dense_.metadata = to_metadata(description);
    dense_.metadata["config"] = {{"amp-dtype", "bfloat16"}, {"lr", 0.1}};
    dense_.model = named_tensors(*test::lively_model(test::small_options()));
    dense_.optimizer = {{"step", torch::tensor(int64_t{70})}};
    for (const auto& [name, tensor] : dense_.model) {
      dense_.optimizer["moment/" + name] = tensor + 1;
    }
    save_checkpoint(path(), dense_);
    target_.moe.experts = 3;
  }

  std::string path() const { return (folder_ / "dense.h5").string(); }

  test::TemporaryFolder folder_;
  Checkpoint dense_;
  UpcycleTarget target_;
};

TEST_F(UpcycleCheckpoint, HoldsTheUpcycledModelAndWhereItIsFrom) {
  const auto [checkpoint, from, to] =
      upcycle_checkpoint(path(), target_, {.expert_noise = 0.1}, /*seed=*/5);
  EXPECT_EQ(from, test::small_options());
  EXPECT_EQ(to.moe_blocks, "last_half");
  EXPECT_EQ(to.moe.experts, 3);
  const auto expected = named_tensors(
      *upcycle(dense_.model, from, to, {.expert_noise = 0.1}, /*seed=*/5, "dense.h5"));
  ASSERT_EQ(checkpoint.model.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    EXPECT_TRUE(same_bits(checkpoint.model.at(name), tensor)) << name;
  }
  EXPECT_TRUE(checkpoint.optimizer.empty());
  const auto description = model_description(checkpoint.metadata, "upcycled.h5");
  EXPECT_EQ(description.name, "small");
  EXPECT_EQ(description.options, to);
  EXPECT_EQ(description.class_names.size(), 7U);
  EXPECT_EQ(checkpoint.metadata.at("config"), (Json{{"amp-dtype", "bfloat16"}}));
  EXPECT_EQ(checkpoint.metadata.at("upcycled"), (Json{{"from", path()},
                                                      {"init", "copy"},
                                                      {"expert_noise", 0.1},
                                                      {"keep_head", true},
                                                      {"seed", 5}}));
}

TEST_F(UpcycleCheckpoint, KeepsTheStateOfTheOptimizerIfAsked) {
  const UpcycleOptions keep{.optimizer_state = OptimizerState::kKeep};
  const auto state = upcycle_checkpoint(path(), target_, keep, /*seed=*/5).checkpoint.optimizer;
  EXPECT_EQ(state.at("step").item<int64_t>(), 70);
  EXPECT_TRUE(same_bits(state.at("moment/blocks.2.moe.experts.fc1_weight")[1],
                        dense_.optimizer.at("moment/blocks.2.mlp.fc1.weight")));
  dense_.optimizer.clear();
  save_checkpoint(path(), dense_);
  EXPECT_THROW(upcycle_checkpoint(path(), target_, keep, 5), InputError);
}

TEST_F(UpcycleCheckpoint, RefusesATargetWithoutMoeLayers) {
  target_.moe_blocks = "none";
  EXPECT_THROW(upcycle_checkpoint(path(), target_, {}, 5), UsageError);
}

}  // namespace
}  // namespace softmoe
