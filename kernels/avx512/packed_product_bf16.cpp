#include "kernels/avx512/packed_product.h"

namespace softmoe::kernels {
namespace {

struct Bf16Steps {
  using Sum = __m512;
  static Sum zero() { return _mm512_setzero_ps(); }
  static Sum step(Sum sum, __m512i left, __m512i right) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(left),
                            reinterpret_cast<__m512bh>(right));
  }
};

}  // namespace

void product_bf16(const ProductShape& shape, const LeftUnits& left, const RightPanels& right,
                  const ProductFinish& finish) {
  product_of<Bf16Steps, 1>(shape, left, right, finish, [](const ProductTile&, float*) {});
}

}  // namespace softmoe::kernels
