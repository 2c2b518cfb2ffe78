#include "train/profile_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "core/table.h"

namespace softmoe {
namespace {

constexpr std::string_view kUpdate = "update";
constexpr std::string_view kBackward = "update/backward";
constexpr double kNsPerSecond = 1e9;

double seconds_of(const ProfileEvent& event) {
  return static_cast<double>(event.end_ns - event.begin_ns) / kNsPerSecond;
}

/// Sums times by part. Events come by thread, outer ones before inner ones.
class PartTimes {
 public:
  void add(const ProfileEvent& event) {
    leave_ended(event);
    const bool in_backward_function =
        std::ranges::any_of(open_, [](const Open& open) { return open.is_function; });
    if (event.kind == ProfileKind::kPart && !in_backward_function) {
      open_part(event);
    } else if (event.kind == ProfileKind::kBackward && !in_backward_function) {
      open_.push_back({.end_ns = event.end_ns, .thread = event.thread, .is_function = true});
      functions_.push_back(event);
    }
  }

  std::vector<PartTime> result() && {
    for (const auto& function : functions_) {
      give_to_maker(function);
    }
    return std::move(times_);
  }

 private:
  struct Open {
    int64_t end_ns = 0;
    uint64_t thread = 0;
    bool is_function = false;
    size_t part = 0;
  };
  struct Maker {
    int64_t sequence;
    int64_t sequence_end;
    size_t part;
  };

  void leave_ended(const ProfileEvent& event) {
    while (!open_.empty() &&
           (open_.back().thread != event.thread || open_.back().end_ns <= event.begin_ns)) {
      open_.pop_back();
    }
  }

  void open_part(const ProfileEvent& event) {
    if (open_.empty() && event.name != kUpdate) {
      return;  // such as an evaluation between two updates
    }
    const auto path =
        open_.empty() ? event.name : times_[open_.back().part].path + "/" + event.name;
    const auto [place, is_new] = places_.try_emplace(path, times_.size());
    if (is_new) {
      times_.push_back({.path = path});
    }
    const double seconds = seconds_of(event);
    times_[place->second].seconds += seconds;
    if (!open_.empty()) {
      times_[open_.back().part].seconds -= seconds;
    }
    open_.push_back({.end_ns = event.end_ns, .thread = event.thread, .part = place->second});
    if (event.sequence < event.sequence_end) {
      makers_.push_back({event.sequence, event.sequence_end, place->second});
    }
  }

  /// Moves the time of a function from "backward" to the innermost part that made it.
  void give_to_maker(const ProfileEvent& function) {
    const Maker* innermost = nullptr;
    for (const auto& maker : makers_) {
      const bool made =
          maker.sequence <= function.sequence && function.sequence < maker.sequence_end;
      if (made && (innermost == nullptr || maker.sequence_end - maker.sequence <=
                                               innermost->sequence_end - innermost->sequence)) {
        innermost = &maker;
      }
    }
    const auto backward = places_.find(std::string(kBackward));
    if (innermost == nullptr || backward == places_.end()) {
      return;
    }
    const double seconds = seconds_of(function);
    times_[innermost->part].backward += seconds;
    times_[backward->second].seconds -= seconds;
  }

  std::vector<Open> open_;
  std::vector<PartTime> times_;
  std::unordered_map<std::string, size_t> places_;
  std::vector<Maker> makers_;
  std::vector<ProfileEvent> functions_;
};

/// "blocks.3/attn" for "update/forward/blocks.3/attn", "optimizer" for "update/optimizer".
std::string shown_name(std::string path) {
  if (path == kUpdate) {
    return "rest";
  }
  for (const std::string_view prefix : {"update/", "forward/"}) {
    if (path.starts_with(prefix)) {
      path.erase(0, prefix.size());
    }
  }
  return path;
}

}  // namespace

std::vector<PartTime> part_times(const std::vector<ProfileEvent>& events) {
  PartTimes times;
  for (const auto& event : events) {
    times.add(event);
  }
  return std::move(times).result();
}

std::string profile_table(const std::vector<PartTime>& times, int64_t updates,
                          const std::map<std::string, double>& gflops, double peak) {
  double total = 0.0;
  for (const auto& part : times) {
    total += part.seconds + part.backward;
  }
  const double per_update = 1e3 / static_cast<double>(updates);
  TextTable table({"part", "ms", "backward ms", "share", "GFLOP/s", "of peak"});
  const auto add = [&](const std::string& name, double seconds, double backward,
                       std::optional<double> gflop) {
    const double all = seconds + backward;
    const double rate = gflop && all > 0 ? *gflop * static_cast<double>(updates) / all : 0.0;
    table.add_row({name, fmt::format("{:.2f}", seconds * per_update),
                   backward > 0 ? fmt::format("{:.2f}", backward * per_update) : "-",
                   fmt::format("{:.1f} %", total > 0 ? 100 * all / total : 0.0),
                   rate > 0 ? fmt::format("{:.0f}", rate) : "-",
                   rate > 0 && peak > 0 ? fmt::format("{:.0f} %", 100 * rate / peak) : "-"});
  };
  for (const auto& part : times) {
    const auto name = shown_name(part.path);
    const auto found = gflops.find(name);
    add(name, part.seconds, part.backward,
        found == gflops.end() ? std::optional<double>() : 3.0 * found->second);
  }
  add("update", total, 0.0, std::nullopt);
  return table.text();
}

}  // namespace softmoe
