#include "report/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/number_text.h"

namespace softmoe::report {
namespace {

double round_step(double raw_step) {
  const double power = std::pow(10.0, std::floor(std::log10(raw_step)));
  const double fraction = raw_step / power;
  for (const double candidate : {1.0, 2.0, 2.5, 5.0}) {
    if (fraction <= candidate * (1.0 + 1e-9)) {
      return candidate * power;
    }
  }
  return 10.0 * power;
}

/// 1, 2 and 5 times the powers of ten in the range; only the powers if it has more than three
/// decades.
std::vector<double> logarithmic_ticks(double low, double high) {
  const int first = static_cast<int>(std::floor(std::log10(low)));
  const int last = static_cast<int>(std::ceil(std::log10(high)));
  const auto steps =
      last - first > 3 ? std::vector<double>{1.0} : std::vector<double>{1.0, 2.0, 5.0};
  const int stride = std::max(1, (last - first) / 7);
  std::vector<double> ticks;
  for (int exponent = first; exponent <= last; exponent += stride) {
    for (const double step : steps) {
      const double tick = step * std::pow(10.0, exponent);
      if (tick >= low * (1.0 - 1e-9) && tick <= high * (1.0 + 1e-9)) {
        ticks.push_back(tick);
      }
    }
  }
  return ticks;
}

/// The number of decimals that distinguishes neighbouring ticks.
int decimals_for(const std::vector<double>& ticks) {
  for (int decimals = 0; decimals < 6; ++decimals) {
    const double unit = std::pow(10.0, -decimals);
    const bool exact = std::all_of(ticks.begin(), ticks.end(), [&](double tick) {
      return std::abs(tick / unit - std::round(tick / unit)) < 1e-6;
    });
    if (exact) {
      return decimals;
    }
  }
  return 6;
}

std::vector<std::string> texts_of(const std::vector<double>& ticks, bool logarithmic) {
  std::vector<std::string> texts;
  for (const double tick : ticks) {
    texts.push_back(logarithmic ? short_text(tick, tick < 1.0 ? 2 : 1)
                                : fixed_text(tick, decimals_for(ticks)));
  }
  return texts;
}

void widen_single_value(double& low, double& high, bool logarithmic) {
  if (high > low) {
    return;
  }
  if (logarithmic) {
    low /= 2.0;
    high *= 2.0;
  } else {
    const double margin = low == 0.0 ? 1.0 : 0.1 * std::abs(low);
    low -= margin;
    high += margin;
  }
}

void add_margin(Scale& scale, double margin) {
  if (scale.logarithmic) {
    const double factor = std::pow(scale.high / scale.low, margin);
    scale.low /= factor;
    scale.high *= factor;
  } else {
    const double width = margin * (scale.high - scale.low);
    scale.low -= width;
    scale.high += width;
  }
}

/// Makes a range begin at the first tick, and end at the last one if that takes little room.
void end_at_ticks(Scale& scale, const std::vector<double>& ticks) {
  constexpr double kNear = 0.3;  // of the distance between ticks
  const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : 0.0;
  const double last = ticks.back();
  scale.high =
      last - scale.high <= kNear * step ? std::max(last, scale.high) : scale.high + 0.1 * step;
  scale.low = std::min(scale.low, ticks.front());
}

}  // namespace

double Scale::position(double value) const {
  if (logarithmic) {
    return std::log(value / low) / std::log(high / low);
  }
  return (value - low) / (high - low);
}

std::vector<double> round_ticks(double low, double high, int count) {
  const double step = round_step((high - low) / count);
  const double first = std::floor(low / step * (1.0 + 1e-12) + 1e-9);
  const double last = std::ceil(high / step - 1e-9);
  std::vector<double> ticks;
  for (double index = first; index <= last; index += 1.0) {
    ticks.push_back(index * step);
  }
  return ticks;
}

Scale make_scale(const Axis& axis, const std::vector<double>& values, int count,
                 bool begins_at_tick) {
  Scale scale{.logarithmic = axis.logarithmic};
  std::vector<double> usable;
  for (const double value : values) {
    if (std::isfinite(value) && (!axis.logarithmic || value > 0.0)) {
      usable.push_back(value);
    }
  }
  if (usable.empty()) {
    usable = {axis.logarithmic ? 1.0 : 0.0, axis.logarithmic ? 10.0 : 1.0};
  }
  const auto [smallest, largest] = std::minmax_element(usable.begin(), usable.end());
  scale.low = axis.from_zero ? std::min(0.0, *smallest) : *smallest;
  scale.high = *largest;
  widen_single_value(scale.low, scale.high, axis.logarithmic);
  add_margin(scale, axis.margin);
  scale.ticks = !axis.ticks.empty() ? axis.ticks
                : axis.logarithmic  ? logarithmic_ticks(scale.low, scale.high)
                                    : round_ticks(scale.low, scale.high, count);
  if (begins_at_tick && !axis.logarithmic) {
    end_at_ticks(scale, scale.ticks);
  }
  const double slack = 1e-9 * (scale.high - scale.low);
  std::erase_if(scale.ticks,
                [&](double tick) { return tick < scale.low - slack || tick > scale.high + slack; });
  scale.tick_texts = texts_of(scale.ticks, axis.logarithmic);
  return scale;
}

}  // namespace softmoe::report
