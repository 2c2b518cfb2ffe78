/// The header of a source: what a source defines is declared in the header of its name, so that
/// each thing is found by its name.

#include <gtest/gtest.h>

#include <filesystem>

#include "tree/source_tree.h"

namespace softmoe::test {
namespace {

/// Returns true for the sources that are declared together: those of one kind that others call by a
/// table, and programs.
bool is_declared_together(const std::string& name) {
  const std::filesystem::path path = name;
  const auto stem = path.stem().string();
  const auto folder = path.parent_path().string();
  return stem == "main" || (folder == "cli" && stem.ends_with("_command")) ||
         (folder == "report" && stem.find("_section") != std::string::npos) ||
         folder.starts_with("kernels/");
}

TEST(SourceHeader, EverySourceHasAHeaderOfItsName) {
  for (const auto& folder : source_folders()) {
    if (folder == "tests" || folder == "bench") {
      continue;
    }
    for (auto file : sources_of(folder)) {
      const auto name = name_in_tree(file);
      if (file.extension() == ".cpp" && !is_declared_together(name)) {
        EXPECT_TRUE(std::filesystem::exists(file.replace_extension(".h"))) << name;
      }
    }
  }
}

}  // namespace
}  // namespace softmoe::test
