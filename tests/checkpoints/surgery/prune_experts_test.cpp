/// Models with fewer experts or none, by every router of the registry.

#include "checkpoints/surgery/prune_experts.h"

#include <gmock/gmock.h>

#include "checkpoints/load_into.h"
#include "checkpoints/model_checkpoint.h"
#include "checkpoints/module_tensors.h"
#include "core/error.h"
#include "softmoe/routers.h"
#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::all_close;
using test::lively_model;
using test::random_images;
using test::same_bits;
using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kExperts = 5;

/// One MoE layer, in block 1, so that its inputs do not depend on pruning.
VitOptions moe_options(const std::string& router) {
  auto options = test::small_moe_options(router);
  options.moe_blocks = "1";
  options.moe.experts = kExperts;
  options.moe.slots_per_expert = 2;
  options.moe.capacity_factor = static_cast<double>(kExperts);
  return options;
}

VisionTransformer eval_model(const VitOptions& options) {
  auto model = lively_model(options);
  model->eval();
  return model;
}

VisionTransformer model_of(const VitOptions& options, const NamedTensors& weights) {
  auto model = make_model(options, /*seed=*/99);
  load_into(*model, weights, "pruned");
  model->eval();
  return model;
}

KeptExperts keep(const std::vector<int64_t>& experts) { return {{1, torch::tensor(experts)}}; }

/// Routing logits of block 1 with experts on an axis of their own, or an undefined tensor.
torch::Tensor expert_logits(VisionTransformer& model, const torch::Tensor& images) {
  auto records = model->routing_records({.scores = true});
  model->forward(images, &records);
  const auto logits = records.at(1).scores.logits;
  const int64_t experts = model->options().moe.experts;
  return logits.defined() ? logits.detach().unflatten(-1, {experts, -1}) : logits;
}

class PruneByRouter : public testing::TestWithParam<std::string> {};

TEST_P(PruneByRouter, KeepsWhatBelongsToTheChosenExperts) {
  const auto from = moe_options(GetParam());
  auto model = eval_model(from);
  const auto images = random_images(from, 4);
  const auto weights = named_tensors(*model);
  const auto kept = keep({1, 2, 4});
  const auto to = pruned_options(from, 3, "moe.h5");
  const auto pruned = prune_experts(weights, from, to, kept);
  auto small = model_of(to, pruned);
  const auto outputs = small->forward(images);
  EXPECT_TRUE(outputs.isfinite().all().item<bool>());
  EXPECT_GT((outputs - model->forward(images)).abs().max().item<double>(), 1e-4);
  for (const auto& [name, tensor] : pruned) {
    if (name.find("moe.experts") != std::string::npos) {
      EXPECT_TRUE(same_bits(tensor, weights.at(name).index_select(0, kept.at(1)))) << name;
    } else if (name.find(".moe.") == std::string::npos) {
      EXPECT_TRUE(same_bits(tensor, weights.at(name))) << name;
    }
  }
  const auto before = expert_logits(model, images);  // [..., experts, slots]
  const auto after = expert_logits(small, images);
  ASSERT_EQ(before.defined(), after.defined());
  if (before.defined()) {
    EXPECT_TRUE(all_close(after, before.index_select(-2, kept.at(1)), {.absolute = 1e-5}));
  }
}

/// Routers whose layers of equal experts are that expert.
class PruneEqualExperts : public testing::TestWithParam<std::string> {};

TEST_P(PruneEqualExperts, AnyOneStandsForAll) {
  auto from = moe_options(GetParam());
  from.moe.expert_init = ExpertInit::kIdentical;
  torch::manual_seed(8);
  auto model = VisionTransformer(from);
  model->eval();
  const auto images = random_images(from, 4);
  const auto to = pruned_options(from, 1, "moe.h5");
  auto small = model_of(to, prune_experts(named_tensors(*model), from, to, keep({3})));
  EXPECT_TRUE(all_close(small->forward_features(images), model->forward_features(images),
                        {.absolute = 1e-5}));
}

