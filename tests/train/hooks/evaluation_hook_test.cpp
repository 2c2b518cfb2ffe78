#include "train/hooks/evaluation_hook.h"

#include <gtest/gtest.h>

#include "eval/evaluate.h"
#include "train/hooks/hook_cases.h"

namespace softmoe {
namespace {

using test::Corners;
using test::state_at;

class EvaluationHookTest : public testing::Test {
 protected:
  EvaluationHookTest()
      : hook_(val_set_, Transform::evaluation(test::tiny_run().preprocess),
              [this] { ++batches_; }) {
    state_.progress.epoch_loss = 10.0;
    state_.progress.epoch_updates = 5;
  }

  Corners val_set_{30};
  int64_t batches_ = 0;
  EvaluationHook hook_;
  TrainingState state_ = state_at(5);
};

TEST_F(EvaluationHookTest, FillsInTheEvaluationAndTheBest) {
  state_.model()->train();
  hook_.at_evaluation(state_);
  const auto& evaluation = state_.evaluation;
  EXPECT_EQ(evaluation.step, 5);
  EXPECT_EQ(evaluation.result.examples, 30);
  EXPECT_EQ(evaluation.train_loss, 2.0);
  EXPECT_TRUE(evaluation.is_best);
  EXPECT_EQ(state_.progress.evaluated_step, 5);
  EXPECT_EQ(state_.progress.best_step, 5);
  EXPECT_EQ(state_.progress.best_score, evaluation.result.top1);
  EXPECT_EQ(state_.progress.epoch_loss, 0.0);
  EXPECT_EQ(state_.progress.epoch_updates, 0);
  EXPECT_EQ(batches_, 3);  // of 12 images
  EXPECT_TRUE(state_.model()->is_training());
}

TEST_F(EvaluationHookTest, AnEqualAccuracyIsNotBetter) {
  hook_.at_evaluation(state_);
  state_.progress.step = 10;
  hook_.at_evaluation(state_);
  EXPECT_FALSE(state_.evaluation.is_best);
  EXPECT_EQ(state_.progress.best_step, 5);
}

TEST_F(EvaluationHookTest, LossIsThatOfTheLikelihood) {
  hook_.at_evaluation(state_);
  const double softmax = state_.evaluation.result.loss;
  state_.setup.options.objectives.loss.loss = "sigmoid";
  hook_.at_evaluation(state_);
  EXPECT_NE(state_.evaluation.result.loss, softmax);
}

TEST_F(EvaluationHookTest, EvaluatesAtTheEndOnlyIfTheSittingHasNot) {
  hook_.at_end(state_);
  EXPECT_EQ(state_.evaluation.result.examples, 30);
  EXPECT_EQ(state_.evaluation.step, -1);
  EXPECT_EQ(state_.progress.evaluated_step, -1);
  hook_.at_evaluation(state_);
  batches_ = 0;
  hook_.at_end(state_);
  EXPECT_EQ(batches_, 0);
}

TEST_F(EvaluationHookTest, AnInterruptionLeavesTheStateAsItWas) {
  EvaluationHook stopping(val_set_, Transform::evaluation(test::tiny_run().preprocess),
                          [] { throw std::runtime_error("stop"); });
  EXPECT_THROW(stopping.at_evaluation(state_), std::runtime_error);
  EXPECT_EQ(state_.progress.evaluated_step, -1);
  EXPECT_EQ(state_.progress.epoch_updates, 5);
  EXPECT_EQ(state_.evaluation.step, -1);
}

}  // namespace
}  // namespace softmoe
