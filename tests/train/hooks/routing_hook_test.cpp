#include "train/hooks/routing_hook.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "train/hooks/hook_cases.h"

namespace softmoe {
namespace {

using test::LogLines;
using test::some_update;
using test::state_at;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TrainingRecord record_of(const ModelUpdate& update) { return {.update = update, .mean_loss = 0.5}; }

TEST(RoutingHook, PutsTheRoutingIntoTheRecordAndTheState) {
  RoutingHook hook(/*idle_steps=*/0);
  auto state = state_at(6);
  const auto update = some_update();
  auto record = record_of(update);
  hook.at_record(state, record);
  ASSERT_EQ(record.routing.size(), 1U);
  EXPECT_THAT(record.routing.at(2).load, ElementsAre(0.25, 0.0, 0.75));
  EXPECT_EQ(record.routing.at(2).losses.at("z"), 2.0);
  EXPECT_EQ(state.routing, to_json(record.routing));

  // The next record starts anew.
  const ModelUpdate dense;
  auto next = record_of(dense);
  hook.at_record(state, next);
  EXPECT_TRUE(next.routing.empty());
  EXPECT_EQ(state.routing, to_json(record.routing));
}

TEST(RoutingHook, WarnsOfIdleExpertsAcrossSittings) {
  const LogLines log;
  const auto update = some_update();
  RoutingHook first(/*idle_steps=*/6);
  auto state = state_at(6);
  auto record = record_of(update);
  first.at_record(state, record);
  EXPECT_THAT(log.lines(), IsEmpty());
  Json progress = Json::object();
  first.save_state(state, progress);

  RoutingHook second(/*idle_steps=*/6);
  auto later = state_at(12);
  second.load_state(later, Json::parse(progress.dump()));
  EXPECT_EQ(later.routing, state.routing);
  auto next = record_of(update);
  second.at_record(later, next);
  EXPECT_THAT(log.lines(), ElementsAre(HasSubstr("block 2: expert 1 got no token")));
}

TEST(RoutingHook, TakesCheckpointsOfEarlierVersions) {
  RoutingHook hook(/*idle_steps=*/6);
  auto state = state_at(6);
  hook.load_state(state, Json::object());
  EXPECT_TRUE(state.routing.is_null());
}

}  // namespace
}  // namespace softmoe
