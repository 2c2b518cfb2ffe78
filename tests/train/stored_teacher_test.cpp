#include "train/stored_teacher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "core/error.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "train/batch_feed.h"
#include "train/tiny_run.h"

namespace softmoe {
namespace {

using test::Corners;
using test::same_bits;
using test::TemporaryFolder;
using testing::HasSubstr;
using testing::ThrowsMessage;

/// Probabilities that follow from the pixels alone, counted.
class PixelTeacher : public Teacher {
 public:
  torch::Tensor probabilities(const Batch& batch, double temperature) override {
    ++calls;
    if (calls == interrupt_at) {
      std::raise(SIGINT);
    }
    const auto sums = batch.images.flatten(1).narrow(1, 0, 12).view({-1, 4, 3}).sum(2);
    return (sums / temperature).softmax(1);  // [batch, 4]
  }
  int64_t calls = 0;
  int64_t interrupt_at = -1;
};

class StoringTeacher : public testing::Test {
 protected:
  StoringTeacher() {
    run_.train.epochs = 2;
    run_.mixup.mixup = 0.5;
    run_.preprocess.hflip = 0.5;
    run_.objectives.distillation = {.temperature = 2.0};
    data_.train = std::make_unique<Corners>(60);
    data_.val = std::make_unique<Corners>(20);
  }
  std::shared_ptr<Teacher> store(const RunOptions& run) {
    return store_teacher({.folder = (folder_ / "outputs").string()}, live_,
                         {.run = run, .data = data_, .teachers = {"a"}, .classes = 4});
  }

  TemporaryFolder folder_;
  test::TinyRun run_ = test::tiny_run();
  TrainingData data_;
  std::shared_ptr<PixelTeacher> live_ = std::make_shared<PixelTeacher>();
};

TEST_F(StoringTeacher, GivesWhatTheTeacherGivesForEveryBatchOfTheRunInAnyOrder) {
  const auto stored = store(run_);
  EXPECT_EQ(live_->calls, 10);  // two epochs of five batches
  BatchFeed feed(*data_.train, Transform::training(run_.preprocess), training_loader(run_), 1,
                 torch::kCPU, run_.mixup, 4);
  for (const int64_t number : {0, 1, 2, 9, 3}) {
    const auto batch = feed.take(number);
    EXPECT_TRUE(same_bits(stored->probabilities(batch, 2.0), live_->probabilities(batch, 2.0)))
        << number;
  }
  auto batch = feed.take(4);
  batch.images[2][0][0][0] += 0.5;
  EXPECT_THAT([&] { stored->probabilities(batch, 2.0); },
              ThrowsMessage<InputError>(HasSubstr("for this view of image")));
}

TEST_F(StoringTeacher, GoesOnAfterAnInterruptionAndComputesNothingTwice) {
  live_->interrupt_at = 4;
  EXPECT_THAT([&] { store(run_); },
              ThrowsMessage<Interrupted>(HasSubstr("after the teacher's batch 4 of 10")));
  store(run_);
  EXPECT_EQ(live_->calls, 10);
  store(run_);
  EXPECT_EQ(live_->calls, 10);
}

TEST_F(StoringTeacher, RefusesOutputsOfOtherSeedsDataAndAugmentation) {
  store(run_);
  const auto refused = [this](const std::function<void(RunOptions&)>& change,
                              const std::string& name) {
    RunOptions other = run_;
    change(other);
    EXPECT_THAT([&] { store(other); },
                ThrowsMessage<InputError>(HasSubstr(name + " of the stored teacher outputs")));
  };
  refused([](RunOptions& run) { run.train.seed += 1; }, "seed");
  refused([](RunOptions& run) { run.loader.batch_size = 10; }, "batch size");
  refused([](RunOptions& run) { run.mixup.mixup = 0.25; }, "augmentation");
  refused([](RunOptions& run) { run.objectives.distillation->temperature = 1.0; }, "temperature");
  data_.train = std::make_unique<Corners>(61);
  refused([](RunOptions&) {}, "training images");
}

TEST_F(StoringTeacher, NeedsARunWhoseNumberOfBatchesIsKnown) {
  run_.train.max_time.seconds = 10;
  EXPECT_THAT([&] { store(run_); }, ThrowsMessage<UsageError>(HasSubstr("--max-time")));
}

TEST_F(StoringTeacher, IsTheTeacherItselfIfNothingIsToBeStored) {
  EXPECT_EQ(store_teacher({}, live_, {.run = run_, .data = data_, .teachers = {}, .classes = 4}),
            live_);
  EXPECT_EQ(live_->calls, 0);
}

}  // namespace
}  // namespace softmoe
