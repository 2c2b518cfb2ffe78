#include "checkpoints/surgery/weight_average.h"

#include <gmock/gmock.h>

#include "support/error_text.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::all_close;
using test::input_error;
using testing::HasSubstr;

/// A model of 2 blocks with the initial weights of `seed`.
LoadedWeights model_of(int64_t seed, int64_t depth = 2) {
  ModelDescription description;
  description.name = "tiny";
  description.class_names = {"a", "b", "c"};
  description.options.img_size = {8};
  description.options.patch_size = 4;
  description.options.num_classes = 3;
  description.options.dim = 12;
  description.options.depth = depth;
  description.options.heads = 2;
  const auto model = make_model(description.options, seed);
  NamedTensors weights;
  for (const auto& [name, tensor] : named_tensors(*model)) {
    weights[name] = tensor.detach();
  }
  return {.weights = std::move(weights),
          .description = std::move(description),
          .metadata = Json::object()};
}

TEST(WeightAverage, IsTheMeanOfEachTensor) {
  WeightAverage average;
  for (const int64_t seed : {1, 2, 5}) {
    average.add(model_of(seed), "model");
  }
  const auto mean = average.mean();
  const auto [a, b, c] = std::tuple(model_of(1).weights, model_of(2).weights, model_of(5).weights);
  ASSERT_EQ(mean.size(), a.size());
  for (const auto& [name, tensor] : mean) {
    EXPECT_EQ(tensor.scalar_type(), torch::kFloat32);
    EXPECT_TRUE(all_close(tensor, (a.at(name) + b.at(name) + c.at(name)) / 3)) << name;
  }
}

TEST(WeightAverage, OfOneModelIsThatModel) {
  WeightAverage average;
  const auto model = model_of(3);
  average.add(model, "model");
  for (const auto& [name, tensor] : average.mean()) {
    EXPECT_TRUE(test::same_bits(tensor, model.weights.at(name))) << name;
  }
}

TEST(WeightAverage, CopiesAreIndependent) {
  WeightAverage first;
  first.add(model_of(1), "one");
  auto second = first;
  second.add(model_of(2), "two");
  EXPECT_EQ(first.models(), 1);
  EXPECT_TRUE(
      test::same_bits(first.mean().at("head.weight"), model_of(1).weights.at("head.weight")));
}

TEST(WeightAverage, RefusesOtherModels) {
  WeightAverage average;
  average.add(model_of(1), "one.h5");
  EXPECT_THAT(input_error([&] { average.add(model_of(1, /*depth=*/3), "two.h5"); }),
              HasSubstr("two.h5: expected depth 2 as in one.h5, found 3"));
  auto renamed = model_of(2);
  renamed.description.class_names[1] = "d";
  EXPECT_THAT(input_error([&] { average.add(renamed, "two.h5"); }),
              HasSubstr("two.h5: expected the classes of one.h5"));
  auto smaller = model_of(2);
  smaller.weights.erase("head.bias");
  EXPECT_THAT(input_error([&] { average.add(smaller, "two.h5"); }), HasSubstr("head.bias"));
  EXPECT_EQ(average.models(), 1);
}

}  // namespace
}  // namespace softmoe
