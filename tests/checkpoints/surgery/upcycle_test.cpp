/// Dense models become models with MoE layers, by every router of the registry.

#include "checkpoints/surgery/upcycle.h"

#include <gmock/gmock.h>

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
using test::small_options;

constexpr int64_t kCopies = 3;

/// `small_options` with MoE layers in blocks 1 and 2 whose capacity drops no token, and as many
/// slots as tokens.
VitOptions upcycled_options(const std::string& router) {
  auto options = test::small_moe_options(router);
  options.moe.experts = kCopies;
  options.moe.capacity_factor = static_cast<double>(kCopies);
  options.moe.sparse.top_k = 2;
  return options;
}

VisionTransformer dense_model() {
  auto model = lively_model(small_options());
  model->eval();
  return model;
}

VisionTransformer upcycled(VisionTransformer& dense, const VitOptions& to,
                           const UpcycleOptions& options = {}, int64_t seed = 11) {
  auto model = upcycle(named_tensors(*dense), small_options(), to, options, seed, "dense.h5");
  model->eval();
  return model;
}

class UpcycleByRouter : public testing::TestWithParam<std::string> {};

TEST_P(UpcycleByRouter, StartsAtTheDenseOutputsWhereTheRegistrySaysSo) {
  auto dense = dense_model();
  const auto images = random_images(small_options(), 3);
  const auto expected = dense->forward(images).detach();
  for (const bool renormalize : {false, true}) {
    auto to = upcycled_options(GetParam());
    to.moe.sparse.renormalize_gates = renormalize;
    if (!keeps_dense_outputs(to)) {
      // If every expert takes every token, gates sum to 1 without being renormalised.
      to.moe.capacity_factor = kCopies - 1;
    }
    const auto outputs = upcycled(dense, to)->forward(images).detach();
    if (keeps_dense_outputs(to)) {
      EXPECT_TRUE(all_close(outputs, expected, {.absolute = 1e-5}))
          << "renormalize " << renormalize;
    } else {
      // The registry must not understate a router either.
      EXPECT_GT((outputs - expected).abs().max().item<double>(), 1e-3)
          << "renormalize " << renormalize;
    }
  }
}

TEST_P(UpcycleByRouter, CarriesAllButTheRoutersOver) {
  auto dense = dense_model();
  const auto before = named_tensors(*dense);
  const auto after = named_tensors(*upcycled(dense, upcycled_options(GetParam())));
  for (const auto& [name, tensor] : after) {
    if (name.find(".moe.") == std::string::npos) {
      EXPECT_TRUE(same_bits(tensor, before.at(name))) << name;
    }
  }
  for (const std::string block : {"blocks.1.", "blocks.2."}) {
    EXPECT_FALSE(after.contains(block + "mlp.fc1.weight"));
    for (const std::string part : {"fc1", "fc2"}) {
      for (const std::string kind : {"weight", "bias"}) {
        const auto& experts = after.at(block + "moe.experts." + part + "_" + kind);
        for (int64_t expert = 0; expert < kCopies; ++expert) {
          EXPECT_TRUE(same_bits(experts[expert], before.at(block + "mlp." + part + "." + kind)));
        }
      }
    }
  }
  EXPECT_TRUE(after.contains("blocks.0.mlp.fc1.weight"));
}

