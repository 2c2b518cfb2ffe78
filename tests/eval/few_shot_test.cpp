#include "eval/few_shot.h"

#include <ATen/record_function.h>

#include <atomic>

#include "core/error.h"
#include "eval/few_shot_cases.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::all_close;
using test::clusters;
using test::ReferenceCase;
using test::to_vector;
using test::Tolerance;

/// Counts calls of an operator while it exists.
class OperatorCount {
 public:
  explicit OperatorCount(const std::string& name) {
    name_ = name;
    count_ = 0;
    handle_ = at::addGlobalCallback(
        at::RecordFunctionCallback(&OperatorCount::on_call).scopes({at::RecordScope::FUNCTION}));
  }
  ~OperatorCount() { at::removeCallback(handle_); }
  OperatorCount(const OperatorCount&) = delete;
  OperatorCount& operator=(const OperatorCount&) = delete;

  int64_t count() const { return count_; }

 private:
  static std::unique_ptr<at::ObserverContext> on_call(const at::RecordFunction& call) {
    count_ += call.name() == name_;
    return nullptr;
  }

  inline static std::string name_;
  inline static std::atomic<int64_t> count_;
  at::CallbackHandle handle_;
};

TEST(FewShot, AccuraciesEqualTheReference) {
  const ReferenceCase reference;
  const auto lambdas = to_vector(reference.at("l2_regs"));
  EXPECT_EQ(lambdas, vmoe_lambdas());
  const auto expected = reference.at("d32_c10/accuracy_f64run");  // [shots, lambdas]
  int64_t row = 0;
  for (const int64_t shots : {1, 5, 10, 25}) {
    const auto subset = reference.subset(shots);
    const auto accuracies =
        ridge_accuracies(reference.features("train").index_select(0, subset),
                         reference.labels("train").index_select(0, subset),
                         reference.features("test"), reference.labels("test"), 10, lambdas);
    EXPECT_TRUE(
        all_close(torch::tensor(accuracies, torch::kFloat64), expected[row++], Tolerance{1e-7}))
        << shots << " shots";
  }
}

TEST(FewShot, OneDecompositionServesAllLambdas) {
  const auto train = clusters("train", 60, 6, 3, 0.4, /*seed=*/1);
  const auto test = clusters("test", 30, 6, 3, 0.4, /*seed=*/2);
  for (const bool many : {false, true}) {
    FewShotOptions options{.shots = {1, 5}, .fewshot_seeds = 4};
    options.lambdas = many ? vmoe_lambdas() : std::vector<double>{1024};
    const OperatorCount decompositions("aten::linalg_eigh");
    few_shot(train, test, options);
    EXPECT_EQ(decompositions.count(), 2 * 4);
  }
}

TEST(FewShot, ScoresComeInOrderWithMeanAndSpread) {
  const auto train = clusters("train", 90, 6, 3, 0.6, /*seed=*/1);
  const auto test = clusters("test", 42, 6, 3, 0.6, /*seed=*/2);
  const auto result =
      few_shot(train, test, {.shots = {1, 10}, .fewshot_seeds = 5, .lambdas = {1, 1024}});
  ASSERT_EQ(result.scores.size(), 4U);
  EXPECT_EQ(result.scores[1].shots, 1);
  EXPECT_EQ(result.scores[1].lambda, 1024);
  EXPECT_EQ(result.scores[2].shots, 10);
  EXPECT_EQ(result.scores[2].lambda, 1);
  EXPECT_EQ(result.scores[2].accuracies.size(), 5U);
  EXPECT_GT(result.scores[2].mean(), result.scores[0].mean());
  EXPECT_GT(result.scores[0].std(), 0);
  EXPECT_EQ(result.classes, 3);
  EXPECT_EQ(result.test_examples, 42);

  const FewShotScore score{.shots = 1, .lambda = 1, .accuracies = {0.5, 0.7, 0.9}};
  EXPECT_NEAR(score.mean(), 0.7, 1e-15);
  EXPECT_NEAR(score.std(), std::sqrt(0.08 / 3), 1e-15);
}

TEST(FewShot, NeedsTheFeaturesOfDrawnExamplesAlone) {
  torch::manual_seed(21);
  const auto labels = torch::randint(4, {90}, torch::kInt64) * 2;  // the classes 0, 2, 4 and 6
  FeatureSet train{.name = "train", .features = torch::randn({90, 5}), .labels = labels};
  const FeatureSet test{
      .name = "test", .features = torch::randn({40, 5}), .labels = labels.slice(0, 0, 40)};
  const FewShotOptions options{.shots = {1, 3}, .fewshot_seeds = 2, .seed = 8};
  const auto draws = draw_examples(labels, options);
  const auto needed = draws.needed();  // [needed]
  ASSERT_LE(needed.size(0), 2 * 3 * 4);
  ASSERT_GE(needed.size(0), 3 * 4);
  const auto expected = few_shot(train, test, options);
  train.features = train.features.index_select(0, needed);
  train.labels = train.labels.index_select(0, needed);
  const auto actual = few_shot(train, test, options, draws.among_needed());
  EXPECT_EQ(to_json(actual), to_json(expected));
  EXPECT_EQ(actual.train_examples, 90);
}

