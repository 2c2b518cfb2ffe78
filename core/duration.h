#pragma once
/// Lengths of time as users write them.

#include <optional>
#include <string>
#include <string_view>

namespace softmoe {

/// A length of time, at least 0.
struct Duration {
  double seconds = 0.0;
  auto operator<=>(const Duration&) const = default;
};

/// What parse_duration() reads, for messages.
inline constexpr std::string_view kDurationForm = "a time such as 90s, 10min, 1.5h or 2d";

/// Reads a number that is at least 0 with one of the units s, min (or m), h and d; without a unit
/// it counts seconds. Returns std::nullopt for other texts.
std::optional<Duration> parse_duration(std::string_view text);

/// The text of `duration` in the largest unit of which it is a multiple: "90s", "10min", "0s".
/// parse_duration() reads it back.
std::string duration_text(Duration duration);

}  // namespace softmoe
