#pragma once
/// Numbers as people read them in tables and on axes.

#include <cstdint>
#include <string>

namespace softmoe::report {

/// Stands for a number that is missing.
inline constexpr const char* kNoValue = "\u2013";

/// `value` with `decimals` digits after the point and commas between thousands; kNoValue if it is
/// not finite.
std::string fixed_text(double value, int decimals);

/// `value` with about `digits` significant digits, never in exponent form between 1e-4 and 1e15.
std::string short_text(double value, int digits = 3);

/// A share in [0, 1] as a percentage without its sign: 0.5612 as "56.1".
std::string percent_text(double share, int decimals = 1);

/// "45 s", "4:05 min" or "3:05:00 h".
std::string duration_text(double seconds);

/// Bytes in the largest decimal unit, as memory is sold: "7.37 GB".
std::string bytes_text(double bytes);

/// A large count such as parameters: "21.7M", "3.68B".
std::string count_text(double count);

/// Number of characters (not bytes) of UTF-8 text.
int64_t text_length(const std::string& text);

/// `text` cut to at most `limit` characters; if something was cut, the last one is an ellipsis.
std::string shortened(const std::string& text, int64_t limit);

}  // namespace softmoe::report
