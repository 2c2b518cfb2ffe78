#include "ops/fused_ops.h"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include "kernels/types.h"
#include "runtime/autocast_guard.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using Tensors = std::vector<torch::Tensor>;
using Operator = std::function<torch::Tensor(const Tensors&)>;

/// Root of the mean square difference over the root of the mean square.
double relative_error(const torch::Tensor& actual, const torch::Tensor& expected) {
  const auto reference = expected.to(torch::kFloat64);
  const double scale = reference.norm().item<double>();
  return (actual.to(torch::kFloat64) - reference).norm().item<double>() / std::max(scale, 1e-30);
}

/// The output and the gradients of sum(output * direction) for every input.
Tensors output_and_gradients(const Operator& function, const Tensors& inputs, torch::Dtype dtype) {
  Tensors leaves;
  for (const auto& input : inputs) {
    leaves.push_back(input.defined() ? input.detach().to(dtype).clone().requires_grad_() : input);
  }
  const auto output = function(leaves);
  at::manual_seed(17);
  const auto direction = torch::randn(output.sizes(), torch::kFloat64);
  (output * direction.to(output.dtype())).sum().backward();
  Tensors results{output.detach()};
  for (const auto& leaf : leaves) {
    results.push_back(leaf.defined() ? leaf.grad() : leaf);
  }
  return results;
}

/// The fused operator against the same in fp64: bf16 rounds by 1.1e-3 on average, and a handful of
/// roundings follow each other, some before differences are taken.
void expect_agreement(const Operator& fused, const Operator& plain, const Tensors& inputs) {
  const auto actual = output_and_gradients(fused, inputs, torch::kFloat32);
  const auto expected = output_and_gradients(plain, inputs, torch::kFloat64);
  for (size_t index = 0; index < actual.size(); ++index) {
    if (!expected[index].defined()) {
      continue;
    }
    ASSERT_TRUE(actual[index].defined()) << "tensor " << index;
    ASSERT_EQ(actual[index].sizes(), expected[index].sizes()) << "tensor " << index;
    EXPECT_LT(relative_error(actual[index], expected[index]), 1.2e-2) << "tensor " << index;
  }
}

/// The same bits again, whatever the number of threads.
void expect_determinism(const Operator& fused, const Tensors& inputs) {
  const auto expected = output_and_gradients(fused, inputs, torch::kFloat32);
  const int threads = at::get_num_threads();
  for (const int count : {1, 2, 3}) {
    at::set_num_threads(count);
    const auto actual = output_and_gradients(fused, inputs, torch::kFloat32);
    for (size_t index = 0; index < actual.size(); ++index) {
      if (actual[index].defined()) {
        EXPECT_TRUE(test::same_bits(actual[index], expected[index]))
            << "tensor " << index << ", " << count << " threads";
      }
    }
  }
  at::set_num_threads(threads);
}

/// The gradients of the leaves numbered in `trained` do not depend on whether the others have any.
void expect_freezing(const Operator& fused, const Tensors& inputs,
                     const std::vector<std::vector<size_t>>& choices) {
  const auto expected = output_and_gradients(fused, inputs, torch::kFloat32);
  for (const auto& trained : choices) {
    Tensors leaves;
    for (size_t index = 0; index < inputs.size(); ++index) {
      const bool learns = std::find(trained.begin(), trained.end(), index) != trained.end();
      leaves.push_back(inputs[index].defined()
                           ? inputs[index].detach().clone().requires_grad_(learns)
                           : inputs[index]);
    }
    const auto output = fused(leaves);
    at::manual_seed(17);
    const auto direction = torch::randn(output.sizes(), torch::kFloat64);
    (output * direction.to(output.dtype())).sum().backward();
    for (size_t index = 0; index < leaves.size(); ++index) {
      if (leaves[index].defined() && leaves[index].requires_grad()) {
        EXPECT_TRUE(test::same_bits(leaves[index].grad(), expected[index + 1])) << index;
      }
    }
  }
}

