#include <ATen/Parallel.h>
#include <torch/types.h>

#include <optional>

#include "core/error.h"
#include "ops/optimizer_update.h"
#include "runtime/device.h"
#include "support/levels.h"
#include "support/tensor_matcher.h"
#include "train/optimizer_cases.h"
#include "train/optimizers.h"

namespace softmoe {
namespace {

using test::copies;
using test::expect_same_bits;
using test::Parameters;
using test::set_gradients;
using test::some_parameters;

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

TEST(ShortMeans, TakeHalfTheMemoryAndStayClose) {
  for (const std::string name : {"adamw", "lion"}) {
    SCOPED_TRACE(name);
    auto exact = some_parameters();
    auto rounded = copies(exact);
    OptimizerOptions options;
    options.opt = name;
    const auto exact_optimizer = make_optimizer(exact, options);
    options.mu_dtype = Precision::kBFloat16;
    const auto rounded_optimizer = make_optimizer(rounded, options);
    for (int64_t step = 0; step < 4; ++step) {
      set_gradients(exact, step);
      set_gradients(rounded, step);
      exact_optimizer->step(0.01);
      rounded_optimizer->step(0.01);
    }
    const auto state = rounded_optimizer->state();
    for (const auto& [key, tensor] : exact_optimizer->state()) {
      if (key.starts_with("exp_avg/")) {
        EXPECT_EQ(state.at(key).scalar_type(), torch::kBFloat16) << key;
        EXPECT_TRUE(test::all_close(state.at(key).to(torch::kFloat32), tensor,
                                    {.absolute = 0.01, .relative = 0.03}))
            << key;
      }
    }
    EXPECT_THROW(exact_optimizer->load_state(state), InputError);
  }
}

TEST_P(EveryOptimizer, FusedAndPlainPathsAgree) {
  // Where Muon multiplies in bf16, both round, at different places (ops/muon_update_test).
  std::optional<kernels::ScopedLevel> fp32;
  if (options().opt == "muon") {
    fp32.emplace(kernels::Level::kPortable);
  }
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
      EXPECT_EQ(norm, clip_gradient_norm(second->gradients(), bound).item<double>());
      second->step(0.03);
    }
    for (size_t index = 0; index < together.size(); ++index) {
      EXPECT_TRUE(test::all_close(together[index].tensor.detach(), in_turn[index].tensor.detach()))
          << together[index].name << ", bound " << bound;
    }
  }
}

