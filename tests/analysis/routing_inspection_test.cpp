#include "analysis/routing_inspection.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "eval/digit_model.h"
#include "support/error_text.h"

namespace softmoe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

LoadedModel loaded(const std::string& router) {
  LoadedModel made;
  made.model = test::digit_model(router);
  made.description.name = "tiny";
  made.description.options = made.model->options();
  made.description.preprocess = default_preprocess(made.model->options());
  return made;
}

TEST(RoutingInspection, GathersAllImagesAndDrawsTheFirst) {
  const auto [set, transform] = test::digits();
  RoutingInspection inspection(loaded("soft"), "tiny.h5", /*count=*/3);
  inspection.add(*set, {4, 7}, {"four", "seven"});
  inspection.add(*set, {9, 1, 2}, {"nine", "one", "two"});
  ASSERT_EQ(inspection.images().size(), 3U);
  EXPECT_EQ(inspection.images()[2].caption, "nine");
  const auto layers = inspection.layers();
  ASSERT_EQ(layers.size(), 2U);
  EXPECT_EQ(layers[1].block, 2);
  EXPECT_EQ(layers[1].experts, 5);

  DispatchMapOptions maps;
  maps.slots = 4;
  const auto sheets = inspection.draw(maps);
  ASSERT_EQ(sheets.size(), 2U);
  EXPECT_EQ(sheets[0].block, 0);
  EXPECT_EQ(sheets[0].slots.size(), 4U);
  EXPECT_THAT(sheets[0].caption, HasSubstr("4 of 10 slots (important)"));
  EXPECT_EQ(sheets[0].picture.channels(), 3);
  maps.blocks = {2};
  EXPECT_EQ(inspection.draw(maps).size(), 1U);
}

TEST(RoutingInspection, StatisticsDoNotDependOnTheBatches) {
  const auto [set, transform] = test::digits();
  RoutingInspection whole(loaded("soft"), "tiny.h5", /*count=*/1);
  whole.add(*set, {0, 1, 2, 3}, {"a", "b", "c", "d"});
  RoutingInspection parts(loaded("soft"), "tiny.h5", /*count=*/1);
  parts.add(*set, {0}, {"a"});
  parts.add(*set, {1, 2, 3}, {"b", "c", "d"});
  EXPECT_NEAR(whole.layers()[0].dispatch_max, parts.layers()[0].dispatch_max, 1e-6);
  EXPECT_NEAR(whole.layers()[0].combine_similarity, parts.layers()[0].combine_similarity, 1e-6);
}

TEST(RoutingInspection, NamesWhatCannotBeInspected) {
  EXPECT_THAT(test::input_error([] { RoutingInspection(loaded("smear"), "tiny.h5", 1); }),
              HasSubstr("tiny.h5: expected a router that sends tokens to experts"));
  const auto [set, transform] = test::digits();
  RoutingInspection inspection(loaded("soft"), "tiny.h5", 1);
  inspection.add(*set, {0}, {"a"});
  DispatchMapOptions maps;
  maps.blocks = {1};
  EXPECT_THAT(test::usage_error([&] { inspection.draw(maps); }),
              HasSubstr("MoE blocks of the model: 0, 2, found 1"));
}

}  // namespace
}  // namespace softmoe