class FusedOps : public testing::Test {
 protected:
  void SetUp() override {
    if (!kernels::supported()) {
      GTEST_SKIP() << "no AVX-512 BF16 instructions here";
    }
    at::manual_seed(5);
  }
};

TEST_F(FusedOps, ApplyUnderBf16AutocastOnly) {
  const auto x = torch::zeros({2});
  EXPECT_FALSE(fused_ops_apply(x));
  const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
  EXPECT_TRUE(fused_ops_apply(x));
  EXPECT_TRUE(set_fused_ops(false));
  EXPECT_FALSE(fused_ops_apply(x));
  EXPECT_FALSE(set_fused_ops(true));
}

class FusedLayerNorm : public FusedOps, public testing::WithParamInterface<int64_t> {};

TEST_P(FusedLayerNorm, AgreesWithLibtorch) {
  const int64_t dim = GetParam();
  // More rows than one chunk of the gradients' sums.
  const Tensors inputs{torch::randn({3, 47, dim}) * 2 + 1, torch::randn({dim}),
                       torch::randn({dim})};
  const Operator fused = [](const Tensors& in) {
    return fused_layer_norm(in[0], in[1], in[2], 1e-3);
  };
  const Operator plain = [dim](const Tensors& in) {
    return torch::layer_norm(in[0], {dim}, in[1], in[2], 1e-3);
  };
  const auto actual = output_and_gradients(fused, inputs, torch::kFloat32);
  const auto expected = output_and_gradients(plain, inputs, torch::kFloat64);
  for (size_t index = 0; index < actual.size(); ++index) {
    EXPECT_LT(relative_error(actual[index], expected[index]), 1e-6) << "tensor " << index;
  }
  expect_determinism(fused, inputs);
}

INSTANTIATE_TEST_SUITE_P(Widths, FusedLayerNorm, testing::Values(16, 48, 37),
                         [](const auto& dim) { return "Dim" + std::to_string(dim.param); });

TEST_F(FusedOps, LayerNormTakesReducedPrecisionAndNoBias) {
  const Tensors inputs{torch::randn({9, 24}), torch::randn({24})};
  expect_agreement(
      [](const Tensors& in) {
        return fused_layer_norm(in[0].to(torch::kBFloat16), in[1], {}, 1e-6);
      },
      [](const Tensors& in) {
        return torch::layer_norm(in[0], {24}, in[1], torch::Tensor(), 1e-6);
      },
      inputs);
}

TEST_F(FusedOps, LayerNormWithSkipAddsBothGradients) {
  const Tensors inputs{torch::randn({5, 17, 32}), torch::randn({32}), torch::randn({32})};
  const auto direction = torch::randn({5, 17, 32}, torch::kFloat64);
  for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
    expect_agreement(
        [&](const Tensors& in) {
          const auto [normed, skip] = fused_layer_norm_with_skip(in[0], in[1], in[2], 1e-6, dtype);
          EXPECT_EQ(normed.scalar_type(), dtype);
          return normed + skip * direction.to(torch::kFloat32);
        },
        [&](const Tensors& in) {
          return torch::layer_norm(in[0], {32}, in[1], in[2], 1e-6) + in[0] * direction;
        },
        inputs);
  }
}

TEST_F(FusedOps, LayerNormWithUnusedSkipOrUnusedBranch) {
  const auto x = torch::randn({4, 32}).requires_grad_();
  const auto weight = torch::randn({32});
  fused_layer_norm_with_skip(x, weight, {}, 1e-6, torch::kFloat32).skip.sum().backward();
  EXPECT_TRUE(test::all_close(x.grad(), torch::ones({4, 32})));
}

