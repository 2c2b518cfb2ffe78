#pragma once
/// What the tests of operators on our kernels have in common.

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <functional>
#include <vector>

#include "support/levels.h"
#include "support/tensor_matcher.h"

namespace softmoe::test {

using Tensors = std::vector<torch::Tensor>;
using Operator = std::function<torch::Tensor(const Tensors&)>;

/// Root of the mean square difference over the root of the mean square.
inline double relative_error(const torch::Tensor& actual, const torch::Tensor& expected) {
  const auto reference = expected.to(torch::kFloat64);
  const double scale = reference.norm().item<double>();
  return (actual.to(torch::kFloat64) - reference).norm().item<double>() / std::max(scale, 1e-30);
}

/// The output and the gradients of sum(output * direction) for every input.
inline Tensors output_and_gradients(const Operator& function, const Tensors& inputs,
                                    torch::Dtype dtype) {
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

/// The largest relative_error() of a fused operator in `precision`. bf16 rounds by 1.1e-3 on
/// average, and a handful of roundings follow each other, some before differences are taken.
inline double largest_error(Precision precision) {
  return precision == Precision::kBFloat16 ? 1.2e-2 : 2e-6;
}

/// The fused operator in `precision` against the plain one in fp64.
inline void expect_agreement(const Operator& fused, const Operator& plain, const Tensors& inputs,
                             Precision precision) {
  const auto actual = output_and_gradients(fused, inputs, torch::kFloat32);
  const auto expected = output_and_gradients(plain, inputs, torch::kFloat64);
  for (size_t index = 0; index < actual.size(); ++index) {
    if (!expected[index].defined()) {
      continue;
    }
    ASSERT_TRUE(actual[index].defined()) << "tensor " << index;
    ASSERT_EQ(actual[index].sizes(), expected[index].sizes()) << "tensor " << index;
    EXPECT_LT(relative_error(actual[index], expected[index]), largest_error(precision))
        << "tensor " << index;
  }
}

/// The same bits again, whatever the number of threads.
inline void expect_determinism(const Operator& fused, const Tensors& inputs) {
  const auto expected = output_and_gradients(fused, inputs, torch::kFloat32);
  const int threads = at::get_num_threads();
  for (const int count : {1, 2, 3}) {
    at::set_num_threads(count);
    const auto actual = output_and_gradients(fused, inputs, torch::kFloat32);
    for (size_t index = 0; index < actual.size(); ++index) {
      if (actual[index].defined()) {
        EXPECT_TRUE(same_bits(actual[index], expected[index]))
            << "tensor " << index << ", " << count << " threads";
      }
    }
  }
  at::set_num_threads(threads);
}

/// The gradients of the leaves numbered in `trained` do not depend on whether the others have any.
inline void expect_freezing(const Operator& fused, const Tensors& inputs,
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
        EXPECT_TRUE(same_bits(leaves[index].grad(), expected[index + 1])) << index;
      }
    }
  }
}

/// Runs on the level in use.
template <typename Parameter>
class OperatorTest : public testing::TestWithParam<Parameter> {
 protected:
  void SetUp() override { at::manual_seed(5); }
};

/// Runs an operator in a precision on the level in use.
using PrecisionTest = OperatorTest<Precision>;
inline auto every_precision() { return testing::ValuesIn(kKernelPrecisions); }
inline std::string precision_name(const testing::TestParamInfo<Precision>& item) {
  return enum_name(item.param);
}

/// Runs an operator in a precision with the sizes of a case, which has a name.
template <typename Case>
class SizesTest : public OperatorTest<std::tuple<Precision, Case>> {
 protected:
  Precision precision() const { return std::get<Precision>(this->GetParam()); }
  const Case& sizes() const { return std::get<Case>(this->GetParam()); }
};
template <typename Case>
std::string sizes_name(const testing::TestParamInfo<std::tuple<Precision, Case>>& item) {
  return enum_name(std::get<Precision>(item.param)) + "_" + std::get<Case>(item.param).name;
}

}  // namespace softmoe::test
