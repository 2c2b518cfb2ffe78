#pragma once
/// The kernels of a level as a table of functions: serial functions over plain memory, whose
/// callers divide the work among threads. Every level has all of them.

#include "kernels/attention.h"
#include "kernels/gemm.h"
#include "kernels/layer_norm.h"
#include "kernels/level.h"
#include "kernels/packed_attention.h"
#include "kernels/packed_factors.h"
#include "kernels/packed_product.h"
#include "kernels/panel_merging.h"
#include "kernels/rows.h"
#include "kernels/soft_mixing.h"
#include "kernels/update.h"

namespace softmoe::kernels {

struct KernelTable : GemmKernels,
                     PackKernels,
                     AttentionKernels,
                     LayerNormKernels,
                     RowKernels,
                     SoftDispatchKernels,
                     SoftCombineKernels,
                     UpdateKernels,
                     FactorKernels,
                     PackedAttentionKernels,
                     FloatProductKernels,
                     IntegerProductKernels,
                     MergeKernels {
  /// The product of FloatProductKernels and IntegerProductKernels for a precision.
  void packed_product(Precision precision, const ProductShape& shape, const LeftUnits& left,
                      const RightPanels& right, const ProductFinish& finish) const {
    const auto product = precision == Precision::kFloat32    ? product_fp32
                         : precision == Precision::kBFloat16 ? product_bf16
                                                             : product_int8;
    product(shape, left, right, finish);
  }
};

/// The kernels of `level`, which the processor has to run.
const KernelTable& table_of(Level level);

/// The kernels of the level in use.
inline const KernelTable& table() { return table_of(level()); }

}  // namespace softmoe::kernels
