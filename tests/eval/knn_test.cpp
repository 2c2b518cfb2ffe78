#include "eval/knn.h"

#include <gmock/gmock.h>

#include <cmath>

#include "core/log.h"
#include "eval/few_shot_cases.h"
#include "support/error_text.h"

namespace softmoe {
namespace {

using test::clusters;
using testing::AllOf;
using testing::HasSubstr;

FeatureSet feature_set(const std::string& name, const std::vector<std::vector<float>>& rows,
                       const std::vector<int64_t>& labels) {
  std::vector<torch::Tensor> tensors;
  for (const auto& row : rows) {
    tensors.push_back(torch::tensor(row));
  }
  return {.name = name,
          .features = torch::stack(tensors),
          .labels = torch::tensor(labels, torch::kInt64)};
}

/// One image of class 3 in a direction, two of class 7 a little beside it, one of class 4 far away.
FeatureSet bank() {
  return feature_set(
      "bank", {{5.0F, 0.0F, 0.0F}, {0.8F, 0.6F, 0.0F}, {8.0F, 6.0F, 0.0F}, {0.0F, 0.0F, 0.1F}},
      {3, 7, 7, 4});
}

TEST(Knn, WeighsVotesByTheCosine) {
  const auto query = feature_set("query", {{100.0F, 0.0F, 0.0F}}, {3});
  // The vote of class 3 is 1, that of class 7 is 2 exp((0.8 - 1) / temperature).
  const double equal = 0.2 / std::log(2.0);
  for (const auto& [temperature, right] : {std::pair{0.9 * equal, 1.0}, {1.1 * equal, 0.0}}) {
    const auto result = knn(bank(), query, {.k = {1, 3}, .temperature = temperature});
    EXPECT_EQ(result.scores[0].top1, 1.0);
    EXPECT_EQ(result.scores[1].top1, right);
    EXPECT_EQ(result.scores[1].top5, 1.0);
  }
}

TEST(Knn, CountsOnlyClassesThatGotAVote) {
  const auto query = feature_set("query", {{1.0F, 0.0F, 0.0F}}, {4});
  const auto result = knn(bank(), query, {.k = {3, 4}});
  EXPECT_EQ(result.scores[0].top5, 0.0);
  EXPECT_EQ(result.scores[1].top5, 1.0);
  EXPECT_EQ(result.scores[1].top1, 0.0);
  EXPECT_EQ(result.classes, 3);
}

TEST(Knn, TakesTheFirstOfClassesWithEqualVotes) {
  const auto twins = feature_set("twins", {{1.0F, 0.0F}, {2.0F, 0.0F}}, {6, 2});
  EXPECT_EQ(knn(twins, feature_set("a", {{1.0F, 0.0F}}, {2}), {.k = {2}}).scores[0].top1, 1.0);
  EXPECT_EQ(knn(twins, feature_set("b", {{1.0F, 0.0F}}, {6}), {.k = {2}}).scores[0].top1, 0.0);
}

TEST(Knn, AgreesWithAPlainSearchInChunksOfAnySize) {
  const auto train = clusters("train", 67, 5, 9, 0.6, 1);
  const auto test = clusters("test", 41, 5, 9, 0.6, 2);
  const KnnOptions options{.k = {1, 4, 30}, .temperature = 0.1};
  const auto unit = [](const torch::Tensor& rows) {
    const auto exact = rows.to(torch::kFloat64);
    return exact / exact.norm(2, 1, true);  // [examples, dim]
  };
  const auto similarity = unit(test.features).matmul(unit(train.features).t());  // [test, train]
  std::vector<double> expected;
  for (const int64_t k : options.k) {
    int64_t right = 0;
    for (int64_t i = 0; i < test.labels.size(0); ++i) {
      const auto order = similarity[i].argsort(/*dim=*/0, /*descending=*/true);  // [train]
      std::vector<double> votes(9, 0.0);
      for (int64_t n = 0; n < k; ++n) {
        const auto place = order[n].item<int64_t>();
        votes[static_cast<size_t>(train.labels[place].item<int64_t>())] +=
            std::exp(similarity[i][place].item<double>() / options.temperature);
      }
      const auto best = std::max_element(votes.begin(), votes.end()) - votes.begin();
      right += best == test.labels[i].item<int64_t>() ? 1 : 0;
    }
    expected.push_back(static_cast<double>(right) / static_cast<double>(test.labels.size(0)));
  }
  EXPECT_LT(expected[0], 1.0);
  for (const int64_t bytes : {1, 5'000, 1'000'000}) {
    const auto result = knn(train, test, options, {.chunk_bytes = bytes});
    for (size_t i = 0; i < options.k.size(); ++i) {
      EXPECT_EQ(result.scores[i].top1, expected[i]) << options.k[i];
      EXPECT_GE(result.scores[i].top5, result.scores[i].top1);
    }
  }
}

TEST(Knn, LetsAllVoteIfThereAreTooFew) {
  std::vector<std::string> lines;
  const auto previous = set_log_sink([&lines](const std::string& line) { lines.push_back(line); });
  const auto query = feature_set("query", {{1.0F, 0.0F, 0.0F}}, {3});
  const auto result = knn(bank(), query, {.k = {4, 9}});
  set_log_sink(previous);
  EXPECT_EQ(result.scores[0].top1, result.scores[1].top1);
  EXPECT_EQ(result.scores[1].k, 9);
  EXPECT_THAT(lines, testing::ElementsAre("--k 9: bank has 4 examples, which all vote"));
}

TEST(Knn, SaysWhatIsWrong) {
  const auto train = bank();
  EXPECT_THAT(test::usage_error([&] { knn(train, train, {.k = {}}); }), HasSubstr("k: "));
  EXPECT_THAT(test::usage_error([&] { knn(train, train, {.k = {0}}); }), HasSubstr("found 0"));
  EXPECT_THAT(test::usage_error([&] { knn(train, train, {.temperature = 0}); }),
              HasSubstr("temperature: expected a positive number"));
  const auto strange = feature_set("strange", {{1.0F, 0.0F, 0.0F}}, {5});
  EXPECT_THAT(test::input_error([&] { knn(train, strange, {}); }),
              AllOf(HasSubstr("strange: labels"), HasSubstr("found 5")));
  const auto flat = feature_set("flat", {{1.0F, 0.0F}}, {3});
  EXPECT_THAT(test::input_error([&] { knn(train, flat, {}); }),
              AllOf(HasSubstr("flat: features"), HasSubstr("3 columns as bank")));
}

}  // namespace
}  // namespace softmoe
