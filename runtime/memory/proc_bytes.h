#pragma once
/// Amounts of memory in the files of /proc.

#include <cstdint>
#include <optional>
#include <string_view>

namespace softmoe {

/// The KiB that follow `key` in the file `path`, in bytes; nothing if the file or the key is
/// missing.
std::optional<int64_t> proc_bytes(const char* path, std::string_view key);

}  // namespace softmoe
