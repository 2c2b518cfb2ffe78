#include "inference/modules/graph_runner.h"

#include <gmock/gmock.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "core/log.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::same_bits;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

/// What the graphs of a test did.
struct GraphCalls {
  int recorded = 0;
  int replayed = 0;
  int alive = 0;
  std::vector<bool> had_sibling;
  bool refuse = false;
};

/// A graph of the CPU: what is recorded is run at every replay.
class RememberedPass final : public DeviceGraph {
 public:
  explicit RememberedPass(GraphCalls& calls) : calls_(calls) { ++calls_.alive; }
  ~RememberedPass() override { --calls_.alive; }

  void record(const std::function<void()>& pass) override {
    ++calls_.recorded;
    if (calls_.refuse) {
      throw std::runtime_error("operation not permitted\nwhen recording");
    }
    pass_ = pass;
  }
  void replay() override {
    ++calls_.replayed;
    pass_();
  }

 private:
  GraphCalls& calls_;
  std::function<void()> pass_;
};

class GraphRunnerTest : public testing::Test {
 protected:
  GraphRunner runner(size_t max_graphs) {
    return {torch::kCPU,
            [this](const torch::Tensor& input) {
              ++passes_;
              return expected(input);
            },
            [this](DeviceGraph* sibling) {
              calls_.had_sibling.push_back(sibling != nullptr);
              return std::make_unique<RememberedPass>(calls_);
            },
            max_graphs};
  }

  static torch::Tensor expected(const torch::Tensor& input) {
    return input.flatten(1).narrow(1, 0, 5) * 2 + 1;  // [batch, 5]
  }

  /// Returns success if `runner` gives what the pass gives, for new images.
  static testing::AssertionResult is_right(GraphRunner& runner, int64_t batch) {
    const auto input = torch::rand({batch, 2, 3});
    auto output = torch::empty({batch, 5});
    runner.run(input, output);
    return same_bits(output, expected(input));
  }

  GraphCalls calls_;
  int passes_ = 0;
};

TEST_F(GraphRunnerTest, RecordsASizeAtItsSecondBatchAndReplaysItFromTheThirdOn) {
  auto runner = this->runner(4);
  EXPECT_TRUE(is_right(runner, 3));
  EXPECT_EQ(calls_.recorded, 0);
  EXPECT_TRUE(is_right(runner, 3));
  EXPECT_EQ(calls_.recorded, 1);
  EXPECT_EQ(calls_.replayed, 0);
  EXPECT_EQ(passes_, 2);
  EXPECT_TRUE(is_right(runner, 3));
  EXPECT_TRUE(is_right(runner, 3));
  EXPECT_EQ(calls_.recorded, 1);
  EXPECT_EQ(calls_.replayed, 2);
  EXPECT_EQ(runner.graphs(), 1U);
}

TEST_F(GraphRunnerTest, IsRightForBatchesOfAllSizesInAnyOrder) {
  auto runner = this->runner(3);
  uint64_t state = 1;
  for (int call = 0; call < 200; ++call) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    const auto batch = static_cast<int64_t>((state >> 33U) % 6);
    ASSERT_TRUE(is_right(runner, batch)) << "call " << call << ", batch " << batch;
    ASSERT_LE(runner.graphs(), 3U);
    ASSERT_EQ(calls_.alive, static_cast<int>(runner.graphs()));
  }
  EXPECT_GT(calls_.replayed, 20);
}

TEST_F(GraphRunnerTest, KeepsTheGraphsThatWereUsedLast) {
  auto runner = this->runner(2);
  for (const int64_t batch : {1, 1, 2, 2, 1, 4, 4}) {  // 4 takes the place of 2
    EXPECT_TRUE(is_right(runner, batch));
  }
  EXPECT_EQ(calls_.recorded, 3);
  EXPECT_EQ(calls_.replayed, 1);
  EXPECT_TRUE(is_right(runner, 1));
  EXPECT_EQ(calls_.replayed, 2);
  EXPECT_TRUE(is_right(runner, 2));  // seen anew
  EXPECT_EQ(calls_.recorded, 3);
  EXPECT_TRUE(is_right(runner, 2));
  EXPECT_EQ(calls_.recorded, 4);
}

TEST_F(GraphRunnerTest, SharesMemoryAmongGraphs) {
  auto runner = this->runner(1);
  for (const int64_t batch : {1, 1, 2, 2, 3, 3}) {
    EXPECT_TRUE(is_right(runner, batch));
  }
  EXPECT_THAT(calls_.had_sibling, ElementsAre(false, true, true));
}

TEST_F(GraphRunnerTest, GoesOnWithoutGraphsWhereOneCannotBeRecorded) {
  auto runner = this->runner(4);
  calls_.refuse = true;
  std::vector<std::string> lines;
  auto previous = set_log_sink([&](const std::string& line) { lines.push_back(line); });
  for (const int64_t batch : {3, 3, 3, 2, 2, 2}) {
    EXPECT_TRUE(is_right(runner, batch));
  }
  set_log_sink(std::move(previous));
  EXPECT_TRUE(runner.has_failed());
  EXPECT_EQ(runner.graphs(), 0U);
  EXPECT_EQ(calls_.recorded, 1);
  EXPECT_EQ(calls_.alive, 0);
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_THAT(lines.front(), HasSubstr("batches of 3"));
  EXPECT_THAT(lines.front(), HasSubstr("operation not permitted"));
  EXPECT_THAT(lines.front(), testing::Not(HasSubstr("\n")));
}

TEST_F(GraphRunnerTest, PassesErrorsOnAndWorksAfterwards) {
  bool fails = true;
  GraphRunner runner(
      torch::kCPU,
      [&](const torch::Tensor& input) {
        if (fails) {
          throw std::runtime_error("out of memory");
        }
        return expected(input);
      },
      [&](DeviceGraph*) { return std::make_unique<RememberedPass>(calls_); });
  EXPECT_THROW(is_right(runner, 2), std::runtime_error);
  fails = false;
  for (int call = 0; call < 3; ++call) {
    EXPECT_TRUE(is_right(runner, 2));
  }
  EXPECT_EQ(calls_.replayed, 1);
}

TEST_F(GraphRunnerTest, TakesImagesOfAnyFloatingDtype) {
  auto runner = this->runner(4);
  const auto input = torch::rand({2, 2, 3}).to(torch::kBFloat16);
  auto output = torch::empty({2, 5});
  for (const auto dtype : {torch::kBFloat16, torch::kFloat64, torch::kFloat32, torch::kFloat64}) {
    output.zero_();
    runner.run(input.to(dtype), output);
    EXPECT_TRUE(same_bits(output, expected(input.to(torch::kFloat32))));
  }
  EXPECT_EQ(calls_.replayed, 2);
}

}  // namespace
}  // namespace softmoe
