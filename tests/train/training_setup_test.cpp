#include "train/training_setup.h"

#include <gtest/gtest.h>

#include "train/tiny_run.h"

namespace softmoe {
namespace {

using test::setup_of;
using test::tiny_run;

TEST(TrainingSetup, ConfigIsMadeOfAllOptionsIfItIsMissing) {
  auto setup = setup_of(tiny_run());
  setup.config = {};
  complete_config(setup);
  EXPECT_EQ(setup.config.at("model"), "tiny");
  EXPECT_EQ(setup.config.at("dim"), 16);
  EXPECT_EQ(setup.config.at("epochs"), 3.0);
  EXPECT_NE(setup.config_text.find("batch-size = 12\n"), std::string::npos);
  const auto config = setup.config;
  setup.options.train.epochs = 5;
  complete_config(setup);
  EXPECT_EQ(setup.config, config);
}

}  // namespace
}  // namespace softmoe
