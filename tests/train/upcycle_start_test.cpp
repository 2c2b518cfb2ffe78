#include "train/upcycle_start.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "train/checkpoint_cases.h"

namespace softmoe {
namespace {

using test::same_bits;

class UpcycleStart : public testing::Test {
 protected:
  UpcycleStart()
      : saved_(test::save_model(folder_ / "dense.h5", test::small_options())),
        options_{.checkpoint = (folder_ / "dense.h5").string(), .upcycling = {}, .resize = {}} {}

  /// The options of a model that takes over the dense one.
  VitOptions sparse_options() const {
    auto model = upcycle_source(options_).options;
    model.moe.experts = 3;
    return model;
  }

  test::TemporaryFolder folder_;
  Checkpoint saved_;
  UpcycleStartOptions options_;
};

TEST_F(UpcycleStart, MakesExpertsOfTheMlpsInTheLastHalf) {
  const auto start = upcycle_start(options_, sparse_options(), test::small_classes(), /*seed=*/3);
  EXPECT_EQ(start.model_name, "small");
  EXPECT_EQ(start.resize_mode, PositionResize::kBicubic);
  const auto tensors = named_tensors(*start.model);
  EXPECT_TRUE(same_bits(tensors.at("head.weight"), saved_.model.at("head.weight")));
  EXPECT_TRUE(tensors.contains("blocks.0.mlp.fc1.weight"));
  const auto& experts = tensors.at("blocks.2.moe.experts.fc1_weight");  // [experts, ...]
  EXPECT_EQ(experts.size(0), 3);
  EXPECT_TRUE(same_bits(experts[0], experts[2]));
}

TEST_F(UpcycleStart, HeadStartsAnewForOtherClasses) {
  auto model = sparse_options();
  auto classes = test::small_classes();
  classes.back() = "another";
  const auto start = upcycle_start(options_, model, classes, /*seed=*/3);
  EXPECT_FALSE(
      torch::equal(named_tensors(*start.model).at("head.weight"), saved_.model.at("head.weight")));
}

TEST_F(UpcycleStart, KeepsTheStateOfTheOptimizerIfAsked) {
  options_.upcycling.optimizer_state = OptimizerState::kKeep;
  const auto start = upcycle_start(options_, sparse_options(), test::small_classes(), 3);
  EXPECT_TRUE(start.optimizer_state.contains("exp_avg/blocks.2.moe.experts.fc1_weight"));
}

TEST_F(UpcycleStart, RefusesAModelThatHasMoeLayers) {
  test::save_model(folder_ / "sparse.h5", test::small_moe_options());
  options_.checkpoint = (folder_ / "sparse.h5").string();
  EXPECT_THROW(upcycle_source(options_), InputError);
}

}  // namespace
}  // namespace softmoe
