// Slot outputs into tokens, forward and backward.

#include "kernels/simd/math.h"
#include "kernels/simd/mixing_factors.h"

namespace softmoe::kernels::SOFTMOE_LEVEL {
namespace {

/// The largest logit of each token: [tokens].
void row_maxima(const MixingShape& shape, const float* logits, float* partial, float* maxima) {
  for (int64_t token = 0; token < shape.tokens; ++token) {
    store(partial + token * kLanes, set1(-__builtin_inff()));
  }
  for (int64_t panel = 0; panel < shape.panels(); ++panel) {
    const float* const values = logits + panel * shape.tokens * kPanel;
    const int64_t count = panel_slots(shape, panel);
    for (int64_t token = 0; token < shape.tokens; ++token) {
      Floats largest = load(partial + token * kLanes);
      for (int64_t lane = 0; lane < count; lane += kLanes) {
        largest = max(lanes(lane, count), largest, load(values + token * kPanel + lane));
      }
      store(partial + token * kLanes, largest);
    }
  }
  for (int64_t token = 0; token < shape.tokens; ++token) {
    maxima[token] = max_of(load(partial + token * kLanes));
  }
}

/// powers = e^(logits - maxima) for `tokens` rows of one panel with `count` slots; adds them to
/// `partial` [tokens, kLanes].
void powers_of(int64_t tokens, int64_t count, const float* logits, const float* maxima,
               float* powers, float* partial) {
  for (int64_t token = 0; token < tokens; ++token) {
    const Floats shift = set1(maxima[token]);
    Floats sum = load(partial + token * kLanes);
    for (int64_t lane = 0; lane < count; lane += kLanes) {
      const int64_t at = token * kPanel + lane;
      const Floats power = keep(lanes(lane, count), exp_exact(sub(load(logits + at), shift)));
      store(powers + at, power);
      sum = add(sum, power);
    }
    store(partial + token * kLanes, sum);
  }
}

/// weights = the softmax, and d_logits = weights (d_weights - products), for one panel.
void softmax_rows_backward(int64_t tokens, int64_t count, const float* logits,
                           const RowSoftmax& softmax, const float* products, float* weights,
                           const float* d_weights, float* d_logits) {
  for (int64_t token = 0; token < tokens; ++token) {
    const Floats shift = set1(softmax.maxima[token]);
    const Floats inverse = set1(softmax.inverse_sums[token]);
    const Floats product = set1(products[token]);
    for (int64_t lane = 0; lane < count; lane += kLanes) {
      const int64_t at = token * kPanel + lane;
      const Floats weight = mul(exp_exact(sub(load(logits + at), shift)), inverse);
      store(weights + at, weight);
      const Floats off = sub(load(d_weights + at), product);
      store(d_logits + at, mul(weight, off));
    }
  }
}

/// Divides the rows of `out` by the sums of their powers.
void divide_by_sums(const MixingShape& shape, const float* partial, float* inverse_sums,
                    float* out) {
  for (int64_t token = 0; token < shape.tokens; ++token) {
    const float sum = sum_of(load(partial + token * kLanes));
    inverse_sums[token] = 1.0F / sum;
    const Floats inverse = set1(inverse_sums[token]);
    for (int64_t channel = 0; channel < shape.dim; channel += kLanes) {
      float* const at = out + token * shape.dim + channel;
      store(at, mul(load(at), inverse));
    }
  }
}

template <bool kBf16>
void combine_forward(const MixingShape& shape, int64_t image, const float* logits,
                     Source expert_outputs, const RowSoftmax& softmax, float* out, float* scratch) {
  Scratch memory(scratch);
  const int64_t block = shape.slots() < kBlockSlots ? shape.slots() : kBlockSlots;
  const int64_t rows = shape.tokens < kBlockTokens ? shape.tokens : kBlockTokens;
  float* const partial = memory.take(shape.tokens * kLanes);
  SlotValues<kBf16> values(shape, block, rows, memory);
  float* const powers = memory.take(rows * round_up(block, kPanel));
  row_maxima(shape, logits, partial, softmax.maxima);
  __builtin_memset(partial, 0, static_cast<size_t>(shape.tokens * kLanes) * sizeof(float));
  for (int64_t first = 0; first < shape.slots(); first += block) {
    const int64_t count = shape.slots() - first < block ? shape.slots() - first : block;
    values.load(image, first, count, expert_outputs);
    for (int64_t token = 0; token < shape.tokens; token += rows) {
      const int64_t tokens = shape.tokens - token < rows ? shape.tokens - token : rows;
      for (int64_t slot = 0; slot < count; slot += kPanel) {
        powers_of(tokens, panel_slots(shape, (first + slot) / kPanel),
                  logits + (first + slot) * shape.tokens + token * kPanel, softmax.maxima + token,
                  powers + slot * tokens, partial + token * kLanes);
      }
      values.sum(powers, tokens, /*accumulate=*/first > 0, out + token * shape.dim);
    }
  }
  divide_by_sums(shape, partial, softmax.inverse_sums, out);
}

void soft_combine_forward(const MixingShape& shape, int64_t image, const float* logits,
                          Source expert_outputs, const RowSoftmax& softmax, float* out,
                          float* scratch) {
  const auto run = kMixesBf16 && expert_outputs.bf16 != nullptr ? combine_forward<kMixesBf16>
                                                                : combine_forward<false>;
  run(shape, image, logits, expert_outputs, softmax, out, scratch);
}

template <bool kBf16>
void combine_backward(const MixingShape& shape, int64_t image, const float* logits,
                      const RowSoftmax& softmax, Source expert_outputs, const float* out,
                      const float* d_out, Target d_expert_outputs, float* d_logits,
                      float* scratch) {
  Scratch memory(scratch);
  float* const products = memory.take(shape.tokens);
  const TokenSums<kBf16> d_out_sums(shape, d_out, memory);
  const TokenRows<kBf16> d_out_rows(shape, d_out, memory);
  SlotValues<kBf16> outputs(shape, kPanel, shape.tokens, memory);
  float* const d_outputs = memory.take(channels_room(shape, kPanel));
  float* const weights = memory.take(shape.tokens * kPanel);
  float* const d_weights = memory.take(shape.tokens * kPanel);
  // The sum over slots of weight * d_weight is the product of the token's output and gradient.
  for (int64_t token = 0; token < shape.tokens; ++token) {
    products[token] = dot(out + token * shape.dim, d_out + token * shape.dim, shape.dim);
  }
  for (int64_t panel = 0; panel < shape.panels(); ++panel) {
    const int64_t count = panel_slots(shape, panel);
    const int64_t at = panel * shape.tokens * kPanel;
    outputs.load(image, panel * kPanel, count, expert_outputs);
    d_out_rows.multiply(outputs.panel(0, count), count, d_weights);
    softmax_rows_backward(shape.tokens, count, logits + at, softmax, products, weights, d_weights,
                          d_logits + at);
    d_out_sums.sum(weights, count, d_outputs);
    store_slots(shape, image, panel * kPanel, count, d_outputs, d_expert_outputs);
  }
}

void soft_combine_backward(const MixingShape& shape, int64_t image, const float* logits,
                           const RowSoftmax& softmax, Source expert_outputs, const float* out,
                           const float* d_out, Target d_expert_outputs, float* d_logits,
                           float* scratch) {
  const auto run = kMixesBf16 && expert_outputs.bf16 != nullptr ? combine_backward<kMixesBf16>
                                                                : combine_backward<false>;
  run(shape, image, logits, softmax, expert_outputs, out, d_out, d_expert_outputs, d_logits,
      scratch);
}

}  // namespace

const SoftCombineKernels kSoftCombineKernels{.soft_combine_forward = soft_combine_forward,
                                             .soft_combine_backward = soft_combine_backward};

}  // namespace softmoe::kernels::SOFTMOE_LEVEL
