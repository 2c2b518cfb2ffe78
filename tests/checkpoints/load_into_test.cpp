#include "checkpoints/load_into.h"

#include <gmock/gmock.h>
#include <torch/nn/module.h>

#include "core/error.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using testing::HasSubstr;

struct Toy : torch::nn::Module {
  Toy() {
    weight = register_parameter("weight", torch::zeros({3, 2}));
    scale = register_parameter("scale", torch::zeros({}));
    counts = register_buffer("counts", torch::zeros({4}, torch::kInt64));
  }
  torch::Tensor weight;
  torch::Tensor scale;
  torch::Tensor counts;
};

NamedTensors fitting() {
  return {{"weight", torch::arange(6, torch::kFloat64).view({3, 2})},
          {"scale", torch::tensor(5.0F)},
          {"counts", torch::arange(4)}};
}

std::string load_error(Toy& toy, const NamedTensors& tensors, const LoadRules& rules = {}) {
  try {
    load_into(toy, tensors, "a.h5", rules);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

TEST(LoadInto, SetsParametersAndBuffersAndConvertsDtypes) {
  Toy toy;
  load_into(toy, fitting(), "a.h5");
  EXPECT_TRUE(test::same_bits(toy.weight, torch::arange(6, torch::kFloat32).view({3, 2})));
  EXPECT_EQ(toy.scale.item<float>(), 5.0F);
  EXPECT_TRUE(test::same_bits(toy.counts, torch::arange(4)));
  EXPECT_TRUE(toy.weight.requires_grad());
}

TEST(LoadInto, ListsAllThatDoesNotFitAndLoadsNothing) {
  Toy toy;
  const NamedTensors tensors{{"weight", torch::ones({2, 3})},
                             {"counts", torch::ones({4})},
                             {"head.bias", torch::ones({1})}};
  EXPECT_EQ(load_error(toy, tensors),
            "a.h5: tensors do not fit the model: missing scale; of another shape or kind "
            "counts of Float (the model has Long), weight [2, 3] (the model has [3, 2]); unknown "
            "to the model head.bias");
  auto only_scale_fits = tensors;
  only_scale_fits["scale"] = torch::tensor(5.0F);
  EXPECT_THAT(load_error(toy, only_scale_fits), HasSubstr("do not fit"));
  EXPECT_EQ(toy.scale.item<float>(), 0.0F);
}

TEST(LoadInto, AllowsMissingAndUnusedTensorsOnRequest) {
  Toy toy;
  NamedTensors tensors = fitting();
  tensors.erase("scale");
  EXPECT_THAT(load_error(toy, tensors), HasSubstr("missing scale"));
  EXPECT_EQ(load_error(toy, tensors, {.allow_missing = true}), "no error");
  EXPECT_EQ(toy.weight.sum().item<float>(), 15.0F);

  tensors = fitting();
  tensors["other"] = torch::ones({1});
  EXPECT_THAT(load_error(toy, tensors), HasSubstr("unknown to the model other"));
  EXPECT_EQ(load_error(toy, tensors, {.allow_unused = true}), "no error");
  tensors["weight"] = torch::ones({6});
  EXPECT_THAT(load_error(toy, tensors, {.allow_missing = true, .allow_unused = true}),
              HasSubstr("weight [6]"));
}

TEST(LoadInto, ShortensLongLists) {
  Toy toy;
  NamedTensors tensors = fitting();
  for (int i = 10; i < 40; ++i) {
    tensors["x" + std::to_string(i)] = torch::ones({1});
  }
  const auto message = load_error(toy, tensors);
  EXPECT_THAT(message, HasSubstr("x10, x11"));
  EXPECT_THAT(message, HasSubstr("x21 and 18 more"));
}

TEST(LoadInto, CopiesUnlessToldToShare) {
  const auto loaded = torch::ones({3, 2});
  NamedTensors tensors = fitting();
  tensors["weight"] = loaded;
  Toy copying;
  load_into(copying, tensors, "a.h5");
  EXPECT_NE(copying.weight.data_ptr(), loaded.data_ptr());

  Toy sharing;
  load_into(sharing, tensors, "a.h5", {.share_memory = true});
  EXPECT_EQ(sharing.weight.data_ptr(), loaded.data_ptr());
  EXPECT_TRUE(sharing.weight.requires_grad());
  EXPECT_EQ(sharing.parameters()[0].data_ptr(), loaded.data_ptr());
  tensors["weight"] = torch::ones({3, 2}, torch::kFloat64);
  load_into(sharing, tensors, "a.h5", {.share_memory = true});
  EXPECT_EQ(sharing.weight.scalar_type(), torch::kFloat32);
}

}  // namespace
}  // namespace softmoe
