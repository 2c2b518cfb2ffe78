#include "benchmark/matmul_peak.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/_int_mm.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "ops/packed_matmul.h"
#include "runtime/device.h"

namespace softmoe {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double seconds_of(const MatmulProduct& product, const torch::Device& device) {
  synchronize(device);
  const auto start = std::chrono::steady_clock::now();
  product();
  synchronize(device);
  return seconds_since(start);
}

/// Factors of a product, [edge, edge] each.
struct Factors {
  torch::Tensor left;
  torch::Tensor right;
};

torch::Tensor call_operator(const char* name, torch::jit::Stack arguments) {
  const auto op = c10::Dispatcher::singleton().findSchemaOrThrow(name, "");
  op.callBoxed(arguments);
  return arguments.at(0).toTensor();
}

bool has_operator(const char* name) {
  return c10::Dispatcher::singleton().findSchema({name, ""}).has_value();
}

/// oneDNN's product of floats with a packed weight.
MatmulProduct onednn_floats(const Factors& factors) {
  const auto packed =
      call_operator("mkldnn::_reorder_linear_weight", {factors.right, factors.left.size(0)});
  return [left = factors.left, packed] {
    const c10::List<std::optional<at::Scalar>> no_scalars;
    return call_operator("mkldnn::_linear_pointwise",
                         {left, packed, c10::IValue(), "none", no_scalars, c10::IValue()});
  };
}

/// oneDNN's product of unsigned bytes with a packed weight of signed bytes, scaled to floats.
MatmulProduct onednn_bytes(const Factors& factors) {
  const auto packed =
      call_operator("onednn::qlinear_prepack", {factors.right, factors.left.sizes().vec()});
  const auto scales = torch::ones({factors.right.size(0)});
  const auto zeros = torch::zeros({factors.right.size(0)}, torch::kInt64);
  return [bytes = factors.left.view(torch::kUInt8), packed, scales, zeros] {
    const c10::List<std::optional<at::Scalar>> no_scalars;
    return call_operator("onednn::qlinear_pointwise",
                         {bytes, 1.0, 0, packed, scales, zeros, c10::IValue(), 1.0, 0,
                          torch::kFloat32, "none", no_scalars, ""});
  };
}

/// libtorch's product.
MatmulProduct plain_product(const Factors& factors) {
  return [factors] {
    return factors.left.scalar_type() == torch::kInt8 ? at::_int_mm(factors.left, factors.right)
                                                      : factors.left.matmul(factors.right);
  };
}

/// oneDNN's product with a packed weight, or nothing if this libtorch or processor has none.
MatmulProduct onednn_product(const Factors& factors) {
  const bool bytes = factors.left.scalar_type() == torch::kInt8;
  if (!at::hasMKLDNN() ||
      !has_operator(bytes ? "onednn::qlinear_pointwise" : "mkldnn::_linear_pointwise")) {
    return nullptr;
  }
  try {
    auto product = bytes ? onednn_bytes(factors) : onednn_floats(factors);
    product();
    return product;
  } catch (const c10::Error&) {
    return nullptr;  // such as a processor without bf16
  }
}

/// The product of our kernels, for the dtypes that they have.
MatmulProduct kernel_product(const Factors& factors) {
  const auto dtype = factors.left.scalar_type();
  const bool known = dtype == torch::kFloat32 || dtype == torch::kBFloat16 || dtype == torch::kInt8;
  return known ? packed_matmul(factors.left, factors.right) : nullptr;
}

torch::Tensor random_matrix(int64_t edge, const torch::TensorOptions& options) {
  return c10::typeMetaToScalarType(options.dtype()) == torch::kInt8
             ? torch::randint(-127, 128, {edge, edge}, options)
             : torch::rand({edge, edge}, options);  // [edge, edge]
}

}  // namespace

double fastest_product(const std::function<MatmulProduct(int64_t edge)>& make,
                       const torch::Device& device, double seconds) {
  constexpr int64_t kFirstEdge = 64;
  constexpr int64_t kLastEdge = 8192;
  constexpr int kMaxRuns = 20;
  constexpr double kGrowth = 8;  // of the operations of an edge twice as long
  const auto start = std::chrono::steady_clock::now();
  double best = 0;
  for (int64_t edge = kFirstEdge; edge <= kLastEdge; edge *= 2) {
    const double before = seconds_since(start);
    const auto product = make(edge);
    if (!product) {
      break;
    }
    product();  // warms up
    double fastest = seconds_of(product, device);
    // The next edge may need more: memory, packing, a run to warm up and a timed one.
    const double needed = kGrowth * (seconds_since(start) - before);
    for (int run = 1; run < kMaxRuns && seconds_since(start) + fastest < seconds; ++run) {
      fastest = std::min(fastest, seconds_of(product, device));
    }
    best = std::max(best, 2e-9 * std::pow(static_cast<double>(edge), 3) / fastest);
    if (seconds_since(start) + needed > seconds) {
      break;
    }
  }
  return best;
}

double measure_matmul_peak(const torch::Device& device, torch::Dtype dtype) {
  constexpr double kSeconds = 0.3;  // of each kind of product
  const torch::NoGradGuard no_grad;
  std::vector<MatmulProduct (*)(const Factors&)> kinds{plain_product};
  if (device.is_cpu()) {
    kinds = {kernel_product, onednn_product, plain_product};
  }
  double peak = 0;
  for (const auto& kind : kinds) {
    const auto make = [&](int64_t edge) {
      const auto options = torch::dtype(dtype).device(device);
      return kind({random_matrix(edge, options), random_matrix(edge, options)});
    };
    peak = std::max(peak, fastest_product(make, device, kSeconds));
  }
  return peak;
}

}  // namespace softmoe
