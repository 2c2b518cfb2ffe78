#pragma once
/// Files that are either written whole or not at all, and small text files.

#include <filesystem>
#include <functional>
#include <string>

namespace softmoe {

/// Calls `write` with a temporary path beside `path`, flushes that file to the disk and renames it
/// to `path`. If anything fails, the temporary file is removed, `path` stays as it was, and the
/// error is thrown on; a failure of the system is an InputError that names `path`. Symbolic links
/// are followed. A device, a pipe, or a file that this process's standard output goes to is not
/// replaced: the file is finished in the system's temporary folder, then its bytes are sent there.
void write_atomically(const std::filesystem::path& path,
                      const std::function<void(const std::filesystem::path&)>& write);

/// Throws InputError that names `path` if write_atomically() cannot write there as things are now.
/// Makes an empty file there, or in the folder that its folders would be made in, and removes it.
void check_can_write(const std::filesystem::path& path);

/// Returns true if write_atomically() would replace a file that is not empty.
bool replaces_content(const std::filesystem::path& path);

/// The file that `path` leads to through symbolic links; it need not exist. Throws InputError for
/// links in a circle.
std::filesystem::path link_target(const std::filesystem::path& path);

/// Writes `text` to `path` as write_atomically() does, making its folder if needed. If `meanwhile`
/// is given, it is called just before the file is renamed: if it throws, `path` stays as it was.
void write_text_file(const std::filesystem::path& path, const std::string& text,
                     const std::function<void()>& meanwhile = {});

/// The whole of a file; throws InputError that names it.
std::string read_text_file(const std::filesystem::path& path);

}  // namespace softmoe
