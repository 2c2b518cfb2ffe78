#include "kernels/avx512/packed_product.h"

namespace softmoe::kernels {
namespace {

struct Fp32Steps {
  using Sum = __m512;
  static Sum zero() { return _mm512_setzero_ps(); }
  static Sum step(Sum sum, __m512i left, __m512i right) {
    return _mm512_fmadd_ps(_mm512_castsi512_ps(left), _mm512_castsi512_ps(right), sum);
  }
};

}  // namespace

void product_fp32(const ProductShape& shape, const LeftUnits& left, const RightPanels& right,
                  const ProductFinish& finish) {
  product_of<Fp32Steps, 1>(shape, left, right, finish, [](const ProductTile&, float*) {});
}

}  // namespace softmoe::kernels
