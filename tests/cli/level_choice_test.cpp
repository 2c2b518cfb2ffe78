/// The environment variable that lowers the level of kernels, by the program as a user runs it.

#include "cli/tiny.h"
#include "io/npz.h"
#include "support/levels.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe::test {
namespace {

class LevelChoice : public testing::Test {
 protected:
  void SetUp() override {
    write_tiny_checkpoint(path("tiny.h5"));
    torch::manual_seed(2);
    write_npz(path("pixels.npz"),
              {{"images", torch::randint(0, 256, {5, 8, 8, 1}, torch::kUInt8)}});
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  /// Predicts the images with SOFTMOE_ISA=`level` into out.npz.
  ProgramRun predict(const std::string& level) const {
    return run_program({"predict", "--checkpoint", path("tiny.h5"), "--images", path("pixels.npz"),
                        "--output", path("out.npz"), "--what", "labels,logits", "--threads", "1"},
                       {.environment = {{"SOFTMOE_ISA", level}}});
  }

  TemporaryFolder folder_;
};

TEST_F(LevelChoice, GivesTheSameLabelsOnEveryLevel) {
  ASSERT_TRUE(succeeds(predict("")));
  const auto expected = read_npz(path("out.npz"));
  for (const auto level : kernels::present_levels()) {
    SCOPED_TRACE(enum_name(level));
    ASSERT_TRUE(succeeds(predict(enum_name(level))));
    const auto actual = read_npz(path("out.npz"));
    EXPECT_TRUE(same_bits(actual.at("labels"), expected.at("labels")));
    EXPECT_TRUE(all_close(actual.at("logits"), expected.at("logits")));
  }
}

TEST_F(LevelChoice, OfAnUnknownNameFailsWithOneLine) {
  EXPECT_TRUE(fails_with_one_line(predict("avx9"), 2, {"SOFTMOE_ISA", "portable", "'avx9'"}));
}

}  // namespace
}  // namespace softmoe::test
