#include "cli/file_conflicts.h"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>

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

/// Returns true if `head`, the first bytes of a file, begins a file of a kind that the program
/// writes.
bool is_own_kind(std::string_view head) {
  using std::literals::operator""sv;
  for (const auto magic :
       {"\x89HDF\r\n\x1a\n"sv, "\x89PNG\r\n\x1a\n"sv, "PK\x03\x04"sv, "<"sv, "{"sv}) {
    if (head.starts_with(magic)) {
      return true;
    }
  }
  const bool is_safetensors = head.size() > 8 && head[8] == '{';
  // ir_version, a small number, then the next field.
  const bool is_onnx = head.size() > 2 && head[0] == 0x08 && head[2] == 0x12;
  return is_safetensors || is_onnx;
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

void check_replaces_own(const NamedPath& output) {
  if (!replaces_content(output.path)) {
    return;
  }
  std::array<char, 16> head{};
  std::ifstream file(output.path, std::ios::binary);
  file.read(head.data(), head.size());
  if (!is_own_kind({head.data(), static_cast<size_t>(file.gcount())})) {
    throw UsageError(output.option + " " + printable_text(output.path),
                     "a new file, or one of a kind that softmoe writes, to replace",
                     "a file of something else");
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
