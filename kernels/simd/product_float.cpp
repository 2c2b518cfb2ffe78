#include "kernels/simd/groups.h"
#include "kernels/simd/product.h"

namespace softmoe::kernels::SOFTMOE_LEVEL {

void product_fp32(const ProductShape& shape, const LeftUnits& left, const RightPanels& right,
                  const ProductFinish& finish) {
  product_of<Fp32Steps, 1>(shape, left, right, finish, [](const ProductBlock&, float*) {});
}

void product_bf16(const ProductShape& shape, const LeftUnits& left, const RightPanels& right,
                  const ProductFinish& finish) {
  product_of<Bf16Steps, 1>(shape, left, right, finish, [](const ProductBlock&, float*) {});
}

const FloatProductKernels kFloatProductKernels{
    .fp32_tile_rows = kMaxRows<Fp32Steps>,
    .bf16_tile_rows = kTileOfBlock<Bf16Steps, kMaxRows<Fp32Steps>>,
    .product_fp32 = product_fp32,
    .product_bf16 = product_bf16};

}  // namespace softmoe::kernels::SOFTMOE_LEVEL
