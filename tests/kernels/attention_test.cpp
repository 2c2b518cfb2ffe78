#include "kernels/attention.h"

#include <cmath>

#include "kernels/tensors.h"

namespace softmoe::kernels::attention_test {

using namespace softmoe::test;  // NOLINT: what to compare with

class AttentionTest : public LevelTest {
 protected:
  void SetUp() override {
    LevelTest::SetUp();
    torch::manual_seed(3);
  }
};
INSTANTIATE_TEST_SUITE_P(Levels, AttentionTest, every_level(), level_name);

constexpr double kNormEps = 1e-6;

/// Arguments and gradients of one call in fp64.
struct Example {
  Example(int64_t tokens, int64_t heads, int64_t head_dim, bool has_norms)
      : shape{.tokens = tokens,
              .heads = heads,
              .head_dim = head_dim,
              .norm_eps = static_cast<float>(kNormEps)},
        qkv(random_tensor({tokens, 3 * shape.dim()}).requires_grad_()),
        norms(has_norms ? random_tensor({2, head_dim}).requires_grad_() : torch::Tensor()),
        d_mixed(random_tensor({tokens, shape.dim()})) {
    mixed = attention();
    mixed.backward(d_mixed);
    if (has_norms) {
      fp32_norms = norms.detach().to(torch::kFloat32);
    }
  }

  /// Softmax attention of all heads, [tokens, dim].
  torch::Tensor attention() const {
    const auto parts =
        qkv.view({shape.tokens, 3, shape.heads, shape.head_dim}).permute({1, 2, 0, 3});
    const auto normed = [this](const torch::Tensor& rows, int64_t kind) {
      return norms.defined()
                 ? torch::layer_norm(rows, {shape.head_dim}, norms[kind], torch::Tensor(), kNormEps)
                 : rows;
    };
    const auto scores = normed(parts[0], 0).matmul(normed(parts[1], 1).transpose(1, 2)) /
                        std::sqrt(static_cast<double>(shape.head_dim));  // [heads, tokens, tokens]
    return scores.softmax(-1).matmul(parts[2]).transpose(0, 1).reshape({shape.tokens, shape.dim()});
  }

  QkNorm norm() const {
    const float* const weights = fp32_or_null(fp32_norms);
    return weights == nullptr ? QkNorm{}
                              : QkNorm{.query = weights, .key = weights + shape.head_dim};
  }

  AttentionShape shape;
  torch::Tensor qkv;      // [tokens, 3 dim]
  torch::Tensor norms;    // [2, head_dim] of QK-norm, or undefined
  torch::Tensor d_mixed;  // [tokens, dim]
  torch::Tensor mixed;    // [tokens, dim]
  torch::Tensor fp32_norms;
};

TEST_P(AttentionTest, MixesValuesBySoftmaxOfScores) {
  for (const bool has_norms : {false, true}) {
    for (const int64_t tokens : {1, 5, 16, 33}) {
      const Example example(tokens, 3, 16, has_norms);
      Floats scratch(static_cast<size_t>(table().attention_scratch(example.shape)));
      for (const auto precision : kKernelPrecisions) {
        SCOPED_TRACE(std::to_string(tokens) + " tokens in " + enum_name(precision));
        const auto qkv = example.qkv.detach().to(dtype_of(precision));
        auto mixed = torch::full_like(example.d_mixed, NAN, dtype_of(precision));
        // The heads in two calls, as two threads would.
        for (const auto& heads : {HeadRange{0, 1}, HeadRange{1, 3}}) {
          table().attention_forward(example.shape, heads, example.norm(), source_of(qkv),
                                    target_of(mixed), scratch.data());
        }
        EXPECT_TRUE(near(mixed, example.mixed.detach()));
      }
    }
  }
}

TEST_P(AttentionTest, GivesTheGradientsOfLibtorch) {
  for (const bool has_norms : {false, true}) {
    for (const auto& [tokens, head_dim] : {std::pair<int64_t, int64_t>{17, 32}, {37, 16}}) {
      const Example example(tokens, 2, head_dim, has_norms);
      const auto& shape = example.shape;
      Floats scratch(static_cast<size_t>(table().attention_scratch(shape)));
      for (const auto precision : kKernelPrecisions) {
        SCOPED_TRACE(std::to_string(tokens) + " tokens in " + enum_name(precision));
        const auto qkv = example.qkv.detach().to(dtype_of(precision));
        const auto d_mixed = example.d_mixed.to(dtype_of(precision));
        auto d_qkv = torch::full_like(qkv, NAN);
        auto d_norms = has_norms ? torch::zeros({shape.heads, 2, head_dim}) : torch::Tensor();
        table().attention_backward(shape, {0, 2}, example.norm(), source_of(qkv),
                                   source_of(d_mixed), target_of(d_qkv), writable_or_null(d_norms),
                                   scratch.data());
        EXPECT_TRUE(near(d_qkv, example.qkv.grad()));
        if (has_norms) {
          EXPECT_TRUE(near(d_norms.sum(0), example.norms.grad()));
        }
      }
    }
  }
}

}  // namespace softmoe::kernels::attention_test
