#include "cli/file_conflicts.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_text.h"
#include "io/atomic_file.h"

namespace softmoe::cli {
namespace {

namespace fs = std::filesystem;

/// Returns true if both are names of one file or folder, which may not exist yet.
bool is_same_place(const std::string& first, const std::string& second) {
  std::error_code error;
  if (fs::exists(first, error) || fs::exists(second, error)) {
    const bool is_stored = fs::is_regular_file(first, error) || fs::is_directory(first, error);
    return is_stored && fs::equivalent(first, second, error);
  }
  const auto place = [&error](const std::string& path) {
    return fs::weakly_canonical(fs::absolute(path, error), error);
  };
  return place(first) == place(second);
}

}  // namespace

void check_outputs(const std::vector<NamedPath>& inputs, const std::vector<NamedPath>& outputs) {
  std::vector<NamedPath> written;
  for (const auto& output : outputs) {
    if (output.path.empty()) {
      continue;
    }
    const auto check = [&output](const std::vector<NamedPath>& others, const char* use) {
      for (const auto& other : others) {
        if (!other.path.empty() && is_same_place(output.path, other.path)) {
          throw UsageError(
              fmt::format("{} {}", output.option, printable_text(output.path)),
              fmt::format("another file than that of {}, which is {}", other.option, use),
              "the same");
        }
      }
    };
    check(inputs, "read");
    check(written, "written, too");
    written.push_back(output);
  }
  for (const auto& output : written) {
    std::error_code none;
    const fs::path path = output.path;
    check_can_write(output.may_be_folder && fs::is_directory(path, none) ? path / "file" : path);
  }
}

void check_replaces_result(const std::string& path) {
  if (!replaces_content(path)) {
    return;
  }
  std::ifstream file(path);
  const bool is_json = file.peek() == '{';
  const auto json = is_json ? Json::parse(file, nullptr, /*allow_exceptions=*/false) : Json();
  if (!json.is_object() || !json.contains("command")) {
    throw UsageError("--json " + printable_text(path), "a new file, or a result to replace",
                     "a file of something else");
  }
}

void check_replaces_page(const std::string& path) {
  if (replaces_content(path) && std::ifstream(path).peek() != '<') {
    throw UsageError("--output " + printable_text(path), "a new file, or an HTML page to replace",
                     "a file of something else");
  }
}

}  // namespace softmoe::cli
