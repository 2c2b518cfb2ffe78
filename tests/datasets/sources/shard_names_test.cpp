#include "datasets/sources/shard_names.h"

#include <gmock/gmock.h>

#include "support/error_text.h"

namespace softmoe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ShardNames, ExpandBracesAsWebDatasetDoes) {
  EXPECT_THAT(expand_braces("a.tar"), ElementsAre("a.tar"));
  EXPECT_THAT(expand_braces("t-{008..011}.tar"),
              ElementsAre("t-008.tar", "t-009.tar", "t-010.tar", "t-011.tar"));
  EXPECT_THAT(expand_braces("t{9..10}"), ElementsAre("t9", "t10"));
  EXPECT_THAT(expand_braces("{a,b}-{0..1}"), ElementsAre("a-0", "a-1", "b-0", "b-1"));
  EXPECT_THAT(expand_braces("x{a,,b,}"), ElementsAre("xa", "x", "xb", "x"));
}

TEST(ShardNames, RefuseBracesThatAreWrong) {
  for (const auto* pattern : {"a{0..3", "a{0..{1..2}}", "a{3..0}", "a{0..x}", "a{-1..2}",
                              "a{0..9999999}", "{0..9999}{0..9999}"}) {
    EXPECT_THAT(test::usage_error([&] { expand_braces(pattern); }), HasSubstr(pattern));
  }
}

TEST(ShardNames, KnowEndings) {
  for (const auto* name : {"a.tar", "b/A.TAR", "x.tar.gz", "x.tgz", "x.tar.zst"}) {
    EXPECT_TRUE(is_shard_name(name)) << name;
  }
  EXPECT_FALSE(is_shard_name("a.jpg") || is_shard_name("tar") || is_shard_name("a.tar.idx"));
  EXPECT_TRUE(is_pipe("pipe:cat x"));
  EXPECT_FALSE(is_pipe("pipes"));
}

}  // namespace
}  // namespace softmoe
