#pragma once
/// Files that are either whole or not there.

#include <filesystem>
#include <functional>
#include <string>

namespace softmoe {

/// Calls `write` with a temporary path beside `path`, flushes that file to the disk and renames it
/// to `path`. If anything fails the temporary file is removed, `path` stays as it was, and the
/// error goes on; a failure of the system is an InputError that names `path`. Symbolic links are
/// followed. A device, a pipe, or a file that this process's standard output goes to is not
/// replaced: it gets the bytes of the finished file, which lay in the system's temporary folder.
void write_atomically(const std::filesystem::path& path,
                      const std::function<void(const std::filesystem::path&)>& write);

/// The file that `path` leads to through symbolic links; it need not be there yet. Throws
/// InputError for links in a circle.
std::filesystem::path link_target(const std::filesystem::path& path);

/// Writes `text` to `path` so, making its folder where needed. `meanwhile`, where given, is called
/// when nothing is left but to rename the file: what it writes and `path` are there both or not.
void write_text_file(const std::filesystem::path& path, const std::string& text,
                     const std::function<void()>& meanwhile = {});

/// The whole of a file; throws InputError that names it.
std::string read_text_file(const std::filesystem::path& path);

}  // namespace softmoe
