/// Names and shapes of parameters against those of google-research/vmoe.

#include "checkpoints/convert/vmoe_weights.h"
#include "ops/initialization.h"
#include "runtime/memory/memory_use.h"
#include "support/temporary_folder.h"
#include "vit/cost.h"
#include "vit/vision_transformer.h"
#include "vit/vmoe_models.h"
#include "vit/zoo.h"

namespace softmoe {
namespace {

using test::from_vmoe;
using test::vmoe_parameters;

VitOptions reference_options(const std::string& model) {
  auto options = model_preset(model);
  options.qk_norm = true;
  return options;
}

TEST(ParameterNames, OfBuiltModelsAreTheReferences) {
  for (const auto& [model, table] : {std::pair{"vit_s16", "params_dense_S16"},
                                     {"vit_b16", "params_dense_B16"},
                                     {"softmoe_s16_128e", "params_soft_S16"}}) {
    const auto expected = from_vmoe(vmoe_parameters(table));
    ASSERT_GT(expected.size(), 100U);
    // Memory that is never touched is never taken: the largest has 922 million parameters.
    const SkipInitialization skip;
    reset_peak_memory(torch::kCPU);
    const int64_t before = peak_memory_bytes(torch::kCPU);
    const VisionTransformer built(reference_options(model));
    EXPECT_LT(peak_memory_bytes(torch::kCPU) - before, int64_t{256} << 20) << model;
    const auto parameters = built->named_parameters();
    EXPECT_EQ(parameters.size(), expected.size()) << model;
    for (const auto& parameter : parameters) {
      ASSERT_TRUE(expected.contains(parameter.key())) << parameter.key();
      EXPECT_EQ(parameter.value().sizes(), expected.at(parameter.key()).sizes()) << parameter.key();
    }
  }
}

TEST(ParameterNames, TablesHaveAsManyParametersAsTheModelsAreSaidToHave) {
  for (const auto& [model, table] : {std::pair{"vit_s16", "params_dense_S16"},
                                     {"vit_b16", "params_dense_B16"},
                                     {"vit_l16", "params_dense_L16"},
                                     {"softmoe_s16_128e", "params_soft_S16"},
                                     {"softmoe_b16_128e", "params_soft_B16"},
                                     {"softmoe_l16_128e", "params_soft_L16"}}) {
    int64_t expected = 0;
    for (const auto& [name, tensor] : vmoe_parameters(table)) {
      expected += tensor.numel();
    }
    EXPECT_EQ(model_cost(reference_options(model)).parameters(), expected) << model;
  }
}

}  // namespace
}  // namespace softmoe
