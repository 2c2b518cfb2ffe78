#pragma once
/// The scale of one axis of a plot and the ticks on it.

#include <string>
#include <vector>

namespace softmoe::report {

/// What an axis shows. If `ticks` is empty, the ticks are round numbers chosen from the data.
struct Axis {
  std::string title;  ///< with the unit: "training time (min)"
  bool logarithmic = false;
  bool from_zero = false;  ///< the range begins at 0 for any data
  double margin = 0.0;     ///< share of the range that is added at both ends
  std::vector<double> ticks{};
};

/// Maps values to [0, 1] along an axis.
struct Scale {
  double low = 0.0;
  double high = 1.0;
  bool logarithmic = false;
  std::vector<double> ticks{};
  std::vector<std::string> tick_texts{};

  /// Position of `value`, in [0, 1] inside the range.
  double position(double value) const;
  bool contains(double value) const { return value >= low && value <= high; }
};

/// Round numbers (1, 2, 2.5 or 5 times a power of ten) that cover [low, high] with about `count`
/// intervals; the first is at most `low` and the last at least `high`.
std::vector<double> round_ticks(double low, double high, int count);

/// A scale for `axis` over the finite elements of `values` (on a logarithmic axis: the positive
/// elements) with about `count` ticks. A single value gets a range around it. Without values the
/// range is [0, 1]. With `begins_at_tick` the range begins at a tick, and ends at a tick if one is
/// near.
Scale make_scale(const Axis& axis, const std::vector<double>& values, int count,
                 bool begins_at_tick);

}  // namespace softmoe::report
