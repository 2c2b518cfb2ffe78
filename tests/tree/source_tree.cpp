#include "tree/source_tree.h"

#include <algorithm>
#include <fstream>
#include <regex>

namespace softmoe::test {

namespace fs = std::filesystem;

std::vector<std::string> source_folders() {
  std::vector<std::string> folders;
  for (const auto& entry : fs::directory_iterator(SOFTMOE_SOURCE_FOLDER)) {
    if (fs::exists(entry.path() / "CMakeLists.txt")) {
      folders.push_back(entry.path().filename().string());
    }
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

std::vector<fs::path> sources_of(const std::string& folder) {
  std::vector<fs::path> files;
  for (const auto& entry :
       fs::recursive_directory_iterator(fs::path(SOFTMOE_SOURCE_FOLDER) / folder)) {
    const auto extension = entry.path().extension();
    if (extension == ".h" || extension == ".cpp" || extension == ".cu" || extension == ".c") {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> lines_of_file(const fs::path& file) {
  std::vector<std::string> lines;
  std::ifstream text(file);
  for (std::string line; std::getline(text, line);) {
    lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> included_headers(const fs::path& file) {
  static const std::regex pattern("^\\s*#include\\s+\"([^\"]+\\.h)\"");
  std::vector<std::string> names;
  for (const auto& line : lines_of_file(file)) {
    std::smatch match;
    if (std::regex_search(line, match, pattern)) {
      names.push_back(match[1]);
    }
  }
  return names;
}

std::string name_in_tree(const fs::path& file) {
  return file.lexically_relative(SOFTMOE_SOURCE_FOLDER).string();
}

}  // namespace softmoe::test
