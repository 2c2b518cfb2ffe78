#include "vit/moe_blocks.h"

#include <gmock/gmock.h>

#include "core/error.h"

namespace softmoe {
namespace {

using testing::HasSubstr;

std::vector<int64_t> moe_blocks(const std::string& text, int64_t depth) {
  const auto mask = moe_block_mask(text, depth);
  EXPECT_EQ(mask.size(), static_cast<size_t>(depth));
  std::vector<int64_t> blocks;
  for (size_t block = 0; block < mask.size(); ++block) {
    if (mask[block]) {
      blocks.push_back(static_cast<int64_t>(block));
    }
  }
  return blocks;
}

using Blocks = std::vector<int64_t>;

TEST(MoeBlockMask, KnowsEveryForm) {
  EXPECT_EQ(moe_blocks("none", 4), Blocks{});
  EXPECT_EQ(moe_blocks("all", 4), (Blocks{0, 1, 2, 3}));
  EXPECT_EQ(moe_blocks("last_half", 12), (Blocks{6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(moe_blocks("last_half", 5), (Blocks{3, 4}));
  EXPECT_EQ(moe_blocks("last_half", 1), Blocks{});
  EXPECT_EQ(moe_blocks("last_2", 5), (Blocks{3, 4}));
  EXPECT_EQ(moe_blocks("last_5", 5), (Blocks{0, 1, 2, 3, 4}));
  EXPECT_EQ(moe_blocks("every_1", 3), (Blocks{0, 1, 2}));
  EXPECT_EQ(moe_blocks("every_2", 6), (Blocks{1, 3, 5}));
  EXPECT_EQ(moe_blocks("every_3", 12), (Blocks{2, 5, 8, 11}));
  EXPECT_EQ(moe_blocks("2,5,8,11", 12), (Blocks{2, 5, 8, 11}));
  EXPECT_EQ(moe_blocks("3,0,3", 4), (Blocks{0, 3}));
  EXPECT_EQ(moe_blocks("0", 1), Blocks{0});
}

TEST(MoeBlockMask, OtherFormsAreUsageErrors) {
  for (const std::string text : {"",
                                 ",",
                                 "1,",
                                 ",1",
                                 "1,,2",
                                 "4",
                                 "-1",
                                 "1.5",
                                 "half",
                                 "last_",
                                 "last_5",
                                 "last_x",
                                 "every_",
                                 "every_0",
                                 "every_-1",
                                 "ALL",
                                 "1;2",
                                 " 1",
                                 "last_99999999999999999999",
                                 "99999999999999999999",
                                 "all,1"}) {
    try {
      moe_block_mask(text, 4);
      FAIL() << "took '" << text << "'";
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), HasSubstr("moe-blocks"));
      EXPECT_THAT(error.what(), HasSubstr("'" + text + "'"));
    }
  }
}

TEST(MoeBlocksText, IsAWordWhereThereIsOne) {
  EXPECT_EQ(moe_blocks_text({false, false, false}), "none");
  EXPECT_EQ(moe_blocks_text({true, true}), "all");
  EXPECT_EQ(moe_blocks_text({false, false, true, true}), "last_half");
  EXPECT_EQ(moe_blocks_text({false, false, false, true}), "last_1");
  EXPECT_EQ(moe_blocks_text({false, true, false, true}), "every_2");
  EXPECT_EQ(moe_blocks_text({true, false, false, true}), "0,3");
}

TEST(MoeBlocksText, SaysEveryMaskOfFiveBlocks) {
  for (unsigned bits = 0; bits < 32; ++bits) {
    std::vector<bool> mask;
    for (unsigned block = 0; block < 5; ++block) {
      mask.push_back((bits >> block & 1U) != 0);
    }
    EXPECT_EQ(moe_block_mask(moe_blocks_text(mask), 5), mask) << moe_blocks_text(mask);
  }
}

}  // namespace
}  // namespace softmoe
