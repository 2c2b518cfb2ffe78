#include "train/finetune_start.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "train/checkpoint_cases.h"

namespace softmoe {
namespace {

using test::same_bits;

const std::vector<std::string> kLetters{"a", "b", "c"};

class FinetuneStart : public testing::Test {
 protected:
  FinetuneStart()
      : saved_(test::save_model(folder_ / "small.h5", test::small_moe_options())),
        options_{.checkpoint = (folder_ / "small.h5").string(), .resize = {}} {}

  test::TemporaryFolder folder_;
  Checkpoint saved_;
  FinetuneOptions options_;
};

TEST_F(FinetuneStart, TakesTheWeightsAndANewHead) {
  auto model = finetune_source(options_).options;
  EXPECT_EQ(model.dim, 24);
  model.num_classes = 4;
  const auto start = finetune_start(options_, model, kLetters, /*seed=*/3);
  EXPECT_EQ(start.model_name, "small");
  EXPECT_EQ(start.resize_mode, PositionResize::kBicubic);
  EXPECT_TRUE(start.optimizer_state.empty());
  const auto initial = named_tensors(*make_model(model, /*seed=*/3));
  for (const auto& [name, tensor] : named_tensors(*start.model)) {
    const auto& expected = name.starts_with("head.") ? initial.at(name) : saved_.model.at(name);
    EXPECT_TRUE(same_bits(tensor, expected)) << name;
  }
}

TEST_F(FinetuneStart, KeepsTheHeadAndTheOptimizerStateIfAsked) {
  options_.keep_head = true;
  options_.optimizer_state = OptimizerState::kKeep;
  options_.resize.resize_mode = "bilinear";
  const auto source = finetune_source(options_);
  const auto start = finetune_start(options_, source.options, source.class_names, /*seed=*/3);
  EXPECT_EQ(start.resize_mode, PositionResize::kBilinear);
  EXPECT_TRUE(
      same_bits(named_tensors(*start.model).at("head.weight"), saved_.model.at("head.weight")));
  EXPECT_EQ(start.optimizer_state.size(), saved_.optimizer.size());
  options_.keep_head = false;
  const auto anew =
      finetune_start(options_, finetune_source(options_).options, kLetters, /*seed=*/3);
  EXPECT_FALSE(anew.optimizer_state.contains("exp_avg/head.weight"));
  EXPECT_TRUE(anew.optimizer_state.contains("exp_avg/pos_embed"));
  EXPECT_EQ(anew.optimizer_state.at("step").item<int64_t>(), 20);
}

TEST_F(FinetuneStart, TakesTheShapeAloneIfAsked) {
  options_.random_weights = true;
  const auto model = finetune_source(options_).options;
  const auto start = finetune_start(options_, model, kLetters, /*seed=*/3);
  const auto expected = named_tensors(*make_model(model, /*seed=*/3));
  for (const auto& [name, tensor] : named_tensors(*start.model)) {
    EXPECT_TRUE(same_bits(tensor, expected.at(name))) << name;
  }
}

TEST_F(FinetuneStart, RefusesWhatContradictsItself) {
  EXPECT_THROW(finetune_source({.checkpoint = "", .resize = {}}), UsageError);
  auto model = finetune_source(options_).options;
  options_.random_weights = true;
  options_.optimizer_state = OptimizerState::kKeep;
  EXPECT_THROW(finetune_start(options_, model, kLetters, 0), UsageError);
  options_.random_weights = false;
  options_.keep_head = true;
  auto others = finetune_source(options_).class_names;
  std::swap(others[1], others[2]);
  EXPECT_THAT([&] { finetune_start(options_, model, others, 0); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("--keep-head")));
  model.num_classes = 4;
  EXPECT_THROW(finetune_start(options_, model, kLetters, 0), InputError);
}

TEST_F(FinetuneStart, RefusesToKeepAStateThatIsNotThere) {
  auto without = saved_;
  without.optimizer.clear();
  save_checkpoint(folder_ / "weights.h5", without);
  options_.checkpoint = (folder_ / "weights.h5").string();
  options_.optimizer_state = OptimizerState::kKeep;
  EXPECT_THROW(finetune_start(options_, finetune_source(options_).options, kLetters, 0),
               InputError);
}

}  // namespace
}  // namespace softmoe
