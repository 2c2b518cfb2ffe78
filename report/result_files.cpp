#include "report/result_files.h"

#include <filesystem>

#include "core/error.h"
#include "report/result_json.h"
#include "report/run_folder_reader.h"

namespace softmoe::report {
namespace {

namespace fs = std::filesystem;

/// Splits "label=path"; an argument that is the path of a file is not split.
std::pair<std::string, std::string> label_and_path(const std::string& argument) {
  const auto equals = argument.find('=');
  if (equals == std::string::npos || fs::exists(argument)) {
    return {"", argument};
  }
  return {argument.substr(0, equals), argument.substr(equals + 1)};
}

}  // namespace

Results read_results(const std::vector<std::string>& arguments) {
  Results results;
  for (const auto& argument : arguments) {
    const auto [label, path] = label_and_path(argument);
    if (fs::is_directory(path)) {
      read_run_folder(path, label, results);
    } else if (fs::exists(path)) {
      read_result_json(path, label, results);
    } else {
      throw InputError(path, "a run folder or the --json file of a command", "no such file");
    }
  }
  return results;
}

}  // namespace softmoe::report
