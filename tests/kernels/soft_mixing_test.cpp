#include "kernels/soft_mixing.h"

#include <array>
#include <cmath>

#include "kernels/kernel_test.h"

namespace softmoe::kernels::soft_mixing_test {

using namespace softmoe::test;  // NOLINT: plain C++ to compare with

class SoftMixingTest : public KernelTest {};
INSTANTIATE_TEST_SUITE_P(Levels, SoftMixingTest, every_level(), level_name);

constexpr double kEps = 1e-6;

/// One panel with room left, two panels, and more slots than are held at a time.
constexpr std::array<MixingShape, 3> kShapes{
    {{.batch = 2, .tokens = 7, .experts = 5, .slots_per_expert = 2, .dim = 48, .eps = kEps},
     {.batch = 3, .tokens = 13, .experts = 11, .slots_per_expert = 3, .dim = 16, .eps = kEps},
     {.batch = 1, .tokens = 5, .experts = 67, .slots_per_expert = 4, .dim = 16, .eps = kEps}}};

/// Logits [tokens, slots] of one image.
Matrix plain_logits(const Matrix& x, const Matrix& keys) {
  Matrix unit = x;
  for (int64_t token = 0; token < x.rows; ++token) {
    double square = kEps;
    for (int64_t channel = 0; channel < x.columns; ++channel) {
      square += x.at(token, channel) * x.at(token, channel);
    }
    for (int64_t channel = 0; channel < x.columns; ++channel) {
      unit.at(token, channel) /= std::sqrt(square);
    }
  }
  return unit * keys;
}

/// Expert inputs [slots, dim] of one image: each slot's softmax is over the tokens.
Matrix plain_dispatch(const Matrix& x, const Matrix& logits) {
  return row_softmax(logits.transposed()) * x;
}

/// Tokens [tokens, dim] from slot outputs [slots, dim]: each token's softmax is over the slots.
Matrix plain_combine(const Matrix& logits, const Matrix& outputs) {
  return row_softmax(logits) * outputs;
}

/// [tokens, slots] from panels [panels, tokens, 32].
Floats from_panels(const MixingShape& shape, const float* panels) {
  Floats values;
  for (int64_t token = 0; token < shape.tokens; ++token) {
    for (int64_t slot = 0; slot < shape.slots(); ++slot) {
      values.push_back(panels[(slot / 32 * shape.tokens + token) * 32 + slot % 32]);
    }
  }
  return values;
}

Floats to_panels(const MixingShape& shape, const Matrix& values) {
  Floats panels(static_cast<size_t>(shape.logits()));
  for (int64_t token = 0; token < shape.tokens; ++token) {
    for (int64_t slot = 0; slot < shape.slots(); ++slot) {
      panels[static_cast<size_t>((slot / 32 * shape.tokens + token) * 32 + slot % 32)] =
          static_cast<float>(values.at(token, slot));
    }
  }
  return panels;
}

/// The values [slots, dim] of one image out of [experts, batch * slots_per_expert, dim], or back.
template <typename Function>
void for_each_slot_value(const MixingShape& shape, int64_t image, const Function& function) {
  for (int64_t slot = 0; slot < shape.slots(); ++slot) {
    const int64_t row =
        (slot / shape.slots_per_expert * shape.batch + image) * shape.slots_per_expert +
        slot % shape.slots_per_expert;
    for (int64_t channel = 0; channel < shape.dim; ++channel) {
      function(static_cast<size_t>(row * shape.dim + channel), slot, channel);
    }
  }
}

Floats slots_of(const MixingShape& shape, int64_t image, const Floats& all) {
  Floats values(static_cast<size_t>(shape.slots() * shape.dim));
  for_each_slot_value(shape, image, [&](size_t at, int64_t slot, int64_t channel) {
    values[static_cast<size_t>(slot * shape.dim + channel)] = all[at];
  });
  return values;
}

void put_slots(const MixingShape& shape, int64_t image, const Matrix& values, Floats& all) {
  for_each_slot_value(shape, image, [&](size_t at, int64_t slot, int64_t channel) {
    all[at] = static_cast<float>(values.at(slot, channel));
  });
}

size_t expert_values(const MixingShape& shape) {
  return static_cast<size_t>(shape.batch * shape.slots() * shape.dim);
}

/// Memory of a call over all images.
struct Call {
  explicit Call(const MixingShape& mixing_shape)
      : shape(mixing_shape),
        keys(random_matrix(shape.dim, shape.slots(), 1)),
        key_panels(static_cast<size_t>(shape.keys())),
        logits(static_cast<size_t>(shape.batch * shape.logits())),
        expert_inputs(expert_values(shape)),
        scratch(static_cast<size_t>(table().mixing_scratch(shape))) {
    const auto fp32_keys = floats(keys.values);
    table().pack_keys(shape, fp32_keys.data(), key_panels.data());
    for (int64_t image = 0; image < shape.batch; ++image) {
      images.push_back(random_matrix(shape.tokens, shape.dim, 10 + static_cast<uint32_t>(image)));
      const auto rows = floats(images.back().values);
      x.insert(x.end(), rows.begin(), rows.end());
    }
  }

