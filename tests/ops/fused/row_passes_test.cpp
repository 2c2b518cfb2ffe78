#include "ops/fused/row_passes.h"

#include <ATen/Parallel.h>

#include "support/levels.h"
#include "support/tensor_matcher.h"

namespace softmoe::fused::row_passes_test {

using test::all_close;
using test::on_every_level;
using test::same_bits;
using test::Tolerance;

constexpr int64_t kTargets = 7;
constexpr int64_t kDim = 37;  // more than two vectors, and a rest

/// Dtypes of rows and of what they are copied or summed to.
struct RowCase {
  std::string name;
  torch::Dtype rows;
  torch::Dtype other;
};
void PrintTo(const RowCase& test_case, std::ostream* out) { *out << test_case.name; }

class RowPasses : public testing::TestWithParam<RowCase> {
 protected:
  void SetUp() override {
    at::manual_seed(3);
    // Targets 2 and 6 get nothing, target 4 more than two rows; two rows belong to nobody.
    target_of_ = torch::tensor({4, 0, -1, 4, 1, 3, 4, -1, 0, 4, 5}, torch::kInt64);
    precision_ = GetParam().rows == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
    x_ = torch::randn({target_of_.size(0), kDim}).to(GetParam().rows);
    y_ = torch::randn({kTargets, kDim}).to(GetParam().other);
    gate_ = torch::rand({target_of_.size(0)}, precision_) + 0.5;
  }

  /// The matrix [targets, rows] that sums each target's rows, weighted by `gate`.
  torch::Tensor matrix(const torch::Tensor& gate) const {
    auto matrix = torch::zeros({kTargets, target_of_.size(0)}, torch::kFloat64);
    for (int64_t row = 0; row < target_of_.size(0); ++row) {
      if (target_of_[row].item<int64_t>() >= 0) {
        matrix[target_of_[row]][row] = gate.defined() ? gate[row].item<double>() : 1.0;
      }
    }
    return matrix;
  }

  static Tolerance tolerance(torch::Dtype dtype) {
    return {.absolute = dtype == torch::kBFloat16 ? 2e-2 : dtype == torch::kFloat64 ? 1e-14 : 2e-6};
  }