TEST_P(EveryOptimizer, ClipAndStepChangesNothingIfAGradientIsNotFinite) {
  auto parameters = some_parameters();
  const auto start = copies(parameters);
  const auto optimizer = make_optimizer(parameters, options());
  for (const double bound : {0.0, 1.0}) {
    set_gradients(parameters, 0);
    parameters.front().tensor.mutable_grad().view(-1)[0] = std::numeric_limits<float>::infinity();
    EXPECT_FALSE(std::isfinite(optimizer->clip_and_step(0.03, bound)));
  }
  EXPECT_EQ(optimizer->steps(), 0);
  for (size_t index = 0; index < parameters.size(); ++index) {
    EXPECT_TRUE(test::same_bits(parameters[index].tensor.detach(), start[index].tensor.detach()))
        << parameters[index].name;
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
    // LAMB scales the whole update, which is decay alone here, to the norm of the parameter.
    const double decay = parameter_decay(rules, start[index].name);
    const double kept = 1.0 - 0.5 * (options().opt == "lamb" && decay > 0.0 ? 1.0 : decay);
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

TEST_P(EveryOptimizer, AdoptedParametersGoOnAndOthersStartAnew) {
  auto old = some_parameters();
  const auto source = make_optimizer(old, options());
  for (int64_t step = 0; step < 4; ++step) {
    set_gradients(old, step);
    source->step(0.01);
  }
  // The last parameter has another shape now, one has no state, one is frozen.
  auto parameters = copies(old);
  parameters[5].tensor = torch::randn({3, 9}).requires_grad_();
  parameters[1].tensor.requires_grad_(false);
  auto state = source->state();
  std::erase_if(state, [](const auto& entry) { return entry.first.ends_with("fc1.bias"); });
  const auto adopting = make_optimizer(parameters, options());
  EXPECT_EQ(adopting->adopt_state(state), 3);
  EXPECT_EQ(adopting->size(), 5);

  // References: the source optimizer, which continues, and a new optimizer.
  auto fresh = copies(parameters);
  const auto anew = make_optimizer(fresh, options());
  auto resumed = copies(parameters);
  const auto first_half = make_optimizer(resumed, options());
  first_half->adopt_state(state);
  for (int64_t step = 4; step < 8; ++step) {
    set_gradients(old, step);
    for (auto* others : {&parameters, &fresh, &resumed}) {
      for (size_t index = 0; index < old.size(); ++index) {
        auto& tensor = (*others)[index].tensor;
        tensor.mutable_grad() =
            index == 5 ? torch::full_like(tensor, 0.5) : old[index].tensor.grad();
      }
    }
    source->step(0.01);
    adopting->step(0.01);
    anew->step(0.01);
    if (step < 6) {
      first_half->step(0.01);
    }
  }
  for (const size_t index : {0, 3, 4}) {
    EXPECT_TRUE(test::same_bits(parameters[index].tensor.detach(), old[index].tensor.detach()))
        << old[index].name;
  }
  for (const size_t index : {2, 5}) {
    EXPECT_TRUE(test::same_bits(parameters[index].tensor.detach(), fresh[index].tensor.detach()))
        << old[index].name;
  }

  const auto second_half = make_optimizer(resumed, options());
  second_half->load_state(first_half->state());
  for (int64_t step = 6; step < 8; ++step) {
    set_gradients(old, step);
    for (size_t index = 0; index < old.size(); ++index) {
      auto& tensor = resumed[index].tensor;
      tensor.mutable_grad() = index == 5 ? torch::full_like(tensor, 0.5) : old[index].tensor.grad();
    }
    second_half->step(0.01);
  }
  expect_same_bits(resumed, parameters);
}

TEST_P(EveryOptimizer, AdoptsNothingOfAnotherKind) {
  auto parameters = some_parameters();
  const auto optimizer = make_optimizer(parameters, options());
  EXPECT_EQ(optimizer->adopt_state({{"trace/head.weight", torch::zeros({8, 9})},
                                    {"step", torch::scalar_tensor(7, torch::kInt64)}}),
            0);
  set_gradients(parameters, 0);
  optimizer->step(0.1);
  EXPECT_THROW(optimizer->adopt_state(optimizer->state()), c10::ValueError);
}

INSTANTIATE_TEST_SUITE_P(Table, EveryOptimizer, testing::Range<size_t>(0, optimizers().size()),
                         [](const auto& test_case) {
                           return std::string(optimizers()[test_case.param].name);
                         });

TEST(Optimizer, UnknownNameIsRefused) {
  OptimizerOptions options;
  options.opt = "lyon";
  EXPECT_THROW(make_optimizer(some_parameters(), options), UsageError);
}

TEST(Optimizer, OptionsReadBackWhatTheyWrite) {
  OptimizerOptions options;
  options.opt = "sgd";
  options.decay_rules = {"head=3", "bias=0.5"};
  options.beta2 = 0.95;
  EXPECT_EQ(options_from_json<OptimizerOptions>(options_to_json(options), "test"), options);
}

TEST(Optimizer, OptionsRefuseWhatWouldDivideByZero) {
  for (const auto* const option : {"beta1", "beta2"}) {
    EXPECT_THROW(options_from_json<OptimizerOptions>({{option, 1.0}}, "test"), InputError)
        << option;
  }
  EXPECT_THROW(options_from_json<OptimizerOptions>({{"opt-eps", 0.0}}, "test"), InputError);
}

}  // namespace
}  // namespace softmoe
