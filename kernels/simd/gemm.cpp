#include "kernels/simd/activations.h"
#include "kernels/simd/groups.h"
#include "kernels/simd/tiles.h"

namespace softmoe::kernels::SOFTMOE_LEVEL {
namespace {

/// Rows of a tile.
template <typename Steps>
constexpr int kGemmRows = kMaxRows<Steps> < kTileRows ? kMaxRows<Steps>
                                                      : static_cast<int>(kTileRows);

/// Walks through upcoming memory, a column of cache lines after the other.
class Fetcher {
 public:
  explicit Fetcher(const Upcoming& next) : next_(next) {}

  /// The next `count` lines, or one line at `otherwise` if all have been fetched.
  Ahead take(int64_t count, const Unit* otherwise) {
    if (line_ >= next_.lines) {
      return {reinterpret_cast<const char*>(otherwise), 0};
    }
    const char* const first = next_.data + row_ * next_.stride + line_ * 64;
    row_ += count;
    if (row_ >= next_.rows) {
      row_ = 0;
      ++line_;
    }
    return {first, next_.stride};
  }

 private:
  Upcoming next_;
  int64_t row_ = 0;
  int64_t line_ = 0;
};

/// Computes the sums of all rows of one panel, and hands them on as finish(row, sums of the 32
/// columns). prepare(row) comes before the sums: rows are far apart in memory, so that what
/// finish() reads and writes would not arrive in time by itself.
template <typename Steps, int kLines, typename Prepare, typename Finish>
inline void panel_rows(const LeftUnits& a, int64_t rows, const Unit* panel, int64_t units,
                       const float* start, Fetcher& fetcher, const Prepare& prepare,
                       const Finish& finish) {
  const RowBlocks<Steps, kGemmRows<Steps>> blocks(rows);
  alignas(64) float sums[kBlockRows<Steps, kGemmRows<Steps>> * kPanelColumns];
  for (int64_t index = 0; index < blocks.count(); ++index) {
    const int64_t first = blocks.first(index);
    const int64_t count = blocks.first(index + 1) - first;
    for (int64_t row = 0; row < count; ++row) {
      prepare(first + row);
    }
    sum_block<Steps, kGemmRows<Steps>, kLines>(
        a, first, count, panel, units, start,
        [&](int64_t, int64_t, int64_t depth) {
          return kLines > 0 ? fetcher.take(depth, panel) : Ahead{};
        },
        sums);
    for (int64_t row = 0; row < count; ++row) {
      finish(first + row, sums + row * kPanelColumns);
    }
  }
}

/// Calls prepare(at) and finish(at, mask, low, high) for every pair of vectors of every row of
/// every panel, where `at` is the index of the pair's first column in matrices with rows `stride`
/// apart; prepare() once per row.
template <typename Steps, int kLines, typename Prepare, typename Finish>
inline void product_in(const GemmShape& shape, const LeftUnits& a, const Unit* b, const float* bias,
                       int64_t stride, const Prepare& prepare, const Finish& finish) {
  const typename Steps::Registers registers(shape.rows);
  Fetcher fetcher(shape.next);
  for (int64_t column = 0; column < shape.columns; column += kPanelColumns) {
    alignas(64) float start[kPanelColumns] = {};
    if (bias != nullptr) {
      for (int64_t at = 0; at < kPanelColumns; at += kLanes) {
        store(start + at, load(lanes(column + at, shape.columns), bias + column + at));
      }
    }
    panel_rows<Steps, kLines>(
        a, shape.rows, b + column * shape.units, shape.units, start, fetcher,
        [&](int64_t row) { prepare(row * stride + column); },
        [&](int64_t row, const float* sums) {
#pragma GCC unroll 4
          for (int64_t at = 0; at < kPanelColumns; at += 2 * kLanes) {
            finish(row * stride + column + at, pair_lanes(column + at, shape.columns),
                   load(sums + at), load(sums + at + kLanes));
          }
        });
  }
}

/// product_in() for the precision of the factors, with a line fetched per unit if any is wanted.
template <typename Prepare, typename Finish>
inline void product(const GemmShape& shape, const LeftUnits& a, const Unit* b, const float* bias,
                    int64_t stride, const Prepare& prepare, const Finish& finish) {
  const bool fetches = shape.next.lines > 0;
  if (shape.precision == Precision::kFloat32) {
    fetches ? product_in<Fp32Steps, 1>(shape, a, b, bias, stride, prepare, finish)
            : product_in<Fp32Steps, 0>(shape, a, b, bias, stride, prepare, finish);
  } else {
    fetches ? product_in<Bf16Steps, 1>(shape, a, b, bias, stride, prepare, finish)
            : product_in<Bf16Steps, 0>(shape, a, b, bias, stride, prepare, finish);
  }
}

void gemm(const GemmShape& shape, const LeftUnits& a, const Unit* b, const float* bias,
          const float* residual, Target out, int64_t out_stride) {
  if (residual != nullptr) {
    product(
        shape, a, b, bias, out_stride,
        [&](int64_t at) {
          fetch(Source{.fp32 = residual}, at);
          fetch(out, at);
        },
        [&](int64_t at, PairMask mask, Floats low, Floats high) {
          store_pair(out.fp32 + at, mask, add(low, load(low_lanes(mask), residual + at)),
                     add(high, load(high_lanes(mask), residual + at + kLanes)));
        });
  } else {
    product(
        shape, a, b, bias, out_stride, [&](int64_t at) { fetch(out, at); },
        [&](int64_t at, PairMask mask, Floats low, Floats high) {
          store_pair(out, at, mask, low, high);
        });
  }
}

template <Activation kGelu, bool kExact>
void gemm_gelu_of(const GemmShape& shape, const LeftUnits& a, const Unit* b, const float* bias,
                  Target before, Target after, int64_t stride) {
  const auto activated = [&](int64_t at, PairMask mask, Floats low, Floats high) {
    store_pair(after, at, mask, gelu<kGelu, kExact>(low, nullptr),
               gelu<kGelu, kExact>(high, nullptr));
  };
  if (!before) {
    product(
        shape, a, b, bias, stride, [&](int64_t at) { fetch(after, at); }, activated);
    return;
  }
  product(
      shape, a, b, bias, stride,
      [&](int64_t at) {
        fetch(before, at);
        fetch(after, at);
      },
      [&](int64_t at, PairMask mask, Floats low, Floats high) {
        store_pair(before, at, mask, low, high);
        activated(at, mask, low, high);
      });
}

void gemm_gelu(const GemmShape& shape, const LeftUnits& a, const Unit* b, const float* bias,
               Activation gelu, Target before, Target after, int64_t stride) {
  constexpr auto kTanh = Activation::kGeluTanh;
  constexpr auto kErf = Activation::kGeluExact;
  const bool is_exact = shape.precision == Precision::kFloat32;
  const auto run = gelu == kTanh
                       ? (is_exact ? gemm_gelu_of<kTanh, true> : gemm_gelu_of<kTanh, false>)
                       : (is_exact ? gemm_gelu_of<kErf, true> : gemm_gelu_of<kErf, false>);
  run(shape, a, b, bias, before, after, stride);
}

template <Activation kGelu, bool kExact>
void gemm_gelu_backward_of(const GemmShape& shape, const LeftUnits& a, const Unit* b, Source before,
                           Target after, Target d_before, int64_t stride) {
  product(
      shape, a, b, /*bias=*/nullptr, stride,
      [&](int64_t at) {
        fetch(before, at);
        fetch(after, at);
        fetch(d_before, at);
      },
      [&](int64_t at, PairMask mask, Floats low, Floats high) {
        Floats slope_low;
        Floats slope_high;
        const Floats value_low = gelu<kGelu, kExact>(load(before, at, low_lanes(mask)), &slope_low);
        const Floats value_high =
            gelu<kGelu, kExact>(load(before, at + kLanes, high_lanes(mask)), &slope_high);
        store_pair(after, at, mask, value_low, value_high);
        store_pair(d_before, at, mask, mul(low, slope_low), mul(high, slope_high));
      });
}

void gemm_gelu_backward(const GemmShape& shape, const LeftUnits& a, const Unit* b, Activation gelu,
                        Source before, Target after, Target d_before, int64_t stride) {
  constexpr auto kTanh = Activation::kGeluTanh;
  constexpr auto kErf = Activation::kGeluExact;
  const bool is_exact = shape.precision == Precision::kFloat32;
  const auto run =
      gelu == kTanh
          ? (is_exact ? gemm_gelu_backward_of<kTanh, true> : gemm_gelu_backward_of<kTanh, false>)
          : (is_exact ? gemm_gelu_backward_of<kErf, true> : gemm_gelu_backward_of<kErf, false>);
  run(shape, a, b, before, after, d_before, stride);
}

/// Rows of the output of gemm_left_transposed that are computed for all columns before the next
/// ones are, so that they are written in long stretches.
template <typename Steps>
constexpr int64_t kWrittenRows = (Steps::kMatrices ? 12
                                  : kBlocksDepth   ? 6
                                                   : 4) *
                                 kTileRows;
/// Rows of it that are summed together: where rows of registers do not divide tiles, all.
template <typename Steps>
constexpr int64_t kSummedRows = Steps::kMatrices || kBlocksDepth ? kWrittenRows<Steps> : kTileRows;

/// Rows from `row` on, a multiple of kTileRows, of what pack_left_transposed() has packed.
template <typename Steps>
LeftUnits transposed_left(const Unit* y, int64_t row, int64_t units) {
  return Steps::kMatrices ? LeftUnits{y + row * units, units}
                          : LeftUnits{y + row * units, 1, kTileRows, kTileRows * units};
}

/// Rows [first, last) of one panel of `columns` columns.
template <typename Steps, OutputMode kMode>
inline void transposed_rows(int64_t first, int64_t last, int64_t units, const Unit* y,
                            const Unit* panel, int64_t columns, float* out, int64_t out_stride) {
  alignas(64) const float start[kPanelColumns] = {};
  Fetcher nothing_ahead{Upcoming{}};
  for (int64_t row = first; row < last; row += kSummedRows<Steps>) {
    const int64_t count = last - row < kSummedRows<Steps> ? last - row : kSummedRows<Steps>;
    const typename Steps::Registers registers(count);
    float* const corner = out + row * out_stride;
    panel_rows<Steps, 0>(
        transposed_left<Steps>(y, row, units), count, panel, units, start, nothing_ahead,
        [&](int64_t tile_row) {
          if constexpr (kMode != OutputMode::kStream) {
            fetch(Target{.fp32 = corner}, tile_row * out_stride);
          }
        },
        [&](int64_t tile_row, const float* sums) {
          float* const target = corner + tile_row * out_stride;
#pragma GCC unroll 8
          for (int64_t at = 0; at < kPanelColumns; at += kLanes) {
            const Mask mask = lanes(at, columns);
            if constexpr (kMode == OutputMode::kStream) {
              if (!is_empty(mask)) {
                stream(target + at, load(sums + at));
              }
            } else {
              const Floats sum = load(sums + at);
              store(target + at, mask,
                    kMode == OutputMode::kAdd ? add(sum, load(mask, target + at)) : sum);
            }
          }
        });
  }
}

template <typename Steps>
void gemm_left_transposed_of(const GemmShape& shape, int64_t first, int64_t last, const Unit* y,
                             const Unit* x, OutputMode mode, float* out, int64_t out_stride) {
  const auto rows_of_panel =
      mode == OutputMode::kReplace ? transposed_rows<Steps, OutputMode::kReplace>
      : mode == OutputMode::kAdd   ? transposed_rows<Steps, OutputMode::kAdd>
                                   : transposed_rows<Steps, OutputMode::kStream>;
  for (int64_t row = first; row < last; row += kWrittenRows<Steps>) {
    const int64_t end = row + kWrittenRows<Steps> < last ? row + kWrittenRows<Steps> : last;
    for (int64_t column = 0; column < shape.columns; column += kPanelColumns) {
      rows_of_panel(row, end, shape.units, y, x + column * shape.units, shape.columns - column,
                    out + column, out_stride);
    }
  }
  if (mode == OutputMode::kStream) {
    end_streams();
  }
}

void gemm_left_transposed(const GemmShape& shape, int64_t first, int64_t last, const Unit* y,
                          const Unit* x, OutputMode mode, float* out, int64_t out_stride) {
  const auto run = shape.precision == Precision::kFloat32 ? gemm_left_transposed_of<Fp32Steps>
                                                          : gemm_left_transposed_of<Bf16Steps>;
  run(shape, first, last, y, x, mode, out, out_stride);
}

}  // namespace

const GemmKernels kGemmKernels{.gemm = gemm,
                               .gemm_gelu = gemm_gelu,
                               .gemm_gelu_backward = gemm_gelu_backward,
                               .gemm_left_transposed = gemm_left_transposed};

}  // namespace softmoe::kernels::SOFTMOE_LEVEL
