#include "core/random_draws.h"

#include <cmath>

namespace softmoe {
namespace {

/// The cube of a normal draw that Marsaglia and Tsang (2000) accept; `shape` is at least 1.
double gamma_from_one(double shape, Rng& rng) {
  const double d = shape - 1.0 / 3.0;
  const double c = 1.0 / std::sqrt(9.0 * d);
  while (true) {
    const double x = rng.normal();
    const double v = std::pow(1.0 + c * x, 3);
    if (v > 0.0 && std::log(1.0 - rng.uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) {
      return d * v;
    }
  }
}

/// The logarithm of a gamma draw, which does not underflow for small shapes.
double log_gamma_draw(double shape, Rng& rng) {
  if (shape >= 1.0) {
    return std::log(gamma_from_one(shape, rng));
  }
  const double larger = std::log(gamma_from_one(shape + 1.0, rng));
  return larger + std::log(1.0 - rng.uniform()) / shape;
}

}  // namespace

double draw_gamma(double shape, Rng& rng) { return std::exp(log_gamma_draw(shape, rng)); }

double draw_beta(double a, double b, Rng& rng) {
  const double x = log_gamma_draw(a, rng);
  const double y = log_gamma_draw(b, rng);
  return 1.0 / (1.0 + std::exp(y - x));
}

}  // namespace softmoe
