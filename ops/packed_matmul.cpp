#include "ops/packed_matmul.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "kernels/table.h"
#include "runtime/thread_team.h"

namespace softmoe {
namespace {

using kernels::Unit;

/// Rows of the left factor that stay in the second-level cache while all panels pass.
constexpr int64_t kChunkRows = 96;
/// What makes bytes of 0 to 255 of int8: the kernels take such integers on the left.
constexpr int64_t kByteZero = 128;

Precision precision_of(const torch::Tensor& factor) {
  switch (factor.scalar_type()) {
    case torch::kFloat32:
      return Precision::kFloat32;
    case torch::kBFloat16:
      return Precision::kBFloat16;
    case torch::kInt8:
      return Precision::kInt8;
    default:
      TORCH_CHECK_VALUE(false, "packed_matmul: expected float32, bfloat16 or int8, found ",
                        factor.scalar_type());
  }
}

const Unit* units_in(const torch::Tensor& tensor) {
  return static_cast<const Unit*>(tensor.const_data_ptr());
}

class PackedMatmul {
 public:
  PackedMatmul(const torch::Tensor& left, const torch::Tensor& right)
      : precision_(precision_of(left)),
        rows_(left.size(0)),
        columns_(right.size(0)),
        units_(kernels::units_of(precision_, left.size(1))),
        out_(torch::empty({rows_, columns_}, torch::kFloat32)) {
    left_ = precision_ == Precision::kInt8
                ? left.to(torch::kInt16).add(kByteZero).to(torch::kUInt8).contiguous()
                : left.contiguous();  // [rows, depth]
    if (precision_ == Precision::kInt8) {
      row_zeros_ = torch::full({rows_}, static_cast<float>(kByteZero));
      ones_ = torch::ones({std::max(rows_, columns_)});
      column_sums_ = right.sum(1, /*keepdim=*/false, torch::kInt32);  // [columns]
    }
    pack(right.contiguous());
  }

  torch::Tensor run() const {
    run_team([this](const ThreadTeam& team) {
      const auto share = team.share(rows_, /*multiple=*/8);
      for (int64_t row = share.first; row < share.last; row += kChunkRows) {
        multiply_rows(row, std::min(kChunkRows, share.last - row));
      }
    });
    return out_;  // [rows, columns]
  }

 private:
  void pack(const torch::Tensor& right) {
    const int64_t panels = kernels::panels_of(columns_);
    packed_.resize(static_cast<size_t>(panels * panel_stride()));
    run_team([&](const ThreadTeam& team) {
      const auto share = team.share(panels);
      for (int64_t panel = share.first; panel < share.last; ++panel) {
        const int64_t first = panel * kernels::kPanelColumns;
        kernels::table().pack_panel(units_in(right) + first * units_, units_,
                                    std::min(kernels::kPanelColumns, columns_ - first), units_,
                                    packed_.data() + panel * panel_stride());
      }
    });
  }

  void multiply_rows(int64_t row, int64_t rows) const {
    kernels::ProductFinish finish{.out = {.fp32 = out_.data_ptr<float>() + row * columns_},
                                  .out_stride = columns_};
    if (precision_ == Precision::kInt8) {
      finish.integers = {.row_scales = ones_.const_data_ptr<float>(),
                         .row_zeros = row_zeros_.const_data_ptr<float>(),
                         .column_scales = ones_.const_data_ptr<float>(),
                         .column_sums = column_sums_.const_data_ptr<int32_t>()};
    }
    kernels::table().packed_product(precision_, {rows, columns_, units_},
                                    {units_in(left_) + row * units_, units_},
                                    {packed_.data(), panel_stride()}, finish);
  }

  int64_t panel_stride() const { return units_ * kernels::kPanelColumns; }

  Precision precision_;
  int64_t rows_;
  int64_t columns_;
  int64_t units_;              // of the depth
  torch::Tensor left_;         // [rows, depth]
  std::vector<Unit> packed_;   // [panels, units, 32]
  torch::Tensor ones_;         // fp32; of int8 alone, as what follows
  torch::Tensor row_zeros_;    // [rows] fp32
  torch::Tensor column_sums_;  // [columns] int32
  torch::Tensor out_;          // [rows, columns] fp32
};

}  // namespace

std::function<torch::Tensor()> packed_matmul(const torch::Tensor& left,
                                             const torch::Tensor& right) {
  TORCH_CHECK_VALUE(left.dim() == 2 && right.dim() == 2 && left.size(1) == right.size(1) &&
                        left.size(1) % 4 == 0 && left.scalar_type() == right.scalar_type(),
                    "packed_matmul: expected [rows, depth] and [columns, depth] of one dtype with "
                    "a depth of a multiple of 4, found ",
                    left.sizes(), " ", left.scalar_type(), " and ", right.sizes(), " ",
                    right.scalar_type());
  const auto product = std::make_shared<const PackedMatmul>(left, right);
  return [product] { return product->run(); };
}

}  // namespace softmoe
