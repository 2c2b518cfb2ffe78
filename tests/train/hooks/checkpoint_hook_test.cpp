#include "train/hooks/checkpoint_hook.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "support/temporary_folder.h"
#include "train/hooks/hook_cases.h"

namespace softmoe {
namespace {

using test::state_at;

class CheckpointHookTest : public testing::Test {
 protected:
  CheckpointHookTest() : folder_(path_.path()), hook_(folder_, [this] { return collect(); }) {
    folder_.begin(0);
  }

  Checkpoint collect() {
    ++collected_;
    return to_checkpoint(state_);
  }
  bool exists(const std::string& name) const { return std::filesystem::exists(path_ / name); }

  test::TemporaryFolder path_;
  RunFolder folder_;
  int collected_ = 0;
  TrainingState state_ = state_at(5);
  CheckpointHook hook_;
};

TEST_F(CheckpointHookTest, SavesEachStepOnce) {
  hook_.at_checkpoint(state_);
  EXPECT_TRUE(exists("last.h5"));
  EXPECT_TRUE(exists("checkpoint-5.h5"));
  EXPECT_FALSE(exists("best.h5"));
  hook_.at_checkpoint(state_);
  EXPECT_EQ(collected_, 1);
  state_.progress.step = 10;
  hook_.at_checkpoint(state_);
  EXPECT_EQ(collected_, 2);
}

TEST_F(CheckpointHookTest, KeepsTheBestOfAnEvaluationAtThisStep) {
  test::set_evaluation(state_, 0.5, /*is_best=*/true);
  state_.progress.step = 6;
  hook_.at_checkpoint(state_);
  EXPECT_FALSE(exists("best.h5"));
  test::set_evaluation(state_, 0.5, /*is_best=*/true);
  hook_.at_checkpoint(state_);
  EXPECT_TRUE(exists("best.h5"));
}

TEST_F(CheckpointHookTest, AnInterruptionSavesInAnyCaseButNoBest) {
  test::set_evaluation(state_, 0.5, /*is_best=*/true);
  hook_.at_save(state_);
  hook_.at_save(state_);
  EXPECT_EQ(collected_, 2);
  EXPECT_TRUE(exists("last.h5"));
  EXPECT_FALSE(exists("best.h5"));
}

TEST_F(CheckpointHookTest, DoesNotSaveTheStepThatItResumedFrom) {
  hook_.load_state(state_, Json::object());
  hook_.at_checkpoint(state_);
  EXPECT_EQ(collected_, 0);
}

TEST_F(CheckpointHookTest, DoesNotSaveAModelThatIsNotFinite) {
  const torch::NoGradGuard no_grad;
  state_.model()->named_parameters()["head.bias"].fill_(std::numeric_limits<float>::infinity());
  const test::LogLines log;
  hook_.at_save(state_);
  EXPECT_FALSE(exists("last.h5"));
  ASSERT_EQ(log.lines().size(), 1U);
  EXPECT_NE(log.lines()[0].find("parameter head.bias"), std::string::npos);
}

}  // namespace
}  // namespace softmoe
