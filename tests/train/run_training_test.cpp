/// Runs as another C++ program starts them: from scratch, from a checkpoint, from a dense one.

#include "train/run_training.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoints/model_checkpoint.h"
#include "core/error.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"
#include "train/finetune_start.h"
#include "train/upcycle_start.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using testing::HasSubstr;

/// A few updates on the embedded digits, in the folder `experiment` of `output`.
RunOptions digits_run(const test::TemporaryFolder& output, const std::string& experiment) {
  RunOptions options;
  options.data.dataset = "digits";
  options.loader.batch_size = 64;
  options.train.max_steps = 4;
  options.train.log_interval = 2;
  options.train.amp_dtype = "float32";
  options.train.output = output.path().string();
  options.train.experiment = experiment;
  return options;
}

TrainResult train_from_scratch(RunOptions options, VitOptions model) {
  const auto data = open_training_data(options.data);
  fit_options(options, model, data);
  return run_training({.start = fresh_start("tiny", model, options.train.seed), .options = options},
                      data);
}

TEST(RunTraining, TrainsFromScratchAndResumes) {
  const test::TemporaryFolder folder;
  auto options = digits_run(folder, "scratch");
  const auto result = train_from_scratch(options, test::small_gray_options());
  EXPECT_EQ(result.run_folder, folder / "scratch");
  EXPECT_EQ(result.steps, 4);
  EXPECT_EQ(result.last.examples, open_training_data(options.data).val->size());
  const auto saved = load_model(folder / "scratch" / "last.h5");
  EXPECT_EQ(saved.description.name, "tiny");
  EXPECT_EQ(saved.description.options.num_classes, 10);
  EXPECT_THAT(read_text_file(folder / "scratch" / "config.toml"), HasSubstr("max-steps = 4"));

  // Started again, the run has nothing left to do; with other options it is refused.
  EXPECT_EQ(train_from_scratch(options, test::small_gray_options()).last.top1, result.last.top1);
  options.schedule.lr = 0.5;
  EXPECT_THROW(train_from_scratch(options, test::small_gray_options()), UsageError);
}

TEST(RunTraining, NamesTheFolderByDateAndModelIfThereIsNoExperiment) {
  const test::TemporaryFolder folder;
  const auto result = train_from_scratch(digits_run(folder, ""), test::small_gray_options());
  EXPECT_EQ(result.run_folder.parent_path(), folder.path());
  EXPECT_THAT(result.run_folder.filename().string(), testing::EndsWith("-tiny-8"));
  // Another one never gets its folder, even within one second.
  const auto second = train_from_scratch(digits_run(folder, ""), test::small_gray_options());
  EXPECT_NE(second.run_folder, result.run_folder);
}

TEST(RunTraining, RoutersLearnFromASampleBeforeANewRun) {
  const test::TemporaryFolder folder;
  auto model = test::small_gray_options();
  model.moe_blocks = "last_1";
  model.moe.router = "hash_kmeans";
  model.moe.experts = 3;
  model.moe.sparse.hash_codes = 16;
  train_from_scratch(digits_run(folder, "hash"), model);
  const auto codebook = load_checkpoint(folder / "hash" / "last.h5")
                            .model.at("blocks.1.moe.router.codebook");  // [codes, pixels]
  EXPECT_GT(codebook.count_nonzero().item<int64_t>(), 0);
}

TEST(RunTraining, FinetunesACheckpoint) {
  const test::TemporaryFolder folder;
  train_from_scratch(digits_run(folder, "first"), test::small_gray_options());
  const FinetuneOptions from{.checkpoint = (folder / "first" / "best.h5").string(), .resize = {}};
  auto options = digits_run(folder, "second");
  auto model = finetune_source(from).options;
  const auto data = open_training_data(options.data);
  fit_options(options, model, data);
  const auto result = run_training(
      {.start = finetune_start(from, model, data.train->class_names(), options.train.seed),
       .options = options},
      data);
  EXPECT_EQ(result.steps, 4);
  EXPECT_TRUE(std::filesystem::exists(folder / "second" / "last.h5"));
}

TEST(RunTraining, StartsFromADenseCheckpoint) {
  const test::TemporaryFolder folder;
  train_from_scratch(digits_run(folder, "dense"), test::small_gray_options());
  const UpcycleStartOptions from{
      .checkpoint = (folder / "dense" / "last.h5").string(), .upcycling = {}, .resize = {}};
  auto options = digits_run(folder, "sparse");
  auto model = upcycle_source(from).options;
  model.moe.experts = 3;
  const auto data = open_training_data(options.data);
  fit_options(options, model, data);
  const auto result = run_training(
      {.start = upcycle_start(from, model, data.train->class_names(), 0), .options = options},
      data);
  EXPECT_EQ(result.steps, 4);
  EXPECT_TRUE(result.routing.contains("block1"));
}

}  // namespace
}  // namespace softmoe
