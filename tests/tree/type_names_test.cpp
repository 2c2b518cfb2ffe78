/// The names of types: one name in the headers means one type. kernels/ is left out, which shows in
/// no header of the library.

#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <string>

#include "tree/source_tree.h"

namespace softmoe::test {
namespace {

TEST(TypeNames, AreGivenOnceInHeaders) {
  static const std::regex pattern("^(?:class|struct|enum class) (\\w+)(?: final)?(?: : .*)? \\{$");
  std::map<std::string, std::string> header_of;
  for (const auto& folder : source_folders()) {
    if (folder == "tests" || folder == "bench" || folder == "kernels") {
      continue;
    }
    for (const auto& file : sources_of(folder)) {
      if (file.extension() != ".h") {
        continue;
      }
      for (const auto& line : lines_of_file(file)) {
        std::smatch match;
        if (std::regex_search(line, match, pattern)) {
          const auto [first, is_new] = header_of.emplace(match[1], name_in_tree(file));
          EXPECT_TRUE(is_new) << match[1] << " in " << name_in_tree(file) << " and "
                              << first->second;
        }
      }
    }
  }
  EXPECT_GT(header_of.size(), 100U);
}

}  // namespace
}  // namespace softmoe::test
