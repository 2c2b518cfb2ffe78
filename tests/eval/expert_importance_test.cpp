#include "eval/expert_importance.h"

#include "eval/digit_model.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::all_close;
using test::batches_of;
using test::digit_model;
using test::digits;

TEST(ExpertImportance, IsTheMeanOfTheCombineWeights) {
  const auto [set, transform] = digits();
  auto model = digit_model("soft");
  Loader loader(*set, transform, batches_of(23));
  const auto importance = expert_importance(model, loader, {.images = set->size()});
  ASSERT_EQ(importance.size(), 2U);

  std::map<int64_t, torch::Tensor> expected;
  Loader again(*set, transform, batches_of(40));
  const torch::NoGradGuard no_grad;
  again.start(0);
  while (const auto batch = again.next()) {
    RoutingRecords records;
    model->forward(batch->images, &records);
    for (const auto& [block, record] : records) {
      const auto sum = record.combine.to(torch::kFloat64).sum({0, 1, 3});  // [experts]
      expected[block] = expected[block].defined() ? expected[block] + sum : sum;
    }
  }
  for (const int64_t block : {0, 2}) {
    const auto& share = importance.at(block);
    EXPECT_TRUE(
        all_close(share, expected.at(block) / expected.at(block).sum(), {.absolute = 1e-6}));
    EXPECT_GT((share.max() - share.min()).item<double>(), 1e-3);
  }
}

TEST(ExpertImportance, OfExpertsWithEqualSharesIsEqual) {
  const auto [set, transform] = digits();
  Loader loader(*set, transform, batches_of(64));
  const auto importance =
      expert_importance(digit_model("uniform"), loader, {.images = set->size()});
  EXPECT_TRUE(
      all_close(importance.at(2), torch::full({5}, 0.2, torch::kFloat64), {.absolute = 1e-6}));
}

TEST(ExpertImportance, StopsAtTheBatchThatCompletesTheImages) {
  const auto [set, transform] = digits();
  auto model = digit_model("soft");
  const auto after = [&, &images = *set, &to_input = transform](int64_t count, int64_t batch_size) {
    Loader loader(images, to_input, batches_of(batch_size));
    return expert_importance(model, loader, {.images = count, .stop_there = true}).at(0);
  };
  EXPECT_TRUE(all_close(after(30, 10), after(30, 30), {.absolute = 1e-7}));
  EXPECT_TRUE(all_close(after(25, 10), after(30, 30), {.absolute = 1e-7}));
  EXPECT_GT((after(30, 30) - after(60, 30)).abs().max().item<double>(), 1e-7);
}

TEST(ExpertImportance, RefusesAModelInTraining) {
  const auto [set, transform] = digits();
  Loader loader(*set, transform, batches_of(8));
  auto model = digit_model("soft");
  model->train();
  EXPECT_THROW(expert_importance(model, loader, {.images = 8}), c10::ValueError);
}

}  // namespace
}  // namespace softmoe
