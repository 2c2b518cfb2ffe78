#include "core/log.h"

#include <mutex>
#include <utility>

namespace softmoe {
namespace {

std::mutex& sink_mutex() {
  static std::mutex mutex;
  return mutex;
}

LogSink& current_sink() {
  static LogSink sink = [](const std::string&) {};
  return sink;
}

}  // namespace

LogSink set_log_sink(LogSink sink) {
  const std::lock_guard lock(sink_mutex());
  return std::exchange(current_sink(), std::move(sink));
}

void log_line(const std::string& line) {
  const std::lock_guard lock(sink_mutex());
  current_sink()(line);
}

}  // namespace softmoe
