#include "core/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace softmoe {
namespace {

using Clock = std::chrono::steady_clock;

ProgressStyle& current_style() {
  static ProgressStyle style = ProgressStyle::kNone;
  return style;
}

size_t terminal_width() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

ProgressStyle default_progress_style() {
  return ::isatty(STDERR_FILENO) != 0 ? ProgressStyle::kBar : ProgressStyle::kLines;
}
void set_progress_style(ProgressStyle style) { current_style() = style; }
ProgressStyle progress_style() { return current_style(); }

Progress::Progress(std::string label, int64_t total, std::string unit)
    : label_(std::move(label)),
      total_(total),
      unit_(std::move(unit)),
      start_(Clock::now()),
      last_(start_) {}

Progress::~Progress() { finish(); }

std::string Progress::line(int64_t done, const std::string& note,
                           std::optional<double> seconds_left) const {
  const double share = total_ > 0 ? static_cast<double>(done) / static_cast<double>(total_) : 1.0;
  const double elapsed = seconds_since(start_);
  const double rate = elapsed > 0 ? static_cast<double>(done) / elapsed : 0.0;
  if (!seconds_left && rate > 0) {
    seconds_left = static_cast<double>(total_ - done) / rate;
  }
  const std::string eta = seconds_left ? format_duration(*seconds_left) : "?";
  std::string text = label_ + " ";
  if (progress_style() == ProgressStyle::kBar) {
    constexpr int kCells = 20;
    const int filled = std::clamp(static_cast<int>(share * kCells), 0, kCells);
    for (int cell = 0; cell < kCells; ++cell) {
      text += cell < filled ? "━" : "╌";
    }
    text += " ";
  }
  text += fmt::format("{:3.0f}% {}/{} {}  {:.1f}/s  ETA {}", 100 * share, done, total_, unit_, rate,
                      eta);
  return note.empty() ? text : text + "  " + note;
}

bool Progress::is_due() const {
  const auto style = progress_style();
  const double pause = style == ProgressStyle::kBar ? 0.1 : 10.0;
  return style != ProgressStyle::kNone && seconds_since(last_) >= pause;
}

void Progress::update(int64_t done, const std::string& note, std::optional<double> seconds_left) {
  if (!is_due()) {
    return;
  }
  const auto style = progress_style();
  last_ = Clock::now();
  if (style == ProgressStyle::kLines) {
    fmt::print(stderr, "{}\n", line(done, note, seconds_left));
    return;
  }
  // The bar's cells take three bytes each on one column.
  constexpr size_t kExtraBytes = 40;
  fmt::print(stderr, "\r\033[K{}",
             line(done, note, seconds_left).substr(0, terminal_width() - 1 + kExtraBytes));
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::finish() {
  if (drawn_) {
    fmt::print(stderr, "\r\033[K");
    std::fflush(stderr);
    drawn_ = false;
  }
}

std::string format_duration(double seconds) {
  const auto whole = static_cast<int64_t>(std::max(0.0, seconds) + 0.5);
  if (whole >= 3600) {
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  }
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace softmoe
