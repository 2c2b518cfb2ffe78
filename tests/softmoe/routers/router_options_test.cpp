/// The options that rows of the registry of routers name: a router reads no others.

#include <gmock/gmock.h>

#include <algorithm>

#include "softmoe/routers/router_cases.h"
#include "support/tensor_matcher.h"

namespace softmoe::router_options_test {

using test::same_bits;
using namespace test::any_router;  // NOLINT: layers of any router

/// Every option of routers with a value other than its default.
const std::vector<std::pair<std::string, Json>>& other_values() {
  static const std::vector<std::pair<std::string, Json>> values{{"capacity-factor", 0.5},
                                                                {"router-noise", 1.0},
                                                                {"router-eps", 0.1},
                                                                {"router-scale", "sqrt_dim"},
                                                                {"router-scale-form", "exp"},
                                                                {"router-scale-max", 0.5},
                                                                {"separate-scales", true},
                                                                {"phi-init", "orthogonal"},
                                                                {"combine", "entmax15"},
                                                                {"dispatch-dtype", "bfloat16"},
                                                                {"top-k", 2},
                                                                {"eval-capacity-factor", 0.25},
                                                                {"capacity-multiple", 3},
                                                                {"capacity-rounding", "nearest"},
                                                                {"group-images", 1},
                                                                {"batch-priority", true},
                                                                {"renormalize-gates", true},
                                                                {"gate-order", "after"},
                                                                {"gate-function", "sigmoid"},
                                                                {"jitter", 0.1},
                                                                {"second-expert-threshold", 0.5},
                                                                {"selection-bias-rate", 0.1},
                                                                {"sinkhorn-temperature", 2.0},
                                                                {"sinkhorn-tolerance", 0.5},
                                                                {"sinkhorn-iterations", 1},
                                                                {"plan-selection", "exact"},
                                                                {"hash-codes", 8},
                                                                {"hash-seed", 3},
                                                                {"l1-initial", 0.1},
                                                                {"l1-multiplier", 1.5}};
  return values;
}

/// Returns true for options that say how parameters begin: a layer that was not trained has their
/// values in evaluation, too.
bool is_start(const std::string& name) { return name == "router-scale" || name == "phi-init"; }

bool holds(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

class RouterOptions : public testing::TestWithParam<std::string> {};

TEST_P(RouterOptions, OthersThanThoseOfItsRowChangeNothing) {
  const auto& row = router_row(GetParam());
  const auto options = router_sizes(GetParam()).front();
  for (const auto& [name, value] : other_values()) {
    auto values = options_to_json(options.moe);
    values[name] = value;
    auto changed = options;
    changed.moe = options_from_json<MoeOptions>(values, "options");
    for (const bool training : {false, true}) {
      if (holds(row.options, name) ||
          ((training || is_start(name)) && holds(row.training_options, name))) {
        continue;
      }
      const auto output = [&](const MoeLayerOptions& layer_options) {
        auto layer = seeded_layer(layer_options);
        layer->train(training);
        return seeded_forward(layer, seeded_tokens(/*batch=*/3)).detach();
      };
      EXPECT_TRUE(same_bits(output(changed), output(options))) << name << training;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, RouterOptions, testing::ValuesIn(router_names()),
                         [](const auto& router) { return router.param; });

TEST(RouterOptionNames, AreThoseOfTheTableAndHaveAReader) {
  auto values = options_to_json(MoeOptions{});
  for (const std::string shared : {"router", "router-init", "experts", "expert-init", "expert-drop",
                                   "expert-dim", "shared-mlp", "moe-layer-scale"}) {
    values.erase(shared);
  }
  for (const auto& row : router_rows()) {
    for (const auto& names : {row.options, row.training_options}) {
      for (const auto name : names) {
        EXPECT_TRUE(values.contains(std::string(name))) << row.name << ": " << name;
      }
    }
  }
  for (const auto& [name, value] : values.items()) {
    EXPECT_TRUE(std::any_of(router_rows().begin(), router_rows().end(),
                            [&name = name](const RouterRow& row) {
                              return holds(row.options, name) || holds(row.training_options, name);
                            }))
        << name;
    EXPECT_TRUE(name == "slots-per-expert" ||
                std::any_of(other_values().begin(), other_values().end(),
                            [&name = name](const auto& other) { return other.first == name; }))
        << name;
  }
}

}  // namespace softmoe::router_options_test
