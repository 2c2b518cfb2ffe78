// Milliseconds of a balanced assignment on one core, for scores of several kinds, and how far its
// value is from that of an assignment with steps twenty times as small.
//
//     assignment_bench [--seconds 1]

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/rng.h"
#include "softmoe/assignment/auction.h"

namespace softmoe {
namespace {

using Clock = std::chrono::steady_clock;

enum class ScoreKind {
  kNormal,    ///< independent
  kPopular,   ///< every expert less liked than the one before
  kNear,      ///< differences of experts are a thousandth of those of tokens
  kIdentical  ///< all tokens have the same scores: the hardest auction
};

struct Problem {
  std::string name;
  ScoreKind kind;
  int64_t tokens;
  int64_t experts;
};

std::vector<float> scores_of(const Problem& problem) {
  Rng rng(stream_key(1, "assignment bench"));
  std::vector<float> values;
  values.reserve(static_cast<size_t>(problem.tokens * problem.experts));
  for (int64_t token = 0; token < problem.tokens; ++token) {
    const double common = rng.normal();
    for (int64_t expert = 0; expert < problem.experts; ++expert) {
      const double own = rng.normal();
      const auto rank = static_cast<double>(expert);
      const double score = problem.kind == ScoreKind::kNormal    ? own
                           : problem.kind == ScoreKind::kPopular ? own - 2.0 * std::log1p(rank)
                           : problem.kind == ScoreKind::kNear    ? common + 1e-3 * own
                                                                 : -rank;
      values.push_back(static_cast<float>(score));
    }
  }
  return values;
}

double value_of(const ScoreTable& scores, const std::vector<int64_t>& expert) {
  double value = 0;
  for (int64_t token = 0; token < scores.tokens; ++token) {
    value += static_cast<double>(scores.values[static_cast<size_t>(
        token * scores.experts + expert[static_cast<size_t>(token)])]);
  }
  return value;
}

/// Throws if the assignment is not balanced.
void check(const Problem& problem, const std::vector<int64_t>& expert) {
  std::vector<int64_t> load(static_cast<size_t>(problem.experts), 0);
  for (const int64_t of_token : expert) {
    ++load.at(static_cast<size_t>(of_token));
  }
  const auto [min, max] = std::minmax_element(load.begin(), load.end());
  if (*max - *min > 1) {
    throw std::runtime_error("the assignment of " + problem.name + " is not balanced");
  }
}

void measure(const Problem& problem, double seconds) {
  const auto values = scores_of(problem);
  const ScoreTable scores{.values = values, .tokens = problem.tokens, .experts = problem.experts};
  const auto expert = balanced_assignment(scores);
  check(problem, expert);
  const double step = assignment_step(scores);
  const double gap = value_of(scores, assign(scores, balanced_places(scores), step / 20)) -
                     value_of(scores, expert);
  std::vector<double> times;
  const auto start = Clock::now();
  while (std::chrono::duration<double>(Clock::now() - start).count() < seconds) {
    const auto before = Clock::now();
    balanced_assignment(scores);
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - before).count());
  }
  std::sort(times.begin(), times.end());
  fmt::print(
      "{:10} {:6} x {:4}: median {:8.3f} ms, best {:8.3f}, worst {:8.3f}; short of finer "
      "steps by {:.4f} of tokens x step\n",
      problem.name, problem.tokens, problem.experts, times[times.size() / 2], times.front(),
      times.back(), gap / (step * static_cast<double>(problem.tokens)));
}

int run(int argc, char** argv) {
  const double seconds = argc == 3 ? std::stod(argv[2]) : 1.0;
  for (const auto& [tokens, experts] : {std::pair<int64_t, int64_t>{256, 32}, {12544, 128}}) {
    measure({"normal", ScoreKind::kNormal, tokens, experts}, seconds);
    measure({"popular", ScoreKind::kPopular, tokens, experts}, seconds);
    measure({"near", ScoreKind::kNear, tokens, experts}, seconds);
    measure({"identical", ScoreKind::kIdentical, tokens, experts}, seconds);
  }
  return 0;
}

}  // namespace
}  // namespace softmoe

int main(int argc, char** argv) { return softmoe::run(argc, argv); }
