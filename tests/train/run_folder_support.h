#pragma once
/// Helpers of the tests of run folders.

#include <filesystem>
#include <string>

#include "io/atomic_file.h"
#include "support/error_text.h"

namespace softmoe::test {

/// Writes a text as the checkpoint.
inline auto writer(const std::string& text) {
  return [text](const std::filesystem::path& path) { write_text_file(path, text); };
}

}  // namespace softmoe::test
