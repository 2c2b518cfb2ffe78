/// The direction of includes between the folders of the tree, which one shared include root would
/// not enforce by itself.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

/// The folders that each folder may include besides its own and those that they may include.
const std::map<std::string, std::set<std::string>> kSitsOn{
    {"core", {}},
    {"runtime", {"core"}},
    {"io", {"runtime"}},
    {"kernels", {"io"}},
    {"ops", {"io"}},
    {"softmoe", {"ops"}},
    {"vit", {"softmoe"}},
    {"datasets", {"io"}},
    {"checkpoints", {"vit", "datasets"}},
    {"eval", {"checkpoints"}},
    {"inference", {"checkpoints"}},
    {"onnx", {"checkpoints"}},
    {"analysis", {"checkpoints"}},
    {"benchmark", {"checkpoints"}},
    {"capi", {"inference"}},
    {"report", {"io"}},
    {"sweep", {"report"}},
    {"train", {"eval", "inference", "onnx", "analysis", "benchmark"}},
    {"cli", {"train", "sweep"}},
};

/// The subfolders of its own folder that each subfolder may include besides itself.
const std::map<std::string, std::set<std::string>> kSubfolders{
    {"softmoe/assignment", {}},
    {"softmoe/routers", {"softmoe/assignment"}},
    {"datasets/characters", {}},
    {"datasets/sources", {"datasets/characters"}},
    {"checkpoints/formats", {}},
    {"checkpoints/convert", {"checkpoints/formats"}},
    {"checkpoints/surgery", {"checkpoints/formats"}},
};

/// The folders that alone may include kernels/: whoever chooses among them.
const std::set<std::string> kSeeKernels{"kernels", "ops", "inference"};

bool may_include(const std::string& folder, const std::string& target) {
  if (target == "kernels") {
    return kSeeKernels.contains(folder);
  }
  const auto& below = kSitsOn.at(folder);
  return target == folder || std::any_of(below.begin(), below.end(), [&](const auto& next) {
           return may_include(next, target);
         });
}

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
  for (const auto& [folder, below] : kSitsOn) {
    const auto files = sources_of(folder);
    EXPECT_FALSE(files.empty()) << folder;
    for (const auto& file : files) {
      for (const auto& name : included_files(file)) {
        const auto target = name.substr(0, name.find('/'));
        ASSERT_TRUE(kSitsOn.contains(target)) << file << " includes " << name;
        EXPECT_TRUE(may_include(folder, target))
            << file << " includes " << name << ", which " << folder << "/ may not see";
      }
    }
  }
}

TEST(IncludeOrder, NoSubfolderIncludesOneBesideItThatItDoesNotSitOn) {
  for (const auto& [subfolder, below] : kSubfolders) {
    const auto files = sources_of(subfolder);
    EXPECT_FALSE(files.empty()) << subfolder;
    for (const auto& file : files) {
      for (const auto& name : included_files(file)) {
        const auto target = fs::path(name).parent_path().string();
        if (kSubfolders.contains(target) && target != subfolder &&
            fs::path(target).parent_path() == fs::path(subfolder).parent_path()) {
          EXPECT_TRUE(below.contains(target)) << file << " includes " << name;
        }
      }
    }
  }
}

}  // namespace
