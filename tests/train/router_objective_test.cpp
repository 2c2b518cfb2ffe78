#include "train/router_objective.h"

#include <gtest/gtest.h>

#include "softmoe/routers.h"
#include "support/tensor_matcher.h"
#include "train/objective_case.h"

namespace softmoe {
namespace {

using test::ObjectiveCase;

TEST(RouterObjective, IsTheSumOverLayersWithTheirLossesByName) {
  const ObjectiveCase example;
  const auto context = example.context();
  const auto objective = router_objective(example.options(), context);
  auto expected = torch::zeros({});
  for (const auto& [block, record] : context.routing) {
    const auto losses =
        router_losses(example.options().router_losses, record.scores, context.image_losses);
    expected = expected + losses.total;  // []
    const auto& values = objective.values.at(block);
    ASSERT_EQ(values.size(), losses.values.size());
    for (const auto& [name, value] : losses.values) {
      EXPECT_TRUE(test::same_bits(values.at(name), value)) << name;
    }
  }
  EXPECT_TRUE(test::all_close(objective.loss.detach(), expected.detach()));
}

TEST(RouterObjective, DefaultsAreThoseOfTheRouterAndNoneForDenseModels) {
  EXPECT_EQ(default_router_losses(test::small_moe_options("tokens_choice")),
            default_router_losses(router_row("tokens_choice")));
  EXPECT_TRUE(default_router_losses(test::small_moe_options("tokens_choice")).any());
  EXPECT_FALSE(default_router_losses(test::small_options()).any());
}

TEST(RouterObjective, DoesNotApplyToADenseModel) {
  const ObjectiveCase example;
  auto context = example.context();
  context.routing.clear();
  const auto objective = router_objective(example.options(), context);
  EXPECT_FALSE(objective.loss.defined());
  EXPECT_TRUE(objective.values.empty());
}

}  // namespace
}  // namespace softmoe
