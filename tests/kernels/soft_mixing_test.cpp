#include "kernels/soft_mixing.h"

#include <array>

#include "kernels/tensors.h"

namespace softmoe::kernels::soft_mixing_test {

using namespace softmoe::test;  // NOLINT: what to compare with

class SoftMixingTest : public LevelTest {
 protected:
  void SetUp() override {
    LevelTest::SetUp();
    torch::manual_seed(3);
  }
};
INSTANTIATE_TEST_SUITE_P(Levels, SoftMixingTest, every_level(), level_name);

constexpr double kEps = 1e-2;  // large enough to matter

/// One panel with room left, two panels, and more slots than are held at a time.
constexpr std::array<MixingShape, 3> kShapes{
    {{.batch = 2, .tokens = 7, .experts = 5, .slots_per_expert = 2, .dim = 48, .eps = kEps},
     {.batch = 3, .tokens = 13, .experts = 11, .slots_per_expert = 3, .dim = 16, .eps = kEps},
     {.batch = 1, .tokens = 5, .experts = 67, .slots_per_expert = 4, .dim = 16, .eps = kEps}}};

/// Calls function(precision, shape) for both precisions of experts and all shapes.
template <typename Function>
void for_each_call(const Function& function) {
  for (const auto precision : kKernelPrecisions) {
    for (const auto& shape : kShapes) {
      SCOPED_TRACE(std::to_string(shape.slots()) + " slots in " + enum_name(precision));
      function(precision, shape);
    }
  }
}

/// Compares with the tolerance of `precision`, to which some levels round softmax weights and what
/// they multiply.
testing::AssertionResult near_in(Precision precision, const torch::Tensor& actual,
                                 const torch::Tensor& expected) {
  const double tolerance = precision == Precision::kBFloat16 ? kBf16Tolerance : kFp32Tolerance;
  return all_close(actual, expected, {.absolute = 0, .relative = tolerance});
}

/// [batch, tokens, slots] from panels [batch, panels, tokens, 32].
torch::Tensor from_panels(const MixingShape& shape, const torch::Tensor& panels) {
  return panels.transpose(1, 2).flatten(2).slice(2, 0, shape.slots());
}

/// Panels of `values` [batch, tokens, slots], NaN where slots do not fill the last one.
torch::Tensor to_panels(const MixingShape& shape, const torch::Tensor& values) {
  auto padded = torch::full({shape.batch, shape.tokens, 32 * shape.panels()}, NAN);
  padded.slice(2, 0, shape.slots()).copy_(values);
  return padded.view({shape.batch, shape.tokens, shape.panels(), 32}).transpose(1, 2).contiguous();
}

/// [experts, batch * slots_per_expert, dim] from [batch, slots, dim].
torch::Tensor by_expert(const MixingShape& shape, const torch::Tensor& slots) {
  return slots.view({shape.batch, shape.experts, shape.slots_per_expert, shape.dim})
      .transpose(0, 1)
      .reshape({shape.experts, shape.batch * shape.slots_per_expert, shape.dim});
}
/// And back.
torch::Tensor by_image(const MixingShape& shape, const torch::Tensor& rows) {
  return rows.view({shape.experts, shape.batch, shape.slots_per_expert, shape.dim})
      .transpose(0, 1)
      .reshape({shape.batch, shape.slots(), shape.dim});
}

/// Arguments and gradients of a dispatch in fp64, and what its kernels take.
struct Dispatch {
  explicit Dispatch(const MixingShape& mixing_shape)
      : shape(mixing_shape),
        x(random_tensor({shape.batch, shape.tokens, shape.dim}).requires_grad_()),
        keys(random_tensor({shape.dim, shape.slots()}).requires_grad_()),
        d_inputs(random_tensor({shape.batch, shape.slots(), shape.dim})),
        d_logits(random_tensor({shape.batch, shape.tokens, shape.slots()})),
        fp32_x(x.detach().to(torch::kFloat32)),
        key_panels(torch::full({shape.keys()}, NAN)),
        logit_panels(to_panels(shape, torch::full_like(d_logits, NAN))),
        scratch(static_cast<size_t>(table().mixing_scratch(shape))) {
    const auto norms = (x.square().sum(2, /*keepdim=*/true) + shape.eps).sqrt();
    logits = (x / norms).matmul(keys);                     // [batch, tokens, slots]
    inputs = logits.softmax(1).transpose(1, 2).matmul(x);  // [batch, slots, dim]
    ((inputs * d_inputs).sum() + (logits * d_logits).sum()).backward();
    const auto fp32_keys = keys.detach().to(torch::kFloat32);
    table().pack_keys(shape, fp32_keys.const_data_ptr<float>(), key_panels.data_ptr<float>());
  }

  const float* image_x(int64_t image) const { return fp32_x[image].const_data_ptr<float>(); }
  float* image_logits(int64_t image) { return logit_panels[image].data_ptr<float>(); }

  /// Expert inputs of all images, [batch, slots, dim].
  torch::Tensor run(Precision precision) {
    auto rows = torch::full_like(by_expert(shape, d_inputs), NAN, dtype_of(precision));
    for (int64_t image = 0; image < shape.batch; ++image) {
      table().soft_dispatch_forward(shape, image, image_x(image),
                                    key_panels.const_data_ptr<float>(), image_logits(image),
                                    target_of(rows), scratch.data());
    }
    return by_image(shape, rows);
  }

