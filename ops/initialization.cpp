#include "ops/initialization.h"

namespace softmoe {
namespace {
thread_local bool skip_initialization = false;
}

SkipInitialization::SkipInitialization() : previous_(skip_initialization) {
  skip_initialization = true;
}
SkipInitialization::~SkipInitialization() { skip_initialization = previous_; }

bool initialization_skipped() { return skip_initialization; }

DefaultDtypeGuard::DefaultDtypeGuard(torch::Dtype dtype)
    : previous_(c10::typeMetaToScalarType(torch::get_default_dtype())) {
  torch::set_default_dtype(c10::scalarTypeToTypeMeta(dtype));
}
DefaultDtypeGuard::~DefaultDtypeGuard() {
  torch::set_default_dtype(c10::scalarTypeToTypeMeta(previous_));
}

void init_constant(torch::Tensor& tensor, double value) {
  if (!skip_initialization) {
    const torch::NoGradGuard no_grad;
    tensor.fill_(value);
  }
}

void init_normal(torch::Tensor& tensor, double standard_deviation) {
  if (!skip_initialization) {
    const torch::NoGradGuard no_grad;
    tensor.normal_(0.0, standard_deviation);
  }
}

void init_lecun_normal(torch::Tensor& tensor, int64_t fan_in) {
  if (skip_initialization) {
    return;
  }
  const torch::NoGradGuard no_grad;
  // The standard deviation of a standard normal cut off at +-2, to be divided out.
  constexpr double kTruncatedDeviation = 0.87962566103423978;
  const double deviation = 1.0 / (std::sqrt(static_cast<double>(fan_in)) * kTruncatedDeviation);
  // By the inverse of the normal distribution function, on the quantiles between -2 and 2.
  constexpr double kErfOfCut = 0.95449973610364158;  // erf(2 / sqrt(2))
  auto values = torch::empty(tensor.sizes(), tensor.options().dtype(torch::kFloat32));
  values.uniform_(-kErfOfCut, kErfOfCut).erfinv_().mul_(deviation * std::sqrt(2.0));
  tensor.copy_(values);
}

void init_xavier_uniform(torch::Tensor& tensor, int64_t fan_in, int64_t fan_out) {
  if (!skip_initialization) {
    const torch::NoGradGuard no_grad;
    const double limit = std::sqrt(6.0 / static_cast<double>(fan_in + fan_out));
    tensor.uniform_(-limit, limit);
  }
}

void init_orthogonal(torch::Tensor& tensor, double gain) {
  if (skip_initialization) {
    return;
  }
  const torch::NoGradGuard no_grad;
  const bool wide = tensor.size(0) < tensor.size(1);
  const auto normal = torch::randn(
      {std::max(tensor.size(0), tensor.size(1)), std::min(tensor.size(0), tensor.size(1))},
      tensor.options().dtype(torch::kFloat32));
  const auto [q, r] = torch::linalg_qr(normal);
  const auto columns = q * (r.diagonal().sign() * gain);  // signs make the factorisation unique
  tensor.copy_(wide ? columns.t() : columns);
}

}  // namespace softmoe
