#include "ops/rows.h"

#include "ops/operator_checks.h"
#include "runtime/autocast_guard.h"

namespace softmoe::rows_test {

using test::all_close;
using test::same_bits;

TEST(RowsOp, TakesAndSumsOnAllLevelsAndDtypes) {
  at::manual_seed(6);
  const auto index = torch::tensor({{7, 0, 3, -1}, {2, 7, -1, 9}, {-1, 8, 5, 7}}, torch::kInt64);
  const auto used = (index >= 0).unsqueeze(2);
  // fp16 has no kernels, as other devices have none.
  for (const auto dtype : {torch::kFloat32, torch::kFloat64, torch::kBFloat16, torch::kFloat16}) {
    const auto x = torch::randn({2, 5, 19}).to(dtype);
    const auto gate = torch::rand({3, 4});
    const auto taken = x.flatten(0, 1).index_select(0, index.clamp_min(0).flatten());
    const auto rows = taken.view({3, 4, 19}) * used;  // [experts, rows, dim]
    auto sums = torch::zeros({10, 19}, torch::kFloat64);
    sums.index_add_(0, index.clamp_min(0).flatten(),
                    (rows.to(torch::kFloat64) * gate.unsqueeze(2)).flatten(0, 1));
    for (const auto level : kernels::present_levels()) {
      const kernels::ScopedLevel scoped(level);
      EXPECT_TRUE(same_bits(take_rows(x, index) * used, rows));
      const auto out = sum_rows(rows, gate, index, 10);
      EXPECT_EQ(out.scalar_type(), dtype);
      const bool is_short = dtype == torch::kBFloat16 || dtype == torch::kFloat16;
      EXPECT_TRUE(all_close(out.to(torch::kFloat64), sums, {.absolute = is_short ? 4e-2 : 1e-6}));
    }
  }
}

TEST(RowsOp, AreBf16BetweenProductsOfOurKernels) {
  const auto index = torch::tensor({{1, 0}}, torch::kInt64);
  const auto x = torch::randn({3, 4});
  for (const auto level : kernels::present_levels()) {
    const kernels::ScopedLevel scoped(level);
    const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
    const bool is_fused = kernels::has(kernels::Need::kBf16);
    const auto rows = take_rows(x, index);
    EXPECT_EQ(rows.scalar_type(), is_fused ? torch::kBFloat16 : torch::kFloat32);
    EXPECT_EQ(sum_rows(rows, {}, index, 3).scalar_type(), torch::kFloat32);
  }
}

TEST(RowsOp, RefuseNumbersOfNoRow) {
  const auto x = torch::zeros({2, 3, 4});
  const auto index = torch::tensor({{6}}, torch::kInt64);
  EXPECT_THROW(take_rows(x, index), c10::ValueError);
  EXPECT_THROW(sum_rows(torch::zeros({1, 1, 4}), {}, index, 6), c10::ValueError);
}

}  // namespace softmoe::rows_test
