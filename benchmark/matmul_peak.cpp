#include "benchmark/matmul_peak.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/_int_mm.h>

#include <chrono>

#include "runtime/device.h"

namespace softmoe {
namespace {

using Product = std::function<torch::Tensor()>;

double seconds_of(const Product& product, const torch::Device& device) {
  synchronize(device);
  const auto start = std::chrono::steady_clock::now();
  product();
  synchronize(device);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The fastest of some runs, after one to warm up.
double best_seconds(const Product& product, const torch::Device& device) {
  constexpr int kMaxRuns = 20;
  constexpr int kMinRuns = 3;
  constexpr double kMaxSeconds = 0.5;
  double spent = seconds_of(product, device);
  double best = spent;
  for (int run = 0; run < kMaxRuns && (run < kMinRuns || spent < kMaxSeconds); ++run) {
    const double seconds = seconds_of(product, device);
    best = std::min(best, seconds);
    spent += seconds;
  }
  return best;
}

torch::Tensor call_operator(const char* name, torch::jit::Stack arguments) {
  const auto op = c10::Dispatcher::singleton().findSchemaOrThrow(name, "");
  op.callBoxed(arguments);
  return arguments.at(0).toTensor();
}

bool has_operator(const char* name) {
  return c10::Dispatcher::singleton().findSchema({name, ""}).has_value();
}

/// oneDNN's product of floats with a packed weight.
Product packed_floats(const torch::Tensor& left, const torch::Tensor& right) {
  const auto packed = call_operator("mkldnn::_reorder_linear_weight", {right, left.size(0)});
  return [left, packed] {
    const c10::List<std::optional<at::Scalar>> no_scalars;
    return call_operator("mkldnn::_linear_pointwise",
                         {left, packed, c10::IValue(), "none", no_scalars, c10::IValue()});
  };
}

/// oneDNN's product of unsigned bytes with a packed weight of signed bytes, scaled to floats.
Product packed_bytes(const torch::Tensor& left, const torch::Tensor& right) {
  const auto packed = call_operator("onednn::qlinear_prepack", {right, left.sizes().vec()});
  const auto scales = torch::ones({right.size(0)});
  const auto zeros = torch::zeros({right.size(0)}, torch::kInt64);
  return [bytes = left.view(torch::kUInt8), packed, scales, zeros] {
    const c10::List<std::optional<at::Scalar>> no_scalars;
    return call_operator("onednn::qlinear_pointwise",
                         {bytes, 1.0, 0, packed, scales, zeros, c10::IValue(), 1.0, 0,
                          torch::kFloat32, "none", no_scalars, ""});
  };
}

/// The product with a packed weight, or nothing if this libtorch or processor has none.
Product packed_product(const torch::Tensor& left, const torch::Tensor& right) {
  const bool bytes = left.scalar_type() == torch::kInt8;
  if (!left.device().is_cpu() || !at::hasMKLDNN() ||
      !has_operator(bytes ? "onednn::qlinear_pointwise" : "mkldnn::_linear_pointwise")) {
    return nullptr;
  }
  try {
    auto product = bytes ? packed_bytes(left, right) : packed_floats(left, right);
    product();
    return product;
  } catch (const c10::Error&) {
    return nullptr;  // such as a processor without bf16
  }
}

torch::Tensor random_matrix(int64_t edge, const torch::TensorOptions& options) {
  return c10::typeMetaToScalarType(options.dtype()) == torch::kInt8
             ? torch::randint(-128, 128, {edge, edge}, options)
             : torch::randn({edge, edge}, options);
}

}  // namespace

double measure_matmul_peak(const torch::Device& device, torch::Dtype dtype) {
  const torch::NoGradGuard no_grad;
  const std::vector<int64_t> edges =
      device.is_cpu() ? std::vector<int64_t>{1536, 2560} : std::vector<int64_t>{4096, 8192};
  double peak = 0;
  for (const int64_t edge : edges) {
    const auto options = torch::dtype(dtype).device(device);
    const auto left = random_matrix(edge, options);
    const auto right = random_matrix(edge, options);
    const double gflop = 2.0 * std::pow(static_cast<double>(edge), 3) / 1e9;
    const Product plain = [&] {
      return dtype == torch::kInt8 ? at::_int_mm(left, right) : left.matmul(right);
    };
    for (const auto& product : {plain, packed_product(left, right)}) {
      if (product) {
        peak = std::max(peak, gflop / best_seconds(product, device));
      }
    }
  }
  return peak;
}

}  // namespace softmoe
