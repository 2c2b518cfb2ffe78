#pragma once
/// Lines about what the program does. Libraries send them here; the program decides where they go.

#include <functional>
#include <string>

namespace softmoe {

/// Takes one line without its line break.
using LogSink = std::function<void(const std::string&)>;

/// Where lines go from now on; the default drops them. Returns the sink until now.
LogSink set_log_sink(LogSink sink);

/// Sends one line.
void log_line(const std::string& line);

}  // namespace softmoe
