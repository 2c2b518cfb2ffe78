/// Paths in the documents: every file and folder that they name exists.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <string>
#include <vector>

#include "tree/source_tree.h"

namespace softmoe::test {
namespace {

namespace fs = std::filesystem;

/// The files and folders of the project that a document names in backquotes, up to a wildcard.
std::vector<std::string> paths_in(const fs::path& document) {
  static const std::regex pattern("`([a-z_]+/[^` ]*)`");
  const auto folders = source_folders();
  std::vector<std::string> paths;
  for (const auto& line : lines_of_file(document)) {
    for (std::sregex_iterator match(line.begin(), line.end(), pattern), end; match != end;
         ++match) {
      const std::string path = (*match)[1];
      if (std::find(folders.begin(), folders.end(), path.substr(0, path.find('/'))) !=
          folders.end()) {
        paths.push_back(path.substr(0, path.find('*')));
      }
    }
  }
  return paths;
}

TEST(DocumentPaths, Exist) {
  const fs::path root = SOFTMOE_SOURCE_FOLDER;
  for (const auto* const name : {"README.md", "CONTRIBUTING.md", "docs/architecture.md",
                                 "docs/performance.md", "docs/results.md"}) {
    for (const auto& path : paths_in(root / name)) {
      EXPECT_TRUE(fs::exists(root / path)) << name << " names " << path;
    }
  }
}

}  // namespace
}  // namespace softmoe::test
