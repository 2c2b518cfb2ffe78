#include "softmoe/assignment/auction.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/rng.h"
#include "io/npz.h"
#include "support/temporary_folder.h"

namespace softmoe::auction_test {

using test::fixture;

struct Scores {
  std::vector<float> values;
  int64_t tokens = 0;
  int64_t experts = 0;
  ScoreTable table() const { return {.values = values, .tokens = tokens, .experts = experts}; }
};

Scores normal_scores(int64_t tokens, int64_t experts, uint64_t seed) {
  Rng rng(stream_key(seed, "assignment test"));
  Scores scores{.values = {}, .tokens = tokens, .experts = experts};
  for (int64_t index = 0; index < tokens * experts; ++index) {
    scores.values.push_back(static_cast<float>(rng.normal()));
  }
  return scores;
}

double value_of(const Scores& scores, const std::vector<int64_t>& expert) {
  double value = 0;
  for (size_t token = 0; token < expert.size(); ++token) {
    value += static_cast<double>(scores.values[token * static_cast<size_t>(scores.experts) +
                                               static_cast<size_t>(expert[token])]);
  }
  return value;
}

std::vector<int64_t> loads(const std::vector<int64_t>& expert, int64_t experts) {
  std::vector<int64_t> result(static_cast<size_t>(experts), 0);
  for (const int64_t of_token : expert) {
    ++result.at(static_cast<size_t>(of_token));
  }
  return result;
}

/// The largest value of an assignment to at most `places` tokens an expert, by trying all.
double best_value(const Scores& scores, std::vector<int64_t> places, int64_t token = 0) {
  if (token == scores.tokens) {
    return 0.0;
  }
  double best = -std::numeric_limits<double>::infinity();
  for (int64_t expert = 0; expert < scores.experts; ++expert) {
    auto& left = places[static_cast<size_t>(expert)];
    if (left > 0) {
      --left;
      const auto score = scores.values[static_cast<size_t>(token * scores.experts + expert)];
      best = std::max(best, static_cast<double>(score) + best_value(scores, places, token + 1));
      ++left;
    }
  }
  return best;
}

class AssignmentParity : public testing::TestWithParam<int> {
 protected:
  AssignmentParity() {
    static const auto arrays = read_npz(fixture("routers/base.npz"));
    const auto at = [&](const std::string& name) {
      return npz_array(arrays, name + "_" + std::to_string(GetParam()), "base.npz");
    };
    const auto values = at("scores").contiguous();  // [tokens, experts]
    scores_.tokens = values.size(0);
    scores_.experts = values.size(1);
    scores_.values.assign(values.const_data_ptr<float>(),
                          values.const_data_ptr<float>() + values.numel());
    exact_value_ = at("exact_value").item<double>();
    step_ = at("eps").item<double>();
  }

