#include "checkpoints/formats/every_dtype.h"

namespace softmoe::test {

NamedTensors every_dtype() {
  NamedTensors tensors;
  int64_t number = 0;
  for (const auto dtype : {torch::kFloat64, torch::kFloat32, torch::kFloat16, torch::kBFloat16}) {
    tensors["float" + std::to_string(number)] =
        (torch::arange(6 + number).to(torch::kFloat64) / 7 - 0.3).to(dtype);
    ++number;
  }
  number = 0;
  for (const auto dtype : {torch::kInt64, torch::kInt32, torch::kInt16, torch::kInt8}) {
    tensors["int" + std::to_string(number)] = torch::arange(-2, 3 + number).to(dtype);
    ++number;
  }
  tensors["uint8"] = torch::tensor({0, 1, 128, 255}, torch::kUInt8);
  tensors["bool"] = torch::tensor({true, false, true});
  tensors["scalar"] = torch::tensor(-0.0F);
  tensors["empty"] = torch::zeros({0, 3});
  tensors["matrix"] = torch::arange(15, torch::kFloat32).view({3, 5});
  return tensors;
}

}  // namespace softmoe::test
