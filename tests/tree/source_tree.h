#pragma once
/// The sources of this project, as files.

#include <filesystem>
#include <string>
#include <vector>

namespace softmoe::test {

/// The folders that the build compiles, in alphabetical order.
std::vector<std::string> source_folders();

/// The sources and headers below `folder`, a path inside the project, in alphabetical order.
std::vector<std::filesystem::path> sources_of(const std::string& folder);

/// The lines of a file without their line breaks.
std::vector<std::string> lines_of_file(const std::filesystem::path& file);

/// The headers of the project that a file includes, as "folder/header.h". Generated `.inc` files
/// are left out.
std::vector<std::string> included_headers(const std::filesystem::path& file);

/// `file` inside the project, for messages: "core/log.cpp".
std::string name_in_tree(const std::filesystem::path& file);

}  // namespace softmoe::test
