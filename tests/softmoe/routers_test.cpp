#include "softmoe/routers.h"

#include <set>

#include "core/error.h"
#include "softmoe/router_losses.h"
#include "softmoe/routers/router_cases.h"

namespace softmoe::routers_test {

using namespace test::any_router;  // NOLINT: layers of any router

class EveryRouterRow : public testing::TestWithParam<std::string> {
 protected:
  const RouterRow& row() const { return router_row(GetParam()); }
};

TEST_P(EveryRouterRow, HasASourceASummaryAndLossesThatExist) {
  EXPECT_FALSE(row().source.empty());
  EXPECT_FALSE(row().summary.empty());
  size_t found = 0;
  for (const auto& loss : router_loss_rows()) {
    for (const auto& [name, coefficient] : row().losses) {
      found += name == loss.name ? 1 : 0;
      EXPECT_NE(coefficient, 0.0) << name;
    }
  }
  EXPECT_EQ(found, row().losses.size());
}

TEST_P(EveryRouterRow, DefaultLossesApply) {
  auto options = layer_options(GetParam(), 5, 3);
  options.moe.router_noise = 1.0;
  auto layer = seeded_layer(options);
  RoutingRecord record{.wants = {.scores = true}};
  seeded_forward(layer, seeded_tokens(2), &record);
  const auto losses = router_losses(default_router_losses(row()), record.scores, torch::rand({2}));
  for (const auto& [name, coefficient] : row().losses) {
    const auto value = losses.values.find(std::string(name));
    ASSERT_NE(value, losses.values.end()) << name;
    EXPECT_TRUE(value->second.isfinite().item<bool>()) << name;
  }
  EXPECT_EQ(losses.values.size(), row().losses.size());
}

TEST_P(EveryRouterRow, SaysWhatItCosts) {
  for (const auto& options : router_sizes(GetParam())) {
    const auto handle = make_router(options);
    int64_t parameters = 0;
    for (const auto& parameter : handle.module->parameters()) {
      parameters += parameter.numel();
    }
    EXPECT_EQ(parameters > 0, row().learned);
    const auto cost = row().cost(options);
    EXPECT_EQ(cost.parameters, parameters) << size_text(options);
    EXPECT_GE(cost.multiply_adds, 0.0);
    EXPECT_GT(cost.expert_rows, 0.0);
  }
}

INSTANTIATE_TEST_SUITE_P(Routers, EveryRouterRow, testing::ValuesIn(router_names()),
                         [](const auto& entry) { return entry.param; });

TEST(RouterRegistry, NamesAreDistinct) {
  const auto names = router_names();
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
  EXPECT_EQ(names.size(), router_rows().size());
  EXPECT_GE(names.size(), 5U);
}

TEST(RouterRegistry, AnUnknownNameListsTheKnownOnes) {
  try {
    router_row("best");
    FAIL() << "no error";
  } catch (const UsageError& error) {
    for (const auto& name : router_names()) {
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << name;
    }
  }
}

}  // namespace softmoe::routers_test
