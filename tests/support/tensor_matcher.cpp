#include "support/tensor_matcher.h"

#include <algorithm>
#include <sstream>

namespace softmoe::test {
namespace {

std::string index_text(int64_t flat, torch::IntArrayRef sizes) {
  std::string text;
  for (size_t axis = sizes.size(); axis-- > 0;) {
    text = std::to_string(flat % sizes[axis]) + (text.empty() ? "" : ", ") + text;
    flat /= sizes[axis];
  }
  return "[" + text + "]";
}

}  // namespace

Tolerance parity_tolerance(torch::Dtype dtype, const torch::Tensor& expected) {
  const double largest =
      expected.numel() == 0
          ? 1.0
          : std::max(1.0, expected.to(torch::kFloat64).abs().max().item<double>());
  switch (dtype) {
    case torch::kFloat64:
      return {.absolute = 1e-12 * largest};
    case torch::kBFloat16:
      return {.absolute = 1e-2 * largest};
    default:
      return {.absolute = 2e-6 * largest};
  }
}

testing::AssertionResult all_close(const torch::Tensor& actual, const torch::Tensor& expected,
                                   Tolerance tolerance) {
  if (actual.sizes() != expected.sizes()) {
    std::ostringstream shapes;
    shapes << "shape " << actual.sizes() << " instead of " << expected.sizes();
    return testing::AssertionFailure() << shapes.str();
  }
  if (actual.numel() == 0) {
    return testing::AssertionSuccess();
  }
  const auto a = actual.detach().cpu().to(torch::kFloat64).flatten();
  const auto e = expected.detach().cpu().to(torch::kFloat64).flatten();
  const auto error = (a - e).abs();
  const double allowed = tolerance.absolute + tolerance.relative * e.abs().max().item<double>();
  if (error.le(allowed).all().item<bool>()) {
    return testing::AssertionSuccess();
  }
  // argmax prefers NaN, so NaN is shown first.
  const int64_t worst = error.argmax().item<int64_t>();
  return testing::AssertionFailure()
         << "largest error " << error[worst].item<double>() << " (allowed " << allowed << ") at "
         << index_text(worst, actual.sizes()) << ": " << a[worst].item<double>() << " instead of "
         << e[worst].item<double>() << ", dtype " << c10::toString(actual.scalar_type());
}

testing::AssertionResult all_close(const torch::Tensor& actual, const torch::Tensor& expected) {
  return all_close(actual, expected, parity_tolerance(actual.scalar_type(), expected));
}

testing::AssertionResult same_bits(const torch::Tensor& actual, const torch::Tensor& expected) {
  if (actual.scalar_type() != expected.scalar_type()) {
    return testing::AssertionFailure() << "dtype " << c10::toString(actual.scalar_type())
                                       << " instead of " << c10::toString(expected.scalar_type());
  }
  return all_close(actual, expected, Tolerance{});
}

}  // namespace softmoe::test