  MixingShape shape;
  torch::Tensor x;         // [batch, tokens, dim]
  torch::Tensor keys;      // [dim, slots]
  torch::Tensor d_inputs;  // [batch, slots, dim]
  torch::Tensor d_logits;  // [batch, tokens, slots]
  torch::Tensor logits;    // [batch, tokens, slots]
  torch::Tensor inputs;    // [batch, slots, dim]
  torch::Tensor fp32_x;
  torch::Tensor key_panels;
  torch::Tensor logit_panels;
  Floats scratch;
};

TEST_P(SoftMixingTest, KeysComeBackFromTheirPanels) {
  for (const auto& shape : kShapes) {
    const Dispatch call(shape);
    auto keys = torch::empty({shape.dim, shape.slots()});
    table().unpack_keys(shape, call.key_panels.const_data_ptr<float>(), keys.data_ptr<float>());
    EXPECT_TRUE(same_bits(keys, call.keys.detach().to(torch::kFloat32)));
  }
}

TEST_P(SoftMixingTest, DispatchAveragesTokensIntoSlots) {
  for_each_call([](Precision precision, const MixingShape& shape) {
    Dispatch call(shape);
    EXPECT_TRUE(near(call.run(precision), call.inputs.detach()));
    EXPECT_TRUE(near(from_panels(shape, call.logit_panels), call.logits.detach()));
  });
}

TEST_P(SoftMixingTest, DispatchGivesTheGradientsOfLibtorch) {
  for_each_call([](Precision precision, const MixingShape& shape) {
    Dispatch call(shape);
    call.run(precision);
    const auto d_rows = by_expert(shape, call.d_inputs).to(dtype_of(precision));
    const auto d_logits = to_panels(shape, call.d_logits);
    auto transposed = torch::full_like(call.key_panels, NAN);
    table().transpose_keys(shape, call.key_panels.const_data_ptr<float>(),
                           transposed.data_ptr<float>());
    auto d_raw = torch::full_like(call.logit_panels, NAN);
    auto d_x = torch::full_like(call.fp32_x, NAN);
    for (int64_t image = 0; image < shape.batch; ++image) {
      table().soft_dispatch_backward(shape, image, call.image_x(image),
                                     transposed.const_data_ptr<float>(), call.image_logits(image),
                                     {.d_expert_inputs = source_of(d_rows),
                                      .d_logits = d_logits[image].const_data_ptr<float>()},
                                     d_x[image].data_ptr<float>(), d_raw[image].data_ptr<float>(),
                                     call.scratch.data());
    }
    EXPECT_TRUE(near_in(precision, d_x, call.x.grad()));

    auto d_key_panels = torch::full_like(call.key_panels, NAN);
    constexpr int64_t kMiddle = 8;  // channels; the halves are the parts of two threads
    for (const auto& [first, last] : {std::pair{int64_t{0}, kMiddle}, {kMiddle, shape.dim}}) {
      table().soft_keys_backward(shape, {0, shape.panels(), first, last}, call.image_x(0),
                                 d_raw.const_data_ptr<float>(), d_key_panels.data_ptr<float>());
    }
    auto d_keys = torch::empty({shape.dim, shape.slots()});
    table().unpack_keys(shape, d_key_panels.const_data_ptr<float>(), d_keys.data_ptr<float>());
    EXPECT_TRUE(near_in(precision, d_keys, call.keys.grad()));
  });
}

TEST_P(SoftMixingTest, CombineAveragesSlotsIntoTokensWithTheGradientsOfLibtorch) {
  for_each_call([](Precision precision, const MixingShape& shape) {
    const auto logits = random_tensor({shape.batch, shape.tokens, shape.slots()}).requires_grad_();
    const auto outputs = random_tensor({shape.batch, shape.slots(), shape.dim}).requires_grad_();
    const auto d_out = random_tensor({shape.batch, shape.tokens, shape.dim});
    const auto expected = logits.softmax(2).matmul(outputs);  // [batch, tokens, dim]
    expected.backward(d_out);

    const auto panels = to_panels(shape, logits.detach());
    const auto rows = by_expert(shape, outputs.detach()).to(dtype_of(precision));
    const auto fp32_d_out = d_out.to(torch::kFloat32);
    auto out = torch::full_like(fp32_d_out, NAN);
    auto d_rows = torch::full_like(rows, NAN);
    auto d_logits = torch::full_like(panels, NAN);
    auto statistics = torch::full({2, shape.tokens}, NAN);
    const RowSoftmax softmax{.maxima = statistics[0].data_ptr<float>(),
                             .inverse_sums = statistics[1].data_ptr<float>()};
    Floats scratch(static_cast<size_t>(table().mixing_scratch(shape)));
    for (int64_t image = 0; image < shape.batch; ++image) {
      const float* const image_logits = panels[image].const_data_ptr<float>();
      float* const image_out = out[image].data_ptr<float>();
      table().soft_combine_forward(shape, image, image_logits, source_of(rows), softmax, image_out,
                                   scratch.data());
      table().soft_combine_backward(shape, image, image_logits, softmax, source_of(rows), image_out,
                                    fp32_d_out[image].const_data_ptr<float>(), target_of(d_rows),
                                    d_logits[image].data_ptr<float>(), scratch.data());
    }
    EXPECT_TRUE(near_in(precision, out, expected.detach()));
    EXPECT_TRUE(near(by_image(shape, d_rows), outputs.grad()));
    EXPECT_TRUE(near_in(precision, from_panels(shape, d_logits), logits.grad()));
  });
}

}  // namespace softmoe::kernels::soft_mixing_test
