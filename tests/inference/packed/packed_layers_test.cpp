#include "inference/packed/packed_layers.h"

#include <gtest/gtest.h>

#include "checkpoints/model_checkpoint.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

TEST(PackedLayers, Int8StartsWithMoreBitsButForExperts) {
  auto options = test::small_moe_options();
  options.depth = 5;
  options.moe_blocks = "1,3";
  const auto layers =
      pack_layers(options, named_tensors(*test::lively_model(options)), Precision::kInt8);
  EXPECT_EQ(layers.patch.precision(), Precision::kFloat32);
  for (size_t index = 0; index < layers.blocks.size(); ++index) {
    const auto& block = layers.blocks[index];
    const auto attention = index < 4 ? Precision::kBFloat16 : Precision::kInt8;
    const auto mlp = index == 0 ? Precision::kBFloat16 : Precision::kInt8;
    EXPECT_EQ(block.qkv.precision(), attention) << index;
    EXPECT_EQ(block.proj.precision(), attention) << index;
    EXPECT_EQ(block.mlp.fc1.precision(), mlp) << index;
    EXPECT_EQ(block.mlp.fc2.precision(), mlp) << index;
    EXPECT_FALSE(block.mlp.fc1.wide_rows()) << index;
  }
  options.moe_blocks = "none";
  const auto dense =
      pack_layers(options, named_tensors(*test::lively_model(options)), Precision::kInt8);
  EXPECT_EQ(dense.blocks[1].mlp.fc1.precision(), Precision::kBFloat16);
  EXPECT_EQ(dense.blocks[2].mlp.fc1.precision(), Precision::kInt8);
}

}  // namespace
}  // namespace softmoe
