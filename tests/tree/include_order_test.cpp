/// The direction of includes between the folders of the tree, which one shared include root would
/// not enforce by itself.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

/// The folders that each folder may include besides its own.
const std::map<std::string, std::set<std::string>> kMayInclude{
    {"core", {}},
    {"softmoe", {"core"}},
    {"vit", {"core", "softmoe"}},
    {"datasets", {"core"}},
    {"checkpoints", {"core", "softmoe", "vit"}},
    {"eval", {"core", "softmoe", "vit", "checkpoints", "datasets"}},
    {"inference", {"core", "softmoe", "vit", "checkpoints", "datasets"}},
    {"capi", {"core", "softmoe", "vit", "checkpoints", "datasets", "inference"}},
    {"report", {"core"}},
    {"train",
     {"core", "softmoe", "vit", "checkpoints", "datasets", "eval", "inference"}},
    {"sweep", {"core", "report"}},
    {"cli",
     {"core", "softmoe", "vit", "checkpoints", "datasets", "eval", "inference", "report", "sweep",
      "train"}},
};

std::vector<fs::path> sources_of(const std::string& folder) {
  std::vector<fs::path> files;
  for (const auto& entry :
       fs::recursive_directory_iterator(fs::path(SOFTMOE_SOURCE_FOLDER) / folder)) {
    const auto extension = entry.path().extension();
    if (extension == ".h" || extension == ".cpp" || extension == ".cu") {
      files.push_back(entry.path());
    }
  }
  return files;
}

/// What a file includes of the tree; `.inc` files are data that the build generates.
std::vector<std::string> included_files(const fs::path& file) {
  static const std::regex pattern("^\\s*#include\\s+\"([^\"]+\\.h)\"");
  std::vector<std::string> names;
  std::ifstream text(file);
  for (std::string line; std::getline(text, line);) {
    std::smatch match;
    if (std::regex_search(line, match, pattern)) {
      names.push_back(match[1]);
    }
  }
  return names;
}

TEST(IncludeOrder, NoFolderIncludesOneAboveIt) {
  for (const auto& [folder, allowed] : kMayInclude) {
    const auto files = sources_of(folder);
    EXPECT_FALSE(files.empty()) << folder;
    for (const auto& file : files) {
      for (const auto& name : included_files(file)) {
        const auto target = name.substr(0, name.find('/'));
        EXPECT_TRUE(target == folder || allowed.contains(target))
            << file << " includes " << name << ", which " << folder << "/ may not see";
      }
    }
  }
}

TEST(IncludeOrder, EveryIncludeStartsAtTheRootOfTheTree) {
  for (const auto& [folder, allowed] : kMayInclude) {
    for (const auto& file : sources_of(folder)) {
      for (const auto& name : included_files(file)) {
        EXPECT_TRUE(kMayInclude.contains(name.substr(0, name.find('/'))))
            << file << " includes " << name;
      }
    }
  }
}

}  // namespace
