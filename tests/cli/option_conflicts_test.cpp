/// Options that say the same, or that contradict each other.

#include <gmock/gmock.h>

#include "cli/tiny.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

TEST(ModelFlags, EndInOneLineIfTheyContradictEachOther) {
  EXPECT_TRUE(fails_with_one_line(run_program({"train", "--dataset", "digits", "--img-size", "8",
                                               "--patch-size", "3", "--in-chans", "1"}),
                                  2, {"img-size", "multiple of patch-size 3", "8"}));
}

TEST(PipelineFlag, SetsTheTransformOfTheRun) {
  const TemporaryFolder folder;
  const auto run = run_program(tiny_training(folder.path()) +
                               Words{"--max-steps", "2", "--pp", "to_gray|resize(8)|mixup(0.2)"});
  EXPECT_TRUE(succeeds(run));
  EXPECT_THAT(run.error,
              testing::HasSubstr("transform: to_gray|resize(8)|value_range(-1,1)|mixup(0.2)"));
}

TEST(PipelineFlag, RefusesOtherSizesAndTheOptionsItReplaces) {
  const Words pipeline{"train", "--dataset",  "digits", "--img-size", "8",        "--patch-size",
                       "2",     "--in-chans", "1",      "--pp",       "resize(9)"};
  EXPECT_TRUE(fails_with_one_line(run_program(pipeline), 2,
                                  {"--pp: expected gray images of 8x8", "found images of 9x9"}));
  EXPECT_TRUE(fails_with_one_line(run_program(pipeline + Words{"--hflip", "0.5"}), 2,
                                  {"--pp and --hflip: give one of them"}));
}

}  // namespace
}  // namespace softmoe::test