/// The routers that can lose experts, all but identity, or those of them that `agree`.
std::vector<std::string> prunable_routers(bool agree) {
  std::vector<std::string> names;
  for (const auto& row : router_rows()) {
    if (row.name != "identity" && (!agree || row.equal_experts == EqualExperts::kAgree)) {
      names.emplace_back(row.name);
    }
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Routers, PruneByRouter, testing::ValuesIn(prunable_routers(false)),
                         [](const auto& entry) { return entry.param; });
INSTANTIATE_TEST_SUITE_P(Routers, PruneEqualExperts, testing::ValuesIn(prunable_routers(true)),
                         [](const auto& entry) { return entry.param; });

TEST(PruneExperts, SoftLayersLoseTheSlotsOfTheOthers) {
  auto from = moe_options("soft");
  from.moe.slots_per_expert = 0;  // by the capacity factor: 6 tokens x 5 / 5 experts
  const auto to = pruned_options(from, 2, "moe.h5");
  EXPECT_EQ(to.moe.slots_per_expert, 6);
  auto model = eval_model(from);
  const auto weights = named_tensors(*model);
  const auto pruned = prune_experts(weights, from, to, keep({0, 3}));
  const auto& phi = weights.at("blocks.1.moe.router.phi");  // [dim, experts, slots]
  EXPECT_TRUE(same_bits(pruned.at("blocks.1.moe.router.phi"),
                        torch::stack({phi.select(1, 0), phi.select(1, 3)}, 1)));
  EXPECT_TRUE(
      same_bits(pruned.at("blocks.1.moe.router.scale"), weights.at("blocks.1.moe.router.scale")));
}

TEST(PruneExperts, TheMostImportantStayInTheirOrder) {
  const ExpertImportance importance{{1, torch::tensor({0.1, 0.3, 0.05, 0.25, 0.3})},
                                    {4, torch::tensor({0.2, 0.2, 0.2, 0.2, 0.2})}};
  const auto kept = most_important_experts(importance, 3);
  EXPECT_TRUE(same_bits(kept.at(1), torch::tensor({1, 3, 4})));
  EXPECT_TRUE(same_bits(kept.at(4), torch::tensor({0, 1, 2})));
  EXPECT_TRUE(same_bits(most_important_experts(importance, 1).at(1), torch::tensor({1})));
  EXPECT_THROW(most_important_experts(importance, 6), c10::ValueError);
}

TEST(PruneExperts, FixedMapsAreRenumberedAndOrphansDealtOutInTurn) {
  const auto numbers = torch::tensor({{4, 0, 1}, {2, 3, 0}});
  const auto renumbered = renumber_experts(numbers, torch::tensor({1, 4}), 5);
  // 4 is 1 now and 1 is 0; 0, 2, 3 and 0 go to 0, 1, 0 and 1.
  EXPECT_TRUE(same_bits(renumbered, torch::tensor({{1, 0, 0}, {1, 0, 1}})));
}

TEST(PruneExperts, TokensGoToNoMoreExpertsThanThereAre) {
  auto from = moe_options("tokens_choice");
  from.moe.sparse.top_k = 3;
  EXPECT_EQ(pruned_options(from, 4, "moe.h5").moe.sparse.top_k, 3);
  EXPECT_EQ(pruned_options(from, 2, "moe.h5").moe.sparse.top_k, 2);
  from.moe.sparse.renormalize_gates = true;
  EXPECT_EQ(pruned_options(from, 1, "moe.h5").moe.sparse.top_k, 1);
}

TEST(PruneExperts, DenseModelsHaveTheMeanOfTheExpertsOrOneOfThem) {
  const auto from = moe_options("soft");
  auto model = eval_model(from);
  const auto weights = named_tensors(*model);
  const auto to = dense_options(from, "moe.h5");
  EXPECT_FALSE(has_moe(to));
  const auto& experts = weights.at("blocks.1.moe.experts.fc2_weight");  // [experts, dim, hidden]
  const auto mean = dense_weights(weights);
  EXPECT_TRUE(all_close(mean.at("blocks.1.mlp.fc2.weight"), experts.sum(0) / 5));
  const auto chosen = dense_weights(weights, keep({3}));
  EXPECT_TRUE(same_bits(chosen.at("blocks.1.mlp.fc2.weight"), experts[3]));
  for (const auto& dense : {mean, chosen}) {
    EXPECT_TRUE(same_bits(dense.at("head.weight"), weights.at("head.weight")));
    EXPECT_TRUE(model_of(to, dense)->forward(random_images(to)).isfinite().all().item<bool>());
  }
}

TEST(PruneExperts, DenseModelsKeepTheScaleOfTheLayer) {
  auto from = moe_options("soft");
  from.moe.moe_layer_scale = 0.5;
  const auto weights = named_tensors(*eval_model(from));
  const auto dense = dense_weights(weights);
  EXPECT_FALSE(dense.contains("blocks.1.moe.gamma"));
  for (const std::string part : {"weight", "bias"}) {
    const auto& experts = weights.at("blocks.1.moe.experts.fc2_" + part);
    EXPECT_TRUE(all_close(dense.at("blocks.1.mlp.fc2." + part), experts.mean(0) / 2)) << part;
  }
}

/// The message of the error that `call` gives.
template <typename Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const InputError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(PruneExperts, RefusesWhatCannotBePruned) {
  const auto moe = moe_options("soft");
  const auto pruning = [](const VitOptions& from, int64_t experts) {
    return message_of([&] { pruned_options(from, experts, "moe.h5"); });
  };
  EXPECT_THAT(pruning(test::small_options(), 1), AllOf(HasSubstr("moe.h5"), HasSubstr("dense")));
  EXPECT_THAT(message_of([] { dense_options(test::small_options(), "moe.h5"); }),
              AllOf(HasSubstr("moe.h5"), HasSubstr("dense")));
  for (const int64_t experts : {0, 5, 6}) {
    EXPECT_THAT(pruning(moe, experts), AllOf(HasSubstr("moe.h5"), HasSubstr("1 to 4 of 5"),
                                             HasSubstr("found " + std::to_string(experts))));
  }
  auto shared = moe;
  shared.moe.shared_mlp = true;
  EXPECT_THAT(message_of([&] { dense_options(shared, "moe.h5"); }),
              AllOf(HasSubstr("moe.h5: shared-mlp"), HasSubstr("found true")));
  auto narrow = moe;
  narrow.moe.expert_dim = 10;
  EXPECT_THAT(message_of([&] { dense_options(narrow, "moe.h5"); }),
              AllOf(HasSubstr("moe.h5: expert-dim"), HasSubstr("found 10")));
  auto single = moe;
  single.moe.experts = 1;
  EXPECT_THAT(pruning(single, 1), AllOf(HasSubstr("moe.h5"), HasSubstr("more than one")));
  auto identity = test::small_moe_options("identity");
  EXPECT_THAT(pruning(identity, 2), AllOf(HasSubstr("moe.h5"), HasSubstr("identity")));
}

}  // namespace
}  // namespace softmoe