TEST_P(UpcycleByRouter, TrainsOn) {
  auto dense = dense_model();
  auto model = upcycled(dense, upcycled_options(GetParam()));
  model->train();
  model->forward(random_images(small_options(), 2)).square().sum().backward();
  for (const auto& parameter : model->named_parameters()) {
    if (parameter.key().find("moe.experts") != std::string::npos) {
      ASSERT_TRUE(parameter.value().grad().defined()) << parameter.key();
      EXPECT_TRUE(parameter.value().grad().isfinite().all().item<bool>()) << parameter.key();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Routers, UpcycleByRouter, testing::ValuesIn(router_names()),
                         [](const auto& entry) { return entry.param; });

TEST(Upcycle, NoiseIsRelativeToTheWeightsAndTheExpertsOwn) {
  auto dense = dense_model();
  auto before = named_tensors(*dense);
  const auto to = upcycled_options("soft");
  UpcycleOptions noisy;
  noisy.expert_noise = 0.25;
  const auto after = named_tensors(*upcycled(dense, to, noisy));
  const auto& weight = before.at("blocks.1.mlp.fc1.weight");  // [hidden, dim]
  const auto& experts = after.at("blocks.1.moe.experts.fc1_weight");
  const auto noise = (experts - weight) / weight.std(/*unbiased=*/false);  // [experts, hidden, dim]
  EXPECT_NEAR(noise.std().item<double>(), 0.25, 0.02);
  EXPECT_NEAR(noise.mean().item<double>(), 0.0, 0.02);
  EXPECT_GT((noise[0] - noise[1]).abs().max().item<double>(), 0.1);
  EXPECT_TRUE(
      same_bits(after.at("blocks.1.moe.experts.fc1_bias")[2], before.at("blocks.1.mlp.fc1.bias")));
  EXPECT_TRUE(same_bits(
      experts, named_tensors(*upcycled(dense, to, noisy)).at("blocks.1.moe.experts.fc1_weight")));
  EXPECT_FALSE(same_bits(experts, named_tensors(*upcycled(dense, to, noisy, /*seed=*/12))
                                      .at("blocks.1.moe.experts.fc1_weight")));
  EXPECT_FALSE(same_bits(noise[0], (after.at("blocks.2.moe.experts.fc1_weight") -
                                    before.at("blocks.2.mlp.fc1.weight"))[0]));
}

TEST(Upcycle, NoiseHasAUsualSizeIfItIsAskedForByName) {
  EXPECT_EQ(UpcycleOptions{}.noise(), 0.0);
  EXPECT_EQ(UpcycleOptions{.init = UpcycleInit::kNoise}.noise(), 0.1);
  EXPECT_EQ((UpcycleOptions{.init = UpcycleInit::kNoise, .expert_noise = 0.3}.noise()), 0.3);
}

/// Experts of 16 of the 40 neurons of each MLP.
VitOptions narrow_options() {
  auto to = upcycled_options("soft");
  to.moe.expert_dim = 16;
  return to;
}

TEST(Upcycle, ExpertsOfImportanceAreNeuronsOfTheMlpWithTheirState) {
  auto dense = dense_model();
  const auto before = named_tensors(*dense);
  const auto to = narrow_options();
  const UpcycleOptions options{.init = UpcycleInit::kImportance};
  const auto neurons = draw_neurons(before, to, options, /*seed=*/11);
  ASSERT_EQ(neurons.size(), 2);
  const auto& chosen = neurons.at(1);  // [experts, 16]
  EXPECT_EQ(chosen.sizes(), torch::IntArrayRef({kCopies, 16}));
  EXPECT_FALSE(torch::equal(chosen[0], chosen[1]));
  const auto after = named_tensors(*upcycled(dense, to, options));
  NamedTensors state{{"step", torch::tensor(int64_t{70})},
                     {"age/blocks.1.mlp.fc1.weight", torch::tensor(int64_t{9})}};
  for (const auto& [name, tensor] : before) {
    state["moment/" + name] = tensor + 1;
  }
  const auto carried = carried_optimizer_state(state, to, options, neurons);
  EXPECT_EQ(carried.at("age/blocks.1.moe.experts.fc1_weight").item<int64_t>(), 9);
  EXPECT_FALSE(carried.contains("moment/blocks.1.moe.router.phi"));
  for (int64_t expert = 0; expert < kCopies; ++expert) {
    const auto& index = chosen[expert];
    EXPECT_EQ(std::get<0>(at::_unique(index)).numel(), 16);
    const auto expect = [&](const std::string& part, int64_t axis) {
      const auto& mlp = before.at("blocks.1.mlp." + part);
      auto name = "blocks.1.moe.experts." + part;
      name[name.rfind('.')] = '_';
      const auto expected = axis < 0 ? mlp : mlp.index_select(axis, index);
      EXPECT_TRUE(same_bits(after.at(name)[expert], expected)) << part;
      EXPECT_TRUE(same_bits(carried.at("moment/" + name)[expert], expected + 1)) << part;
    };
    expect("fc1.weight", 0);
    expect("fc1.bias", 0);
    expect("fc2.weight", 1);
    expect("fc2.bias", -1);
  }
}

TEST(Upcycle, ImportantNeuronsAreDrawnMoreOften) {
  auto to = narrow_options();
  to.moe.experts = 200;
  const UpcycleOptions options{.init = UpcycleInit::kImportance};
  auto importance = torch::ones({40});
  importance.slice(0, 0, 8).fill_(50.0);
  const auto drawn = draw_neurons({}, to, options, 3, {{1, importance}, {2, importance}}).at(1);
  EXPECT_GT(drawn.lt(8).sum().item<double>() / (200.0 * 8.0), 0.95);
  // Without one, by the weights.
  auto dense = named_tensors(*dense_model());
  dense.at("blocks.1.mlp.fc2.weight").slice(1, 0, 8).mul_(100.0);
  const auto weighed = draw_neurons(dense, to, options, 3);
  EXPECT_GT(weighed.at(1).lt(8).sum().item<double>() / (200.0 * 8.0), 0.95);
  EXPECT_LT(weighed.at(2).lt(8).sum().item<double>() / (200.0 * 8.0), 0.6);
}

TEST(Upcycle, ASharedMlpIsTheDenseOne) {
  auto dense = dense_model();
  auto to = upcycled_options("soft");
  to.moe.shared_mlp = true;
  to.moe.moe_layer_scale = 1e-9;
  const auto images = random_images(small_options(), 3);
  EXPECT_TRUE(
      all_close(upcycled(dense, to)->forward(images), dense->forward(images), {.absolute = 1e-5}));
  EXPECT_FALSE(keeps_dense_outputs(to));
}

TEST(Upcycle, RoutersStartAnewFromTheSeed) {
  auto dense = dense_model();
  const auto to = upcycled_options("soft");
  const auto phi = [&](int64_t seed) {
    return named_tensors(*upcycled(dense, to, {}, seed)).at("blocks.2.moe.router.phi");
  };
  EXPECT_TRUE(same_bits(phi(3), named_tensors(*make_model(to, 3)).at("blocks.2.moe.router.phi")));
  EXPECT_FALSE(same_bits(phi(3), phi(4)));
}

TEST(Upcycle, WithoutMoeLayersTheDenseModelGoesOn) {
  auto dense = dense_model();
  const auto images = random_images(small_options());
  EXPECT_TRUE(same_bits(upcycled(dense, small_options())->forward(images), dense->forward(images)));
}

TEST(Upcycle, TheHeadStaysOrStartsAnew) {
  auto dense = dense_model();
  auto to = upcycled_options("soft");
  const auto kept = named_tensors(*upcycled(dense, to));
  EXPECT_TRUE(same_bits(kept.at("head.weight"), named_tensors(*dense).at("head.weight")));
  to.num_classes = 4;
  UpcycleOptions new_head;
  new_head.keep_head = false;
  const auto fresh = named_tensors(*upcycled(dense, to, new_head));
  EXPECT_EQ(fresh.at("head.weight").size(0), 4);
  EXPECT_EQ(fresh.at("head.weight").abs().max().item<double>(), 0.0);
  EXPECT_THROW(upcycled(dense, to), InputError);
}

TEST(Upcycle, OptimizerStateFollowsTheWeights) {
  auto dense = dense_model();
  NamedTensors state{{"step", torch::tensor(int64_t{70})}};
  for (const auto& [name, tensor] : named_tensors(*dense)) {
    state["moment1/" + name] = tensor + 1;
    state["moment2/" + name] = tensor + 2;
  }
  const auto to = upcycled_options("soft");
  const auto carried = upcycle_optimizer_state(state, to, {}, "dense.h5");
  EXPECT_EQ(carried.at("step").item<int64_t>(), 70);
  auto model = upcycled(dense, to);
  EXPECT_EQ(carried.size(), 1 + 2 * model->named_parameters().size());
  for (const auto& item : model->named_parameters()) {
    EXPECT_EQ(carried.at("moment1/" + item.key()).sizes(), item.value().sizes()) << item.key();
  }
  EXPECT_TRUE(same_bits(carried.at("moment2/head.bias"), state.at("moment2/head.bias")));
  EXPECT_TRUE(same_bits(carried.at("moment2/blocks.1.moe.experts.fc2_weight")[1],
                        state.at("moment2/blocks.1.mlp.fc2.weight")));
  EXPECT_EQ(carried.at("moment1/blocks.1.moe.router.phi").abs().max().item<double>(), 0.0);
  EXPECT_THROW(upcycle_optimizer_state({}, to, {}, "dense.h5"), InputError);
}

/// The message of the error that upcycling `from` to `to` gives.
template <typename Error>
std::string message_of(const VitOptions& from, const VitOptions& to,
                       const UpcycleOptions& options = {}) {
  try {
    upcycle({}, from, to, options, 0, "dense.h5");
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Upcycle, RefusesWhatCannotBeUpcycled) {
  using testing::AllOf;
  using testing::HasSubstr;
  const auto moe = upcycled_options("soft");
  EXPECT_THAT(message_of<InputError>(moe, moe), AllOf(HasSubstr("dense.h5"), HasSubstr("1,2")));
  auto beyond = moe;
  beyond.moe_blocks = "1,3";
  EXPECT_THAT(message_of<UsageError>(small_options(), beyond),
              AllOf(HasSubstr("moe-blocks"), HasSubstr("1,3")));
  EXPECT_THAT(message_of<UsageError>(small_options(), narrow_options()),
              AllOf(HasSubstr("expert-dim: expected mlp-dim 40"), HasSubstr("found 16")));
  auto wide = moe;
  wide.moe.expert_dim = 41;
  EXPECT_THAT(message_of<UsageError>(small_options(), wide, {.init = UpcycleInit::kImportance}),
              AllOf(HasSubstr("expert-dim: expected at most mlp-dim 40"), HasSubstr("found 41")));
  auto empty = moe;
  empty.moe.experts = 0;
  EXPECT_THAT(message_of<UsageError>(small_options(), empty), HasSubstr("experts"));
  EXPECT_THAT(message_of<InputError>(small_options(), moe),
              AllOf(HasSubstr("dense.h5"), HasSubstr("missing")));
}

}  // namespace
}  // namespace softmoe
