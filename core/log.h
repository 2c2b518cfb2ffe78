#pragma once
/// Messages about what the program does. Libraries send them; the program decides where they go.

#include <functional>
#include <string>

namespace softmoe {

/// Takes one line without its line break.
using LogSink = std::function<void(const std::string&)>;

/// Sets where lines go; the default drops them. Returns the previous sink.
LogSink set_log_sink(LogSink sink);

/// Sends one line to the sink.
void log_line(const std::string& line);

}  // namespace softmoe
