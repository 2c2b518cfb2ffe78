#pragma once
/// Widths of MLPs as ratios, as configs of other libraries have them.

#include <cstdint>

namespace softmoe {

/// A ratio whose product with `dim`, cut to an integer, is `hidden`.
double exact_ratio(int64_t hidden, int64_t dim);

}  // namespace softmoe
