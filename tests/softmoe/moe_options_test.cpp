#include "softmoe/moe_options.h"

#include "core/error.h"
#include "io/npz.h"
#include "softmoe/moe_layer.h"
#include "softmoe/routers.h"
#include "support/temporary_folder.h"

namespace softmoe::moe_options_test {

using testing::HasSubstr;

MoeLayerOptions small_options() {
  MoeLayerOptions options;
  options.dim = 6;
  options.hidden_dim = 10;
  options.tokens = 8;
  options.moe.experts = 4;
  return options;
}

TEST(SlotsPerExpert, EqualTheReferencesCapacityWhereItRounds) {
  const auto path = test::fixture("vmoe/recipe.npz");
  const auto table = npz_array(read_npz(path), "capacity_table", path);  // [rows, 6]
  int64_t compared = 0;
  for (int64_t row = 0; row < table.size(0); ++row) {
    const auto value = [&](int64_t column) { return table[row][column].item<double>(); };
    // The soft router rounds, to no multiple; the sparse ones' rows take the next multiple of 4.
    if (value(3) != 1.0 || value(4) > 1.0) {
      continue;
    }
    MoeLayerOptions options;
    options.tokens = static_cast<int64_t>(value(0));
    options.moe.experts = static_cast<int64_t>(value(1));
    options.moe.capacity_factor = value(2);
    EXPECT_EQ(slots_per_expert(options), static_cast<int64_t>(value(5))) << "row " << row;
    ++compared;
  }
  EXPECT_EQ(compared, 7);
}

TEST(SlotsPerExpert, AreAtLeastOne) {
  auto options = small_options();
  options.moe.experts = 100;
  EXPECT_EQ(slots_per_expert(options), 1);
}

TEST(SlotsPerExpert, AreAsGivenWhateverTheCapacityFactor) {
  auto options = small_options();
  options.moe.slots_per_expert = 3;
  options.moe.capacity_factor = 100.0;
  EXPECT_EQ(slots_per_expert(options), 3);
}

TEST(SlotsPerExpert, RefuseCountsThatMakeNoSense) {
  auto options = small_options();
  options.moe.experts = 0;
  EXPECT_THROW(slots_per_expert(options), c10::ValueError);
  options.moe.experts = 4;
  options.moe.slots_per_expert = -1;
  EXPECT_THROW(slots_per_expert(options), c10::ValueError);
  options.moe.slots_per_expert = 0;
  options.tokens = 0;
  EXPECT_THROW(slots_per_expert(options), c10::ValueError);
}

TEST(MoeLayerOptions, OfNoSizeAreRefused) {
  const auto expect_refused = [](const MoeLayerOptions& options) {
    EXPECT_THROW(MoeLayer{options}, c10::ValueError);
  };
  for (const int64_t size : {0, -3}) {
    auto options = small_options();
    options.dim = size;
    expect_refused(options);
    options = small_options();
    options.hidden_dim = size;
    expect_refused(options);
    options = small_options();
    options.tokens = size;
    expect_refused(options);
    options = small_options();
    options.moe.experts = size;
    expect_refused(options);
  }
  auto options = small_options();
  options.moe.slots_per_expert = -1;
  expect_refused(options);
}

TEST(MoeLayerOptions, UnknownRouterIsAUsageErrorThatListsTheKnownOnes) {
  auto options = small_options();
  options.moe.router = "softt";
  try {
    MoeLayer layer(options);
    FAIL() << "made a layer";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("'softt'"));
    for (const auto& name : router_names()) {
      EXPECT_THAT(error.what(), HasSubstr(name));
    }
  }
}

TEST(MoeOptions, SurviveTheWayThroughJson) {
  MoeOptions options;
  options.router = "uniform_soft";
  options.experts = 7;
  options.slots_per_expert = 3;
  options.capacity_factor = 1.25;
  options.router_noise = 0.5;
  options.router_eps = 1e-5;
  options.dispatch_dtype = Precision::kBFloat16;
  options.expert_init = ExpertInit::kIdentical;
  options.expert_drop = 0.25;
  options.sparse.top_k = 3;
  options.sparse.gate_order = GateOrder::kAfter;
  options.sparse.l1_initial = 1e-5;
  const auto json = options_to_json(options);
  EXPECT_EQ(options_from_json<MoeOptions>(json, "test"), options);
  EXPECT_EQ(json["router"], "uniform_soft");
  EXPECT_EQ(json["dispatch-dtype"], "bfloat16");
  EXPECT_EQ(json["gate-order"], "after");
}

TEST(MoeOptions, RefuseWhatIsOutOfRange) {
  for (const auto& values :
       {Json{{"experts", -1}}, Json{{"slots-per-expert", -2}}, Json{{"capacity-factor", 0.0}},
        Json{{"router-noise", -0.1}}, Json{{"router", "top1"}}, Json{{"expert-init", "same"}},
        Json{{"dispatch-dtype", "int8"}}}) {
    EXPECT_THROW(options_from_json<MoeOptions>(values, "test"), UsageError) << values;
  }
}

}  // namespace softmoe::moe_options_test
