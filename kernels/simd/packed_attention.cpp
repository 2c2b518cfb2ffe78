#include "kernels/simd/groups.h"
#include "kernels/simd/math.h"

namespace softmoe::kernels::SOFTMOE_LEVEL {
namespace {

#ifdef SOFTMOE_MATRIX_PRODUCTS
/// Queries whose scores are held at a time.
constexpr int64_t kQueries = 112;
/// Units of tokens are a multiple of it.
constexpr int64_t kUnits = kMatrixUnits;
#else
constexpr int64_t kQueries = kPanelVectors > 2 ? 72 : 28;
constexpr int64_t kUnits = 1;
#endif

/// Scratch memory of one head.
struct Head {
  Unit* keys;            // [panels of tokens, units of head_dim, 32]
  Unit* values;          // [panels of head_dim, units of tokens, 32]
  Unit* normed_queries;  // [tokens, units of head_dim]
  Unit* normed_keys;     // [tokens, units of head_dim]
  float* row;            // [head_dim]
  float* scores;         // [queries, tokens padded]
  Unit* weights;         // [queries, units of tokens padded]
  float* inverse_sums;   // [queries]
  int64_t depth;         // units of head_dim
  int64_t units;         // units of tokens, those behind the last token zero
  int64_t score_stride;
  int64_t weight_stride;
  int64_t size;  // of all
};

Head divide(const PackedAttention& attention, Unit* scratch) {
  Head head{};
  head.depth = units_of(attention.precision, attention.head_dim);
  head.units = round_up(units_of(attention.precision, attention.tokens), kUnits);
  head.score_stride = panels_of(attention.tokens) * kPanelColumns;
  // A whole number of vectors, and odd in cache lines.
  head.weight_stride = round_up(head.units, 32) + 16;
  int64_t used = 0;
  const auto take = [&](int64_t size) {
    const int64_t first = used;
    used += round_up(size, 16);
    return scratch == nullptr ? nullptr : scratch + first;
  };
  const auto take_floats = [&](int64_t size) { return reinterpret_cast<float*>(take(size)); };
  head.keys = take(panels_of(attention.tokens) * head.depth * kPanelColumns);
  head.values = take(panels_of(attention.head_dim) * head.units * kPanelColumns);
  if (attention.query_norm != nullptr) {
    head.normed_queries = take(attention.tokens * head.depth);
    head.normed_keys = take(attention.tokens * head.depth);
  }
  head.row = take_floats(attention.head_dim);
  head.scores = take_floats(kQueries * head.score_stride);
  head.weights = take(kQueries * head.weight_stride);
  head.inverse_sums = take_floats(kQueries);
  head.size = used;
  return head;
}

const Unit* as_units(Source source) {
  return source.bf16 != nullptr ? reinterpret_cast<const Unit*>(source.bf16)
                                : reinterpret_cast<const Unit*>(source.fp32);
}

/// QK-norm of all rows of one head.
void normed_rows(const PackedAttention& attention, const float* weight, Source rows, int64_t stride,
                 const Head& head, Unit* out) {
  const RowNorm norm{attention.head_dim, attention.norm_eps, weight, nullptr};
  const bool is_bf16 = attention.precision == Precision::kBFloat16;
  for (int64_t token = 0; token < attention.tokens; ++token) {
    kFactorKernels.encode_row(Precision::kFloat32, rows.offset(token * stride), attention.head_dim,
                              1.0F, reinterpret_cast<Unit*>(head.row));
    Unit* const target = out + token * head.depth;
    kFactorKernels.norm_rows(norm, head.row, 0, 1,
                             is_bf16 ? nullptr : reinterpret_cast<float*>(target), 0,
                             is_bf16 ? reinterpret_cast<Bf16*>(target) : nullptr, 0);
  }
}

void pack_keys(const PackedAttention& attention, const Unit* keys, int64_t stride,
               const Head& head) {
  for (int64_t token = 0; token < attention.tokens; token += kPanelColumns) {
    kFactorKernels.pack_panel(keys + token * stride, stride, attention.tokens - token, head.depth,
                              head.keys + token * head.depth);
  }
}

void pack_values(const PackedAttention& attention, Source values, int64_t stride,
                 const Head& head) {
  const int64_t each = values_per_unit(attention.precision);
  const int64_t units = units_of(attention.precision, attention.tokens);
  for (int64_t unit = 0; unit < units; ++unit) {
    const int64_t token = unit * each;
    const bool has_second = each == 2 && token + 1 < attention.tokens;
    kFactorKernels.pack_depth_unit(attention.precision, values.offset(token * stride),
                                   has_second ? values.offset((token + 1) * stride) : Source{},
                                   attention.head_dim, head.values + unit * kPanelColumns,
                                   head.units * kPanelColumns);
  }
  for (int64_t panel = 0; panel < panels_of(attention.head_dim); ++panel) {
    __builtin_memset(head.values + (panel * head.units + units) * kPanelColumns, 0,
                     static_cast<size_t>((head.units - units) * kPanelColumns) * sizeof(Unit));
  }
}

/// Rows whose powers are taken together, so that a sum does not wait for the one before.
constexpr int kPowerRows = 4;
static_assert(kQueries % kPowerRows == 0);

/// Powers of the scores of kPowerRows rows, the largest of which is 1, and the inverse of their
/// sum; zero up to the end of the last of `units` units. If causal, row 0 of the scores sees
/// `seen` tokens and each row one more than the row before, else all rows see `tokens`.
template <bool kBf16, bool kCausal>
void power_rows(int64_t first, int64_t tokens, int64_t seen, int64_t units, const Head& head) {
  const int64_t padded = units * (kBf16 ? 2 : 1);
  const auto mask_of = [&](int row, int64_t at) {
    const int64_t last = seen + first + row;
    return lanes(at, kCausal && last < tokens ? last : tokens);
  };
  const float* const scores = head.scores + first * head.score_stride;
  Floats shift[kPowerRows];
  Floats sum[kPowerRows];
#pragma GCC unroll 4
  for (int row = 0; row < kPowerRows; ++row) {
    shift[row] = set1(-__builtin_inff());
    sum[row] = zero();
  }
  for (int64_t at = 0; at < tokens; at += kLanes) {
    const Mask all = lanes(at, tokens);
#pragma GCC unroll 4
    for (int row = 0; row < kPowerRows; ++row) {
      const Mask mask = kCausal ? mask_of(row, at) : all;
      shift[row] = max(mask, shift[row], load(scores + row * head.score_stride + at));
    }
  }
#pragma GCC unroll 4
  for (int row = 0; row < kPowerRows; ++row) {
    shift[row] = set1(max_of(shift[row]));
  }
  for (int64_t at = 0; at < padded; at += kLanes) {
    const Mask all = lanes(at, tokens);
#pragma GCC unroll 4
    for (int row = 0; row < kPowerRows; ++row) {
      const Mask mask = kCausal ? mask_of(row, at) : all;
      const Floats off = sub(load(scores + row * head.score_stride + at), shift[row]);
      const Floats power = keep(mask, kBf16 ? exp2_rough(off) : exp_exact(off));
      sum[row] = add(sum[row], power);
      Unit* const weights = head.weights + (first + row) * head.weight_stride;
      if constexpr (kBf16) {
        store_bf16(reinterpret_cast<Bf16*>(weights) + at, power);
      } else {
        store(reinterpret_cast<float*>(weights) + at, power);
      }
    }
  }
#pragma GCC unroll 4
  for (int row = 0; row < kPowerRows; ++row) {
    head.inverse_sums[first + row] = 1.0F / sum_of(sum[row]);
  }
}

/// power_rows() of `rows` scores, of which row 0 is that of query `query`.
template <bool kBf16>
void power_all_rows(const PackedAttention& attention, int64_t query, int64_t rows, int64_t tokens,
                    int64_t units, const Head& head) {
  for (int64_t row = 0; row < rows; row += kPowerRows) {
    attention.causal ? power_rows<kBf16, true>(row, tokens, query + 1, units, head)
                     : power_rows<kBf16, false>(row, tokens, query + 1, units, head);
  }
}

int64_t attend_scratch(const PackedAttention& attention) { return divide(attention, nullptr).size; }

void attend(const PackedAttention& attention, int64_t head_index, Source qkv, int64_t qkv_stride,
            Target mixed, int64_t mixed_stride, Unit* scratch) {
  const Head head = divide(attention, scratch);
  const Precision precision = attention.precision;
  const bool is_bf16 = precision == Precision::kBFloat16;
  const auto product =
      is_bf16 ? kFloatProductKernels.product_bf16 : kFloatProductKernels.product_fp32;
  const int64_t first = head_index * attention.head_dim;
  const Source query_rows = qkv.offset(first);
  const Source key_rows = qkv.offset(attention.dim() + first);
  LeftUnits queries{as_units(query_rows), qkv_stride / values_per_unit(precision)};
  if (attention.query_norm != nullptr) {
    normed_rows(attention, attention.query_norm, query_rows, qkv_stride, head, head.normed_queries);
    normed_rows(attention, attention.key_norm, key_rows, qkv_stride, head, head.normed_keys);
    queries = {head.normed_queries, head.depth};
    pack_keys(attention, head.normed_keys, head.depth, head);
  } else {
    pack_keys(attention, as_units(key_rows), queries.row_stride, head);
  }
  pack_values(attention, qkv.offset(2 * attention.dim() + first), qkv_stride, head);
  const RightPanels keys{head.keys, head.depth * kPanelColumns};
  const RightPanels values{head.values, head.units * kPanelColumns};
  const Target out = mixed.offset(first);
  const int64_t blocks = (attention.tokens + kQueries - 1) / kQueries;
  // In even blocks where they are large.
  const int64_t even = round_up((attention.tokens + blocks - 1) / blocks, kUnits);
  const int64_t block = kUnits > 1 ? even : kQueries;
  for (int64_t query = 0; query < attention.tokens; query += block) {
    const int64_t rows = attention.tokens - query < block ? attention.tokens - query : block;
    // Keys that no query of the block sees are left out.
    const int64_t tokens = attention.causal ? query + rows : attention.tokens;
    const int64_t units = round_up(units_of(precision, tokens), kUnits);
    product({rows, panels_of(tokens) * kPanelColumns, head.depth},
            {queries.data + query * queries.row_stride, queries.row_stride}, keys,
            {.out = {.fp32 = head.scores}, .out_stride = head.score_stride});
    is_bf16 ? power_all_rows<true>(attention, query, rows, tokens, units, head)
            : power_all_rows<false>(attention, query, rows, tokens, units, head);
    product({rows, attention.head_dim, units}, {head.weights, head.weight_stride}, values,
            {.out = out.offset(query * mixed_stride),
             .out_stride = mixed_stride,
             .row_factors = head.inverse_sums});
  }
}

}  // namespace

const PackedAttentionKernels kPackedAttentionKernels{.attend_scratch = attend_scratch,
                                                     .attend = attend};

}  // namespace softmoe::kernels::SOFTMOE_LEVEL
