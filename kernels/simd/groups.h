#pragma once
/// The groups of kernels of the level that a source is compiled for.

#include "kernels/table.h"

namespace softmoe::kernels::SOFTMOE_LEVEL {

extern const GemmKernels kGemmKernels;
extern const PackKernels kPackKernels;
extern const AttentionKernels kAttentionKernels;
extern const LayerNormKernels kLayerNormKernels;
extern const RowKernels kRowKernels;
extern const SoftDispatchKernels kSoftDispatchKernels;
extern const SoftCombineKernels kSoftCombineKernels;
extern const UpdateKernels kUpdateKernels;
extern const FactorKernels kFactorKernels;
extern const PackedAttentionKernels kPackedAttentionKernels;
extern const FloatProductKernels kFloatProductKernels;
extern const IntegerProductKernels kIntegerProductKernels;
extern const MergeKernels kMergeKernels;

/// All of them.
const KernelTable& kernel_table();

}  // namespace softmoe::kernels::SOFTMOE_LEVEL