TEST(FewShot, RenamingTheClassesChangesNoAccuracy) {
  auto train = clusters("train", 60, 5, 4, 0.7, /*seed=*/1);
  auto test = clusters("test", 100, 5, 4, 0.7, /*seed=*/2);
  const std::vector<double> lambdas{0.1, 1024};
  const auto before =
      ridge_accuracies(train.features, train.labels, test.features, test.labels, 4, lambdas);
  const auto names = torch::tensor({2, 0, 3, 1}, torch::kInt64);
  const auto after =
      ridge_accuracies(train.features, names.index_select(0, train.labels), test.features,
                       names.index_select(0, test.labels), 4, lambdas);
  EXPECT_EQ(before, after);
  EXPECT_GT(before[1], 0.4);
  EXPECT_LT(before[1], 1.0);
}

TEST(FewShot, ClassesWithoutExamplesAreNeverPredicted) {
  auto train = clusters("train", 60, 5, 4, 0.3, /*seed=*/1);
  auto test = clusters("test", 40, 5, 4, 0.3, /*seed=*/2);
  const auto dense = few_shot(train, test, {.shots = {15}, .fewshot_seeds = 1});
  const auto gaps = torch::tensor({3, 50, 51, 900}, torch::kInt64);
  train.labels = gaps.index_select(0, train.labels);
  test.labels = gaps.index_select(0, test.labels);
  const auto sparse = few_shot(train, test, {.shots = {15}, .fewshot_seeds = 1});
  EXPECT_EQ(sparse.classes, 4);
  EXPECT_EQ(sparse.scores[0].accuracies, dense.scores[0].accuracies);
}

TEST(FewShot, DuplicateAndConstantFeaturesAreHandled) {
  const auto train = clusters("train", 60, 5, 3, 0.3, /*seed=*/1);
  const auto test = clusters("test", 30, 5, 3, 0.3, /*seed=*/2);
  const auto widen = [](const FeatureSet& set) {
    const auto constant = torch::full({set.features.size(0), 1}, 3.5);
    return FeatureSet{set.name, torch::cat({set.features, set.features, constant}, 1), set.labels};
  };
  const FewShotOptions options{.shots = {1, 20}, .lambdas = {std::ldexp(1.0, -10), 1024}};
  const auto result = few_shot(widen(train), widen(test), options);
  for (const auto& score : result.scores) {
    EXPECT_GT(score.mean(), 0.6) << score.shots << " shots, lambda " << score.lambda;
  }
  // Twice every feature is half the penalty.
  const auto half = few_shot(train, test, {.shots = {20}, .lambdas = {512}});
  EXPECT_EQ(half.scores[0].accuracies, result.scores[3].accuracies);
}

TEST(FewShot, IdenticalExamplesOfAllClassesGiveChance) {
  const auto labels = torch::arange(12, torch::kInt64).remainder(4);
  const FeatureSet set{"same", torch::ones({12, 3}), labels};
  const auto result = few_shot(set, set, {.shots = {2}, .fewshot_seeds = 2});
  EXPECT_EQ(result.scores[0].mean(), 0.25);
}

TEST(FewShot, BadInputIsOneClearLine) {
  const auto train = clusters("A.npz", 12, 5, 3, 0.3, /*seed=*/1);
  const auto message = [&train](FeatureSet test, const FewShotOptions& options) -> std::string {
    try {
      few_shot(train, test, options);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  auto test = clusters("B.npz", 9, 4, 3, 0.3, /*seed=*/1);
  EXPECT_EQ(message(test, {}), "B.npz: features: expected 5 columns as A.npz, found 4");
  test = clusters("B.npz", 9, 5, 3, 0.3, /*seed=*/1);
  test.labels[4] = 8;
  EXPECT_EQ(message(test, {}),
            "B.npz: labels: expected classes of which A.npz has examples, found 8");
  EXPECT_EQ(message(train, {.lambdas = {1, 0}}), "lambdas: expected positive numbers, found 0");
  EXPECT_EQ(message(train, {.shots = {5, 0}}), "shots: expected positive numbers, found 0");
  EXPECT_EQ(message(train, {.shots = {}}), "shots: expected at least one number, found none");
}

}  // namespace
}  // namespace softmoe
