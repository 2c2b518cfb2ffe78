#include "checkpoints/convert/families.h"

#include <gmock/gmock.h>

#include <set>

#include "checkpoints/convert/vmoe_routers.h"
#include "checkpoints/formats/tensor_format.h"
#include "core/error.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

/// Options of models with every combination of the parts by which families differ.
std::vector<VitOptions> all_parts() {
  std::vector<VitOptions> models;
  for (int bits = 0; bits < 32; ++bits) {
    for (const int64_t registers : {0, 1, 2}) {
      auto options = test::small_options();
      options.class_token = (bits & 1) != 0;
      options.dist_token = (bits & 2) != 0;
      options.pre_norm = (bits & 4) != 0;
      options.layer_scale = (bits & 8) != 0 ? 1e-5 : 0.0;
      options.mlp_layer = (bits & 16) != 0 ? MlpLayer::kSwiGlu : MlpLayer::kMlp;
      options.reg_tokens = registers;
      models.push_back(options);
    }
  }
  return models;
}

TEST(Families, HaveDifferentNames) {
  std::set<std::string_view> names;
  for (const auto& family : families()) {
    EXPECT_TRUE(names.insert(family.name).second) << family.name;
  }
  EXPECT_THROW(find_family("keras"), UsageError);
}

TEST(Families, OfOneNamingWriteEveryModelOnce) {
  for (const auto& naming : namings()) {
    for (const auto& options : all_parts()) {
      int rows = 0;
      for (const auto& family : families()) {
        const bool writes = family.writes == nullptr || family.writes(options);
        rows += family.naming == naming && writes ? 1 : 0;
      }
      EXPECT_EQ(rows, 1) << naming;
      EXPECT_EQ(output_family(naming, options).naming, naming);
    }
  }
}

TEST(Families, StandForThemselvesByName) {
  const auto options = test::small_options();
  EXPECT_EQ(output_family("hf_clip", options).name, "hf_clip");
  EXPECT_EQ(output_family("big_vision_scanned", options).name, "big_vision_scanned");
  EXPECT_THROW(output_family("keras", options), UsageError);
}

TEST(Families, ThatShareAnAnchorShareTheirAliases) {
  for (const auto& family : families()) {
    for (const auto& other : families()) {
      if (family.tensors.anchor == other.tensors.anchor) {
        EXPECT_EQ(family.tensors.aliases.data(), other.tensors.aliases.data())
            << family.name << " " << other.name;
      }
    }
  }
}

TEST(Families, AreTheUsualOnesOfFormats) {
  for (const auto& row : tensor_formats()) {
    EXPECT_NO_THROW(find_family(std::string(row.usual_family))) << row.name;
    EXPECT_EQ(format_row(row.format).name, row.name);
  }
}

TEST(VmoeRouters, AreReadAsOneRouterPerKind) {
  EXPECT_EQ(recognized_router(RoutingKind::kSoft), "soft");
  EXPECT_EQ(recognized_router(RoutingKind::kSparse), "tokens_choice");
  EXPECT_EQ(writable_routers(), "soft, tokens_choice or experts_choice");
  for (const auto& row : router_rows()) {
    if (row.vmoe == VmoeForm::kRecognized) {
      EXPECT_EQ(recognized_router(row.kind), row.name);
    }
  }
}

}  // namespace
}  // namespace softmoe
