#pragma once

#include <torch/types.h>

#include <cstring>

#include "core/named_tensors.h"

namespace softmoe::test {

/// The tensors of tests/fixtures/formats/every_dtype.*, by the rule of make.py.
NamedTensors every_dtype();

/// Equality of the memory itself: NaN payloads and negative zeros count.
inline bool same_tensor_memory(const torch::Tensor& a, const torch::Tensor& b) {
  const auto x = a.cpu().contiguous();
  const auto y = b.cpu().contiguous();
  return x.scalar_type() == y.scalar_type() && x.sizes() == y.sizes() &&
         (x.nbytes() == 0 || std::memcmp(x.const_data_ptr(), y.const_data_ptr(), x.nbytes()) == 0);
}

}  // namespace softmoe::test
