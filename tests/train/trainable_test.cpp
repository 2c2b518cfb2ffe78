#include "train/trainable.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "core/error.h"
#include "runtime/autocast_guard.h"
#include "support/tensor_matcher.h"
#include "train/optimizer.h"
#include "vit/vision_transformer.h"

namespace softmoe {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kDim = 16;
constexpr int64_t kMlp = 24;
constexpr int64_t kDepth = 4;
constexpr int64_t kExperts = 3;
constexpr int64_t kClasses = 5;

/// If `sparse`, blocks 1 and 3 of four have MoE layers.
VisionTransformer tiny_model(bool sparse) {
  VitOptions options;
  options.img_size = {8};
  options.patch_size = 4;
  options.in_chans = 1;
  options.num_classes = kClasses;
  options.dim = kDim;
  options.depth = kDepth;
  options.heads = 2;
  options.mlp_dim = kMlp;
  if (sparse) {
    options.moe_blocks = "every_2";
    options.moe.router = "tokens_choice";
    options.moe.experts = kExperts;
  }
  torch::manual_seed(3);
  return VisionTransformer(options);
}

constexpr int64_t kHead = kClasses * (kDim + 1);
constexpr int64_t kAttention = 4 * kDim * (kDim + 1);
constexpr int64_t kDenseMlp = kMlp * (kDim + 1) + kDim * (kMlp + 1);
constexpr int64_t kRouter = kDim * kExperts;
constexpr int64_t kAllExperts = kExperts * kDenseMlp;
/// Patch and position embeddings, norms.
constexpr int64_t kRest = kDim * (16 + 1) + 4 * kDim + kDepth * 4 * kDim + 2 * kDim;
constexpr int64_t kSparse =
    kRest + kDepth * kAttention + 2 * kDenseMlp + 2 * (kRouter + kAllExperts) + kHead;
constexpr int64_t kDense = kRest + kDepth * (kAttention + kDenseMlp) + kHead;

struct ShareCase {
  std::vector<std::string> trainable;
  std::vector<std::string> freeze;
  int64_t learning;
};

void expect_shares(bool sparse, int64_t total, const std::vector<ShareCase>& cases) {
  auto model = tiny_model(sparse);
  for (const auto& [trainable, freeze, learning] : cases) {
    const auto share = set_trainable(*model, {.trainable = trainable, .freeze = freeze});
    const auto name = testing::PrintToString(trainable) + testing::PrintToString(freeze);
    EXPECT_EQ(share.total, total) << name;
    EXPECT_EQ(share.learning, learning) << name;
    EXPECT_DOUBLE_EQ(share.share(), static_cast<double>(learning) / static_cast<double>(total));
    int64_t counted = 0;
    for (const auto& parameter : model->parameters()) {
      counted += parameter.requires_grad() ? parameter.numel() : 0;
    }
    EXPECT_EQ(counted, learning) << name;
  }
}

TEST(Trainable, SubsetsOfASparseModelByName) {
  const int64_t moe = 2 * (kRouter + kAllExperts);
  expect_shares(/*sparse=*/true, kSparse,
                {{{"all"}, {}, kSparse},
                 {{"non_moe"}, {}, kSparse - moe},
                 {{"moe"}, {}, moe + kHead},
                 {{"attention"}, {}, kDepth * kAttention + kHead},
                 {{"ffn"}, {}, 2 * kDenseMlp + kHead},
                 {{"router"}, {}, 2 * kRouter + kHead},
                 {{"gates"}, {}, 2 * kRouter + kHead},
                 {{"experts"}, {}, 2 * kAllExperts + kHead},
                 {{"head"}, {}, kHead},
                 {{"attention", "ffn"}, {}, kDepth * kAttention + 2 * kDenseMlp + kHead},
                 {{"all"}, {"gates"}, kSparse - 2 * kRouter},
                 {{"all"}, {"experts", "head"}, kSparse - 2 * kAllExperts - kHead},
                 {{"moe"}, {"router"}, 2 * kAllExperts + kHead},
                 {{"moe"}, {"head"}, moe},
                 {{R"(blocks\.2\.)"}, {}, kAttention + kDenseMlp + 4 * kDim + kHead}});
}

TEST(Trainable, SubsetsOfADenseModelByName) {
  expect_shares(/*sparse=*/false, kDense,
                {{{"all"}, {}, kDense},
                 {{"non_moe"}, {}, kDense},
                 {{"attention"}, {}, kDepth * kAttention + kHead},
                 {{"ffn"}, {}, kDepth * kDenseMlp + kHead},
                 {{"head"}, {}, kHead},
                 {{"bias$"}, {}, kDim + kDepth * (5 * kDim + kMlp + 2 * kDim) + kDim + kHead},
                 {{"all"}, {"attention", "pos_embed"}, kDense - kDepth * kAttention - 4 * kDim}});
}

TEST(Trainable, GroupsShareAllParametersAmongThem) {
  auto model = tiny_model(/*sparse=*/true);
  for (const auto& item : model->named_parameters()) {
    const auto matches = [&](const std::string& group) {
      for (const auto& row : parameter_groups()) {
        if (row.name == group) {
          return std::regex_search(item.key(), std::regex(std::string(row.pattern)));
        }
      }
      ADD_FAILURE() << group;
      return false;
    };
    EXPECT_TRUE(matches("all"));
    EXPECT_NE(matches("moe"), matches("non_moe")) << item.key();
    EXPECT_EQ(matches("moe"), matches("router") || matches("experts")) << item.key();
    EXPECT_LE(matches("attention") + matches("ffn") + matches("moe") + matches("head"), 1)
        << item.key();
  }
}

std::string usage_error(const TrainableOptions& options, bool sparse) {
  auto model = tiny_model(sparse);
  try {
    set_trainable(*model, options);
  } catch (const UsageError& error) {
    return error.what();
  }
  ADD_FAILURE() << "no UsageError was thrown";
  return "";
}

TEST(Trainable, WordsThatNameNothingAreRefusedWithWhatThereIs) {
  EXPECT_THAT(usage_error({.trainable = {"moe"}}, /*sparse=*/false),
              AllOf(HasSubstr("--trainable"), HasSubstr("'moe'"),
                    HasSubstr("all, non_moe, attention, ffn, head")));
  EXPECT_THAT(usage_error({.freeze = {"atention"}}, /*sparse=*/true),
              AllOf(HasSubstr("--freeze"), HasSubstr("'atention'"), HasSubstr("router, gates")));
  EXPECT_THAT(usage_error({.trainable = {"(blocks"}}, /*sparse=*/true), HasSubstr("'(blocks'"));
  EXPECT_THAT(usage_error({.freeze = {"all"}}, /*sparse=*/true), HasSubstr("left to learn"));
}

TEST(Trainable, FrozenParametersGetNoGradientsInAnyPrecision) {
  for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
    for (const bool sparse : {false, true}) {
      for (const auto& row : parameter_groups()) {
        auto model = tiny_model(sparse);
        std::vector<std::string> words{std::string(row.name)};
        if (!sparse && (row.name == "moe" || row.name == "router" || row.name == "gates" ||
                        row.name == "experts")) {
          continue;
        }
        set_trainable(*model, {.trainable = words});
        const auto images = torch::randn({3, 1, 8, 8});
        {
          const AutocastGuard autocast(torch::kCPU, dtype);
          model(images).to(torch::kFloat32).square().sum().backward();
        }
        for (const auto& item : model->named_parameters()) {
          EXPECT_EQ(item.value().grad().defined(), item.value().requires_grad())
              << item.key() << " of " << row.name;
        }
      }
    }
  }
}

TEST(LearningMask, KnowsTheGroupsOfBothTowers) {
  const std::vector<std::string> names{"image.blocks.1.moe.router.phi",
                                       "image.blocks.1.moe.experts.fc1_weight",
                                       "text.blocks.0.mlp.fc1.weight", "image.norm.weight"};
  EXPECT_EQ(learning_mask({.freeze = {"router"}}, names),
            (std::vector<bool>{false, true, true, true}));
  EXPECT_EQ(learning_mask({.freeze = {"experts"}}, names),
            (std::vector<bool>{true, false, true, true}));
  EXPECT_EQ(learning_mask({.trainable = {"non_moe"}}, names),
            (std::vector<bool>{false, false, true, true}));
  EXPECT_EQ(learning_mask({.trainable = {"ffn"}}, names),
            (std::vector<bool>{false, false, true, false}));
}

}  // namespace
}  // namespace softmoe
