#include "train/event_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

#include "train/event_record.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "events.out.tfevents.";

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// Seconds in the name of the newest event file; 0 if there is none.
int64_t newest_seconds(const fs::path& folder) {
  int64_t newest = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const auto name = entry.path().filename().string();
    int64_t seconds = 0;
    if (name.starts_with(kPrefix)) {
      std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), seconds);
      newest = std::max(newest, seconds);
    }
  }
  return newest;
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

fs::path next_path(const fs::path& folder) {
  // TensorBoard reads files in the order of their names.
  const int64_t seconds = std::max(static_cast<int64_t>(wall_time()), newest_seconds(folder) + 1);
  return folder / fmt::format("{}{:010}.{}.{}", kPrefix, seconds, host_name(), ::getpid());
}

}  // namespace

EventFile::EventFile(const fs::path& folder, int64_t step) : file_(next_path(folder), /*keep=*/0) {
  const double now = wall_time();
  file_.append(version_record(now) + sitting_record({.wall_time = now, .step = step + 1}));
}

void EventFile::add_scalar(const std::string& tag, double value, int64_t step) {
  file_.append(scalar_record({.wall_time = wall_time(), .step = step}, tag, value));
}

void EventFile::add_text(const std::string& tag, const std::string& text, int64_t step) {
  file_.append(text_record({.wall_time = wall_time(), .step = step}, tag, text));
}

}  // namespace softmoe
