#pragma once
/// Draws from distributions beyond those of Rng.

#include "core/rng.h"

namespace softmoe {

/// A draw from the gamma distribution of `shape` > 0 and scale 1.
double draw_gamma(double shape, Rng& rng);

/// A draw from the beta distribution of `a` and `b`, both positive; in [0, 1].
double draw_beta(double a, double b, Rng& rng);

}  // namespace softmoe
