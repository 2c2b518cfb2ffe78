// Attention for training and for inference.

#include <array>

#include "kernels/values/kernel_values.h"

namespace softmoe::kernels::values {
namespace {

void add_training(const KernelTable& table, Precision precision, int64_t tokens, int64_t head_dim,
                  bool has_norm, Results& results) {
  const AttentionShape shape{.tokens = tokens, .heads = 3, .head_dim = head_dim, .norm_eps = 1e-3F};
  const auto name =
      enum_name(precision) + " " + std::to_string(tokens) + " tokens" + (has_norm ? " normed" : "");
  const auto qkv = Array::random(precision, 3 * tokens * shape.dim(), 1);
  const auto d_mixed = Array::random(precision, tokens * shape.dim(), 2);
  const auto weights = random_floats(2 * head_dim, 3);
  const QkNorm norm = has_norm ? QkNorm{weights.data(), weights.data() + head_dim} : QkNorm{};
  const int64_t size = table.attention_scratch(shape);
  results.add_exact("attention_scratch " + name, std::vector<int64_t>{size});
  auto scratch = unwritten_floats(size);
  auto mixed = Array::unwritten(precision, tokens * shape.dim());
  auto d_qkv = Array::unwritten(precision, 3 * tokens * shape.dim());
  auto d_norm = random_floats(shape.heads * 2 * head_dim, 4);
  // In two parts, as two threads would.
  for (const auto& heads : {HeadRange{0, 1}, HeadRange{1, shape.heads}}) {
    table.attention_forward(shape, heads, norm, qkv.source(), mixed.target(), scratch.data());
    table.attention_backward(shape, heads, norm, qkv.source(), d_mixed.source(), d_qkv.target(),
                             has_norm ? d_norm.data() : nullptr, scratch.data());
  }
  results.add("attention_forward " + name, mixed);
  results.add("attention_backward " + name, d_qkv);
  results.add_sums("attention_backward weights " + name, d_norm);
}

void add_inference(const KernelTable& table, Precision precision, int64_t tokens, bool has_norm,
                   bool causal, Results& results) {
  constexpr int64_t kHeadDim = 22;
  const auto weights = random_floats(2 * kHeadDim, 5, 1.0F);
  const PackedAttention attention{.precision = precision,
                                  .tokens = tokens,
                                  .heads = 3,
                                  .head_dim = kHeadDim,
                                  .query_norm = has_norm ? weights.data() : nullptr,
                                  .key_norm = has_norm ? weights.data() + kHeadDim : nullptr,
                                  .norm_eps = 1e-3F,
                                  .causal = causal};
  const auto name = enum_name(precision) + " " + std::to_string(tokens) + " tokens" +
                    (has_norm ? " normed" : "") + (causal ? " causal" : "");
  const int64_t qkv_stride = 3 * attention.dim() + 4;
  const int64_t mixed_stride = attention.dim() + 2;
  const auto qkv = Array::random(precision, tokens * qkv_stride, 6, 1.0F);
  auto mixed = Array::unwritten(precision, tokens * mixed_stride);
  const int64_t size = table.attend_scratch(attention);
  // Levels hold different numbers of queries.
  results.add_exact("attend_scratch " + name, std::vector<bool>{size > 0});
  auto scratch = unwritten_units(size);
  for (int64_t head = 0; head < attention.heads; ++head) {
    table.attend(attention, head, qkv.source(), qkv_stride, mixed.target(), mixed_stride,
                 scratch.data());
  }
  results.add("attend " + name, mixed);
}

}  // namespace

void add_attention_values(const KernelTable& table, Results& results) {
  for (const auto precision : kPrecisions) {
    for (const bool has_norm : {false, true}) {
      add_training(table, precision, 1, 32, has_norm, results);
      add_training(table, precision, 21, 16, has_norm, results);
      for (const bool causal : {false, true}) {
        add_inference(table, precision, 7, has_norm, causal, results);
        add_inference(table, precision, 53, has_norm, causal, results);
      }
    }
  }
}

}  // namespace softmoe::kernels::values
