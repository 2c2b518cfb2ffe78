#pragma once
/// What the system says when a file cannot be read or written, as errors of one line.

#include <cstdint>
#include <filesystem>
#include <string>

namespace softmoe {

/// Throws InputError "cannot read PATH: REASON".
[[noreturn]] void throw_read_error(const std::filesystem::path& path, const std::string& reason);
/// Throws InputError "cannot read PATH: ", with the system's words for `error_number`.
[[noreturn]] void throw_read_error(const std::filesystem::path& path, int error_number);

/// Throws InputError "cannot write PATH: REASON".
[[noreturn]] void throw_write_error(const std::filesystem::path& path, const std::string& reason);
/// Throws InputError "cannot write PATH: ", with the system's words for `error_number`.
[[noreturn]] void throw_write_error(const std::filesystem::path& path, int error_number);

/// The bytes of a file; throws like throw_read_error() if the system does not tell.
int64_t file_length(const std::filesystem::path& path);

}  // namespace softmoe
