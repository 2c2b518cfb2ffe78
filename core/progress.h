#pragma once
/// Progress of long work: a bar that redraws itself on a terminal, plain lines otherwise.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace softmoe {

/// How progress is shown.
enum class ProgressStyle { kNone, kLines, kBar };

/// The style for the program's stderr: a bar on a terminal, lines elsewhere.
ProgressStyle default_progress_style();
/// The style in use: kNone until the program sets another.
void set_progress_style(ProgressStyle style);
ProgressStyle progress_style();

/// One piece of work of known length, written to stderr.
class Progress {
 public:
  /// `label` begins each line ("Train 3/10"); `total` is the number of units ("images").
  Progress(std::string label, int64_t total, std::string unit);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Changes the number of units, which was an estimate.
  void set_total(int64_t total) { total_ = total; }
  /// Shows that `done` units are finished, then rate, ETA and `note`. The ETA is `seconds_left`,
  /// or, if that is not given, the time of the units that are left at the average rate so far.
  /// Redraws at most 10 times a second; in plain style writes at most one line every 10 seconds.
  void update(int64_t done, const std::string& note = "", std::optional<double> seconds_left = {});
  /// Returns true if update() would show anything now; for notes that take time to make.
  bool is_due() const;
  /// Removes the bar.
  void finish();

 private:
  std::string line(int64_t done, const std::string& note, std::optional<double> seconds_left) const;

  std::string label_;
  int64_t total_;
  std::string unit_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_;
  bool drawn_ = false;
};

/// 75 s as "1:15", 3 h 5 min as "3:05:00".
std::string format_duration(double seconds);

}  // namespace softmoe
