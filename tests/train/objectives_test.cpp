#include "train/objectives.h"

#include <gtest/gtest.h>

#include <set>

#include "core/error.h"
#include "support/tensor_matcher.h"
#include "train/objective_case.h"

namespace softmoe {
namespace {

using test::all_close;
using test::ObjectiveCase;
using test::same_bits;

class EveryObjective : public testing::TestWithParam<size_t> {
 protected:
  const ObjectiveRow& row() const { return objectives()[GetParam()]; }
};

TEST_P(EveryObjective, HasANameOfItsOwnAndAMeaning) {
  std::set<std::string_view> names;
  for (const auto& other : objectives()) {
    names.insert(other.name);
  }
  EXPECT_EQ(names.size(), objectives().size());
  EXPECT_FALSE(row().name.empty());
  EXPECT_FALSE(row().meaning.empty());
}

TEST_P(EveryObjective, GivesAFiniteLossWithGradientsAndValuesWithoutThem) {
  const ObjectiveCase example;
  const auto options = example.options_for(row());
  ASSERT_TRUE(row().is_on(options));
  const auto context = example.context();
  const auto objective = row().loss(options, context);
  ASSERT_TRUE(objective.loss.defined());
  EXPECT_EQ(objective.loss.dim(), 0);
  EXPECT_TRUE(objective.loss.isfinite().item<bool>());
  EXPECT_TRUE(objective.loss.requires_grad());
  if (objective.image_losses.defined()) {
    EXPECT_EQ(objective.image_losses.sizes(), (std::vector<int64_t>{5}));
  }
  for (const auto& [block, values] : objective.values) {
    EXPECT_TRUE(context.routing.contains(block)) << block;
    for (const auto& [name, value] : values) {
      EXPECT_EQ(value.dim(), 0) << name;
      EXPECT_FALSE(value.requires_grad()) << name;
    }
  }
}

TEST_P(EveryObjective, WantsOfTheRoutingWhatItNeeds) {
  const ObjectiveCase example;
  const auto wants = wanted_routing(example.options());
  EXPECT_TRUE(wants.weights || !row().routing.weights);
  EXPECT_TRUE(wants.scores || !row().routing.scores);
  EXPECT_TRUE(wants.load || !row().routing.load);
}

INSTANTIATE_TEST_SUITE_P(Table, EveryObjective, testing::Range<size_t>(0, objectives().size()),
                         [](const auto& test_case) {
                           return std::string(objectives()[test_case.param].name);
                         });

TEST(Objectives, LossIsTheSumOfAllThatAreOn) {
  for (const auto* router : {"tokens_choice", "reinforced"}) {
    const ObjectiveCase example(router);
    auto expected = torch::zeros({});
    std::map<std::string, torch::Tensor> parts;
    auto context = example.context();
    context.image_losses = torch::Tensor();  // those of the objectives before each
    for (const auto& row : objectives()) {
      if (!row.is_on(example.options())) {
        continue;
      }
      const auto part = row.loss(example.options(), context);
      parts[std::string(row.name)] = part.loss.detach();
      expected = expected + part.loss;  // []
      if (part.image_losses.defined()) {
        const auto own = part.image_losses.detach();  // [5]
        context.image_losses = context.image_losses.defined() ? context.image_losses + own : own;
      }
    }
    context.image_losses = torch::Tensor();
    const auto sum = objective_loss(example.options(), std::move(context));
    EXPECT_TRUE(all_close(sum.loss.detach(), expected.detach())) << router;
    EXPECT_EQ(sum.values.size(), 2U) << router;
    ASSERT_EQ(sum.parts.size(), parts.size());
    EXPECT_GE(parts.size(), 4U);
    EXPECT_TRUE(all_close(sum.parts.at("distillation"), parts.at("distillation"))) << router;
  }
}

TEST(Objectives, ClassificationAloneIsTheMeanLossAndWantsNoRouting) {
  const ObjectiveCase example;
  const ObjectiveOptions options{.loss = {.loss = "sigmoid", .smoothing = 0.1},
                                 .router_losses = {}};
  const auto context = example.context();
  const auto objective = objective_loss(options, context);
  EXPECT_TRUE(same_bits(objective.loss,
                        classification_loss(options.loss, context.logits, context.batch.labels)));
  EXPECT_TRUE(objective.values.empty());
  const auto wants = wanted_routing(options);
  EXPECT_FALSE(wants.weights || wants.scores || wants.load);
}

}  // namespace
}  // namespace softmoe
