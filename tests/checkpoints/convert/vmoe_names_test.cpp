#include <gmock/gmock.h>

#include "checkpoints/convert/vmoe_weights.h"
#include "checkpoints/load_into.h"
#include "core/error.h"
#include "io/npz.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "vit/vision_transformer.h"
#include "vit/vmoe_models.h"

namespace softmoe {
namespace {

using test::from_vmoe;
using test::to_vmoe;
using testing::HasSubstr;

NamedTensors fixture_parameters(const std::string& name) {
  NamedTensors parameters;
  for (const auto& [key, tensor] : read_npz(test::fixture("vmoe/" + name + ".npz"))) {
    if (key.starts_with("params/")) {
      parameters[key.substr(7)] = tensor;
    }
  }
  return parameters;
}

std::string input_error(const NamedTensors& flax) {
  try {
    from_vmoe(flax, "a.npz");
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

class VmoeFixture : public testing::TestWithParam<std::string> {};

TEST_P(VmoeFixture, RoundTripsBitExactly) {
  const auto flax = fixture_parameters(GetParam());
  const auto back = to_vmoe(from_vmoe(flax), /*heads=*/4);
  ASSERT_EQ(back.size(), flax.size());
  for (const auto& [name, tensor] : flax) {
    ASSERT_TRUE(back.contains(name)) << name;
    EXPECT_TRUE(test::same_bits(back.at(name), tensor)) << name;
  }
}

TEST_P(VmoeFixture, FindsThePrefixAndIgnoresTheRest) {
  const auto bare = from_vmoe(fixture_parameters(GetParam()));
  const auto whole_file = from_vmoe(read_npz(test::fixture("vmoe/" + GetParam() + ".npz")));
  ASSERT_EQ(whole_file.size(), bare.size());
  for (const auto& [name, tensor] : bare) {
    EXPECT_TRUE(test::same_bits(whole_file.at(name), tensor)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Both, VmoeFixture,
                         testing::Values("tiny_vit_soft_gap", "tiny_vit_dense_gap"),
                         [](const auto& entry) { return entry.param; });

TEST(VmoeNames, ComputeTheSameProducts) {
  const auto flax = fixture_parameters("tiny_vit_soft_gap");
  const auto ours = from_vmoe(flax);
  const auto x = torch::randn({5, 64});  // [tokens, dim]
  const std::string block = "Encoder/encoderblock_1/";

  const auto qkv = torch::matmul(x, ours.at("blocks.1.attn.qkv.weight").t()) +
                   ours.at("blocks.1.attn.qkv.bias");  // [tokens, 3 * dim]
  for (int64_t i = 0; i < 3; ++i) {
    const std::string projection = std::array{"query", "key", "value"}[static_cast<size_t>(i)];
    const auto expected =
        torch::einsum("td,dhk->thk",
                      {x, flax.at(block + "SelfAttention/" + projection + "/kernel")}) +
        flax.at(block + "SelfAttention/" + projection + "/bias");  // [tokens, heads, head_dim]
    EXPECT_TRUE(test::all_close(qkv.slice(1, 64 * i, 64 * (i + 1)).reshape({5, 4, 16}), expected))
        << projection;
  }
  const auto heads = torch::randn({5, 4, 16});  // [tokens, heads, head_dim]
  EXPECT_TRUE(test::all_close(
      torch::matmul(heads.flatten(1), ours.at("blocks.1.attn.proj.weight").t()),
      torch::einsum("thk,hkd->td", {heads, flax.at(block + "SelfAttention/out/kernel")})));

  const auto rows = torch::randn({4, 3, 64});  // [experts, rows, dim]
  EXPECT_TRUE(test::all_close(
      torch::einsum("erd,ehd->erh", {rows, ours.at("blocks.1.moe.experts.fc1_weight")}),
      torch::einsum("erd,edh->erh", {rows, flax.at(block + "Moe/Mlp/Dense_0/kernel")})));

  const auto patch = torch::randn({8, 8, 3});  // [height, width, channels]
  EXPECT_TRUE(
      test::all_close(torch::einsum("hwc,dchw->d", {patch, ours.at("patch_embed.proj.weight")}),
                      torch::einsum("hwc,hwcd->d", {patch, flax.at("embedding/kernel")})));
}

TEST(VmoeNames, CoverThePublishedModels) {
  for (const std::string variant : {"dense_S16", "soft_S16", "dense_L16", "soft_L16"}) {
    const auto flax = test::vmoe_parameters("params_" + variant);
    ASSERT_GT(flax.size(), 100U) << variant;
    const auto ours = from_vmoe(flax);
    const auto back = to_vmoe(ours, variant.ends_with("S16") ? 6 : 16);
    ASSERT_EQ(back.size(), flax.size());
    for (const auto& [name, tensor] : flax) {
      EXPECT_EQ(back.at(name).sizes(), tensor.sizes()) << name;
    }
  }
}

TEST(VmoeNames, FitTheModelsOfTheSameKind) {
  for (const bool soft : {false, true}) {
    VisionTransformer model(test::tiny_vmoe_options(soft));
    const auto weights =
        from_vmoe(fixture_parameters(soft ? "tiny_vit_soft_gap" : "tiny_vit_dense_gap"));
    EXPECT_NO_THROW(load_into(*model, weights, "fixture"));
  }
}

TEST(VmoeNames, NameWhatHasNoCounterpart) {
  auto flax = fixture_parameters("tiny_vit_dense_gap");
  flax["Encoder/encoderblock_0/Strange/kernel"] = torch::ones({1});
  flax["Encoder/decoder/kernel"] = torch::ones({1});
  EXPECT_EQ(
      input_error(flax),
      "a.npz: no counterpart of Encoder/decoder/kernel, Encoder/encoderblock_0/Strange/kernel "
      "(read as family vmoe; softmoe convert --leave-out does without)");
  EXPECT_THAT(input_error({{"weight", torch::ones({1})}}), HasSubstr("found weight"));
  EXPECT_THAT(input_error({}), HasSubstr("found nothing"));
  EXPECT_THROW(to_vmoe({{"blocks.0.ls1.gamma", torch::ones({1})}}, 4), InputError);
}

TEST(VmoeNames, NameWhatIsIncompleteOrMisshapen) {
  auto flax = fixture_parameters("tiny_vit_dense_gap");
  const std::string block = "Encoder/encoderblock_2/SelfAttention/";
  const auto key = flax.at(block + "key/kernel");
  flax.erase(block + "key/kernel");
  EXPECT_THAT(input_error(flax), HasSubstr("expected parameter " + block + "key/kernel"));
  flax[block + "key/kernel"] = key.flatten(1);
  EXPECT_THAT(input_error(flax), HasSubstr(block + "key/kernel: expected 3 axes, found 2"));
  flax[block + "key/kernel"] = key.slice(1, 0, 2);
  EXPECT_THAT(input_error(flax), HasSubstr(block + "key/kernel: expected the shape"));
}

}  // namespace
}  // namespace softmoe
