#include "checkpoints/surgery/student_weights.h"

#include <gtest/gtest.h>

#include "checkpoints/module_tensors.h"
#include "core/error.h"
#include "support/error_text.h"
#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::all_close;
using test::changed;
using test::same_bits;
using test::small_moe_options;
using test::small_options;

NamedTensors teacher_tensors(const VitOptions& options) {
  return named_tensors(*test::lively_model(options));
}

NamedTensors weights_for(const VitOptions& from, const VitOptions& to) {
  return student_weights(teacher_tensors(from), from, to, PositionResize::kBicubic, "t.h5");
}

TEST(TeacherBlock, SpreadsTheBlocksOfAStudentOverThoseOfItsTeacher) {
  std::vector<int64_t> blocks;
  for (int64_t block = 0; block < 4; ++block) {
    blocks.push_back(teacher_block(block, 4, 12));
  }
  EXPECT_EQ(blocks, (std::vector<int64_t>{0, 4, 7, 11}));
  EXPECT_EQ(teacher_block(0, 1, 12), 0);
  EXPECT_EQ(teacher_block(2, 3, 3), 2);
}

TEST(StudentWeights, AreAllOfThemForAStudentOfTheSameShape) {
  for (const auto& options : {small_options(), small_moe_options("soft"),
                              small_moe_options("tokens_choice"), test::every_prefix()}) {
    const auto teacher = teacher_tensors(options);
    const auto weights = weights_for(options, options);
    ASSERT_EQ(weights.size(), teacher.size());
    for (const auto& [name, tensor] : teacher) {
      EXPECT_TRUE(same_bits(weights.at(name), tensor)) << name;
    }
  }
}

TEST(StudentWeights, AShallowerStudentStartsFromBlocksBetweenTheFirstAndTheLast) {
  const auto to = changed(small_options(), [](VitOptions& options) { options.depth = 2; });
  const auto teacher = teacher_tensors(small_options());
  const auto weights = weights_for(small_options(), to);
  EXPECT_TRUE(
      same_bits(weights.at("blocks.0.mlp.fc1.weight"), teacher.at("blocks.0.mlp.fc1.weight")));
  EXPECT_TRUE(
      same_bits(weights.at("blocks.1.mlp.fc1.weight"), teacher.at("blocks.2.mlp.fc1.weight")));
  EXPECT_FALSE(weights.contains("blocks.2.mlp.fc1.weight"));
}

TEST(StudentWeights, MlpsAreTheMeanOfExpertsAndExpertsAreCopiesOfMlps) {
  const auto sparse = small_moe_options();
  const auto dense = weights_for(sparse, small_options());
  const auto experts = teacher_tensors(sparse).at("blocks.1.moe.experts.fc2_weight");
  EXPECT_TRUE(all_close(dense.at("blocks.1.mlp.fc2.weight"), experts.mean(0)));
  EXPECT_EQ(dense.size(), teacher_tensors(small_options()).size());
  const auto copies = weights_for(small_options(), sparse).at("blocks.1.moe.experts.fc2_weight");
  const auto mlp = teacher_tensors(small_options()).at("blocks.1.mlp.fc2.weight");
  ASSERT_EQ(copies.size(0), 3);
  EXPECT_TRUE(same_bits(copies[2], mlp));
}

TEST(StudentWeights, LeaveOutWhatHasAnotherShape) {
  const auto to = changed(small_options(), [](VitOptions& options) {
    options.mlp_dim = 32;
    options.heads = 4;
  });
  const auto weights = weights_for(small_options(), to);
  EXPECT_FALSE(weights.contains("blocks.0.mlp.fc1.weight"));
  EXPECT_TRUE(weights.contains("blocks.0.mlp.fc2.bias"));
  EXPECT_FALSE(weights.contains("blocks.0.attn.qkv.weight"));
  EXPECT_TRUE(weights.contains("blocks.0.norm1.weight"));
  EXPECT_TRUE(weights.contains("head.weight"));
}

TEST(StudentWeights, AreFittedToTheImagesOfTheStudent) {
  const auto to = changed(small_options(), [](VitOptions& options) {
    options.img_size = {16, 12};
    options.in_chans = 1;
    options.class_token = true;
  });
  auto from = small_options();
  from.class_token = true;
  const auto weights = weights_for(from, to);
  EXPECT_EQ(weights.at("pos_embed").size(1), 1 + 12);
  EXPECT_TRUE(all_close(weights.at("patch_embed.proj.weight"),
                        teacher_tensors(from).at("patch_embed.proj.weight").sum(1, true)));
}

TEST(StudentWeights, NeedTokensOfOneWidth) {
  const auto to = changed(small_options(), [](VitOptions& options) { options.dim = 16; });
  EXPECT_EQ(test::input_error([&] { weights_for(small_options(), to); }),
            "t.h5: dim: expected 16 as the student's, found 24");
}

}  // namespace
}  // namespace softmoe
