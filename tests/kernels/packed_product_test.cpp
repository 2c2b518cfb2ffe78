#include "kernels/packed_product.h"

#include <torch/types.h>

#include <algorithm>

#include "kernels/kernel_test.h"
#include "ops/tensor_pointers.h"
#include "support/tensor_matcher.h"

namespace softmoe::kernels::packed_product_test {

using test::all_close;

/// A right factor b [depth, columns] = w^T packed from w [columns, depth].
struct Packed {
  std::vector<Unit> units;
  std::vector<float> scales;
  std::vector<int32_t> sums;
  int64_t panel_stride = 0;
};

Packed pack(Precision precision, const torch::Tensor& w) {
  const int64_t columns = w.size(0);
  const int64_t depth = w.size(1);
  const int64_t units = units_of(precision, depth);
  Packed packed;
  packed.panel_stride = units * kPanelColumns;
  packed.units.resize(static_cast<size_t>(panels_of(columns) * packed.panel_stride));
  packed.scales.resize(static_cast<size_t>(columns));
  packed.sums.resize(static_cast<size_t>(columns));
  std::vector<Unit> rows(static_cast<size_t>(kPanelColumns * units));
  for (int64_t first = 0; first < columns; first += kPanelColumns) {
    const int64_t count = std::min(kPanelColumns, columns - first);
    for (int64_t row = 0; row < count; ++row) {
      const auto column = static_cast<size_t>(first + row);
      const Source source{.fp32 = w.const_data_ptr<float>() + (first + row) * depth};
      Unit* const target = rows.data() + row * units;
      if (precision == Precision::kInt8) {
        packed.scales[column] =
            table().encode_row_int8(source, depth, 1.0F, depth, target, &packed.sums[column], 0);
      } else {
        table().encode_row(precision, source, depth, 1.0F, target);
      }
    }
    table().pack_panel(rows.data(), units, count, units,
                       packed.units.data() + first / kPanelColumns * packed.panel_stride);
  }
  return packed;
}

/// How the left factor is represented.
enum class LeftKind { kFp32, kBf16, kBytes, kPlanes };

struct ProductCase {
  const char* name;
  LeftKind kind;
  double tolerance;  ///< of the largest value
};

void PrintTo(const ProductCase& test_case, std::ostream* out) { *out << test_case.name; }

Precision precision_of(LeftKind kind) {
  return kind == LeftKind::kFp32   ? Precision::kFloat32
         : kind == LeftKind::kBf16 ? Precision::kBFloat16
                                   : Precision::kInt8;
}

/// a [rows, depth] w^T, plus `bias`, computed by the kernels into `out`.
void multiply(LeftKind kind, const torch::Tensor& a, const torch::Tensor& w, ProductFinish finish,
              bool transposes_left = false) {
  const auto precision = precision_of(kind);
  const auto packed = pack(precision, w);
  const int64_t rows = a.size(0);
  const int64_t depth = a.size(1);
  const int64_t units = units_of(precision, depth);
  const int64_t stride = units + 3;
  const int64_t left_rows = kind == LeftKind::kPlanes ? 2 * rows : rows;
  std::vector<Unit> left(static_cast<size_t>(left_rows * stride));
  std::vector<float> scales(static_cast<size_t>(rows));
  std::vector<float> zeros(static_cast<size_t>(rows));
  const auto* const values = a.const_data_ptr<float>();
  const auto bf16 = a.to(torch::kBFloat16);
  if (kind == LeftKind::kBytes) {
    table().quantize_bytes({.fp32 = values}, depth, rows, depth, left.data(), stride, scales.data(),
                           zeros.data());
  } else if (kind == LeftKind::kPlanes) {
    table().quantize_planes(bf16_of(bf16), depth, rows, depth, left.data(), stride, scales.data());
  } else {
    for (int64_t row = 0; row < rows; ++row) {
      table().encode_row(precision, {.fp32 = values + row * depth}, depth, 1.0F,
                         left.data() + row * stride);
    }
  }
  if (precision == Precision::kInt8) {
    finish.integers = {.row_scales = scales.data(),
                       .row_zeros = kind == LeftKind::kBytes ? zeros.data() : nullptr,
                       .column_scales = packed.scales.data(),
                       .column_sums = packed.sums.data()};
  }
  LeftUnits factor{left.data(), stride};
  std::vector<Unit> transposed(left.size());
  if (transposes_left) {
    const int64_t unit_stride = left_rows + 2;
    transposed.resize(static_cast<size_t>(units * unit_stride));
    for (int64_t row = 0; row < left_rows; ++row) {
      for (int64_t unit = 0; unit < units; ++unit) {
        transposed[static_cast<size_t>(unit * unit_stride + row)] =
            left[static_cast<size_t>(row * stride + unit)];
      }
    }
    factor = {transposed.data(), 1, unit_stride};
  }
  table().packed_product(precision, {rows, w.size(0), units}, factor,
                         {packed.units.data(), packed.panel_stride}, finish);
}

class PackedProductTest : public testing::TestWithParam<std::tuple<Level, ProductCase>> {
 protected:
  void SetUp() override {
    level_.emplace(std::get<Level>(GetParam()));
    torch::manual_seed(11);
  }
  static const ProductCase& test_case() { return std::get<ProductCase>(GetParam()); }
  static test::Tolerance tolerance() { return {.absolute = 0, .relative = test_case().tolerance}; }

