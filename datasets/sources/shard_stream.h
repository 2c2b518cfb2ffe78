#pragma once
/// Shards that can only be read from their beginning to their end: compressed ones, and what a
/// command writes.

#include <filesystem>
#include <string>

namespace softmoe {

/// Returns true if `shard` is "pipe:COMMAND" or a compressed file.
bool is_stream(const std::string& shard);

/// Where copy_stream() puts the tar file of `shard` in `folder`.
std::filesystem::path stream_copy(const std::string& shard, const std::filesystem::path& folder);

/// Reads `shard` once and writes it, uncompressed, to stream_copy(), whole or not at all; does
/// nothing if that file exists. Throws InputError that names the shard: a damaged file, a command
/// that fails.
void copy_stream(const std::string& shard, const std::filesystem::path& folder);

}  // namespace softmoe
