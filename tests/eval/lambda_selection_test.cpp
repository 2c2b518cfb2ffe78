#include "eval/lambda_selection.h"

#include <gtest/gtest.h>

#include "eval/few_shot_cases.h"

namespace softmoe {
namespace {

using test::clusters;

TEST(LambdaSelection, TakesTheBestMeanRank) {
  const auto result = [](const std::string& name, std::vector<std::vector<double>> rows) {
    FewShotResult made{.name = name};
    const double lambdas[] = {1, 8, 64};
    for (size_t i = 0; i < rows.size(); ++i) {
      made.scores.push_back({.shots = 5, .lambda = lambdas[i], .accuracies = rows[i]});
    }
    return made;
  };
  // Ranks of the three lambdas: first set 2 0 1, second set 0 1.5 1.5; sums 2, 1.5, 2.5.
  const auto selected = select_lambdas_on_test(
      {result("one", {{0.90}, {0.10}, {0.11}}), result("two", {{0.1}, {0.5}, {0.5}})});
  ASSERT_EQ(selected.size(), 2U);
  for (const auto& choice : selected) {
    ASSERT_EQ(choice.scores.size(), 1U);
    EXPECT_EQ(choice.scores[0].lambda, 64);
    EXPECT_TRUE(choice.lambda_selected_on_test);
  }
  EXPECT_EQ(selected[0].scores[0].accuracies, std::vector<double>{0.11});
  const auto alone = select_lambdas_on_test({result("one", {{0.90}, {0.10}, {0.11}})});
  EXPECT_EQ(alone[0].scores[0].lambda, 1);
  const auto tied = select_lambdas_on_test({result("one", {{0.3}, {0.3}, {0.2}})});
  EXPECT_EQ(tied[0].scores[0].lambda, 8);
}

TEST(LambdaSelection, ChoosesForEachNumberOfShots) {
  const auto train = clusters("train", 90, 20, 3, 0.5, /*seed=*/1);
  const auto test = clusters("test", 60, 20, 3, 0.5, /*seed=*/2);
  const auto all =
      few_shot(train, test, {.shots = {1, 25}, .fewshot_seeds = 2, .test_selected_lambda = true});
  ASSERT_EQ(all.scores.size(), 2 * vmoe_lambdas().size());
  const auto selected = select_lambdas_on_test({all})[0];
  ASSERT_EQ(selected.scores.size(), 2U);
  EXPECT_EQ(selected.scores[0].shots, 1);
  EXPECT_EQ(selected.scores[1].shots, 25);
  const auto json = to_json(selected);
  EXPECT_TRUE(json["lambda_selected_on_test"].get<bool>());
  EXPECT_EQ(json["results"][1]["accuracy_mean"].get<double>(), selected.scores[1].mean());
}

}  // namespace
}  // namespace softmoe
