#pragma once
/// Names of tar shards as WebDataset takes them.

#include <filesystem>
#include <string>
#include <vector>

namespace softmoe {

/// Returns true if `text` begins with "pipe:": what follows is a shell command that writes a shard.
bool is_pipe(const std::string& text);

/// Returns true if `path` ends as shards do: .tar, .tar.gz, .tgz, ...
bool is_shard_name(const std::filesystem::path& path);

/// The texts that `pattern` stands for: each part {0000..0146} for the numbers between, with as
/// many digits as the first has, {a,b} for the texts in it; several in the order of the first.
/// Throws UsageError for a brace that is not closed, bounds that are no numbers or more than a
/// million texts.
std::vector<std::string> expand_braces(const std::string& pattern);

}  // namespace softmoe
