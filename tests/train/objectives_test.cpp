#include "train/objectives.h"

#include <gtest/gtest.h>

#include <set>

#include "core/error.h"
#include "support/tensor_matcher.h"
#include "train/router_objective.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::all_close;
using test::same_bits;

/// A sparse model after a forward pass, and options that ask for every objective.
class ObjectiveCase {
 public:
  explicit ObjectiveCase(const std::string& router = "tokens_choice") {
    model_options_ = test::small_moe_options(router);
    auto model = test::lively_model(model_options_);
    model->train();
    batch_ = {.images = test::random_images(model_options_, 5),
              .labels = torch::tensor({3, 0, 6, 6, 1}),
              .indices = {}};
    options_.router_losses.coefficients.fill(0.25);
    routing_ = model->routing_records(wanted_routing(options_));
    logits_ = model->forward(batch_.images, &routing_);  // [batch, classes]
  }

  StepContext context() const {
    return {.batch = batch_,
            .logits = logits_,
            .routing = routing_,
            .image_losses = classification_losses(options_.loss, logits_, batch_.labels).detach()};
  }
  const ObjectiveOptions& options() const { return options_; }

 private:
  VitOptions model_options_;
  ObjectiveOptions options_;
  Batch batch_;
  RoutingRecords routing_;
  torch::Tensor logits_;
};

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
  ASSERT_TRUE(row().is_on(example.options()));
  const auto context = example.context();
  const auto objective = row().loss(example.options(), context);
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
    for (const auto& row : objectives()) {
      expected = expected + row.loss(example.options(), example.context()).loss;  // []
    }
    auto context = example.context();
    context.image_losses = torch::Tensor();  // the losses per image come from the first objective
    const auto sum = objective_loss(example.options(), std::move(context));
    EXPECT_TRUE(all_close(sum.loss.detach(), expected.detach())) << router;
    EXPECT_EQ(sum.values.size(), 2U) << router;
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

TEST(RouterObjective, DefaultsAreThoseOfTheRouterAndNoneForDenseModels) {
  EXPECT_EQ(default_router_losses(test::small_moe_options("tokens_choice")),
            default_router_losses(router_row("tokens_choice")));
  EXPECT_TRUE(default_router_losses(test::small_moe_options("tokens_choice")).any());
  EXPECT_FALSE(default_router_losses(test::small_options()).any());
}

TEST(RouterObjective, DoesNotApplyToADenseModel) {
  const ObjectiveCase example;
  auto context = example.context();
  context.routing.clear();
  const auto objective = router_objective(example.options(), context);
  EXPECT_FALSE(objective.loss.defined());
  EXPECT_TRUE(objective.values.empty());
}

}  // namespace
}  // namespace softmoe