TEST_F(FusedOps, LinearAgreesWithLibtorchToFp32) {
  // One panel of 16 outputs; several panels, and more rows than gradients are summed over at once.
  for (const auto& inputs : {Tensors{torch::randn({5, 32}), torch::randn({16, 32})},
                             Tensors{torch::randn({3, 147, 48}), torch::randn({80, 48})},
                             Tensors{torch::randn({2, 9, 16}), torch::randn({304, 16})}}) {
    const Operator fused = [](const Tensors& in) { return fused_linear(in[0], in[1]); };
    const Operator plain = [](const Tensors& in) { return in[0].matmul(in[1].t()); };
    const auto actual = output_and_gradients(fused, inputs, torch::kFloat32);
    const auto expected = output_and_gradients(plain, inputs, torch::kFloat64);
    for (size_t index = 0; index < actual.size(); ++index) {
      ASSERT_EQ(actual[index].sizes(), expected[index].sizes()) << "tensor " << index;
      EXPECT_LT(relative_error(actual[index], expected[index]), 1e-6) << "tensor " << index;
    }
    expect_determinism(fused, inputs);
    expect_freezing(fused, inputs, {{0}, {1}});
  }
}

TEST_F(FusedOps, LinearTakesWholeVectorsInFp32) {
  EXPECT_TRUE(fused_linear_takes(torch::zeros({3, 32}), torch::zeros({16, 32})));
  EXPECT_FALSE(fused_linear_takes(torch::zeros({3, 32}), torch::zeros({17, 32})));
  EXPECT_FALSE(fused_linear_takes(torch::zeros({3, 24}), torch::zeros({16, 24})));
  EXPECT_FALSE(fused_linear_takes(torch::zeros({3, 32}, torch::kBFloat16), torch::zeros({16, 32})));
  EXPECT_THROW(fused_linear(torch::zeros({3, 32}), torch::zeros({16, 48})), c10::ValueError);
}

struct MlpCase {
  std::string name;
  std::vector<int64_t> shape;  ///< of x
  int64_t experts;             ///< 0: weights without that axis
  int64_t hidden;
  bool gelu_tanh;
  bool residual;
};

void PrintTo(const MlpCase& test_case, std::ostream* out) { *out << test_case.name; }

Tensors mlp_inputs(const MlpCase& sizes) {
  const int64_t dim = sizes.shape.back();
  const auto shaped = [&sizes](std::vector<int64_t> shape) {
    if (sizes.experts > 0) {
      shape.insert(shape.begin(), sizes.experts);
    }
    return torch::randn(shape);
  };
  const double scale = 1.0 / std::sqrt(static_cast<double>(dim));
  return {torch::randn(sizes.shape),
          shaped({sizes.hidden, dim}) * scale,
          shaped({sizes.hidden}),
          shaped({dim, sizes.hidden}) * scale,
          shaped({dim}),
          sizes.residual ? torch::randn(sizes.shape) : torch::Tensor()};
}

torch::Tensor plain_mlp(const Tensors& in, bool gelu_tanh) {
  const auto bias = [](const torch::Tensor& value) {
    return value.dim() == 2 ? value.unsqueeze(1) : value;
  };
  const auto before = in[0].matmul(in[1].transpose(-2, -1)) + bias(in[2]);
  const auto after = torch::gelu(before, gelu_tanh ? "tanh" : "none");
  const auto out = after.matmul(in[3].transpose(-2, -1)) + bias(in[4]);
  return in[5].defined() ? out + in[5] : out;
}

class FusedMlp : public FusedOps, public testing::WithParamInterface<MlpCase> {};

TEST_P(FusedMlp, AgreesWithLibtorch) {
  const auto& sizes = GetParam();
  const auto inputs = mlp_inputs(sizes);
  const Operator fused = [&sizes](const Tensors& in) {
    return fused_mlp(in[0], {in[1], in[2], in[3], in[4]}, sizes.gelu_tanh, in[5]);
  };
  expect_agreement(
      fused, [&sizes](const Tensors& in) { return plain_mlp(in, sizes.gelu_tanh); }, inputs);
  expect_determinism(fused, inputs);
}