 private:
  std::optional<ScopedLevel> level_;
};

TEST_P(PackedProductTest, MultipliesAnyNumberOfRowsAndColumns) {
  for (const int64_t rows : {1, 2, 3, 7, 13, 14, 15, 16, 17, 29, 64, 131, 240}) {
    for (const auto& [depth, columns] :
         {std::pair<int64_t, int64_t>{70, 33}, {130, 96}, {3, 5}, {1046, 40}}) {
      const auto a = torch::randn({rows, depth});
      const auto w = torch::randn({columns, depth});
      const auto bias = torch::randn({columns});
      auto out = torch::full({rows, columns}, 7.0F);
      multiply(test_case().kind, a, w,
               {.out = target_of(out), .out_stride = columns, .bias = fp32_or_null(bias)});
      const auto expected = a.matmul(w.t());  // [rows, columns]
      EXPECT_TRUE(all_close(out, expected + bias, tolerance()))
          << rows << " x " << depth << " x " << columns;
      multiply(test_case().kind, a, w, {.out = target_of(out), .out_stride = columns});
      EXPECT_TRUE(all_close(out, expected, tolerance()))
          << rows << " x " << depth << " x " << columns << " without bias";
    }
  }
}

TEST_P(PackedProductTest, TakesALeftFactorWhoseUnitsAreApart) {
  for (const int64_t rows : {5, 37, 150}) {
    for (const int64_t columns : {33, 64}) {
      const auto a = torch::randn({rows, 100});
      const auto w = torch::randn({columns, 100});
      auto out = torch::full({rows, columns}, 7.0F);
      multiply(test_case().kind, a, w, {.out = target_of(out), .out_stride = columns},
               /*transposes_left=*/true);
      EXPECT_TRUE(all_close(out, a.matmul(w.t()), tolerance())) << rows << " x " << columns;
    }
  }
}

TEST_P(PackedProductTest, AddsToWhatIsThereTimesFactorsOfRows) {
  const auto a = torch::randn({17, 50});
  const auto w = torch::randn({40, 50});
  const auto factors = torch::rand({17}) + 0.5;
  const auto before = torch::randn({17, 40});
  auto out = before.clone();
  multiply(test_case().kind, a, w,
           {.out = target_of(out),
            .out_stride = 40,
            .row_factors = fp32_or_null(factors),
            .accumulate = true});
  const auto expected = before + factors.unsqueeze(1) * a.matmul(w.t());
  EXPECT_TRUE(all_close(out, expected, tolerance()));
}

TEST_P(PackedProductTest, WritesNothingBeyondItsColumns) {
  const auto a = torch::randn({15, 40});
  const auto w = torch::randn({35, 40});
  auto wide = torch::full({15, 50}, 3.0F);
  multiply(test_case().kind, a, w, {.out = target_of(wide), .out_stride = 50});
  EXPECT_TRUE((wide.slice(1, 35) == 3.0F).all().item<bool>());
}

TEST_P(PackedProductTest, AppliesActivations) {
  const auto a = torch::randn({9, 60}) * 0.4;
  const auto w = torch::randn({45, 60}) * 0.4;
  const auto before = a.matmul(w.t());  // [9, 45]
  const std::vector<std::pair<Activation, torch::Tensor>> activations{
      {Activation::kGeluTanh, torch::gelu(before, "tanh")},
      {Activation::kGeluExact, torch::gelu(before)},
      {Activation::kGeluQuick, before * torch::sigmoid(1.702 * before)}};
  for (const auto& [activation, expected] : activations) {
    auto out = torch::empty({9, 45});
    multiply(test_case().kind, a, w,
             {.out = target_of(out), .out_stride = 45, .activation = activation});
    EXPECT_TRUE(all_close(out, expected, tolerance())) << static_cast<int>(activation);
    auto rounded = torch::empty({9, 45}, torch::kBFloat16);
    multiply(test_case().kind, a, w,
             {.out = target_of(rounded), .out_stride = 45, .activation = activation});
    EXPECT_TRUE(all_close(rounded.to(torch::kFloat32), expected,
                          {.absolute = 0, .relative = test_case().tolerance + 4e-3}))
        << static_cast<int>(activation);
  }
}

TEST_P(PackedProductTest, MultipliesValuesByTheSiluOfTheirGates) {
  for (const int64_t rows : {1, 9, 31}) {
    const auto a = torch::randn({rows, 60}) * 0.4;
    const auto w = torch::randn({96, 60}) * 0.4;
    const auto bias = torch::randn({96}) * 0.4;
    const auto panels = (a.matmul(w.t()) + bias).view({rows, 3, 2, 16});
    const auto expected =
        (torch::silu(panels.select(2, 0)) * panels.select(2, 1)).flatten(1);  // [rows, 48]
    auto out = torch::full({rows, 50}, 3.0F);
    const auto run = [&](torch::Tensor& target) {
      multiply(test_case().kind, a, w,
               {.out = target_of(target),
                .out_stride = 50,
                .bias = fp32_or_null(bias),
                .activation = Activation::kSwiGlu});
    };
    run(out);
    EXPECT_TRUE(all_close(out.slice(1, 0, 48), expected, tolerance()));
    EXPECT_TRUE((out.slice(1, 48) == 3.0F).all().item<bool>());
    auto rounded = out.to(torch::kBFloat16).fill_(3.0);
    run(rounded);
    EXPECT_TRUE(all_close(rounded.slice(1, 0, 48).to(torch::kFloat32), expected,
                          {.absolute = 0, .relative = test_case().tolerance + 4e-3}));
    EXPECT_TRUE((rounded.slice(1, 48) == 3.0F).all().item<bool>());
  }
}

TEST_P(PackedProductTest, IsExactForOneColumnOfAUnitMatrix) {
  // Every value is a whole step of its integers: nothing is left to round.
  const auto a = torch::arange(1, 18).to(torch::kFloat32).unsqueeze(1) * torch::ones({17, 8});
  const auto w = torch::eye(8);
  auto out = torch::empty({17, 8});
  multiply(test_case().kind, a, w, {.out = target_of(out), .out_stride = 8});
  EXPECT_TRUE(all_close(out, a, {.absolute = 0, .relative = 2e-6}));
}

INSTANTIATE_TEST_SUITE_P(
    Levels, PackedProductTest,
    testing::Combine(test::every_level(),
                     testing::Values(ProductCase{"Fp32", LeftKind::kFp32, 2e-6},
                                     ProductCase{"Bf16", LeftKind::kBf16, 1e-2},
                                     ProductCase{"Bytes", LeftKind::kBytes, 2e-2},
                                     ProductCase{"Planes", LeftKind::kPlanes, 1.5e-2})),
    [](const auto& item) {
      return enum_name(std::get<Level>(item.param)) + "_" + std::get<ProductCase>(item.param).name;
    });

}  // namespace softmoe::kernels::packed_product_test
