#include "train/routing_monitor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

namespace softmoe {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

/// The loads of two blocks of which block 2 has the given load.
ExpertLoads loads_of(const std::vector<double>& load, double dropped = 0.25) {
  const auto tensor = torch::tensor(load, torch::kFloat32);
  ExpertLoads loads;
  loads[2] = {.load = tensor,
              .importance = tensor.flip(0),
              .dropped = torch::scalar_tensor(dropped),
              .entropy = torch::scalar_tensor(0.75)};
  loads[5] = {.load = torch::tensor({0.5F, 0.5F}),
              .importance = torch::tensor({0.125F, 0.875F}),
              .dropped = torch::scalar_tensor(0.0),
              .entropy = torch::scalar_tensor(0.5)};
  return loads;
}

/// The warnings of a record at `step`.
std::vector<std::string> warnings_at(RoutingMonitor& monitor, int64_t step,
                                     const std::vector<double>& load) {
  std::vector<std::string> warnings;
  monitor.add(loads_of(load), {});
  monitor.finish(step, warnings);
  return warnings;
}

TEST(RoutingMonitor, AveragesTheBatchesOfAnUpdate) {
  RoutingMonitor monitor(0);
  BlockValues losses;
  losses[2]["balance"] = torch::scalar_tensor(3.0);
  monitor.add(loads_of({0.5, 0.5, 0.0}, 0.125), losses);
  losses[2]["balance"] = torch::scalar_tensor(1.0);
  monitor.add(loads_of({0.25, 0.5, 0.25}, 0.375), losses);
  std::vector<std::string> warnings;
  const auto routing = monitor.finish(7, warnings);
  EXPECT_THAT(warnings, IsEmpty());
  ASSERT_EQ(routing.size(), 2U);
  EXPECT_THAT(routing.at(2).load, ElementsAre(0.375, 0.5, 0.125));
  EXPECT_THAT(routing.at(2).importance, ElementsAre(0.125, 0.5, 0.375));
  EXPECT_THAT(
      routing.at(2).summary(),
      ElementsAre(Pair("balance_loss", 2.0), Pair("dropped", 0.25),
                  Pair("effective_experts", testing::DoubleNear(2.6494, 1e-4)),
                  Pair("entropy", 0.75), Pair("idle_experts", 0.0), Pair("max_importance", 0.5),
                  Pair("max_load", 0.5), Pair("min_importance", 0.125), Pair("min_load", 0.125)));
  const auto json = to_json(routing);
  EXPECT_EQ(json.at("block5").at("max_importance"), 0.875);
  const auto means = mean_over_layers(json);
  EXPECT_EQ(means.at("max_importance"), 0.6875);
  EXPECT_EQ(means.at("dropped"), 0.125);
  EXPECT_EQ(means.at("balance_loss"), 2.0);  // of the one layer that has it
  EXPECT_TRUE(monitor.finish(8, warnings).empty());
}

TEST(RoutingMonitor, AveragesHowSoftRoutersMix) {
  RoutingMonitor monitor(0);
  for (const float similarity : {0.5F, 0.75F}) {
    auto loads = loads_of({0.5, 0.5});
    loads[2].mixing.input_similarity = torch::scalar_tensor(similarity);
    monitor.add(loads, {});
  }
  std::vector<std::string> warnings;
  const auto summary = monitor.finish(1, warnings).at(2).summary();
  EXPECT_EQ(summary.at("input_similarity"), 0.625);
  EXPECT_FALSE(summary.contains("output_similarity"));
}

TEST(RoutingMonitor, LossesOfLayersWithoutLoadAreKept) {
  RoutingMonitor monitor(1);
  BlockValues losses;
  losses[4]["z"] = torch::scalar_tensor(0.5);
  monitor.add({}, losses);
  std::vector<std::string> warnings;
  EXPECT_THAT(monitor.finish(1, warnings).at(4).summary(), ElementsAre(Pair("z_loss", 0.5)));
}

TEST(RoutingMonitor, NamesAnIdleExpertOnceUntilItIsUsedAgain) {
  RoutingMonitor monitor(100);
  EXPECT_THAT(warnings_at(monitor, 40, {0.5, 0.0, 0.5}), IsEmpty());
  EXPECT_THAT(warnings_at(monitor, 139, {0.5, 0.0, 0.5}), IsEmpty());
  EXPECT_THAT(warnings_at(monitor, 140, {0.5, 0.0, 0.5}),
              ElementsAre("warning: block 2: expert 1 got no token in any record from update 40 to "
                          "140"));
  EXPECT_THAT(warnings_at(monitor, 900, {0.5, 0.0, 0.5}), IsEmpty());
  EXPECT_THAT(warnings_at(monitor, 910, {0.4, 0.1, 0.5}), IsEmpty());
  EXPECT_THAT(warnings_at(monitor, 920, {0.0, 0.0, 1.0}), IsEmpty());
  EXPECT_THAT(warnings_at(monitor, 1020, {0.0, 0.0, 1.0}),
              ElementsAre(HasSubstr("block 2: experts 0, 1 got no token")));
}

TEST(RoutingMonitor, OneRecordSaysNothingAboutHundredsOfUpdates) {
  RoutingMonitor monitor(10);
  EXPECT_THAT(warnings_at(monitor, 5000, {1.0, 0.0}), IsEmpty());
  EXPECT_THAT(warnings_at(monitor, 10000, {0.0, 1.0}), IsEmpty());
}

TEST(RoutingMonitor, WarnsOfNothingWhereItIsTold) {
  RoutingMonitor monitor(0);
  EXPECT_THAT(warnings_at(monitor, 1, {1.0, 0.0}), IsEmpty());
  EXPECT_THAT(warnings_at(monitor, 100000, {1.0, 0.0}), IsEmpty());
}

TEST(RoutingMonitor, GoesOnFromItsState) {
  for (const int64_t stop : {1, 2, 3}) {
    RoutingMonitor monitor(20);
    std::vector<std::string> warnings;
    for (int64_t record = 1; record <= 5; ++record) {
      for (const auto& line : warnings_at(monitor, record * 10, {0.5, 0.0, 0.5, 0.0})) {
        warnings.push_back(line);
      }
      if (record == stop) {
        const auto state = monitor.state();
        monitor = RoutingMonitor(20);
        monitor.load_state(Json::parse(state.dump()));
      }
    }
    EXPECT_THAT(warnings, ElementsAre(HasSubstr("experts 1, 3 got no token in any record from "
                                                "update 10 to 30")))
        << stop;
  }
}

TEST(RoutingMonitor, NamesAFewOfManyExperts) {
  RoutingMonitor monitor(1);
  std::vector<double> load(40, 0.0);
  load[7] = 1.0;
  EXPECT_THAT(warnings_at(monitor, 1, load), IsEmpty());
  EXPECT_THAT(warnings_at(monitor, 2, load),
              ElementsAre(HasSubstr("experts 0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16 "
                                    "and 23 more got")));
}

}  // namespace
}  // namespace softmoe
