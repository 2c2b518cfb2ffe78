#include "train/optimizer.h"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include "core/device.h"
#include "core/error.h"
#include "core/npz.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "train/schedule.h"

namespace softmoe {
namespace {

using Parameters = std::vector<NamedParameter>;

/// Pairwise distinct shapes under names that meet every rule.
Parameters some_parameters(torch::TensorOptions options = {}) {
  at::manual_seed(3);
  return {{"patch_embed.proj.weight", torch::randn({5, 2, 3}, options).requires_grad_()},
          {"blocks.0.norm1.weight", torch::randn({7}, options).requires_grad_()},
          {"blocks.0.mlp.fc1.bias", torch::randn({11}, options).requires_grad_()},
          {"blocks.1.moe.experts.fc1_weight", torch::randn({2, 6, 4}, options).requires_grad_()},
          {"blocks.1.moe.router.scale", torch::randn({}, options).requires_grad_()},
          {"head.weight", torch::randn({8, 9}, options).requires_grad_()}};
}

/// The same parameters, apart from the originals.
Parameters copies(const Parameters& parameters) {
  Parameters result;
  for (const auto& [name, tensor] : parameters) {
    result.push_back({name, tensor.detach().clone().requires_grad_(tensor.requires_grad())});
  }
  return result;
}

void set_gradients(Parameters& parameters, int64_t step) {
  at::manual_seed(100 + step);
  for (auto& [name, tensor] : parameters) {
    tensor.mutable_grad() = torch::randn_like(tensor);
  }
}

void expect_same_bits(const Parameters& actual, const Parameters& expected) {
  for (size_t index = 0; index < actual.size(); ++index) {
    EXPECT_TRUE(test::same_bits(actual[index].tensor.detach(), expected[index].tensor.detach()))
        << actual[index].name;
  }
}

/// Follows a trajectory of recipe.npz, whose every step is checked.
void expect_reference_trajectory(const std::string& name, const OptimizerOptions& options,
                                 const ScheduleOptions& schedule_options) {
  const auto path = test::fixture("vmoe/recipe.npz");
  const auto arrays = read_npz(path);
  const std::string prefix = "optim/params0/";
  Parameters parameters;
  for (const auto& [key, array] : arrays) {
    if (key.starts_with(prefix)) {
      parameters.push_back({key.substr(prefix.size()), array.clone().requires_grad_()});
    }
  }
  ASSERT_EQ(parameters.size(), 8);
  const auto optimizer = make_optimizer(parameters, options);
  const Schedule schedule(schedule_options, /*total_steps=*/6, /*steps_per_epoch=*/1.0);
  for (int64_t step = 0; step < 6; ++step) {
    for (auto& [key, tensor] : parameters) {
      tensor.mutable_grad() = npz_array(arrays, "optim/grads/" + key, path)[step].clone();
    }
    optimizer->clip_and_step(schedule.rate(step), options.clip_grad);
    for (const auto& [key, tensor] : parameters) {
      const auto expected = npz_array(arrays, "optim/" + name + "/" + key, path)[step];
      EXPECT_TRUE(test::all_close(tensor.detach(), expected)) << key << ", step " << step;
    }
  }
}

TEST(Optimizer, AdamWFollowsTheUpstreamRecipe) {
  OptimizerOptions options;
  options.opt = "adamw";
  options.weight_decay = 0.0;
  options.decay_rules = {"head/kernel=3", ".*/kernel=0.03", ".*/Moe/Router/scale=0.03"};
  options.clip_grad = 1.0;
  ScheduleOptions schedule{.sched = "rsqrt", .lr = 0.05};
  schedule.warmup_steps = 2;
  schedule.cooldown_steps = 2;
  schedule.timescale = 2;
  expect_reference_trajectory("adam_soft_jft", options, schedule);
}

TEST(Optimizer, SgdFollowsTheFinetuneRecipe) {
  OptimizerOptions options;
  options.opt = "sgd";
  options.weight_decay = 0.0;
  options.momentum = 0.9;
  options.clip_grad = 1.5;
  ScheduleOptions schedule{.sched = "cosine", .lr = 0.1, .min_lr = 1e-3};
  schedule.warmup_steps = 2;
  expect_reference_trajectory("sgd_finetune", options, schedule);
}

TEST(DecayRules, DefaultsSpareAllButWeightsAndRouterScale) {
  OptimizerOptions options;
  options.weight_decay = 0.25;
  const auto rules = decay_rules(options);
  for (const auto* name : {"patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "head.weight",
                           "blocks.1.moe.experts.fc2_weight", "blocks.1.moe.router.scale"}) {
    EXPECT_EQ(parameter_decay(rules, name), 0.25) << name;
  }
  for (const auto* name :
       {"patch_embed.proj.bias", "pos_embed", "cls_token", "blocks.0.norm1.weight", "norm.weight",
        "fc_norm.weight", "blocks.0.attn.q_norm.weight", "blocks.1.moe.router.phi",
        "blocks.1.moe.experts.fc1_bias", "blocks.0.ls1.gamma"}) {
    EXPECT_EQ(parameter_decay(rules, name), 0.0) << name;
  }
}

TEST(DecayRules, FirstMatchWins) {
  OptimizerOptions options;
  options.decay_rules = {R"(^head\.weight$=3.0)", "head=0.5", "pos_embed=0.125"};
  const auto rules = decay_rules(options);
  EXPECT_EQ(parameter_decay(rules, "head.weight"), 3.0);
  EXPECT_EQ(parameter_decay(rules, "head.bias"), 0.5);
  EXPECT_EQ(parameter_decay(rules, "pos_embed"), 0.125);
  EXPECT_EQ(parameter_decay(rules, "blocks.0.mlp.fc1.weight"), options.weight_decay);
}

TEST(DecayRules, MalformedRulesAreRefused) {
  for (const auto* text : {"head", "=3", "head=", "head=3x", "head=-1", "(head=1"}) {
    OptimizerOptions options;
    options.decay_rules = {text};
    EXPECT_THROW(decay_rules(options), UsageError) << text;
  }
}

TEST(ClipGradientNorm, ReturnsTheNormAndScalesOnlyAboveTheBound) {
  const std::vector<torch::Tensor> original{torch::tensor({3.0F, 0.0F}), torch::tensor({{4.0F}})};
  const auto clone = [&original] {
    return std::vector<torch::Tensor>{original[0].clone(), original[1].clone()};
  };
  auto clipped = clone();
  EXPECT_FLOAT_EQ(clip_gradient_norm(clipped, 1.0).item<float>(), 5.0F);
  EXPECT_TRUE(test::all_close(clipped[0], original[0] / 5));
  EXPECT_TRUE(test::all_close(clipped[1], original[1] / 5));
  for (const double bound : {5.5, 0.0}) {
    auto kept = clone();
    EXPECT_FLOAT_EQ(clip_gradient_norm(kept, bound).item<float>(), 5.0F);
    EXPECT_TRUE(test::same_bits(kept[0], original[0]));
    EXPECT_TRUE(test::same_bits(kept[1], original[1]));
  }
}

TEST(ClipGradientNorm, AgreesForAnyLayoutAndManyElements) {
  at::manual_seed(4);
  const auto large = torch::randn({3, 20011});
  const auto small = torch::randn({7});
  const double expected = torch::cat({large.flatten(), small}).norm().item<double>();
  for (const auto& view : {large, large.t()}) {
    const std::vector<torch::Tensor> gradients{view.clone(at::MemoryFormat::Preserve),
                                               small.clone()};
    const auto norm = clip_gradient_norm(gradients, 0.5);
    EXPECT_NEAR(norm.item<double>(), expected, 1e-5 * expected);
    EXPECT_TRUE(test::all_close(gradients[0], view * (0.5 / expected)));
    EXPECT_TRUE(test::all_close(gradients[1], small * (0.5 / expected)));
  }
}

TEST(ClipGradientNorm, OfNothingIsZero) {
  EXPECT_EQ(clip_gradient_norm({}, 1.0).item<float>(), 0.0F);
}

TEST(ClipGradientNorm, NamesNotANumber) {
  const auto bad = torch::tensor({1.0F, std::numeric_limits<float>::quiet_NaN()});
  EXPECT_TRUE(std::isnan(clip_gradient_norm({bad}, 1.0).item<float>()));
}

class EveryOptimizer : public testing::TestWithParam<size_t> {
 protected:
  OptimizerOptions options() const {
    OptimizerOptions result;
    result.opt = std::string(optimizers()[GetParam()].name);
    result.weight_decay = 0.1;
    return result;
  }
};

TEST_P(EveryOptimizer, ResumesToTheSameBits) {
  for (const auto& device : present_devices()) {
    auto uninterrupted = some_parameters(device);
    auto first = copies(uninterrupted);
    const auto whole = make_optimizer(uninterrupted, options());
    const auto before = make_optimizer(first, options());
    for (int64_t step = 0; step < 6; ++step) {
      set_gradients(uninterrupted, step);
      whole->step(0.01);
    }
    for (int64_t step = 0; step < 3; ++step) {
      set_gradients(first, step);
      before->step(0.01);
    }
    auto second = copies(first);
    const auto after = make_optimizer(second, options());
    after->load_state(before->state());
    EXPECT_EQ(after->steps(), 3);
    for (int64_t step = 3; step < 6; ++step) {
      set_gradients(second, step);
      after->step(0.01);
    }
    expect_same_bits(second, uninterrupted);
  }
}

TEST_P(EveryOptimizer, FusedAndPlainPathsAgree) {
  auto fused = some_parameters();
  auto plain = copies(fused);
  const auto fused_optimizer = make_optimizer(fused, options());
  const auto plain_optimizer = make_optimizer(plain, options());
  for (int64_t step = 0; step < 5; ++step) {
    set_gradients(fused, step);
    set_gradients(plain, step);
    for (auto& [name, tensor] : plain) {
      // Every other element of a larger tensor: no fused kernel may walk over it.
      auto spread = torch::empty({tensor.numel(), 2});
      spread.select(1, 0).copy_(tensor.grad().flatten());
      tensor.mutable_grad() = spread.select(1, 0).view(tensor.sizes());
    }
    fused_optimizer->step(0.02);
    plain_optimizer->step(0.02);
  }
  for (size_t index = 0; index < fused.size(); ++index) {
    EXPECT_TRUE(test::all_close(fused[index].tensor.detach(), plain[index].tensor.detach()))
        << fused[index].name;
  }
}

TEST_P(EveryOptimizer, GivesTheSameBitsOnAnyNumberOfThreads) {
  const int threads = at::get_num_threads();
  std::vector<Parameters> results;
  for (const int count : {1, 2, 3}) {
    at::set_num_threads(count);
    at::manual_seed(6);
    results.push_back({{"fc1.weight", torch::randn({210, 201}).requires_grad_()},
                       {"fc1.bias", torch::randn({13}).requires_grad_()}});
    const auto optimizer = make_optimizer(results.back(), options());
    for (int64_t step = 0; step < 3; ++step) {
      set_gradients(results.back(), step);
      clip_gradient_norm(optimizer->gradients(), 1.0);
      optimizer->step(0.01);
    }
    expect_same_bits(results.back(), results.front());
  }
  at::set_num_threads(threads);
}

TEST_P(EveryOptimizer, ClipAndStepEqualsBothInTurn) {
  for (const double bound : {0.0, 0.5, 1e6}) {
    auto together = some_parameters();
    auto in_turn = copies(together);
    const auto first = make_optimizer(together, options());
    const auto second = make_optimizer(in_turn, options());
    for (int64_t step = 0; step < 4; ++step) {
      set_gradients(together, step);
      set_gradients(in_turn, step);
      const auto norm = first->clip_and_step(0.03, bound);
      EXPECT_TRUE(test::same_bits(norm, clip_gradient_norm(second->gradients(), bound)));
      second->step(0.03);
    }
    for (size_t index = 0; index < together.size(); ++index) {
      EXPECT_TRUE(test::all_close(together[index].tensor.detach(), in_turn[index].tensor.detach()))
          << together[index].name << ", bound " << bound;
    }
  }
}

TEST_P(EveryOptimizer, DecayAloneShrinksByRateTimesDecay) {
  auto parameters = some_parameters(torch::kFloat64);
  const auto start = copies(parameters);
  const auto optimizer = make_optimizer(parameters, options());
  const auto rules = decay_rules(options());
  for (int64_t step = 0; step < 2; ++step) {
    for (auto& [name, tensor] : parameters) {
      tensor.mutable_grad() = torch::zeros_like(tensor);
    }
    optimizer->step(0.5);
  }
  for (size_t index = 0; index < start.size(); ++index) {
    const double kept = 1.0 - 0.5 * parameter_decay(rules, start[index].name);
    EXPECT_TRUE(test::all_close(parameters[index].tensor.detach(),
                                start[index].tensor.detach() * kept * kept))
        << start[index].name;
  }
}

TEST_P(EveryOptimizer, FrozenParametersStayAndHaveNoState) {
  auto parameters = some_parameters();
  parameters[3].tensor.requires_grad_(false);
  const auto start = copies(parameters);
  const auto optimizer = make_optimizer(parameters, options());
  set_gradients(parameters, 0);
  optimizer->step(0.1);
  EXPECT_TRUE(test::same_bits(parameters[3].tensor, start[3].tensor));
  EXPECT_FALSE(torch::equal(parameters[0].tensor, start[0].tensor));
  for (const auto& [name, tensor] : optimizer->state()) {
    EXPECT_THAT(name, testing::Not(testing::HasSubstr("experts")));
  }
}

TEST_P(EveryOptimizer, ParametersWithoutGradientStay) {
  auto parameters = some_parameters();
  const auto start = copies(parameters);
  const auto optimizer = make_optimizer(parameters, options());
  set_gradients(parameters, 0);
  parameters[2].tensor.mutable_grad().reset();
  EXPECT_EQ(optimizer->gradients().size(), 5);
  optimizer->step(0.1);
  EXPECT_TRUE(test::same_bits(parameters[2].tensor.detach(), start[2].tensor.detach()));
  optimizer->zero_grad();
  EXPECT_TRUE(optimizer->gradients().empty());
}

TEST_P(EveryOptimizer, ReducedPrecisionParametersKeepTheirDtype) {
  auto parameters = some_parameters(torch::kBFloat16);
  const auto start = copies(parameters);
  const auto optimizer = make_optimizer(parameters, options());
  set_gradients(parameters, 0);
  optimizer->step(0.1);
  for (const auto& [name, tensor] : optimizer->state()) {
    EXPECT_EQ(tensor.scalar_type(), name == "step" ? torch::kInt64 : torch::kBFloat16) << name;
  }
  EXPECT_FALSE(torch::equal(parameters[5].tensor, start[5].tensor));
}

TEST_P(EveryOptimizer, RefusesStateOfAnotherModelAndStaysAsItWas) {
  auto parameters = some_parameters();
  const auto optimizer = make_optimizer(parameters, options());
  set_gradients(parameters, 0);
  optimizer->step(0.1);
  const auto state = optimizer->state();
  const std::string name = std::next(state.begin())->first;
  std::map<std::string, torch::Tensor> kept;
  for (const auto& [key, tensor] : state) {
    kept[key] = tensor.clone();
  }

  auto missing = kept;
  missing.erase(name);
  auto extra = kept;
  extra["momentum/ghost"] = torch::zeros({2});
  auto misshapen = kept;
  misshapen[name] = torch::zeros({13});
  auto other_dtype = kept;
  other_dtype[name] = kept[name].to(torch::kFloat64);
  for (const auto& bad : {missing, extra, misshapen, other_dtype}) {
    EXPECT_THROW(optimizer->load_state(bad), InputError);
  }
  for (const auto& [key, tensor] : optimizer->state()) {
    EXPECT_TRUE(test::same_bits(tensor, kept[key])) << key;
  }
}

INSTANTIATE_TEST_SUITE_P(Table, EveryOptimizer, testing::Range<size_t>(0, optimizers().size()),
                         [](const auto& test_case) {
                           return std::string(optimizers()[test_case.param].name);
                         });

TEST(Optimizer, UnknownNameIsRefused) {
  OptimizerOptions options;
  options.opt = "lion";
  EXPECT_THROW(make_optimizer(some_parameters(), options), UsageError);
}

TEST(Optimizer, OptionsReadBackWhatTheyWrite) {
  OptimizerOptions options;
  options.opt = "sgd";
  options.decay_rules = {"head=3", "bias=0.5"};
  options.beta2 = 0.95;
  EXPECT_EQ(options_from_json<OptimizerOptions>(options_to_json(options), "test"), options);
}

}  // namespace
}  // namespace softmoe
