#include <gtest/gtest.h>

#include "support/temporary_folder.h"
#include "train/tiny_run.h"

namespace softmoe {
namespace {

using test::Corners;
using test::expect_same_run;
using test::TinyRun;

/// A run with everything that changes training images at random.
TinyRun augmented_run(int64_t workers) {
  auto run = test::tiny_run();
  run.preprocess.hflip = 0.5;
  run.preprocess.vflip = 0.5;
  run.preprocess.train_crop = CropMode::kInception;
  run.preprocess.augment.aa = "rand-m9-mstd0.5-inc1";
  run.preprocess.augment.reprob = 0.25;
  run.preprocess.augment.remode = EraseMode::kPixel;
  run.preprocess.augment.aug_repeats = 3;
  run.mixup = {.mixup = 0.4, .cutmix = 1.0, .mixup_prob = 0.8};
  run.mixup.mixup_mode = MixupMode::kElem;
  run.loader.workers = workers;
  run.loader.prefetch = 1 + workers;
  return run;
}

TEST(TrainerAugmentation, ResumesToTheSameBitsWithAnyNumberOfWorkers) {
  const test::TemporaryFolder whole;
  const Corners train(60);
  const Corners val(20);
  test::train(augmented_run(0), whole.path(), train, val);
  for (const int64_t workers : {1, 3}) {
    for (const int64_t stop : {7, 95}) {
      Corners stopping(60);
      stopping.interrupt_after(stop);
      test::expect_resumes(augmented_run(workers), whole.path(), {stopping, val}, {train, val});
    }
  }
}

TEST(TrainerAugmentation, MayResumeWithOtherWorkers) {
  const test::TemporaryFolder whole;
  const test::TemporaryFolder parts;
  const Corners train(60);
  const Corners val(20);
  test::train(augmented_run(2), whole.path(), train, val);
  Corners stopping(60);
  stopping.interrupt_after(50);
  EXPECT_THROW(test::train(augmented_run(3), parts.path(), stopping, val), Interrupted);
  test::train(augmented_run(0), parts.path(), train, val);
  expect_same_run(whole.path(), parts.path());
}

}  // namespace
}  // namespace softmoe
