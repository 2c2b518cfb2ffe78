#pragma once
/// Lines of results on standard output that hold names from outside.

#include <fmt/format.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "core/error.h"
#include "core/split_text.h"

namespace softmoe::cli {

/// Prints one line as terminal_text().
template <typename... Values>
void print_line(fmt::format_string<Values...> format, Values&&... values) {
  fmt::print("{}\n", terminal_text(fmt::format(format, std::forward<Values>(values)...)));
}

/// Prints the lines of `text`, each as terminal_text().
inline void print_text(const std::string& text) {
  for (const auto& line : split_text(text, '\n')) {
    print_line("{}", line);
  }
}

/// Prints CSV or JSON, which hold names as they are, for programs; a terminal gets none of their
/// control characters.
inline void print_data(const std::string& text) {
  if (::isatty(STDOUT_FILENO) == 0) {
    fmt::print("{}", text);
  } else {
    print_text(text);
  }
}

}  // namespace softmoe::cli
