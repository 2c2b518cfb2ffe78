#pragma once
/// Lines of results on standard output that hold names from outside.

#include <fmt/format.h>

#include <utility>

#include "core/error.h"

namespace softmoe::cli {

/// Prints one line as terminal_text().
template <typename... Values>
void print_line(fmt::format_string<Values...> format, Values&&... values) {
  fmt::print("{}\n", terminal_text(fmt::format(format, std::forward<Values>(values)...)));
}

}  // namespace softmoe::cli
