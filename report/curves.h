#pragma once
/// Arithmetic on the curves of training runs.

#include <vector>

#include "report/results.h"

namespace softmoe::report {

/// The curve's value at `position` of `axis` (&CurvePoint::step or &CurvePoint::seconds), between
/// two points on the line through them; kMissing before the first and after the last point.
double value_at(const Curve& curve, double CurvePoint::*axis, double position);

/// The largest value; kMissing where there is none.
double best_value(const Curve& curve);
/// The last finite value; kMissing where there is none.
double last_value(const Curve& curve);

/// The means of at most `count` runs of neighbouring points.
Curve thinned(const Curve& curve, size_t count);

/// Without a last record that is about far fewer steps than the others, and so mostly noise.
Curve without_short_end(Curve curve);

/// Each value averaged with its neighbours, `reach` points to both sides.
Curve smoothed(const Curve& curve, size_t reach);

/// Where the shortest of the runs' accuracy curves ends on `axis`: up to there all can be compared.
/// kMissing where a run has no accuracy with a place on that axis.
double common_end(const std::vector<TrainingRun>& runs, double CurvePoint::*axis);

}  // namespace softmoe::report
