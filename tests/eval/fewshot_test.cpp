#include "eval/fewshot.h"

#include <ATen/record_function.h>

#include <atomic>
#include <set>

#include "core/error.h"
#include "eval/ridge_probe.h"
#include "io/npz.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::all_close;
using test::fixture;
using test::Tolerance;

/// The reference's case, with its own choice of examples.
struct ReferenceCase {
  NamedTensors arrays = read_npz(fixture("vmoe/fewshot.npz"));

  torch::Tensor at(const std::string& name) const {
    return npz_array(arrays, name, "vmoe/fewshot.npz");
  }
  torch::Tensor features(const std::string& split) const {
    return at("d32_c10/" + split + "_features");
  }
  torch::Tensor labels(const std::string& split) const {
    return at("d32_c10/" + split + "_labels").to(torch::kInt64);
  }
  torch::Tensor subset(int64_t shots) const {
    return at("d32_c10/shot" + std::to_string(shots) + "/train_index").to(torch::kInt64);
  }
};

std::vector<double> to_vector(const torch::Tensor& tensor) {
  const auto exact = tensor.to(torch::kFloat64).contiguous();
  const auto* data = exact.const_data_ptr<double>();
  return {data, data + exact.numel()};
}

/// Two sets of separable classes: class c lies around the c-th corner of a simplex.
FeatureSet clusters(const std::string& name, int64_t examples, int64_t dim, int64_t classes,
                    double spread, int64_t seed) {
  torch::manual_seed(seed);
  const auto labels = torch::arange(examples, torch::kInt64).remainder(classes);
  const auto centers = torch::eye(classes, dim);  // [classes, dim]
  return {.name = name,
          .features = centers.index_select(0, labels) + spread * torch::randn({examples, dim}),
          .labels = labels};
}

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

TEST(RidgeProbe, SolvesTwoPointsAsByHand) {
  const double lambda = 2.0;
  const RidgeProbe probe(torch::tensor({{4.0}, {6.0}}), torch::tensor({0, 1}, torch::kInt64), 2);
  const double x = 1.0 / (1.0 + 1e-5);  // deviation 1 + 1e-5 around the mean 5
  const double weight = 2 * x / (2 * x * x + lambda);
  const auto expected = torch::tensor({{-weight, weight}, {0.0, 0.0}}, torch::kFloat64);
  EXPECT_TRUE(all_close(probe.weights(lambda), expected));
  EXPECT_TRUE(all_close(probe.standardize(torch::tensor({{7.0}})),
                        torch::tensor({{2 * x, 100.0}}, torch::kFloat64)));
}

TEST(RidgeProbe, SolvesTheNormalEquationsInBothGramSpaces) {
  for (const int64_t examples : {5, 40}) {  // fewer and more than the 8 columns with the constant
    const auto set = clusters("train", examples, 7, 3, 0.5, /*seed=*/3);
    const RidgeProbe probe(set.features, set.labels, 3);
    const auto inputs = probe.standardize(set.features);  // [examples, 8]
    const auto targets = 2.0 * torch::one_hot(set.labels, 3).to(torch::kFloat64) - 1.0;
    for (const double lambda : {1e-3, 1024.0}) {
      const auto left = inputs.t().matmul(inputs) + lambda * torch::eye(8, torch::kFloat64);
      EXPECT_TRUE(all_close(left.matmul(probe.weights(lambda)), inputs.t().matmul(targets),
                            Tolerance{.relative = 1e-9}))
          << examples << " examples, lambda " << lambda;
    }
  }
}

TEST(RidgeProbe, EqualsTheReferenceForEveryShotAndLambda) {
  const ReferenceCase reference;
  const auto lambdas = to_vector(reference.at("l2_regs"));
  const auto weights_index = to_vector(reference.at("weights_l2_index"));
  for (const int64_t shots : {1, 5, 10, 25}) {
    const std::string prefix = "d32_c10/shot" + std::to_string(shots) + "/";
    const auto subset = reference.subset(shots);
    const auto labels = reference.labels("train").index_select(0, subset);
    const RidgeProbe probe(reference.features("train").index_select(0, subset), labels, 10);
    EXPECT_TRUE(all_close(probe.mean(), reference.at(prefix + "mean"), Tolerance{2e-6}));
    EXPECT_TRUE(all_close(probe.std(), reference.at(prefix + "std"), Tolerance{2e-6}));
    const auto expected = reference.at(prefix + "weights_f64run");  // [lambdas, dim + 1, classes]
    for (size_t i = 0; i < weights_index.size(); ++i) {
      const double lambda = lambdas[static_cast<size_t>(weights_index[i])];
      EXPECT_TRUE(all_close(probe.weights(lambda), expected[static_cast<int64_t>(i)],
                            Tolerance{.relative = 1e-7}))
          << shots << " shots, lambda " << lambda;
    }
  }
}

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

TEST(FewShot, SubsetsAreNestedAndSmallClassesGiveAllTheyHave) {
  const auto labels = torch::tensor({0, 1, 0, 2, 0, 1, 0, 0, 2, 0, 0}, torch::kInt64);
  const auto indices = shuffled_class_indices(labels, 3, /*seed=*/5, /*draw=*/0);
  std::set<int64_t> previous;
  for (const int64_t shots : {1, 2, 5, 25}) {
    const auto subset = few_shot_subset(indices, shots);
    const int64_t expected[] = {std::min<int64_t>(shots, 7), std::min<int64_t>(shots, 2),
                                std::min<int64_t>(shots, 2)};
    const auto counts = labels.index_select(0, subset).bincount({}, /*minlength=*/3);
    EXPECT_TRUE(test::same_bits(
        counts, torch::tensor({expected[0], expected[1], expected[2]}, torch::kInt64)));
    std::set<int64_t> members;
    for (int64_t i = 0; i < subset.size(0); ++i) {
      members.insert(subset[i].item<int64_t>());
    }
    EXPECT_EQ(static_cast<int64_t>(members.size()), subset.size(0));
    EXPECT_TRUE(std::includes(members.begin(), members.end(), previous.begin(), previous.end()));
    previous = members;
  }
}

TEST(FewShot, SubsetsDependOnSeedAndDrawAlone) {
  const auto labels = torch::arange(200, torch::kInt64).remainder(4);
  const auto subset = [&labels](uint64_t seed, uint64_t draw) {
    return few_shot_subset(shuffled_class_indices(labels, 4, seed, draw), 10);
  };
  EXPECT_TRUE(subset(1, 0).equal(subset(1, 0)));
  EXPECT_FALSE(subset(1, 0).equal(subset(1, 1)));
  EXPECT_FALSE(subset(1, 0).equal(subset(2, 0)));
  // A class's order does not depend on how many classes there are.
  const auto alone = shuffled_class_indices(labels.masked_fill(labels.ne(0), 1), 2, 1, 0);
  EXPECT_TRUE(alone[0].equal(shuffled_class_indices(labels, 4, 1, 0)[0]));
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

TEST(FewShot, TestSelectionTakesTheBestMeanRank) {
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

TEST(FewShot, TestSelectionChoosesForEachNumberOfShots) {
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