INSTANTIATE_TEST_SUITE_P(Sizes, FusedMlp,
                         testing::Values(MlpCase{"Dense", {3, 7, 32}, 0, 80, true, true},
                                         MlpCase{"ExactGelu", {2, 50, 48}, 0, 96, false, false},
                                         MlpCase{"OddTiles", {67, 22}, 0, 58, true, false},
                                         MlpCase{"ManyRows", {2, 1061, 16}, 0, 34, true, true},
                                         MlpCase{"FewExperts", {3, 13, 32}, 3, 64, true, false},
                                         MlpCase{"ManyExperts", {11, 9, 48}, 11, 64, false, true},
                                         MlpCase{"ManyRowsEach", {6, 259, 16}, 6, 34, true, true},
                                         MlpCase{"WideParts", {6, 21, 176}, 6, 304, true, false}),
                         [](const auto& test_case) { return test_case.param.name; });

TEST_F(FusedOps, MlpTakesReducedPrecision) {
  const auto inputs = mlp_inputs({"", {5, 6, 32}, 5, 48, true, false});
  expect_agreement(
      [](const Tensors& in) {
        return fused_mlp(in[0].to(torch::kBFloat16), {in[1], in[2], in[3], in[4]}, true);
      },
      [](const Tensors& in) { return plain_mlp(in, true); }, inputs);
}

TEST_F(FusedOps, MlpWritesGradientsLargerThanTheCaches) {
  const auto inputs = mlp_inputs({"", {9, 3, 512}, 9, 1024, true, false});
  expect_agreement(
      [](const Tensors& in) {
        return fused_mlp(in[0], {in[1], in[2], in[3], in[4]}, true);
      },
      [](const Tensors& in) { return plain_mlp(in, true); }, inputs);
}

TEST_F(FusedOps, MlpWithoutGradientsGivesTheSameBits) {
  const auto in = mlp_inputs({"", {4, 19, 32}, 0, 48, true, true});
  const MlpParameters parameters{in[1], in[2], in[3], in[4]};
  const auto expected = fused_mlp(in[0], parameters, true, in[5]).detach();
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(test::same_bits(fused_mlp(in[0], parameters, true, in[5]), expected));
}

TEST_F(FusedOps, FrozenInputsOfAnMlpLeaveTheOtherGradientsAsTheyAre) {
  expect_freezing(
      [](const Tensors& in) {
        return fused_mlp(in[0], {in[1], in[2], in[3], in[4]}, /*gelu_tanh=*/true, in[5]);
      },
      mlp_inputs({"", {7, 9, 32}, 7, 48, true, true}), {{0}, {3}, {1, 4}, {2, 4}, {2}, {5, 0}});
}

TEST_F(FusedOps, FrozenInputsOfALayerNormLeaveTheOtherGradientsAsTheyAre) {
  for (const bool with_bias : {false, true}) {
    expect_freezing(
        [with_bias](const Tensors& in) {
          return fused_layer_norm(in[0], in[1], with_bias ? in[2] : torch::Tensor(), 1e-6);
        },
        {torch::randn({3, 47, 24}), torch::randn({24}),
         with_bias ? torch::randn({24}) : torch::Tensor()},
        {{0}, {1}, {0, 1}});
  }
}

TEST_F(FusedOps, MlpRefusesAResidualOfAnotherShape) {
  const auto in = mlp_inputs({"", {4, 19, 32}, 0, 48, true, true});
  const MlpParameters parameters{in[1], in[2], in[3], in[4]};
  EXPECT_THROW(fused_mlp(in[0], parameters, true, in[5].slice(0, 1)), c10::ValueError);
}

struct AttentionCase {
  std::string name;
  int64_t batch;
  int64_t tokens;
  int64_t heads;
  int64_t head_dim;
  bool qk_norm;
  bool residual;
};

void PrintTo(const AttentionCase& test_case, std::ostream* out) { *out << test_case.name; }

