#include "kernels/table.h"

#include "kernels/simd/groups.h"

namespace softmoe::kernels::SOFTMOE_LEVEL {

const KernelTable& kernel_table() {
  static const KernelTable table{kGemmKernels,         kPackKernels,
                                 kAttentionKernels,    kLayerNormKernels,
                                 kRowKernels,          kSoftDispatchKernels,
                                 kSoftCombineKernels,  kUpdateKernels,
                                 kFactorKernels,       kPackedAttentionKernels,
                                 kFloatProductKernels, kIntegerProductKernels,
                                 kMergeKernels};
  return table;
}

}  // namespace softmoe::kernels::SOFTMOE_LEVEL
