#include "ops/fused/row_passes.h"

#include <algorithm>
#include <numeric>

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

/// The passes over values of fp64.
struct Fp64Passes {
  static const double* gates(const torch::Tensor& gate) {
    return gate.defined() ? gate.const_data_ptr<double>() : nullptr;
  }

  static void take(const torch::Tensor& x, const int64_t* index, int64_t first, int64_t last,
                   const torch::Tensor& out) {
    const int64_t dim = x.size(-1);
    const auto* const source = x.const_data_ptr<double>();
    for (int64_t row = first; row < last; ++row) {
      double* const target = out.data_ptr<double>() + row * dim;
      if (index[row] < 0) {
        std::fill_n(target, dim, 0.0);
      } else {
        std::copy_n(source + index[row] * dim, dim, target);
      }
    }
  }

  static void sum(const torch::Tensor& x, const torch::Tensor& gate, const RowsOfTargets& rows,
                  int64_t first, int64_t last, const torch::Tensor& out) {
    const int64_t dim = x.size(-1);
    const auto* const factors = gates(gate);
    for (int64_t at = first; at < last; ++at) {
      double* const target = out.data_ptr<double>() + at * dim;
      std::fill_n(target, dim, 0.0);
      for (auto index = rows.first[at]; index < rows.first[at + 1]; ++index) {
        const int64_t row = rows.row[index];
        const auto* const source = x.const_data_ptr<double>() + row * dim;
        const double factor = factors != nullptr ? factors[row] : 1.0;
        for (int64_t channel = 0; channel < dim; ++channel) {
          target[channel] += factor * source[channel];
        }
      }
    }
  }

  static void sum_backward(const torch::Tensor& x, const torch::Tensor& gate,
                           const int64_t* target_of_row, const torch::Tensor& d_out, int64_t first,
                           int64_t last, const torch::Tensor& d_x, const torch::Tensor& d_gate) {
    const int64_t dim = d_out.size(-1);
    const auto* const factors = gates(gate);
    for (int64_t row = first; row < last; ++row) {
      double* const target = d_x.data_ptr<double>() + row * dim;
      const double factor = factors != nullptr ? factors[row] : 1.0;
      double product = 0.0;
      if (target_of_row[row] < 0) {
        std::fill_n(target, dim, 0.0);
      } else {
        const auto* const gradient = d_out.const_data_ptr<double>() + target_of_row[row] * dim;
        std::transform(gradient, gradient + dim, target,
                       [factor](double value) { return factor * value; });
        if (d_gate.defined()) {
          product = std::inner_product(gradient, gradient + dim,
                                       x.const_data_ptr<double>() + row * dim, 0.0);
        }
      }
      if (d_gate.defined()) {
        d_gate.data_ptr<double>()[row] = product;
      }
    }
  }
};

/// The passes over values of fp32 or bf16 by the kernels.
struct KernelPasses {
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

/// Calls function(passes) with those for rows of `dtype`.
template <typename Function>
void dispatch(torch::Dtype dtype, const Function& function) {
  if (dtype == torch::kFloat64) {
    function(Fp64Passes{});
  } else {
    function(KernelPasses{});
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
  dispatch(x.scalar_type(), [&](const auto& passes) {
    for_each_share(index.numel(),
                   [&](int64_t first, int64_t last) { passes.take(x, at, first, last, out); });
  });
}

void sum_rows(const torch::Tensor& x, const torch::Tensor& gate, const RowsOfTargets& rows,
              const torch::Tensor& out) {
  dispatch(x.scalar_type(), [&](const auto& passes) {
    for_each_share(rows.targets(), [&](int64_t first, int64_t last) {
      passes.sum(x, gate, rows, first, last, out);
    });
  });
}

void sum_rows_backward(const torch::Tensor& x, const torch::Tensor& gate,
                       const torch::Tensor& target_of, const torch::Tensor& d_out,
                       const torch::Tensor& d_x, const torch::Tensor& d_gate) {
  check_indices(target_of, d_out.numel() / d_out.size(-1));
  const auto* const targets = target_of.const_data_ptr<int64_t>();
  dispatch(d_x.scalar_type(), [&](const auto& passes) {
    for_each_share(target_of.numel(), [&](int64_t first, int64_t last) {
      passes.sum_backward(x, gate, targets, d_out, first, last, d_x, d_gate);
    });
  });
}

}  // namespace softmoe::fused
