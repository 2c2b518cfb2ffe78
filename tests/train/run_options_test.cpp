#include "train/run_options.h"

#include <gtest/gtest.h>

#include <set>

namespace softmoe {
namespace {

TEST(RunOptions, AreReadBackByTheNamesOfTheirSections) {
  RunOptions options;
  options.data.dataset = "digits";
  options.train.epochs = 2.5;
  options.optimizer.opt = "sgd";
  options.objectives.loss.smoothing = 0.25;
  options.objectives.router_losses.coefficients[2] = 0.5;
  EXPECT_EQ(options_from_json<RunOptions>(options_to_json(options), "test"), options);
}

TEST(RunOptions, SectionsHaveTitlesOfTheirOwn) {
  RunOptions options;
  std::set<std::string> titles;
  size_t sections = 0;
  for_each_section(options, [&](const char* title, auto& /*section*/) {
    titles.insert(title);
    ++sections;
  });
  EXPECT_EQ(titles.size(), sections);
}

TEST(TrainingLoader, ShufflesBatchesOfOneSizeByTheSeedOfTheRun) {
  RunOptions options;
  options.train.seed = 5;
  options.loader.batch_size = 7;
  options.sampling.sampling = Sampling::kSqrt;
  const auto loader = training_loader(options);
  EXPECT_EQ(loader.seed, 5U);
  EXPECT_EQ(loader.batch_size, 7);
  EXPECT_EQ(loader.sampling, Sampling::kSqrt);
  EXPECT_TRUE(loader.shuffle);
  EXPECT_TRUE(loader.drop_last);
}

}  // namespace
}  // namespace softmoe