  Scores scores_;
  double exact_value_ = 0;
  double step_ = 0;
};

TEST_P(AssignmentParity, GivesEachExpertItsShare) {
  for (const int64_t load : loads(balanced_assignment(scores_.table()), scores_.experts)) {
    EXPECT_EQ(load, scores_.tokens / scores_.experts);
  }
}

TEST_P(AssignmentParity, TakesNoLargerStepsThanTheReference) {
  EXPECT_LE(assignment_step(scores_.table()), step_ * (1 + 1e-6));
  EXPECT_GE(assignment_step(scores_.table()), 1e-4);
}

TEST_P(AssignmentParity, IsWithinAStepATokenOfTheOptimum) {
  const double value = value_of(scores_, balanced_assignment(scores_.table()));
  const double bound = assignment_step(scores_.table()) * static_cast<double>(scores_.tokens);
  EXPECT_LE(value, exact_value_ + 1e-4);
  EXPECT_GE(value, exact_value_ - bound);
  // What the steps are too small to spoil: ties and nearly equal columns, too.
  EXPECT_GE(value, exact_value_ * 0.99);
}

TEST_P(AssignmentParity, ComesToTheOptimumWithSmallSteps) {
  const auto places = balanced_places(scores_.table());
  for (const double step : {3e-2, 3e-3, 3e-4}) {
    const double value = value_of(scores_, assign(scores_.table(), places, step));
    EXPECT_GE(value, exact_value_ - step * static_cast<double>(scores_.tokens)) << step;
    EXPECT_LE(value, exact_value_ + 1e-4) << step;
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, AssignmentParity, testing::Range(0, 8),
                         [](const auto& entry) { return "Case" + std::to_string(entry.param); });

TEST(Assignment, IsWithinAStepATokenOfTheBestOfAll) {
  for (const auto& [tokens, experts] :
       {std::array<int64_t, 2>{9, 3}, {8, 3}, {7, 4}, {3, 7}, {1, 5}, {6, 6}, {5, 1}}) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      const auto scores = normal_scores(tokens, experts, seed);
      const auto places = balanced_places(scores.table());
      const double best = best_value(scores, places);
      const double step = assignment_step(scores.table());
      const double value = value_of(scores, balanced_assignment(scores.table()));
      EXPECT_LE(value, best + 1e-5);
      EXPECT_GE(value, best - step * static_cast<double>(tokens)) << tokens << " x " << experts;
      EXPECT_NEAR(value_of(scores, assign(scores.table(), places, 1e-3)), best,
                  1e-3 * static_cast<double>(tokens));
    }
  }
}

TEST(Assignment, LoadsDifferByAtMostOne) {
  for (const auto& [tokens, experts] : {std::array<int64_t, 2>{197, 14}, {49, 16}, {3, 5}}) {
    const auto scores = normal_scores(tokens, experts, 3);
    const auto load = loads(balanced_assignment(scores.table()), experts);
    EXPECT_LE(
        *std::max_element(load.begin(), load.end()) - *std::min_element(load.begin(), load.end()),
        1);
    EXPECT_EQ(std::accumulate(load.begin(), load.end(), int64_t{0}), tokens);
  }
}

TEST(Assignment, TheRemainderGoesWhereMostTokensWantToGo) {
  // First choices: none of expert 0, 1 of expert 1, 4 of expert 2, 2 of expert 3, 1 of expert 4.
  const std::vector<int64_t> first{2, 3, 2, 1, 2, 3, 2, 4};
  Scores scores{.values = std::vector<float>(8 * 5, 0.0F), .tokens = 8, .experts = 5};
  for (size_t token = 0; token < first.size(); ++token) {
    scores.values[token * 5 + static_cast<size_t>(first[token])] = 1.0F;
  }
  EXPECT_EQ(balanced_places(scores.table()), (std::vector<int64_t>{1, 2, 2, 2, 1}));
  EXPECT_EQ(loads(balanced_assignment(scores.table()), 5), (std::vector<int64_t>{1, 2, 2, 2, 1}));
}

TEST(Assignment, FewerTokensThanExpertsGoApart) {
  // Both want expert 2; what the second would lose elsewhere decides.
  const Scores scores{.values = {0.1F, 0.0F, 1.0F, 0.9F, 0.2F,  //
                                 0.1F, 0.3F, 1.0F, 0.2F, 0.0F},
                      .tokens = 2,
                      .experts = 5};
  EXPECT_EQ(balanced_assignment(scores.table()), (std::vector<int64_t>{3, 2}));
}

TEST(Assignment, FollowsThePlacesItIsGiven) {
  const auto scores = normal_scores(11, 4, 5);
  const std::vector<int64_t> places{0, 7, 1, 3};
  const auto expert = assign(scores.table(), places, 0.01);
  EXPECT_EQ(loads(expert, 4), places);
  EXPECT_NEAR(value_of(scores, expert), best_value(scores, places), 0.11);
}

