#pragma once
/// Arithmetic on the curves of training runs.

#include <vector>

#include "report/results.h"

namespace softmoe::report {

/// The curve's value at `position` of `axis` (&CurvePoint::step or &CurvePoint::seconds),
/// interpolated linearly between points; kMissing before the first and after the last point.
double value_at(const Curve& curve, double CurvePoint::*axis, double position);

/// The largest value; kMissing if there is no finite value.
double best_value(const Curve& curve);
/// The last finite value; kMissing if there is no finite value.
double last_value(const Curve& curve);

/// At most `count` points, each the mean of a run of neighbouring points.
Curve thinned(const Curve& curve, size_t count);

/// The curve without its last record if that covers far fewer steps than the others: it would be
/// mostly noise.
Curve without_short_end(Curve curve);

/// Each value averaged with the `reach` points on either side.
Curve smoothed(const Curve& curve, size_t reach);

/// The end of the shortest accuracy curve on `axis`: up to there all runs can be compared. kMissing
/// if a run has no accuracy with a position on that axis.
double common_end(const std::vector<TrainingRun>& runs, double CurvePoint::*axis);

}  // namespace softmoe::report
