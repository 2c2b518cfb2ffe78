#include "ops/fused/row_passes.h"

#include <algorithm>

#include "kernels/table.h"
#include "ops/tensor_pointers.h"
#include "runtime/thread_team.h"

namespace softmoe::fused {
namespace {

/// Calls function(first, last) for each thread's share of `count` rows.
template <typename Function>
void for_each_share(int64_t count, const Function& function) {
  run_team([&](const ThreadTeam& team) {
    const auto share = team.share(count);
    function(share.first, share.last);
  });
}

/// What sums over values of type T are computed in.
template <typename T>
using Sum = std::conditional_t<std::is_same_v<T, double>, double, float>;

/// The passes over values of types T, of the rows, and Other, of what they are copied or summed to:
/// for fp64, and for levels without kernels.
template <typename T, typename Other>
struct Portable {
  static const Sum<T>* gates(const torch::Tensor& gate) {
    return gate.defined() ? gate.const_data_ptr<Sum<T>>() : nullptr;
  }

  static void take(const torch::Tensor& x, const int64_t* index, int64_t first, int64_t last,
                   const torch::Tensor& out) {
    const int64_t dim = x.size(-1);
    const T* const source = x.const_data_ptr<T>();
    for (int64_t row = first; row < last; ++row) {
      Other* const target = out.data_ptr<Other>() + row * dim;
      if (index[row] < 0) {
        std::fill_n(target, dim, Other(0));
      } else {
        std::transform(source + index[row] * dim, source + (index[row] + 1) * dim, target,
                       [](T value) { return static_cast<Other>(value); });
      }
    }
  }

  static void sum(const torch::Tensor& x, const torch::Tensor& gate, const RowsOfTargets& rows,
                  int64_t first, int64_t last, const torch::Tensor& out) {
    const int64_t dim = x.size(-1);
    const auto* const factors = gates(gate);
    std::vector<Sum<T>> sums(static_cast<size_t>(dim));
    for (int64_t target = first; target < last; ++target) {
      std::fill(sums.begin(), sums.end(), Sum<T>(0));
      for (auto at = rows.first[target]; at < rows.first[target + 1]; ++at) {
        const T* const source = x.const_data_ptr<T>() + rows.row[at] * dim;
        const auto factor = factors != nullptr ? factors[rows.row[at]] : Sum<T>(1);
        for (int64_t channel = 0; channel < dim; ++channel) {
          sums[channel] += factor * static_cast<Sum<T>>(source[channel]);
        }
      }
      std::transform(sums.begin(), sums.end(), out.data_ptr<Other>() + target * dim,
                     [](Sum<T> value) { return static_cast<Other>(value); });
    }
  }

  static void sum_backward(const torch::Tensor& x, const torch::Tensor& gate,
                           const int64_t* target_of, const torch::Tensor& d_out, int64_t first,
                           int64_t last, const torch::Tensor& d_x, const torch::Tensor& d_gate) {
    const int64_t dim = d_out.size(-1);
    const auto* const factors = gates(gate);
    for (int64_t row = first; row < last; ++row) {
      T* const target = d_x.data_ptr<T>() + row * dim;
      const auto factor = factors != nullptr ? factors[row] : Sum<T>(1);
      if (target_of[row] < 0) {
        std::fill_n(target, dim, T(0));
      } else {
        const Other* const gradient = d_out.const_data_ptr<Other>() + target_of[row] * dim;
        std::transform(gradient, gradient + dim, target, [factor](Other value) {
          return static_cast<T>(factor * static_cast<Sum<T>>(value));
        });
      }
    }
    if (!d_gate.defined()) {
      return;
    }
    for (int64_t row = first; row < last; ++row) {
      Sum<T> product = 0;
      if (target_of[row] >= 0) {
        const T* const value = x.const_data_ptr<T>() + row * dim;
        const Other* const gradient = d_out.const_data_ptr<Other>() + target_of[row] * dim;
        for (int64_t channel = 0; channel < dim; ++channel) {
          product += static_cast<Sum<T>>(value[channel]) * static_cast<Sum<T>>(gradient[channel]);
        }
      }
      d_gate.data_ptr<Sum<T>>()[row] = product;
    }
  }
};

/// The passes over values of fp32 or bf16 by the kernels.
struct Vectorised {
  static void zero(kernels::Target out, int64_t dim) {
    if (out.bf16 != nullptr) {
      std::fill_n(out.bf16, dim, kernels::Bf16(0));
    } else {
      std::fill_n(out.fp32, dim, 0.0F);
    }
  }

  static void take(const torch::Tensor& x, const int64_t* index, int64_t first, int64_t last,
                   const torch::Tensor& out) {
    const int64_t dim = x.size(-1);
    const auto [source, target] = std::pair(source_of(x), target_of(out));
    for (int64_t row = first; row < last; ++row) {
      if (index[row] < 0) {
        zero(target.offset(row * dim), dim);
      } else {
        kernels::table().copy_row(source.offset(index[row] * dim), dim, target.offset(row * dim));
      }
    }
  }

  static void sum(const torch::Tensor& x, const torch::Tensor& gate, const RowsOfTargets& rows,
                  int64_t first, int64_t last, const torch::Tensor& out) {
    const int64_t dim = x.size(-1);
    const auto [source, target] = std::pair(source_of(x), target_of(out));
    for (int64_t at = first; at < last; ++at) {
      const int64_t begin = rows.first[at];
      kernels::table().sum_rows({.rows = source,
                                 .stride = dim,
                                 .gate = fp32_or_null(gate),
                                 .index = rows.row.data() + begin,
                                 .count = rows.first[at + 1] - begin},
                                dim, target.offset(at * dim));
    }
  }