TEST(Assignment, IsTheSameWhateverATokenAddsToAllItsScores) {
  auto scores = normal_scores(60, 6, 7);
  const auto expected = balanced_assignment(scores.table());
  for (size_t index = 0; index < scores.values.size(); ++index) {
    scores.values[index] += static_cast<float>(index / 6) * 0.5F - 8.0F;
  }
  EXPECT_EQ(balanced_assignment(scores.table()), expected);
}

TEST(Assignment, EndsForScoresOfAnySize) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto& [scale, shift] :
       {std::pair{0.0F, 0.0F}, {1e-30F, 0.0F}, {1e-12F, 1.0F}, {1e-3F, 1e6F}, {3e37F, 0.0F}}) {
    auto scores = normal_scores(40, 8, 9);
    for (auto& value : scores.values) {
      value = value * scale + shift;
    }
    EXPECT_EQ(loads(balanced_assignment(scores.table()), 8), std::vector<int64_t>(8, 5)) << scale;
  }
  for (const float bad : {infinity, -infinity, nan}) {
    auto scores = normal_scores(40, 8, 9);
    for (size_t index = 0; index < scores.values.size(); index += 3) {
      scores.values[index] = bad;
    }
    EXPECT_EQ(loads(balanced_assignment(scores.table()), 8), std::vector<int64_t>(8, 5)) << bad;
    std::fill(scores.values.begin(), scores.values.end(), bad);
    EXPECT_EQ(loads(balanced_assignment(scores.table()), 8), std::vector<int64_t>(8, 5)) << bad;
  }
}

TEST(Assignment, ScoresThatAreNotFiniteCountAsTheTokensLowest) {
  auto scores = normal_scores(12, 3, 10);
  auto replaced = scores;
  for (const size_t token : {1U, 4U, 7U}) {
    auto* row = scores.values.data() + token * 3;
    const auto lowest = std::min_element(row, row + 3) - row;
    replaced.values[token * 3 + static_cast<size_t>(lowest)] =
        token == 4 ? std::numeric_limits<float>::quiet_NaN()
                   : -std::numeric_limits<float>::infinity();
    row[lowest] = row[lowest == 0 ? 1 : 0] < row[lowest == 2 ? 1 : 2] ? row[lowest == 0 ? 1 : 0]
                                                                      : row[lowest == 2 ? 1 : 2];
  }
  const auto places = balanced_places(scores.table());
  EXPECT_EQ(assign(replaced.table(), places, 0.05), assign(scores.table(), places, 0.05));
}

TEST(Assignment, TokensThatAllAgreeAreStillSharedOut) {
  Scores scores{.values = {}, .tokens = 240, .experts = 12};
  for (int64_t token = 0; token < scores.tokens; ++token) {
    for (int64_t expert = 0; expert < scores.experts; ++expert) {
      scores.values.push_back(expert == 3 ? 5.0F : -static_cast<float>(expert));
    }
  }
  EXPECT_EQ(loads(balanced_assignment(scores.table()), 12), std::vector<int64_t>(12, 20));
}

TEST(Assignment, OfNoTokensIsEmpty) {
  const Scores scores{.values = {}, .tokens = 0, .experts = 4};
  EXPECT_TRUE(balanced_assignment(scores.table()).empty());
}

TEST(Assignment, RefusesSizesThatDisagree) {
  const auto scores = normal_scores(6, 3, 11);
  auto table = scores.table();
  table.tokens = 7;
  EXPECT_THROW(balanced_assignment(table), c10::ValueError);
  table = scores.table();
  table.experts = 0;
  EXPECT_THROW(assignment_step(table), c10::ValueError);
  using Counts = std::vector<int64_t>;
  EXPECT_THROW(assign(scores.table(), Counts{2, 2, 1}, 0.1), c10::ValueError);
  EXPECT_THROW(assign(scores.table(), Counts{3, 3}, 0.1), c10::ValueError);
  EXPECT_THROW(assign(scores.table(), Counts{4, 4, -2}, 0.1), c10::ValueError);
  EXPECT_NO_THROW(assign(scores.table(), Counts{2, 2, 2}, 0.1));
}

}  // namespace softmoe::auction_test
