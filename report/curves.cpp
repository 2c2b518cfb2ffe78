#include "report/curves.h"

#include <algorithm>
#include <cmath>

namespace softmoe::report {
namespace {

/// The mean of the finite values of points [first, last), at their mean position.
CurvePoint mean_point(const Curve& curve, size_t first, size_t last) {
  CurvePoint mean{.step = 0.0, .seconds = 0.0, .value = 0.0};
  double finite = 0.0;
  for (size_t i = first; i < last; ++i) {
    mean.step += curve[i].step;
    mean.seconds += curve[i].seconds;
    if (std::isfinite(curve[i].value)) {
      mean.value += curve[i].value;
      finite += 1.0;
    }
  }
  const auto count = static_cast<double>(last - first);
  mean.step /= count;
  mean.seconds /= count;
  mean.value = finite > 0.0 ? mean.value / finite : kMissing;
  return mean;
}

}  // namespace

double value_at(const Curve& curve, double CurvePoint::*axis, double position) {
  const CurvePoint* before = nullptr;
  for (const auto& point : curve) {
    if (!std::isfinite(point.*axis) || !std::isfinite(point.value)) {
      continue;
    }
    if (point.*axis == position) {
      return point.value;
    }
    if (point.*axis > position) {
      if (before == nullptr) {
        return kMissing;
      }
      const double share = (position - before->*axis) / (point.*axis - before->*axis);
      return before->value + share * (point.value - before->value);
    }
    before = &point;
  }
  return kMissing;
}

double best_value(const Curve& curve) {
  double best = kMissing;
  for (const auto& point : curve) {
    best = std::isfinite(point.value) ? std::fmax(best, point.value) : best;
  }
  return best;
}

double last_value(const Curve& curve) {
  for (auto point = curve.rbegin(); point != curve.rend(); ++point) {
    if (std::isfinite(point->value)) {
      return point->value;
    }
  }
  return kMissing;
}

Curve thinned(const Curve& curve, size_t count) {
  if (curve.size() <= count) {
    return curve;
  }
  Curve thin;
  for (size_t i = 0; i < count; ++i) {
    thin.push_back(mean_point(curve, i * curve.size() / count, (i + 1) * curve.size() / count));
  }
  return thin;
}

Curve without_short_end(Curve curve) {
  constexpr double kShort = 0.5;  // of the interval before
  const size_t size = curve.size();
  if (size >= 3 && curve[size - 1].step - curve[size - 2].step <
                       kShort * (curve[size - 2].step - curve[size - 3].step)) {
    curve.pop_back();
  }
  return curve;
}

Curve smoothed(const Curve& curve, size_t reach) {
  Curve smooth = curve;
  for (size_t i = 0; i < curve.size(); ++i) {
    // Equal reach on both sides: otherwise the ends of a falling curve would be bent.
    const size_t both = std::min({reach, i, curve.size() - 1 - i});
    smooth[i].value = mean_point(curve, i - both, i + both + 1).value;
  }
  return smooth;
}

double common_end(const std::vector<TrainingRun>& runs, double CurvePoint::*axis) {
  double smallest = kMissing;
  for (const auto& run : runs) {
    double end = kMissing;
    for (const auto& point : run.eval_top1) {
      end = std::isfinite(point.value) ? std::fmax(end, point.*axis) : end;
    }
    if (!std::isfinite(end)) {
      return kMissing;
    }
    smallest = std::fmin(smallest, end);
  }
  return smallest;
}

}  // namespace softmoe::report