  torch::Dtype precision_ = torch::kFloat32;
  torch::Tensor target_of_;
  torch::Tensor x_;
  torch::Tensor y_;
  torch::Tensor gate_;
};

TEST_P(RowPasses, TakesRowsByIndexAndZeroWhereThereIsNone) {
  const auto expected = matrix({}).t().matmul(y_.to(torch::kFloat64));  // [rows, dim]
  on_every_level([&] {
    const auto out = torch::full({target_of_.size(0), kDim}, 9.0, GetParam().rows);
    take_rows(y_, target_of_, out);
    EXPECT_TRUE(same_bits(out, expected.to(GetParam().rows)));
  });
}

TEST_P(RowPasses, SumsTheRowsOfEachTarget) {
  for (const auto& gate : {torch::Tensor(), gate_}) {
    const auto expected = matrix(gate).matmul(x_.to(torch::kFloat64));  // [targets, dim]
    on_every_level([&] {
      const auto out = torch::full({kTargets, kDim}, 9.0, GetParam().other);
      sum_rows(x_, gate, rows_of_targets(target_of_, kTargets), out);
      EXPECT_TRUE(all_close(out, expected.to(out.dtype()), tolerance(GetParam().other)));
    });
  }
}

TEST_P(RowPasses, GivesTheGradientsOfSums) {
  const auto d_out = y_.to(torch::kFloat64);
  const auto d_rows = matrix({}).t().matmul(d_out);                // [rows, dim]
  const auto d_gated_rows = matrix(gate_).t().matmul(d_out);       // [rows, dim]
  const auto products = (x_.to(torch::kFloat64) * d_rows).sum(1);  // [rows]
  on_every_level([&] {
    const auto d_x = torch::full_like(x_, 9.0);
    sum_rows_backward({}, {}, target_of_, y_, d_x, {});
    EXPECT_TRUE(same_bits(d_x, d_rows.to(d_x.dtype())));

    const auto d_gate = torch::full_like(gate_, 9.0);
    sum_rows_backward(x_, gate_, target_of_, y_, d_x, d_gate);
    EXPECT_TRUE(all_close(d_x, d_gated_rows.to(d_x.dtype()), tolerance(GetParam().rows)));
    EXPECT_TRUE(all_close(d_gate, products.to(d_gate.dtype()),
                          {.absolute = 10 * tolerance(precision_).absolute}));
  });
}

TEST_P(RowPasses, GiveTheSameBitsOnAnyNumberOfThreads) {
  const auto results = [&] {
    std::vector<torch::Tensor> all{torch::empty({target_of_.size(0), kDim}, GetParam().rows),
                                   torch::empty({kTargets, kDim}, GetParam().other),
                                   torch::empty_like(x_), torch::empty_like(gate_)};
    take_rows(y_, target_of_, all[0]);
    sum_rows(x_, gate_, rows_of_targets(target_of_, kTargets), all[1]);
    sum_rows_backward(x_, gate_, target_of_, y_, all[2], all[3]);
    return all;
  };
  const int threads = at::get_num_threads();
  on_every_level([&] {
    const auto expected = results();
    for (const int count : {1, 3}) {
      at::set_num_threads(count);
      const auto actual = results();
      for (size_t index = 0; index < expected.size(); ++index) {
        EXPECT_TRUE(same_bits(actual[index], expected[index])) << index;
      }
    }
    at::set_num_threads(threads);
  });
}

INSTANTIATE_TEST_SUITE_P(Dtypes, RowPasses,
                         testing::Values(RowCase{"Fp32", torch::kFloat32, torch::kFloat32},
                                         RowCase{"Bf16", torch::kBFloat16, torch::kBFloat16},
                                         RowCase{"Mixed", torch::kBFloat16, torch::kFloat32},
                                         RowCase{"MixedOtherWay", torch::kFloat32,
                                                 torch::kBFloat16},
                                         RowCase{"Fp64", torch::kFloat64, torch::kFloat64}),
                         [](const auto& row_case) { return row_case.param.name; });

TEST(RowsOfTargets, AreInRisingOrder) {
  const auto rows =
      rows_of_targets(torch::tensor({{2, 0, -1}, {2, 2, 0}}, torch::kInt64), /*targets=*/4);
  EXPECT_EQ(rows.targets(), 4);
  EXPECT_EQ(rows.first, (std::vector<int64_t>{0, 2, 2, 5, 5}));
  EXPECT_EQ(rows.row, (std::vector<int64_t>{1, 5, 0, 3, 4}));
}

TEST(RowsOfTargets, RefuseWhatIsNoIndex) {
  const auto x = torch::zeros({3, 2});
  const auto out = torch::zeros({2, 2});
  for (const auto& index :
       {torch::tensor({0, 3}, torch::kInt64), torch::tensor({-2, 0}, torch::kInt64)}) {
    EXPECT_THROW(rows_of_targets(index, 3), c10::ValueError);
    EXPECT_THROW(take_rows(x, index, out), c10::ValueError);
    EXPECT_THROW(sum_rows_backward({}, {}, index, x, out, {}), c10::ValueError);
  }
}

TEST(RowPassesDtypes, AreThoseOfTraining) {
  EXPECT_TRUE(takes_rows(torch::zeros({1})));
  EXPECT_TRUE(takes_rows(torch::zeros({1}, torch::kBFloat16)));
  EXPECT_TRUE(takes_rows(torch::zeros({1}, torch::kFloat64)));
  EXPECT_FALSE(takes_rows(torch::zeros({1}, torch::kFloat16)));
}

}  // namespace softmoe::fused::row_passes_test
