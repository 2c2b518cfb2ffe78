#pragma once
/// Numbers as people read them in tables and on axes.

#include <cstdint>
#include <string>

#include "core/text_format.h"

namespace softmoe::report {

/// `value` with `decimals` digits after the point and commas between thousands; kNoValue if it is
/// not finite.
std::string fixed_text(double value, int decimals);

/// `value` with about `digits` significant digits, never in exponent form between 1e-4 and 1e15.
std::string short_text(double value, int digits = 3);

/// A share in [0, 1] as a percentage without its sign: 0.5612 as "56.1".
std::string percent_text(double share, int decimals = 1);

/// "45 s", "4:05 min" or "3:05:00 h".
std::string duration_text(double seconds);

/// `text` cut to at most `limit` characters; if something was cut, the last one is an ellipsis.
std::string shortened(const std::string& text, int64_t limit);

}  // namespace softmoe::report
