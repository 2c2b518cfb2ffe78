/// The direction of includes between the folders of the tree. All folders share one include root,
/// so the compiler accepts any direction.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "tree/source_tree.h"

namespace softmoe::test {
namespace {

/// The folders that each folder may include, beside itself and the folders that those may include.
const std::map<std::string, std::set<std::string>> kSitsOn{
    {"core", {}},
    {"runtime", {"core"}},
    {"parallel", {"runtime"}},
    {"io", {"runtime"}},
    {"kernels", {"io"}},
    {"ops", {"io"}},
    {"softmoe", {"ops"}},
    {"vit", {"softmoe"}},
    {"datasets", {"io"}},
    {"text", {"io"}},
    {"checkpoints", {"vit", "datasets"}},
    {"eval", {"checkpoints", "text", "parallel"}},
    {"inference", {"checkpoints"}},
    {"onnx", {"checkpoints"}},
    {"analysis", {"checkpoints"}},
    {"benchmark", {"checkpoints"}},
    {"capi", {"inference"}},
    {"report", {"datasets"}},
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
    {"datasets/tasks", {"datasets/sources"}},
    {"checkpoints/formats", {}},
    {"checkpoints/convert", {"checkpoints/formats"}},
    {"checkpoints/surgery", {"checkpoints/formats"}},
};

/// The only folders that may include kernels/: they choose which kernels run.
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

TEST(IncludeOrder, TheTableHasEveryFolder) {
  for (const auto& folder : source_folders()) {
    EXPECT_TRUE(kSitsOn.contains(folder) || folder == "bench" || folder == "tests") << folder;
  }
}

TEST(IncludeOrder, NoFolderIncludesOneAboveIt) {
  for (const auto& [folder, below] : kSitsOn) {
    const auto files = sources_of(folder);
    EXPECT_FALSE(files.empty()) << folder;
    for (const auto& file : files) {
      for (const auto& name : included_headers(file)) {
        const auto target = name.substr(0, name.find('/'));
        ASSERT_TRUE(kSitsOn.contains(target)) << name_in_tree(file) << " includes " << name;
        EXPECT_TRUE(may_include(folder, target)) << name_in_tree(file) << " includes " << name
                                                 << ", which " << folder << "/ may not see";
      }
    }
  }
}

TEST(IncludeOrder, NoSubfolderIncludesOneBesideItThatItDoesNotSitOn) {
  for (const auto& [subfolder, below] : kSubfolders) {
    const auto files = sources_of(subfolder);
    EXPECT_FALSE(files.empty()) << subfolder;
    for (const auto& file : files) {
      for (const auto& name : included_headers(file)) {
        const auto target = std::filesystem::path(name).parent_path().string();
        if (kSubfolders.contains(target) && target != subfolder &&
            std::filesystem::path(target).parent_path() ==
                std::filesystem::path(subfolder).parent_path()) {
          EXPECT_TRUE(below.contains(target)) << name_in_tree(file) << " includes " << name;
        }
      }
    }
  }
}

}  // namespace
}  // namespace softmoe::test
