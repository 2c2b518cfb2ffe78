/// Where in a file the model is.

#include "checkpoints/convert/model_prefix.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "support/error_text.h"

namespace softmoe {
namespace {

using testing::HasSubstr;

/// The prefix that is chosen of models whose only tensors are of these sizes.
std::string chosen(const std::map<std::string, int64_t>& models) {
  NamedTensors tensors;
  std::set<std::string> prefixes;
  for (const auto& [prefix, size] : models) {
    prefixes.insert(prefix);
    tensors[prefix + "w"] = torch::ones({size});
  }
  return choose_prefix(prefixes, tensors, "", "file");
}

TEST(ModelPrefix, IsReadWithoutWrappersAnywhere) {
  for (const auto& [name, bare] :
       {std::pair{"module._orig_mod.model.blocks.0.w", "model.blocks.0.w"},
        {"model.module.blocks.0._checkpoint_wrapped_module.attn.w", "model.blocks.0.attn.w"},
        {"_fsdp_wrapped_module.blocks.0._fsdp_wrapped_module.w", "blocks.0.w"},
        {"_forward_module.w", "w"},
        {"modules.submodule.w", "modules.submodule.w"},
        {"a.module", "a.module"},
        {"params/module/w", "params/module/w"}}) {
    EXPECT_EQ(without_wrappers(name), bare);
  }
}

TEST(ModelPrefix, KeepsNamesThatWouldMeet) {
  const auto tensors = without_wrappers(
      NamedTensors{{"module.w", torch::ones({1})}, {"w", torch::zeros({1})}, {"module.v", {}}});
  EXPECT_EQ(tensors.size(), 3U);
  EXPECT_TRUE(tensors.contains("module.w") && tensors.contains("w") && tensors.contains("v"));
}

TEST(ModelPrefix, IsTheUsualOneOfSeveral) {
  EXPECT_EQ(chosen({{"model.", 1}, {"model_ema.", 1}}), "model.");
  EXPECT_EQ(chosen({{"", 1}, {"teacher.", 1}}), "");
  EXPECT_EQ(chosen({{"params/", 1}, {"opt/target/", 1}}), "params/");
}

TEST(ModelPrefix, IsTheTeacherOfAStudentOfItsShape) {
  EXPECT_EQ(chosen({{"student.backbone.", 1}, {"teacher.backbone.", 1}}), "teacher.backbone.");
  EXPECT_EQ(chosen({{"student.", 1}, {"teacher.", 2}}), "student.");
  EXPECT_EQ(chosen({{"encoder.", 1}, {"target_encoder.", 1}}), "target_encoder.");
}

TEST(ModelPrefix, IsThatOfTheOnlyModelThatIsNoAverage) {
  EXPECT_EQ(chosen({{"net.", 1}, {"ema.net.", 1}}), "net.");
  EXPECT_EQ(chosen({{"semantic.", 1}, {"net_ema.", 1}}), "semantic.");
  EXPECT_EQ(chosen({{"base_encoder.", 1}, {"momentum_encoder.", 1}}), "base_encoder.");
  EXPECT_THAT(
      test::input_error([] {
        chosen({{"left.", 1}, {"right.", 1}});
      }),
      HasSubstr(
          "file: expected one model (softmoe convert --prefix chooses one), found several, after "
          "'left.', 'right.'"));
}

}  // namespace
}  // namespace softmoe