  static void sum_backward(const torch::Tensor& x, const torch::Tensor& gate,
                           const int64_t* target_of_row, const torch::Tensor& d_out, int64_t first,
                           int64_t last, const torch::Tensor& d_x, const torch::Tensor& d_gate) {
    const int64_t dim = d_out.size(-1);
    const auto gradient = source_of(d_out);
    const auto target = target_of(d_x);
    const float* const factors = fp32_or_null(gate);
    float* const d_factors = writable_or_null(d_gate);
    for (int64_t row = first; row < last; ++row) {
      float product = 0.0F;
      const auto at = target.offset(row * dim);
      const auto out_row = gradient.offset(target_of_row[row] * dim);
      if (target_of_row[row] < 0) {
        zero(at, dim);
      } else if (d_factors != nullptr) {
        product = kernels::table().scale_row(source_of(x).offset(row * dim), out_row, factors[row],
                                             dim, at);
      } else if (factors != nullptr) {
        kernels::table().scale_row(out_row, out_row, factors[row], dim, at);
      } else {
        kernels::table().copy_row(out_row, dim, at);
      }
      if (d_factors != nullptr) {
        d_factors[row] = product;
      }
    }
  }
};

/// Calls function(implementation) with the one for rows of `dtype` and the `other` of the call.
template <typename Function>
void dispatch(torch::Dtype dtype, torch::Dtype other, const Function& function) {
  const bool reduced = dtype == torch::kBFloat16;
  const bool other_reduced = other == torch::kBFloat16;
  if (dtype == torch::kFloat64) {
    function(Portable<double, double>{});
  } else if (kernels::has(kernels::Need::kFp32)) {
    function(Vectorised{});
  } else if (reduced) {
    other_reduced ? function(Portable<c10::BFloat16, c10::BFloat16>{})
                  : function(Portable<c10::BFloat16, float>{});
  } else {
    other_reduced ? function(Portable<float, c10::BFloat16>{}) : function(Portable<float, float>{});
  }
}

/// Throws c10::ValueError unless `index` holds numbers of `count` rows, or -1.
void check_indices(const torch::Tensor& index, int64_t count) {
  const auto* const values = index.const_data_ptr<int64_t>();
  const bool fits = index.is_contiguous() &&
                    std::all_of(values, values + index.numel(),
                                [count](int64_t value) { return value >= -1 && value < count; });
  TORCH_CHECK_VALUE(fits, "row_passes: indices must be contiguous and in [-1, ", count, ")");
}

}  // namespace

bool takes_rows(const torch::Tensor& x) {
  const auto dtype = x.scalar_type();
  return x.is_cpu() &&
         (dtype == torch::kFloat32 || dtype == torch::kBFloat16 || dtype == torch::kFloat64);
}

RowsOfTargets rows_of_targets(const torch::Tensor& target_of, int64_t targets) {
  check_indices(target_of, targets);
  const auto* const target = target_of.const_data_ptr<int64_t>();
  const int64_t count = target_of.numel();
  RowsOfTargets rows;
  // A counting sort: how many, where each begins, and then its rows one by one.
  rows.first.assign(static_cast<size_t>(targets) + 1, 0);
  for (int64_t row = 0; row < count; ++row) {
    if (target[row] >= 0) {
      ++rows.first[target[row] + 1];
    }
  }
  for (int64_t index = 0; index < targets; ++index) {
    rows.first[index + 1] += rows.first[index];
  }
  rows.row.resize(static_cast<size_t>(rows.first.back()));
  auto next = rows.first;
  for (int64_t row = 0; row < count; ++row) {
    if (target[row] >= 0) {
      rows.row[next[target[row]]++] = row;
    }
  }
  return rows;
}

void take_rows(const torch::Tensor& x, const torch::Tensor& index, const torch::Tensor& out) {
  check_indices(index, x.numel() / x.size(-1));
  const auto* const at = index.const_data_ptr<int64_t>();
  dispatch(x.scalar_type(), out.scalar_type(), [&](const auto& kernel) {
    for_each_share(index.numel(),
                   [&](int64_t first, int64_t last) { kernel.take(x, at, first, last, out); });
  });
}

void sum_rows(const torch::Tensor& x, const torch::Tensor& gate, const RowsOfTargets& rows,
              const torch::Tensor& out) {
  dispatch(x.scalar_type(), out.scalar_type(), [&](const auto& kernel) {
    for_each_share(rows.targets(), [&](int64_t first, int64_t last) {
      kernel.sum(x, gate, rows, first, last, out);
    });
  });
}

void sum_rows_backward(const torch::Tensor& x, const torch::Tensor& gate,
                       const torch::Tensor& target_of, const torch::Tensor& d_out,
                       const torch::Tensor& d_x, const torch::Tensor& d_gate) {
  check_indices(target_of, d_out.numel() / d_out.size(-1));
  const auto* const targets = target_of.const_data_ptr<int64_t>();
  dispatch(d_x.scalar_type(), d_out.scalar_type(), [&](const auto& kernel) {
    for_each_share(target_of.numel(), [&](int64_t first, int64_t last) {
      kernel.sum_backward(x, gate, targets, d_out, first, last, d_x, d_gate);
    });
  });
}

}  // namespace softmoe::fused
