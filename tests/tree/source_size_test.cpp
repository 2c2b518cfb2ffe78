/// The length of sources: a file that grows beyond the limit does more than one thing.

#include <gtest/gtest.h>

#include "tree/source_tree.h"

namespace softmoe::test {
namespace {

constexpr size_t kMaxLines = 400;

TEST(SourceSize, NoSourceIsLongerThanTheLimit) {
  for (const auto& folder : source_folders()) {
    for (const auto& file : sources_of(folder)) {
      EXPECT_LE(lines_of_file(file).size(), kMaxLines) << name_in_tree(file);
    }
  }
}

}  // namespace
}  // namespace softmoe::test