  const float* image_x(int64_t image) const { return x.data() + image * shape.tokens * shape.dim; }
  float* image_logits(int64_t image) { return logits.data() + image * shape.logits(); }
  void dispatch() {
    for (int64_t image = 0; image < shape.batch; ++image) {
      table().soft_dispatch_forward(shape, image, image_x(image), key_panels.data(),
                                    image_logits(image), {.bf16 = expert_inputs.data()},
                                    scratch.data());
    }
  }

  MixingShape shape;
  Matrix keys;
  std::vector<Matrix> images;  // [tokens, dim] each
  Floats x;
  Floats key_panels;
  Floats logits;
  Bf16s expert_inputs;
  Floats scratch;
};

TEST_P(SoftMixingTest, KeysComeBackFromTheirPanels) {
  for (const auto& shape : kShapes) {
    const Call call(shape);
    Floats keys(call.keys.values.size());
    table().unpack_keys(shape, call.key_panels.data(), keys.data());
    EXPECT_EQ(keys, floats(call.keys.values));
  }
}

TEST_P(SoftMixingTest, DispatchAveragesTokensIntoSlots) {
  for (const auto& shape : kShapes) {
    Call call(shape);
    call.dispatch();
    const auto inputs = floats(call.expert_inputs);
    for (int64_t image = 0; image < shape.batch; ++image) {
      const auto& x = call.images[static_cast<size_t>(image)];
      const auto expected = plain_logits(x, call.keys);
      EXPECT_TRUE(near(from_panels(shape, call.image_logits(image)), expected.values, 1e-5))
          << shape.slots();
      EXPECT_TRUE(
          near(slots_of(shape, image, inputs), plain_dispatch(x, expected).values, kBf16Tolerance))
          << shape.slots();
    }
  }
}

TEST_P(SoftMixingTest, GradientsOfDispatchAreThoseOfFiniteDifferences) {
  for (const auto& shape : kShapes) {
    Call call(shape);
    call.dispatch();
    std::vector<Matrix> d_inputs;
    std::vector<Matrix> d_logits;
    Floats all_d_inputs(call.expert_inputs.size());
    for (int64_t image = 0; image < shape.batch; ++image) {
      const auto seed = 20 + static_cast<uint32_t>(image);
      d_inputs.push_back(random_matrix(shape.slots(), shape.dim, seed));
      d_logits.push_back(random_matrix(shape.tokens, shape.slots(), seed + 10));
      put_slots(shape, image, d_inputs.back(), all_d_inputs);
    }
    const auto loss = [&](size_t image, const Matrix& x, const Matrix& keys) {
      const auto logits = plain_logits(x, keys);
      return dot(plain_dispatch(x, logits), d_inputs[image]) + dot(logits, d_logits[image]);
    };
    Floats transposed(call.key_panels.size());
    table().transpose_keys(shape, call.key_panels.data(), transposed.data());
    Floats d_raw(call.logits.size());
    for (int64_t image = 0; image < shape.batch; ++image) {
      const auto& x = call.images[static_cast<size_t>(image)];
      const auto d_logit_panels = to_panels(shape, d_logits[static_cast<size_t>(image)]);
      Floats d_x(x.values.size());
      table().soft_dispatch_backward(
          shape, image, call.image_x(image), transposed.data(), call.image_logits(image),
          {.d_expert_inputs = {.fp32 = all_d_inputs.data()}, .d_logits = d_logit_panels.data()},
          d_x.data(), d_raw.data() + image * shape.logits(), call.scratch.data());
      const auto expected = gradient(
          [&](const Matrix& values) { return loss(static_cast<size_t>(image), values, call.keys); },
          x);
      EXPECT_TRUE(near(d_x, expected, 1e-5)) << shape.slots();
    }

    Floats d_key_panels(call.key_panels.size());
    const int64_t middle = 8;  // channels; the halves are the parts of two threads
    table().soft_keys_backward(shape, {0, shape.panels(), 0, middle}, call.x.data(), d_raw.data(),
                               d_key_panels.data());
    table().soft_keys_backward(shape, {0, shape.panels(), middle, shape.dim}, call.x.data(),
                               d_raw.data(), d_key_panels.data());
    Floats d_keys(call.keys.values.size());
    table().unpack_keys(shape, d_key_panels.data(), d_keys.data());
    const auto expected = gradient(
        [&](const Matrix& keys) {
          double sum = 0.0;
          for (size_t image = 0; image < call.images.size(); ++image) {
            sum += loss(image, call.images[image], keys);
          }
          return sum;
        },
        call.keys);
    EXPECT_TRUE(near(d_keys, expected, 1e-5)) << shape.slots();
  }
}

TEST_P(SoftMixingTest, CombineAveragesSlotsIntoTokensWithGradients) {
  for (const auto& shape : kShapes) {
    Floats scratch(static_cast<size_t>(table().mixing_scratch(shape)));
    Floats all_outputs(expert_values(shape));
    Floats all_d_outputs(all_outputs.size());
    for (int64_t image = 0; image < shape.batch; ++image) {
      const auto seed = 40 + static_cast<uint32_t>(image);
      const auto logits = random_matrix(shape.tokens, shape.slots(), seed);
      const auto outputs = random_matrix(shape.slots(), shape.dim, seed + 10);
      const auto d_out = random_matrix(shape.tokens, shape.dim, seed + 20);
      put_slots(shape, image, outputs, all_outputs);
      const auto panels = to_panels(shape, logits);
      const auto tokens = static_cast<size_t>(shape.tokens);
      Floats maxima(tokens);
      Floats inverse_sums(tokens);
      const RowSoftmax softmax{.maxima = maxima.data(), .inverse_sums = inverse_sums.data()};
      Floats out(d_out.values.size());
      table().soft_combine_forward(shape, image, panels.data(), {.fp32 = all_outputs.data()},
                                   softmax, out.data(), scratch.data());
      EXPECT_TRUE(near(out, plain_combine(logits, outputs).values, 1e-5)) << shape.slots();

      const auto fp32_d_out = floats(d_out.values);
      Floats d_logits(panels.size());
      table().soft_combine_backward(
          shape, image, panels.data(), softmax, {.fp32 = all_outputs.data()}, out.data(),
          fp32_d_out.data(), {.fp32 = all_d_outputs.data()}, d_logits.data(), scratch.data());
      const auto d_outputs = gradient(
          [&](const Matrix& values) { return dot(plain_combine(logits, values), d_out); }, outputs);
      EXPECT_TRUE(near(slots_of(shape, image, all_d_outputs), d_outputs, 1e-5)) << shape.slots();
      const auto expected = gradient(
          [&](const Matrix& values) { return dot(plain_combine(values, outputs), d_out); }, logits);
      EXPECT_TRUE(near(from_panels(shape, d_logits.data()), expected, 1e-5)) << shape.slots();
    }
  }
}

}  // namespace softmoe::kernels::soft_mixing_test
