// Tokens into slots, forward and backward, and the parameters of slots.

#include "kernels/simd/math.h"
#include "kernels/simd/mixing_factors.h"

namespace softmoe::kernels::SOFTMOE_LEVEL {
namespace {

/// Softmax over the tokens, that is over each column of a panel.
void softmax_columns(int64_t tokens, int64_t columns, const float* logits, float* weights) {
  for (int64_t column = 0; column < columns; column += kLanes) {
    Floats largest = load(logits + column);
    for (int64_t token = 1; token < tokens; ++token) {
      largest = max(largest, load(logits + token * kPanel + column));
    }
    Floats sum = zero();
    for (int64_t token = 0; token < tokens; ++token) {
      const int64_t at = token * kPanel + column;
      const Floats power = exp_exact(sub(load(logits + at), largest));
      store(weights + at, power);
      sum = add(sum, power);
    }
    const Floats inverse = div(set1(1.0F), sum);
    for (int64_t token = 0; token < tokens; ++token) {
      const int64_t at = token * kPanel + column;
      store(weights + at, mul(load(weights + at), inverse));
    }
  }
}

/// d_weights becomes weights (d_weights - sum over tokens of weights d_weights).
void softmax_columns_backward(int64_t tokens, int64_t columns, const float* weights,
                              float* d_weights) {
  for (int64_t column = 0; column < columns; column += kLanes) {
    Floats sum = zero();
    for (int64_t token = 0; token < tokens; ++token) {
      const int64_t at = token * kPanel + column;
      sum = fmadd(load(weights + at), load(d_weights + at), sum);
    }
    for (int64_t token = 0; token < tokens; ++token) {
      const int64_t at = token * kPanel + column;
      const Floats off = sub(load(d_weights + at), sum);
      store(d_weights + at, mul(load(weights + at), off));
    }
  }
}

void inverse_norms(const MixingShape& shape, const float* x, float* inverse) {
  for (int64_t token = 0; token < shape.tokens; ++token) {
    const float* const row = x + token * shape.dim;
    inverse[token] = 1.0F / __builtin_sqrtf(dot(row, row, shape.dim) + shape.eps);
  }
}

/// Multiplies each row of a panel by its token's factor.
void scale_rows(int64_t tokens, int64_t columns, const float* factors, float* panel) {
  for (int64_t token = 0; token < tokens; ++token) {
    const Floats factor = set1(factors[token]);
    for (int64_t column = 0; column < columns; column += kLanes) {
      float* const at = panel + token * kPanel + column;
      store(at, mul(load(at), factor));
    }
  }
}

/// From d_logits of one panel to the gradient of the raw products, in place; adds the sums over the
/// slots of logits d_logits to `sums` [tokens].
void norms_backward(int64_t tokens, int64_t columns, const float* logits, const float* inverse,
                    float* d_logits, float* sums) {
  for (int64_t token = 0; token < tokens; ++token) {
    const Floats factor = set1(inverse[token]);
    Floats sum = zero();
    for (int64_t column = 0; column < columns; column += kLanes) {
      const Mask mask = lanes(column, columns);
      float* const at = d_logits + token * kPanel + column;
      const Floats d_logit = load(mask, at);
      sum = fmadd(d_logit, load(mask, logits + token * kPanel + column), sum);
      store(at, mul(d_logit, factor));
    }
    sums[token] += sum_of(sum);
  }
}

void add_panel(int64_t tokens, int64_t columns, const float* source, float* target) {
  for (int64_t token = 0; token < tokens; ++token) {
    for (int64_t column = 0; column < columns; column += kLanes) {
      const Mask mask = lanes(column, columns);
      float* const at = target + token * kPanel + column;
      store(at, mask, add(load(mask, at), load(mask, source + token * kPanel + column)));
    }
  }
}

/// Adds the gradient that reaches the tokens through their norms.
void add_norm_gradient(const MixingShape& shape, const float* x, const float* inverse,
                       const float* sums, float* d_x) {
  for (int64_t token = 0; token < shape.tokens; ++token) {
    const Floats factor = set1(-sums[token] * inverse[token] * inverse[token]);
    for (int64_t channel = 0; channel < shape.dim; channel += kLanes) {
      float* const at = d_x + token * shape.dim + channel;
      store(at, fmadd(factor, load(x + token * shape.dim + channel), load(at)));
    }
  }
}

int64_t mixing_scratch(const MixingShape& shape) {
  const int64_t block = shape.slots() < kBlockSlots ? shape.slots() : kBlockSlots;
  const int64_t tokens = round_up(shape.tokens, 16);
  // Room for any of the functions, their blocks of slots and tokens and a panel or two beside them.
  return factors_room(shape) + channels_room(shape, 2 * kPanel) +
         tokens * (round_up(block, kPanel) + 3 * kPanel);
}

void pack_keys(const MixingShape& shape, const float* keys, float* panels) {
  for (int64_t panel = 0; panel < shape.panels(); ++panel) {
    for (int64_t channel = 0; channel < shape.dim; ++channel) {
      for (int64_t lane = 0; lane < kPanel; lane += kLanes) {
        const int64_t slot = panel * kPanel + lane;
        store(panels + (panel * shape.dim + channel) * kPanel + lane,
              load(lanes(slot, shape.slots()), keys + channel * shape.slots() + slot));
      }
    }
  }
}

void transpose_keys(const MixingShape& shape, const float* panels, float* transposed) {
  const int64_t padded = shape.panels() * kPanel;
  for (int64_t slot = 0; slot < padded; slot += 16) {
    for (int64_t channel = 0; channel < shape.dim; channel += 16) {
      fp32_transpose(panels + (slot / kPanel * shape.dim + channel) * kPanel + slot % kPanel,
                     kPanel, /*rows=*/16, /*columns=*/16,
                     transposed + (channel / kPanel * padded + slot) * kPanel + channel % kPanel,
                     kPanel);
    }
  }
}

void unpack_keys(const MixingShape& shape, const float* panels, float* keys) {
  for (int64_t panel = 0; panel < shape.panels(); ++panel) {
    for (int64_t channel = 0; channel < shape.dim; ++channel) {
      for (int64_t lane = 0; lane < kPanel; lane += kLanes) {
        const int64_t slot = panel * kPanel + lane;
        store(keys + channel * shape.slots() + slot, lanes(slot, shape.slots()),
              load(panels + (panel * shape.dim + channel) * kPanel + lane));
      }
    }
  }
}

template <bool kBf16>
void dispatch_forward(const MixingShape& shape, int64_t image, const float* x,
                      const float* key_panels, float* logits, Target expert_inputs,
                      float* scratch) {
  Scratch memory(scratch);
  float* const inverse = memory.take(shape.tokens);
  const TokenSums<kBf16> rows(shape, x, memory);
  float* const weights = memory.take(shape.tokens * kPanel);
  float* const values = memory.take(kPanel * shape.dim);
  inverse_norms(shape, x, inverse);
  for (int64_t panel = 0; panel < shape.panels(); ++panel) {
    const int64_t count = panel_slots(shape, panel);
    float* const of_panel = logits + panel * shape.tokens * kPanel;
    panel_product(as_rows(x, shape.dim), shape.tokens, key_panels + panel * shape.dim * kPanel,
                  shape.dim, count, /*accumulate=*/false, of_panel, kPanel);
    scale_rows(shape.tokens, count, inverse, of_panel);
    softmax_columns(shape.tokens, count, of_panel, weights);
    rows.sum(weights, count, values);
    store_slots(shape, image, panel * kPanel, count, values, expert_inputs);
  }
}

void soft_dispatch_forward(const MixingShape& shape, int64_t image, const float* x,
                           const float* key_panels, float* logits, Target expert_inputs,
                           float* scratch) {
  const auto run = kMixesBf16 && expert_inputs.bf16 != nullptr ? dispatch_forward<kMixesBf16>
                                                               : dispatch_forward<false>;
  run(shape, image, x, key_panels, logits, expert_inputs, scratch);
}

template <bool kBf16>
void dispatch_backward(const MixingShape& shape, int64_t image, const float* x,
                       const float* transposed_keys, const float* logits,
                       const MixingGradients& gradients, float* d_x, float* d_raw, float* scratch) {
  Scratch memory(scratch);
  const int64_t tokens = shape.tokens;
  const int64_t block = shape.slots() < kBlockSlots ? shape.slots() : kBlockSlots;
  float* const inverse = memory.take(tokens);
  float* const sums = memory.take(tokens);
  const TokenRows<kBf16> rows(shape, x, memory);
  SlotValues<kBf16> d_inputs(shape, block, tokens, memory);
  float* const weights = memory.take(tokens * round_up(block, kPanel));
  inverse_norms(shape, x, inverse);
  __builtin_memset(sums, 0, static_cast<size_t>(tokens) * sizeof(float));
  for (int64_t first = 0; first < shape.slots(); first += block) {
    const int64_t count = shape.slots() - first < block ? shape.slots() - first : block;
    d_inputs.load(image, first, count, gradients.d_expert_inputs);
    for (int64_t slot = 0; slot < count; slot += kPanel) {
      const int64_t at = (first + slot) * tokens;  // of the panel's values
      const int64_t columns = panel_slots(shape, (first + slot) / kPanel);
      softmax_columns(tokens, columns, logits + at, weights + slot * tokens);
      rows.multiply(d_inputs.panel(slot, columns), columns, d_raw + at);
      softmax_columns_backward(tokens, columns, weights + slot * tokens, d_raw + at);
      if (gradients.d_logits != nullptr) {
        add_panel(tokens, columns, gradients.d_logits + at, d_raw + at);
      }
      norms_backward(tokens, columns, logits + at, inverse, d_raw + at, sums);
    }
    panels_product(as_panels(d_raw + first * tokens, tokens), tokens,
                   transposed_keys + first * kPanel, shape.panels() * kPanel, count, shape.dim,
                   /*accumulate=*/first > 0, d_x, shape.dim);
    d_inputs.sum(weights, tokens, /*accumulate=*/true, d_x);
  }
  add_norm_gradient(shape, x, inverse, sums, d_x);
}

void soft_dispatch_backward(const MixingShape& shape, int64_t image, const float* x,
                            const float* transposed_keys, const float* logits,
                            const MixingGradients& gradients, float* d_x, float* d_raw,
                            float* scratch) {
  const auto run = kMixesBf16 && gradients.d_expert_inputs.bf16 != nullptr
                       ? dispatch_backward<kMixesBf16>
                       : dispatch_backward<false>;
  run(shape, image, x, transposed_keys, logits, gradients, d_x, d_raw, scratch);
}

void soft_keys_backward(const MixingShape& shape, const KeyPart& part, const float* x,
                        const float* d_raw, float* d_keys) {
  for (int64_t image = 0; image < shape.batch; ++image) {
    const float* const rows = x + image * shape.tokens * shape.dim + part.first_channel;
    for (int64_t panel = part.first_panel; panel < part.last_panel; ++panel) {
      panel_product(as_columns(rows, shape.dim), part.last_channel - part.first_channel,
                    d_raw + image * shape.logits() + panel * shape.tokens * kPanel, shape.tokens,
                    panel_slots(shape, panel), /*accumulate=*/image > 0,
                    d_keys + (panel * shape.dim + part.first_channel) * kPanel, kPanel);
    }
  }
}

}  // namespace

const SoftDispatchKernels kSoftDispatchKernels{.mixing_scratch = mixing_scratch,
                                               .pack_keys = pack_keys,
                                               .transpose_keys = transpose_keys,
                                               .unpack_keys = unpack_keys,
                                               .soft_dispatch_forward = soft_dispatch_forward,
                                               .soft_dispatch_backward = soft_dispatch_backward,
                                               .soft_keys_backward = soft_keys_backward};

}  // namespace softmoe::kernels::SOFTMOE_LEVEL