Tensors attention_inputs(const AttentionCase& sizes) {
  const int64_t dim = sizes.heads * sizes.head_dim;
  const double scale = 1.0 / std::sqrt(static_cast<double>(dim));
  const std::vector<int64_t> shape{sizes.batch, sizes.tokens, dim};
  return {torch::randn(shape),
          torch::randn({3 * dim, dim}) * scale,
          torch::randn({3 * dim}),
          torch::randn({dim, dim}) * scale,
          torch::randn({dim}),
          sizes.qk_norm ? torch::randn({sizes.head_dim}) : torch::Tensor(),
          sizes.qk_norm ? torch::randn({sizes.head_dim}) : torch::Tensor(),
          sizes.residual ? torch::randn(shape) : torch::Tensor()};
}

torch::Tensor plain_attention(const Tensors& in, const AttentionCase& sizes) {
  const auto parts = torch::linear(in[0], in[1], in[2])
                         .view({sizes.batch, sizes.tokens, 3, sizes.heads, sizes.head_dim})
                         .permute({2, 0, 3, 1, 4});  // [3, batch, heads, tokens, head_dim]
  auto queries = parts[0];
  auto keys = parts[1];
  if (in[5].defined()) {
    queries = torch::layer_norm(queries, {sizes.head_dim}, in[5], torch::Tensor(), 1e-6);
    keys = torch::layer_norm(keys, {sizes.head_dim}, in[6], torch::Tensor(), 1e-6);
  }
  const auto scores =
      queries.matmul(keys.transpose(-2, -1)) / std::sqrt(static_cast<double>(sizes.head_dim));
  const auto mixed = scores.softmax(-1).matmul(parts[2]).transpose(1, 2).reshape(in[0].sizes());
  const auto out = torch::linear(mixed, in[3], in[4]);
  return in[7].defined() ? out + in[7] : out;
}

class FusedAttention : public FusedOps, public testing::WithParamInterface<AttentionCase> {};

TEST_P(FusedAttention, AgreesWithLibtorch) {
  const auto& sizes = GetParam();
  const auto inputs = attention_inputs(sizes);
  const Operator fused = [&sizes](const Tensors& in) {
    return fused_attention(in[0], {in[1], in[2], in[3], in[4], in[5], in[6], 1e-6, sizes.heads},
                           in[7]);
  };
  expect_agreement(
      fused, [&sizes](const Tensors& in) { return plain_attention(in, sizes); }, inputs);
  expect_determinism(fused, inputs);
}

INSTANTIATE_TEST_SUITE_P(Sizes, FusedAttention,
                         testing::Values(AttentionCase{"OneVector", 5, 16, 2, 32, false, true},
                                         AttentionCase{"Odd", 3, 17, 3, 16, false, false},
                                         AttentionCase{"Norms", 7, 13, 2, 48, true, true},
                                         AttentionCase{"Long", 2, 101, 3, 32, true, false},
                                         AttentionCase{"OneImage", 1, 70, 2, 16, true, true},
                                         AttentionCase{"ManyRows", 130, 18, 1, 16, false, true}),
                         [](const auto& test_case) { return test_case.param.name; });

TEST_F(FusedOps, FrozenInputsOfAttentionLeaveTheOtherGradientsAsTheyAre) {
  const AttentionCase sizes{"", 5, 17, 3, 16, true, true};
  expect_freezing(
      [](const Tensors& in) {
        return fused_attention(in[0], {in[1], in[2], in[3], in[4], in[5], in[6], 1e-6, 3}, in[7]);
      },
      attention_inputs(sizes), {{0}, {3}, {1, 4}, {2, 4}, {4}, {5}, {7, 6}});
}

TEST_F(FusedOps, AttentionTakesShortSequencesOfWholeVectors) {
  AttentionParameters parameters{};
  parameters.qkv_weight = torch::zeros({3 * 64, 64});
  parameters.proj_weight = torch::zeros({64, 64});
  parameters.heads = 2;
  EXPECT_TRUE(fused_attention_takes(parameters, 50));
  EXPECT_FALSE(fused_attention_takes(parameters, 5000));
  parameters.heads = 8;  // 8 channels a head
  EXPECT_FALSE(fused_attention_takes(parameters, 50));
}

}  // namespace
}  // namespace softmoe
