#pragma once
/// Helpers of the tests of run folders.

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "core/error.h"
#include "io/atomic_file.h"

namespace softmoe::test {

/// Writes a text as the checkpoint.
inline auto writer(const std::string& text) {
  return [text](const std::filesystem::path& path) { write_text_file(path, text); };
}

/// The message of the InputError that `act` must throw.
template <typename Act>
std::string input_error(Act act) {
  try {
    act();
  } catch (const InputError& error) {
    return error.what();
  }
  ADD_FAILURE() << "no InputError was thrown";
  return "";
}

}  // namespace softmoe::test
