#pragma once
/// Cases of vmoe/tokens_choice.npz and vmoe/experts_choice.npz.

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "io/npz.h"
#include "softmoe/moe_layer.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe::test {

class SparseCase {
 public:
  SparseCase(const std::string& router, std::string name)
      : router_(router), file_("vmoe/" + router + ".npz"), name_(std::move(name)) {}

  /// An array of all cases of the file.
  torch::Tensor shared(const std::string& key) const {
    static std::map<std::string, NamedTensors> files;
    auto& arrays = files[file_];
    if (arrays.empty()) {
      arrays = read_npz(fixture(file_));
    }
    return npz_array(arrays, key, file_);
  }
  torch::Tensor at(const std::string& key) const { return shared(name_ + "/" + key); }
  int64_t capacity() const { return at("capacity").item<int64_t>(); }

  /// Sizes; a group is an image, as in the reference.
  MoeLayerOptions options() const {
    const auto sizes = shared("dims").to(torch::kInt64);  // groups, tokens, dim, experts, hidden
    MoeLayerOptions options;
    options.tokens = sizes[1].item<int64_t>();
    options.dim = sizes[2].item<int64_t>();
    options.hidden_dim = sizes[4].item<int64_t>();
    options.moe.router = router_;
    options.moe.experts = sizes[3].item<int64_t>();
    options.moe.sparse.group_images = 1;
    return options;
  }

  /// A layer with the parameters of the reference.
  MoeLayer layer(const MoeLayerOptions& options) const {
    MoeLayer layer(options);
    const torch::NoGradGuard no_grad;
    for (auto& parameter : layer->named_parameters()) {
      parameter.value().copy_(parameter_in_ours(parameter.key(), "params/"));
    }
    return layer;
  }

  /// The tokens that experts take, [groups, tokens, experts, 1].
  torch::Tensor dispatch() const {
    return at("dispatch_weights").to(torch::kFloat32).sum(-1, true);
  }

  /// The outputs of a layer and the weights of its record against those of the reference.
  void expect_outputs(const torch::Tensor& y, const RoutingRecord& record,
                      bool rounds = false) const {
    if (rounds) {
      expect_rounded_outputs(y, at("y"));
    } else {
      EXPECT_TRUE(all_close(y, at("y"))) << name_;
    }
    EXPECT_TRUE(same_bits(record.dispatch, dispatch())) << name_;
    EXPECT_TRUE(all_close(record.combine, at("combine_weights").sum(-1, true))) << name_;
  }

  /// The gradients of the layer and of its tokens `x` against those of the reference.
  void expect_gradients(MoeLayer& layer, const torch::Tensor& x, bool rounds = false) const {
    EXPECT_TRUE(close_enough(x.grad(), at("grad/x"), rounds)) << name_;
    for (const auto& parameter : layer->named_parameters()) {
      const auto expected = parameter_in_ours(parameter.key(), name_ + "/grad/params/");
      EXPECT_TRUE(close_enough(parameter.value().grad(), expected, rounds))
          << name_ << " " << parameter.key();
    }
  }

  /// One-hot weights [groups, tokens, experts, capacity] that `values` [experts, rows] of `rows`
  /// stand for.
  torch::Tensor dense(const SparseRows& rows, const torch::Tensor& values) const {
    const int64_t experts = rows.token.size(0);
    const int64_t rows_of_group = rows.token.size(1) / rows.batch;
    auto weights = torch::zeros({rows.batch, rows.tokens, experts, capacity()}, values.dtype());
    for (int64_t expert = 0; expert < experts; ++expert) {
      for (int64_t row = 0; row < rows.token.size(1); ++row) {
        const auto token = rows.token[expert][row].item<int64_t>();
        if (token >= 0) {
          EXPECT_EQ(token / rows.tokens, row / rows_of_group) << "row of another group";
          weights[token / rows.tokens][token % rows.tokens][expert][row % rows_of_group] =
              values[expert][row];
        }
      }
    }
    return weights;
  }

 private:
  /// Within the reference's own tolerance, but for a few outputs of experts near the middle between
  /// two values of bf16, which may be rounded the other way.
  void expect_rounded_outputs(const torch::Tensor& y, const torch::Tensor& expected) const {
    const auto error = (y - expected).detach().abs();  // [groups, tokens, dim]
    EXPECT_LE((error > 1e-5).sum().item<int64_t>(), y.numel() / 500) << name_;
    EXPECT_LE(error.max().item<float>(), 4e-3F * expected.abs().max().item<float>()) << name_;
  }

  /// all_close(), of gradients within the reference's own tolerance where it rounds to bf16.
  static testing::AssertionResult close_enough(const torch::Tensor& actual,
                                               const torch::Tensor& expected, bool rounds) {
    return rounds ? all_close(actual, expected, {.relative = 4e-3}) : all_close(actual, expected);
  }

  /// The reference's array for our parameter `name`; kernels are transposed.
  torch::Tensor parameter_in_ours(const std::string& name, const std::string& prefix) const {
    static const std::map<std::string, std::string> names{
        {"router.weight", "Router/dense/kernel"},
        {"experts.fc1_weight", "Mlp/Dense_0/kernel"},
        {"experts.fc1_bias", "Mlp/Dense_0/bias"},
        {"experts.fc2_weight", "Mlp/Dense_1/kernel"},
        {"experts.fc2_bias", "Mlp/Dense_1/bias"}};
    const auto array = shared(prefix + names.at(name));
    return name.ends_with("_bias") ? array : array.transpose(-2, -1);
  }

  std::string router_;
  std::string file_;
  std::string name_;
};

}  // namespace softmoe::test
