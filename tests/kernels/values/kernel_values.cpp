#include "kernels/values/kernel_values.h"

#include <algorithm>
#include <iterator>
#include <stdexcept>

namespace softmoe::kernels::values {
namespace {

constexpr const char* kKernels[] = {
    "gemm",
    "gemm_gelu",
    "gemm_gelu_backward",
    "gemm_left_transposed",
    "pack_transposed",
    "pack_rows",
    "pack_left_transposed",
    "to_bf16",
    "attention_scratch",
    "attention_forward",
    "attention_backward",
    "layer_norm_forward",
    "layer_norm_backward",
    "copy_row",
    "sum_rows",
    "scale_row",
    "mixing_scratch",
    "pack_keys",
    "transpose_keys",
    "unpack_keys",
    "soft_dispatch_forward",
    "soft_dispatch_backward",
    "soft_keys_backward",
    "soft_combine_forward",
    "soft_combine_backward",
    "adamw",
    "adamw_8bit",
    "muon_direction",
    "move",
    "sum_of_squares",
    "multiply",
    "encode_row",
    "encode_row_int8",
    "pack_panel",
    "pack_depth_unit",
    "quantize_bytes",
    "quantize_planes",
    "norm_rows",
    "inverse_norms",
    "exponential_rows",
    "inverse_column_sums",
    "attend_scratch",
    "attend",
    "product_fp32",
    "product_bf16",
    "product_int8",
    "merge_panels",
};
static_assert(sizeof(KernelTable) ==
                  std::size(kKernels) * sizeof(void (*)()) + sizeof(KernelTable::fp32_tile_rows) +
                      sizeof(KernelTable::bf16_tile_rows) + sizeof(KernelTable::bf16_left_tile),
              "every kernel of the table is listed and compared");

}  // namespace

Results all_values(const KernelTable& table) {
  Results results;
  add_gemm_values(table, results);
  add_pack_values(table, results);
  add_attention_values(table, results);
  add_row_values(table, results);
  add_soft_mixing_values(table, results);
  add_update_values(table, results);
  add_factor_values(table, results);
  add_product_values(table, results);
  add_panel_merging_values(table, results);
  for (const std::string kernel : kKernels) {
    if (std::none_of(results.all().begin(), results.all().end(),
                     [&](const Result& result) { return result.kernel() == kernel; })) {
      throw std::logic_error("no result of the kernel " + kernel);
    }
  }
  return results;
}

}  // namespace softmoe::kernels::values
